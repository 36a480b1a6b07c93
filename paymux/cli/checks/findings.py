"""What a check found: its result, a sentence in English and French, and the command that mends it.

A sentence never has a value of the configuration in it, but names, paths and hosts.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from ...primitives.redaction import mask

Result: TypeAlias = Literal["ok", "warning", "problem", "skipped"]
Language: TypeAlias = Literal["en", "fr"]


class Said(msgspec.Struct, frozen=True):
    """One sentence in each language."""

    en: str
    fr: str

    def text(self, language: str) -> str:
        """Return the sentence in a language; in English if it is not French."""
        return self.fr if language == "fr" else self.en


class Mend(msgspec.Struct, frozen=True, kw_only=True):
    """What mends a finding: a shell command, ready to be pasted.

    `fill`: the part of the command that only the user knows; "" if it can be run as it is.
    """

    command: str
    fill: str = ""
    then: Said | None = None  # what else is to be known, or done


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found about one thing: an account, a host, the journal."""

    check: str  # the stable id of the check, such as "config.private"
    result: Result
    said: Said
    about: str = ""  # the account or host; "" for what there is one of
    mend: Mend | None = None

    def encoded(self) -> dict[str, Any]:
        """Return the fields for `--json`: one object for each finding."""
        return {
            "type": "check",
            "check": self.check,
            "about": self.about or None,
            "result": self.result,
            "text": self.said.text("en"),
            "fix": self.mend and self.mend.command,
            "fill": (self.mend and self.mend.fill) or None,
        }

    def lines(self, language: str) -> list[str]:
        """Return the finding as text: the sentence, then its command, then what is to be known."""
        about = f"{self.about}: " if self.about else ""
        if self.said.text(language).startswith(about):  # an error names its account itself
            about = ""
        shown = [f"{_WORDS[self.result].text(language)} {about}{self.said.text(language)}"]
        if self.mend:
            shown.append(f"  {self.mend.command}")
            if self.mend.fill:
                put = Said(
                    f"with yours for {self.mend.fill}", f"avec le vôtre pour {self.mend.fill}"
                )
                shown.append(f"  ({put.text(language)})")
            if self.mend.then:
                shown.append(f"  {self.mend.then.text(language)}")
        return [f"{line}  [{self.check}]" if not at else line for at, line in enumerate(shown)]


_WORDS: Mapping[Result, Said] = {
    "ok": Said("✓", "✓"),
    "warning": Said("warning:", "avertissement :"),
    "problem": Said("problem:", "problème :"),
    "skipped": Said("- not checked:", "- non vérifié :"),
}


def ok(check: str, said: Said, about: str = "") -> Finding:
    """Return that all is well."""
    return Finding(check=check, result="ok", said=said, about=about)


def skipped(check: str, said: Said, about: str = "") -> Finding:
    """Return that a check could not be made, because of what another one found."""
    return Finding(check=check, result="skipped", said=said, about=about)


def warning(check: str, said: Said, mend: Mend | None = None, *, about: str = "") -> Finding:
    """Return what works, and is to be looked at."""
    return Finding(check=check, result="warning", said=said, mend=mend, about=about)


def problem(check: str, said: Said, mend: Mend | None = None, *, about: str = "") -> Finding:
    """Return what does not work, or must not stay so."""
    return Finding(check=check, result="problem", said=said, mend=mend, about=about)


def of_error(error: BaseException) -> Said:
    """Return the sentence of an error; it stays in English, so that it can be searched for."""
    text = mask(" ".join(str(error).split()))[:300] or type(error).__name__
    return Said(text, text)


def summary(findings: Iterable[Finding], accounts: int, language: str) -> str:
    """Return the last line: "Ready: 2 accounts, 14 checks." or "1 problem, 2 warnings."."""
    results = [one.result for one in findings]
    problems, warnings = results.count("problem"), results.count("warning")
    fr = language == "fr"
    told = [
        _counted(problems, Said("problem", "problème")).text(language),
        _counted(warnings, Said("warning", "avertissement")).text(language),
    ]
    if problems:
        return f"{told[0]}{f', {told[1]}' if warnings else ''}."
    made = len(results) - results.count("skipped")
    ready = _counted(accounts, Said("account", "compte")).text(language)
    checks = _counted(made, Said("check", "vérification")).text(language)
    more = f" ({told[1]})" if warnings else ""
    return f"{'Prêt :' if fr else 'Ready:'} {ready}, {checks}{more}."


def _counted(number: int, noun: Said) -> Said:
    return Said(
        f"{number} {noun.en}{'' if number == 1 else 's'}",
        f"{number} {noun.fr}{'' if number < 2 else 's'}",
    )
