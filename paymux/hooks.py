"""Callback addresses that cannot be guessed and do not tell whose they are.

`webhook_base/<hook>` is an account's address and `webhook_base/<hook>/<attempt>` one order's. Both are hex, which
cannot spell the words that Safaricom forbids in a callback URL ("mpesa", "exe", "cmd", "sql", …).
"""

import hmac
from collections.abc import Iterable

from .checks import checked_url
from .errors import BadWebhook, UsageError
from .redact import Secret

_HEX = 32


class Hooks:
    """The callback addresses of one pool."""

    def __init__(self, base: str | None, key: str | Secret | None) -> None:
        if (base is None) != (key is None):
            raise UsageError("webhook_base, webhook_key: give both or neither")
        self.base = checked_url("webhook_base", base).rstrip("/") if base is not None else None
        secret = key.reveal() if isinstance(key, Secret) else key
        if secret is not None and (not isinstance(secret, str) or len(secret) < 16 or not secret.isascii()):
            raise UsageError("webhook_key: refused (not shown); accepted: ASCII text of 16 characters or more")
        self._key = Secret(secret or "")

    def url(self, account: str, reference: str | None = None) -> str:
        """Give an account's callback URL, or the one of a single order."""
        if self.base is None:
            raise UsageError("webhook_base: missing; the pool needs it (and webhook_key) to make a callback URL")
        attempt = f"/{reference.encode().hex()}{self._attempt(account, reference)}" if reference else ""
        return f"{self.base}/{self._hook(account)}{attempt}"

    def read(self, path: str, accounts: Iterable[str]) -> tuple[str | None, str | None]:
        """Tell which account, and which reference if any, a path was made for; a forged one is BadWebhook."""
        parts = [part.encode() for part in path.rstrip("/").rsplit("/", 2)]
        found = None
        for account in accounts if self.base is not None else ():
            hook = self._hook(account).encode()
            # Every account is compared, so that the time taken tells nothing.
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
        if not hmac.compare_digest(part[-_HEX:], self._attempt(account, reference).encode()):
            raise BadWebhook("the callback path is not one of ours")
        return reference

    def _hook(self, account: str) -> str:
        return self._mac(f"hook:{account}")

    def _attempt(self, account: str, reference: str) -> str:
        return self._mac(f"attempt:{account}:{reference}")

    def _mac(self, text: str) -> str:
        return hmac.digest(self._key.reveal().encode(), text.encode(), "sha256").hex()[:_HEX]
