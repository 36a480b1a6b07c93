"""Exit codes: whether a script may repeat a command."""

import pytest

from paymux import errors
from paymux.cli.exits import Exit, gravest, of_error, of_payment
from paymux.models import Payment, Status

CODES = {
    "UsageError": 2,
    "Unsupported": 2,
    "DuplicateReference": 3,
    "NotSent": 4,
    "OutcomeUnknown": 5,
    "Unavailable": 4,
    "NoAnswer": 4,
    "ProviderError": 3,
    "AuthenticationFailed": 3,
    "CredentialRefused": 3,
    "Rejected": 3,
    "NotFound": 3,
    "RateLimited": 4,
    "Mismatch": 6,
    "BadWebhook": 70,
    "WatchTimeout": 5,
    "PaymuxError": 70,
}


def test_every_error_has_its_code() -> None:
    """Each error of paymux has a code; a new one is a decision of its own."""
    kinds = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.PaymuxError)
    }
    assert {name: int(of_error(kind("said"))) for name, kind in kinds.items()} == CODES


def test_only_what_moved_nothing_may_be_repeated() -> None:
    """A script repeats 0 and 4; never 5, whose money may have moved."""
    assert [int(code) for code in Exit if code.repeat] == [0, 4]


@pytest.mark.parametrize("status", list(Status))
def test_a_payment_is_done_only_if_its_money_moved(status: Status) -> None:
    """Success is 0; pending is 5, never "failed"; all else is a no."""
    code = {Status.PENDING: 5, Status.SUCCEEDED: 0}.get(status, 1)
    assert of_payment(Payment(account="campay", status=status)) == code


def test_the_gravest_of_several_decides() -> None:
    """Of many references, a mismatch is told before an unknown, and success only if all are."""
    order = [6, 5, 4, 3, 1, 0]
    for at, code in enumerate(order):
        assert gravest([Exit(one) for one in order[at:]]) == code
    assert gravest([]) is Exit.DONE
