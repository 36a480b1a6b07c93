"""The state of a pool and of its journal, as a health page shows it."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from ..errors import PaymuxError
from ..values.validation import checked_seconds

if TYPE_CHECKING:
    from ..journal import JournalHealth
    from .engine import Engine

SLOW_SECONDS = 1.0  # seconds beyond which a write or a read is told as slow
LATE_SECONDS = 60.0  # the same for an end that is not delivered, and for look-ups
CLOCK_SECONDS = 2.0  # the same for the difference of two clocks


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a pool; `msgspec.json` encodes it. Times are in seconds.

    `state` is "ok", "problems" (it works, and `problems` says what to look at) or "down" (the
    journal cannot be written or read now, so no order is sent). What could not be learned is None.
    """

    engine: str | None = None  # "sqlite", "postgresql", the class of your own; None: no journal
    state: Literal["ok", "problems", "down"] = "ok"
    write_seconds: float | None = None  # of the smallest write, until it was durable
    read_seconds: float | None = None
    untold: int | None = None  # ends that `on_payment` has not been told yet
    oldest_untold: float | None = None  # since when the oldest of them waits
    open_orders: int | None = None
    dead_workers: int | None = None  # that hold claims, which another one will take over
    lag: Mapping[str, float] = {}  # by account, how late the look-ups of open watches are
    clock: float | None = None  # by how much our clock is ahead of the engine's
    settings: Mapping[str, str] = {}  # of the engine
    problems: tuple[str, ...] = ()


async def health(engine: "Engine", deadline: float) -> Health:
    """Return a pool's state within `deadline` seconds; a sick engine raises nothing."""
    seconds = checked_seconds("deadline", deadline)
    journal: Any = engine.store.journal
    lag = {driver.account: late for driver, watches, late in engine.loads() if watches or late}
    problems = [
        f"{account}: look-ups are {late:.0f} s late: its rate limit is too low for its watches"
        for account, late in lag.items()
        if late > LATE_SECONDS
    ]
    try:
        engine.lifetime.use()
    except PaymuxError as error:
        return Health(engine=_name(journal), state="down", lag=lag, problems=(str(error),))
    if journal is None or not hasattr(journal, "touch"):
        return _told(Health(engine=_name(journal), lag=lag), problems, down=False)
    until = asyncio.get_running_loop().time() + seconds
    write, read = await asyncio.gather(
        _timed(journal.touch(), until), _timed(journal.health(), until)
    )
    for what, done, tried in (("written", write, "write"), ("read", read, "read")):
        if done.error is not None:
            problems.append(f"the journal cannot be {what}: {done.error}")
        elif done.seconds is not None and done.seconds > SLOW_SECONDS:
            problems.append(f"a {tried} takes {done.seconds:.1f} s")
    found: JournalHealth | None = read.result
    state = Health(
        engine=_name(journal), write_seconds=write.seconds, read_seconds=read.seconds, lag=lag
    )
    if found is not None:
        problems += [*found.problems, *_rows(found)]
        state = msgspec.structs.replace(
            state,
            untold=found.untold,
            oldest_untold=found.oldest_untold,
            open_orders=found.open_orders,
            dead_workers=found.dead_workers,
            clock=found.clock,
            settings=found.settings,
        )
    return _told(state, problems, down=bool(write.error or read.error))


class _Tried(NamedTuple):
    """What came of a write or a read."""

    seconds: float | None = None
    result: Any = None
    error: Exception | None = None


async def _timed(doing: Awaitable[Any], until: float) -> _Tried:
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout_at(until):
            result = await doing
    except TimeoutError:
        return _Tried(error=OSError(f"no answer within {loop.time() - began:.1f} s"))
    except Exception as error:  # noqa: BLE001 - whatever ails it, the page shows it
        return _Tried(error=error)
    return _Tried(loop.time() - began, result)


def _rows(found: "JournalHealth") -> list[str]:
    """Say what in the rows needs a look."""
    said = []
    if found.oldest_untold is not None and found.oldest_untold > LATE_SECONDS:
        said.append(
            f"{found.untold} ends are not told, the oldest for {found.oldest_untold:.0f} s: does "
            "on_payment fail, or does no Notifier run?"
        )
    if found.dead_workers:
        said.append(
            f"workers that died: {found.dead_workers} still hold claims, which a Notifier or "
            "`recover` takes over"
        )
    if abs(found.clock) > CLOCK_SECONDS:
        way = "ahead of" if found.clock > 0 else "behind"
        said.append(f"this machine's clock is {abs(found.clock):.1f} s {way} the database's")
    return said


def _told(state: Health, problems: list[str], *, down: bool) -> Health:
    word: Literal["ok", "problems", "down"] = "down" if down else "problems" if problems else "ok"
    return msgspec.structs.replace(state, state=word, problems=tuple(problems))


def _name(journal: object) -> str | None:
    return None if journal is None else getattr(journal, "engine", type(journal).__name__)
