"""The accounts of a configuration: driver, fields, placeholders, and keys of the other mode."""

import difflib
import re

import msgspec

from ...drivers import names
from ...errors import UsageError
from ...primitives import coerce
from ...values.validation import NAME_PATTERN, is_loopback
from .findings import Finding, Mend, Said, of_error, ok, problem
from .key_looks import look_of
from .setup import Setup
from .walk import Walk

# What stands in an example until the user puts a value in its place.
_PLACEHOLDER = re.compile(
    r"…|\.{3,}|<.*>|x{3,}|\*{3,}|change[ _-]?me.*|(?:your|votre)[ _-].*|todo|tbd|fixme",
    re.IGNORECASE | re.DOTALL,
)
# A credential is also none if it was cut where it was copied, or is only a word.
_NO_SECRET = re.compile(
    r".*(?:…|\.{3}).*|replace.*|insert.*|placeholder.*|example.*|exemple.*|secret|password|passkey"
    r"|api[ _-]?key|none|null|test",
    re.IGNORECASE | re.DOTALL,
)


def is_placeholder(text: str, *, secret: bool = True) -> bool:
    """Return whether a text is no value, but stands for one: "…", "changeme", "your_key", "xxx"."""
    said = text.strip()
    return bool(_PLACEHOLDER.fullmatch(said) or (secret and _NO_SECRET.fullmatch(said)))


async def driver(walk: Walk) -> list[Finding]:
    """Look whether each account names a driver that there is."""
    setup = walk.setup
    check, findings = "account.driver", []
    for account, fields in setup.accounts.items():
        named = coerce.text(fields.get("driver")) or ""
        if setup.kind(account) is not None:
            findings.append(
                ok(check, Said(f"its driver is {named}", f"son pilote est {named}"), account)
            )
            continue
        known = names()
        near = difflib.get_close_matches(named or account, known, 1, 0.5)
        listed = ", ".join(known)
        said = Said(
            f"it names no driver that there is; accepted: {listed}",
            f"elle ne nomme aucun pilote connu ; acceptés : {listed}",
        )
        mend = setup.place("driver", account).put(
            f'"{near[0] if near else known[0]}"', fill="" if near else f'"{known[0]}"'
        )
        findings.append(problem(check, said, mend, about=account))
    return findings


async def fields(walk: Walk) -> list[Finding]:
    """Look for fields that the driver lacks, and for what is missing, empty or refused."""
    setup = walk.setup
    check, findings = "account.fields", []
    for account in setup.accounts:
        if setup.kind(account) is None:
            continue
        # A field under a wrong name is missing under its own: one of both is told.
        wrong = _unknown(setup, account) or _refused(setup, account)
        fine = ok(check, Said("its fields are complete", "ses champs sont complets"), account)
        findings += wrong or [fine]
    return findings


def _unknown(setup: Setup, account: str) -> list[Finding]:
    findings, known = [], setup.known(account)
    given = setup.accounts[account]
    for name in given:
        if name == "driver" or name in known:
            continue
        left = [field for field in known if field not in given]
        near = difflib.get_close_matches(name.lower(), left, 1, 0.7)
        place = setup.place(name, account)
        said = Said(
            f"{name}: its driver has no such field"
            + (f"; did you mean {near[0]}?" if near else ""),
            f"{name} : son pilote n'a pas ce champ" + (f" ; {near[0]} ?" if near else ""),
        )
        mend = place.rename(near[0]) if near else place.drop()
        findings.append(problem("account.fields", said, mend, about=account))
    return findings


def _refused(setup: Setup, account: str) -> list[Finding]:
    error = setup.drivers[account]
    if not isinstance(error, UsageError) or not NAME_PATTERN.fullmatch(account):
        return [] if not isinstance(error, UsageError) else [_problem(account, error, None)]
    name = (error.name or "").rpartition(".")[2]
    if _contradicts(setup, account, name):
        return []  # told by account.mode
    place = setup.place(name, account)
    if name in setup.secrets(account):
        return [_problem(account, error, place.enter(account))]
    if name == "live" and not setup.accounts[account].get("live"):
        return [_problem(account, error, place.put("true"))]
    if name in setup.known(account):
        return [_problem(account, error, place.put('"…"', fill='"…"'))]
    return [_problem(account, error, None)]


def _problem(account: str, error: UsageError, mend: Mend | None) -> Finding:
    return problem("account.fields", of_error(error), mend, about=account)


def _contradicts(setup: Setup, account: str, name: str) -> bool:
    return bool(_mode(setup, account, name))


async def placeholders(walk: Walk) -> list[Finding]:
    """Look for values that stand for one: "…", "changeme", "your_key", "xxx"."""
    setup = walk.setup
    check, findings = "account.placeholders", []
    for account in setup.accounts:
        wrong = [name for name in setup.known(account) if _is_unfilled(setup, account, name)]
        for name in wrong:
            place = setup.place(name, account)
            secret = name in setup.secrets(account)
            mend = place.enter(account) if secret else place.put('"…"', fill='"…"')
            said = Said(
                f"{name} is still the placeholder of an example",
                f"{name} est encore le texte d'un exemple",
            )
            findings.append(problem(check, said, mend, about=account))
        if not wrong:
            said = Said("no value is a placeholder", "aucune valeur n'est celle d'un exemple")
            findings.append(ok(check, said, account))
    return findings


def _is_unfilled(setup: Setup, account: str, name: str) -> bool:
    fields = setup.accounts[account]
    value = coerce.text(fields.get(name))
    if value is None:
        return False
    # The credentials of the simulator, at a provider.
    elsewhere = not is_loopback(coerce.text(fields.get("base_url")) or "")
    secret = name in setup.secrets(account)
    lent = secret and elsewhere and value in ("simulator", "test_private_simulator")
    return is_placeholder(value, secret=secret) or lent


async def mode(walk: Walk) -> list[Finding]:
    """Compare what the keys look like with `live`."""
    setup = walk.setup
    check, findings = "account.mode", []
    for account in setup.accounts:
        if setup.kind(account) is None:
            continue
        told = [_mode(setup, account, name) for name in setup.known(account)]
        wrong = [one for one in told if one is not None]
        # One finding is enough: its command changes what all of them contradict.
        mark = "live" if setup.accounts[account].get("live") is True else "test"
        fine = Said(f"no key contradicts {mark} mode", f"aucune clé ne contredit le mode {mark}")
        findings += wrong[:1] or [ok(check, fine, account)]
    return findings


def _mode(setup: Setup, account: str, name: str) -> Finding | None:
    kind, fields = setup.kind(account), setup.accounts[account]
    value = coerce.text(fields.get(name))
    if kind is None or value is None:
        return None
    look = look_of(kind.name, name, value)
    live = str(fields.get("live", "")).lower() in ("true", "1")
    if look is None or look == ("live" if live else "test"):
        return None
    if look == "other":
        said = Said(
            f"{name} is a key of {kind.name}'s newer API, which this driver does not speak",
            f"{name} est une clé d'une autre API de {kind.name}, que ce pilote ne parle pas",
        )
        mend = setup.place(name, account).enter(account)
        return problem("account.mode", said, mend, about=account)
    words = "true" if live else "false"
    said = Said(
        f"{name} is a {look} key, and live is {words}: "
        + ("no money would move" if live else "real money would move"),
        f"{name} est une clé de mode {look}, et live vaut {words} : "
        + ("aucun argent ne bougerait" if live else "de l'argent réel bougerait"),
    )
    if live:
        mend = setup.place("live", account).put("false")
        then = Said("or take the live key", "ou prenez la clé de production")
    else:  # never a command after which real money moves
        mend = setup.place(name, account).enter(account)
        then = Said(
            "with a test key; or set live = true, if real money is meant to move",
            "avec une clé de test ; ou mettez live = true, si de l'argent réel doit bouger",
        )
    return problem("account.mode", said, msgspec.structs.replace(mend, then=then), about=account)
