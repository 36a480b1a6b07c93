"""`paymux examples`: the programs to start from, listed, printed or copied."""

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .command import command
from .exits import Exit
from .failures import Failed, Hint
from .tables import Column

if TYPE_CHECKING:
    from .invocation import Invocation

_FOLDER = Path(__file__).parent.parent / "examples"
_ENDS = (".py", ".sh", ".mjs", ".php")
_PARTS = frozenset({"__init__", "chats", "shop_page", "till"})  # of others: copied with them


@command(
    "examples",
    examples=("paymux examples", "paymux examples fastapi_shop --copy ."),
)
@click.argument("name", required=False)
@click.option(
    "--copy", metavar="DIR", help="Write it there, with what it needs; never over another."
)
def examples(cli: "Invocation", name: str | None, copy: str | None) -> None:
    """List the programs to start from, or print or copy one.

    Each runs with `paymux simulator -- ` before its command, without an account.
    """
    found = {path.name if path.suffix != ".py" else path.stem: path for path in _files()}
    if name is None and copy is not None:
        raise Failed(
            "name: missing; --copy writes one program",
            Exit.USAGE,
            hints=[Hint("paymux examples", "lists them")],
        )
    if name is None:
        _list(cli, found)
        return
    path = found.get(name.removesuffix(".py"))
    if path is None:
        raise Failed(
            f"name: {name[:60]!r} is refused; accepted: {', '.join(found)}",
            Exit.USAGE,
            hints=[Hint("paymux examples", "lists them")],
        )
    if copy is None:
        cli.write(path.read_text(encoding="utf-8"))
        return
    for one in _needed(path):
        _copy(cli, one, Path(copy))


def _files() -> list[Path]:
    return sorted(
        path for path in _FOLDER.iterdir() if path.suffix in _ENDS and path.stem not in _PARTS
    )


def _list(cli: "Invocation", found: dict[str, Path]) -> None:
    rows = cli.rows(
        [
            Column[tuple[str, str]]("name", lambda row: row[0]),
            Column[tuple[str, str]]("shows", lambda row: row[1], leaves=1),
        ],
        lambda row: {"name": row[0], "shows": row[1]},
    )
    for name, path in found.items():
        rows.write((name, _about(path)))
    rows.close()


def _about(path: Path) -> str:
    """Return the first line of what a program says of itself."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    lines = (line.lstrip("/#* ") for line in text.splitlines())
    return next((line for line in lines if line and not line.startswith(("!", "<?"))), "")


def _needed(path: Path) -> list[Path]:
    """Return a program, and the parts of it that are files of their own."""
    text = path.read_text(encoding="utf-8")
    parts = [_FOLDER / f"{part}.py" for part in sorted(_PARTS) if f"examples.{part}" in text]
    return [path, *parts]


def _copy(cli: "Invocation", path: Path, folder: Path) -> None:
    """Write a file beside its parts, from which it imports there."""
    text = path.read_text(encoding="utf-8")
    for part in _PARTS:
        text = text.replace(f"from paymux.examples.{part} import", f"from {part} import")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.name
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Failed(f"{target} exists, and is left as it is", Exit.USAGE) from None
    cli.write(f"{target}\n")
