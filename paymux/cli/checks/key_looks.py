"""What a provider's keys look like, and of which mode a key with such a look is."""

import re
from typing import Literal, NamedTuple

Mode = Literal["test", "live", "other"]


class Look(NamedTuple):
    """The look of a key in some fields: its mode, or "other": it is of another API."""

    fields: tuple[str, ...]
    pattern: "re.Pattern[str]"
    mode: Mode


def _look(mode: Mode, pattern: str, *fields: str) -> Look:
    return Look(fields, re.compile(pattern, re.ASCII), mode)


_INTRAM = ("public_key", "private_key", "secret", "merchant_key")
LOOKS: dict[str, tuple[Look, ...]] = {
    # https://github.com/suntechdevs/paycfa: tpk_ and tsk_ stand with mode "sandbox" in
    # backend/nodejs-api-client.md, pk_sandbox_ and pk_live_ in merchant-api/sandbox-vs-live.md; pk_
    # and sk_ with hex digits are in the Readme of intram-phpsdk, in "live mode".
    "intram": (
        _look("test", r"t[ps]k_|[ps]k_sandbox_", *_INTRAM),
        _look("live", r"[ps]k_live_|[ps]k_[0-9a-f]{16}", *_INTRAM),
    ),
    # The settings form of https://github.com/paydunyadev/paydunya-woocommerce-psr: one master key
    # for both modes, and a private key and a token for each.
    "paydunya": (
        _look("test", r"test_", "private_key"),
        _look("live", r"live_", "private_key"),
    ),
    # The shortcode of the sandbox, with a passkey that the portal publishes:
    # https://github.com/EnAccess/micropowermanager/issues/1531, and the portal's test credentials.
    "mpesa": (
        _look("test", r"174379\Z", "shortcode"),
        _look(
            "test", r"bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919\Z", "passkey"
        ),
    ),
    # https://pypi.org/project/cinetpay-python 0.1.0: keys of the API of 2026, at another host. A
    # key of Checkout v2 has no sandbox and no prefix.
    "cinetpay": (_look("other", r"sk_(?:test|live)_", "apikey", "secret_key"),),
}


def look_of(provider: str, field: str, value: str) -> Mode | None:
    """Return the mode that a key's look says; None: it says nothing, or the provider has none."""
    for look in LOOKS.get(provider, ()):
        if field in look.fields and look.pattern.match(value):
            return look.mode
    return None
