"""Accounts whose credentials were refused, and the trial look-ups in the meantime."""

import asyncio
from collections.abc import Callable

PAUSE_SECONDS = 900.0  # seconds between trials


class AccountPauses:
    """The paused accounts; `retry` tries one every 15 minutes, and returns whether it could."""

    def __init__(self, retry: Callable[[str], bool]) -> None:
        self._retry = retry
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def on(self, account: str) -> bool:
        """Return whether an account is paused."""
        return account in self._timers

    def begin(self, account: str) -> bool:
        """Pause an account; False: it was paused already."""
        if account in self._timers:
            return False
        self._arm(account)
        return True

    def end(self, account: str) -> bool:
        """Resume an account; False: it was not paused."""
        timer = self._timers.pop(account, None)
        if timer is not None:
            timer.cancel()
        return timer is not None

    def close(self) -> None:
        """Stop all trials."""
        for account in list(self._timers):
            self.end(account)

    def _arm(self, account: str) -> None:
        self._timers[account] = asyncio.get_running_loop().call_later(
            PAUSE_SECONDS, self._rung, account
        )

    def _rung(self, account: str) -> None:
        if self._retry(account):
            self._arm(account)
        else:
            # no order is left to look up; the next order will be the trial
            del self._timers[account]
