"""Call every public callable with odd values for each parameter, and judge how each call ends."""

import asyncio
import enum
import gc
import inspect
import logging
import os
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import msgspec

from paymux import Bulk, Payment, PaymuxError, Pool, UsageError, Verified, Watch
from paymux.journal import Turn

from .callers import (
    CALLED_BY_US,
    JOURNALED,
    NOTHING,
    SHAPES,
    Stage,
    accounts,
    good,
    is_ours,
    public,
    shaped,
    signature,
    stages,
    theirs,
)
from .oddities import VALUES, Broken

LIMIT = 5.0  # milliseconds of the thread's CPU time
SECONDS = 5.0  # after which a call counts as hanging
AGAIN = 4  # further calls if one was slow, because another program may have slowed it down


class Hung(BaseException):
    """A call did not end in time."""


class Case(NamedTuple):
    """One call: the callable, the account if it takes one, and the odd value of one parameter."""

    stage: str
    name: str
    account: str
    parameter: str
    value: str

    def __str__(self) -> str:
        account = f"[{self.account}]" if self.account else ""
        return f"{self.stage} {self.name}{account} {self.parameter}={self.value}"


class Outcome(NamedTuple):
    """How a call ended.

    `wrong` says what went wrong, or is empty; `took` is in milliseconds of CPU time.
    """

    wrong: str
    took: float
    ended: str


@cache
def parameters(called: Callable[..., Any]) -> list[inspect.Parameter]:
    """List the parameters of a callable, with those of its `**options`."""
    found: list[inspect.Parameter] = []
    given = signature(called).parameters
    for parameter in given.values():
        # A driver's coroutine may be a function of the driver and `send`, which the pool gives.
        if parameter.name in ("self", "send") or (parameter.name == "driver" and "send" in given):
            continue
        if inspect.isclass(called) and issubclass(called, enum.Enum) and parameter.name != "value":
            continue  # the parameters by which Python makes another enum
        unpacked = getattr(parameter.annotation, "__args__", ())
        if parameter.kind is parameter.VAR_KEYWORD and unpacked:
            options = inspect.get_annotations(unpacked[0])
            found += [
                inspect.Parameter(name, parameter.KEYWORD_ONLY, default=None) for name in options
            ]
        else:
            found.append(parameter)
    return found


def cases(only: str = "") -> Iterator[Case]:
    """List every call."""
    for name, called in public().items():
        if name in CALLED_BY_US or not name.startswith(only):
            continue
        for number, account in enumerate(accounts(name)):
            for stage in ("bare", "journal") if name in JOURNALED and not number else ("bare",):
                yield Case(stage, name, account, "", "")
                for parameter in parameters(called):
                    for value in [*VALUES, *shaped(stage, name, account, parameter.name)]:
                        if (parameter.name, value) == ("items", "a list of 10,000"):
                            continue  # 10,000 look-ups take longer than one call may
                        yield Case(stage, name, account, parameter.name, value)


def arguments(stage: Stage, case: Case) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a call: the odd value, and good values for the rest."""
    positional: list[Any] = []
    named: dict[str, Any] = {}
    by_name = (case.name, case.parameter) == ("Pool.verify", "provider_reference")
    for parameter in parameters(public()[case.name]):
        if parameter.name == case.parameter:
            value = (VALUES.get(case.value) or SHAPES[parameter.name][case.value])()
        else:
            value = good(stage, case.name, case.account, parameter.name)
            if value is NOTHING:
                continue
        if by_name and parameter.name == "payment":
            value = case.account
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional += [value] if parameter.name == case.parameter else value
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(value)
        elif parameter.kind is parameter.VAR_KEYWORD:
            named |= {case.parameter: value} if parameter.name == case.parameter else value
        else:
            named[parameter.name] = value
    return positional, named


async def drained(result: Any) -> None:
    """Use the result of a call as its caller would."""
    if awaited := isinstance(result, Watch | Bulk) or inspect.isawaitable(result):
        result = await result
    if isinstance(result, Pool):
        await result.aclose()
    elif isinstance(result, Turn):
        async with result:
            pass
    elif isinstance(result, AsyncIterator):
        async with aclosing(result) as rows:  # type: ignore[type-var] # all our iterators are generators
            async for _ in rows:
                break
    for one in result if isinstance(result, list) else [result]:
        if (
            awaited
            and isinstance(one, Verified)
            and one.error is not None
            and not isinstance(one.error, PaymuxError)
        ):
            raise one.error
        if isinstance(one, Payment):
            repr(one)
            if awaited:  # it came from a verb, and a caller may store it
                msgspec.json.decode(msgspec.json.encode(one), type=Payment)


class Battery:
    """Makes the calls, one after the other, and judges each."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._stages: dict[str, Stage] = {}
        self._said: list[str] = []

    @contextmanager
    def ready(self) -> Iterator["Battery"]:
        """Open the pools, and record the warnings that Python would only print."""
        logging.getLogger("paymux").setLevel(logging.CRITICAL + 1)
        hook, sys.unraisablehook = (
            sys.unraisablehook,
            lambda said: self._said.append(repr(said.exc_value)),
        )
        handler = signal.signal(signal.SIGALRM, self._alarm)
        before = signal.getitimer(signal.ITIMER_REAL)
        try:
            with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder, inside(folder):
                warnings.simplefilter("always")
                warnings.showwarning = lambda said, *_, **__: self._said.append(str(said))
                self._stages = stages(folder, self._said.append)
                yield self
                for stage in self._stages.values():
                    stage.close()
        finally:
            sys.unraisablehook = hook
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, *before)
            logging.getLogger("paymux").setLevel(logging.NOTSET)

    def _alarm(self, _: int, __: FrameType | None) -> None:
        raise Hung

    def attempt(self, case: Case) -> Outcome:
        """Make one call, and repeat it if it was slow."""
        found = self._once(case)
        for _ in range(AGAIN):
            if found.wrong or found.took <= LIMIT:
                break
            found = min(found, self._once(case), key=lambda one: one.took)
        return found

    def _once(self, case: Case) -> Outcome:
        stage = self._stages[case.stage]
        positional, named = arguments(stage, case)
        self._said.clear()
        wrong, ended = "", "a result"
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        gc.disable()
        began = time.thread_time()
        try:
            stage.loop.run_until_complete(self._called(stage, case, positional, named))
        except PaymuxError as error:
            ended = type(error).__name__
            str(error)
            wrong = unsound(error)
        except Hung:
            wrong = "it hangs"
        except BaseException as error:  # noqa: BLE001 - the campaign looks for exceptions of any class
            wrong = "" if theirs(case.name, case.parameter, error) else told(error)
        took = (time.thread_time() - began) * 1000
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.enable()
        value = [*positional, *named.values()]
        del positional, named, value
        if case.value == "a coroutine":
            gc.collect()  # "never awaited" must be reported in this call, not in a later one
        # If the value was accepted, the caller still owns its coroutine, and may await it.
        kept = ended == "a result" or case.parameter not in ("payment", "expected", "event")
        kept = kept and all("coroutine" in said for said in self._said)
        if self._said and not wrong and not kept:
            wrong = f"said beside: {self._said[0]}"
        return Outcome(wrong, took, ended)

    async def _called(
        self, stage: Stage, case: Case, positional: list[Any], named: dict[str, Any]
    ) -> None:
        try:
            async with asyncio.timeout(self._seconds) as limit:
                await drained(stage.callable(case.name, case.account)(*positional, **named))
        except TimeoutError:
            if limit.expired():
                raise Hung from None
            raise


@contextmanager
def inside(folder: str) -> Iterator[None]:
    """Change to a folder, because a call may create a file at a given path."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def unsound(error: PaymuxError) -> str:
    """Return what is wrong with one of our errors; a UsageError must name what it refuses."""
    if isinstance(error, UsageError) and error.name is not None:
        texts = (error.name, error.value, error.accepted)
        if not all(type(text) is str for text in texts) or len(str(error)) > 2000:
            return f"an odd UsageError: {texts!r:.200}"
    return ""


def told(error: BaseException) -> str:
    """Return the text of a foreign exception, with its lines in paymux."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [
        f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames if is_ours(frame.filename)
    ]
    said = "something hostile" if isinstance(error, Broken) else f"{error!r:.100}"
    return f"{type(error).__name__}: {said} at {' > '.join(where[-3:])}"


def unplanned() -> list[str]:
    """List the parameters of public callables for which no good value is known."""
    missing = []
    for name, called in public().items():
        if name in CALLED_BY_US:
            continue
        for account in accounts(name):
            for parameter in parameters(called):
                needed = parameter.default is parameter.empty and "VAR" not in parameter.kind.name
                if needed and good(None, name, account, parameter.name) is NOTHING:
                    missing.append(f"{name}: {parameter.name}")
    return missing


def plant(fault: str) -> None:
    """Break `Pool.balance` on purpose."""

    async def typeerror(*given: Any, **_: Any) -> Any:
        return len(given) + len(given[0])

    async def hang(*_: Any, **__: Any) -> Any:
        await asyncio.get_running_loop().create_future()

    async def slow(*_: Any, **__: Any) -> Any:
        began = time.thread_time()
        while time.thread_time() - began < 2 * LIMIT / 1000:
            pass

    for verb in (typeerror, hang, slow):
        verb.__module__ = Pool.__module__
        verb.__signature__ = inspect.signature(Pool.balance)  # type: ignore[attr-defined] # functions have it
    setattr(Pool, "balance", {"typeerror": typeerror, "hang": hang, "slow": slow}[fault])  # noqa: B010


def run(chosen: list[Case], seconds: float = SECONDS) -> dict[Case, Outcome]:
    """Make these calls, after one good call of each callable."""
    with Battery(seconds).ready() as battery:
        warm = {(case.stage, case.name, case.account) for case in chosen}
        for key in warm:
            battery.attempt(Case(*key, "", ""))
        return {case: battery.attempt(case) for case in chosen}


def sample(count: int, seed: int) -> list[Case]:
    """Return `count` random calls, and at least one of each callable."""
    every = list(cases())
    drawn = random.Random(seed).sample(every, count)
    first: dict[str, Case] = {}
    for case in every:
        first.setdefault(case.name, case)
    return list(dict.fromkeys([*first.values(), *drawn]))
