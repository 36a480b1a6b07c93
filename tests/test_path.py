"""A slice of `benchmarks/bench_path.py`: each call is counted once, and none is missed."""

import argparse
import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

import pytest

import paymux
from benchmarks import bench_path
from benchmarks.bench_path import PATHS, Measured, main, trace, tree
from benchmarks.tracer import Frame, Tracer

FOLDER = Path("/toy")
PACKAGE = Path(paymux.__file__).parent
Function = TypeVar("Function", bound=Callable[..., Any])


def lying_in(folder: Path, name: str) -> Callable[[Function], Function]:
    """Make a function appear to be in a file with this name in a folder."""

    def moved(function: Function) -> Function:
        changed: Any = function
        changed.__code__ = changed.__code__.replace(
            co_filename=f"{folder}/{name}", co_qualname=function.__name__
        )
        return function

    return moved


@lying_in(FOLDER, "toy.py")
def plain() -> int:
    """Call nothing."""
    return 1


@lying_in(FOLDER, "inner/toy.py")
def calls() -> int:
    """Call two functions, one of which is counted."""
    return plain() + foreign()


def foreign() -> int:
    """Call nothing, outside of all traced folders."""
    return 1


@lying_in(FOLDER, "excepted/toy.py")
def excepted() -> int:
    """Call a function that would be counted elsewhere."""
    return plain()


@lying_in(FOLDER, "toy.py")
async def suspended() -> int:
    """Resume twice, and make one call."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return plain()


@lying_in(FOLDER, "toy.py")
def numbers() -> Generator[int]:
    """Make a call at each step, and at the end."""
    try:
        yield plain()
        yield plain()
    finally:
        plain()


@lying_in(FOLDER, "toy.py")
async def pushed() -> AsyncGenerator[int]:
    """Resume from inside."""
    for _ in range(3):
        await asyncio.sleep(0)
        yield 1


def tracer() -> Tracer:
    """Return a tracer of the toy functions."""
    return Tracer(FOLDER, without="excepted")


def called(frames: list[Frame]) -> list[str]:
    """Return the names of the called functions, in order."""
    return [frame.function for frame in frames]


def test_only_calls_of_the_folder_are_counted() -> None:
    """Calls elsewhere, and calls by an excluded function, are no frames."""
    traces = tracer()
    with traces:
        calls()
        foreign()
        excepted()
    calls()
    assert traces.frames == [Frame("inner/toy.py", "calls", 0), Frame("toy.py", "plain", 1)]
    assert tree(traces.frames) == "inner/toy.py:calls\n  toy.py:plain"


async def test_a_resumption_is_no_call() -> None:
    """A coroutine or generator is one call, however often it is resumed."""
    traces = tracer()
    with traces:
        await suspended()
    assert called(traces.frames) == ["suspended", "plain"]
    with traces:
        assert list(numbers()) == [1, 1]
    assert called(traces.frames) == ["numbers", "plain", "plain", "plain"]
    with traces:
        begun = numbers()
        next(begun)
        begun.close()
    assert called(traces.frames) == ["numbers", "plain", "plain"]
    with traces:
        assert [one async for one in pushed()] == [1, 1, 1]
    assert called(traces.frames) == ["pushed"]


def test_a_cancelled_coroutine_is_one_call() -> None:
    """Throwing into a coroutine is no call."""
    traces = tracer()

    async def cancelled() -> None:
        task = asyncio.ensure_future(suspended())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with traces:
        asyncio.run(cancelled())
    assert called(traces.frames) == ["suspended"]


def test_other_threads_are_counted_apart() -> None:
    """Calls in a thread that started under the tracer are counted separately."""
    traces = tracer()
    with traces.in_threads(), traces:
        thread = threading.Thread(target=calls)
        thread.start()
        thread.join()
        plain()
    assert called(traces.frames) == ["plain"]
    assert called(traces.elsewhere) == ["calls", "plain"]


def test_an_extra_call_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls added to `Pool.verify` are two more frames, at their place."""
    before = called(trace("verify").frames)
    verify = paymux.Pool.verify

    @lying_in(PACKAGE, "planted.py")
    def extra() -> None:
        pass

    @lying_in(PACKAGE, "planted.py")
    async def longer(*given: Any) -> Any:
        await asyncio.sleep(0)
        extra()
        return await verify(*given)

    monkeypatch.setattr(paymux.Pool, "verify", longer)
    found = trace("verify")
    assert called(found.frames) == ["longer", "extra", *before]
    assert found.frames[:2] == [Frame("planted.py", "longer", 0), Frame("planted.py", "extra", 1)]
    assert found.frames[2] == Frame("core/lookup_verbs.py", "LookupVerbs.verify", 1)


@pytest.mark.parametrize("name", PATHS)
def test_each_kind_of_call_is_traced(name: str) -> None:
    """Each trace starts with a call of paymux, and has nothing that the simulator calls."""
    found = trace(name)
    assert found.frames[0].depth == 0
    assert not [frame for frame in found.frames if frame.file.startswith("simulator")]
    assert bool(found.elsewhere) is PATHS[name].journal


def test_a_limit_is_held(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program fails above a limit, and writes the figures and the whole path."""
    given = argparse.Namespace(
        only=["verify"], paymux=None, tree=True, json=tmp_path / "paths.json"
    )
    verify = PATHS["verify"].made
    for limit, code in ((10_000, 0), (1, 1)):
        monkeypatch.setattr(bench_path, "PATHS", {"verify": Measured(verify, limit=limit)})
        assert main(given) == code
    told = json.loads(given.json.read_text())["paths"]["verify"]
    assert told["frames"] == len(told["path"]) > told["functions"] > 0
    assert "core/lookup_verbs.py:LookupVerbs.verify\n" in capsys.readouterr().out
