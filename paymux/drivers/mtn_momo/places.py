"""Where MTN is: its two platforms of 2026, its countries, and the products of an account.

Hosts and countries: momodeveloper.mtn.com and momoapi.mtn.com. The platform of 2026 is known from
one source alone, the notes of https://pypi.org/project/momo-openapi/ 0.1.2.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

Product: TypeAlias = Literal["collection", "disbursement"]

# In autumn 2026 traffic moves from the first to the second, with other credentials; both answer for
# about a month, and a payment can be read only on the one that processed it.
PLATFORMS: Final[Mapping[str, str]] = {
    "proxy": "https://proxy.momoapi.mtn.com",
    "africa": "https://momoapi.momo.africa",
}
SANDBOX: Final = "https://sandbox.momodeveloper.mtn.com"


class Land(NamedTuple):
    """A country of MTN's: its code, and its currency."""

    country: str
    currency: str


# By X-Target-Environment. LRD: the wallet of Liberia has dollars, too, which no page names.
TARGETS: Final[Mapping[str, Land]] = {
    "mtnbenin": Land("BJ", "XOF"),
    "mtncameroon": Land("CM", "XAF"),
    "mtncongo": Land("CG", "XAF"),
    "mtnghana": Land("GH", "GHS"),
    "mtnguineaconakry": Land("GN", "GNF"),
    "mtnivorycoast": Land("CI", "XOF"),
    "mtnliberia": Land("LR", "LRD"),
    "mtnnigeria": Land("NG", "NGN"),
    "mtnrwanda": Land("RW", "RWF"),
    "mtnsouthafrica": Land("ZA", "ZAR"),
    "mtnsouthsudan": Land("SS", "SSP"),
    "mtnswaziland": Land("SZ", "SZL"),
    "mtnuganda": Land("UG", "UGX"),
    "mtnzambia": Land("ZM", "ZMW"),
}
SANDBOX_TARGET: Final = "sandbox"
SANDBOX_CURRENCY: Final = "EUR"  # and no other: INVALID_CURRENCY

# The sandbox's own numbers: from 50 to 64 each has a meaning (881wm, l4KRt), any other one pays.
TEST_NUMBERS: Final = frozenset(f"467331234{end:02}" for end in range(100))


def login_name(platform: str, product: Product) -> str:
    """Return the name of a login: each platform and product has a token of its own."""
    return f"{platform}:{product}"


def login_parts(name: str) -> tuple[str, str]:
    """Return the platform and the product of a login."""
    platform, _, product = name.partition(":")
    return platform, product
