"""Subscriptions, and the messages that they are sent.

github.com/suntechdevs/paycfa merchant-api/webhooks.md and reference/webhook-subscriptions.md
(2026-05). Of several subscriptions to an event, the newest is told.
"""

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from ...http import Response
from ...primitives.clock import wall_time
from ..ledger import Entry
from ..messages import Message, Redelivery
from .wire import data, error, invalid, seal, written

if TYPE_CHECKING:
    from . import IntramMerchant


class Subscriptions:
    """The subscriptions of the merchant."""

    def __init__(self, merchant: "IntramMerchant") -> None:
        self._merchant = merchant
        self._made: dict[str, dict[str, str]] = {}
        # Five attempts in all, after 1, 5 and 30 minutes and 2 hours; only 2xx ends them. No page
        # says whether a repeat is signed anew; a receiver refuses a signature of 5 minutes ago.
        self.pauses: tuple[float, ...] = (60, 300, 1800, 7200)

    def post(self, body: dict[str, Any], path: list[str]) -> Response:
        """Make a subscription, or send a test message to one."""
        match path:
            case []:
                return self._make(body)
            case [name, "test"] if name in self._made:
                return self._test(self._made[name])
        return error(404, "not_found", "Not found")

    def look(self, method: str, path: list[str]) -> Response:
        """List subscriptions, or delete one; the secret is told no more."""
        match method, *path:
            case ["GET"]:
                rows = self._made.values()
                return data([{k: v for k, v in one.items() if k != "secret"} for one in rows])
            case "DELETE", name if name in self._made:
                del self._made[name]
                return data(None, message="Webhook deleted")
        return error(404, "not_found", "Not found")

    def message(
        self, entry: Entry | None, event: str, body: dict[str, Any], *, forged: bool = False
    ) -> Message | None:
        """Make a signed message; None: no URL is subscribed to this event."""
        to = next((one for one in reversed(self._made.values()) if _fits(one, event)), None)
        url = to["url"] if to else self._merchant.webhook_url
        secret = to["secret"] if to else self._merchant.credentials["webhook_secret"]
        if not url:
            return None
        operation = entry.provider_reference if entry is not None else "op_test"
        told = {
            "event": event,
            "operation_id": operation,
            "occurred_at": written(wall_time()),
            "data": body,
        }
        renewed = partial(_signed, "forged" if forged else secret)
        message = Message(
            url=url,
            headers={
                "content-type": "application/json",
                "x-intram-event": event,
                "x-intram-delivery": f"whd_{self._merchant.core.random.getrandbits(128):032x}",
                "x-intram-attempt": "0",
                "user-agent": "Intram-Webhooks/1.0",
            },
            body=json.dumps(told).encode(),
            again=Redelivery(pauses=self.pauses, renewed=renewed),
        )
        return renewed(message)

    def _make(self, body: dict[str, Any]) -> Response:
        url, event = body.get("url"), body.get("event")
        if not isinstance(url, str) or not url.startswith("https://"):
            raise invalid("webhook", "url", "url must be https")
        if not isinstance(event, str) or not event:
            raise invalid("webhook", "event", "event is required")
        random = self._merchant.core.random
        name = f"whs_{random.getrandbits(48):012x}"
        made = {
            "subscription_id": name,
            "url": url,
            "event": event,
            "secret": f"whsec_{random.getrandbits(128):032x}",
            "date": written(wall_time()),
        }
        self._made[name] = made
        said = "Webhook created. Store the secret now — it will not be shown again."
        return data(made, 201, message=said)

    def _test(self, to: dict[str, str]) -> Response:
        body = {"test": True, "sent_at": written(wall_time())}
        message = self.message(None, "test.ping", body)
        if message is not None and message.url == to["url"]:
            self._merchant.core.send(self._merchant.name, message)
        return data(None, 202, message="Test delivery enqueued")


def _signed(secret: str, message: Message) -> Message:
    """Sign a message's next attempt, of the same delivery."""
    stamp, number = written(wall_time()), int(message.headers["x-intram-attempt"]) + 1
    headers = {
        **message.headers,
        "x-intram-attempt": str(number),
        "x-intram-timestamp": stamp,
        "x-intram-signature": seal(secret, stamp.encode() + b"." + message.body),
    }
    return msgspec.structs.replace(message, headers=headers)


def _fits(one: dict[str, str], event: str) -> bool:
    wanted = one["event"]
    if wanted in ("*", "all") or event == "test.ping":
        return True
    return event.startswith(wanted[:-1]) if wanted.endswith(".*") else event == wanted
