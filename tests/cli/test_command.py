"""What every command has: its options before and after its name, its help, its errors."""

import json

import pytest

from paymux.cli.commands import COMMANDS
from paymux.cli.main import run


@pytest.mark.parametrize("words", [["--json", "providers", "x"], ["providers", "x", "--json"]])
def test_common_options_stand_anywhere(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`paymux --json COMMAND` is `paymux COMMAND --json`: a failure is one line of JSON."""
    assert run([*words, "--no-such-option"]) == 2
    told = json.loads(capsys.readouterr().err)
    assert (told["type"], told["exit"], told["repeat"]) == ("error", 2, False)


def test_a_near_miss_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped command is answered with the nearest one, on standard error, with exit code 2."""
    assert run(["simulater"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "did you mean simulator?" in captured.err


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_help_begins_with_two_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """-h shows two whole command lines first, and the summary of the table of commands."""
    assert run([name, "-h"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Examples:"
    assert all(f"paymux {name}" in line for line in lines[1:3])
    assert COMMANDS[name][2] in "\n".join(lines)
