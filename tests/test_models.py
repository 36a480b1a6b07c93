"""Payments: how a status may change, what is merged, what is shown, what JSON keeps."""

import copy
import itertools
import logging
import pickle
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymux import Customer, Event, Mismatch, Payment, Pool, Reason, Status
from paymux.models import compare, merge

from .toys import Desk, Keyless, Wire, answer, push, timeless

MONEY_BACK = {Status.SUCCEEDED, Status.REFUNDED}
WORDS = {
    "pending": "WAIT",
    "succeeded": "OK",
    "failed": "NO",
    "cancelled": "STOPPED",
    "expired": "LATE",
}
WORDS |= {"refunded": "BACK"}
PAIRS = list(itertools.product(Status, Status))


def _expected(old: Status, new: Status) -> Status | None:
    """Return the status after a change; None is Mismatch."""
    if old is Status.PENDING:
        return new
    if old in MONEY_BACK:
        if new not in MONEY_BACK:
            return None
        return Status.REFUNDED if old is Status.REFUNDED else new
    return old if new is Status.PENDING else new


def _payment(status: Status = Status.PENDING, **fields: Any) -> Payment:
    return Payment(account="keyless", provider_reference="p1", status=status, **fields)


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_a_status_moves_as_the_design_says(old: Status, new: Status) -> None:
    """For all pairs, a success never changes silently, and a late "pending" changes nothing."""
    if (expected := _expected(old, new)) is None:
        with pytest.raises(Mismatch) as caught:
            merge(_payment(old), _payment(new))
        assert caught.value.fields == ("status",)
        assert caught.value.payment == _payment(new)
        assert caught.value.expected == _payment(old)
        return
    assert merge(_payment(old), _payment(new)).status is expected


@pytest.mark.parametrize("way", ["verify", "confirm", "watch"])
@pytest.mark.parametrize(("old", "new"), PAIRS)
@timeless
async def test_every_way_of_asking_moves_a_status_alike(old: Status, new: Status, way: str) -> None:
    """All pairs by verify, webhook and watch: the same transitions."""
    held, expected = _payment(old), _expected(old, new)
    wire = Wire(Desk(payments=answer(id="p1", status=WORDS[new])))
    async with Pool(Keyless(), connection=wire) as pool:
        if way == "watch":
            if old.terminal or not new.terminal:
                return
            assert (await pool.watch(held)).status is expected
            return
        event = pool.webhook(push(id="p1"), account="keyless")
        asking = pool.verify(held) if way == "verify" else pool.confirm(event, expected=held)
        if expected is None:
            with pytest.raises(Mismatch):
                await asking
        else:
            assert (await asking).status is expected


@pytest.mark.parametrize("old", [Status.FAILED, Status.CANCELLED, Status.EXPIRED])
def test_a_late_success_is_logged_and_forgets_why_it_failed(
    old: Status, caplog: pytest.LogCaptureFixture
) -> None:
    """A failed payment that succeeds late is a warning, and keeps no reason."""
    found = merge(
        _payment(old, reason=Reason.EXPIRED), _payment(Status.SUCCEEDED, provider_status="OK")
    )
    assert (found.status, found.reason, found.provider_status) == (Status.SUCCEEDED, None, "OK")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_success_found_again_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Only a change is a warning."""
    merge(_payment(Status.SUCCEEDED), _payment(Status.SUCCEEDED))
    merge(_payment(), _payment(Status.FAILED))
    assert caplog.records == []


def test_a_partial_refund_is_still_a_success() -> None:
    """A refund of a part sets `refunded_amount` and leaves SUCCEEDED."""
    found = merge(
        _payment(Status.SUCCEEDED), _payment(Status.SUCCEEDED, refunded_amount=Decimal(5))
    )
    assert (found.status, found.refunded_amount) == (Status.SUCCEEDED, Decimal(5))


@pytest.mark.parametrize(
    ("old", "new"), [(Status.FAILED, Status.PENDING), (Status.REFUNDED, Status.SUCCEEDED)]
)
def test_a_status_that_is_kept_keeps_its_own_words(old: Status, new: Status) -> None:
    """If an older status is kept, its `provider_status`, `reason` and `message` are kept, too."""
    held = _payment(old, provider_status=WORDS[old], reason=Reason.DECLINED, message="declined")
    found = merge(held, _payment(new, provider_status=WORDS[new], message="in progress"))
    assert (found.status, found.provider_status) == (old, WORDS[old])
    assert (found.reason, found.message) == (Reason.DECLINED, "declined")


def test_a_failure_told_again_keeps_its_reason() -> None:
    """A look-up with fewer details removes nothing from a failure; a success has no reason."""
    held = _payment(Status.FAILED, reason=Reason.DECLINED, message="declined")
    found = merge(held, _payment(Status.FAILED))
    assert (found.reason, found.message) == (Reason.DECLINED, "declined")


def test_what_was_found_is_merged_over_what_is_held() -> None:
    """A look-up adds and updates; absent values are kept, and no id is ever lost."""
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    held = Payment(
        account="keyless",
        kind="payout",
        reference="r",
        ids={"token": "t", "old": "1"},
        amount=Decimal(5),
        currency="XAF",
        metadata={"a": 1},
        created_at=moment,
        customer=Customer(name="N"),
        raw="before",
    )
    found = Payment(
        account="keyless",
        kind="payout",
        provider="toy",
        provider_reference="p1",
        ids={"new": "2"},
        live=False,
        fee=Decimal(0),
        metadata={"b": 2},
        created_at=moment + timedelta(days=1),
        raw="after",
    )
    merged = merge(held, found)
    assert merged.ids == {"token": "t", "old": "1", "new": "2"}
    assert merged.metadata == {"a": 1, "b": 2}
    assert (merged.provider, merged.reference, merged.provider_reference) == ("toy", "r", "p1")
    assert merged.kind == "payout"
    assert (merged.live, merged.fee) == (False, Decimal(0)), "what is false or zero was said"
    assert (merged.created_at, merged.customer, merged.raw) == (moment, held.customer, "after")
    assert merge(merged, Payment(account="keyless")) == merged


@pytest.mark.parametrize(
    ("field", "mine", "theirs"),
    [
        ("amount", Decimal(5000), Decimal(5)),
        ("amount", Decimal(0), Decimal(5)),
        ("currency", "XAF", "XOF"),
        ("reference", "r1", "r2"),
        ("provider_reference", "p1", "p2"),
        ("kind", "collect", "payout"),
        ("live", True, False),
    ],
)
def test_a_contradiction_is_a_mismatch(field: str, mine: object, theirs: object) -> None:
    """Each of these fields is compared; an absent value contradicts nothing, on either side."""
    one = msgspec.structs.replace(Payment(account="a"), **{field: mine})
    other = msgspec.structs.replace(Payment(account="a"), **{field: theirs})
    nothing = msgspec.structs.replace(Payment(account="a"), **{field: None})
    with pytest.raises(Mismatch) as caught:
        compare(other, one)
    assert caught.value.fields == (field,)
    compare(one, one)
    compare(nothing, one)
    compare(one, nothing)


def test_money_is_compared_by_value() -> None:
    """5000 and 5000.00 are the same amount."""
    compare(
        Payment(account="a", amount=Decimal("5000.00")), Payment(account="a", amount=Decimal(5000))
    )


def test_only_the_account_is_required() -> None:
    """A payment can be made from one line of a CSV file."""
    payment = Payment(account="campay")
    assert payment.status is Status.PENDING
    # A browser reads the status of a pending payment, too.
    assert msgspec.json.encode(payment) == b'{"account":"campay","status":"pending"}'


def test_a_payment_is_frozen_and_copies() -> None:
    """A payment cannot be changed in place; it copies and pickles to an equal one."""
    payment = _payment(amount=Decimal(5), customer=Customer(name="N"))
    with pytest.raises(AttributeError):
        payment.status = Status.SUCCEEDED  # type: ignore[misc]  # that it is refused is the point
    assert copy.deepcopy(payment) == payment
    assert pickle.loads(pickle.dumps(payment)) == payment  # noqa: S301 - our own bytes


def test_a_repr_shows_no_person() -> None:
    """`repr` masks phone numbers everywhere, and omits raw, customer, metadata and addresses."""
    payment = Payment(
        account="a",
        reference="order-1",
        payer="237670000001",
        payee="254708374149",
        message="sent to 237670000001",
        amount=Decimal(123456789012),
        ids={"phone": "237670000001"},
        customer=Customer(name="Awa Diop", email="awa@example.com"),
        metadata={"secret-note": "x"},
        checkout_url="https://pay.example/secret-token",
        raw="raw-body",
    )
    for text in (
        repr(payment),
        str(payment),
        f"{payment}",
        repr([payment]),
        repr(payment.customer),
    ):
        for word in ("237670000001", "254708374149", "Awa", "awa@", "secret", "raw-body"):
            assert word not in text
    assert "order-1" in repr(payment)
    assert "123456789012" in repr(payment), "an amount is no phone number"
    event = repr(Event(account="a", claims=payment))
    assert "237670000001" not in event


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
MOMENTS = st.none() | st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    datetime(2999, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=3))]),
)
AMOUNTS = st.none() | st.decimals(0, 10**12, allow_nan=False, places=4)
PAYMENTS = st.builds(
    Payment,
    account=TEXT,
    kind=st.sampled_from(["collect", "payout", "refund", None]),
    live=st.none() | st.booleans(),
    reference=st.none() | TEXT,
    provider_reference=st.none() | TEXT,
    ids=st.dictionaries(TEXT, TEXT, max_size=3),
    status=st.sampled_from(Status),
    amount=AMOUNTS,
    fee=AMOUNTS,
    reason=st.none() | st.sampled_from(Reason),
    customer=st.none() | st.builds(Customer, name=st.none() | TEXT, phone=st.none() | TEXT),
    metadata=st.dictionaries(TEXT, JSON, max_size=3),
    paid_at=MOMENTS,
    created_at=MOMENTS,
    raw=TEXT,
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(PAYMENTS)
def test_a_payment_survives_json_both_ways(payment: Payment) -> None:
    """JSON returns an equal payment, with exact digits and times."""
    again = msgspec.json.decode(msgspec.json.encode(payment), type=Payment)
    assert again == payment
    assert str(again.amount) == str(payment.amount)


def test_a_later_releases_json_is_read() -> None:
    """Fields that this release does not know are ignored."""
    assert msgspec.json.decode(b'{"account":"a","invented":{"x":1}}', type=Payment) == Payment(
        account="a"
    )


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_can_be_said_to_a_payer(reason: Reason) -> None:
    """Each reason is a sentence in English and in French; other languages get English."""
    english, french = reason.text("en"), reason.text("fr")
    assert english != french
    assert english.endswith(".")
    assert french.endswith(".")
    assert reason.text() == reason.text("sw") == english
    assert reason.text("fr-CM") == reason.text("FR") == french


def test_all_but_pending_is_terminal() -> None:
    """Only a pending payment can still change."""
    assert [status for status in Status if not status.terminal] == [Status.PENDING]
