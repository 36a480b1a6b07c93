"""The wallet's transactions of one day: https://docs.wave.com/business."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from ...http import Response
from ...models import Status
from ...primitives.clock import wall_time
from ..ledger import Entry
from ..replies import json_reply
from .checks import invalid
from .messages import stamp

if TYPE_CHECKING:
    from . import Wave


def page(wave: "Wave", asked: Mapping[str, str]) -> Response:
    """List the transactions of a day, by default today's, newest first, in pages."""
    day = _day(asked)
    rows = [row for row in _rows(wave) if row["timestamp"].startswith(day)]
    rows.reverse()
    after = asked.get("after", "")
    first = next((n + 1 for n, row in enumerate(rows) if _cursor(row) == after), 0)
    shown = rows[first : first + wave.page_rows]
    info = {
        "start_cursor": after or None,
        "end_cursor": _cursor(shown[-1]) if shown else None,
        "has_next_page": len(rows) > first + len(shown),
    }
    return json_reply({"page_info": info, "date": day, "items": shown})


def _day(asked: Mapping[str, str]) -> str:
    given = asked.get("date")
    try:
        return f"{wall_time():%Y-%m-%d}" if given is None else date.fromisoformat(given).isoformat()
    except ValueError:
        raise invalid("date", "invalid date format") from None


def _cursor(row: Mapping[str, Any]) -> str:
    return f"{row['transaction_id']}-{row['transaction_type']}"


def _rows(wave: "Wave") -> Iterator[dict[str, Any]]:
    """Yield what moved, each movement with its time; a reversal has its payment's transaction."""
    for entry in wave.entries():
        if entry.kind == "collect":
            types, net, fee = (
                ("api_checkout", "api_checkout_refund"),
                entry.amount,
                wave.cost_of(entry),
            )
            net -= fee
        elif entry.kind == "payout":
            types, net, fee = (
                ("api_payout", "api_payout_reversal"),
                -entry.amount,
                wave.fee_of(entry),
            )
        else:
            continue
        moves = [change for change in entry.history if change.status in _MOVES]
        for change in moves:
            back = change.status is Status.REFUNDED
            yield {
                **_row(entry, types[back]),
                "timestamp": stamp(change.at),
                "amount": str(int(-net if back else net)),
                "fee": str(int(-fee if back else fee)),
                "balance": str(int(wave.balance)),
                "is_reversal": back,
            }


_MOVES = frozenset({Status.SUCCEEDED, Status.REFUNDED})


def _row(entry: Entry, kind: str) -> dict[str, Any]:
    return {
        "timestamp": "",
        "transaction_id": entry.words["transaction_id"],
        "transaction_type": kind,
        "amount": "",
        "fee": "",
        "balance": "",
        "currency": entry.currency,
        "is_reversal": False,
        "counterparty_name": "Mame Diop",
        "counterparty_mobile": f"+{entry.party}" if entry.party else None,
        "client_reference": entry.reference,
        "checkout_api_session_id": entry.provider_reference if entry.kind == "collect" else None,
        "custom_fields": None,
    }
