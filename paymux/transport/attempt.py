"""One attempt on the wire, what came of it, and its one record in the log."""

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from ..drivers.base import Driver
from ..http import PreparedRequest, Request, Response

exchange_log = logging.getLogger("paymux.exchange")


LOGGED_CHARS = 64 * 1024  # characters of a body that a record shows


def without_account(account: str, error: BaseException) -> str:
    """Give an error's text without the account's name, where what it goes into names the account already."""
    return str(error).removeprefix(f"{account}: ")


class Attempt(msgspec.Struct, kw_only=True):
    """One attempt and what came of it."""

    number: int
    outgoing: PreparedRequest
    reply: Response | None = None
    why: str = ""  # why there is no reply, or why it is no answer
    permanent: bool = False  # trying again is useless
    too_large: bool = False  # the reply is

    @property
    def status(self) -> int | None:
        """Give the HTTP status of the reply, where there is one."""
        return self.reply.status if self.reply else None

    @property
    def said(self) -> str:
        """Say what came of it, for an error or a log.

        The reason where there is one, and HTTP 200 is none.
        """
        if self.reply is None:
            return self.why
        status = f"HTTP {self.reply.status}"
        if not self.why:
            return status
        return self.why if 200 <= self.reply.status < 300 else f"{status}: {self.why}"

    def log(
        self,
        driver: Driver,
        verb: str,
        request: Request[Any],
        seconds: float,
        hidden: Callable[[bytes], str],
    ) -> None:
        """Write the one DEBUG record of an exchange.

        `hidden` takes out of a body what nobody may print.
        """
        exchange_log.debug(
            "%s %s %s %s attempt=%d %s seconds=%.3f sent=%s got=%s",
            driver.account,
            verb,
            request.method,
            request.path,
            self.number,
            self.said or "cut off by us",
            seconds,
            # Scrubbed before it is cut, so that no half of a credential is left at the end.
            hidden((self.outgoing.body or b"")[: 2 * LOGGED_CHARS])[:LOGGED_CHARS],
            hidden(self.reply.body[: 2 * LOGGED_CHARS] if self.reply else b"")[:LOGGED_CHARS],
        )
