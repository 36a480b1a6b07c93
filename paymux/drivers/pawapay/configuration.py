"""`/v2/active-conf`: what an account may do at each operator, its limits, and its decimals.

https://docs.pawapay.io/v2/api-reference/toolkit/active-configuration. It is kept for 15 minutes
and compared with each order. It is never asked for by an order: an answer that is late or wrong
must not stop money, which pawaPay itself refuses.
"""

import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import UsageError
from ...http import Send, get
from ...models import Kind, Method, Order
from ...values.parsing import ProviderData, Text, Unreadable, amount
from .answers import Absent

if TYPE_CHECKING:
    from . import PawaPay

KEPT_SECONDS = 900.0  # "Cache for a few minutes": builders, toolkit.md
_MOST_KEPT = 256  # accounts
_OPERATIONS: Mapping[Kind, str] = {"collect": "DEPOSIT", "payout": "PAYOUT", "refund": "REFUND"}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What an account may do at one operator: Decimal limits in major units, as pawaPay has them.

    `operation` is DEPOSIT, PAYOUT, REFUND, …; `status` OPERATIONAL, DELAYED or CLOSED;
    `auth_type` PROVIDER_AUTH, PREAUTH or REDIRECT_AUTH; `decimals` NONE or TWO_PLACES.
    """

    country: str
    provider: str
    name: str
    currency: str
    operation: str
    min_amount: Decimal | None = None
    max_amount: Decimal | None = None
    decimals: str | None = None
    status: str | None = None
    auth_type: str | None = None
    callback_url: str | None = None


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """An account's configuration; the two flags say whether signatures are switched on."""

    company: str | None = None
    signed_requests_only: bool = False
    signed_callbacks: bool = False
    operations: tuple[Operation, ...] = ()


class _Type(ProviderData, frozen=True, rename="camel"):
    min_amount: Text = None
    max_amount: Text = None
    decimals_in_amount: str | None = None  # no Text, which reads NONE as nothing
    status: Text = None
    auth_type: Text = None
    callback_url: Text = None


class _Currency(ProviderData, frozen=True, rename="camel"):
    currency: Text = None
    # An object in the guides, and a list of objects of one field on the API's page.
    operation_types: dict[str, _Type] | list[dict[str, _Type]] | None = None


class _Provider(ProviderData, frozen=True, rename="camel"):
    provider: Text = None
    display_name: Text = None
    currencies: list[_Currency] | None = None


class _Country(ProviderData, frozen=True, rename="camel"):
    country: Text = None
    providers: list[_Provider] | None = None


class _Signatures(ProviderData, frozen=True, rename="camel"):
    signed_requests_only: bool = False
    signed_callbacks: bool = False


class Active(ProviderData, frozen=True, rename="camel"):
    """The answer of `/v2/active-conf`."""

    company_name: Text = None
    signature_configuration: _Signatures | Absent = None
    countries: list[_Country] | None = None

    def answers(self) -> bool:
        """Return whether this is a configuration."""
        if self.countries is None:
            raise Unreadable("the answer has no countries")
        return True

    def read(self) -> Configuration:
        """Return it as one list of operations."""
        signs = self.signature_configuration
        known = signs if isinstance(signs, _Signatures) else _Signatures()
        return Configuration(
            company=self.company_name,
            signed_requests_only=known.signed_requests_only,
            signed_callbacks=known.signed_callbacks,
            operations=tuple(self._operations()),
        )

    def _operations(self) -> Iterator[Operation]:
        for country in self.countries or ():
            for provider in country.providers or ():
                for money in provider.currencies or ():
                    types = money.operation_types or {}
                    for group in [types] if isinstance(types, dict) else types:
                        for name, said in group.items():
                            yield Operation(
                                country=country.country or "",
                                provider=provider.provider or "",
                                name=provider.display_name or provider.provider or "",
                                currency=money.currency or "",
                                operation=name,
                                min_amount=amount(said.min_amount),
                                max_amount=amount(said.max_amount),
                                decimals=said.decimals_in_amount,
                                status=said.status,
                                auth_type=said.auth_type,
                                callback_url=said.callback_url,
                            )


_ACTIVE = get("/v2/active-conf", Active, matches=Active.answers)
# By account: until when it is kept, and the operations by operator, currency and name.
_kept: dict[str, tuple[float, dict[tuple[str, str, str], Operation]]] = {}


async def fetch(driver: "PawaPay", send: Send) -> Configuration:
    """Ask for the configuration, and keep it for this process."""
    found = (await send(_ACTIVE)).read()
    by_name = {(one.provider, one.currency, one.operation): one for one in found.operations}
    account = driver.login_id() or ""
    _kept.pop(account, None)
    while len(_kept) >= _MOST_KEPT:
        del _kept[next(iter(_kept))]
    _kept[account] = (time.time() + KEPT_SECONDS, by_name)
    return found


def methods(found: Configuration) -> list[Method]:
    """Return the operators at which a payer can be asked."""
    return [
        Method(
            type=one.provider,
            display_name=one.name,
            enabled=one.status != "CLOSED",
            currency=one.currency,
        )
        for one in found.operations
        if one.operation == "DEPOSIT"
    ]


def check(driver: "PawaPay", order: Order, provider: str) -> None:
    """Refuse an amount outside of the limits that are known; nothing was sent.

    Nothing is refused where nothing is known, or not any more.
    """
    if not _kept:
        return
    until, by_name = _kept.get(driver.login_id() or "", (0.0, {}))
    limits = by_name.get((provider, order.currency, _OPERATIONS[order.kind]))
    if limits is None or until < time.time():
        return
    low, high = limits.min_amount or Decimal(0), limits.max_amount
    if order.amount < low or (high is not None and order.amount > high):
        _refuse(order, f"{low:f} to {high or '…'} {order.currency} at {provider}")
    if limits.decimals == "NONE" and order.amount != int(order.amount):
        _refuse(order, f"whole {order.currency}: {provider} takes no decimals")


def _refuse(order: Order, accepted: str) -> Any:
    raise UsageError.field("amount", f"{order.amount:f}", accepted)
