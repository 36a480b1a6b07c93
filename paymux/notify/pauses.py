"""Accounts whose credentials were refused: what is asked about them in the meantime."""

import asyncio
from collections.abc import Callable

PAUSE = 900.0  # seconds between tries


class Pauses:
    """Which accounts are paused; every quarter of an hour `attempt` tries one, and says whether it could."""

    def __init__(self, attempt: Callable[[str], bool]) -> None:
        self._attempt = attempt
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def on(self, account: str) -> bool:
        """Tell whether an account is paused."""
        return account in self._timers

    def begin(self, account: str) -> bool:
        """Pause an account; tell whether it was not."""
        if account in self._timers:
            return False
        self._arm(account)
        return True

    def end(self, account: str) -> bool:
        """Let an account go on; tell whether it was paused."""
        timer = self._timers.pop(account, None)
        if timer is not None:
            timer.cancel()
        return timer is not None

    def close(self) -> None:
        """Try nothing more."""
        for account in list(self._timers):
            self.end(account)

    def _arm(self, account: str) -> None:
        self._timers[account] = asyncio.get_running_loop().call_later(PAUSE, self._rung, account)

    def _rung(self, account: str) -> None:
        if self._attempt(account):
            self._arm(account)
        else:
            del self._timers[account]  # nothing is left to ask about; the next order will show
