"""A row of a table, or a payment, as it is staged: normalised, and small."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from ..errors import UsageError
from ..models import Payment
from .amounts import NoAmount, TwoReadings, as_units, parse_amount
from .columns import Columns
from .formats import FileFormat
from .table import JsonNumber
from .times import parse_time
from .words import kind_words, plain, status_words

# account, kind, reference, provider_reference, receipt, amount, currency, status, at, party
Staged: TypeAlias = tuple[Any, ...]

_NONE = frozenset({"", "-", "--", "n/a", "na", "null", "none", "nan", "undefined", "#n/a", "néant"})
LONGEST_ID = 200  # characters of a reference
PARTY_DIGITS = 8  # the end of a phone number, which every spelling of it has
MAX_CURRENCIES = 100  # in one file: more are no currencies
# Money that left, where no column says for what: a payout or a refund.
OUT = "out"


class UnreadableRow(ValueError):
    """A row that cannot be compared; its text says why."""


class RowReader:
    """Reads the rows of one table. Where it is not sure of an amount, it stops the whole run."""

    def __init__(
        self,
        field: str,
        columns: Columns,
        form: FileFormat,
        account: str | None,
        currency: Callable[[str], str | None],
    ) -> None:
        self._field, self._form = field, form
        self._account = account
        self._currency_of = currency
        self._statuses = status_words(form.statuses)
        self._kinds = kind_words()
        self._currencies: set[str] = set()
        self._words: dict[str, str] = {}
        place: Mapping[str, int] = columns.found
        self._ids = [place.get(one) for one in ("reference", "provider_reference", "receipt")]
        self._amount, self._net, self._fee = (place.get(one) for one in ("amount", "net", "fee"))
        self._places = [
            place.get(one) for one in ("account", "kind", "currency", "status", "at", "party")
        ]

    def read(self, number: int, cells: Sequence[Any]) -> Staged:
        """Return a row as it is staged; UnreadableRow: it cannot be. `number` is its line.

        UsageError: an amount reads two ways, and only a person can tell which.
        """
        account_at, kind_at, currency_at, status_at, at, party_at = self._places
        reference, theirs, receipt = (None if one is None else _id(cells[one]) for one in self._ids)
        if reference is None and theirs is None and receipt is None:
            raise UnreadableRow("no reference")
        account = self._account if account_at is None else _id(cells[account_at]) or self._account
        if account is None:
            raise UnreadableRow("no account")
        amount = self._money(number, cells)
        kind = None if kind_at is None else self._kind(_text(cells[kind_at]))
        if amount is not None and amount < 0:
            amount, kind = -amount, OUT if kind is None else kind
        currency = None if currency_at is None else self._currency(_text(cells[currency_at]))
        return (
            account,
            kind,
            reference,
            theirs,
            receipt,
            amount,
            currency or self._currency_of(account),
            "succeeded" if status_at is None else self._status(_text(cells[status_at])),
            None if at is None else _seconds(cells[at]),
            None if party_at is None else party_of(_text(cells[party_at])),
        )

    def _money(self, number: int, cells: Sequence[Any]) -> int | None:
        try:
            if self._amount is not None:
                return self._units(cells[self._amount])
            if self._net is None:
                return None
            net, fee = (
                self._units(cells[self._net]),
                0 if self._fee is None else self._units(cells[self._fee]),
            )
        except TwoReadings as error:
            raise UsageError(
                f"{self._field}: line {number}: {error}; accepted: --decimal , or --decimal .",
                name="decimal",
                value=str(error),
                accepted="--decimal , or --decimal .",
            ) from None
        except NoAmount as error:
            raise UnreadableRow(str(error)) from None
        # A fee is written as -15 or as 15: it is what was kept of the amount.
        return None if net is None else net + abs(fee or 0) if net >= 0 else net - abs(fee or 0)

    def _units(self, cell: Any) -> int | None:
        if type(cell) is str:
            # A file of theirs has a row for each thing that moved: an empty amount is no amount.
            return parse_amount(cell, self._form.decimal) if cell.strip() else None
        if cell is None:
            return None
        if type(cell) is JsonNumber:
            return parse_amount(str(cell), ".")
        if type(cell) is int or isinstance(cell, Decimal):
            return as_units(Decimal(cell))
        raise NoAmount(f"{_text(cell)[:40]!r} is no amount")

    def _status(self, said: str) -> str:
        found = self._words.get(said)
        if found is None:
            found = self._statuses.get(plain(said[:100]))
            if found is None:
                raise UnreadableRow(
                    f"status {said[:40]!r} is not known: --status {said[:40]!r}=succeeded|failed|…"
                )
            if len(self._words) < 1000:
                self._words[said] = found
        return found

    def _kind(self, said: str) -> str | None:
        return self._kinds.get(said) or self._kinds.get(plain(said[:100]))

    def _currency(self, said: str) -> str | None:
        code = said.strip().upper()
        if not code or code in ("FCFA", "CFA", "F CFA", "F"):  # two currencies have this name
            return None
        if code not in self._currencies:
            if len(code) != 3 or not (code.isascii() and code.isalpha()):
                raise UnreadableRow(f"{said[:20]!r} is no currency")
            if len(self._currencies) >= MAX_CURRENCIES:
                raise UnreadableRow(f"{said[:20]!r} is one currency more than there are")
            self._currencies.add(code)
        return code


def staged_payment(payment: Payment, *, ours: bool) -> Staged:
    """Return a payment as it is staged; UnreadableRow: it has no reference, or such an amount."""
    try:
        amount = as_units(payment.amount)
    except NoAmount as error:
        raise UnreadableRow(str(error)) from None
    ids = payment.reference, payment.provider_reference, payment.receipt
    if not any(ids):
        raise UnreadableRow("no reference")
    # When we ordered it, and when they moved it.
    first, second = payment.created_at, payment.paid_at
    at = (first or second) if ours else (second or first)
    return (
        payment.account,
        payment.kind,
        *(one or None for one in ids),
        None if amount is None else abs(amount),
        payment.currency,
        payment.status.value,
        None if at is None else int(at.timestamp()),
        party_of(payment.payer or payment.payee or ""),
    )


def party_of(said: str) -> str | None:
    """Return the last digits of a phone number, by which neighbours are found."""
    digits = "".join(one for one in said if one.isdigit())
    return digits[-PARTY_DIGITS:] if len(digits) >= PARTY_DIGITS else None


def _text(cell: Any) -> str:
    if type(cell) is str:
        return cell
    if cell is None or cell is True or cell is False or isinstance(cell, dict | list):
        return ""
    try:
        return str(cell)
    except Exception:  # noqa: BLE001 - a value of the caller's own class may raise anything
        return ""


def _id(cell: Any) -> str | None:
    said = _text(cell).strip()
    said = said.removeprefix("'")  # by which Excel keeps a long number as text
    if said.casefold() in _NONE:
        return None
    if "\0" in said:
        raise UnreadableRow("a NUL byte")
    if len(said) > LONGEST_ID:
        raise UnreadableRow(f"a reference of {len(said)} characters")
    if "E+" in said and said.replace("E+", "").replace(".", "").replace(",", "").isdigit():
        # 2,37678E+11: the digits are gone, and a guess would match another payment.
        raise UnreadableRow(f"{said!r} was cut to an exponent by a spreadsheet")
    if not said.isascii() and any("\ud800" <= one <= "\udfff" for one in said):
        raise UnreadableRow("a reference that is no text")  # half a pair, which JSON can write
    return said


def _seconds(cell: Any) -> int | None:
    if isinstance(cell, datetime):
        return int(cell.timestamp())
    return parse_time(_text(cell))
