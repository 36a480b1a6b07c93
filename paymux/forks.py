"""Forks: what a process holds open comes to rest before one, and its child begins anew with none of it."""

import os
from weakref import WeakSet


class Forking:
    """What has to know of a fork; `watch` it. One that Python was not told of is seen by `noticed`."""

    def rest(self) -> None:
        """Come to rest before a fork, within a second or two, with nothing that a child cannot have."""

    def go_on(self) -> None:
        """Go on in the parent."""

    def begin_anew(self) -> None:
        """Begin anew in the child: use, close and unlock nothing of the parent's."""


# A child neither uses nor closes these: to close a socket takes it out of the parent's selector, which is shared.
_parents: list[object] = []
_all: WeakSet[Forking] = WeakSet()
_process = os.getpid()


def watch(one: Forking) -> None:
    """Let something know of every fork from now on, for as long as it lives."""
    _all.add(one)


def leave_to_parent(*things: object) -> None:
    """Keep in a child what is its parent's, so that nothing of it is closed by being collected."""
    _parents.extend(things)


def noticed() -> None:
    """Begin anew where this process is a fork that nobody told Python of, as a server written in C may do."""
    if os.getpid() != _process:
        _in_child()


def _before() -> None:
    for one in list(_all):
        one.rest()


def _in_parent() -> None:
    for one in list(_all):
        one.go_on()


def _in_child() -> None:
    global _process  # noqa: PLW0603 - there is one process
    _process = os.getpid()
    for one in list(_all):
        one.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
