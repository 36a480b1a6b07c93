"""Transaction status and the ways of a result, on the simulated Daraja."""

import json
from typing import Any

import pytest

from paymux.models import Status
from paymux.simulator import Fault, Simulator

from ..driving import sample
from .asking import until
from .daraja import (
    B2C,
    BALANCE,
    POCHI,
    REVERSAL,
    STATUS,
    USER,
    answered,
    asking,
    back,
    call,
    form,
    listening,
    paid,
    parameters,
    result,
    wage,
)

BY_ID, BY_OLD_ID = "OriginalConversationID", "OriginatorConversationID"
BALANCES = {**USER, "CommandID": "AccountBalance", "PartyA": "174379", "IdentifierType": "4"}


async def test_an_answer_has_the_pages_form() -> None:
    """The keys and types of a paid payout's answer are those of the page's sample."""
    sim = Simulator()
    got = listening(sim)
    sim.mpesa.accounts.fee = 22
    await call(sim, B2C, wage())
    [entry] = sim.settle("wage-1", Status.SUCCEEDED)
    await until(lambda: got)
    said = await answered(sim, got, STATUS, asking(**{BY_ID: "wage-1"}))
    assert form(said) == form(sample("mpesa", "status_completed")["Result"])
    values = parameters(said)
    assert (values["TransactionStatus"], values["Amount"]) == ("Completed", "100")
    assert values["ReceiptNo"] == entry.words["receipt"]
    assert values["OriginatorConversationID"] == "wage-1"
    assert values["DebitPartyCharges"] == "Fee For B2C Payment|KES|22.00"
    names = [one["Value"] for one in said["ResultParameters"]["ResultParameter"][:2]]
    assert names == ["600996 - Safaricom333", "254712345678 - John Doe"]


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (None, "Authorized"),
        (Status.SUCCEEDED, "Completed"),
        (Status.FAILED, "Declined"),
        (Status.CANCELLED, "Cancelled"),
        (Status.EXPIRED, "Expired"),
    ],
)
async def test_a_payout_is_found_by_its_id(status: Status | None, word: str) -> None:
    """The question works for every state; the parameter has the payment's."""
    sim = Simulator()
    got = listening(sim)
    await call(sim, B2C, wage())
    if status:
        sim.settle("wage-1", status)
        await until(lambda: got)
    said = await answered(sim, got, STATUS, asking(**{BY_ID: "wage-1"}))
    assert (said["ResultCode"], parameters(said)["TransactionStatus"]) == (0, word)


async def test_collects_and_reversals_are_found_by_their_receipts() -> None:
    """A customer's payment has the customer as its debit party; a reversal has the shop."""
    sim = Simulator()
    got = listening(sim)
    entry = await paid(sim)
    await until(lambda: got)
    receipt = entry.words["receipt"]
    said = await answered(sim, got, STATUS, asking(TransactionID=receipt))
    assert parameters(said)["ReceiptNo"] == receipt
    first = said["ResultParameters"]["ResultParameter"][0]["Value"]
    assert first == "254712345678 - John Doe"
    _, taken = await call(sim, REVERSAL, back(receipt))
    [refund] = sim.settle(taken["ConversationID"], Status.SUCCEEDED)
    await until(lambda: len(got) == 3)
    for named in (
        {"TransactionID": refund.words["receipt"]},
        {BY_ID: taken["OriginatorConversationID"]},
    ):
        values = parameters(await answered(sim, got, STATUS, asking(**named)))
        assert (values["ReceiptNo"], values["TransactionStatus"]) == (
            refund.words["receipt"],
            "Completed",
        )
    sim.mpesa.status.reversed = "Reversed"
    said = await answered(sim, got, STATUS, asking(TransactionID=receipt))
    assert parameters(said)["TransactionStatus"] == "Reversed"


async def test_an_unknown_name_is_told_by_a_code() -> None:
    """Nothing but a paid order has a receipt; which code tells it is not known."""
    sim = Simulator()
    got = listening(sim)
    await call(sim, B2C, wage())
    receipt = sim.ledger.entries("wage-1")[0].words["receipt"]
    for named in ({"TransactionID": receipt}, {"TransactionID": "SNOBODY000"}, {BY_ID: "wage-2"}):
        said = await answered(sim, got, STATUS, asking(**named))
        assert (said["ResultCode"], "ResultParameters" in said) == ("SFC_IC0003", False)
    sim.mpesa.status.unknown_code = "2001"
    assert (await answered(sim, got, STATUS, asking(**{BY_ID: "x"})))["ResultCode"] == 2001


@pytest.mark.parametrize("named", [BY_ID, BY_OLD_ID])
async def test_the_gateway_takes_one_name_of_the_id(named: Any) -> None:
    """Two pages have two names: the one that is not taken is like none."""
    sim = Simulator()
    got = listening(sim)
    sim.mpesa.status.named = named
    await call(sim, B2C, wage())
    other = BY_OLD_ID if named == BY_ID else BY_ID
    for fields in ({other: "wage-1"}, {}, {named: "", "TransactionID": None}):
        status, refused = await call(sim, STATUS, asking(**fields))
        assert (status, refused["errorCode"]) == (400, "400.002.02")
        said = "Bad Request - Invalid TransactionID|OriginalConversationID"
        assert refused["errorMessage"] == said
    assert (await answered(sim, got, STATUS, asking(**{named: "wage-1"})))["ResultCode"] == 0


async def test_a_pochi_payout_is_one_of_b2c() -> None:
    """The page's request is accepted, its id is used up for B2C, too, and its result is B2C's."""
    sim = Simulator()
    got = listening(sim)
    body = sample("mpesa", "pochi_request")
    assert (await call(sim, POCHI, body))[0] == 200
    reference = body["OriginatorConversationID"]
    again = await call(sim, B2C, wage(reference))
    assert again[1]["errorMessage"] == "Duplicate OriginatorConversationID."
    sim.settle(reference, Status.SUCCEEDED)
    await until(lambda: got)
    assert sorted(parameters(result(got[0]))) == sorted(
        parameters(sample("mpesa", "b2c_paid")["Result"])
    )
    assert sim.ledger.paid_out(reference) == 10


async def test_a_repeated_id_has_three_answers_and_none_pays() -> None:
    """The duplicate is told at once, by an acknowledgement with code 1, or by result 15."""
    sim = Simulator()
    got = listening(sim)
    await call(sim, B2C, wage())
    sim.mpesa.b2c.duplicate = "200"
    status, taken = await call(sim, B2C, wage())
    assert (status, taken["ResponseCode"]) == (200, "1")
    sim.mpesa.b2c.duplicate = "15"
    said = await answered(sim, got, B2C, wage())
    assert (said["ResultCode"], said["OriginatorConversationID"]) == (15, "wage-1")
    sim.settle("wage-1", Status.SUCCEEDED)
    assert sim.ledger.paid_out("wage-1") == 100


@pytest.mark.parametrize("shape", ["result", "request"])
async def test_a_queue_timeout_decides_nothing(shape: Any) -> None:
    """It has either known shape, and the payout may be paid before it or after."""
    sim = Simulator()
    got = listening(sim)
    sim.mpesa.results.timeout = shape
    await call(sim, B2C, wage())
    sim.mpesa.time_out("wage-1")
    await until(lambda: got)
    body = json.loads(got[0].body)
    assert got[0].path == "/late/7f"
    if shape == "result":
        assert form(body) == form(sample("mpesa", "result_waited"))
    else:
        assert set(sample("mpesa", "request_waited")) - {"Occassion"} <= set(body)
        assert body["SecurityCredential"] == "c2ltdWxhdG9y"
    assert sim.ledger.paid_out("wage-1") == 0
    sim.mpesa.results.to_timeout_url = 1.0
    sim.settle("wage-1", Status.SUCCEEDED)
    await until(lambda: len(got) == 2)
    assert got[1].path == "/late/7f"
    assert sim.ledger.paid_out("wage-1") == 100
    await call(sim, BALANCE, BALANCES)
    await until(lambda: len(got) == 3)
    assert got[2].path == "/late/7f"


async def test_results_are_lost_doubled_and_late() -> None:
    """Shares of the results, and what a test plans for one order, do not change the ledger."""
    sim = Simulator()
    got = listening(sim)
    for number in range(4):
        await call(sim, B2C, wage(f"wage-{number}"))
    sim.mpesa.results.lost = 1.0
    sim.settle("wage-0", Status.SUCCEEDED)
    sim.mpesa.results.lost = 0.0
    sim.mpesa.results.delay = 0.05
    sim.settle("wage-1", Status.SUCCEEDED)
    sim.mpesa.results.delay = lambda random: 0.0 * random.random()
    sim.mpesa.results.twice = 1.0
    sim.settle("wage-2", Status.SUCCEEDED)
    sim.mpesa.results.twice = 0.0
    sim.fault("mpesa", "wage-3", kind=Fault.WEBHOOK_LOST)
    sim.settle("wage-3", Status.SUCCEEDED)
    await until(lambda: len(got) == 3)
    told = [result(one)["OriginatorConversationID"] for one in got]
    assert told == ["wage-2", "wage-2", "wage-1"]
    assert sim.ledger.paid_out() == 400


async def test_a_forged_answer_claims_a_success() -> None:
    """It comes first, and looks like a true one; the ledger has no payment."""
    sim = Simulator()
    got = listening(sim)
    await call(sim, B2C, wage())
    sim.fault("mpesa", kind=Fault.WEBHOOK_FORGED)
    await call(sim, STATUS, asking(**{BY_ID: "wage-1"}))
    await until(lambda: len(got) == 2)
    words = [parameters(result(one))["TransactionStatus"] for one in got]
    assert words == ["Completed", "Authorized"]
    assert sim.ledger.paid_out() == 0


async def test_a_failure_may_carry_what_looks_like_a_receipt() -> None:
    """The sample with 2001 has a receipt, that of a reversal a dummy; nothing was paid."""
    sim = Simulator()
    got = listening(sim)
    sim.mpesa.results.failure_id = "receipt"
    await call(sim, B2C, wage())
    [entry] = sim.settle("wage-1", Status.FAILED, code="2001")
    await until(lambda: got)
    said = result(got[0])
    assert form(said) == form(sample("mpesa", "b2c_initiator_wrong")["Result"])
    assert said["TransactionID"] == entry.words["receipt"]


async def test_one_item_is_an_object_or_a_list_and_codes_may_be_text() -> None:
    """Both forms were printed by the provider."""
    sim = Simulator()
    got = listening(sim)
    sim.mpesa.results.one_as_object, sim.mpesa.results.texts = False, True
    await call(sim, B2C, wage())
    sim.settle("wage-1", Status.SUCCEEDED)
    await until(lambda: got)
    said = result(got[0])
    assert (said["ResultType"], said["ResultCode"]) == ("0", "0")
    assert isinstance(said["ReferenceData"]["ReferenceItem"], list)


async def test_a_wrong_credential_locks_its_user() -> None:
    """Each wrong one is 2001; after three in a row the right one is 8006, too, until a reset."""
    sim = Simulator(payer_delay=0.0)
    got = listening(sim)
    users = sim.mpesa.initiators
    users.add("testapi", "right", roles=("b2c", "balance"))
    right = {**BALANCES, "SecurityCredential": "right"}
    codes = [
        (await answered(sim, got, BALANCE, body))["ResultCode"]
        for body in (BALANCES, BALANCES, right, BALANCES, BALANCES, BALANCES, right)
    ]
    assert codes == ["2001", "2001", "0", "2001", "2001", "2001", "8006"]
    await call(sim, B2C, wage(SecurityCredential="right"))
    await until(lambda: len(got) == 8)
    assert (result(got[7])["ResultCode"], users.locked("testapi")) == (8006, True)
    users.reset("testapi")
    assert (await answered(sim, got, BALANCE, right))["ResultCode"] == "0"
    said = await answered(sim, got, STATUS, asking(SecurityCredential="right", **{BY_ID: "wage-1"}))
    assert said["ResultCode"] == 21
    assert (await answered(sim, got, BALANCE, {**right, "Initiator": "x"}))["ResultCode"] == "2001"
    assert sim.ledger.paid_out() == 0


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("Initiator", (None, "")),
        ("SecurityCredential", (None,)),
        ("CommandID", (None, "AccountBalance")),
        ("PartyA", ("x",)),
        ("IdentifierType", ("3",)),
        ("Remarks", ("",)),
        ("ResultURL", (None,)),
        ("QueueTimeOutURL", ("shop",)),
    ],
)
async def test_a_bad_question_is_refused_by_its_field(field: str, values: tuple[Any, ...]) -> None:
    """Nothing is answered to a question that the gateway refuses."""
    sim = Simulator()
    for value in values:
        _, refused = await call(sim, STATUS, asking(**{BY_ID: "wage-1", field: value}))
        assert refused["errorMessage"] == f"Bad Request - Invalid {field}"
    assert sim.deliveries == []
