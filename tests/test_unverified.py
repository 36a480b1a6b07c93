"""Unauthenticated messages: a flood of them delays no watch, and no news is lost."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from paymux import NotFound, Payment, PaymuxError, Pool, RateLimited, Status, WebhookRequest
from paymux.http import PreparedRequest, Response

from .toys import BASE, KEY, Keyless, Toy, Wire, answer, now, push, run, timeless

HELD = Payment(account="keyless", provider_reference="id-1", reference="order-1")


class Provider:
    """A provider of `id-1`, paid at a stated time, and of pending payments `real-…`."""

    def __init__(self, paid_at: float = float("inf")) -> None:
        self.paid_at = paid_at
        self.asked: list[tuple[float, str]] = []

    def __call__(self, outgoing: PreparedRequest) -> Response:
        if outgoing.url.endswith("/login"):
            return answer(token="t1")
        name = outgoing.url.rsplit("/", 1)[1]
        self.asked.append((now(), name))
        if name != "id-1" and not name.startswith("real-"):
            return answer(404)
        return answer(id=name, status="OK" if name == "id-1" and now() >= self.paid_at else "WAIT")

    def others(self) -> list[float]:
        """Return the times of the look-ups of unknown payments."""
        return [at for at, name in self.asked if name != "id-1"]


def _pool(provider: Provider, driver: Toy | None = None) -> Pool:
    wire = Wire(provider, before=0.01, after=0.01)
    return Pool(driver or Keyless(), connection=wire, webhook_base=BASE, webhook_key=KEY)


async def _flood(pool: Pool, seconds: float, make: Callable[[int], WebhookRequest]) -> Counter[str]:
    """Deliver a thousand messages a second and count how they ended."""
    ended: Counter[str] = Counter()

    async def deliver(number: int) -> None:
        try:
            await pool.confirm(pool.webhook(make(number), account="keyless"))
        except PaymuxError as error:
            ended[type(error).__name__] += 1
        else:
            ended["confirmed"] += 1

    async with asyncio.TaskGroup() as group:
        for number in range(int(seconds * 1000)):
            group.create_task(deliver(number))
            await asyncio.sleep(0.001)
    return ended


async def _detected(
    flood: Callable[[Pool], Coroutine[Any, Any, None]] | None,
) -> tuple[float, Provider]:
    """Return when a watch saw a payment made at 6.5 s, and the provider's requests."""
    random.seed(7)
    began = now()
    provider = Provider(paid_at=began + 6.5)
    async with _pool(provider) as pool, asyncio.TaskGroup() as group:
        if flood is not None:
            group.create_task(flood(pool))
        assert (await pool.watch(HELD, timeout=60)).status is Status.SUCCEEDED
        return now() - began - 6.5, provider


@pytest.mark.slow
def test_a_flood_of_forgeries_delays_no_watch() -> None:
    """A thousand forgeries a second for ten seconds do not delay a watch."""
    quiet, _ = run(_detected(None))

    async def forge(pool: Pool) -> None:
        ended = await _flood(pool, 10, lambda number: push(id=f"forged-{number}", status="OK"))
        assert ended["RateLimited"] > 9_000
        assert ended["confirmed"] == 0

    flooded, provider = run(_detected(forge))
    # Jitter is drawn from one generator, which the flood does not touch.
    assert flooded == pytest.approx(quiet, abs=0.05)
    seen = provider.others()
    assert 80 <= len(seen) <= 110
    assert all(sum(at <= other < at + 0.98 for other in seen) <= 10 for at in seen)


@pytest.mark.slow
def test_forgeries_that_name_a_real_payment_cost_one_look_up_a_second() -> None:
    """A flood with an order's id causes one look-up a second, and every message is answered."""

    async def main() -> None:
        provider = Provider()
        async with _pool(provider) as pool:
            watch = pool.watch(HELD, timeout=None)
            await anext(watch)
            ended = await _flood(pool, 5, lambda _: push(id="id-1", status="OK"))
            assert ended["confirmed"] == 5_000
            assert len(provider.asked) <= 7
            await watch.aclose()

    run(main())


@timeless
async def test_what_does_not_exist_is_remembered() -> None:
    """An unknown payment is looked up again only after a minute."""
    provider = Provider()
    async with _pool(provider) as pool:
        event = pool.webhook(push(id="forged"), account="keyless")
        for _ in range(5):
            with pytest.raises(NotFound) as refused:
                await pool.confirm(event)
            assert refused.value.account == "keyless"
        assert len(provider.asked) == 1
        await asyncio.sleep(61)
        with pytest.raises(NotFound):
            await pool.confirm(event)
        assert len(provider.asked) == 2


@timeless
async def test_beyond_the_share_a_message_is_told_when_to_come_back() -> None:
    """The eleventh unknown payment in a second is RateLimited, with the seconds to wait."""
    provider = Provider()
    async with _pool(provider) as pool:
        for number in range(10):
            await pool.confirm(pool.webhook(push(id=f"real-{number}"), account="keyless"))
        event = pool.webhook(push(id="real-10"), account="keyless")
        with pytest.raises(RateLimited) as refused:
            await pool.confirm(event)
        assert refused.value.retry_after is not None
        assert 0 < refused.value.retry_after <= 1.0
        await asyncio.sleep(refused.value.retry_after)
        assert (await pool.confirm(event)).provider_reference == "real-10"


@timeless
async def test_what_is_proved_has_no_share() -> None:
    """Signed messages, and those on an order's own path, are confirmed in any number."""
    provider = Provider()
    async with _pool(provider) as pool:
        for number in range(30):
            signed = push(id=f"real-{number}", headers={"signed": "yes"})
            await pool.confirm(pool.webhook(signed, account="keyless"))
            path = pool.webhook_url("keyless", f"order-{number}").removeprefix(BASE)
            with contextlib.suppress(PaymuxError):
                await pool.confirm(pool.webhook(push(id=f"real-x{number}", path=path)))
        assert len(provider.asked) == 60


@timeless
async def test_the_success_after_a_pending_is_not_a_duplicate() -> None:
    """A message that comes during an earlier look-up causes another look-up."""
    provider = Provider(paid_at=now() + 0.005)
    async with _pool(provider) as pool:
        expected = HELD
        waiting = pool.webhook(
            push(id="id-1", status="WAIT", headers={"signed": "yes"}), account="keyless"
        )
        paid = pool.webhook(
            push(id="id-1", status="OK", headers={"signed": "yes"}), account="keyless"
        )
        assert waiting.identity != paid.identity

        async def later() -> Payment:
            # the answer to the first look-up is on its way
            await asyncio.sleep(0.012)
            return await pool.confirm(paid, expected=expected)

        provider.paid_at = now() + 0.011
        first, second = await asyncio.gather(pool.confirm(waiting, expected=expected), later())
        assert (first.status, second.status) == (Status.PENDING, Status.SUCCEEDED)


@timeless
async def test_ten_deliveries_at_once_are_one_look_up() -> None:
    """The same message ten times at once causes one look-up."""
    provider = Provider(paid_at=0.0)
    async with _pool(provider) as pool:
        event = pool.webhook(
            push(id="id-1", status="OK", headers={"signed": "yes"}), account="keyless"
        )
        found = await asyncio.gather(*(pool.confirm(event, expected=HELD) for _ in range(10)))
        assert {payment.status for payment in found} == {Status.SUCCEEDED}
        assert len(provider.asked) == 1


@timeless
async def test_the_delivery_that_asks_may_be_cut_off() -> None:
    """If the delivery that looks up for the others is cancelled, another one looks up."""
    provider = Provider(paid_at=0.0)
    async with _pool(provider) as pool:
        event = pool.webhook(
            push(id="id-1", status="OK", headers={"signed": "yes"}), account="keyless"
        )
        tasks = [asyncio.create_task(pool.confirm(event, expected=HELD)) for _ in range(3)]
        await asyncio.sleep(0.005)
        tasks[0].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert [isinstance(one, Payment) and one.status for one in found[1:]] == [
            Status.SUCCEEDED
        ] * 2
