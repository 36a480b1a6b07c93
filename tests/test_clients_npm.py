"""Clients from npm, unmodified, against the simulator (see `tests/clients/install`)."""

import os
import shutil
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from paymux.models import Status
from paymux.simulator import Simulator

from .simulator.daraja import parameters
from .test_clients import ROOT, SHOP, running
from .test_clients_daraja import SANDBOX, URLS, sale, state, street

pytestmark = pytest.mark.slow


def npm_client(name: str) -> tuple[str, Path, Path]:
    """Return node, the program, and the folder that npm installed a client in; skip without."""
    told = os.environ.get("PAYMUX_CLIENTS")
    folder = (Path(told) if told else ROOT / ".venv-clients").absolute() / f"npm-{name}"
    node = shutil.which("node")
    if node is None or not folder.exists():
        reason = f"npm {name} is not installed: no node, or no {folder} (tests/clients/install)"
        pytest.fail(reason) if told else pytest.skip(reason)
    return str(node), ROOT / f"tests/clients/{name.replace('-', '_')}.js", folder


async def test_npm_daraja() -> None:
    """The npm package daraja pays out and asks; its reversal is refused for a misspelt field.

    It sends ReceiverIdentifierType, where the page "Reversal" has RecieverIdentifierType, and no
    Amount, which the page requires.
    """
    node, program, folder = npm_client("daraja")
    async with (
        street() as (sim, heard),
        running("daraja", "1.0.1", node, program, folder, sim.url) as ask,
    ):
        who = ("testapi", "password")
        ends = (URLS["ResultURL"], URLS["QueueTimeOutURL"])
        what = ("BusinessPayment", "May", "x")
        made = await ask("b2cPaymentRequest", 100, int(SANDBOX), *who, *what, *ends)
        await heard.result(made["conversationId"])
        assert sim.ledger.paid_out() == 100
        receipt = await sale(sim, heard)
        made = await ask("transactionStatusRequest", receipt, 4, *who, "ok", "x", *ends)
        assert state(await heard.result(made["conversationId"])) == "Completed"
        made = await ask("accountBalanceRequest", 4, *who, "ok", *ends)
        said = await heard.result(made["conversationId"])
        assert "Utility Account|KES|1000150.00" in parameters(said)["AccountBalance"]
        refused = await ask("reversalRequest", receipt, *who, "Back", "x", *ends)
        assert "Bad Request - Invalid" in refused["said"]
        assert sim.ledger.refunded() == 0
        made = await ask("c2bRegisterUrl", f"{SHOP}/v/7f", f"{SHOP}/c/7f", "Completed")
        assert made["responseDescription"] == "Accept the service request successfully."
        await ask("c2bSimulateTransaction", 5, int(SANDBOX), "bill-1")
        assert [(await heard.body())["BillRefNumber"] for _ in range(2)] == ["bill-1", "bill-1"]


PAID, WAGE, BACK = (str(UUID(int=number, version=4)) for number in (1, 2, 3))
DETAILS = {"phoneNumber": "260763456789", "provider": "MTN_MOMO_ZMB"}
MMO = {"type": "MMO", "accountDetails": DETAILS}
MSISDN = {"type": "MSISDN", "address": {"value": "260763456789"}}


async def test_npm_pawapay_sdk() -> None:
    """The npm package pawapay-sdk collects, pays out, refunds and asks; its example is refused.

    The amount "100.00" of its README does not match the pattern of pawaPay's page, and it cancels a
    payout by DELETE, where the page has POST.
    """
    node, program, folder = npm_client("pawapay-sdk")
    async with Simulator() as sim:
        url = f"{sim.url}/pawapay"
        async with running("pawapay-sdk", "1.0.3", node, program, folder, url) as ask:
            order = {"depositId": PAID, "amount": "100.00", "currency": "ZMW", "payer": MMO}
            refused = await ask("requestDeposit", order)
            assert refused["said"]["failureReason"]["failureCode"] == "INVALID_PARAMETER"
            order["amount"] = "100"
            assert (await ask("requestDeposit", order))["said"]["status"] == "ACCEPTED"
            assert (await ask("requestDeposit", order))["said"]["status"] == "DUPLICATE_IGNORED"
            await sim.wait(PAID, Status.SUCCEEDED)
            said = (await ask("checkDepositStatus", PAID))["said"]
            assert (said["status"], said["data"]["status"]) == ("FOUND", "COMPLETED")
            assert (await ask("checkDepositStatus", WAGE))["said"] == {"status": "NOT_FOUND"}
            assert (await ask("resendDepositCallback", PAID))["said"]["status"] == "ACCEPTED"
            wage = {"payoutId": WAGE, "amount": "50.5", "currency": "ZMW", "recipient": MMO}
            assert (await ask("requestPayout", wage))["said"]["status"] == "ACCEPTED"
            await sim.wait(WAGE, Status.SUCCEEDED)
            assert (await ask("checkPayoutStatus", WAGE))["said"]["data"]["status"] == "COMPLETED"
            assert (await ask("cancelEnqueuedPayout", WAGE))["status"] == 404
            back = {"refundId": BACK, "depositId": PAID, "amount": "30", "currency": "ZMW"}
            assert (await ask("initiateRefund", back))["said"]["status"] == "ACCEPTED"
            assert (await ask("checkRefundStatus", BACK))["said"]["data"]["amount"] == "30.00"
            guess = await ask("getProviderPrediction", "+260 763 456 789")
            assert guess["said"]["provider"] == "MTN_MOMO_ZMB"
            conf = (await ask("getActiveConfiguration"))["said"]
            assert conf["companyName"] == "Simulator"
            assert (await ask("getProviderAvailability"))["success"]
            assert (await ask("getWalletBalances"))["said"]["balances"]
            assert (await ask("getPublicKeys"))["said"][0]["id"] == "HTTP_EC_P256_KEY:1"
        assert (sim.ledger.charged(), sim.ledger.paid_out()) == (Decimal(100), Decimal("50.5"))


async def test_npm_afrimomo_sdk() -> None:
    """The npm package afrimomo-sdk does so in version 1; its balances of a country are listed."""
    node, program, folder = npm_client("afrimomo-sdk")
    async with Simulator(default=Status.SUCCEEDED) as sim:
        url = f"{sim.url}/pawapay"
        async with running("afrimomo-sdk", "0.3.2", node, program, folder, url) as ask:
            common = {"currency": "ZMW", "correspondent": "MTN_MOMO_ZMB"}
            # it reads `recipient` and `payoutId` of a deposit for its log
            order = {"depositId": PAID, "amount": "15", "payer": MSISDN, "recipient": MSISDN}
            accepted = await ask("deposits.sendDeposit", {**common, **order})
            assert accepted["status"] == "ACCEPTED"
            await sim.wait(PAID, Status.SUCCEEDED)
            [paid] = await ask("deposits.getDeposit", PAID)
            assert (paid["status"], paid["depositedAmount"]) == ("COMPLETED", "15.00")
            assert await ask("deposits.getDeposit", WAGE) == []
            wage = {"payoutId": WAGE, "amount": "5", "recipient": MSISDN}
            refused = await ask("payouts.sendPayout", {**common, **wage, "currency": "KES"})
            assert refused["rejectionReason"]["rejectionCode"] == "INVALID_CURRENCY"
            assert (await ask("payouts.sendPayout", {**common, **wage}))["status"] == "ACCEPTED"
            await sim.wait(WAGE, Status.SUCCEEDED)
            assert (await ask("payouts.getPayout", WAGE))[0]["status"] == "COMPLETED"
            back = {"refundId": BACK, "depositId": PAID, "amount": "15"}
            assert (await ask("refunds.createRefundRequest", back))["status"] == "ACCEPTED"
            assert (await ask("refunds.getRefundStatus", BACK))[0]["refundId"] == BACK
            assert (await ask("deposits.resendCallback", PAID))["status"] == "ACCEPTED"
            [balance] = (await ask("wallets.getCountryBalance", "ZMB"))["balances"]
            assert balance["currency"] == "ZMW"
        assert (sim.ledger.charged(), sim.ledger.paid_out()) == (Decimal(15), Decimal(5))


async def test_npm_paydunya() -> None:
    """PayDunya's own package sends a code and charges by it (OPR), makes invoices, and credits."""
    node, program, folder = npm_client("paydunya")
    async with (
        Simulator() as sim,
        running("paydunya", "1.0.12", node, program, folder, f"{sim.url}/paydunya") as ask,
    ):
        made = await ask("oprCreate", "774563209", 6000, {"paymux_reference": "order-1"})
        assert made["responseText"] == "A confirmation code was sent to the account's phone"
        assert sim.paydunya.opr.sent == ["774563209"]
        assert sim.ledger.charged() == 0
        wrong = await ask("oprCharge", made["oprToken"], "9999")
        assert wrong["data"] == {
            "response_code": "1001",
            "response_text": "Invalid confirmation token",
        }
        assert sim.ledger.charged() == 0
        charged = await ask("oprCharge", made["oprToken"], "1234")
        assert charged["status"] == "completed"
        assert charged["receiptURL"].endswith(f"{made['token']}.pdf")
        again = await ask("oprCharge", made["oprToken"], "1234")
        assert again["data"]["response_text"] == "Invalid OPR token"
        assert sim.ledger.charged("order-1") == 6000
        seen = await ask("confirm", made["token"])
        assert (seen["status"], seen["totalAmount"]) == ("completed", 6000)

        invoice = await ask("create", 500, {"paymux_reference": "order-2"})
        assert (invoice["status"], invoice["totalAmount"]) == ("pending", 500)
        sim.settle("order-2", Status.SUCCEEDED)
        assert (await ask("confirm", invoice["token"]))["status"] == "completed"
        credited = await ask("pay", "774563209", 4500)
        assert "4500 FCFA" in credited["description"]
        assert sim.ledger.totals() == {
            ("paydunya", "collect", "XOF"): 6500,
            ("paydunya", "payout", "XOF"): 4500,
        }
