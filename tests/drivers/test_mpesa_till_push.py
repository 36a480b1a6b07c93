"""B2B Express of M-Pesa: the prompt to another business's till, and what its callback proves."""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from paymux import (
    Mismatch,
    OutcomeUnknown,
    Payment,
    Pool,
    Reason,
    Rejected,
    Status,
    UsageError,
    WatchTimeout,
)
from paymux.drivers.mpesa import Mpesa
from paymux.drivers.mpesa.till_push import TILL_PUSH, Started, own_id
from paymux.errors import BadWebhook
from paymux.http import Response, WebhookRequest
from paymux.models import merge
from paymux.simulator import Fault, Simulator
from paymux.testing import virtual_time
from paymux.values.parsing import Unreadable
from paymux.webhooks import Webhooks
from tests.driving import Script, drive, sample
from tests.driving import reply as sampled

from .mpesa_initiator import (
    DRIVER,
    RESULT,
    another,
    body_of,
    fault,
    incoming,
    parameters,
    reply,
    told,
)
from .mpesa_initiator import order as ordered

SHOP = another(DRIVER, business_name="Vendor")
NO_ROLE = another(SHOP, status_role=False)
OURS = own_id(SHOP, "bill-7")
KNOWN = Payment(
    account="kenya",
    provider="mpesa",
    kind="collect",
    live=False,
    reference="bill-7",
    provider_reference=OURS,
    ids={"RequestRefID": OURS},
    amount=Decimal(71),
    currency="KES",
    payer="till:000001",
)
PAID = {**sample("mpesa", "till_push_paid"), "requestId": OURS}
CANCELLED = {**sample("mpesa", "till_push_cancelled"), "requestId": OURS}
NAMED = {"transactionId": "RDQ01NFT1Q", "conversationID": "AG_20230426_2010434680d9f5a73766"}


def order(**changes: Any) -> Any:
    """Return an order to a till."""
    given_: dict[str, Any] = {
        "reference": "bill-7",
        "party": "till:000001",
        "amount": Decimal(100),
        "timeout_url": None,
    }
    return ordered("collect", **{**given_, **changes})


def pushed(answer: Response | None = None, driver: Mpesa = SHOP, **changes: Any) -> Any:
    """Prompt a till, and return the payment and what was sent."""
    script = Script(driver, answer or sampled("mpesa", "till_push.200"))
    return drive(driver.collect(script, order(**changes))), script


def heard(body: dict[str, Any], known: Payment = KNOWN, driver: Mpesa = SHOP, **path: Any) -> Any:
    """Return what a message on the order's own path leaves of it, before anything is asked."""
    event = driver.webhook(incoming(body))
    own = {"path_reference": known.reference, "path_use": "collect"}
    proved = driver.proof(replace(event, **{**own, **path}), known)
    assert proved is not None
    return merge(known, proved)


def test_a_prompt_has_the_pages_fields_in_its_order() -> None:
    """Every field of the sample is sent, as text; our id is derived of the reference."""
    payment, script = pushed(extra={"account_reference": "paymentRef"})
    page, said = sample("mpesa", "till_push_request"), body_of(script)
    assert list(said) == list(page)
    ours = {"receiverShortCode": "600992", "callbackUrl": RESULT, "RequestRefID": OURS}
    assert said == {**page, **ours}
    (request,) = script.requests
    assert (request.path, request.money, request.repeatable) == (TILL_PUSH, True, False)
    assert (payment.status, payment.provider_reference, payment.payer) == (
        Status.PENDING,
        OURS,
        "till:000001",
    )
    assert payment.prompt == "USSD Initiated Successfully"


@pytest.mark.parametrize(
    ("why", "driver", "changes"),
    [
        ("business_name: missing.*the prompt shows it", DRIVER, {}),
        ("till: .*only a paybill", another(SHOP, till="600100"), {}),
        ("webhook_url: missing.*M-Pesa tells the outcome", SHOP, {"webhook_url": None}),
    ],
)
def test_what_a_prompt_needs_is_said(why: str, driver: Mpesa, changes: dict[str, Any]) -> None:
    """Each error says what it is for, and nothing is sent."""
    script = Script(driver)
    with pytest.raises(UsageError, match=why):
        drive(driver.collect(script, order(**changes)))
    assert not script.requests


def test_a_prompt_shows_twelve_characters_of_the_reference() -> None:
    """As a push does; a name may have a hundred."""
    _, script = pushed(driver=another(SHOP, business_name="x" * 100), reference="bill-7-of-may-26")
    assert body_of(script)["paymentRef"] == "bill-7-of-ma"


def test_a_sandbox_may_be_told_without_tls() -> None:
    """As on a developer's network; a live account may not."""
    for url in ("http://127.0.0.1:8000/x", "http://shop.test/x"):
        _, script = pushed(webhook_url=url)
        assert body_of(script)["callbackUrl"] == url
    with pytest.raises(UsageError, match="webhook_url"):
        pushed(driver=another(SHOP, live=True), webhook_url="http://shop.test/x")


def test_what_is_no_acknowledgement_is_said() -> None:
    """The reason stands in the log of an unknown outcome."""
    with pytest.raises(Unreadable, match="code is not 0"):
        Started(code="1").starts()


def test_our_id_differs_by_shortcode_and_reference() -> None:
    """It is the same for one reference, and a UUID, as in the page's sample."""
    ids = {own_id(SHOP, "bill-7"), own_id(SHOP, "bill-8")}
    ids.add(own_id(another(SHOP, shortcode="600993"), "bill-7"))
    assert (len(ids), {len(one) for one in ids}) == (3, {36})


@pytest.mark.parametrize(
    ("field", "driver", "changes"),
    [
        ("business_name", another(SHOP, business_name="x" * 101), {}),
        ("webhook_url", SHOP, {"webhook_url": "ftp://shop.example/x"}),
        ("webhook_url", another(SHOP, live=True), {"webhook_url": "http://shop.example/x"}),
        ("extra", SHOP, {"extra": {"occasion": "June"}}),
        ("account_reference", SHOP, {"extra": {"account_reference": "x" * 13}}),
    ],
)
def test_bad_input_is_named_and_never_sent(
    field: str, driver: Mpesa, changes: dict[str, Any]
) -> None:
    """UsageError names the field, and no request is made."""
    script = Script(driver)
    with pytest.raises(UsageError) as caught:
        drive(driver.collect(script, order(**changes)))
    assert (caught.value.name, script.requests) == (field, [])


@pytest.mark.parametrize(
    "answer",
    [
        fault(500, "500.001.1001", "Internal Server Error"),
        reply(200, {"code": "1", "status": "x"}),
        reply(200, {"code": "4201", "status": "USSD Network Error"}),
        reply(200, {"code": "4203", "status": "USSD Exception Error"}),
        reply(200, {}),
        reply(200, b"<html>"),
        reply(500, {"code": "0"}),
    ],
)
def test_an_answer_that_starts_nothing_is_unknown(answer: Response) -> None:
    """The prompt may be on the phone: it is not sent again, and nothing can be asked."""
    script = Script(SHOP, answer)
    with pytest.raises(OutcomeUnknown):
        drive(SHOP.collect(script, order()))
    assert len(script.requests) == 1
    lost = SHOP.pending(order())
    assert (lost.provider_reference, lost.ids) == (None, {"RequestRefID": OURS})
    assert SHOP.asks(lost) is None


@pytest.mark.parametrize("code", ["4102", "4104"])
def test_a_till_that_cannot_be_prompted_is_refused_for_certain(code: str) -> None:
    """Two errors of the page's table are about the till: no prompt was shown."""
    with pytest.raises(Rejected) as caught:
        pushed(reply(200, {"code": code, "status": "x"}))
    assert caught.value.code == code


def test_a_success_only_names_what_to_ask_by() -> None:
    """It is not signed: the payment stays open, with the receipt's name among its ids."""
    found = heard(PAID)
    assert (found.status, found.receipt, found.provider_status) == (Status.PENDING, None, None)
    assert found.message is None
    assert found.ids == {"RequestRefID": OURS, **NAMED}
    assert (SHOP.asks(KNOWN), SHOP.asks(found)) == (None, "find")
    assert another(SHOP, initiator_name="").asks(found) is None


def test_what_a_callback_proves_is_of_its_order() -> None:
    """Its kind and our reference are those of the order."""
    event = SHOP.webhook(incoming(CANCELLED))
    path = {"path_reference": "bill-7", "path_use": "collect"}
    proved = SHOP.proof(replace(event, **path), KNOWN)
    assert proved is not None
    assert (proved.kind, proved.reference) == ("collect", "bill-7")


def test_an_account_without_the_role_believes_it() -> None:
    """By name, `status_role=False`: on its own path, with our id and the amount."""
    found = heard(PAID, driver=NO_ROLE)
    assert (found.status, found.receipt) == (Status.SUCCEEDED, "RDQ01NFT1Q")


@pytest.mark.parametrize(
    ("code", "end"),
    [
        ("4001", (Status.CANCELLED, Reason.CANCELLED)),
        ("4102", (Status.FAILED, Reason.OTHER)),
        ("4104", (Status.FAILED, Reason.OTHER)),
        ("4201", (Status.PENDING, None)),
        ("4203", (Status.PENDING, None)),
        ("1", (Status.PENDING, None)),
        ("2001", (Status.PENDING, None)),
        ("400", (Status.PENDING, None)),
    ],
)
@pytest.mark.parametrize("driver", [SHOP, NO_ROLE])
def test_a_code_proves_what_the_page_says(code: str, end: Any, driver: Mpesa) -> None:
    """What ends before any money is believed; everything else stays open."""
    found = heard({**CANCELLED, "resultCode": code, "resultDesc": "words"}, driver=driver)
    assert (found.status, found.reason) == end


@given(st.text(max_size=12) | st.integers(0, 10**6) | st.none() | st.floats(allow_nan=False))
def test_a_code_of_no_page_is_pending(code: Any) -> None:
    """It ends nothing, and nothing is raised but that the message cannot be read."""
    if str(code).strip().rstrip(".") in ("0", "4001", "4102", "4104"):
        return
    try:
        found = heard({**PAID, "resultCode": code, "resultDesc": "words"}, driver=NO_ROLE)
    except (Unreadable, BadWebhook):
        return
    assert found.status is Status.PENDING


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "FAILED"},
        {"resultDesc": "Request cancelled by user"},
        {"transactionId": None},
        {"transactionId": "RDQ 01"},
        {"transactionId": "R" * 41},
        {"amount": None},
        {"resultCode": "4001"},
    ],
)
def test_a_contradiction_pays_nothing(changes: dict[str, Any]) -> None:
    """A success that something in it denies, or without its receipt or amount."""
    assert heard({**PAID, **changes}, driver=NO_ROLE).status is Status.PENDING
    assert SHOP.asks(heard({**PAID, **changes})) is None


@pytest.mark.parametrize("body", [PAID, CANCELLED])
@pytest.mark.parametrize(
    "path",
    [
        {"path_reference": None},
        {"path_reference": "bill-8"},
        {"path_use": "payout"},
        {"path_use": None},
    ],
)
def test_on_any_other_path_it_proves_nothing(body: dict[str, Any], path: dict[str, Any]) -> None:
    """The address of a message is what ties it to its order."""
    for driver in (SHOP, NO_ROLE):
        assert heard(body, driver=driver, **path) == KNOWN


@pytest.mark.parametrize("body", [PAID, CANCELLED])
def test_another_request_or_amount_proves_nothing(body: dict[str, Any]) -> None:
    """Our id and the amount of the order must both be in it."""
    other = {**body, "requestId": own_id(SHOP, "bill-8")}
    event = NO_ROLE.webhook(incoming(other))
    path = {"path_reference": "bill-7", "path_use": "collect"}
    assert NO_ROLE.proof(replace(event, **path), KNOWN) == KNOWN
    with pytest.raises(Mismatch):
        heard({**body, "amount": "7.0"}, driver=NO_ROLE)
    nameless = replace(KNOWN, provider_reference=None, ids={})
    assert NO_ROLE.proof(replace(event, **path), nameless) == nameless


def answer(**changes: Any) -> dict[str, Any]:
    """Return an answer about the receipt, with the callback's ConversationID."""
    fields: dict[str, Any] = {
        "DebitPartyName": "000001 - Partner",
        "CreditPartyName": "600992 - Vendor",
        "ConversationID": NAMED["conversationID"],
        "TransactionStatus": "Completed",
        "Amount": "71",
        "ReceiptNo": "RDQ01NFT1Q",
        **changes,
    }
    said = {key: value for key, value in fields.items() if value is not None}
    return {
        "Result": {
            "ResultType": 0,
            "ResultCode": 0,
            "ConversationID": "AG_1",
            "OriginatorConversationID": "1-2-3",
            "ResultParameters": parameters(**said),
        }
    }


def asked(**changes: Any) -> Payment:
    """Return what the status says of an order whose callback named a receipt."""
    script = Script(SHOP, *told(answer(**changes)))
    found: Payment = drive(SHOP.find(script, replace(KNOWN, ids={"RequestRefID": OURS, **NAMED})))
    assert body_of(script)["TransactionID"] == "RDQ01NFT1Q"
    return found


def test_the_status_of_the_receipt_ends_it() -> None:
    """It is our order's: with its id, its receipt, and the callback's ConversationID."""
    found = merge(KNOWN, asked())
    assert (found.status, found.amount, found.receipt) == (
        Status.SUCCEEDED,
        Decimal(71),
        "RDQ01NFT1Q",
    )
    assert (found.provider_reference, found.payer, found.kind) == (OURS, "till:000001", "collect")
    assert found.ids == {"RequestRefID": OURS}
    assert asked(DebitPartyName="254712345678 - Operator").payer is None
    assert asked(TransactionStatus="Declined").status is Status.FAILED


@pytest.mark.parametrize("word", ["Completed", "Declined", "Cancelled"])
def test_a_receipt_that_nothing_ties_to_the_callback_ends_nothing(word: str) -> None:
    """Any customer's receipt can be written into a forged callback; its conversation cannot."""
    assert asked(ConversationID=None, TransactionStatus=word).status is Status.PENDING
    for changes in (
        {"ConversationID": "AG_2"},
        {"CreditPartyName": "600993 - Other"},
        {"ReceiptNo": "RDQ01NFT1R"},
    ):
        with pytest.raises(Mismatch) as caught:
            asked(TransactionStatus=word, **changes)
        if "ConversationID" in changes:
            assert caught.value.fields == ("provider_reference",)


def test_a_callback_without_a_conversation_ends_nothing() -> None:
    """Then nothing in it is a secret of M-Pesa's and ours."""
    body = {key: value for key, value in PAID.items() if key != "conversationID"}
    found = heard(body)
    script = Script(SHOP, *told(answer()))
    assert drive(SHOP.find(script, found)).status is Status.PENDING


def test_the_pages_callbacks_are_read() -> None:
    """Their fields and words are those of the samples."""
    asked = "404e1aec-19e0-4ce3-973d-bd92e94c8021"
    paid = SHOP.webhook(incoming(sample("mpesa", "till_push_paid"))).claims
    assert paid == Payment(
        account="kenya",
        provider="mpesa",
        live=False,
        provider_reference=asked,
        ids={"RequestRefID": asked, **NAMED},
        status=Status.SUCCEEDED,
        amount=Decimal("71.0"),
        currency="KES",
        provider_status="0",
        message="The service request is processed successfully.",
    )
    bare = {"requestId": asked, "resultCode": "0", "transactionId": "RDQ01NFT1Q"}
    claimed = SHOP.webhook(incoming({**bare, "conversationID": "A" * 65})).claims
    assert (claimed.amount, claimed.currency, claimed.status) == (None, None, Status.SUCCEEDED)
    assert claimed.ids["conversationID"] == "A" * 64
    gone = SHOP.webhook(incoming(sample("mpesa", "till_push_cancelled"))).claims
    assert (gone.status, gone.reason, gone.provider_status) == (
        Status.CANCELLED,
        Reason.CANCELLED,
        "4001",
    )


PUSH = "POST /v1/ussdpush/get-msisdn/"
BILL: dict[str, Any] = {
    "amount": 500,
    "currency": "KES",
    "payer": "till:600999",
    "reference": "bill-7",
}


class Stand:
    """A pool with a server, whose messages are also kept."""

    def __init__(self, journal: Path, **fields: Any) -> None:
        self.sim = Simulator()
        account = {"initiator_name": "api", "security_credential": "good", "business_name": "Duka"}
        self.pool = Pool(
            self.sim.driver("mpesa", **{**account, **fields}),
            connection=self.sim.connection,
            journal=journal,
            webhook_base="https://shop.example/pay",
            webhook_key="0123456789abcdef-hooks",
        )
        self.told: list[Payment] = []
        self.kept: list[WebhookRequest] = []
        self.holds = False
        self.hooks = Webhooks(self.pool, on_payment=self._tell)
        self.sim.on_webhook(self._hear)

    async def _hear(self, message: WebhookRequest) -> None:
        self.kept.append(message)
        if not (self.holds and b"requestId" in message.body):
            await self.hooks.answer(message)

    async def _tell(self, payment: Payment) -> None:
        self.told.append(payment)

    def asked(self) -> int:
        """Count the questions."""
        return len(self.sim.received("mpesa", "POST /mpesa/transactionstatus/v1/query/"))


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    """Open a stand whose API user may do everything."""
    async with virtual_time():
        found = Stand(tmp_path / "journal.db")
        async with found.pool, found.hooks:
            yield found


async def test_a_business_pays_and_it_is_told_once(stand: Stand) -> None:
    """One prompt, one question, one end, with the receipt."""
    bill = await stand.pool.collect("mpesa", **BILL)
    stand.sim.settle(bill.provider_reference or "", Status.SUCCEEDED)
    paid = await stand.pool.watch(bill)
    [entry] = stand.sim.ledger
    assert (paid.status, paid.receipt, paid.payer) == (
        Status.SUCCEEDED,
        entry.words["receipt"],
        "till:600999",
    )
    assert (stand.asked(), len(stand.sim.received("mpesa", PUSH))) == (1, 1)
    assert int(stand.sim.ledger.charged(provider="mpesa")) == 500
    assert [one.reference for one in stand.told] == ["bill-7"]
    assert (await stand.pool.verify(paid)).status is Status.SUCCEEDED


async def test_a_cancelled_prompt_is_an_end(stand: Stand) -> None:
    """Nothing is asked: the callback on its own path proves that nothing was paid."""
    bill = await stand.pool.collect("mpesa", **BILL)
    stand.sim.settle(bill.provider_reference or "", Status.CANCELLED)
    end = await stand.pool.watch(bill)
    assert (end.status, end.reason, stand.asked()) == (Status.CANCELLED, Reason.CANCELLED, 0)


async def test_a_lost_acknowledgement_is_ended_by_its_callback(stand: Stand) -> None:
    """The prompt was shown: it is not sent again, and its callback has our id."""
    stand.sim.fault("mpesa", PUSH, kind=Fault.DROP_AFTER)
    with pytest.raises(OutcomeUnknown) as caught:
        await stand.pool.collect("mpesa", **BILL)
    with pytest.raises(OutcomeUnknown):
        await stand.pool.collect("mpesa", **BILL)
    [entry] = stand.sim.ledger
    stand.sim.settle(entry.provider_reference, Status.SUCCEEDED)
    paid = await stand.pool.watch(caught.value.payment)
    assert (paid.status, paid.amount) == (Status.SUCCEEDED, Decimal(500))
    assert len(stand.sim.received("mpesa", PUSH)) == 1


async def test_a_forged_callback_pays_nothing(stand: Stand) -> None:
    """On the true path, with our id: another customer's receipt, or a made-up one."""
    stand.holds = True
    bill = await stand.pool.collect("mpesa", **BILL)
    other = stand.sim.mpesa.pays(bill="x", amount=500)
    stand.sim.settle(bill.provider_reference or "", Status.CANCELLED)
    await asyncio.sleep(1)
    [true] = [one for one in stand.kept if b"requestId" in one.body]
    body = {**json.loads(true.body), **PAID, "requestId": bill.provider_reference}
    for receipt in (other.words["receipt"], "SZZZZZZZZZ"):
        forged = {**body, "amount": "500.0", "transactionId": receipt}
        message = replace(true, body=json.dumps(forged).encode())
        await stand.hooks.answer(message)
        kept = [one async for one in stand.pool.payments() if one.reference == "bill-7"]
        assert [one.status for one in kept] == [Status.PENDING]
    await stand.hooks.answer(true)
    assert (await stand.pool.watch(bill)).status is Status.CANCELLED


async def test_a_prompt_without_a_callback_stays_open(stand: Stand) -> None:
    """Nothing can be asked; the watch ends without an end."""
    bill = await stand.pool.collect("mpesa", **{**BILL, "payer": "till:600004"})
    with pytest.raises(UsageError):
        await stand.pool.verify(bill)
    with pytest.raises(WatchTimeout):
        await stand.pool.watch(bill)
    assert stand.asked() == 0
