"""What the Merchant API answers, and what its words mean for the money.

https://github.com/suntechdevs/paycfa merchant-api/errors.md and merchant-api/reference/*.md
@585cc6f (May 2026). Pages of the first version had other fields: everything is optional here.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from ...models import Kind, Order, Reason, Status
from ...values.parsing import ProviderData, Scalar, Text, Unreadable, amount, text
from ...values.status_words import Vocabulary

OPERATION_ID = re.compile(r"op_[A-Za-z0-9_-]{1,64}", re.ASCII)
TRANSACTION_ID = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)
REFERENCE_KEY = "paymux_reference"  # in the free objects of a request, which its operation repeats
# The types of operations and of transactions, and ours.
TYPES: Mapping[str | None, Kind] = {
    "payment_request": "collect",
    "payout": "payout",
    "refund": "refund",
}
KINDS: Mapping[str | None, Kind] = {"CREDIT": "collect", "DEBIT": "payout", "REFUND": "refund"}
ENVIRONMENTS: Mapping[str | None, bool] = {"sandbox": False, "live": True}

# reference/operations.md. `succeeded` says that the operation was carried out: its result has the
# status of the money. `expired` is reserved, and proves nothing.
OPERATION = Vocabulary(
    {
        "QUEUED": Status.PENDING,
        "PROCESSING": Status.PENDING,
        "EXPIRED": Status.PENDING,
        "SUCCEEDED": frozenset({Status.PENDING, Status.SUCCEEDED}),
        "FAILED": frozenset({Status.PENDING, Status.FAILED}),
    }
)
# reference/payouts.md, refunds.md; queued_for_settlement is a bank transfer in the back office.
RESULT = Vocabulary(
    {
        "COMPLETED": Status.SUCCEEDED,
        "PENDING": Status.PENDING,
        "QUEUED_FOR_SETTLEMENT": Status.PENDING,
    }
)
# errors.md, and the tables of payouts.md and refunds.md. Only a code after which no money can have
# moved is a failure. `provider_error` is a "network error or unexpected exception of the provider":
# the network may have paid.
FAILURE = Vocabulary(
    {
        "INSUFFICIENT_BALANCE": (Status.FAILED, Reason.INSUFFICIENT_FUNDS),
        "MERCHANT_WALLET_MISSING": Status.FAILED,
        "MISSING_PROVIDER_CODE": Status.FAILED,
        "PROVIDER_UNAVAILABLE": Status.FAILED,  # "no handler for this country and operator"
        "PROVIDER_REJECTED": (Status.FAILED, Reason.DECLINED),  # "the wallet is credited again"
        "AMOUNT_EXCEEDS_TRANSACTION": Status.FAILED,
        "NOT_REFUNDABLE": Status.FAILED,
        "TRANSACTION_NOT_SETTLED": Status.FAILED,
        "UNSUPPORTED_PAYMENT_METHOD": Status.FAILED,
        "PROVIDER_ERROR": Status.PENDING,
    }
)
# reference/transactions.md. REFUNDED also stands after a partial refund (refunds.md), whose amount
# no field has: it was paid, and how much went back is unknown.
TRANSACTION = Vocabulary(
    {
        "PENDING": Status.PENDING,
        "SUCCESS": Status.SUCCEEDED,
        "ERROR": Status.FAILED,
        "REFUNDED": Status.SUCCEEDED,
    }
)
Absent: TypeAlias = list[Any] | Scalar
Fields: TypeAlias = dict[str, Any] | Absent


class Failure(ProviderData, frozen=True):
    """Why an operation failed."""

    code: Text = None
    message: Text = None


class Destination(ProviderData, frozen=True):
    """Who is paid."""

    msisdn: Text = None
    account_number: Text = None  # of a bank

    @property
    def payee(self) -> str | None:
        """Return the payee as in an order."""
        return f"bank:{self.account_number}" if self.account_number else self.msisdn


class Result(ProviderData, frozen=True):
    """What an operation brought about."""

    status: Text = None
    amount: Scalar = None
    currency: Text = None
    transaction_reference: Text = None
    refund_reference: Text = None
    gateway_url: Text = None
    payment_url: Text = None
    provider_response: Fields = None


class Invoice(ProviderData, frozen=True):
    """What a payer is asked for."""

    amount: Scalar = None
    currency: Text = None


class Payload(ProviderData, frozen=True):
    """The body of our own request, as an operation repeats it."""

    amount: Scalar = None
    currency: Text = None
    reference: Text = None
    destination: Destination | Absent = None
    invoice: Invoice | Absent = None
    webhook_data: Fields = None
    metadata: Fields = None


_NO_FAILURE, _NO_RESULT, _NO_PAYLOAD, _NO_INVOICE = Failure(), Result(), Payload(), Invoice()


class Operation(ProviderData, frozen=True):
    """A request that was accepted, and what became of it."""

    operation_id: Text = None
    type: Text = None
    status: Text = None
    env: Text = None
    attempts: Scalar = None
    payload: Payload | Absent = None
    result: Result | Absent = None
    error: Failure | Absent = None
    date: Scalar = None
    completed_date: Scalar = None

    @property
    def sent(self) -> Payload:
        """Return our request."""
        return self.payload if isinstance(self.payload, Payload) else _NO_PAYLOAD

    @property
    def done(self) -> Result:
        """Return its result; empty before there is one."""
        return self.result if isinstance(self.result, Result) else _NO_RESULT

    @property
    def failure(self) -> Failure:
        """Return why it failed; empty if it did not."""
        return self.error if isinstance(self.error, Failure) else _NO_FAILURE

    @property
    def repeated(self) -> bool:
        """Return whether Intram itself tried it several times.

        The last try's failure says nothing of the tries before.
        """
        return text(self.attempts) not in (None, "0", "1")

    @property
    def transaction(self) -> str | None:
        """Return the reference of a payment request's transaction."""
        found = self.done.transaction_reference
        return found if found and TRANSACTION_ID.fullmatch(found) else None

    @property
    def reference(self) -> str | None:
        """Return our reference."""
        if self.type == "payout":
            return self.sent.reference
        free = self.sent.webhook_data if self.type == "payment_request" else self.sent.metadata
        found = free.get(REFERENCE_KEY) if isinstance(free, dict) else None
        return found if isinstance(found, str) else None

    @property
    def asked_amount(self) -> Decimal | None:
        """Return the amount of our request."""
        return amount(self._invoice.amount if self.type == "payment_request" else self.sent.amount)

    @property
    def asked_currency(self) -> str | None:
        """Return the currency of our request."""
        return self.sent.currency or self._invoice.currency

    @property
    def _invoice(self) -> Invoice:
        invoice = self.sent.invoice
        return invoice if isinstance(invoice, Invoice) else _NO_INVOICE


class Answer(ProviderData, frozen=True):
    """The envelope of one operation, or of a refusal."""

    error: Scalar = None
    code: Text = None
    message: Text = None
    data: Operation | Absent = None

    @property
    def operation(self) -> Operation:
        """Return the operation; Unreadable: there is none, or it has no id that can be asked."""
        found = self.data
        if not isinstance(found, Operation) or not OPERATION_ID.fullmatch(found.operation_id or ""):
            raise Unreadable("the answer has no operation_id")
        return found

    def accepts(self, order: Order) -> bool:
        """Return whether this accepts an order; it may repeat the order's fields."""
        found = self.operation
        if found.type is not None and TYPES.get(found.type) != order.kind:
            raise Unreadable("the answer is about another kind of operation")
        if found.reference not in (None, order.reference):
            raise Unreadable("the answer is about another reference")
        if found.asked_amount not in (None, order.amount):
            raise Unreadable("the answer is about another amount")
        return True

    def answers(self, operation_id: str) -> bool:
        """Return whether this says the state of an operation."""
        found = self.operation
        if found.operation_id != operation_id:
            raise Unreadable("the answer is about another operation")
        if not found.status:
            raise Unreadable("the answer has no status")
        return True


class Paging(ProviderData, frozen=True):
    """Where the next page of a list begins; None: there is none."""

    next_before: Text = None


class Listed(msgspec.Struct, frozen=True):
    """One page of a list, newest first."""

    data: list[msgspec.Raw]
    paging: Paging | Absent = None

    @property
    def cursor(self) -> str | None:
        """Return the cursor of the next page."""
        return self.paging.next_before if isinstance(self.paging, Paging) else None
