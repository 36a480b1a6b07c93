"""Places of a provider's window, lent to the workers that share an account's stated limit."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol

RequestKind = Literal["money", "look-up"]

# Holders of this process whose pool was never closed, and exists no more.
abandoned: set[str] = set()


class Need(NamedTuple):
    """What one holder of places has and needs, of one stated limit."""

    account: str
    kind: RequestKind
    holder: str  # of one worker; a worker may have several pools
    number: int  # of this holder's requests: an earlier one that comes late changes nothing
    limit: int  # the stated one, requests per window
    held: int  # the places that the holder has now: others may have the rest
    wanted: int  # the places that its requests use, or wait for
    spare: int  # more of them, for requests to come, while no other worker lacks any
    rest: float  # seconds for which its places count as used, should the holder's worker die


class Lent(NamedTuple):
    """The answer: what the holder has from now on."""

    held: int
    goal: int  # what it needs of its share; others may need what it has beyond that
    could: int  # its share, if it wanted all
    others_lack: bool  # others wait for places
    free_in: float = 0.0  # seconds until places of ended holders are free; 0: there are none


class PlacesListener(Protocol):
    """A pool that holds places; both are called in any thread."""

    def suspend(self) -> None:
        """Use no places from now on: others may take this worker for dead."""
        ...

    def resume(self) -> None:
        """Use those places again that are still this worker's."""
        ...


class SharedPlaces(Protocol):
    """The places of stated limits, each lent to one holder at a time; failures are OSError."""

    async def ask(self, need: Need) -> Lent | None:
        """Store what a holder has and needs, and lend it what is free of its share.

        None: a later request of the holder was stored before.
        """
        ...

    async def end(self, need: Need) -> None:
        """End a holder, whose last `held` places count as used for `rest` seconds more."""
        ...

    def listen(self, listener: PlacesListener) -> None:
        """Tell a pool when its worker is suspended or goes on, while the pool exists."""
        ...


def fair_shares(count: int, wanted: Mapping[str, int]) -> dict[str, int]:
    """Divide places fairly: each gets what it wants, or as much as each that gets less."""
    shares: dict[str, int] = {}
    for number, (want, holder) in enumerate(sorted((n, who) for who, n in wanted.items())):
        if want * (len(wanted) - number) > count:
            break
        shares[holder] = want
        count -= want
    # In the order of their names, so that a change in what is wanted moves no place in vain.
    left = sorted(set(wanted) - set(shares))
    for rank, holder in enumerate(left):
        shares[holder] = count // len(left) + (rank < count % len(left))
    return shares
