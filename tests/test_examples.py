"""The programs of paymux/examples run unchanged; the shops and bots have tests of their own."""

import ast
import asyncio
import contextlib
import inspect
import json
import os
import re
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import celery
import psycopg
import pytest
from fastapi.testclient import TestClient

import paymux.watch.schedule
from paymux import CamPay, Pool, Status, WebhookRequest
from paymux.examples import fastapi_shop
from paymux.simulator import Fault, Simulator

from .clusters import Cluster
from .programs import MPESA_SHOP, free_ports
from .toys import BASE, KEY

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FILES = sorted((ROOT / "paymux" / "examples").glob("[!_]*.py"))
WHOLE = "fastapi_shop"  # the program that stands in the README
NUMBER = "237677777777"
ORDER: dict[str, Any] = {"amount": 500, "currency": "XAF", "payer": NUMBER}


def settings(sim: Simulator, folder: Path, **accounts: str) -> dict[str, str]:
    """Give the environment of a program: accounts with their drivers, and a journal."""
    given = {
        **os.environ,
        "PAYMUX_JOURNAL": str(folder / "payments.db"),
        "PAYMUX_WEBHOOK_BASE": BASE,
        "PAYMUX_WEBHOOK_KEY": KEY,
    }
    for account, name in accounts.items():
        provider = sim.providers[name]
        url = f"{provider.url}{provider.base_path}"
        fields = {**provider.credentials, "driver": name, "base_url": url}
        given |= {f"PAYMUX_{account}__{field}".upper(): text for field, text in fields.items()}
    return given


@contextlib.asynccontextmanager
async def running(
    *command: str, env: Mapping[str, str], errors: int | None = asyncio.subprocess.PIPE
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a Python program, and end it with all that it started."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", *command),
        env=env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


async def ran(name: str, *words: str, env: Mapping[str, str], given: str = "") -> tuple[int, str]:
    """Run an example to its end; return its exit code and what it printed."""
    async with running("-m", f"paymux.examples.{name}", *words, env=env) as process:
        said, errors = await asyncio.wait_for(process.communicate(given.encode()), 60)
    assert not re.search("Traceback|Warning", errors.decode()), errors.decode()
    assert process.returncode is not None
    return process.returncode, said.decode()


# The files.


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_says_what_to_install_and_how_it_runs(file: Path) -> None:
    """Its docstring has both lines, and the README names it."""
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    assert f"`{file.stem}`" in README or f"`{file.name}`" in README or file.stem == WHOLE
    if file.stem in ("chats", "till", "shop_page"):  # what others share
        return
    install, run = re.findall("^    (.*)$", text, flags=re.MULTILINE)[:2]
    assert install.startswith("pip install paymux")
    assert f"paymux.examples.{file.stem}" in run or f"paymux/examples/{file.name}" in run


async def test_the_examples_are_typed_from_outside(tmp_path: Path) -> None:
    """Copied away, each passes `mypy --strict` with an installed paymux."""
    for file in FILES:
        shutil.copy(file, tmp_path / file.name)
    names = ["asyncpg", "celery", "django", "backoff"]
    settings = [f"[mypy-{name}.*]\nignore_missing_imports = True\n" for name in names]
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = True\n" + "".join(settings))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mypy", *(file.name for file in FILES)),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 110)
    assert process.returncode == 0, said.decode()


def test_the_readme_has_one_whole_program() -> None:
    """It is the shop in FastAPI, word for word."""
    (shown,) = re.findall(
        r"^## A shop\n.*?```python no-run\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE
    )
    assert shown == inspect.getsource(fastapi_shop)


# Programs that run to their end.


async def test_bulk_verifies_a_file_of_payments(tmp_path: Path) -> None:
    """Each row is looked up; another amount, an unknown reference and a bad row are named."""
    async with Simulator(payer_delay=0.0) as sim:
        async with Pool(sim.driver("campay")) as pay:
            paid = [await pay.collect("campay", reference=f"order-{n}", **ORDER) for n in range(50)]
        rows = [f"campay,{one.provider_reference},500,XAF" for one in paid]
        rows[7] = rows[7].replace("500", "900")
        rows += [
            "campay,never-seen,500,XAF",
            "campay,empty,,XAF",
            "campay,wrong,12x,XAF",
            "campay",
            ",,,",
        ]
        table = "\n".join(["account,provider_reference,amount,currency", *rows])
        code, said = await ran("bulk", env=settings(sim, tmp_path, campay="campay"), given=table)
    assert code == 1
    assert f"campay {paid[7].provider_reference}: another payment" in said
    assert "campay never-seen: not verified" in said
    assert "campay wrong: not verified: items.amount: '12x' is refused" in said
    assert said.splitlines()[-1] == "Mismatch: 1, NotFound: 2, UsageError: 3, succeeded: 49"


async def test_split_pays_each_share_once(tmp_path: Path) -> None:
    """Run again, it pays no payee twice; a lost answer is named, and never sent again."""
    async with Simulator() as sim:
        env = settings(sim, tmp_path, paydunya="paydunya")
        first = await ran("split", "order-9", "4200", env=env)
        assert await ran("split", "order-9", "4200", env=env) == first
        said = ["seller@example.com 3570 succeeded", "courier@example.com 420 succeeded"]
        assert first == (0, "\n".join([*said, ""]))
        assert sim.ledger.paid_out() == 3990
        sim.fault(
            "paydunya", "POST /sandbox-api/v1/direct-pay/credit-account", kind=Fault.DROP_AFTER
        )
        code, lost = await ran("split", "order-10", "100", env=env)
        assert (code, lost.count("unknown:")) == (1, 1)


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("payroll 2026-11", "PAYMUX_WEBHOOK_BASE"),
        ("payroll 2026-11", "PAYMUX_WEBHOOK_KEY"),
        ("payroll 2026-11", "PAYMUX_JOURNAL"),
        ("payroll", None),  # the month is missing
        ("supplier invoice-7 till:600998 900", "PAYMUX_JOURNAL"),
        ("supplier invoice-7", None),  # payee and amount are missing
        ("paybill_shop", "PAYMUX_WEBHOOK_BASE"),
        ("paybill_shop --register 0722000000", "PAYMUX_WEBHOOK_KEY"),
        ("paybill_shop", "ORDERS"),
        ("paybill_shop --register", None),
    ],
)
async def test_a_program_without_its_settings_says_what_it_needs(
    tmp_path: Path, command: str, missing: str | None
) -> None:
    """It prints its docstring, in place of a traceback, and ends with 1."""
    async with Simulator() as sim:
        env = {**settings(sim, tmp_path, mpesa="mpesa"), "ORDERS": str(tmp_path / "orders")}
    env = {name: value for name, value in env.items() if name != missing}
    name, *words = command.split()
    async with running("-m", f"paymux.examples.{name}", *words, env=env) as process:
        said, errors = await asyncio.wait_for(process.communicate(), 60)
    file = ROOT / "paymux" / "examples" / f"{name}.py"
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")), clean=False)
    assert (process.returncode, said.decode(), errors.decode()) == (1, "", f"{text}\n")
    assert not list(tmp_path.iterdir())


SALARIES = "id,phone,amount\nann,254708374149,5000\nben,254708374149,7000\n"


def payroll(sim: Simulator, folder: Path) -> dict[str, str]:
    """Give the environment of the payroll: an API user, and a port for M-Pesa's messages."""
    (port,) = free_ports(1)
    return {
        **settings(sim, folder, mpesa="mpesa"),
        "PAYMUX_MPESA__INITIATOR_NAME": "simulator",
        "PAYMUX_MPESA__SECURITY_CREDENTIAL": "simulator",
        "PAYMUX_WEBHOOK_BASE": f"http://127.0.0.1:{port}/pay",
        "PORT": str(port),
    }


async def test_payroll_pays_each_salary_once(tmp_path: Path) -> None:
    """Run again, it pays nothing twice, also one whose answer was lost: that one is asked for."""
    async with Simulator(payer_delay=0.0) as sim:
        env = payroll(sim, tmp_path)
        code, said = await ran("payroll", "2026-11", env=env, given=SALARIES)
        assert (code, said.splitlines()[0]) == (0, "balance: 1000000.00")
        assert "2026-11-ann succeeded" in said
        assert "book: 2026-11-ben 7000 succeeded" in said
        assert "2 of 2 are paid" in said
        code, said = await ran("payroll", "2026-11", env=env, given=SALARIES)
        assert (code, said.count("book:"), said.count("succeeded")) == (0, 0, 2)
        sim.fault("mpesa", "POST /mpesa/b2c/v3/paymentrequest/", kind=Fault.DROP_AFTER)
        code, said = await ran("payroll", "2026-12", env=env, given=SALARIES)
        assert (code, said.count("succeeded")) == (0, 4)
        assert sim.ledger.paid_out() == 24_000
        wrong = SALARIES.replace("7000", "900")
        code, said = await ran("payroll", "2026-12", env=env, given=wrong)
        assert (code, "2026-12-ben not paid now:" in said) == (1, True)
        assert sim.ledger.paid_out() == 24_000


async def test_payroll_pays_phones_at_their_networks(tmp_path: Path) -> None:
    """At PayDunya each row names its network; a lost submit is asked for by its token."""
    (port,) = free_ports(1)
    rows = "id,phone,amount,network\nawa,+221770000007,5000,wave\nben,+221770000007,7000,orange\n"
    async with Simulator(payer_delay=0.0) as sim:
        env = {
            **settings(sim, tmp_path, paydunya="paydunya"),
            "PAYROLL": "paydunya XOF",
            "PAYMUX_WEBHOOK_BASE": f"http://127.0.0.1:{port}/pay",
            "PAYMUX_WEBHOOK_KEY": "0123456789abcdef",
            "PORT": str(port),
        }
        sim.fault("paydunya", "POST /api/v2/disburse/submit-invoice", kind=Fault.DROP_AFTER)
        code, said = await ran("payroll", "2026-11", env=env, given=rows)
        assert (code, "2 of 2 are paid" in said) == (0, True), said
        assert (await ran("payroll", "2026-11", env=env, given=rows))[0] == 0
        assert sim.ledger.paid_out() == 12_000


@pytest.mark.parametrize(
    ("account", "currency", "numbers", "network", "path"),
    [
        ("wave", "XOF", ("221771234567", "221771234568"), "", "/v1/payout"),
        ("intram_merchant", "XOF", ("2290161234567", "2290161234568"), "mtn", "/payouts"),
        ("mtn_momo", "UGX", ("256772123456", "256772123457"), "", "/transfer"),
        ("pawapay", "RWF", ("250783456789", "250783456789"), "mtn", "/v2/payouts"),
    ],
)
async def test_payroll_pays_where_the_id_is_ours(
    tmp_path: Path,
    account: str,
    currency: str,
    numbers: tuple[str, str],
    network: str,
    path: str,
) -> None:
    """One setting names the account; a salary whose answer is lost is sent again with its key."""
    first, second = numbers
    rows = f"id,phone,amount,network\nawa,{first},5000,{network}\nben,{second},7000,{network}\n"
    async with Simulator(payer_delay=0.0, default=Status.SUCCEEDED) as sim:
        accounts = settings(sim, tmp_path, **{account: account})
        if account == "pawapay":  # which has a wallet for each country: the one that pays
            accounts["PAYMUX_PAWAPAY__WALLET"] = "RWA/RWF"
        env = {**accounts, **payroll(sim, tmp_path), "PAYROLL": f"{account} {currency}"}
        sim.fault(account, f"POST {path}", kind=Fault.DROP_AFTER)
        code, said = await ran("payroll", "2026-11", env=env, given=rows)
        assert (code, "2 of 2 are paid" in said) == (0, True), said
        assert (await ran("payroll", "2026-11", env=env, given=rows))[0] == 0
        assert sim.ledger.paid_out() == 12_000
        assert len(sim.received(account, f"POST {path}")) == 3


async def test_a_supplier_is_paid_once(tmp_path: Path) -> None:
    """By paybill and till; again, and after a lost answer, it is never sent a second time."""
    async with Simulator(payer_delay=0.0) as sim:
        env = {**payroll(sim, tmp_path), "WAIT": "3"}
        bill = ("invoice-7", "paybill:600000", "1500")
        code, said = await ran("supplier", *bill, env=env)
        assert (code, "bill_reference" in said) == (1, True)
        for _ in range(2):
            code, said = await ran("supplier", *bill, "353353", env=env)
            assert (code, "invoice-7 succeeded S" in said) == (0, True)
        sim.fault("mpesa", "POST /mpesa/b2b/v1/paymentrequest/", kind=Fault.DROP_AFTER)
        for _ in range(2):  # its result ends it, although its answer was lost
            code, said = await ran("supplier", "invoice-8", "till:600000", "700", env=env)
            assert (code, "invoice-8 succeeded S" in said) == (0, True)
        sim.fault("mpesa", "POST /mpesa/b2b/v1/paymentrequest/", kind=Fault.DROP_AFTER)
        for _ in range(2):  # no result comes, and nothing can be asked
            code, said = await ran("supplier", "invoice-9", "till:600004", "900", env=env)
            assert (code, "invoice-9 pending without a receipt" in said) == (1, True)
        assert sim.ledger.paid_out() == 2200
        assert len(sim.received("mpesa", "POST /mpesa/b2b/v1/paymentrequest/")) == 3


async def test_payroll_pays_by_transfers(tmp_path: Path) -> None:
    """With another provider's account one setting changes, and each salary is paid once."""
    salaries = "id,phone,amount\nann,+2250700000007,5000\nben,+221770000007,7000\n"
    async with Simulator(payer_delay=0.0, default=Status.SUCCEEDED) as sim:
        env = {
            **settings(sim, tmp_path, cinetpay_transfer="cinetpay_transfer"),
            **payroll(sim, tmp_path),
            "PAYROLL": "cinetpay_transfer XOF",
        }
        code, said = await ran("payroll", "2026-11", env=env, given=salaries)
        assert (code, said.splitlines()[0]) == (0, "balance: 10000000")
        assert "2 of 2 are paid" in said
        sim.fault("cinetpay_transfer", "POST /money/send/contact/", kind=Fault.DROP_AFTER)
        code, said = await ran("payroll", "2026-12", env=env, given=salaries)
        assert (code, "2 of 2 are paid" in said) == (0, True)
        assert sim.ledger.paid_out() == 24_000


async def test_payroll_pays_by_cinetpays_api_of_2026(tmp_path: Path) -> None:
    """The balance is printed, and a salary whose answer is lost is found by its reference."""
    (port,) = free_ports(1)
    rows = "id,phone,amount,network\nawa,0700000007,5000,orange\nben,0700000007,7000,orange\n"
    async with Simulator(payer_delay=0.0) as sim:
        env = {
            **settings(sim, tmp_path, cinetpay_v1="cinetpay_v1"),
            "PAYROLL": "cinetpay_v1 XOF",
            "PAYMUX_WEBHOOK_BASE": f"http://127.0.0.1:{port}/pay",
            "PAYMUX_WEBHOOK_KEY": "0123456789abcdef",
            "PORT": str(port),
        }
        sim.fault("cinetpay_v1", "POST /v1/transfer", kind=Fault.DROP_AFTER)
        code, said = await ran("payroll", "2026-11", env=env, given=rows)
        assert (code, "2 of 2 are paid" in said) == (0, True), said
        assert "balance: 1000000.00" in said
        assert (await ran("payroll", "2026-11", env=env, given=rows))[0] == 0
        assert sim.ledger.paid_out() == 12_000


async def test_payroll_goes_on_after_a_crash(tmp_path: Path) -> None:
    """Killed while a result is awaited, it names what was open, and pays the rest."""
    async with Simulator(payer_delay=1.0) as sim:
        env = payroll(sim, tmp_path)
        command = ("-m", "paymux.examples.payroll", "2026-11")
        async with running(*command, env=env) as first:
            assert first.stdin is not None
            first.stdin.write(SALARIES.encode())
            first.stdin.close()
            await until(lambda: sim.received("mpesa", "POST /mpesa/b2c/v3/paymentrequest/"))
            await asyncio.sleep(0.3)
            first.kill()
            await first.wait()
        code, said = await ran("payroll", "2026-11", env=env, given=SALARIES)
        assert code == 0, said
        assert "2026-11-ann was left open:" in said
        assert "2 of 2 are paid" in said
        assert sim.ledger.paid_out() == 12_000


# It waits two minutes for an order that may get the same receipt.
AT_ONCE = """
import runpy
from paymux.core.notify import unconfirmed

unconfirmed.RECEIPT_WAIT_SECONDS, unconfirmed.SCAN_SECONDS = 0.2, 0.2
runpy.run_module("paymux.examples.paybill_shop", run_name="__main__")
"""


async def test_a_customer_is_asked_for_one_standing_order(tmp_path: Path) -> None:
    """Asked twice, the customer has one of the name; without its page, nothing is asked."""
    async with Simulator() as sim:
        env = {
            **settings(sim, tmp_path, mpesa="mpesa"),
            "PAYMUX_WEBHOOK_BASE": "http://127.0.0.1:1/pay",
        }
        asked = ("standing_order", "254708374149", "gym-4711", "500")
        assert (await ran(*asked, env=env))[0] == 1
        for _ in range(2):
            code, said = await ran(*asked, env={**env, "RATIBA_PAGE": "2026"})
            assert (code, said.startswith("asked: ")) == (0, True)
        [made] = sim.mpesa.ratiba.made
    assert (made.every, made.amount, made.bill) == ("Monthly", 500, "gym-4711")


async def test_a_paybill_shop_hears_of_what_its_customers_pay(tmp_path: Path) -> None:
    """Each payment is told once: one ships, one is for a person; a third is never made."""
    (port,) = free_ports(1)
    (tmp_path / "orders").write_text("order-8 500\norder-9 700\n", encoding="utf-8")
    async with Simulator() as sim:
        env = {
            **settings(sim, tmp_path, mpesa="mpesa"),
            "PAYMUX_MPESA__ADOPT_C2B": "true",
            "PAYMUX_MPESA__BUSINESS_NAME": "Mama's Duka",
            "PAYMUX_WEBHOOK_BASE": f"http://127.0.0.1:{port}/pay",
            "PORT": str(port),
            "ORDERS": str(tmp_path / "orders"),
            "PYTHONUNBUFFERED": "1",
        }
        code, said = await ran("paybill_shop", "--register", "0722000000", env=env)
        assert (code, said.count("uccessfully")) == (0, 2)
        async with running("-c", AT_ONCE, env=env) as server:
            log = asyncio.create_task(logged(server))
            await until(lambda: _listens(port))
            async with (
                aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
                session.get("/code/order-8") as code_of,
                session.get("/code/order-10") as unknown,
            ):
                assert (await code_of.read()).startswith(b"\x89PNG")
                assert (code_of.content_type, unknown.status) == ("image/png", 404)
            assert sim.mpesa.qr.made[0].bill == "order-8"
            paid = sim.mpesa.pays(bill="ORDER-8", amount=500)
            cheap = sim.mpesa.pays(bill="order-9", amount=1)
            refused = sim.mpesa.pays(bill="order-10", amount=900)
            await until(lambda: refused.status is Status.CANCELLED and cheap.moved and paid.moved)
            await asyncio.sleep(5)
            server.terminate()
            said = await asyncio.wait_for(log, 60)
    assert said.count("ship:") == said.count(f"ship: order-8 {paid.words['receipt']}") == 1
    assert said.count("for a person:") == said.count(f"{cheap.words['receipt']} 1.00 order-9") == 1
    assert "Traceback" not in said, said


@pytest.mark.parametrize(
    "lost", [False, True], ids=["killed while watching", "killed while the answer is awaited"]
)
async def test_crash_survives_one(tmp_path: Path, *, lost: bool) -> None:
    """Killed and run again, it charges once, and says truthfully what it does not know."""
    async with Simulator(payer_delay=1.0) as sim:
        env = settings(sim, tmp_path, campay="campay")
        command = ("-m", "paymux.examples.crash", "order-10", "900", NUMBER)
        if lost:
            sim.fault("campay", "POST /api/collect/", kind=Fault.STALL)
        async with running(*command, env=env) as first:
            while not sim.received("campay", "POST /api/collect/"):
                assert first.returncode is None
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            first.kill()
        async with running(*command, env=env) as second:
            assert second.stdout is not None
            if lost:
                told = await asyncio.wait_for(second.stdout.readline(), 30)
                assert b"order-10 sending nobody knows" in told
            else:
                told, error = await asyncio.wait_for(second.communicate(), 60)
                assert (second.returncode, error) == (0, b"")
                assert b"order-10 accepted" in told
                assert told.count(b"send the goods") == 1
        assert len(sim.received("campay", "POST /api/collect/")) == 1
        assert len(sim.ledger.entries("order-10")) == 1


# As after the hours in which an order may be under way.
LATER = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from paymux.examples import nightly

nightly.EDGE, nightly.UNTIL = "0h", datetime.now(UTC) + timedelta(hours=6)
sys.exit(asyncio.run(nightly.main()))
"""


async def test_nightly_ends_what_is_open_and_names_the_rest(tmp_path: Path) -> None:
    """It ends an open order, and names what the provider has and the journal has not.

    What is too young is the next night's.
    """
    async with Simulator(payer_delay=0.0) as sim:
        env = settings(sim, tmp_path, campay="campay")
        async with Pool(sim.driver("campay"), journal=env["PAYMUX_JOURNAL"]) as pay:
            await pay.collect("campay", reference="order-1", **ORDER)
        clean = await ran("nightly", env=env)
        async with Pool(sim.driver("campay")) as other:
            unknown = await other.collect("campay", reference="order-2", **ORDER)
        young = await ran("nightly", env=env)
        async with running("-c", LATER, env=env) as process:
            said, errors = await asyncio.wait_for(process.communicate(), 60)
    assert clean == young == (0, "nothing is left for a person\n")
    assert (process.returncode, errors) == (1, b"")
    assert "missing_ours: They list a success that we have no order for" in said.decode()
    assert str(unknown.provider_reference) in said.decode() or "order-2" in said.decode()
    with contextlib.closing(sqlite3.connect(env["PAYMUX_JOURNAL"])) as db:
        assert db.execute("SELECT status FROM payments").fetchall() == [("succeeded",)]


async def test_the_notebooks_cells_run_in_a_running_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cell by cell, as a notebook runs them; the cell that charges is run twice."""
    monkeypatch.setattr(CamPay, "first_look", 0.2)
    monkeypatch.setattr(CamPay, "watch_timeout", 6.0)
    monkeypatch.setattr(paymux.watch.schedule, "PROMPT", (0.2, 1.2, 2.4, 3.6, 4.8, 6.0))
    text = (ROOT / "paymux" / "examples" / "notebook.py").read_text(encoding="utf-8")
    cells = re.split("^# %%.*$", text, flags=re.MULTILINE)
    assert len(cells) == 7
    async with Simulator() as sim:
        env = {**settings(sim, tmp_path, campay="campay"), "PAYER": NUMBER}
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        names: dict[str, Any] = {}
        for cell in [*cells[:4], *cells[3:]]:
            code = compile(cell, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            waits = eval(code, names)  # noqa: S307 - what a notebook does with a cell
            if waits is not None:
                await waits
        assert sim.ledger.charged() == 100
        assert len(sim.received("campay", "POST /api/collect/")) == 1
    assert "succeeded\nCounter({<Status.SUCCEEDED: 'succeeded'>: 1})" in capsys.readouterr().out


# Dies as soon as the shipment is written, in the midst of the transaction.
DYING = """
import os, runpy, sys
import asyncpg

class Dying(asyncpg.Connection):
    async def execute(self, query, *values, **options):
        said = await super().execute(query, *values, **options)
        if query.startswith("INSERT"):
            os._exit(9)
        return said

made = asyncpg.create_pool
asyncpg.create_pool = lambda dsn: made(dsn, connection_class=Dying, min_size=1)
runpy.run_module("paymux.examples.warehouse", run_name="__main__")
"""


async def test_the_warehouse_ships_each_order_once(
    tmp_path: Path, postgres: Cluster, database: str
) -> None:
    """Killed in the midst of its transaction and run again, it has shipped once, and not twice."""
    shop = f"postgresql://paymux@127.0.0.1:{postgres.port}/postgres"
    async with Simulator(payer_delay=0.0) as sim:
        env = {
            **settings(sim, tmp_path, campay="campay"),
            "PAYMUX_JOURNAL": database,
            "DATABASE_URL": shop,
        }
        words = ("order-12", "900", NUMBER)
        async with running("-c", DYING, *words, env=env) as first:
            assert await asyncio.wait_for(first.wait(), 60) == 9
        with psycopg.connect(shop, autocommit=True) as db:
            shipped = "SELECT count(*) FROM shipments"
            assert db.execute(shipped).fetchone() == (0,)
            # As after the grace: who asks has not seen the dead worker before.
            schema = database.rpartition("=")[2]
            db.execute(f"UPDATE {schema}.workers SET ended = now()")  # noqa: S608 - our own
            code, said = await ran("warehouse", *words, env=env)
            assert (code, said.count("shipped: order-12")) == (0, 1)
            assert db.execute(shipped).fetchone() == (1,)
            code, said = await ran("warehouse", *words, env=env)
            assert (code, said) == (0, "")
            assert db.execute(shipped).fetchone() == (1,)
            db.execute("DROP TABLE shipments")
        assert len(sim.ledger.entries("order-12")) == 1


async def test_the_warehouse_says_what_must_be_set(database: str) -> None:
    """Without the shop's database or the journal's it prints its page, and no traceback."""
    words = ("order-13", "900", NUMBER)
    for env in {"PAYMUX_JOURNAL": database}, {"DATABASE_URL": database}:
        async with running("-m", "paymux.examples.warehouse", *words, env=env) as process:
            _, said = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 1
        assert said.startswith(b"Ships each paid order once"), said


# A function that is frozen between its calls.

CONTAINER = """
import json, os, sys
from paymux.examples.lambda_function import handler

for line in sys.stdin:
    answer = handler(json.loads(line), None)
    links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    kept = [os.readlink(link) for link in links if os.path.lexists(link)]
    sockets = sum(name.startswith("socket:") for name in kept)
    print(json.dumps({**answer, "sockets": sockets}), flush=True)
"""


async def test_a_function_is_frozen_between_its_calls(tmp_path: Path) -> None:
    """No call leaves a connection behind; messages and the clock reach an order of another one."""
    orders = tmp_path / "orders"
    orders.mkdir()
    messages: asyncio.Queue[WebhookRequest] = asyncio.Queue()
    async with Simulator(payer_delay=0.0) as sim:
        sim.on_webhook(messages.put)
        env = {**settings(sim, tmp_path, mpesa="mpesa"), "ORDERS": str(orders)}
        async with (
            running("-c", CONTAINER, env=env) as one,
            running("-c", CONTAINER, env=env) as two,
        ):
            first = await called(one, http("POST", "/orders", {"payer": "254708374149"}))
            wrong = await called(two, http("POST", "/orders", {"payer": "nonsense"}))
            assert (first["statusCode"], wrong["statusCode"]) == (200, 422)
            reference = json.loads(first["body"])["reference"]
            message = await asyncio.wait_for(messages.get(), 30)
            event = http(message.method, message.path, json.loads(message.body))
            assert (await called(two, event))["statusCode"] == 200
            assert (await called(one, event))["statusCode"] == 200
            assert (orders / f"{reference}.succeeded").exists()
            second = await called(one, http("POST", "/orders", {"payer": "254708374149"}))
            swept = json.loads(second["body"])["reference"]
            while not (orders / f"{swept}.succeeded").exists():
                await called(two, {"source": "aws.events"})
        assert sim.ledger.charged() == 500


def http(method: str, path: str, body: object) -> dict[str, Any]:
    """Make an event of an HTTP API, payload 2.0."""
    return {
        "rawPath": path,
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": method}},
        "body": json.dumps(body),
    }


async def called(container: asyncio.subprocess.Process, event: Mapping[str, Any]) -> dict[str, Any]:
    """Thaw a container for one call, and freeze it again."""
    assert container.stdin is not None
    assert container.stdout is not None
    with contextlib.suppress(ProcessLookupError):
        container.send_signal(signal.SIGCONT)
    container.stdin.write(json.dumps(event).encode() + b"\n")
    while True:
        line = await asyncio.wait_for(container.stdout.readline(), 60)
        assert line, await container.communicate()
        if line.startswith(b"{"):  # not a line of the shop's
            break
    container.send_signal(signal.SIGSTOP)
    answer: dict[str, Any] = json.loads(line)
    assert answer.pop("sockets") == 0
    return answer


# Workers that a server or a queue forks.


async def test_celery_forks_its_workers_around_one_pool(tmp_path: Path) -> None:
    """Jobs that run twice, in two processes, charge once; what is paid is fulfilled once."""
    (tmp_path / "data_in").mkdir()
    (tmp_path / "data_out").symlink_to(tmp_path / "data_in")
    async with Simulator(payer_delay=0.0) as sim:
        broker, results = "filesystem://", f"file://{tmp_path / 'results'}"
        (tmp_path / "results").mkdir()
        env = {
            **settings(sim, tmp_path, campay="campay"),
            "BROKER_URL": broker,
            "RESULT_BACKEND": results,
        }
        folders = {"data_folder_in": str(tmp_path / "data_in")}
        folders["data_folder_out"] = folders["data_folder_in"]
        folders["control_folder"] = str(tmp_path / "control")
        jobs = celery.Celery("tests", broker=broker, backend=results)
        jobs.conf.broker_transport_options = folders
        # In a container's tests it may run as root, of which Celery warns.
        root = ("-W", "ignore:You're running the worker with superuser privileges")
        command = ("-A", "paymux.examples.celery_jobs", "--workdir", str(tmp_path), "worker")
        alone = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        async with running(*root, "-m", "celery", *command, "-c", "2", *alone, env=env) as one:
            log = asyncio.create_task(logged(one))
            sent = [
                jobs.send_task("jobs.charge", [f"order-{number % 4}", "500", NUMBER])
                for number in range(8)
            ]
            statuses = [await asyncio.to_thread(job.get, timeout=60) for job in sent]
            assert set(statuses) <= {Status.PENDING, Status.SUCCEEDED}
            settles = [jobs.send_task("jobs.settle") for _ in range(2)]
            fulfilled = [await asyncio.to_thread(job.get, timeout=60) for job in settles]
            one.terminate()
            errors = await asyncio.wait_for(log, 60)
        assert sorted(fulfilled[0] + fulfilled[1]) == [f"order-{number}" for number in range(4)]
        assert len(sim.received("campay", "POST /api/collect/")) == 4
        assert sim.ledger.charged() == 2000
        assert "Traceback" not in errors, errors


async def logged(process: asyncio.subprocess.Process) -> str:
    """Read what a process writes until it ends."""
    assert process.stdout is not None
    assert process.stderr is not None
    said = await asyncio.gather(process.stdout.read(), process.stderr.read())
    return b"".join(said).decode()


GUNICORN = {
    "fastapi_shop": ("--preload", "-k", "uvicorn_worker.UvicornWorker", "fastapi_shop:shop()"),
    "flask_shop": ("--threads", "4", "flask_shop:app"),
}


@pytest.mark.parametrize("name", GUNICORN)
async def test_gunicorn_serves_a_shop(tmp_path: Path, name: str) -> None:
    """Two workers behind one port: each order that is paid is shipped once."""
    (port,) = free_ports(1)
    *options, app = GUNICORN[name]
    async with Simulator(payer_delay=0.0) as sim, aiohttp.ClientSession() as client:
        env = {
            **settings(sim, tmp_path, mpesa="mpesa"),
            **MPESA_SHOP,
            "PAYMUX_WEBHOOK_BASE": f"http://127.0.0.1:{port}/pay",
            "PYTHONUNBUFFERED": "1",
        }
        command = ("-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "-w", "2", *options)
        async with running(*command, f"paymux.examples.{app}", env=env) as server:
            log = asyncio.create_task(logged(server))
            await until(lambda: _listens(port))
            orders = [await ordered(client, port) for _ in range(6)]
            await until(lambda: len(sim.deliveries) == 6 and all(d.status for d in sim.deliveries))
            assert {one.status for one in sim.deliveries} == {200}
            server.terminate()
            said = await asyncio.wait_for(log, 60)
    assert sorted(re.findall("make: (.*)", said)) == sorted(orders)
    assert "Traceback" not in said, said


async def ordered(client: aiohttp.ClientSession, port: int) -> str:
    """Order something, over a connection of its own, and give its reference."""
    order = {"reference": f"order-{uuid4()}", "phone": "254708374149"}
    headers = {"connection": "close"}
    async with client.post(
        f"http://127.0.0.1:{port}/orders", data=order, headers=headers, allow_redirects=False
    ) as response:
        assert response.status == 303, await response.text()
        assert response.headers["location"] == f"/orders/{order['reference']}"
        return order["reference"]


async def until(seen: Callable[[], object]) -> None:
    """Wait until something is seen."""
    end = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def _listens(port: int) -> bool:
    table = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return any(row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "0A" for row in table)


# A test of a shop, as its owner writes it.


def test_an_app_around_a_pool_is_tested_twice(tmp_path: Path) -> None:
    """`create_app(pay)` with the simulator's connection, and a TestClient that is opened twice."""
    sim = Simulator(payer_delay=0.0)
    pay = Pool(
        sim.driver("campay"),
        connection=sim.connection,
        journal=tmp_path / "payments.db",
        webhook_base=BASE,
        webhook_key=KEY,
    )
    app = fastapi_shop.create_app(pay)
    for _ in range(2):
        with TestClient(app) as client:
            order = {"reference": f"order-{uuid4()}", "phone": NUMBER}
            assert "Pay 500 XAF" in client.get("/").text
            for _ in range(2):  # the form, sent twice
                assert "<h1>" in client.post("/orders", data=order).text
            refused = client.post("/orders", data={**order, "phone": "nonsense"})
            assert (refused.status_code, "Please give" in refused.text) == (422, True)
    assert len(sim.ledger.entries()) == 2
