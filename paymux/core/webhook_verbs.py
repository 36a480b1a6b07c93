"""The pool's verbs for messages of providers, and for the payer's browser that returns."""

from functools import partial
from typing import TYPE_CHECKING, Literal

from ..http import WebhookRequest, checked_webhook_request, received_text
from ..models import Event, Payment
from .callback_urls import checked_use, read_event

if TYPE_CHECKING:
    from .callback_urls import CallbackUrls
    from .engine import Engine
    from .internals import Internals


class WebhookVerbs:
    """What a pool reads of messages: hints, which only `confirm` makes payments of."""

    _engine: "Engine"
    _callback_urls: "CallbackUrls"
    internals: "Internals"

    def webhook_url(
        self,
        account: str,
        reference: str | None = None,
        *,
        use: Literal["collect", "payout", "refund", "confirmation", "validation"] | None = None,
    ) -> str:
        """Return the callback URL for a provider's dashboard, or the one of a single order.

        An order's is that of a collect, or of a payout or a refund as `use` says. "confirmation"
        and "validation" are the two URLs to register for C2B payments; they take no reference.
        """
        name = self._engine.driver(account).account
        return self._callback_urls.url(name, reference, checked_use(use))

    def webhook(self, incoming: WebhookRequest, *, account: str | None = None) -> Event:
        """Read a message: a hint of what to confirm. BadWebhook: log and drop it.

        The answer of a question is BadWebhook, too: only `Webhooks` takes it.
        """
        incoming = checked_webhook_request(incoming)
        given = None if account is None else self._engine.driver(account).account
        return self.internals.event(
            incoming, self._callback_urls.read(incoming, self._engine.drivers, given)
        )

    async def confirm(
        self, event: Event, *, expected: Payment | None = None, deadline: float | None = None
    ) -> Payment:
        """Ask the provider about a message; only what this returns has a status to act on.

        `expected` is the payment you stored; Mismatch: the message is about another one. Without
        it, and without an open watch on the order, a field that the provider does not return is
        None.
        """
        from .confirmation import confirm  # noqa: PLC0415 - with the first message

        return await confirm(self._engine, event, expected, deadline)

    def returned(self, account: str, url: str) -> Event:
        """Read the URL to which the payer's browser returned: a hint to confirm, like a message."""
        driver, address = self._engine.driver(account), received_text("url", url)
        return read_event(driver, partial(driver.returned, address), self._engine.secrets)
