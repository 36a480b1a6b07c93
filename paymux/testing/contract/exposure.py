"""Promises about what is shown: no credential, no token, no whole phone number and no name."""

import asyncio
import logging
import re
import traceback
from collections.abc import Awaitable, Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pytest

from ...errors import OutcomeUnknown, PaymuxError
from ...http import WebhookRequest
from ...models import Customer, Event, Item, Payment, Status
from ...simulator import Fault
from .desk import ASKED, ATTEMPTS, Desk, signature
from .disguise import Disguise, canaries, forms
from .promises import Promises
from .running import in_virtual_time


def _rendered(error: BaseException) -> str:
    """Return everything that can be seen of an error, its causes and its notes; not the frames."""
    seen = [f"{error} {error!r} {error.args!r} {vars(error)!r} {getattr(error, '__notes__', '')}"]
    seen += [str(getattr(error, "raw", "")), str(getattr(error, "details", ""))]
    for inner in (error.__cause__, error.__context__):
        seen += [_rendered(inner)] if inner is not None else []
    return "\n".join(seen)


async def _caught(awaitable: Awaitable[object]) -> BaseException | None:
    try:
        await awaitable
    except PaymuxError as error:
        return error
    return None


async def _troubles(desk: Desk, payment: Payment) -> list[BaseException | None]:
    """Make every kind of trouble for an order and for a look-up."""
    errors: list[BaseException | None] = []
    number = 104300
    for kind in (Fault.HTML, Fault.ERROR, Fault.DROP_AFTER, Fault.THROTTLE, Fault.STALE_TOKEN):
        for match in (desk.case.opens, desk.case.looks):
            number += 1
            order = match == desk.case.opens
            once = order and kind is not Fault.STALE_TOKEN and desk.tries(match) == 1
            desk.fault(match, kind, times=1 if once else ATTEMPTS, retry_after=3600)
            verb = desk.order(str(number)) if order else desk.pool.verify(payment)
            errors.append(await _caught(verb))
            desk.sim.core.faults.clear()
            if kind is Fault.THROTTLE:
                # Its Retry-After closes the account, for two minutes at most.
                await asyncio.sleep(130)
    return errors


async def _battery(desk: Desk) -> tuple[list[BaseException], list[Payment]]:
    """Make a whole payment, then every kind of trouble; return the errors and the payments."""
    payment = await desk.order()
    desk.settle(payment, Status.SUCCEEDED)
    payments = [payment, await desk.pool.verify(payment)]
    hears = desk.driver.can("webhook")
    if hears:
        event = desk.pool.webhook(await desk.told())
        payments.append(await desk.pool.confirm(event, expected=payment))
    sent, lost = await _outgoing(desk, payments[-1])
    payments += sent
    errors = [*lost, *await _troubles(desk, payment)]
    desk.fault("", Fault.WEBHOOK_FORGED)
    desk.settle(await desk.order("104299"), Status.FAILED)
    if hears:
        await desk.told()
        errors.append(await _caught(_read(desk, desk.messages[-2])))
    dearer = msgspec.structs.replace(payment, reference="999")
    abroad: dict[str, Any] = {desk.party: "+1 202 555 0100"}
    odd = Item(name="line", unit_price=Decimal("10.5"))
    errors += [
        await _caught(desk.order(items=[odd])),
        await _caught(desk.pool.verify(dearer)),
        await _caught(desk.order(extra={"colour": "red"})),
        await _caught(desk.order(**abroad)),
        await _caught(desk.find()),
        await _caught(desk.pool.verify(desk.name, "unknown-1")),
    ]
    return [error for error in errors if error is not None], payments


def _party(order: Mapping[str, object]) -> str:
    return str(order.get("payer") or order.get("payee") or "229 96 00 00 00")


async def _read(desk: Desk, message: WebhookRequest) -> Event:
    return desk.pool.webhook(message)


async def _outgoing(desk: Desk, paid: Payment) -> tuple[list[Payment], list[BaseException | None]]:
    """Pay out and refund, and lose the answers to a payout; return the payments and the errors."""
    payments: list[Payment] = []
    errors: list[BaseException | None] = []
    for number, (payee, request) in enumerate(desk.case.payouts):
        payments.append(await desk.payout(payee, f"wage-{number}"))
        desk.fault(request, Fault.DROP_AFTER, times=desk.tries(request))
        lost = await _caught(desk.payout(payee, f"wage-lost-{number}"))
        errors.append(lost)
        payments += [lost.payment] if isinstance(lost, OutcomeUnknown) else []
    if desk.case.refund:
        amount = paid.amount or ASKED
        payments.append(await desk.pool.refund(paid, amount=amount, reference="204207"))
    return payments, errors


def _named(desk: Desk, kind: str) -> dict[str, Any]:
    """Return a customer with a name, for a driver that takes one."""
    takes = desk.driver.takes if kind == "collect" else desk.driver.payout_takes
    person = Customer(name="Xaviera", surname="Quillfeather", email="x.q@example.com")
    return {"customer": person} if takes and "customer" in takes else {}


async def _followed(desk: Desk, payment: Payment) -> list[Payment]:
    """Let a payment succeed, and return it with what a look-up says of it."""
    if not payment.status.terminal:
        desk.settle(payment, Status.SUCCEEDED)
    if desk.driver.asks(payment) is None:
        return [payment]
    return [payment, await desk.pool.verify(payment)]


class Seen(NamedTuple):
    """What a whole payment and every kind of trouble left, and the secrets that were in use."""

    desk: Desk
    errors: list[BaseException]
    payments: list[Payment]
    secrets: list[str]

    def shown_in(self, texts: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return the secrets that the texts show, in any form, each with the name of its text."""
        return {
            (where, secret)
            for where, text in texts
            for secret in self.secrets
            for form in forms(secret)
            if form in text
        }


class ExposurePromises(Promises):
    """Promises about what is shown: no credential, no token, no whole phone number and no name."""

    async def _disguised(self) -> Seen:
        found = canaries(self.driver, self.simulator, self.case.fields)
        words = dict(found.values())
        fields = {field: canary.secret for field, canary in found.items()}
        async with self.desk(carried=lambda inner: Disguise(inner, words), **fields) as desk:
            signs_with = {field: fields[field] for field in self.case.signs_with}
            desk.provider.credentials = {**desk.provider.credentials, **signs_with}
            for field, secret in signs_with.items():
                setattr(desk.provider, field, secret)
            errors, payments = await _battery(desk)
        tokens = {signature(request) for request in desk.sim.requests} - {"", "simulator"}
        return Seen(desk, errors, payments, [*words, *tokens])

    @in_virtual_time
    async def test_no_secret_is_ever_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        """No credential or token is in a repr, an error, a record at DEBUG or Payment.raw."""
        with caplog.at_level(logging.DEBUG, logger="paymux"):
            seen = await self._disguised()
        assert len(seen.errors) >= 10
        assert caplog.records
        texts = [
            ("the driver", f"{seen.desk.driver!r} {seen.desk.driver}"),
            ("the pool", repr(seen.desk.pool)),
        ]
        texts += [("a record", record.getMessage()) for record in caplog.records]
        texts += [("an error", _rendered(error)) for error in seen.errors]
        texts += [("a payment", f"{one!r} {one.raw} {one.ids}") for one in seen.payments]
        assert not seen.shown_in(texts)

    @in_virtual_time
    async def test_no_traceback_shows_a_secret(self) -> None:
        """An error that is reported with the variables of its frames shows no secret."""
        seen = await self._disguised()
        traced = traceback.TracebackException.from_exception
        texts = [
            (type(error).__name__, "".join(traced(error, capture_locals=True).format()))
            for error in seen.errors
        ]
        assert not seen.shown_in(texts)

    @in_virtual_time
    async def test_no_whole_phone_number_is_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        """A payer's number is shortened in every record, error and repr."""
        with caplog.at_level(logging.DEBUG, logger="paymux"):
            seen = await self._disguised()
        number = re.sub("[^0-9]", "", _party(self.case.order))[-9:]
        shown = [record.getMessage() for record in caplog.records]
        shown += [_rendered(error) for error in seen.errors]
        shown += [repr(payment) for payment in seen.payments]
        assert not [text for text in shown if number in text]

    @in_virtual_time
    async def test_no_name_of_a_person_is_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        """A payer's and a payee's name is in no record at DEBUG, no repr and no Payment.raw."""
        with caplog.at_level(logging.DEBUG, logger="paymux"):
            async with self.desk() as desk:
                payments = await _followed(desk, await desk.order(**_named(desk, desk.kind)))
                for number, (payee, _) in enumerate(self.case.payouts):
                    more = _named(desk, "payout")
                    paid = await desk.payout(payee, f"wage-{number}", **more)
                    payments += await _followed(desk, paid)
        texts = [record.getMessage() for record in caplog.records]
        texts += [f"{payment!r} {payment.raw}" for payment in payments]
        names = ("xaviera", "quillfeather", "john doe", "biller company")
        assert not [text for text in texts for name in names if name in text.lower()]
