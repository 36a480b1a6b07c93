"""The simulated B2B: what its pages say of a request, of its money, and of its result."""

import re
from typing import Any

import pytest

from paymux.models import Status
from paymux.simulator import Simulator

from .asking import until
from .daraja import ROOT, STATUS, URLS, asking, call, listening, parameters, result

B2B, TAX = f"{ROOT}/b2b/v1/paymentrequest", f"{ROOT}/b2b/v1/remittax"
BILL: dict[str, Any] = {
    "Initiator": "testapi",
    "SecurityCredential": "c2ltdWxhdG9y",
    "CommandID": "BusinessPayBill",
    "SenderIdentifierType": "4",
    "RecieverIdentifierType": "4",
    "Amount": "239",
    "PartyA": "600996",
    "PartyB": "600000",
    "AccountReference": "353353",
    "Requester": "254708374149",
    "Remarks": "OK",
    **URLS,
}
KRA = {**BILL, "CommandID": "PayTaxToKRA", "PartyB": "572572", "AccountReference": "PRN1234XN"}


@pytest.mark.parametrize(
    ("path", "body"), [(B2B, BILL), (B2B, {**BILL, "CommandID": "BusinessBuyGoods"}), (TAX, KRA)]
)
async def test_a_payment_is_acknowledged_and_then_told(path: str, body: dict[str, Any]) -> None:
    """The ids are assigned; the money leaves the working account with the result of the page."""
    sim = Simulator(default=Status.SUCCEEDED, payer_delay=0.0)
    got = listening(sim)
    status, taken = await call(sim, path, body)
    assert (status, taken["ResponseCode"], len(taken)) == (200, "0", 4)
    await until(lambda: got)
    said = result(got[0])
    values = parameters(said)
    assert re.fullmatch("[0-9]{14}", values.pop("TransCompletedTime"))
    funds = "{Amount={CurrencyCode=KES, MinimumAmount=99976100, BasicAmount=999761.00}}"
    assert values == {
        "DebitAccountBalance": funds,
        "Amount": "239.00",
        "DebitPartyAffectedAccountBalance": "Working Account|KES|999761.00|999761.00|0.00|0.00",
        "DebitPartyCharges": "",
        "ReceiverPartyPublicName": f"{body['PartyB']} - Biller Company",
        "Currency": "KES",
        "InitiatorAccountCurrentBalance": funds,
    }
    assert (said["ResultType"], said["ResultCode"]) == ("0", "0")
    assert said["ReferenceData"]["ReferenceItem"] == [
        {"Key": "BillReferenceNumber", "Value": body["AccountReference"]},
        {"Key": "QueueTimeoutURL", "Value": URLS["QueueTimeOutURL"]},
    ]
    accounts = sim.mpesa.accounts
    assert (accounts.working, accounts.utility) == (999_761, 1_000_000)
    assert sim.ledger.paid_out(body["AccountReference"]) == 239


async def test_the_same_request_twice_is_two_payments() -> None:
    """No field has an id of the merchant."""
    sim = Simulator(default=Status.SUCCEEDED, payer_delay=0.0)
    listening(sim)
    first, second = [(await call(sim, B2B, BILL))[1] for _ in range(2)]
    for name in ("OriginatorConversationID", "ConversationID"):
        assert first[name] != second[name]
    await until(lambda: sim.ledger.paid_out() == 478)


@pytest.mark.parametrize("command", ["BusinessPayToBulk", "BusinessTransferFromMMFToUtility"])
async def test_a_top_up_stays_the_merchants(command: str) -> None:
    """It moves money from the working account to the utility account, which B2C empties."""
    sim = Simulator(default=Status.SUCCEEDED, payer_delay=0.0)
    got = listening(sim)
    body = {**BILL, "CommandID": command, "PartyB": "600977"}
    del body["AccountReference"], body["Requester"]  # no parameters of this page
    assert (await call(sim, B2B, body))[0] == 200
    await until(lambda: got)
    accounts = sim.mpesa.accounts
    assert (accounts.working, accounts.utility) == (999_761, 1_000_239)


@pytest.mark.parametrize("when", ["asked", "settled"])
async def test_without_money_on_the_working_account_nothing_leaves(when: str) -> None:
    """Code 1, although the utility account has enough, when it is asked and when it is settled."""
    sim = Simulator(payer_delay=0.0)
    got = listening(sim)
    if when == "asked":
        sim.mpesa.accounts.working -= 999_762
    body = {**BILL, "PartyB": "600977"}
    _, taken = await call(sim, B2B, body)
    if when == "settled":
        sim.mpesa.accounts.working -= 999_762
        sim.settle(taken["ConversationID"], Status.SUCCEEDED)
    await until(lambda: got)
    assert result(got[0])["ResultCode"] == "1"
    assert sim.ledger.paid_out() == 0
    assert sim.mpesa.accounts.working == 238


@pytest.mark.parametrize(
    ("receiver", "code"), [("600001", "1"), ("600002", "2006"), ("600006", "SFC_IC0003")]
)
async def test_a_receivers_number_decides(receiver: str, code: str) -> None:
    """The documented receivers fail with their codes."""
    sim = Simulator(payer_delay=0.0)
    got = listening(sim)
    await call(sim, B2B, {**BILL, "PartyB": receiver})
    await until(lambda: got)
    assert result(got[0])["ResultCode"] == code
    assert "ResultParameters" not in result(got[0])


async def test_a_receiver_may_wait_or_time_out() -> None:
    """600004 waits for ever; 600003 expires in the queue, which is told to the other URL."""
    sim = Simulator(payer_delay=0.0)
    got = listening(sim)
    await call(sim, B2B, {**BILL, "PartyB": "600004"})
    await call(sim, B2B, {**BILL, "PartyB": "600003"})
    await until(lambda: got)
    assert [one.path for one in got] == ["/late/7f"]
    assert [entry.status for entry in sim.ledger] == [Status.PENDING, Status.EXPIRED]


@pytest.mark.parametrize(
    ("field", "path", "changes"),
    [
        ("CommandID", B2B, {"CommandID": "BusinessPayment"}),
        ("CommandID", B2B, {"CommandID": "PayTaxToKRA"}),
        ("CommandID", TAX, {**KRA, "CommandID": "BusinessPayBill"}),
        ("SenderIdentifierType", B2B, {"SenderIdentifierType": "1"}),
        ("RecieverIdentifierType", B2B, {"RecieverIdentifierType": "1"}),
        ("RecieverIdentifierType", TAX, {**KRA, "RecieverIdentifierType": "2"}),
        ("Amount", B2B, {"Amount": "0"}),
        ("PartyB", B2B, {"PartyB": "254708374149"}),
        ("PartyB", TAX, {**KRA, "PartyB": "572573"}),
        ("AccountReference", B2B, {"AccountReference": "x" * 14}),
        ("AccountReference", B2B, {"AccountReference": ""}),
        ("AccountReference", TAX, {**KRA, "AccountReference": None}),
        ("Requester", B2B, {"Requester": "600000"}),
        ("Remarks", B2B, {"Remarks": ""}),
        ("ResultURL", B2B, {"ResultURL": "shop"}),
    ],
)
async def test_a_field_of_another_form_is_refused(
    field: str, path: str, changes: dict[str, Any]
) -> None:
    """By its name, before anything is in the ledger."""
    sim = Simulator()
    status, said = await call(sim, path, {**BILL, **changes})
    assert (status, said["errorMessage"]) == (400, f"Bad Request - Invalid {field}")
    assert len(sim.ledger) == 0


@pytest.mark.parametrize(("path", "body", "role"), [(B2B, BILL, "b2b"), (TAX, KRA, "tax")])
async def test_each_operation_has_its_role(path: str, body: dict[str, Any], role: str) -> None:
    """An API user without the role of this operation is told so by code 21."""
    sim = Simulator(default=Status.SUCCEEDED, payer_delay=0.0)
    got = listening(sim)
    others = {"b2c", "b2b", "tax"} - {role}
    sim.mpesa.initiators.add("testapi", "c2ltdWxhdG9y", roles=others)
    await call(sim, path, body)
    await until(lambda: got)
    assert result(got[0])["ResultCode"] == "21"
    sim.mpesa.initiators.add("testapi", "c2ltdWxhdG9y", roles={role})
    await call(sim, path, body)
    await until(lambda: len(got) == 2)
    assert result(got[1])["ResultCode"] == "0"


async def test_its_status_is_asked_by_the_assigned_id() -> None:
    """The status names the account that the money left, and both parties."""
    sim = Simulator(default=Status.SUCCEEDED, payer_delay=0.0)
    got = listening(sim)
    _, taken = await call(sim, B2B, BILL)
    await until(lambda: got)
    named = {"OriginalConversationID": taken["OriginatorConversationID"]}
    await call(sim, STATUS, asking(**named))
    await until(lambda: len(got) == 2)
    values = parameters(result(got[1]))
    assert values["TransactionStatus"] == "Completed"
    assert values["DebitAccountType"] == "Working Account"
    assert values["OriginatorConversationID"] == taken["OriginatorConversationID"]
