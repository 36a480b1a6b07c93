"""The simulated Merchant API: what its pages show, asked as a program of their own would ask."""

import asyncio
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from paymux.http import Response
from paymux.models import Status
from paymux.simulator import Simulator
from tests.driving import sample

from .asking import ask, told

NAME = "intram_merchant"
MOUNT = f"/{NAME}/api/v1/merchant"
PAYOUT = sample(NAME, "payout_request")
PAGE = sample(NAME, "payment_request_request")


def stamp(seconds: float = 0.0) -> str:
    """Return a time as the page's programs write it."""
    at = datetime.fromtimestamp(time.time() + seconds, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.000Z"


def signed(method: str, path: str, raw: bytes = b"", *, at: float = 0.0) -> dict[str, str]:
    """Sign as the page's Node.js program does."""
    path, _, query = path.partition("?")
    when = stamp(at)
    lines = "\n".join((when, method, f"/api/v1/merchant{path}", query, "")).encode()
    seal = hmac.new(b"simulator", lines + raw, hashlib.sha256).hexdigest()
    return {"x-api-key": "simulator", "x-timestamp": when, "x-signature": f"sha256={seal}"}


async def post(
    sim: Simulator, path: str, body: Any, key: str | None = "key-of-8-chars", mount: str = MOUNT
) -> Response:
    """Send a signed request with a key."""
    raw = json.dumps(body).encode() if not isinstance(body, bytes) else body
    headers = signed("POST", path, raw) | ({} if key is None else {"idempotency-key": key})
    return await ask(sim, "POST", f"{mount}{path}", raw, headers=headers)


async def get(sim: Simulator, path: str, method: str = "GET") -> Response:
    """Send a signed look-up."""
    return await ask(sim, method, f"{MOUNT}{path}", headers=signed(method, path))


async def look(sim: Simulator, path: str) -> Any:
    """Return the data of a look-up."""
    reply = await get(sim, path)
    assert reply.status == 200
    return told(reply)["data"]


def same_fields(theirs: Any, page: Any) -> None:
    """Check that an answer has each field of the page's sample."""
    assert theirs.keys() >= page.keys(), page.keys() - theirs.keys()


@pytest.fixture
async def sim() -> Any:
    """Give a simulator whose worker takes no time."""
    async with Simulator() as one:
        one.intram_merchant.work_delay = 0.0
        yield one


async def test_a_payout_is_that_of_the_page(sim: Simulator) -> None:
    """Accepted, processing, then completed, with the fields of each sample."""
    accepted = await post(sim, "/payouts", PAYOUT)
    assert accepted.status == 202
    same_fields(told(accepted)["data"], sample(NAME, "payout.202")["data"])
    assert told(accepted)["data"]["payload"] == PAYOUT
    operation = f"/operations/{told(accepted)['data']['operation_id']}"
    assert (await look(sim, operation))["status"] == "processing"
    sim.settle("PO-2026-0001", Status.SUCCEEDED)
    done = await look(sim, operation)
    same_fields(done, sample(NAME, "operation_payout.200")["data"])
    same_fields(done["result"], sample(NAME, "operation_settlement.200")["data"]["result"])
    assert (done["status"], done["result"]["status"]) == ("succeeded", "completed")
    assert sim.ledger.paid_out() == 25000


async def test_a_payment_request_is_that_of_the_page(sim: Simulator) -> None:
    """Its result has the page's address; the transaction says whether it was paid."""
    accepted = told(await post(sim, "/payment-requests", PAGE))["data"]
    same_fields(accepted, sample(NAME, "payment_request.202")["data"])
    done = await look(sim, f"/operations/{accepted['operation_id']}")
    page = sample(NAME, "operation_payment_request.200")["data"]
    same_fields(done["result"], page["result"])
    transaction = f"/transactions/{done['result']['transaction_reference']}"
    assert (await look(sim, transaction))["status"] == "PENDING"
    path = done["result"]["gateway_url"].removeprefix(sim.url)
    left = await ask(sim, "POST", path, {"decision": "approve"}, form=True)
    assert left.headers["location"] == "https://shop.example.com/ok"
    paid = await look(sim, transaction)
    same_fields(paid, sample(NAME, "transaction.200")["data"])
    assert (paid["status"], paid["fees"], paid["net_amount"]) == ("SUCCESS", 240, 11760)
    back = {**sample(NAME, "refund_request"), "transaction_reference": paid["reference"]}
    refund = told(await post(sim, "/refunds", back, "refund-key"))["data"]
    await look(sim, "/balance")
    sim.settle(refund["operation_id"], Status.SUCCEEDED)
    done = await look(sim, f"/operations/{refund['operation_id']}")
    same_fields(done["result"], sample(NAME, "operation_refund.200")["data"]["result"])
    marked = await look(sim, transaction)
    assert (marked["status"], len(marked["refunds"])) == ("REFUNDED", 1)
    same_fields(marked["refunds"][0], sample(NAME, "transaction.200")["data"]["refunds"][0])


async def test_a_key_is_known_for_a_day(sim: Simulator) -> None:
    """The same bytes get the first answer, other bytes a 409; after 24 hours it is a new order."""
    store = sim.intram_merchant.store
    first = await post(sim, "/payouts", PAYOUT)
    assert "idempotent-replay" not in {name.lower() for name in first.headers}
    again = await post(sim, "/payouts", PAYOUT)
    assert (again.status, again.body) == (202, first.body)
    assert again.headers["Idempotent-Replay"] == "true"
    other = await post(sim, "/payouts", {**PAYOUT, "amount": 1})
    assert told(other) == {
        **sample(NAME, "idempotency_conflict.409"),
        "http_status": 409,
    }
    store.ahead = 86_399.0
    assert (await post(sim, "/payouts", PAYOUT)).body == first.body
    store.ahead = 86_401.0
    assert (await post(sim, "/payouts", PAYOUT)).body != first.body
    assert len(sim.ledger) == 2


@pytest.mark.parametrize(
    ("key", "case"),
    [
        (None, "missing_idempotency_key.400"),
        ("short", "invalid_idempotency_key.400"),
        ("x" * 129, "invalid_idempotency_key.400"),
        ("a.b.c.d.e", "invalid_idempotency_key.400"),
    ],
)
async def test_a_key_is_checked(sim: Simulator, key: str | None, case: str) -> None:
    """A mutating request without a good key is refused in the page's words."""
    reply = await post(sim, "/payouts", PAYOUT, key)
    assert reply.status == 400
    assert told(reply) == {**sample(NAME, case), "http_status": 400}
    assert len(sim.ledger) == 0


async def test_a_refusal_is_remembered_too(sim: Simulator) -> None:
    """The answer of the first request is that of its repeats, whatever it was."""
    wrong = {**PAYOUT, "amount": 0}
    first = await post(sim, "/payouts", wrong)
    assert told(first) == sample(NAME, "validation_error.400")
    assert (await post(sim, "/payouts", wrong)).headers["Idempotent-Replay"] == "true"


@pytest.mark.parametrize(("away", "made"), [("refuses", 0), ("processes", 1)])
async def test_the_store_may_be_away(sim: Simulator, away: Any, made: int) -> None:
    """500 `idempotency_error`; whether the request is processed is a setting."""
    sim.intram_merchant.store.away = away
    for number in range(1, 3):
        reply = await post(sim, "/payouts", PAYOUT)
        assert (reply.status, told(reply)["code"]) == (500, "idempotency_error")
        assert len(sim.ledger) == made * number


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"x-api-key": None}, 401, "missing_api_key"),
        ({"x-api-key": "other"}, 401, "invalid_api_key"),
        ({"x-signature": None}, 401, "missing_signature"),
        ({"x-timestamp": None}, 401, "missing_timestamp"),
        ({"x-timestamp": "yesterday"}, 401, "invalid_timestamp_format"),
        ({"x-timestamp": -301}, 401, "timestamp_out_of_window"),
        ({"x-timestamp": 200}, 401, "signature_mismatch"),
        ({"x-signature": "sha256=00"}, 401, "signature_mismatch"),
    ],
)
async def test_a_request_that_is_not_signed_is_refused(
    sim: Simulator, changes: dict[str, str | int | None], status: int, code: str
) -> None:
    """Each reason of the page; a signature covers time, method, path, query and body."""
    headers = {**signed("GET", "/balance"), **changes}
    # A number is of seconds from now, not from when the tests were collected.
    told_at = {name: stamp(one) if isinstance(one, int) else one for name, one in headers.items()}
    given = {name: value for name, value in told_at.items() if value is not None}
    reply = await ask(sim, "GET", f"{MOUNT}/balance", headers=given)
    assert reply.status == status
    said = told(reply)
    assert code in (said["code"], said["message"].removeprefix("Signature verification failed: "))


async def test_the_documented_path_is_signed_as_the_internal_one(sim: Simulator) -> None:
    """`/v1/payouts` is rewritten before its signature is checked."""
    reply = await post(sim, "/payouts", PAYOUT, mount=f"/{NAME}/v1")
    assert reply.status == 202


async def test_live_keys_need_an_address(sim: Simulator) -> None:
    """A live key from an unlisted address, and an inactive merchant, are refused."""
    sim.intram_merchant.env = "live"
    sim.intram_merchant.ip_allowed = False
    reply = await get(sim, "/balance")
    assert reply.status == 403
    assert told(reply) == {**sample(NAME, "ip_not_allowed.403"), "http_status": 403}
    sim.intram_merchant.active = False
    assert told(await get(sim, "/balance"))["code"] == "merchant_inactive"


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/payouts", b"{", "invalid_body"),
        ("/payouts", {**PAYOUT, "amount": True}, "validation_error"),
        ("/payouts", {**PAYOUT, "amount": 1.5}, "validation_error"),
        ("/payouts", {**PAYOUT, "destination": {"type": "cash"}}, "validation_error"),
        ("/payouts", {**PAYOUT, "destination": {"type": "mobile_money"}}, "validation_error"),
        ("/payment-requests", {}, "missing_invoice"),
        ("/payment-requests", {"invoice": {"amount": 1}}, "validation_error"),
        (
            "/payment-requests",
            {"invoice": {"amount": 1, "currency": "EUR", "customer": {}}},
            "unknown_currency",
        ),
        (
            "/payment-requests",
            {"invoice": {"amount": 10**8, "currency": "XOF", "customer": {}}},
            "amount_too_large",
        ),
        ("/webhooks", {"url": "http://x.example", "event": "*"}, "validation_error"),
        ("/webhooks", {"url": "https://x.example"}, "validation_error"),
    ],
)
async def test_a_body_that_is_wrong_is_refused(
    sim: Simulator, path: str, body: Any, code: str
) -> None:
    """Each with 400 and its code; nothing is in the ledger."""
    reply = await post(sim, path, body)
    assert (reply.status, told(reply)["code"]) == (400, code)
    assert len(sim.ledger) == 0


async def test_a_small_amount_is_refused(sim: Simulator) -> None:
    """Below the currency's minimum, which no page states."""
    sim.intram_merchant.lowest = 200
    body = {"invoice": {"amount": 100, "currency": "XOF", "customer": {}}}
    assert told(await post(sim, "/payment-requests", body))["code"] == "amount_too_small"


async def test_what_is_unknown_is_404(sim: Simulator) -> None:
    """An operation, a transaction, a refund of one, and a path that does not exist."""
    unknown = {"transaction_reference": "0000000000"}
    assert told(await get(sim, "/operations/op_0"))["code"] == "operation_not_found"
    assert told(await get(sim, "/transactions/0"))["code"] == "transaction_not_found"
    refused = await post(sim, "/refunds", unknown)
    assert told(refused) == sample(NAME, "transaction_not_found.404")
    for reply in (await get(sim, "/x"), await post(sim, "/x", {}, "another-key")):
        assert reply.status == 404
    assert (await ask(sim, "GET", f"/{NAME}/gateway/x")).status == 404
    assert (await post(sim, "/webhooks/whs_0/test", {}, "third-key")).status == 404
    assert (await get(sim, "/webhooks/whs_0", "DELETE")).status == 404


async def test_a_list_is_paged_by_its_cursor(sim: Simulator) -> None:
    """Newest first, strictly before the cursor, filtered, and null at its end."""
    for number in range(5):
        await post(sim, "/payouts", {**PAYOUT, "reference": f"wage-{number}"}, f"key-{number}-000")
        await asyncio.sleep(0.002)
    seen, before = list[str](), ""
    while True:
        path = f"/operations?{before}limit=2&type=payout"
        page = told(await get(sim, path))
        seen += [one["payload"]["reference"] for one in page["data"]]
        cursor = page["paging"]["next_before"]
        if cursor is None:
            break
        before = f"before={cursor}&"
    assert seen == [f"wage-{number}" for number in (4, 3, 2, 1, 0)]
    assert await look(sim, "/operations?type=refund") == []
    assert len(await look(sim, "/transactions?type=DEBIT")) == 5
    assert told(await get(sim, "/operations?limit=101"))["code"] == "validation_error"


async def test_a_subscription_is_told_of_its_events_alone(sim: Simulator) -> None:
    """Its secret is shown once; a test message is sent on demand; a deleted one hears nothing."""
    heard: list[Any] = []
    sim.on_webhook(heard.append)
    body = sample(NAME, "webhook_subscription_request")
    made = told(await post(sim, "/webhooks", body))["data"]
    same_fields(made, sample(NAME, "webhook_subscription.201")["data"])
    assert "secret" not in (await look(sim, "/webhooks"))[0]
    assert (
        await post(sim, f"/webhooks/{made['subscription_id']}/test", {}, "t-key-00")
    ).status == (202)
    await post(sim, "/payment-requests", PAGE, "page-key")
    await post(sim, "/payouts", PAYOUT, "payout-key")
    await look(sim, "/balance")
    sim.settle("PO-2026-0001", Status.SUCCEEDED)
    await asyncio.sleep(0.05)
    assert [one.headers["x-intram-event"] for one in heard] == ["test.ping", "payout.completed"]
    told_ = heard[-1]
    same_fields(json.loads(told_.body), sample(NAME, "webhook_payout_completed"))
    seal = hmac.new(
        made["secret"].encode(),
        told_.headers["x-intram-timestamp"].encode() + b"." + told_.body,
        hashlib.sha256,
    ).hexdigest()
    assert told_.headers["x-intram-signature"] == f"sha256={seal}"
    assert (await get(sim, f"/webhooks/{made['subscription_id']}", "DELETE")).status == 200
    await post(sim, "/payouts", {**PAYOUT, "reference": "PO-2"}, "other-key")
    await look(sim, "/balance")
    sim.settle("PO-2", Status.SUCCEEDED)
    await asyncio.sleep(0.05)
    assert len(heard) == 2


@pytest.mark.parametrize(
    ("sets", "code"),
    [
        ({"provider_error": "paid"}, "provider_error"),
        ({"wallet": {"MTN_BENIN_229": Decimal(1)}}, "insufficient_balance"),
        ({"wallet": {}}, "provider_unavailable"),
    ],
)
async def test_an_operation_may_fail(sim: Simulator, sets: dict[str, Any], code: str) -> None:
    """Each with its code; after a provider's error the ledger alone knows that it was paid."""
    for name, value in sets.items():
        setattr(sim.intram_merchant, name, value)
    operation = told(await post(sim, "/payouts", PAYOUT))["data"]["operation_id"]
    await look(sim, "/balance")
    if code == "provider_error":
        sim.settle("PO-2026-0001", Status.SUCCEEDED)
    done = await look(sim, f"/operations/{operation}")
    assert (done["status"], done["error"]["code"], done["result"]) == ("failed", code, None)
    assert sim.ledger.paid_out() == (25000 if code == "provider_error" else 0)


async def test_a_payout_without_a_network_fails_later(sim: Simulator) -> None:
    """The network is optional in the request, and needed by the worker."""
    to = {"type": "mobile_money", "msisdn": "22961234567"}
    operation = told(await post(sim, "/payouts", {**PAYOUT, "destination": to}))["data"]
    done = await look(sim, f"/operations/{operation['operation_id']}")
    assert done["error"]["code"] == "missing_provider_code"


@pytest.mark.parametrize(("breaks", "made"), [("before", 0), ("after", 1)])
async def test_an_internal_error_comes_before_or_after(
    sim: Simulator, breaks: Any, made: int
) -> None:
    """500 `internal_error`, processed or not; a repeat with the key makes no second order."""
    sim.intram_merchant.breaks = breaks
    for _ in range(2):
        reply = await post(sim, "/payouts", PAYOUT)
        assert (reply.status, told(reply)["code"]) == (500, "internal_error")
    assert len(sim.ledger) == made


async def test_a_sandbox_number_pays_by_itself(sim: Simulator) -> None:
    """0162000000 of MTN and 0194000000 of Moov are the sandbox's own."""
    for number in ("2290162000000", "2290194000000"):
        to = {**PAYOUT["destination"], "msisdn": number}
        await post(sim, "/payouts", {**PAYOUT, "destination": to}, f"key-{number}")
    await look(sim, "/balance")
    await asyncio.sleep(0.05)
    assert all(one.status in (Status.PENDING, Status.SUCCEEDED) for one in sim.ledger)
