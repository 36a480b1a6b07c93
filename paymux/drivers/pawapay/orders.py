"""Deposits, payouts and refunds: what is sent, each with an id of ours.

https://docs.pawapay.io/v2/api-reference/deposits/initiate-deposit, /payouts/initiate-payout and
/refunds/initiate-refund: "This API call is idempotent, which means it is safe to submit a request
with the same depositId multiple times." So within its verb a request is sent again with the same id
and the same bytes; "You should store this depositId in your system before initiating the deposit"
(https://docs.pawapay.io/v2/docs/deposits): it is known before the first one leaves.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ...http import Send, get, post
from ...models import Kind, Order, Payment
from ...primitives import coerce
from . import configuration, toolkit
from .answers import Found, Said
from .operators import provider_of

if TYPE_CHECKING:
    from . import PawaPay

PATHS: Mapping[Kind, str] = {
    "collect": "/v2/deposits",
    "payout": "/v2/payouts",
    "refund": "/v2/refunds",
}
_ID: Mapping[Kind, str] = {"collect": "depositId", "payout": "payoutId", "refund": "refundId"}
_LOOK_UPS = {kind: get(f"{path}/{{id}}", Found) for kind, path in PATHS.items()}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_PROVIDER = re.compile(r"[A-Z0-9_]{3,40}", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9]{1,36}", re.ASCII)
_NOT_SHOWN = re.compile(r"[^A-Za-z0-9]+")
MESSAGE_CHARS = range(4, 23)  # of a customerMessage: alphanumeric, and spaces
METADATA_FIELDS = 10


async def order(driver: "PawaPay", send: Send, order: Order) -> Payment:
    """Ask for a deposit or send a payout."""
    provider = await _provider(send, order)
    configuration.check(driver, order, provider)
    party = {
        "type": "MMO",
        "accountDetails": {"phoneNumber": order.party, "provider": provider},
    }
    message = shown(order.description)
    body = {
        **_money(order),
        "payer" if order.kind == "collect" else "recipient": party,
        "customerMessage": message,
        "clientReferenceId": order.reference,
        "preAuthorisationCode": _code(order),
        "successfulUrl": order.return_url,
        "failedUrl": order.cancel_url or order.return_url,
        "metadata": fields(order.metadata),
    }
    return await _sent(driver, send, order, body)


async def refund(driver: "PawaPay", send: Send, order: Order, payment: Payment) -> Payment:
    """Give money of a deposit back, in whole or in part."""
    if payment.kind not in (None, "collect"):
        raise UsageError.field("payment.kind", payment.kind, "collect: a deposit")
    deposit = payment.provider_reference
    if deposit is None and payment.reference is not None:
        deposit = driver.id_of("collect", payment.reference)
    configuration.check(driver, order, payment.operator or "")
    body = {
        "depositId": checked_id(deposit),
        **_money(order),
        "clientReferenceId": order.reference,
    }
    return await _sent(driver, send, order, body)


async def look_up(driver: "PawaPay", send: Send, kind: Kind, id: str) -> Payment:
    """Ask for a payment by our id."""
    request = _LOOK_UPS[kind].with_ids({"id": id})
    answers = partial(Found.answers, kind=kind, id=id)
    found = await send(request.with_body(None, answers))
    return driver.payment(found.said, id, kind)


async def _sent(driver: "PawaPay", send: Send, order: Order, body: Mapping[str, Any]) -> Payment:
    id = driver.id_of(order.kind, order.reference)
    given = {name: value for name, value in body.items() if value}
    request = post(
        PATHS[order.kind],
        Said,
        {_ID[order.kind]: id, **given},
        repeatable=True,
        matches=partial(Said.answers_order, id=id),
        known={"provider_reference": id},
    )
    return driver.payment(await send(request), id, order.kind)


async def _provider(send: Send, order: Order) -> str:
    """Return the payer's or payee's operator: as given, else as pawaPay predicts it."""
    if "provider" in order.extra:
        return checked_provider(order.extra["provider"])
    number = order.party or ""
    if order.operator is not None:
        return provider_of(order.operator, number)
    return (await toolkit.predict(send, number)).provider or ""


def _code(order: Order) -> str | None:
    """Return the code that a payer has made before, where the operator wants one (PREAUTH)."""
    given = order.extra.get("pre_authorisation_code")
    code = coerce.text(given)
    if given is not None and (order.kind != "collect" or not _CODE.fullmatch(code or "")):
        accepted = "1 to 36 letters and digits, of a collect"
        raise UsageError.field("pre_authorisation_code", given, accepted)
    return code


def checked_provider(value: object) -> str:
    """Return pawaPay's name of an operator."""
    found = coerce.text(value) or ""
    if not _PROVIDER.fullmatch(found):
        raise UsageError.field("provider", value, "a name as pawaPay writes it: MTN_MOMO_ZMB")
    return found


def checked_id(value: object, name: str = "provider_reference") -> str:
    """Return an id that pawaPay has of a payment, or of a statement."""
    found = coerce.text(value)
    if found is None or not UUID.fullmatch(found):
        raise UsageError.field(name, value, "a UUID, the id that pawaPay has of it")
    return found


def written(amount: Decimal) -> str:
    """Write an amount as pawaPay's pattern has it: without zeros at the end of a fraction."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown(description: str) -> str:
    """Return what fits of a text that the payer sees: 4 to 22 letters, digits and spaces.

    Nothing, if it is shorter: pawaPay then shows the company's name.
    """
    plain = _NOT_SHOWN.sub(" ", description).strip()[: MESSAGE_CHARS.stop - 1].strip()
    return plain if len(plain) in MESSAGE_CHARS else ""


def fields(metadata: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return metadata as a list of objects of one field each."""
    if len(metadata) > METADATA_FIELDS or not all(
        name and coerce.text(value) for name, value in metadata.items()
    ):
        accepted = f"at most {METADATA_FIELDS} names with texts"
        raise UsageError.field("metadata", metadata, accepted)
    return [{name: value} for name, value in metadata.items()]


def _money(order: Order) -> dict[str, str]:
    return {"amount": written(order.amount), "currency": order.currency}
