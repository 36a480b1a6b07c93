"""The sender of a message: the socket's address, or the address that a trusted proxy reports."""

from collections.abc import Callable, Collection, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias

from ..errors import UsageError
from ..http import WebhookRequest
from ..models import log
from ..primitives import coerce
from ..values.validation import checked_function

Network: TypeAlias = IPv4Network | IPv6Network
AllowedSenders: TypeAlias = Callable[[str | None], bool] | Collection[str]


class Allowlist:
    """The senders whose messages are accepted.

    A source address is a second check, never the only one: such lists get out of date.
    """

    def __init__(
        self,
        proxies: Collection[str],
        senders: Mapping[str, AllowedSenders],
        accounts: Iterable[str],
    ) -> None:
        self._proxies = _networks("proxies", proxies)
        known, given = sorted(accounts), coerce.mapping(senders)
        if given is None:
            raise UsageError.field(
                "senders", senders, "a mapping of accounts to addresses, or to a function of one"
            )
        self._allowed = {}
        for account, allowed in given.items():
            if (name := coerce.text(account)) not in known:
                raise UsageError.field("senders", account, ", ".join(known))
            self._allowed[name] = _predicate(allowed)

    def allow(self, account: str, incoming: WebhookRequest) -> bool:
        """Return whether a message for this account may be accepted."""
        allowed = self._allowed.get(account)
        if allowed is None:
            return True
        try:
            return bool(allowed(self.address(incoming)))
        except Exception as error:  # noqa: BLE001 - a function that fails does not allow the address
            log.warning("%s: senders failed at an address: %s", account, type(error).__name__)
            return False

    def address(self, incoming: WebhookRequest) -> str | None:
        """Return the right-most address that is not one of our proxies; None: not known.

        A header counts only if one of our proxies sent it: any other client can write any address
        in it. Two headers that differ do not count either, because most proxies write one of them
        and pass the other on.
        """
        if not self._is_proxy(_address(incoming.peer)):
            return _plain(_address(incoming.peer))
        ways = [
            list(reversed(hops))
            for name, read in (("x-forwarded-for", _listed), ("forwarded", _fors))
            if (hops := read(incoming.headers.get(name, "")))
        ]
        found = {_plain(self._last(way)) for way in ways}
        return found.pop() if len(found) == 1 else None

    def _last(self, hops: list[str]) -> IPv4Address | IPv6Address | None:
        for hop in hops:
            address = _address(hop)
            if not self._is_proxy(address):
                return address
        return None

    def _is_proxy(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._proxies)


def _predicate(allowed: AllowedSenders) -> Callable[[str | None], bool]:
    if callable(allowed):
        checked_function("senders", allowed, "one address", wait=False)
        return allowed
    networks = _networks("senders", allowed)

    def listed(peer: str | None) -> bool:
        address = _address(peer)
        return address is not None and any(address in network for network in networks)

    return listed


def _networks(field: str, given: Collection[str]) -> list[Network]:
    listed = (
        sorted(given)
        if type(given) in (set, frozenset) and set(map(type, given)) <= {str}
        else given
    )
    addresses = coerce.sequence(listed)
    if addresses is None:
        raise UsageError.field(field, given, "a list of addresses or networks")
    return [_network(field, one) for one in addresses]


def _network(field: str, one: Any) -> Network:
    found = coerce.text(one)
    try:
        if found is not None and len(found) <= 100:
            return ip_network(found)
        if issubclass(type(one), IPv4Network | IPv6Network | IPv4Address | IPv6Address):
            return ip_network(one)
    except ValueError:
        pass
    raise UsageError.field(field, one, "an address or a network such as '10.0.0.0/8'")


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    """Read an address, with a port or without; IPv4 inside IPv6 is IPv4."""
    plain = (text or "").strip().strip('"')
    if plain.startswith("["):
        plain = plain[1:].partition("]")[0]
    elif plain.count(":") == 1:
        plain = plain.partition(":")[0]
    try:
        address = ip_address(plain.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _plain(address: IPv4Address | IPv6Address | None) -> str | None:
    return None if address is None else str(address)


def _listed(header: str) -> list[str]:
    return header.split(",") if header.strip() else []


def _fors(header: str) -> list[str]:
    """Read the `for=` of each hop of a Forwarded header.

    https://www.rfc-editor.org/rfc/rfc7239#section-4
    """
    hops = []
    for hop in _listed(header):
        pairs = (pair.partition("=") for pair in hop.split(";"))
        hops.append(next((value for name, _, value in pairs if name.strip().lower() == "for"), ""))
    return hops
