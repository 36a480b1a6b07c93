"""The base of the promises: what a contract is made of, and which promises apply to a driver."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ...drivers.base import Driver
from ...simulator.base import Provider
from .case import Case
from .desk import Desk

T = TypeVar("T", bound=Callable[..., Any])


class Promises:
    """A driver, its simulated provider, and what differs from other drivers."""

    driver: ClassVar[type[Driver]]
    simulator: ClassVar[type[Provider]]
    case: ClassVar[Case]
    samples: ClassVar[Path]

    def __init_subclass__(cls, **options: Any) -> None:
        """Leave out the promises that do not apply: pytest collects no attribute that is None."""
        super().__init_subclass__(**options)
        if not hasattr(cls, "case"):
            return
        for name in dir(cls):
            applies = getattr(getattr(cls, name), "applies", None)
            if applies is not None and not applies(cls):
                setattr(cls, name, None)

    @classmethod
    def desk(cls, **how: Any) -> Desk:
        """Open an account at the simulated provider; `how`: see `Desk`."""
        return Desk(cls.driver, cls.simulator, cls.case, **how)


def only(applies: Callable[[type[Promises]], bool]) -> Callable[[T], T]:
    """Mark a promise that only some drivers can give."""

    def marked(test: T) -> T:
        vars(test)["applies"] = applies
        return test

    return marked


def pays_out(contract: type[Promises]) -> bool:
    """Return whether the driver pays out."""
    return contract.driver.can("payout")


def questions_payouts(contract: type[Promises]) -> bool:
    """Return whether a payout is looked up by a question, whose answer comes as a message."""
    return contract.driver.can("payout") and asks(contract)


def asks(contract: type[Promises]) -> bool:
    """Return whether the driver asks questions."""
    return contract.driver.answer_id is not Driver.answer_id


def may_lack_funds(contract: type[Promises]) -> bool:
    """Return whether the simulator can be without money to pay out."""
    return bool(contract.case.no_funds)


def refunds(contract: type[Promises]) -> bool:
    """Return whether the driver refunds."""
    return contract.driver.can("refund")


def refunds_freely(contract: type[Promises]) -> bool:
    """Return whether a payment may be refunded in parts, or several times."""
    return refunds(contract) and not contract.case.refunds_once


def refunds_once(contract: type[Promises]) -> bool:
    """Return whether a payment is refunded once, and whole."""
    return refunds(contract) and contract.case.refunds_once


def hears(contract: type[Promises]) -> bool:
    """Return whether the provider sends messages."""
    return contract.driver.can("webhook")


def tells_mode(contract: type[Promises]) -> bool:
    """Return whether answers tell the live from the test mode; others have a URL for each mode."""
    return contract.case.mode is not None


def tells_amount(contract: type[Promises]) -> bool:
    """Return whether a look-up returns the amount."""
    return contract.case.tells_amount


def logs_in(contract: type[Promises]) -> bool:
    """Return whether the driver asks for a token."""
    return bool(contract.case.login)


def shows_page(contract: type[Promises]) -> bool:
    """Return whether an order opens a page, from which the payer comes back with ids."""
    return "return_url" in contract.case.order and contract.driver.can("returned")
