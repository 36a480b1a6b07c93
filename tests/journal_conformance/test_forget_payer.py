"""What every journal promises about a payer who is to be forgotten."""

from typing import Any

import pytest
from msgspec.structs import replace

from paymux import DuplicateReference, Status, UsageError
from paymux.journal.tables.payer import FORGOTTEN

from .conftest import Engine
from .orders import message, order, paid, sent

NUMBER = "+237 677 77 77 77"


async def _ended(journal: Any, reference: str, **more: Any) -> None:
    await sent(journal, order(reference, **more))
    await journal.record(paid(reference, **more), "verify")


async def test_the_number_leaves_every_table(engine: Engine, worker: Any) -> None:
    """Rows, facts and messages lose the number; references, money and other payers stay."""
    journal = await worker()
    for number in range(5):
        await _ended(journal, f"order-{number}", message="237677777777 paid")
    await _ended(journal, "other", payer="237690000999")
    await journal.keep_event(message(payer="00237677777777"))
    await journal.record(paid("other", payer="237690000999", message="call 677 777 777"), "webhook")
    done = await journal.forget_payer(NUMBER)
    assert (done.payments, done.messages, done.left) == (6, 1, ())
    assert done.facts >= 16
    for table, column in (("payments", "payment"), ("facts", "payment"), ("hints", "event")):
        texts = " ".join(text for (text,) in engine.query(f"SELECT {column} FROM {table}"))  # noqa: S608
        assert "677777777" not in texts.replace(" ", "")
    payments = {payment.reference: payment async for payment in journal.payments()}
    assert len(payments) == 6
    assert payments["other"].payer == "237690000999"
    assert payments["order-1"].payer == "237…77"
    assert payments["order-1"] == replace(paid(), payer="237…77", message="237…77 paid")
    assert engine.query("SELECT DISTINCT digest FROM payments") == [(FORGOTTEN,)]
    assert (await journal.forget_payer(NUMBER)).payments == 0


async def test_its_references_are_never_sent_again(worker: Any) -> None:
    """Each order under such a reference is another order, also the same one."""
    journal = await worker()
    await _ended(journal, "order-1")
    await journal.forget_payer(NUMBER)
    for digest in ("digest", "another"):
        with pytest.raises(DuplicateReference):
            await journal.intend(order(), digest)


async def test_a_later_fact_keeps_to_it(engine: Engine, worker: Any) -> None:
    """What another worker records of such a payment afterwards has no number either."""
    one, two = await worker(), await worker()
    await _ended(one, "order-1")
    await one.forget_payer(NUMBER)
    await two.record(paid(status=Status.REFUNDED), "webhook")
    row = await one.find("toy", "collect", reference="order-1")
    assert row.payment.status is Status.REFUNDED
    texts = engine.query("SELECT payment FROM facts UNION ALL SELECT payment FROM payments")
    assert not [text for (text,) in texts if "677777777" in text]


async def test_what_was_read_before_is_not_written_back(engine: Engine, worker: Any) -> None:
    """A worker that has the row at hand, as it sent the order, writes it no more as it was."""
    one, two = await worker(), await worker()
    await sent(one, order(), None)
    await one.record(paid(), "webhook")
    await two.forget_payer(NUMBER)
    await one.record(paid(status=Status.REFUNDED, message="to 237677777777"), "webhook")
    await one.record(paid(status=Status.REFUNDED), "answer")
    texts = engine.query("SELECT payment FROM facts UNION ALL SELECT payment FROM payments")
    assert not [text for (text,) in texts if "677777777" in text]
    (row,) = engine.query("SELECT status, digest FROM payments")
    assert row == ("refunded", FORGOTTEN)


async def test_an_open_order_is_named(engine: Engine, worker: Any) -> None:
    """While one is open, or a message is being handled, nothing at all is changed."""
    journal = await worker()
    await _ended(journal, "order-1")
    await sent(journal, order("order-2"))
    before = engine.query("SELECT reference, payment, digest FROM payments ORDER BY reference")
    with pytest.raises(UsageError, match="order-2"):
        await journal.forget_payer(NUMBER)
    await journal.record(paid("order-2"), "verify")
    await journal.keep_event(message(payer="237677777777"), open=True)
    with pytest.raises(UsageError, match="a message of toy"):
        await journal.forget_payer(NUMBER)
    after = engine.query("SELECT reference, payment, digest FROM payments ORDER BY reference")
    assert after[0] == before[0]
    await journal.end_event(message(payer="237677777777"), done=True)
    assert (await journal.forget_payer(NUMBER)).payments == 2
