"""collect, payout, refund and the look-ups, against a simulator: the ledger is the truth."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from paymux.cli.main import run
from paymux.simulator import Fault, Simulator

from .conftest import variables

ORDER = ["collect", "5000", "XAF", "237677777777", "--reference", "order-1"]


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(list(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_payer_is_asked_once_however_often_it_is_run(
    shop: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same line again sends nothing, and shows the payment with the code of its status."""
    code, out, _ = _run(capsys, *ORDER, "--yes")
    assert (code, out.splitlines()[1].split("\t")[3]) == (0, "order-1")
    code, _, err = _run(capsys, *ORDER, "--yes")
    assert code == 5
    assert "not sent again" in err
    assert _run(capsys, "watch", "order-1")[0] == 0
    assert _run(capsys, *ORDER)[0] == 0, "paid by now, and nothing is asked: nothing is sent"
    assert shop.ledger.charged("order-1") == 5000
    assert len(shop.ledger) == 1


def test_another_order_under_the_reference_is_refused(
    shop: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 3 names what differs, and nothing is sent."""
    _run(capsys, *ORDER, "--yes")
    other = ["collect", "600", *ORDER[2:], "--yes"]
    code, out, err = _run(capsys, *other)
    assert (code, out) == (3, "")
    assert "amount 5000 XAF, here 600 XAF" in err
    assert "Nothing was sent." in err
    code, _, err = _run(capsys, *other, "--json")
    told = json.loads(err)
    assert (told["error"], told["exit"], told["repeat"]) == ("DuplicateReference", 3, False)
    assert len(shop.ledger) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (ORDER[:4], "--reference: missing"),
        (ORDER, "accepted: --yes"),
        (["collect", "1e3", *ORDER[2:], "-y"], "amount: '1e3' is refused"),
        (["collect", " 5000", *ORDER[2:], "-y"], "amount: ' 5000' is refused"),
        (["collect", "\uff15000", *ORDER[2:], "-y"], "amount: "),
        (["collect", "5000", "EUR", *ORDER[3:], "-y"], "currency: 'EUR' is refused"),
        (["collect", "5000", "XAF", "", *ORDER[4:], "-y"], "payer: "),
        ([*ORDER[:5], "a\nb", "-y"], "reference: "),
        ([*ORDER[:5], "x" * 10_000, "-y"], "reference: "),
        ([*ORDER, "-y", "-a", "absent"], "account: 'absent' is refused"),
        ([*ORDER, "-y", "--metadata", "x"], "metadata: 'x' is refused; accepted: NAME=VALUE"),
        (["refund", "order-9", "--reference", "r", "-y"], "no such order is in the journal"),
        (["watch", "order-9"], "no such order is in the journal"),
        (["verify"], "a REF, --id, or - for standard input"),
        (["resolve", "order-9", "lost", "--because", "x"], "lost"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_sent(
    words: list[str], said: str, shop: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad input and a question that cannot be answered are exit 2 or 3, with at most four lines."""
    code, out, err = _run(capsys, *words)
    assert (code in (2, 3), out) == (True, "")
    assert said in err
    assert len(err.splitlines()) <= 4
    assert len(shop.ledger) == 0


def test_without_a_journal_no_money_moves(
    shop: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A money command without a journal says how to name one, and sends nothing."""
    monkeypatch.delenv("PAYMUX_JOURNAL")
    code, _, err = _run(capsys, *ORDER, "-y")
    assert code == 2
    assert "PAYMUX_JOURNAL" in err
    assert len(shop.ledger) == 0


def test_a_journal_that_cannot_be_written_sends_nothing(
    shop: Simulator,
    bare: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder that is not there, or a file that is none, ends the command before the wire."""
    for place in (bare / "absent" / "shop.db", bare):
        monkeypatch.setenv("PAYMUX_JOURNAL", str(place))
        code, out, err = _run(capsys, *ORDER, "-y")
        assert (code in (2, 4), out) == (True, "")
        assert "Traceback" not in err
    assert len(shop.ledger) == 0


@pytest.mark.parametrize("answers", ["", "n\n", "yes"])
def test_a_dry_run_and_a_pipe_send_nothing(
    answers: str,
    shop: Simulator,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """--dry-run prints the checked order and where it would go; a pipe is never a yes."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(answers))
    assert _run(capsys, *ORDER)[0] == 2
    code, out, err = _run(capsys, *ORDER, "--dry-run", "--json")
    plan = json.loads(out)
    assert (code, plan["amount"], plan["url"].startswith(shop.url)) == (0, "5000", True)
    assert "Nothing was sent." in err
    assert len(shop.ledger) == 0


@pytest.mark.parametrize(
    ("fault", "code", "orders"),
    [
        (Fault.DROP_AFTER, 5, 1),
        (Fault.TRUNCATE, 5, 1),
        (Fault.GARBAGE, 5, 1),
    ],
)
def test_a_lost_answer_is_exit_5_and_never_sent_again(
    fault: Fault, code: int, orders: int, shop: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a lost answer the command says so; run again, it sends nothing either."""
    shop.fault("campay", "POST /collect/", kind=fault, times=9)
    first = _run(capsys, *ORDER, "-y", "--json")
    assert (first[0], first[1]) == (code, "")
    told = json.loads(first[2].splitlines()[-1])
    assert (told["exit"], told["repeat"]) == (code, code == 4)
    if code == 5:
        assert told["hints"] == ["paymux watch order-1"]
        again = _run(capsys, *ORDER, "-y")
        assert again[0] == 5
    assert len(shop.ledger.entries(provider="campay")) == orders


def test_a_payout_is_waited_for(shop: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """With --wait the exit code is that of the end: 0 only if the money has moved."""
    paid = ["payout", "500", "XAF", "237677777777", "--reference", "wage-1", "-y", "--wait"]
    assert _run(capsys, *paid)[0] == 0
    assert shop.ledger.paid_out("wage-1") == 500
    failed = ["collect", "500", "XAF", "237677777770", "--reference", "order-2", "-y", "--wait"]
    assert _run(capsys, *failed)[0] == 1


def test_many_are_verified_from_standard_input(
    shop: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, bare: Path
) -> None:
    """References, CSV and JSON lines are read alike; the gravest answer is the exit code."""
    _run(capsys, *ORDER, "-y", "--wait")
    _run(capsys, "collect", "500", "XAF", "237677777770", "--reference", "o-2", "-y", "--wait")
    forms = [
        "order-1\no-2\n",
        "\ufeffreference;amount\norder-1;\no-2;\n",
        '{"reference":"order-1"}\n{"reference":"o-2"}\n',
    ]
    for form in forms:
        file = bare / "orders"
        file.write_text(form)
        with file.open() as opened:
            monkeypatch.setattr(sys, "stdin", opened)
            code, out, _ = _run(capsys, "verify", "-", "--json")
        found = {row["reference"]: row["status"] for row in map(json.loads, out.splitlines())}
        assert (code, found) == (1, {"order-1": "succeeded", "o-2": "failed"})


def test_an_amount_that_is_another_is_a_mismatch(
    shop: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, bare: Path
) -> None:
    """Exit 6: what the provider has is not what the list says; a person must look."""
    _run(capsys, *ORDER, "-y", "--wait")
    (entry,) = shop.ledger
    (bare / "list").write_text(
        json.dumps({"provider_reference": entry.provider_reference, "amount": "4000"})
    )
    with (bare / "list").open() as opened:
        monkeypatch.setattr(sys, "stdin", opened)
        code, _, err = _run(capsys, "verify", "-")
    assert code == 6
    assert "Tell a person" in err


@pytest.mark.parametrize("command", ["verify", "watch"])
def test_an_order_that_the_journal_lacks_is_named(
    command: str, shop: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit 3, in the command line's own words: no field of a Python call."""
    del shop
    code, _, err = _run(capsys, command, "nosuch")
    assert code == 3
    assert "nosuch: no such order is in the journal" in err
    assert "provider_reference" not in err


def test_a_reference_that_is_unknown_stops_no_other(
    shop: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several accounts none is asked about it: it is named, and the rest is asked."""
    _run(capsys, *ORDER, "-y")
    for name, value in variables(shop, "campay", "OTHER").items():
        monkeypatch.setenv(name, value)
    code, out, err = _run(capsys, "verify", "nosuch", "order-1", "gone")
    assert code == 5, err
    assert "order-1" in out
    for name in ("nosuch", "gone"):
        assert f"{name}: no such order is in the journal; -a names the account" in err
    assert _run(capsys, "verify", "nosuch")[0] == 3
    assert _run(capsys, "verify", "nosuch", "-a", "absent")[0] == 2


@pytest.mark.parametrize("command", ["verify", "watch"])
def test_without_a_journal_no_order_is_known(
    command: str,
    shop: Simulator,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With exit 3: the error names the journal that is not there, and not one that lacks it."""
    del shop
    monkeypatch.delenv("PAYMUX_JOURNAL")
    code, _, err = _run(capsys, command, "order-1")
    assert code == 3
    assert "order-1: no journal is set (PAYMUX_JOURNAL)" in err


def test_a_balance_that_fails_does_not_hide_the_others(
    shop: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each account is a row, or a line on standard error; the exit code is the gravest."""
    for name in ("DRIVER", "BASE_URL", "PASSWORD"):
        monkeypatch.setenv(f"PAYMUX_OTHER__{name}", str(_variable(f"PAYMUX_SHOP__{name}")))
    monkeypatch.setenv("PAYMUX_OTHER__USERNAME", "wrong")
    code, out, err = _run(capsys, "balance", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 3
    assert {row["account"] for row in rows} == {"shop"}
    assert json.loads(err)["error"] == "AuthenticationFailed"


def _variable(name: str) -> str:
    return os.environ[name]


def test_recover_tells_what_is_open(shop: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown outcome is listed with exit 5, found out, and then nothing is open."""
    shop.fault("campay", "POST /collect/", kind=Fault.DROP_AFTER, times=9)
    assert _run(capsys, *ORDER, "-y")[0] == 5
    code, out, _ = _run(capsys, "recover", "--list")
    assert (code, "order-1" in out) == (5, True)
    code, out, _ = _run(capsys, "recover", "--json")
    (found,) = map(json.loads, out.splitlines())
    assert (code, found["resolved"]) == (5, False), "CamPay cannot be asked by our reference"


def test_history_is_the_providers_list(shop: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """The orders of today are there, each a row."""
    _run(capsys, *ORDER, "-y", "--wait")
    code, out, _ = _run(capsys, "history", "--since", "2026-01-01", "--json", "--utc")
    assert code == 0
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["succeeded"]


def test_no_credential_is_ever_shown(
    shop: Simulator, capsys: pytest.CaptureFixture[str], bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With -v too, a password is in no output and in no file."""
    monkeypatch.setenv("PAYMUX_SHOP__PASSWORD", "canary-of-the-password")
    told = "".join(
        "".join(map(str, _run(capsys, *words, "-v")[1:]))
        for words in (
            [*ORDER, "-y"],
            ["balance"],
            ["recover"],
            ["history", "--since", "2026-01-01"],
        )
    )
    assert told
    assert "canary" not in told
    for file in bare.rglob("*"):
        assert not file.is_file() or b"canary" not in file.read_bytes()


def test_a_wait_that_is_no_time_sends_nothing(
    shop: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 means that nothing was sent: --wait is checked before the order leaves."""
    for wait in ("nan", "0", "inf", "abc"):
        code, _, err = _run(capsys, *ORDER, "-y", f"--wait={wait}")
        assert (code, "wait" in err) == (2, True)
    assert len(shop.ledger) == 0


def test_a_list_with_amounts_needs_no_account(
    shop: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, bare: Path
) -> None:
    """The journal knows whose order a reference is; the list's own amount is what is expected."""
    _run(capsys, *ORDER, "-y", "--wait")
    for amount, expected in (("5000", 0), ("4000", 6)):
        (bare / "list").write_text(f"reference,amount,currency\norder-1,{amount},XAF\n")
        with (bare / "list").open() as opened:
            monkeypatch.setattr(sys, "stdin", opened)
            assert _run(capsys, "verify", "-")[0] == expected


def test_the_command_to_type_next_can_be_typed(
    shop: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reference that looks like an option is no option of the command that is proposed."""
    shop.fault("campay", "POST /collect/", kind=Fault.DROP_AFTER, times=9)
    _, _, err = _run(capsys, *ORDER[:5], "-x", "-y", "--json")
    assert json.loads(err.splitlines()[-1])["hints"] == ["paymux watch -- -x"]


@pytest.mark.slow
def test_watches_end_silently_with_their_reader(shop: Simulator) -> None:
    """`| head -1` of two watched orders is no fault of ours, and a full disk is told as one."""
    for name in ("w-1", "w-2"):
        assert run([*ORDER[:5], name, "-y"]) == 0
    line = [sys.executable, "-m", "paymux", "watch", "w-1", "w-2"]
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone, Path("/dev/full").open("w") as full:
        for stdout, code, said in ((gone, 0, ""), (full, 2, "paymux: standard output: No space")):
            ended = subprocess.run(
                line, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60, check=False
            )
            assert (ended.returncode, ended.stderr.startswith(said)) == (code, True), ended
            assert "Traceback" not in ended.stderr


def test_a_wait_that_fails_never_says_that_nothing_moved(
    shop: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once the order has left, an error of the wait is exit 5, whatever the error is."""
    shop.fault("campay", "GET /transaction/", kind=Fault.STALE_TOKEN, times=99)
    code, _, err = _run(capsys, *ORDER, "-y", "--wait", "2")
    assert code == 5
    assert "Do not send it again." in err
    assert "Nothing was sent" not in err
