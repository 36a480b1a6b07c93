"""How the pool's own connections leave: through a proxy, with which TLS, from which address."""

import base64
import ipaddress
import ssl
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from ..errors import UsageError
from ..primitives import coerce
from ..primitives.redaction import Secret, shown
from .validation import VISIBLE_ASCII, checked_path

_PROXY = "an http URL of a proxy, such as 'http://user:password@host:3128'"
_TLS = "an ssl.SSLContext that checks certificates and hosts, and takes TLS 1.2 or newer"


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """The route of new connections.

    `authorization` is the value of the header that is sent to the proxy.
    """

    proxy: str | None = None
    authorization: Secret | None = None
    tls: ssl.SSLContext | None = None
    local_address: str | None = None


def network_of(proxy: Secret | None, tls: object, local_address: object) -> Network:
    """Check the settings of a pool; UsageError names a wrong one, and shows no password."""
    url, authorization = (None, None) if proxy is None else _proxy(proxy)
    return Network(
        proxy=url,
        authorization=authorization,
        tls=None if tls is None else _tls(tls),
        local_address=None if local_address is None else _address(local_address),
    )


def _proxy(given: object) -> tuple[str, Secret | None]:
    parts = _parts(given.reveal()) if coerce.is_a(given, Secret) else None
    if parts is None:
        raise UsageError.hidden("proxy", _PROXY)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    url = f"http://{host}:{parts.port or 80}"
    if parts.username is None:
        return url, None
    # By hand: aiohttp's helpers for it differ between its versions.
    # https://www.rfc-editor.org/rfc/rfc7617.html#section-2
    signed = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return url, Secret(f"Basic {base64.b64encode(signed).decode()}")


def _parts(said: object) -> SplitResult | None:
    """Return the parts of a proxy's URL; None: it is none."""
    url = coerce.text(said)
    if url is None or len(url) > 2000 or not VISIBLE_ASCII.fullmatch(url) or " " in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    rest = parts.path.removeprefix("/") or parts.query or parts.fragment
    fits = parts.scheme == "http" and parts.hostname and port != 0 and not rest
    return parts if fits and ":" not in unquote(parts.username or "") else None


def _tls(given: object) -> ssl.SSLContext:
    if coerce.is_a(given, ssl.SSLContext):
        checks = given.verify_mode is ssl.CERT_REQUIRED and given.check_hostname
        if checks and given.minimum_version >= ssl.TLSVersion.TLSv1_2:
            return given
        raise UsageError.field("tls", given, _TLS)
    if not coerce.is_a(given, str) and not hasattr(type(given), "__fspath__"):
        raise UsageError.field("tls", given, f"{_TLS}, or the path of a PEM file to trust")
    path = checked_path("tls", given)
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(path)
    except OSError as error:  # ssl.SSLError is one
        why = type(error).__name__ if isinstance(error, ssl.SSLError) else error.strerror
    else:
        return context
    raise UsageError(
        f"tls: {shown(path)} is refused ({why}); accepted: a PEM file of certificates to trust",
        name="tls",
        value=shown(path),
        accepted="a PEM file of certificates to trust",
    )


def _address(given: object) -> str:
    said = coerce.text(given)
    try:
        return str(ipaddress.ip_address(said or ""))
    except ValueError:
        pass
    raise UsageError.field(
        "local_address", given, "an IP address of this machine, such as '192.0.2.7'"
    )
