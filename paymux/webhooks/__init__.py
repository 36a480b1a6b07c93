"""The messages of providers, in any web framework.

```python
import asyncio

from paymux import BadWebhook, Mismatch, Pool, WebhookRequest
from paymux.simulator import Simulator


async def main() -> None:
    sim = Simulator()
    pool = Pool(
        sim.driver("mpesa"),
        connection=sim.connection,
        webhook_base="https://shop.example/pay",
        webhook_key="sixteen characters or more",
    )
    stored = {}
    done = asyncio.Event()

    # call it from your web framework with the raw body
    async def receive(incoming: WebhookRequest) -> None:
        try:
            event = pool.webhook(incoming)
            payment = await pool.confirm(event, expected=stored[event.path_reference])
        except (BadWebhook, Mismatch) as error:
            print("dropped:", error)
            return
        print(payment.reference, payment.status, payment.receipt)
        done.set()

    sim.on_webhook(receive)
    async with pool:
        stored["order-8"] = await pool.collect(
            "mpesa", amount=250, currency="KES", payer="254708374149", reference="order-8"
        )
        await done.wait()


asyncio.run(main())
```

Every callback URL is `webhook_base/<account>` or `webhook_base/<account>/<order>`: the hook is a
MAC of the account and the attempt a MAC of your reference. So neither can be guessed, and an order
with a lost answer is found by its path. `pay.webhook_url("campay")` returns the URL for the
provider's dashboard. `webhook_key` may be a list, to change the key while orders are open: the
first makes URLs, all are read. Put the new one behind the old one in all processes, then before it,
and remove the old one when no open order needs its path.

`paymux.webhooks.Webhooks(pay, on_payment)` does all of this for a web framework. It is an ASGI
application (`app.mount("/pay", hooks)`), has a handler for aiohttp.web (`hooks.aiohttp`), and
`hooks.answer(incoming)` for other frameworks. It stores a message, asks the provider, calls
`on_payment`, and answers as the provider expects. A failure is repeated, with a journal also after
a crash. Unauthenticated messages may use a small share of the account's look-ups, so a flood of
forged messages delays no real one.

No webhook has to arrive. `Webhooks` contains a `Notifier`, and `paymux.Notifier(pay, on_payment)`
is the same without HTTP, for bots and jobs; a pool has one of the two. Enter it (`async with pay,
hooks:`), and with a journal:

- It watches every open order of the journal, also those of processes that only send. Beyond its
  provider's time-out an order is looked up ever more rarely, and after `watch_days=3` one ERROR
  record leaves it to a person.
- It calls `on_payment` for each end at least once, however the end was found: by a message, a
  watch, `verify`, `recover`, another worker or a person. The end and its place in the outbox are
  one write; if a worker dies before the call, another worker makes it within 30 s. `on_payment`
  gets the present state of the payment: a failure is not delivered after the late success that
  replaced it.
- It delivers `kinds=("collect",)`; payouts and refunds only if you name them.
- Use one journal for one program: with two programs on one file, each would get the other's orders.

Without a journal it covers the orders that this pool sends while it is entered, until the process
ends.
"""

from .app import Webhooks

__all__ = ["Webhooks"]
