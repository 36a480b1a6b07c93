"""Every fault, answer, decision and setting has the same effect through Python and HTTP."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from paymux.errors import UsageError
from paymux.http import WebhookRequest
from paymux.models import Reason, Status
from paymux.simulator import Fault, Simulator
from paymux.simulator.payers import ANSWERS

from .asking import CAMPAY, collect, raw
from .controlling import api

COLLECT = "/campay/api/collect/"
ID = "{id}"  # of the first order
NUMBER = "237670000000"


class Row(NamedTuple):
    """One call: the method in Python with its arguments, and the route with its body."""

    python: str
    args: tuple[Any, ...]
    fields: Mapping[str, Any]
    route: str
    body: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        words = [*map(str, self.args), *(f"{key}={value}" for key, value in self.fields.items())]
        return f"{self.python}({', '.join(words)})"


def fault(kind: str, match: str = "POST /api/collect/", **fields: Any) -> Row:
    """Plan a fault both ways."""
    told = {"provider": "campay", "match": match, "kind": kind, **fields}
    return Row("fault", ("campay", match), {"kind": kind, **fields}, "POST faults", told)


def answer(word: Any, **fields: Any) -> Row:
    """Answer for the payer both ways."""
    route = f"POST payments/{ID}/answer"
    return Row("answer", (ID, word), fields, route, {"answer": word, **fields})


def settle(word: Any, **fields: Any) -> Row:
    """Decide the order both ways."""
    route = f"POST payments/{ID}/settle"
    return Row("settle", (ID, word), fields, route, {"status": word, **fields})


def change(**fields: Any) -> Row:
    """Change settings both ways."""
    return Row("change", (), fields, "PATCH settings", fields)


def payer(number: str, **fields: Any) -> Row:
    """Decide what a number does both ways."""
    return Row("payer", (number,), fields, f"PUT payers/{quote(number)}", fields)


def again(n: int, **fields: Any) -> Row:
    """Send a webhook again both ways."""
    return Row("again", (n,), fields, f"POST deliveries/{n}/again", fields)


def inbound(provider: str, amount: Any, **fields: Any) -> Row:
    """Let a customer pay unasked both ways."""
    told = {"provider": provider, "amount": amount, **fields}
    return Row("inbound", (provider, amount), fields, "POST inbound", told)


WORD = {kind: kind.name.lower() for kind in Fault}
TABLE: list[list[Row]] = [
    *(
        [fault(word, "order-2" if word.startswith("webhook") else "POST /api/collect/")]
        for kind, word in WORD.items()
        if kind not in (Fault.STALL, Fault.DRIP)
    ),
    [fault("stall")],
    [fault("drip", seconds=0.0001)],
    [fault("error", status=503, processed=False)],
    [fault("html", status=404)],
    [fault("redirect", status=307, location="http://127.0.0.1:1/x")],
    [fault("throttle", retry_after="Wed, 21 Oct 2026 07:28:00 GMT")],
    [fault("THROTTLE", "POST", retry_after=7, times=2)],
    [fault("html"), Row("drop_fault", (1,), {}, "DELETE faults/1")],
    [fault("html"), fault("error"), Row("clear_faults", (), {}, "DELETE faults")],
    *([answer(word)] for word in ANSWERS),
    [answer("approve", pin="0000")],
    [answer("approve", pin="1111")],
    [answer("approve", pin="1111")] * 3,
    [answer("ignore"), answer("approve")],
    *([settle(status.value)] for status in Status if status is not Status.REFUNDED),
    *([settle("failed", reason=reason.value)] for reason in Reason),
    [settle("succeeded"), settle("refunded")],
    [settle("failed"), settle("succeeded")],
    [settle("pending", code="SUCCESSFUL")],
    [change(payers="approve", after=0)],
    [change(payers="random", after=0)],
    [change(payers="ask", latency=0.001)],
    [change(campay={"repeated": "reject", "cap": 100})],
    [change(campay={"tokens": {"life": 60}, "webhook_url": ""})],
    [change(mpesa={"c2b": {"twins": "no"}, "limit": "100"})],
    *([payer(NUMBER, answer=word, after=0)] for word in ANSWERS),
    [payer(NUMBER, pin="1234"), answer("approve", pin="0000")],
    [payer(f"+{NUMBER}", answer="decline", after=0)],
    [
        payer(NUMBER, answer="decline", after=0),
        Row("forget_payer", (NUMBER,), {}, f"DELETE payers/{NUMBER}"),
    ],
    [settle("succeeded"), again(1)],
    [settle("failed"), again(1, times=2)],
    [settle("failed"), again(1, forged=True)],
    [settle("failed"), again(1, url="http://127.0.0.1:1/other")],
    [inbound("mpesa", "500", reference="BILL-1")],
    [inbound("mpesa", "500", party="254708374149", account="600000")],
    [settle("succeeded"), fault("html"), Row("reset", (), {"seed": 7}, "POST reset", {"seed": 7})],
    # What is refused: the sentence of the UsageError is the detail of the problem.
    [fault("nothing")],
    [fault("html", times=0)],
    [fault("html", times="2")],
    [fault("html", "get /x")],
    [fault("html", status=99)],
    [fault("html", seconds=-1)],
    [fault("html", processed="no")],
    [answer("perhaps")],
    [answer(7)],
    [answer("approve", pin="12ab")],
    [settle("paid")],
    [settle("failed", reason="rain")],
    [settle("failed", code=7)],
    [settle("refunded")],
    [settle("succeeded"), settle("failed")],
    [settle("succeeded"), answer("approve")],
    [change(payers="never")],
    [change(after=-1)],
    [change(latency="slow")],
    [change(nobody={})],
    [change(campay={"repeated": "perhaps"})],
    [change(campay={"floats": {"MTN": "much"}})],
    [change(campay={"floats": {"MTN": "Infinity"}}), change(mpesa={"limit": "NaN"})],
    [change(campay={"_logins": 7})],
    [change(campay=7)],
    [change(latency=0.5, campay={"cap": "low"})],
    [payer(NUMBER, answer="perhaps")],
    [payer(NUMBER, pin="x")],
    [payer("12")],
    [Row("forget_payer", (NUMBER,), {}, f"DELETE payers/{NUMBER}")],
    [settle("failed"), again(1, times=0)],
    [settle("failed"), again(1, url="")],
    [inbound("campay", "500")],
    [inbound("nobody", "500")],
    [inbound("mpesa", "5.5", reference="x")],
    [inbound("mpesa", "500", party="12")],
    [Row("reset", (), {"seed": "x"}, "POST reset", {"seed": "x"})],
]


async def in_python(sim: Simulator, row: Row) -> Any:
    """Make the call in Python; return its refusal, or None."""
    args = [_id(sim) if one == ID else one for one in row.args]
    try:
        told = getattr(sim, row.python)(*args, **row.fields)
        if asyncio.iscoroutine(told):
            await told
    except UsageError as error:
        return (str(error), error.name, error.accepted or None)
    return None


async def over_http(sim: Simulator, row: Row) -> Any:
    """Make the call over HTTP; return its refusal, or None."""
    method, _, path = row.route.partition(" ")
    told = await api(sim, method, path.replace(ID, quote(_id(sim), safe="")), row.body)
    if told.status < 400:
        return None
    assert told.headers["content-type"] == "application/problem+json"
    assert told.json["status"] == told.status
    assert told.status in (400, 409)
    return (told.json["detail"], told.json["field"], told.json["accepted"])


def _id(sim: Simulator) -> str:
    return next(iter(sim.ledger)).id


async def after(rows: list[Row], *, http: bool) -> Any:
    """Make the calls in a world with one order, and return all that can be seen afterwards."""
    got: list[WebhookRequest] = []
    async with Simulator(seed=1) as sim:
        sim.on_webhook(got.append)
        sim.campay.webhook_url = "http://127.0.0.1:1/pay"
        await raw(sim, "POST", COLLECT, collect(NUMBER), CAMPAY)
        refusals = []
        for row in rows:
            refusals.append(await (over_http if http else in_python)(sim, row))
            await _quiet()
        planned = [one.kind.name for one in sim.core.faults.planned]
        wire = await _collected(sim)
        for entry in sim.ledger.entries("order-2"):
            if not entry.status.terminal and not entry.asks:
                sim.settle(entry.id, Status.SUCCEEDED)
        await _quiet()
        settings = sim.settings()
        seen = [
            (
                one.reference,
                one.amount,
                one.party,
                one.status,
                one.reason,
                one.code,
                one.asks,
                one.tries_left,
                [(step.status, step.reason, step.by) for step in one.history],
            )
            for one in sim.ledger
        ]
        told = [(one.path, _said(one.body)) for one in got]
        sent = [(one.message.forged, one.again_of) for one in sim.deliveries]
        drawn = sim.core.random.random()
    return refusals, planned, wire, seen, told, sent, settings, drawn


async def _quiet() -> None:
    """Let every webhook that is due arrive."""
    for _ in range(20):
        await asyncio.sleep(0)


async def _collected(sim: Simulator) -> Any:
    """Collect once more, and return what came over the wire, without its times and port."""
    try:
        stalls = any(one.kind is Fault.STALL for one in sim.core.faults.planned)
        async with asyncio.timeout(0.1 if stalls else 30):
            got = await raw(sim, "POST", COLLECT, collect(NUMBER, "order-2"), CAMPAY)
    except (OSError, TimeoutError) as error:
        return type(error).__name__
    port = sim.url.rpartition(":")[2].encode()
    return [line for line in got.replace(port, b"PORT").split(b"\r\n") if b"Date:" not in line]


def _said(body: bytes) -> Any:
    found = json.loads(body)
    return {
        key: found.get(key) for key in ("status", "reference", "external_reference", "TransAmount")
    }


@pytest.mark.parametrize("rows", TABLE, ids=lambda rows: " ".join(map(str, rows)))
async def test_python_and_http_do_the_same(rows: list[Row]) -> None:
    """The wire, ledger, history, webhooks, settings and refusals are equal, to the word."""
    assert await after(rows, http=True) == await after(rows, http=False)


def test_the_table_has_every_fault_answer_status_and_reason() -> None:
    """A new one must be in the table, too."""
    named = {
        str(word).lower()
        for rows in TABLE
        for row in rows
        for word in (*row.args, *row.fields.values())
    }
    assert {*WORD.values(), *ANSWERS, *Status, *Reason} <= named
