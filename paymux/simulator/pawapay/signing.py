"""Signatures, as https://docs.pawapay.io/v2/docs/signatures and the example of pawaPay in Node.

github.com/pawaPay/signatures-node-example @843f016: the components and their order, the headers,
and ECDSA in DER. Needs the package `cryptography`.
"""

import base64
import hashlib
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from ...http import Response, WebhookRequest
from ...primitives.clock import wall_time
from ..messages import Message
from ..replies import Refused, json_reply
from .messages import not_allowed

if TYPE_CHECKING:
    from . import PawaPay

KEY_ID = "HTTP_EC_P256_KEY:1"
_SECRET = 0x70617761506179  # of the simulated pawaPay: any number below the order of the curve
_ORDER = ("@method", "@authority", "@path", "signature-date", "content-digest", "content-type")
_INPUT = re.compile(
    r'sig-pp=\((.*?)\);alg="([a-z0-9-]+)";keyid="(.*?)";created=(\d+);expires=(\d+)'
)


class Signing:
    """The keys of one account; a test may change each attribute."""

    def __init__(self, pawapay: "PawaPay") -> None:
        self._pawapay = pawapay
        self.request_keys: dict[str, str] = {}  # the merchant's public keys in PEM, by their ids
        # The official examples sign in DER; RFC 9421 has r and s side by side.
        self.raw = False
        self.sha256 = False  # which of the two digests a callback has

    def public_keys(self) -> Response:
        """Answer with the key that callbacks are signed with."""
        return json_reply([{"id": KEY_ID, "key": public_pem()}])

    def callback(self, message: Message, *, forged: bool) -> Message:
        """Sign a callback; a forger has another key."""
        url = urlsplit(message.url)
        name = "sha-256" if self.sha256 else "sha-512"
        digest = hashlib.new(name.replace("-", ""), message.body).digest()
        now = int(time.time())
        parts = {
            "@method": message.method,
            "@authority": url.netloc,
            "@path": url.path,
            "signature-date": f"{wall_time():%Y-%m-%dT%H:%M:%S.%fZ}",
            "content-digest": f"{name}=:{base64.b64encode(digest).decode()}:",
            "content-type": "application/json; charset=UTF-8",
        }
        listed = " ".join(f'"{one}"' for one in _ORDER)
        told = (
            f'({listed});alg="ecdsa-p256-sha256";keyid="{KEY_ID}";created={now};expires={now + 60}'
        )
        lines = [*(f'"{one}": {parts[one]}' for one in _ORDER), f'"@signature-params": {told}']
        seal = _sign("\n".join(lines).encode(), _SECRET + forged, raw=self.raw)
        headers = {
            "content-type": parts["content-type"],
            "Content-Digest": parts["content-digest"],
            "Signature-Date": parts["signature-date"],
            "Signature": f"sig-pp=:{base64.b64encode(seal).decode()}:",
            "Signature-Input": f"sig-pp={told}",
        }
        return msgspec.structs.replace(message, headers=headers)

    def check(self, incoming: WebhookRequest) -> None:
        """Refuse a request of money that is not signed by the merchant."""
        why = self._wrong(incoming)
        if why:
            raise Refused(not_allowed("HTTP_SIGNATURE_ERROR", why, 403))

    def _wrong(self, incoming: WebhookRequest) -> str:
        told = incoming.headers.get("signature-input", "")
        found = _INPUT.fullmatch(told)
        if found is None:
            return "The request is not signed."
        covered, _, key_id, created, expires = found.groups()
        if key_id not in self.request_keys:
            return f"The key '{key_id}' is not known."
        if not int(created) - 60 <= time.time() <= int(expires):
            return "The signature has expired."
        digest = base64.b64encode(hashlib.sha512(incoming.body).digest()).decode()
        if incoming.headers.get("content-digest") != f"sha-512=:{digest}:":
            return "The digest is not that of the body."
        mount = f"/{self._pawapay.name}"
        parts = {
            **incoming.headers,
            "@method": incoming.method,
            "@authority": incoming.headers.get("host", urlsplit(self._pawapay.url).netloc),
            "@path": f"{mount}{incoming.path}",
        }
        names = [one.strip('"') for one in covered.split()]
        lines = [f'"{one}": {parts.get(one, "")}' for one in names]
        lines.append(f'"@signature-params": {told.removeprefix("sig-pp=")}')
        seal = incoming.headers.get("signature", "").removeprefix("sig-pp=:").removesuffix(":")
        signed = "\n".join(lines).encode()
        valid = _verify(self.request_keys[key_id], base64.b64decode(seal), signed, raw=self.raw)
        return "" if valid else "The signature is not valid."


def public_pem() -> str:
    """Return the simulated pawaPay's public key."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - on first use

    public = _private(_SECRET).public_key()
    written: bytes = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return written.decode()


def _private(secret: int) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - on first use

    return ec.derive_private_key(secret, ec.SECP256R1())


def _sign(signed: bytes, secret: int, *, raw: bool) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415 - on first use
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    seal: bytes = _private(secret).sign(signed, ec.ECDSA(SHA256()))
    if not raw:
        return seal
    r, s = utils.decode_dss_signature(seal)
    return r.to_bytes(32) + s.to_bytes(32)


def _verify(pem: str, seal: bytes, signed: bytes, *, raw: bool) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - on first use
    from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    key = load_pem_public_key(pem.encode())
    if raw and len(seal) == 64:
        seal = utils.encode_dss_signature(int.from_bytes(seal[:32]), int.from_bytes(seal[32:]))
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(seal, signed, ec.ECDSA(SHA256()))
            return True
    except InvalidSignature:
        pass
    return False
