"""The requests that move money: requesttopay, transfer, deposit, refund; and their look-ups.

https://momodeveloper.mtn.com (products Collection and Disbursement), and MTN's own notebook,
https://github.com/MoMoOpenAPI/MoMoOpenAPI_SandBox @d19708c.

`X-Reference-Id` is chosen by us, and names the payment. A second request with it makes nothing: it
is refused as RESOURCE_ALREADY_EXIST, "Duplicated reference id. Creation of resource failed"
(content/html_widgets/3fbhs and o46rh of the portal), whose advice is to look whether the first one
was answered with 202. So within its verb a request without an answer is sent again with its id:
202 or 409 then say that it exists, and no other id is ever made for an order.
"""

import re
import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ...errors import NotFound, UsageError
from ...http import Request, Send, get, post
from ...models import Kind, Order, Payment
from ...values.parsing import Empty
from .account import checked_login, own_id, platform_of, platforms
from .answers import Transaction
from .places import Product

if TYPE_CHECKING:
    from . import MtnMomo

_NOTE_CHARS = 128  # of VALIDATION_ERROR; another table has 160
# "Unsupported special characters, e.g. an apostrophe" are refused as a bad request.
_UNFIT = re.compile(r"[^A-Za-z0-9 .,:_-]+")
_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


class Api(NamedTuple):
    """One API: its product, its path, and the field of the other party; "": it has none."""

    product: Product
    path: str
    party: str


APIS = {
    "requesttopay": Api("collection", "/collection/v1_0/requesttopay", "payer"),
    "transfer": Api("disbursement", "/disbursement/v1_0/transfer", "payee"),
    "deposit": Api("disbursement", "/disbursement/v1_0/deposit", "payee"),
    "refund": Api("disbursement", "/disbursement/v1_0/refund", ""),
}
# The APIs of a kind, the usual one first.
OF_KIND: dict[Kind, tuple[str, ...]] = {
    "collect": ("requesttopay",),
    "payout": ("transfer", "deposit"),
    "refund": ("refund",),
}
# Repeated within the verb with the same id and bytes: see above.
_ASK = {name: post(api.path, Empty, None, repeatable=True) for name, api in APIS.items()}
_LOOK = {
    name: get(f"{api.path}/{{id}}", Transaction, matches=Transaction.answers)
    for name, api in APIS.items()
}


async def move(
    driver: "MtnMomo", send: Send, order: Order, api: str, refunded: Payment | None = None
) -> Payment:
    """Ask for money, once: 202 says only that the request exists."""
    platform = driver.current
    note = _note(order.description or order.reference)
    more: dict[str, Any] = {}
    if refunded is not None:
        platform, more = platform_of(driver, refunded), {"referenceIdToRefund": _id_of(refunded)}
    elif order.party:
        more = {APIS[api].party: {"partyIdType": "MSISDN", "partyId": order.party}}
    name = checked_login(driver, platform, APIS[api].product)
    ours = own_id(driver, order.kind, order.reference)
    body = {
        "amount": f"{order.amount:f}",
        "currency": order.currency,
        "externalId": order.reference,
        **more,
        "payerMessage": note,
        "payeeNote": note,
    }
    headers = {"X-Reference-Id": ours}
    if order.webhook_url:
        headers["X-Callback-Url"] = order.webhook_url
    ids = {"platform": platform, "api": api}
    known = {"provider_reference": ours, **ids}
    request = _ASK[api].with_body(body).with_headers(headers)
    await send(msgspec.structs.replace(request, known=known, login=name))
    return msgspec.structs.replace(driver.pending(order), provider_reference=ours, ids=ids)


async def look(driver: "MtnMomo", send: Send, payment: Payment) -> Payment:
    """Ask for a payment where it was processed; where that is not known, wherever we can ask.

    "Not found" on another platform or API says nothing, and so it is never final.
    """
    kind: Kind = payment.kind or "collect"
    asked = payment.provider_reference or own_id(driver, kind, payment.reference or "")
    if not _ID.fullmatch(asked):
        accepted = "the UUID by which the request was made"
        raise UsageError.field("provider_reference", payment.provider_reference, accepted)
    held = payment.ids.get("platform"), payment.ids.get("api")
    unknown: NotFound | None = None
    for platform in [held[0]] if held[0] else platforms(driver, APIS[OF_KIND[kind][0]].product):
        for api in [held[1]] if held[1] in APIS else OF_KIND[kind]:
            try:
                said = await send(_look_up(driver, asked, platform, api))
            except NotFound as error:
                unknown = error
                continue
            found = driver.payment(said, asked, kind)
            return msgspec.structs.replace(found, ids={"platform": platform, "api": api})
    raise unknown or NotFound(f"{driver.account}: no platform to ask")


def _look_up(driver: "MtnMomo", asked: str, platform: str, api: str) -> Request[Transaction]:
    name = checked_login(driver, platform, APIS[api].product)
    return msgspec.structs.replace(_LOOK[api].with_ids({"id": asked}), login=name)


def _id_of(paid: Payment) -> str:
    """Return the id of the collect that a refund is of."""
    found = paid.provider_reference or ""
    if not _ID.fullmatch(found):
        accepted = "a payment that was collected by MTN, with its id: verify it first"
        raise UsageError.field("payment.provider_reference", found or None, accepted)
    return found


def _note(said: str) -> str:
    """Return a text that MTN accepts; the payer sees it."""
    plain = unicodedata.normalize("NFKD", said).encode("ascii", "ignore").decode()
    return " ".join(_UNFIT.sub(" ", plain).split())[:_NOTE_CHARS].strip() or "-"
