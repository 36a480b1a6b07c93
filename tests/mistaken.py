"""Drivers with one mistake each: Acme's (tests/acme), made wrong.

tests/test_driver_contract.py runs the contract over them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from paymux import (
    AuthenticationFailed,
    Event,
    NoAnswer,
    NotFound,
    Payment,
    ProviderError,
    Rejected,
    Status,
    Trust,
    WebhookRequest,
)
from paymux.drivers.base import Facts, reveal
from paymux.http import Question, Request, Response, Send, Sendable, get
from paymux.models import Kind, Order
from paymux.testing.contract import Case, DriverContract, Shape
from paymux.values.status_words import StatusWords
from tests.acme.acme_pay.driver import Acme, Answer
from tests.acme.acme_pay.simulator import Acme as AcmeSimulator

SAMPLES = Path(__file__).parent / "acme/tests/samples"


class AcceptedIsPaid(Acme, frozen=True, kw_only=True):
    """Takes an accepted request for a payment."""

    async def collect(self, send: Send, order: Order) -> Payment:
        accepted = await super().collect(send, order)
        return msgspec.structs.replace(accepted, status=Status.SUCCEEDED)


class RepeatsMoney(Acme, frozen=True, kw_only=True):
    """Says that Acme deduplicates, which no page says."""

    async def collect(self, send: Send, order: Order) -> Payment:
        async def again(request: Sendable[Any]) -> Any:
            assert isinstance(request, Request)
            return await send(msgspec.structs.replace(request, repeatable=True))

        return await super().collect(again, order)


class HidesThatMoneyMoves(Acme, frozen=True, kw_only=True):
    """Sends an order as a request that only looks."""

    async def collect(self, send: Send, order: Order) -> Payment:
        async def harmless(request: Sendable[Any]) -> Any:
            assert isinstance(request, Request)
            return await send(msgspec.structs.replace(request, money=False))

        return await super().collect(harmless, order)


class SendsFloats(Acme, frozen=True, kw_only=True):
    """Writes amounts as floats."""

    async def collect(self, send: Send, order: Order) -> Payment:
        async def floating(request: Sendable[Any]) -> Any:
            assert isinstance(request, Request)
            body = {**request.body, "amount": float(order.amount)}
            return await send(msgspec.structs.replace(request, body=body))

        return await super().collect(floating, order)


class UnknownIsFailed(Acme, frozen=True, kw_only=True):
    """Reads every word but PAID and OPEN as a failure."""

    def payment(self, said: Answer, asked: str | None = None, kind: Kind = "collect") -> Payment:
        found = super().payment(said, asked, kind)
        paid_or_open = found.provider_status in ("PAID", "OPEN")
        return found if paid_or_open else msgspec.structs.replace(found, status=Status.FAILED)


class NotFoundIsFailed(Acme, frozen=True, kw_only=True):
    """Ends a payment that Acme does not know yet."""

    async def verify(self, send: Send, payment: Payment) -> Payment:
        try:
            return await super().verify(send, payment)
        except NotFound:
            return msgspec.structs.replace(payment, status=Status.FAILED)


class RepeatsWhatWasAsked(Acme, frozen=True, kw_only=True):
    """Returns the amount that the caller expects, not the one that was paid."""

    async def verify(self, send: Send, payment: Payment) -> Payment:
        found = await super().verify(send, payment)
        return msgspec.structs.replace(found, amount=payment.amount or found.amount)


class ErrorIsRefusal(Acme, frozen=True, kw_only=True):
    """Takes a server error for a refusal, so that the order is sent again by its caller."""

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        return Rejected("no") if reply.status >= 500 else super().judge(request, reply)


class FirewallIsKeys(Acme, frozen=True, kw_only=True):
    """Takes any 401 and 403 for refused credentials."""

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        if reply.status in (401, 403):
            return AuthenticationFailed("no")
        return super().judge(request, reply)


class SuccessUnderErrors(Acme, frozen=True, kw_only=True):
    """Reads an answer under any HTTP status."""

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        return None

    async def verify(self, send: Send, payment: Payment) -> Payment:
        accept = (400, 404, 409, 422, 429, 500)
        at = {"id": payment.provider_reference or ""}
        return self.payment(await send(get("/v1/payments/{id}", Answer, at=at, accept=accept)))


class IgnoresAField(Acme, frozen=True, kw_only=True):
    """Does not read the field that contradicts the status."""

    def outcome(self, said: Mapping[str, str | None]) -> Any:
        return super().outcome({"status": said["status"]})


class BelievesMessages(Acme, frozen=True, kw_only=True):
    """Says of unsigned messages that they prove what they say."""

    def webhook(self, incoming: WebhookRequest) -> Event:
        return msgspec.structs.replace(super().webhook(incoming), trust=Trust.BODY)


class CrashesOnMessages(Acme, frozen=True, kw_only=True):
    """Reads messages with its own means."""

    def webhook(self, incoming: WebhookRequest) -> Event:
        return self.event(self.payment(Answer(**json.loads(incoming.body))))


class ShowsItsKey(Acme, frozen=True, kw_only=True):
    """Prints its credentials."""

    def __repr__(self) -> str:
        return f"Acme({self.secrets()})"


class DeclaresNoFacts(Acme, frozen=True, kw_only=True):
    """Says nothing of what Acme does with a second request."""

    facts: ClassVar[Mapping[Kind, Facts]] = {}


class ForgetsATable(Acme, frozen=True, kw_only=True):
    """Has a table for a field that is in no answer."""

    speaks: ClassVar[Mapping[str, StatusWords]] = {
        **Acme.speaks,
        "state": {"DONE": Status.SUCCEEDED},
    }


class ForgetsTheAddress(Acme, frozen=True, kw_only=True):
    """Does not tell Acme where its messages go."""

    takes = frozenset({"description"})


class NeedsNoAmount(Acme, frozen=True, kw_only=True):
    """Takes a success without its amount."""

    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {}


class AcceptedPayoutIsPaid(Acme, frozen=True, kw_only=True):
    """Takes an accepted transfer for a payment."""

    async def payout(self, send: Send, order: Order) -> Payment:
        accepted = await super().payout(send, order)
        return msgspec.structs.replace(accepted, status=Status.SUCCEEDED)


class PaysOutTwice(Acme, frozen=True, kw_only=True):
    """Sends a transfer again, because Acme deduplicates."""

    async def payout(self, send: Send, order: Order) -> Payment:
        async def again(request: Sendable[Any]) -> Any:
            assert isinstance(request, Request)
            return await send(msgspec.structs.replace(request, repeatable=True))

        return await super().payout(again, order)


class UnlistedPayoutFailed(Acme, frozen=True, kw_only=True):
    """Reads a word of no page as the failure of a transfer, which is then made again."""

    def payment(self, said: Answer, asked: str | None = None, kind: Kind = "collect") -> Payment:
        found = super().payment(said, asked, kind)
        listed = found.provider_status in self.speaks["status"]
        if kind != "payout" or listed:
            return found
        return msgspec.structs.replace(found, status=Status.FAILED)


class AnyMessageAnswers(Acme, frozen=True, kw_only=True):
    """Does not tell the answers of two questions apart."""

    async def verify(self, send: Send, payment: Payment) -> Payment:
        async def any_id(request: Sendable[Any]) -> Any:
            if isinstance(request, Question):
                request = msgspec.structs.replace(request, id_of=lambda _: "any")
            return await send(request)

        return await super().verify(any_id, payment)

    def answer_id(self, incoming: WebhookRequest) -> str:
        return "any"


class InventsTheAnswer(Acme, frozen=True, kw_only=True):
    """Ends a payment whose question got no answer."""

    async def verify(self, send: Send, payment: Payment) -> Payment:
        try:
            return await super().verify(send, payment)
        except NoAnswer:
            return msgspec.structs.replace(payment, status=Status.FAILED)


class BelievesAResult(Acme, frozen=True, kw_only=True):
    """Takes the message of a transfer for its end, because its address is secret."""

    def proof(self, event: Event, known: Payment) -> Payment | None:
        if known.kind != "payout":
            return None
        return msgspec.structs.replace(event.claims, reference=known.reference)


class ClaimsToFind(Acme, frozen=True, kw_only=True):
    """Says that Acme finds payments by our reference; it finds transfers only."""

    finds_by: ClassVar[Mapping[Kind, frozenset[Literal["reference", "receipt"]]]] = {
        **Acme.finds_by,
        "collect": frozenset({"reference"}),
    }


class ClaimsReceipts(Acme, frozen=True, kw_only=True):
    """Says that Acme finds transfers by a receipt, which it does not give."""

    finds_by: ClassVar[Mapping[Kind, frozenset[Literal["reference", "receipt"]]]] = {
        "payout": frozenset({"reference", "receipt"})
    }


class KeepsItsKey(Acme, frozen=True, kw_only=True):
    """Keeps its key among the ids of an order."""

    def pending(self, order: Order) -> Payment:
        return msgspec.structs.replace(super().pending(order), ids={"key": reveal(self.api_key)})

    async def payout(self, send: Send, order: Order) -> Payment:
        accepted = await super().payout(send, order)
        return msgspec.structs.replace(accepted, ids=self.pending(order).ids)


CASE = Case(
    order={"currency": "XOF", "payer": "2290196000001"},
    opens="POST /v1/payments/",
    looks="GET /v1/payments/",
    wire=b'"amount":1000',
    payouts=(("2290196000002", "POST /v1/transfers/"),),
    words=Shape(
        fields={"api_key": "simulator"},
        asked={"provider_reference": "6f1c2a9e-0d7b-4c55-9c1e-3b1f4f6f2a10"},
        answers=("paid.200", "open.200"),
        messages=("callback",),
        places={"status": "status", "paid": "paid"},
        told={"status": "status", "paid": "paid"},
        said={
            "paid.200": Status.SUCCEEDED,
            "open.200": Status.PENDING,
            "callback": Status.SUCCEEDED,
        },
    ),
)


def _with(**shape: Any) -> Case:
    """Return the case with a mistake in its shape."""
    return msgspec.structs.replace(CASE, words=msgspec.structs.replace(CASE.words, **shape))


# The right driver, or one that a wrong shape hides.
SHAPES: Mapping[str, tuple[type[Acme], Case]] = {
    "AmountMisspelled": (Acme, _with(amounts=("smu",))),
    "OneAmountMisspelled": (Acme, _with(amounts=("amount", "smu"))),
    "HiddenByAmounts": (NeedsNoAmount, _with(amounts=("sum",))),
    "PlaceMisspelled": (Acme, _with(places={"status": "stat", "paid": "paid"})),
    "PlaceNowhere": (Acme, _with(places={"status": "data.status", "paid": "paid"})),
    "ToldMisspelled": (Acme, _with(told={"status": "stat", "paid": "paid"})),
    "AskedByMisspelled": (Acme, _with(asked_by="di")),
}


def _contract(
    driver: type[Acme], case: Case = CASE, name: str | None = None
) -> type[DriverContract]:
    about: dict[str, Any] = {
        "__module__": __name__,
        "driver": driver,
        "simulator": AcmeSimulator,
        "case": case,
        "samples": SAMPLES,
    }
    return type(f"Test{name or driver.__name__}", (DriverContract,), about)


DRIVERS: list[type[Acme]] = [Acme, *Acme.__subclasses__()]
globals().update({f"Test{one.__name__}": _contract(one) for one in DRIVERS})
globals().update({f"Test{name}": _contract(*made, name) for name, made in SHAPES.items()})
