"""Other people's Daraja clients, unmodified, against the simulator: standing orders.

`tests/clients/install` installs them. What a client does wrong by the provider's page is named.
"""

from datetime import timedelta
from typing import Any

import pytest

from paymux.primitives.clock import wall_time
from paymux.simulator import Simulator
from paymux.simulator.mpesa.wire import EAT

from .test_clients import SHOP, client
from .test_clients_daraja import SANDBOX, street

pytestmark = pytest.mark.slow

DAYS = [f"{wall_time(EAT) + timedelta(days=days):%Y%m%d}" for days in (2, 400)]


def made(sim: Simulator) -> tuple[str, str, str]:
    """Return name, frequency and amount of the one standing order."""
    [order] = sim.mpesa.ratiba.made
    return order.name, order.every, str(order.amount)


async def test_mpesakit() -> None:
    """It writes the page of 2025, on which 4 is monthly.

    Its model reads a callback with large first letters, as the page prints a failure; the page's
    own success has small ones (M-Pesa Ratiba).
    """
    order: dict[str, Any] = {
        "standing_order_name": "Gym 4711",
        "start_date": DAYS[0],
        "end_date": DAYS[1],
        "business_short_code": "174379",
        "transaction_type": "Standing Order Customer Pay Bill",
        "receiver_party_identifier_type": "4",
        "amount": "500",
        "party_a": SANDBOX,
        "callback_url": f"{SHOP}/ratiba/7f",
        "account_reference": "4711",
        "transaction_desc": "Gym",
        "frequency": "4",
    }
    async with street() as (sim, heard), client("mpesakit", "2.2.0", sim.url) as ask:
        answer = await ask("standing_order", order)
        assert answer["ResponseHeader"]["responseCode"] == "200"
        said = await heard.body()
        assert made(sim) == ("Gym 4711", "Monthly", "500")
        read = await ask("read", "ratiba_service", said)
        assert read == {"raised": ["ResponseHeader", "ResponseBody"]}
        await ask("standing_order", order)
        read = await ask("read", "ratiba_service", await heard.body())
        assert read["ResponseHeader"]["responseCode"] == "1050"
        assert made(sim) == ("Gym 4711", "Monthly", "500")


async def test_daraja_sdk_py() -> None:
    """It writes the page of 2026, on which 5 is monthly, with an id that the callback has."""
    order = {
        "StandingOrderName": "Gym 4711",
        "StartDate": DAYS[0],
        "EndDate": DAYS[1],
        "BusinessShortCode": "174379",
        "Amount": "500",
        "PartyA": SANDBOX,
        "CallBackURL": f"{SHOP}/ratiba/7f",
        "AccountReference": "4711",
        "TransactionDesc": "Gym",
        "Frequency": "5",
        "CustomStoId": "bae4ef32-3fb1-4998-988b-0063884a3d80",
    }
    async with street() as (sim, heard), client("daraja-sdk-py", "2.0.0", sim.url) as ask:
        answer = await ask("call", "ratiba", order)
        assert answer["ResponseHeader"]["responseCode"] == "200"
        header = (await heard.body())["responseHeader"]
        assert (header["requestRefID"], header["responseCode"]) == (order["CustomStoId"], "0")
        assert made(sim) == ("Gym 4711", "Monthly", "500")
        answer = await ask("call", "ratiba", {**order, "AccountReference": "x" * 13})
        assert answer["ResponseHeader"]["responseCode"] == "1051"


async def test_mpesa_daraja_mcp() -> None:
    """It writes the page of 2025 for a till, too, and reads both forms of the callback."""
    order: dict[str, Any] = {
        "name": "Gym 4711",
        "phone": SANDBOX,
        "amount": 500,
        "start_date": DAYS[0],
        "end_date": DAYS[1],
        "frequency": "4",
        "account_reference": "4711",
        "description": "Gym",
        "till": True,
        "callback_url": f"{SHOP}/ratiba/7f",
    }
    async with street() as (sim, heard), client("mpesa-daraja-mcp", "0.1.4", sim.url) as ask:
        answer = await ask("call", "ratiba_create_standing_order", order)
        assert answer["status"] == "ACCEPTED", answer
        said = await ask("read", await heard.body())
        assert (said["kind"], made(sim)) == ("ratiba", ("Gym 4711", "Monthly", "500"))
        assert sim.mpesa.ratiba.made[0].till
