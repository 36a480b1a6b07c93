"""Which fields of a body are hidden by their names: credentials, signatures, and persons' names."""

import re
from functools import cache

HIDDEN = "***"

# Field names of credentials and signatures at the providers, of a payer's PIN, and of a person's
# names, in any kind of body.
_SENSITIVE = (
    "password|passkey|signature|hash|x-token|notify_token|api_?key|secret|consumer_?secret|security_?credential|"
    "private_?key|public_?key|master[_-]?key|authorization|access_?token|pin|"
    "(?:first|last|full|given|family|middle)?_?name|surname"
)
# One of these is in each. They are as long as they can be: a word that is in other text, too, such
# as the "full" of "successfully", costs each such answer a search by the pattern.
SENSITIVE_WORDS = (
    "pass",
    "sign",
    "hash",
    "x-token",
    "notify_token",
    "access",
    "key",
    "secret",
    "credential",
    "authorization",
    "pin",
    "name",  # also of "surname"
)


def is_sensitive(name: str) -> bool:
    """Return whether a field is hidden by its name."""
    return _name().search(name) is not None


def without_name(found: re.Match[str]) -> str:
    """Return what `parties` found, without the name."""
    before, after = (found[1], "") if found[1] else (found[2], found[3])
    return f'{before}"{HIDDEN}"{after}'


# Compiled at the first use: together they would cost a millisecond of the import.


@cache
def _name() -> re.Pattern[str]:
    return re.compile(rf"(?i)(?:^|_|-)(?:{_SENSITIVE})$")


@cache
def fields() -> re.Pattern[str]:
    """Return the pattern of such a field, whose value is its second group."""
    return re.compile(
        rf"""(?ix) ( (?: \b | %5B | _ ) (?:{_SENSITIVE}) (?: \\?["'] | \] | %5D )*
               \s* (?: [:=] | %3A ) \s* )
             ( \\?"(?:[^"\\]|\\.)*?\\?" | [^\s&,}}"\\]+ )"""
    )


@cache
def parties() -> re.Pattern[str]:
    """Return the pattern of a payee's or payer's name in a result of M-Pesa: a key and a value."""
    key, value = r'"Key"\s*:\s*"\w*Party(?:Public)?Name"', r'"(?:[^"\\]|\\.)*"'
    return re.compile(
        rf"""({key}\s*,\s*"Value"\s*:\s*){value}|("Value"\s*:\s*){value}(\s*,\s*{key})"""
    )
