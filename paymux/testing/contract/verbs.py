"""Promises about the other verbs, what each is asked for, and what a provider lacks."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest

from ...core import options_of
from ...drivers.base import Facts, Verb
from ...errors import Unsupported, UsageError
from ...http import WebhookRequest
from ...models import Event, Kind, Payment, Status
from ...primitives.clock import wall_time
from ...values.money import DECIMALS
from .desk import ASKED, REFERENCE, Desk
from .promises import Promises
from .running import in_virtual_time


def _calls(desk: Desk) -> Mapping[Verb, Callable[[], Awaitable[object]]]:
    """Return a call of each verb of the pool; `webhook` and `returned` await nothing."""
    pool = desk.pool
    account = desk.name
    known = Payment(
        account=account,
        provider_reference="known-1",
        reference=REFERENCE,
        currency=desk.case.order["currency"],
    )

    async def history() -> list[Payment]:
        now = datetime.now(UTC)
        return [found async for found in pool.history(account, since=now, until=now)]

    async def returned() -> Event:
        return pool.returned(account, "https://shop.example/back?token=known-1")

    async def webhook() -> Event:
        return pool.webhook(WebhookRequest(body=b"{}"), account=account)

    return {
        "collect": desk.collect,
        "payout": lambda: desk.payout("254712345678"),
        "refund": lambda: pool.refund(known, amount=500, reference="204207"),
        "verify": lambda: pool.verify(known),
        "find": desk.find,
        "balance": lambda: pool.balance(account),
        "history": history,
        "receipt": lambda: pool.receipt(known),
        "methods": lambda: pool.methods(account),
        "webhook": webhook,
        "returned": returned,
    }


async def _past(desk: Desk) -> list[Payment]:
    """List all payments that the provider still lists."""
    hours, since = desk.case.history_hours, datetime(2020, 1, 1, tzinfo=UTC)
    if hours is not None:
        since = wall_time() - timedelta(hours=hours)
    until = datetime(2099, 1, 1, tzinfo=UTC)
    return [one async for one in desk.pool.history(desk.name, since=since, until=until)]


class VerbPromises(Promises):
    """Promises about the other verbs, what each is asked for, and what a provider lacks."""

    def test_facts_are_declared_for_each_money_verb(self) -> None:
        """Each money verb that a driver can do has its facts, and none that it cannot."""
        driver = self.driver
        money = [kind for kind in get_args(Kind) if driver.can(kind)]
        assert sorted(driver.facts) == sorted(money)
        assert all(isinstance(fact, Facts) for fact in driver.facts.values())
        assert {*driver.finds_by} <= {*money}
        assert all(driver.finds_by.values())
        assert bool(driver.finds_by) == driver.can("find")

    @in_virtual_time
    async def test_what_can_be_asked_is_said_for_each_kind(self) -> None:
        """`findable` and `asks` are what `finds_by` says of our reference, kind by kind."""
        async with self.desk() as desk:
            driver = desk.driver
            for kind in filter(driver.can, get_args(Kind)):
                by_ours = "reference" in driver.finds_by.get(kind, ())
                orders = desk.orders(kind)
                assert any(driver.facts_of(order).findable for order in orders) == by_ours, kind
                for order in orders:
                    lost = driver.pending(order)
                    lost = msgspec.structs.replace(lost, provider_reference=None, ids={})
                    findable = driver.facts_of(order).findable
                    assert driver.asks(lost) == ("find" if findable else None), kind
                    assert driver.facts_of(lost) == driver.facts_of(order), kind

    def test_the_case_has_the_requests_of_each_operation(self) -> None:
        """What the driver can do, the case describes; otherwise other promises fail obscurely."""
        case, driver = self.case, self.driver
        logs_in = driver.logs_in()
        assert bool(case.login or case.bearer) == logs_in, "Case.login: iff the driver logs in"
        assert bool(case.payouts) == driver.can("payout"), "Case.payouts: iff the driver pays out"
        assert bool(case.refund) == driver.can("refund"), "Case.refund: iff the driver refunds"

    @in_virtual_time
    async def test_run_moves_no_money(self) -> None:
        """A verb of money that is passed to `run` is UsageError, and its request is not sent."""
        async with self.desk() as desk:
            payment = await desk.order()
            paid = await desk.paid(payment)
            before = len(desk.sim.requests)
            for kind in filter(desk.driver.can, get_args(Kind)):
                method, more = getattr(type(desk.driver), kind), [paid] if kind == "refund" else []
                for order in desk.orders(kind):
                    with pytest.raises(UsageError, match="moves no money"):
                        await desk.pool.run(desk.name, method, order, *more)
            assert len(desk.sim.requests) == before

    @in_virtual_time
    async def test_unknown_settings_are_refused(self) -> None:
        """A name in `extra` that the driver does not take is UsageError; nothing is sent."""
        async with self.desk() as desk:
            with pytest.raises(UsageError, match="colour"):
                await desk.order(extra={"colour": "red"})
            assert desk.sim.requests == []

    @in_virtual_time
    async def test_what_an_order_cannot_carry_is_refused(self) -> None:
        """An option that the provider has no field for is UsageError; nothing is sent."""
        given: dict[str, Any] = {
            "metadata": {"external_user": "ada"},
            "return_url": "https://shop.example/back",
            "cancel_url": "https://shop.example/left",
            "webhook_url": "https://shop.example/hook",
        }
        async with self.desk() as desk:
            for option, value in given.items():
                if option not in options_of(desk.driver, desk.kind):
                    with pytest.raises(UsageError, match=option):
                        await desk.order(**{option: value})
            assert desk.sim.requests == []

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("amount", 10.5),
            ("amount", 0),
            ("amount", -5),
            ("amount", "1E+1000000"),
            ("currency", "EUR"),
            ("currency", "XXX"),
            ("reference", ""),
            ("reference", "a b"),
            ("reference", "9" * 65),
            ("party", "+1 202 555 0100"),
            ("party", "call me"),
        ],
    )
    @in_virtual_time
    async def test_bad_input_is_named_and_never_sent(self, field: str, value: object) -> None:
        """A wrong amount, currency, reference or party is UsageError, which names the field."""
        async with self.desk() as desk:
            named = desk.party if field == "party" else field
            wrong: dict[str, Any] = {named: value}
            with pytest.raises(UsageError, match=named):
                await desk.order(**wrong)
            assert desk.sim.requests == []

    @in_virtual_time
    async def test_a_fraction_that_the_currency_lacks_is_refused(self) -> None:
        """An amount with one decimal too many is UsageError: it is never rounded."""
        async with self.desk() as desk:
            currency = desk.case.order["currency"]
            decimals = desk.driver.decimals.get(currency, DECIMALS.get(currency, 2))
            with pytest.raises(UsageError, match="amount"):
                await desk.order(amount=f"10.{'5' * decimals}5")
            assert desk.sim.requests == []

    @in_virtual_time
    async def test_a_verb_that_the_provider_lacks_is_unsupported(self) -> None:
        """What a driver does not override is Unsupported, and nothing is sent."""
        async with self.desk() as desk:
            calls = _calls(desk)
            assert set(calls) == set(get_args(Verb))
            for verb, call in calls.items():
                if not desk.driver.can(verb):
                    with pytest.raises(Unsupported):
                        await call()
            assert desk.sim.requests == []

    @in_virtual_time
    async def test_a_verb_that_the_provider_has_answers(self) -> None:
        """Balance, history, receipt and methods work against the simulator."""
        async with self.desk() as desk:
            payment = await desk.order()
            desk.settle(payment, Status.SUCCEEDED)
            if desk.driver.can("balance"):
                balance = await desk.pool.balance(desk.name)
                assert balance.currency == desk.case.order["currency"]
                assert balance.available > 0
            if desk.driver.can("history"):
                (found,) = await _past(desk)
                assert (found.status, found.amount) == (Status.SUCCEEDED, ASKED)
                # A list may have the receipt alone.
                (entry,) = desk.sim.ledger.entries(found.provider_reference, provider=desk.name)
                assert entry.provider_reference == payment.provider_reference
            if desk.driver.can("receipt"):
                receipt = await desk.pool.receipt(payment)
                assert (receipt.amount, receipt.status) == (ASKED, Status.SUCCEEDED)
            if desk.driver.can("methods"):
                enabled = [method.enabled for method in await desk.pool.methods(desk.name)]
                assert enabled
                assert all(enabled)
            if desk.case.verifies_alone:
                alone = await desk.pool.verify(desk.name, payment.provider_reference or "")
                assert alone.status is Status.SUCCEEDED
