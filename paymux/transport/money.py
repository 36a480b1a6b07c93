"""What is special about a request that moves money."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ..errors import UsageError
from ..http import Request
from ..models import Payment
from ..values.request_parts import TOLD

if TYPE_CHECKING:
    from .call import Call

BeforeMoney: TypeAlias = Callable[[], Awaitable[None]]


def begin_money(call: "Call", request: Request[Any]) -> None:
    """Refuse money in `run`, and note what an earlier step of an order told.

    UsageError: it is `run`, and no journal would know of the money.
    """
    if call.verb == "run":
        accepted = (
            "a method that moves no money (ask for money with collect, payout or refund; a request "
            "that moves none says post(…, money=False))"
        )
        raise UsageError.field("method", repr(request), accepted)
    if request.known and call.pending is not None:
        call.pending = with_known(call.pending, request.known)
        call.before_money = partial(call.keep_known, call.pending, call.before_money)


def with_known(pending: Payment, known: Mapping[str, str]) -> Payment:
    """Return an order's payment with what an earlier step of it told."""
    fields: dict[str, Any] = {name: known[name] for name in TOLD & known.keys()}
    ids = {name: known[name] for name in known.keys() - TOLD}
    return msgspec.structs.replace(pending, ids={**pending.ids, **ids}, **fields)


async def nowhere(payment: Payment, before: BeforeMoney | None) -> None:
    """Keep nothing: of a call without an order."""
