"""A wrong credential never locks its user: few requests leave, and after a refusal none."""

import asyncio
import contextlib
import hashlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paymux import (
    AuthenticationFailed,
    NotFound,
    NotSent,
    Payment,
    Pool,
    SqliteJournal,
    Status,
    Unavailable,
    UsageError,
)
from paymux.core.late_answers import apply_late
from paymux.drivers.base import Driver
from paymux.errors import CredentialRefused, ProviderError
from paymux.http import PreparedRequest, Request, Response, Send, ask, post
from paymux.journal import Credentials, Standing
from paymux.journal.credentials import LocalCredentials
from paymux.journal.questions import Asked
from paymux.models import Balance, Order
from paymux.primitives.redaction import Secret
from paymux.transport.credentials import PROOF_SECONDS
from paymux.values.parsing import ProviderData, Text

from .notify.world import file
from .toys import BASE, KEY, Keyless, Said, Wire, answer, now, timeless

__all__ = ["file"]

STOP = "2001"
NO_ROLE = "21"
UNKNOWN = "404"


class Initiated(Keyless, frozen=True, kw_only=True):
    """A toy whose payouts, look-ups and balance need a credential beside the account's."""

    name = "initiated"
    secret: Secret | str = "pass-1"
    role: bool = True

    def credential_id(self, name: str) -> str:
        if name != "initiator":
            return super().credential_id(name)
        secret = self.secret.reveal() if isinstance(self.secret, Secret) else self.secret
        return hashlib.sha256(f"{name} {secret}".encode()).hexdigest()

    def proof_of(self, name: str) -> Callable[[Send], Awaitable[object]] | None:
        return self.balance if self.role else None

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        said = reply.read(Said)
        if reply.status == 500 and said is not None and said.error == STOP:
            return CredentialRefused("wrong credentials", code=STOP)
        return super().judge(request, reply)

    async def payout(self, send: Send, order: Order) -> Payment:
        body = {"reference": order.reference, "secret": self.credential_id("initiator")}
        said = await send(post("/payout", Said, body, credential="initiator"))
        return self.payment(said, order.kind)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        return self.payment(await self._asked(send, "/payments"), payment.kind)

    async def balance(self, send: Send) -> Balance:
        await self._asked(send, "/balance")
        return Balance(available=Decimal(500), currency="XAF")

    async def _asked(self, send: Send, path: str) -> Said:
        said = await send(post(path, Said, {}, money=False, credential="initiator"))
        if said.error == STOP:
            raise CredentialRefused("the initiator is wrong", code=STOP)
        if said.error == UNKNOWN:
            raise NotFound("no such payment")
        if said.error == NO_ROLE:
            raise ProviderError("no such role", code=NO_ROLE)
        return said


class Result(ProviderData, frozen=True):
    """An answer that comes as a message."""

    code: Text = None


class Asking(Initiated, frozen=True, kw_only=True):
    """A toy whose look-up is a question by callback."""

    name = "asking"

    async def verify(self, send: Send, payment: Payment) -> Payment:
        asked = ask(
            "/status", Said, {}, answer=Result, id_of=lambda _: "ack-1", credential="initiator"
        )
        if (await send(asked)).code == STOP:
            raise CredentialRefused("wrong", code=STOP)
        return msgspec.structs.replace(payment, status=Status.SUCCEEDED)


class AskingForBalance(Initiated, frozen=True, kw_only=True):
    """A toy whose balance is a question by callback."""

    name = "asking-for-balance"

    async def balance(self, send: Send) -> Balance:
        asked = ask(
            "/balance", Said, {}, answer=Result, id_of=lambda _: "ack-1", credential="initiator"
        )
        if (await send(asked)).code == STOP:
            raise CredentialRefused("wrong", code=STOP)
        return Balance(available=Decimal(500), currency="XAF")


class Bank(Wire):
    """A provider: what it answers to each path, after `seconds`."""

    def __init__(self, seconds: float = 1.0, **replies: Response | None) -> None:
        super().__init__(self._reply, after=0.0)
        self.seconds = seconds
        self.replies = {"payout": answer(id="id-1", status="WAIT"), **replies}

    async def _reply(self, outgoing: PreparedRequest) -> Response:
        await asyncio.sleep(self.seconds)
        reply = self.replies.get(outgoing.url.rpartition("/")[2])
        if reply is None:
            await asyncio.sleep(10_000)
        return reply or answer(404)


def shop(bank: Wire, journal: Path | None = None, **fields: Any) -> Pool:
    """Return a pool with one account."""
    driver: Driver = Initiated(account="toy", **fields)
    return Pool(driver, connection=bank, journal=journal, deadline=30.0, attempts=1)


async def pay_all(pay: Pool, count: int, first: int = 0) -> list[Payment | BaseException]:
    """Pay out so many times at once."""
    order: dict[str, Any] = {"amount": 500, "currency": "XAF", "payee": "237670000000"}
    payouts = [
        pay.payout("toy", reference=f"order-{number}", **order)
        for number in range(first, first + count)
    ]
    return await asyncio.gather(*payouts, return_exceptions=True)


def sent(reference: str) -> Payment:
    """Return a payout that was acknowledged."""
    given: dict[str, Any] = {"provider_reference": "id-1", "reference": reference}
    return Payment(account="toy", kind="payout", **given)


async def states(file: Path) -> set[str]:
    """Return the states of the orders in a journal."""
    import sqlite3  # noqa: PLC0415 - only used here

    db = sqlite3.connect(file)
    try:
        return {state for (state,) in db.execute("SELECT state FROM payments")}
    finally:
        db.close()


WRONG = answer(error=STOP)


@timeless
async def test_a_wrong_credential_is_found_by_the_balance_and_no_payout_leaves(file: Path) -> None:
    """A thousand payouts at once: one request without money leaves; each row ends unsent."""
    bank = Bank(balance=WRONG)
    async with shop(bank, file) as pay:
        ends = await pay_all(pay, 1000)
    assert bank.paths() == ["/balance"]
    assert all(isinstance(end, CredentialRefused) and end.unsent for end in ends)
    assert await states(file) == {"not_sent"}
    assert "pass-1" not in str(ends[0]) + file.read_bytes().decode("latin-1")
    again = Bank(balance=WRONG)
    async with shop(again, file) as pay:  # after a restart
        ends = await pay_all(pay, 100, 2000)
    assert again.paths() == []
    assert all(isinstance(end, AuthenticationFailed) for end in ends)


@timeless
async def test_two_workers_let_out_three_in_all(file: Path) -> None:
    """Without the role for a proof, three leave of both; a stop of one reaches the other."""
    bank = Bank(payments=WRONG)
    async with shop(bank, file, role=False) as one, shop(bank, file, role=False) as two:
        both = asyncio.gather(pay_all(one, 500), pay_all(two, 500, 500))
        await asyncio.sleep(10)
        assert len(bank.paths("/payout")) == 3
        known = sent("order-0")
        await asyncio.sleep(53)  # those three count as out no longer
        with pytest.raises(NotSent):
            raise next(end for end in (await both)[0] if isinstance(end, NotSent))
        with pytest.raises(CredentialRefused) as caught:
            await one.verify(known)
        assert not caught.value.unsent
        await asyncio.sleep(2)
        ends = await pay_all(two, 50, 5000)
        assert all(isinstance(end, CredentialRefused) and end.unsent for end in ends)
    assert len(bank.paths("/payout")) == 3


@timeless
async def test_a_stop_reaches_those_that_wait_in_another_worker(file: Path) -> None:
    """They raise at once, and not at their deadline."""
    bank = Bank(payments=WRONG)
    async with shop(bank, file, role=False) as one, shop(bank, file, role=False) as two:
        await pay_all(one, 2)
        waiting = asyncio.ensure_future(pay_all(two, 20, 500))
        await asyncio.sleep(3)
        with pytest.raises(CredentialRefused):
            await one.verify(sent("order-0"))
        began = now()
        ends = await waiting
        assert now() - began < 2
    assert sum(isinstance(end, CredentialRefused) for end in ends) == 19
    assert len(bank.paths("/payout")) == 3


@timeless
async def test_a_good_credential_is_proved_once_and_then_costs_nothing() -> None:
    """The balance proves it: all payouts leave together, and none waits again."""
    bank = Bank(balance=answer(status="OK"))
    async with shop(bank) as pay:
        ends = await pay_all(pay, 50)
        assert all(isinstance(end, Payment) for end in ends)
        assert now() < 4
        await pay_all(pay, 50, 50)
        await asyncio.sleep(5)
        await pay_all(pay, 50, 100)
    assert len(bank.paths("/balance")) == 1
    assert len(bank.paths("/payout")) == 150


@pytest.mark.parametrize("balance", [answer(error=NO_ROLE), None, answer(503)])
@timeless
async def test_without_a_proof_three_are_out_until_an_answer(balance: Response | None) -> None:
    """A missing role or no answer is no stop; the first status answer proves it for the rest."""
    bank = Bank(balance=balance, payments=answer(id="id-1", status="WAIT"))
    async with shop(bank) as pay:
        ends = asyncio.ensure_future(pay_all(pay, 20))
        await asyncio.sleep(PROOF_SECONDS + 5)
        # A question whose answer may still come is out, too.
        assert len(bank.paths("/payout")) == (3 if balance and balance.status == 200 else 2)
        known = sent("order-0")
        await pay._engine.transport.heard(
            Payment(account="toy", kind="payout", reference="order-0", status=Status.SUCCEEDED)
        )
        assert all(isinstance(end, Payment) for end in await ends)
        assert (await pay.verify(known)).status is Status.PENDING
    assert len(bank.paths("/payout")) == 20
    assert len(bank.paths("/balance")) == 1


@timeless
async def test_a_proof_that_was_lost_is_sought_again() -> None:
    """A minute after it, before the next request: so no payout waits behind a lost answer."""
    bank = Bank(balance=None)
    async with shop(bank) as pay:
        await pay_all(pay, 1)
        bank.replies["balance"] = answer(status="OK")
        await asyncio.sleep(60)
        assert all(isinstance(end, Payment) for end in await pay_all(pay, 50, 1))
    assert len(bank.paths("/balance")) == 2


@timeless
async def test_a_request_without_an_answer_is_out_for_a_minute() -> None:
    """What waits longer than its deadline was never sent; a look-up is unavailable then."""
    bank = Bank()
    async with shop(bank, role=False) as pay:
        ends = await pay_all(pay, 5)
        assert [type(end) for end in ends].count(NotSent) == 2
        with pytest.raises(Unavailable, match="too late"):
            await pay.verify(Payment(account="toy", provider_reference="id-1"), deadline=5.0)
        await asyncio.sleep(30)
        assert [type(end) for end in await pay_all(pay, 2, 10)] == [Payment] * 2
    assert len(bank.paths("/payout")) == 5


@timeless
async def test_a_refusal_at_once_stops_and_a_plain_one_frees_its_place() -> None:
    """A code of the answer itself counts; a refused field says nothing of the credential."""
    bank = Bank(payout=answer(500, error=STOP))
    async with shop(bank, role=False) as pay:
        ends = await pay_all(pay, 50)
        assert [end.unsent for end in ends if isinstance(end, CredentialRefused)].count(False) <= 3
        assert all(isinstance(end, CredentialRefused) for end in ends)
    assert len(bank.paths("/payout")) <= 3
    bank = Bank(payout=answer(400, error="no"))
    async with shop(bank, role=False) as pay:
        ends = await pay_all(pay, 20)
        assert {type(end).__name__ for end in ends} == {"Rejected"}


@timeless
async def test_a_stale_token_is_no_stop() -> None:
    """A 401 of the account's own login says nothing of the credential."""
    bank = Bank(payout=answer(401, error="stale"))
    async with shop(bank, role=False) as pay:
        ends = await pay_all(pay, 5)
        assert not any(isinstance(end, CredentialRefused) for end in ends)
        bank.replies["payout"] = answer(id="id-1", status="WAIT")
        assert isinstance((await pay_all(pay, 1, 10))[0], Payment)


@timeless
async def test_a_failure_on_an_orders_path_neither_stops_nor_proves() -> None:
    """Any sender that knows the path could have sent it; a success that was confirmed proves."""
    bank = Bank()
    async with shop(bank, role=False) as pay:
        await pay_all(pay, 3)
        for status in (Status.FAILED, Status.PENDING):
            told = Payment(account="toy", kind="payout", reference="order-0", status=status)
            await pay._engine.transport.heard(told)
        assert isinstance((await pay_all(pay, 1, 10))[0], NotSent)


@timeless
async def test_another_order_of_the_same_reference_proves_nothing() -> None:
    """A collect or a refund may have the reference of a payout: its success is not the payout's."""
    bank = Bank()
    async with shop(bank, role=False) as pay:
        await pay_all(pay, 3)
        for kind in ("collect", "refund", None):
            told = msgspec.structs.replace(sent("order-0"), kind=kind, status=Status.SUCCEEDED)
            await pay._engine.transport.heard(told)
        assert isinstance((await pay_all(pay, 1, 10))[0], NotSent)


@timeless
async def test_a_success_proves_also_after_its_request_counts_as_out_no_more() -> None:
    """The worker that paid knows of which credential the order was."""
    bank = Bank()
    async with shop(bank, role=False) as pay:
        await pay_all(pay, 3)
        await asyncio.sleep(70)
        await pay_all(pay, 3, 3)  # in their places
        await pay._engine.transport.heard(
            msgspec.structs.replace(sent("order-0"), status=Status.SUCCEEDED)
        )
        assert [type(end) for end in await pay_all(pay, 10, 10)] == [Payment] * 10


@timeless
async def test_a_collect_that_succeeds_asks_nothing_of_the_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No collect names one, and there are many."""

    async def prove(*_: object) -> None:
        pytest.fail("asked")

    monkeypatch.setattr(LocalCredentials, "prove", prove)
    async with shop(Bank(balance=answer(status="OK"))) as pay:
        await pay_all(pay, 1)
        told = msgspec.structs.replace(sent("x-1"), kind="collect", status=Status.SUCCEEDED)
        await pay._engine.transport.heard(told)


@timeless
async def test_an_unknown_payment_is_an_answer_that_proves() -> None:
    """The provider had to know the user to say, in its answer, that it knows no such payment."""
    bank = Bank(payments=answer(error=UNKNOWN))
    async with shop(bank, role=False) as pay:
        ends = asyncio.ensure_future(pay_all(pay, 20))
        await asyncio.sleep(3)
        with pytest.raises(NotFound):
            await pay.verify(sent("order-0"))
        assert [type(end) for end in await ends] == [Payment] * 20


class TwoNames(Initiated, frozen=True, kw_only=True):
    """A toy whose look-up names two credentials, one after the other."""

    name = "two-names"

    def credential_id(self, name: str) -> str:
        return f"the {name}"

    async def verify(self, send: Send, payment: Payment) -> Payment:
        await send(post("/first", Said, {}, money=False, credential="initiator"))
        return self.payment(
            await send(post("/second", Said, {}, money=False, credential="second")), payment.kind
        )


@timeless
async def test_a_refusal_is_of_the_credential_that_was_named_last() -> None:
    """The first one was answered: its payouts go on."""
    bank = Bank(first=answer(id="id-1"), second=answer(500, error=STOP))
    driver = TwoNames(account="toy", role=False)
    async with Pool(driver, connection=bank, deadline=30.0, attempts=1) as pay:
        for reference in ("order-8", "order-9"):
            with pytest.raises(CredentialRefused):
                await pay.verify(sent(reference))
        assert isinstance((await pay_all(pay, 1))[0], Payment)
    assert len(bank.paths("/second")) == 1


@timeless
async def test_a_success_that_another_worker_hears_proves(file: Path) -> None:
    """The worker that pays may not be the one that has the webhooks."""
    bank = Bank()
    async with shop(bank, file, role=False) as pays, shop(bank, file, role=False) as hears:
        ends = asyncio.ensure_future(pay_all(pays, 20))
        await asyncio.sleep(5)
        for kind in ("collect", "payout"):
            assert len(bank.paths("/payout")) == 3
            told = msgspec.structs.replace(sent("order-0"), kind=kind, status=Status.SUCCEEDED)
            await hears._engine.transport.heard(told)
            await asyncio.sleep(3)
        assert all(isinstance(end, Payment) for end in await ends)


@timeless
async def test_another_credential_begins_anew(file: Path) -> None:
    """The stop holds for the digest that was refused: a replaced credential is tried."""
    bank = Bank(balance=WRONG)
    async with shop(bank, file) as pay:
        assert isinstance((await pay_all(pay, 1))[0], CredentialRefused)
    bank.replies["balance"] = answer(status="OK")
    async with shop(bank, file, secret="pass-2") as pay:
        assert isinstance((await pay_all(pay, 1, 10))[0], Payment)
    async with shop(bank, file) as pay:
        assert isinstance((await pay_all(pay, 1, 20))[0], CredentialRefused)


@timeless
async def test_a_name_that_the_driver_does_not_know_is_a_usage_error() -> None:
    """A request cannot name a credential by mistake."""
    async with shop(Bank()) as pay:
        with pytest.raises(UsageError, match="credential"):
            await pay.send("toy", post("/x", Said, {}, money=False, credential="other"))


@timeless
async def test_the_question_about_an_order_goes_before_new_orders() -> None:
    """It takes the place of its order, once: three orders and their questions are out, no more."""
    bank = Bank(payments=None)
    async with shop(bank, role=False) as pay:
        ends = asyncio.ensure_future(pay_all(pay, 20))
        await asyncio.sleep(3)
        asked = [
            asyncio.ensure_future(pay.verify(sent(f"order-{number % 4}"), deadline=10.0))
            for number in range(40)
        ]
        await asyncio.sleep(5)
        assert len(bank.paths("/payout")) == len(bank.paths("/payments")) == 3
        assert not any(isinstance(end, Payment) for end in await _all(asked))
        await ends
    assert len(bank.paths("/payout")) == 3


@timeless
async def test_an_answer_of_a_look_up_lets_all_go_at_once() -> None:
    """A status answer proves the credential for those that wait, without the balance."""
    bank = Bank(payments=answer(id="id-1", status="WAIT"))
    async with shop(bank, role=False) as pay:
        ends = asyncio.ensure_future(pay_all(pay, 20))
        await asyncio.sleep(3)
        began = now()
        await pay.verify(sent("order-0"))
        assert all(isinstance(end, Payment) for end in await ends)
        assert now() - began < 4


@timeless
async def test_who_waits_for_a_proof_holds_no_place_in_the_limit() -> None:
    """Other requests of the account go on, and one that is cancelled leaves nothing behind."""
    bank = Bank(balance=None, other=answer(status="OK"))
    async with shop(bank) as pay:
        ends = asyncio.ensure_future(pay_all(pay, 300))
        await asyncio.sleep(1)
        began = now()
        for _ in range(5):
            await pay.send("toy", post("/other", Said, {}, money=False))
        assert now() - began == pytest.approx(5, abs=0.1)
        assert pay.limits("toy").waiting == 0
        ends.cancel()
        await asyncio.gather(ends, return_exceptions=True)
        assert bank.paths("/payout") == []
        assert isinstance((await pay_all(pay, 1, 1000))[0], Payment)


@timeless
async def test_a_late_answer_stops_or_proves_as_one_in_time() -> None:
    """What is read again from a stored answer counts as in the verb that asked."""
    for code, expected in (("0", Payment), (STOP, CredentialRefused)):
        driver = Asking(account="toy", role=False)
        async with Pool(driver, connection=Bank(), deadline=30.0) as pay:
            await pay_all(pay, 3)
            known, text = sent("order-0"), f'{{"code": "{code}"}}'
            asked = Asked(
                nonce="00", account="toy", verb="verify", payment=known, expires=0, answer=text
            )
            await apply_late(pay._engine, asked)
            assert type((await pay_all(pay, 1, 10))[0]) is expected


@pytest.mark.parametrize("code", ["0", STOP])
@timeless
async def test_a_late_answer_says_nothing_of_a_credential_that_came_since(
    file: Path, code: str
) -> None:
    """It is of the credential that its question named, also after the driver was replaced."""
    old, new = (Asking(account="toy", role=False, secret=word) for word in ("pass-1", "pass-2"))
    bank = Bank(status=answer(id="ack-1"))
    urls = {"webhook_base": BASE, "webhook_key": KEY}
    async with Pool(old, connection=bank, journal=file, deadline=20.0, **urls) as pay:  # type: ignore[arg-type]
        await pay.verify(sent("order-0"), deadline=5)  # no answer comes
        ((digest,),) = _rows(file, "SELECT credential FROM questions")
        assert digest == old.credential_id("initiator")
        await pay.replace(new)
        asked = Asked(
            nonce="00", account="toy", verb="verify", payment=sent("order-0"), expires=0,
            answer=f'{{"code": "{code}"}}', credential=digest,
        )  # fmt: skip
        await apply_late(pay._engine, asked)
        standing = pay._engine.store.require_journal().credentials.standing
        assert await standing("toy", new.credential_id("initiator")) is Standing.UNKNOWN
        found = Standing.REFUSED if code == STOP else Standing.PROVED
        assert await standing("toy", digest) is found


def _rows(file: Path, sql: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(file)) as db:
        return db.execute(sql).fetchall()


async def _all(tasks: Iterable[asyncio.Future[Payment]]) -> list[Payment | BaseException]:
    return await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("code", ["0", STOP])
@timeless
async def test_a_question_counts_by_its_answer_and_not_by_its_acknowledgement(code: str) -> None:
    """The guard lets the question out as one request; only what the driver reads of it counts."""
    bank = Bank(status=answer(id="ack-1"))
    async with shop(bank, role=False) as pay:
        transport, driver = pay._engine.transport, pay.drivers["toy"]

        async def ask_at_once(call: Any, question: Any) -> Any:
            await call(question.to("https://shop.example/a", "https://shop.example/b"))
            assert {one.standing for one in transport.guard._known.values()} == {"unknown"}
            return Result(code=code)

        async def status(send: Send) -> None:
            asked = ask(
                "/status", Said, {}, answer=Result, id_of=lambda _: "ack-1", credential="initiator"
            )
            if (await send(asked)).code == STOP:
                raise CredentialRefused("wrong", code=STOP)

        transport.ask = ask_at_once
        call = pay._engine.call(driver, "balance")
        with contextlib.suppress(CredentialRefused):
            await transport.perform(call, status)
        ends = await pay_all(pay, 5)
    expected = CredentialRefused if code == STOP else Payment
    assert {type(end) for end in ends} == {expected}
    assert len(bank.paths("/status")) == 1


@pytest.mark.parametrize("verb", ["proof", "balance"])
@timeless
async def test_a_late_answer_about_no_payment_counts_too(verb: str) -> None:
    """The proof is waited for 10 s; an answer that comes after that stops, or proves, as well."""
    for code, expected in (("0", Payment), (STOP, CredentialRefused)):
        driver = AskingForBalance(account="toy", role=False)
        async with Pool(driver, connection=Bank(), deadline=30.0) as pay:
            await pay_all(pay, 3)
            text = f'{{"code": "{code}"}}'
            asked = Asked(
                nonce="00", account="toy", verb=verb, payment=None, expires=0, answer=text
            )
            assert await apply_late(pay._engine, asked) is None
            assert type((await pay_all(pay, 1, 10))[0]) is expected


@timeless
async def test_a_question_that_is_not_sent_takes_no_place(file: Path) -> None:
    """Without a URL for the answer it is a UsageError at once, however often it is asked."""
    driver = AskingForBalance(account="toy", role=False)
    async with Pool(driver, connection=Bank(), journal=file, deadline=30.0) as pay:
        for _ in range(5):
            with pytest.raises(UsageError, match="webhook_base"):
                await pay.balance("toy")
        assert now() < 1
        assert all(isinstance(end, Payment) for end in await pay_all(pay, 3))


@timeless
async def test_a_refusal_stops_a_worker_that_had_proved_the_credential(file: Path) -> None:
    """Within a second: its user may have been locked since."""
    bank = Bank(balance=answer(status="OK"))
    async with shop(bank, file) as one, shop(bank, file) as two:
        for pay, first in ((one, 0), (two, 10)):
            assert isinstance((await pay_all(pay, 1, first))[0], Payment)
        bank.replies["payments"] = WRONG
        with pytest.raises(CredentialRefused):
            await one.verify(sent("order-0"))
        await asyncio.sleep(1)
        ends = await pay_all(two, 5, 20)
    assert all(isinstance(end, CredentialRefused) for end in ends)
    assert len(bank.paths("/payout")) == 2


@timeless
async def test_what_is_known_of_a_credential_is_asked_once_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The journal does not read a row for each request."""
    asked = 0
    standing = LocalCredentials.standing

    async def counted(book: LocalCredentials, account: str, digest: str) -> Standing:
        nonlocal asked
        asked += 1
        return await standing(book, account, digest)

    monkeypatch.setattr(LocalCredentials, "standing", counted)
    async with shop(Bank(0.0, balance=answer(status="OK"))) as pay:
        await pay_all(pay, 1)
        asked = 0
        for number in range(20):
            await pay_all(pay, 5, 10 + 5 * number)
            await asyncio.sleep(0.1)
    assert asked == 1  # after a second


@timeless
async def test_a_look_up_seeks_the_proof_first_too() -> None:
    """With a wrong credential, no look-up leaves where the balance may be asked."""
    bank = Bank(balance=WRONG, payments=answer(id="id-1", status="OK"))
    async with shop(bank) as pay:
        with pytest.raises(CredentialRefused):
            await pay.verify(sent("order-0"))
    assert (bank.paths("/payments"), len(bank.paths("/balance"))) == ([], 1)


@timeless
async def test_a_look_up_goes_before_orders_while_a_lost_proof_is_sought_again() -> None:
    """Its answer is what they wait for: it leaves at once, and lets all go."""
    bank = Bank(balance=None, payments=answer(id="id-1", status="OK"))
    pay = Pool(Initiated(account="toy"), connection=bank, deadline=100.0, attempts=1)
    async with pay:
        each = [asyncio.ensure_future(pay_all(pay, 1, number)) for number in range(8)]
        await asyncio.sleep(
            65
        )  # the lost proof counts as out for a minute; then it is sought again
        left = [number for number, one in enumerate(each) if one.done()]
        assert len(left) == len(bank.paths("/payout")) == 3
        began = now()
        await pay.verify(sent(f"order-{left[0]}"))
        assert now() - began < 2
        assert [type(end) for one in each for end in await one] == [Payment] * 8


class Crowd(Bank):
    """A provider that counts how many look-ups it has at once."""

    now = most = 0

    async def _reply(self, outgoing: PreparedRequest) -> Response:
        self.now += not outgoing.money
        self.most = max(self.most, self.now)
        try:
            return await super()._reply(outgoing)
        finally:
            self.now -= not outgoing.money


@pytest.mark.parametrize("many", [False, True])
@timeless
async def test_look_ups_that_wait_for_a_proof_hold_no_place_in_the_limit(*, many: bool) -> None:
    """Others go on, and when they are let out they take places again: 100 are out at most."""
    waits = answer(id="id-1", status="WAIT")
    bank = Crowd(5.0, payments=waits, other=answer(status="OK"))
    asked = [sent(f"order-{number}") for number in range(150)]
    async with shop(bank, role=False) as pay:
        verifies: list[asyncio.Future[Any]]
        if many:
            verifies = [asyncio.ensure_future(_verified(pay, asked))]
        else:
            verifies = [asyncio.ensure_future(pay.verify(one)) for one in asked[:75]]
        await asyncio.sleep(1)
        began = now()
        other = post("/other", Said, {}, money=False)
        others = [asyncio.ensure_future(pay.send("toy", other)) for _ in range(60)]
        await asyncio.sleep(1)
        if not many:
            verifies += [asyncio.ensure_future(pay.verify(one)) for one in asked[75:]]
        await asyncio.gather(*others)
        assert now() - began == pytest.approx(5, abs=0.1)
        ends = await asyncio.gather(*verifies)
    assert len(ends) == (1 if many else 150)
    assert len(bank.paths("/payments")) == 150
    assert bank.most == 100


async def _verified(pay: Pool, payments: list[Payment]) -> None:
    """Look all of them up, at once."""
    items = await pay.verify_many(payments, at_once=150)
    assert [item.error for item in items] == [None] * len(payments)


@contextlib.asynccontextmanager
async def kept(where: str, file: Path) -> AsyncIterator[Credentials]:
    """Open where credentials are kept: in memory, or in a journal."""
    if where == "memory":
        yield LocalCredentials()
        return
    journal = SqliteJournal(file)
    yield journal.credentials
    await journal.aclose()


IN_BOTH = pytest.mark.parametrize("where", ["memory", "journal"])


async def out(book: Credentials, slot: str, *, again: bool = False) -> bool:
    """Take a place for a request."""
    return await book.take("toy", "digest", slot, again=again)


@IN_BOTH
@timeless
async def test_a_refused_credential_lets_nothing_out_for_ever(where: str, file: Path) -> None:
    """Neither a free place nor a later success makes it good again; another digest is another."""
    async with kept(where, file) as book:
        assert await out(book, "payout 1")
        await book.settle("toy", "digest", Standing.REFUSED)
        for again in (False, True):
            for slot in ("payout 1", "payout 2"):
                assert not await out(book, slot, again=again)
        await book.prove("toy", "payout 1")
        await book.settle("toy", "digest", Standing.PROVED)
        assert await book.standing("toy", "digest") is Standing.REFUSED
        assert await book.standing("toy", "another") is Standing.UNKNOWN
        assert await book.take("toy", "another", "payout 1", again=False)


@IN_BOTH
@timeless
async def test_three_are_out_each_until_it_is_free_or_for_a_minute(where: str, file: Path) -> None:
    """Of each credential apart."""
    async with kept(where, file) as book:
        assert [await out(book, f"payout {number}") for number in range(4)] == [True] * 3 + [False]
        assert await book.take("toy", "another", "payout 3", again=False)
        await book.free("toy", "digest", "payout 1")
        await asyncio.sleep(1)
        assert [await out(book, f"payout {number}") for number in (4, 5)] == [True, False]
        await asyncio.sleep(58.5)
        assert not await out(book, "payout 5")
        await asyncio.sleep(1)  # the first three are over, the one of a second later is not
        assert [await out(book, f"payout {number}") for number in (5, 6, 7)] == [True, True, False]


@IN_BOTH
@timeless
async def test_a_question_takes_the_place_of_its_order_once(where: str, file: Path) -> None:
    """Neither an order nor its question leaves twice; a question alone has a place like any."""
    async with kept(where, file) as book:
        assert await out(book, "payout 1")
        assert not await out(book, "payout 1")
        assert await out(book, "payout 1", again=True)
        assert not await out(book, "payout 1", again=True)
        assert not await out(book, "payout 1")
        assert await out(book, "payout 2", again=True)
        assert not await out(book, "payout 2", again=True)
        assert await out(book, "payout 3")
        assert not await out(book, "payout 4")
        assert await out(book, "payout 3", again=True)  # though three are out


@IN_BOTH
@timeless
async def test_a_request_that_is_out_no_more_proves_nothing(where: str, file: Path) -> None:
    """Which credential it was of is only known while it counts as out."""
    async with kept(where, file) as book:
        await out(book, "payout 1")
        await book.prove("toy", "payout 2")
        await book.prove("other", "payout 1")
        assert await book.standing("toy", "digest") is Standing.UNKNOWN
        await book.prove("toy", "payout 1")
        assert await book.standing("toy", "digest") is Standing.PROVED
