"""What `notify` and `webhooks` use of a pool, beside its verbs."""

from contextlib import suppress
from functools import partial
from typing import NamedTuple

from ..drivers.base import Driver
from ..errors import BadWebhook, Unsupported
from ..http import WebhookRequest
from ..models import ORDER_PATHS, Event, Payment
from ..values.parsing import Unreadable
from .callback_urls import ANSWERS, CallbackUrls, Route, read_event
from .engine import Engine


class Internals(NamedTuple):
    """A pool's engine and callback URLs, for what is built on a pool; not part of the API."""

    engine: Engine
    callback_urls: CallbackUrls

    def event(self, incoming: WebhookRequest, route: Route) -> Event:
        """Read a checked message whose path was matched; BadWebhook: it cannot be read."""
        driver = self.engine.drivers[route.account]
        if route.use in ANSWERS:
            why = "the answer of a question, which only paymux.Webhooks takes"
            raise BadWebhook(f"{route.account}: {why}")
        parse = partial(driver.webhook, incoming)
        if route.use in ("payout_timeout", "refund_timeout"):
            parse = partial(_waited_too_long, driver, incoming, route)
        elif driver.probes and not incoming.body and not incoming.query:
            parse = partial(driver.event, Payment(account=driver.account), ping=True)
        return read_event(driver, parse, self.engine.secrets, route)


def _waited_too_long(driver: Driver, incoming: WebhookRequest, route: Route) -> Event:
    # No page says what is sent when a request has waited too long, and one form repeats our
    # credential: github.com/global-121/121-platform, safaricom-timeout-callback.dto.ts. The
    # path says that the order must be looked up. Of the body, only the provider's id of a refund
    # is read: if the answer to it was lost, nothing else says what to ask for.
    claimed = None
    if route.use == "refund_timeout":
        with suppress(BadWebhook, Unreadable, Unsupported, UnicodeDecodeError):
            claimed = driver.webhook(incoming).claims.provider_reference
    return driver.event(
        Payment(
            account=driver.account,
            provider=driver.name,
            kind=ORDER_PATHS[route.use],
            live=driver.live,
            reference=route.reference,
            provider_reference=claimed,
        )
    )
