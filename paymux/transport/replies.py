"""What both connections over aiohttp do with a response's body, and with aiohttp's errors."""

import asyncio
import ssl
import zlib
from collections.abc import Mapping

import aiohttp

from ..http import MAX_BODY_BYTES, TransportError


async def body_of(
    payload: aiohttp.StreamReader,
    status: int,
    headers: Mapping[str, str],
    compression: str,
    largest: int,
) -> bytes:
    """Read the body of a response; TransportError: it is too large, or cut."""
    if status != 200:
        largest = MAX_BODY_BYTES
    body: bytes | bytearray
    if payload.is_eof():  # as nearly always: it arrived with the headers
        body = payload.read_nowait()
    else:  # a part has not arrived, and may never arrive
        stated = headers.get("content-length", "")
        if len(stated) < 16 and stated.isdecimal() and int(stated) > largest:
            raise _too_large(largest)
        body = bytearray()
        async for chunk in payload.iter_any():
            body += chunk
            if len(body) > largest:
                break
    if len(body) > largest:
        raise _too_large(largest)
    # We ask for no compression. A body that is compressed in spite of that is inflated up to the
    # cap.
    if compression in ("gzip", "deflate"):
        body = await _inflated(body, largest)
    if len(body) > MAX_BODY_BYTES:
        body = bytes(body)
        await asyncio.sleep(0)  # lets other tasks run before this large body is decoded
    return bytes(body)


async def _inflated(body: bytes | bytearray, largest: int) -> bytes:
    inflater, parts, size = zlib.decompressobj(wbits=47), [], 0
    while True:
        # One byte beyond the cap is enough to detect it; 0 would mean no cap.
        part = inflater.decompress(body, min(MAX_BODY_BYTES, largest + 1 - size))
        body = inflater.unconsumed_tail
        parts.append(part)
        size += len(part)
        if inflater.eof or size > largest or not (part or body):
            break
        await asyncio.sleep(0)  # a large body takes long
    if size > largest:
        raise _too_large(largest)
    if not inflater.eof:
        raise TransportError("a compressed body that is cut")
    return b"".join(parts)


def _too_large(largest: int) -> TransportError:
    return TransportError(f"a body of more than {largest} bytes", too_large=True)


def translated(error: Exception) -> TransportError:
    """Return an error of the client as our own, without its text."""
    if isinstance(error, TransportError):
        return error
    if isinstance(error, aiohttp.ClientHttpProxyError):
        said = f"the proxy answered HTTP {int(error.status)}"
        return TransportError(said, permanent=error.status in (403, 407))
    certain = isinstance(
        error, aiohttp.ClientConnectorCertificateError | aiohttp.ServerFingerprintMismatch
    ) or (
        isinstance(error, aiohttp.ClientConnectorSSLError)
        and not isinstance(error.os_error, ssl.SSLEOFError)
    )
    # Only the class: the client's message may contain the URL's query or the request's headers.
    cause = getattr(error, "os_error", None) or error.__cause__
    because = f" ({type(cause).__name__})" if cause is not None else ""
    return TransportError(f"{type(error).__name__}{because}", permanent=certain)
