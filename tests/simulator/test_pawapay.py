import json
import time
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import pytest

from paymux.http import WebhookRequest
from paymux.models import Reason, Status
from paymux.simulator import Simulator
from paymux.testing.clock import virtual_time

from .asking import ask, told

TOKEN = {"authorization": "Bearer simulator"}
SHOP = "https://shop.example/pay"
BENIN = "22951345789"  # the page's payer


def uuid(number: int) -> str:
    """Return an id as a merchant makes it."""
    return str(UUID(int=number, version=4))


async def call(sim: Simulator, method: str, path: str, body: Any = None) -> Any:
    """Call the API with its token, and return the status and the body."""
    reply = await ask(sim, method, f"/pawapay/v2/{path}", body, headers=TOKEN)
    return reply.status, told(reply)


def deposit(number: int = 1, party: str = BENIN, **changes: Any) -> dict[str, Any]:
    """Return the body of a deposit of 500 francs at MTN Benin."""
    details = {"phoneNumber": party, "provider": changes.pop("provider", "MTN_MOMO_BEN")}
    whose = "payer" if "payoutId" not in changes else "recipient"
    ids = {} if "payoutId" in changes else {"depositId": uuid(number)}
    party_of = {whose: {"type": "MMO", "accountDetails": details}}
    return {**ids, "amount": "500", "currency": "XOF", **party_of, **changes}


def payout(number: int = 2, party: str = BENIN, **changes: Any) -> dict[str, Any]:
    """Return the body of a payout of 500 francs at MTN Benin."""
    return deposit(party=party, payoutId=uuid(number), **changes)


def refund(number: int = 3, of: int = 1, **changes: Any) -> dict[str, Any]:
    """Return the body of a refund."""
    return {"refundId": uuid(number), "depositId": uuid(of), **changes}


def code(body: Any) -> str:
    """Return the code of a refusal."""
    found: str = body["failureReason"]["failureCode"]
    return found


async def paid(sim: Simulator, number: int = 1) -> None:
    """Have a deposit paid."""
    await call(sim, "POST", "deposits", deposit(number))
    sim.settle(uuid(number), Status.SUCCEEDED)


async def state(sim: Simulator, path: str) -> Any:
    """Return a payment as a status check shows it."""
    _, body = await call(sim, "GET", path)
    return body["data"]


async def test_a_token_is_needed_for_all_but_the_availability() -> None:
    """No token is 401, a wrong one 403, each with the code of the page."""
    sim = Simulator()
    reply = await ask(sim, "GET", "/pawapay/v2/active-conf")
    assert (reply.status, code(told(reply))) == (401, "NO_AUTHENTICATION")
    wrong = {"authorization": "Bearer wrong"}
    reply = await ask(sim, "GET", "/pawapay/v2/active-conf", headers=wrong)
    assert (reply.status, code(told(reply))) == (403, "AUTHENTICATION_ERROR")
    assert (await ask(sim, "GET", "/pawapay/v2/availability")).status == 200


async def test_the_same_id_is_accepted_once() -> None:
    """A second request with an id moves nothing, whatever else it asks for."""
    sim = Simulator()
    assert (await call(sim, "POST", "deposits", deposit()))[1]["status"] == "ACCEPTED"
    _, again = await call(sim, "POST", "deposits", deposit(amount="900"))
    assert again["status"] == "DUPLICATE_IGNORED"
    assert [entry.amount for entry in sim.ledger] == [Decimal(500)]


async def test_a_refused_id_is_not_known() -> None:
    """What was refused is not found, and its id is free."""
    sim = Simulator()
    _, body = await call(sim, "POST", "deposits", deposit(currency="KES"))
    assert (body["status"], code(body)) == ("REJECTED", "INVALID_CURRENCY")
    assert await call(sim, "GET", f"deposits/{uuid(1)}") == (200, {"status": "NOT_FOUND"})
    assert len(sim.ledger) == 0


@pytest.mark.parametrize(
    ("changes", "status", "expected"),
    [
        ({"payer": None}, 400, "MISSING_PARAMETER"),
        ({"msisdn": "1"}, 400, "UNSUPPORTED_PARAMETER"),
        ({"depositId": "1"}, 400, "INVALID_PARAMETER"),
        ({"depositId": "f4401bd2-1568-1140-bf2d-eb77d2b2b639"}, 400, "INVALID_PARAMETER"),
        ({"amount": "5.00"}, 400, "INVALID_PARAMETER"),
        ({"amount": 5}, 400, "INVALID_PARAMETER"),
        ({"customerMessage": "abc"}, 400, "INVALID_PARAMETER"),
        ({"customerMessage": "Order, 5"}, 400, "INVALID_PARAMETER"),
        ({"metadata": {"a": "b"}}, 400, "INVALID_PARAMETER"),
        ({"metadata": [{"a": "b", "c": "d"}]}, 400, "INVALID_PARAMETER"),
        ({"metadata": [{"a": "b"}, {"a": "c"}]}, 400, "DUPLICATE_METADATA_FIELD"),
        ({"payer": {"type": "MSISDN"}}, 400, "INVALID_PARAMETER"),
        ({"provider": "MTN_BEN"}, 200, "INVALID_PROVIDER"),
        ({"party": "250783456789"}, 200, "INVALID_PHONE_NUMBER"),
        ({"party": "+22951345789"}, 200, "INVALID_PHONE_NUMBER"),
        ({"amount": "5.5"}, 200, "INVALID_AMOUNT"),
        ({"amount": "5000001"}, 200, "AMOUNT_OUT_OF_BOUNDS"),
    ],
)
async def test_a_request_is_refused_with_the_code_of_the_page(
    changes: dict[str, Any], status: int, expected: str
) -> None:
    """Each check has its code, and nothing is opened."""
    sim = Simulator()
    found, body = await call(sim, "POST", "deposits", deposit(**changes))
    assert (found, code(body), body["status"]) == (status, expected, "REJECTED")
    assert len(sim.ledger) == 0


@pytest.mark.parametrize(
    ("kind", "number", "word", "failed"),
    [
        ("deposits", "22951345029", "FAILED", "PAYER_NOT_FOUND"),
        ("deposits", "22951345039", "FAILED", "PAYMENT_NOT_APPROVED"),
        ("deposits", "22951345069", "FAILED", "UNSPECIFIED_FAILURE"),
        ("deposits", "22951345129", "SUBMITTED", None),
        ("deposits", "22951345789", "COMPLETED", None),
        ("payouts", "22951345089", "FAILED", "RECIPIENT_NOT_FOUND"),
        ("payouts", "22951345119", "FAILED", "UNSPECIFIED_FAILURE"),
        ("payouts", "22951345129", "SUBMITTED", None),
        ("payouts", "22951345789", "COMPLETED", None),
    ],
)
async def test_the_numbers_of_the_page_do_what_it_says(
    kind: str, number: str, word: str, failed: str | None
) -> None:
    """Also with payers who pay by default: a stuck number never ends, and no callback comes."""
    sim = Simulator(default=Status.SUCCEEDED)
    sim.pawapay.webhook_url = SHOP
    heard: list[WebhookRequest] = []
    sim.on_webhook(heard.append)
    async with virtual_time():
        asked = deposit(party=number) if kind == "deposits" else payout(party=number)
        await call(sim, "POST", kind, asked)
        assert (await state(sim, f"{kind}/{asked.get('payoutId', uuid(1))}"))["status"] != "FAILED"
        await sim.core.pause(60)
        said = await state(sim, f"{kind}/{asked.get('payoutId', uuid(1))}")
    assert said["status"] == word
    assert (code(said) if failed else None) == failed
    assert len(heard) == (0 if word == "SUBMITTED" else 1)


async def test_a_callback_has_no_reference_of_the_merchant() -> None:
    """`clientReferenceId` is in the status check, and not in a callback."""
    sim = Simulator()
    sim.pawapay.webhook_url = SHOP
    heard: list[WebhookRequest] = []
    sim.on_webhook(heard.append)
    async with virtual_time():
        await call(sim, "POST", "deposits", deposit(clientReferenceId="INV-1"))
        await sim.core.pause(5)
    told_of = json.loads(heard[0].body)
    asked = await state(sim, f"deposits/{uuid(1)}")
    assert asked.pop("clientReferenceId") == "INV-1"
    assert told_of == asked
    assert asked["amount"] == "500.00"


async def test_a_payout_is_reserved_and_comes_back_when_it_fails() -> None:
    """The wallet of the country pays at once, and is paid back on a failure; a late success."""
    sim = Simulator()
    wallet = sim.pawapay.wallets
    await call(sim, "POST", "payouts", payout(party="22951345000"))
    assert wallet["BEN/XOF"] == 999_500
    sim.settle(uuid(2), Status.FAILED, reason=Reason.UNKNOWN_PAYEE)
    assert wallet["BEN/XOF"] == 1_000_000
    assert code(await state(sim, f"payouts/{uuid(2)}")) == "RECIPIENT_NOT_FOUND"
    sim.settle(uuid(2), Status.SUCCEEDED)
    assert wallet["BEN/XOF"] == 999_500
    await paid(sim)
    assert wallet["BEN/XOF"] == 1_000_000


async def test_a_wallet_without_the_money_pays_nothing() -> None:
    """A payout beyond the wallet is refused with its code."""
    sim = Simulator()
    sim.pawapay.wallets["BEN/XOF"] = Decimal(499)
    _, body = await call(sim, "POST", "payouts", payout())
    assert code(body) == "PAWAPAY_WALLET_OUT_OF_FUNDS"
    assert sim.ledger.paid_out() == 0


async def test_a_slow_operator_makes_payouts_wait_until_they_are_cancelled() -> None:
    """ENQUEUED can be cancelled: it fails with MANUALLY_CANCELLED, and the money is there again."""
    sim = Simulator(default=Status.SUCCEEDED)
    sim.pawapay.delayed = ["MTN_MOMO_BEN"]
    _, refused = await call(sim, "POST", "deposits", deposit())
    assert code(refused) == "PROVIDER_TEMPORARILY_UNAVAILABLE"
    await call(sim, "POST", "payouts", payout())
    assert (await state(sim, f"payouts/{uuid(2)}"))["status"] == "ENQUEUED"
    _, done = await call(sim, "POST", f"payouts/fail-enqueued/{uuid(2)}")
    assert done == {"payoutId": uuid(2), "status": "ACCEPTED"}
    ended = await state(sim, f"payouts/{uuid(2)}")
    assert (ended["status"], code(ended)) == ("FAILED", "MANUALLY_CANCELLED")
    assert sim.pawapay.wallets["BEN/XOF"] == 1_000_000
    _, again = await call(sim, "POST", f"payouts/fail-enqueued/{uuid(2)}")
    assert code(again) == "INVALID_STATE"
    _, unknown = await call(sim, "POST", f"payouts/fail-enqueued/{uuid(9)}")
    assert code(unknown) == "NOT_FOUND"


async def test_a_closed_operator_takes_nothing() -> None:
    """Neither a deposit nor a payout."""
    sim = Simulator()
    sim.pawapay.closed = ["MTN_MOMO_BEN"]
    for path, body in (("deposits", deposit()), ("payouts", payout())):
        _, said = await call(sim, "POST", path, body)
        assert code(said) == "PROVIDER_TEMPORARILY_UNAVAILABLE"


async def test_refunds_are_bounded_by_their_deposit_and_wait_for_each_other() -> None:
    """One at a time, in parts, the rest without an amount, and never more than was paid."""
    sim = Simulator()
    assert code((await call(sim, "POST", "refunds", refund()))[1]) == "NOT_FOUND"
    await call(sim, "POST", "deposits", deposit(party="22951345000"))
    assert code((await call(sim, "POST", "refunds", refund()))[1]) == "INVALID_STATE"
    sim.settle(uuid(1), Status.SUCCEEDED)
    part = refund(amount="200", currency="XOF")
    assert (await call(sim, "POST", "refunds", part))[1]["status"] == "ACCEPTED"
    assert (await call(sim, "POST", "refunds", part))[1]["status"] == "DUPLICATE_IGNORED"
    assert code((await call(sim, "POST", "refunds", refund(4)))[1]) == "REFUND_IN_PROGRESS"
    sim.settle(uuid(3), Status.SUCCEEDED)
    more = refund(4, amount="301", currency="XOF")
    assert code((await call(sim, "POST", "refunds", more))[1]) == "AMOUNT_TOO_LARGE"
    await call(sim, "POST", "refunds", refund(5))
    assert (await state(sim, f"refunds/{uuid(5)}"))["amount"] == "300.00"
    sim.settle(uuid(5), Status.SUCCEEDED)
    assert code((await call(sim, "POST", "refunds", refund(6)))[1]) == "DEPOSIT_ALREADY_REFUNDED"
    assert sim.ledger.refunded() == 500


async def test_a_callback_is_sent_again_for_what_has_ended() -> None:
    """Else it is INVALID_STATE, and an unknown id is NOT_FOUND."""
    sim = Simulator()
    sim.pawapay.webhook_url = SHOP
    heard: list[WebhookRequest] = []
    sim.on_webhook(heard.append)
    await call(sim, "POST", "deposits", deposit(party="22951345000"))
    path = f"deposits/resend-callback/{uuid(1)}"
    assert code((await call(sim, "POST", path))[1]) == "INVALID_STATE"
    async with virtual_time():
        sim.settle(uuid(1), Status.SUCCEEDED)
        assert (await call(sim, "POST", path))[1]["status"] == "ACCEPTED"
        await sim.core.pause(1)
    assert len(heard) == 2
    unknown = await call(sim, "POST", f"payouts/resend-callback/{uuid(1)}")
    assert code(unknown[1]) == "NOT_FOUND"


async def test_a_payer_of_wave_is_led_to_a_page() -> None:
    """The address comes with a callback and the status check, and needs both URLs."""
    sim = Simulator()
    sim.pawapay.webhook_url = SHOP
    heard: list[WebhookRequest] = []
    sim.on_webhook(heard.append)
    asked = deposit(party="221701234567", provider="WAVE_SEN")
    assert code((await call(sim, "POST", "deposits", asked))[1]) == "MISSING_PARAMETER"
    urls = {"successfulUrl": f"{SHOP}/yes", "failedUrl": f"{SHOP}/no"}
    async with virtual_time():
        _, body = await call(sim, "POST", "deposits", {**asked, **urls})
        assert body["nextStep"] == "GET_AUTH_URL"
        await sim.core.pause(1)
    said = json.loads(heard[0].body)
    assert (said["status"], said["nextStep"]) == ("PROCESSING", "REDIRECT_TO_AUTH_URL")
    page = urlsplit(said["authorizationUrl"]).path
    reply = await ask(sim, "POST", page, {"decision": "approve"}, form=True)
    assert reply.headers["location"] == f"{SHOP}/yes"
    assert sim.ledger.charged() == 500


async def test_orange_burkina_needs_a_code_of_the_payer() -> None:
    """PREAUTH: without `preAuthorisationCode` it is refused."""
    sim = Simulator()
    asked = deposit(party="22607345678", provider="ORANGE_BFA")
    assert code((await call(sim, "POST", "deposits", asked))[1]) == "MISSING_PARAMETER"
    _, body = await call(sim, "POST", "deposits", {**asked, "preAuthorisationCode": "367025"})
    assert body["status"] == "ACCEPTED"


PAGE = {
    "depositId": uuid(1),
    "returnUrl": f"{SHOP}/back",
    "amountDetails": {"amount": "500", "currency": "XOF"},
    "country": "BEN",
}


async def test_a_deposit_of_the_page_exists_once_its_payer_pays() -> None:
    """Before, it is not found; then the payer is led back with its id."""
    sim = Simulator()
    _, body = await call(sim, "POST", "paymentpage", PAGE)
    page = urlsplit(body["redirectUrl"]).path
    assert (await call(sim, "GET", f"deposits/{uuid(1)}"))[1] == {"status": "NOT_FOUND"}
    assert (await ask(sim, "GET", page)).status == 200
    assert (await call(sim, "GET", f"deposits/{uuid(1)}"))[1] == {"status": "NOT_FOUND"}
    reply = await ask(sim, "POST", page, {"decision": "approve"}, form=True)
    assert reply.headers["location"] == f"{SHOP}/back?{urlencode({'depositId': uuid(1)})}"
    assert (await state(sim, f"deposits/{uuid(1)}"))["status"] == "COMPLETED"
    assert (await call(sim, "POST", "deposits", deposit()))[1]["status"] == "DUPLICATE_IGNORED"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"returnUrl": None}, "MISSING_PARAMETER"),
        ({"country": None}, "MISSING_PARAMETER"),
        ({"msisdn": "1"}, "UNSUPPORTED_PARAMETER"),
        ({"country": "KEN"}, "INVALID_CURRENCY"),
    ],
)
async def test_a_page_is_refused_with_a_code(changes: dict[str, Any], expected: str) -> None:
    """As a deposit is."""
    sim = Simulator()
    assert code((await call(sim, "POST", "paymentpage", {**PAGE, **changes}))[1]) == expected
    assert (await ask(sim, "GET", f"/pawapay/pay/{uuid(1)}")).status == 404


async def test_the_configuration_has_what_the_operators_do() -> None:
    """Limits, decimals and states, for a country and an operation alone if they are named."""
    sim = Simulator()
    sim.pawapay.delayed, sim.pawapay.closed = ["MOOV_BEN"], ["MTN_MOMO_BEN"]
    _, conf = await call(sim, "GET", "active-conf?country=BEN&operationType=PAYOUT")
    [country] = conf["countries"]
    states = {
        one["provider"]: one["currencies"][0]["operationTypes"] for one in country["providers"]
    }
    assert states["MTN_MOMO_BEN"].keys() == {"PAYOUT"}
    assert states["MTN_MOMO_BEN"]["PAYOUT"]["status"] == "CLOSED"
    assert states["MOOV_BEN"]["PAYOUT"]["status"] == "DELAYED"
    assert states["MOOV_BEN"]["PAYOUT"]["decimalsInAmount"] == "NONE"
    sim.pawapay.toolkit.operations_as_list = True
    _, conf = await call(sim, "GET", "active-conf?country=RWA")
    listed = conf["countries"][0]["providers"][0]["currencies"][0]["operationTypes"]
    assert [next(iter(one)) for one in listed] == ["DEPOSIT", "PAYOUT", "REFUND"]
    _, available = await call(sim, "GET", "availability?country=RWA")
    assert available[0]["providers"][0]["operationTypes"][0] == {
        "operationType": "DEPOSIT",
        "status": "OPERATIONAL",
    }


@pytest.mark.parametrize(
    ("written", "operator"),
    [
        ("+250 783 456 789", "MTN_MOMO_RWA"),
        ("25007834-56789a", None),
        ("00260763456789", "MTN_MOMO_ZMB"),
        ("12025550100", None),
        ("250", None),
    ],
)
async def test_an_operator_is_predicted_from_a_number(written: str, operator: str | None) -> None:
    """Whatever is between the digits; a number of no operator is refused."""
    status, body = await call(Simulator(), "POST", "predict-provider", {"phoneNumber": written})
    assert body.get("provider") == operator
    if operator is None:
        assert (status, code(body)) == (400, "INVALID_PARAMETER")


async def test_wallets_are_listed_by_country() -> None:
    """DR Congo has two."""
    _, body = await call(Simulator(), "GET", "wallet-balances?country=COD")
    assert body["balances"] == [
        {"country": "COD", "balance": "1000000.00", "currency": money, "provider": ""}
        for money in ("CDF", "USD")
    ]


STATEMENT = {
    "wallet": {"country": "BEN", "currency": "XOF"},
    "callbackUrl": f"{SHOP}/statement",
    "startDate": "2026-11-01T00:00:00Z",
    "endDate": "2026-12-01T00:00:00Z",
    "compressed": False,
}


async def test_a_statement_is_told_of_and_downloaded() -> None:
    """Its own address is told of it; the file has what moved."""
    sim = Simulator()
    heard: list[WebhookRequest] = []
    sim.on_webhook(heard.append)
    await paid(sim)
    async with virtual_time():
        _, body = await call(sim, "POST", "statements", STATEMENT)
        await sim.core.pause(1)
    assert (heard[0].path, json.loads(heard[0].body)["status"]) == ("/pay/statement", "COMPLETED")
    ready = await state(sim, f"statements/{body['statementId']}")
    file = await ask(sim, "GET", urlsplit(ready["downloadUrl"]).path)
    assert f"{uuid(1)},collect,COMPLETED,XOF,500" in file.body.decode()
    assert (await call(sim, "GET", "statements/none"))[1] == {"status": "NOT_FOUND"}
    assert (await ask(sim, "GET", "/pawapay/statements/none.csv")).status == 404


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"wallet": {"country": "BEN"}}, "WALLET_NOT_FOUND"),
        ({"wallet": "BEN"}, "WALLET_NOT_FOUND"),
        ({"startDate": "yesterday"}, "INVALID_PARAMETER"),
        ({"startDate": "2026-10-01T00:00:00Z"}, "INVALID_DATE_RANGE"),
    ],
)
async def test_a_statement_that_cannot_be_is_refused(
    changes: dict[str, Any], expected: str
) -> None:
    """No wallet, no dates, or more than 31 days."""
    status, body = await call(Simulator(), "POST", "statements", {**STATEMENT, **changes})
    assert (status, code(body)) == (400, expected)


async def test_an_unknown_path_is_not_found() -> None:
    """What is not simulated is 404, and a body that is not JSON is INVALID_INPUT."""
    sim = Simulator()
    assert (await call(sim, "GET", "remittances"))[0] == 404
    assert (await ask(sim, "GET", "/pawapay/other", headers=TOKEN)).status == 404
    reply = await ask(sim, "POST", "/pawapay/v2/deposits", b"<xml>", headers=TOKEN)
    assert code(told(reply)) == "INVALID_INPUT"


async def first(sim: Simulator, method: str, path: str, body: Any = None) -> Any:
    """Call version 1 of the API, and return its answer."""
    return told(await ask(sim, method, f"/pawapay/{path}", body, headers=TOKEN))


def deposit_v1(number: int = 1, party: str = BENIN, **changes: Any) -> dict[str, Any]:
    """Return the body of a deposit of version 1, as in pawaPay's example."""
    return {
        "depositId": uuid(number),
        "amount": "500",
        "currency": "XOF",
        "correspondent": "MTN_MOMO_BEN",
        "payer": {"type": "MSISDN", "address": {"value": party}},
        "customerTimestamp": "2020-02-21T17:32:28Z",
        "statementDescription": "Signed deposit",
        "metadata": [{"fieldName": "orderId", "fieldValue": "ORD-1"}],
        **changes,
    }


async def test_version_1_has_lists_and_the_amount_that_was_paid() -> None:
    """An unknown id is an empty list; both versions know the same payments."""
    sim = Simulator()
    assert await first(sim, "GET", f"deposits/{uuid(1)}") == []
    accepted = await first(sim, "POST", "deposits", deposit_v1(party="22951345000"))
    assert accepted.keys() == {"depositId", "status", "created"}
    again = await first(sim, "POST", "deposits", deposit_v1())
    assert again["status"] == "DUPLICATE_IGNORED"
    assert (await first(sim, "GET", f"deposits/{uuid(1)}"))[0]["status"] == "SUBMITTED"
    sim.settle(uuid(1), Status.SUCCEEDED)
    [paid_for] = await first(sim, "GET", f"deposits/{uuid(1)}")
    assert (paid_for["requestedAmount"], paid_for["depositedAmount"]) == ("500.00", "500.00")
    assert (await state(sim, f"deposits/{uuid(1)}"))["status"] == "COMPLETED"
    assert sim.ledger.charged() == 500


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"payer": {}}, "INVALID_PAYER_FORMAT"),
        ({"correspondent": "MTN_BEN"}, "INVALID_CORRESPONDENT"),
        ({"amount": "5000001"}, "AMOUNT_TOO_LARGE"),
        ({"statementDescription": "abc"}, "PARAMETER_INVALID"),
        ({"currency": "KES"}, "INVALID_CURRENCY"),
    ],
)
async def test_version_1_refuses_in_its_own_words(changes: dict[str, Any], expected: str) -> None:
    """`rejectionReason`, and the codes of version 1, with HTTP 200."""
    sim = Simulator()
    refused = await first(sim, "POST", "deposits", deposit_v1(**changes))
    assert (refused["status"], refused["rejectionReason"]["rejectionCode"]) == (
        "REJECTED",
        expected,
    )
    assert len(sim.ledger) == 0


async def test_version_1_pays_out_refunds_and_cancels() -> None:
    """A payout that waits is ENQUEUED at once; an operator's failure has the words of v1."""
    sim = Simulator()
    wage = deposit_v1(payoutId=uuid(2), recipient=deposit_v1()["payer"])
    sim.pawapay.delayed = ["MTN_MOMO_BEN"]
    assert (await first(sim, "POST", "payouts", wage))["status"] == "ENQUEUED"
    assert (await first(sim, "POST", f"payouts/fail-enqueued/{uuid(2)}"))["status"] == "ACCEPTED"
    [ended] = await first(sim, "GET", f"payouts/{uuid(2)}")
    assert code(ended) == "MANUALLY_CANCELLED"
    sim.pawapay.delayed = []
    await paid(sim)
    back = await first(sim, "POST", "refunds", refund(amount="500"))
    assert back["status"] == "ACCEPTED"
    sim.settle(uuid(3), Status.FAILED)
    [ended] = await first(sim, "GET", f"refunds/{uuid(3)}")
    assert (ended["amount"], code(ended)) == ("500.00", "OTHER_ERROR")
    sent_again = await first(sim, "POST", "refunds/resend-callback", {"refundId": uuid(3)})
    assert sent_again["status"] == "ACCEPTED"
    balances = await first(sim, "GET", "wallet-balances/BEN")
    assert [one["currency"] for one in balances["balances"]] == ["XOF"]


async def test_version_1_has_a_page() -> None:
    """The currency of the page is that of its country."""
    sim = Simulator()
    page = await first(
        sim,
        "POST",
        "v1/widget/sessions",
        {
            "depositId": uuid(1),
            "returnUrl": f"{SHOP}/back",
            "statementDescription": "Note of 4 to 22 chars",
            "amount": "15",
            "msisdn": "260763456789",
            "language": "EN",
            "country": "ZMB",
            "reason": "Ticket to festival",
        },
    )
    path = urlsplit(page["redirectUrl"]).path
    reply = await ask(sim, "POST", path, {"decision": "approve"}, form=True)
    assert reply.status == 302
    assert sim.ledger.totals()["pawapay", "collect", "ZMW"] == 15


async def test_a_callback_may_be_of_version_1() -> None:
    """With `callback_version`, it has the fields of v1; a forged one claims that all was paid."""
    sim = Simulator()
    sim.pawapay.webhook_url, sim.pawapay.callback_version = SHOP, "v1"
    await call(sim, "POST", "deposits", deposit(party="22951345000"))
    sim.settle(uuid(1), Status.FAILED, reason=Reason.BUSY)
    true, lie = (
        json.loads(sim.pawapay.message(sim.ledger.newest, forged=forged).body)
        for forged in (False, True)
    )
    assert code(true) == "TRANSACTION_ALREADY_IN_PROCESS"
    assert (lie["status"], lie["depositedAmount"]) == ("COMPLETED", "500.00")


async def test_a_signed_account_takes_no_order_without_a_signature() -> None:
    """Nor one with a key, a time or a digest that is not its own; look-ups need none."""
    sim = Simulator()
    sim.pawapay.signed_requests_only = True
    sim.pawapay.signing.request_keys = {"SHOP:1": "PEM"}
    told_input = 'sig-pp=("@method");alg="ecdsa-p256-sha256";keyid="{}";created={};expires={}'
    now = int(time.time())
    for key, created, expires in (("OTHER", now, now), ("SHOP:1", 1, 2), ("SHOP:1", now, now + 9)):
        headers = {**TOKEN, "signature-input": told_input.format(key, created, expires)}
        reply = await ask(sim, "POST", "/pawapay/v2/deposits", deposit(), headers=headers)
        assert (reply.status, code(told(reply))) == (403, "HTTP_SIGNATURE_ERROR")
    assert (await call(sim, "POST", "deposits", deposit()))[0] == 403
    assert (await call(sim, "GET", f"deposits/{uuid(1)}"))[0] == 200
    assert len(sim.ledger) == 0
