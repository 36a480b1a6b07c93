"""What a provider tells its checkout page about an order."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from .operators import Operator


class Back(msgspec.Struct, frozen=True):
    """The way back to the shop: a redirect, or with `fields` a form that the payer posts."""

    address: str
    fields: Mapping[str, str] | None = None


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """The page of one order.

    `shop` and `description` are the merchant's text; `addresses`: every URL of the order to which
    the page may lead; `back`: the way of the order as it is now, None if the merchant gave none;
    `life`: seconds from the order until the page expires; `lang`: "fr" or "en"; `locked`: the payer
    may not change the number; `retries`: an attempt that failed leads back, and the order is open
    for another. What the payer chose is in the entry's `words["operator"]`.
    """

    shop: str
    description: str
    operators: Sequence[Operator]
    addresses: Sequence[object]
    back: Callable[[], Back | None]
    life: float
    lang: str = "fr"
    locked: bool = False
    retries: bool = False
