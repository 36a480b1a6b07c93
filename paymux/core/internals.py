"""What `notify` and `webhooks` use of a pool, beside its verbs."""

from functools import partial
from typing import NamedTuple

from ..http import WebhookRequest
from ..models import Event
from .callback_urls import CallbackUrls, read_event
from .engine import Engine


class Internals(NamedTuple):
    """A pool's engine and callback URLs, for what is built on a pool; not part of the API."""

    engine: Engine
    callback_urls: CallbackUrls

    def event(self, incoming: WebhookRequest, account: str, path_reference: str | None) -> Event:
        """Read a checked message whose path was matched; BadWebhook: it cannot be read."""
        driver = self.engine.drivers[account]
        return read_event(
            driver, partial(driver.webhook, incoming), path_reference, self.engine.secrets
        )
