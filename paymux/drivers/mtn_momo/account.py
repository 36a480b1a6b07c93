"""An MTN MoMo account: its credentials, its platform, and where its requests go."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from ...errors import UsageError
from ...models import Kind, Payment
from ...primitives import coerce
from ...primitives.redaction import Secret
from ...values.phone import phone_digits
from ...values.validation import checked_url
from .._ids import derived_uuid
from ..base import Driver, reveal
from .places import (
    PLATFORMS,
    SANDBOX,
    SANDBOX_CURRENCY,
    SANDBOX_TARGET,
    TARGETS,
    TEST_NUMBERS,
    Product,
    login_name,
    login_parts,
)

_PARTS = ("key", "user", "api_key")
_PRODUCTS: tuple[Product, ...] = ("collection", "disbursement")


class Account(Driver, frozen=True, kw_only=True):
    """The fields of an account, and what they decide."""

    name = "mtn_momo"
    live_url = PLATFORMS["proxy"]
    sandbox_url = SANDBOX
    currencies = frozenset({SANDBOX_CURRENCY, *(land.currency for land in TARGETS.values())})
    countries = frozenset(land.country for land in TARGETS.values())
    test_numbers = TEST_NUMBERS
    identity = frozenset({"target"})

    target: str = ""
    platform: Literal["", "proxy", "africa"] = ""
    id_key: Secret | str = ""
    collection_key: Secret | str = ""
    collection_user: str = ""
    collection_api_key: Secret | str = ""
    disbursement_key: Secret | str = ""
    disbursement_user: str = ""
    disbursement_api_key: Secret | str = ""
    other_url: str = ""
    other_collection_key: Secret | str = ""
    other_collection_user: str = ""
    other_collection_api_key: Secret | str = ""
    other_disbursement_key: Secret | str = ""
    other_disbursement_user: str = ""
    other_disbursement_api_key: Secret | str = ""

    def __post_init__(self) -> None:
        """Check the country, the platform, and that a product is whole."""
        super().__post_init__()
        put = msgspec.structs.force_setattr
        if coerce.text(self.platform) not in ("", *PLATFORMS) or (self.live and not self.platform):
            accepted = ", ".join(f"{name} ({url})" for name, url in PLATFORMS.items())
            said = f"{accepted}: each has its own credentials"
            raise UsageError.field("platform", self.platform, said)
        put(self, "target", self.target or ("" if self.live else SANDBOX_TARGET))
        rehearsal = [] if self.live else [SANDBOX_TARGET]
        # A country's name at the sandbox itself is refused there, with an HTTP 500.
        known = rehearsal if not self.live and self.base_url is None else [*rehearsal, *TARGETS]
        if self.target not in known:
            raise UsageError.field("target", self.target, ", ".join(known))
        if self.other_url:
            put(self, "other_url", checked_url("other_url", self.other_url).rstrip("/"))
        self._check_products()

    def _check_products(self) -> None:
        for prefix in ("", "other_"):
            for product in _PRODUCTS:
                given = [bool(getattr(self, f"{prefix}{product}_{part}")) for part in _PARTS]
                # A sandbox's user and API key are made with the key alone: `provision`.
                if any(given) and not (
                    all(given) or (given == [True, False, False] and not self.live)
                ):
                    lacking = _PARTS[given.index(False)]
                    why = f"{product} needs all of {', '.join(_PARTS)}"
                    raise UsageError.missing(f"{prefix}{product}_{lacking}", why)
        if not (self.collection_key or self.disbursement_key):
            why = "mtn_momo needs it, or disbursement_key: the subscription key of a product"
            raise UsageError.missing("collection_key", why)

    @property
    def current(self) -> str:
        """The platform of new payments."""
        return self.platform or "proxy"

    @property
    def currency(self) -> str:
        """The only currency of this account's wallets."""
        land = TARGETS.get(self.target)
        return SANDBOX_CURRENCY if land is None else land.currency

    @property
    def own_currencies(self) -> frozenset[str]:
        """The currency of the account's country."""
        return frozenset({self.currency})

    @property
    def url(self) -> str:
        """The base URL of the platform of new payments."""
        return PLATFORMS[self.current] if self.live and not self.base_url else super().url

    def url_of(self, login: str) -> str:
        """Return the base URL of a platform."""
        platform, _ = login_parts(login)
        if platform in ("", self.current):
            return self.url
        return self.other_url or PLATFORMS.get(platform, self.url)

    def home(self, currency: str) -> str | None:
        """Return the account's own country."""
        land = TARGETS.get(self.target)
        return super().home(currency) if land is None else land.country

    def party(self, kind: Kind, value: str, currency: str = "") -> str:
        """Read a number of a country of MTN's; of an account in a country, one of that."""
        found = super().party(kind, value, currency)
        land = TARGETS.get(self.target)
        if land is None or not self.live:
            return found
        field = "payee" if kind == "payout" else "payer"
        return phone_digits(f"+{found}", {land.country}, field=field)


def own_id(driver: Account, kind: Kind, reference: str) -> str:
    """Return the X-Reference-Id of an order; without an `id_key`, a sandbox's own."""
    key = reveal(driver.id_key) or driver.collection_user or driver.disbursement_user
    return derived_uuid(key, kind, reference)


def platform_of(driver: Account, payment: Payment) -> str:
    """Return the platform that processed a payment."""
    return payment.ids.get("platform", driver.current)


def platforms(driver: Account, product: Product) -> Iterable[str]:
    """Return the platforms that can be asked, the current one first."""
    others = [name for name in PLATFORMS if name != driver.current]
    return [driver.current, *(others if getattr(driver, f"other_{product}_user") else ())]


def credentials(driver: Account, login: str) -> tuple[str, str, str]:
    """Return the subscription key, the API user and the API key of a login."""
    platform, product = login_parts(login)
    prefix = "" if platform == driver.current else "other_"
    key, user, api_key = (f"{prefix}{product}_{part}" for part in _PARTS)
    return reveal(getattr(driver, key)), getattr(driver, user), reveal(getattr(driver, api_key))


def checked_login(driver: Account, platform: str, product: Product) -> str:
    """Return the name of a login; UsageError: the account lacks its credentials."""
    if platform not in PLATFORMS:
        raise UsageError.field("platform", platform, ", ".join(PLATFORMS))
    name = login_name(platform, product)
    for part, value in zip(_PARTS, credentials(driver, name), strict=True):
        if not value:
            prefix = "" if platform == driver.current else "other_"
            why = f"it is of the {product} product on the platform {platform!r}"
            raise UsageError.missing(f"{prefix}{product}_{part}", why)
    return name
