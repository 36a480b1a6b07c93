"""Orders for the tests of the simulator's page, sent as a shop sends them."""

import aiohttp

from paymux.simulator.world import World


async def ask(
    sim: World,
    reference: str,
    *,
    amount: str = "5000",
    party: str = "237677000001",
    description: str = "Two teas, one bread",
    header: str = "",
) -> None:
    """Ask a payer over HTTP, at CamPay; `header`: the value of a header that no one expects."""
    async with aiohttp.ClientSession() as session:
        await _send(session, sim, reference, amount, party, description, header)


async def ask_many(sim: World, count: int) -> None:
    """Ask for order-1 to order-<count>, one after another."""
    async with aiohttp.ClientSession() as session:
        for number in range(1, count + 1):
            await _send(session, sim, f"order-{number}", "500", "237677000001", "Tea", "")


async def _send(
    session: aiohttp.ClientSession,
    sim: World,
    reference: str,
    amount: str,
    party: str,
    description: str,
    header: str,
) -> None:
    order = {
        "amount": amount,
        "currency": "XAF",
        "from": party,
        "description": description,
        "external_reference": reference,
    }
    headers = {"authorization": "Token simulator", **({"x-note": header} if header else {})}
    url = f"{sim.url}/campay/api/collect/"
    async with session.post(url, json=order, headers=headers) as reply:
        assert reply.status == 200, await reply.text()
