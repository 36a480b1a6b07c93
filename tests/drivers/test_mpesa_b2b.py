"""B2B of M-Pesa: each page's request, what is refused unsent, and what an answer proves."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from paymux.drivers.base import Facts
from paymux.drivers.mpesa import Mpesa, codes
from paymux.drivers.mpesa.b2b import B2B, TAX
from paymux.drivers.mpesa.till_push import own_id as till_id
from paymux.errors import OutcomeUnknown, Rejected, Unsupported, UsageError
from paymux.http import Response
from paymux.models import Payment, Reason, Status, merge
from tests.driving import Script, drive, sample
from tests.driving import reply as sampled

from .mpesa_initiator import (
    CREDENTIAL,
    DRIVER,
    RESULT,
    TIMEOUT,
    another,
    body_of,
    fault,
    held,
    incoming,
    order,
    parameters,
    reply,
    result,
    told,
)

ASSIGNED = "5118-111210482-1"
CONVERSATION = "AG_20230420_2010759fd5662ef6d054"
PAYBILL: dict[str, Any] = {
    "party": "paybill:000000",
    "bill_reference": "353353",
    "amount": Decimal(239),
    "description": "OK",
}
TILL = {**PAYBILL, "party": "till:000000"}
TOP_UP = {**PAYBILL, "party": "paybill:600000", "extra": {"command_id": "BusinessPayToBulk"}}
KRA = {**PAYBILL, "party": "paybill:572572"}
REQUESTER = {"requester": "254700000000"}


def acked() -> Response:
    """Return the page's acknowledgement."""
    return sampled("mpesa", "b2b_ack.200")


def paid_out(answer: Response | None = None, **changes: Any) -> tuple[Any, Script]:
    """Pay out, and return the payment and what was sent."""
    script = Script(DRIVER, answer or acked())
    return drive(DRIVER.payout(script, order(**changes))), script


@pytest.mark.parametrize(
    ("name", "path", "changes"),
    [
        ("b2b_paybill_request", B2B, {**PAYBILL, "extra": REQUESTER}),
        ("b2b_till_request", B2B, {**TILL, "extra": REQUESTER}),
        ("b2b_top_up_request", B2B, {**TOP_UP, "extra": {**TOP_UP["extra"], **REQUESTER}}),
        ("b2b_tax_request", TAX, KRA),
    ],
)
def test_a_request_has_the_pages_fields_in_its_order(
    name: str, path: str, changes: dict[str, Any]
) -> None:
    """Every field of the page's sample is sent, in its order and as text; the answer accepts."""
    payment, script = paid_out(**changes)
    page, said = sample("mpesa", name), body_of(script)
    assert list(said) == list(page)
    ours = {
        "Initiator": "testapi",
        "SecurityCredential": CREDENTIAL,
        "PartyA": "600992",
        "QueueTimeOutURL": TIMEOUT,
        "ResultURL": RESULT,
    }
    requester = {"Requester": "254700000000"} if "Requester" in page else {}
    assert said == {**page, **ours, **requester}
    (request,) = script.requests
    assert (request.path, request.money, request.repeatable) == (path, True, False)
    assert request.credential == "security_credential"
    assert (payment.status, payment.receipt) == (Status.PENDING, None)
    assert (payment.provider_reference, payment.ids) == (
        ASSIGNED,
        {"ConversationID": CONVERSATION},
    )
    assert (payment.payee, payment.bill_reference) == (changes["party"], "353353")


def test_an_occasion_comes_last_where_the_page_has_it() -> None:
    """Pay bill and buy goods have it in their tables, in the page's spelling."""
    for changes in (PAYBILL, TILL):
        _, script = paid_out(**changes, extra={"occasion": "x" * 100})
        assert list(body_of(script).items())[-1] == ("Occassion", "x" * 100)
    _, script = paid_out(**{**PAYBILL, "description": "x" * 100})
    assert body_of(script)["Remarks"] == "x" * 100


def test_a_till_and_a_top_up_need_no_account() -> None:
    """What stands in its place is the first 13 characters of the reference."""
    for changes in (TILL, TOP_UP):
        _, script = paid_out(**{**changes, "bill_reference": None, "reference": "wage-7-of-may-26"})
        assert body_of(script)["AccountReference"] == "wage-7-of-may"


def test_b2b_leaves_the_shortcode_and_never_that_of_b2c() -> None:
    """The account that B2C pays out of is topped up, and does not pay others."""
    driver = another(DRIVER, b2c_shortcode="600997")
    script = Script(driver, acked())
    drive(driver.payout(script, order(**{**TOP_UP, "party": "paybill:600997"})))
    assert (body_of(script)["PartyA"], body_of(script)["PartyB"]) == ("600992", "600997")


def test_money_between_own_accounts_stays_in_this_shortcode() -> None:
    """The command that moves it takes no other receiver."""
    own = {"extra": {"command_id": "BusinessTransferFromMMFToUtility"}}
    _, script = paid_out(**{**PAYBILL, **own, "party": "paybill:600992"})
    said = body_of(script)
    assert (said["CommandID"], said["PartyA"], said["PartyB"]) == (
        "BusinessTransferFromMMFToUtility",
        "600992",
        "600992",
    )
    with pytest.raises(UsageError) as caught:
        paid_out(**{**PAYBILL, **own})
    assert caught.value.name == "payee"


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("bill_reference", {**PAYBILL, "bill_reference": None}),
        ("bill_reference", {**KRA, "bill_reference": None}),
        ("bill_reference", {**PAYBILL, "bill_reference": "x" * 14}),
        ("bill_reference", {**TILL, "bill_reference": "x" * 14}),
        ("bill_reference", {"bill_reference": "353353"}),  # a phone has no accounts
        ("bill_reference", {"party": "pochi:254705912645", "bill_reference": "353353"}),
        ("webhook_url", {**PAYBILL, "webhook_url": None}),
        ("description", {**PAYBILL, "description": "x" * 101}),
        ("command_id", {**PAYBILL, "extra": {"command_id": "BusinessPayment"}}),
        ("command_id", {**PAYBILL, "extra": {"command_id": "PayTaxToKRA"}}),
        ("command_id", {**PAYBILL, "extra": {"command_id": ["BusinessPayBill"]}}),
        ("command_id", {**TILL, "extra": {"command_id": "BusinessPayBill"}}),
        ("command_id", {**KRA, "extra": {"command_id": "BusinessPayBill"}}),
        ("extra", {**PAYBILL, "extra": {"account_reference": "order-7"}}),
        ("extra", {**KRA, "extra": {"occasion": "June"}}),
        ("extra", {**KRA, "extra": REQUESTER}),
        ("extra", {**TOP_UP, "extra": {**TOP_UP["extra"], "occasion": "June"}}),
        ("occasion", {**PAYBILL, "extra": {"occasion": ""}}),
        ("occasion", {**PAYBILL, "extra": {"occasion": "x" * 101}}),
        ("requester", {**PAYBILL, "extra": {"requester": "till:123456"}}),
        ("requester", {**PAYBILL, "extra": {"requester": 7}}),
        ("extra", {"extra": REQUESTER}),  # B2C has no such field
    ],
)
def test_bad_input_is_named_and_never_sent(field: str, changes: dict[str, Any]) -> None:
    """UsageError names the field, and no request is made."""
    script = Script(DRIVER)
    with pytest.raises(UsageError) as caught:
        drive(DRIVER.payout(script, order(**changes)))
    assert (caught.value.name, script.requests) == (field, [])


def test_what_is_accepted_is_said() -> None:
    """The commands of a payee, and what a bill's reference is."""
    with pytest.raises(UsageError, match="BusinessPayBill, BusinessPayToBulk, Business"):
        paid_out(**{**PAYBILL, "extra": {"command_id": "x"}})
    with pytest.raises(UsageError, match="account at the paybill"):
        paid_out(**{**PAYBILL, "bill_reference": None})
    with pytest.raises(UsageError, match="payout"):
        drive(another(DRIVER, initiator_name="").payout(Script(DRIVER), order(**PAYBILL)))


@pytest.mark.parametrize("field", ["initiator_name", "security_credential"])
def test_an_api_user_is_needed(field: str) -> None:
    """Without one nothing is sent."""
    driver = another(DRIVER, **{field: ""})
    with pytest.raises(UsageError, match=field):
        drive(driver.payout(Script(driver), order(**PAYBILL)))


def test_a_tax_number_may_be_longer_than_an_account() -> None:
    """The page of the tax states no length, and its command takes what the pool takes."""
    _, script = paid_out(**{**KRA, "bill_reference": "2020260001234567"})
    assert body_of(script)["AccountReference"] == "2020260001234567"


@pytest.mark.parametrize("changes", [PAYBILL, TILL, TOP_UP, KRA])
def test_a_lost_acknowledgement_leaves_nothing_to_ask_by(changes: dict[str, Any]) -> None:
    """B2B has no id of ours: it is unknown, sent once, and never asked for under another's id."""
    script = Script(DRIVER, fault(500, "500.001.1001", "Internal Server Error"))
    with pytest.raises(OutcomeUnknown):
        drive(DRIVER.payout(script, order(**changes)))
    assert len(script.requests) == 1
    lost = DRIVER.pending(order(**changes))
    assert (lost.provider_reference, lost.ids, DRIVER.asks(lost)) == (None, {}, None)
    with pytest.raises(Unsupported):
        drive(DRIVER.find(Script(DRIVER), lost))


@pytest.mark.parametrize(
    "answer",
    [
        {"ResponseCode": "1"},
        {"ResponseCode": None},
        {"ConversationID": ""},
        {"OriginatorConversationID": None},
    ],
)
def test_an_answer_that_accepts_nothing_is_unknown(answer: dict[str, Any]) -> None:
    """Only ResponseCode 0 with both ids is an acceptance."""
    said = reply(200, {**sample("mpesa", "b2b_ack.200"), **answer})
    with pytest.raises(OutcomeUnknown):
        paid_out(said, **PAYBILL)


def test_a_refused_field_is_refused_for_certain() -> None:
    """The gateway's own error is before any money."""
    answer = fault(400, "400.002.02", "Bad Request - Invalid PartyB")
    with pytest.raises(Rejected) as caught:
        paid_out(answer, **PAYBILL)
    assert caught.value.details == {"field": "PartyB"}


def test_the_facts_differ_by_payee() -> None:
    """B2C has an id of ours, which M-Pesa takes once; B2B has none, also once it is a payment."""
    none = Facts(deduplicates=False, findable=False, not_found_final_after=None)
    for changes in (PAYBILL, TILL, TOP_UP, KRA):
        assert DRIVER.facts_of(order(**changes)) == none
        assert DRIVER.facts_of(DRIVER.pending(order(**changes))) == none
    for party in ("254705912645", "pochi:254705912645"):
        assert DRIVER.facts_of(order(party=party)) == Mpesa.facts["payout"]
    assert DRIVER.facts_of(held(payee=None)) == Mpesa.facts["payout"]
    assert DRIVER.facts_of(held("collect", payee="till:123456")) == Mpesa.facts["collect"]


@pytest.mark.parametrize(
    ("kind", "changes", "ids"),
    [
        ("payout", {}, {"OriginatorConversationID": "600992_wage-7"}),
        ("payout", {"party": "till:000000"}, {}),
        ("collect", {"party": "254705912645"}, {}),
        (
            "collect",
            {"party": "254705912645", "extra": {"account_reference": "A-7"}},
            {"AccountReference": "A-7"},
        ),
        ("collect", {"party": "254705912645", "extra": {"account_reference": 7}}, {}),
        ("collect", {"party": "till:000001"}, {"RequestRefID": till_id(DRIVER, "wage-7")}),
        ("refund", {}, {}),
    ],
)
def test_an_order_is_known_by_our_ids_before_any_answer(
    kind: str, changes: dict[str, Any], ids: dict[str, str]
) -> None:
    """Those that its request has, and no other: what has none of ours is never asked for by one."""
    assert DRIVER.pending(order(kind, **changes)).ids == ids


def test_it_is_asked_for_by_the_assigned_id_at_its_own_shortcode() -> None:
    """Even where B2C has another shortcode: what B2B paid left the first one."""
    driver = another(DRIVER, b2c_shortcode="600997")
    known = held(payee="paybill:000000", provider_reference=ASSIGNED)
    assert driver.asks(known) == "verify"
    answer = sample("mpesa", "status_completed")
    for payee, party in (("paybill:000000", "600992"), ("254708374149", "600997")):
        script = Script(driver, *told(answer))
        with pytest.raises(Exception, match="another payment"):
            drive(driver.verify(script, replace(known, payee=payee)))
        assert body_of(script)["PartyA"] == party
        assert body_of(script)["OriginalConversationID"] == ASSIGNED


def accepted(**changes: Any) -> Payment:
    """Return a payment to a paybill as it is held, with the ids of `result`."""
    ids = {"provider_reference": "600992_wage-7", "ids": {"ConversationID": "AG_1"}}
    fields = {"amount": Decimal(190), "payee": "paybill:000000", "bill_reference": "19008"}
    return held(**{**ids, **fields, **changes})


def believed(body: dict[str, Any], known: Payment) -> Payment:
    """Return an order after a message to its own path, for an account that cannot ask."""
    driver = replace(DRIVER, status_role=False)
    path = {"path_reference": known.reference, "path_use": "payout"}
    event = replace(driver.webhook(incoming(body)), **path)
    proved = driver.proof(event, known)
    assert proved is not None
    return merge(known, proved)


def test_the_pages_results_are_read() -> None:
    """Text and numbers, a dash in a name, a time without its zone; a failure has no receipt."""
    claims = DRIVER.webhook(incoming(sample("mpesa", "b2b_paid"))).claims
    assert (claims.status, claims.amount, claims.receipt) == (
        Status.SUCCEEDED,
        Decimal("190.00"),
        "QKA81LK5CY",
    )
    assert claims.paid_at is not None
    assert (claims.paid_at.isoformat(), claims.payee) == ("2022-11-10T08:07:17+00:00", None)
    wrong = DRIVER.webhook(incoming(sample("mpesa", "b2b_initiator_wrong"))).claims
    assert (wrong.status, wrong.receipt, wrong.provider_status) == (Status.FAILED, None, "2001")


@pytest.mark.parametrize("code", ["0", *codes.INITIATOR, "1", "11", "2006", "SFC_IC0003", "17"])
def test_a_code_means_what_it_means_in_b2c(code: str) -> None:
    """One table for all payouts: what is not in it, or proves nothing, is pending."""
    body = result(code, ResultParameters=parameters(Amount=190))
    expected = codes.result(DRIVER, "payout", code, "words")
    found = believed(body, accepted())
    assert (found.status, found.reason) == expected
    assert found.status is not Status.FAILED or code not in ("0", "17")


def test_lack_of_money_is_ours() -> None:
    """The working account has too little: our reason says so, and no money moved."""
    found = believed(result("1"), accepted())
    assert (found.status, found.reason) == (Status.FAILED, Reason.INSUFFICIENT_FUNDS)


@pytest.mark.parametrize(
    "changes",
    [
        {"provider_reference": None},
        {"provider_reference": "5118-1"},
        {"ids": {}},
        {"ids": {"ConversationID": "AG_2"}},
    ],
)
def test_a_result_without_both_assigned_ids_ends_nothing(changes: dict[str, Any]) -> None:
    """A failure that is believed is paid again: it needs both ids that were told to us alone."""
    known = accepted(**changes)
    for code in ("0", "1"):
        body = result(code, ResultParameters=parameters(Amount=190))
        assert believed(body, known).status is Status.PENDING
