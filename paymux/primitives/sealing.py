"""Text that only the holders of a key can read, and that is good for one thing only."""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING

from .redaction import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_KEY_BYTES = 32


class Sealer:
    """Seals text with AES-GCM under the first of several keys, and opens what any has sealed.

    The keys are derived by HKDF: the text of a key, and what is derived for another `purpose`, open
    nothing. ImportError: the package `cryptography` is not installed.
    """

    def __init__(self, keys: tuple[Secret, ...], purpose: bytes) -> None:
        self._ciphers = [_cipher(key, purpose) for key in keys]

    def seal(self, text: str, about: bytes) -> str:
        """Return text that `open` reads with the same `about`, and with nothing else."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[0].encrypt(nonce, text.encode(), about)
        return urlsafe_b64encode(nonce + sealed).decode()

    def open(self, sealed: str, about: bytes) -> str | None:
        """Return the text; None: it is damaged, about something else, or its key is gone."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - loaded on use

        try:
            whole = urlsafe_b64decode(sealed)
        except ValueError:
            return None
        nonce, rest = whole[:_NONCE_BYTES], whole[_NONCE_BYTES:]
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, rest, about).decode()
            except (InvalidTag, ValueError):
                continue
        return None


def _cipher(key: Secret, purpose: bytes) -> "AESGCM":
    # Loaded on use: it takes some ten milliseconds, and few programs need it.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    derived = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=purpose)
    return AESGCM(derived.derive(key.reveal().encode()))
