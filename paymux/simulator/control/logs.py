"""The routes of the logs: requests to the providers, and webhooks, also sent again."""

from collections.abc import Callable
from typing import Any

from ...errors import UsageError
from ..ledger import Ledger
from ..records import R, Records
from . import rows
from .problems import Problem
from .routes import Call


def requests(call: Call) -> Any:
    """List requests, newest first."""
    return _listed(call, call.world.log, rows.request)


def request(call: Call) -> Any:
    """Show one request."""
    return rows.request_detail(_numbered(call, call.world.log), call.world.ledger)


def deliveries(call: Call) -> Any:
    """List webhooks, newest first."""
    return _listed(call, call.world.core.deliveries, rows.delivery)


def delivery(call: Call) -> Any:
    """Show one webhook."""
    return rows.delivery_detail(_numbered(call, call.world.core.deliveries), call.world.ledger)


async def again(call: Call) -> Any:
    """Send a webhook again."""
    old = _numbered(call, call.world.core.deliveries)
    made = await call.world.again(old.n, **call.body)
    return {"items": [rows.delivery(one, call.world.ledger) for one in made], "next": None}


def _listed(call: Call, log: Records[R], shown: Callable[[R, Ledger], Any]) -> Any:
    provider, reference = call.query.get("provider") or None, call.query.get("reference") or None
    before = call.number("after", 1, 10**15, 10**15)
    limit, found = call.limit(), []
    for record in log.newest():
        if record.n < before and provider in (None, record.provider):
            row = shown(record, call.world.ledger)
            if reference in (None, row.reference):
                found.append(row)
        if len(found) > limit:
            break
    items = found[:limit]
    return {"items": items, "next": str(items[-1].n) if len(found) > limit else None}


def _numbered(call: Call, log: Records[R]) -> R:
    """Return the record of the path; Problem 404: there is none, or no more."""
    written = call.at["n"]
    try:
        return log.get(int(written) if written.isascii() and written.isdigit() else None)
    except UsageError as error:
        raise Problem(404, str(error), field="n", accepted=error.accepted) from None
