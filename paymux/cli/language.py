"""The language of questions, hints and summaries: English, or French where a table has the words.

Names, JSON, `--help` and the text of errors stay English, so that they can be searched for.
"""

import os
from collections.abc import Mapping

LANGUAGES = ("en", "fr")
# Who calls may name it for paymux alone; else the locale decides, as for every program.
_VARIABLES = ("PAYMUX_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


def chosen(given: str | None, environment: Mapping[str, str] | None = None) -> str:
    """Return the language: what was given, or the first variable that is set; else English."""
    variables = os.environ if environment is None else environment
    named = given or next((found for name in _VARIABLES if (found := variables.get(name))), "")
    said = named[:2].lower()
    return said if said in LANGUAGES else "en"


def translated(sentence: str, language: str) -> str:
    """Return an English sentence in this language; unchanged if the table has no such sentence."""
    if language == "fr":
        from .french import FRENCH  # noqa: PLC0415 - loaded only where it is spoken

        return FRENCH.get(sentence, sentence)
    return sentence
