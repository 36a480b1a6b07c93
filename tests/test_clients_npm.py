"""The npm package daraja, unmodified, against the simulator (see `tests/clients/install`)."""

import os
import shutil
from pathlib import Path

import pytest

from .simulator.daraja import parameters
from .test_clients import ROOT, SHOP, running
from .test_clients_daraja import SANDBOX, URLS, sale, state, street

pytestmark = pytest.mark.slow


def npm_daraja() -> tuple[str, Path, Path]:
    """Return node, the program, and the folder that npm installed daraja in; skip without."""
    told = os.environ.get("PAYMUX_CLIENTS")
    folder = (Path(told) if told else ROOT / ".venv-clients").absolute() / "npm-daraja"
    node = shutil.which("node")
    if node is None or not folder.exists():
        reason = f"npm daraja is not installed: no node, or no {folder} (tests/clients/install)"
        pytest.fail(reason) if told else pytest.skip(reason)
    return str(node), ROOT / "tests/clients/daraja.js", folder


async def test_npm_daraja() -> None:
    """The npm package daraja pays out and asks; its reversal is refused for a misspelt field.

    It sends ReceiverIdentifierType, where the page "Reversal" has RecieverIdentifierType, and no
    Amount, which the page requires.
    """
    node, program, folder = npm_daraja()
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
