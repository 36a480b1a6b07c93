"""One attempt on the wire, its outcome, and its log record."""

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from ..drivers.base import Driver
from ..http import PreparedRequest, Request, Response

exchange_log = logging.getLogger("paymux.exchange")


LOGGED_CHARS = 64 * 1024  # characters of a body that a record shows


def without_account(account: str, error: BaseException) -> str:
    """Return an error's text without the account's name, for a text that already names it."""
    return str(error).removeprefix(f"{account}: ")


class Attempt(msgspec.Struct, kw_only=True):
    """One attempt and its outcome."""

    number: int
    outgoing: PreparedRequest
    reply: Response | None = None
    why: str = ""  # why there is no response, or why it is not an answer
    permanent: bool = False  # a retry is useless
    too_large: bool = False  # the response is too large

    @property
    def status(self) -> int | None:
        """Return the HTTP status of the response; None: no response."""
        return self.reply.status if self.reply else None

    @property
    def said(self) -> str:
        """Return the outcome as text, for an error or a log.

        The HTTP status and the reason, as far as there are any; a 2xx status is left out if there
        is a reason.
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

        `hidden` removes credentials and phone numbers from a body.
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
            # Scrubbed before the final cut, so that no half of a credential is left at the end.
            hidden((self.outgoing.body or b"")[: 2 * LOGGED_CHARS])[:LOGGED_CHARS],
            hidden(self.reply.body[: 2 * LOGGED_CHARS] if self.reply else b"")[:LOGGED_CHARS],
        )
