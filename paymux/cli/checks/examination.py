"""All checks, side by side, within ten seconds."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeAlias

from ...errors import UsageError
from . import (
    account_checks,
    config_checks,
    journal_checks,
    login_checks,
    network_checks,
    version_checks,
    webhook_checks,
)
from .findings import Finding, Mend, Said, problem
from .setup import Setup
from .walk import Walk

BOUND_SECONDS = 8.5  # for all checks; the rest of ten seconds is for the program's start and end
_CLOSE_SECONDS = 0.5

Run: TypeAlias = Callable[[Walk], Awaitable[list[Finding]]]


class Check(NamedTuple):
    """One check: its id, what it does, and whether it needs the network."""

    id: str
    run: Run
    online: bool = False


CHECKS = (
    Check("config.found", config_checks.found),
    Check("config.reads", config_checks.reads),
    Check("config.settings", config_checks.settings),
    Check("config.owner", config_checks.owner),
    Check("config.private", config_checks.private),
    Check("config.writable", config_checks.writable),
    Check("account.driver", account_checks.driver),
    Check("account.fields", account_checks.fields),
    Check("account.placeholders", account_checks.placeholders),
    Check("account.mode", account_checks.mode),
    Check("network.proxy", network_checks.proxy),
    Check("network.dns", network_checks.names, online=True),
    Check("network.reach", network_checks.reach, online=True),
    Check("network.clock", network_checks.clock, online=True),
    Check("account.login", login_checks.login, online=True),
    Check("account.balance", login_checks.balance, online=True),
    Check("webhook.base", webhook_checks.base),
    Check("webhook.words", webhook_checks.words),
    Check("webhook.key", webhook_checks.key),
    Check("journal.named", journal_checks.named),
    Check("journal.disk", journal_checks.disk),
    Check("journal.private", journal_checks.private),
    Check("journal.write", journal_checks.write),
    Check("journal.open", journal_checks.open_orders),
    Check("journal.id_key", journal_checks.id_keys),
    Check("versions", version_checks.versions),
)
IDS = tuple(one.id for one in CHECKS)


def chosen(skip: Iterable[str], *, offline: bool) -> list[Check]:
    """Return the checks to make; an id that there is not is UsageError."""
    left = set(skip)
    for name in left:
        if name not in IDS:
            raise UsageError.field("skip", name, ", ".join(IDS))
    return [one for one in CHECKS if one.id not in left and not (offline and one.online)]


async def examine(setup: Setup, checks: Iterable[Check]) -> list[Finding]:
    """Make checks side by side, and return what they found, in the order of the checks.

    One that has no result in time is a problem of its own; none hides another.
    """
    loop = asyncio.get_running_loop()
    loop.set_default_executor(_Unwaited())
    until = loop.time() + BOUND_SECONDS
    walk = Walk(setup)
    try:
        found = await asyncio.gather(*(_made(one, walk, until) for one in checks))
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(walk.aclose(), _CLOSE_SECONDS)
    return [finding for findings in found for finding in findings]


async def _made(check: Check, walk: Walk, until: float) -> list[Finding]:
    try:
        async with asyncio.timeout_at(until):
            return await check.run(walk)
    except TimeoutError:
        said = Said(
            f"no result within {BOUND_SECONDS:.0f} s", f"pas de résultat en {BOUND_SECONDS:.0f} s"
        )
    except Exception as error:  # noqa: BLE001 - the other checks are still of use
        # Without its text, which may hold a value of the configuration.
        name = type(error).__name__
        said = Said(f"the check itself failed ({name})", f"la vérification a échoué ({name})")
    return [problem(check.id, said, Mend(command=f"paymux doctor --skip {check.id}"))]


class _Unwaited(ThreadPoolExecutor):
    """Threads for which nothing waits: a name server or a disk may keep one for minutes."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        done: Future[Any] = Future()

        def work() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                found = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
                done.set_exception(error)
            else:
                done.set_result(found)

        threading.Thread(target=work, name="paymux-doctor", daemon=True).start()
        return done
