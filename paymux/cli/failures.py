"""What a command says when it fails: what happened, whether money moved, what to type next.

At most four lines and no traceback; with --json one line of JSON. Both go to standard error.
"""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from . import streams
from .exits import Exit, of_error

if TYPE_CHECKING:
    from pathlib import Path

    from ..errors import PaymuxError

_HINT_AT = 32  # the column at which a hint says what its command does


class Hint(NamedTuple):
    """A command to type next, and what it does."""

    command: str
    does: str = ""


class Failed(Exception):
    """Ends a command with this exit code, a sentence, what it means for money, and hints.

    `meaning` and the hints' `does` are sentences of the table of languages; `fields` are in the
    JSON of the failure only.
    """

    def __init__(
        self,
        said: str,
        exit: Exit,
        *,
        meaning: str = "",
        hints: Sequence[Hint] = (),
        error: str = "",
        fields: dict[str, str | None] | None = None,
    ) -> None:
        super().__init__(said)
        self.exit = exit
        self.meaning = meaning
        self.hints = tuple(hints)
        self.error = error or "UsageError"
        self.fields = fields or {}


def failure_of(error: "PaymuxError", *, money: bool = False) -> Failed:
    """Return what an error means for a command; `money`: its request would have moved money."""
    from .. import errors  # noqa: PLC0415 - `--help` needs no error

    exit, meaning, fields = of_error(error), "", {}
    payment = getattr(error, "payment", None)
    reference = payment.reference if payment else getattr(error, "reference", None)
    if isinstance(error, errors.OutcomeUnknown):
        meaning = "The money may have moved. Do not send it again."
        if payment and payment.kind == "collect":
            meaning = "The payer may have been asked. Do not send it again."
    elif isinstance(error, errors.WatchTimeout):
        meaning = "It is still pending. Do not send it again."
    elif isinstance(error, errors.Mismatch):
        meaning = "Tell a person: the payment found is not the expected one."
    elif exit.repeat:
        meaning = "It may be repeated as it is."
        if money and "nothing was sent" not in str(error):
            meaning = "Nothing was sent. It may be repeated as it is."
    elif money:
        meaning = "Nothing was sent."
    if isinstance(error, errors.UsageError):
        fields = {"field": error.name, "value": error.value, "accepted": error.accepted}
    return Failed(
        str(error),
        exit,
        meaning=meaning,
        hints=_next(error, exit, reference),
        error=type(error).__name__,
        fields={"reference": reference, **fields},
    )


def _next(error: "PaymuxError", exit: Exit, reference: str | None) -> tuple[Hint, ...]:
    if exit is Exit.UNKNOWN and reference:
        return (Hint(watch_line(reference), "asks until it is settled"),)
    if getattr(error, "name", None) == "PAYMUX_<ACCOUNT>__DRIVER":  # most often a first try
        file = Hint("paymux config init campay", "writes a file to fill in")
        return (file, Hint("paymux demo", "needs no account"))
    return ()


def watch_line(reference: str) -> str:
    """Return the command that watches an order, also one whose reference looks like an option."""
    import shlex  # noqa: PLC0415 - only for a failure, or where money moves

    return f"paymux watch {'-- ' if reference.startswith('-') else ''}{shlex.quote(reference)}"


def show(failed: Failed, say: Callable[[str], str], *, json: bool) -> None:
    """Write a failure to standard error, as text or as one line of JSON."""
    from ..primitives.redaction import mask  # noqa: PLC0415 - only for a failure

    said = mask(str(failed)).removeprefix("paymux: ")
    if json:
        told = {
            "type": "error",
            "error": failed.error,
            "exit": int(failed.exit),
            "repeat": failed.exit.repeat,
            "message": said,
            **{name: value for name, value in failed.fields.items() if value},
            "hints": [hint.command for hint in failed.hints],
        }
        import msgspec  # noqa: PLC0415 - only for a failure

        streams.write_error(msgspec.json.encode(told).decode() + "\n")
        return
    lines = [f"paymux: {said}"]
    meaning = say(failed.meaning) if failed.meaning else ""
    if meaning:
        # A sentence that is short stands behind the first, as one reads it.
        short = len(lines[0]) + len(meaning) < 99 and not failed.hints
        lines = [f"{_ended(lines[0])} {meaning}"] if short else [_ended(lines[0]), meaning]
    for hint in failed.hints[: 4 - len(lines)]:
        command = f"  {hint.command}"
        lines.append(f"{command:<{_HINT_AT}} {say(hint.does)}".rstrip())
    streams.write_error("\n".join(lines) + "\n")


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?", ":")) else f"{sentence}."


def fault(error: BaseException, hide: Callable[[str], str]) -> "tuple[str, Path | None]":
    """Write the traceback of a fault of ours to a file of the user's; return its words and path."""
    import tempfile  # noqa: PLC0415 - only for a failure
    import traceback  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from ..primitives.redaction import mask  # noqa: PLC0415

    text = mask(hide("".join(traceback.format_exception(error))))
    said = f"{type(error).__name__}: {mask(hide(str(error)))[:200]}"
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "paymux"
    for folder in (state, Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor, path = tempfile.mkstemp(".txt", "fault-", folder)  # mode 0600
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            continue
        return said, Path(path)
    return said, None
