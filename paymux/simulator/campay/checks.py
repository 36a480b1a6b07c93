"""What CamPay refuses in an order: missing fields, amounts, and numbers of other carriers."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ..replies import Refused, json_reply
from .messages import error

# Number ranges of Cameroon's two mobile money operators, from libphonenumber's carrier data;
# CamPay's page has none.
_CARRIERS = {
    "MTN": re.compile(r"237(?:67|65[0-4]|68[0-3])", re.ASCII),
    "ORANGE": re.compile(r"237(?:69|65[5-9]|68[6-9]|64[0-2])", re.ASCII),
}
_NUMBER = re.compile(r"237[0-9]{9}", re.ASCII)
_WHOLE = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)


def checked_amount(body: Mapping[str, Any], *needed: str, cap: int | None) -> Decimal:
    """Check the fields that all orders share, and return the amount; `cap`: XAF at most."""
    missing = {name: ["This field is required."] for name in needed if body.get(name) in (None, "")}
    if missing:
        raise Refused(json_reply(missing, 400))
    if isinstance(body["amount"], bool) or not _WHOLE.fullmatch(str(body["amount"])):
        raise Refused(error("ER201"))
    if body.get("currency", "XAF") != "XAF":
        raise Refused(json_reply({"message": "Invalid currency"}, 400))
    amount = Decimal(str(body["amount"]))
    if cap is not None and amount > cap:
        raise Refused(json_reply({"message": f"Maximum amount on demo is {cap} XAF"}, 400))
    return amount


def checked_party(written: str, *, plus: bool = False) -> tuple[str, str]:
    """Check a number; return it and its carrier.

    `plus`: the number may have one. The live API accepts none; the summary's samples have one.
    """
    party = written.removeprefix("+") if plus else written
    if not _NUMBER.fullmatch(party):
        raise Refused(error("ER101"))
    for carrier, numbers in _CARRIERS.items():
        if numbers.match(party):
            return party, carrier
    raise Refused(error("ER102"))
