"""Broken set-ups: each is named, and its command, pasted as printed, mends it."""

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from paymux import SqliteJournal
from paymux.drivers._ids import fingerprint

from .shops import KEY, PASSWORD, Shop, wrong


class Case(NamedTuple):
    """One broken set-up: what breaks it, which check names it, and what the user adds."""

    name: str
    check: str
    breaks: Callable[[Shop], object]
    typed: str = ""  # what the command asks for
    fill: str = ""  # what the user puts into the command
    result: str = "problem"
    offline: bool = False


def _mode(mode: int) -> Callable[[Shop], object]:
    return lambda shop: shop.path.chmod(mode)


def _change(old: str, new: str) -> Callable[[Shop], object]:
    return lambda shop: shop.change(old, new)


def _syntax(shop: Shop) -> None:
    shop.change('shortcode = "174379"', "shortcode = 174379x")
    line = shop.path.read_text().splitlines().index("shortcode = 174379x") + 1
    editor = shop.folder / "editor"
    editor.write_text(f'#!/bin/sh\ntest "$1" = +{line} && sed -i "s/174379x/174379/" "$2"\n')
    editor.chmod(0o700)
    shop.environment["EDITOR"] = str(editor)


def _variables(shop: Shop, **fields: str) -> None:
    """Name the account in variables instead of the file."""
    shop.path.unlink()
    url = shop.sim.providers["campay"].url + shop.sim.providers["campay"].base_path
    given = {"DRIVER": "campay", "BASE_URL": url, "USERNAME": "simulator", "PASSWORD": "simulator"}
    for name, value in {**given, **fields}.items():
        shop.environment[f"PAYMUX_CAMPAY__{name}"] = value


def _paydunya(key: str, live: str) -> Callable[[Shop], object]:
    def breaks(shop: Shop) -> None:
        base = shop.sim.providers["paydunya"].url
        text = (
            f'\n[accounts.dakar]\ndriver = "paydunya"\nbase_url = "{base}"\n'
            f'live = {live}\nmaster_key = "simulator"\nprivate_key = "{key}"\n'
            'access_token = "simulator"\nstore_name = "Shop"\n'
        )
        shop.write(shop.path.read_text() + text)

    return breaks


def _sandbox(shop: Shop) -> None:
    url = shop.sim.providers["mpesa"].url
    shop.change(f'base_url = "{url}"\n', "")
    shop.change("https://shop.paymux.org/pay", "http://192.168.1.9/pay")


def _share(shop: Shop) -> None:
    folder = shop.folder / "share"
    folder.mkdir()
    (folder / "payments.db").touch()
    shop.change(f"{shop.folder}/payments.db", f"{folder}/payments.db")
    shop.mounts = (
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"35 21 0:40 / {folder} rw shared:9 - nfs4 nas:/export rw\n"
    )


def _other_database(shop: Shop) -> None:
    with sqlite3.connect(shop.folder / "payments.db") as db:
        db.execute("CREATE TABLE users (name TEXT)")
    db.close()
    (shop.folder / "payments.db").chmod(0o600)


def _readable(shop: Shop) -> None:
    path = shop.folder / "payments.db"
    path.touch()
    path.chmod(0o644)


def _moved_key(shop: Shop) -> None:
    """Give an account another id_key than that with which its orders began."""
    base = shop.sim.providers["mtn_momo"].url
    fields = "\n".join(f'collection_{part} = "simulator"' for part in ("key", "user", "api_key"))
    text = (
        f'\n[accounts.uganda]\ndriver = "mtn_momo"\nbase_url = "{base}"\ntarget = "mtnuganda"\n'
        f'id_key = "another-key-of-sixteen"\n{fields}\n'
    )
    shop.write(shop.path.read_text() + text)

    async def begin() -> None:
        journal = SqliteJournal(f"{shop.folder}/payments.db")
        await journal.open()
        await journal.id_keys.keep("uganda", fingerprint(ID_KEY), live=False)
        await journal.aclose()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, begin()).result()


ID_KEY = "canary-id-key-of-sixteen"
CASES = (
    Case("another id_key than its orders'", "journal.id_key", _moved_key, ID_KEY),
    Case("the file is read by others", "config.private", _mode(0o644)),
    Case("the file is written by others", "config.writable", _mode(0o622)),
    Case("the file is no TOML", "config.reads", _syntax),
    Case(
        "a setting is misspelt", "config.settings", _change("journal =", 'deadlne = "9"\njournal =')
    ),
    Case("no such driver", "account.driver", _change('driver = "campay"', 'driver = "canpay"')),
    Case("a field is misspelt", "account.fields", _change("username", "user_name")),
    Case(
        "a field that no driver has",
        "account.fields",
        _change("passkey", 'colour = "red"\npasskey'),
    ),
    Case(
        "a credential is empty",
        "account.fields",
        _change('passkey = "simulator"', 'passkey = ""'),
        "simulator",
    ),
    Case(
        "a field is empty",
        "account.fields",
        _change('shortcode = "174379"', 'shortcode = ""'),
        fill='"174379"',
    ),
    Case(
        "a placeholder",
        "account.placeholders",
        _change('passkey = "simulator"', 'passkey = "your_passkey"'),
        "simulator",
    ),
    Case(
        "an ellipsis",
        "account.placeholders",
        _change('username = "simulator"', 'username = "…"'),
        fill='"simulator"',
    ),
    Case("a test key in live mode", "account.mode", _paydunya("test_private_simulator", "true")),
    Case(
        "a live key in test mode",
        "account.mode",
        _paydunya("live_private_simulator", "false"),
        "test_private_simulator",
    ),
    Case(
        "a wrong password",
        "account.login",
        _change('password = "simulator"', f'password = "{PASSWORD}"'),
        "simulator",
    ),
    Case(
        "a wrong passkey",
        "account.login",
        _change('passkey = "simulator"', f'passkey = "{PASSWORD}"'),
        "simulator",
    ),
    Case(
        "callbacks by http",
        "webhook.base",
        _change("https://shop", "http://shop"),
        result="warning",
    ),
    Case(
        "callbacks to this machine",
        "webhook.base",
        _sandbox,
        fill="https://shop.paymux.org/pay",
        result="warning",
        offline=True,
    ),
    Case(
        "no callback address",
        "webhook.base",
        _change('webhook_base = "https://shop.paymux.org/pay"\n', ""),
        fill="https://shop.paymux.org/pay",
        result="warning",
    ),
    Case("a query in it", "webhook.base", _change("org/pay", "org/pay?shop=1")),
    Case("a word to avoid", "webhook.words", _change("org/pay", "org/mpesa/pay"), result="warning"),
    Case("a short key", "webhook.key", _change(KEY, "short")),
    Case("the key of an example", "webhook.key", _change(KEY, "sixteen characters or more")),
    Case("no key", "webhook.key", _change(f'webhook_key = "{KEY}"\n', "")),
    Case(
        "no journal",
        "journal.named",
        lambda shop: shop.change(f'journal = "{shop.folder}/payments.db"\n', ""),
        result="warning",
    ),
    Case("a network share", "journal.disk", _share),
    Case(
        "no such folder",
        "journal.write",
        lambda shop: shop.change("payments.db", "var/lib/payments.db"),
    ),
    Case("another database", "journal.write", _other_database),
    Case("a journal read by others", "journal.private", _readable, result="warning"),
    Case(
        "no certificates",
        "network.proxy",
        lambda shop: shop.environment.update(SSL_CERT_FILE="/nowhere.pem"),
    ),
    Case(
        "a forgotten proxy",
        "network.proxy",
        lambda shop: shop.environment.update(HTTPS_PROXY="http://127.0.0.1:9"),
        result="warning",
    ),
    Case(
        "a variable is empty",
        "account.fields",
        lambda shop: _variables(shop, PASSWORD=""),
        "simulator",
    ),
    Case("a variable is misspelt", "account.fields", lambda shop: _variables(shop, USERNAMEE="x")),
    Case(
        "a variable is a placeholder",
        "account.placeholders",
        lambda shop: _variables(shop, PASSWORD="changeme"),
        "simulator",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_a_broken_set_up_is_named_and_its_command_mends_it(shop: Shop, case: Case) -> None:
    """The check names what is broken; after its command was pasted, the same check is content."""
    case.breaks(shop)
    found = await shop.examine(offline=case.offline)
    named = [one for one in wrong(found) if one.check == case.check]
    assert [one.result for one in named] == [case.result]
    shop.paste(named[0], case.typed, case.fill)
    again = await shop.examine(only=case.check)
    assert again or case.check == "webhook.base"
    assert wrong(again) == []


async def test_a_whole_set_up_has_nothing_to_mend(shop: Shop) -> None:
    """Where all is well, no check finds anything, and no file is made or changed."""
    before = {path: path.read_bytes() for path in shop.folder.iterdir()}
    assert wrong(await shop.examine()) == []
    assert {path: path.read_bytes() for path in shop.folder.iterdir()} == before


async def test_a_folder_without_a_configuration_is_told_how_to_begin(shop: Shop) -> None:
    """The first thing that is missing is the configuration, and a command makes one."""
    shop.path.unlink()
    named = [one for one in wrong(await shop.examine()) if one.check == "config.found"]
    assert [one.mend and one.mend.command for one in named] == ["paymux config init"]
    shop.paste(named[0])
    assert wrong(await shop.examine(only="config.found")) == []


async def test_no_credential_is_in_any_finding(shop: Shop) -> None:
    """All is wrong at once, and each place of a credential has a canary: none is shown."""
    canary = "canary-4d1f"
    text = shop.path.read_text()
    for old in ('password = "simulator"', 'consumer_secret = "simulator"', 'passkey = "simulator"'):
        text = text.replace(old, old.replace("simulator", canary))
    text = text.replace(KEY, canary).replace(
        f"{shop.folder}/payments.db", f"postgresql://paymux:{canary}@127.0.0.1:9/shop?sslmode=odd"
    )
    proxy = f'proxy = "http://user:{canary}@127.0.0.1:9"\ndeadlne = "{canary}"\n'
    shop.write(f"{proxy}{text}".replace("passkey =", f'pass_key = "{canary}"\npasskey ='))
    shop.environment["HTTPS_PROXY"] = f"http://user:{canary}@127.0.0.1:9"
    shop.environment["PAYMUX_DAKAR__DRIVER"] = "paydunya"
    shop.environment["PAYMUX_DAKAR__PRIVATE_KEY"] = f"test_{canary}"
    found = await shop.examine()
    assert len([one for one in found if one.result == "problem"]) >= 6
    shown = [str(one.encoded()) for one in found]
    for language in ("en", "fr"):
        shown += [line for one in found for line in one.lines(language)]
    assert [line for line in shown if canary in line] == []


async def test_another_owner_of_the_file_is_named(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of another user is a problem, and the command makes it this user's."""
    uid = shop.path.stat().st_uid + 4242
    real = os.geteuid
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(Path, "stat", _owned_by_another(uid + 1))
    named = list(wrong(await shop.examine(only="config.owner")))
    assert real() != uid
    assert [one.mend and one.mend.command for one in named] == [f"sudo chown {uid} {shop.path}"]


def _owned_by_another(uid: int) -> Callable[[Path], os.stat_result]:
    def state(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = list(os.stat(path, follow_symlinks=follow_symlinks))  # noqa: PTH116 - Path.stat is what is replaced
        found[stat.ST_UID] = uid
        return os.stat_result(found)

    return state
