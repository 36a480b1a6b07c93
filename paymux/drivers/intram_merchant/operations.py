"""`/operations`: what became of a request that was accepted, by its id or by our reference.

https://github.com/suntechdevs/paycfa merchant-api/reference/operations.md @585cc6f.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from ...errors import NotFound, PaymuxError
from ...http import MAX_PAGE_BYTES, Send, get, pause
from ...models import Kind, Payment, Status
from ...values.parsing import Unreadable, amount, decode, parse_time
from .answers import ENVIRONMENTS, OPERATION_ID, TYPES, Answer, Listed, Operation
from .transactions import cursor, look_up

if TYPE_CHECKING:
    from . import IntramMerchant

_NAMES: dict[str, str] = {kind: name for name, kind in TYPES.items() if name is not None}
_LOOK_UP = get("/operations/{id}", Answer)
# Until the worker has made a page: 10 s, as github's only integrator of this API waits; the page
# says "poll ~1 s".
WAITS: tuple[float, ...] = (0.7, 1.0, 1.5, 2.0, 2.4, 2.4)
# An operation that is this much older than its order is of another order: the clocks of both
# differ by 5 minutes at most, or no request is taken.
_EARLIER = timedelta(hours=1)
_MATTER = "; it may have been paid: ask Intram before you pay it again"


def read(
    driver: "IntramMerchant", said: Operation, asked: str | None = None, kind: Kind = "collect"
) -> Payment:
    """Return the payment of an operation."""
    kind = TYPES.get(said.type, kind)
    done, failure = said.done, said.failure
    status, reason = driver.outcome(
        {"status": said.status, "result.status": done.status, "error.code": failure.code}
    )
    message = failure.message
    if status is Status.SUCCEEDED and kind == "collect":
        status = Status.PENDING  # only the transaction says whether the payer paid
    if status is Status.FAILED and said.repeated:
        # It was tried before, and what came of that is unknown.
        status, reason = Status.PENDING, None
    if status is Status.PENDING and kind != "collect" and (said.status or "").upper() == "FAILED":
        message = f"{message or failure.code or 'failed'}{_MATTER}"
    ids = {"transaction_reference": said.transaction, "refund_reference": done.refund_reference}
    sent = said.sent.destination
    paid = amount(done.amount)
    found = Payment(
        account=driver.account,
        provider=driver.name,
        kind=kind,
        live=ENVIRONMENTS.get(said.env, driver.live),
        reference=said.reference,
        provider_reference=asked or said.operation_id,
        ids={name: one for name, one in ids.items() if one},
        status=status,
        amount=paid if status is Status.SUCCEEDED else paid or said.asked_amount,
        # A refund's result and request have none (refunds.md): it is that of the account.
        currency=done.currency or said.asked_currency or ("XOF" if kind == "refund" else None),
        payee=getattr(sent, "payee", None) if kind == "payout" else None,
        receipt=_receipt(said) if status is Status.SUCCEEDED else None,
        checkout_url=done.gateway_url or done.payment_url,
        provider_status="/".join(filter(None, (said.status, done.status, failure.code))) or None,
        reason=reason,
        message=message,
        created_at=parse_time(said.date),
        paid_at=parse_time(said.completed_date) if status is Status.SUCCEEDED else None,
    )
    return driver.proved(found, "operation")


def _receipt(said: Operation) -> str | None:
    answer = said.done.provider_response
    named = answer.get("serviceref") if isinstance(answer, dict) else None
    return named if isinstance(named, str) and named else said.done.refund_reference


async def operation(
    driver: "IntramMerchant", send: Send, operation_id: str, kind: Kind = "collect"
) -> Payment:
    """Ask for an operation by its id, and for its transaction if it has one."""
    answer = await send(
        msgspec.structs.replace(
            _LOOK_UP.with_ids({"id": operation_id}), matches=lambda one: one.answers(operation_id)
        )
    )
    return await _followed(driver, send, answer.operation, kind)


async def _followed(
    driver: "IntramMerchant", send: Send, said: Operation, kind: Kind = "collect"
) -> Payment:
    """Return the payment of an operation; a payment request's is that of its transaction."""
    found = read(driver, said, kind=kind)
    if found.kind != "collect" or said.transaction is None:
        return found
    told = await look_up(driver, send, said.transaction)
    return msgspec.structs.replace(
        told,
        reference=found.reference,
        provider_reference=found.provider_reference,
        live=found.live,
        checkout_url=found.checkout_url,
        created_at=found.created_at,
    )


async def with_page(driver: "IntramMerchant", send: Send, accepted: Payment) -> Payment:
    """Wait for the page of a payment request, as long as the verb has, and 10 s at most.

    The request was accepted: no trouble of a look-up changes that, and a later one brings the page.
    """
    operation_id = accepted.provider_reference or ""
    request = msgspec.structs.replace(
        _LOOK_UP.with_ids({"id": operation_id}), matches=lambda one: one.answers(operation_id)
    )
    for seconds in WAITS:
        if accepted.checkout_url is not None or accepted.status.terminal:
            break
        if not await send(pause(seconds)):
            break
        try:
            accepted = read(driver, (await send(request)).operation)
        except (PaymuxError, Unreadable):
            break
    return accepted


async def find(driver: "IntramMerchant", send: Send, payment: Payment) -> Payment:
    """Ask for an operation by our reference, which only its own request has.

    A reference that was used again after Intram forgot the key has several. What one of them says
    is true of the reference in this order: it was paid, it may be paid, it failed.
    """
    kind = payment.kind or "collect"
    failed: Payment | None = None
    async for said in _listed(send, kind, payment.created_at):
        if said.reference != payment.reference or TYPES.get(said.type) != kind:
            continue
        found = await _followed(driver, send, said)
        if found.status is not Status.FAILED:
            return found
        failed = failed or found
    if failed is not None:
        return failed
    raise NotFound("Intram lists no operation with this reference")


async def _listed(send: Send, kind: Kind, since: datetime | None) -> AsyncIterator[Operation]:
    """List operations, newest first, until they are older than the order."""
    before: str | None = None
    while True:
        start = "" if before is None else f"before={before}&"
        path = f"/operations?{start}limit=100&type={_NAMES[kind]}"
        page = await send(get(path, Listed, largest=MAX_PAGE_BYTES))
        for raw in page.data:
            said = decode(Operation, bytes(raw))
            made = parse_time(said.date)
            if since is not None and made is not None and made < since - _EARLIER:
                return
            if OPERATION_ID.fullmatch(said.operation_id or ""):
                yield said
        before = cursor(page.cursor, before)
        if before is None:
            return
