"""Reading a message as it comes: its headers, then its body, up to its cap and in time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

from ..drivers.base import WEBHOOK_BYTES
from ..http import Response, WebhookRequest

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]


class _Gone(Exception):
    """The client disconnected before the end of its request."""


def request_of(
    method: str, path: str, query: str, headers: Iterable[tuple[str, str]], peer: str | None
) -> WebhookRequest:
    """Return a message without its body; a repeated header is one list."""
    joined: dict[str, str] = {}
    for name, value in headers:
        # https://www.rfc-editor.org/rfc/rfc9110#section-5.3. Joined with a comma, a repeated
        # signature is never a valid one.
        lower = name.lower()
        joined[lower] = f"{joined[lower]}, {value}" if lower in joined else value
    return WebhookRequest(method=method, path=path, query=query, headers=joined, peer=peer)


async def chunks_of(receive: Receive) -> AsyncIterator[bytes]:
    """Yield the body of an ASGI request, part by part."""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _Gone
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def read_body(chunks: AsyncIterator[bytes], until: float) -> bytes | Response:
    """Read a body up to its cap; if it is too large, too slow or broken, return the response."""
    body = bytearray()
    try:
        async with asyncio.timeout_at(until):
            async for chunk in chunks:
                body += chunk
                if len(body) > WEBHOOK_BYTES:
                    return Response(status=413)
    except TimeoutError:
        return Response(status=408)
    except Exception:  # noqa: BLE001 - each server has its own errors for a body that is cut off
        return Response(status=400)
    return bytes(body)
