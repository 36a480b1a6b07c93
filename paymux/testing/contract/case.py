"""What the contract has to know of a provider: an order that it takes, its requests, its bodies."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ...models import Status


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A driver's samples, and where their fields of the status are.

    A sample is a file `<case>.<status>.json` of an answer, or `<case>.json` of a message, in the
    folder `DriverContract.samples`: `{"source": …, "date": …, "body": …}`.
    """

    fields: Mapping[str, Any]  # of the driver to which the samples were sent
    asked: Mapping[str, Any]  # fields of the payment that was looked up
    # The place in an answer of the provider's reference, if the samples are of several payments.
    asked_by: str = ""
    answers: tuple[str, ...]  # samples of answers to a look-up
    messages: tuple[str, ...] = ()  # samples of messages
    # Field of `speaks`: its place in an answer, such as `data.status`, in a list `rows.0.status`.
    places: Mapping[str, str]
    told: Mapping[str, str] = {}  # its place in a message
    amounts: tuple[str, ...] = ("amount",)  # places of the amount in an answer
    # What proves a message, such as a constant hash: places in it, and their values.
    signed: Mapping[str, str] = {}
    # The status of each sample, of answers and messages: a strict table must not leave paid orders
    # pending.
    said: Mapping[str, Status] = {}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from one driver to another; everything else in the contract is the same."""

    # Arguments of `collect`, or of `payout` where the provider cannot collect, beside amount and
    # reference.
    order: Mapping[str, Any]
    opens: str  # the request that moves money, or opens a page: "POST /v1/payments/"
    looks: str  # the look-up: "GET /v1/payments/"
    # 1000 units as the provider documents them: b'"amount":1000', or b'"amount":"1000.00"'.
    wire: bytes
    # How an end is reported at a provider that has no word of its own for it.
    told: Mapping[Status, Status] = {}
    # A word or code for the status that is on no page of the provider.
    unknown_word: str = "MYSTERY"
    login: str = ""  # the request for a token, if there is one
    # The driver's `bearer` is the caller's coroutine function; the simulator's `issue()` makes the
    # token.
    bearer: bool = False
    # Each POST makes a page of its own, which charges no payer: it may be repeated.
    repeats: bool = False
    # Requests of money that are sent again within their verb, as the provider's page orders it: it
    # has one order for all of them. "POST /v1/transfers/", as in `opens`.
    resends: frozenset[str] = frozenset()
    # How money is throttled is documented, or the request may be repeated anyway.
    throttles: bool = True
    signs: bool = False  # a message can be told from a forged one
    signs_body: bool = False  # all that a message says: its trust is Trust.BODY
    # A message bears a token that only its order has: a forged one is told where that is known.
    seals: bool = False
    # Secret fields with which the simulator signs its messages: it reads them in its
    # `credentials`, or in attributes of these names.
    signs_with: tuple[str, ...] = ()
    # A message leads to its order although the answer to the order was lost.
    names_order: bool = True
    # The callback URL is a setting at the provider, not a field of an order; the simulator has it
    # as `webhook_url`.
    dashboard: bool = False
    tells_amount: bool = True  # a look-up returns the amount
    verifies_alone: bool = True  # by the provider's reference, without a payment
    mode: tuple[bytes, bytes] | None = None  # how the live and the test mode are told in an answer
    live: Mapping[str, str] = {}  # the fields of a live account
    shape: Mapping[str, Any] = {}  # attributes of the simulator with which it tells the mode
    # What the account is given at the simulated provider before it is used, as in its portal.
    prepares: Callable[[Any], object] | None = None
    history_hours: float | None = None  # for which payments are listed; None: for ever
    fields: Mapping[str, Any] = {}  # of the driver, beside the simulator's credentials
    # A receipt is told by messages alone; a refund takes it, and the whole amount of a payment.
    by_message: bool = False
    # A payee of each way to pay out, and the request that pays it.
    payouts: tuple[tuple[str, str], ...] = ()
    # The options of a payout to each payee that needs some, such as its network.
    payout_options: Mapping[str, Mapping[str, Any]] = {}
    no_funds: Mapping[str, Any] = {}  # attributes of the simulator with which it has no money
    refund: str = ""  # the request for a refund
    refunds_one_by_one: bool = False  # of a payment: the next one only after the last has ended
    # A refund is whole, and its answer is its end: a second one of a payment changes nothing.
    refunds_once: bool = False
    words: Shape
    pages: tuple[Shape, ...] = ()  # of the provider's other APIs, whose answers have other forms

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The samples of each API."""
        return (self.words, *self.pages)
