"""One attempt on the wire, what came of it, and its one record in the log."""

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from ..drivers.base import Driver
from ..wire import Outgoing, Reply, Request

exchanges = logging.getLogger("paymux.exchange")


class Attempt(msgspec.Struct, kw_only=True):
    """One attempt and what came of it."""

    number: int
    outgoing: Outgoing
    reply: Reply | None = None
    why: str = ""  # why there is no reply
    certain: bool = False  # trying again is useless

    @property
    def status(self) -> int | None:
        """Give the HTTP status of the reply, where there is one."""
        return self.reply.status if self.reply else None

    @property
    def said(self) -> str:
        """Say what came of it, for an error or a log."""
        return f"HTTP {self.reply.status}" if self.reply else self.why

    def log(
        self, driver: Driver, verb: str, request: Request[Any], seconds: float, hidden: Callable[[bytes], str]
    ) -> None:
        """Write the one DEBUG record of an exchange; `hidden` takes out of a body what nobody may print."""
        exchanges.debug(
            "%s %s %s %s attempt=%d %s seconds=%.3f sent=%s got=%s",
            driver.account,
            verb,
            request.method,
            request.path,
            self.number,
            self.said or "cut off by us",
            seconds,
            hidden(self.outgoing.body or b""),
            hidden(self.reply.body if self.reply else b""),
        )
