"""The language of hints and questions, and that every sentence has its French."""

import ast
import re
from pathlib import Path

import pytest

import paymux.cli
from paymux.cli.french import FRENCH
from paymux.cli.language import chosen

FOLDER = Path(paymux.cli.__file__).parent
# Where a sentence is said: the first argument of these methods, and these keywords.
SAYS = {"say", "tell"}
KEYWORDS = {"meaning", "does"}


def _sentences() -> set[str]:
    """Return every sentence in the code that is translated."""
    found: set[str] = set()
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            name = node.func.id if isinstance(node.func, ast.Name) else name
            said = [one.value for one in node.keywords if one.arg in KEYWORDS]
            said += node.args[:1] if name in SAYS else []
            said += node.args[1:2] if name == "Hint" else []
            for one in said:
                texts = (part for part in ast.walk(one) if isinstance(part, ast.Constant))
                found |= {text.value for text in texts if isinstance(text.value, str)}
    return {sentence for sentence in found if re.search("[a-z]{2}", re.sub(r"{\w*}", "", sentence))}


def test_every_sentence_has_its_french() -> None:
    """A reader of French meets no English hint."""
    assert _sentences() - set(FRENCH) == set()


def test_a_translation_has_the_same_fields() -> None:
    """A field that the French forgets would hide what the sentence is about."""
    for english, french in FRENCH.items():
        fields = re.findall(r"{(\w+)[^}]*}", english)
        assert sorted(fields) == sorted(re.findall(r"{(\w+)[^}]*}", french)), english


@pytest.mark.parametrize(
    ("given", "variables", "language"),
    [
        (None, {}, "en"),
        (None, {"LANG": "fr_CM.UTF-8"}, "fr"),
        (None, {"LANG": "fr_FR", "LC_ALL": "C"}, "en"),
        (None, {"LC_ALL": "C", "PAYMUX_LANG": "fr"}, "fr"),
        ("en", {"PAYMUX_LANG": "fr"}, "en"),
        (None, {"LANG": "sw_KE"}, "en"),
    ],
)
def test_the_language_is_the_first_that_is_named(
    given: str | None, variables: dict[str, str], language: str
) -> None:
    """--lang goes before PAYMUX_LANG, and this before the locale."""
    assert chosen(given, variables) == language
