"""What the Merchant API's answers prove: each sample read whole, and each rule alone."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from paymux import Customer, Payment
from paymux.drivers.base import Duplicate, NotJoining
from paymux.drivers.intram_merchant import operations, signing
from paymux.drivers.intram_merchant.answers import Answer
from paymux.drivers.intram_merchant.operations import read as read_operation
from paymux.drivers.intram_merchant.transactions import Told
from paymux.drivers.intram_merchant.transactions import read as read_transaction
from paymux.errors import NotFound, Rejected
from paymux.http import MAX_PAGE_BYTES, Pause, Response, WebhookRequest, get, post
from paymux.models import Reason, Status
from paymux.values.parsing import Unreadable, decode
from tests.driving import Script, drive, reply, sample

from .test_intram_merchant import ASKED, BARE, NAME, bent, order, said

BEGUN = datetime(2026, 5, 20, 10, 30, tzinfo=UTC)
DONE = datetime(2026, 5, 20, 10, 30, 14, tzinfo=UTC)
PAGE = "https://gateway.intram.org/AB12CD34EF"
OWN: dict[str, Any] = {"account": NAME, "provider": NAME, "live": True, "created_at": BEGUN}


def operation(case: str, *path: str, to: object = None, **more: Any) -> Payment:
    """Read an operation of a sample, with one value changed."""
    answer = bent(case, "data", *path, to=to) if path else said(sample(NAME, case))
    return read_operation(BARE, decode(Answer, answer.body).operation, **more)


def transaction(case: str, **fields: Any) -> Payment:
    """Read a transaction of a sample, with some fields changed."""
    body = sample(NAME, case)
    body["data"] |= fields
    return read_transaction(BARE, decode(Told, json.dumps(body).encode()).transaction)


def test_a_payouts_operation_is_read_whole() -> None:
    """Every field of the sample is in its place, and no other one is set."""
    assert operation("operation_failed.200") == Payment(
        **OWN,
        kind="payout",
        reference="PO-2026-0001",
        provider_reference="op_2f4a8b1c",
        status=Status.FAILED,
        amount=Decimal(25000),
        currency="XOF",
        payee="22961234567",
        provider_status="failed/insufficient_balance",
        reason=Reason.INSUFFICIENT_FUNDS,
        message="Insufficient merchant balance",
    )
    assert operation("operation_payout.200") == Payment(
        **OWN,
        kind="payout",
        provider_reference="op_2f4a8b1c",
        status=Status.SUCCEEDED,
        amount=Decimal(25000),
        currency="XOF",
        provider_status="succeeded/completed",
        paid_at=DONE,
    )


def test_a_refunds_operation_is_read_whole() -> None:
    """Its receipt is the refund's own; its answer has no currency, which is the account's."""
    assert operation("operation_refund.200") == Payment(
        **OWN,
        kind="refund",
        reference="refund-9001",
        provider_reference="op_6f7c",
        ids={"transaction_reference": "AB12CD34EF", "refund_reference": "9DEFGH1234"},
        status=Status.SUCCEEDED,
        amount=Decimal(12000),
        currency="XOF",
        receipt="9DEFGH1234",
        provider_status="succeeded/completed",
        paid_at=DONE,
    )


def test_a_payment_requests_operation_is_read_whole() -> None:
    """It has a page, and says nothing of whether the payer paid."""
    assert operation("operation_payment_request.200") == Payment(
        **OWN,
        kind="collect",
        reference="order-4521",
        provider_reference="op_4d2a",
        ids={"transaction_reference": "AB12CD34EF"},
        amount=Decimal(12000),
        currency="XOF",
        checkout_url=PAGE,
        provider_status="succeeded/pending",
    )


def test_a_transaction_is_read_whole() -> None:
    """Every field of the sample; what went back by a refund is in no field."""
    assert transaction("transaction.200") == Payment(
        **OWN,
        kind="collect",
        ids={"transaction_reference": "AB12CD34EF"},
        status=Status.SUCCEEDED,
        amount=Decimal(12000),
        currency="XOF",
        payer="22961234567",
        operator="MTN Bénin",
        receipt="AB12CD34EF",
        fee=Decimal(240),
        provider_status="SUCCESS",
        customer=Customer(name="Ada Lovelace", email="client@example.com"),
    )


@pytest.mark.parametrize(
    ("fields", "payer", "customer"),
    [
        ({"source": None, "customer": None}, None, None),
        ({"source": [], "customer": []}, None, None),
        ({"source": {"number": "4242"}, "customer": {}}, None, None),
        ({"source": {}, "customer": {"name": "Ada"}}, None, Customer(name="Ada")),
        ({"customer": {"email": "a@b.bj"}}, "22961234567", Customer(email="a@b.bj")),
        ({"type": "DEBIT"}, None, Customer(name="Ada Lovelace", email="client@example.com")),
    ],
)
def test_a_payer_is_read_only_where_there_is_one(
    fields: dict[str, Any], payer: str | None, customer: Customer | None
) -> None:
    """A card's digits are no phone number, and PHP writes what is empty as a list."""
    found = transaction("transaction.200", **fields)
    assert (found.payer, found.customer) == (payer, customer)


@pytest.mark.parametrize(
    ("kind", "word", "status", "reason"),
    [
        ("CREDIT", "ERROR", Status.FAILED, Reason.OTHER),
        ("DEBIT", "ERROR", Status.PENDING, None),
        ("REFUND", "ERROR", Status.PENDING, None),
        ("DEBIT", "SUCCESS", Status.SUCCEEDED, None),
        ("REFUND", "PENDING", Status.PENDING, None),
    ],
)
def test_a_transaction_that_failed_proves_it_of_a_payment_alone(
    kind: str, word: str, status: Status, reason: Reason | None
) -> None:
    """Of money that leaves, "failed" is also said after a network error."""
    found = transaction("transaction.200", type=kind, status=word)
    assert (found.status, found.reason) == (status, reason)
    assert found.receipt == ("AB12CD34EF" if status is Status.SUCCEEDED else None)


def test_a_transaction_without_a_type_is_of_the_kind_that_was_asked_for() -> None:
    """A payment, unless it says another."""
    assert transaction("transaction.200", type=None, reference=None).ids == {}
    assert transaction("transaction.200", type=None).kind == "collect"


def test_an_answer_is_about_the_transaction_that_was_asked_for() -> None:
    """By its reference, or by an internal id of 24 digits; it has a status."""
    told = decode(Told, json.dumps(sample(NAME, "transaction.200")).encode())
    assert told.answers("AB12CD34EF")
    assert told.answers("6" * 24)
    for other in ("AB12CD34EG", "6" * 23, "6" * 25):
        with pytest.raises(Unreadable, match="another transaction"):
            told.answers(other)
    body = sample(NAME, "transaction.200")
    body["data"]["status"] = " "
    with pytest.raises(Unreadable, match="no status"):
        decode(Told, json.dumps(body).encode()).answers("AB12CD34EF")


@pytest.mark.parametrize(
    ("attempts", "status"), [(None, "f"), (0, "f"), (1, "f"), (2, "p"), ("3", "p"), ("x", "p")]
)
def test_a_failure_after_tries_of_intrams_own_proves_nothing(attempts: Any, status: str) -> None:
    """What came of the tries before is unknown; a success needs no such caution."""
    found = operation("operation_failed.200", "attempts", to=attempts)
    assert found.status is {"f": Status.FAILED, "p": Status.PENDING}[status]
    assert found.reason == (Reason.INSUFFICIENT_FUNDS if status == "f" else None)
    assert operation("operation_payout.200", "attempts", to=attempts).status is Status.SUCCEEDED


def test_a_payment_request_is_never_paid_by_its_operation() -> None:
    """Its result says that the page is there; the transaction says who paid."""
    found = operation("operation_payment_request.200", "result", "status", to="completed")
    assert (found.status, found.receipt, found.paid_at) == (Status.PENDING, None, None)
    failed = operation("operation_payment_request.200", "status", to="failed")
    assert failed.status is Status.PENDING
    assert "ask Intram" not in (failed.message or "")
    body = sample(NAME, "operation_payment_request.200")
    body["data"] |= {
        "status": "failed",
        "result": None,
        "error": {"code": "unsupported_payment_method"},
    }
    refused = read_operation(BARE, decode(Answer, json.dumps(body).encode()).operation)
    assert (refused.status, refused.reason) == (Status.FAILED, Reason.OTHER)


@pytest.mark.parametrize("status", [None, "queued", "processing", "expired"])
def test_an_operation_that_goes_on_asks_for_no_person(status: str | None) -> None:
    """Only of one that failed, and may have been paid, a person is told."""
    found = operation("operation_payout.200", "status", to=status)
    assert "ask Intram" not in (found.message or "")


def test_the_kind_that_was_asked_for_stands_where_an_operation_names_none() -> None:
    """A type that is missing or unknown leaves the caller's kind."""
    assert operation("operation_payout.200", "type", to=None).kind == "collect"
    assert operation("operation_payout.200", "type", to="x", kind="payout").kind == "payout"
    named = operation("operation_payout.200", "operation_id", to="op_1", asked="op_2")
    assert named.provider_reference == "op_2"


def test_the_environment_says_whether_it_is_live() -> None:
    """A word that is not listed leaves the account's mode."""
    assert operation("operation_payout.200", "env", to="sandbox").live is False
    assert operation("operation_payout.200", "env", to="x").live is True


@pytest.mark.parametrize(
    ("status", "code", "money", "error"),
    [
        (404, "transaction_not_found", False, NotFound),
        (404, "operation_not_found", False, NotFound),
        (404, "transaction_not_found", True, Rejected),
        (400, "transaction_not_found", True, None),
        (404, "something_new", True, None),
        (404, "validation_error", True, None),
        (409, "idempotency_conflict", True, Duplicate),
        (409, "something_new", True, None),
        (500, "idempotency_error", False, None),
        (503, "idempotency_error", True, None),
    ],
)
def test_a_refusal_is_one_with_its_own_status_alone(
    status: int, code: str, money: bool, error: type[Exception] | None
) -> None:
    """A code under another status is no refusal that the page knows."""
    request: Any = post("/payouts", dict, {}) if money else get("/balance", dict)
    found = BARE.judge(request, said({"error": True, "code": code}, status))
    assert type(found) is (type(None) if error is None else error)
    assert getattr(found, "code", code) == code


@pytest.mark.parametrize("body", [b"", b"[]", b'{"error": true}', b'{"error": true, "code": null}'])
def test_an_answer_without_a_code_refuses_nothing(body: bytes) -> None:
    """It leaves the outcome of money unknown."""
    assert BARE.judge(post("/payouts", dict, {}), Response(status=400, body=body)) is None


def test_the_store_that_is_away_joins_nothing() -> None:
    """Under HTTP 500 alone, as on the page."""
    with pytest.raises(NotJoining):
        BARE.judge(post("/payouts", dict, {}), reply(NAME, "idempotency_error.500"))


@pytest.mark.parametrize(("kind", "accepted"), [(None, True), ("payout", True), ("refund", False)])
def test_an_answer_to_an_order_may_leave_its_type_out(kind: str | None, accepted: bool) -> None:
    """Another type is another operation."""
    answer = decode(Answer, bent("payout.202", "data", "type", to=kind).body)
    if accepted:
        assert answer.accepts(order())
    else:
        with pytest.raises(Unreadable, match="another kind of operation"):
            answer.accepts(order())


@pytest.mark.parametrize(
    ("field", "to", "why"),
    [("reference", "x", "another reference"), ("amount", 7, "another amount")],
)
def test_an_answer_about_another_order_is_none(field: str, to: object, why: str) -> None:
    """Its reference and amount, where it repeats them, are the order's."""
    answer = decode(Answer, bent("payout.202", "data", "payload", field, to=to).body)
    with pytest.raises(Unreadable, match=why):
        answer.accepts(order())


def test_an_answer_to_a_look_up_is_about_its_operation() -> None:
    """It has the id that was asked for, and a status."""
    answer = decode(Answer, json.dumps(sample(NAME, "operation_payout.200")).encode())
    with pytest.raises(Unreadable, match="another operation"):
        answer.answers("op_other")
    nothing = decode(Answer, bent("operation_payout.200", "data", "status", to=None).body)
    with pytest.raises(Unreadable, match="no status"):
        nothing.answers("op_2f4a8b1c")


def message(stamp: str, seal: str | None = None) -> WebhookRequest:
    """Return a message that is signed, or sealed otherwise."""
    body = b'{"event": "payout.completed"}'
    right = signing._seal("whsec", stamp.encode("utf-8", "replace") + b"." + body)
    headers = {"x-intram-timestamp": stamp, "x-intram-signature": seal or right}
    return WebhookRequest(body=body, headers=headers)


@pytest.mark.parametrize(
    ("seconds", "fits"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
def test_a_message_is_signed_within_five_minutes(
    monkeypatch: pytest.MonkeyPatch, seconds: int, fits: bool
) -> None:
    """Earlier or later, by either clock; to the second."""
    moment = datetime.fromtimestamp(BEGUN.timestamp() + seconds, UTC)
    monkeypatch.setattr(signing, "_now", lambda: BEGUN)
    signed = message(f"{moment:%Y-%m-%dT%H:%M:%S.000Z}")
    if fits:
        signing.check_message(signed, "whsec")
    else:
        with pytest.raises(Unreadable, match="5 minutes"):
            signing.check_message(signed, "whsec")


@pytest.mark.parametrize("stamp", ["", "yesterday", "é", "\udcff"])
def test_a_message_without_a_time_is_none(stamp: str) -> None:
    """Its seal is right, and it could be sent for ever."""
    with pytest.raises(Unreadable, match="5 minutes"):
        signing.check_message(message(stamp), "whsec")


@pytest.mark.parametrize("seal", ["sha256=00", "é", "\udcff"])
def test_a_message_with_another_seal_is_refused(seal: str) -> None:
    """Whatever its bytes are."""
    with pytest.raises(Unreadable, match="not signed"):
        signing.check_message(message("2026-05-20T10:30:00.000Z", seal), "whsec")


def listed(*rows: dict[str, Any]) -> Response:
    """Return a list of operations."""
    return said({"data": list(rows), "paging": {}})


def row(**fields: Any) -> dict[str, Any]:
    """Return an operation of a list."""
    body: dict[str, Any] = sample(NAME, "operation_failed.200")["data"]
    return {**body, **fields}


LOST = Payment(account=NAME, kind="payout", reference="PO-2026-0001", created_at=BEGUN)


def test_the_newest_failure_stands_if_none_was_paid() -> None:
    """Of several operations with one reference."""
    rows = listed(row(operation_id="op_2"), row(operation_id="op_1"))
    assert drive(BARE.find(Script(BARE, rows), LOST)).provider_reference == "op_2"


def test_an_operation_without_an_id_or_a_date_is_passed_over_or_read() -> None:
    """It cannot be asked for without its id; without a date it may be this order's."""
    for wrong in (None, "", "x"):
        rows = listed(row(operation_id=wrong), row(operation_id="op_1", date=None))
        assert drive(BARE.find(Script(BARE, rows), LOST)).provider_reference == "op_1"


@pytest.mark.parametrize(("minutes", "found"), [(60, True), (61, False)])
def test_an_operation_far_older_than_its_order_is_anothers(minutes: int, found: bool) -> None:
    """More than an hour: the list is in time, so that the search ends there."""
    at = datetime.fromtimestamp(BEGUN.timestamp() - 60 * minutes, UTC)
    rows = listed(row(date=f"{at:%Y-%m-%dT%H:%M:%S.000Z}"))
    search = BARE.find(Script(BARE, rows), LOST)
    if found:
        assert drive(search).provider_reference == "op_2f4a8b1c"
    else:
        with pytest.raises(NotFound, match="no operation with this reference"):
            drive(search)


def test_a_payment_without_a_kind_is_looked_for_as_a_collect() -> None:
    """That is what a kind that is not told means."""
    wanted = msgspec.structs.replace(LOST, kind=None)
    script = Script(BARE, listed())
    with pytest.raises(NotFound):
        drive(BARE.find(script, wanted))
    assert "type=payment_request" in script.requests[0].target()


def test_a_page_is_waited_for_only_while_there_is_none() -> None:
    """An answer with the page ends the wait; an error of a look-up does, too, and harms nothing."""
    ready = reply(NAME, "operation_payment_request.200")
    for second, page in ((ready, PAGE), (said({}, 200), None), (said({}, 500), None)):
        script = Script(BARE, reply(NAME, "payment_request.202"), second)
        found = drive(BARE.collect(script, order("collect")))
        assert (found.checkout_url, found.status) == (page, Status.PENDING)
        assert len(script.requests) == 2


def test_what_is_asked_of_an_operation_is_its_own() -> None:
    """An answer about another one is no page of this order."""
    other = bent("operation_payment_request.200", "data", "operation_id", to="op_other")
    script = Script(BARE, reply(NAME, "payment_request.202"), other)
    assert drive(BARE.collect(script, order("collect"))).checkout_url is None
    assert ASKED.provider_reference == "op_2f4a8b1c"


def built(**fields: Any) -> Payment:
    """Read an operation with these fields, whose request was that of the page's payout."""
    body = {**sample(NAME, "operation_failed.200"), "http_status": 200}
    body["data"] = {**body["data"], "error": None, "result": None, "status": "queued", **fields}
    return read_operation(BARE, decode(Answer, said(body).body).operation)


@pytest.mark.parametrize(
    ("status", "result", "amount"),
    [
        ("succeeded", {"status": "completed"}, None),
        ("succeeded", {"status": "completed", "amount": 24000}, 24000),
        ("succeeded", {"status": "pending"}, 25000),
        ("succeeded", {"status": "pending", "amount": 24000}, 24000),
        ("failed", {"amount": 24000}, 24000),
        ("failed", {}, 25000),
        (None, None, 25000),
    ],
)
def test_only_the_result_says_what_was_paid(status: str, result: Any, amount: int | None) -> None:
    """Of what is not paid the amount is that of the request, unless the result has another."""
    error = {"code": "provider_unavailable"} if status == "failed" else None
    assert built(status=status, result=result, error=error).amount == amount


def test_what_an_operation_lacks_is_none() -> None:
    """A payout has its payee, a refund the account's currency, and nothing is made up."""
    bare = {"payload": None, "status": None}
    assert built(**bare).currency is None
    assert built(**bare).provider_status is None
    assert built(**bare, type="refund").currency == "XOF"
    told = {"payload": {"destination": {"msisdn": "22961234567"}}}
    assert built(**told).payee == "22961234567"
    assert built(**told, type="refund").payee is None
    for field in ("gateway_url", "payment_url"):
        page = built(type="payment_request", result={field: PAGE})
        assert page.checkout_url == PAGE
    both = built(type="payment_request", result={"gateway_url": PAGE, "payment_url": "https://x/"})
    assert both.checkout_url == PAGE


def test_a_failure_after_tries_is_open_also_if_it_names_an_amount() -> None:
    """What came of the tries before is unknown, whatever the result of the last one has."""
    result = {"amount": 25000, "currency": "XOF", "provider_response": {"serviceref": "R1"}}
    error = {"code": "provider_unavailable"}
    found = built(status="failed", attempts=2, result=result, error=error)
    assert (found.status, found.receipt) == (Status.PENDING, None)


@pytest.mark.parametrize("answer", [{"serviceref": ""}, {"serviceref": 7}, {}, [], "R1", None])
def test_a_receipt_is_the_networks_or_the_refunds(answer: Any) -> None:
    """A text that is not empty, under the network's name; else the refund's own."""
    paid = {"status": "completed", "amount": 25000, "currency": "XOF", "refund_reference": "9D"}
    found = built(status="succeeded", result={**paid, "provider_response": answer})
    assert found.receipt == "9D"
    named = built(status="succeeded", result={**paid, "provider_response": {"serviceref": "MP01"}})
    assert named.receipt == "MP01"


def test_an_operation_is_asked_for_by_its_kind() -> None:
    """One that names no type is of the kind that was asked for, a collect if none was."""
    for kind in ("payout", "collect"):
        script = Script(BARE, bent("operation_failed.200", "data", "type", to=None))
        more: dict[str, Any] = {} if kind == "collect" else {"kind": kind}
        found = drive(operations.operation(BARE, script, "op_2f4a8b1c", **more))
        assert found.kind == kind


def test_a_collect_keeps_what_its_operation_said() -> None:
    """Its transaction says what was paid; mode, page and time are those of the request."""
    script = Script(
        BARE,
        bent("operation_payment_request.200", "data", "env", to="sandbox"),
        bent("transaction.200", "data", "date", to="2026-05-21T00:00:00.000Z"),
    )
    found = drive(operations.operation(BARE, script, "op_4d2a"))
    assert (found.live, found.created_at, found.checkout_url) == (False, BEGUN, PAGE)


class Waiting:
    """Sends requests by a script, and counts waits; `granted` of them fit into the deadline."""

    def __init__(self, *replies: Response, granted: int = 99) -> None:
        self.script, self.granted, self.waits = Script(BARE, *replies), granted, 0

    async def __call__(self, request: Any) -> Any:
        """Answer one."""
        if isinstance(request, Pause):
            self.waits += 1
            return self.waits <= self.granted
        return await self.script(request)


@pytest.mark.parametrize(
    ("accepted", "replies", "granted", "waits", "asked"),
    [
        ({"checkout_url": PAGE}, [], 99, 0, 0),
        ({"status": Status.FAILED}, [], 99, 0, 0),
        ({}, ["operation_payment_request.200"], 0, 1, 0),
        ({}, ["operation_payment_request.200"], 99, 1, 1),
        ({}, ["internal_error.500"], 99, 1, 1),
        ({}, ["payment_request.202"] * 2 + ["operation_payment_request.200"], 99, 3, 3),
        ({}, ["payment_request.202"] * 6, 99, 6, 6),
    ],
)
def test_a_page_is_waited_for_as_often_as_it_makes_sense(
    accepted: dict[str, Any], replies: list[str], granted: int, waits: int, asked: int
) -> None:
    """Not once it is there or the order is over, not beyond the deadline, not after an error."""
    known = Payment(**{"account": NAME, "provider_reference": "op_4d2a", **accepted})
    send: Any = Waiting(*(reply(NAME, one) for one in replies), granted=granted)
    found = drive(operations.with_page(BARE, send, known))
    assert (send.waits, len(send.script.requests)) == (waits, asked)
    paged = "checkout_url" in accepted or replies[-1:] == ["operation_payment_request.200"]
    assert (found.checkout_url is not None) is (paged and granted > 0)


def test_a_page_that_cannot_be_read_changes_nothing() -> None:
    """An amount that is none ends the wait, and not the order."""
    known = Payment(account=NAME, provider_reference="op_4d2a")
    broken = bent("operation_payment_request.200", "data", "result", to={"amount": "much"})
    send: Any = Waiting(broken)
    assert drive(operations.with_page(BARE, send, known)) is known


def test_a_list_may_be_as_large_as_a_page() -> None:
    """A hundred operations are more than another answer may be."""
    script = Script(BARE, listed())
    with pytest.raises(NotFound):
        drive(BARE.find(script, Payment(account=NAME, kind="collect", reference="order-1")))
    assert script.requests[0].largest == MAX_PAGE_BYTES


def test_a_message_claims_what_its_kind_may() -> None:
    """Of a payout all that it says; of another operation its id and its words alone."""
    body = {
        "event": "payout.completed",
        "operation_id": "op_2f4a",
        "data": {
            "reference": "PO-1",
            "amount": 25000,
            "currency": "XOF",
            "status": "completed",
            "destination": {"msisdn": "22961234567"},
        },
    }
    own: dict[str, Any] = {
        "account": NAME,
        "provider": NAME,
        "live": True,
        "provider_reference": "op_2f4a",
        "status": Status.SUCCEEDED,
    }

    def claimed(**changes: Any) -> Payment:
        told = WebhookRequest(body=json.dumps({**body, **changes}).encode())
        return BARE.webhook(told).claims

    assert claimed() == Payment(
        **own,
        kind="payout",
        reference="PO-1",
        amount=Decimal(25000),
        currency="XOF",
        payee="22961234567",
        provider_status="payout.completed/completed",
    )
    assert claimed(event="refund.completed") == Payment(
        **own, kind="refund", provider_status="refund.completed/completed"
    )
    assert claimed(data={"destination": []}) == Payment(
        **own, kind="payout", provider_status="payout.completed"
    )
    failed = claimed(event="payment_request.failed", data={})
    assert (failed.status, failed.reason) == (Status.FAILED, Reason.OTHER)
    open_ = {**own, "status": Status.PENDING}
    assert claimed(event=None, data=None) == Payment(**open_)
    contradicts = claimed(data={"status": "pending"})
    assert contradicts.status is Status.PENDING
    unlisted = claimed(event="payout.completed", data={"status": "failed"})
    assert unlisted.status is Status.PENDING
    with pytest.raises(Unreadable, match="no operation_id"):
        claimed(operation_id=None)
