"""The hosted checkout page of a provider: no money moves, the payer decides, and is led back.

    return serve(self, entry, incoming, Checkout(shop=…, operators=…, back=…))

French unless the address says `?lang=en`; it works without JavaScript.
"""

from .assets import asset
from .offer import Back, Checkout
from .operators import Operator, among
from .serving import serve

__all__ = [
    "Back",
    "Checkout",
    "Operator",
    "among",
    "asset",
    "serve",
]
