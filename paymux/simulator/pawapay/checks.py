"""What pawaPay refuses in a request, with the codes of https://docs.pawapay.io/v2/docs/failure_codes.

The patterns of amount and customerMessage are those of its API pages.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .messages import refused
from .operators import OPERATORS, Operator

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII)
_AMOUNT = re.compile(r"(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{0,3}[1-9])?", re.ASCII)
_MESSAGE = re.compile(r"[a-zA-Z0-9 ]{4,22}", re.ASCII)
_PHONE = re.compile(r"[1-9][0-9]{7,14}", re.ASCII)
_METADATA = 10


def checked_fields(body: Mapping[str, Any], known: Mapping[str, bool], id: str) -> str:
    """Check that the fields are known and the required ones there; return the id."""
    for name in body:
        if name not in known:
            raise refused(
                "UNSUPPORTED_PARAMETER", f"The parameter '{name}' is not supported.", status=400
            )
    for name, required in known.items():
        if required and body.get(name) in (None, ""):
            raise refused("MISSING_PARAMETER", f"The parameter '{name}' is missing.", status=400)
    found = body[id]
    if not isinstance(found, str) or not _UUID.fullmatch(found):
        raise refused("INVALID_PARAMETER", f"The parameter '{id}' must be a UUID.", status=400)
    _check_message(body.get("customerMessage"))
    return found


def _check_message(message: object) -> None:
    if message is not None and not (isinstance(message, str) and _MESSAGE.fullmatch(message)):
        raise refused(
            "INVALID_PARAMETER", "customerMessage: 4 to 22 letters and digits.", status=400
        )


def checked_amount(value: object) -> Decimal:
    """Check how an amount is written: text, without zeros at the end of a fraction."""
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        raise refused("INVALID_PARAMETER", "The parameter 'amount' is invalid.", status=400)
    return Decimal(value)


def checked_party(party: object, ids: Mapping[str, str]) -> tuple[str, Operator]:
    """Check a payer or a payee; return the number and the operator."""
    details = party.get("accountDetails") if isinstance(party, dict) else None
    if not isinstance(details, dict) or not isinstance(party, dict) or party.get("type") != "MMO":
        raise refused("INVALID_PARAMETER", "The type must be MMO, with accountDetails.", status=400)
    number, code = details.get("phoneNumber"), details.get("provider")
    operator = OPERATORS.get(str(code))
    if operator is None:
        raise refused("INVALID_PROVIDER", f"The provider '{code}' is not known.", ids)
    if (
        not isinstance(number, str)
        or not _PHONE.fullmatch(number)
        or not number.startswith(operator.prefix)
    ):
        said = f"The phone number '{number}' is not valid for the provider {code}"
        raise refused("INVALID_PHONE_NUMBER", said, ids)
    return number, operator


def check_money(
    amount: Decimal,
    currency: object,
    operator: Operator,
    limits: tuple[Decimal, Decimal],
    ids: Mapping[str, str],
) -> None:
    """Check an amount against the operator: its currency, decimals and limits."""
    if currency not in operator.currencies:
        said = f"The currency '{currency}' is not supported by {operator.code}."
        raise refused("INVALID_CURRENCY", said, ids)
    if amount != round(amount, operator.decimals):
        said = f"{operator.code} accepts {operator.decimals} decimals."
        raise refused("INVALID_AMOUNT", said, ids)
    if not limits[0] <= amount <= limits[1]:
        said = f"The amount must be {limits[0]} to {limits[1]}."
        raise refused("AMOUNT_OUT_OF_BOUNDS", said, ids)


def checked_metadata(value: object) -> dict[str, str]:
    """Read metadata: a list of objects of one field each, beside isPII."""
    found: dict[str, str] = {}
    if value is None:
        return found
    if not isinstance(value, list) or len(value) > _METADATA:
        raise refused("INVALID_PARAMETER", f"metadata: at most {_METADATA} entries.", status=400)
    for one in value:
        fields = {k: v for k, v in one.items() if k != "isPII"} if isinstance(one, dict) else {}
        if len(fields) != 1:
            raise refused("INVALID_PARAMETER", "metadata: objects of one field.", status=400)
        [(name, said)] = fields.items()
        if name in found:
            raise refused(
                "DUPLICATE_METADATA_FIELD", f"metadata: '{name}' comes twice.", status=400
            )
        found[name] = str(said)
    return found
