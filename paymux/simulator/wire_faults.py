"""Faults as they look on the wire: what is written of an answer, and how the connection ends."""

import socket
import struct
from http import HTTPStatus

from aiohttp import web

from ..http import Response
from .core import SimulatorCore
from .faults import Fault, Planned


async def spoil(
    core: SimulatorCore, request: web.BaseRequest, reply: Response, planned: Planned
) -> web.StreamResponse:
    """Write what a fault leaves of an answer; faults of the content are already in `reply`."""
    head = _head(reply)
    half = head + reply.body[: len(reply.body) // 2]
    match planned.kind:
        case Fault.DROP_AFTER:
            return cut(request)
        case Fault.GARBAGE:
            return cut(request, b"\x16\x03\x01 this is not HTTP\r\n\r\n")
        case Fault.TRUNCATE:
            return cut(request, half)
        case Fault.RESET:
            return cut(request, half, reset=True)
        case Fault.STALL:
            await core.pause(None)
            return cut(request)
        case Fault.DRIP:
            for part in (head, *(bytes([byte]) for byte in reply.body)):
                if request.transport is None or request.transport.is_closing():
                    break
                request.transport.write(part)
                await core.pause(planned.seconds)
            return cut(request)
        case _:
            return respond(reply)


def respond(reply: Response) -> web.Response:
    """Write a whole answer."""
    return web.Response(status=reply.status, headers=reply.headers, body=reply.body)


def cut(request: web.BaseRequest, written: bytes = b"", *, reset: bool = False) -> web.Response:
    """Write raw bytes and close the connection with FIN or reset; aiohttp then writes nothing."""
    transport = request.transport
    if transport is not None:
        transport.write(written)
        wire = transport.get_extra_info("socket")
        if reset and wire is not None:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
    return web.Response()


def _head(reply: Response) -> bytes:
    headers = {**reply.headers, "content-length": str(len(reply.body)), "connection": "close"}
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    return "\r\n".join(
        [*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    ).encode()
