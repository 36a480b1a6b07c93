"""Record the calls of all functions in a folder, in order."""

import contextlib
import dis
import sys
import threading
from collections.abc import Iterator
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from pathlib import Path
from types import FrameType
from typing import NamedTuple

RESUMABLE = CO_COROUTINE | CO_GENERATOR | CO_ASYNC_GENERATOR
RESUME = dis.opmap["RESUME"]
RESUMED = 3  # the bits of RESUME's argument that are 0 at the start of a frame


class Frame(NamedTuple):
    """One call: the file in the folder, the function, and how many functions wait for it."""

    file: str
    function: str
    depth: int


class Tracer:
    """Records calls of functions in a folder, except in `without`: `with tracer: ...`."""

    def __init__(self, folder: Path, without: str) -> None:
        self._folder = f"{folder}/"
        self._without = f"{folder}/{without}/"
        self._thread = threading.get_ident()
        self._traces = False
        self.frames: list[Frame] = []
        self.elsewhere: list[Frame] = []  # in other threads than the tracer's

    def __enter__(self) -> None:
        self.frames, self.elsewhere = [], []
        self._before = sys.getprofile()
        self._traces = True
        sys.setprofile(self._profile)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(self._before)
        self._traces = False

    @contextlib.contextmanager
    def in_threads(self) -> Iterator[None]:
        """Trace the threads that start in this block, too, while the tracer is entered."""
        threading.setprofile(self._profile)
        try:
            yield
        finally:
            threading.setprofile(None)

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or not self._traces or not begins(frame):
            return
        if not code.co_filename.startswith(self._folder):
            return
        depth = self._depth(frame)
        if depth is None:
            return
        kept = self.frames if threading.get_ident() == self._thread else self.elsewhere
        kept.append(Frame(code.co_filename.removeprefix(self._folder), code.co_qualname, depth))

    def _depth(self, frame: FrameType) -> int | None:
        """Return how many traced functions wait for this one; None: one of them is in `without`."""
        depth = -1
        waits: FrameType | None = frame
        while waits is not None:
            file = waits.f_code.co_filename
            if file.startswith(self._without):
                return None
            depth += file.startswith(self._folder)
            waits = waits.f_back
        return depth


def begins(frame: FrameType) -> bool:
    """Return whether a call starts here, and is not the resumption of a coroutine."""
    code, at = frame.f_code, frame.f_lasti
    if not code.co_flags & RESUMABLE:
        return True
    return code.co_code[at] == RESUME and not code.co_code[at + 1] & RESUMED
