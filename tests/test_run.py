"""`run` is for what moves no money; what moves some is a verb, which the journal knows of."""

from decimal import Decimal

import pytest

from paymux import OutcomeUnknown, Payment, Pool, Status, UsageError, post
from paymux.http import Send
from paymux.models import Order

from .toys import Desk, Keyless, Said, Toy, Wire, answer, timeless

MOVES = "moves no money"


class Transfers(Toy, frozen=True, kw_only=True):
    """A toy that has an operation of its own."""

    name = "transfers"

    async def transfer(self, send: Send, *, to: str) -> Said:
        """Send money without an order."""
        return await send(post("/collect", Said, {"to": to}))

    async def look_then_transfer(self, send: Send) -> Said:
        """Look up first, and send money then."""
        await send(post("/payments/p1", Said, {}, money=False))
        return await self.transfer(send, to="me")

    async def careless(self, send: Send) -> str:
        """Take the refusal for any other error."""
        try:
            await self.transfer(send, to="me")
        except UsageError:
            return "never mind"
        return "sent"


class Steps(Keyless, frozen=True, kw_only=True):
    """A toy whose payout begins with a request that moves no money."""

    name = "steps"

    async def payout(self, send: Send, order: Order) -> Payment:
        """Pay out in two steps."""
        await send(post("/invoice", Said, {}, money=False))
        raise AssertionError("the first request left")


@timeless
async def test_money_is_refused_before_the_login() -> None:
    """A method that posts money sends nothing, not even its login."""
    wire = Wire(Desk(collect=answer(id="p1")))
    async with Pool(Transfers(), connection=wire) as pool:
        with pytest.raises(UsageError, match=MOVES) as caught:
            await pool.run("transfers", Transfers.transfer, to="me")
        assert caught.value.name == "method"
        assert "post(…, money=False)" in str(caught.value)
        assert wire.seen == []


@timeless
async def test_money_is_refused_as_the_second_request() -> None:
    """A look-up before it is sent, and the money is not."""
    wire = Wire(Desk(payments=answer(id="p1"), collect=answer(id="p2")))
    async with Pool(Transfers(), connection=wire) as pool:
        with pytest.raises(UsageError, match=MOVES):
            await pool.run("transfers", Transfers.look_then_transfer)
    assert [one.url.rsplit("/", 1)[1] for one in wire.seen] == ["login", "p1"]


@timeless
async def test_a_verb_of_money_sends_not_even_its_first_request() -> None:
    """A payout of two steps is refused before the first, which moves no money by itself."""
    wire = Wire(Desk())
    order = Order(
        account="steps", kind="payout", reference="x", amount=Decimal(5), currency="XAF", party="1"
    )
    async with Pool(Steps(), connection=wire) as pool:
        with pytest.raises(UsageError, match=MOVES):
            await pool.run("steps", Steps.payout, order)
    assert wire.seen == []


@timeless
async def test_a_method_that_catches_the_refusal_sends_no_money() -> None:
    """Whatever a driver makes of the error, the request does not leave."""
    wire = Wire(Desk(collect=answer(id="p1")))
    async with Pool(Transfers(), connection=wire) as pool:
        assert await pool.run("transfers", Transfers.careless) == "never mind"
    assert wire.seen == []


@timeless
async def test_the_error_shows_no_number() -> None:
    """A number in the path of a request is shortened in the error."""

    class Named(Keyless, frozen=True, kw_only=True):
        """A toy whose path has a number."""

        name = "named"

        async def give(self, send: Send) -> Said:
            """Send money."""
            return await send(post("/give/254708374149", Said, {}))

    async with Pool(Named(), connection=Wire(Desk())) as pool:
        with pytest.raises(UsageError) as caught:
            await pool.run("named", Named.give)
    assert "254708374149" not in f"{caught.value} {caught.value.value}"


@timeless
async def test_send_may_move_money_at_the_callers_own_risk() -> None:
    """`send` does it, and a lost answer is OutcomeUnknown with a payment of the account alone."""
    wire = Wire(Desk(collect=[answer(id="p1"), answer(500)]))
    async with Pool(Keyless(), connection=wire) as pool:
        assert (await pool.send("keyless", post("/collect", Said, {}))).id == "p1"
        with pytest.raises(OutcomeUnknown) as caught:
            await pool.send("keyless", post("/collect", Said, {}))
    assert caught.value.payment == Payment(
        account="keyless", provider="keyless", live=False, status=Status.PENDING
    )
    assert "own risk" in (Pool.send.__doc__ or "")
