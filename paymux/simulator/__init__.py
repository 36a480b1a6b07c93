"""Every supported provider, simulated: on a loopback port or in process, with a ledger.

The last digit of the payer's number, written `…` here, decides what a simulated payer does:

| provider | payer's number | last digit of a payer who pays |
|---|---|---|
| CamPay | `23767777777…` and `23769999999…` | 7 and 9 |
| M-Pesa and the M-Pesa gateway | `25470837414…` | 9 |
| CinetPay, both APIs (if `payer=` is given) | `225070000000…` | 7 |
| PayDunya (if `payer=` is given) | `22177000000…` | 7 |

The other last digits: 0 declines, 1 has too little money, 2 cancels, 3 lets it expire, 4 never
answers, 5 enters a wrong PIN, 6 is busy with another payment, 8 exceeds a limit. Any other number
never answers: `sim.settle(reference, Status.SUCCEEDED)` or a button of the checkout page decides,
and with `Simulator(default=Status.SUCCEEDED)` it pays.

Payouts and refunds move money in its ledger, too, and M-Pesa's answers come as messages:

```python
import asyncio
from uuid import uuid4

from paymux import Payment, Pool
from paymux.simulator import Simulator
from paymux.webhooks import Webhooks

ended: asyncio.Queue[Payment] = asyncio.Queue()


async def main() -> None:
    sim = Simulator()
    pay = Pool(
        sim.driver("mpesa", initiator_name="simulator", security_credential="simulator"),
        connection=sim.connection,
        webhook_base="https://shop.example/pay",
        webhook_key="sixteen characters or more",
        journal="wages.db",
    )
    hooks = Webhooks(pay, ended.put, kinds=("collect", "payout", "refund"))
    sim.on_webhook(hooks.answer)  # your web framework does this
    order, wage = f"order-{uuid4()}", f"wage-{uuid4()}"  # yours, and stored before
    async with pay, hooks, asyncio.timeout(60):
        sale = await pay.collect(
            "mpesa", amount=300, currency="KES", payer="254708374149", reference=order
        )
        sale = await ended.get()
        await pay.refund(sale, amount=300, reference=order, reason="sold out")
        print((await ended.get()).kind)
        await pay.payout("mpesa", amount=500, currency="KES", payee="254708374149", reference=wage)
        paid = await ended.get()
        print(paid.kind, paid.status, paid.receipt)
        print(await pay.find("mpesa", receipt=paid.receipt))  # what a payee reads to you
        print((await pay.balance("mpesa")).available)


asyncio.run(main())
```

The last digit of a payee decides as that of a payer. `sim.mpesa` can do more: `pays(bill=…,
amount=…)` is a customer who types the number, `results.lost = 0.3` loses messages,
`initiators.add(name, credential)` knows one API user, `accounts.utility` is the money.

What a test, or a program in another language by the control API, may do:

```py
async with Simulator(latency=0.1, payer_delay=2.0) as sim:          # seconds
    pool = Pool(sim.driver("campay"))                               # at sim.url
    sim.payer("+237 6 77 77 77 77", "decline", after=3.0), sim.forget_payer("+237 6 77 77 77 77")
    await sim.wait("order-7", within=30.0)                          # until the order is there
    sim.answer("order-7", "approve", pin="0000")                    # as its payer
    sim.settle("order-7", Status.SUCCEEDED)                         # the truth, late or not
    sim.fault("campay", "POST /api/collect/", kind="drop_after")    # the answer is lost
    sim.drop_fault(1), sim.clear_faults()
    sim.inbound("mpesa", "500", account="order-8")                  # a payment without an order
    sim.requests, sim.received("campay", "POST"), sim.deliveries    # what came, and what was sent
    sim.again(1, times=2, forged=True)                              # a message once more
    sim.ledger.charged("order-7"), sim.payment("campay:…"), sim.provider("campay").url
    sim.change(latency=0.5), sim.settings(), sim.reset(seed=1), sim.world("ci-1")
    sim.on_webhook(receive)                                         # in place of a socket
names()                                                             # of what can be simulated
```

"""

from .faults import Fault
from .ledger import AlreadyDecided, Change, Entry, Ledger, Outcome
from .messages import Message
from .payers import Payer
from .providers import names
from .records import Delivery, Received
from .server import Simulator
from .world import WaitTimeout, World

__all__ = [
    "AlreadyDecided",
    "Change",
    "Delivery",
    "Entry",
    "Fault",
    "Ledger",
    "Message",
    "Outcome",
    "Payer",
    "Received",
    "Simulator",
    "WaitTimeout",
    "World",
    "names",
]
