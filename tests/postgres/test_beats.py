"""Heartbeats of notifiers on several machines: no clock of one is compared with another's."""

from paymux.journal.outbox import NotifierInfo
from paymux.journal.postgres import PostgresJournal
from paymux.journal.tables.beats import CountedBeats

from ..journal_conformance.orders import order, sent

MEMBER = NotifierInfo(("toy",), ("collect",))


def test_what_moves_is_fresh_whatever_another_clock_says() -> None:
    """A beat is as old as the moment at which this process saw it move."""
    beats = CountedBeats()
    assert beats.age("one", 7.0, 1000.0) == 0
    assert beats.age("one", 7.0, 1050.0) == 50
    assert beats.age("one", 8.0, 1060.0) == 0
    assert beats.next("two", None, 1060.0) == 1
    assert beats.next("two", 1.0, 1070.0) == 2
    assert beats.age("two", 2.0, 1075.0) == 5


async def test_notifiers_of_two_machines_divide_and_take_over(database: str) -> None:
    """Their clocks are far apart; each knows the other, until it does not beat any more."""
    one, two = PostgresJournal(database), PostgresJournal(database)
    await one.open()
    await two.open()
    await one.outbox.enter(MEMBER, 5.0)
    await two.outbox.enter(MEMBER, 900_000.0)
    await sent(one, order())
    assert len(await one.outbox.claim_open_orders(["toy"], 5)) == 1
    for seconds in (10, 20, 30):
        assert not (await one.outbox.heartbeat(MEMBER, 5.0 + seconds)).late
        assert not (await two.outbox.heartbeat(MEMBER, 900_000.0 + seconds)).late
        assert await two.outbox.claim_open_orders(["toy"], 5) == []
    for seconds in (60, 90, 120):  # the first beats no more
        assert not (await two.outbox.heartbeat(MEMBER, 900_000.0 + seconds)).late
    assert len(await two.outbox.claim_open_orders(["toy"], 5)) == 1
    assert (await one.outbox.heartbeat(MEMBER, 200.0)).late
    await one.aclose()
    await two.aclose()
