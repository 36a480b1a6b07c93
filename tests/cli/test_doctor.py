"""`paymux doctor` and `paymux probe`, as a user runs them."""

import json
import socket
import threading
import time
from pathlib import Path

import pytest

from paymux.cli.main import run
from paymux.simulator import Simulator

CANARY = "canary-of-a-password"


def test_what_is_right_is_one_line(shop: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """Without -v only what is wrong is printed, then the last line; warnings are exit 0."""
    assert run(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Ready: 1 account, ")
    assert run(["check", "-v"]) == 0
    assert "[account.login]" in capsys.readouterr().out
    assert run(["doctor", "--lang", "fr"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Prêt : 1 compte, ")
    assert len(shop.ledger) == 0


def test_a_problem_is_exit_1_with_its_command(
    shop: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong password is named with what mends it, and shown nowhere."""
    monkeypatch.setenv("PAYMUX_SHOP__PASSWORD", CANARY)
    for words in (["doctor"], ["doctor", "--json"], ["doctor", "-v"]):
        assert run(words) == 1
        captured = capsys.readouterr()
        assert CANARY not in captured.out + captured.err
        assert "account.login" in captured.out
        assert "PAYMUX_SHOP__PASSWORD" in captured.out
    told = [json.loads(line) for line in _json(["doctor", "--json"], capsys)]
    assert told[-1]["type"] == "summary"
    assert told[-1]["problems"] == 1


def _json(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    run(words)
    return capsys.readouterr().out.splitlines()


def test_wrong_arguments_are_exit_2(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A check or an account that there is not is refused, with the list of those there are."""
    assert run(["doctor", "--skip", "nonsense"]) == 2
    assert "accepted: config.found" in capsys.readouterr().err
    assert run(["doctor", "-a", "absent"]) == 2
    assert run(["doctor"]) == 1
    assert "paymux config init" in capsys.readouterr().out


@pytest.mark.slow
def test_a_host_that_never_answers_takes_ten_seconds_at_most(
    shop: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A black hole is a problem of its own, and the other checks are made all the same."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("PAYMUX_SHOP__BASE_URL", url)
        began = time.monotonic()
        assert run(["doctor", "-v"]) == 1
        took = time.monotonic() - began
    assert took < 10
    assert "[journal.named]" in capsys.readouterr().out


def _forward(listening: socket.socket, port: int) -> None:
    """Carry one connection to a port: a tunnel."""
    inner, _ = listening.accept()
    with inner, socket.create_connection(("127.0.0.1", port)) as outer:
        outer.sendall(inner.recv(65536))
        while data := outer.recv(65536):
            inner.sendall(data)


@pytest.mark.slow
def test_a_message_through_the_public_address_comes_back(
    shop: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--callback serves a port, sends to webhook_base, and says whether it arrived."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as tunnel:
        threading.Thread(target=_forward, args=(tunnel, port), daemon=True).start()
        base = f"http://127.0.0.1:{tunnel.getsockname()[1]}/pay"
        monkeypatch.setenv("PAYMUX_WEBHOOK_BASE", base)
        run(["doctor", "--callback", str(port), "-v"])
    assert "a message came back through webhook_base" in capsys.readouterr().out


def test_a_probe_asks_once_and_goes_on_where_it_stopped(
    shop: Simulator, bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was settled is not asked again; samples have no credential; --list sends nothing."""
    assert run(["probe", "shop", "--list", "--json"]) == 0
    facts = [json.loads(line)["fact"] for line in capsys.readouterr().out.splitlines()]
    assert shop.requests == []
    assert run(["probe", "shop", facts[0], "--yes", "--out", "samples"]) == 0
    assert "confirmed" in capsys.readouterr().out
    asked = len(shop.requests)
    assert run(["probe", "shop", facts[0], "--yes"]) == 0
    assert len(shop.requests) == asked
    samples = list((bare / "samples").iterdir())
    assert samples
    for sample in samples:
        told = json.loads(sample.read_text())
        assert {"source", "date", "grade", "body"} == set(told)
        assert told["grade"] == "live"
        assert "237677777777" not in sample.read_text()


def test_a_probe_that_differs_is_exit_1(
    shop: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the provider is otherwise, the row says how, and a script can see it."""
    shop.campay.repeated = "join"
    assert run(["probe", "shop", "repeated-reference", "--yes", "--json"]) == 1
    (told,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (told["verdict"], told["saw"]) == ("differs", "the first one again")
    assert run(["probe", "shop", "repeated-reference", "--yes"]) == 1  # as it was settled before
    assert run(["probe", "shop", "token-lifetime", "--yes"]) == 0  # and nothing of another fact


def test_what_a_simulator_said_settles_nothing_at_another_address(
    shop: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account that moves from a simulator to the sandbox is asked anew."""
    assert run(["probe", "shop", "token-lifetime", "--yes"]) == 0
    with socket.create_server(("127.0.0.1", 0)) as away:
        url = f"http://127.0.0.1:{away.getsockname()[1]}/api"
    monkeypatch.setenv("PAYMUX_SHOP__BASE_URL", url)
    capsys.readouterr()
    assert run(["probe", "shop", "token-lifetime", "--yes"]) == 4
    assert "no answer came" in capsys.readouterr().out


def test_a_probe_asks_no_live_account(
    shop: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live = true is refused before anything is sent, and so is a pipe without --yes."""
    assert run(["probe", "shop"]) == 2
    monkeypatch.setenv("PAYMUX_SHOP__LIVE", "true")
    assert run(["probe", "shop", "--yes"]) == 2
    assert "live: True is refused" in capsys.readouterr().err
    assert shop.requests == []
