"""What collect, payout and refund share: one order, checked, asked about, sent once, and shown."""

import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import DuplicateReference, OutcomeUnknown, PaymuxError, UsageError
from ..models import Kind, Order, Payment
from ..primitives.clock import wall_time
from ..values.phone import operator
from .exits import Exit, of_payment
from .failures import Failed, Hint, failure_of, show, watch_line
from .order_options import PROVIDERS_OWN
from .payments import money, rows_of, when
from .streams import NotWritten, ReaderGone
from .tables import Rows

if TYPE_CHECKING:
    from ..core import OrderOptions
    from ..drivers.base import Driver
    from ..pool import Pool
    from .invocation import Invocation

Send = Callable[[], Awaitable[Payment]]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An order as a command was given it, and how it is to be sent."""

    order: Order  # checked
    party: str | None  # who pays, or is paid
    wait: float | None  # seconds; negative: the provider's own time-out; None: no wait
    yes: bool
    dry_run: bool

    @classmethod
    def of(cls, order: Order, party: str | None, given: dict[str, Any]) -> "Asked":
        """Make it of a checked order and the options of `order_options.SENDING`."""
        return cls(
            order=order,
            party=party,
            wait=given["wait"],
            yes=given["yes"],
            dry_run=given["dry_run"],
        )

    @property
    def digits(self) -> str:
        """The amount as a person types it to go on."""
        return f"{self.order.amount.normalize():f}"


def options_of(given: dict[str, Any]) -> "OrderOptions":
    """Return the options of an order that were given; UsageError: `--metadata` is no K=V."""
    names = ("description", "return_url", "cancel_url", "operator")
    chosen: Any = {name: given[name] for name in names if given.get(name) is not None}
    metadata = {}
    for pair in given.get("metadata") or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError.field("metadata", pair, "NAME=VALUE")
        metadata[name] = value
    if metadata:
        chosen["metadata"] = metadata
    found: OrderOptions = chosen
    return found


def need_reference(cli: "Invocation", reference: str | None, kind: Kind) -> str:
    """Return the reference; Failed: it is missing, with a proposal."""
    cli.unsent = True
    if reference is not None:
        return reference
    proposal = f"{kind}-{wall_time():%Y%m%d-%H%M%S}"
    said = (
        "--reference: missing; with it a second run of this line is harmless; for example "
        f"--reference {proposal}"
    )
    raise Failed(said, Exit.USAGE, meaning="Nothing was sent.", fields={"field": "reference"})


async def place(cli: "Invocation", pool: "Pool", asked: Asked, send: Send) -> Exit:
    """Ask about a checked order, send it once, show it, and wait for its end if asked to."""
    order, driver, started = asked.order, pool.drivers[asked.order.account], wall_time()
    _check_wait(asked.wait)
    try:
        known = await pool.payment(order.account, order.reference, kind=order.kind)
        if asked.dry_run:
            _show_plan(cli, driver, order, known)
            return Exit.DONE
        if known is None:  # else nothing is sent: the same order again, or a refusal
            question = await _question(cli, driver, asked)
            typed = driver.live and order.kind != "collect"
            await cli.confirm(question, asked.digits if typed else None, yes=asked.yes)
        cli.resume = watch_line(order.reference)
        rows = rows_of(cli, at_once=True)
        with cli.finishing():
            payment = await send()
            cli.unsent = False
            _show(cli, rows, payment, started)
    except DuplicateReference as error:
        raise await _other(pool, asked, error) from None
    except PaymuxError as error:
        if isinstance(error, OutcomeUnknown):
            with suppress(AttributeError):
                _told_before(cli, error.payment, started)
        raise failure_of(error, money=True) from None
    if asked.wait is not None and not payment.status.terminal:
        payment = await _waited(cli, pool, rows, payment, asked.wait)
        return of_payment(payment)
    if payment.status.terminal or _before(payment, started) or asked.wait is not None:
        return of_payment(payment)
    return Exit.DONE


def _check_wait(wait: float | None) -> None:
    """Refuse a wait that is no time, before money moves: exit 2 means that nothing was sent."""
    if wait is not None and wait != PROVIDERS_OWN and not 0 < wait < math.inf:
        raise Failed(
            str(UsageError.field("wait", wait, "seconds above 0")),
            Exit.USAGE,
            meaning="Nothing was sent.",
            fields={"field": "wait", "value": str(wait), "accepted": "seconds above 0"},
        )


async def _question(cli: "Invocation", driver: "Driver", asked: Asked) -> str:
    order, network = asked.order, await operator(asked.party)
    told = {
        "amount": money(order.amount, order.currency, between=" "),
        "party": _whole_number(asked.party) + (f" ({network})" if network else ""),
        "account": driver.account,
        "live": ", LIVE" if driver.live else "",
        "digits": asked.digits,
    }
    if order.kind == "collect":
        asks = "Ask {party} for {amount}, from {account}{live}? [y/N] "
        page = "Make a page to pay {amount}, from {account}{live}? [y/N] "
        return cli.say(asks, **told) if asked.party else cli.say(page, **told)
    pays = "Pay out {amount} to {party} from {account}{live}."
    back = "Give back {amount} to {party} from {account}{live}."
    said = cli.say(pays, **told) if order.kind == "payout" else cli.say(back, **told)
    ask = "Type {digits} to go on: " if driver.live else "Go on? [y/N] "
    return f"{said} {cli.say(ask, **told)}"


def _whole_number(party: str | None) -> str:
    """Write the number whole: it is what a person checks before money moves."""
    if party is None or not party.isdigit():
        return party or "the payer"
    import phonenumbers  # noqa: PLC0415 - it takes 20 ms

    with suppress(phonenumbers.NumberParseException):
        number = phonenumbers.parse(f"+{party}")
        form = phonenumbers.PhoneNumberFormat.INTERNATIONAL
        return phonenumbers.format_number(number, form)
    return f"+{party}"


def _show_plan(cli: "Invocation", driver: "Driver", order: Order, known: Payment | None) -> None:
    plan = {name: value for name, value in msgspec.to_builtins(order).items() if value}
    plan |= {"url": driver.url, "live": driver.live, "sent_before": known is not None}
    if cli.json:
        cli.write_json({"type": "plan", **plan})
    else:
        cli.write("".join(f"{name}\t{value}\n" for name, value in plan.items()))
    cli.tell("Nothing was sent.")


def _show(cli: "Invocation", rows: Rows[Payment], payment: Payment, started: Any) -> None:
    _write(cli, rows, payment)
    _told_before(cli, payment, started)
    if payment.checkout_url and not cli.json:
        cli.tell("The page to pay on: {url}", url=payment.checkout_url)
    elif payment.prompt and not payment.status.terminal:
        cli.tell("The payer is asked: {prompt}", prompt=payment.prompt)


def _write(cli: "Invocation", rows: Rows[Payment], payment: Payment) -> None:
    """Write a row; money has moved, so the exit code is the order's also where it cannot be."""
    try:
        rows.write(payment)
    except ReaderGone:
        return
    except NotWritten as error:
        show(Failed(str(error), Exit.DONE, error="NotWritten"), cli.say, json=cli.json)


def _before(payment: Payment, started: Any) -> bool:
    """Return whether an order is older than this command: it was not sent again."""
    return payment.created_at is not None and payment.created_at < started


def _told_before(cli: "Invocation", payment: Payment, started: Any) -> None:
    if _before(payment, started):
        cli.tell("sent at {time}, not sent again", time=when(cli, payment.created_at))


async def _other(pool: "Pool", asked: Asked, error: DuplicateReference) -> Failed:
    """Return the failure of a reference that belongs to another order, with what differs."""
    order = asked.order
    known = await pool.payment(order.account, order.reference, kind=order.kind)
    pairs: Sequence[tuple[str, Any, Any]] = ()
    if known is not None:
        pairs = (
            ("amount", money(known.amount, known.currency), money(order.amount, order.currency)),
            ("party", known.payer or known.payee, asked.party),
        )
    differing = [f"{name} {there}, here {here}" for name, there, here in pairs if there != here]
    said = f"{error}: {'; '.join(differing)}" if differing else str(error)
    fields = {"reference": order.reference, "differs": "; ".join(differing) or None}
    return Failed(
        said,
        Exit.REFUSED,
        meaning="Nothing was sent.",
        error="DuplicateReference",
        fields=fields,
    )


def _still_open(error: PaymuxError, payment: Payment) -> Failed:
    """Return the failure of a wait: the order was sent, so no code says that it was not."""
    failed = failure_of(error)
    if failed.exit in (Exit.UNKNOWN, Exit.MISMATCH):
        return failed
    hint = Hint(watch_line(payment.reference or ""), "asks until it is settled")
    return Failed(
        str(error),
        Exit.UNKNOWN,
        meaning="It is still pending. Do not send it again.",
        hints=[hint],
        error=failed.error,
        fields=failed.fields,
    )


async def _waited(
    cli: "Invocation", pool: "Pool", rows: Rows[Payment], payment: Payment, wait: float
) -> Payment:
    """Watch a payment, with a line for each change; WatchTimeout: it is still pending."""
    timeout: Any = ... if wait == PROVIDERS_OWN else wait
    try:
        async for seen in pool.watch(payment, timeout=timeout):
            if seen.status is not payment.status:
                _write(cli, rows, seen)
            payment = seen
    except PaymuxError as error:
        raise _still_open(error, payment) from None
    return payment
