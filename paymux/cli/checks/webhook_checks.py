"""The address at which providers call back, and the key that makes its paths."""

import ipaddress
from urllib.parse import urlsplit

from ...primitives.redaction import as_secrets
from ...values.validation import is_loopback
from .account_checks import is_placeholder
from .findings import Finding, Mend, Said, ok, problem, warning
from .setup import Setup
from .walk import Walk

# Names that no public DNS has (RFC 2606, RFC 6762, RFC 8375), and those of tunnels that Safaricom
# refuses by name: "no ngrok/mockbin/requestbin" (Documentation, FAQ).
_LOCAL_NAMES = ("localhost", "local", "internal", "lan", "home.arpa", "test", "example", "invalid")
_EXAMPLES = ("example.com", "example.org", "example.net")
_TUNNELS = ("ngrok", "mockbin", "requestbin")
_FILL = "https://shop.example/pay"
_SHORTEST = 16


async def base(walk: Walk) -> list[Finding]:
    """Look whether a provider can reach `webhook_base`: https, and a public name."""
    setup = walk.setup
    check, given = "webhook.base", setup.options.get("webhook_base")
    if not given:
        return _without(setup)
    url = str(given)
    try:
        parts, port = urlsplit(url), urlsplit(url).port
    except ValueError:
        parts, port = urlsplit(""), None
    rehearsing = all(driver.rehearsing for driver in setup.whole.values())
    put = setup.place("webhook_base").put(f'"{_FILL}"', fill=_FILL)
    if not parts.hostname or parts.scheme not in ("http", "https") or "@" in parts.netloc:
        said = Said("it is no https address", "ce n'est pas une adresse https")
        return [problem(check, said, put)]
    if parts.query or parts.fragment:
        said = Said(
            "it has a query or a fragment, and a path is added to it",
            "elle a une requête ou un fragment, et un chemin y est ajouté",
        )
        bare = url.partition("?")[0].partition("#")[0]
        return [problem(check, said, setup.place("webhook_base").put(f'"{bare}"'))]
    if _is_here_only(parts.hostname):
        if rehearsing and all(is_loopback(one.url) for one in setup.whole.values()):
            return [ok(check, Said("the simulator reaches it", "le simulateur l'atteint"))]
        said = Said(
            f"no provider can reach {parts.hostname}: it is not public",
            f"aucun fournisseur ne peut atteindre {parts.hostname}, qui n'est pas public",
        )
        return [warning(check, said, put) if rehearsing else problem(check, said, put)]
    if parts.scheme == "http":
        said = Said("it is http; providers call back by https", "elle est en http, et non en https")
        host = parts.hostname if port in (None, 80) else parts.netloc
        mend = setup.place("webhook_base").put(f'"https://{host}{parts.path}"')
        return [warning(check, said, mend) if rehearsing else problem(check, said, mend)]
    return [ok(check, Said("providers can reach it", "les fournisseurs peuvent l'atteindre"))]


def _without(setup: Setup) -> list[Finding]:
    check = "webhook.base"
    if not any(driver.can("webhook") for driver in setup.whole.values()):
        return []
    said = Said(
        "no webhook_base: no provider can tell of a payment, and M-Pesa answers no question",
        "pas de webhook_base : aucun fournisseur ne peut prévenir d'un paiement, et M-Pesa ne "
        "répond à aucune question",
    )
    return [warning(check, said, setup.place("webhook_base").put(f'"{_FILL}"', fill=_FILL))]


def _is_here_only(host: str) -> bool:
    """Return whether a host is this machine or this network, or no host at all."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        pass
    ends = host.rstrip(".").lower()
    return "." not in ends or any(
        ends == name or ends.endswith(f".{name}") for name in (*_LOCAL_NAMES, *_EXAMPLES)
    )


async def words(walk: Walk) -> list[Finding]:
    """Look for words that a provider advises against in an address."""
    setup = walk.setup
    check, url = "webhook.words", str(setup.options.get("webhook_base") or "")
    parts = urlsplit(url if "//" in url else "")
    for driver in setup.whole.values():
        # Documentation of Daraja, FAQ and c2b.mdx: in the URL, in any letter case.
        named = [word for word in driver.callback_words_to_avoid if word in parts.path.lower()]
        tunnels = [word for word in _TUNNELS if word in (parts.hostname or "")]
        tunnels = tunnels if driver.callback_words_to_avoid else []
        if not named and not tunnels:
            continue
        word, where = (named or tunnels)[0], ("path", "chemin") if named else ("host", "hôte")
        said = Said(
            f"its {where[0]} has the word {word}, and {driver.name} may never call such an address",
            f"son {where[1]} contient {word}, et {driver.name} risque de ne jamais l'appeler",
        )
        kept = "/".join(
            part
            for part in parts.path.split("/")
            if not any(word in part.lower() for word in driver.callback_words_to_avoid)
        )
        better = f"{parts.scheme}://{parts.netloc}{kept.rstrip('/') or '/pay'}"
        put = setup.place("webhook_base").put(f'"{better if named else _FILL}"')
        then = Said(
            "your server must hear it there as well; open orders keep the old address",
            "votre serveur doit aussi l'écouter ; les commandes ouvertes gardent l'ancienne",
        )
        mend = Mend(command=put.command, fill="" if named else _FILL, then=then)
        return [warning(check, said, mend)]
    return (
        [ok(check, Said("no word is advised against", "aucun mot n'est déconseillé"))]
        if url
        else []
    )


async def key(walk: Walk) -> list[Finding]:
    """Look whether `webhook_key` can be guessed, and whether it is there."""
    setup = walk.setup
    check, given = "webhook.key", setup.options.get("webhook_key")
    has_base = bool(setup.options.get("webhook_base"))
    if not given:
        if not has_base:
            return []
        said = Said(
            "there is none: anyone could guess the callback addresses",
            "il n'y en a pas : les adresses de rappel pourraient être devinées",
        )
        return [problem(check, said, _new_key(setup))]
    for secret in as_secrets(given):
        text = secret.reveal()
        if len(text) < _SHORTEST or not text.isascii():
            said = Said(
                f"it has {len(text)} characters; accepted: {_SHORTEST} or more of ASCII",
                f"elle a {len(text)} caractères ; il en faut {_SHORTEST} ou plus, en ASCII",
            )
            return [problem(check, said, _new_key(setup))]
        if is_placeholder(text) or len(set(text)) < 6 or text.startswith("sixteen characters"):
            said = Said(
                "it can be guessed: it is that of an example, or of few letters",
                "elle peut être devinée : c'est celle d'un exemple, ou peu de lettres",
            )
            return [problem(check, said, _new_key(setup))]
    if not has_base:
        said = Said(
            "it is of no use without webhook_base", "sans webhook_base, elle ne sert à rien"
        )
        put = setup.place("webhook_base").put(f'"{_FILL}"', fill=_FILL)
        return [problem(check, said, put)]
    return [ok(check, Said("it cannot be guessed", "elle ne peut pas être devinée"))]


def _new_key(setup: Setup) -> Mend:
    """Return the command that makes a key and names it, and shows it nowhere."""
    make = "python3 -c 'import secrets; print(secrets.token_hex(32))'"
    place = setup.place("webhook_key")
    if place.path is None:
        return Mend(command=f'export {place.variable}="$({make})"')
    path = place.path.parent / "webhook.key"
    put = place.put('{ file = "webhook.key" }')
    return Mend(command=f"(umask 077; {make} > '{path}') && {put.command}")
