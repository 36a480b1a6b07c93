"""Forks: open resources are closed before a fork; the child starts without them."""

import os
from weakref import WeakSet


class ForkAware:
    """Base class for objects that must react to a fork; register them with `register`.

    A fork that Python does not know of is detected by `detect_fork`.
    """

    def before_fork(self) -> None:
        """Before a fork: close within a second or two what a child must not inherit."""

    def after_fork_in_parent(self) -> None:
        """After a fork, in the parent: continue."""

    def after_fork_in_child(self) -> None:
        """After a fork, in the child: start anew; use, close and unlock nothing of the parent."""


# The child must not use or close these: closing a socket would remove it from the parent's
# selector.
_parents: list[object] = []
_all: WeakSet[ForkAware] = WeakSet()
_process = os.getpid()


def register(one: ForkAware) -> None:
    """Call an object's methods at every fork, while the object lives."""
    _all.add(one)


def leave_to_parent(*things: object) -> None:
    """Keep the parent's objects alive in a child: garbage collection must close none."""
    _parents.extend(things)


def detect_fork() -> None:
    """Detect a fork that Python does not know of, as by a server in C, and start anew."""
    if os.getpid() != _process:
        _in_child()


def _before() -> None:
    for one in list(_all):
        one.before_fork()


def _in_parent() -> None:
    for one in list(_all):
        one.after_fork_in_parent()


def _in_child() -> None:
    global _process  # noqa: PLW0603 - there is one process
    _process = os.getpid()
    for one in list(_all):
        one.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
