"""An account at the gateway: its credentials, how it signs, and how it is refused."""

import re
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal

from msgspec.structs import force_setattr

from ...errors import AuthenticationFailed, ProviderError, RateLimited, Rejected, UsageError
from ...http import Request, Response, Send
from ...models import Kind, Status
from ...primitives.redaction import Secret
from ...values.money import DECIMALS, exact
from ...values.parsing import SCALARS, Unreadable, text
from ...values.status_words import StatusWords
from ...values.validation import checked_function
from ..base import Driver, Facts, Token, reveal
from .answers import (
    DESCRIPTIONS,
    MESSAGES,
    OUTCOMES,
    REFUSALS,
    REFUSED_WITH,
    RESULTS,
    UNSIGNED,
    WORDS,
    is_error,
)

_NUMBER = re.compile("254[0-9]{9}")
_BLIND = Facts(deduplicates=False, findable=False, not_found_final_after=None)


class Account(Driver, frozen=True, kw_only=True):
    """The facts about a gateway, and the credentials for it."""

    name = "mpesa_gateway"
    live_url = sandbox_url = ""  # there is no public host: base_url is required
    required = frozenset({"base_url"})
    login_fields = ()  # a token is what the caller's own function gives
    currencies = frozenset({"KES"})
    # Whole shillings; the server drops cents.
    decimals: ClassVar[Mapping[str, int]] = {**DECIMALS, "KES": 0}
    countries = frozenset({"KE"})
    # The same order can be pushed twice, verify needs the gateway's own id, and history has no
    # order; a refund takes no reference of ours, and has no look-up (the document, and the server's
    # views).
    facts: ClassVar[Mapping[Kind, Facts]] = {"collect": _BLIND, "refund": _BLIND}
    speaks: ClassVar[Mapping[str, StatusWords]] = {
        "status": WORDS,
        "message": MESSAGES,
        "code": OUTCOMES,
        "ResultCode": RESULTS,
        "ResultDesc": DESCRIPTIONS,
    }
    # Neither verify nor the callback of the document has an amount.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {"history": ("amount",)}
    # "Rate Limiting" of the document.
    limits: ClassVar[Mapping[Literal["money", "look-up"], tuple[int, float]]] = {
        "money": (100, 60.0),
        "look-up": (1000, 60.0),
    }
    # After 120 s the server's verify answers 408, and stores "failed" without asking M-Pesa.
    watch_timeout = 115.0

    access_token: Secret | str = ""
    bearer: Callable[[], Awaitable[str]] | None = None
    min_amount: Decimal | int | str = 10  # whole shillings; both of payment/config.py of the server
    max_amount: Decimal | int | str = 150_000
    # How its WebSocket is opened is not documented: here with the token in the header, or in the
    # query with this name.
    updates_path: str = "/ws/"
    updates_query: str = ""

    def __repr__(self) -> str:
        # A bearer may be a functools.partial, whose repr shows its arguments.
        named = f"account={self.account!r}, live={self.live}, base_url={self.base_url!r}"
        return f"{type(self).__name__}({named})"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bearer is not None:
            checked_function("bearer", self.bearer, "no argument, which gives a JWT", wait=True)
        if bool(self.access_token) == (self.bearer is not None):
            why = "it is needed, or an async function as bearer, not both"
            raise UsageError.missing("access_token", why)
        for field in ("min_amount", "max_amount"):
            given = getattr(self, field)
            try:
                force_setattr(self, field, exact(given, "KES", self.decimals))
            except UsageError:
                raise UsageError.field(field, given, "whole shillings above 0") from None

    def party(self, kind: Kind, value: str, currency: str = "") -> str:
        """Read a Kenyan number, which the document requires as 254XXXXXXXXX."""
        number = super().party(kind, value, currency)
        if not _NUMBER.fullmatch(number):
            raise UsageError.field("payer", value, "a number of the form 254XXXXXXXXX")
        return number

    async def token(self, send: Send) -> Token | None:
        """Call `bearer` for a token; None: `access_token` is used, which cannot be renewed."""
        if self.bearer is None:
            return None
        found: object = await self.bearer()
        if not isinstance(found, str) or not re.fullmatch(r"[\x21-\x7e]+", found):
            accepted = "an async function that gives visible ASCII text"
            raise UsageError.hidden("bearer", accepted)
        return Token(Secret(found))

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign with the JWT: in the header, or in the socket's query."""
        signed = token or reveal(self.access_token)
        if self.updates_query and request.path == self.updates_path:
            return request.with_query({self.updates_query: signed})
        return request.with_headers({"Authorization": f"Bearer {signed}"})

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Return an error for the codes; for money, a status or a sentence alone proves nothing."""
        error = super().judge(request, reply)
        said = (reply.read(dict[str, Any]) if reply.status >= 400 else None) or {}
        code = str(said.get("code", ""))
        message = str(said.get("error") or said.get("detail") or "")
        if code in OUTCOMES:
            word = _word(said)
            if self.status({"status": word, "code": code}) is Status.PENDING:
                raise Unreadable(f"code {code} beside status {word}")
        refused = reply.status in REFUSED_WITH
        if refused and code in REFUSALS and not (request.money and code in OUTCOMES):
            error = Rejected(reason=REFUSALS[code])
        elif refused and code in UNSIGNED:
            error = AuthenticationFailed()
        elif reply.status == 429 and message.startswith("Request was throttled."):
            # DRF throttles before the view runs: rest_framework/views.py, `initial`.
            error = RateLimited()
        elif reply.status in (401, 403) and not request.money and is_error(said):
            error = AuthenticationFailed()
        if error is not None:
            error.code = code or None
            error.message = message or error.message
            details = said.get("details")
            error.details = details if isinstance(details, dict) else said or None
        return error


def _word(said: Mapping[str, Any]) -> str | None:
    status = said.get("status")
    return text(status) if isinstance(status, SCALARS) else None
