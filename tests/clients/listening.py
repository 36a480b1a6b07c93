"""The protocol between a test and a client in another environment: lines of JSON."""

import base64
import hashlib
import json
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from typing import Any


def listen(name: str, *operations: Callable[..., Any]) -> None:
    """Print the client's name, then run each operation from stdin.

    A line is `[operation, argument, ...]`.

    The client's own output goes to stderr: campay and cinetpay print what they send.
    """
    answers, sys.stdout = sys.stdout, sys.stderr
    _tell(answers, {"version": distribution(name).version, "changed": _changed(name)})
    named = {operation.__name__: operation for operation in operations}
    for line in sys.stdin:
        operation, *arguments = json.loads(line)
        _tell(answers, named[operation](*arguments))


def _tell(answers: Any, answer: Any) -> None:
    answers.write(f"{json.dumps(answer)}\n")
    answers.flush()


def _changed(name: str) -> list[str]:
    """List the client's modules that differ from the RECORD of its installation."""
    modules = [file for file in distribution(name).files or () if file.suffix == ".py"]
    return [
        str(file)
        for file in modules
        if file.hash is None or _digest(file.read_binary()) != file.hash.value
    ]


def _digest(content: bytes) -> str:
    # A wheel's RECORD has SHA-256 in URL-safe base64, without padding.
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
