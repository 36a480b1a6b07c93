"""Values that several of Daraja's APIs write in the same form."""

import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...http import Send
from ...models import Order
from ...primitives import coerce
from ...values.parsing import Scalar, parse_time, text
from ...values.validation import checked_url
from ..base import reveal

if TYPE_CHECKING:
    from . import Mpesa
    from .account import Account

EAT = timezone(timedelta(hours=3))  # no summer time, so no time zone data is needed
STAMP = "%Y%m%d%H%M%S"
CREDENTIAL = "security_credential"  # of the API user; several wrong ones lock the user
MAX_BILL = 20  # characters of what a payer types as the account
_NUMBER = re.compile("254[0-9]{9}")
_NATIONAL = re.compile("0?([17][0-9]{8})")
_RECEIPT = re.compile("[A-Za-z0-9]{1,40}")
# A prompt with one of these can fail without an error:
# https://github.com/bnjunge/MPESA-API-Tutorial/issues/3
_ODD = re.compile("[@#&]")


def paid_at(time: str | None) -> datetime | None:
    """Read the time of a payment; year 1, which occurs, too, has no UTC."""
    return parse_time(time, STAMP, EAT) if time and time.startswith("20") else None


def phone(number: str | None) -> str | None:
    """Return a number if it is not masked."""
    return number if number and _NUMBER.fullmatch(number) else None


def subscriber(number: str | None) -> str | None:
    """Return a number that may be written as 722000000 or 0722000000, if it is not masked."""
    found = _NATIONAL.fullmatch(number or "")
    return f"254{found[1]}" if found else phone(number)


def is_receipt(number: str) -> bool:
    """Return whether a receipt can be a part of a reference: letters and digits."""
    return _RECEIPT.fullmatch(number) is not None


def typed(bill: Scalar) -> str | None:
    """Return what a payer typed as the account; a word for nothing, as "null", may be a name."""
    said = bill.strip() if isinstance(bill, str) else text(bill)
    return said[:MAX_BILL] if said else None


def shown(field: str, value: object, longest: int, *, shortest: int = 1) -> str:
    """Check a text that the payer or payee sees."""
    said = coerce.text(value)
    printable = said is not None and said.isprintable() and said.strip()
    if said is None or not printable or not shortest <= len(said) <= longest:
        accepted = f"a string of {shortest} to {longest} printable characters"
        raise UsageError.field(field, value, accepted)
    if odd := _ODD.search(said):
        raise UsageError.field(field, value, f"text without {odd[0]}")
    return said


def credentials(driver: "Mpesa", verb: str) -> tuple[str, str]:
    """Return the name and the encrypted password of the API user; UsageError: one is missing."""
    for field in ("initiator_name", "security_credential"):
        if not getattr(driver, field):
            why = f"a {verb} is asked for by an API user of the M-Pesa portal: see Mpesa"
            raise UsageError.missing(field, why)
    return driver.initiator_name, reveal(driver.security_credential)


def credential_id(driver: "Mpesa", name: str) -> str:
    """Return a digest of the API user's name and credential."""
    if name != CREDENTIAL:
        raise UsageError.field("credential", name, CREDENTIAL)
    pair = f"{driver.initiator_name}\n{reveal(driver.security_credential)}"
    return sha256(pair.encode()).hexdigest()


def proof_of(driver: "Mpesa", name: str) -> Callable[[Send], Awaitable[object]] | None:
    """Return the question that proves the credential and moves no money: the balance."""
    return driver.balance if name == CREDENTIAL else None


def customer(driver: "Account", field: str, number: object) -> str:
    """Read the phone number of a customer: in these fields no till may stand."""
    said = coerce.text(number) or ""
    try:
        return driver.party("collect", "" if ":" in said else said)
    except UsageError as error:
        raise error.renamed(field) from None


def addresses(driver: "Mpesa", order: Order) -> tuple[str, str]:
    """Return where the result of an order goes, and the news that it waited too long."""
    if order.webhook_url is None:
        why = "M-Pesa tells the outcome there (or set webhook_base)"
        raise UsageError.missing("webhook_url", why)
    result = checked_url("webhook_url", order.webhook_url, http=driver.rehearsing)
    return result, order.timeout_url or result  # which no caller gives: it is the pool's


def only_settings(order: Order, *names: str) -> None:
    """Refuse a setting of another verb in `extra`."""
    for name in order.extra:
        if name not in names:
            accepted = ", ".join(names) or "nothing"
            raise UsageError.field("extra", name, f"for a {order.kind}: {accepted}")
