"""The shapes of what the control API tells: one for each kind of row."""

from datetime import datetime

import msgspec


class Step(msgspec.Struct, kw_only=True):
    """One step of a payment; `by`: who caused it."""

    at: datetime
    status: str
    reason: str | None
    by: str


class PaymentRow(msgspec.Struct, kw_only=True):
    """A payment: money is a string in major units; `asks` while its payer is asked on the phone."""

    id: str
    provider: str
    kind: str
    reference: str | None
    provider_reference: str
    amount: str
    currency: str
    party: str | None
    status: str
    reason: str | None
    code: str | None
    description: str | None
    shop: str | None
    opened_at: datetime
    settled_at: datetime | None
    asks: bool
    tries_left: int


class PaymentDetail(PaymentRow, kw_only=True):
    """A payment with its history, oldest step first."""

    history: list[Step]


class RequestRow(msgspec.Struct, kw_only=True):
    """A request to a provider, and its fault; `status` is null where that let no answer through."""

    n: int
    at: datetime
    provider: str
    method: str
    path: str
    status: int | None
    ms: float | None
    reference: str | None
    fault: str | None


class RequestDetail(RequestRow, kw_only=True):
    """A request, redacted as in logs, with what it was answered."""

    request_headers: dict[str, str]
    request_body: str
    response_headers: dict[str, str]
    response_body: str


class DeliveryRow(msgspec.Struct, kw_only=True):
    """A webhook that was sent: with the receiver's status, or why it did not arrive."""

    n: int
    at: datetime
    provider: str
    method: str
    url: str
    status: int | None
    error: str | None
    reference: str | None
    forged: bool
    again_of: int | None
    ms: float | None


class DeliveryDetail(DeliveryRow, kw_only=True):
    """A webhook, redacted as in logs, with what the receiver answered."""

    request_headers: dict[str, str]
    request_body: str
    response_headers: dict[str, str]
    response_body: str


class FaultRow(msgspec.Struct, kw_only=True):
    """A planned fault; `times` are left of it, `fired` happened."""

    n: int
    provider: str
    match: str
    kind: str
    times: int
    fired: int
    processed: bool
    status: int | None
    seconds: float
    retry_after: str
    location: str


class PayerRow(msgspec.Struct, kw_only=True):
    """What a number does: `answer`, where it was set; else how its payments end, by `provider`."""

    number: str
    provider: str | None
    answer: str | None
    status: str
    reason: str | None
    after: float | None
    pin: str
