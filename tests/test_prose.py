"""Docstrings and comments say worker, caller, request or payment, and no private word."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

PAYMUX = Path(__file__).parent.parent / "paymux"

# Who does something is a worker, a caller, a payer, a process: readers look for these words.
PRIVATE = re.compile(
    r"\b(whoever|somebody|someone|nobody|anybody|everybody|he|him|his|strangers?|crowds?"
    r"|likewise|the house|as it stands|the design)\b",
    re.IGNORECASE,
)


def _prose(source: str) -> Iterator[str]:
    """Yield the docstrings of a module, and its comments."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, documented):
            yield ast.get_docstring(node) or ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def test_docstrings_and_comments_have_no_private_words() -> None:
    """A reader whose second language is English finds the nouns of the field in every sentence."""
    found = {
        (path.relative_to(PAYMUX).as_posix(), word.lower())
        for path in PAYMUX.rglob("*.py")
        for text in _prose(path.read_text(encoding="utf-8"))
        for word in PRIVATE.findall(text)
    }
    assert not found, sorted(found)
