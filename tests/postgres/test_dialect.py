"""The journal's statements in PostgreSQL's words: a real server reads each of them."""

import ast
import asyncio
import contextlib
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paymux.journal
from paymux.journal.postgres.address import Address
from paymux.journal.postgres.connection import Connection
from paymux.journal.postgres.dialect import kinds_of, translated
from paymux.journal.postgres.opening import open_connection

FOLDER = Path(paymux.journal.__file__).parent
ENGINES = ("sqlite", "postgres")  # their folders
STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b")
# What a function puts into its statement.
NAMED = {"column": "told", "where": "WHERE account = ?"}
# A value of no place that says its type.
UNTYPED = re.compile(r"CAST\((\$\d+) AS text\)")


def statements() -> Iterator[tuple[str, str]]:
    """Yield the statements of the modules that both engines share."""
    for path in sorted(FOLDER.rglob("*.py")):
        inside = path.relative_to(FOLDER).with_suffix("").parts
        if inside[0] in ENGINES:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
                 for part in node.values}  # fmt: skip
        for node in ast.walk(tree):
            if not isinstance(node, ast.Constant | ast.JoinedStr) or id(node) in inner:
                continue
            first = node.values[0] if isinstance(node, ast.JoinedStr) else node
            text = getattr(first, "value", None)
            if isinstance(text, str) and STATEMENT.match(text) and text.strip() != "SELECT":
                # One that is put together in its function is run by the tests of the function.
                with contextlib.suppress(NameError):
                    yield (module := ".".join(inside)), evaluated(module, node)


def evaluated(module: str, node: ast.expr) -> str:
    """Return the text of a statement, with the constants of its module."""
    names = {**vars(importlib.import_module(f"paymux.journal.{module}")), **NAMED}
    text: str = eval(compile(ast.Expression(node), module, "eval"), names)  # noqa: S307 - our own
    return text.replace("{}", "told").replace("{0}", "1 = 1")


ALL = sorted({*statements()})


def refused(connection: Connection, sql: str) -> str | None:
    """Return what a server says against a statement; None: it can be prepared."""
    whole = f"{sql} 1 = 1" if sql.rstrip().endswith(("AND", "WHERE")) else sql
    names = tuple(dict.fromkeys(re.findall(r"(?<![:\w]):([a-z]+)", whole))) or None
    kinds = "t" * (whole.count("?") if names is None else len(names))
    said = translated(whole, kinds, names)
    # A value that is only compared with NULL has no type of its own.
    counted = translated(whole, f"{kinds[:-1]}i", names) if kinds else said
    for text in (UNTYPED.sub(r"\1", said), said, counted):
        try:
            connection.run(lambda text=text: connection._link.prepare(text))  # type: ignore[misc]
        except OSError as error:
            found = f"{error}: {text}"
        else:
            return None
    return found


def test_a_server_reads_every_statement(database: str) -> None:
    """Each statement of the shared modules can be prepared: its words, tables and columns exist."""
    loop = asyncio.new_event_loop()
    connection = open_connection(Address(database), loop)
    try:
        assert len(ALL) > 100
        assert {one: why for one in ALL if (why := refused(connection, one[1]))} == {}
    finally:
        connection.close()
        loop.close()


def test_values_have_the_kind_of_their_type() -> None:
    """None is the word NULL, a truth value is a number, and a text is a text."""
    given: list[Any] = [None, True, 3, 0.5, "x"]
    assert kinds_of(given) == "niift"
    said = translated("SELECT ?, ?, ?, ?, ?", "niift")
    assert said == (
        "SELECT NULL, CAST($1 AS bigint), CAST($2 AS bigint), CAST($3 AS double precision), "
        "CAST($4 AS text)"
    )


def test_is_may_use_an_index() -> None:
    """`IS ?` is an equality or IS NULL; between columns it is IS NOT DISTINCT FROM's negation."""
    assert translated("SELECT 1 WHERE a IS ?", "n") == "SELECT 1 WHERE a IS NULL"
    assert translated("SELECT 1 WHERE a IS ?", "t") == "SELECT 1 WHERE a = CAST($1 AS text)"
    assert translated("SELECT a IS NOT b, c IS NOT NULL", "") == (
        "SELECT a IS DISTINCT FROM b, c IS NOT NULL"
    )


def test_names_are_numbered_once() -> None:
    """A value with a name has one number, wherever it stands."""
    said = translated("SELECT 1 WHERE :b < a AND :c > :b", "tt", ("b", "c"))
    assert said == ("SELECT 1 WHERE CAST($1 AS text) < a AND CAST($2 AS text) > CAST($1 AS text)")
