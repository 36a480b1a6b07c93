import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from paymux.models import Reason, Status
from paymux.simulator import Simulator

from .asking import CAMPAY, ask, collect, told, until

GOOD = {"username": "simulator", "password": "simulator"}
PAYOUT = {"amount": "500", "to": "237670000000", "external_reference": "wage-1"}
TODAY = f"{datetime.now(UTC):%Y-%m-%d}"


async def call(sim: Simulator, method: str, path: str, body: Any = None) -> Any:
    """Call CamPay with the permanent token, and return the status and the body."""
    reply = await ask(sim, method, f"/campay/api{path}", body, headers=CAMPAY)
    return reply.status, told(reply)


async def collected(sim: Simulator, **fields: Any) -> str:
    """Collect, and return CamPay's reference."""
    status, body = await call(sim, "POST", "/collect/", collect(**fields))
    assert status == 200
    return str(body["reference"])


def part(token: str, index: int) -> Any:
    """Read the header or the claims of a JSON web token."""
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


@pytest.mark.parametrize("form", [False, True])
async def test_a_login_gives_a_token_for_an_hour(form: bool) -> None:
    """A token from a login, as JSON or as a form, opens the API; its lifetime is in seconds."""
    sim = Simulator()
    reply = await ask(sim, "POST", "/campay/api/token/", GOOD, form=form)
    assert reply.status == 200
    assert told(reply)["expires_in"] == 3600
    headers = {"authorization": f"Token {told(reply)['token']}"}
    assert (await ask(sim, "GET", "/campay/api/balance/", headers=headers)).status == 200
    assert part(told(reply)["token"], 0)["alg"] == "HS256"
    again = await ask(sim, "POST", "/campay/api/token", GOOD)
    assert told(again)["token"] != told(reply)["token"]
    sim.campay.tokens.revoke()
    assert (await ask(sim, "GET", "/campay/api/balance/", headers=headers)).status == 401


async def test_a_token_ends_with_its_lifetime() -> None:
    """After its lifetime a token is refused like any other."""
    sim = Simulator()
    sim.campay.tokens.life = 0.0
    sim.campay.expires_in = False
    token = told(await ask(sim, "POST", "/campay/api/token/", GOOD))
    assert set(token) == {"token"}
    reply = await ask(
        sim, "GET", "/campay/api/balance/", headers={"authorization": f"Token {token['token']}"}
    )
    assert (reply.status, told(reply)) == (401, {"detail": "Invalid token."})


@pytest.mark.proves("campay: POST /token/: log")
@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({**GOOD, "password": "wrong"}, "non_field_errors"),
        ({"username": "simulator"}, "password"),
        ({}, "username"),
    ],
)
async def test_a_bad_login_is_http_400(body: dict[str, str], word: str) -> None:
    """Wrong or missing credentials are refused as the page's clients expect."""
    reply = await ask(Simulator(), "POST", "/campay/api/token/", body)
    assert reply.status == 400
    assert word in told(reply)


@pytest.mark.proves("campay: header Authorization: Token")
@pytest.mark.parametrize("header", [None, "Bearer simulator", "Token wrong", "Token"])
async def test_every_order_needs_a_good_token(header: str | None) -> None:
    """Only `Authorization: Token …` with a valid token is accepted."""
    sim = Simulator()
    headers = {"authorization": header} if header else {}
    for path in ("collect", "withdraw", "history", "get_payment_link"):
        reply = await ask(sim, "POST", f"/campay/api/{path}/", collect(), headers=headers)
        assert reply.status == 401
    assert len(sim.ledger) == 0


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"amount": "5.5"}, "ER201"),
        ({"amount": 5.0}, "ER201"),
        ({"amount": 0}, "ER201"),
        ({"amount": "-5"}, "ER201"),
        ({"amount": True}, "ER201"),
        ({"amount": None}, "amount"),
        ({"from": "+237670000000"}, "ER101"),
        ({"from": "670000000"}, "ER101"),
        ({"from": "254712345678"}, "ER101"),
        ({"from": ""}, "from"),
        ({"from": "237242000000"}, "ER102"),
        ({"from": "237660000000"}, "ER102"),
        ({"currency": "XOF"}, "currency"),
        ({"amount": 26}, "25 XAF"),
    ],
)
async def test_a_bad_collection_is_refused_in_campays_words(
    fields: dict[str, Any], word: str
) -> None:
    """Decimals, bad numbers, carriers, currencies and amounts above the demo's cap are refused."""
    sim = Simulator()
    sim.campay.cap = 25
    status, body = await call(sim, "POST", "/collect/", {**collect(amount=5), **fields})
    assert status == 400
    assert word in json.dumps(body)
    assert len(sim.ledger) == 0


async def test_a_collection_speaks_as_the_demo_did() -> None:
    """A prompt without a status, then the transaction with "5.00" and "None", then the money."""
    sim = Simulator()
    status, body = await call(sim, "POST", "/collect/", collect(amount="5", external_user="u-7"))
    assert (status, body["ussd_code"], body["operator"]) == (200, "*126#", "mtn")
    assert "status" not in body
    path = f"/transaction/{body['reference']}/"
    _, pending = await call(sim, "GET", path)
    assert pending["status"] == "PENDING"
    sim.settle("order-1", Status.SUCCEEDED)
    _, paid = await call(sim, "GET", path.rstrip("/"))
    assert {
        name: paid[name]
        for name in ("status", "amount", "app_amount", "reason", "endpoint", "operator")
    } == {
        "status": "SUCCESSFUL",
        "amount": "5.00",
        "app_amount": "4.95",
        "reason": "None",
        "endpoint": "collect",
        "operator": "MTN",
    }
    assert (paid["external_reference"], paid["external_user"]) == ("order-1", "u-7")
    assert sim.ledger.charged("order-1") == 5
    assert await call(sim, "GET", "/transaction/nobody/") == (404, {"detail": "Not found."})


@pytest.mark.parametrize(
    ("number", "word", "reason"),
    [
        ("237677777777", "SUCCESSFUL", "None"),
        ("237677777770", "FAILED", "failed"),
        ("237699999999", "SUCCESSFUL", "None"),
        ("237699999990", "FAILED", "failed"),
        ("237677777771", "FAILED", "Insufficient balance of the payer"),
        ("237677777772", "FAILED", "Cancelled by the user"),
        ("237677777773", "FAILED", "timeout"),
        ("237677777774", "PENDING", "None"),
        ("237677777775", "FAILED", "Wrong PIN"),
        ("237677777776", "FAILED", "Another transaction is in progress"),
        ("237677777778", "FAILED", "Limit exceeded"),
        ("237670000000", "PENDING", "None"),
    ],
)
async def test_a_magic_number_decides_by_itself(number: str, word: str, reason: str) -> None:
    """The demo's numbers do what they do there, ours do the rest; other numbers wait."""
    sim = Simulator(payer_delay=0.0)
    reference = await collected(sim, number=number)
    await until(lambda: word == "PENDING" or next(iter(sim.ledger)).status.terminal)
    _, record = await call(sim, "GET", f"/transaction/{reference}/")
    assert (record["status"], record["reason"]) == (word, reason)
    assert sim.ledger.charged("order-1") == (500 if word == "SUCCESSFUL" else 0)


async def test_a_withdrawal_takes_from_its_own_carrier() -> None:
    """An open withdrawal counts at once, a failed one is returned; above the float it is ER301."""
    sim = Simulator()
    sim.campay.floats = {"MTN": Decimal(600), "ORANGE": Decimal(10_000)}
    status, body = await call(sim, "POST", "/withdraw/", PAYOUT)
    assert (status, body["status"]) == (200, "PENDING")
    status, refused = await call(sim, "POST", "/withdraw/", PAYOUT)
    assert (status, refused["error_code"]) == (400, "ER301")
    sim.settle("wage-1", Status.FAILED)
    _, balance = await call(sim, "GET", "/balance/")
    assert (balance["mtn_balance"], balance["total_balance"]) == (600, 10_600)
    await call(sim, "POST", "/withdraw/", PAYOUT)
    [second] = sim.settle("wage-1", Status.SUCCEEDED)
    _, record = await call(sim, "GET", f"/transaction/{second.provider_reference}/")
    assert (record["endpoint"], record["status"]) == ("withdraw", "SUCCESSFUL")
    assert sim.ledger.paid_out("wage-1") == 500
    assert sim.campay.floats["MTN"] == 100
    sim.campay.withdrawals = False
    assert (await call(sim, "POST", "/withdraw/", PAYOUT))[0] == 403


@pytest.mark.parametrize(
    ("repeated", "orders", "status"), [("charge", 2, 200), ("join", 1, 200), ("reject", 1, 400)]
)
async def test_a_repeated_reference_does_what_the_page_may_mean(
    repeated: str, orders: int, status: int
) -> None:
    """The page contradicts itself on repeated references; a test chooses the behaviour."""
    sim = Simulator()
    sim.campay.repeated = repeated
    _, first = await call(sim, "POST", "/collect/", collect())
    again, second = await call(sim, "POST", "/collect/", collect())
    assert (len(sim.ledger), again) == (orders, status)
    assert (second.get("reference") == first["reference"]) is (repeated == "join")


async def test_the_history_lists_a_period() -> None:
    """Rows have the fee, and money in and out on their own sides."""
    sim = Simulator()
    await collected(sim, amount=5)
    await call(sim, "POST", "/withdraw/", PAYOUT)
    sim.settle("order-1", Status.SUCCEEDED)
    _, found = await call(sim, "POST", "/history/", {"start_date": TODAY, "end_date": TODAY})
    come, gone = found["data"]
    assert (come["credit"], come["charge_amount"], come["debit"], come["status"]) == (
        4.95,
        0.05,
        0,
        "SUCCESSFUL",
    )
    assert (gone["credit"], gone["debit"], gone["status"]) == (0, 500, "PENDING")
    _, none = await call(
        sim, "POST", "/history/", {"start_date": "2020-01-01", "end_date": "2020-02-01"}
    )
    assert none == {"data": []}
    assert (await call(sim, "POST", "/history/", {"start_date": "yesterday"}))[0] == 400


@pytest.mark.parametrize(
    ("decision", "back", "word"),
    [("approve", "ok", "successful"), ("decline", "no", "failed"), ("cancel", "no", "failed")],
)
async def test_a_payment_link_is_a_page_to_open(decision: str, back: str, word: str) -> None:
    """A link is unknown until it is opened; then the payer decides and is redirected."""
    sim = Simulator()
    pages = {
        "redirect_url": "https://shop.example/ok",
        "failure_redirect_url": "https://shop.example/no",
    }
    _, made = await call(sim, "POST", "/get_payment_link/", {**collect(), **pages})
    path = made["link"].removeprefix(sim.url)
    assert (await call(sim, "GET", f"/transaction/{made['reference']}/"))[0] == 404
    assert "500\u00a0XAF" in (await ask(sim, "GET", path)).body.decode()
    assert (await call(sim, "GET", f"/transaction/{made['reference']}/"))[1]["status"] == "PENDING"
    gone = await ask(sim, "POST", path, {"decision": decision}, form=True)
    assert gone.status == 302
    assert gone.headers["location"].startswith(
        f"https://shop.example/{back}?external_reference=order-1&"
    )
    assert gone.headers["location"].endswith(f"status={word}")
    assert sim.ledger.charged("order-1") == (500 if decision == "approve" else 0)
    assert (await ask(sim, "GET", "/campay/pay/nobody/")).status == 404


async def test_the_summarys_dialect_has_its_own_paths_and_words() -> None:
    """The short French summary is a complete dialect; otherwise its paths are unknown."""
    sim = Simulator()
    assert (await call(sim, "POST", "/disburse/", PAYOUT))[0] == 404
    assert (await call(sim, "POST", "/transaction/", {"reference": "x"}))[0] == 404
    sim.campay.dialect = "summary"
    assert set(told(await ask(sim, "POST", "/campay/api/token/", GOOD))) == {"token"}
    _, made = await call(sim, "POST", "/collect/", collect("+237670000000"))
    assert made == {"reference": made["reference"], "status": "PENDING"}
    _, paid = await call(sim, "POST", "/disburse/", {**PAYOUT, "to": "+237690000000"})
    assert paid["status"] == "PENDING"
    assert (await call(sim, "GET", "/balance/"))[1] == {
        "available_balance": "1999500",
        "currency": "XAF",
    }
    sim.settle("order-1", Status.CANCELLED)
    sim.settle("wage-1", Status.SUCCEEDED)
    for reference, word in ((made["reference"], "CANCELLED"), (paid["reference"], "SUCCESS")):
        found = await call(sim, "POST", "/transaction/", {"reference": reference})
        assert found == (
            200,
            {"reference": reference, "status": word, "amount": "500", "currency": "XAF"},
        )
    assert (await call(sim, "POST", "/withdraw/", PAYOUT))[0] == 404


async def test_the_providers_word_may_differ_from_the_truth() -> None:
    """A test may set another status word, for an order that is pending or paid."""
    sim = Simulator()
    reference = await collected(sim)
    sim.settle(reference, Status.PENDING, code="PROCESSING")
    assert (await call(sim, "GET", f"/transaction/{reference}/"))[1]["status"] == "PROCESSING"
    sim.settle(reference, Status.SUCCEEDED, reason=Reason.OTHER, code="FAILED")
    assert (await call(sim, "GET", f"/transaction/{reference}/"))[1]["status"] == "FAILED"
    assert sim.ledger.charged("order-1") == 500


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED])
async def test_the_callback_is_signed_over_times_only(method: str, status: Status) -> None:
    """The callback uses the app's method and the page's fields; its token proves none of them."""
    sim = Simulator()
    got: list[Any] = []
    sim.on_webhook(got.append)
    sim.campay.webhook_url, sim.campay.webhook_method = "https://shop.example/pay", method
    await collected(sim)
    sim.settle("order-1", status)
    await until(lambda: got)
    [incoming] = got
    assert incoming.method == method
    words = (
        dict(item.split("=") for item in incoming.query.split("&"))
        if incoming.query
        else told(incoming)
    )
    assert words["status"] == ("SUCCESSFUL" if status is Status.SUCCEEDED else "FAILED")
    assert (words["amount"], words["external_reference"], words["extra_email"]) == (
        "500",
        "order-1",
        "None",
    )
    assert len(words) == 19
    signed, _, given = words["signature"].rpartition(".")
    good = hmac.new(b"simulator", signed.encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(given + "=") == good
    assert part(signed, 0) == {"typ": "JWT", "alg": "HS256", "app": "Test"}
    assert set(part(signed, 1)) == {"iat", "nbf", "exp", "source"}


@pytest.mark.proves("campay: reference, status, amount")
async def test_the_summarys_callback_is_the_documents() -> None:
    """Five fields, unsigned, with the customer's number after a plus."""
    sim = Simulator()
    got: list[Any] = []
    sim.on_webhook(got.append)
    sim.campay.dialect, sim.campay.webhook_url = "summary", "https://shop.example/pay"
    reference = await collected(sim, number="+237670000000")
    sim.settle("order-1", Status.SUCCEEDED)
    await until(lambda: got)
    known = {"reference": reference, "status": "SUCCESS", "amount": "500", "currency": "XAF"}
    assert told(got[0]) == {**known, "customer": "+237670000000"}
