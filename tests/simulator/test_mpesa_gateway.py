import asyncio
import json
import re
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from paymux.http import Response, WebhookRequest
from paymux.models import Reason, Status
from paymux.simulator import Fault, Outcome, Simulator
from tests.toys import timeless

from .asking import ask, told, until

BASE = "/mpesa_gateway/api/payment"
BEARER = {"authorization": "Bearer simulator"}
ORDER = {"phone_number": "254712345678", "order_id": 123, "amount": 1000.00}
TEST = {"phone_number": "254712345678", "amount": 1000.00}
REFUND = {"amount": 1000.00, "reason": "Customer request"}
METHOD = {"type": "mpesa", "details": {"phone_number": "254712345678"}, "is_default": True}
INITIATIONS = (("/mpesa/", ORDER), ("/test/mpesa/", TEST))
NOT_FOUND = {"error": "Transaction not found", "code": "NOT_FOUND", "details": {}}


async def call(sim: Simulator, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Call the gateway with a valid token, and return the status and the JSON."""
    reply = await ask(sim, method, f"{BASE}{path}", body, headers=BEARER)
    return reply.status, told(reply)


async def initiated(sim: Simulator, **fields: Any) -> Any:
    """Initiate a payment of order 123, and return the gateway's answer."""
    status, answer = await call(sim, "POST", "/mpesa/", {**ORDER, **fields})
    assert status == 200
    return answer


async def verified(sim: Simulator, made: Any, order: Any = 123) -> tuple[int, Any]:
    """Return the status of a payment."""
    body = {"transaction_id": made["transaction_id"], "order_id": order}
    return await call(sim, "POST", "/verify/", body)


def stk(made: Any, code: Any = 0) -> dict[str, Any]:
    """Return the document's callback."""
    callback = {
        "MerchantRequestID": "123",
        "CheckoutRequestID": made["checkout_request_id"],
        "ResultCode": code,
        "ResultDesc": "The service request is processed successfully.",
    }
    return {"Body": {"stkCallback": callback}}


async def test_a_payment_is_initiated_then_verified() -> None:
    """The document's two steps: its names and ids, and the money when the payer pays."""
    sim = Simulator()
    made = await initiated(sim)
    assert set(made) == {"message", "transaction_id", "checkout_request_id"}
    assert (made["message"], made["transaction_id"][:3]) == ("Payment initiated", "TXN")
    assert made["checkout_request_id"].startswith("ws_CO_")
    assert await verified(sim, made) == (200, {"status": "pending", "message": "Payment pending"})
    assert sim.ledger.charged("123") == 0
    sim.settle("123", Status.SUCCEEDED)
    assert await verified(sim, made) == (
        200,
        {"status": "completed", "message": "Payment successful"},
    )
    assert sim.ledger.charged("123") == 1000
    again = await initiated(sim)
    assert again["transaction_id"] != made["transaction_id"]
    assert len(sim.ledger) == 2


@pytest.mark.parametrize(
    ("status", "word", "code"),
    [
        (Status.FAILED, "failed", "PAYMENT_FAILED"),
        (Status.CANCELLED, "cancelled", "PAYMENT_FAILED"),
        (Status.EXPIRED, "timeout", "PAYMENT_EXPIRED"),
    ],
)
async def test_an_end_without_money_is_a_word_or_a_code(
    status: Status, word: str, code: str
) -> None:
    """The document has codes for a failure and an expiry, but no body; a test chooses."""
    sim = Simulator()
    made = await initiated(sim)
    sim.settle("123", status)
    answer = await verified(sim, made)
    assert (answer[0], answer[1]["status"]) == (200, word)
    sim.mpesa_gateway.failures = "error"
    http, refusal = await verified(sim, made)
    assert (http, set(refusal), refusal["code"]) == (400, {"error", "code", "details"}, code)


async def test_a_test_may_name_the_word() -> None:
    """The origin says "Payment completed" where the document says "completed"."""
    sim = Simulator()
    made = await initiated(sim)
    sim.settle("123", Status.SUCCEEDED, code="Payment completed")
    assert (await verified(sim, made))[1]["status"] == "Payment completed"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"phone_number": "0712345678"}, "INVALID_PHONE"),
        ({"phone_number": "+254712345678"}, "INVALID_PHONE"),
        ({"phone_number": "25471234567"}, "INVALID_PHONE"),
        ({"phone_number": "٢٥٤٧١٢٣٤٥٦٧٨"}, "INVALID_PHONE"),
        ({"phone_number": 254712345678}, "INVALID_PHONE"),
        ({"phone_number": None}, "INVALID_PHONE"),
        ({"amount": 9}, "AMOUNT_TOO_LOW"),
        ({"amount": -5}, "AMOUNT_TOO_LOW"),
        ({"amount": 150001}, "AMOUNT_TOO_HIGH"),
        ({"amount": 10.5}, "INVALID_AMOUNT"),
        ({"amount": "1000"}, "INVALID_AMOUNT"),
        ({"amount": True}, "INVALID_AMOUNT"),
        ({"amount": None}, "INVALID_AMOUNT"),
        ({"amount": float("inf")}, "INVALID_AMOUNT"),
        ({"currency": "XOF"}, "INVALID_CURRENCY"),
    ],
)
@pytest.mark.parametrize(("path", "body"), INITIATIONS)
async def test_what_the_document_validates_is_refused_with_its_codes(
    path: str, body: dict[str, Any], fields: dict[str, Any], code: str
) -> None:
    """The error object with its code and details; the payer is not asked."""
    sim = Simulator()
    status, refusal = await call(sim, "POST", path, {**body, **fields})
    assert (status, set(refusal), refusal["code"]) == (400, {"error", "code", "details"}, code)
    assert len(sim.ledger) == 0


@pytest.mark.parametrize("order", [None, "123", 12.5, True])
async def test_an_order_is_an_integer(order: Any) -> None:
    """As in the document's request; verify requires it, too."""
    sim = Simulator()
    made = await initiated(sim)
    for answer in (
        await call(sim, "POST", "/mpesa/", {**ORDER, "order_id": order}),
        await verified(sim, made, order),
    ):
        assert (answer[0], answer[1]["code"], list(answer[1]["details"])) == (
            400,
            "INVALID_REQUEST",
            ["order_id"],
        )


@pytest.mark.parametrize("code", ["PAYMENT_FAILED", "PAYMENT_EXPIRED", "DOWN_FOR_TODAY"])
async def test_an_initiation_may_be_refused_with_a_code(code: str) -> None:
    """A test may set the document's other codes, or an unknown one."""
    sim = Simulator()
    sim.mpesa_gateway.refuses = code
    status, refusal = await call(sim, "POST", "/mpesa/", ORDER)
    assert (status, refusal["code"]) == (400, code)
    assert len(sim.ledger) == 0


async def test_a_paid_order_may_be_refused() -> None:
    """As the origin does; the document leaves idempotency to the client."""
    sim = Simulator()
    sim.mpesa_gateway.refuses_paid_orders = True
    await initiated(sim)
    await initiated(sim)
    sim.settle("123", Status.SUCCEEDED)
    status, refusal = await call(sim, "POST", "/mpesa/", ORDER)
    assert (status, refusal["details"]) == (400, {"order_id": ["Order is already paid"]})
    assert (await initiated(sim, order_id=124))["message"] == "Payment initiated"


@pytest.mark.parametrize(
    "body", [{}, {"transaction_id": "TXN1", "order_id": 123}, {"transaction_id": 7}]
)
async def test_an_unknown_transaction_is_not_found(body: Any) -> None:
    """HTTP 404 with the error object, for verify and for the paths of a transaction."""
    assert await call(Simulator(), "POST", "/verify/", body) == (404, NOT_FOUND)


async def test_a_transaction_of_another_order_is_not_found() -> None:
    """Both ids must be of the same payment."""
    sim = Simulator()
    assert await verified(sim, await initiated(sim), 124) == (404, NOT_FOUND)
    assert await call(sim, "GET", "/transactions/TXN1/receipt/") == (404, NOT_FOUND)
    assert await call(sim, "POST", "/transactions/TXN1/refund/", REFUND) == (404, NOT_FOUND)


@timeless
async def test_the_gateway_may_give_up_on_a_payment_that_succeeds() -> None:
    """The origin answers 408 after a while, whatever happens to the money."""
    sim = Simulator()
    sim.mpesa_gateway.gives_up_after = 120.0
    made = await initiated(sim)
    await asyncio.sleep(119)
    assert (await verified(sim, made))[0] == 200
    await asyncio.sleep(2)
    assert await verified(sim, made) == (408, {"error": "Payment timeout. Please try again."})
    sim.settle("123", Status.SUCCEEDED)
    assert (await verified(sim, made))[1]["status"] == "completed"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/mpesa/", ORDER),
        ("POST", "/verify/", {}),
        ("GET", "/history/", None),
        ("GET", "/transactions/TXN1/receipt/", None),
        ("POST", "/transactions/TXN1/refund/", REFUND),
        ("GET", "/methods/", None),
        ("POST", "/methods/", METHOD),
        ("POST", "/test/mpesa/", TEST),
    ],
)
async def test_every_endpoint_wants_a_token(method: str, path: str, body: Any) -> None:
    """No token, another scheme and a bad token are 401 with the framework's texts."""
    sim = Simulator()
    for header in (None, "simulator", "Token simulator", "Bearer", "Bearer "):
        headers: dict[str, str] = {} if header is None else {"authorization": header}
        reply = await ask(sim, method, f"{BASE}{path}", body, headers=headers)
        assert (reply.status, told(reply)["detail"]) == (
            401,
            "Authentication credentials were not provided.",
        )
        assert reply.headers["www-authenticate"] == 'Bearer realm="api"'
    reply = await ask(sim, method, f"{BASE}{path}", body, headers={"authorization": "Bearer wrong"})
    assert (reply.status, told(reply)["code"]) == (401, "token_not_valid")
    assert told(reply)["messages"][0]["message"] == "Token is invalid"
    assert len(sim.ledger) == 0


@timeless
async def test_an_issued_token_ends() -> None:
    """An expired or revoked JSON web token is `token_not_valid`."""
    sim = Simulator()
    sim.mpesa_gateway.permanent = False
    sim.mpesa_gateway.tokens.life = 60.0
    headers = {"authorization": f"Bearer {sim.mpesa_gateway.issue()}"}

    async def asked() -> Response:
        return await ask(sim, "GET", f"{BASE}/methods/", headers=headers)

    assert (await asked()).status == 200
    await asyncio.sleep(61)
    ended = await asked()
    assert (ended.status, told(ended)["messages"][0]["message"]) == (401, "Token is expired")
    headers["authorization"] = f"Bearer {sim.mpesa_gateway.issue()}"
    assert (await asked()).status == 200
    sim.mpesa_gateway.tokens.revoke()
    assert (await asked()).status == 401
    assert (await call(sim, "GET", "/methods/"))[0] == 401


async def test_faults_speak_as_the_gateway_does() -> None:
    """A planned stale token and a planned throttle have its bodies."""
    sim = Simulator()
    sim.fault("mpesa_gateway", kind=Fault.STALE_TOKEN)
    sim.fault("mpesa_gateway", kind=Fault.THROTTLE, retry_after=7)
    status, stale = await call(sim, "POST", "/mpesa/", ORDER)
    assert (status, stale["code"]) == (401, "token_not_valid")
    throttled = await ask(sim, "POST", f"{BASE}/mpesa/", ORDER, headers=BEARER)
    assert (throttled.status, throttled.headers["retry-after"]) == (429, "7")
    assert told(throttled)["code"] == "RATE_LIMITED"
    assert len(sim.ledger) == 0


@timeless
async def test_a_hundred_initiations_a_minute_and_no_more() -> None:
    """An exact window: the 101st request waits until the first is a minute old."""
    sim = Simulator()
    await initiated(sim)
    await asyncio.sleep(30)
    for number in range(99):
        path, body = INITIATIONS[number % 2]
        assert (await call(sim, "POST", path, body))[0] == 200
    for _ in range(3):
        reply = await ask(sim, "POST", f"{BASE}/mpesa/", ORDER, headers=BEARER)
        assert (reply.status, reply.headers["retry-after"]) == (429, "30")
    assert (await call(sim, "GET", "/methods/"))[0] == 200
    await asyncio.sleep(29.9)
    assert (await call(sim, "POST", "/mpesa/", ORDER))[0] == 429
    await asyncio.sleep(0.1)
    assert (await call(sim, "POST", "/mpesa/", ORDER))[0] == 200
    assert (await call(sim, "POST", "/mpesa/", ORDER))[0] == 429
    assert len(sim.ledger) == 101


@timeless
async def test_a_thousand_checks_a_minute_and_no_more() -> None:
    """Checks have a separate window, which a bad token does not use."""
    sim = Simulator()
    made = await initiated(sim)
    await ask(sim, "POST", f"{BASE}/verify/", {}, headers={"authorization": "Bearer wrong"})
    for _ in range(1000):
        assert (await verified(sim, made))[0] == 200
    status, refusal = await verified(sim, made)
    assert (status, refusal["code"]) == (429, "RATE_LIMITED")
    await initiated(sim)
    await asyncio.sleep(60)
    assert (await verified(sim, made))[0] == 200


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"'])
async def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    """As a parse error in the error object."""
    status, refusal = await call(Simulator(), "POST", "/mpesa/", body)
    assert (status, refusal["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/mpesa"),
        ("GET", "/mpesa/"),
        ("GET", "/settings/"),
        ("POST", "/history/"),
        ("DELETE", "/methods/"),
    ],
)
async def test_other_paths_are_html(method: str, path: str) -> None:
    """As in Django, where the last slash matters."""
    reply = await ask(Simulator(), method, f"{BASE}{path}", ORDER, headers=BEARER)
    assert (reply.status, reply.headers["content-type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("digit", "status", "reason"),
    [
        ("9", Status.SUCCEEDED, None),
        ("1", Status.FAILED, Reason.INSUFFICIENT_FUNDS),
        ("2", Status.CANCELLED, Reason.CANCELLED),
        ("3", Status.EXPIRED, Reason.EXPIRED),
        ("4", Status.PENDING, None),
    ],
)
async def test_a_magic_number_decides_by_itself(
    digit: str, status: Status, reason: Reason | None
) -> None:
    """The sandbox's own number pays, other numbers do as their last digit says."""
    sim = Simulator(payer_delay=0.0)
    await initiated(sim, phone_number=f"25470837414{digit}")
    await asyncio.sleep(0.02)
    [entry] = sim.ledger
    assert (entry.status, entry.reason) == (status, reason)


@pytest.mark.proves("mpesa_gateway: POST /api/payment/mpesa-callback/")
@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        (0, Status.SUCCEEDED, None),
        (1, Status.FAILED, Reason.INSUFFICIENT_FUNDS),
        (1032, Status.CANCELLED, Reason.CANCELLED),
        (1037, Status.EXPIRED, Reason.EXPIRED),
        (9999, Status.FAILED, None),
    ],
)
async def test_darajas_callback_decides(code: int, status: Status, reason: Reason | None) -> None:
    """The document's body, without metadata or token, is accepted; a second changes nothing."""
    sim = Simulator()
    made = await initiated(sim)
    for sent in (code, 1001):
        reply = await ask(sim, "POST", f"{BASE}/mpesa-callback/", stk(made, sent))
        assert (reply.status, told(reply)) == (200, {"ResultCode": 0, "ResultDesc": "Accepted"})
        [entry] = sim.ledger
        assert (entry.status, entry.reason) == (status, reason)
    await ask(sim, "POST", f"{BASE}/mpesa-callback/", stk(made))
    assert sim.ledger.charged("123") == 1000


@pytest.mark.parametrize("body", [{}, {"Body": []}, {"Body": {"stkCallback": {"ResultCode": "0"}}}])
async def test_an_odd_callback_is_refused(body: Any) -> None:
    """A body of another format is 400, an unknown push is 404."""
    sim = Simulator()
    assert (await ask(sim, "POST", f"{BASE}/mpesa-callback/", body)).status == 400
    for unknown in ("ws_CO_0", "", None):
        callback = stk({"checkout_request_id": unknown})
        assert (await ask(sim, "POST", f"{BASE}/mpesa-callback/", callback)).status == 404


async def test_callbacks_may_want_a_token() -> None:
    """Elsewhere the document says that "All API endpoints require authentication"."""
    sim = Simulator()
    sim.mpesa_gateway.callbacks_need_token = True
    made = await initiated(sim)
    for path, body in (
        ("/mpesa-callback/", stk(made)),
        ("/test/callback/", {"transaction_id": made["transaction_id"], "status": "completed"}),
    ):
        assert (await ask(sim, "POST", f"{BASE}{path}", body)).status == 401
        assert (await call(sim, "POST", path, body))[0] == 200


async def test_the_sandbox_tests_a_payment_and_its_callback() -> None:
    """A test payment has no order; its callback sets any status, and needs no token."""
    sim = Simulator()
    status, made = await call(sim, "POST", "/test/mpesa/", TEST)
    assert (status, set(made)) == (200, {"message", "transaction_id", "checkout_request_id"})
    verify = {"transaction_id": made["transaction_id"]}
    assert (await call(sim, "POST", "/verify/", verify))[1]["status"] == "pending"
    for word, http in (
        ("odd", 400),
        ("refunded", 400),
        ("pending", 200),
        ("failed", 200),
        ("completed", 200),
    ):
        body = {"transaction_id": made["transaction_id"], "status": word}
        reply = await ask(sim, "POST", f"{BASE}/test/callback/", body)
        assert reply.status == http
    assert (await call(sim, "POST", "/verify/", verify))[1]["status"] == "completed"
    assert (await call(sim, "GET", f"/transactions/{made['transaction_id']}/receipt/"))[1][
        "order_reference"
    ] == ""
    assert sim.ledger.charged(made["transaction_id"]) == 1000


@pytest.mark.parametrize("path", ["/test/mpesa/", "/test/callback/"])
async def test_there_is_no_testing_outside_the_sandbox(path: str) -> None:
    """In production the two endpoints do not exist."""
    sim = Simulator()
    sim.mpesa_gateway.sandbox = False
    reply = await ask(sim, "POST", f"{BASE}{path}", TEST, headers=BEARER)
    assert (reply.status, reply.headers["content-type"]) == (404, "text/html; charset=utf-8")


async def test_the_history_has_the_documents_pages() -> None:
    """The newest first, with a total and the page; refunds are not payments."""
    sim = Simulator(payer_delay=0.0)
    made = [await initiated(sim, order_id=number) for number in range(1, 13)]
    sim.settle("12", Status.SUCCEEDED)
    await call(sim, "POST", f"/transactions/{made[11]['transaction_id']}/refund/", REFUND)
    status, first = await call(sim, "GET", "/history/")
    assert (status, first["total"], first["page"], len(first["results"])) == (200, 12, 1, 10)
    row = first["results"][0]
    assert set(row) == {"id", "amount", "status", "payment_method", "created_at"}
    assert (row["id"], row["amount"], row["payment_method"]) == (
        made[11]["transaction_id"],
        1000.0,
        "mpesa",
    )
    assert datetime.fromisoformat(row["created_at"]).tzinfo is not None
    _, last = await call(sim, "GET", "/history/?page=2")
    assert [one["id"] for one in last["results"]] == [
        made[1]["transaction_id"],
        made[0]["transaction_id"],
    ]
    assert (await call(sim, "GET", "/history/?page=3"))[1] == {
        "results": [],
        "total": 12,
        "page": 3,
    }
    assert await call(sim, "GET", "/history/?page=x") == (404, {"detail": "Invalid page."})


async def test_the_history_may_be_paginated_as_the_origins() -> None:
    """A count, links to the neighbours, amounts as text, and 404 past the end."""
    sim = Simulator()
    sim.mpesa_gateway.history_shape, sim.mpesa_gateway.page_size = "paginated", 1
    status, empty = await call(sim, "GET", "/history/")
    assert (status, empty) == (200, {"count": 0, "next": None, "previous": None, "results": []})
    for number in (1, 2):
        await initiated(sim, order_id=number)
    _, first = await call(sim, "GET", "/history/")
    assert (first["count"], first["previous"], first["results"][0]["amount"]) == (
        2,
        None,
        "1000.00",
    )
    following = urlsplit(first["next"])
    reply = await ask(sim, "GET", f"{following.path}?{following.query}", headers=BEARER)
    assert (told(reply)["next"], told(reply)["previous"]) == (
        None,
        f"{sim.url}{BASE}/history/?page=1",
    )
    assert await call(sim, "GET", "/history/?page=3") == (404, {"detail": "Invalid page."})


async def test_a_receipt_is_the_documents() -> None:
    """The number is the transaction's, the amount a text, the status with a capital."""
    sim = Simulator()
    made = await initiated(sim, amount=1000)
    sim.settle("123", Status.SUCCEEDED)
    status, receipt = await call(sim, "GET", f"/transactions/{made['transaction_id']}/receipt/")
    assert re.fullmatch(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", receipt.pop("date")
    )
    assert (status, receipt) == (
        200,
        {
            "receipt_number": made["transaction_id"].replace("TXN", "RCP"),
            "amount": "KES 1,000.00",
            "payment_method": "M-Pesa",
            "status": "Completed",
            "customer_name": "John Doe",
            "order_reference": "Order #123",
        },
    )


async def test_a_refund_is_accepted_then_given_back() -> None:
    """First comes "processed", later the money; a full refund makes the payment refunded."""
    sim = Simulator(payer_delay=0.0)
    made = await initiated(sim)
    sim.settle("123", Status.SUCCEEDED)
    path = f"/transactions/{made['transaction_id']}/refund/"
    sim.mpesa_gateway.refund_outcome = Outcome(Status.PENDING)
    status, answer = await call(sim, "POST", path, {"amount": 400.0, "reason": "damaged"})
    assert (status, answer["message"], answer["refund_id"][:3]) == (
        200,
        "Refund processed successfully",
        "RFD",
    )
    assert sim.ledger.refunded("123") == 0
    sim.settle(answer["refund_id"], Status.SUCCEEDED)
    assert sim.ledger.refunded("123") == 400
    assert (await verified(sim, made))[1]["status"] == "completed"
    for amount, code in ((601, "AMOUNT_TOO_HIGH"), (0, "AMOUNT_TOO_LOW"), (0.5, "INVALID_AMOUNT")):
        assert (await call(sim, "POST", path, {**REFUND, "amount": amount}))[1]["code"] == code
    sim.mpesa_gateway.refund_outcome = Outcome(Status.SUCCEEDED)
    sim.mpesa_gateway.refund_ids = False
    assert (await call(sim, "POST", path, {"reason": "all of it"}))[1]["refund_id"] is None
    await until(lambda: sim.ledger.refunded("123") == 1000)
    assert (await verified(sim, made))[1]["status"] == "refunded"
    status, refusal = await call(sim, "POST", path, REFUND)
    assert (status, refusal["code"]) == (400, "PAYMENT_FAILED")
    assert await call(sim, "GET", f"/transactions/{answer['refund_id']}/receipt/") == (
        404,
        NOT_FOUND,
    )


async def test_a_refund_that_fails_frees_its_amount() -> None:
    """A failed refund can be requested again; only open and successful ones count."""
    sim = Simulator()
    made = await initiated(sim)
    path = f"/transactions/{made['transaction_id']}/refund/"
    assert (await call(sim, "POST", path, REFUND))[1]["code"] == "PAYMENT_FAILED"
    sim.settle("123", Status.SUCCEEDED)
    sim.mpesa_gateway.refund_outcome = Outcome(Status.PENDING)
    _, first = await call(sim, "POST", path, REFUND)
    assert (await call(sim, "POST", path, REFUND))[1]["code"] == "AMOUNT_TOO_HIGH"
    sim.settle(first["refund_id"], Status.FAILED)
    assert (await call(sim, "POST", path, REFUND))[0] == 200
    assert sim.ledger.refunded("123") == 0


async def test_methods_are_listed_and_added() -> None:
    """The document's list, then a number as a default method; only one is the default."""
    sim = Simulator()
    listed = {"type": "mpesa", "display_name": "M-Pesa", "enabled": True, "currency": "KES"}
    assert await call(sim, "GET", "/methods/") == (200, {"methods": [listed]})
    status, added = await call(sim, "POST", "/methods/", METHOD)
    assert (status, added) == (201, {**listed, "details": METHOD["details"], "is_default": True})
    await call(sim, "POST", "/methods/", {**METHOD, "currency": "KES"})
    _, known = await call(sim, "GET", "/methods/")
    assert [one.get("is_default") for one in known["methods"]] == [None, False, True]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"type": "card"}, "INVALID_REQUEST"),
        ({"details": {"phone_number": "0712345678"}}, "INVALID_PHONE"),
        ({"details": "254712345678"}, "INVALID_PHONE"),
        ({"currency": "UGX"}, "INVALID_CURRENCY"),
    ],
)
async def test_a_bad_method_is_refused(fields: dict[str, Any], code: str) -> None:
    """With the document's codes, and the list stays as it is."""
    sim = Simulator()
    status, refusal = await call(sim, "POST", "/methods/", {**METHOD, **fields})
    assert (status, refusal["code"]) == (400, code)
    assert len(sim.mpesa_gateway.methods) == 1


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        (Status.SUCCEEDED, None, 0),
        (Status.FAILED, Reason.INSUFFICIENT_FUNDS, 1),
        (Status.FAILED, Reason.DECLINED, 1),
        (Status.FAILED, Reason.WRONG_PIN, 2001),
        (Status.CANCELLED, Reason.CANCELLED, 1032),
        (Status.EXPIRED, Reason.EXPIRED, 1037),
    ],
)
@pytest.mark.parametrize("metadata", [False, True])
async def test_the_callback_is_passed_on(
    metadata: bool, status: Status, reason: Reason | None, code: int
) -> None:
    """Daraja's body, as in the document: without metadata a success is a success, too."""
    sim = Simulator()
    got: list[WebhookRequest] = []
    sim.on_webhook(got.append)
    sim.mpesa_gateway.webhook_url = "https://shop.example/pay"
    sim.mpesa_gateway.metadata = metadata
    made = await initiated(sim)
    sim.settle("123", status, reason=reason)
    await until(lambda: got)
    callback = json.loads(got[0].body)["Body"]["stkCallback"]
    assert (callback["CheckoutRequestID"], callback["ResultCode"]) == (
        made["checkout_request_id"],
        code,
    )
    assert ("CallbackMetadata" in callback) is (metadata and code == 0)
    assert len(got) == 1


async def test_a_forged_callback_claims_a_success() -> None:
    """A refund sends no callback: the document has none for it."""
    sim = Simulator(payer_delay=0.0)
    got: list[WebhookRequest] = []
    sim.on_webhook(got.append)
    sim.mpesa_gateway.webhook_url = "https://shop.example/pay"
    sim.fault("mpesa_gateway", "123", kind=Fault.WEBHOOK_FORGED)
    await initiated(sim)
    sim.settle("123", Status.CANCELLED)
    await until(lambda: len(got) == 2)
    assert [json.loads(one.body)["Body"]["stkCallback"]["ResultCode"] for one in got] == [0, 1032]
    made = await initiated(sim, order_id=124)
    sim.settle("124", Status.SUCCEEDED)
    await call(sim, "POST", f"/transactions/{made['transaction_id']}/refund/", REFUND)
    await until(lambda: sim.ledger.refunded() == 1000)
    await until(lambda: len(got) == 3)
    assert len(sim.deliveries) == 3


async def test_payment_updates_are_pushed() -> None:
    """Every socket with a valid token gets a PAYMENT_UPDATE for each change."""
    async with Simulator(payer_delay=0.0) as sim, aiohttp.ClientSession() as session:
        url = f"{sim.url}/mpesa_gateway/ws"
        async with (
            session.ws_connect(f"{url}/", headers=BEARER) as one,
            session.ws_connect(f"{url}?token=simulator") as two,
        ):
            made = await initiated(sim)
            sim.settle("123", Status.SUCCEEDED)
            for stream in (one, two):
                frame = json.loads(await stream.receive_str(timeout=5))
                assert (set(frame), frame["type"]) == (
                    {"type", "payload", "timestamp"},
                    "PAYMENT_UPDATE",
                )
                ids = {name: made[name] for name in ("transaction_id", "checkout_request_id")}
                assert frame["payload"] == {**ids, "order_id": 123, "status": "completed"}
                assert frame["timestamp"].endswith("Z")
            await call(sim, "POST", f"/transactions/{made['transaction_id']}/refund/", REFUND)
            frame = json.loads(await one.receive_str(timeout=5))
            assert frame["payload"]["status"] == "refunded"


async def test_a_frame_may_be_poorer() -> None:
    """The document defines only `data.status`; the origin's server sends flat frames."""
    async with Simulator() as sim, aiohttp.ClientSession() as session:
        sim.mpesa_gateway.frame_ids = ()
        async with session.ws_connect(f"{sim.url}/mpesa_gateway/ws/", headers=BEARER) as stream:
            await initiated(sim)
            sim.settle("123", Status.FAILED)
            assert json.loads(await stream.receive_str(timeout=5))["payload"] == {
                "status": "failed"
            }
            sim.mpesa_gateway.frame_shape = "flat"
            sim.settle("123", Status.SUCCEEDED)
            flat = json.loads(await stream.receive_str(timeout=5))
            assert flat == {"type": "payment_update", "status": "completed"}


async def test_a_socket_without_a_token_is_refused() -> None:
    """401 before the handshake, 404 elsewhere; the origin accepts every client."""
    async with Simulator() as sim, aiohttp.ClientSession() as session:
        for path, status in (("ws/", 401), ("ws/?token=wrong", 401), ("updates/", 404)):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"{sim.url}/mpesa_gateway/{path}")
            assert refused.value.status == status
        sim.mpesa_gateway.socket_needs_token = False
        sim.mpesa_gateway.socket_path = "/ws/marketplace/"
        async with session.ws_connect(f"{sim.url}/mpesa_gateway/ws/marketplace/") as stream:
            assert not stream.closed


async def test_the_limits_are_settings() -> None:
    """The document has limits without figures."""
    sim = Simulator()
    sim.mpesa_gateway.lowest, sim.mpesa_gateway.highest = Decimal(1), Decimal(5)
    assert (await initiated(sim, amount=5))["message"] == "Payment initiated"
    status, refusal = await call(sim, "POST", "/mpesa/", {**ORDER, "amount": 6})
    assert (status, refusal["code"], refusal["details"]) == (
        400,
        "AMOUNT_TOO_HIGH",
        {"maximum": 5.0},
    )
