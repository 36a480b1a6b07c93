"""The checkout page at `gateway_url`, and the way back to one of the two return URLs."""

from typing import TYPE_CHECKING, Any

from ..checkout import Back, Checkout, Operator
from ..ledger import Entry

if TYPE_CHECKING:
    from . import IntramMerchant

_OPERATORS = (
    Operator("MTN_BENIN_229", "MTN MoMo", "BJ"),
    Operator("MOOV_AFRICA_BENIN_229", "Moov Money", "BJ"),
    Operator("SBIN_BENIN_229", "SBIN", "BJ"),
    Operator("visa", "Visa / Mastercard", word=""),
)


def checkout(merchant: "IntramMerchant", entry: Entry) -> Checkout:
    """Return the page of a payment request."""
    payload = entry.words["payload"]
    urls: dict[str, Any] = payload.get("return_urls") or {}
    return Checkout(
        shop="Simulator",
        description=str(payload["invoice"].get("description") or ""),
        operators=_OPERATORS,
        addresses=[urls.get("success"), urls.get("cancel")],
        back=lambda: _back(entry, urls),
        life=merchant.page_life,
    )


def _back(entry: Entry, urls: dict[str, Any]) -> Back | None:
    """Return the way back; no page says that anything is added to the URL."""
    address = urls.get("success" if entry.moved else "cancel")
    return Back(str(address)) if address else None
