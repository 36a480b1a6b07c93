"""Accounts from files, mappings and the environment; wrong fields are refused first."""

import asyncio
import json
import threading
from collections.abc import Coroutine
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from paymux import Payment, Pool, UsageError, WebhookRequest, get, post
from paymux.drivers import load, names

from .toys import Keyless, Said, Toy, Wire, answer, now, timeless

ORDER: dict[str, Any] = {
    "amount": 500,
    "currency": "XAF",
    "reference": "order-1",
    "payer": "237670000000",
}
CONFIG: dict[str, Any] = {"driver": "campay", "username": "shop", "password": "secret"}


def _wire() -> Wire:
    return Wire(lambda _: answer(token="t", id="p1", status="OK"))


# From files and the environment.


def test_accounts_come_from_a_toml_file(tmp_path: Path) -> None:
    """`[accounts.<name>]` tables make drivers, and the top of the file the pool."""
    file = tmp_path / "pool.toml"
    file.write_text(
        'webhook_base = "https://shop.example/pay"\nwebhook_key = "0123456789abcdef"\n'
        "deadline = 5\n"
        '[accounts.cameroon]\ndriver = "campay"\nusername = "u"\npassword = "p"\n'
        '[accounts.kenya]\ndriver = "mpesa"\nconsumer_key = "k"\nconsumer_secret = "s"\n'
        'shortcode = 174379\npasskey = "x"\n'
    )
    for path in (file, str(file)):
        pool = Pool.from_config(path)
        assert set(pool.drivers) == {"cameroon", "kenya"}
        assert (pool.drivers["kenya"].name, pool.drivers["kenya"].live) == ("mpesa", False)
        assert pool.webhook_url("kenya").startswith("https://shop.example/pay/")
    assert Pool.from_config(file, deadline=9)._engine.deadline == 9


def test_accounts_come_from_the_environment() -> None:
    """`PAYMUX_<ACCOUNT>__<FIELD>` makes drivers; other variables are ignored."""
    pool = Pool.from_env(
        {
            "PAYMUX_SHOP__DRIVER": "campay",
            "PAYMUX_SHOP__USERNAME": "u",
            "PAYMUX_SHOP__PASSWORD": "True",
            "PAYMUX_SHOP__LIVE": "yes",
            "PAYMUX_LOG": "x",
            "PATH": "/bin",
            "XPAYMUX_SHOP__FIELD": "x",
        }
    )
    driver = pool.drivers["shop"]
    assert driver.live is True
    assert driver.secrets()[0] == "True", "only a flag is read as one"


def test_callback_keys_are_a_list_in_a_file_and_in_a_variable(tmp_path: Path) -> None:
    """After a change of the key, both forms name both keys; the first one makes the URLs."""
    keys = ["the new key, of 16 characters", "the old key, of 16 characters"]
    base = "https://shop.example/pay"
    account = {"PAYMUX_SHOP__DRIVER": "campay", "PAYMUX_SHOP__ACCESS_TOKEN": "t"}
    hooks = {"PAYMUX_WEBHOOK_BASE": base, "PAYMUX_WEBHOOK_KEY": json.dumps(keys)}
    file = tmp_path / "pool.toml"
    file.write_text(
        f'webhook_base = "{base}"\nwebhook_key = {json.dumps(keys)}\n'
        '[accounts.shop]\ndriver = "campay"\naccess_token = "t"\n'
    )
    one = {**account, **hooks, "PAYMUX_WEBHOOK_KEY": keys[0]}
    old = Pool.from_env({**account, **hooks, "PAYMUX_WEBHOOK_KEY": keys[1]})
    path = urlsplit(old.webhook_url("shop", "order-1")).path
    for pool in (Pool.from_config(file), Pool.from_env({**account, **hooks})):
        assert pool.webhook_url("shop") == Pool.from_env(one).webhook_url("shop")
        assert pool._callback_urls.read(WebhookRequest(path=path), ["shop"], None).account == "shop"
    unset = Pool.from_env({**account, "PAYMUX_WEBHOOK_BASE": "", "PAYMUX_WEBHOOK_KEY": ""})
    assert unset._callback_urls.base is None
    assert Pool.from_env({**account, **hooks}, webhook_key=keys[1]).webhook_url("shop") == (
        old.webhook_url("shop")
    )


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "accounts"),
        ({"accounts": {}}, "accounts"),
        ({"accounts": []}, "accounts"),
        ({"accounts": {"a": "campay"}}, "accounts.a"),
        ({"accounts": {"a": {}}}, "accounts.a.driver"),
        ({"accounts": {"a": {**CONFIG, "driver": "nobody"}}}, "driver"),
        ({"accounts": {"a": {**CONFIG, "driver": "base"}}}, "driver"),
        ({"accounts": {"a": {**CONFIG, "driver": "../x"}}}, "driver"),
        ({"accounts": {"a": {**CONFIG, "driver": 5}}}, "accounts.a.driver"),
        ({"accounts": {"a": {**CONFIG, "pasword": "x"}}}, "accounts.a.pasword"),
        ({"accounts": {"a": {**CONFIG, "account": "b"}}}, "accounts.a.account"),
        ({"accounts": {"a": {"driver": "campay", "username": "u"}}}, "accounts.a."),
        ({"accounts": {"a": {**CONFIG, "live": "no"}}}, "accounts.a.live"),
        ({"accounts": {"a": {**CONFIG, "live": 0}}}, "accounts.a.live"),
        ({"accounts": {"a": {**CONFIG, "username": ["u"]}}}, "accounts.a.username"),
        ({"accounts": {"a": {**CONFIG, "base_url": 5}}}, "accounts.a.base_url"),
        ({"accounts": {"a b": CONFIG}}, "account"),
        ({"accounts": {"a": CONFIG}, "deadlines": 5}, "deadlines"),
        ({"accounts": {"a": CONFIG}, "deadline": "5"}, "deadline"),
        ({"accounts": {"a": CONFIG}, "attempts": 0}, "attempts"),
        ({"accounts": {"a": CONFIG}, "webhook_base": "x"}, "webhook"),
        ({"accounts": {"a": CONFIG}, "webhook_base": "x", "webhook_key": []}, "webhook_key"),
        ("/nowhere/at/all.toml", "config"),
    ],
)
def test_a_wrong_setting_names_itself(config: Any, said: str) -> None:
    """A missing or wrong field is UsageError with its place in the file."""
    with pytest.raises(UsageError) as caught:
        Pool.from_config(config)
    assert said in str(caught.value)


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    """A broken file is UsageError, not a foreign exception."""
    for content in (b"[accounts", b"\xff\xfe", b"a = 1\na = 2"):
        file = tmp_path / "x.toml"
        file.write_bytes(content)
        with pytest.raises(UsageError):
            Pool.from_config(file)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "PAYMUX_<ACCOUNT>__DRIVER"),
        ({"PAYMUX_A__USERNAME": "u"}, "PAYMUX_A__DRIVER"),
        ({"PAYMUX_A__DRIVER": "campay", "PAYMUX_A__PASWORD": "u"}, "PAYMUX_A__PASWORD"),
        ({"PAYMUX_A__DRIVER": "campay", "PAYMUX_A__USERNAME": "u"}, "PAYMUX_A__ACCESS_TOKEN"),
        (
            {
                "PAYMUX_A__DRIVER": "campay",
                "PAYMUX_A__LIVE": "maybe",
                "PAYMUX_A__ACCESS_TOKEN": "x",
            },
            "PAYMUX_A__LIVE",
        ),
    ],
)
def test_a_wrong_variable_names_itself(environment: dict[str, str], said: str) -> None:
    """A missing or wrong variable is UsageError that names it."""
    with pytest.raises(UsageError) as caught:
        Pool.from_env(environment)
    assert said in str(caught.value)


def test_every_driver_loads_by_its_name() -> None:
    """A driver's module name is its `name`, and `base` is not a driver."""
    assert "base" not in names()
    for name in names():
        assert load(name).name == name


# Bad input: each is UsageError, and the provider saw nothing.

DRIVERS: list[dict[str, Any]] = [
    {"live": "no"},
    {"live": 0},
    {"live": None},
    {"account": ""},
    {"account": "a b"},
    {"account": "a/b"},
    {"account": "x" * 65},
    {"account": 5},
    {"account": "é"},
    {"username": "a\r\nX: y"},
    {"username": "a\x00"},
    {"username": "é"},
    {"username": 5},
    {"username": None},
    {"username": " a"},
    {"username": "a" * 5000},
    {"password": "a\nb"},
    {"password": "a\x00"},
    {"password": "é"},
    {"password": ""},
    {"password": None},
    {"password": 5},
    {"password": b"x"},
    {"password": "\u200bx"},
    {"base_url": "http://live.example"},
    {"base_url": "ftp://x"},
    {"base_url": "x"},
    {"base_url": ""},
    {"base_url": 5},
    {"base_url": "https://"},
    {"base_url": "https://u:p@x.example"},
    {"base_url": "https://x.example/?a=1"},
    {"base_url": "https://x.example/#a"},
    {"base_url": "http://127.0.0.1.evil.example"},
    {"base_url": "http://localhost@evil.example"},
    {"base_url": "https://x.example:99999"},
    {"base_url": "https://[::1"},
    {"base_url": "https://x.example/a\nb"},
    {"base_url": "https://x.example/\u200b"},
    {"base_url": "https://x.example/ b"},
    {"base_url": "\\\\x"},
]


@pytest.mark.parametrize("number", range(len(DRIVERS)))
def test_a_wrong_credential_or_setting_is_refused(number: int) -> None:
    """A driver is checked when it is made, and names the wrong field."""
    (field,) = DRIVERS[number]
    if DRIVERS[number] == {"account": ""}:
        assert Toy(account="").account == "toy", "an empty name is the default"
        return
    with pytest.raises(UsageError, match=field):
        Toy(**DRIVERS[number])


@pytest.mark.proves("intram: use HTTPS for every request")
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/x/", "http://localhost:1", "http://[::1]:5", "https://x.example"]
)
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    """Plain http is accepted on loopback, https anywhere, without a final slash."""
    assert Toy(base_url=url).url == url.rstrip("/")


WRONG: list[dict[str, Any]] = [
    *(
        {"amount": value}
        for value in (
            0,
            -5,
            5.0,
            0.1,
            float("nan"),
            float("inf"),
            True,
            None,
            "",
            "5,000",
            "1e3",
            "NaN",
            "1E+1000000",
            "\u0665",
            "100.5",
            Decimal("100.99"),
            Decimal("NaN"),
            Decimal("1E+1000000"),
            Decimal(-1),
            10**12,
            10**5000,
            b"5",
            [5],
        )
    ),
    *(
        {"currency": value}
        for value in ("XOF", "xaf", "", None, 5, "XAF ", "EUR", "X" * 10**6, ["XAF"])
    ),
    *(
        {"payer": value}
        for value in (
            "+254712345678",
            "123",
            "",
            "abc",
            237670000000,
            "2376700000000000",
            "237" + "6" * 10**6,
            "a@example.com",
            b"237670000000",
        )
    ),
    *(
        {"reference": value}
        for value in (
            "",
            " ",
            "a b",
            "a/b",
            "a\nb",
            "order\n",
            "é",
            "\u0661",
            "x" * 65,
            "x" * 500,
            "x" * 10**6,
            None,
            5,
            b"x",
            "a\x00",
            "order#1",
            "../x",
            "\ud800",
            "a;b",
            "a,b",
        )
    ),
    *(
        {"description": value}
        for value in ("x" * 501, "a\x00b", "a\nb", None, 5, "\ud800", b"x", "\x7f")
    ),
    *({"customer": value} for value in ("Awa", {"name": "Awa"})),
    *({"items": value} for value in ("x", [1], {"name": "x"})),
    *({"metadata": value} for value in ("x", [1], {"a": object()}, {"a": "\ud800"})),
    *({"extra": value} for value in ({"unknown": 1}, {"colour": object()}, "x", [1])),
    *({"webhook_url": value} for value in ("ftp://shop.example", "x", "https://u@x.example", 5)),
    *({"return_url": value} for value in ("javascript:alert(1)", "http://shop.example", "x\n")),
    {"cancel_url": "https://shop.example"},
    {"taxes": [1]},
    *({"deadline": value} for value in (0, -1, float("nan"), "5", True)),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
@timeless
async def test_a_wrong_order_is_refused_before_anything_is_sent(number: int) -> None:
    """Each wrong field is UsageError naming it, before any request, also before a login."""
    wire = _wire()
    (field,) = WRONG[number]
    async with Pool(Toy(), connection=wire) as pool:
        with pytest.raises(UsageError, match=field) as caught:
            await pool.collect("toy", **{**ORDER, **WRONG[number]})
    assert len(str(caught.value)) < 400
    assert wire.seen == []
    assert now() < 0.001


@pytest.mark.parametrize("live", [False, True])
@timeless
async def test_http_is_for_the_messages_of_a_sandbox(live: bool) -> None:
    """A sandbox order may have an http callback; a live account's needs https."""
    order = {**ORDER, "webhook_url": "http://shop.example/told"}
    async with Pool(Toy(live=live), connection=_wire()) as pool:
        if not live:
            assert (await pool.collect("toy", **order)).reference == order["reference"]
            return
        with pytest.raises(UsageError, match="webhook_url"):
            await pool.collect("toy", **order)


@pytest.mark.parametrize("account", ["", "nobody", None, 5, "TOY", ["toy"], "x" * 10**6])
@timeless
async def test_an_unknown_account_is_refused(account: Any) -> None:
    """Every verb refuses an unknown account."""
    wire = _wire()
    moment = datetime.now(UTC)
    async with Pool(Toy(), connection=wire) as pool:
        payment = msgspec.structs.replace(
            Payment(account="x", provider_reference="p"), account=account
        )
        verbs: list[Coroutine[Any, Any, Any]] = [
            pool.collect(account, **ORDER),
            pool.payout(account, amount=5, currency="XAF", reference="r", payee="237670000000"),
            pool.refund(payment, amount=5, reference="r"),
            pool.verify(payment),
            pool.find(account, reference="r"),
            pool.balance(account),
            pool.receipt(payment),
            pool.methods(account),
            pool.send(account, get("/x", Said)),
        ]
        for verb in verbs:
            with pytest.raises(UsageError, match="account"):
                await verb
        with pytest.raises(UsageError, match="account"):
            pool.watch(payment)
        with pytest.raises(UsageError, match="account"):
            await anext(aiter(pool.history(account, since=moment, until=moment)))
    assert wire.seen == []


@timeless
async def test_a_closed_pool_refuses_every_verb() -> None:
    """After `aclose`, once or twice, every verb is UsageError and nothing is sent."""
    wire = _wire()
    pool = Pool(Keyless(), connection=wire)
    await pool.aclose()
    await pool.aclose()
    payment = Payment(account="keyless", provider_reference="p")
    for verb in (
        pool.collect("keyless", **ORDER),
        pool.verify(payment),
        pool.send("keyless", get("/x", Said)),
    ):
        with pytest.raises(UsageError, match="closed; enter it again"):
            await verb
    assert wire.seen == []


def test_two_loops_at_once_are_refused() -> None:
    """A pool in use by a running loop refuses another one."""
    pool, ready, go = Pool(Keyless(), connection=_wire()), threading.Event(), threading.Event()

    async def hold() -> None:
        async with pool:
            ready.set()
            await asyncio.get_running_loop().run_in_executor(None, go.wait)

    holder = threading.Thread(target=lambda: asyncio.run(hold()))
    holder.start()
    ready.wait()
    try:
        with pytest.raises(UsageError, match="loop"):
            asyncio.run(pool.verify("keyless", "p1"))
    finally:
        go.set()
        holder.join()


@pytest.mark.parametrize(
    "options",
    [
        {"deadline": 0},
        {"deadline": "30"},
        {"deadline": None},
        {"connect_timeout": -1},
        {"connect_timeout": float("nan")},
        {"attempts": 0},
        {"attempts": 11},
        {"attempts": 2.5},
        {"attempts": True},
        {"attempts": "3"},
    ],
)
def test_a_wrong_option_of_the_pool_is_refused(options: dict[str, Any]) -> None:
    """A pool's own numbers are checked when it is made."""
    (field,) = options
    with pytest.raises(UsageError, match=field):
        Pool(Toy(), **options)


def test_two_drivers_of_one_name_are_refused() -> None:
    """An account name belongs to one account."""
    with pytest.raises(UsageError, match="account"):
        Pool(Toy(), Toy(username="other"))


@pytest.mark.parametrize("when", ["yesterday", None, datetime(2026, 1, 1), 5])  # noqa: DTZ001 - the naive one is refused
@timeless
async def test_a_naive_or_wrong_moment_is_refused(when: Any) -> None:
    """A history takes aware datetimes."""
    moment = datetime.now(UTC)
    async with Pool(Toy(), connection=_wire()) as pool:
        with pytest.raises(UsageError, match="since"):
            pool.history("toy", since=when, until=moment)
        with pytest.raises(UsageError, match="until"):
            pool.history("toy", since=moment, until=when)


@pytest.mark.parametrize("reference", ["", None, 5, b"p"])
@timeless
async def test_a_wrong_provider_reference_is_refused(reference: Any) -> None:
    """`verify` by id needs an id."""
    wire = _wire()
    async with Pool(Toy(), connection=wire) as pool:
        with pytest.raises(UsageError, match="provider_reference"):
            await pool.verify("toy", reference)
    assert wire.seen == []


@pytest.mark.parametrize("path", ["x", "", "//evil.example/x", "https://evil.example", "\\x"])
def test_a_request_stays_at_its_provider(path: str) -> None:
    """A path that leads outside the base URL is refused."""
    with pytest.raises(UsageError, match="path"):
        get(path, Said)
    with pytest.raises(UsageError, match="path"):
        post(path, Said, {})


@timeless
async def test_a_refund_of_more_than_was_paid_is_refused() -> None:
    """A refund is checked against the paid amount and its currency."""
    wire = _wire()
    async with Pool(Toy(), connection=wire) as pool:
        paid = Payment(account="toy", provider_reference="p", amount=Decimal(500), currency="XAF")
        with pytest.raises(UsageError, match="amount"):
            await pool.refund(paid, amount=501, reference="r")
        with pytest.raises(UsageError, match="currency"):
            await pool.refund(
                msgspec.structs.replace(paid, currency="USD"), amount=5, reference="r"
            )
    assert wire.seen == []


@timeless
async def test_a_refund_in_an_unstated_currency_is_refused() -> None:
    """With several currencies, and none in the payment, no currency is guessed."""
    wire = _wire()
    async with Pool(Toy(), connection=wire) as pool:
        with pytest.raises(UsageError, match="currency"):
            await pool.refund(
                Payment(account="toy", provider_reference="p"), amount=5, reference="r"
            )
    assert wire.seen == []
