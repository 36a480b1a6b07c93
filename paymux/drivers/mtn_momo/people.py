"""Who holds an account: whether it is active, and by which name. It moves no money."""

from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import UsageError
from ...http import Send, get
from ...primitives import coerce
from .account import checked_login
from .answers import Holder
from .places import Product

if TYPE_CHECKING:
    from . import MtnMomo

_PRODUCTS: tuple[Product, ...] = ("collection", "disbursement")
_ACTIVE = "/{product}/v1_0/accountholder/msisdn/{number}/active"
_NAME = "/{product}/v1_0/accountholder/msisdn/{number}/basicuserinfo"


async def is_active(driver: "MtnMomo", send: Send, phone: str, product: str) -> bool:
    """Ask whether a number has an active account."""
    request = get(_ACTIVE, Holder)
    said: Holder = await send(_about(driver, request, phone, product))
    return said.result


async def name_of(driver: "MtnMomo", send: Send, phone: str, product: str) -> dict[str, Any]:
    """Ask for the holder's name and the like: personal data."""
    request = get(_NAME, dict[str, Any])
    found: dict[str, Any] = await send(_about(driver, request, phone, product))
    return found


def _about(driver: "MtnMomo", request: Any, phone: str, product: str) -> Any:
    named = checked_product(driver, product)
    number = driver.party("payout", phone, driver.currency)
    request = request.with_ids({"product": named, "number": number})
    return msgspec.structs.replace(request, login=checked_login(driver, driver.current, named))


def checked_product(driver: "MtnMomo", given: object) -> Product:
    """Return a product by name; "": the one that the account has."""
    said = coerce.text(given)
    if said == "":
        return next((one for one in _PRODUCTS if getattr(driver, f"{one}_key")), "collection")
    for one in _PRODUCTS:
        if said == one:
            return one
    raise UsageError.field("product", given, ", ".join(_PRODUCTS))
