"""How payments, requests, webhooks, faults and payers are shown by the control API."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from ...primitives.redaction import hide, scrub
from ..faults import Planned
from ..ledger import Entry, Ledger, Outcome
from ..payers import ANSWERS, PIN, Payer
from ..records import BODY_BYTES, Delivery, Received
from .shapes import (
    DeliveryDetail,
    DeliveryRow,
    FaultRow,
    PayerRow,
    PaymentDetail,
    PaymentRow,
    RequestDetail,
    RequestRow,
    Step,
)

_NO_SECRETS: tuple[str, ...] = ()


def payer(known: Payer) -> PayerRow:
    """Show a payer whose habits were set; without an answer, a person decides."""
    outcome = ANSWERS[known.answer or "ignore"]
    return PayerRow(
        number=known.number,
        provider=None,
        answer=known.answer,
        status=outcome.status.value,
        reason=outcome.reason and outcome.reason.value,
        after=known.after,
        pin=known.pin,
    )


def magic(provider: str, number: str, outcome: Outcome) -> PayerRow:
    """Show a number that has a meaning at a provider."""
    return PayerRow(
        number=number,
        provider=provider,
        answer=None,
        status=outcome.status.value,
        reason=outcome.reason and outcome.reason.value,
        after=None,
        pin=PIN,
    )


def payment(entry: Entry) -> PaymentRow:
    """Show a payment."""
    return PaymentRow(**_payment(entry))


def payment_detail(entry: Entry) -> PaymentDetail:
    """Show a payment with its history."""
    steps = [
        Step(at=one.at, status=one.status.value, reason=one.reason and one.reason.value, by=one.by)
        for one in entry.history
    ]
    return PaymentDetail(**_payment(entry), history=steps)


def request(record: Received, ledger: Ledger) -> RequestRow:
    """Show a request."""
    return RequestRow(**_request(record, ledger))


def request_detail(record: Received, ledger: Ledger) -> RequestDetail:
    """Show a request with what was sent and answered."""
    return RequestDetail(
        **_request(record, ledger),
        request_headers=_headers(record.headers),
        request_body=_body(record.body),
        response_headers=_headers(record.response_headers),
        response_body=_body(record.response_body),
    )


def delivery(record: Delivery, ledger: Ledger) -> DeliveryRow:
    """Show a webhook."""
    return DeliveryRow(**_delivery(record, ledger))


def delivery_detail(record: Delivery, ledger: Ledger) -> DeliveryDetail:
    """Show a webhook with what was sent and answered."""
    return DeliveryDetail(
        **_delivery(record, ledger),
        request_headers=_headers(record.message.headers),
        request_body=_body(record.message.body),
        response_headers=_headers(record.response_headers),
        response_body=_body(record.response_body),
    )


def fault(planned: Planned) -> FaultRow:
    """Show a planned fault."""
    return FaultRow(
        n=planned.n,
        provider=planned.provider,
        match=planned.match,
        kind=planned.kind.name.lower(),
        times=planned.times,
        fired=planned.fired,
        processed=planned.processed,
        status=planned.status,
        seconds=planned.seconds,
        retry_after=planned.retry_after_header(),
        location=planned.location,
    )


def _payment(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "provider": entry.provider,
        "kind": entry.kind,
        "reference": entry.reference,
        "provider_reference": entry.provider_reference,
        "amount": f"{entry.amount:f}",
        "currency": entry.currency,
        "party": entry.party,
        "status": entry.status.value,
        "reason": entry.reason and entry.reason.value,
        "code": entry.code,
        "description": _worded(entry, "description", "invoice"),
        "shop": _worded(entry, "name", "store") or _worded(entry, "shortcode", "store"),
        "opened_at": entry.opened_at,
        "settled_at": entry.settled_at,
        "asks": entry.asks,
        "tries_left": entry.tries_left,
    }


def _worded(entry: Entry, name: str, inside: str) -> str | None:
    """Return a text that the shop gave: a word of the order, or of an object among its words."""
    nested = entry.words.get(inside)
    found = nested if isinstance(nested, str) and name == "name" else entry.words.get(name)
    if found is None and isinstance(nested, Mapping):
        found = nested.get(name)
    return found if isinstance(found, str) and found else None


def _request(record: Received, ledger: Ledger) -> dict[str, Any]:
    if record.reference is None:
        record.reference = _about(record.provider, _names(record.path, record.body), ledger) or ""
    path = f"{record.path}?{record.query}" if record.query else record.path
    return {
        "n": record.n,
        "at": record.at,
        "provider": record.provider,
        "method": record.method,
        "path": hide(path, _NO_SECRETS),
        "status": record.status,
        "ms": record.ms and round(record.ms, 2),
        "reference": record.reference or None,
        "fault": record.fault,
    }


def _delivery(record: Delivery, ledger: Ledger) -> dict[str, Any]:
    message = record.message
    entry = ledger.find(message.order or "")
    found = entry and (entry.reference or entry.provider_reference)
    return {
        "n": record.n,
        "at": record.at,
        "provider": record.provider,
        "method": message.method,
        "url": hide(message.url, _NO_SECRETS),
        "status": record.status,
        "error": record.error,
        "reference": found or _about(record.provider, _names("", message.body), ledger),
        "forged": message.forged,
        "again_of": record.again_of,
        "ms": record.ms and round(record.ms, 2),
    }


def _about(provider: str, names: Iterable[str], ledger: Ledger) -> str | None:
    """Return our reference of the first order that one of these names is known for."""
    for name in names:
        for entry in ledger.entries(name, provider=provider):
            return entry.reference or entry.provider_reference
    return None


def _names(path: str, body: bytes) -> Iterator[str]:
    """Go through what may name an order: the parts of the path, and texts of the body."""
    yield from (unquote(part) for part in path.split("/") if part)
    try:
        found = json.loads(body) if body[:1] == b"{" and len(body) <= BODY_BYTES else {}
    except (ValueError, RecursionError):
        return
    values = [*found.values()]
    for value in values[:50]:
        if isinstance(value, Mapping):
            values.extend([*value.values()][:50])
    yield from (value for value in values[:500] if isinstance(value, str) and value)


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    shown: dict[str, str] = scrub(dict(headers), _NO_SECRETS)
    return shown


def _body(body: bytes) -> str:
    return hide(body[:BODY_BYTES].decode("utf-8", "replace"), _NO_SECRETS)
