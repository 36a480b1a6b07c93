"""Intram's checkout page: its operators, and the way back to return_url or cancel_url."""

from typing import TYPE_CHECKING

from ..checkout import Back, Checkout, Operator, among
from ..ledger import Entry

if TYPE_CHECKING:
    from . import Intram

# Benin alone: the page on supported devices, 2026-05; the channels are of intram-nodejs' Readme.
_OPERATORS = (
    Operator("mtn-benin", "MTN MoMo", "BJ", "MTN"),
    Operator("moov-benin", "Moov Money", "BJ", "MOOV"),
    Operator("sbin-benin", "SBIN", "BJ", "SBIN"),
    Operator("visa", "Visa / Mastercard"),
)


def checkout(intram: "Intram", entry: Entry) -> Checkout:
    """Return the page of a transaction."""
    words = entry.words
    return Checkout(
        shop=words["store"]["name"],
        description=str(words["invoice"].get("description") or ""),
        operators=among(_OPERATORS, words["invoice"].get("channels")),
        addresses=[words["actions"].get(name) for name in ("return_url", "cancel_url")],
        back=lambda: _back(intram, entry),
        life=intram.page_life,
    )


def _back(intram: "Intram", entry: Entry) -> Back | None:
    """Return the way back; Intram appends its query, even to a URL that has one."""
    address = entry.words["actions"].get("return_url" if entry.moved else "cancel_url")
    if not address:
        return None
    reference = entry.provider_reference
    if intram.redirect_query == "STATUS":
        return Back(f"{address}?STATUS={intram.word(entry)}?transaction_id={reference}")
    return Back(f"{address}?token={reference}")
