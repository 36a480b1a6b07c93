"""R24: a shop's day, in virtual time."""

import logging
from decimal import Decimal

import pytest

from paymux import Payment
from paymux.core.notify.dispatcher import Dispatcher

from .campaigns import day as campaigns_day
from .campaigns.day import Size, day
from .campaigns.day_journals import DayServer
from .clusters import cluster

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("paymux", "asyncio"):
        caplog.set_level(logging.CRITICAL + 1, name)


@pytest.mark.timeout(300)  # for a busy machine
def test_the_books_of_a_shops_day_equal_the_ledger() -> None:
    """Of every account: 2,000 sales, 300 payouts, 60 refunds, three crashes, M-Pesa away."""
    found = day(1, Size())
    assert found.wrong == []
    assert found.books == found.ledger
    assert len(found.books) == 25
    assert found.counts["crashes"] == 3
    assert found.counts["told"] >= 2_300
    assert found.counts["collects unknown at first"] > 10
    assert found.counts["payouts unknown at first"] > 3
    assert found.counts["requests while it was away"] > 100


@pytest.mark.parametrize("seed", [2, 6])
def test_the_books_of_a_worse_day_equal_the_ledger(seed: int) -> None:
    """More of the traffic leaves or goes back: half of it."""
    found = day(seed, Size(sales=200, payouts=140, refunds=30))
    assert found.wrong == []
    assert found.books == found.ledger


@pytest.mark.timeout(300)
def test_the_books_of_four_workers_over_a_server_equal_the_ledger() -> None:
    """Two machines with two workers each share PostgreSQL, which is restarted in the daytime."""
    with cluster() as server:
        few = {"sales": 60, "payouts": 10, "refunds": 2, "unasked": 10, "crashes": 2}
        size = Size(**few, restarts=1, workers=4, hours=1.5)
        found = day(4, size, DayServer(server, server.url()))
    assert found.wrong == []
    assert found.books == found.ledger
    assert (found.counts["crashes"], found.counts["restarts"]) == (2, 1)
    assert found.counts["told"] >= 70


def test_a_telling_that_is_lost_shows_in_the_books(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is one: an end that is not told makes the books differ."""
    call = Dispatcher.__init__

    def deaf(self: Dispatcher, on_payment: object, kinds: object) -> None:
        async def heard(payment: Payment) -> None:
            if payment.amount != Decimal(0) and (payment.reference or "").endswith("7"):
                return
            await on_payment(payment)  # type: ignore[operator]

        call(self, heard, kinds)  # type: ignore[arg-type]

    monkeypatch.setattr(Dispatcher, "__init__", deaf)
    monkeypatch.setattr(campaigns_day, "NIGHT", 1800.0)
    found = day(3, Size(sales=30, payouts=10, refunds=1, unasked=5, crashes=0))
    assert found.books != found.ledger
    assert any("never told" in one for one in found.wrong)
