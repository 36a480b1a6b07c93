"""PyPI paydunya 1.0.7, PayDunya's own SDK, with another host."""

import sys
from typing import Any

import paydunya  # type: ignore[import-not-found]  # only its own environment has it

from .listening import listen

paydunya.debug = True  # its switch to the sandbox
# the global of the module that `debug` selects
paydunya.SANDBOX_ENDPOINT = f"{sys.argv[1]}/sandbox-api/v1/"
paydunya.LIVE_ENDPOINT = f"{sys.argv[1]}/api/v1/"
paydunya.api_keys = {
    "PAYDUNYA-MASTER-KEY": "simulator",
    "PAYDUNYA-PRIVATE-KEY": "test_private_simulator",
    "PAYDUNYA-TOKEN": "simulator",
}

invoices: dict[str, Any] = {}


def create(
    store: str | None, items: list[dict[str, Any]], taxes: list[list[Any]], data: dict[str, str]
) -> Any:
    """Create an invoice."""
    invoice = paydunya.Invoice(paydunya.Store(name=store))
    invoice.return_url = "https://shop.example/return"
    made = invoice.create([paydunya.InvoiceItem(**item) for item in items], taxes, data)
    if made[0]:
        invoices[made[1]["token"]] = invoice
    return made


def confirm(token: str) -> Any:
    """Confirm with the invoice object that created it: this sends its data again, by POST."""
    return invoices[token].confirm()


def confirm_by_token(token: str) -> Any:
    """Confirm with a new object: it has no data, so that it sends a GET."""
    return paydunya.Invoice().confirm(token)


def pay_directly(account_alias: str, amount: int) -> Any:
    """Credit another account."""
    return paydunya.DirectPay(account_alias, amount).process()


def go_live() -> None:
    """Switch from the sandbox to the live keys."""
    paydunya.debug = False


listen("paydunya", create, confirm, confirm_by_token, pay_directly, go_live)
