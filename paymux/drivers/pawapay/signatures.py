"""Signatures of requests and callbacks: https://docs.pawapay.io/v2/docs/signatures.

Both official examples (github.com/pawaPay/signatures-node-example and -java-example) sign ECDSA in
DER, which is what is sent; RFC 9421 has r and s side by side, as "builders" does, and either is
accepted.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ...http import Request, WebhookRequest
from ...primitives import coerce
from ...primitives.redaction import Secret
from ...values.http_signatures import one_line, private_key, public_key, signed_headers, verify
from ..base import reveal

if TYPE_CHECKING:
    from .account import Account

_LABEL = "sig-pp"
# A callback is sent for 15 minutes; whether each try is signed anew is not told.
_LONGEST = 20 * 60
_LONGEST_KEY = 10_000  # characters
_EXTRA = "pip install 'paymux[signatures]'"


def compact(key: Secret | str) -> Secret | str:
    """Return a private key as one line; what is no text stays as it is, to be refused later."""
    said = coerce.text(key.reveal() if coerce.is_a(key, Secret) else key)
    if said is not None and len(said) > _LONGEST_KEY:
        raise UsageError.hidden("signing_key", "a private key of the curve P-256, as PEM")
    return key if said is None else one_line(said)


def checked_keys(keys: object) -> dict[str, str]:
    """Return public keys by id, each as one line: of a mapping, or of its JSON."""
    said = coerce.text(keys)
    found = coerce.mapping(_read(said) if said else keys or {})
    if found is None or not all(coerce.text(id) and coerce.text(key) for id, key in found.items()):
        accepted = "a mapping of ids to keys in PEM, as public_keys returns it, or that as JSON"
        raise UsageError.field("callback_keys", keys, accepted)
    return {str(id): one_line(str(key)) for id, key in found.items()}


def _read(said: str) -> object:
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        return None


def refusal(account: "Account") -> UsageError | None:
    """Return why the keys of an account cannot be used, or None."""
    if not account.signing_key and not account.callback_keys:
        return None
    try:
        signs = not account.signing_key or private_key(reveal(account.signing_key)) is not None
        unfit = [id for id, key in _keys(account).items() if public_key(key) is None]
    except ImportError:
        return UsageError.missing("cryptography", f"signatures need it: {_EXTRA}")
    if not signs:
        return UsageError.hidden("signing_key", "a private key of the curve P-256, as PEM")
    if account.signing_key and not account.signing_key_id:
        return UsageError.missing("signing_key_id", "the name of the key in pawaPay's dashboard")
    if unfit:
        accepted = "public keys of the curve P-256, as PEM"
        return UsageError.field("callback_keys", unfit[0], accepted)
    return None


def signed(account: "Account", request: Request[Any]) -> Mapping[str, str]:
    """Return the headers that sign a request of money."""
    return signed_headers(
        request.method,
        account.url + request.target(),
        "application/json",
        request.content(),
        key=reveal(account.signing_key),
        key_id=account.signing_key_id,
        label=_LABEL,
    )


def check_callback(account: "Account", incoming: WebhookRequest) -> None:
    """Raise Unreadable, unless a callback is signed with one of the account's keys."""
    verify(incoming, _keys(account), longest=_LONGEST)


def _keys(account: "Account") -> Mapping[str, str]:
    keys: Any = account.callback_keys
    return keys if isinstance(keys, dict) else {}
