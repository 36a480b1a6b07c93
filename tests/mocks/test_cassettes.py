"""vcrpy records a pool over its session, and the scrubber keeps secrets out of the cassette."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest
import vcr

from paymux import Payment, Pool
from paymux.drivers.base import Driver
from paymux.simulator import Simulator
from paymux.testing.cassettes import scrubbed

ORDERS: dict[str, dict[str, Any]] = {
    "campay": {"currency": "XAF", "payer": "237677777777"},
    "mpesa": {
        "currency": "KES",
        "payer": "254708374149",
        "webhook_url": "https://shop.example/hook",
    },
}


async def used(driver: Driver, cassette: Path, **options: Any) -> tuple[Payment, Payment]:
    """Collect and verify under a cassette."""
    order = {"amount": 500, "reference": "order-1", **ORDERS[driver.name]}
    with vcr.VCR(**options).use_cassette(str(cassette)) as tape:
        async with aiohttp.ClientSession() as session, Pool(driver, session=session) as pay:
            payment = await pay.collect(driver.name, **order)
            found = payment, await pay.verify(payment)
    assert tape.play_count in (0, len(tape))
    return found


@pytest.mark.parametrize("name", ORDERS)
async def test_a_cassette_holds_no_secret_and_is_replayed(name: str, tmp_path: Path) -> None:
    """Neither credentials, tokens nor phone numbers are in it; replayed it says the same."""
    cassette = tmp_path / "pay.yaml"
    async with Simulator(payer_delay=0.0) as sim:
        driver = sim.driver(name)
        recorded = await used(driver, cassette, **scrubbed(driver))
    signed = [one.headers.get("authorization", "") for one in sim.requests]
    tokens = [sign.partition(" ")[2] for sign in signed if sign]
    secrets = {*driver.secrets(), *tokens, ORDERS[name]["payer"][-9:]} - {""}
    text = cassette.read_text()
    assert tokens
    assert [secret for secret in secrets if secret in text] == []
    replayed = await used(driver, cassette, **scrubbed(driver))
    assert [one.status for one in replayed] == [one.status for one in recorded]


LOGINS = (
    b'{"token": "SECRET", "expires_in": 3600}',
    b'{"token": "SECRET"}',
    b'{"token":"a\\"SECRET","expires_in":1}',
    b'{"token": "SECR',
    b'{"access_token": "SECRET"}',
    b'{"status": "ok", "access_token": "SECRET", "token_type": "Bearer"}',
    b'{"data": {"token": "SECRET", "expires_in": "3599"}, "status": "ok"}',
)


def kept(body: bytes) -> bytes:
    """Return what a cassette keeps of the body of an answer."""
    found: bytes = scrubbed()["before_record_response"]({"headers": {}, "body": {"string": body}})[
        "body"
    ]["string"]
    return found


@pytest.mark.parametrize("body", LOGINS)
def test_the_token_of_every_login_is_removed(body: bytes) -> None:
    """With a lifetime or without one, with an escape in it, and in a body that is cut."""
    assert b"SECR" not in kept(body)
    assert b"token" in kept(body)


def test_a_token_that_names_an_invoice_is_kept() -> None:
    """PayDunya's, which a replay asks for: it is beside the fields of a payment."""
    for body in (
        b'{"response_code": "00", "description": "made", "token": "test_RHICF0HboN"}',
        b'{"invoice": {"token": "test_RHICF0HboN", "total_amount": 500}, "status": "completed"}',
    ):
        assert kept(body) == body
