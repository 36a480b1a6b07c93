'''What every driver is: an account's credentials, its verbs, three hooks, facts about its money.

A provider of one API is `drivers/<name>.py`; one of several APIs is a folder, with a file for each.
The class has the module's name in capitals of your choice (`mpesa_gateway`: `MpesaGateway`), and is
exported from `paymux` without being named anywhere else. The parts stand in this order:

    """Acme: mobile money of Benin, in XOF. The page is https://acme.example/docs."""

    _STATUS = Vocabulary({                      # each word of the page: the state, why it failed
        "PAID": Status.SUCCEEDED,
        "OPEN": Status.PENDING,
        "NO_FUNDS": (Status.FAILED, Reason.INSUFFICIENT_FUNDS),
    })

    class Answer(msgspec.Struct, frozen=True):  # only the fields that are read, each may be absent
        id: Scalar = None
        status: Scalar = None
        amount: Scalar = None

        def answers(self) -> bool:              # whether a reply answers the request
            return need(text(self.id), "the answer has no id")

    class Acme(Driver, frozen=True, kw_only=True):
        """An account at Acme."""

        name = "acme"                           # facts, each with its source beside it
        live_url = "https://api.acme.example/v1"
        currencies = frozenset({"XOF"})
        speaks = {"status": _STATUS}

        api_key: Secret | str = ""              # credentials

        def authorize(self, request, token):    # hooks: token, authorize, judge
            return request.with_headers({"X-Api-Key": reveal(self.api_key)})

        async def collect(self, send, order):   # verbs
            body = {"amount": whole(order.amount), "payer": order.party}
            return self.payment(await send(post("/pay", Answer, body, matches=Answer.answers)))

        def webhook(self, incoming):            # messages
            return self.event(self.payment(self.message(Answer, incoming)))

        def payment(self, said, asked=None, kind="collect"):  # of an answer, a row or a message
            status, reason = self.outcome({"status": text(said.status)})
            return Payment(account=self.account, provider=self.name, live=self.live, status=status,
                           reason=reason, provider_reference=text(said.id), currency="XOF",
                           amount=amount(said.amount))

`payment` takes the same arguments in each driver: what the provider said, and the provider's
reference and the kind that it was asked about, where it was asked. Helpers come below the class.
'''

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

import msgspec

from ..errors import NotFound, ProviderError, RateLimited, Rejected, Unsupported, UsageError
from ..http import Request, Response, Send, WebhookRequest
from ..models import Balance, Event, Kind, Method, Order, Payment, Reason, Receipt, Status, Trust
from ..primitives.coerce import is_a, text
from ..primitives.redaction import Secret
from ..values.credentials import check_base_url, check_texts, secret_fields, wrap_secrets
from ..values.money import COUNTRIES, DECIMALS
from ..values.multipart import multipart_fields
from ..values.parsing import BOM, Unreadable, convert, form_fields, json_fields, row
from ..values.phone import phone_digits
from ..values.status_words import StatusWords, agreed_status, log_unproved_success, why
from ..values.validation import NAME_PATTERN, VISIBLE_ASCII, is_loopback

T = TypeVar("T")

Verb = Literal[
    "collect",
    "payout",
    "refund",
    "verify",
    "find",
    "balance",
    "history",
    "receipt",
    "methods",
    "webhook",
    "returned",
]
Option = Literal[
    "description",
    "customer",
    "items",
    "taxes",
    "metadata",
    "return_url",
    "cancel_url",
    "webhook_url",
]
_BARE: Mapping[int, type[ProviderError]] = {
    400: Rejected,
    404: NotFound,
    422: Rejected,
    429: RateLimited,
}
_UNPAID_ENDS = frozenset({Status.FAILED, Status.CANCELLED, Status.EXPIRED})
WEBHOOK_BYTES = 64 * 1024  # the largest of these providers' messages is a tenth of it


class Token(msgspec.Struct, frozen=True):
    """An access token and its lifetime in seconds; None is the driver's stated `token_life`."""

    secret: Secret
    expires_in: float | None = None

    def __post_init__(self) -> None:
        """Refuse a token that would break out of a header."""
        if not VISIBLE_ASCII.fullmatch(self.secret.reveal()):
            raise Unreadable("the login gave no token that could sign anything")


class Duplicate(ProviderError):
    """What `judge` names where the provider says that it had a request with our reference before.

    That request may have moved money, so a money verb makes OutcomeUnknown of it, which is looked
    up later.
    """


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one money verb at this provider; each fact has its source beside it."""

    deduplicates: bool  # the provider itself refuses or joins a second request with our reference
    findable: bool  # the provider can be asked by our reference
    not_found_final_after: float | None  # seconds after which "not found" is final; None: never


def reveal(secret: Secret | str) -> str:
    """Give a credential's text, for the one expression that signs a request or proves a message."""
    return secret.reveal() if isinstance(secret, Secret) else secret


class Driver(msgspec.Struct, frozen=True, kw_only=True):
    """One account at one provider: frozen credentials; coroutines whose only effect is `send`."""

    name: ClassVar[str]
    live_url: ClassVar[str]
    sandbox_url: ClassVar[str | None] = None
    currencies: ClassVar[frozenset[str]]
    decimals: ClassVar[Mapping[str, int]] = DECIMALS
    countries: ClassVar[frozenset[str]] = frozenset()
    test_numbers: ClassVar[frozenset[str]] = frozenset()
    facts: ClassVar[Mapping[Kind, Facts]] = {}
    required: ClassVar[frozenset[str]] = frozenset()
    # Fields that travel in bodies only: any printable text.
    prose: ClassVar[frozenset[str]] = frozenset()
    # What an order may carry here, beyond the common fields.
    takes: ClassVar[frozenset[Option]] = frozenset()
    # The same of a payout, where it differs.
    payout_takes: ClassVar[frozenset[Option] | None] = None
    # The names this driver takes in `extra=`.
    settings: ClassVar[frozenset[str]] = frozenset()
    payer: ClassVar[Literal["required", "optional", "none"]] = "required"
    # Each field of an answer or message that speaks of the state, and what its words mean.
    speaks: ClassVar[Mapping[str, StatusWords]] = {}
    # What each documented success has, for every form of an answer in which that is known: names in
    # a Payment, or in its `ids`.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    # Requests, per so many seconds.
    limits: ClassVar[Mapping[Literal["money", "look-up"], tuple[int, float]]] = {}
    verifies_by: ClassVar[frozenset[str]] = (
        frozenset()
    )  # names in `ids` that do where the provider's reference lacks
    token_life: ClassVar[float] = 300.0  # seconds, where the provider states none
    watch_timeout: ClassVar[float] = 300.0  # seconds; longer: a page (watch/schedule.py)
    first_look: ClassVar[float] = 2.0  # seconds from an order to the first useful look-up
    # What a caller may do when the answer with a checkout page's address was lost.
    lost_page: ClassVar[str] = ""
    # The provider may never call a path with one of them.
    callback_words_to_avoid: ClassVar[tuple[str, ...]] = ()
    # It sends a message again that was not answered with 2xx; unknown is False.
    redelivers: ClassVar[bool] = False

    account: str = ""
    live: bool = False
    base_url: str | None = None

    def __post_init__(self) -> None:
        """Wrap the secrets and check every field; a wrong field is UsageError naming it."""
        # The secrets first, and elsewhere: no frame of a refusal may hold a credential.
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
        if self.base_url is None and not self.live and self.sandbox_url is None:
            raise UsageError.field(
                "live", self.live, f"True: {self.name} has no sandbox (or set base_url)"
            )

    @property
    def url(self) -> str:
        """Where requests go, without a trailing slash."""
        return self.base_url or (self.live_url if self.live else self.sandbox_url or self.live_url)

    @property
    def rehearsing(self) -> bool:
        """Tell whether this account is at a sandbox or on this machine: test numbers pass."""
        return not self.live or (self.base_url is not None and is_loopback(self.base_url))

    def secrets(self) -> tuple[str, ...]:
        """Give every credential's text, for taking it out of what is logged or kept."""
        return tuple([getattr(self, field).reveal() for field in secret_fields(type(self))])

    @classmethod
    def can(cls, verb: Verb) -> bool:
        """Tell whether this provider has the operation: whether this driver overrides it."""
        return getattr(cls, verb) is not getattr(Driver, verb)

    # Hooks of the transport.

    async def token(self, send: Send) -> Token | None:
        """Log in; called once for all callers, by the token cache. None: no token is needed."""
        return None

    def authorize(self, request: Request[T], token: str | None) -> Request[T]:
        """Sign a request."""
        return request

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Give the error that this reply certainly means, or None.

        AuthenticationFailed of a request with a token means that the token is stale; RateLimited,
        that the request was refused before processing; Duplicate, that an earlier one with our
        reference exists. Unreadable may be raised of what is no answer, whatever its status. Here:
        what a bare status says of a look-up, and of money nothing. 401 and 403 are a firewall's,
        too: only a driver knows in which shape its provider says them.
        """
        if request.money or reply.status in request.accept:
            return None
        kind = _BARE.get(reply.status)
        return kind() if kind else None

    # Verbs.

    async def collect(self, send: Send, order: Order) -> Payment:
        """Ask a payer for money."""
        raise Unsupported(f"{self.name} cannot collect")

    async def payout(self, send: Send, order: Order) -> Payment:
        """Send money to a payee."""
        raise Unsupported(f"{self.name} cannot pay out")

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask for a payment by the provider's reference."""
        raise Unsupported(f"{self.name} cannot verify")

    async def find(self, send: Send, payment: Payment) -> Payment:
        """Ask for a payment by our reference."""
        raise Unsupported(f"{self.name} cannot be asked by reference")

    async def refund(self, send: Send, order: Order, payment: Payment) -> Payment:
        """Give money of a payment back."""
        raise Unsupported(f"{self.name} cannot refund")

    async def balance(self, send: Send) -> Balance:
        """Ask what can be paid out."""
        raise Unsupported(f"{self.name} tells no balance")

    def history(
        self, send: Send, since: datetime, until: datetime
    ) -> AsyncIterator[Payment | None]:
        """List payments of a period, as the provider knows them, each with its own row as `raw`.

        None says that there is more to come: whoever waits gets a new deadline, and others a turn.
        """
        raise Unsupported(f"{self.name} has no history")

    async def receipt(self, send: Send, payment: Payment) -> Receipt:
        """Ask for a payment's receipt."""
        raise Unsupported(f"{self.name} gives no receipts")

    async def methods(self, send: Send) -> list[Method]:
        """List the ways to pay that the account offers."""
        raise Unsupported(f"{self.name} lists no methods")

    def returned(self, url: str) -> Event:
        """Read the address at which the payer's browser came back: a hint like any other."""
        raise Unsupported(f"{self.name} sends no browser back")

    def webhook(self, incoming: WebhookRequest) -> Event:
        """Read a message: pure, and without a status to act on. A forged one is BadWebhook."""
        raise Unsupported(f"{self.name} sends no webhooks")

    def confirms(self, event: Event) -> bool:
        """Tell whether the provider can be asked about a message; else it is kept for a person."""
        return True

    def may_tell_of(self, event: Event, order: Payment) -> bool:
        """Tell whether a message that cannot be confirmed may be about an order."""
        claims = event.claims
        pairs = (
            (claims.amount, order.amount),
            (claims.currency, order.currency),
            (event.account, order.account),
        )
        return all(None in pair or pair[0] == pair[1] for pair in pairs)

    def acknowledge(self, event: Event, refused: str = "") -> Response:
        """Answer a message: pure. `refused` tells why what a ping asks about is refused."""
        return Response(status=200, headers={"content-type": "text/plain"}, body=b"OK")

    # What drivers share.

    def home(self, currency: str) -> str | None:
        """Give the one country whose national numbers an order in this currency may have."""
        lands = COUNTRIES.get(currency, self.countries)
        left = lands & self.countries if self.countries else lands
        return next(iter(left)) if len(left) == 1 else None

    def party(self, kind: Kind, value: str, currency: str = "") -> str:
        """Read the payer or payee of an order: a mobile number of the provider's countries."""
        field, number = "payee" if kind == "payout" else "payer", text(value)
        if number is None:
            raise UsageError.field(field, value, "a string: a phone number")
        return phone_digits(
            number,
            self.countries,
            home=self.home(currency),
            field=field,
            tests=self.test_numbers if self.rehearsing else frozenset(),
        )

    def status(self, said: Mapping[str, str | None]) -> Status:
        """Read the state out of the fields that speak of it, as `speaks` lists their words.

        What they contradict each other in, and an unknown word, stays PENDING, and is logged once.
        """
        return agreed_status(self.name, self.speaks, said, self.secrets)

    def outcome(self, said: Mapping[str, str | None]) -> tuple[Status, Reason | None]:
        """Read the state as `status` does, and the reason of a failure: the last word's own."""
        status = agreed_status(self.name, self.speaks, said, self.secrets)
        return status, why(self.speaks, said) if status in _UNPAID_ENDS else None

    def event(self, claims: Payment, trust: Trust = Trust.NOTHING, *, ping: bool = False) -> Event:
        """Give a message's event: what it claims, and what it proves."""
        return Event(
            account=self.account,
            provider=self.name,
            trust=trust,
            claims=claims,
            ping=ping,
        )

    def proved(self, found: Payment, form: str) -> Payment:
        """Give what was found; a success without what each documented one has is PENDING."""
        if found.status is not Status.SUCCEEDED:
            return found
        lacking = []
        for name in self.proofs[form]:
            if getattr(found, name, None) is None and name not in found.ids:
                lacking.append(name)  # noqa: PERF401 - a comprehension costs a frame each time
        if not lacking:
            return found
        log_unproved_success(self.name, " and ".join(lacking))
        return msgspec.structs.replace(found, status=Status.PENDING, paid_at=None)

    def pending(self, order: Order) -> Payment:
        """Give the payment of an order as we know it before any answer."""
        return Payment(
            account=self.account,
            provider=self.name,
            kind=order.kind,
            live=self.live,
            reference=order.reference,
            amount=order.amount,
            currency=order.currency,
            customer=order.customer,
            metadata=order.metadata,
            payer=None if order.kind == "payout" else order.party,
            payee=order.party if order.kind == "payout" else None,
        )

    def row(
        self, type: type[T], raw: msgspec.Raw, number: int, read: Callable[[T], Payment]
    ) -> Payment:
        """Read one row of a history, and keep its own text; Unreadable names the row."""
        past, own = row(type, raw, number, read)
        return msgspec.structs.replace(past, raw=own)

    def message(self, type: type[T], incoming: WebhookRequest) -> T:
        """Read a message's fields as this type, or raise Unreadable.

        They are the query of a GET, the JSON or the form of a POST.
        """
        if len(incoming.body) > WEBHOOK_BYTES or len(incoming.query) > WEBHOOK_BYTES:
            raise Unreadable("larger than 64 KiB")
        if incoming.method == "GET":
            return convert(type, form_fields(incoming.query))
        body, sort = incoming.body.removeprefix(BOM), incoming.headers.get("content-type", "")
        if body.lstrip()[:1] == b"{":
            return convert(type, json_fields(body))
        if sort.lstrip().lower().startswith("multipart/form-data"):
            return convert(type, multipart_fields(body, sort))
        return convert(type, form_fields(body.decode("utf-8")))


@runtime_checkable
class Pushed(Protocol):
    """A driver whose provider pushes updates over a WebSocket; polling goes on underneath."""

    @property
    def account(self) -> str:
        """The account's name."""
        ...

    def updates_request(self) -> Request[Any]:
        """Give the request that opens the socket; it is signed like any other."""
        ...

    def update(self, frame: str | bytes) -> Event | None:
        """Read a frame: pure, a hint like any message, None where it is about no payment."""
        ...
