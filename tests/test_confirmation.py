"""Confirming: the provider is asked, and news of one payment never confirms another's order."""

import contextlib
import itertools
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from paymux import (
    BadWebhook,
    Mismatch,
    OutcomeUnknown,
    Payment,
    PaymuxError,
    Pool,
    Status,
    UsageError,
)
from paymux.http import PreparedRequest, Response, TransportError

from .toys import BASE, KEY, Desk, Findable, Keyless, Toy, Wire, answer, push, timeless

A = Payment(
    account="toy",
    provider="toy",
    live=False,
    reference="order-A",
    provider_reference="id-A",
    amount=Decimal(50_000),
    currency="XAF",
)


class Provider:
    """Two orders: A is pending, B is cheaper and paid. A test sets which references it returns."""

    def __init__(self, echoes: frozenset[str]) -> None:
        self._echoes = echoes

    def __call__(self, outgoing: PreparedRequest) -> Response:
        if outgoing.url.endswith("/login"):
            return answer(token="t1")
        if outgoing.method == "POST":
            which = "A" if b"order-A" in (outgoing.body or b"") else "B"
            return answer(id=f"id-{which}", status="WAIT")
        which = outgoing.url.rsplit("-", 1)[1]
        said = {"id": f"id-{which}", "reference": f"order-{which}", "currency": "XAF"}
        said["amount"] = "50000" if which == "A" else "100"
        status = "WAIT" if which == "A" else "OK"
        return answer(
            200, None, status=status, **{name: said[name] for name in said if name in self._echoes}
        )


def _pool(echoes: frozenset[str] = frozenset(), driver: Toy | None = None) -> Pool:
    return Pool(
        driver or Toy(), connection=Wire(Provider(echoes)), webhook_base=BASE, webhook_key=KEY
    )


ECHOES = {
    "everything": frozenset({"id", "reference", "amount", "currency"}),
    "amount": frozenset({"id", "amount", "currency"}),
    "reference": frozenset({"reference"}),
    "id": frozenset({"id"}),
    "nothing": frozenset[str](),
}
SHAPES: dict[str, dict[str, Any]] = {
    "whole": {},
    "lost answer": {"provider_reference": None},
    "by hand": {"reference": None, "live": None, "provider": ""},
}


@pytest.mark.parametrize("trouble", ["same pool", "fresh pool"])
@pytest.mark.parametrize("path", ["A's path", "the account's path", "B's path", "no path"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("echoes", ECHOES)
@timeless
async def test_a_cheaper_payments_id_never_confirms_another_order(
    echoes: str, shape: str, path: str, trouble: str
) -> None:
    """The id of a paid, cheaper payment on any path never makes another order succeed."""
    pool = _pool(ECHOES[echoes])
    async with pool:
        if trouble == "same pool":
            for which, amount in (("A", 50_000), ("B", 100)):
                await pool.collect("toy", amount=amount, currency="XAF", reference=f"order-{which}")
        where = {
            "A's path": pool.webhook_url("toy", "order-A"),
            "B's path": pool.webhook_url("toy", "order-B"),
            "the account's path": pool.webhook_url("toy"),
            "no path": "/toy",
        }[path]
        event = pool.webhook(
            push(path=where, id="id-B", status="OK", amount="50000"), account="toy"
        )
        expected = msgspec.structs.replace(A, **SHAPES[shape])
        with pytest.raises(Mismatch):
            await pool.confirm(event, expected=expected)


@pytest.mark.parametrize("trouble", ["same pool", "fresh pool"])
@pytest.mark.parametrize("path", ["A", None])
@pytest.mark.parametrize("echoes", ECHOES)
@timeless
async def test_without_an_expectation_nothing_is_made_up(
    echoes: str, path: str | None, trouble: str
) -> None:
    """Without `expected`, a field that the provider did not return is None."""
    pool = _pool(ECHOES[echoes])
    async with pool:
        if trouble == "same pool":
            for which in "AB":
                await pool.collect("toy", amount=100, currency="XAF", reference=f"order-{which}")
        where = pool.webhook_url("toy", path and f"order-{path}")
        event = pool.webhook(
            push(path=where, id="id-B", status="NO", amount="50000", reference="order-A")
        )
        try:
            payment = await pool.confirm(event)
        except Mismatch:
            return
        assert payment.status is Status.SUCCEEDED
        assert payment.reference in (None, "order-B")
        assert payment.amount in (None, 100)


@pytest.mark.parametrize("echoes", ECHOES)
@timeless
async def test_an_open_watch_on_a_dearer_order_is_not_ended_by_a_cheaper_payment(
    echoes: str,
) -> None:
    """B's id on A's path does not reach a watch of A."""
    pool = _pool(ECHOES[echoes])
    async with pool:
        held = await pool.collect("toy", amount=50_000, currency="XAF", reference="order-A")
        await pool.collect("toy", amount=100, currency="XAF", reference="order-B")
        async with pool.watch(held) as watch:
            await anext(watch)
            event = pool.webhook(push(path=pool.webhook_url("toy", "order-A"), id="id-B"))
            with pytest.raises(Mismatch):
                await pool.confirm(event)
            assert watch.payment.status is Status.PENDING


@timeless
async def test_mixing_two_payments_by_hand_does_not_move_an_id_to_another_order() -> None:
    """Verifying a payment under a wrong reference does not change the owner of its id."""
    pool = _pool()
    async with pool:
        await pool.collect("toy", amount=100, currency="XAF", reference="order-B")
        mixed = Payment(account="toy", reference="order-A", provider_reference="id-B")
        with contextlib.suppress(PaymuxError):
            await pool.verify(mixed)
        event = pool.webhook(push(path=pool.webhook_url("toy", "order-A"), id="id-B"))
        with pytest.raises(Mismatch):
            await pool.confirm(event, expected=Payment(account="toy", reference="order-A"))


@pytest.mark.parametrize("trust", ["signed", "unsigned"])
@timeless
async def test_a_payment_known_by_its_id_alone_is_confirmed_in_the_pool_that_made_it(
    trust: str,
) -> None:
    """A payment stored with only the provider's id is confirmed, in any pool."""
    for collected in (False, True):
        pool = _pool(ECHOES["everything"])
        async with pool:
            if collected:
                await pool.collect("toy", amount=100, currency="XAF", reference="order-B")
            event = pool.webhook(push(id="id-B", headers={trust: "1"}), account="toy")
            payment = await pool.confirm(
                event, expected=Payment(account="toy", provider_reference="id-B")
            )
            assert payment.status is Status.SUCCEEDED
            assert payment.reference == "order-B"


@timeless
async def test_an_expectation_without_any_reference_is_met_by_nothing() -> None:
    """An amount alone identifies no payment: an unproved message confirms nothing for it."""
    pool = _pool(ECHOES["everything"])
    async with pool:
        expected = Payment(account="toy", amount=Decimal(100), currency="XAF")
        event = pool.webhook(push(id="id-B"), account="toy")
        with pytest.raises((Mismatch, UsageError)):
            await pool.confirm(event, expected=expected)


@timeless
async def test_a_lost_answer_is_found_by_its_own_path() -> None:
    """An order whose answer was lost is confirmed only by a message on its secret path."""
    async with _pool() as pool:
        event = pool.webhook(push(path=pool.webhook_url("toy", "order-B"), id="id-B", receipt="R1"))
        lost = Payment(account="toy", reference="order-B", amount=Decimal(100), currency="XAF")
        pool._engine.store.memory.note_sending(lost, None)  # as a collect with a lost answer does
        payment = await pool.confirm(event, expected=lost)
        assert (payment.status, payment.provider_reference) == (Status.SUCCEEDED, "id-B")
        assert payment.amount == 100
        assert payment.receipt == "R1", "the path vouches for the receipt"
        with pytest.raises(Mismatch):
            await pool.confirm(pool.webhook(push(id="id-B"), account="toy"), expected=lost)


@timeless
async def test_an_unknown_outcome_goes_into_confirm_like_any_other() -> None:
    """The payment of an OutcomeUnknown is confirmed by its own callback."""
    wire = Wire(Desk(collect=[TransportError("reset")], payments=answer(id="p1", status="OK")))
    async with Pool(Toy(), connection=wire, webhook_base=BASE, webhook_key=KEY) as pool:
        with pytest.raises(OutcomeUnknown) as caught:
            await pool.collect("toy", amount=5, currency="XAF", reference="r1")
        event = pool.webhook(push(path=pool.webhook_url("toy", "r1"), id="p1"))
        payment = await pool.confirm(event, expected=caught.value.payment)
    assert (payment.reference, payment.provider_reference, payment.status) == (
        "r1",
        "p1",
        "succeeded",
    )


@timeless
async def test_a_message_has_no_status_amount_or_reference_of_its_own() -> None:
    """A forged success of a pending payment gives the provider's own status."""
    async with _pool(ECHOES["id"]) as pool:
        event = pool.webhook(
            push(id="id-A", status="OK", amount="1", reference="order-Z"), account="toy"
        )
        payment = await pool.confirm(event, expected=A)
        assert (payment.status, payment.reference) == (Status.PENDING, "order-A")
        assert payment.amount == 50_000
        bare = await pool.confirm(event)
        assert (bare.status, bare.amount, bare.reference, bare.currency) == (
            Status.PENDING,
            None,
            None,
            None,
        )


@timeless
async def test_a_receipt_of_an_unproved_message_stays_a_claim() -> None:
    """A receipt is a claim until the path or the body proves it for a paid payment."""
    waits, paid = (
        A,
        msgspec.structs.replace(A, reference="order-B", provider_reference="id-B", amount=None),
    )
    async with _pool(ECHOES["id"]) as pool:
        for order, headers in ((waits, {}), (waits, {"signed": "yes"}), (paid, {})):
            hint = pool.webhook(
                push(id=order.provider_reference, receipt="R1", headers=headers), account="toy"
            )
            payment = await pool.confirm(hint, expected=order)
            assert (payment.receipt, payment.paid_at) == (None, None)
            assert payment.ids == {"claimed_receipt": "R1"}
        signed = pool.webhook(
            push(id="id-B", receipt="R2", headers={"signed": "yes"}), account="toy"
        )
        assert (await pool.confirm(signed, expected=payment)).receipt == "R2"


@timeless
async def test_the_order_it_expects_can_be_asked_for_by_what_is_held() -> None:
    """A message without an id on an order's own path is enough to look the order up."""
    async with _pool(ECHOES["everything"]) as pool:
        event = pool.webhook(push(path=pool.webhook_url("toy", "order-A")))
        assert (await pool.confirm(event, expected=A)).status is Status.PENDING


@timeless
async def test_a_message_without_an_id_is_confirmed_by_our_reference_where_possible() -> None:
    """If the provider finds by our reference, the order's own path is enough."""
    wire = Wire(Desk(find=answer(id="p1", reference="r1", status="OK")))
    pool = Pool(Findable(), connection=wire, webhook_base=BASE, webhook_key=KEY)
    async with pool:
        event = pool.webhook(push(path=pool.webhook_url("findable", "r1")))
        payment = await pool.confirm(event, expected=Payment(account="findable", reference="r1"))
        assert (payment.status, payment.provider_reference) == (Status.SUCCEEDED, "p1")


@pytest.mark.parametrize("fields", [{}, {"id": "p1", "error": "ping"}])
@timeless
async def test_a_message_that_names_nothing_is_dropped(fields: dict[str, Any]) -> None:
    """A ping, or a message about no payment, is BadWebhook at confirm, without a request."""
    wire = Wire(Desk(payments=answer(status="OK")))
    async with Pool(Keyless(), connection=wire) as pool:
        with pytest.raises(BadWebhook):
            await pool.confirm(pool.webhook(push(**fields), account="keyless"))
    assert wire.seen == []


@timeless
async def test_an_expectation_of_another_account_is_refused() -> None:
    """An expected payment of another account is UsageError."""
    async with Pool(Keyless(), Toy(), connection=Wire(Provider(frozenset()))) as pool:
        event = pool.webhook(push(id="id-A"), account="keyless")
        with pytest.raises(UsageError):
            await pool.confirm(event, expected=A)


@pytest.mark.parametrize(
    ("held", "word", "outcome"),
    [
        (
            old,
            word,
            "mismatch"
            if old == "succeeded" and word in ("WAIT", "NO", "STOPPED", "LATE")
            else None,
        )
        for old, word in itertools.product(
            ["succeeded", "failed", "pending"], ["OK", "WAIT", "NO", "STOPPED", "LATE"]
        )
    ],
)
@timeless
async def test_a_message_moves_a_payment_only_as_a_look_up_would(
    held: str, word: str, outcome: str | None
) -> None:
    """A success that turns is Mismatch, a late success is real; a late "pending" is ignored."""
    expected = Payment(
        account="keyless", reference="r", provider_reference="p1", status=Status(held)
    )
    async with Pool(
        Keyless(), connection=Wire(Desk(payments=answer(id="p1", status=word)))
    ) as pool:
        event = pool.webhook(push(id="p1"), account="keyless")
        if outcome == "mismatch":
            with pytest.raises(Mismatch):
                await pool.confirm(event, expected=expected)
            return
        payment = await pool.confirm(event, expected=expected)
        assert payment.status.terminal or held == "pending"
        if word == "OK":
            assert payment.status is Status.SUCCEEDED


@pytest.mark.proves("cinetpay: do nothing twice: a payment")
@timeless
async def test_a_repeated_message_is_not_swallowed() -> None:
    """The same event again causes a look-up again, so that a later success is found."""
    wire = Wire(Desk(payments=[answer(id="p1", status="WAIT"), answer(id="p1", status="OK")]))
    async with Pool(Keyless(), connection=wire) as pool:
        event = pool.webhook(push(id="p1"), account="keyless")
        assert (await pool.confirm(event)).status is Status.PENDING
        assert (await pool.confirm(event)).status is Status.SUCCEEDED


@timeless
async def test_a_hostile_id_is_an_error_of_ours() -> None:
    """Any id in a message raises nothing foreign, and stays in its path segment."""
    ids = ["..", "../login", "/", "%2e%2e", "a" * 10_000, "\x00", "é", "id?x=1", "{id}"]
    wire = Wire(Desk(payments=answer(status="OK"), login=answer(500)))
    async with Pool(Keyless(), connection=wire) as pool:
        for id in ids:
            with contextlib.suppress(PaymuxError):
                await pool.confirm(pool.webhook(push(id=id), account="keyless"))
    for path in wire.paths():
        segments = path.split("/")
        assert segments[:2] == ["", "payments"]
        assert len(segments) == 3
        assert segments[2] not in ("", ".", "..")
