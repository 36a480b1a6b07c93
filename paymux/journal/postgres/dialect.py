"""What PostgreSQL says in other words than the journal's statements, which SQLite reads.

The rules, in their order:

* A text of `columns` that a generated column holds is replaced by that column's name.
* `INDEXED BY name` is left out, and `CROSS JOIN` is a `JOIN`: they steer SQLite's planner alone.
* `CAST(x AS BLOB)` is `x`, and `AS REAL` is `AS double precision`.
* `json_each(?)` is `json_array_elements_text`, and `instr` is `strpos`.
* A message is found by the hash of its text, which has a place in an index whatever its length.
* `/* FOR UPDATE SKIP LOCKED */` is no comment.
* `IS` between values is an equality that may use an index, or `IS NULL`; `IS NOT` is
  `IS DISTINCT FROM`.
* `?` and `:name` are numbered parameters with the type of their value; None is the word NULL.
"""

import re
from functools import lru_cache

from ..tables.columns import IS_OPEN, IS_UNTOLD, RECEIPT

# One letter for each value: the type that its parameter is declared with.
_TYPES = {"t": "text", "i": "bigint", "f": "double precision", "a": "text[]"}
_COLUMNS = ((RECEIPT, "receipt"), (IS_OPEN, "open"), (IS_UNTOLD, "untold"))
_WORDS = (
    (r"\bINDEXED BY \w+", ""),
    (r"\bCROSS JOIN\b", "JOIN"),
    (r"\bCAST\((\w+) AS BLOB\)", r"\1"),
    (r"\bAS REAL\b", "AS double precision"),
    (r"\bjson_each\(\?\)", "json_array_elements_text(CAST(? AS json))"),
    (r"\binstr\(", "strpos("),
    (r"\(account, event\) DO\b", "(account, message_key(event)) DO"),
    (r"\bevent = \?", "message_key(event) = message_key(?)"),
    (r"/\* (FOR UPDATE SKIP LOCKED) \*/", r"\1"),
    (r"\bIS NOT (?!NULL\b|DISTINCT\b)", "IS DISTINCT FROM "),
)
_PLACE = re.compile(r"(?P<equal>\bIS )?(?:(?P<mark>\?)|(?<![:\w]):(?P<name>[a-z_]+))")


def kinds_of(values: "tuple[object, ...] | list[object]") -> str:
    """Return one letter for each value: n (None), i (integer or truth), f, t (text), a (array)."""
    return "".join(
        "n"
        if value is None
        else "i"
        if isinstance(value, int)
        else "f"
        if isinstance(value, float)
        else "a"
        if isinstance(value, list)
        else "t"
        for value in values
    )


@lru_cache(maxsize=2048)
def translated(sql: str, kinds: str, names: tuple[str, ...] | None = None) -> str:
    """Return a statement of the journal's in PostgreSQL's words, for values of these kinds.

    `names`: of the values, where the statement has names in place of `?`.
    """
    for text, column in _COLUMNS:
        sql = sql.replace(text, column)
    for words, others in _WORDS:
        sql = re.sub(words, others, sql)
    numbers: list[int] = []
    for kind in kinds:
        numbers.append(numbers[-1] + (kind != "n") if numbers else int(kind != "n"))
    place = iter(range(len(kinds)))

    def numbered(found: "re.Match[str]") -> str:
        index = next(place) if names is None else names.index(found["name"])
        kind = kinds[index]
        if kind == "n":
            return f"{found['equal'] or ''}NULL"
        equal = "= " if found["equal"] else ""
        return f"{equal}CAST(${numbers[index]} AS {_TYPES[kind]})"

    return _PLACE.sub(numbered, sql)
