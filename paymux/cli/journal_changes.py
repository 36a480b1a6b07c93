"""`paymux journal copy` and `forget-payer`: they change a journal."""

from typing import TYPE_CHECKING

import click

from .command import command
from .exits import Exit
from .failures import Failed, Hint

if TYPE_CHECKING:
    from .invocation import Invocation


@command(
    "forget-payer",
    examples=(
        'paymux journal forget-payer "+237 677 00 00 00"',
        'paymux journal forget-payer "+237 677 00 00 00" shop.db',
    ),
)
@click.argument("number")
@click.argument("file", required=False)
async def forget_payer(cli: "Invocation", number: str, file: str | None) -> Exit:
    """Remove a payer's NUMBER, in every form, from all rows; references and money stay.

    It is in international form: +237 6…. Workers may go on meanwhile. An order of this payer that
    is still open is named, and nothing is changed: by its number a late payment finds it.
    """
    from .journal_rows import opened  # noqa: PLC0415 - `--help` needs no journal

    async with opened(cli, file) as book:
        done = await book.forget_payer(number)
    counts = {"payments": done.payments, "facts": done.facts, "messages": done.messages}
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    cli.write_one(f"{told} changed\n", type="forgotten", **counts, left=list(done.left))
    if done.left:
        said = f"these came meanwhile: {', '.join(done.left)}"
        raise Failed(said, Exit.NO, meaning="Run it again later.")
    return Exit.DONE


@command(
    "copy",
    examples=(
        "paymux journal copy shop.db postgresql://host/shop",
        "paymux journal copy --undo shop.db",
    ),
)
@click.argument("file")
@click.argument("to", required=False)
@click.option("--undo", is_flag=True, help="Open FILE again, after a copy that was broken off.")
def copy(cli: "Invocation", file: str, to: str | None, *, undo: bool) -> None:
    """Move the journal in FILE, with its open orders, to a postgresql:// URL.

    All workers are stopped first: it refuses while one lives. Each row is read back and compared;
    then FILE is marked as moved, and no worker opens it any more. Killed at any moment and run
    again, it ends the same. With --undo, FILE of a copy that was broken off is opened again, if
    the database does not have its rows.
    """
    from ..journal import copy_journal, undo_copy  # noqa: PLC0415 - `--help` needs none
    from ..primitives.coerce import is_a  # noqa: PLC0415
    from ..primitives.redaction import Secret, as_place  # noqa: PLC0415
    from .journal_rows import checked_place  # noqa: PLC0415
    from .settings import journal_place  # noqa: PLC0415

    if is_a(as_place(file), Secret):
        raise Failed("copy: FILE is a file, and the URL comes behind it", Exit.USAGE)
    checked_place(file)
    target = journal_place(cli, to)
    if not is_a(target, Secret):
        said = f"copy: {target} is no postgresql:// URL, and a file is copied only there"
        raise Failed(said, Exit.USAGE, hints=[Hint(f"paymux journal copy {file} postgresql://…")])
    if undo:
        undo_copy(file, target)
        told = f"{file} is open again; nothing was moved\n"
        cli.write_one(told, type="moved", file=file, rows=0)
        return
    rows = copy_journal(file, target, lambda said: cli.tell("{said}", said=said))
    told = f"{rows} rows moved. Name the new journal from now on; {file} can be deleted\n"
    cli.write_one(told, type="moved", file=file, rows=rows)


COMMANDS = (forget_payer, copy)
