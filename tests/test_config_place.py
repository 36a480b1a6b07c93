"""Which config is used, what variables override, who may write it, and values kept elsewhere."""

import logging
from pathlib import Path
from typing import Any

import pytest

from paymux import Pool, UsageError

ACCOUNT = '[accounts.shop]\ndriver = "campay"\nusername = "u"\npassword = "of the file"\n'
SECRET = "geheim-0123456789"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty directory, with no variables and an empty home."""
    import os  # noqa: PLC0415

    for name in list(os.environ):
        if name.startswith("PAYMUX_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def _write(path: Path, text: str = ACCOUNT, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def _password(pool: Pool) -> str:
    return pool.drivers["shop"].secrets()[0]


def test_the_first_file_found_is_used(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PAYMUX_CONFIG goes before ./paymux.toml, and this before the user's; no walk upwards."""
    with pytest.raises(UsageError, match=r"PAYMUX_<ACCOUNT>__DRIVER.*paymux.toml.*config.toml"):
        Pool.from_config()
    _write(place.parent / "paymux.toml", "wrong")
    kept = _write(tmp_path / "home" / ".config" / "paymux" / "config.toml")
    assert _password(Pool.from_config()) == "of the file"
    _write(place / "paymux.toml", ACCOUNT.replace("of the file", "of the directory"))
    assert _password(Pool.from_config()) == "of the directory"
    monkeypatch.setenv("PAYMUX_CONFIG", str(kept))
    assert _password(Pool.from_config()) == "of the file"
    monkeypatch.setenv("PAYMUX_CONFIG", str(place / "none.toml"))
    with pytest.raises(UsageError, match=r"none\.toml"):
        Pool.from_config()


def test_a_variable_overrides_one_field(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other fields stay those of the file; an account may be in variables alone."""
    _write(place / "paymux.toml", ACCOUNT.replace("shop", "My-Shop") + 'dialect = "summary"\n')
    monkeypatch.setenv("PAYMUX_MY_SHOP__PASSWORD", SECRET)
    monkeypatch.setenv("PAYMUX_MY_SHOP__USERNAME", "")
    monkeypatch.setenv("PAYMUX_OTHER__DRIVER", "campay")
    monkeypatch.setenv("PAYMUX_OTHER__ACCESS_TOKEN", "t")
    monkeypatch.setenv("PAYMUX_DEADLINE", "7.5")
    pool = Pool.from_config()
    assert set(pool.drivers) == {"My-Shop", "other"}
    assert pool.drivers["My-Shop"].secrets()[0] == SECRET
    assert getattr(pool.drivers["My-Shop"], "dialect", "") == "summary"
    assert pool._engine.deadline == 7.5


def test_a_named_file_is_read_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that names its file gets that file, whatever the environment says."""
    file = _write(place / "mine.toml")
    monkeypatch.setenv("PAYMUX_SHOP__PASSWORD", SECRET)
    assert _password(Pool.from_config(file)) == "of the file"


def test_the_environment_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file both makers of a pool read the variables, the pool's own among them."""
    monkeypatch.setenv("PAYMUX_SHOP__DRIVER", "campay")
    monkeypatch.setenv("PAYMUX_SHOP__ACCESS_TOKEN", "t")
    monkeypatch.setenv("PAYMUX_DEADLINE", "9")
    monkeypatch.setenv("PAYMUX_ATTEMPTS", "2")
    for pool in (Pool.from_config(), Pool.from_env()):
        assert set(pool.drivers) == {"shop"}
        assert pool._engine.deadline == 9


@pytest.mark.parametrize("value", ["x", "0", "-1", "nan", "inf", "1.5.2"])
@pytest.mark.parametrize("name", ["PAYMUX_DEADLINE", "PAYMUX_CONNECT_TIMEOUT", "PAYMUX_ATTEMPTS"])
def test_a_number_in_a_variable_is_checked(name: str, value: str) -> None:
    """A wrong number is UsageError that names the variable."""
    with pytest.raises(UsageError, match=name):
        Pool.from_env({"PAYMUX_A__DRIVER": "campay", "PAYMUX_A__ACCESS_TOKEN": "t", name: value})


def test_a_value_may_stand_elsewhere(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`{ env }`, `{ file }` and `…_FILE` are followed; a file is relative to the config."""
    _write(place / "keys" / "password", f"{SECRET}\n")
    _write(place / "keys" / "here", "another secret")
    monkeypatch.setenv("A_NAME", "u")
    file = _write(
        place / "keys" / "paymux.toml",
        '[accounts.shop]\ndriver = "campay"\nusername = { env = "A_NAME" }\n'
        'password = { file = "password" }\n',
    )
    assert _password(Pool.from_config(file)) == SECRET
    monkeypatch.setenv("PAYMUX_CONFIG", str(file))
    monkeypatch.setenv("PAYMUX_SHOP__PASSWORD_FILE", "keys/here")
    assert _password(Pool.from_config()) == "another secret"
    monkeypatch.setenv("PAYMUX_SHOP__PASSWORD", "x")
    with pytest.raises(UsageError, match="PAYMUX_SHOP__PASSWORD_FILE"):
        Pool.from_config()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('{ env = "NOT_SET" }', "NOT_SET is not set"),
        ("{ env = 5 }", "password.env"),
        ('{ file = "nowhere" }', "nowhere"),
        ('{ file = "." }', "no such file"),
        ('{ file = "binary" }', "not UTF-8"),
        ('{ file = "large" }', "larger than"),
        ('{ env = "A", file = "B" }', "password"),
    ],
)
def test_a_value_that_is_not_there_names_its_field(place: Path, value: str, said: str) -> None:
    """What a config refers to is refused with the field, and without what is in the file."""
    (place / "binary").write_bytes(b"\xff" + SECRET.encode())
    (place / "large").write_bytes(SECRET.encode() * 5000)
    _write(place / "paymux.toml", ACCOUNT.replace('"of the file"', value))
    with pytest.raises(UsageError) as caught:
        Pool.from_config()
    assert "accounts.shop.password" in str(caught.value)
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(place: Path, mode: int) -> None:
    """Who may write it decides where the money goes; the error has the mending command."""
    _write(place / "paymux.toml", mode=mode)
    with pytest.raises(UsageError, match=r"chmod go-w paymux\.toml"):
        Pool.from_config()


def test_a_secret_that_others_may_read_is_named(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning names the file; one without a secret is no finding."""
    _write(place / "paymux.toml", mode=0o644)
    with caplog.at_level(logging.WARNING, "paymux"):
        Pool.from_config()
    assert "chmod 600 paymux.toml" in caplog.text
    caplog.clear()
    _write(place / "key", SECRET)
    text = ACCOUNT.replace('"of the file"', '{ file = "key" }')
    _write(place / "paymux.toml", text, mode=0o644)
    with caplog.at_level(logging.WARNING, "paymux"):
        Pool.from_config()
    assert caplog.text == ""
    (place / "key").chmod(0o644)
    with caplog.at_level(logging.WARNING, "paymux"):
        Pool.from_config()
    assert "chmod 600 key" in caplog.text


@pytest.mark.parametrize(
    ("top", "said"),
    [
        ('default_account = "nobody"', "default_account"),
        ("default_account = 5", "default_account"),
        ('lang = "de"', "lang"),
        ("reconcile = 5", "reconcile"),
        ("[reconcile]\nshop = 5", "reconcile"),
        ('webhook_key = "0123456789abcdef,fedcba9876543210"', "webhook_key"),
        ("nonsense = 1", "nonsense"),
    ],
)
def test_a_wrong_setting_of_a_file_is_named(place: Path, top: str, said: str) -> None:
    """Each key of a config is checked; two keys with a comma are not taken for one."""
    _write(place / "paymux.toml", f"{top}\n{ACCOUNT}")
    with pytest.raises(UsageError, match=said) as caught:
        Pool.from_config()
    assert "0123456789abcdef" not in str(caught.value)


def test_two_names_that_one_variable_means_are_refused(place: Path) -> None:
    """A variable that could be of two accounts would change the wrong one."""
    _write(place / "paymux.toml", ACCOUNT + ACCOUNT.replace("shop", "SHOP"))
    with pytest.raises(UsageError, match=r"accounts\.SHOP"):
        Pool.from_config()


def test_no_frame_of_an_error_shows_a_secret(place: Path) -> None:
    """A traceback with local variables has no credential of the config."""
    _write(place / "paymux.toml", ACCOUNT.replace("of the file", SECRET) + "pasword = 1\n")
    with pytest.raises(UsageError) as caught:
        Pool.from_config()
    shown: list[Any] = []
    trace = caught.value.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.find("paymux/paymux") > 0:
            shown.append(repr(trace.tb_frame.f_locals))
        trace = trace.tb_next
    assert SECRET not in "".join(shown)
