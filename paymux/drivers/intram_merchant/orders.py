"""What an order sends: the bodies of payment requests, payouts and refunds.

https://github.com/suntechdevs/paycfa merchant-api/reference/payment-requests.md @5a20951,
payouts.md and refunds.md @585cc6f; fields in the order of the pages.
"""

import re
from collections.abc import Mapping
from typing import Any

from ...errors import UsageError
from ...models import Order
from ...primitives import coerce
from ...values.money import whole
from .answers import REFERENCE_KEY

# payouts.md; SBIN_BENIN_229 is "Sirius Bank" there (payment/supported-devices.md), for which there
# is no word of ours: extra={"provider_code": …}.
OPERATORS: Mapping[str, str] = {"mtn": "MTN_BENIN_229", "moov": "MOOV_AFRICA_BENIN_229"}
_CODE = re.compile(r"[A-Z0-9_]{3,64}", re.ASCII)
BANK = "bank:"  # before the account number or IBAN in a payee
_OF_A_BANK = ("swift", "account_name")
_SWIFT = re.compile(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?", re.ASCII)  # ISO 9362
_LONGEST_NAME = 100  # no page has a limit
_LONGEST = 500  # characters of a description, a note or a reason


def payment_request(order: Order) -> dict[str, Any]:
    """Return the body that asks a payer; its page asks for what is not known."""
    buyer = order.customer
    named = {
        "email": buyer and buyer.email,
        "first_name": buyer and buyer.name,
        "last_name": buyer and buyer.surname,
        "phone": order.party or (buyer and buyer.phone),
    }
    code = _provider_code(order)
    method = {"code": code, "country_code": "BJ", "msisdn": order.party} if code else {}
    urls = {"success": order.return_url, "cancel": order.cancel_url}
    return _said(
        {
            "invoice": {
                "amount": whole(order.amount),
                "currency": order.currency,
                **_text("description", order.description),
                "customer": _said(named),  # must be there, and may be empty
            },
            "payment_method": _said(method),
            "return_urls": _said(urls),
            "webhook_data": _free(order),
        }
    )


def payout(order: Order) -> dict[str, Any]:
    """Return the body that pays one number, or one bank account."""
    account = (order.party or "").partition(BANK)[2]
    return _said(
        {
            "amount": whole(order.amount),
            "currency": order.currency,
            "destination": _bank(order, account) if account else _mobile(order),
            "reference": order.reference,
            **_text("note", order.description),
            "metadata": dict(order.metadata),
        }
    )


def _mobile(order: Order) -> dict[str, Any]:
    """Return where mobile money goes; which network a number has cannot be told from it."""
    for name in _OF_A_BANK:
        if name in order.extra:
            raise UsageError.field(name, order.extra[name], f"nothing, without payee='{BANK}…'")
    code = _provider_code(order)
    if code is None:
        accepted = f"{', '.join(OPERATORS)}, or extra={{'provider_code': …}} as Intram names it"
        raise UsageError.missing("operator", f"Intram needs the payee's network: {accepted}")
    return {
        "type": "mobile_money",
        "country_code": "BJ",
        "provider_code": code,
        "msisdn": order.party,
    }


def _bank(order: Order, account: str) -> dict[str, Any]:
    """Return the bank account of a wire; the page has `provider_code` for mobile money alone."""
    for name, value in (("operator", order.operator), *order.extra.items()):
        if name in ("operator", "provider_code") and value is not None:
            raise UsageError.field(name, value, "nothing: a bank is named by `swift`")
    given = order.extra.get("swift")
    swift = (coerce.text(given) or "").upper()
    if not _SWIFT.fullmatch(swift):
        raise UsageError.field("swift", given, "the bank's SWIFT code (BIC), such as ECOCBJBJ")
    said = order.extra.get("account_name", "")
    holder = coerce.text(said)
    if holder is None or len(holder) > _LONGEST_NAME or not holder.isprintable():
        raise UsageError.hidden("account_name", f"a name of at most {_LONGEST_NAME} characters")
    named = {"account_name": holder} if holder else {}
    return {"type": "bank_account", "swift": swift, "account_number": account, **named}


def refund(order: Order, transaction: str) -> dict[str, Any]:
    """Return the body that gives money of a transaction back; the amount is always stated."""
    return {
        "transaction_reference": transaction,
        "amount": whole(order.amount),
        **_text("reason", order.description),
        "metadata": _free(order),
    }


def _provider_code(order: Order) -> str | None:
    given = order.extra.get("provider_code")
    if given is not None:
        found = coerce.text(given)
        if found is None or not _CODE.fullmatch(found):
            raise UsageError.field("provider_code", given, "Intram's word, such as SBIN_BENIN_229")
        return found
    if order.operator is None:
        return None
    if order.operator not in OPERATORS:
        accepted = f"{', '.join(OPERATORS)} (or extra={{'provider_code': …}})"
        raise UsageError.field("operator", order.operator, accepted)
    return OPERATORS[order.operator]


def _free(order: Order) -> dict[str, Any]:
    """Return a free object with our reference, by which the operation is found."""
    if REFERENCE_KEY in order.metadata:
        accepted = "any other key: this one carries the reference"
        raise UsageError.field("metadata", REFERENCE_KEY, accepted)
    return {REFERENCE_KEY: order.reference, **order.metadata}


def _text(name: str, said: str) -> dict[str, str]:
    if len(said) > _LONGEST:
        raise UsageError.field("description", said, f"at most {_LONGEST} characters")
    return {name: said} if said else {}


def _said(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in fields.items() if one or name == "customer"}
