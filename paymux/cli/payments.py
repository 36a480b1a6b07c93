"""How payments are shown, and which one a REFERENCE of a command means."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from ..models import Kind, Payment, Status
from ..primitives.redaction import mask
from ..values.money import DECIMALS
from .exits import Exit
from .failures import Failed, Hint
from .tables import Column, Rows

if TYPE_CHECKING:
    from ..pool import Pool
    from .invocation import Invocation

KINDS: tuple[Kind, ...] = get_args(Kind)
_COLOURS = {Status.SUCCEEDED: "green", Status.PENDING: "yellow", Status.REFUNDED: "cyan"}


def rows_of(cli: "Invocation", *, at_once: bool = False) -> Rows[Payment]:
    """Return what writes payments row by row; with --json each is one object, complete."""
    return cli.rows(columns(cli), encoded, at_once=at_once)


def encoded(payment: Payment) -> dict[str, Any]:
    """Return a payment for --json: money is text, times are RFC 3339."""
    found: dict[str, Any] = msgspec.to_builtins(payment)
    found.pop("raw", None)
    return {"type": "payment", **found}


def columns(cli: "Invocation") -> list[Column[Payment]]:
    """Return the columns of a payment; reference and status never leave, and are never cut."""
    return [
        Column("created", lambda one: when(cli, one.created_at), leaves=2),
        Column("account", lambda one: one.account, leaves=5),
        Column("kind", lambda one: one.kind or "", leaves=3),
        Column("reference", lambda one: one.reference or one.provider_reference or ""),
        Column("amount", lambda one: money(one.amount, one.currency), leaves=6, right=True),
        Column("party", lambda one: mask(one.payer or one.payee or ""), leaves=4),
        Column("operator", lambda one: one.operator or "", leaves=1),
        Column("status", _status, styled=lambda one: _COLOURS.get(one.status, "red")),
    ]


def _status(payment: Payment) -> str:
    reason = f" ({payment.reason})" if payment.reason else ""
    return f"{payment.status}{reason}"


def money(amount: Decimal | None, currency: str | None, *, between: str = "") -> str:
    """Write an amount with its currency's decimals: `100 XAF`; `between` groups thousands."""
    if amount is None:
        return currency or ""
    places = DECIMALS.get(currency or "", 2)
    if amount != round(amount, places):  # more decimals than the currency has are not hidden
        return f"{amount} {currency or ''}".rstrip()
    text = f"{amount:,.{places}f}".replace(",", between)
    return f"{text} {currency or ''}".rstrip()


def when(cli: "Invocation", moment: datetime | None) -> str:
    """Write a time in local time with its offset, or in UTC with --utc."""
    if moment is None:
        return ""
    local = moment.astimezone(UTC) if cli.utc else moment.astimezone()
    offset = "Z" if cli.utc else f" {local:%z}"
    return f"{local:%Y-%m-%d %H:%M:%S}{offset}"


def need_journal(cli: "Invocation") -> None:
    """Refuse to go on without a journal: it is what makes a second run of a line harmless."""
    if cli.settings.journal is None:
        hint = Hint('export PAYMUX_JOURNAL="payments.db"', "a file, or a postgresql:// URL")
        said = "journal: missing; it remembers what was sent, so that nothing is sent twice"
        raise Failed(said, Exit.USAGE, meaning="Nothing was sent.", hints=[hint])


async def in_journal(
    cli: "Invocation", pool: "Pool", reference: str, account: str | None, kind: str | None
) -> list[Payment]:
    """Return the orders of the journal with a reference, of one account and kind or of all."""
    if cli.settings.journal is None:
        return []
    accounts = [cli.account(account)] if account else list(pool.drivers)
    kinds = [one for one in KINDS if kind in (None, one)]
    found = [await pool.payment(one, reference, kind=k) for one in accounts for k in kinds]
    return [payment for payment in found if payment is not None]


def unknown(cli: "Invocation", reference: str, *hints: str) -> Failed:
    """Return the failure of an order that the journal lacks, or of a journal that is not set."""
    said = "no such order is in the journal"
    if cli.settings.journal is None:
        said = "no journal is set (PAYMUX_JOURNAL) in which the order would be"
    told = "; ".join([f"{reference}: {said}", *hints])
    return Failed(told, Exit.REFUSED, error="NotFound", fields={"reference": reference})


async def the_one(
    cli: "Invocation", pool: "Pool", reference: str, account: str | None, kind: str | None
) -> Payment:
    """Return the order that a reference means; Failed: there is none, or more than one."""
    found = await in_journal(cli, pool, reference, account, kind)
    if len(found) == 1:
        return found[0]
    if not found:
        raise unknown(cli, reference)
    choices = ", ".join(sorted({f"-a {one.account} --kind {one.kind}" for one in found}))
    said = f"{reference}: more than one order has this reference; say which: {choices}"
    raise Failed(said, Exit.USAGE, fields={"reference": reference, "accepted": choices})
