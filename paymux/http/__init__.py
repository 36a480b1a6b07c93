"""Typed requests, responses and incoming messages, and the connection that carries them.

`pay.run` calls a driver's own coroutine, typed: `await pay.run("campay", CamPay.payment_link,
amount=…)`. Use it for operations that only this provider has. `pay.send` sends your own request to
an endpoint that paymux does not have:

```python
import asyncio

import msgspec

import paymux
from paymux.simulator import Simulator


class Balance(msgspec.Struct):
    total_balance: float


async def main() -> None:
    sim = Simulator()
    async with paymux.Pool(sim.driver("campay"), connection=sim.connection) as pay:
        print(await pay.send("campay", paymux.get("/balance/", Balance)))


asyncio.run(main())
```

It is signed and rate-limited like our requests, and its outcome is decided by the same table. A
`post` counts as money and is never repeated, unless it has `money=False`.

Proxies, TLS and sessions of your own:

CinetPay's transfers and Intram's live keys need a fixed address.
`Pool(proxy="http://user:password@host:3128")` sends every https request, and every WebSocket,
through a tunnel of that proxy: the proxy sees host and port, and no more. If it refuses (407, 403),
hangs, or ends, nothing was sent, and the error is `NotSent`; its password is shown nowhere.
`local_address="192.0.2.7"` chooses the machine's own address. `tls=` is a context of yours, which
must check certificates and hosts, or the path of a PEM file to trust beside the system's. All three
are settings of a config file, and the variables `PAYMUX_PROXY`, `PAYMUX_LOCAL_ADDRESS` and
`PAYMUX_TLS` for `Pool.from_env`. The environment's `HTTPS_PROXY` and netrc files are never read.

`Pool(session=session)` sends the requests over your own `aiohttp.ClientSession`, for what only
works there: a mock such as aioresponses, a tracer, a connector of your company. Make it in the loop
of the pool, and close it yourself, after the pool. What is promised about money stays true. So the
session's time-outs, `raise_for_status` and middlewares are replaced, no cookie is sent, no redirect
is followed, and nothing is sent twice that the session would repeat. A session that is closed, has
`auth`, or has a default header that signs or frames a request (`Authorization`, `Cookie`, `Host`,
`Expect`, …) is `UsageError`. So is one whose TLS does not check certificates and host names
(`ssl=False`, or a fingerprint alone), at its first https connection, before anything is sent. What
changes:

- A verify costs 1.9 times the CPU of the pool's own connection, and a collect 1.6 times, at 50 at
  once (`python -m benchmarks.bench_session`).
- Watches of providers that push only poll: a session opens no WebSocket without following
  redirects.
- The session's proxy, TLS and limits apply, and its tracers see your credentials in the headers.
- A pool's orders and its look-ups have connections of their own, which neither you nor another pool
  over the session uses; `limit_per_host` counts each kind apart.
- An error of a mock, which replaces what proves that nothing was sent, is `OutcomeUnknown` for
  money; only `ClientConnectorError` of aioresponses is `NotSent`.
- Do not pass a session that caches: a cached answer to a look-up cannot be told from a new one.
  Set-Cookie headers reach the session's cookie jar.
"""

from ..values.received import MAX_HEADERS, WebhookRequest, checked_webhook_request, received_text
from .connection import (
    Connection,
    NoWebSocket,
    PreparedRequest,
    Response,
    ResponseTooLarge,
    TransportError,
)
from .requests import (
    MAX_BODY_BYTES,
    MAX_DAY_BYTES,
    MAX_FORM_FIELDS,
    MAX_PAGE_BYTES,
    Pause,
    Question,
    Request,
    Send,
    Sendable,
    ask,
    get,
    pause,
    post,
)

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_DAY_BYTES",
    "MAX_FORM_FIELDS",
    "MAX_HEADERS",
    "MAX_PAGE_BYTES",
    "Connection",
    "NoWebSocket",
    "Pause",
    "PreparedRequest",
    "Question",
    "Request",
    "Response",
    "ResponseTooLarge",
    "Send",
    "Sendable",
    "TransportError",
    "WebhookRequest",
    "ask",
    "checked_webhook_request",
    "get",
    "pause",
    "post",
    "received_text",
]
