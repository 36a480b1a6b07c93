"""What moves no money: who serves a number, balances, statements, keys, callbacks once more.

https://docs.pawapay.io/v2/api-reference/toolkit and /finances.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from ...errors import UsageError
from ...http import Request, Send, get, post
from ...models import Balance
from ...values.parsing import ProviderData, Text, Unreadable, amount
from .answers import Absent

Undocumented: TypeAlias = dict[str, Any]  # an answer that is returned unchanged


class Prediction(ProviderData, frozen=True, rename="camel"):
    """Who probably serves a number: country (ISO 3166, three letters), operator, the number."""

    country: Text = None
    provider: Text = None
    phone_number: Text = None

    def answers(self) -> bool:
        """Return whether this is an answer."""
        if not self.provider:
            raise Unreadable("the answer has no provider")
        return True


class Wallet(msgspec.Struct, frozen=True, kw_only=True):
    """One wallet: Decimal in major units; `provider` only if the wallet is of one operator."""

    country: str
    currency: str
    available: Decimal
    provider: str | None = None

    @property
    def name(self) -> str:
        """Return it as the account's `wallet` names it: ZMB/ZMW, or ZMB/ZMW/MTN_MOMO_ZMB."""
        return "/".join(filter(None, (self.country, self.currency, self.provider)))


class _Balance(ProviderData, frozen=True, rename="camel"):
    country: Text = None
    currency: Text = None
    balance: Text = None
    provider: Text = None


class _Balances(ProviderData, frozen=True):
    balances: list[_Balance] | None = None

    def answers(self) -> bool:
        if self.balances is None:
            raise Unreadable("the answer has no balances")
        return True


class Key(ProviderData, frozen=True):
    """A public key of pawaPay."""

    id: Text = None
    key: Text = None


class Statement(ProviderData, frozen=True, rename="camel"):
    """A statement of a wallet that is being made, or is ready: `download_url` is CSV, for a day."""

    statement_id: Text = None
    status: Text = None
    download_url: Text = None

    def answers(self) -> bool:
        """Return whether this is about a statement."""
        if not self.statement_id:
            raise Unreadable("the answer has no statementId")
        return True


class _FoundStatement(ProviderData, frozen=True):
    data: Statement | Absent = None

    @property
    def said(self) -> Statement:
        return self.data if isinstance(self.data, Statement) else Statement()

    def answers(self) -> bool:
        return self.said.answers()


_PREDICT = post("/v2/predict-provider", Prediction, None, money=False, matches=Prediction.answers)
_BALANCES = get("/v2/wallet-balances", _Balances, matches=_Balances.answers)
_KEYS = get("/v2/public-key/http", list[Key])
_AVAILABLE = get("/v2/availability", list[Undocumented])
_STATEMENT = post("/v2/statements", Statement, None, money=False, matches=Statement.answers)
_STATEMENT_OF = get("/v2/statements/{id}", _FoundStatement, matches=_FoundStatement.answers)


async def predict(send: Send, phone: str) -> Prediction:
    """Ask which operator serves a number, which pawaPay reads in any form."""
    return await send(_PREDICT.with_body({"phoneNumber": phone}))


async def wallets(send: Send) -> list[Wallet]:
    """Ask for the money in each wallet."""
    return [
        Wallet(
            country=one.country or "",
            currency=one.currency or "",
            available=_exact(one.balance),
            provider=one.provider,
        )
        for one in (await send(_BALANCES)).balances or ()
    ]


def balance(found: list[Wallet], wallet: str) -> Balance:
    """Add up the wallets of one currency that `wallet` names; "": all of them."""
    kept = [one for one in found if not wallet or f"{one.name}/".startswith(f"{wallet}/")]
    currencies = {one.currency for one in kept}
    if len(currencies) != 1:
        accepted = f"one of {', '.join(one.name for one in found) or 'none: the account has none'}"
        raise UsageError.field("wallet", wallet, accepted)
    return Balance(
        currency=currencies.pop(),
        available=sum((one.available for one in kept), Decimal(0)),
        by_account={one.name: one.available for one in kept},
    )


async def keys(send: Send) -> dict[str, str]:
    """Ask for the public keys, by their ids."""
    found = {one.id: one.key for one in await send(_KEYS) if one.id and one.key}
    return {str(id): str(key) for id, key in found.items()}


async def availability(send: Send) -> list[Undocumented]:
    """Ask which operators are working."""
    return await send(_AVAILABLE)


def statement_request(
    wallet: str, since: datetime, until: datetime, callback_url: str, *, compressed: bool
) -> Request[Statement]:
    """Return the request for a statement of at most 31 days."""
    names = ("country", "currency", "provider")
    parts = wallet.split("/")
    if not 2 <= len(parts) <= len(names):
        raise UsageError.field("wallet", wallet, "ZMB/ZMW, or ZMB/ZMW/MTN_MOMO_ZMB")
    body = {
        "wallet": dict(zip(names, parts, strict=False)),
        "callbackUrl": callback_url,
        "startDate": _dated(since),
        "endDate": _dated(until),
        "compressed": compressed,
    }
    return _STATEMENT.with_body(body)


async def statement(send: Send, id: str) -> Statement:
    """Ask for a statement."""
    return (await send(_STATEMENT_OF.with_ids({"id": id}))).said


def action_request(path: str, id: str) -> Request[Undocumented]:
    """Return the request to cancel what is enqueued, or to send a callback again."""
    return post(path, Undocumented, None, money=False, at={"id": id})


def _exact(value: str | None) -> Decimal:
    found = amount(value)
    if found is None:
        raise Unreadable("a wallet without a balance")
    return found


def _dated(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
