"""What a payout costs beside a collect: both at M-Pesa, the one account, in turn in one process.

Run: python -m benchmarks.bench_payout [--rounds 40] [--json FILE]

The connection gives the pages' answers at once, so that only paymux is measured. The credential of
the API user was proved before, as in a shop that has paid out before. A figure is the median of the
rounds' ratios of CPU, with the quartiles. The exit code is 1 where a payout costs more than 1.10.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from paymux import Mpesa, Payment, Pool
from paymux.drivers.mpesa.values import CREDENTIAL
from paymux.http import NoWebSocket, PreparedRequest, Response
from paymux.journal import Standing

from .peers import spread

LIMIT = 1.10
CALLS, AT_ONCE = 1000, 50
_PUSHED = (
    b'{"MerchantRequestID":"29115-34620561-1","CheckoutRequestID":"ws_CO_%d","ResponseCode":"0",'
    b'"ResponseDescription":"Success. Request accepted for processing",'
    b'"CustomerMessage":"Success. Request accepted for processing"}'
)
_PAID_OUT = (
    b'{"ConversationID":"AG_20261130_%d","OriginatorConversationID":"%s","ResponseCode":"0",'
    b'"ResponseDescription":"Accept the service request successfully."}'
)
_TOKEN = b'{"access_token":"0123456789abcdef","expires_in":"3599"}'


class Answers:
    """A connection that answers at once, by the pages of Daraja."""

    def __init__(self) -> None:
        self._number = 0

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Answer a login, a push or a payout."""
        outgoing.started = outgoing.sent = True
        self._number += 1
        body = outgoing.body or b""
        if "generate" in outgoing.url:
            said = _TOKEN
        elif "b2c" in outgoing.url:
            ours = body.partition(b'"OriginatorConversationID":"')[2].partition(b'"')[0]
            said = _PAID_OUT % (self._number, ours)
        else:
            said = _PUSHED % self._number
        return Response(status=200, headers={"content-type": "application/json"}, body=said)

    async def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Open no WebSocket."""
        raise NoWebSocket("the pages of Daraja have none", permanent=True)
        yield ""

    async def aclose(self) -> None:
        """Hold nothing."""


async def measured(pay: Pool, verb: str, first: int) -> float:
    """Return the microseconds of CPU of an order."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> Payment:
        reference = f"{verb}-{number}"
        async with places:
            if verb == "payout":
                return await pay.payout(
                    "mpesa", amount=500, currency="KES", payee="254708374149", reference=reference
                )
            return await pay.collect(
                "mpesa", amount=500, currency="KES", payer="254708374149", reference=reference
            )

    began = time.process_time()
    await asyncio.gather(*(one(number) for number in range(first, first + CALLS)))
    return (time.process_time() - began) / CALLS * 1e6


async def compared(rounds: int) -> dict[str, list[float]]:
    """Measure both verbs, in turn."""
    account = Mpesa(
        consumer_key="k", consumer_secret="s", shortcode="174379", passkey="p",
        initiator_name="api", security_credential="c2VjcmV0",
    )  # fmt: skip
    found: dict[str, list[float]] = {"collect": [], "payout": []}
    async with Pool(
        account,
        connection=Answers(),
        webhook_base="https://shop.example/pay",
        webhook_key="0123456789abcdef",
    ) as pay:
        guard = pay.internals.engine.transport.guard
        await guard._book.settle("mpesa", account.credential_id(CREDENTIAL), Standing.PROVED)
        for number in range(-1, rounds):
            for verb in sorted(found, reverse=bool(number % 2)):
                cost = await measured(pay, verb, (number + 1) * CALLS)
                if number >= 0:  # the first round warms up
                    found[verb].append(cost)
    return found


def main() -> None:
    """Print the costs; exit 1 if a payout costs too much."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    found = asyncio.run(compared(options.rounds))
    pairs = zip(found["collect"], found["payout"], strict=True)
    ratio = spread(paid / asked for asked, paid in pairs)
    middle = {verb: round(statistics.median(costs)) for verb, costs in found.items()}
    print(f"microseconds of CPU: {middle}; ratio {ratio}, at most {LIMIT}")
    if options.json is not None:
        options.json.write_text(json.dumps({"us": middle, "ratio": ratio}))
    if ratio["median"] > LIMIT:
        sys.exit(1)


if __name__ == "__main__":
    main()
