"""An account of several logins: each request is signed by its own, at its own host."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from paymux import NotSent, Payment, Pool
from paymux.drivers.base import Token
from paymux.errors import AuthenticationFailed, ProviderError
from paymux.http import PreparedRequest, Request, Response, Send, post
from paymux.models import Order
from paymux.primitives.redaction import Secret
from paymux.values.parsing import Empty, Unreadable, decode

from .notify.world import file
from .toys import Keyless, Login, Said, Wire, answer, run, timeless

__all__ = ["file"]

OTHER = "https://payouts.toy.example"


class Two(Keyless, frozen=True, kw_only=True):
    """A toy with a login for payouts, at another host."""

    name = "two"

    def url_of(self, login: str) -> str:
        return OTHER if login == "payouts" else self.url

    async def login(self, send: Send, name: str) -> Token | None:
        said = await send(post("/login", Login, {"as": name}, money=False, login=name))
        return Token(Secret(said.token), said.expires_in)

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        return request.with_headers({"Authorization": f"Bearer {token}"})

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        if reply.status == 401:
            return AuthenticationFailed("stale")
        return super().judge(request, reply)

    async def collect(self, send: Send, order: Order) -> Payment:
        return self.payment(await send(post("/collect", Said, {}, login="collects")), "collect")

    async def payout(self, send: Send, order: Order) -> Payment:
        return self.payment(await send(post("/payout", Said, {}, login="payouts")), "payout")


class Bank:
    """Gives each login tokens of its own, and refuses those of another."""

    def __init__(self) -> None:
        self.logins: list[str] = []
        self.stale: set[str] = set()
        self.down: set[str] = set()
        self.seen: list[tuple[str, str]] = []

    def __call__(self, outgoing: PreparedRequest) -> Response:
        if outgoing.url.endswith("/login"):
            name = json.loads(outgoing.body or b"")["as"]
            self.logins.append(name)
            if name in self.down:
                return answer(503)
            return answer(token=f"{name}-{len(self.logins)}", expires_in=3600)
        token = outgoing.headers["Authorization"].split()[1]
        self.seen.append((outgoing.url, token))
        if token in self.stale:
            return answer(401)
        return answer(id=f"id-{len(self.seen)}", status="WAIT")


async def ask(pool: Pool, number: int) -> None:
    order: dict[str, Any] = {"amount": 500, "currency": "XAF", "reference": f"order-{number}"}
    await pool.collect("two", payer="+237670000001", **order)
    await pool.payout("two", payee="+237670000001", **order)


@timeless
async def test_each_request_has_the_token_and_the_host_of_its_login() -> None:
    """Each login is made once, whatever the number of requests, and none signs another's."""
    bank = Bank()
    async with Pool(Two(), connection=Wire(bank)) as pool:
        await asyncio.gather(*(ask(pool, number) for number in range(20)))
    assert sorted(bank.logins) == ["collects", "payouts"]
    for url, token in bank.seen:
        assert token.startswith("payouts") == url.startswith(OTHER) == url.endswith("/payout")


@timeless
async def test_a_stale_token_of_one_login_renews_no_other() -> None:
    """Only the login whose token was refused is repeated."""
    bank = Bank()
    async with Pool(Two(), connection=Wire(bank)) as pool:
        await ask(pool, 1)
        bank.stale = {token for _, token in bank.seen if token.startswith("payouts")}
        await ask(pool, 2)
    assert sorted(bank.logins) == ["collects", "payouts", "payouts"]


@timeless
async def test_a_login_that_fails_stops_no_other() -> None:
    """Money that enters is not refused because the credentials for payouts are wrong."""
    bank = Bank()
    bank.down = {"payouts"}
    order: dict[str, Any] = {"amount": 500, "currency": "XAF", "reference": "order-1"}
    async with Pool(Two(), connection=Wire(bank)) as pool:
        with pytest.raises(NotSent, match="login"):
            await pool.payout("two", payee="+237670000001", **order)
        await pool.collect("two", payer="+237670000001", **order)


def test_the_tokens_of_a_login_are_shared_through_the_journal(file: Path) -> None:
    """A second worker logs in by neither of them."""

    async def main() -> None:
        bank = Bank()
        how: dict[str, Any] = {
            "journal": file,
            "webhook_base": "https://shop.example/pay",
            "webhook_key": "0123456789abcdef-hooks",
        }
        async with Pool(Two(), connection=Wire(bank), **how) as one:
            await ask(one, 1)
            async with Pool(Two(), connection=Wire(bank), **how) as two:
                await ask(two, 2)
        assert sorted(bank.logins) == ["collects", "payouts"]

    run(main())


@timeless
async def test_all_tokens_are_removed_from_what_is_shown() -> None:
    """An account's secrets are the tokens of each of its logins, too."""
    async with Pool(Two(), connection=Wire(Bank())) as pool:
        await ask(pool, 1)
        engine = pool.internals.engine
        shown = engine.secrets(engine.driver("two"))
        assert {text.split("-")[0] for text in shown} >= {"collects", "payouts"}


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_an_answer_of_a_status_alone_may_be_empty(body: bytes) -> None:
    """Where a page shows no body, none is needed."""
    assert decode(Empty, body) == Empty()


@pytest.mark.parametrize(
    "body", [b"<html>Rejected</html>", b"[]", b"null", b"1", b" ", b'{"error": 1}']
)
def test_a_page_is_no_empty_answer(body: bytes) -> None:
    """A firewall's page with 200 is no answer, also where nothing is read."""
    with pytest.raises(Unreadable):
        decode(Empty, body)
