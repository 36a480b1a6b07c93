"""Whether an account has the `id_key` with which it began: else one order would be two payments."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..drivers.base import Driver
from ..errors import NotSent, UsageError

if TYPE_CHECKING:
    from ..transport import Call
    from .engine import Engine


def derives_ids(driver: Driver) -> bool:
    """Return whether ids of this account's orders are derived from an `id_key`."""
    return "id_key" in driver.__struct_fields__


def check_apart(drivers: Mapping[str, Driver], driver: Driver) -> None:
    """Refuse a driver with the `id_key` of another account: their orders would share ids."""
    mark = driver.id_fingerprint() if derives_ids(driver) else ""
    for account, other in drivers.items():
        alike = (type(other), other.live) == (type(driver), driver.live)
        if mark and alike and account != driver.account and other.id_fingerprint() == mark:
            raise UsageError.hidden("id_key", f"another one than that of the account {account!r}")


def check_same(before: Driver, driver: Driver) -> None:
    """Refuse a driver that would derive other ids for the orders of the one that it replaces."""
    if derives_ids(driver) and driver.id_fingerprint() != before.id_fingerprint():
        raise _refused(driver.account, "its orders so far")


async def check_kept(engine: "Engine", call: "Call") -> None:
    """Compare an account's `id_key` with the journal's before money is sent.

    UsageError: it is another one. NotSent: the journal cannot be asked now.
    """
    driver, journal = call.driver, engine.store.journal
    mark = driver.id_fingerprint()
    if journal is None or not mark or engine.id_keys.get(driver.account) == mark:
        return
    try:
        async with asyncio.timeout_at(call.deadline):
            kept = await journal.id_keys.keep(driver.account, mark, live=driver.live)
    except (OSError, TimeoutError) as error:
        why = str(error) or "the deadline passed"
        raise NotSent(f"{call}: {why}; nothing was sent") from None
    if kept != mark:
        raise _refused(driver.account, "its orders in this journal")
    engine.id_keys[driver.account] = mark


def _refused(account: str, whose: str) -> UsageError:
    accepted = (
        f"the one with which the account {account!r} began: the ids of {whose} are derived from "
        "it, and with another one an order could be paid twice (or use another account)"
    )
    return UsageError.hidden("id_key", accepted)
