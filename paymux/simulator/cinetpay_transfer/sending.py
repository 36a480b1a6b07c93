"""Contacts, and transfers to them: what the annexe refuses, row by row.

https://docs.cinetpay.com/api/1.0-fr/transfert/etapes and …/annexe.
"""

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...primitives.clock import wall_time
from ..ledger import Entry
from ..replies import Refused
from .messages import CODES, error

if TYPE_CHECKING:
    from . import CinetPayTransfer

# The countries of the account's currency, by the prefix of their numbers, and their lowest amount.
# The amounts are an integrator's (github.com/TambongStercy/SBC-MS, CINETPAY_PAYOUT_GUIDE.md); the
# annexe says 200 XOF, and has none for Niger.
LOWEST = {
    "XOF": {
        "221": 200,
        "223": 500,
        "225": 200,
        "226": 500,
        "227": 200,
        "228": 150,
        "229": 500,
    },
    "XAF": {"237": 500},
    "GNF": {"224": 1000},
    "CDF": {"243": 1000},
}
_PERSON = ("prefix", "phone", "name", "surname", "email")
_PHONE = re.compile(r"[0-9]{6,12}", re.ASCII)
_WHOLE = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)


def rows_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Read the field `data`, a list of objects in JSON."""
    try:
        found = json.loads(body.get("data") or "")
    except ValueError:
        raise Refused(error("718", "data is not JSON")) from None
    rows = [found] if isinstance(found, dict) else found
    if not isinstance(rows, list) or not rows or not all(isinstance(one, dict) for one in rows):
        raise Refused(error("704", "data is a list of objects"))
    return rows


def failed(row: dict[str, Any], code: str) -> dict[str, Any]:
    """Return a row with its error, as the page has a known contact's."""
    return {**row, "code": code, "status": CODES[code]}


def added(provider: "CinetPayTransfer", row: dict[str, Any]) -> dict[str, Any]:
    """Make a contact; one that exists is told so by 726, inside code 0."""
    if any(not isinstance(row.get(name), str) for name in _PERSON):
        return failed(row, "716")
    if not row["name"]:
        return failed(row, "716")
    if (wrong := _phone(provider, row)) is not None:
        return failed(row, wrong)
    number = f"{row['prefix']}{row['phone']}"
    known = provider.contacts.get(number)
    lot = known or provider.lot()
    provider.contacts[number] = lot
    told = {"code": 726, "status": CODES["726"]} if known else {"code": 0, "status": "success"}
    return {**row, **told, "lot": lot}


def accepted(provider: "CinetPayTransfer", row: dict[str, Any]) -> Entry | str:
    """Accept a transfer, or return the code of what is wrong with it."""
    if (wrong := _wrong(provider, row)) is not None:
        return wrong
    number = f"{row['prefix']}{row['phone']}"
    day = f"{wall_time():%y%m%d.%H%M}"
    receipt = f"CI{day}.B{provider.core.random.randrange(10**5):05}"
    lot, transaction = provider.lot(), provider.transaction()
    return provider.open(
        "payout",
        receipt,
        lot,
        reference=row["client_transaction_id"],
        provider_reference=transaction,
        amount=Decimal(str(row["amount"])),
        currency=provider.currency,
        party=number,
        lot=lot,
        receipt=receipt,
        phone=row["phone"],
        notify_url=row["notify_url"],
        operator=row.get("payment_method") or provider.operator,
        comment=None,
        waits="NEW" if provider.whitelisted else "NOS",
    )


def _wrong(provider: "CinetPayTransfer", row: dict[str, Any]) -> str | None:
    texts = ("prefix", "phone", "client_transaction_id")
    if any(not isinstance(row.get(name), str) or not row[name] for name in texts):
        return "716"
    if (wrong := _phone(provider, row)) is not None:
        return wrong
    url = urlsplit(str(row.get("notify_url") or ""))
    if url.scheme not in ("http", "https") or not url.hostname:
        return "725"
    if f"{row['prefix']}{row['phone']}" not in provider.contacts:
        return "724"
    # The page's sample and integrators send text, some a number.
    if not _WHOLE.fullmatch(str(row.get("amount"))) or int(row["amount"]) % 5:
        return "801"
    amount = Decimal(str(row["amount"]))
    if amount < LOWEST[provider.currency][row["prefix"]]:
        return "719"
    if amount > provider.highest:
        return "720"
    if provider.by_client(row["client_transaction_id"]) is not None:
        return provider.duplicate
    return "602" if amount > provider.available else None


def _phone(provider: "CinetPayTransfer", row: dict[str, Any]) -> str | None:
    if row["prefix"] not in LOWEST[provider.currency]:
        return "721"
    return None if _PHONE.fullmatch(row["phone"]) else "802"
