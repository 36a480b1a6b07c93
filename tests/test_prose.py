"""Docstrings and comments say worker, caller, request or payment, and no private word."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Who does something is a worker, a caller, a payer, a process: readers look for these words.
PRIVATE = re.compile(
    r"\b(whoever|somebody|someone|nobody|anybody|everybody|he|him|his|strangers?|crowds?"
    r"|likewise|the house|as it stands|the design)\b",
    re.IGNORECASE,
)


def _prose(source: str) -> Iterator[str]:
    """Yield the docstrings of a module, and its comments: words in code and data are not prose."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, documented):
            yield ast.get_docstring(node) or ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


@pytest.mark.parametrize("page", ["README.md", "benchmarks/README.md", ".github/CONTRIBUTING.md"])
def test_pages_have_no_private_words(page: str) -> None:
    """What a reader meets first says worker, caller and payer, too; programs are no prose."""
    text = (ROOT / page).read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    assert PRIVATE.findall(prose) == []


@pytest.mark.parametrize("folder", ["paymux", "benchmarks", "tests"])
def test_docstrings_and_comments_have_no_private_words(folder: str) -> None:
    """A reader whose second language is English finds the nouns of the field in every sentence."""
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / folder).rglob("*.py")}
    assert sources
    found = {
        (path.relative_to(ROOT).as_posix(), word.lower())
        for path, source in sources.items()
        if PRIVATE.search(source)  # parsing every file would take seconds
        for text in _prose(source)
        for word in PRIVATE.findall(text)
    }
    assert not found, sorted(found)
