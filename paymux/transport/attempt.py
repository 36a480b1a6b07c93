"""One attempt on the wire: its slot, its signature, its outcome, and its log record."""

import logging
import time
from typing import TYPE_CHECKING, Any

import msgspec

from ..http import MAX_BODY_BYTES, PreparedRequest, Request, Response, TransportError
from ..limits import Priority
from .retries import Tries

if TYPE_CHECKING:
    from .call import Call

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

    def log(self, call: "Call", request: Request[Any], seconds: float) -> None:
        """Write the one DEBUG record of an exchange, without credentials and phone numbers."""
        exchange_log.debug(
            "%s %s %s %s attempt=%d %s seconds=%.3f sent=%s got=%s",
            call.driver.account,
            call.verb,
            request.method,
            request.path,
            self.number,
            self.said or "cut off by us",
            seconds,
            _shown(call, self.outgoing.body or b""),
            _shown(call, self.reply.body if self.reply else b""),
        )


def _shown(call: "Call", body: bytes) -> str:
    if not call.signs:  # a login's bodies contain only credentials
        return "***"
    # Scrubbed before the final cut, so that no half of a credential is left at the end.
    text = body[: 2 * LOGGED_CHARS].decode("utf-8", "replace")
    return call.response.scrub(text)[:LOGGED_CHARS]


async def attempted(call: "Call", request: Request[Any], tries: Tries) -> Attempt:
    """Make one attempt of a verb's request, as soon as the limits permit.

    What must be durable before money moves is stored first.
    """
    limiter, money = (call.limiter if call.signs else None), request.money
    if (
        limiter is not None
        and not call.slot_held
        and not limiter.try_acquire(money=money, loop=call.loop)
    ):
        priority = Priority.MONEY if money else call.priority
        await limiter.acquire(money=money, priority=priority, deadline=call.deadline)
    call.slot_held = False
    try:
        if money and call.before_money is not None:
            await call.before_money()
            call.before_money = None
        if call.closings != call.transport.closings:  # while it waited
            raise call.closed()
        if request.repeats_for is not None:
            call.check_repeat(request, tries, request.repeats_for)
        leaving = call.in_flight = outgoing(call, request)
        attempt = Attempt(number=tries.number, outgoing=leaving)
        if call.observed is not None:
            call.observed.attempt_began(request, attempt)
        began = time.perf_counter()
        try:
            attempt.reply = await call.transport.connection.exchange(leaving)
            call.response.set_body(attempt.reply.body)
        except TransportError as broken:
            attempt.why, attempt.too_large = str(broken), broken.too_large
            # A page of history stays as large as it is. Any other answer that is too large may
            # have come from a proxy, once.
            attempt.permanent = broken.permanent or (
                broken.too_large and request.largest > MAX_BODY_BYTES
            )
        finally:
            if exchange_log.isEnabledFor(logging.DEBUG):
                attempt.log(call, request, time.perf_counter() - began)
        return attempt
    finally:
        if limiter is not None:
            limiter.release(money=money)


def outgoing(call: "Call", request: Request[Any]) -> PreparedRequest:
    """Return a request as it leaves: signed, and with its headers."""
    if call.token is not None:
        call.response.secrets = (*call.account.secrets, call.token)
    signed = call.driver.authorize(request, call.token) if call.signs else request
    content = None if signed.body is None else signed.content()
    # CinetPay refuses the default user agents (error 1010, docs.cinetpay.com).
    headers = {
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "User-Agent": "paymux",
        **signed.headers,
    }
    if content is not None:
        headers["Content-Type"] = (
            "application/x-www-form-urlencoded" if signed.form else "application/json"
        )
    return PreparedRequest(
        method=signed.method,
        url=(call.driver.url_of(signed.login) if signed.login else call.account.url)
        + signed.target(),
        headers=headers,
        body=content,
        money=request.money,
        largest=request.largest,
    )
