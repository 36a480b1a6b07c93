"""The control API as a program meets it: lists, one payment, refusals, worlds, the page."""

import asyncio
import gc
import weakref
from typing import Any
from urllib.parse import quote

import pytest

from paymux import Pool
from paymux.models import Status
from paymux.simulator import Simulator
from paymux.simulator.control import door
from paymux.simulator.control.events import events_of
from paymux.simulator.records import BODY_BYTES
from paymux.simulator.worlds import IDLE_SECONDS

from ..toys import BASE, KEY
from .asking import CAMPAY, collect, raw, until
from .controlling import api, call

COLLECT = "/campay/api/collect/"


async def order(sim: Simulator, reference: str, number: str = "237670000000") -> str:
    """Collect by CamPay, and return the payment's id."""
    await raw(sim, "POST", COLLECT, collect(number, reference), CAMPAY)
    return sim.ledger.entries(reference)[-1].id


async def test_a_front_end_pays_with_curl_alone() -> None:
    """Without any program of ours: wait for the order, see it asked, pay with 0000, see it paid."""
    async with Simulator() as sim:
        waiting = asyncio.ensure_future(api(sim, "GET", "wait?reference=order-1&timeout=5"))
        await asyncio.sleep(0.01)
        await order(sim, "order-1")
        found = (await waiting).json
        assert found["asks"] is True
        assert (found["amount"], found["description"]) == ("500", "Data bundle")
        path = f"payments/{quote(found['id'])}"
        wrong = (
            await api(sim, "POST", f"{path}/answer", {"answer": "approve", "pin": "9999"})
        ).json
        assert (wrong["status"], wrong["tries_left"], wrong["asks"]) == ("pending", 2, True)
        paid = (await api(sim, "POST", f"{path}/answer", {"answer": "approve", "pin": "0000"})).json
        assert (paid["status"], paid["asks"]) == ("succeeded", False)
        steps = (await api(sim, "GET", path)).json["history"]
        assert [(step["status"], step["by"]) for step in steps] == [
            ("pending", "order"),
            ("succeeded", "payer"),
        ]
        again = await api(sim, "POST", f"{path}/answer", {"answer": "decline"})
        assert again.status == 409
        assert "succeeded at" in again.json["detail"]
        ledger = (await api(sim, "GET", "ledger")).json
        assert ledger["references"] == {"order-1": 1}
        assert ledger["totals"] == [
            {
                "provider": "campay",
                "kind": "collect",
                "currency": "XAF",
                "amount": "500",
                "orders": 1,
            }
        ]


async def test_the_third_wrong_pin_fails_the_payment() -> None:
    """As at an operator: WRONG_PIN, and no fourth try."""
    async with Simulator() as sim:
        path = f"payments/{quote(await order(sim, 'order-1'))}/answer"
        wrong = {"answer": "approve", "pin": "1234"}
        left = [(await api(sim, "POST", path, wrong)).json["tries_left"] for _ in range(3)]
        assert left == [2, 1, 0]
        [entry] = sim.ledger
        assert (entry.status, entry.reason) == (Status.FAILED, "wrong_pin")
        assert (await api(sim, "POST", path, wrong)).status == 409


async def test_a_list_is_read_page_by_page() -> None:
    """Newest first; `next` goes on without a gap, also while new ones come; null is the end."""
    async with Simulator() as sim:
        for number in range(7):
            await order(sim, f"order-{number}")
        seen, path = [], "payments?limit=3"
        while path:
            told = (await api(sim, "GET", path)).json
            seen += [one["reference"] for one in told["items"]]
            path = told["next"] and f"payments?limit=3&after={told['next']}"
            await order(sim, "late")
        assert seen == [f"order-{number}" for number in reversed(range(7))]
        rows, path = [], "requests?limit=4"
        while path:
            told = (await api(sim, "GET", path)).json
            rows += [one["n"] for one in told["items"]]
            path = told["next"] and f"requests?limit=4&after={told['next']}"
        assert rows == sorted(rows, reverse=True)
        assert len(rows) == 10


async def test_a_list_is_filtered() -> None:
    """By provider, reference and status; a word that is none of them is refused."""
    async with Simulator() as sim:
        await order(sim, "order-1")
        await order(sim, "order-2")
        sim.settle("order-2", Status.FAILED)
        for query, expected in (
            ("reference=order-1", ["order-1"]),
            ("status=failed", ["order-2"]),
            ("provider=campay&status=pending", ["order-1"]),
            ("provider=mpesa", []),
            ("asks=true", ["order-1"]),
            ("asks=false", ["order-2"]),
        ):
            told = (await api(sim, "GET", f"payments?{query}")).json
            assert [one["reference"] for one in told["items"]] == expected
        requests = (await api(sim, "GET", "requests?reference=order-2")).json["items"]
        assert [one["reference"] for one in requests] == ["order-2"]
        for query in (
            "status=paid",
            "provider=nobody",
            "limit=0",
            "limit=many",
            "asks=1",
            "sort=up",
        ):
            assert (await api(sim, "GET", f"payments?{query}")).status == 400


async def test_what_was_exchanged_is_shown_redacted() -> None:
    """Bodies and headers of both sides, without credentials; a look-up names its order, too."""
    async with Simulator() as sim:
        await raw(
            sim, "POST", "/campay/api/token/", {"username": "simulator", "password": "hush-hush"}
        )
        id = await order(sim, "order-1")
        path = f"/campay/api/transaction/{id.partition(':')[2]}/"
        await raw(sim, "GET", path, headers=CAMPAY)
        login, made, looked = [(await api(sim, "GET", f"requests/{n}")).json for n in (1, 2, 3)]
        assert "hush-hush" not in login["request_body"]
        assert made["request_headers"]["authorization"] == "***"
        assert '"order-1"' in made["request_body"]
        assert '"ussd_code"' in made["response_body"]
        assert made["response_headers"]["content-type"] == "application/json"
        assert made["reference"] == looked["reference"] == "order-1"
        assert made["ms"] >= 0


async def test_memory_is_bounded() -> None:
    """With `keep`, the newest requests and webhooks stay, and the first 64 KiB of their bodies."""
    async with Simulator(keep=3) as sim:
        sim.on_webhook(lambda incoming: None)
        sim.campay.webhook_url = "http://127.0.0.1:1/"
        for number in range(5):
            await order(sim, f"order-{number}")
            sim.settle(f"order-{number}", Status.SUCCEEDED)
        await until(lambda: len(sim.deliveries) == 3 and sim.deliveries[-1].n == 5)
        assert [one.n for one in sim.requests] == [3, 4, 5]
        assert (await api(sim, "GET", "requests/2")).status == 404
        assert (await api(sim, "GET", "deliveries/2")).status == 404
        await raw(sim, "POST", COLLECT, {"x": "y" * 100_000}, CAMPAY)
        assert len(sim.requests[-1].body) == BODY_BYTES


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("POST", "reset", b"{", 400, "body"),
        ("POST", "reset", b"[]", 400, "body"),
        ("POST", "reset", b"[" * 60_000, 400, "body"),
        ("POST", "reset", b'{"seed":"\xff"}', 400, "body"),
        ("POST", "reset", {"sead": 1}, 400, "body"),
        ("POST", "faults", {"provider": "campay"}, 400, "kind"),
        ("POST", "reset", b'"' + b"x" * (64 << 10) + b'"', 413, "body"),
        ("GET", "payments/campay:nothing", None, 404, "id"),
        ("POST", "payments/nothing/answer", {"answer": "approve"}, 404, "id"),
        ("GET", "requests/1", None, 404, "n"),
        ("GET", "requests/x", None, 404, "n"),
        ("GET", "requests/%C2%B2", None, 404, "n"),
        ("POST", "deliveries/1/again", {}, 404, "n"),
        ("DELETE", "faults/1", None, 404, "n"),
        ("GET", "nothing", None, 404, None),
        ("GET", "payments/a/b/c", None, 404, None),
        ("PUT", "payments", {}, 405, "method"),
        ("TRACE", "payments", None, 405, "method"),
        ("GET", "env?format=xml", None, 400, "format"),
        ("GET", "wait", None, 400, "reference"),
        ("GET", "wait?reference=x&timeout=0", None, 400, "timeout"),
        ("GET", "events?after=x", None, 400, "after"),
        ("GET", "wait?reference=x&timeout=0.01", None, 408, "timeout"),
    ],
)
async def test_a_refusal_says_what_would_do(
    method: str, path: str, body: Any, status: int, field: str | None
) -> None:
    """Each is problem+json with the status, a sentence and the field."""
    async with Simulator() as sim:
        answer = await api(sim, method, path, body)
        assert answer.headers["content-type"] == "application/problem+json"
        told = answer.json
        assert (answer.status, told["status"], told["field"]) == (status, status, field)
        assert told["title"]
        assert told["detail"]


async def test_a_body_that_never_ends_is_refused() -> None:
    """A chunked body is cut off at 64 KiB."""
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    async with Simulator() as sim:
        answer = await api(
            sim, "POST", "reset", chunk * 4, transfer_encoding="chunked", content_length=None
        )
        assert answer.status == 413
    assert door.BODY_BYTES == 64 << 10


async def test_worlds_do_not_know_each_other() -> None:
    """Each has its own ledger, faults, payers and settings, and its URLs have its prefix."""
    async with Simulator() as sim:
        opened = (await api(sim, "POST", "worlds", {"name": "t1", "seed": 5})).json
        assert opened == {
            "name": "t1",
            "url": f"{sim.url}/w/t1",
            "control": f"{sim.url}/w/t1/_paymux",
        }
        world = sim.worlds.get("t1")
        assert world is not None
        await raw(sim, "POST", f"/w/t1{COLLECT}", collect(reference="order-1"), CAMPAY)
        fault = {"provider": "campay", "kind": "html"}
        assert (await call(sim, "POST", "/w/t1/_paymux/faults", fault)).status == 201
        assert len(world.ledger) == len(world.core.faults.planned) == 1
        assert len(sim.ledger) == len(sim.core.faults.planned) == 0
        assert (await call(sim, "POST", "/w/t1/_paymux/reset", {})).status == 200
        assert len(world.ledger) == 0
        assert (await api(sim, "POST", "worlds", {"name": "t1"})).status == 400
        assert (await call(sim, "GET", "/w/nobody/_paymux/health")).status == 404


async def test_a_pool_works_in_a_world() -> None:
    """A world's drivers and checkout pages lie below its prefix, on the socket and without."""
    async with Simulator() as sim:
        world = sim.world()
        driver = world.driver("paydunya")
        for pool in (Pool(driver), Pool(driver, connection=world.connection)):
            async with pool:
                payment = await pool.collect(
                    "paydunya", amount=500, currency="XOF", reference=f"order-{len(world.ledger)}"
                )
            assert (payment.checkout_url or "").startswith(f"{world.url}/paydunya/")
        assert (len(world.ledger), len(sim.ledger)) == (2, 0)


async def test_a_hundred_worlds_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """The idle one that was used longest ago is forgotten; without an idle one it is 429."""
    now = [1000.0]
    monkeypatch.setattr("paymux.simulator.worlds.monotonic", lambda: now[0])
    async with Simulator(providers=["campay"]) as sim:
        for number in range(100):
            sim.world(f"t{number}")
        refused = await api(sim, "POST", "worlds", {})
        assert (refused.status, refused.json["field"]) == (429, "name")
        now[0] += IDLE_SECONDS
        sim.worlds.get("t0")
        oldest = sim.worlds._open["t1"]
        events_of(oldest)  # as if a stream had been open
        gone = weakref.ref(oldest)
        del oldest
        assert (await api(sim, "POST", "worlds", {"name": "more"})).status == 201
        assert len(sim.worlds) == 100
        assert sim.worlds.get("t0") is not None
        assert sim.worlds.get("t1") is None
        await asyncio.sleep(0)
        gc.collect()
        assert gone() is None


@pytest.mark.parametrize("name", ["", "UP", "a/b", "-a", "a" * 64, "é", 7])
async def test_a_worlds_name_is_a_plain_word(name: Any) -> None:
    """Any other is refused: it stands in URLs."""
    async with Simulator() as sim:
        assert (await api(sim, "POST", "worlds", {"name": name})).json["field"] == "name"


async def test_a_payers_habits_hold_until_they_are_forgotten() -> None:
    """PUT decides what a number does, also a magic one; DELETE lets it do what it did."""
    async with Simulator(payer_delay=0.0) as sim:
        await api(sim, "PUT", "payers/+237677777777", {"answer": "no_money", "after": 0})
        await order(sim, "order-1", "237677777777")
        await until(lambda: sim.ledger.entries("order-1")[0].status.terminal)
        assert sim.ledger.entries("order-1")[0].reason == "insufficient_funds"
        assert (await api(sim, "DELETE", "payers/237677777777")).status == 200
        await order(sim, "order-2", "237677777777")
        await until(lambda: sim.ledger.entries("order-2")[0].moved)
        assert (await api(sim, "DELETE", "payers/237677777777")).status == 400
        await api(sim, "PUT", "payers/237677777777", {"pin": "4321"})
        id = quote(await order(sim, "order-3", "237677777777"))
        [known, *magic] = (await api(sim, "GET", "payers")).json["items"]
        assert (known["number"], known["provider"], known["answer"]) == ("237677777777", None, None)
        told = {name for name, one in sim.providers.items() if getattr(one, "numbers", None)}
        assert {one["provider"] for one in magic} == told
        assert ("237677777771", "insufficient_funds") in [
            (one["number"], one["reason"]) for one in magic
        ]
        answered = await api(
            sim, "POST", f"payments/{id}/answer", {"answer": "approve", "pin": "4321"}
        )
        assert answered.json["status"] == "succeeded"


async def test_a_reset_keeps_what_was_set() -> None:
    """Orders, logs, faults, payers and balances go; settings, tokens and registered URLs stay."""
    async with Simulator() as sim:
        sim.campay.webhook_url = "http://127.0.0.1:1/"
        sim.campay.magic["237600000000"] = next(iter(sim.campay.magic.values()))
        sim.mpesa.c2b.registered["600000"] = registered = object()
        token = sim.campay.tokens.issue("kept")
        sim.settle(await order(sim, "order-1"), Status.SUCCEEDED)
        before = sim.campay
        sim.reset()
        assert sim.campay is not before
        assert sim.campay.webhook_url == "http://127.0.0.1:1/"
        assert "237600000000" in sim.campay.magic
        assert token in sim.campay.tokens
        assert sim.mpesa.c2b.registered["600000"] is registered
        assert sim.campay.floats["MTN"] == 1_000_000
        assert (len(sim.ledger), sim.requests, sim.deliveries) == (0, [], [])
        await order(sim, "order-1")
        assert sim.requests[0].n == 2


async def test_the_lines_to_paste_are_an_environment() -> None:
    """What `env` prints makes a pool, in each form that Python can read."""
    async with Simulator() as sim:
        lines = (await api(sim, "GET", "env?format=dotenv")).body.decode().splitlines()
        environment = dict(line.split("=", 1) for line in lines)
        async with Pool.from_env(environment) as pool:
            assert sorted(pool.drivers) == sorted(sim.providers)
            assert (await pool.balance("campay")).available > 0
        async with Pool.from_env(environment, webhook_base=BASE, webhook_key=KEY) as pool:
            paid = await pool.payout(
                "mpesa", amount=500, currency="KES", payee="254708374149", reference="wages-1"
            )
            assert paid.status is Status.PENDING  # accepted: the lines have what a payout needs
        told = (await api(sim, "GET", "env?format=json")).json
        assert told["accounts"]["campay"]["base_url"] == f"{sim.url}/campay/api"
        for name, start in (("sh", b"export "), ("powershell", b"$env:"), ("toml", b"[accounts.")):
            assert (await api(sim, "GET", f"env?format={name}")).body.startswith(start)


async def test_bytes_that_are_no_request_are_refused_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A broken client gets 400, and the terminal stays readable."""
    async with Simulator() as sim:
        assert (await call(sim, "GET", "/_paymux/\xb2")).status == 400
        assert (await api(sim, "GET", "health")).status == 200
    assert caplog.records == []
