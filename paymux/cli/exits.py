"""Exit codes: what a script may do next, from the payment or the error with which a command ends.

0 done, or the money has moved; 1 the answer is no; 2 wrong arguments; 3 the provider said no;
4 not sent or unavailable: repeat; 5 unknown or pending: never repeat; 6 mismatch; 70 our fault.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..models import Payment


class Exit(IntEnum):
    """One exit code of the command line."""

    DONE = 0
    NO = 1
    USAGE = 2
    REFUSED = 3
    AGAIN = 4
    UNKNOWN = 5
    MISMATCH = 6
    FAULT = 70

    @property
    def repeat(self) -> bool:
        """Return whether a script may run the same command again as it is."""
        return self in (Exit.DONE, Exit.AGAIN)


# The gravest first: of several references, the one that a person must look at decides.
_GRAVITY = (
    Exit.FAULT,
    Exit.USAGE,
    Exit.MISMATCH,
    Exit.UNKNOWN,
    Exit.AGAIN,
    Exit.REFUSED,
    Exit.NO,
    Exit.DONE,
)


def of_error(error: BaseException) -> Exit:
    """Return the code with which an error ends a command; FAULT: it is none of ours."""
    from .. import errors  # noqa: PLC0415 - `--help` needs no error

    # The first that fits decides: a subclass stands before its base.
    table: tuple[tuple[type[Exception], Exit], ...] = (
        (errors.DuplicateReference, Exit.REFUSED),
        (errors.UsageError, Exit.USAGE),
        (errors.OutcomeUnknown, Exit.UNKNOWN),
        (errors.WatchTimeout, Exit.UNKNOWN),
        (errors.NotSent, Exit.AGAIN),
        (errors.Unavailable, Exit.AGAIN),
        (errors.RateLimited, Exit.AGAIN),
        (errors.ProviderError, Exit.REFUSED),
        (errors.Mismatch, Exit.MISMATCH),
    )
    return next((code for kind, code in table if isinstance(error, kind)), Exit.FAULT)


def of_payment(payment: "Payment") -> Exit:
    """Return the code of a payment that was looked up: 0 only if its money has moved."""
    if not payment.status.terminal:
        return Exit.UNKNOWN
    return Exit.DONE if payment.status.value == "succeeded" else Exit.NO


def gravest(codes: Iterable[Exit]) -> Exit:
    """Return the gravest of several codes; DONE of none."""
    return min(codes, key=_GRAVITY.index, default=Exit.DONE)
