"""The way to the providers: names, proxies, TLS, an answer, and the clock."""

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from ...values.validation import is_loopback
from .findings import Finding, Mend, Said, ok, problem, skipped, warning
from .setup import Setup
from .visits import Visit
from .walk import Walk

CLOCK_SECONDS = 60.0  # beyond it signatures that carry times are refused
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


async def names(walk: Walk) -> list[Finding]:
    """Look up the name of each provider's host."""
    setup = walk.setup
    check, findings = "network.dns", []
    for seen in await walk.visits():
        if seen.name_error:
            said = Said(
                f"its name has no address: {seen.name_error}; is there a network, and DNS?",
                f"son nom n'a pas d'adresse : {seen.name_error} ; y a-t-il un réseau, un DNS ?",
            )
            mend = _base_url(setup, seen) or Mend(command=f"getent hosts {seen.host}")
            findings.append(problem(check, said, mend, about=seen.host))
        elif seen.addresses:
            said = Said("its name has an address", "son nom a une adresse")
            findings.append(ok(check, said, seen.host))
    return findings


def _base_url(setup: Setup, seen: Visit) -> Mend | None:
    """Return what mends an address of the configuration's own: it goes, or a simulator starts."""
    for account in setup.whole:
        url = setup.accounts[account].get("base_url")
        if not isinstance(url, str) or urlsplit(url).hostname != seen.host:
            continue
        if is_loopback(url):
            port = urlsplit(url).port or 80
            return Mend(command=f"paymux simulator --port {port}")
        return setup.place("base_url", account).drop()
    return None


async def reach(walk: Walk) -> list[Finding]:
    """Connect to each host, with TLS, and wait for an answer."""
    setup = walk.setup
    check, findings = "network.reach", []
    for seen in await walk.visits():
        if seen.name_error:
            told = Said("its name has no address", "son nom n'a pas d'adresse")
            findings.append(skipped(check, told, seen.host))
        elif seen.error:
            findings.append(problem(check, *_unreached(setup, seen), about=seen.host))
        else:
            said = Said(f"it answers (HTTP {seen.status})", f"il répond (HTTP {seen.status})")
            findings.append(ok(check, said, seen.host))
    return findings


def _unreached(setup: Setup, seen: Visit) -> tuple[Said, Mend]:
    if seen.tls:
        said = Said(
            "its certificate is refused: a proxy opens the TLS, or this machine lacks certificates",
            "son certificat est refusé : un proxy ouvre le TLS, ou il manque des certificats ici",
        )
        mend = setup.place("tls").put('"ca.pem"', fill='"ca.pem"')
        then = Said(
            "with the certificates of that proxy; or: apt-get install --reinstall ca-certificates",
            "avec les certificats de ce proxy ; ou : apt-get install --reinstall ca-certificates",
        )
        return said, msgspec.structs.replace(mend, then=then)
    said = Said(f"no answer: {seen.error}", f"pas de réponse : {seen.error}")
    if (proxy := _proxy_variable(setup)) and "proxy" not in setup.options:
        return said, setup.place("proxy").put(f'{{ env = "{proxy}" }}')
    if "proxy" in setup.options:
        return said, setup.place("proxy").drop()
    return said, _base_url(setup, seen) or Mend(
        command=f"curl -sv -o /dev/null --max-time 10 https://{seen.host}/"
    )


async def proxy(walk: Walk) -> list[Finding]:
    """Look for variables of a proxy, which paymux does not read by itself, and of certificates."""
    setup = walk.setup
    check, findings = "network.proxy", []
    named = _proxy_variable(setup)
    if named and "proxy" not in setup.options:
        said = Said(
            f"{named} is set, and paymux uses no proxy without being told",
            f"{named} est définie, et paymux n'utilise aucun proxy sans qu'on le lui dise",
        )
        place = setup.place("proxy")
        put = place.put(f'{{ env = "{named}" }}' if place.path else f'"${named}"')
        if place.path is None:
            put = Mend(command=f'export {place.variable}="${named}"')
        findings.append(warning(check, said, put))
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        value = setup.environment.get(name)
        if value and not await asyncio.to_thread(Path(value).exists):
            said = Said(
                f"{name} names what is not there, so that no certificate is trusted",
                f"{name} désigne ce qui n'existe pas : aucun certificat n'est accepté",
            )
            findings.append(problem(check, said, Mend(command=f"unset {name}")))
    if findings:
        return findings
    return [ok(check, Said("no proxy is forgotten", "aucun proxy n'est oublié"))]


def _proxy_variable(setup: Setup) -> str:
    return next((name for name in _PROXIES if setup.environment.get(name)), "")


async def clock(walk: Walk) -> list[Finding]:
    """Compare the clock with the Date of each host's answer."""
    check, findings = "network.clock", []
    for seen in await walk.visits():
        if seen.ahead is None:
            if not seen.error and not seen.name_error:
                told = Said("its answer has no Date", "sa réponse n'a pas de Date")
                findings.append(skipped(check, told, seen.host))
            continue
        seconds = abs(seen.ahead)
        if seconds <= CLOCK_SECONDS:
            said = Said(
                f"this clock differs by {seconds:.0f} s",
                f"cette horloge diffère de {seconds:.0f} s",
            )
            findings.append(ok(check, said, seen.host))
            continue
        way = ("ahead of", "en avance") if seen.ahead > 0 else ("behind", "en retard")
        said = Said(
            f"this machine's clock is {seconds:.0f} s {way[0]} its Date: signatures are refused",
            f"l'horloge de cette machine est {way[1]} de {seconds:.0f} s : signatures refusées",
        )
        sudo = "" if os.geteuid() == 0 else "sudo "
        mend = Mend(command=f"{sudo}timedatectl set-ntp true")
        findings.append(problem(check, said, mend, about=seen.host))
    return findings
