"""What holds of every two sides: order decides nothing, a row is used once, and sums add up."""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from paymux import Difference, Payment, Status, Summary

from .test_reconcile import pool, run

KEYS = st.sampled_from([None, "a", "b", "c"])
MISSING = {"missing_theirs", "missing_ours", "open", "edge"}


@st.composite
def payments(draw: st.DrawFn, prefix: str = "") -> Payment:
    """Draw a payment with few different keys and amounts, so that many rows have the same."""
    fields: dict[str, Any] = {
        "account": "campay",
        "kind": draw(st.sampled_from(["collect", "payout", "refund", None])),
        "status": draw(st.sampled_from(list(Status))).value,
        "amount": draw(st.sampled_from(["5", "7", None])),
        "currency": draw(st.sampled_from(["XAF", "XOF", None])),
        "payer": draw(st.sampled_from(["237677777777", None])),
        "paid_at": draw(st.sampled_from(["2026-11-01T00:00:00Z", "2026-11-30T00:00:00Z", None])),
    }
    keys = {name: draw(KEYS) for name in ("reference", "provider_reference", "receipt")}
    if not any(keys.values()):
        keys["reference"] = "d"
    fields |= {name: key and prefix + key for name, key in keys.items()}
    return msgspec.convert(fields, Payment)


SIDES = st.lists(payments(), max_size=12)


def compared(
    ours: Sequence[Payment], theirs: Sequence[Payment]
) -> tuple[list[Difference], Summary]:
    """Reconcile two lists of payments."""
    return asyncio.run(run(pool(), list(theirs), ours=list(ours)))


def without_lines(found: list[Difference]) -> Counter[str]:
    """Return what was found, without the numbers of the rows."""
    return Counter(
        re.sub(
            r"row \d+", "row", repr(msgspec.structs.replace(one, our_line=None, their_line=None))
        )
        for one in found
    )


@settings(deadline=None, max_examples=60)
@given(ours=SIDES, theirs=SIDES, data=st.data())
def test_the_order_of_rows_decides_nothing(
    ours: list[Payment], theirs: list[Payment], data: st.DataObject
) -> None:
    """Any permutation of both sides gives the same differences, and the same sums."""
    found, summary = compared(ours, theirs)
    other, again = compared(data.draw(st.permutations(ours)), data.draw(st.permutations(theirs)))
    assert without_lines(found) == without_lines(other)
    assert summary.totals == again.totals


@settings(deadline=None, max_examples=60)
@given(ours=SIDES, theirs=SIDES)
def test_each_row_is_used_once_and_the_sums_add_up(
    ours: list[Payment], theirs: list[Payment]
) -> None:
    """A row is in one total and in at most one difference; what was read is what is told."""
    found, summary = compared(ours, theirs)
    assert summary.adds_up
    assert sum(one.rows for one in summary.read if one.side == "ours") == len(ours)
    assert sum(one.rows for one in summary.totals if one.side == "theirs") == len(theirs)
    lines = [one.their_line for one in found if one.their_line is not None]
    mine = [one.our_line for one in found if one.our_line is not None and one.kind != "twice"]
    assert len(lines) == len(set(lines))
    assert len(mine) == len(set(mine))
    counted = sum(not one.kind.information for one in found)
    assert summary.differences == counted
    assert summary.information == len(found) - counted


@settings(deadline=None, max_examples=60)
@given(
    ours=st.lists(payments("ours-"), max_size=8), theirs=st.lists(payments("theirs-"), max_size=8)
)
def test_nothing_is_matched_by_amount_day_or_number(
    ours: list[Payment], theirs: list[Payment]
) -> None:
    """Rows without a common key are never a pair, however alike they are."""
    found, summary = compared(ours, theirs)
    assert {str(one.kind) for one in found} <= MISSING
    assert summary.rows("agreed") == 0
    assert all(one.our_line is None or one.their_line is None for one in found)


def test_a_neighbour_is_told_and_stays_unmatched() -> None:
    """A row with the same amount and number is named as "perhaps", on both sides."""
    mine, theirs = (
        Payment(
            account="campay", kind="collect", reference=name, status=Status.SUCCEEDED,
            amount="500", currency="XAF", payer="237677777777",  # type: ignore[arg-type]
        )
        for name in ("order-1", "order-I")
    )  # fmt: skip
    found, summary = compared(
        [msgspec.convert(msgspec.to_builtins(mine), Payment)],
        [msgspec.convert(msgspec.to_builtins(theirs), Payment)],
    )
    assert {str(one.kind): one.perhaps for one in found} == {
        "missing_ours": "order-1 (ours, row 1)",
        "missing_theirs": "order-I (theirs, row 1)",
    }
    assert summary.differences == 2
