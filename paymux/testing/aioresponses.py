"""aioresponses for a test: it sees every pool, and works with each aiohttp of paymux.

The simulator knows each provider's protocol and what was really charged: prefer it for what your
app does with payments. [aioresponses](https://github.com/pnuckowski/aioresponses) answers what a
test writes down: use it where your tests mock other hosts with it, or for one odd answer. It does
not see paymux's own connections, so take the fixture `paymux_aioresponses` (`pip install
'paymux[testing]'`), which lets it see every pool and works with aiohttp 3.14, too; `with
paymux_aioresponses() as mocked:` is the same without pytest:

```python
import asyncio

from paymux import CamPay, OutcomeUnknown, Pool
from paymux.testing.aioresponses import paymux_aioresponses


async def main() -> None:
    order = {"amount": 5, "currency": "XAF", "payer": "237670000000", "reference": "order-1"}
    with paymux_aioresponses() as mocked:
        mocked.post("https://demo.campay.net/api/collect/", exception=ConnectionResetError())
        async with Pool(CamPay(access_token="token")) as pay:
            try:
                await pay.collect("campay", **order)
            except OutcomeUnknown as lost:
                print(lost, "- calls:", len(mocked.requests))


asyncio.run(main())
```

On an order, a mock's `ClientConnectionError`, `ServerDisconnectedError`, `TimeoutError` and a URL
without an answer are `OutcomeUnknown`, because none proves that nothing was sent;
`ClientConnectorError` is `NotSent`. A pool with `session=` (`paymux.http`) is also seen by a
plain `aioresponses`, by tracers of `aiohttp.ClientSession` (without a session, take observers, or
the logger `paymux.exchange`), and by vcrpy. A pool without both asks the real host, and warns once.
A cassette of vcrpy holds your credentials, tokens and your payers' phone numbers: record with
`vcr.VCR(**scrubbed(driver))` of `paymux.testing.cassettes`, and read a cassette before you commit
it.
"""

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any
from unittest import mock

import aiohttp

try:
    from aioresponses import aioresponses
except ImportError:
    missing = "paymux.testing.aioresponses needs aioresponses: pip install 'paymux[testing]'"
    raise ImportError(missing, name="aioresponses") from None

from ..errors import UsageError
from ..http import PreparedRequest, Response
from ..transport.aiohttp import AiohttpConnection
from ..transport.session import SessionConnection

__all__ = ["paymux_aioresponses"]

_CONNECT_SECONDS = 10.0


class _Written:
    """What a response asks of the writer of its request, which a mock does not have."""

    output_size = 0


@contextlib.contextmanager
def paymux_aioresponses(**options: Any) -> Iterator[aioresponses]:
    """Mock `aiohttp.ClientSession`, and let the mock see pools made without `session=`, too.

    `options` are those of `aioresponses`. Outside the context nothing is changed. A request for a
    URL without a mocked answer fails, and of an order that failed so the outcome is unknown.

    UsageError: a mock of aiohttp is open already.
    """
    if hasattr(aiohttp.ClientSession._request, "mock"):  # noqa: SLF001 - aioresponses replaces it
        raise UsageError(
            "paymux_aioresponses: aiohttp is mocked already; mocks cannot be nested, so use the "
            "one that is open"
        )
    with (
        aioresponses(**options) as mocked,
        _complete_responses(),
        mock.patch.object(AiohttpConnection, "exchange", _over_a_session),
    ):
        yield mocked


@contextlib.contextmanager
def _complete_responses() -> Iterator[None]:
    """Give each mocked response the writer that aiohttp 3.14 demands.

    aioresponses 0.7.9 passes none: https://github.com/pnuckowski/aioresponses/issues
    """
    made = aiohttp.ClientResponse.__init__
    if "stream_writer" not in inspect.signature(made).parameters:
        yield
        return

    def make(response: aiohttp.ClientResponse, *given: Any, **named: Any) -> None:
        named.setdefault("stream_writer", _Written())
        made(response, *given, **named)

    with mock.patch.object(aiohttp.ClientResponse, "__init__", make):
        yield


async def _over_a_session(_: AiohttpConnection, outgoing: PreparedRequest) -> Response:
    """Carry an attempt as a pool with `session=` does."""
    async with aiohttp.ClientSession() as session:
        return await SessionConnection(session, _CONNECT_SECONDS).exchange(outgoing)
