"""Ids that no other has, in whichever process it is made."""

import itertools
import secrets

from ..primitives.forks import ForkAware, register


class _Ids(ForkAware):
    """Ids of this process, in order, so that those of one moment are neighbours in an index.

    A call makes no system call: with one, the journal's thread would begin a batch before all
    callers of the moment have queued.
    """

    def __init__(self) -> None:
        self.after_fork_in_child()
        register(self)

    def after_fork_in_child(self) -> None:
        """Begin anew."""
        self._start = secrets.token_urlsafe(9)
        self._next = itertools.count().__next__

    def __call__(self) -> str:
        """Return the next id."""
        return f"{self._start}{self._next():x}"


new_id = _Ids()
