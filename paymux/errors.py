"""Every error that a caller can see, sorted by what the caller does next.

PaymuxError
├── UsageError (ValueError)      fix the call; nothing was sent
│   ├── Unsupported              this provider has no such operation
│   └── DuplicateReference       the reference belongs to another order
├── NotSent                      repeat freely; the provider never saw it
├── OutcomeUnknown               never repeat; store .payment, then watch, find or confirm it
├── Unavailable                  a look-up failed; try later
│   └── NoAnswer                 the answer, a message of its own, did not come in time
├── ProviderError                the provider refused
│   ├── AuthenticationFailed     fix the credentials
│   ├── Rejected                 fix the request; of an order it proves that no money moved
│   ├── NotFound                 the provider does not know it (yet)
│   └── RateLimited              wait .retry_after seconds
├── Mismatch                     the payment found is not the expected one: tell a person
├── BadWebhook                   log and drop: forged, unsigned where a key is set, unreadable
└── WatchTimeout (TimeoutError)  .payment is still pending; keep it
"""

from collections.abc import Mapping
from types import CoroutineType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from .primitives.coerce import is_a
from .primitives.redaction import shown
from .primitives.sensitive_fields import HIDDEN

if TYPE_CHECKING:
    from .models import Payment, Reason


class PaymuxError(Exception):
    """The base class of every error that paymux raises."""


class UsageError(PaymuxError, ValueError):
    """The call is wrong, and nothing was sent: fix the field that the message names.

    `.name` is the field. `.value` is the refused value in a form that may be shown to anyone: a
    secret is `***`, a phone number is shortened, no value is "". `.accepted` says what is accepted.
    So a web form can answer 422. `.name` is None if no single field is wrong.
    """

    def __init__(
        self, message: str = "", *, name: str | None = None, value: str = "", accepted: str = ""
    ) -> None:
        super().__init__(message)
        self.name = name
        self.value = value
        self.accepted = accepted

    @classmethod
    def field(cls, field: str, value: object, accepted: str) -> Self:
        """Make the error with the field, the refused value and what is accepted."""
        text = shown(value)
        if is_a(value, CoroutineType):
            value.close()  # otherwise Python would warn about it later
            text = "a coroutine, which was not awaited,"
        return cls(
            f"{field}: {text} is refused; accepted: {accepted}",
            name=field,
            value=text,
            accepted=accepted,
        )

    @classmethod
    def hidden(cls, field: str, accepted: str) -> Self:
        """Make the error of a field whose value is a secret."""
        said = f"{field}: refused (not shown); accepted: {accepted}"
        return cls(said, name=field, value=HIDDEN, accepted=accepted)

    @classmethod
    def missing(cls, field: str, accepted: str) -> Self:
        """Make the error of a missing field; `accepted` says who needs it and what for."""
        return cls(f"{field}: missing; {accepted}", name=field, accepted=accepted)

    def renamed(self, name: str | None) -> "UsageError":
        """Return the same error, without traceback, with the field's name in the configuration."""
        message = str(self) if name is None else f"{name}:{str(self).partition(':')[2]}"
        return UsageError(message, name=name, value=self.value, accepted=self.accepted)


class Unsupported(UsageError):
    """This provider has no such operation."""


class DuplicateReference(UsageError):
    """The reference belongs to another order, and nothing was sent: look at that order first."""

    account: str = ""
    provider: str = ""
    reference: str | None = None


class NotSent(PaymuxError):
    """The provider never saw the request: it may be repeated freely."""


class OutcomeUnknown(PaymuxError):
    """The money may have moved: never repeat the call.

    Keep `.payment`, and watch, find or confirm it.
    """

    def __init__(self, message: str = "", payment: "Payment | None" = None) -> None:
        super().__init__(message)
        self._payment = payment

    @property
    def payment(self) -> "Payment":
        """The PENDING payment to store."""
        if self._payment is None:
            raise AttributeError("payment")
        return self._payment


class Unavailable(PaymuxError):
    """A look-up failed and says nothing about the payment: try later.

    `.http_status` is the status of the last answer, if there was one.
    """

    def __init__(self, message: str = "", *, http_status: int | None = None) -> None:
        super().__init__(message)
        self.http_status = http_status


class NoAnswer(Unavailable):
    """The provider took the question, and its answer did not come within the deadline.

    The answer is a message of its own (M-Pesa). If it comes later, it is applied to its payment.
    """


class ProviderError(PaymuxError):
    """The provider refused; `.code` and `.message` are the provider's, `.reason` is ours."""

    account: str = ""
    provider: str = ""
    http_status: int | None = None
    code: str | None = None
    message: str = ""
    reason: "Reason | None" = None
    details: Mapping[str, Any] | None = None
    reference: str | None = None
    request_id: str | None = None
    raw: str = ""
    unsent: bool = False  # paymux itself refused: nothing was sent
    _unsaid: ClassVar[str] = "it said no"  # if the provider gave no message

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        reason: "Reason | None" = None,
        details: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.details = details
        self.request_id = request_id

    def __str__(self) -> str:
        said = self.message or self._unsaid
        code = f" [{self.code}]" if self.code and self.code not in said else ""
        status = (
            f" (HTTP {self.http_status})" if self.http_status and self.http_status >= 300 else ""
        )
        return f"{self.account or 'provider'}: {said}{code}{status}"


class AuthenticationFailed(ProviderError):
    """The credentials are wrong, expired, or not allowed to do this: fix them."""

    _unsaid = "the credentials are refused"


class CredentialRefused(AuthenticationFailed):
    """The provider refuses a credential of single operations, as an initiator's: replace it.

    Other operations of the account go on. A driver's `judge` returns it for a synchronous answer,
    and a verb raises it for the answer of its question. From then on it is raised for each request
    with that credential, with `unsent`: nothing was sent.
    """


class Rejected(ProviderError):
    """The provider refused the request: fix it.

    For an order, payout or refund it proves that no money moved; for a look-up it says nothing
    about the payment.
    """

    _unsaid = "the request is refused"


class NotFound(ProviderError):
    """The provider does not know this payment, or does not know it yet."""

    _unsaid = "unknown to the provider"


class RateLimited(ProviderError):
    """Too many requests, refused before processing: wait `.retry_after` seconds."""

    _unsaid = "too many requests"

    def __init__(
        self, message: str = "", *, retry_after: float | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class Mismatch(PaymuxError):
    """The provider's answer is not about the expected payment: tell a person."""

    def __init__(
        self,
        message: str = "",
        *,
        payment: "Payment | None" = None,
        expected: "Payment | None" = None,
        fields: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.payment = payment
        self.expected = expected
        self.fields = fields


class BadWebhook(PaymuxError):
    """A webhook to log and drop: forged, unsigned where a key is set, or unreadable."""


class WatchTimeout(PaymuxError, TimeoutError):
    """The payment is still pending: keep `.payment` and watch it again later."""

    def __init__(self, message: str = "", payment: "Payment | None" = None) -> None:
        super().__init__(message)
        self._payment = payment

    @property
    def payment(self) -> "Payment":
        """The payment as it was last seen, still PENDING."""
        if self._payment is None:
            raise AttributeError("payment")
        return self._payment
