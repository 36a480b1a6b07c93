"""The access tokens that all workers of a journal share, and who may log in for a new one."""

from collections.abc import Callable
from typing import NamedTuple, Protocol


class SharedToken(NamedTuple):
    """The newest token of an account; and, where none is newer than the asker's, who may log in."""

    generation: int = 0
    sealed: str = ""
    life: float = 0.0  # seconds for which it was issued
    left: float = 0.0  # and those of them that are left
    permitted: int = 0  # the generation of the asker's own login; 0: another worker logs in


class SharedTokens(Protocol):
    """The newest token of each account, by the begin of its login's digest, sealed.

    What the journal has of it opens nothing. The number of a token, its generation, only grows, and
    each login has one of its own before it begins. So a login that ends late, because its worker
    was paused, replaces nothing that came after it. No lock is held during a login: the right to
    log in ends with it, with its worker, or after some seconds. What is not possible now is an
    OSError.
    """

    async def ask(
        self, account: str, login: str, known: int, *, refused: bool, seconds: float
    ) -> SharedToken:
        """Return a token that is newer than generation `known`, or the right to log in, or neither.

        `refused`: a provider has refused the token of `known`: no worker gets it any more.
        `seconds`: after which another worker's right to log in has lapsed.
        """
        ...

    async def offer(
        self, account: str, login: str, generation: int, sealed: str, life: float, left: float
    ) -> bool:
        """Keep the token of a permitted login, and end its right to log in.

        False: it was late, a newer token is kept. After an OSError it is tried until it is stored.
        """
        ...

    def offer_late(
        self, account: str, login: str, seal: Callable[[int], str | None], life: float, left: float
    ) -> None:
        """Keep the token of a login that was not permitted, as soon as possible, without waiting.

        If another worker has logged in since then, it is not kept. `seal` gets its generation, in
        the journal's thread; None: it is no longer in use.
        """
        ...

    def withdraw(self, account: str, login: str, generation: int) -> None:
        """End the right of a login that gave no token, without waiting."""
        ...
