"""What a newcomer meets: no account, no file, and the first mistakes."""

import os
from pathlib import Path

import pytest

from paymux.simulator import Simulator

from .running import Ended, ended


@pytest.mark.parametrize("words", [(), ("journal",), ("config",)])
def test_a_group_alone_is_its_help_and_no_error(words: tuple[str, ...]) -> None:
    """The help stands alone: no "paymux:" before it, no hint to ask for it behind it."""
    done = ended(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Examples:\n  paymux ")
    assert not done.stderr.rstrip().endswith("-h")


def _balance(bare: Path, *words: str) -> Ended:
    return ended("balance", *words, HOME=str(bare), XDG_CONFIG_HOME=str(bare))


def test_without_an_account_it_says_what_to_type(bare: Path) -> None:
    """One command writes a file to fill in, another needs no account."""
    said = _balance(bare).stderr
    assert "  paymux config init " in said
    assert "  paymux demo " in said
    assert "paymux.toml or " in said
    assert "écrit un fichier" in _balance(bare, "--lang", "fr").stderr


def test_an_account_without_its_settings_is_named(shop: Simulator) -> None:
    """Where one of several balances is refused, the line says whose it is."""
    fields = ("CONSUMER_KEY", "CONSUMER_SECRET", "PASSKEY", "INITIATOR_NAME", "SECURITY_CREDENTIAL")
    account = {f"PAYMUX_KENYA__{name}": "simulator" for name in fields}
    base = sim_base(shop)
    done = ended(
        "balance", PAYMUX_KENYA__DRIVER="mpesa", PAYMUX_KENYA__SHORTCODE="174379",
        PAYMUX_KENYA__BASE_URL=base, **account,
    )  # fmt: skip
    assert done.stderr.startswith("paymux: kenya: webhook_base: missing")


def sim_base(sim: Simulator) -> str:
    """Return the address of the simulated M-Pesa."""
    return str(sim.driver("mpesa").base_url)


def test_a_copy_without_a_name_is_refused(tmp_path: Path) -> None:
    """It copies one program: a list instead would look as if all had been copied."""
    done = ended("examples", "--copy", str(tmp_path))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "name: missing" in done.stderr
    assert "  paymux examples " in done.stderr


def test_a_flag_is_shown_as_the_file_writes_it(bare: Path) -> None:
    """`live = false` is not shown in Python's words."""
    (bare / "paymux.toml").write_text('[accounts.shop]\ndriver = "campay"\nlive = false\n')
    assert "accounts.shop.live\tfalse\t" in ended("config", "show").stdout


def test_doctor_says_what_there_is_none_of(bare: Path) -> None:
    """Each finding names its subject, and none is made up where the file cannot be read."""
    file = bare / "paymux.toml"
    file.write_text('[accounts.shop]\ndriver = "campay"\naccess_token = "token-of-a-shop"\n')
    said = ended("doctor", "--offline").stdout
    assert "warning: no webhook_base: " in said
    assert "warning: no journal is named: " in said
    file.write_text('journal = "payments.db"\n[accounts.shop]\ndriver = "x\n')
    said = ended("doctor", "--offline").stdout
    assert "line 3 is not TOML" in said
    assert "journal.named" not in said


def test_doctor_proposes_no_edit_of_every_line(bare: Path) -> None:
    """A table that there is not is no line of its own: the editor opens, and sed is not used."""
    (bare / "paymux.toml").write_text('[account.shop]\ndriver = "campay"\n')
    said = ended("doctor", "--offline").stdout
    assert "account: there is no such setting" in said
    assert "0,$" not in said


def test_a_payment_reads_the_same_from_the_journal_as_from_the_provider(shop: Simulator) -> None:
    """One form of time, money and reason in all commands: two lists can be laid side by side."""
    order = ("collect", "500", "XAF", "237677777770", "--reference", "order-7", "-y", "--wait")
    ended(*order, **_shop())
    verified = ended("verify", "order-7", **_shop()).stdout
    assert "\tfailed (" in verified
    assert ended("journal", "list", **_shop()).stdout == verified


def _shop() -> dict[str, str]:
    return {name: one for name, one in os.environ.items() if name.startswith("PAYMUX_")}


def test_a_statement_that_is_absent_says_what_is_accepted(shop: Simulator) -> None:
    """The file, what is wrong with it, and what would be right, each as such."""
    done = ended("reconcile", "absent.csv", **_shop())
    assert done.exit_code == 2
    assert "absent.csv: No such file or directory; accepted: a file" in done.stderr
