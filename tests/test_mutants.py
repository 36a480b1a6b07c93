"""The rules about money, one by one and exactly: every small change of them fails a test."""

import asyncio
import contextlib
import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from paymux import (
    AuthenticationFailed,
    CredentialRefused,
    Event,
    Mismatch,
    NotSent,
    OutcomeUnknown,
    Payment,
    Pool,
    ProviderError,
    RateLimited,
    Reason,
    Rejected,
    Status,
    Trust,
    Unavailable,
)
from paymux.core.confirmation import check_matches, tie_to_order
from paymux.drivers.base import Duplicate, NotJoining
from paymux.http import PreparedRequest, Request, Response, Send, get, post
from paymux.journal import OrderOwner
from paymux.models import Order, compare, merge
from paymux.transport.call import Call
from paymux.transport.outcome import Means, Verdict, decide
from paymux.transport.retries import may_retry
from paymux.transport.transport import Transport
from paymux.values.parsing import Unreadable

from .campaigns.mutants import EQUIVALENT, TABLE, TARGETS, mutants, survivors, unchanged
from .toys import Desk, Keyless, Said, Toy, Wire, answer, now, timeless

LOOK = get("/payments/p1", Said)
MONEY = post("/collect", Said, {})
REPEATABLE = post("/collect", Said, {}, repeatable=True)
ONCE = LOOK.sent_once()
REQUESTS: dict[str, Request[Said]] = {
    "look-up": LOOK,
    "once": ONCE,
    "money": MONEY,
    "repeatable": REPEATABLE,
}
TOY = Toy()


def _matching(*, matches: bool) -> Request[Said]:
    return post("/collect", Said, {}, matches=lambda said: (said.id == "p1") is matches)


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize(
    ("reply", "means"),
    [
        (None, Means.UNKNOWN),
        (answer(199, id="p1"), Means.UNKNOWN),
        (answer(200, id="p1"), Means.ANSWER),
        (answer(201, id="p1"), Means.ANSWER),
        (answer(299, id="p1"), Means.ANSWER),
        (answer(300, id="p1"), Means.UNKNOWN),
        (answer(301, id="p1"), Means.UNKNOWN),
        (answer(500, id="p1"), Means.UNKNOWN),
        (Response(status=200, body=b"<html>"), Means.UNKNOWN),
    ],
)
def test_what_an_attempt_means_without_a_refusal(
    request_: Request[Said], reply: Response | None, means: Means
) -> None:
    """Only a readable 2xx is an answer, whatever the connection reports."""
    unread = "not JSON: invalid character (byte 0)"
    why = unread if reply is not None and reply.body == b"<html>" else ""
    expected = Verdict(means, Said(id="p1") if means is Means.ANSWER else None, why=why)
    assert decide(TOY, request_, reply) == expected
    assert decide(TOY, request_, reply, left=True) == expected
    unsent = Verdict(Means.NOT_SENT) if reply is None else expected
    assert decide(TOY, request_, reply, left=False) == unsent


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize(
    ("reply", "means", "kind"),
    [
        (answer(401, error="stale"), Means.STALE, AuthenticationFailed),
        (answer(429, error="slow"), Means.THROTTLED, RateLimited),
        (answer(400, error="no"), Means.REFUSED, Rejected),
        (answer(409, error="duplicate"), Means.DUPLICATE, Duplicate),
    ],
)
def test_what_a_listed_refusal_means(
    request_: Request[Said], reply: Response, means: Means, kind: type[ProviderError]
) -> None:
    """A certain refusal keeps its meaning, error and status, and is no answer."""
    verdict = decide(TOY, request_, reply)
    assert (verdict.means, type(verdict.error), verdict.answer) == (means, kind, None)
    assert verdict.error is not None
    assert verdict.error.http_status == reply.status


class Guarded(Toy, frozen=True, kw_only=True):
    """A toy whose requests name a credential, which the provider may refuse."""

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        return CredentialRefused("locked") if reply.status == 403 else None


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_a_refused_credential_is_no_stale_token(request_: Request[Said]) -> None:
    """It is a refusal: a new login would not make it good, and the request would leave again."""
    verdict = decide(Guarded(), request_, answer(403, error="locked"))
    assert (verdict.means, type(verdict.error)) == (Means.REFUSED, CredentialRefused)


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_what_the_driver_cannot_believe_is_no_answer(request_: Request[Said]) -> None:
    """A reply that the driver distrusts, such as a success under an HTTP error, is unknown."""

    class Doubting(Toy, frozen=True, kw_only=True):
        def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
            raise Unreadable("a success under an error")

    for status in (200, 401, 500):
        assert decide(Doubting(), request_, answer(status, id="p1")) == Verdict(
            Means.UNKNOWN, why="a success under an error"
        )
    assert decide(Doubting(), request_, None, left=False) == Verdict(Means.NOT_SENT)


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_money_is_not_repeated_where_the_provider_joins_none_now(request_: Request[Said]) -> None:
    """Its own word that it recognises no repeat is unknown, and no repeat of money follows."""

    class Away(Toy, frozen=True, kw_only=True):
        def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
            raise NotJoining("the store is away")

    verdict = decide(Away(), request_, answer(500))
    assert verdict == Verdict(Means.UNKNOWN, why="the store is away", joins=False)
    assert may_retry(request_, verdict) is (request_ is LOOK)


def test_an_answer_must_match_and_an_accepted_status_is_read() -> None:
    """A reply to another request is unknown; `accept` adds statuses to the 2xx."""
    assert decide(TOY, _matching(matches=True), answer(id="p1")) == Verdict(
        Means.ANSWER, Said(id="p1")
    )
    assert decide(TOY, _matching(matches=False), answer(id="p1")) == Verdict(
        Means.UNKNOWN, why="the answer is about something else"
    )
    accepting = post("/collect", Said, {}, accept=(500,))
    assert decide(TOY, accepting, answer(500, id="p1")).means is Means.ANSWER
    assert decide(TOY, accepting, answer(200, id="p1")).means is Means.ANSWER
    assert decide(TOY, accepting, answer(503, id="p1")).means is Means.UNKNOWN


@pytest.mark.parametrize("means", Means)
def test_what_may_be_repeated(means: Means) -> None:
    """Unsent and unprocessed requests may be repeated; unknown ones only if that is harmless."""
    sure = means in {Means.NOT_SENT, Means.THROTTLED}
    verdict = Verdict(means)
    found: dict[str, Any] = {name: may_retry(one, verdict) for name, one in REQUESTS.items()}
    harmless = sure or means is Means.UNKNOWN
    assert found == {"look-up": harmless, "once": sure, "money": sure, "repeatable": harmless}


A = Payment(
    account="toy",
    reference="order-A",
    provider_reference="id-A",
    ids={"token": "t", "batch": "b"},
    amount=Decimal(500),
    currency="XAF",
)
LOST = replace(A, provider_reference=None, ids={})
PAID = Payment(account="toy", status=Status.SUCCEEDED)
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _event(*, attempt: str | None = None, trust: Trust = Trust.NOTHING, **claims: Any) -> Event:
    return Event(
        account="toy", path_reference=attempt, trust=trust, claims=Payment(account="toy", **claims)
    )


def _contradiction(error: Mismatch, found: Payment, expected: Payment, field: str) -> None:
    assert (error.payment, error.expected, error.fields) == (found, expected, (field,))


def test_a_contradiction_tells_what_was_found_and_what_was_expected() -> None:
    """A Mismatch of two fields names both in its text, and has both payments."""
    found = replace(A, amount=Decimal(5), currency="KES")
    with pytest.raises(Mismatch, match="amount '5' for '500', currency 'KES' for 'XAF'") as caught:
        compare(found, A)
    assert (caught.value.payment, caught.value.expected) == (found, A)
    assert caught.value.fields == ("amount", "currency")


@pytest.mark.parametrize(
    ("event", "known", "owner"),
    [
        (_event(), A, None),
        (_event(attempt="order-A"), A, None),
        (_event(provider_reference="id-A"), A, ("collect", "order-A")),
        (_event(provider_reference="id-B"), LOST, None),
        (_event(provider_reference="id-B", kind="collect"), LOST, None),
        (_event(provider_reference="id-B"), LOST, ("collect", "order-A")),
        (_event(provider_reference="id-B"), replace(LOST, kind="collect"), ("collect", "order-A")),
        (_event(provider_reference="id-B"), replace(LOST, reference=None), ("collect", "order-B")),
        (_event(provider_reference="id-A", kind="payout"), A, None),
        (_event(ids={"token": "t", "other": "o"}), A, None),
        (_event(ids={"token": "t", "batch": "b"}), A, None),
        (_event(ids={"other": "o"}), A, None),
    ],
)
def test_a_message_that_contradicts_nothing_is_taken(
    event: Event, known: Payment, owner: OrderOwner | None
) -> None:
    """A field missing in the message or in our payment contradicts nothing."""
    check_matches(event, known, owner)


@pytest.mark.parametrize(
    ("event", "known", "owner", "field"),
    [
        (_event(attempt="order-B"), A, None, "reference"),
        (
            _event(attempt="order-B", provider_reference="id-A"),
            A,
            ("collect", "order-A"),
            "reference",
        ),
        (_event(attempt="order-A"), replace(A, kind="payout"), None, "reference"),
        (_event(attempt="order-B"), replace(A, reference=None), None, "reference"),
        (_event(provider_reference="id-B"), A, None, "provider_reference"),
        (_event(provider_reference="id-B"), LOST, ("collect", "order-B"), "provider_reference"),
        (_event(provider_reference="id-B"), LOST, ("payout", "order-A"), "provider_reference"),
        (
            _event(provider_reference="id-B"),
            replace(LOST, kind="payout"),
            ("collect", "order-A"),
            "provider_reference",
        ),
        (_event(provider_reference="id-B", kind="payout"), LOST, None, "provider_reference"),
        (_event(ids={"token": "x"}), A, None, "provider_reference"),
        (_event(ids={"token": "t", "batch": "x"}), A, None, "provider_reference"),
    ],
)
def test_a_message_about_another_payment_is_a_mismatch(
    event: Event, known: Payment, owner: OrderOwner | None, field: str
) -> None:
    """Another order's path, another id, or an id of another order: each is a Mismatch."""
    with pytest.raises(Mismatch) as caught:
        check_matches(event, known, owner)
    _contradiction(caught.value, event.claims, known, field)


@pytest.mark.parametrize(
    ("event", "known", "found", "sent"),
    [
        (_event(), A, PAID, False),
        (_event(), replace(A, reference=None), PAID, False),
        (_event(), LOST, replace(PAID, reference="order-A"), False),
        (_event(amount=Decimal(1)), LOST, replace(PAID, reference="order-A"), False),
        (_event(amount=Decimal(1)), A, PAID, False),
        (_event(attempt="order-A"), LOST, PAID, True),
        (_event(attempt="order-A", provider_reference="id-B", reference="other"), LOST, PAID, True),
        (_event(trust=Trust.BODY), LOST, PAID, False),
    ],
)
def test_what_ties_a_payment_to_its_order(
    event: Event, known: Payment, found: Payment, sent: bool
) -> None:
    """Our stored id, our reference, a signed body, or the path of a lost answer is enough."""
    assert tie_to_order(event, known, found, sent=sent) == found


@pytest.mark.parametrize(
    ("event", "known", "found", "sent"),
    [
        (_event(), LOST, PAID, True),
        (_event(attempt="order-A"), LOST, PAID, False),
        (_event(attempt="order-B"), LOST, PAID, True),
        (_event(trust=Trust.ORIGIN), LOST, PAID, True),
        (_event(), replace(LOST, reference=None), PAID, True),
        (_event(), replace(LOST, reference=None), replace(PAID, reference="order-A"), True),
    ],
)
def test_what_ties_nothing_is_a_mismatch(
    event: Event, known: Payment, found: Payment, sent: bool
) -> None:
    """Without such a proof nothing is confirmed: another, cheaper payment would match."""
    with pytest.raises(Mismatch) as caught:
        tie_to_order(event, known, found, sent=sent)
    _contradiction(caught.value, found, known, "reference")


@pytest.mark.parametrize(
    ("claimed", "field"), [({"amount": Decimal(1)}, "amount"), ({"currency": "KES"}, "currency")]
)
def test_where_the_path_alone_ties_the_message_must_agree(
    claimed: dict[str, Any], field: str
) -> None:
    """A message that is proved by its path only must not contradict the order."""
    with pytest.raises(Mismatch) as caught:
        tie_to_order(_event(attempt="order-A", **claimed), LOST, PAID, sent=True)
    assert caught.value.fields == (field,)


@pytest.mark.parametrize(
    ("event", "known", "proved"),
    [
        (_event(trust=Trust.BODY, receipt="R"), A, True),
        (_event(attempt="order-A", receipt="R"), A, True),
        (_event(trust=Trust.ORIGIN, receipt="R"), A, False),
        (_event(receipt="R"), A, False),
        (_event(receipt="R"), replace(A, reference=None), False),
        (_event(attempt="order-B", receipt="R"), A, False),
    ],
)
def test_a_receipt_is_vouched_for_or_stays_a_claim(
    event: Event, known: Payment, proved: bool
) -> None:
    """A receipt counts if body or path proves it; otherwise it is kept among the ids."""
    found = replace(PAID, ids={"token": "t"})
    expected = (
        replace(found, receipt="R")
        if proved
        else replace(found, ids={"token": "t", "claimed_receipt": "R"})
    )
    assert tie_to_order(event, known, found, sent=False) == expected
    told = replace(found, receipt="of the provider")
    assert tie_to_order(event, known, told, sent=False) == told
    silent = replace(event, claims=replace(event.claims, receipt=None))
    assert tie_to_order(silent, known, found, sent=False) == found


def test_the_moment_of_payment_is_the_providers_and_else_the_messages() -> None:
    """A proved receipt has its time of payment, but the provider's own time comes first."""
    event = _event(trust=Trust.BODY, receipt="R", paid_at=MOMENT)
    assert tie_to_order(event, A, PAID, sent=False).paid_at == MOMENT
    earlier = MOMENT - timedelta(hours=1)
    assert tie_to_order(event, A, replace(PAID, paid_at=earlier), sent=False).paid_at == earlier
    assert tie_to_order(
        _event(trust=Trust.BODY, receipt="R"), A, replace(PAID, paid_at=earlier), sent=False
    ).paid_at


FAILURE = Payment(account="toy", status=Status.FAILED, reason=Reason.DECLINED, message="declined")
CAUSE: dict[str, Any] = {
    "status": Status.FAILED,
    "reason": Reason.INSUFFICIENT_FUNDS,
    "message": "no money",
}


@pytest.mark.parametrize("known", [None, Reason.DECLINED, Reason.OTHER])
@pytest.mark.parametrize(
    "event", [_event(trust=Trust.BODY, **CAUSE), _event(attempt="order-A", **CAUSE)]
)
def test_a_message_that_is_vouched_for_says_why_a_payment_failed(
    event: Event, known: Reason | None
) -> None:
    """Where the look-up knows no cause: its words are those of the message, which may have none."""
    found = replace(FAILURE, reason=known)
    told = tie_to_order(event, A, found, sent=False)
    assert told == replace(found, reason=Reason.INSUFFICIENT_FUNDS, message="no money")
    silent = replace(event, claims=replace(event.claims, reason=None))
    assert tie_to_order(silent, A, found, sent=False) == replace(found, message="no money")


@pytest.mark.parametrize(
    ("event", "found"),
    [
        (_event(**CAUSE), FAILURE),
        (_event(trust=Trust.ORIGIN, **CAUSE), FAILURE),
        (_event(attempt="order-B", **CAUSE), FAILURE),
        (_event(trust=Trust.BODY, **CAUSE), replace(FAILURE, reason=Reason.LIMIT)),
        *(
            (_event(trust=Trust.BODY, **{**CAUSE, "status": status}), FAILURE)
            for status in Status
            if status is not Status.FAILED
        ),
        *(
            (_event(trust=Trust.BODY, **CAUSE), replace(FAILURE, status=status))
            for status in Status
            if status is not Status.FAILED
        ),
        *(
            (
                _event(trust=Trust.BODY, **{**CAUSE, "status": status}),
                replace(FAILURE, status=status),
            )
            for status in Status
            if status is not Status.FAILED
        ),
    ],
)
def test_no_other_message_says_why_a_payment_failed(event: Event, found: Payment) -> None:
    """A forged one, one that disagrees, or one about a payment whose cause is known."""
    assert tie_to_order(event, A, found, sent=False) == found


def test_what_is_held_keeps_its_account_and_takes_the_moment_it_lacks() -> None:
    """The account never changes; a missing creation time is filled in."""
    found = merge(Payment(account="ours"), Payment(account="theirs", created_at=MOMENT))
    assert (found.account, found.created_at) == ("ours", MOMENT)


def test_the_words_of_a_state_that_is_kept_are_not_those_of_the_other() -> None:
    """A late "pending" changes neither reason nor message; a success has no failure's."""
    held = Payment(account="a", status=Status.FAILED, reason=Reason.DECLINED, message="declined")
    late = Payment(account="a", reason=Reason.BUSY, message="in progress")
    kept = merge(held, late)
    assert (kept.status, kept.reason, kept.message) == (Status.FAILED, Reason.DECLINED, "declined")
    paid = merge(held, Payment(account="a", status=Status.SUCCEEDED))
    assert (paid.status, paid.reason, paid.message) == (Status.SUCCEEDED, None, None)


@pytest.mark.parametrize(
    ("old", "new"),
    [(Status.PENDING, Status.SUCCEEDED), (Status.FAILED, Status.FAILED)],
    ids=["paid", "failed"],
)
def test_what_is_not_late_is_not_logged(
    old: Status, new: Status, caplog: pytest.LogCaptureFixture
) -> None:
    """Only a success after another end is logged as a warning."""
    merge(Payment(account="a", status=old), Payment(account="a", status=new))
    assert caplog.records == []


@timeless
async def test_pauses_double_from_a_fifth_of_a_second_to_five(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without jitter the pauses are exactly these."""
    monkeypatch.setattr("backoff.full_jitter", lambda pause: pause)
    times: list[float] = []

    def respond(_: PreparedRequest) -> Response:
        times.append(now())
        return answer(503)

    async with Pool(Keyless(), connection=Wire(respond), attempts=8, deadline=600) as pool:
        with pytest.raises(Unavailable):
            await pool.verify("keyless", "p1")
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0], abs=1e-6)


@timeless
async def test_a_wait_to_the_very_deadline_is_not_begun() -> None:
    """A Retry-After that ends at the deadline is RateLimited immediately."""
    wire = Wire(Desk(payments=answer(429, {"retry-after": "30"}, error="slow")))
    async with Pool(Keyless(), connection=wire, deadline=30) as pool:
        with pytest.raises(RateLimited):
            await pool.verify("keyless", "p1")
        assert now() == 0


class Steps(Keyless, frozen=True, kw_only=True):
    """A toy whose operations have more than one request."""

    name = "steps"
    way: str = "twice"

    async def collect(self, send: Send, order: Order) -> Payment:
        """Collect in one of the ways below."""
        await getattr(self, self.way)(send)
        return self.pending(order)

    async def twice(self, send: Send) -> Said:
        """Send two money requests."""
        await send(MONEY)
        return await send(MONEY)

    async def refused_then_slow(self, send: Send) -> Said:
        """Send a money request that is refused, then a look-up."""
        with contextlib.suppress(Rejected):
            await send(MONEY)
        return await send(LOOK)

    async def careless(self, send: Send) -> str:
        """Treat the refusal of a repeated request as the outcome."""
        try:
            await send(REPEATABLE)
        except Rejected:
            return "refused"
        return "paid"


@timeless
async def test_a_refusal_after_an_answered_money_request_is_in_doubt() -> None:
    """After one money request was answered, the refusal of the next one is unknown."""
    wire = Wire(Desk(collect=[answer(id="p1", status="OK"), answer(400, error="no")]))
    async with Pool(Steps(), connection=wire) as pool:
        with pytest.raises(OutcomeUnknown):
            await pool.collect("steps", amount=500, currency="XAF", reference="order-1")
    assert len(wire.seen) == 2


@timeless
async def test_a_verb_of_money_stays_one_when_it_looks() -> None:
    """A deadline in the look-up after a refused money request is NotSent."""
    slow: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    async def respond(outgoing: PreparedRequest) -> Response:
        return answer(400, error="no") if outgoing.method == "POST" else await slow

    async with Pool(Steps(way="refused_then_slow"), connection=Wire(respond)) as pool:
        with pytest.raises(NotSent):
            await pool.collect("steps", amount=500, currency="XAF", reference="order-1")


@timeless
async def test_a_driver_is_not_told_of_a_refusal_after_an_unknown() -> None:
    """A driver that handles refusals gets none after an attempt with an unknown outcome."""
    wire = Wire(Desk(collect=[answer(500), answer(400, error="no")]))
    async with Pool(Steps(way="careless"), connection=wire) as pool:
        with pytest.raises(OutcomeUnknown):
            await pool.collect("steps", amount=500, currency="XAF", reference="order-1")
    assert len(wire.seen) == 2


class Paged(Keyless, frozen=True, kw_only=True):
    """A toy with a checkout page."""

    name = "paged"
    lost_page = "A new reference is safe"


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (Wire(lambda _: answer(id="p1"), after=1e6), "the deadline passed"),
        (Wire(lambda _: answer(500)), "paged: POST /{} HTTP 500; the outcome is unknown"),
    ],
    ids=["late", "unclear"],
)
@timeless
async def test_a_lost_outcome_says_why_and_what_to_do(wire: Wire, said: str) -> None:
    """The text gives the reason; for a page it says that a new reference is safe."""
    async with Pool(Paged(), connection=wire) as pool:
        with pytest.raises(OutcomeUnknown) as lost:
            await pool.collect("paged", amount=5, currency="XAF", reference="r1")
        with pytest.raises(OutcomeUnknown) as paid:
            await pool.payout(
                "paged", amount=5, currency="XAF", reference="r2", payee="237670000000"
            )
    assert str(lost.value) == said.replace("{}", "collect:") + ". A new reference is safe"
    assert str(paid.value) == said.replace("{}", "payout:")


@timeless
async def test_a_reference_that_was_used_before_is_never_called_safe_to_replace() -> None:
    """After the provider's "duplicate" a page may be open: no new reference is suggested."""
    wire = Wire(Desk(collect=answer(409, error="duplicate")))
    async with Pool(Paged(), connection=wire) as pool:
        with pytest.raises(OutcomeUnknown) as caught:
            await pool.collect("paged", amount=5, currency="XAF", reference="r1")
    assert "had this reference before" in str(caught.value)
    assert "safe" not in str(caught.value)


@timeless
async def test_a_lost_outcome_holds_the_order_or_the_account_that_it_is_of() -> None:
    """OutcomeUnknown has the pending payment, or account, provider and mode."""
    async with Pool(Keyless(), connection=Wire(Desk(collect=answer(500)))) as pool:
        with pytest.raises(OutcomeUnknown) as caught:
            await pool.send("keyless", MONEY)
    assert caught.value.payment == Payment(account="keyless", provider="keyless", live=False)


@timeless
async def test_an_error_of_a_drivers_own_ends_a_verb_in_its_sense() -> None:
    """A driver's own OutcomeUnknown is filled in.

    A verb of money that is late before it sends is NotSent.
    """
    transport = Transport(
        Wire(lambda _: answer()),
        [TOY],
        deadline=30,
        attempts=3,
        ask=Call.__call__,
        journal=None,
    )

    async def unknown(_: Call) -> None:
        raise OutcomeUnknown("lost on the way")

    async def slow(_: Call) -> None:
        await asyncio.sleep(60)

    order = Call(transport, TOY, "collect", 3)
    order.pending = A
    with pytest.raises(OutcomeUnknown, match="lost on the way") as caught:
        await transport.perform(order, unknown)
    assert caught.value.payment == A
    order = Call(transport, TOY, "collect", 3)
    order.pending = A
    with pytest.raises(NotSent):
        await transport.perform(order, slow)
    with pytest.raises(Unavailable):
        await transport.perform(Call(transport, TOY, "verify", 3), slow)


@pytest.mark.slow
@pytest.mark.timeout(600)  # for a busy machine; 20 s on two idle cores
def test_the_campaign_kills_every_mutant_of_the_outcome_table() -> None:
    """R18: every mutant of the outcome table fails a test, and an unchanged copy passes."""
    chosen = [one for target in TABLE for one in mutants(target)]
    assert len(chosen) > 100
    same = [unchanged(target) for target in TABLE]
    living = EQUIVALENT.keys() & {one.name for one in chosen} | {one.name for one in same}
    assert {one.name for one in survivors([*chosen, *same])} == living


def test_the_campaign_makes_every_mutant_that_has_an_excuse() -> None:
    """Each mutant listed as equivalent is still made by the campaign."""
    assert EQUIVALENT.keys() <= {one.name for target in TARGETS for one in mutants(target)}
