"""`paymux run`: what a driver offers beyond the common verbs is listed, and called."""

import asyncio
import enum
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest

from paymux.http import Send, post
from paymux.primitives.redaction import Secret
from paymux.simulator import Simulator

from ..toys import Toy
from .running import Ended, ended

CAMPAY = {
    "PAYMUX_MOMO__DRIVER": "campay",
    "PAYMUX_MOMO__USERNAME": "simulator",
    "PAYMUX_MOMO__PASSWORD": "simulator",
}


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Shop(Toy, frozen=True, kw_only=True):
    """A driver with a coroutine whose fields have each type."""

    async def register(
        self,
        send: Send,
        *,
        name: str,
        count: int = 1,
        amount: Decimal | int = 5,
        live: bool = False,
        since: datetime | None = None,
        answer: Literal["Completed", "Cancelled"] = "Completed",
        colour: Colour | None = None,
        numbers: Sequence[int] = (),
        tags: list[str] | None = None,
        extra: Mapping[str, Any] | None = None,
        key: Secret | str = "",
    ) -> dict[str, Any]:
        """Give back what was given.

        The rest of this is not in the list.
        """
        return {one: value for one, value in locals().items() if one not in ("self", "send")}

    async def nothing(self, send: Send) -> None:
        """Give nothing, and take nothing."""

    async def _private(self, send: Send) -> None:
        """Not offered."""

    async def lonely(self, amount: int) -> None:
        """Not offered: it takes no `send`."""

    def plain(self, send: Send) -> None:
        """Not offered: it is no coroutine."""


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `Shop` the driver of the environment's only account."""
    monkeypatch.setattr("paymux.core.config.accounts.load", lambda name: Shop)
    monkeypatch.setenv("PAYMUX_SHOP__DRIVER", "shop")


def _run(*words: str, **variables: str) -> Ended:
    here = {name: one for name, one in os.environ.items() if name.startswith("PAYMUX_")}
    return ended("run", *words, **{**here, **variables})


def _refused(done: Ended) -> str:
    """Return the sentence of a refusal: exit code 2, and nothing on standard output."""
    assert (done.exit_code, done.stdout) == (2, "")
    return done.stderr.splitlines()[0].removeprefix("paymux: ").rstrip()


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("words", [[], ["--help"]])
def test_it_lists_what_a_driver_has_of_its_own(words: list[str]) -> None:
    """Each public coroutine that takes `send`: its line, and its fields with what they accept."""
    ended = _run("shop", *words)
    assert (ended.exit_code, ended.stderr) == (0, "")
    listed = [line.split(maxsplit=1) for line in ended.stdout.splitlines() if line.strip()]
    assert ["nothing:"] in listed
    assert ["Give", "nothing, and take nothing."] in listed
    assert ["Give", "back what was given."] in listed
    assert ["--name", "text; required"] in listed
    assert ["--count", "a whole number; default: 1"] in listed
    assert ["--amount", "a number; default: 5"] in listed
    assert ["--live", "true or false"] in listed
    assert ["--answer", "Completed or Cancelled; default: Completed"] in listed
    assert ["--colour", "red or blue"] in listed
    assert ["--numbers", "a whole number; may be repeated"] in listed
    assert ["--tags", "text; may be repeated"] in listed
    assert ["--extra", "JSON of Mapping"] in listed
    for absent in ("_private", "lonely", "plain", "collect", "verify", "token", "The rest"):
        assert f"{absent}:" not in ended.stdout


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("words", [["--json", "shop"], ["shop", "--json"]])
def test_the_list_in_json_is_a_line_for_each_coroutine(words: list[str]) -> None:
    """With --json, before or behind the account, each coroutine and its fields are an object."""
    ended = _run(*words)
    assert (ended.exit_code, ended.stderr) == (0, "")
    listed = {one["name"]: one for one in map(json.loads, ended.stdout.splitlines())}
    assert {*listed} == {"register", "nothing"}
    assert listed["nothing"]["fields"] == []
    assert listed["register"]["fields"][:2] == [
        {"name": "name", "required": True, "accepted": "text"},
        {"name": "count", "required": False, "accepted": "a whole number"},
    ]


@pytest.mark.usefixtures("shop")
def test_a_result_in_json_is_one_line() -> None:
    """With --json behind the fields, too, what a coroutine returns is one line of JSON."""
    for words in (["shop", "nothing", "--json"], ["--json", "shop", "nothing"]):
        ended = _run(*words)
        assert (ended.exit_code, ended.stdout) == (0, "null\n")
    filled = _run("shop", "register", "--name", "a", "--json").stdout
    assert filled.count("\n") == 1
    assert json.loads(filled)["name"] == "a"


def test_a_driver_without_any_says_so() -> None:
    """An account whose driver has the common verbs only lists none, and names none."""
    fields = {"CONSUMER_KEY": "k", "CONSUMER_SECRET": "s", "SHORTCODE": "174379", "PASSKEY": "p"}
    account = {f"PAYMUX_KENYA__{name}": value for name, value in fields.items()}
    account["PAYMUX_KENYA__DRIVER"] = "mpesa"
    assert _run("kenya", **account).exit_code == 0
    assert _refused(_run("kenya", "collect", **account)).startswith("coroutine: 'collect' is")


@pytest.mark.usefixtures("shop")
def test_the_texts_are_converted_by_the_annotations() -> None:
    """Each type comes from its text, a list from repetition, and a secret is not printed."""
    given = {
        "name": ["007"],
        "count": ["-7"],
        "amount": ["1.50"],
        "live": ["yes"],
        "since": ["2026-11-30T08:00:00+03:00"],
        "answer": ["Cancelled"],
        "colour": ["blue"],
        "numbers": ["1", "2"],
        "tags": ["a", "b c"],
        "extra": ['{"a": [1]}'],
        "key": ["canary-of-a-key"],
    }
    words = [word for name, texts in given.items() for one in texts for word in (f"--{name}", one)]
    ended = _run("shop", "register", *words)
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == {
        "name": "007",
        "count": -7,
        "amount": "1.50",
        "live": True,
        "since": datetime(2026, 11, 30, 5, tzinfo=UTC).isoformat().replace("+00:00", "Z"),
        "answer": "Cancelled",
        "colour": "blue",
        "numbers": [1, 2],
        "tags": ["a", "b c"],
        "extra": {"a": [1]},
        "key": "***",
    }


@pytest.mark.usefixtures("shop")
def test_a_field_that_is_left_out_has_the_drivers_default() -> None:
    """Only what is written on the command line reaches the driver."""
    found = json.loads(_run("shop", "register", "--name", "a").stdout)
    assert (found["count"], found["since"], found["numbers"]) == (1, None, [])
    assert _run("shop", "nothing").stdout == "null\n"


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name: missing; accepted: text"),
        (["--count", "1.5"], "count: '1.5' is refused; accepted: a whole number"),
        (["--count", "x"], "count: 'x' is refused; accepted: a whole number"),
        (["--amount", "NaN"], "amount: 'NaN' is refused; accepted: a number"),
        (["--amount", "1e3"], "amount: '1e3' is refused; accepted: a number"),
        (["--live", "maybe"], "live: 'maybe' is refused; accepted: true or false"),
        (["--answer", "done"], "answer: 'done' is refused; accepted: Completed or Cancelled"),
        (["--colour", "RED"], "colour: 'RED' is refused; accepted: red or blue"),
        (["--numbers", "1", "--numbers", "b"], "numbers: 'b' is refused; accepted: a whole number"),
        (["--extra", "{"], "extra: '{' is refused; accepted: JSON of Mapping"),
        (["--count", "1", "--count", "2"], "count: given 2 times; accepted: one value"),
        (["--price", "1"], "No such option"),
        (["--count"], "Option '--count' requires an argument."),
        (["5"], "Got unexpected extra argument (5)"),
    ],
)
def test_a_wrong_field_is_named(words: list[str], said: str) -> None:
    """A sentence says which field is wrong and what is accepted, with exit code 2."""
    name = ["--name", "a"] if words else []
    assert said in _refused(_run("shop", "register", *name, *words))


@pytest.mark.usefixtures("shop")
def test_a_time_needs_its_offset() -> None:
    """A time without offset could be of any country."""
    said = _refused(_run("shop", "register", "--name", "a", "--since", "2026-11-30T08:00:00"))
    assert said.startswith("since: '2026-11-30T08:00:00' is refused; accepted: a time with its")


@pytest.mark.parametrize("name", ["collect", "payout", "verify", "token", "_private", "nonsense"])
@pytest.mark.usefixtures("shop")
def test_a_common_verb_is_not_offered(name: str) -> None:
    """What is no coroutine of the driver's own is refused with the names of those that are."""
    said = _refused(_run("shop", name))
    assert said == f"coroutine: {name!r} is refused; accepted: nothing, register"


@pytest.mark.usefixtures("shop")
def test_accounts_are_named_if_there_is_no_such_one() -> None:
    """A wrong account is refused with the names of the others."""
    assert _refused(_run("nobody")) == "account: 'nobody' is refused; accepted: shop"


def test_the_environment_without_accounts_is_one_sentence() -> None:
    """Without an account in the environment, the sentence names the variable."""
    assert "PAYMUX_<ACCOUNT>__DRIVER: missing" in _refused(_run("momo"))


def test_a_wrong_account_is_named_and_shows_no_credential(tmp_path: Path) -> None:
    """A file with a wrong field is refused by the field's name."""
    path = tmp_path / "accounts.toml"
    path.write_text('[accounts.momo]\ndriver = "campay"\nusername = "u"\nsecret = "canary-1"\n')
    ended = _run("--config", str(path), "momo")
    assert "accounts.momo.secret: unknown" in _refused(ended)
    assert "canary" not in ended.output


async def test_it_calls_the_coroutine_and_prints_json(tmp_path: Path) -> None:
    """The accounts of a file or of the environment: the provider has the request."""
    async with Simulator() as sim:
        base = f"{sim.campay.url}/api"
        path = tmp_path / "accounts.toml"
        fields = f'username = "simulator"\npassword = "simulator"\nbase_url = "{base}"\n'
        path.write_text(f'[accounts.momo]\ndriver = "campay"\n{fields}')
        path.chmod(0o600)
        words = ("momo", "payment_link", "--amount", "500", "--reference")
        of_file = await asyncio.to_thread(_run, "--config", str(path), *words, "order-1")
        here = {**CAMPAY, "PAYMUX_MOMO__BASE_URL": base}
        of_environment = await asyncio.to_thread(_run, *words, "order-2", **here)
    for reference, done in (("order-1", of_file), ("order-2", of_environment)):
        assert (done.exit_code, done.stderr) == (0, "")
        found = json.loads(done.stdout)
        assert (found["reference"], found["amount"]) == (reference, "500")
        assert found["checkout_url"].startswith(base.removesuffix("/api"))
        assert sim.ledger.charged(reference) == 0


async def test_a_sandbox_user_is_made_by_the_command_of_the_setup() -> None:
    """The fields that it prints, beside the key that it had, make an account that can be asked."""
    async with Simulator() as sim:
        here = {
            "PAYMUX_MTN_MOMO__DRIVER": "mtn_momo",
            "PAYMUX_MTN_MOMO__BASE_URL": sim.mtn_momo.url,
            "PAYMUX_MTN_MOMO__COLLECTION_KEY": "simulator",
        }
        words = ("mtn_momo", "provision", "--callback_host", "shop.example")
        made = await asyncio.to_thread(_run, *words, **here)
        fields = json.loads(made.stdout)
        here |= {f"PAYMUX_MTN_MOMO__{name.upper()}": value for name, value in fields.items()}
        words = ("mtn_momo", "holder_active", "--phone", "46733123499")
        asked = await asyncio.to_thread(_run, *words, **here)
    assert {*fields} == {"collection_user", "collection_api_key"}
    assert (asked.exit_code, asked.stdout.strip()) == (0, "true")


async def test_what_is_wrong_is_refused_before_anything_is_sent() -> None:
    """A field that the driver refuses is exit code 2, and the provider sees no request."""
    async with Simulator() as sim:
        here = {**CAMPAY, "PAYMUX_MOMO__BASE_URL": f"{sim.campay.url}/api"}
        words = ("momo", "payment_link", "--amount", "0", "--reference", "order-1")
        ended = await asyncio.to_thread(_run, *words, **here)
        assert _refused(ended).startswith("amount: '0' is refused; accepted: ")
        assert not sim.requests


async def test_a_providers_refusal_is_one_line() -> None:
    """What the provider refuses is one line and exit code 1, and no traceback."""
    async with Simulator() as sim:
        here = {**CAMPAY, "PAYMUX_MOMO__BASE_URL": f"{sim.campay.url}/api"}
        here["PAYMUX_MOMO__PASSWORD"] = "canary-of-a-password"
        words = ("momo", "payment_link", "--amount", "5", "--reference", "order-1")
        ended = await asyncio.to_thread(_run, *words, **here)
    assert ended.exit_code == 3
    (line,) = ended.output.splitlines()
    assert line.startswith("paymux: momo: ")
    assert "canary" not in ended.output


def test_a_coroutine_that_asks_for_money_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No journal would know of the money: exit code 2, and no connection is opened."""

    class Greedy(Toy, frozen=True, kw_only=True):
        async def token(self, send: Send) -> None:
            """Log in without a request."""

        async def ship(self, send: Send) -> Any:
            """Ask for money, which only the common verbs may."""
            return await send(post("/pay/", dict[str, Any], {"amount": 1}))

    monkeypatch.setattr("paymux.core.config.accounts.load", lambda name: Greedy)
    here = {"PAYMUX_SHOP__DRIVER": "shop", "PAYMUX_SHOP__BASE_URL": "http://127.0.0.1:1"}
    assert "moves no money" in _refused(_run("shop", "ship", **here))
