"""Questions whose answers come as messages: who believes them, who waits, and what comes late."""

import asyncio
import contextlib
import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from paymux import (
    BadWebhook,
    Balance,
    NoAnswer,
    Payment,
    Pool,
    Rejected,
    Status,
    Unavailable,
    UsageError,
    WebhookRequest,
)
from paymux.core.callback_urls import Route, Use
from paymux.http import Response, Send, ask
from paymux.journal import Asked
from paymux.journal.stored.questions import StoredQuestions
from paymux.primitives.clock import wall_time
from paymux.values.parsing import amount
from paymux.webhooks import Webhooks

from .asking import ORDER, SECRET, Ack, Asking, Provider, Shop, Total, opened, worker
from .toys import BASE, KEY, Wire, answer, now, push, timeless

OK = 200
JOURNALS = pytest.mark.parametrize("kept", [False, True], ids=["memory", "journal"])


def file(tmp_path: Path, kept: bool = True) -> Path | None:
    """Return the journal's path, if there is one."""
    return tmp_path / "journal.db" if kept else None


async def asked(provider: Provider, count: int = 1) -> None:
    """Wait until the provider was asked so often, and its acknowledgement was read."""
    async with asyncio.timeout(60):
        while len(provider.asked) < count:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)


def rows(path: Path) -> list[Any]:
    """Read the table of questions."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT * FROM questions").fetchall()


@JOURNALS
@timeless
async def test_an_answer_ends_the_wait_at_once(tmp_path: Path, kept: bool) -> None:
    """The verb returns what the answer says, as soon as it is heard; one request was sent."""
    provider, shop = Provider(), Shop()
    hooks = worker(provider, shop, file(tmp_path, kept))
    async with opened(hooks) as pool:
        payment = await pool.collect("toy", **ORDER)
        verb = asyncio.ensure_future(pool.verify(payment))
        await asked(provider)
        began = now()
        assert (await hooks.answer(provider.says())).status == OK
        found = await verb
        assert now() - began < 0.1
        assert (found.status, str(found.amount)) == (Status.SUCCEEDED, "500")
        assert json.loads(found.raw)["conversation"] == "c1"
        assert len(provider.asked) == 1
        await asyncio.sleep(1)
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_another_worker_hears_the_answer(tmp_path: Path) -> None:
    """Whichever worker hears it, the asking one looks into the journal and has it in time."""
    provider, shop, path = Provider(), Shop(), file(tmp_path)
    one, two = worker(provider, shop, path), worker(provider, shop, path)
    async with opened(one) as pool, opened(two):
        payment = await pool.collect("toy", **ORDER)
        verb = asyncio.ensure_future(pool.verify(payment))
        await asked(provider)
        began = now()
        assert (await two.answer(provider.says())).status == OK
        assert (await verb).status is Status.SUCCEEDED
        assert now() - began < 1.0
        await asyncio.sleep(40)
    assert len(provider.asked) == 1
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@JOURNALS
@timeless
async def test_an_answer_before_the_acknowledgement_counts(tmp_path: Path, kept: bool) -> None:
    """It is kept until the acknowledgement says which id it must bear; wrong ones are not."""
    provider, shop = Provider(), Shop()
    hooks = worker(provider, shop, file(tmp_path, kept))
    heard: list[asyncio.Future[Response]] = []

    def at_once(_: dict[str, Any]) -> None:
        for name in ("c7", "c1", "c8", "c9", "c10"):
            message = provider.says(conversation=name, status="OK" if name == "c1" else "NO")
            heard.append(asyncio.ensure_future(hooks.answer(message)))

    provider.speaks = at_once
    wire: Any = hooks._pool._engine.transport.connection
    wire.after = 1.0
    async with opened(hooks) as pool:
        payment = await pool.collect("toy", **ORDER)
        began = now()
        assert (await pool.verify(payment)).status is Status.SUCCEEDED
        assert now() - began < 1.2  # as soon as it is acknowledged
        assert [(await one).status for one in heard] == [OK, OK, OK, OK, 400]
    assert len(provider.asked) == 1


@JOURNALS
@timeless
async def test_without_an_answer_a_payment_stays_as_it_is(tmp_path: Path, kept: bool) -> None:
    """`verify` returns the payment as it is held; what has nothing to return raises NoAnswer."""
    provider, shop = Provider(), Shop()
    async with opened(worker(provider, shop, file(tmp_path, kept))) as pool:
        payment = await pool.collect("toy", **ORDER)
        began = now()
        assert await pool.verify(payment, deadline=10) == payment
        assert 9 < now() - began <= 10
        for verb in (
            pool.balance("toy", deadline=5),
            pool.find("toy", reference="order-1", deadline=5),
            pool.verify("toy", "p1", deadline=5),
        ):
            with pytest.raises(NoAnswer, match="no answer came in time"):
                await verb
    assert shop.told == []


@timeless
async def test_a_balance_is_answered_by_a_message() -> None:
    """Any verb may ask; it needs no payment."""
    provider = Provider()
    hooks = worker(provider, Shop())
    async with opened(hooks) as pool:
        verb = asyncio.ensure_future(pool.balance("toy"))
        await asked(provider)
        await hooks.answer(provider.says(total="1234.50"))
        assert str((await verb).available) == "1234.50"


@JOURNALS
@timeless
async def test_an_answer_after_the_deadline_is_applied_and_told(tmp_path: Path, kept: bool) -> None:
    """No verb waits for it any more, and still its payment ends, once, without another request."""
    provider, shop = Provider(), Shop()
    hooks = worker(provider, shop, file(tmp_path, kept))
    async with opened(hooks) as pool:
        payment = await pool.collect("toy", **ORDER)
        assert (await pool.verify(payment, deadline=5)).status is Status.PENDING
        asked_so_far = len(provider.asked)
        late = provider.says()
        assert (await hooks.answer(late)).status == OK
        assert shop.told == [("order-1", Status.SUCCEEDED)]
        assert (await hooks.answer(late)).status == OK
        await asyncio.sleep(60)
        assert len(provider.asked) == asked_so_far
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_a_watch_hears_of_a_late_answer() -> None:
    """A late answer ends a watch on its payment."""
    provider, shop = Provider(), Shop()
    hooks = worker(provider, shop)
    async with opened(hooks) as pool:
        payment = await pool.collect("toy", **ORDER)
        await pool.verify(payment, deadline=1)
        late = provider.says()
        watch = asyncio.ensure_future(_watched(pool, payment))
        await asyncio.sleep(0.5)
        await hooks.answer(late)
        assert await watch is Status.SUCCEEDED


async def _watched(pool: Pool, payment: Payment) -> Status:
    return (await pool.watch(payment, timeout=60)).status


@JOURNALS
@timeless
async def test_a_time_out_ends_the_wait_early_and_proves_nothing(
    tmp_path: Path, kept: bool
) -> None:
    """The payment stays PENDING; an answer that comes after all counts. Nothing of it is kept."""
    provider, shop = Provider(), Shop()
    path = file(tmp_path, kept)
    hooks = worker(provider, shop, path)
    async with opened(hooks) as pool:
        payment = await pool.collect("toy", **ORDER)
        began = now()
        verb = asyncio.ensure_future(pool.verify(payment))
        await asked(provider)
        assert (await hooks.answer(provider.late())).status == OK
        assert (await verb).status is Status.PENDING
        assert now() - began < 1.5
        assert (await hooks.answer(replace(provider.late(), body=b"\xff what?"))).status == OK
        if path is not None:
            assert SECRET not in str(rows(path))
        assert (await hooks.answer(provider.says())).status == OK
        await asyncio.sleep(0)
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@JOURNALS
@timeless
async def test_only_the_acknowledged_id_on_the_right_path_is_believed(
    tmp_path: Path, kept: bool
) -> None:
    """A forged, crossed, used or expired path, or another id, is refused, and uses nothing up."""
    provider, shop = Provider(), Shop()
    hooks = worker(provider, shop, file(tmp_path, kept))
    async with opened(hooks) as pool:
        payment = await pool.collect("toy", **ORDER)
        verbs = [asyncio.ensure_future(pool.verify(payment)) for _ in range(2)]
        await asked(provider, 2)
        right = provider.says(0)
        forged = right.path[:-1] + ("0" if right.path[-1] != "0" else "1")
        wrong = {
            "another id": (provider.says(0, conversation="c2"), 400),
            "no id": (provider.says(0, conversation=None), 400),
            "no JSON": (replace(right, body=b"\xff\xfe"), 400),
            "a GET": (replace(right, method="GET", query="conversation=c1&status=OK"), 400),
            "forged": (replace(right, path=forged), 404),
            "another question": (replace(right, path=provider.asked[1]["ResultURL"]), 400),
        }
        for name, (message, status) in wrong.items():
            assert (await hooks.answer(message)).status == status, name
        assert not any(verb.done() for verb in verbs)
        for number, verb in enumerate(verbs):
            assert (await hooks.answer(provider.says(number))).status == OK
            assert (await verb).status is Status.SUCCEEDED
        assert (await hooks.answer(provider.says(0, conversation="c2"))).status == 400
        assert (await hooks.answer(provider.says(0, status="NO"))).status == OK  # used: no effect
        await asyncio.sleep(901)
        assert (await hooks.answer(right)).status == 404
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_ten_thousand_hostile_messages_are_believed_never() -> None:
    """With the path but without the id, nothing is believed, and nothing is asked again."""
    provider, shop = Provider(), Shop()
    hooks = worker(provider, shop)
    async with opened(hooks) as pool:
        payment = await pool.collect("toy", **ORDER)
        verb = asyncio.ensure_future(pool.verify(payment))
        await asked(provider)
        for number in range(10_000):
            message = provider.says(conversation=f"x{number}", status="OK")
            assert (await hooks.answer(message)).status == 400
        assert not verb.done()
        assert len(provider.asked) == 1
        await hooks.answer(provider.says(status="NO"))
        assert (await verb).status is Status.FAILED
    assert shop.told == [("order-1", Status.FAILED)]


@timeless
async def test_a_pool_without_callbacks_asks_nothing() -> None:
    """Without `webhook_base`, no answer could come: UsageError, and no request leaves."""
    provider = Provider()
    async with Pool(Asking(account="toy"), connection=Wire(provider)) as pool:
        with pytest.raises(UsageError, match="webhook_base"):
            await pool.balance("toy")
    assert provider.asked == []


@JOURNALS
@timeless
async def test_a_refused_question_is_an_ordinary_error(tmp_path: Path, kept: bool) -> None:
    """Its path is good for nothing; nothing is left of it."""
    provider, path = Provider(), file(tmp_path, kept)
    hooks = worker(provider, Shop(), path)
    async with opened(hooks) as pool:
        provider.refuses = answer(400, error="no")
        with pytest.raises(Rejected):
            await pool.balance("toy")
        provider.refuses = answer(200)
        with pytest.raises(Unavailable, match="has no id"):
            await pool.balance("toy")
        await asyncio.sleep(0.1)
        assert (await hooks.answer(provider.says(0))).status == 400
    if path is not None:
        assert rows(path) == []


@timeless
async def test_a_dead_workers_answer_is_applied_by_another(tmp_path: Path) -> None:
    """The asking worker dies, and so does the one that heard the answer: a third applies it."""
    provider, shop, path = Provider(), Shop(), file(tmp_path)
    one, two, three = (worker(provider, shop, path) for _ in range(3))
    async with one._pool as asking:
        payment = await asking.collect("toy", **ORDER)
        await asking.verify(payment, deadline=1)
    async with two._pool as heard:
        kept = await heard._engine.questions.hear(
            provider.says(), heard.internals.callback_urls.read(provider.says(), ["toy"], None)
        )
        assert kept is not None
    assert shop.told == []
    async with opened(three):
        await asyncio.sleep(1)
        assert shop.told == [("order-1", Status.SUCCEEDED)]
    assert len(provider.asked) == 1


@timeless
async def test_the_answer_of_a_cancelled_verb_is_applied(tmp_path: Path) -> None:
    """Cancelling a verb does not lose its answer."""
    provider, shop = Provider(), Shop()
    hooks = worker(provider, shop, file(tmp_path))
    async with opened(hooks) as pool:
        payment = await pool.collect("toy", **ORDER)
        verb = asyncio.ensure_future(pool.verify(payment))
        await asked(provider)
        verb.cancel()
        with pytest.raises(asyncio.CancelledError):
            await verb
        await asyncio.sleep(0.1)
        assert (await hooks.answer(provider.says())).status == OK
        assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_another_worker_applies_the_answer_of_a_cancelled_verb(tmp_path: Path) -> None:
    """The worker that asked lives, but waits no more."""
    provider, shop, path = Provider(), Shop(), file(tmp_path)
    one, two = worker(provider, shop, path), worker(provider, shop, path)
    async with opened(one) as pool, opened(two):
        payment = await pool.collect("toy", **ORDER)
        verb = asyncio.ensure_future(pool.verify(payment))
        await asked(provider)
        verb.cancel()
        with pytest.raises(asyncio.CancelledError):
            await verb
        await asyncio.sleep(0.1)
        assert (await two.answer(provider.says())).status == OK
        assert shop.told == [("order-1", Status.SUCCEEDED)]


@JOURNALS
@timeless
async def test_a_closed_pool_ends_the_wait(tmp_path: Path, kept: bool) -> None:
    """A verb that waits for its answer ends with UsageError when its pool is closed."""
    provider = Provider()
    hooks = worker(provider, Shop(), file(tmp_path, kept))
    async with hooks._pool as pool:
        verb = asyncio.ensure_future(pool.balance("toy"))
        await asked(provider)
    with pytest.raises(UsageError, match="closed"):
        await verb


@timeless
async def test_a_late_answer_about_another_payment_is_not_applied() -> None:
    """An answer that contradicts the order is logged, and changes nothing."""
    provider, shop = Provider(), Shop()
    hooks = worker(provider, shop)
    async with opened(hooks) as pool:
        payment = await pool.collect("toy", **ORDER)
        await pool.verify(payment, deadline=1)
        assert (await hooks.answer(provider.says(amount="5"))).status == OK
    assert shop.told == []


@timeless
async def test_an_echoed_credential_is_not_kept(tmp_path: Path) -> None:
    """What is stored of an answer has none of the account's credentials."""
    provider, shop, path = Provider(), Shop(), file(tmp_path)
    assert path is not None
    hooks = worker(provider, shop, path)
    async with opened(hooks) as pool:
        payment = await pool.collect("toy", **ORDER)
        verb = asyncio.ensure_future(pool.verify(payment))
        await asked(provider)
        await hooks.answer(provider.says(token=SECRET))
        assert SECRET not in (await verb).raw
        assert "conversation" in str(rows(path))
        assert SECRET not in str(rows(path))


@timeless
async def test_old_questions_are_deleted(tmp_path: Path) -> None:
    """An hour after its path has expired, a question is deleted by the next one."""
    provider, path = Provider(), file(tmp_path)
    assert path is not None
    async with worker(provider, Shop(), path)._pool as pool:
        for count in (1, 2, 1):
            with pytest.raises(NoAnswer):
                await pool.balance("toy", deadline=1)
            assert len(rows(path)) == count
            await asyncio.sleep(2300)
            if count == 2:
                await asyncio.sleep(3000)


@timeless
async def test_callers_of_one_order_share_a_question_as_they_share_a_look_up() -> None:
    """Messages that claim the same of an order cause one question in all."""
    provider = Provider()
    async with worker(provider, Shop())._pool as pool:
        payment = await pool.collect("toy", **ORDER)
        looks = [pool._engine.look_up(payment, 10, because="the same") for _ in range(5)]
        found = await asyncio.gather(*looks)
        assert [one.status for one in found] == [Status.PENDING] * 5
    assert len(provider.asked) == 1


def result(hooks: Webhooks, **fields: Any) -> WebhookRequest:
    """Return the provider's first message about order-1, on the order's own path."""
    path = hooks._pool.webhook_url("toy", "order-1")
    return push(path=path, **{"id": "p1", "status": "OK", **fields})


@JOURNALS
@timeless
async def test_a_message_about_an_order_causes_one_question(tmp_path: Path, kept: bool) -> None:
    """It is not asked again when no answer comes, and the late answer ends the order."""
    provider, shop = Provider(), Shop()
    hooks = worker(provider, shop, file(tmp_path, kept), deadline=10)
    async with opened(hooks) as pool:
        await pool.collect("toy", **ORDER)
        assert (await hooks.answer(result(hooks))).status in (OK, 503)
        await asyncio.sleep(50)
        assert len(provider.asked) == 1
        assert shop.told == []
        assert (await hooks.answer(provider.says())).status == OK
        await asyncio.sleep(400)
        assert len(provider.asked) == 1
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_a_message_whose_question_fails_causes_no_second_one() -> None:
    """If the provider cannot be asked now, the order's own watch asks later."""
    provider, shop = Provider(), Shop()
    hooks = worker(provider, shop, attempts=1)
    async with opened(hooks) as pool:
        await pool.collect("toy", **ORDER)
        provider.refuses = Response(status=502)
        await hooks.answer(result(hooks))
        await asyncio.sleep(50)
        assert len(provider.asked) == 1
        provider.refuses = None
        await asyncio.sleep(20)
        assert len(provider.asked) == 2
        await hooks.answer(provider.says())
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_a_claimed_id_is_not_given_to_an_order_by_a_late_answer() -> None:
    """A message names another payment for an order without an id: its late answer is dropped."""
    provider, shop = Provider(), Shop()
    hooks = worker(provider, shop)
    async with opened(hooks) as pool:
        order = await pool.collect("toy", **ORDER)
        bare = replace(order, provider_reference=None, ids={"Seen": "1"})
        event = pool.webhook(push(path=hooks._pool.webhook_url("toy"), id="p9", status="OK"))
        asked_by = asyncio.ensure_future(pool.confirm(event, expected=bare, deadline=2))
        held = await asked_by
        assert (held.status, held.provider_reference) == (Status.PENDING, None)
        assert (await hooks.answer(provider.says(id="p9", reference=None))).status == OK
    assert shop.told == []


@timeless
async def test_a_flood_of_results_causes_one_question_each_at_most() -> None:
    """A hundred messages on an order's path, all false: no more questions, and none believed.

    The order's own watch asks once more, after a minute.
    """
    provider, shop = Provider(), Shop()
    hooks = worker(provider, shop, deadline=2)
    async with opened(hooks) as pool:
        await pool.collect("toy", **ORDER)
        for number in range(100):
            await hooks.answer(result(hooks, receipt=f"R{number}"))
        assert len(provider.asked) <= 100 + 1
        assert shop.told == []
        await hooks.answer(provider.says(status="NO"))
    assert shop.told == [("order-1", Status.FAILED)]


@pytest.mark.parametrize("dies", ["before", "after"])
@timeless
async def test_a_worker_that_dies_while_it_waits_loses_no_answer(tmp_path: Path, dies: str) -> None:
    """Killed before or after another worker hears the answer: it is applied, once."""
    provider, shop, path = Provider(), Shop(), file(tmp_path)
    one, two = worker(provider, shop, path), worker(provider, shop, path)
    expires = int(wall_time().timestamp()) + 900
    url, _ = one._pool._callback_urls.answer_urls("toy", bytes(16), expires)
    provider.asked.append({"ResultURL": url})
    async with opened(two):
        async with one._pool as pool:
            payment = await pool.collect("toy", **ORDER)
            store = pool._engine.questions.store
            # What a verb has written while it waits; it is killed, so that it writes no more.
            question = Asked(
                nonce=bytes(16).hex(),
                account="toy",
                verb="verify",
                payment=payment,
                expires=expires,
            )
            await store.begin(question)
            assert await store.acknowledge(question.nonce, "c1") is None
            if dies == "after":
                assert (await two.answer(provider.says())).status == OK
                assert shop.told == []
        if dies == "before":
            assert (await two.answer(provider.says())).status == OK
        else:
            await asyncio.sleep(31)
        assert shop.told == [("order-1", Status.SUCCEEDED)]
        assert (await two.answer(provider.says())).status == OK
    assert len(provider.asked) == 1
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_an_answer_that_cannot_be_kept_is_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the journal fails, the provider is told 503, and the answer counts when it is repeated."""
    provider, shop = Provider(), Shop()
    hooks = worker(provider, shop, file(tmp_path))

    async def fails(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    async with opened(hooks) as pool:
        payment = await pool.collect("toy", **ORDER)
        verb = asyncio.ensure_future(pool.verify(payment))
        await asked(provider)
        with monkeypatch.context() as patched:
            patched.setattr(StoredQuestions, "hear", fails)
            assert (await hooks.answer(provider.says())).status == 503
        assert not verb.done()
        assert (await hooks.answer(provider.says())).status == OK
        assert (await verb).status is Status.SUCCEEDED
        with monkeypatch.context() as patched:
            patched.setattr(StoredQuestions, "begin", fails)
            with pytest.raises(Unavailable, match="disk"):
                await pool.balance("toy")
    assert len(provider.asked) == 1  # what is not durable does not leave


@timeless
async def test_an_acknowledgement_that_echoes_a_credential_is_not_stored(tmp_path: Path) -> None:
    """Its id is in the journal as long as the question: so it is no id, and the look-up fails."""
    provider, path = Provider(), tmp_path / "journal.db"
    provider.refuses = answer(conversation=SECRET)
    hooks = worker(provider, Shop(), path)
    async with opened(hooks) as pool:
        payment = await pool.collect("toy", **ORDER)
        with pytest.raises(Unavailable, match="credential in it"):
            await pool.verify(payment)
        kept = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    assert b"order-1" in kept
    assert SECRET.encode() not in kept


@JOURNALS
@timeless
async def test_an_early_message_with_another_id_does_not_end_the_wait(
    tmp_path: Path, kept: bool
) -> None:
    """It came before the acknowledgement; the answer that comes after it is waited for."""
    provider = Provider()
    hooks = worker(provider, Shop(), file(tmp_path, kept))
    early: list[asyncio.Future[Response]] = []

    def at_once(_: dict[str, Any]) -> None:
        message = provider.says(conversation="c7", status="NO")
        early.append(asyncio.ensure_future(hooks.answer(message)))

    provider.speaks = at_once
    wire: Any = hooks._pool._engine.transport.connection
    wire.after = 1.0
    async with opened(hooks) as pool:
        payment = await pool.collect("toy", **ORDER)
        verb = asyncio.ensure_future(pool.verify(payment))
        await asked(provider)
        await asyncio.sleep(3)
        assert [(await one).status for one in early] == [OK]
        assert (await hooks.answer(provider.says())).status == OK
        assert (await verb).status is Status.SUCCEEDED
    assert len(provider.asked) == 1


@JOURNALS
@timeless
async def test_an_answer_whose_question_cannot_be_read_is_applied_later(
    tmp_path: Path, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept by then: the worker that claims it applies it, and it is not sent again."""
    provider, shop = Provider(), Shop()
    hooks = worker(provider, shop, file(tmp_path, kept))

    async def fails(*_: object, **__: object) -> None:
        raise OSError("the file is locked")

    async with opened(hooks) as pool:
        payment = await pool.collect("toy", **ORDER)
        assert (await pool.verify(payment, deadline=2)).status is Status.PENDING
        store = type(pool._engine.questions.store)
        hear = store.hear
        with monkeypatch.context() as patched:

            async def heard(*message: Any, **waits: Any) -> Any:
                took = await hear(*message, **waits)
                patched.setattr(store, "look", fails)
                return took

            patched.setattr(store, "hear", heard)
            assert (await hooks.answer(provider.says())).status == 503
        assert shop.told == []
        await asyncio.sleep(40)
        assert shop.told == [("order-1", Status.SUCCEEDED)]
    assert len(provider.asked) == 1


@JOURNALS
@timeless
async def test_only_the_path_of_an_open_question_has_a_time_out(tmp_path: Path, kept: bool) -> None:
    """A question that was refused is none; nor is the path of an order, or of nothing."""
    provider = Provider()
    hooks = worker(provider, Shop(), file(tmp_path, kept))
    async with opened(hooks) as pool:
        provider.refuses = answer(400, error="no")
        with pytest.raises(Rejected):
            await pool.balance("toy")
        assert (await hooks.answer(provider.late())).status == 400
        routes: list[tuple[Use, str | None]] = [("collect", "order-1"), ("answer", None)]
        for use, reference in routes:
            with pytest.raises(BadWebhook, match="this path is of no question"):
                await pool._engine.questions.hear(
                    provider.says(), Route("toy", use, reference=reference)
                )


class Nameless(Asking, frozen=True, kw_only=True):
    """A driver that leaves it to the engine to find that there is no id."""

    name = "nameless"

    async def balance(self, send: Send) -> Balance:
        said = await send(
            ask("/balance", Ack, {}, answer=Total, id_of=lambda ack: ack.conversation or "")
        )
        return Balance(available=amount(said.total) or Decimal(0), currency="XAF")


@timeless
async def test_an_acknowledgement_without_an_id_is_no_answer(tmp_path: Path) -> None:
    """No message could be believed: the verb fails at once, and nothing is left of its question."""
    provider = Provider()
    provider.refuses = answer(conversation=" ")
    pool = Pool(
        Nameless(account="toy"),
        connection=Wire(provider),
        webhook_base=BASE,
        webhook_key=KEY,
        journal=tmp_path / "journal.db",
    )
    async with pool:
        with pytest.raises(Unavailable, match="the acknowledgement has no id"):
            await pool.balance("toy")
        await asyncio.sleep(0.1)
    assert rows(tmp_path / "journal.db") == []
