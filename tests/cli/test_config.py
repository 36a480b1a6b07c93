"""`paymux config` and `paymux webhook-url`."""

import io
import os
import sys
from pathlib import Path

import pytest

from paymux import Pool
from paymux.cli.main import run
from paymux.drivers import names

KEY = "a webhook key of ours"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in an empty folder, without a variable of paymux."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PAYMUX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.parametrize("name", names())
def test_init_writes_a_config_that_can_be_filled_in(
    name: str, alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has mode 0600 and every field of the driver, and never replaces another."""
    assert run(["config", "init", name]) == 0
    file = alone / "paymux.toml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert run(["config", "show"]) == 0
    assert f"accounts.{name}.driver\t{name}\tpaymux.toml" in capsys.readouterr().out
    before = file.read_text()
    assert run(["config", "init", name]) == 2
    assert file.read_text() == before


def test_a_secret_is_kept_in_a_file_of_its_own(
    alone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """set-secret shows it nowhere, keeps it with mode 0600, and leaves all comments in place."""
    run(["config", "init", "campay"])
    file = alone / "paymux.toml"
    file.write_text(f"{file.read_text()}# my own words\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("a password of 25 letters!\n"))
    assert run(["config", "set-secret", "campay", "password", "--stdin"]) == 0
    kept = alone / "campay.password.secret"
    assert kept.read_text() == "a password of 25 letters!\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "# my own words" in file.read_text()
    assert run(["config", "show"]) == 0
    told = capsys.readouterr()
    assert "a password of" not in told.out + told.err + file.read_text()
    assert "set (25 characters)\tfile campay.password.secret" in told.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody", "password"], "account: 'nobody' is refused; accepted: campay"),
        (["campay", "username"], "field: 'username' is refused; accepted: "),
        (["-", "journal"], "field: 'journal' is refused; accepted: webhook_key"),
    ],
)
def test_a_secret_that_is_none_is_refused(
    words: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Only a credential of an account, or the callback key, is kept in a file of its own."""
    run(["config", "init", "campay"])
    monkeypatch.setattr(sys, "stdin", io.StringIO("x\n"))
    assert run(["config", "set-secret", *words, "--stdin"]) == 2
    assert said in capsys.readouterr().err


def test_path_says_which_file_is_used(alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1 if there is none; the name of the file if there is one."""
    assert run(["config", "path"]) == 1
    run(["config", "init"])
    capsys.readouterr()
    assert run(["config", "path"]) == 0
    assert capsys.readouterr().out == "paymux.toml\n"


def test_webhook_url_is_what_the_pool_makes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The address that is printed is the one that a pool of the same config reads."""
    monkeypatch.setenv("PAYMUX_SHOP__DRIVER", "campay")
    monkeypatch.setenv("PAYMUX_SHOP__ACCESS_TOKEN", "t")
    monkeypatch.setenv("PAYMUX_WEBHOOK_BASE", "https://shop.example/pay")
    monkeypatch.setenv("PAYMUX_WEBHOOK_KEY", KEY)
    assert run(["webhook-url", "shop"]) == 0
    assert capsys.readouterr().out == f"{Pool.from_config().webhook_url('shop')}\n"
    assert run(["webhook-url", "shop", "order-1"]) == 0
    assert capsys.readouterr().out == f"{Pool.from_config().webhook_url('shop', 'order-1')}\n"


def test_an_env_file_adds_what_is_not_set(
    alone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--env-file sets no variable that is set already; .env alone is never read."""
    (alone / ".env").write_text("PAYMUX_SHOP__DRIVER=campay\nPAYMUX_SHOP__USERNAME=file\n")
    assert run(["config", "show"]) == 0
    assert "shop" not in capsys.readouterr().out
    monkeypatch.setenv("PAYMUX_SHOP__USERNAME", "set before")
    monkeypatch.setenv("PAYMUX_SHOP__DRIVER", "")
    monkeypatch.delenv("PAYMUX_SHOP__DRIVER")
    assert run(["config", "show", "--env-file", ".env"]) == 0
    told = capsys.readouterr().out
    assert "accounts.shop.username\tset before" in told
    assert "accounts.shop.driver\tcampay" in told


def test_a_secret_among_the_arguments_ends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other users can read the arguments: one that is a secret is refused, and not shown."""
    monkeypatch.setenv("PAYMUX_SHOP__DRIVER", "campay")
    monkeypatch.setenv("PAYMUX_SHOP__USERNAME", "u")
    monkeypatch.setenv("PAYMUX_SHOP__PASSWORD", "canary-of-a-password")
    monkeypatch.setenv("PAYMUX_WEBHOOK_BASE", "https://shop.example/pay")
    monkeypatch.setenv("PAYMUX_WEBHOOK_KEY", KEY)
    words = ["webhook-url", "shop", "canary-of-a-password"]
    monkeypatch.setattr(sys, "argv", ["paymux", *words])
    assert run(words) == 2
    told = capsys.readouterr()
    assert "canary" not in told.out + told.err
