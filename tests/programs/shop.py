"""Runs a shop's unchanged program in one worker process for each socket, like any server with
workers.

`python -m tests.programs.shop <library> <asgi | wsgi | aiohttp> <socket> …` writes the processes
and, when they have ended, their exit codes. The library is loaded once, the program in each worker.
"""

import asyncio
import importlib
import os
import signal
import socket
import sys
from typing import Any, Literal

from aiohttp import web
from hypercorn.asyncio import serve
from hypercorn.config import Config

from .children import exit_code


def main(library: str, server: str, *sockets: str) -> None:
    """Run the workers until they are asked to end."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # one write per line
    for module in (library, "paymux.simulator", "phonenumbers.carrier"):
        importlib.import_module(module)
    workers = []
    for number in sockets:
        worker = os.fork()
        if not worker:
            _work(server, int(number))
            return
        workers.append(worker)
    _say("workers", workers)
    _say("ended", [exit_code(worker) for worker in workers])


def _say(what: str, numbers: list[int]) -> None:
    os.write(1, f"{what} {' '.join(map(str, numbers))}\n".encode())


def _work(server: str, number: int) -> None:
    app = importlib.import_module("shop").app
    if server == "aiohttp":
        web.run_app(app, sock=socket.socket(fileno=number), access_log=None, print=None)
    else:
        asyncio.run(_serve(app, "wsgi" if server == "wsgi" else "asgi", number))


async def _serve(app: Any, mode: Literal["asgi", "wsgi"], number: int) -> None:
    config, end = Config(), asyncio.Event()
    config.bind = [f"fd://{number}"]
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    await serve(app, config, shutdown_trigger=end.wait, mode=mode)


if __name__ == "__main__":
    main(*sys.argv[1:])
