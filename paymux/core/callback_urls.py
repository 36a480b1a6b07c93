"""Callback URLs that cannot be guessed and do not show the name of the account.

`webhook_base/<account>` is the URL of an account, `webhook_base/<account>/<tail>` that of an order
or of something else of the account. Both parts are hex, which cannot contain the words that
Safaricom advises against ("mpesa", "exe", "cmd", "sql", …). A tail is what it is for, as one byte,
what it is about, and a MAC over both and the account. The tail of a collect has no such byte: it
begins with a reference, of which no first character is one of these bytes.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias, get_args
from urllib.parse import urlsplit

import msgspec

from ..drivers.base import Driver
from ..errors import BadWebhook, UsageError
from ..http import WebhookRequest
from ..models import ORDER_PATHS, Event, Kind, PathUse, log
from ..primitives.clock import wall_time
from ..primitives.coerce import text
from ..primitives.echoes import clean, may_echo
from ..primitives.redaction import Secret, hide, mask
from ..values.parsing import Unreadable
from ..values.validation import checked_reference, checked_url
from .orders import options_of

_HEX = 32  # hex digits of a MAC
_EXPIRY = 4  # bytes of a time
MAX_PATH_CHARS = 8192
MAX_KEYS = 16  # each message is compared with the paths of each
Use: TypeAlias = PathUse | Literal["account", "answer", "answer_timeout"]
# The uses for which a caller can get a URL.
_ADDRESSES: tuple[Use, ...] = ("collect", "payout", "refund", "confirmation", "validation")
_TIMEOUTS: Mapping[Kind, Use] = {"payout": "payout_timeout", "refund": "refund_timeout"}
ANSWERS: frozenset[Use] = frozenset({"answer", "answer_timeout"})
_BYTES: Mapping[Use, str] = {
    "payout": "01",
    "refund": "02",
    "answer": "03",
    "answer_timeout": "04",
    "confirmation": "05",
    "validation": "06",
    "payout_timeout": "11",
    "refund_timeout": "12",
}
_USES: Mapping[bytes, Use] = {byte.encode(): use for use, byte in _BYTES.items()}
# The account's own address tells nothing, and an answer is no event.
_PATH_USES: Mapping[Use, PathUse] = {use: use for use in get_args(PathUse)}
_NOT_OURS = "the callback path is not one of ours"


class Route(NamedTuple):
    """What the path of a message says: the account, what the path is for, and what it is about.

    `reference` is our reference of an order, the nonce of a question as hex, or None.
    """

    account: str
    use: Use
    reference: str | None = None


def checked_use(use: object) -> Use | None:
    """Check what a caller wants a callback URL for."""
    if use is None:
        return None
    said = text(use)
    for known in _ADDRESSES:
        if said == known:
            return known
    raise UsageError.field("use", use, ", ".join(_ADDRESSES))


class CallbackUrls:
    """The callback URLs of one pool.

    The first key makes every URL; a path is ours if any key has made it. http is only for drivers
    of sandboxes; a word in the path that the provider of one advises against is logged.
    """

    def __init__(self, base: str | None, *keys: Secret, drivers: tuple[Driver, ...] = ()) -> None:
        plain = bool(drivers) and all(driver.rehearsing for driver in drivers)
        if (base is None) != (not keys):
            missing = "webhook_base" if base is None else "webhook_key"
            raise UsageError.missing(missing, "webhook_base and webhook_key: give both or neither")
        _check_keys(keys)
        self.base = (
            checked_url("webhook_base", base, http=plain).rstrip("/") if base is not None else None
        )
        self.keys = keys
        # For each key, a MAC with the key in it, from which the key cannot be read; copied for each
        # use.
        self._keyed = tuple(hmac.new(key.reveal().encode(), None, "sha256") for key in keys)
        self._account_parts: dict[str, tuple[str, ...]] = {}  # by account, for each key
        self.warn(drivers)

    def check(self, driver: Driver) -> None:
        """Refuse an account that is live, where the URLs are not https."""
        if self.base is not None and not driver.rehearsing:
            checked_url("webhook_base", self.base)

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

    def url(self, account: str, reference: str | None = None, use: Use | None = None) -> str:
        """Return an account's callback URL, the one of an order, or one of C2B.

        `use` is "collect" for a reference, if it is not given.
        """
        if use is None:
            use = "account" if reference is None else "collect"
        if use in ORDER_PATHS and reference is None:
            raise UsageError.missing("reference", f"the {use} whose callback URL it is")
        if use not in ORDER_PATHS:
            if reference is not None:
                raise UsageError.field("reference", reference, f"none: {use} is of the account")
            return self._url(account, use, b"")
        return self._url(account, use, checked_reference(reference).encode())

    def order_urls(
        self, driver: Driver, kind: Kind, reference: str, given: str | None
    ) -> tuple[str | None, str | None]:
        """Return the callback URL to send with an order, and that of its queue's time-out.

        None: the provider takes none, or there is no base. Only payouts and refunds wait in a
        queue. A URL that the caller gave is for both. Where an order's own does not fit, it is the
        account's.
        """
        timeout = _TIMEOUTS.get(kind)
        if given is not None or self.base is None or "webhook_url" not in options_of(driver, kind):
            return given, given if timeout else None
        if driver.short_callbacks:
            return self.url(driver.account), None
        url = self.url(driver.account, reference, kind)
        return url, timeout and self.url(driver.account, reference, timeout)

    def answer_urls(self, account: str, nonce: bytes, expires: int) -> tuple[str, str]:
        """Return the URL for the answer of a question, and that of its queue's time-out.

        They are good until `expires`, in Unix seconds.
        """
        content = nonce + expires.to_bytes(_EXPIRY)
        return self._url(account, "answer", content), self._url(account, "answer_timeout", content)

    def _url(self, account: str, use: Use, content: bytes) -> str:
        if self.base is None:
            raise UsageError.missing(
                "webhook_base", "the pool needs it (and webhook_key) to make a callback URL"
            )
        tail = "" if use == "account" else f"/{self._tails(account, use, content)[0]}"
        return f"{self.base}/{self._parts(account)[0]}{tail}"

    def read(self, incoming: WebhookRequest, accounts: Iterable[str], given: str | None) -> Route:
        """Return what the path of a message says.

        A forged path, or one that has expired, is BadWebhook. `given` is the account of a route
        that the caller defined.
        """
        if len(incoming.path) > MAX_PATH_CHARS:
            raise BadWebhook(f"a path of more than {MAX_PATH_CHARS} characters")
        route = self._read(incoming.path, accounts)
        if route is None:
            if given is None:
                raise BadWebhook(_NOT_OURS)
            return Route(given, "account")
        if given not in (None, route.account):
            raise BadWebhook(_NOT_OURS)
        return route

    def _read(self, path: str, accounts: Iterable[str]) -> Route | None:
        parts = path.encode("utf-8", "replace").rstrip(b"/").rsplit(b"/", 2)
        found = None
        for account in accounts if self.base is not None else ():
            # Every account and key is compared, so that the time shows nothing.
            for hook in self._parts(account):
                for depth, part in enumerate(reversed(parts[1:])):
                    if hmac.compare_digest(part, hook.encode()):
                        found = (account, depth)
        if found is None:
            return None
        account, depth = found
        return self._route(account, parts[-1]) if depth else Route(account, "account")

    def _route(self, account: str, tail: bytes) -> Route:
        use = _USES.get(tail[:2], "collect")
        try:
            content = bytes.fromhex(tail[0 if use == "collect" else 2 : -_HEX].decode())
            ours = self._tails(account, use, content)
        except ValueError:
            raise BadWebhook(_NOT_OURS) from None
        if not any(hmac.compare_digest(tail, one.encode()) for one in ours):
            raise BadWebhook(_NOT_OURS)
        if use in ORDER_PATHS:
            return Route(account, use, content.decode())
        if not content:
            return Route(account, use)
        if int.from_bytes(content[-_EXPIRY:]) < wall_time().timestamp():
            raise BadWebhook(f"{account}: the path of this answer has expired")
        return Route(account, use, content[:-_EXPIRY].hex())

    def _parts(self, account: str) -> tuple[str, ...]:
        hooks = self._account_parts.get(account)
        if hooks is None:
            hooks = self._account_parts[account] = self._macs(f"hook:{account}")
        return hooks

    def _tails(self, account: str, use: Use, content: bytes) -> tuple[str, ...]:
        byte, said = _BYTES.get(use, ""), content.hex()
        if use == "collect":  # as in release 0.1.0
            macs = self._macs(f"attempt:{account}:{content.decode()}")
        else:
            macs = self._macs(f"{use}:{account}:{said}")
        return tuple([f"{byte}{said}{mac}" for mac in macs])

    def _macs(self, text: str) -> tuple[str, ...]:
        found = []
        for key in self._keyed:
            keyed = key.copy()
            keyed.update(text.encode())
            found.append(keyed.hexdigest()[:_HEX])
        return tuple(found)


def _check_keys(keys: tuple[Secret, ...]) -> None:
    accepted = f"ASCII text of 16 characters or more, or a list of 1 to {MAX_KEYS} such keys"
    if len(keys) > MAX_KEYS:
        raise UsageError.hidden("webhook_key", accepted)
    for number, key in enumerate(keys):
        if not _fits(key):
            name = "webhook_key" if len(keys) == 1 else f"webhook_key[{number}]"
            raise UsageError.hidden(name, accepted)


def _fits(key: Secret) -> bool:
    # Apart, so that no frame of an error has the key's text.
    told = text(key.reveal())
    return told is not None and len(told) >= 16 and told.isascii()


def read_event(
    driver: Driver,
    parse: Callable[[], Event],
    secrets: Callable[[Driver], tuple[str, ...]],
    route: Route | None = None,
) -> Event:
    """Read a message with its driver; BadWebhook: it cannot be read.

    `route`: what its path said.
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
    use = route and route.use
    return msgspec.structs.replace(
        event,
        account=driver.account,
        provider=driver.name,
        path_reference=route and route.reference,
        path_use=use and _PATH_USES.get(use),
        # The two paths of C2B say it themselves: a confirmation must not be lost for a field that
        # is blank in it.
        ping=use == "validation" or (event.ping and use != "confirmation"),
    )
