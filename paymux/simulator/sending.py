"""Webhooks over sockets: to this machine and to the hosts that are named, and nowhere else."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from ..errors import UsageError
from ..http import Response
from .messages import Message

ANSWER_BYTES = 64 << 10  # read of a receiver's answer


async def send(message: Message, hosts: Collection[str] = ()) -> Response:
    """Send a webhook, and return the answer; a redirect is an answer, and is not followed.

    `hosts`: names that are allowed beside loopback. UsageError: the address is another one.
    """
    # Plain sockets are enough for a receiver nearby; no HTTP client is needed.
    url = urlsplit(message.url)
    host = url.hostname or ""
    if url.scheme != "http" or not (is_loopback(host) or host == "localhost" or host in hosts):
        raise _refused(message)
    reader, writer = await _connected(message, host, url.port or 80, named=host in hosts)
    try:
        target = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
        headers = {"host": url.netloc, "content-length": str(len(message.body)), **message.headers}
        # HTTP/1.0: the answer is neither chunked nor kept alive.
        lines = [
            f"{message.method} {target} HTTP/1.0",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode() + message.body)
        return _read(await _at_most(reader, ANSWER_BYTES))
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def is_loopback(host: str) -> bool:
    """Return whether a host is written as an address of this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _connected(
    message: Message, host: str, port: int, *, named: bool
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to an address that was looked up once: between check and connect it cannot change."""
    addresses = [host] if is_loopback(host) else await _looked_up(host, port)
    allowed = [address for address in addresses if _may(address, named=named)]
    if not allowed:
        raise _refused(message)
    error: OSError | None = None
    for address in allowed:
        try:
            return await asyncio.open_connection(address, port)
        except OSError as refused:
            error = refused
    raise error or _refused(message)


async def _looked_up(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def _may(address: str, *, named: bool) -> bool:
    """Return whether a name may lead to this address; no name may lead to a cloud's metadata."""
    found = ipaddress.ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found  # the same host, written as IPv6
    if found.is_loopback:
        return True
    # 169.254.169.254 and fe80::/10 are link-local; 0.0.0.0 would be this machine by another name.
    return named and not (found.is_link_local or found.is_multicast or found.is_unspecified)


async def _at_most(reader: asyncio.StreamReader, most: int) -> bytes:
    parts, size = [], 0
    while size < most and (part := await reader.read(most - size)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _read(answer: bytes) -> Response:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    pairs = (line.decode("latin-1").partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Response(status=int(first.split()[1]), headers=headers, body=body)


def _refused(message: Message) -> UsageError:
    return UsageError.field(
        "webhook URL",
        message.url,
        "http on loopback, a host of `webhook_host`, or Simulator.on_webhook",
    )
