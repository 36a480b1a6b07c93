"""Callback URLs that cannot be guessed and do not show the name of the account.

`webhook_base/<account>` is the URL of an account, `webhook_base/<account>/<order>` that of an
order. Both parts are hex, which cannot contain the words that Safaricom advises against ("mpesa",
"exe", "cmd", "sql", …).
"""

import hmac
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

import msgspec

from ..drivers.base import Driver
from ..errors import BadWebhook, UsageError
from ..http import WebhookRequest
from ..models import Event, log
from ..primitives.coerce import is_a
from ..primitives.redaction import Secret, clean, hide, mask, may_echo
from ..values.parsing import Unreadable
from ..values.validation import checked_reference, checked_url

_HEX = 32
MAX_PATH_CHARS = 8192


class CallbackUrls:
    """The callback URLs of one pool.

    `plain` allows http, which is only for sandboxes.
    """

    def __init__(self, base: str | None, key: Secret | None, *, plain: bool = False) -> None:
        if key is not None and not is_a(key, Secret):
            raise UsageError.hidden("webhook_key", "ASCII text of 16 characters or more")
        if (base is None) != (key is None):
            missing = "webhook_base" if base is None else "webhook_key"
            raise UsageError.missing(missing, "webhook_base and webhook_key: give both or neither")
        self.base = (
            checked_url("webhook_base", base, http=plain).rstrip("/") if base is not None else None
        )
        self._key = key or Secret("")
        self._account_parts: dict[str, str] = {}
        if key is not None and (len(key.reveal()) < 16 or not key.reveal().isascii()):
            raise UsageError.hidden("webhook_key", "ASCII text of 16 characters or more")

    def warn(self, drivers: Iterable[Driver]) -> None:
        """Log, once, that a provider may not call these URLs because of a word in their path."""
        path = urlsplit(self.base or "").path.lower()
        for driver in drivers:
            for word in driver.callback_words_to_avoid:
                if word in path:
                    told = (
                        "webhook_base: %s advises against %r in the path of a callback, and may "
                        "never call it"
                    )
                    log.warning(told, driver.name, word)
                    return

    def url(self, account: str, reference: str | None = None) -> str:
        """Return an account's callback URL, or the one of a single order."""
        if self.base is None:
            raise UsageError.missing(
                "webhook_base", "the pool needs it (and webhook_key) to make a callback URL"
            )
        path_reference = ""
        if reference is not None:
            reference = checked_reference(reference)
            path_reference = f"/{reference.encode().hex()}{self._order_part(account, reference)}"
        return f"{self.base}/{self._account_part(account)}{path_reference}"

    def order_url(self, driver: Driver, reference: str, given: str | None) -> str | None:
        """Return the callback URL to send with an order, if the provider takes one."""
        if given is not None or self.base is None or "webhook_url" not in driver.takes:
            return given
        return self.url(driver.account, reference)

    def read(
        self, incoming: WebhookRequest, accounts: Iterable[str], given: str | None
    ) -> tuple[str, str | None]:
        """Return the account of a message, and the reference in its path, if any.

        A forged path is BadWebhook. `given` is the account of a route that the caller defined.
        """
        if len(incoming.path) > MAX_PATH_CHARS:
            raise BadWebhook(f"a path of more than {MAX_PATH_CHARS} characters")
        account, path_reference = self._read(incoming.path, accounts)
        if given is None:
            given = account
        if given is None or account not in (None, given):
            raise BadWebhook("the callback path is not one of ours")
        return given, path_reference

    def _read(self, path: str, accounts: Iterable[str]) -> tuple[str | None, str | None]:
        parts = path.encode("utf-8", "replace").rstrip(b"/").rsplit(b"/", 2)
        found = None
        for account in accounts if self.base is not None else ():
            hook = self._account_part(account).encode()
            # Every account is compared, so that the time shows nothing.
            for depth, part in enumerate(reversed(parts[1:])):
                if hmac.compare_digest(part, hook):
                    found = (account, depth)
        if found is None:
            return None, None
        account, depth = found
        return account, self._reference(account, parts[-1]) if depth else None

    def _reference(self, account: str, part: bytes) -> str:
        try:
            reference = bytes.fromhex(part[:-_HEX].decode()).decode()
        except ValueError:
            raise BadWebhook("the callback path is not one of ours") from None
        if not hmac.compare_digest(part[-_HEX:], self._order_part(account, reference).encode()):
            raise BadWebhook("the callback path is not one of ours")
        return reference

    def _account_part(self, account: str) -> str:
        hook = self._account_parts.get(account)
        if hook is None:
            hook = self._account_parts[account] = self._mac(f"hook:{account}")
        return hook

    def _order_part(self, account: str, reference: str) -> str:
        return self._mac(f"attempt:{account}:{reference}")

    def _mac(self, text: str) -> str:
        return hmac.digest(self._key.reveal().encode(), text.encode(), "sha256").hex()[:_HEX]


def read_event(
    driver: Driver,
    parse: Callable[[], Event],
    path_reference: str | None,
    secrets: Callable[[Driver], tuple[str, ...]],
) -> Event:
    """Read a message with its driver; BadWebhook: it cannot be read.

    None of the account's `secrets` is in the event, nor in a variable of the frames of an error.
    """
    event, refused = None, ""
    try:
        event = parse()
    except (BadWebhook, Unreadable, UnicodeDecodeError) as error:
        text = hide(str(error)[:400], secrets(driver))
        refused = text if isinstance(error, BadWebhook) else f"{driver.account}: {mask(text[:200])}"
    if event is None:
        # Without the driver's frames, whose variables hold the key that signs messages.
        raise BadWebhook(refused)
    if (event.claims.provider_reference or "-").strip(".") == "":
        raise BadWebhook(f"{driver.account}: no provider's reference is made of dots")
    # A message is stored and logged: credentials that it echoes are removed here.
    if may_echo(event.claims, known := secrets(driver)):
        event = msgspec.structs.replace(event, claims=clean(event.claims, known))
    return msgspec.structs.replace(
        event,
        account=driver.account,
        provider=driver.name,
        path_reference=path_reference,
    )
