"""What a driver has whose provider pushes updates over a WebSocket."""

from typing import Any, Protocol, runtime_checkable

from ..http import Request
from ..models import Event


@runtime_checkable
class Pushed(Protocol):
    """A driver whose provider pushes updates over a WebSocket; polling goes on as well."""

    @property
    def account(self) -> str:
        """The account's name."""
        ...

    def updates_request(self) -> Request[Any]:
        """Return the request that opens the WebSocket; it is signed like any other."""
        ...

    def update(self, frame: str | bytes) -> Event | None:
        """Read a frame: a hint, like any message; None: it is about no payment."""
        ...
