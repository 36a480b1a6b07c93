"""Promises about the other verbs: payouts, refunds, and what a provider lacks."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args

import pytest

from ...drivers.base import Driver, Facts, Verb
from ...errors import OutcomeUnknown, PaymuxError, Unsupported, UsageError
from ...http import WebhookRequest
from ...models import Event, Kind, Payment, Reason, Status
from ...simulator import Fault
from ...values.money import DECIMALS
from .desk import ASKED, REFERENCE, Desk
from .promises import Promises, may_lack_funds, only, pays_out, refunds
from .refusals import ODD
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
        "find": lambda: pool.find(account, reference=REFERENCE),
        "balance": lambda: pool.balance(account),
        "history": history,
        "receipt": lambda: pool.receipt(known),
        "methods": lambda: pool.methods(account),
        "webhook": webhook,
        "returned": returned,
    }


class VerbPromises(Promises):
    """Promises about the other verbs: payouts, refunds, and what a provider lacks."""

    def test_facts_are_declared_for_each_money_verb(self) -> None:
        """Each money verb that a driver can do has its facts, and none that it cannot.

        `findable` is what `finds_by` says of our reference, for each kind.
        """
        driver = self.driver
        money = [kind for kind in get_args(Kind) if driver.can(kind)]
        assert sorted(driver.facts) == sorted(money)
        assert all(isinstance(fact, Facts) for fact in driver.facts.values())
        for kind, fact in driver.facts.items():
            assert fact.findable == ("reference" in driver.finds_by.get(kind, ()))
        assert bool(driver.finds_by) == driver.can("find")

    def test_the_case_has_the_requests_of_each_operation(self) -> None:
        """What the driver can do, the case describes; otherwise other promises fail obscurely."""
        case, driver = self.case, self.driver
        logs_in = driver.token is not Driver.token
        assert bool(case.login or case.bearer) == logs_in, "Case.login: iff the driver has `token`"
        assert bool(case.payout) == driver.can("payout"), "Case.payout: iff the driver pays out"
        assert bool(case.refund) == driver.can("refund"), "Case.refund: iff the driver refunds"

    @in_virtual_time
    async def test_run_moves_no_money(self) -> None:
        """A verb of money that is passed to `run` is UsageError, and its request is not sent."""
        async with self.desk() as desk:
            payment = await desk.collect()
            paid = await desk.paid(payment)
            before = len(desk.sim.requests)
            for kind in filter(desk.driver.can, get_args(Kind)):
                method, order = getattr(type(desk.driver), kind), desk.order(kind)
                more = [paid] if kind == "refund" else []
                with pytest.raises(UsageError, match="moves no money"):
                    await desk.pool.run(desk.name, method, order, *more)
            assert len(desk.sim.requests) == before

    @only(pays_out)
    @in_virtual_time
    async def test_a_payout_is_made_once(self) -> None:
        """A payout arrives once; what the provider says of it later is told."""
        async with self.desk() as desk:
            assert desk.case.payout is not None
            payee, request = desk.case.payout
            paid = await desk.payout(payee)
            assert (paid.kind, paid.reference, paid.payer) == ("payout", "wage-7", None)
            if paid.status is Status.PENDING:
                paid = await desk.paid(paid)
            assert (paid.status, paid.kind) == (Status.SUCCEEDED, "payout")
            assert desk.sim.ledger.paid_out(provider=desk.name) == 500
            assert len(desk.sent(request)) == 1
            assert desk.charged == 0

    @only(pays_out)
    @pytest.mark.parametrize(
        ("kind", "status"), [*ODD, pytest.param(Fault.DROP_AFTER, None, id="lost")]
    )
    @in_virtual_time
    async def test_a_payout_without_its_answer_is_unknown_at_once(
        self, kind: Fault, status: int | None
    ) -> None:
        """A payout is never sent a second time, whatever came instead of its answer."""
        async with self.desk() as desk:
            assert desk.case.payout is not None
            payee, request = desk.case.payout
            desk.fault(request, kind, status=status)
            with pytest.raises(OutcomeUnknown) as caught:
                await desk.payout(payee)
            lost = caught.value.payment
            assert (lost.kind, lost.reference) == ("payout", "wage-7")
            assert len(desk.sent(request)) == 1
            assert len(desk.sim.ledger) == 1

    @only(may_lack_funds)
    @in_virtual_time
    async def test_a_payout_beyond_the_balance_is_refused_for_certain(self) -> None:
        """Not enough money is the provider's own no, with our reason, and nothing is paid out."""
        async with self.desk() as desk:
            assert desk.case.payout is not None
            payee, _ = desk.case.payout
            for attribute, value in self.case.no_funds.items():
                setattr(desk.provider, attribute, value)
            with pytest.raises(PaymuxError) as caught:
                await desk.payout(payee)
            assert getattr(caught.value, "reason", None) is Reason.INSUFFICIENT_FUNDS
            assert len(desk.sim.ledger) == 0

    @only(refunds)
    @in_virtual_time
    async def test_a_refund_is_pending_and_asked_for_once(self) -> None:
        """A refund that was accepted is PENDING.

        One whose answer was lost is unknown, and not asked for again.
        """
        async with self.desk() as desk:
            payment = await desk.collect()
            paid = await desk.paid(payment)
            part, rest = (ASKED, ASKED) if desk.case.by_message else (Decimal(400), Decimal(300))
            back = await desk.pool.refund(paid, amount=part, reference="204207", reason="damaged")
            assert (back.status, back.kind, back.amount) == (Status.PENDING, "refund", part)
            desk.fault(desk.case.refund, Fault.DROP_AFTER)
            with pytest.raises(OutcomeUnknown) as caught:
                await desk.pool.refund(paid, amount=rest, reference="204208")
            lost = caught.value.payment
            assert (lost.kind, lost.amount) == ("refund", rest)
            assert len([entry for entry in desk.sim.ledger if entry.kind == "refund"]) == 2
            with pytest.raises(UsageError, match="amount"):
                await desk.pool.refund(paid, amount=1001, reference="204209")

    @in_virtual_time
    async def test_unknown_settings_are_refused(self) -> None:
        """A name in `extra` that the driver does not take is UsageError; nothing is sent."""
        async with self.desk() as desk:
            with pytest.raises(UsageError, match="colour"):
                await desk.collect(extra={"colour": "red"})
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
                if option not in desk.driver.takes:
                    with pytest.raises(UsageError, match=option):
                        await desk.collect(**{option: value})
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
            ("payer", "+1 202 555 0100"),
            ("payer", "call me"),
        ],
    )
    @in_virtual_time
    async def test_bad_input_is_named_and_never_sent(self, field: str, value: object) -> None:
        """A wrong amount, currency, reference or payer is UsageError, which names the field."""
        async with self.desk() as desk:
            given: dict[str, Any] = {"reference": REFERENCE, "amount": 1000, **desk.case.order}
            given[field] = value
            with pytest.raises(UsageError, match=field):
                await desk.pool.collect(desk.name, **given)
            assert desk.sim.requests == []

    @in_virtual_time
    async def test_a_fraction_that_the_currency_lacks_is_refused(self) -> None:
        """An amount with one decimal too many is UsageError: it is never rounded."""
        async with self.desk() as desk:
            currency = desk.case.order["currency"]
            decimals = desk.driver.decimals.get(currency, DECIMALS.get(currency, 2))
            given = {"reference": REFERENCE, **desk.case.order, "amount": f"10.{'5' * decimals}5"}
            with pytest.raises(UsageError, match="amount"):
                await desk.pool.collect(desk.name, **given)
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
            payment = await desk.collect()
            desk.settle(payment, Status.SUCCEEDED)
            # A balance that is told by a message needs a server: `paymux.Webhooks`.
            if desk.driver.can("balance") and not desk.case.by_message:
                balance = await desk.pool.balance(desk.name)
                assert balance.currency == desk.case.order["currency"]
                assert balance.available > 0
            if desk.driver.can("history"):
                since = datetime(2020, 1, 1, tzinfo=UTC)
                until = datetime(2099, 1, 1, tzinfo=UTC)
                past = desk.pool.history(desk.name, since=since, until=until)
                found = [one async for one in past]
                assert [one.provider_reference for one in found] == [payment.provider_reference]
                assert (found[0].status, found[0].amount) == (Status.SUCCEEDED, ASKED)
            if desk.driver.can("receipt"):
                receipt = await desk.pool.receipt(payment)
                assert (receipt.amount, receipt.status) == (ASKED, Status.SUCCEEDED)
            if desk.driver.can("methods"):
                assert [method.enabled for method in await desk.pool.methods(desk.name)] == [True]
            if desk.case.verifies_alone:
                alone = await desk.pool.verify(desk.name, payment.provider_reference or "")
                assert alone.status is Status.SUCCEEDED
