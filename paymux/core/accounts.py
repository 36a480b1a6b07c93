"""The accounts of a pool: which drivers fit, and how they change while orders are open."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from inspect import iscoroutinefunction
from types import FunctionType
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from ..drivers.base import Driver
from ..errors import UsageError
from ..primitives import coerce
from .id_keys import check_apart, check_same

if TYPE_CHECKING:
    from .callback_urls import CallbackUrls
    from .engine import Engine

T = TypeVar("T")

_NUMBERS = (bool, int, float, Decimal)  # the types of fields that are no credential


class EnteredNotifier(NamedTuple):
    """What an entered notifier of the pool does when the pool's accounts change."""

    check: Callable[[Mapping[str, Driver]], None]  # UsageError: it cannot serve these accounts
    renew: Callable[[str], None]  # serves one that was added, or whose driver was replaced


def by_account(drivers: tuple[Driver, ...]) -> dict[str, Driver]:
    """Return drivers by account; two drivers with the same account are UsageError."""
    found: dict[str, Driver] = {}
    for given in drivers:
        driver = _checked("drivers", given)
        if driver.account in found:
            accepted = "another name for each driver: two drivers of this pool have this one"
            raise UsageError.field("account", driver.account, accepted)
        check_apart(found, driver)
        found[driver.account] = driver
    return found


def add(engine: "Engine", urls: "CallbackUrls", given: object) -> None:
    """Add an account to a pool that is in use; it is complete before anything else runs."""
    engine.lifetime.use()
    driver = _checked("driver", given)
    if driver.account in engine.drivers:
        accepted = "a name that no driver of this pool has: `replace` changes an account's driver"
        raise UsageError.field("account", driver.account, accepted)
    drivers = _fitting(engine, urls, driver)
    engine.transport.add(driver)
    _use(engine, urls, drivers, driver)


def replace(engine: "Engine", urls: "CallbackUrls", given: object) -> None:
    """Replace an account's driver in a pool that is in use."""
    engine.lifetime.use()
    driver = _checked("driver", given)
    before = engine.driver(driver.account)
    _check_same(before, driver)
    drivers = _fitting(engine, urls, driver)
    engine.transport.replace(driver, signs_alike=_sign_alike(before, driver))
    _use(engine, urls, drivers, driver)


def is_driver_method(driver: Driver, method: object) -> bool:
    """Return whether this is a coroutine function of a driver's own class."""
    name = method.__name__ if coerce.is_a(method, FunctionType) else ""
    return getattr(type(driver), name, None) is method and iscoroutinefunction(method)


def _checked(field: str, given: object) -> Driver:
    if not coerce.is_a(given, Driver):
        raise UsageError.field(field, given, "drivers, such as CamPay(…)")
    if given.can("find") and not given.finds_by:
        # Without it, no order whose answer was lost would be looked up.
        accepted = f"{given.name} has `find`: for each kind, what it can ask by"
        raise UsageError.missing("finds_by", accepted)
    return given


def _fitting(engine: "Engine", urls: "CallbackUrls", driver: Driver) -> Mapping[str, Driver]:
    """Return the pool's drivers with this one; UsageError: the pool cannot serve it."""
    urls.check(driver)
    check_apart(engine.drivers, driver)
    drivers = {**engine.drivers, driver.account: driver}
    if engine.notifier is not None:
        engine.notifier.check(drivers)
    return drivers


def _use(
    engine: "Engine", urls: "CallbackUrls", drivers: Mapping[str, Driver], driver: Driver
) -> None:
    engine.drivers = drivers  # another mapping, so that a loop over the one before goes on
    urls.warn([driver])
    engine.renew_watches(driver)
    if engine.notifier is not None:
        engine.notifier.renew(driver.account)


def _check_same(before: Driver, driver: Driver) -> None:
    """Refuse a driver that would look for an account's open orders where they are not."""
    account = before.account
    if type(driver) is not type(before):
        accepted = f"a {type(before).__name__}, as before: the orders of {account!r} are there"
        raise UsageError.field("driver", type(driver).__name__, accepted)
    field = "live" if driver.live != before.live else "base_url"
    if (driver.live, driver.url) != (before.live, before.url):
        raise _moved(field, getattr(driver, field), getattr(before, field), account)
    for field in sorted(driver.identity):
        if (value := getattr(driver, field)) != (had := getattr(before, field)):
            raise _moved(field, value, had, account)
    check_same(before, driver)


def _moved(field: str, value: object, had: object, account: str) -> UsageError:
    accepted = f"{had!r}, as before: the orders of {account!r} are there (or add another account)"
    return UsageError.field(field, value, accepted)


def _sign_alike(one: Driver, other: Driver) -> bool:
    """Return whether two drivers log in alike: no field differs that may be a credential."""
    pairs = zip(msgspec.structs.astuple(one), msgspec.structs.astuple(other), strict=True)
    return all(a == b or (type(a) in _NUMBERS and type(b) in _NUMBERS) for a, b in pairs)
