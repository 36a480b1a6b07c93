"""HTTP message signatures (RFC 9421) with ECDSA P-256: making them, and verifying those received.

Needs the package `cryptography`, which is imported on first use.
"""

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .parsing import Unreadable
from .received import WebhookRequest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )

ALGORITHM = "ecdsa-p256-sha256"
LIFE = 60  # seconds of a signature that we make
EARLY = 300  # seconds that the sender's clock may be fast
_BYTES = 32  # of r and of s
_MAX_HEADER = 4096  # characters
_LINES = re.compile(r"-----[A-Z ]{5,40}-----|\s+")
_NAME = r'"[a-z0-9@_-]{1,64}"'
_INPUT = re.compile(rf"([a-z*][a-z0-9_.*-]{{0,63}})=(\(((?:{_NAME}(?: {_NAME})*)?)\)((?:;[^,]*)?))")
_PARAMETER = re.compile(
    r';([a-z*][a-z0-9_.*-]{0,63})=(?:"([\x20-\x21\x23-\x5b\x5d-\x7e]*)"|(\d{1,15}))'
)
_SIGNATURE = re.compile(r"([a-z*][a-z0-9_.*-]{0,63})=:([A-Za-z0-9+/]{0,200}={0,2}):")
_DIGEST = re.compile(r"(sha-256|sha-512)=:([A-Za-z0-9+/]{0,88}={0,2}):")
_HASHES = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
# Without these, another body or another receiver would have the same signature.
_COVERED = frozenset({"@method", "@authority", "@path", "content-digest"})
# What we sign: also the fields that pawaPay's and other verifiers look for.
_SIGNED = ("@method", "@authority", "@path", "signature-date", "content-digest", "content-type")


def one_line(key: str) -> str:
    """Return a key in PEM as its base64 alone, which is one line; such a line stays as it is."""
    return _LINES.sub("", key)


@lru_cache(maxsize=16)
def private_key(line: str) -> "EllipticCurvePrivateKey | None":
    """Read a private key of P-256 as `one_line` writes it; None: it is none."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - on first use
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_der_private_key  # noqa: PLC0415

    try:
        found = load_der_private_key(base64.b64decode(line, validate=True), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: the key is encrypted
        return None
    fits = isinstance(found, ec.EllipticCurvePrivateKey) and isinstance(found.curve, ec.SECP256R1)
    return found if fits and isinstance(found, ec.EllipticCurvePrivateKey) else None


@lru_cache(maxsize=64)
def public_key(line: str) -> "EllipticCurvePublicKey | None":
    """Read a public key of P-256 as `one_line` writes it; None: it is none."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - on first use
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415

    try:
        found = load_der_public_key(base64.b64decode(line, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        return None
    fits = isinstance(found, ec.EllipticCurvePublicKey) and isinstance(found.curve, ec.SECP256R1)
    return found if fits and isinstance(found, ec.EllipticCurvePublicKey) else None


def signed_headers(
    method: str, url: str, content_type: str, body: bytes, *, key: str, key_id: str, label: str
) -> dict[str, str]:
    """Return the headers that sign a request: digest, date, signature in DER, and its input."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415 - on first use
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    signer = private_key(key)
    if signer is None:
        raise ValueError("not a private key of P-256")
    now = int(time.time())
    headers = {
        "Content-Digest": f"sha-512=:{_encoded(hashlib.sha512(body).digest())}:",
        "Signature-Date": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    covered = " ".join(f'"{name}"' for name in _SIGNED)
    input = f'({covered});alg="{ALGORITHM}";keyid="{key_id}";created={now};expires={now + LIFE}'
    address = urlsplit(url)
    host = address.netloc.removesuffix(":443" if address.scheme == "https" else ":80")
    fields = {name.lower(): value for name, value in headers.items()}
    parts = {**_parts(method, host, address.path), **fields, "content-type": content_type}
    signature = signer.sign(_base(_SIGNED, parts, input), ECDSA(SHA256()))
    headers["Signature-Input"] = f"{label}={input}"
    headers["Signature"] = f"{label}=:{_encoded(signature)}:"
    return headers


def verify(incoming: WebhookRequest, keys: Mapping[str, str], *, longest: int) -> None:
    """Raise Unreadable, unless a message is signed with the key that it names, for its whole body.

    `keys`: public keys by id, as `one_line` writes them; `longest`: how many seconds ago it may
    have been signed, since a sender that gets no answer tries again.
    """
    label, covered, input, values = _read_input(incoming.headers.get("signature-input", ""))
    if not {*covered} >= _COVERED:
        raise Unreadable("the signature does not cover method, address and body")
    if values.get("alg", ALGORITHM) != ALGORITHM:
        raise Unreadable("signed with another algorithm than " + ALGORITHM)
    created = values.get("created", "")
    if not created.isdecimal() or not -EARLY <= time.time() - int(created) <= longest:
        raise Unreadable("signed too long ago, or in the future")
    key = public_key(keys.get(values.get("keyid", ""), ""))
    if key is None:
        raise Unreadable("signed with a key that is not known")
    _check_digest(incoming.headers.get("content-digest", ""), incoming.body)
    host = incoming.headers.get("host", "")
    parts = {**incoming.headers, **_parts(incoming.method, host, incoming.path)}
    if missing := [name for name in covered if name not in parts]:
        raise Unreadable(f"signed with {missing[0]}, which is not there")
    signature = _read_signature(incoming.headers.get("signature", ""), label)
    if not _is_valid(key, signature, _base(covered, parts, input)):
        raise Unreadable("the signature is not that of this message")


def _parts(method: str, host: str, path: str) -> dict[str, str]:
    """Return the derived components of a request, section 2.2 of the RFC."""
    return {"@method": method, "@authority": host.lower(), "@path": path or "/"}


def _base(covered: tuple[str, ...], parts: Mapping[str, str], input: str) -> bytes:
    """Return what is signed, section 2.5 of the RFC."""
    lines = [f'"{name}": {parts[name].strip()}' for name in covered]
    return "\n".join([*lines, f'"@signature-params": {input}']).encode("utf-8", "replace")


def _read_input(header: str) -> tuple[str, tuple[str, ...], str, dict[str, str]]:
    """Return the label, the covered components, the input as it is signed, and its parameters."""
    found = _INPUT.fullmatch(header) if len(header) <= _MAX_HEADER else None
    if found is None:
        raise Unreadable("not signed, or not by one signature")
    label, input, names, parameters = found.groups()
    covered = tuple(name.strip('"') for name in names.split())
    read = _PARAMETER.findall(parameters)
    values = {name: text or number for name, text, number in read}
    if len({*covered}) != len(covered) or len(values) != len(read):
        raise Unreadable("a signature in which something comes twice")
    if _PARAMETER.sub("", parameters):
        raise Unreadable("a signature with a parameter that is none")
    return label, covered, input, values


def _read_signature(header: str, label: str) -> bytes:
    found = _SIGNATURE.fullmatch(header) if len(header) <= _MAX_HEADER else None
    if found is None or found[1] != label:
        raise Unreadable("no signature of that name")
    return _decoded(found[2])


def _check_digest(header: str, body: bytes) -> None:
    """Compare the body with every digest of it."""
    digests = [part.strip() for part in header[:_MAX_HEADER].split(",")]
    for digest in digests:
        found = _DIGEST.fullmatch(digest)
        if found is None or not hmac.compare_digest(
            _HASHES[found[1]](body).digest(), _decoded(found[2])
        ):
            raise Unreadable("the digest is not that of this body")


def _is_valid(key: "EllipticCurvePublicKey", signature: bytes, signed: bytes) -> bool:
    """Verify a signature in DER, or as r and s side by side, which the RFC prescribes."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - on first use
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    if len(signature) == 2 * _BYTES:
        r, s = (int.from_bytes(half) for half in (signature[:_BYTES], signature[_BYTES:]))
        signature = encode_dss_signature(r, s)
    try:
        key.verify(signature, signed, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Unreadable("not base64") from None
