"""The simulated B2B Express: its acknowledgement, its callback, and what it refuses."""

import json
from typing import Any

import pytest

from paymux.models import Status
from paymux.simulator import Simulator

from .asking import until
from .daraja import PULL, STATUS, asking, call, listening, parameters, result

PUSH = "/mpesa/v1/ussdpush/get-msisdn"
BILL: dict[str, Any] = {
    "primaryShortCode": "600977",
    "receiverShortCode": "174379",
    "amount": "71",
    "paymentRef": "MAndbubry3hi",
    "callbackUrl": "https://shop.example/till/7f",
    "partnerName": "Vendor",
    "RequestRefID": "404e1aec-19e0-4ce3-973d-bd92e94c8021",
}
STARTED = {"code": "0", "status": "USSD Initiated Successfully"}


async def test_a_success_is_told_as_on_the_page() -> None:
    """The acknowledgement has no id; the callback has the receipt, which the status knows."""
    sim = Simulator()
    got = listening(sim)
    assert await call(sim, PUSH, BILL) == (200, STARTED)
    [entry] = sim.settle(BILL["RequestRefID"], Status.SUCCEEDED)
    await until(lambda: got)
    receipt = entry.words["receipt"]
    assert (got[0].path, json.loads(got[0].body)) == (
        "/till/7f",
        {
            "resultCode": "0",
            "resultDesc": "The service request is processed successfully.",
            "amount": "71.0",
            "requestId": BILL["RequestRefID"],
            "resultType": "0",
            "conversationID": entry.provider_reference,
            "transactionId": receipt,
            "status": "SUCCESS",
        },
    )
    assert sim.ledger.charged() == 71
    assert sim.mpesa.accounts.utility == 1_000_071
    await call(sim, STATUS, asking(TransactionID=receipt))
    await until(lambda: len(got) == 2)
    values = parameters(result(got[1]))
    assert (values["ReceiptNo"], values["ConversationID"]) == (receipt, entry.provider_reference)


@pytest.mark.parametrize(
    ("till", "code"), [("600002", "4001"), ("600005", "4102"), ("600006", "4104")]
)
async def test_a_till_decides(till: str, code: str) -> None:
    """The documented tills fail with their codes, and with our reference."""
    sim = Simulator(payer_delay=0.0)
    got = listening(sim)
    await call(sim, PUSH, {**BILL, "primaryShortCode": till})
    await until(lambda: got)
    said = json.loads(got[0].body)
    assert (said["resultCode"], said["paymentReference"]) == (code, "MAndbubry3hi")
    assert "transactionId" not in said
    assert sim.ledger.charged() == 0


async def test_a_till_may_be_refused_at_once() -> None:
    """If a test says so, in the acknowledgement: then there is no order."""
    sim = Simulator()
    sim.mpesa.till_push.refuses_at_once = True
    status, said = await call(sim, PUSH, {**BILL, "primaryShortCode": "600006"})
    assert (status, said["code"], len(sim.ledger)) == (200, "4104", 0)


async def test_a_repeated_request_is_another_prompt() -> None:
    """No page says that M-Pesa knows a RequestRefID again."""
    sim = Simulator()
    for _ in range(2):
        await call(sim, PUSH, BILL)
    assert len(sim.ledger) == 2


async def test_a_business_is_not_in_the_list_of_customers() -> None:
    """Pull lists what customers paid."""
    sim = Simulator()
    listening(sim)
    sim.mpesa.pull.registered.add("174379")
    await call(sim, PUSH, BILL)
    sim.settle(BILL["RequestRefID"], Status.SUCCEEDED)
    dates = {"StartDate": "2020-01-01 00:00:00", "EndDate": "2099-01-01 00:00:00"}
    _, said = await call(sim, f"{PULL}/query", {"ShortCode": "174379", **dates, "OffSetValue": "0"})
    assert said["Response"] == [[]]


@pytest.mark.parametrize("field", [name for name in BILL if name != "paymentRef"])
async def test_a_field_that_is_missing_is_refused(field: str) -> None:
    """By its name."""
    sim = Simulator()
    status, said = await call(sim, PUSH, {**BILL, field: ""})
    assert (status, said["errorMessage"]) == (400, f"Bad Request - Invalid {field}")
    assert len(sim.ledger) == 0
