"""The pool's verbs for its accounts: more of them, and other credentials, while it runs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..drivers.base import Driver
from .accounts import add, replace

if TYPE_CHECKING:
    from .callback_urls import CallbackUrls
    from .engine import Engine


class AccountVerbs:
    """The accounts of a pool, which may change while orders are open."""

    _engine: "Engine"
    _callback_urls: "CallbackUrls"

    @property
    def drivers(self) -> Mapping[str, Driver]:
        """The drivers by account, as they are now; a later change makes another mapping."""
        return self._engine.drivers

    async def add(self, driver: Driver) -> None:
        """Add an account; each verb, watch and message knows it from now on.

        An entered `Notifier` or `Webhooks` takes on the account's open orders in the journal.
        UsageError: the pool has an account of this name, it is closed, or its `webhook_base` is no
        https URL and the account is live. `senders` of a `Webhooks` cannot name it.
        """
        add(self._engine, self._callback_urls, driver)

    async def replace(self, driver: Driver) -> None:
        """Replace the driver of an account, by which its credentials change.

        Requests in flight end with the driver before, and so does a login on the wire; each later
        request, also of an open watch, uses this one. If a credential differs, it logs in anew, and
        a credential that was refused says nothing of the new one. Rate limits stay.

        UsageError: no account has this name; or the driver is of another provider, of live instead
        of sandbox, of another URL, or names another merchant (a shortcode, a site id): open orders
        would be looked for where they are not. Every worker of a journal must replace it.
        """
        replace(self._engine, self._callback_urls, driver)
