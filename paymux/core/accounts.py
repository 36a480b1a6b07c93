"""The drivers of a pool, by account."""

from inspect import iscoroutinefunction
from types import FunctionType

from ..drivers.base import Driver
from ..errors import UsageError
from ..primitives import coerce


def by_account(drivers: tuple[Driver, ...]) -> dict[str, Driver]:
    """Return drivers by account; two drivers with the same account are UsageError."""
    found: dict[str, Driver] = {}
    for driver in drivers:
        if not coerce.is_a(driver, Driver):
            raise UsageError.field("drivers", driver, "drivers, such as CamPay(…)")
        if driver.account in found:
            accepted = "another name for each driver: two drivers of this pool have this one"
            raise UsageError.field("account", driver.account, accepted)
        if driver.can("find") and not driver.finds_by:
            # Without it, no order whose answer was lost would be looked up.
            accepted = f"{driver.name} has `find`: for each kind, what it can ask by"
            raise UsageError.missing("finds_by", accepted)
        found[driver.account] = driver
    return found


def is_driver_method(driver: Driver, method: object) -> bool:
    """Return whether this is a coroutine function of a driver's own class."""
    name = method.__name__ if coerce.is_a(method, FunctionType) else ""
    return getattr(type(driver), name, None) is method and iscoroutinefunction(method)
