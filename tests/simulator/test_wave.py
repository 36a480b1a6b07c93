"""Wave's simulator, tested with requests of its page, and with none of our driver's."""

import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine

from paymux.http import Response, WebhookRequest
from paymux.models import Reason, Status
from paymux.simulator import Simulator
from paymux.simulator.payers import Payer

from .asking import ask, told, until

KEY = {"authorization": "Bearer simulator"}
# The page's two requests.
ORDER = {
    "amount": "1000",
    "currency": "XOF",
    "error_url": "https://example.com/error",
    "success_url": "https://example.com/success",
}
PAYOUT = {
    "currency": "XOF",
    "receive_amount": "500",
    "name": "Fatou Ndiaye",
    "mobile": "+221555110219",
}


async def api(sim: Simulator, method: str, path: str, body: Any = None, **headers: str) -> Response:
    """Send a request with the key."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await ask(sim, method, f"/wave/v1/{path}", body, headers={**KEY, **named})


async def opened(sim: Simulator, **changes: Any) -> Any:
    """Open a session."""
    reply = await api(sim, "POST", "checkout/sessions", {**ORDER, **changes})
    assert reply.status == 200
    return told(reply)


async def paid_out(sim: Simulator, key: str = "65f735b4", **changes: Any) -> Response:
    """Pay out."""
    return await api(sim, "POST", "payout", {**PAYOUT, **changes}, idempotency_key=key)


async def form(sim: Simulator, session: Any, **fields: str) -> Response:
    """Post a form of a session's page, as a program does."""
    path = session["wave_launch_url"].removeprefix(sim.url)
    return await ask(sim, "POST", path, fields, form=True)


def code(reply: Response) -> tuple[int, str]:
    """Return the status and the code of a refusal."""
    return reply.status, told(reply)["code"]


async def test_a_session_is_open_until_it_is_paid_or_expires() -> None:
    """The page's request opens a session of 30 minutes; each request opens another."""
    sim = Simulator()
    made = await opened(sim, client_reference="order-1")
    assert (made["checkout_status"], made["payment_status"]) == ("open", "processing")
    assert made["id"].startswith("cos-")
    assert len(made["id"]) <= 20
    assert made["transaction_id"] is made["when_completed"] is None
    again = await opened(sim, client_reference="order-1")
    assert again["id"] != made["id"]
    found = told(await api(sim, "GET", "checkout/sessions/search?client_reference=order-1"))
    assert [one["id"] for one in found["result"]] == [made["id"], again["id"]]
    assert told(await api(sim, "GET", "checkout/sessions/search?client_reference=x")) == {
        "result": []
    }
    assert (await form(sim, made, decision="approve")).headers["location"] == ORDER["success_url"]
    done = told(await api(sim, "GET", f"checkout/sessions/{made['id']}"))
    assert (done["checkout_status"], done["payment_status"]) == ("complete", "succeeded")
    by_receipt = f"checkout/sessions?transaction_id={done['transaction_id']}"
    assert told(await api(sim, "GET", by_receipt))["id"] == made["id"]
    assert sim.ledger.charged() == 1000
    assert sim.wave.balance == 1_000_990  # the fee is taken from what came in


async def test_a_failed_attempt_leaves_the_session_open() -> None:
    """It is told, leads to error_url, and the payer may pay afterwards."""
    sim = Simulator()
    sim.wave.webhook_url = "https://shop.example/wave"
    heard: list[WebhookRequest] = []
    sim.on_webhook(heard.append)
    made = await opened(sim)
    fields = {"decision": "ask", "operator": "wave", "number": "771234567"}
    assert (await form(sim, made, **fields)).status == 303
    gone = await form(sim, made, decision="no_money")
    assert gone.headers["location"] == ORDER["error_url"]
    still = told(await api(sim, "GET", f"checkout/sessions/{made['id']}"))
    assert (still["checkout_status"], still["payment_status"]) == ("open", "failed")
    assert still["last_payment_error"]["code"] == "insufficient-funds"
    await until(lambda: heard)
    event = json.loads(heard[0].body)
    assert event["type"] == "checkout.session.payment_failed"
    assert event["data"] == {
        "id": made["id"],
        "payment_status": "failed",
        "last_payment_error": still["last_payment_error"],
    }
    assert (await form(sim, made, **fields)).status == 303
    assert (await form(sim, made, decision="cancel")).headers["location"] == ORDER["error_url"]
    assert (await form(sim, made, **fields)).status == 303
    assert (await form(sim, made, decision="approve", pin="0000")).status == 302
    assert sim.ledger.charged() == 1000
    await until(lambda: len(heard) == 2)  # a cancelled one is not told
    assert json.loads(heard[1].body)["type"] == "checkout.session.completed"


async def test_a_session_ends_by_its_time_or_by_request() -> None:
    """After 30 minutes, or by /expire; a session that is over is 409, and nothing is told."""
    sim = Simulator()
    sim.wave.webhook_url = "https://shop.example/wave"
    heard: list[WebhookRequest] = []
    sim.on_webhook(heard.append)
    with time_machine.travel("2026-12-01T10:00:00Z", tick=False) as clock:
        made, other = await opened(sim), await opened(sim)
        gone = await api(sim, "POST", f"checkout/sessions/{other['id']}/expire")
        assert (gone.status, gone.body) == (200, b"")
        assert (await api(sim, "POST", f"checkout/sessions/{other['id']}/expire")).status == 409
        clock.shift(1799)
        path = f"checkout/sessions/{made['id']}"
        assert told(await api(sim, "GET", path))["checkout_status"] == "open"
        clock.shift(1)
        over = told(await api(sim, "GET", path))
    assert (over["checkout_status"], over["payment_status"]) == ("expired", "cancelled")
    assert (await form(sim, made, decision="approve")).status == 200
    assert sim.ledger.charged() == 0
    assert heard == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": 1000}, "amount"),
        ({"amount": "0100"}, "amount"),
        ({"amount": "10.50"}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"currency": "CFA1"}, "currency"),
        ({"success_url": "http://example.com"}, "success_url"),
        ({"error_url": None}, "error_url"),
        ({"restrict_payer_mobile": "771234567"}, "restrict_payer_mobile"),
        ({"client_reference": "x" * 256}, "client_reference"),
        ({"metadata": {}}, "metadata"),
    ],
)
async def test_a_wrong_field_of_a_session_is_named(changes: Any, field: str) -> None:
    """400 with the field in `details`; an unknown field is wrong, too."""
    sim = Simulator()
    reply = await api(sim, "POST", "checkout/sessions", {**ORDER, **changes})
    assert code(reply) == (400, "request-validation-error")
    assert told(reply)["details"][0]["loc"] == [field]
    assert len(sim.ledger) == 0


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "missing-auth-header"),
        ({"authorization": "Basic x"}, "invalid-auth"),
        ({"authorization": "Bearer "}, "api-key-not-provided"),
        ({"authorization": "Bearer other"}, "no-matching-api-key"),
    ],
)
async def test_a_wrong_key_is_refused_by_name(headers: dict[str, str], said: str) -> None:
    """Each way in which it is wrong has its code."""
    sim = Simulator()
    reply = await ask(sim, "GET", "/wave/v1/balance", headers=headers)
    assert code(reply) == (401, said)


async def test_a_body_that_is_no_json_is_told_apart() -> None:
    """Another content type, and a body that does not parse, have codes of their own."""
    sim = Simulator()
    bare = await ask(sim, "POST", "/wave/v1/checkout/sessions", {"a": "1"}, form=True, headers=KEY)
    assert code(bare) == (400, "request-not-json")
    for body in (b"{", b"[1]", b""):
        reply = await ask(sim, "POST", "/wave/v1/checkout/sessions", body, headers=KEY)
        assert code(reply) == (400, "request-parsing-error")
    assert code(await api(sim, "GET", "nowhere")) == (404, "not-found")


async def test_one_key_never_pays_out_twice() -> None:
    """The same key gives the same payout; with another body it is a mismatch; without one, 400."""
    sim = Simulator()
    first = told(await paid_out(sim, client_reference="wage-1"))
    assert (first["status"], first["fee"], first["client_reference"]) == (
        "succeeded",
        "5",
        "wage-1",
    )
    assert told(await paid_out(sim, client_reference="wage-1")) == first
    assert code(await paid_out(sim, receive_amount="501")) == (409, "idempotency-mismatch")
    for key in ("", "x" * 256):
        assert code(await paid_out(sim, key)) == (400, "request-validation-error")
    assert sim.ledger.paid_out() == 500
    assert sim.wave.balance == 1_000_000 - 505
    # "Another key will inevitably make a duplicate."
    assert told(await paid_out(sim, "other", client_reference="wage-1"))["id"] != first["id"]
    assert sim.ledger.paid_out() == 1000
    assert told(await api(sim, "GET", f"payout/{first['id']}")) == first
    found = told(await api(sim, "GET", "payouts/search?client_reference=wage-1"))["result"]
    assert found[0]["id"] == first["id"]
    assert len(found) == 2


async def test_a_refused_payout_has_two_surfaces() -> None:
    """Before it exists it is an error; once it does, it is a payout that failed, with HTTP 200."""
    sim = Simulator()
    assert code(await paid_out(sim, mobile="+2250707070707")) == (400, "country-mismatch")
    sim.wave.balance = Decimal(504)
    assert code(await paid_out(sim)) == (422, "insufficient-funds")
    assert len(sim.ledger) == 0
    sim.wave.prechecks = False
    sim.wave.magic["221555110219"] = sim.wave.numbers["221770000008"]
    reply = await paid_out(sim)
    failed = told(reply)
    assert (reply.status, failed["status"]) == (200, "failed")
    assert failed["payout_error"]["error_code"] == "recipient-limit-exceeded"
    assert sim.wave.balance == 504
    waiting = told(await paid_out(sim, "k2", mobile="+221770000004"))
    assert waiting["status"] == "processing"


async def test_a_refund_and_a_reversal_are_made_once() -> None:
    """200 without a body, and again; the whole amount and the fee go back."""
    sim = Simulator()
    made = await opened(sim)
    path = f"checkout/sessions/{made['id']}/refund"
    assert code(await api(sim, "POST", path)) == (400, "checkout-refund-failed")
    sim.settle(made["id"], Status.SUCCEEDED)
    sent = told(await paid_out(sim))
    for _ in range(2):
        for one in (path, f"payout/{sent['id']}/reverse"):
            reply = await api(sim, "POST", one)
            assert (reply.status, reply.body) == (200, b"")
    assert sim.ledger.refunded() == 1500
    assert sim.wave.balance == 1_000_000
    assert told(await api(sim, "GET", f"payout/{sent['id']}"))["status"] == "reversed"
    assert code(await api(sim, "POST", "payout/pt-0/reverse")) == (404, "not-found")
    unknown = await api(sim, "POST", "checkout/sessions/cos-0/refund")
    assert code(unknown) == (404, "checkout-session-not-found")


async def test_a_reversal_may_be_too_late() -> None:
    """After three days, or where the receiver has spent it or is gone, each has its code."""
    sim = Simulator()
    with time_machine.travel("2026-12-01T10:00:00Z", tick=False) as clock:
        sent = [told(await paid_out(sim, f"key-{n}"))["id"] for n in range(3)]
        sim.wave.entry(sent[0]).words["spent"] = True
        sim.wave.entry(sent[1]).words["terminated"] = True
        refusals = [await api(sim, "POST", f"payout/{one}/reverse") for one in sent[:2]]
        clock.shift(3 * 86_400 + 1)
        refusals.append(await api(sim, "POST", f"payout/{sent[2]}/reverse"))
    assert [told(one)["code"] for one in refusals] == [
        "insufficient-funds",
        "payout-reversal-account-terminated",
        "payout-reversal-time-limit-exceeded",
    ]
    assert sim.ledger.refunded() == 0


@pytest.mark.parametrize("strategy", ["signing", "shared"])
async def test_an_event_is_signed_as_the_portal_says(strategy: Any) -> None:
    """Over `t` and the raw body with nothing between, or the secret is shown."""
    sim = Simulator()
    sim.wave.webhook_url, sim.wave.strategy = "https://shop.example/wave", strategy
    heard: list[WebhookRequest] = []
    sim.on_webhook(heard.append)
    made = await opened(sim)
    sim.settle(made["id"], Status.SUCCEEDED)
    await until(lambda: heard)
    [message] = heard
    if strategy == "shared":
        assert message.headers["authorization"] == "Bearer simulator"
        assert "wave-signature" not in message.headers
        return
    now, _, mac = message.headers["wave-signature"].partition(",v1=")
    text = now.removeprefix("t=").encode() + message.body
    assert mac == hmac.new(b"simulator", text, hashlib.sha256).hexdigest()


async def test_transactions_are_listed_by_day_in_pages() -> None:
    """Newest first, each movement once; a reversal has its payment's transaction."""
    sim = Simulator()
    sim.wave.page_rows = 2
    with time_machine.travel("2026-12-01T10:00:00Z", tick=False) as clock:
        made = await opened(sim, client_reference="order-1")
        sim.settle(made["id"], Status.SUCCEEDED)
        clock.shift(1)
        sent = told(await paid_out(sim, client_reference="wage-1"))
        clock.shift(1)
        await api(sim, "POST", f"payout/{sent['id']}/reverse")
        first = told(await api(sim, "GET", "transactions"))
        cursor = urlencode({"date": "2026-12-01", "after": first["page_info"]["end_cursor"]})
        rest = told(await api(sim, "GET", f"transactions?{cursor}"))
        other = told(await api(sim, "GET", "transactions?date=2026-11-30"))
    assert (first["page_info"]["has_next_page"], rest["page_info"]["has_next_page"]) == (
        True,
        False,
    )
    rows = [*first["items"], *rest["items"]]
    assert [(row["transaction_type"], row["amount"], row["fee"]) for row in rows] == [
        ("api_payout_reversal", "500", "-5"),
        ("api_payout", "-500", "5"),
        ("api_checkout", "990", "10"),
    ]
    assert rows[0]["transaction_id"] == rows[1]["transaction_id"]
    assert (other["date"], other["items"]) == ("2026-11-30", [])
    wrong = await api(sim, "GET", "transactions?date=yesterday")
    assert code(wrong) == (400, "request-validation-error")


async def test_a_recipient_is_compared() -> None:
    """What an integrator's transcription shows, and no money moves."""
    sim = Simulator()
    asked = {"mobile": "+221555110219", "name": "Fatou Ndiaye", "amount": "5", "currency": "XOF"}
    reply = told(await api(sim, "POST", "verify_recipient/", asked))
    assert reply == {"within_limits": True, "name_match": "MATCH", "national_id_match": None}
    assert len(sim.ledger) == 0


async def test_a_payer_of_a_restricted_session_decides_by_the_phone() -> None:
    """The number of the session is the only one; what the payer does wrong is an attempt."""
    sim = Simulator(payer_delay=0.0)
    sim.core.payers.put(Payer(number="221771234567", answer="limit", after=0))
    made = await opened(sim, restrict_payer_mobile="+221771234567")
    entry = sim.wave.entry(made["id"])
    await until(lambda: entry.words["error"] is not None)
    assert entry.words["error"]["code"] == "kyb-limits-exceeded"
    assert entry.status is Status.PENDING
    sim.settle(made["id"], Status.FAILED, reason=Reason.DECLINED)
    ended = told(await api(sim, "GET", f"checkout/sessions/{made['id']}"))
    assert (ended["checkout_status"], ended["payment_status"]) == ("expired", "failed")
