"""Whether a message comes back through the public address: `paymux doctor --callback`."""

import asyncio
import secrets
from urllib.parse import urlsplit

from ...http import Connection, PreparedRequest, Response, TransportError, WebhookRequest
from ...pool import Pool
from .findings import Finding, Mend, Said, ok, problem
from .listening import Listener
from .setup import Setup

CHECK = "webhook.callback"
SECONDS = 60.0  # in which a message of ours must come back
_EVERY = 3.0  # seconds between two tries: a tunnel may only now be opened


async def callback(setup: Setup, pool: Pool, port: int, seconds: float = SECONDS) -> Finding:
    """Serve a port, send a message to `webhook_base`, and tell whether it comes back here.

    OSError: the port is taken.
    """
    base = str(setup.options.get("webhook_base") or "")
    if not urlsplit(base).hostname:
        said = Said("no webhook_base to send to", "pas de webhook_base où envoyer")
        return problem(CHECK, said, setup.place("webhook_base").put('"…"', fill='"…"'))
    word, came = secrets.token_hex(16), asyncio.Event()

    async def hear(incoming: WebhookRequest) -> Response:
        if incoming.path.endswith(word):
            came.set()
        return Response(status=204)

    connection = pool.internals.engine.transport.connection
    url = f"{base.rstrip('/')}/{word}"
    async with Listener(port, hear):
        try:
            async with asyncio.timeout(seconds):
                while not came.is_set():
                    last = await _sent(connection, url)
                    await _soon(came)
        except TimeoutError:
            text = f"no message came back to port {port} through webhook_base ({last})"
            french = f"aucun message n'est revenu au port {port} par webhook_base ({last})"
            command = f"curl -i {url.rpartition('/')[0]}/"
            return problem(CHECK, Said(text, french), Mend(command=command))
    said = Said("a message came back through webhook_base", "un message est revenu")
    return ok(CHECK, said)


async def _soon(came: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_EVERY):
            await came.wait()
    except TimeoutError:
        return


async def _sent(connection: Connection, url: str) -> str:
    """Send our own message; return what came of it."""
    headers = {"content-type": "application/json", "user-agent": "paymux"}
    outgoing = PreparedRequest(method="POST", url=url, headers=headers, body=b"{}", money=False)
    try:
        reply = await connection.exchange(outgoing)
    except TransportError as error:
        return str(error)
    return f"HTTP {reply.status}"
