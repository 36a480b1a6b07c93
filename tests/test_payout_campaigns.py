"""Rows 4, 5, 7, 9 and 14: M-Pesa's payouts when messages lie, workers die and journals are lost."""

import asyncio
import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paymux import AuthenticationFailed, NotSent, OutcomeUnknown, Payment, Pool, Status
from paymux.http import Response, WebhookRequest
from paymux.simulator import Simulator
from paymux.webhooks import Webhooks

from .notify.world import file, rarely
from .toys import now, timeless

__all__ = ["file", "rarely"]

HOOKS: dict[str, Any] = {
    "webhook_base": "https://shop.example/pay",
    "webhook_key": "0123456789abcdef-hooks",
}
B2C, STATUS = "/b2c/v3/paymentrequest", "/transactionstatus/v1/query"
REVERSAL, BALANCE = "/reversal/v1/request", "/accountbalance/v1/query"
HOUR, DAY = 3600.0, 86_400.0


class Shop:
    """Workers on one journal, and what `on_payment` heard; the first that lives hears messages."""

    def __init__(self, journal: Path | None = None, **fields: Any) -> None:
        self.sim = Simulator(payer_delay=5.0)
        self.told: list[tuple[str | None, Status]] = []
        self.sent: list[WebhookRequest] = []  # the messages of the provider
        self.deaf = False  # whether they are kept from the shop
        self.hooks: list[Webhooks] = []
        self._journal = journal
        self._fields = {
            "initiator_name": "clerk",
            "security_credential": "right",
            **fields,
        }
        self.sim.mpesa.initiators.add("clerk", "right")
        self.sim.on_webhook(self._arrives)

    async def _arrives(self, incoming: WebhookRequest) -> Response:
        self.sent.append(incoming)
        return Response(status=200) if self.deaf else await self.hooks[0].answer(incoming)

    async def _on_payment(self, payment: Payment) -> None:
        self.told.append((payment.reference, payment.status))

    @contextlib.asynccontextmanager
    async def worker(self, **more: Any) -> AsyncIterator[Pool]:
        """Run a worker."""
        pool = Pool(
            self.sim.driver("mpesa", **self._fields),
            connection=self.sim.connection,
            journal=self._journal,
            **{**HOOKS, **more},
        )
        hooks = Webhooks(pool, self._on_payment, kinds=("collect", "payout", "refund"))
        async with pool, hooks:
            self.hooks.append(hooks)
            try:
                yield pool
            finally:
                self.hooks.remove(hooks)

    def asked(self, path: str) -> int:
        """Count the requests to a path."""
        return sum(one.path.rstrip("/").endswith(path) for one in self.sim.requests)

    @property
    def paid(self) -> Counter[str | None]:
        """Count how often each payout was really paid."""
        moved = [one for one in self.sim.ledger if one.kind == "payout" and one.moved]
        return Counter(one.reference for one in moved)


async def pay_all(
    pool: Pool, count: int, first: int = 0, payee: str = "254708374149"
) -> list[Payment | BaseException]:
    """Pay out so many times at once."""
    wage: dict[str, Any] = {"amount": 100, "currency": "KES", "payee": payee}
    payouts = [
        pool.payout("mpesa", reference=f"wage-{number}", **wage)
        for number in range(first, first + count)
    ]
    return await asyncio.gather(*payouts, return_exceptions=True)


def states(journal: Path) -> Counter[str]:
    """Count the states of the payouts in a journal."""
    with contextlib.closing(sqlite3.connect(journal)) as db:
        return Counter(state for (state,) in db.execute("SELECT state FROM payments"))


@pytest.mark.parametrize("told", [True, False], ids=["told", "never told"])
@timeless
async def test_a_wrong_credential_locks_nobody(file: Path, told: bool) -> None:
    """Row 9: 1,000 payouts in two workers: at most 3 requests leave, also after a restart."""
    shop = Shop(file, security_credential="wrong")
    known = shop.sim.mpesa.initiators.known["clerk"]
    shop.sim.mpesa.results.lost = 0.0 if told else 1.0
    async with shop.worker() as one, shop.worker() as two:
        both = await asyncio.gather(pay_all(one, 500), pay_all(two, 500, 500))
    ends = [end for some in both for end in some]
    unsent = (AuthenticationFailed, NotSent)
    assert shop.asked(B2C) + shop.asked(BALANCE) <= known.wrong <= 3
    assert sum(not isinstance(end, unsent) for end in ends) == shop.asked(B2C)
    before = known.wrong
    async with shop.worker() as again:
        ends = await pay_all(again, 100, 2000)
    assert all(isinstance(end, unsent) for end in ends)
    assert not told or not any(isinstance(end, NotSent) for end in ends)
    assert known.wrong == before
    assert shop.paid == {}


@timeless
async def test_a_lost_journal_pays_nobody_twice(file: Path) -> None:
    """Row 7: the same payouts are asked for again; each is found by its id, and ends."""
    shop = Shop(file)
    async with shop.worker() as pool:
        assert all(isinstance(end, Payment) for end in await pay_all(pool, 60))
        await asyncio.sleep(3)
    file.unlink()
    await asyncio.sleep(10)  # they are paid now, and not told
    shop.told.clear()
    async with shop.worker() as pool:
        ends = await pay_all(pool, 60)
        assert all(isinstance(end, OutcomeUnknown) for end in ends)
        await asyncio.sleep(HOUR)
        assert [one.status async for one in pool.payments()] == [Status.SUCCEEDED] * 60
    assert Counter(shop.told) == {(f"wage-{n}", Status.SUCCEEDED): 1 for n in range(60)}
    assert set(shop.paid.values()) == {1}
    assert len(shop.paid) == 60


@timeless
async def test_forged_messages_end_nothing_and_cause_few_questions(file: Path) -> None:
    """Row 4: results, time-outs and answers of the wrong kind, order, id and path: 0 believed.

    There are more than 10,000 of them, at 1,000 a second.
    """
    shop = Shop(file)
    async with shop.worker() as pool:
        await pay_all(pool, 2, payee="254708374144")  # they wait
        await pay_all(pool, 1, 2)  # paid: its messages are the model of the forged ones
        await asyncio.sleep(30)
        assert shop.told == [("wage-2", Status.SUCCEEDED)]
        (true,) = [one for one in shop.sent if b"TransactionReceipt" in one.body]
        answers = [one for one in shop.sent if b"TransactionStatus" in one.body]
        shop.sim.requests.clear()
        paths = [
            pool._callback_urls.url("mpesa", f"wage-{number}", use).partition("example")[2]
            for number in (0, 1)
            for use in ("payout", "refund", "payout_timeout", "refund_timeout")
        ]
        forged = [
            msgspec.structs.replace(true, path=paths[number % 8], body=_said(true, number))
            for number in range(10_000)
        ]
        used = [msgspec.structs.replace(one, path=path) for one in answers for path in paths]
        own = [one.path for one in answers]
        crossed = [msgspec.structs.replace(true, path=path) for path in own]
        messages = [*forged, *used, *crossed, *answers]
        began = now()
        for at in range(0, len(messages), 50):
            await asyncio.gather(*(shop.hooks[0].answer(one) for one in messages[at : at + 50]))
            await asyncio.sleep(0.05)
        assert len(messages) / (now() - began) > 990
        await asyncio.sleep(60)
        assert shop.told == [("wage-2", Status.SUCCEEDED)]
        assert shop.asked(STATUS) <= len(messages)
        flood = shop.asked(STATUS)
        # Their own look-ups keep their delay: the one at 300 s is made.
        await asyncio.sleep(400)
        assert 0 < shop.asked(STATUS) - flood <= 4
        shop.sim.settle("174379_wage-0", Status.SUCCEEDED)
        shop.sim.settle("174379_wage-1", Status.FAILED)
        await asyncio.sleep(30)
    assert Counter(shop.told) == {
        ("wage-0", Status.SUCCEEDED): 1,
        ("wage-1", Status.FAILED): 1,
        ("wage-2", Status.SUCCEEDED): 1,
    }


def _said(true: WebhookRequest, number: int) -> bytes:
    """Change a true result: its ids are another order's, or no order's; it claims either end."""
    said = json.loads(true.body)
    result = said["Result"]
    result["ConversationID"] = f"AG_{number}" if number % 3 else result["ConversationID"]
    if number % 2:
        result["OriginatorConversationID"] = f"174379_wage-{number % 4 // 2}"
    if number % 5 == 0:
        result.update(ResultCode=number % 3 * 1000 + 1, ResultDesc="no")
    return json.dumps(said).encode()


@pytest.mark.parametrize("use", ["payout", "refund"])
@timeless
async def test_a_result_of_nobodys_order_causes_one_question(file: Path, use: Any) -> None:
    """Row 4: its path is one of ours, and the journal that had its order is lost: asked once."""
    shop = Shop(file)
    async with shop.worker() as pool:
        await pay_all(pool, 1)
        await asyncio.sleep(30)
        (true,) = [one for one in shop.sent if b"TransactionReceipt" in one.body]
        shop.sim.requests.clear()
        path = pool.webhook_url("mpesa", "wage-77", use=use).partition("example")[2]
        body = true.body.replace(b"wage-0", b"wage-77")
        await shop.hooks[0].answer(msgspec.structs.replace(true, path=path, body=body))
        await asyncio.sleep(DAY)
        assert shop.asked(STATUS) == 1
    assert shop.told == [("wage-0", Status.SUCCEEDED)]


@pytest.mark.usefixtures("rarely")
@pytest.mark.parametrize("case", ["late", "twice", "never", "killed"])
@timeless
async def test_answers_late_twice_and_never_end_each_payout_once(file: Path, case: str) -> None:
    """Row 5: in another worker, after the deadline, twice, never; one of two workers killed."""
    shop = Shop(file)
    results = shop.sim.mpesa.results
    async with contextlib.AsyncExitStack() as second:
        async with shop.worker(deadline=10.0) as first:
            await second.enter_async_context(shop.worker(deadline=10.0))
            ends = await pay_all(first, 20)
            assert all(isinstance(end, Payment) for end in ends)
            results.delay = 40.0 if case in ("late", "killed") else 0.0
            results.twice = 1.0 if case == "twice" else 0.0
            results.lost = 1.0 if case == "never" else 0.0
            shop.hooks.reverse()  # the second worker hears everything
            await asyncio.sleep(3.0 if case == "killed" else 100.0)
        await asyncio.sleep(250)
        if case == "never":
            assert shop.told == []
            results.lost = 0.0
            await asyncio.sleep(HOUR)
        await asyncio.sleep(HOUR)
        assert Counter(shop.told) == {(f"wage-{n}", Status.SUCCEEDED): 1 for n in range(20)}
        assert shop.asked(STATUS) <= 20 * 4
        asked = shop.asked(STATUS)
        await asyncio.sleep(4 * HOUR)
        assert shop.asked(STATUS) == asked
    assert set(shop.paid.values()) == {1}


@pytest.mark.usefixtures("rarely")
@timeless
async def test_pending_payouts_are_asked_for_five_times_a_day_at_most(file: Path) -> None:
    """Row 14: 200 payouts that wait for a day: five questions each at most, none in 60 s."""
    shop = Shop(file)
    async with shop.worker() as pool:
        began = now()
        assert all(
            isinstance(end, Payment) for end in await pay_all(pool, 200, payee="254708374144")
        )
        await asyncio.sleep(began + 59 - now())
        assert shop.asked(STATUS) == 0
        await asyncio.sleep(DAY + HOUR)
        each = Counter(
            json.loads(one.body)["OriginalConversationID"]
            for one in shop.sim.requests
            if one.path.rstrip("/").endswith(STATUS)
        )
        assert len(each) == 200
        assert max(each.values()) <= 5
    assert shop.told == []
    assert states(file) == {"accepted": 200}
