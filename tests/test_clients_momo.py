"""Other people's clients of MTN MoMo, unmodified, against the simulator (see `tests/clients`)."""

import uuid

import pytest

from paymux.models import Reason, Status
from paymux.simulator import Simulator

from .test_clients import client

pytestmark = pytest.mark.slow


async def test_momo_openapi() -> None:
    """It collects and pays out on both platforms, and finds each payment on its own alone."""
    async with (
        Simulator() as sim,
        client("momo-openapi", "0.1.2", f"{sim.url}/mtn_momo") as ask,
    ):
        for platform, other in (("proxy", "africa"), ("africa", "proxy")):
            named, id = str(uuid.uuid4()), f"order-{platform}"
            order = ("1000", "256772123456", id)
            assert await ask("request_to_pay", platform, *order, named) == named
            again = await ask("request_to_pay", platform, *order, named)
            assert (again["status"], "RESOURCE_ALREADY_EXIST" in again["said"]) == (409, True)
            assert (await ask("status", "collection", platform, named))["status"] == "PENDING"
            assert (await ask("status", "collection", other, named))["status"] == 404
            sim.settle(id, Status.SUCCEEDED)
            paid = await ask("status", "collection", platform, named)
            assert (paid["status"], paid["amount"]) == ("SUCCESSFUL", "1000")
            sent = await ask("transfer", platform, "500", "256772123457", f"wage-{platform}")
            sim.settle(f"wage-{platform}", Status.FAILED, reason=Reason.UNKNOWN_PAYEE)
            found = await ask("status", "disbursement", platform, sent)
            assert (found["status"], found["reason"]) == ("FAILED", "PAYEE_NOT_FOUND")
            held = await ask("balance", "collection", platform)
            assert held == {"availableBalance": "1000", "currency": "UGX"}
        assert sim.ledger.charged() == 2000
        assert sim.ledger.paid_out() == 0


async def test_mtn_momo_client() -> None:
    """It makes a sandbox user, collects, pays out, refunds, and reads a reason in both shapes."""
    async with (
        Simulator() as sim,
        client("mtn-momo-client", "2.0.1", f"{sim.url}/mtn_momo") as ask,
    ):
        made = await ask("provision", str(uuid.uuid4()))
        assert made == {"providerCallbackHost": "shop.example", "targetEnvironment": "sandbox"}
        named = str(uuid.uuid4())
        assert await ask("pay", "100", "46733123499", "order-1", named) == named
        assert await ask("pay", "100", "46733123499", "order-1", named) == {
            "error": "ConflictException"
        }
        sim.settle("order-1", Status.SUCCEEDED)
        assert await ask("payment", named) == {
            "status": "SUCCESSFUL",
            "amount": "100",
            "id": "order-1",
            "party": "46733123499",
            "reason": None,
        }
        for shape in ("text", "object"):
            sim.mtn_momo.reason_shape = shape
            failed = await ask("pay", "5", "46733123499", f"order-{shape}", None)
            sim.settle(f"order-{shape}", Status.FAILED, reason=Reason.INSUFFICIENT_FUNDS)
            assert (await ask("payment", failed))["reason"] == "NOT_ENOUGH_FUNDS"
        sent = await ask("transfer", "40", "46733123499", "wage-1")
        sim.settle("wage-1", Status.SUCCEEDED)
        assert (await ask("transferred", sent))["status"] == "SUCCESSFUL"
        back = await ask("refund", "60", named, "back-1")
        sim.settle("back-1", Status.SUCCEEDED)
        assert (await ask("refunded", back))["party"] == "46733123499"
        assert await ask("holder", "46733123451") is False
        ledger = sim.ledger
        assert [ledger.charged(), ledger.paid_out(), ledger.refunded()] == [100, 40, 60]
