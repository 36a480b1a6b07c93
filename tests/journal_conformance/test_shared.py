"""What every journal promises about messages without a look-up, credentials and questions."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from paymux import Status
from paymux.journal import Asked, Heard, Standing
from paymux.journal.unconfirmed import Entry
from paymux.models import ADOPTED, Event
from paymux.primitives.clock import wall_time

from .conftest import Engine
from .orders import message, order, paid, sent

SOON = int(wall_time().timestamp()) + 600


def by_itself(number: int = 1, **more: Any) -> Event:
    """Return a proved message about a payment that no order of ours asked for."""
    claims = {"amount": Decimal(500), "currency": "XAF", "provider_reference": None, **more}
    return message(number, of=None, signed=True, **claims)


async def entries(journal: Any) -> list[Entry]:
    """Return all open entries."""
    found: list[Entry] = await journal.unconfirmed.left(0)
    return found


async def test_a_message_without_a_look_up_is_kept_once(worker: Any) -> None:
    """It waits until it is told, and is left until it is ended."""
    one, two = await worker(), await worker()
    kept = [await journal.unconfirmed.keep(by_itself()) for journal in (one, two)]
    assert kept[0] == kept[1]
    assert (await one.unconfirmed.keep(by_itself(2))).id != kept[0].id
    assert len(await two.unconfirmed.waiting(told=True)) == 2
    loaded = await two.unconfirmed.load(list(await two.unconfirmed.waiting(told=True)))
    assert [entry.event for entry in loaded] == [by_itself(), by_itself(2)]
    entry = loaded[0]
    assert await one.unconfirmed.claim(entry)
    assert not await two.unconfirmed.claim(entry)
    await one.unconfirmed.done(entry, told=True)
    assert not await two.unconfirmed.claim(entry)
    assert len(await two.unconfirmed.waiting(told=True)) == 1
    assert await two.unconfirmed.log(entry)
    assert not await one.unconfirmed.log(entry)
    assert await one.unconfirmed.end(by_itself(), "dealt with")
    assert [one.event for one in await entries(two)] == [by_itself(2)]
    assert not await two.unconfirmed.end(by_itself(9), "dealt with")


async def test_an_entry_of_a_dead_worker_is_anothers(worker: Any) -> None:
    """Its claim ends with it."""
    one, two = await worker(), await worker()
    await one.unconfirmed.keep(by_itself())
    (entry,) = await entries(one)
    assert await one.unconfirmed.claim(entry)
    await one.aclose()
    assert await two.unconfirmed.claim(entry)


async def test_the_orders_that_a_message_may_be_about(worker: Any) -> None:
    """Of its account and amount: paid with its receipt, open, or succeeded without a receipt."""
    one, two = await worker(), await worker()
    now = wall_time()
    for number, (status, receipt, amount) in enumerate(
        [(Status.PENDING, None, 500), (Status.SUCCEEDED, None, 500), (Status.SUCCEEDED, "R1", 500),
         (Status.SUCCEEDED, "R2", 500), (Status.PENDING, None, 600), (Status.FAILED, None, 500)]
    ):  # fmt: skip
        of = order(f"order-{number}", amount=Decimal(amount), created_at=now)
        await sent(one, of)
        said = msgspec.structs.replace(
            of, status=status, receipt=receipt, provider_reference=f"id-{number}"
        )
        await one.record(said, "verify")
    found = await two.unconfirmed.orders(by_itself(1))
    assert [one.reference for one in found.paid] == ["order-2"]
    assert [one.reference for one in found.open] == ["order-0"]
    assert [one.reference for one in found.bare] == ["order-1"]
    nothing = await two.unconfirmed.orders(by_itself(9, amount=Decimal("500.01")))
    assert (nothing.paid, nothing.open, nothing.bare) == ((), (), ())


async def test_a_message_is_given_to_one_order(worker: Any) -> None:
    """All messages of a receipt are the same order's, which has no other."""
    one, two = await worker(), await worker()
    await sent(one, order())
    await one.record(paid(), "verify")
    for number in (1, 2):
        await one.unconfirmed.keep(by_itself(number))
    first, second = await entries(one)
    assert await one.unconfirmed.give(first, paid())
    assert not await two.unconfirmed.give(second, paid())
    assert [entry.id for entry in await entries(two)] == [second.id]
    assert list(await two.unconfirmed.reopen()) == []
    await one.record(msgspec.structs.replace(paid(), receipt="R9"), "find")
    assert list(await two.unconfirmed.reopen()) == [first.event]
    assert len(await entries(one)) == 2


async def test_a_payment_is_adopted_once(worker: Any, engine: Engine) -> None:
    """Whichever of its messages comes, and whichever worker has it."""
    one, two = await worker(), await worker()
    began = await one.adoptions.begin(["toy"])
    assert await two.adoptions.begin(["toy"]) == began
    for number, payer in ((1, "a"), (1, "b")):
        await one.unconfirmed.keep(by_itself(number, payer=payer))
    first, second = await entries(one)
    payment = paid(f"{ADOPTED}R1", receipt="R1")
    given = (payment, lambda _: True, lambda _: False)
    assert await one.adoptions.adopt(first, first.event, *given)
    assert not await two.adoptions.adopt(second, second.event, *given)
    assert await entries(one) == []
    found = engine.query("SELECT reference, state FROM payments")
    assert found == [(f"{ADOPTED}R1", "accepted")]
    assert await two.adoptions.keep_listed([by_itself(1)]) == []
    (kept,) = await two.adoptions.keep_listed([by_itself(2)])
    assert kept.id is not None
    await two.adoptions.put_aside([by_itself(3)])
    assert await two.adoptions.keep_listed([by_itself(3)]) == []


async def test_one_worker_compares_an_account(worker: Any) -> None:
    """The turn is another's after it was released, and once the period is over."""
    one, two = await worker(), await worker()
    await one.adoptions.begin(["toy"])
    sweep = await one.adoptions.take_sweep("toy", at_start=True)
    assert sweep is not None
    await one.adoptions.end_sweep("toy", sweep.until)
    assert await two.adoptions.take_sweep("toy", at_start=False) is None
    again = await two.adoptions.take_sweep("toy", at_start=True)
    assert again is not None
    assert again.first == sweep.first


async def test_few_requests_of_a_credential_are_out(worker: Any) -> None:
    """Until an answer proves it; a refused one is refused for every worker and for ever."""
    one, two = await worker(), await worker()
    keys = one.credentials, two.credentials
    for slot in range(3):
        assert await keys[slot % 2].take("toy", "digest", f"slot-{slot}", again=False)
    assert not await keys[0].take("toy", "digest", "slot-3", again=False)
    assert await keys[1].take("toy", "digest", "slot-0", again=True)  # a question, once
    assert not await keys[1].take("toy", "digest", "slot-0", again=True)
    await keys[0].free("toy", "digest", "slot-0")
    assert await keys[1].take("toy", "digest", "slot-4", again=False)
    assert await keys[0].standing("toy", "digest") is Standing.UNKNOWN
    await keys[0].prove("toy", "slot-4")
    assert await keys[1].standing("toy", "digest") is Standing.PROVED
    await keys[1].settle("toy", "digest", Standing.REFUSED)
    await keys[0].settle("toy", "digest", Standing.PROVED)
    assert await keys[0].standing("toy", "digest") is Standing.REFUSED
    assert not await keys[0].take("toy", "digest", "slot-5", again=False)
    assert await keys[0].take("toy", "another", "slot-5", again=False)


def question(nonce: str = "nonce", **more: Any) -> Asked:
    """Return a question about the order."""
    given: dict[str, Any] = {"account": "toy", "verb": "verify", "payment": order(),
                             "expires": SOON, **more}  # fmt: skip
    return Asked(nonce=nonce, **given)


async def test_any_worker_hears_an_answer(worker: Any) -> None:
    """The asking one finds it; another id is wrong, and the same answer comes once."""
    one, two = await worker(), await worker()
    await one.questions.begin(question())
    assert await one.questions.acknowledge("nonce", "id-1") is None
    assert await two.questions.hear("nonce", "id-2", "no", waits=False) is Heard.WRONG
    assert await two.questions.hear("nonce", "id-1", "yes", waits=False) is Heard.AWAITED
    assert await two.questions.hear("nonce", "id-1", "yes", waits=False) is Heard.USED
    assert await two.questions.hear("other", "id-1", "yes", waits=False) is Heard.UNKNOWN
    assert (await one.questions.look("nonce")).answer == "yes"
    assert await one.questions.give_up("nonce") == "yes"


async def test_an_answer_before_the_acknowledgement_is_kept(worker: Any) -> None:
    """Whatever ids come first, the acknowledgement says which is meant."""
    one, two = await worker(), await worker()
    await one.questions.begin(question())
    for name in ("id-7", "id-1"):
        heard = await two.questions.hear("nonce", name, f"of {name}", waits=False)
        assert heard is Heard.EARLY
    assert await one.questions.acknowledge("nonce", "id-1") == "of id-1"


async def test_an_answer_that_nobody_awaits_is_claimed_once(worker: Any) -> None:
    """Of a verb that gave up, or of a worker that ended."""
    one, two, three = [await worker() for _ in range(3)]
    for nonce in ("first", "second"):
        await one.questions.begin(question(nonce))
        await one.questions.acknowledge(nonce, "id-1")
    assert await one.questions.give_up("first") is None
    assert await two.questions.hear("first", "id-1", "yes", waits=False) is Heard.LATE
    await two.questions.end("first", done=False)
    assert [asked.nonce for asked in await three.questions.claim(["toy"], 5)] == ["first"]
    assert await two.questions.claim(["toy"], 5) == []
    await three.questions.end("first", done=True)
    assert await two.questions.hear("second", "id-1", "yes", waits=False) is Heard.AWAITED
    await one.aclose()
    assert [asked.nonce for asked in await two.questions.claim(["toy"], 5)] == ["second"]
    assert await two.questions.claim(["other"], 5) == []


@pytest.mark.parametrize("text", ['{"a": "b\0"}', "é漢🙂", "x" * 5000])
async def test_an_answer_is_kept_as_it_was_said(worker: Any, text: str) -> None:
    """An answer that PostgreSQL's text cannot have keeps a mark in the place of its NUL."""
    one = await worker()
    await one.questions.begin(question())
    await one.questions.acknowledge("nonce", "id-1")
    await one.questions.hear("nonce", "id-1", text, waits=True)
    assert (await one.questions.look("nonce")).answer in (text, text.replace("\0", "\u2400"))
    assert await one.questions.time_out("nonce")
    assert not await one.questions.time_out("nothing")
