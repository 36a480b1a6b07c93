"""An account at a provider: where it is, its credentials, and whom it can name."""

from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from typing import ClassVar, Literal

import msgspec

from ..errors import UsageError
from ..models import Kind
from ..primitives.coerce import is_a, text
from ..primitives.redaction import Secret
from ..values.credentials import (
    check_base_url,
    check_texts,
    secret_fields,
    text_fields,
    wrap_secrets,
)
from ..values.money import COUNTRIES, DECIMALS
from ..values.party import named_party
from ..values.phone import phone_digits
from ..values.validation import NAME_PATTERN, is_loopback


def reveal(secret: Secret | str) -> str:
    """Return a credential's text, for the expression that signs a request or verifies a message."""
    # Without its method, which is a call more for each credential of each request.
    return secret._text if isinstance(secret, Secret) else secret  # noqa: SLF001


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a driver that sends nothing: its fields, checked when it is made."""

    name: ClassVar[str]
    live_url: ClassVar[str]
    sandbox_url: ClassVar[str | None] = None
    currencies: ClassVar[frozenset[str]]
    decimals: ClassVar[Mapping[str, int]] = DECIMALS
    countries: ClassVar[frozenset[str]] = frozenset()
    test_numbers: ClassVar[frozenset[str]] = frozenset()
    required: ClassVar[frozenset[str]] = frozenset()
    # Fields that say whose account it is: `pool.replace` changes none, as open orders are there.
    identity: ClassVar[frozenset[str]] = frozenset()
    # Fields that are sent only in bodies: any printable text.
    prose: ClassVar[frozenset[str]] = frozenset()
    # What may come before a colon in a payee, or payer: "paybill", "till", "pochi", "bank".
    payees: ClassVar[frozenset[str]] = frozenset()
    payers: ClassVar[frozenset[str]] = frozenset()
    payer: ClassVar[Literal["required", "optional", "none"]] = "required"
    # The fields that a login sends; processes with the same ones share its token. None: all text
    # and credentials; (): its tokens are not the provider's to share.
    login_fields: ClassVar[tuple[str, ...] | None] = None

    account: str = ""
    live: bool = False
    base_url: str | None = None

    def __post_init__(self) -> None:
        """Wrap the secrets and check every field; UsageError names a wrong field."""
        # The secrets first, in another function: no frame of an error may hold a credential.
        unfit = wrap_secrets(self)
        if unfit is not None:
            raise UsageError.hidden(unfit, "a string of visible ASCII")
        put = msgspec.structs.force_setattr
        if not is_a(self.live, bool):
            raise UsageError.field("live", self.live, "True or False")
        check_texts(self, self.prose)
        put(self, "account", self.account or self.name)
        if not NAME_PATTERN.fullmatch(self.account):
            raise UsageError.field("account", self.account, "1 to 64 of A-Z a-z 0-9 . _ -")
        if self.base_url is not None and (refused := check_base_url(self)) is not None:
            raise refused
        for field in self.__struct_fields__:
            if field in self.required and not getattr(self, field):
                raise UsageError.missing(field, f"{self.name} needs it")
        if (key := self._id_key()) is not None:
            from ._ids import refusal  # noqa: PLC0415 - few providers need it

            if (refused := refusal(reveal(key), live=self.live)) is not None:
                raise refused
        if self.base_url is None and not self.live and self.sandbox_url is None:
            raise UsageError.field(
                "live", self.live, f"True: {self.name} has no sandbox (or set base_url)"
            )

    @property
    def own_currencies(self) -> frozenset[str]:
        """The currencies of this account: the provider's, unless each account has its own."""
        return self.currencies

    @property
    def url(self) -> str:
        """The base URL of requests, without a trailing slash."""
        return self.base_url or (self.live_url if self.live else self.sandbox_url or self.live_url)

    @property
    def rehearsing(self) -> bool:
        """Return whether this account uses a sandbox or this machine: test numbers are accepted."""
        return not self.live or (self.base_url is not None and is_loopback(self.base_url))

    def secrets(self) -> tuple[str, ...]:
        """Return the text of every credential, to remove it from what is logged or kept."""
        return tuple([getattr(self, field).reveal() for field in secret_fields(type(self))])

    def url_of(self, login: str) -> str:
        """Return the base URL of the requests of a login, where an account has several."""
        return self.url

    def login_id(self, login: str = "") -> str | None:
        """Return a digest of where this account logs in, and with what; None: with nothing."""
        own = type(self)
        names = self.login_fields
        if names is None:
            names = (*text_fields(own), *secret_fields(own))
        said = [reveal(getattr(self, name)) for name in names]
        whole = "\n".join((self.name, self.url_of(login), *said, *([login] if login else [])))
        return sha256(whole.encode()).hexdigest() if any(said) else None

    def id_fingerprint(self) -> str:
        """Return what tells this account's `id_key` from another; "": it has none."""
        key = reveal(self._id_key() or "")
        if not key:
            return ""
        from ._ids import fingerprint  # noqa: PLC0415 - few providers need it

        return fingerprint(key)

    def _id_key(self) -> Secret | str | None:
        """Return the field from which ids are derived; None: this driver has no such field."""
        found: Secret | str | None = getattr(self, "id_key", None)
        return found

    def credential_id(self, name: str) -> str:
        """Return a digest of a credential that a request names, and of its owner's name."""
        raise UsageError.field("credential", name, f"none: {self.name} names no credential")

    def home(self, currency: str) -> str | None:
        """Return the only country whose national numbers are possible in this currency, or None."""
        lands = COUNTRIES.get(currency, self.countries)
        left = lands & self.countries if self.countries else lands
        return next(iter(left)) if len(left) == 1 else None

    def party(self, kind: Kind, value: str, currency: str = "") -> str:
        """Read the payer or payee of an order: a mobile number of the provider's countries.

        Or a form that `payees` or `payers` has, with its prefix; of "bank:" a driver checks more.
        """
        field = "payee" if kind == "payout" else "payer"
        number = value if type(value) is str and value.isascii() else text(value)
        if number is None:
            raise UsageError.field(field, value, "a string: a phone number")
        if ":" in number:
            forms = self.payees if kind == "payout" else self.payers
            phone = partial(Account.party, self, kind, currency=currency)
            return named_party(number, field, forms, phone)
        return phone_digits(
            number,
            self.countries,
            home=self.home(currency),
            field=field,
            tests=self.test_numbers if self.rehearsing else frozenset(),
        )
