"""The driver of the merchant's M-Pesa gateway.

It tests each clause of the document, and where a server is known to differ from it.
"""

import functools
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from paymux.drivers.base import Verb
from paymux.drivers.mpesa_gateway import MpesaGateway
from paymux.errors import (
    AuthenticationFailed,
    NotFound,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Rejected,
    Unsupported,
    UsageError,
)
from paymux.http import Response, WebhookRequest, get, post
from paymux.models import Event, Method, Order, Payment, Reason, Receipt, Status, Trust, compare
from paymux.primitives.redaction import Secret
from paymux.testing.contract import Case, Shape
from paymux.transport.outcome import Means, decide
from paymux.values.parsing import Unreadable
from tests.driving import Script, drive, reply, sample

TXN = "TXN20230815123456ABC"
SINCE, UNTIL = datetime(2023, 8, 1, tzinfo=UTC), datetime(2023, 9, 1, tzinfo=UTC)
CODES = ["INVALID_PHONE", "AMOUNT_TOO_LOW", "AMOUNT_TOO_HIGH", "INVALID_CURRENCY"]
OUTCOMES = ["PAYMENT_FAILED", "PAYMENT_EXPIRED"]

# Its case of the contract tests.
CASE = Case(
    order={"currency": "KES", "payer": "254712345678"},
    opens="POST /api/payment/mpesa/",
    looks="POST /api/payment/verify/",
    wire=b'"amount":1000.00',
    bearer=True,
    throttles=False,
    names_order=False,
    dashboard=True,
    tells_amount=False,
    verifies_alone=False,
    refund="POST /refund/",
    words=Shape(
        fields={"access_token": "simulator", "base_url": "https://gateway.example"},
        asked={"provider_reference": "TXN20230815123456ABC", "reference": "123"},
        amounts=(),
        answers=("verify.200", "verify_server.200"),
        messages=("callback",),
        places={"status": "status", "message": "message", "code": "code"},
        told={name: f"Body.stkCallback.{name}" for name in ("ResultCode", "ResultDesc")},
        said={
            "verify.200": Status.SUCCEEDED,
            "verify_server.200": Status.SUCCEEDED,
            "callback": Status.SUCCEEDED,
        },
    ),
)


def gateway(**fields: Any) -> MpesaGateway:
    """Return a merchant's sandbox account."""
    signed = {} if "bearer" in fields else {"access_token": "jwt-canary"}
    return MpesaGateway(**{"base_url": "https://shop.example", **signed, **fields})


def order(**fields: Any) -> Order:
    """Return the document's order."""
    given = {
        "account": "mpesa_gateway",
        "kind": "collect",
        "reference": "123",
        "amount": Decimal(1000),
        "currency": "KES",
        "party": "254712345678",
    }
    return Order(**{**given, **fields})


def paid(**fields: Any) -> Payment:
    """Return the document's payment after its initiation."""
    given = {
        "reference": "123",
        "provider_reference": TXN,
        "amount": Decimal(1000),
        "currency": "KES",
    }
    return Payment(**{"account": "mpesa_gateway", **given, **fields})


def answer(body: Any, status: int = 200) -> Response:
    """Return a reply with this JSON body."""
    return Response(status=status, body=json.dumps(body).encode())


def refusal(code: str, status: int = 400, **details: Any) -> Response:
    """Return the document's error object with this code."""
    return answer(
        {**sample("mpesa_gateway", "error.400"), "code": code, "details": details}, status
    )


def collected(*replies: Response, wanted: Order | None = None) -> Payment:
    """Return the payment after collecting the document's order."""
    driver = gateway()
    return drive(driver.collect(Script(driver, *replies), wanted or order()))


def verified(*replies: Response, asked: Payment | None = None) -> Payment:
    """Return what a look-up finds."""
    driver = gateway()
    return drive(driver.verify(Script(driver, *replies), asked or paid()))


def refunded(*replies: Response) -> Payment:
    """Return the refund of the document's payment."""
    driver, back = (
        gateway(),
        order(kind="refund", reference="refund-9", description="Customer request"),
    )
    return drive(driver.refund(Script(driver, *replies), back, paid()))


def listed(send: Script, since: datetime = SINCE, until: datetime = UNTIL) -> list[Payment]:
    """Return every payment of a period."""

    async def pages() -> list[Payment]:
        return [
            payment
            async for payment in send.driver.history(send, since, until)
            if payment is not None
        ]

    return drive(pages())


def row(number: int, **fields: Any) -> dict[str, Any]:
    """Return a row of history."""
    return {**sample("mpesa_gateway", "history.200")["results"][0], "id": f"TXN{number}", **fields}


def hook(body: Any) -> WebhookRequest:
    """Return a callback with this body."""
    return WebhookRequest(body=body if isinstance(body, bytes) else json.dumps(body).encode())


def claimed(event: Event | None) -> Payment:
    """Return an event's claims, after checking that it proves nothing."""
    assert event is not None
    assert (event.account, event.provider, event.trust) == (
        "mpesa_gateway",
        "mpesa_gateway",
        Trust.NOTHING,
    )
    return event.claims


@pytest.mark.proves(
    "mpesa_gateway: POST /api/payment/mpesa/",
    "mpesa_gateway: initiate phone_number",
    "mpesa_gateway: initiate message, transaction_id",
)
def test_collect_sends_the_documents_request_with_the_reference_as_an_integer() -> None:
    """Initiate Payment: the path with its slash, `order_id` a number, and the amount 1000.00."""
    driver = gateway()
    send = Script(driver, reply("mpesa_gateway", "initiate.200"))
    payment = drive(driver.collect(send, order()))
    (request,) = send.requests
    assert (request.method, request.target(), request.money) == (
        "POST",
        "/api/payment/mpesa/",
        True,
    )
    assert request.content() == b'{"phone_number":"254712345678","order_id":123,"amount":1000.00}'
    assert json.loads(request.content() or b"") == sample("mpesa_gateway", "initiate")
    assert not request.repeatable
    assert (payment.reference, payment.provider_reference) == ("123", TXN)
    assert payment.ids == {"checkout_request_id": "ws_CO_123456789"}
    assert (payment.status, payment.message) == (Status.PENDING, "Payment initiated")
    assert (payment.account, payment.provider, payment.kind, payment.live) == (
        *["mpesa_gateway"] * 2,
        None,
        False,
    )


@pytest.mark.proves('mpesa_gateway: "Payment initiated"')
def test_an_accepted_push_is_not_a_paid_one() -> None:
    """The answer "Payment initiated" is PENDING, not paid."""
    assert (
        collected(answer({"message": "Payment initiated", "transaction_id": TXN})).status
        is Status.PENDING
    )


def test_a_transaction_id_that_is_a_number_is_kept_as_text() -> None:
    """A transaction id may be an integer; it is kept as text."""
    assert collected(reply("mpesa_gateway", "initiate_numbered.200")).provider_reference == "17"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": "Payment initiated"},
        {"message": "Payment initiated", "transaction_id": None},
        {"message": "Payment initiated", "transaction_id": " "},
        {"error": "Payment processing failed"},
        {"transaction_id": TXN, "order_id": 124},
        {"transaction_id": TXN, "amount": "a lot"},
        {"transaction_id": [TXN]},
        [],
    ],
)
def test_an_answer_that_is_not_this_orders_leaves_a_collect_unknown(body: Any) -> None:
    """No transaction id, another order's id or an unreadable value: the outcome is unknown."""
    with pytest.raises(OutcomeUnknown):
        collected(answer(body))


@pytest.mark.parametrize(
    "case", ["initiate_failed.500", "initiate_failed.400", "initiate_paid.400", "field_map.400"]
)
def test_a_refusal_without_a_documented_code_leaves_a_collect_unknown(case: str) -> None:
    """A 5xx on initiate is unknown, since the server may fail after its push; so is a text."""
    with pytest.raises(OutcomeUnknown):
        collected(reply("mpesa_gateway", case))


@pytest.mark.parametrize("code", [*CODES, *OUTCOMES, "ERROR_CODE", "invalid_phone", ""])
@pytest.mark.parametrize("status", [200, 302, 408, 409, 423, 425, 500, 502, 503])
def test_a_code_beside_a_status_that_proves_nothing_is_unknown(code: str, status: int) -> None:
    """A 5xx, a 408 or a 409 on initiate is no refusal, with any code."""
    with pytest.raises(OutcomeUnknown):
        collected(refusal(code, status))


@pytest.mark.proves("mpesa_gateway: PAYMENT_FAILED", "mpesa_gateway: PAYMENT_EXPIRED")
@pytest.mark.parametrize("status", [400, 402, 404, 410, 422])
@pytest.mark.parametrize("code", [*OUTCOMES, "ERROR_CODE", ""])
def test_what_became_of_a_payment_does_not_refuse_one(code: str, status: int) -> None:
    """PAYMENT_FAILED and PAYMENT_EXPIRED on initiate prove nothing: the outcome is unknown."""
    with pytest.raises(OutcomeUnknown):
        collected(refusal(code, status))
    with pytest.raises(OutcomeUnknown):
        refunded(refusal(code, status))


@pytest.mark.proves(
    "mpesa_gateway: an error is {error, code",
    "mpesa_gateway: INVALID_PHONE",
    "mpesa_gateway: AMOUNT_TOO_LOW",
    "mpesa_gateway: AMOUNT_TOO_HIGH",
    "mpesa_gateway: INVALID_CURRENCY",
)
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("INVALID_PHONE", Reason.UNKNOWN_PAYER),
        ("AMOUNT_TOO_LOW", Reason.LIMIT),
        ("AMOUNT_TOO_HIGH", Reason.LIMIT),
        ("INVALID_CURRENCY", Reason.OTHER),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("verb", [collected, verified, refunded])
def test_a_documented_code_refuses_an_order(
    verb: Callable[[Response], Payment], status: int, code: str, reason: Reason
) -> None:
    """The four validation codes are Rejected at every endpoint, with their text and `details`."""
    with pytest.raises(Rejected) as caught:
        verb(refusal(code, status, minimum=10))
    error = caught.value
    assert (error.code, error.reason, error.http_status) == (code, reason, status)
    assert (error.message, error.details) == ("Error message", {"minimum": 10})


def test_the_six_codes_of_the_document_are_all_known() -> None:
    """On a look-up each documented code is Rejected with a reason."""
    driver, request = gateway(), get("/api/payment/history/", dict[str, Any])
    for code in (*CODES, *OUTCOMES):
        error = decide(driver, request, refusal(code)).error
        assert isinstance(error, Rejected)
        assert (error.code, error.reason is None) == (code, False)


@pytest.mark.proves(
    "mpesa_gateway: POST /api/payment/verify/",
    "mpesa_gateway: verify transaction_id",
    "mpesa_gateway: verify status, message",
)
def test_verify_asks_with_both_ids_and_understands_completed() -> None:
    """Verify Payment sends transaction id and order id; "completed" is SUCCEEDED."""
    driver = gateway()
    send = Script(driver, reply("mpesa_gateway", "verify.200"))
    payment = drive(driver.verify(send, paid()))
    (request,) = send.requests
    assert (request.method, request.target(), request.money) == (
        "POST",
        "/api/payment/verify/",
        False,
    )
    assert json.loads(request.content() or b"") == sample("mpesa_gateway", "verify")
    assert (payment.status, payment.provider_status, payment.message) == (
        Status.SUCCEEDED,
        "completed",
        "Payment successful",
    )
    assert payment.reason is None
    compare(payment, paid())


@pytest.mark.proves("mpesa_gateway: status completed")
@pytest.mark.parametrize(
    ("word", "status", "reason"),
    [
        ("completed", Status.SUCCEEDED, None),
        ("COMPLETED", Status.SUCCEEDED, None),
        ("Payment completed", Status.SUCCEEDED, None),
        ("pending", Status.PENDING, None),
        ("failed", Status.FAILED, Reason.OTHER),
        ("cancelled", Status.CANCELLED, Reason.CANCELLED),
        ("timeout", Status.EXPIRED, Reason.EXPIRED),
        ("refunded", Status.REFUNDED, None),
        ("success", Status.PENDING, None),
        ("complete", Status.PENDING, None),
        ("0", Status.PENDING, None),
        ("reversed", Status.PENDING, None),
    ],
)
def test_each_status_word_has_one_meaning(word: str, status: Status, reason: Reason | None) -> None:
    """Only known statuses end a payment; any other stays PENDING and is kept."""
    payment = verified(answer({"status": word}))
    assert (payment.status, payment.reason, payment.provider_status) == (status, reason, word)


def test_the_servers_own_success_is_one() -> None:
    """The server says `{"status": "Payment completed"}` and no message."""
    assert verified(reply("mpesa_gateway", "verify_server.200")).status is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("failed", Status.PENDING),
        ("cancelled", Status.CANCELLED),
        ("timeout", Status.EXPIRED),
        ("4999", Status.PENDING),
    ],
)
def test_failed_beside_payment_pending_is_still_processing(word: str, status: Status) -> None:
    """The server calls unknown M-Pesa results "failed", also 4999 "still processing": pending."""
    payment = verified(answer({"status": word, "message": "Payment pending"}))
    assert (payment.status, payment.provider_status) == (status, word)


@pytest.mark.proves("mpesa_gateway: PAYMENT_FAILED", "mpesa_gateway: PAYMENT_EXPIRED")
@pytest.mark.parametrize("status", [400, 402, 404, 410, 422])
@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        ("PAYMENT_FAILED", Status.FAILED, Reason.OTHER),
        ("PAYMENT_EXPIRED", Status.EXPIRED, Reason.EXPIRED),
    ],
)
def test_a_declined_payment_is_a_value(
    status: int, code: str, state: Status, reason: Reason
) -> None:
    """PAYMENT_FAILED and PAYMENT_EXPIRED on verify are statuses, not exceptions."""
    payment = verified(refusal(code, status))
    assert (payment.status, payment.reason, payment.provider_status) == (state, reason, code)
    assert payment.message == "Error message"


@pytest.mark.proves("mpesa_gateway: time-outs and network errors")
@pytest.mark.parametrize("code", [*OUTCOMES, *CODES, ""])
@pytest.mark.parametrize("status", [408, 409, 425, 500, 502])
def test_verify_408_and_5xx_are_unknown(status: int, code: str) -> None:
    """A verify that timed out proves nothing, with any body: the payment may be paid."""
    request = post("/api/payment/verify/", dict[str, Any], {}, money=False)
    assert decide(gateway(), request, refusal(code, status)).means is Means.UNKNOWN
    assert (
        decide(gateway(), request, reply("mpesa_gateway", "verify_timeout.408")).means
        is Means.UNKNOWN
    )
    # a look-up without an answer
    with pytest.raises(OutcomeUnknown):
        verified(reply("mpesa_gateway", "verify_timeout.408"))


@pytest.mark.proves("mpesa_gateway: verify status, message")
@pytest.mark.parametrize(
    "body", [{}, {"message": "Payment pending"}, {"status": None}, {"status": ["completed"]}]
)
def test_a_verify_answer_without_a_status_is_none(body: Any) -> None:
    """A JSON object without the key that matters is never read as a status."""
    with pytest.raises(OutcomeUnknown):
        verified(answer(body))


def test_a_transaction_that_is_not_known_is_not_found() -> None:
    """404 on verify is NotFound with the server's text, and never final."""
    with pytest.raises(NotFound) as caught:
        verified(reply("mpesa_gateway", "verify_unknown.404"))
    assert caught.value.message == "Transaction not found"
    assert MpesaGateway.facts["collect"].not_found_final_after is None


@pytest.mark.proves("mpesa_gateway: verify transaction_id")
@pytest.mark.parametrize(
    "fields", [{"reference": None}, {"provider_reference": None}, {"reference": "order-1"}]
)
def test_verify_needs_both_ids(fields: dict[str, Any]) -> None:
    """Without the gateway's id, or digits as reference, UsageError names the field."""
    with pytest.raises(UsageError, match=re.escape(next(iter(fields)))):
        verified(asked=paid(**fields))


@pytest.mark.proves(
    "mpesa_gateway: POST /api/payment/transactions/{transaction_id}/refund/",
    "mpesa_gateway: refund amount, reason",
    'mpesa_gateway: refund message "Refund',
)
def test_a_refund_is_pending_until_something_proves_it() -> None:
    """Request Refund: "processed successfully" is only an accepted request: PENDING."""
    driver = gateway()
    send = Script(driver, reply("mpesa_gateway", "refund.200"))
    back = order(kind="refund", reference="refund-9", description="Customer request", party=None)
    payment = drive(driver.refund(send, back, paid()))
    (request,) = send.requests
    assert (request.method, request.money) == ("POST", True)
    assert request.target() == f"/api/payment/transactions/{TXN}/refund/"
    assert request.content() == b'{"amount":1000.00,"reason":"Customer request"}'
    assert json.loads(request.content() or b"") == sample("mpesa_gateway", "refund")
    assert (payment.kind, payment.status, payment.reference) == (
        "refund",
        Status.PENDING,
        "refund-9",
    )
    assert (payment.provider_reference, payment.ids) == (
        "RFD20230815123456ABC",
        {"transaction_id": TXN},
    )
    assert (payment.amount, payment.message) == (Decimal(1000), "Refund processed successfully")


def test_a_refund_may_have_no_id() -> None:
    """With a `refund_id` of null, the refund is PENDING without a provider reference."""
    payment = refunded(reply("mpesa_gateway", "refund_unnamed.200"))
    assert (payment.status, payment.provider_reference) == (Status.PENDING, None)


@pytest.mark.proves('mpesa_gateway: refund message "Refund')
@pytest.mark.parametrize(
    "body", [{}, {"error": "Refund failed", "details": "x"}, {"message": None}, []]
)
def test_a_refund_answer_that_says_nothing_is_unknown(body: Any) -> None:
    """No message is no answer."""
    with pytest.raises(OutcomeUnknown):
        refunded(answer(body))


def test_a_refund_cannot_be_looked_up() -> None:
    """Verifying a refund is Unsupported, before a request."""
    with pytest.raises(Unsupported):
        verified(asked=paid(kind="refund", provider_reference="RFD1"))


def test_a_refund_needs_the_gateways_id() -> None:
    """A payment whose answer was lost has no transaction to refund: UsageError."""
    driver = gateway()
    with pytest.raises(UsageError, match="provider_reference"):
        drive(driver.refund(Script(driver), order(kind="refund"), paid(provider_reference=None)))


@pytest.mark.proves("mpesa_gateway: initiate order_id: an integer")
@pytest.mark.parametrize(
    "reference", ["12a", "order-1", "007", "0", "", "1" * 19, "١٢", "1.0", "-1", "+1", "1_0"]
)
def test_a_reference_that_is_not_the_integer_order_id_is_refused(reference: str) -> None:
    """A reference that is no integer, as it is written, is UsageError before a request."""
    with pytest.raises(UsageError, match=r"reference: .*order_id"):
        collected(wanted=order(reference=reference))


@pytest.mark.proves("mpesa_gateway: initiate order_id: an integer")
def test_an_order_id_is_an_integer_on_the_wire() -> None:
    """Eighteen digits are sent exactly."""
    driver = gateway()
    send = Script(driver, reply("mpesa_gateway", "initiate.200"))
    drive(driver.collect(send, order(reference="9" * 18)))
    assert b'"order_id":999999999999999999,' in (send.requests[0].content() or b"")


@pytest.mark.proves("mpesa_gateway: initiate phone_number")
@pytest.mark.parametrize(
    ("amount", "number"), [("10", b"10.00"), ("1000", b"1000.00"), ("150000", b"150000.00")]
)
def test_an_amount_is_a_number_with_two_decimals(amount: str, number: bytes) -> None:
    """The amount is the document's JSON number, exact, and no text."""
    driver = gateway()
    send = Script(driver, reply("mpesa_gateway", "initiate.200"))
    drive(driver.collect(send, order(amount=Decimal(amount))))
    assert (send.requests[0].content() or b"").endswith(b'"amount":' + number + b"}")


def test_cents_are_refused_and_not_cut_off() -> None:
    """M-Pesa takes whole shillings, and the server would charge 100 for 100.99: UsageError."""
    with pytest.raises(UsageError, match="amount"):
        collected(wanted=order(amount=Decimal("100.99")))
    assert MpesaGateway.decimals["KES"] == 0


@pytest.mark.proves("mpesa_gateway: the amount is within")
@pytest.mark.parametrize("amount", ["1", "9", "150001", "1000000"])
def test_an_amount_outside_the_methods_limits_is_refused(amount: str) -> None:
    """The limits are 10 to 150,000 shillings, unless the account says otherwise."""
    with pytest.raises(UsageError, match=r"amount: .*10 to 150000 KES"):
        collected(wanted=order(amount=Decimal(amount)))
    driver = gateway(min_amount="1", max_amount=Decimal(1_000_000))
    send = Script(driver, reply("mpesa_gateway", "initiate.200"))
    assert drive(driver.collect(send, order(amount=Decimal(amount)))).provider_reference == TXN


@pytest.mark.proves("mpesa_gateway: the amount is within")
@pytest.mark.parametrize("field", ["min_amount", "max_amount"])
@pytest.mark.parametrize("value", [0, -1, 10.5, "10.50", "ten", None, True, Decimal("NaN")])
def test_limits_are_whole_shillings(field: str, value: object) -> None:
    """A limit that is no amount is UsageError with its name."""
    with pytest.raises(UsageError, match=f"{field}: "):
        gateway(**{field: value})


@pytest.mark.proves("mpesa_gateway: the currency matches")
def test_only_shillings_are_taken() -> None:
    """M-Pesa accepts KES only."""
    assert MpesaGateway.currencies == {"KES"}


@pytest.mark.proves("mpesa_gateway: phone numbers are 254XXXXXXXXX")
@pytest.mark.parametrize(
    "written", ["254712345678", "+254 712 345 678", "0712345678", "00254712345678", "712345678"]
)
def test_a_number_travels_as_254_and_nine_digits(written: str) -> None:
    """Phone numbers are sent as 254XXXXXXXXX, from any form."""
    assert gateway().party("collect", written) == "254712345678"


@pytest.mark.proves("mpesa_gateway: phone numbers are 254XXXXXXXXX")
@pytest.mark.parametrize(
    "written",
    ["+237670000000", "25471234567", "2547123456789", "", "john@example.com", "2544412345"],
)
def test_another_number_is_refused(written: str) -> None:
    """A number of another country or length is UsageError, before a request."""
    with pytest.raises(UsageError, match="payer"):
        gateway().party("collect", written)


@pytest.mark.proves(
    "mpesa_gateway: GET /api/payment/history/", "mpesa_gateway: history results: id, amount"
)
def test_history_reads_the_documents_page() -> None:
    """Get Transaction History: a GET without a query; amount, status and time are read."""
    driver = gateway()
    send = Script(driver, reply("mpesa_gateway", "history.200"))
    (payment,) = listed(send)
    (request,) = send.requests
    assert (request.method, request.target(), request.money) == (
        "GET",
        "/api/payment/history/",
        False,
    )
    assert (payment.provider_reference, payment.status) == (TXN, Status.SUCCEEDED)
    assert (payment.amount, payment.currency, payment.operator) == (Decimal(1000), "KES", "mpesa")
    assert payment.created_at == datetime(2023, 8, 15, 12, 34, 56, tzinfo=UTC)
    assert (payment.ids, payment.reference) == ({}, None)


def test_history_reads_drf_pages_to_the_last() -> None:
    """With the other page format, `next` leads on, by its page number and not by its URL."""
    driver = gateway()
    first = reply("mpesa_gateway", "history_drf.200")
    send = Script(
        driver, first, answer({"count": 2, "next": None, "previous": "x", "results": [row(2)]})
    )
    payments = listed(send)
    assert [request.target() for request in send.requests] == [
        "/api/payment/history/",
        "/api/payment/history/?page=2",
    ]
    assert [payment.provider_reference for payment in payments] == [TXN, "TXN2"]
    assert (payments[0].reference, payments[0].ids, payments[0].amount) == (
        "123",
        {"id": "17"},
        Decimal("1000.00"),
    )
    assert payments[0].created_at == datetime(2023, 8, 15, 12, 34, 56, 123456, tzinfo=UTC)


@pytest.mark.proves("mpesa_gateway: history total, page")
def test_history_counts_the_documents_pages() -> None:
    """With `{results, total, page}` the pages end when `total` rows were read."""
    pages = [{"results": [row(2 * n), row(2 * n + 1)], "total": 5, "page": n} for n in (1, 2)]
    last = {"results": [row(9)], "total": 5, "page": 3}
    send = Script(gateway(), *map(answer, pages), answer(last))
    assert len(listed(send)) == 5
    assert not send.replies


def test_history_gives_each_payment_once_and_ends() -> None:
    """A row that moved to the next page is yielded once; a page without new rows is the last."""
    first, second = [row(1), row(2)], [row(2), row(3)]
    more = {"next": "https://shop.example/?page=9"}
    send = Script(
        gateway(), *(answer({"results": rows, **more}) for rows in (first, second, second))
    )
    assert [payment.provider_reference for payment in listed(send)] == ["TXN1", "TXN2", "TXN3"]


@pytest.mark.proves("mpesa_gateway: integration step 7: monitor")
def test_history_keeps_to_the_period() -> None:
    """The gateway filters nothing: payments outside the period are left out, undated ones kept."""
    dates = ["2023-07-31T23:59:59Z", "2023-08-01T00:00:00Z", "2023-09-01T00:00:01Z", "someday"]
    rows = [row(number, created_at=date) for number, date in enumerate(dates)]
    send = Script(gateway(), answer({"results": rows, "total": 4, "page": 1}))
    assert [payment.provider_reference for payment in listed(send)] == ["TXN1", "TXN3"]


@pytest.mark.proves("mpesa_gateway: history total, page")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"error": "x"},
        {"results": [row(1)], "total": 9, "page": 7},
        {"results": [row(1, amount="KES 5")], "total": 1},
        {"results": [{"amount": 5}], "total": 1},
    ],
)
def test_another_page_than_the_one_asked_for_is_no_answer(body: Any) -> None:
    """A wrong page, or unreadable rows, raise: a history is never shortened silently."""
    with pytest.raises((OutcomeUnknown, Unreadable)):
        listed(Script(gateway(), answer(body)))


@pytest.mark.proves(
    "mpesa_gateway: GET /api/payment/transactions/{transaction_id}/receipt/",
    "mpesa_gateway: receipt receipt_number",
)
def test_a_receipt_is_read_back_into_money() -> None:
    """Get Transaction Receipt: "KES 1,000.00", customer, order, number, and the date in UTC."""
    driver = gateway()
    send = Script(driver, reply("mpesa_gateway", "receipt.200"))
    receipt = drive(driver.receipt(send, paid(provider_reference="TXN/../1?x")))
    assert send.requests[0].target() == "/api/payment/transactions/TXN%2F..%2F1%3Fx/receipt/"
    assert receipt == Receipt(
        number="RCP20230815123456ABC",
        status=Status.SUCCEEDED,
        amount=Decimal("1000.00"),
        currency="KES",
        method="M-Pesa",
        customer="John Doe",
        order="Order #123",
        issued_at=datetime(2023, 8, 15, 12, 34, 56, tzinfo=UTC),
    )


@pytest.mark.proves('mpesa_gateway: receipt amount "KES 1,000.00"')
@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("KES 1,000.00", "1000"),
        ("KES 150,000", "150000"),
        ("KES 1,234,567.89", "1234567.89"),
        ("KES 10.5", "10.5"),
        ("1000.00", "1000"),
        (1000.00, "1000"),
    ],
)
def test_receipt_amounts_are_exact(written: object, amount: str) -> None:
    """Thousands separators and cents are distinguished, in text and numbers."""
    driver = gateway()
    body = {**sample("mpesa_gateway", "receipt.200"), "amount": written}
    assert drive(driver.receipt(Script(driver, answer(body)), paid())).amount == Decimal(amount)


@pytest.mark.proves('mpesa_gateway: receipt amount "KES 1,000.00"')
@pytest.mark.parametrize(
    "amount",
    [
        "KES 1,50",
        "KES 1.000,00",
        "USD 5.00",
        "KES",
        "",
        None,
        "KES -5",
        "KES 1e9",
        "KES 1,0000",
        "١٢",
    ],
)
def test_a_receipt_whose_amount_cannot_be_read_is_no_answer(amount: object) -> None:
    """A decimal comma, another currency or no amount is no answer."""
    driver = gateway()
    body = {**sample("mpesa_gateway", "receipt.200"), "amount": amount}
    with pytest.raises(OutcomeUnknown):
        drive(driver.receipt(Script(driver, answer(body)), paid()))


@pytest.mark.proves("mpesa_gateway: receipt receipt_number")
def test_a_receipt_without_a_number_is_no_answer() -> None:
    """A missing receipt number never becomes an empty one."""
    driver = gateway()
    with pytest.raises(OutcomeUnknown):
        drive(
            driver.receipt(
                Script(driver, answer({"amount": "KES 5.00", "status": "Completed"})), paid()
            )
        )


@pytest.mark.proves(
    "mpesa_gateway: GET /api/payment/methods/", "mpesa_gateway: methods type, display_name"
)
def test_methods_lists_the_ways_to_pay() -> None:
    """List Payment Methods: type, display name, whether enabled, currency."""
    driver = gateway()
    send = Script(driver, reply("mpesa_gateway", "methods.200"))
    assert drive(driver.methods(send)) == [
        Method(type="mpesa", display_name="M-Pesa", enabled=True, currency="KES")
    ]
    assert send.requests[0].target() == "/api/payment/methods/"
    with pytest.raises(OutcomeUnknown):
        drive(driver.methods(Script(driver, answer({}))))


@pytest.mark.proves(
    "mpesa_gateway: POST /api/payment/methods/",
    "mpesa_gateway: add a method: type, details.phone_number",
)
def test_add_method_sends_the_documents_request() -> None:
    """Add Payment Method is no money request, and its answer is returned unchanged."""
    driver = gateway()
    send = Script(driver, answer({"message": "added"}, 201))
    said = drive(driver.add_method(send, phone="0712 345 678", is_default=True))
    (request,) = send.requests
    assert (request.method, request.target(), request.money) == (
        "POST",
        "/api/payment/methods/",
        False,
    )
    assert json.loads(request.content() or b"") == sample("mpesa_gateway", "add_method")
    assert said == {"message": "added"}
    with pytest.raises(UsageError, match="payer"):
        drive(driver.add_method(Script(driver), phone="12"))


@pytest.mark.proves(
    "mpesa_gateway: POST /api/payment/test/mpesa/",
    "mpesa_gateway: test payment: phone_number",
    "mpesa_gateway: integration step 6: test",
)
def test_the_test_payment_sends_the_documents_request() -> None:
    """Test Payment: number and amount, no order; PENDING with its transaction id."""
    driver = gateway()
    send = Script(driver, reply("mpesa_gateway", "initiate.200"))
    payment = drive(driver.test_payment(send, payer="254712345678", amount=1000))
    assert send.requests[0].target() == "/api/payment/test/mpesa/"
    assert send.requests[0].content() == b'{"phone_number":"254712345678","amount":1000.00}'
    assert json.loads(send.requests[0].content() or b"") == sample("mpesa_gateway", "test_payment")
    assert (payment.status, payment.provider_reference, payment.reference) == (
        Status.PENDING,
        TXN,
        None,
    )
    for amount in (1, "5.50", 10**6):
        with pytest.raises(UsageError, match="amount"):
            drive(driver.test_payment(Script(driver), payer="254712345678", amount=amount))


@pytest.mark.proves(
    "mpesa_gateway: POST /api/payment/test/callback/",
    "mpesa_gateway: test callback: transaction_id",
)
def test_the_test_callback_sends_the_documents_request() -> None:
    """Test Callback: transaction id and status."""
    driver = gateway()
    send = Script(driver, answer({"message": "ok"}))
    assert drive(driver.test_callback(send, provider_reference=TXN)) == {"message": "ok"}
    assert send.requests[0].target() == "/api/payment/test/callback/"
    assert json.loads(send.requests[0].content() or b"") == sample("mpesa_gateway", "test_callback")


@pytest.mark.proves(
    "mpesa_gateway: POST /api/payment/test/mpesa/", "mpesa_gateway: integration step 6: test"
)
def test_tests_are_for_the_sandbox() -> None:
    """A live account refuses both test endpoints before anything is sent."""
    driver = gateway(live=True)
    with pytest.raises(UsageError, match="live"):
        drive(driver.test_payment(Script(driver), payer="254712345678", amount=1000))
    with pytest.raises(UsageError, match="live"):
        drive(driver.test_callback(Script(driver), provider_reference=TXN))


@pytest.mark.proves(
    "mpesa_gateway: POST /api/payment/mpesa-callback/",
    "mpesa_gateway: Body.stkCallback MerchantRequestID",
    "mpesa_gateway: ResultCode 0 without CallbackMetadata",
)
def test_the_documents_callback_is_a_claim_of_success() -> None:
    """M-Pesa STK Push Callback: without metadata, a success; it proves nothing."""
    claims = claimed(gateway().webhook(hook(sample("mpesa_gateway", "callback"))))
    assert (claims.status, claims.provider_status) == (Status.SUCCEEDED, "0")
    assert claims.ids == {"checkout_request_id": "ws_CO_123456789", "merchant_request_id": "123"}
    assert claims.message == "The service request is processed successfully."
    assert (claims.amount, claims.receipt, claims.reference, claims.provider_reference) == (
        None,
    ) * 4


@pytest.mark.proves("mpesa_gateway: initiate message, transaction_id")
def test_a_callback_is_found_by_the_id_that_collect_kept() -> None:
    """The callback and the initiated payment have the checkout request id under one name."""
    claims = claimed(gateway().webhook(hook(sample("mpesa_gateway", "callback"))))
    payment = collected(reply("mpesa_gateway", "initiate.200"))
    assert claims.ids["checkout_request_id"] == payment.ids["checkout_request_id"]


def callback(**fields: Any) -> dict[str, Any]:
    """Return the document's callback with other fields."""
    return {
        "Body": {
            "stkCallback": {**sample("mpesa_gateway", "callback")["Body"]["stkCallback"], **fields}
        }
    }


def test_a_callback_with_metadata_claims_money_receipt_and_payer() -> None:
    """Safaricom's metadata of a success are claims, too."""
    items = [
        {"Name": "Amount", "Value": 1000.00},
        {"Name": "MpesaReceiptNumber", "Value": "NLJ7RT61SV"},
        {"Name": "Balance"},
        {"Name": "PhoneNumber", "Value": 254712345678},
    ]
    claims = claimed(gateway().webhook(hook(callback(CallbackMetadata={"Item": items}))))
    assert (claims.amount, claims.currency) == (Decimal(1000), "KES")
    assert (claims.receipt, claims.payer) == ("NLJ7RT61SV", "254712345678")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (0, Status.SUCCEEDED),
        ("0", Status.SUCCEEDED),
        (1032, Status.CANCELLED),
        (1037, Status.EXPIRED),
        ("1037", Status.EXPIRED),
        (1, Status.PENDING),
        (4999, Status.PENDING),
        (17, Status.PENDING),
        ("completed", Status.PENDING),
    ],
)
def test_result_codes_are_numbers_or_text(code: object, status: Status) -> None:
    """A certain result is claimed; for any other the look-up decides."""
    claims = claimed(gateway().webhook(hook(callback(ResultCode=code))))
    assert (claims.status, claims.provider_status) == (status, str(code))


HOSTILE: list[bytes] = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b'{"Body":null}',
    b'{"Body":{}}',
    b'{"Body":{"stkCallback":null}}',
    b'{"Body":{"stkCallback":{}}}',
    b'{"Body":{"stkCallback":{"CheckoutRequestID":"x"}}}',
    b'{"Body":{"stkCallback":{"ResultCode":0}}}',
    b'{"Body":{"stkCallback":{"CheckoutRequestID":["x"],"ResultCode":0}}}',
    b'{"Body":{"stkCallback":{"CheckoutRequestID":"x","ResultCode":0.5}}}',
    b'{"Body":{"stkCallback":{"CheckoutRequestID":"x","ResultCode":0,"ResultCode":1}}}',
    b'{"Body":{"stkCallback":{"CheckoutRequestID":"\\ud800","ResultCode":0}}}',
    b'{"Body":{"stkCallback":{"CheckoutRequestID":"x","ResultCode":' + b"9" * 5000 + b"}}}",
    b'{"Body":{"stkCallback":{"CheckoutRequestID":"x","ResultCode":0,"CallbackMetadata":{"Item":[5]}}}}',
    json.dumps(
        callback(CallbackMetadata={"Item": [{"Name": "Amount", "Value": "1E+1000000"}]})
    ).encode(),
    json.dumps(
        callback(CallbackMetadata={"Item": [{"Name": "Amount", "Value": float("nan")}]})
    ).encode(),
    b'{"Body":' * 50_000,
    b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b" " * 300_000 + b"{}",
    b"\xff\xfe{}",
    b'{"Body":"\xff"}',
    b"Body=1&Body=2",
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_callback_is_unreadable_and_nothing_else(body: bytes) -> None:
    """Cut, deep, repeated, huge or wrongly typed: no foreign exception."""
    with pytest.raises((Unreadable, UnicodeDecodeError)):
        gateway().webhook(WebhookRequest(body=body))


def test_a_callback_is_posted() -> None:
    """A GET is no callback."""
    with pytest.raises(Unreadable):
        gateway().webhook(WebhookRequest(method="GET", query="Body=1"))
    with pytest.raises(Unreadable):
        gateway().webhook(WebhookRequest(method="GET", query=""))


def test_the_socket_opens_with_the_token_in_the_header() -> None:
    """URL and signature are not documented: `/ws/` with the bearer header is the default."""
    driver = gateway()
    request = driver.authorize(driver.updates_request(), "jwt")
    assert (request.method, request.target(), request.money) == ("GET", "/ws/", False)
    assert request.headers == {"Authorization": "Bearer jwt"}


def test_the_socket_may_take_the_token_in_the_query() -> None:
    """With `updates_query` the token is in the query, of the socket's request only."""
    driver = gateway(updates_path="/ws/payments/", updates_query="token")
    request = driver.authorize(driver.updates_request(), "a+b")
    assert (request.target(), request.headers) == ("/ws/payments/?token=a%2Bb", {})
    other = driver.authorize(get("/api/payment/methods/", dict[str, Any]), "jwt")
    assert (other.target(), other.headers) == (
        "/api/payment/methods/",
        {"Authorization": "Bearer jwt"},
    )
    for path in ("ws/", "//evil.example/ws/"):
        with pytest.raises(UsageError, match="path"):
            gateway(updates_path=path)


@pytest.mark.proves("mpesa_gateway: WebSocket PAYMENT_UPDATE")
def test_the_documents_update_is_a_claim() -> None:
    """PAYMENT_UPDATE with `status` alone is an event, as text and as bytes; it proves nothing."""
    frame = json.dumps(sample("mpesa_gateway", "frame"))
    for form in (frame, frame.encode()):
        claims = claimed(gateway().update(form))
        assert (claims.status, claims.provider_reference) == (Status.SUCCEEDED, None)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"transaction_id": TXN}, {"provider_reference": TXN}),
        ({"id": TXN}, {"provider_reference": TXN}),
        ({"id": 17, "transaction_id": TXN}, {"provider_reference": TXN, "ids": {"id": "17"}}),
        ({"order_id": 123}, {"reference": "123"}),
        ({"checkout_request_id": "ws_CO_1"}, {"ids": {"checkout_request_id": "ws_CO_1"}}),
    ],
)
def test_an_update_names_its_payment_by_any_id(
    payload: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Only `status` of the payload is documented, so each id that the gateway uses is read."""
    for frame in (
        {"type": "PAYMENT_UPDATE", "payload": {"status": "failed", **payload}},
        {"type": "payment_update", "status": "failed", **payload},
    ):
        claims = claimed(gateway().update(json.dumps(frame)))
        assert claims.status is Status.FAILED
        assert {name: getattr(claims, name) for name in expected} == expected


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"type": None},
        {"type": "CHAT_MESSAGE", "payload": "hello"},
        {"type": "product_update", "product_id": 1, "action": "sold", "data": {}},
        {"type": ["PAYMENT_UPDATE"]},
        {"error": "Invalid JSON format"},
        {"type": "ORDER_UPDATE", "payload": {"status": "completed"}},
    ],
)
def test_other_frames_are_nobodys_payment(frame: Any) -> None:
    """A frame of another type is None, and no error."""
    assert gateway().update(json.dumps(frame)) is None


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "hello",
        "[]",
        "null",
        '"PAYMENT_UPDATE"',
        '{"type":"PAYMENT_UPDATE","payload":',
        '{"type":"PAYMENT_UPDATE","payload":null}',
        '{"type":"PAYMENT_UPDATE","payload":[]}',
        '{"type":"PAYMENT_UPDATE","payload":{"status":{}}}',
        '{"type":"PAYMENT_UPDATE","payload":{"amount":"1E+1000000"}}',
        '{"type":"PAYMENT_UPDATE","payload":{"amount":1e400}}',
        '{"type":"PAYMENT_UPDATE","payload":{"status":"\\ud800"}}',
        '{"type":"PAYMENT_UPDATE","payload":' + "[" * 100_000,
        '{"type":"PAYMENT_UPDATE","payload":{"order_id":' + "9" * 6000 + "}}",
        b"\xff\xfe\x00",
        b'{"type":"PAYMENT_UPDATE","payload":{"status":"\xff"}}',
        "\ud800",
        " " * 300_000,
    ],
)
def test_a_hostile_frame_is_unreadable_and_nothing_else(frame: str | bytes) -> None:
    """Cut, deep, huge or wrongly typed frames raise no foreign exception."""
    with pytest.raises(Unreadable):
        gateway().update(frame)


def test_a_date_beyond_the_calendar_is_no_foreign_error() -> None:
    """A claimed year 1, which has no UTC time, leaves the claim without a date."""
    frame = {
        "type": "PAYMENT_UPDATE",
        "payload": {"status": "failed", "created_at": "0001-01-01T00:00:00+10:00"},
    }
    assert claimed(gateway().update(json.dumps(frame))).created_at is None
    push = callback(created_at="0001-01-01T00:00:00+10:00")
    assert claimed(gateway().webhook(hook(push))).created_at is None


def given(token: Any, asked: list[str]) -> Callable[[], Awaitable[str]]:
    """Return a token provider that records its calls."""

    async def bearer() -> str:
        asked.append("asked")
        result: str = token
        return result

    return bearer


@pytest.mark.proves("mpesa_gateway: every endpoint wants")
def test_a_token_given_as_text_signs_every_request() -> None:
    """`access_token` is the JWT; there is no login and no renewal."""
    driver = gateway()
    assert drive(driver.token(Script(driver))) is None
    assert driver.authorize(driver.updates_request(), None).headers == {
        "Authorization": "Bearer jwt-canary"
    }


def test_a_provider_of_tokens_is_asked_through_the_token_hook() -> None:
    """`bearer` is called once for each call of the token hook, which the token cache shares."""
    asked: list[str] = []
    driver = gateway(bearer=given("fresh-jwt", asked))
    token = drive(driver.token(Script(driver)))
    assert token is not None
    assert (token.secret, token.expires_in, asked) == (Secret("fresh-jwt"), None, ["asked"])
    assert driver.authorize(driver.updates_request(), token.secret.reveal()).headers == {
        "Authorization": "Bearer fresh-jwt"
    }


@pytest.mark.parametrize("token", ["", " ", "a b", "a\r\nX: y", "é", None, 5, b"x"])
def test_a_token_that_cannot_go_in_a_header_is_refused_unseen(token: object) -> None:
    """A token from `bearer` is checked before it enters a header, and is not shown."""
    driver = gateway(bearer=given(token, []))
    with pytest.raises(UsageError, match="bearer") as caught:
        drive(driver.token(Script(driver)))
    assert "X: y" not in str(caught.value)


@pytest.mark.parametrize("money", [True, False])
def test_token_not_valid_is_a_stale_token_also_on_money(money: bool) -> None:
    """The code proves "not processed": the token is renewed, and the request repeated once."""
    request = post("/api/payment/mpesa/", dict[str, Any], {}, money=money)
    verdict = decide(gateway(), request, reply("mpesa_gateway", "token_not_valid.401"))
    assert verdict.means is Means.STALE
    assert verdict.error is not None
    assert (verdict.error.code, verdict.error.message) == (
        "token_not_valid",
        "Given token not valid for any token type",
    )


def test_a_bare_401_is_sure_only_of_a_look_up() -> None:
    """A bare status or text proves nothing about money."""
    for money, means in ((True, Means.UNKNOWN), (False, Means.STALE)):
        request = post("/x/", dict[str, Any], {}, money=money)
        assert decide(gateway(), request, reply("mpesa_gateway", "unsigned.401")).means is means
    assert (
        decide(
            gateway(), post("/x/", dict[str, Any], {}), answer({"code": "token_not_valid"}, 500)
        ).error
        is None
    )


def test_two_factor_is_for_the_credentials_owner() -> None:
    """403 2FA_REQUIRED comes before processing: AuthenticationFailed, also for money."""
    with pytest.raises(AuthenticationFailed) as caught:
        collected(reply("mpesa_gateway", "two_factor.403"))
    assert (caught.value.code, caught.value.message) == (
        "2FA_REQUIRED",
        "Two-factor authentication required",
    )


def test_throttling_is_known_by_its_own_body() -> None:
    """Only DRF's own 429 comes before processing; any other proves nothing about money."""
    with pytest.raises(RateLimited):
        collected(reply("mpesa_gateway", "throttled.429"))
    with pytest.raises(OutcomeUnknown):
        collected(Response(status=429, body=b"<html>slow down</html>"))
    with pytest.raises(OutcomeUnknown):
        collected(answer({"error": "slow down"}, 429))
    with pytest.raises(RateLimited):
        verified(Response(status=429, body=b"<html>slow down</html>"))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502])
def test_an_html_page_is_never_an_answer(status: int) -> None:
    """HTML is unknown for money at any status; for a look-up its status counts."""
    page = Response(status=status, body=reply("mpesa_gateway", "not_found.404").body)
    with pytest.raises(OutcomeUnknown):
        collected(page)
    with pytest.raises((ProviderError, OutcomeUnknown)):
        verified(page)
    with pytest.raises(OutcomeUnknown):
        verified(Response(status=200, body=page.body))


@pytest.mark.proves("mpesa_gateway: an error is {error, code")
@pytest.mark.parametrize(
    ("body", "message", "details"),
    [
        ({"error": "No", "code": "X", "details": {"a": 1}}, "No", {"a": 1}),
        ({"error": "No", "details": "why"}, "No", {"error": "No", "details": "why"}),
        ({"detail": "Not found."}, "Not found.", {"detail": "Not found."}),
        ({"amount": ["Too much."]}, "", {"amount": ["Too much."]}),
        ({"code": ["x"]}, "", {"code": ["x"]}),
        ({}, "", None),
        ([], "", None),
    ],
)
def test_every_known_error_shape_is_read_on_a_look_up(
    body: Any, message: str, details: Any
) -> None:
    """The document's object, the server's two, DRF's text and map of fields are all read."""
    error = gateway().judge(get("/x/", dict[str, Any]), answer(body, 400))
    assert isinstance(error, Rejected)
    assert (error.message, error.details) == (message, details)


@pytest.mark.proves(
    "mpesa_gateway: 100 initiations a minute", "mpesa_gateway: 1000 status checks a minute"
)
def test_the_documented_limits_are_declared() -> None:
    """100 initiations and 1,000 status checks a minute."""
    assert MpesaGateway.limits == {"money": (100, 60.0), "look-up": (1000, 60.0)}


@pytest.mark.proves("mpesa_gateway: payment requests are idempotent")
@pytest.mark.parametrize("verb", ["collect", "refund"])
def test_nothing_is_promised_of_duplicates_or_look_ups_by_reference(verb: Any) -> None:
    """No deduplication and no look-up by our reference is declared, as none is documented."""
    facts = MpesaGateway.facts[verb]
    assert (facts.deduplicates, facts.findable, facts.not_found_final_after) == (False, False, None)


def test_what_the_gateway_can_do() -> None:
    """The driver has the document's operations, and no others."""
    can: list[Verb] = ["collect", "verify", "refund", "history", "receipt", "methods", "webhook"]
    cannot: list[Verb] = ["payout", "find", "balance", "returned"]
    assert [verb for verb in (*can, *cannot) if MpesaGateway.can(verb)] == can
    assert MpesaGateway.takes == frozenset()


def test_watching_ends_before_the_server_gives_up() -> None:
    """A watch ends before 120 s, when the server records a failure without asking M-Pesa."""
    assert MpesaGateway.watch_timeout < 120


def test_a_gateway_has_no_public_host() -> None:
    """`base_url` is required, live or not."""
    for live in (True, False):
        with pytest.raises(UsageError, match="base_url: missing"):
            MpesaGateway(access_token="jwt", live=live)
    assert gateway(base_url="https://shop.example/").url == "https://shop.example"
    with pytest.raises(UsageError, match="base_url"):
        gateway(base_url="http://shop.example")


@pytest.mark.parametrize(
    "fields",
    [
        {"access_token": ""},
        {"access_token": "jwt", "bearer": given("x", [])},
        {"bearer": "jwt"},
        {"access_token": "jwt", "bearer": "jwt"},
        {"access_token": "jwt\n"},
        {"access_token": 5},
    ],
)
def test_there_is_exactly_one_way_to_sign(fields: dict[str, Any]) -> None:
    """A token, or a coroutine function that returns one: neither or both is UsageError."""
    with pytest.raises(UsageError, match=r"access_token|bearer"):
        gateway(**{"access_token": "", **fields})


@pytest.mark.proves("mpesa_gateway: security measures; credentials")
def test_secrets_are_nowhere() -> None:
    """No credential is in the driver's repr, also inside a partial, nor in an error."""

    async def login(password: str) -> str:
        return password

    drivers = [gateway(), gateway(bearer=functools.partial(login, "password-canary"))]
    for driver in drivers:
        assert "canary" not in repr(driver)
        error = driver.judge(get("/x/", dict[str, Any]), reply("mpesa_gateway", "unsigned.401"))
        assert error is not None
        assert "canary" not in f"{error!r} {error}"
    with pytest.raises(UsageError) as caught:
        gateway(access_token="jwt-canary\n")
    assert "canary" not in str(caught.value)
    with pytest.raises(TypeError):
        msgspec.json.encode(drivers[0])
