"""Files, names and texts of others: nothing is overwritten, followed or run on the terminal."""

import io
import json
import sys
from pathlib import Path

import pytest

from paymux.cli import streams
from paymux.cli.main import run
from paymux.cli.whole_file import write_whole

from .running import ended

CONFIG = '[accounts.shop]\ndriver = "campay"\nusername = "u"\npassword = "p"\n'


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder of our own, with our own state."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def kept(config: str, account: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Keep a secret in an account of a config; return the exit code."""
    Path("paymux.toml").write_text(config)
    Path("paymux.toml").chmod(0o600)
    monkeypatch.setattr(sys, "stdin", io.StringIO("a secret of ours\n"))
    return run(["config", "set-secret", account, "password", "--stdin"])


def test_a_secret_never_goes_through_a_link(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link under a name that another user can guess leads no secret elsewhere."""
    elsewhere = alone / "elsewhere"
    elsewhere.write_text("as it was")
    for name in ("shop.password.secret", "shop.password.secret.new", "paymux.toml.new"):
        (alone / name).symlink_to(elsewhere)
    assert kept(CONFIG, "shop", monkeypatch) == 0
    assert elsewhere.read_text() == "as it was"
    secret = alone / "shop.password.secret"
    assert (secret.is_symlink(), secret.stat().st_mode & 0o777) == (False, 0o600)


def test_a_secret_stays_beside_the_config(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account whose name is a path writes no file in another folder."""
    config = CONFIG.replace("accounts.shop", 'accounts."../out"')
    (alone / "in").mkdir()
    monkeypatch.chdir(alone / "in")
    assert kept(config, "../out", monkeypatch) == 2
    assert not (alone / "out.password.secret").exists()


@pytest.mark.parametrize("config", ["accounts = 5\n", '[accounts]\nshop = "x"\n'])
def test_a_secret_of_an_odd_config_is_refused(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A config with another type where accounts belong is a refusal, and no fault of ours."""
    assert kept(config, "shop", monkeypatch) == 2


def test_a_file_that_cannot_be_replaced_leaves_nothing(alone: Path) -> None:
    """What failed to be written leaves no half of a secret behind."""
    (alone / "folder" / "full").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        write_whole(alone / "folder", "a secret")
    assert [one.name for one in alone.iterdir()] == ["folder"]


@pytest.mark.parametrize("content", [b"A=\0b\n", b"A=\xffb\n"])
def test_an_env_file_with_odd_bytes_is_refused(content: bytes, alone: Path) -> None:
    """A NUL, or bytes that are not UTF-8, are a refusal that shows no value."""
    (alone / "odd.env").write_bytes(content)
    told = ended("balance", "--env-file", "odd.env")
    assert told.exit_code == 2
    assert "env-file" in told.stderr


def test_no_text_moves_the_cursor(alone: Path) -> None:
    """Control characters in names of a file, or in a provider's text, are shown, and not run."""
    odd = 'accounts."e\\u001b[31m\\u009b2J"'
    Path("paymux.toml").write_text(CONFIG.replace("accounts.shop", odd))
    for words in (["doctor", "--offline"], ["balance"], ["config", "show"], ["balance", "-a", "x"]):
        told = ended(*words)
        assert not {"\x1b", "\x9b"} & set(told.output), words
    Path("paymux.toml").write_text(CONFIG)
    header = "amount,reference,\x1b]0;title\x07,at\n500,a\x1b[2J,x,2026-11-02\n"
    (alone / "theirs.csv").write_text(header)
    (alone / "ours.csv").write_text(header)
    told = ended("reconcile", "theirs.csv", "--ours", "ours.csv", "--explain")
    assert told.exit_code == 0
    assert not {"\x1b", "\x07"} & set(told.output)


def test_words_of_every_language_stay_as_they_are() -> None:
    """Only control characters are replaced: no accent, and no space of French."""
    said = "été\u202f: 5\u00a0000 XAF → 漢\n\t"
    assert streams.harmless(said) == said
    assert streams.harmless("\x1b[2J\r\u202e") == "\\x1b[2J\\r\\u202e"


@pytest.mark.parametrize("url", ["http://[x", "http://127.0.0.1:99999", "http://127.0.0.1:abc"])
def test_an_odd_address_of_a_simulator_is_refused(url: str) -> None:
    """An address that is none is a refusal, and no fault of ours."""
    told = ended("simulator", "reset", "--json", PAYMUX_SIMULATOR=url)
    assert (told.exit_code, json.loads(told.stderr)["type"]) == (2, "error")
