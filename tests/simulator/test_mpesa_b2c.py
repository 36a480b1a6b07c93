import re
from decimal import Decimal
from typing import Any

import pytest

from paymux.models import Reason, Status
from paymux.simulator import Fault, Simulator

from .asking import ask, login, password, push, told, until
from .daraja import call, listening, parameters, result

V1, V3 = (f"/mpesa/mpesa/b2c/{version}/paymentrequest" for version in ("v1", "v3"))
BALANCE = "/mpesa/mpesa/accountbalance/v1/query"
URLS = {
    "QueueTimeOutURL": "https://shop.example/late/7f",
    "ResultURL": "https://shop.example/done/7f",
}
WAGE = {
    "OriginatorConversationID": "wage-1",
    "InitiatorName": "testapi",
    "SecurityCredential": "c2ltdWxhdG9y",
    "CommandID": "BusinessPayment",
    "Amount": "100",
    "PartyA": "600996",
    "PartyB": "254712345678",
    "Remarks": "May",
    **URLS,
}
QUESTION = {
    "Initiator": "testapi",
    "SecurityCredential": "c2ltdWxhdG9y",
    "CommandID": "AccountBalance",
    "PartyA": "600996",
    "IdentifierType": "4",
    "Remarks": "ok",
    **URLS,
}
DONE = "The service request is processed successfully."


@pytest.mark.parametrize("amount", ["100", 100])
@pytest.mark.parametrize(
    "occasion", [{}, {"Occassion": ""}, {"Occassion": "Christmas"}, {"Occasion": "Eid"}]
)
async def test_a_payout_is_acknowledged_and_then_told(
    amount: str | int, occasion: dict[str, str]
) -> None:
    """The answer only accepts; the money moves with the result, whose body is the docs'."""
    sim = Simulator()
    got = listening(sim)
    status, taken = await call(sim, V3, {**WAGE, "Amount": amount, **occasion})
    conversation = taken["ConversationID"]
    assert re.fullmatch(r"AG_[0-9]{8}_[0-9a-f]{20}", conversation)
    ids = {"OriginatorConversationID": "wage-1", "ConversationID": conversation}
    accepted = {
        "ResponseCode": "0",
        "ResponseDescription": "Accept the service request successfully.",
    }
    assert (status, taken) == (200, {**ids, **accepted})
    assert sim.ledger.paid_out("wage-1") == len(got) == 0
    [entry] = sim.settle("wage-1", Status.SUCCEEDED)
    assert (entry.kind, entry.party, entry.provider_reference) == (
        "payout",
        "254712345678",
        conversation,
    )
    assert sim.ledger.paid_out("wage-1") == sim.ledger.paid_out(conversation) == 100
    await until(lambda: got)
    said, receipt = result(got[0]), entry.words["receipt"]
    told_then = parameters(said)
    assert re.fullmatch(r"[0-9.]{10} [0-9:]{8}", told_then.pop("TransactionCompletedDateTime"))
    assert told_then == {
        "TransactionAmount": 100,
        "TransactionReceipt": receipt,
        "B2CRecipientIsRegisteredCustomer": "Y",
        "B2CChargesPaidAccountAvailableFunds": 0.0,
        "ReceiverPartyPublicName": "254712345678 - John Doe",
        "B2CUtilityAccountAvailableFunds": 999_900.0,
        "B2CWorkingAccountAvailableFunds": 1_000_000.0,
    }
    url = "https://internalsandbox.safaricom.co.ke/mpesa/b2cresults/v1/submit"
    del said["ResultParameters"]
    assert (got[0].method, got[0].path) == ("POST", "/done/7f")
    assert said == {
        "ResultType": 0,
        "ResultCode": 0,
        "ResultDesc": DONE,
        **ids,
        "TransactionID": receipt,
        "ReferenceData": {"ReferenceItem": {"Key": "QueueTimeoutURL", "Value": url}},
    }


async def test_the_first_version_makes_its_own_ids() -> None:
    """v1 has no id of the merchant: the same request twice is two payouts."""
    sim = Simulator(default=Status.SUCCEEDED, payer_delay=0.0)
    wage = {key: value for key, value in WAGE.items() if key != "OriginatorConversationID"}
    first, second = [(await call(sim, V1, body))[1] for body in (wage, wage)]
    assert first["ResponseCode"] == second["ResponseCode"] == "0"
    assert len({one[name] for one in (first, second) for name in one if name.endswith("ID")}) == 4
    await until(lambda: sim.ledger.paid_out() == 200)
    assert sim.ledger.paid_out(first["ConversationID"]) == 100


@pytest.mark.parametrize("outcome", [None, Status.SUCCEEDED, Status.FAILED, Status.EXPIRED])
async def test_an_id_is_taken_once(outcome: Status | None) -> None:
    """A repeated id is HTTP 500, whatever its payout's status, and nothing is paid twice."""
    sim = Simulator()
    listening(sim)
    await call(sim, V3, WAGE)
    if outcome:
        sim.settle("wage-1", outcome)
    status, refused = await call(sim, V3, {**WAGE, "Amount": "70"})
    assert (status, refused["errorCode"]) == (500, "500.002.1001")
    assert refused["errorMessage"] == "Duplicate OriginatorConversationID."
    assert len(sim.ledger) == 1
    assert (await call(sim, V3, {**WAGE, "OriginatorConversationID": "wage-2"}))[0] == 200


async def test_an_id_of_a_refused_request_or_of_a_push_is_free() -> None:
    """Only an accepted payout uses up its id."""
    sim = Simulator()
    assert (await call(sim, V3, {**WAGE, "Amount": "0"}))[0] == 400
    await call(sim, "/mpesa/mpesa/stkpush/v1/processrequest", push(reference="wage-1"))
    assert (await call(sim, V3, WAGE))[0] == 200


@pytest.mark.parametrize(
    ("path", "field", "values"),
    [
        (V3, "OriginatorConversationID", (None, "", "9" * 129)),
        (V3, "InitiatorName", (None, "")),
        (V3, "SecurityCredential", ("",)),
        (V3, "CommandID", ("AccountBalance", "businesspayment")),
        (V3, "Amount", ("0", "10.5", -10, True, None)),
        (V3, "PartyA", ("1234", "12345678")),
        (V3, "PartyB", ("0712345678", "+254712345678", "254212345678")),
        (V3, "Remarks", (None, "x", "x" * 101)),
        (V3, "QueueTimeOutURL", (None, "")),
        (V3, "ResultURL", (None, "ftp://shop.example/done", "https:///done")),
        (BALANCE, "Initiator", (None, "")),
        (BALANCE, "SecurityCredential", (None, "")),
        (BALANCE, "CommandID", (None, "BusinessPayment")),
        (BALANCE, "PartyA", ("x",)),
        (BALANCE, "IdentifierType", (None, "3")),
        (BALANCE, "Remarks", ("",)),
        (BALANCE, "QueueTimeOutURL", (None,)),
        (BALANCE, "ResultURL", ("shop",)),
    ],
)
async def test_a_bad_request_is_refused_by_its_field(
    path: str, field: str, values: tuple[Any, ...]
) -> None:
    """Every field but Occassion is required, in the docs' form, before an order is opened."""
    sim = Simulator()
    for value in values:
        status, refused = await call(
            sim, path, {**(WAGE if path == V3 else QUESTION), field: value}
        )
        assert (status, refused["errorCode"]) == (400, "400.002.02")
        assert refused["errorMessage"] == f"Bad Request - Invalid {field}"
    assert len(sim.ledger) == len(sim.deliveries) == 0


@pytest.mark.parametrize("path", [V1, V3, BALANCE])
async def test_a_token_is_wanted(path: str) -> None:
    """No token and a stale one have the codes of every other request."""
    sim = Simulator()
    body = QUESTION if path == BALANCE else WAGE
    assert told(await ask(sim, "POST", path, body))["errorCode"] == "404.001.04"
    headers = await login(sim)
    sim.mpesa.tokens.revoke()
    reply = await ask(sim, "POST", path, body, headers=headers)
    assert (reply.status, told(reply)["errorCode"]) == (401, "401.002.01")
    assert len(sim.ledger) == 0


@pytest.mark.parametrize(
    ("status", "reason", "code", "told_code", "description"),
    [
        (Status.FAILED, None, None, 2040, "Credit Party customer type"),
        (Status.FAILED, Reason.DECLINED, None, 2040, "Credit Party customer type"),
        (Status.FAILED, Reason.INSUFFICIENT_FUNDS, None, 1, "The balance is insufficient"),
        (Status.FAILED, Reason.LIMIT, None, 4, "would exceed daily transfer limit"),
        (Status.FAILED, Reason.LIMIT, "8", 8, "would exceed the maximum balance."),
        (Status.FAILED, None, "2001", 2001, "The initiator information is invalid."),
        (Status.FAILED, None, "SFC_IC0003", "SFC_IC0003", "The operator does not exist."),
        (Status.EXPIRED, None, "26", 26, "Failed"),
        (Status.SUCCEEDED, None, "17", 17, "Failed"),
    ],
)
async def test_a_failure_has_a_dummy_receipt_and_no_parameters(
    status: Status, reason: Reason | None, code: str | None, told_code: int | str, description: str
) -> None:
    """A numeric code is sent as a number; a test may set a misleading one."""
    sim = Simulator()
    got = listening(sim)
    await call(sim, V3, WAGE)
    sim.settle("wage-1", status, reason=reason, code=code)
    await until(lambda: got)
    said = result(got[0])
    assert (got[0].path, said["ResultType"], said["ResultCode"]) == ("/done/7f", 0, told_code)
    assert description in said["ResultDesc"]
    assert re.fullmatch(r"[A-Z0-9]{3}0000000", said["TransactionID"])
    assert "ResultParameters" not in said
    assert "ReferenceData" in said
    assert sim.ledger.paid_out("wage-1") == (100 if status is Status.SUCCEEDED else 0)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"PartyB": "254708374149"}, 0),
        ({"PartyB": "254708374141"}, 1),
        ({"PartyB": "254708374140"}, 2040),
        ({"PartyB": "254708374148"}, 4),
        ({"Amount": "9"}, 2),
        ({"Amount": "250001"}, 3),
        ({"Amount": "501"}, 1),
    ],
)
async def test_a_payout_is_decided_by_its_number_or_amount(
    fields: dict[str, str], code: int
) -> None:
    """The sandbox's number is paid; what M-Pesa declines is a result, not a refusal."""
    sim = Simulator(payer_delay=0.0)
    sim.mpesa.accounts.utility = Decimal(500)
    got = listening(sim)
    assert (await call(sim, V3, {**WAGE, **fields}))[0] == 200
    await until(lambda: got)
    assert result(got[0])["ResultCode"] == code
    assert sim.ledger.paid_out("wage-1") == (0 if code else 100)


async def test_a_queue_timeout_has_its_own_url_and_proves_nothing() -> None:
    """A success may come late, with its result."""
    sim = Simulator()
    got = listening(sim)
    _, taken = await call(sim, V3, WAGE)
    sim.settle("wage-1", Status.EXPIRED)
    await until(lambda: got)
    assert got[0].path == "/late/7f"
    ids = {name: taken[name] for name in ("OriginatorConversationID", "ConversationID")}
    timeout = {"ResultType": 1, "ResultCode": "1", "ResultDesc": "The service request timed out."}
    assert result(got[0]) == {**timeout, **ids}
    assert sim.ledger.paid_out("wage-1") == 0
    sim.settle("wage-1", Status.SUCCEEDED)
    await until(lambda: len(got) == 2)
    assert (got[1].path, result(got[1])["ResultCode"]) == ("/done/7f", 0)
    assert sim.ledger.paid_out("wage-1") == 100


@pytest.mark.parametrize("truth", [Status.FAILED, Status.EXPIRED])
async def test_a_forged_result_claims_a_success(truth: Status) -> None:
    """Nothing is signed: a forged result looks like a true one, except for its receipt."""
    sim = Simulator()
    got = listening(sim)
    sim.fault("mpesa", "wage-1", kind=Fault.WEBHOOK_FORGED)
    await call(sim, V3, WAGE)
    [entry] = sim.settle("wage-1", truth)
    await until(lambda: len(got) == 2)
    forged, true = map(result, got)
    assert (forged["ResultCode"], forged["ResultDesc"]) == (0, DONE)
    assert (
        parameters(forged)["TransactionReceipt"]
        == forged["TransactionID"]
        != entry.words["receipt"]
    )
    assert true["ResultCode"] not in (0, "0")
    assert sim.ledger.paid_out("wage-1") == 0


async def test_the_balance_is_the_ledgers() -> None:
    """Collects fill the utility account and payouts empty it; open orders do neither."""
    sim = Simulator()
    got = listening(sim)
    for reference in ("order-1", "order-2"):
        await call(sim, "/mpesa/mpesa/stkpush/v1/processrequest", push(reference=reference))
    for reference in ("wage-1", "wage-2"):
        await call(sim, V3, {**WAGE, "OriginatorConversationID": reference})
    sim.settle("order-1", Status.SUCCEEDED)
    sim.settle("wage-1", Status.SUCCEEDED)
    await until(lambda: len(got) == 2)
    status, taken = await call(sim, BALANCE, QUESTION)
    assert (status, taken["ResponseCode"], len(taken)) == (200, "0", 4)
    await until(lambda: len(got) == 3)
    said = result(got[2])
    values = parameters(said)
    assert (got[2].path, len(values["BOCompletedTime"])) == ("/done/7f", 14)
    assert (said["ResultType"], said["ResultCode"], said["ResultDesc"]) == (
        "0",
        "0",
        DONE.rstrip("."),
    )
    for name in ("ConversationID", "OriginatorConversationID"):
        assert said[name] == taken[name]
    accounts = [account.split("|") for account in values["AccountBalance"].split("&")]
    held = {name: (currency, current) for name, currency, current, *_ in accounts}
    assert held.pop("Utility Account") == ("KES", "1000150.00")
    assert held.pop("Working Account") == ("KES", "1000000.00")
    others = (
        "Float Account",
        "Charges Paid Account",
        "Organization Settlement Account",
    )
    assert held == dict.fromkeys(others, ("KES", "0.00"))
    assert all(account[3:] == [account[2], "0.00", "0.00"] for account in accounts)
    assert said["ReferenceData"]["ReferenceItem"]["Value"].endswith("/abresults/v1/submit")


async def test_a_payout_is_no_push() -> None:
    """A payout's id is unknown to the query of pushes."""
    sim = Simulator()
    _, taken = await call(sim, V3, WAGE)
    body = {**password(), "CheckoutRequestID": taken["ConversationID"]}
    status, refused = await call(sim, "/mpesa/mpesa/stkpushquery/v1/query", body)
    assert (status, refused["errorMessage"]) == (400, "Bad Request - Invalid CheckoutRequestID")


async def test_other_versions_are_not_there() -> None:
    """B2C has versions 1 and 3, and account balance has one."""
    sim = Simulator()
    headers = await login(sim)
    for path in (V3.replace("v3", "v2"), BALANCE.replace("v1", "v2")):
        assert (await ask(sim, "POST", path, WAGE, headers=headers)).status == 404
    for path in (V3, BALANCE):
        assert (await ask(sim, "GET", path, headers=headers)).status == 405
