"""The field `id_key`: required where money is, and never another one for the same orders."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from paymux import NotSent, Payment, Pool, SqliteJournal, UsageError
from paymux.drivers._ids import derived_uuid
from paymux.http import Send, post
from paymux.models import Order
from paymux.primitives.redaction import Secret

from .notify.world import file
from .toys import Keyless, Said, Wire, answer, run, timeless

__all__ = ["file"]

FIRST, OTHER = "the key of this shop", "the key of no shop"


class Derived(Keyless, frozen=True, kw_only=True):
    """A toy whose provider wants UUIDs."""

    name = "derived"
    id_key: Secret | str = ""

    async def collect(self, send: Send, order: Order) -> Payment:
        key = self.id_key.reveal() if isinstance(self.id_key, Secret) else self.id_key
        body = {"reference": derived_uuid(key, "collect", order.reference)}
        return self.payment(await send(post("/collect", Said, body)), "collect")


class Other(Derived, frozen=True, kw_only=True):
    """A toy of another provider."""

    name = "other"


class Plain(Keyless, frozen=True, kw_only=True):
    """A toy that derives no ids."""

    name = "plain"


def wire() -> Wire:
    return Wire(lambda _: answer(id="id-1", status="WAIT"))


async def ask(pool: Pool, reference: str = "order-1", account: str = "derived") -> Payment:
    return await pool.collect(
        account, amount=500, currency="XAF", payer="+237670000001", reference=reference
    )


@pytest.mark.parametrize(("key", "live"), [("", True), ("short", True), ("short", False)])
def test_a_missing_or_short_key_is_refused_and_not_shown(key: str, live: bool) -> None:
    """A key that can be guessed would join the orders of two merchants."""
    with pytest.raises(UsageError) as caught:
        Derived(id_key=key, live=live)
    assert caught.value.name == "id_key"
    assert caught.value.value == ("***" if key else "")
    assert "16" in caught.value.accepted
    assert "short" not in str(caught.value)


def test_sixteen_characters_are_enough() -> None:
    """One less is refused."""
    assert Derived(id_key="x" * 16, live=True).id_fingerprint()
    with pytest.raises(UsageError):
        Derived(id_key="x" * 15, live=True)


def test_a_sandbox_needs_none_and_repr_shows_none() -> None:
    """The first try needs no key, and a key is in no log."""
    assert Derived().id_fingerprint() == ""
    assert Plain(live=True).id_fingerprint() == ""
    assert FIRST.replace(" ", "-") not in repr(Derived(id_key=FIRST.replace(" ", "-")))


def keyed(text: str, **more: Any) -> Derived:
    return Derived(id_key=text.replace(" ", "-"), **more)


def test_money_is_refused_with_another_key_than_the_journals(file: Path) -> None:
    """A restart with another key sends nothing, also where the account's order is a new one."""

    async def main() -> None:
        sent = wire()
        async with Pool(keyed(FIRST), connection=sent, journal=file) as pool:
            await ask(pool)
        async with Pool(keyed(OTHER), connection=sent, journal=file) as pool:
            with pytest.raises(UsageError, match="id_key") as caught:
                await ask(pool, "order-2")
            assert OTHER.replace(" ", "-") not in str(caught.value)
            assert [one.reference async for one in pool.payments()] == ["order-1"]
        assert len(sent.seen) == 1
        async with Pool(keyed(FIRST), connection=sent, journal=file) as pool:
            await ask(pool, "order-2")
        assert len(sent.seen) == 2

    run(main())


def test_the_key_is_compared_before_the_first_order_of_each_pool_only(file: Path) -> None:
    """An order costs nothing more; one without an id_key never asks."""

    async def main() -> None:
        asked: list[str] = []

        class Counted(SqliteJournal):
            @property
            def id_keys(self) -> Any:
                asked.append("id_keys")
                return super().id_keys

        drivers = (keyed(FIRST), Plain())
        async with Pool(*drivers, connection=wire(), journal=Counted(str(file))) as pool:
            await asyncio.gather(*(ask(pool, f"order-{n}", "plain") for n in range(3)))
            assert asked == []
            for number in range(3):
                await ask(pool, f"order-{number}")
        assert asked == ["id_keys"]

    run(main())


def test_a_journal_that_cannot_be_asked_sends_nothing(file: Path) -> None:
    """NotSent: the caller repeats it later."""

    async def main() -> None:
        class Away(SqliteJournal):
            @property
            def id_keys(self) -> Any:
                raise OSError("the disk is away")

        sent = wire()
        async with Pool(keyed(FIRST), connection=sent, journal=Away(str(file))) as pool:
            with pytest.raises(NotSent, match="the disk is away"):
                await ask(pool)
        assert sent.seen == []

    run(main())


@timeless
async def test_no_replacement_changes_the_key() -> None:
    """Credentials rotate while orders are open; what names the orders does not."""
    async with Pool(keyed(FIRST), connection=wire()) as pool:
        await ask(pool)  # without a journal there is nothing to compare with
        await pool.replace(keyed(FIRST))
        with pytest.raises(UsageError, match="id_key"):
            await pool.replace(keyed(OTHER))
        with pytest.raises(UsageError, match="id_key"):
            await pool.replace(Derived())


@timeless
async def test_two_accounts_of_a_provider_share_no_key() -> None:
    """The same reference of two accounts would be one payment there."""
    with pytest.raises(UsageError, match="'derived'"):
        Pool(keyed(FIRST), keyed(FIRST, account="second"))
    Pool(Derived(), Derived(account="second"))
    Pool(keyed(FIRST), Other(id_key=FIRST.replace(" ", "-")))  # at another provider it may
    async with Pool(keyed(FIRST), connection=wire()) as pool:
        with pytest.raises(UsageError, match="'derived'"):
            await pool.add(keyed(FIRST, account="second"))
        await pool.add(keyed(OTHER, account="second"))
