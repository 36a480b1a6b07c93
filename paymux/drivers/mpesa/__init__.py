"""M-Pesa of Safaricom's Daraja: Express (STK push), and the messages of C2B payments.

"Documentation": https://developer.safaricom.co.ke/ as transcribed at
https://github.com/amoskyalo/daraja-docs.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

from ...errors import ProviderError, UsageError
from ...http import Request, Response, Send, WebhookRequest, get
from ...models import Balance, Event, Kind, Order, Payment
from ...primitives import coerce
from ...primitives.redaction import Secret
from ...values.parsing import Unreadable
from ...values.status_words import StatusWords
from ...values.validation import setting
from ..base import Driver, Facts, Option, Token, reveal
from . import b2c, balance, c2b, results, reversal, status, stk, values
from .errors import duplicate, refusal, throttled
from .express import PUSH, QUERY, RESULTS, SENTENCES, Said
from .facts import FACTS

__all__ = ["CALLBACK_ADDRESSES", "LOGIN", "PUSH", "QUERY", "Mpesa"]

LOGIN = "/oauth/v1/generate"

# Documentation, "going live". The list gets out of date: a second check, never the only one.
_HOSTS = {
    214: (200, 206, 207, 208),
    213: (114, 44),
    212: (127, 129, 136, 138, 74, 69),
}
CALLBACK_ADDRESSES = frozenset(
    f"196.201.{net}.{host}" for net, hosts in _HOSTS.items() for host in hosts
)


class _Login(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int | None = None  # comes as text: "3599"


class Mpesa(Driver, frozen=True, kw_only=True):
    """One shortcode at Daraja; for Buy Goods `till` is the till and `shortcode` the head office.

    Setup. `consumer_key` and `consumer_secret` are those of the app at developer.safaricom.co.ke;
    `passkey` comes by mail when M-Pesa Express goes live. `collect` needs no more.

    `payout`, `refund`, `balance` and `find` also need an API user ("initiator"), whom the Business
    Administrator makes at org.ke.m-pesa.com (operators, access channel API) with a role for each
    operation: ORG B2C API initiator (payout), Org Reversals Initiator (refund), Transaction Status
    query ORG API (verify and find), Balance Query ORG API (balance). The products B2C, Reversal,
    Transaction Status and Account Balance must be in the app as well.

    * `initiator_name`: the API user's name.
    * `security_credential`: its password, encrypted with the certificate of the same environment,
      by the page "Test credentials" of the portal, or by `paymux security-credential`. It is valid
      as long as the password, 90 days; after several wrong ones the user is locked.
    * `b2c_shortcode`: the shortcode that pays out, if it is not `shortcode`. Payouts leave its
      utility account.
    * `status_role=False`: the user lacks the role for the transaction status. A result that comes
      to the order's own secret URL is then believed, which proves its origin only.

    Nothing is registered: each request has its callback URLs, so the pool needs `webhook_base`.
    """

    name = "mpesa"
    live_url = "https://api.safaricom.co.ke"
    sandbox_url = "https://sandbox.safaricom.co.ke"
    currencies = frozenset({"KES"})
    # Documentation: "Only whole numbers are supported".
    decimals: ClassVar[Mapping[str, int]] = {"KES": 0}
    countries = frozenset({"KE"})
    test_numbers = frozenset({"254708374149"})
    payees = frozenset({"pochi"})  # before the number of a business wallet
    facts: ClassVar[Mapping[Kind, Facts]] = FACTS
    finds_by: ClassVar[Mapping[Kind, frozenset[Literal["reference", "receipt"]]]] = {
        "collect": frozenset({"receipt"}),
        "payout": frozenset({"reference", "receipt"}),
    }
    # Every documented success of the transaction status has them.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {"status": ("amount", "receipt")}
    # ResponseCode is no status: it says that the request was understood. No success of a query has
    # an amount.
    speaks: ClassVar[Mapping[str, StatusWords]] = {
        "ResultCode": RESULTS,
        "ResultDesc": SENTENCES,
        "errorMessage": SENTENCES,
    }
    required = frozenset({"consumer_key", "consumer_secret", "shortcode", "passkey"})
    takes: ClassVar[frozenset[Option]] = frozenset({"description", "webhook_url"})
    payout_takes: ClassVar[frozenset[Option]] = frozenset({"description", "webhook_url"})
    refund_takes: ClassVar[frozenset[Option]] = frozenset({"webhook_url"})
    settings = frozenset({"account_reference", "command_id", "occasion"})
    token_life = 3599.0
    # A prompt is open for one to three minutes; https://pypi.org/project/mpesa-daraja-mcp/ first
    # looks up after 20 s.
    watch_timeout = 180.0
    first_look = 15.0
    lost_refund = (
        "A reversal has no id of ours, so only its result, on the refund's own callback path, and "
        "Safaricom's portal can tell whether it was made."
    )
    # Documentation, v2/account-balance.mdx: "no repeat callbacks for failed callbacks".
    redelivers = False
    # Documentation, FAQ: words to avoid in a callback URL. It is advice, so nothing is refused for
    # them.
    callback_words_to_avoid = ("mpesa", "safaricom", "exec", "exe", "cmd", "sql", "query")

    consumer_key: Secret | str = ""
    consumer_secret: Secret | str = ""
    shortcode: str = ""
    passkey: Secret | str = ""
    till: str = ""
    max_amount: int = 250_000  # shillings per payment; Safaricom has raised it before
    initiator_name: str = ""
    security_credential: Secret | str = ""
    b2c_shortcode: str = ""  # the one that pays out, if it is another
    status_role: bool = True
    adopt_c2b: bool = False
    trust_confirmations: bool = False

    def __post_init__(self) -> None:
        """Check the numbers, after the checks of every driver."""
        super().__post_init__()
        for field in ("shortcode", "till", "b2c_shortcode"):
            if not re.fullmatch("([0-9]{5,7})?", value := getattr(self, field)):
                raise UsageError.field(field, value, "a string of 5 to 7 digits")
        for field in ("status_role", "adopt_c2b", "trust_confirmations"):
            if not coerce.is_a(value := getattr(self, field), bool):
                raise UsageError.field(field, value, "True or False")
        if self.trust_confirmations and not self.adopt_c2b:
            raise UsageError.missing("adopt_c2b", "trust_confirmations is about what is adopted")
        most: Any = self.max_amount
        if type(most) is not int or most < 1:
            raise UsageError.field("max_amount", most, "a whole number of shillings above 0")

    @classmethod
    def from_settings(cls, settings: object) -> "Mpesa":
        """Read a mapping or object with the settings of an integrator.

        They are MPESA_ENVIRONMENT, _CONSUMER_KEY, _CONSUMER_SECRET, _SHORTCODE, _PASSKEY, and for
        payouts, refunds and balances _INITIATOR_NAME, _SECURITY_CREDENTIAL.
        """
        said = setting(settings, "MPESA_ENVIRONMENT")
        fields = (*sorted(cls.required), "initiator_name", "security_credential")
        given: dict[str, Any] = {
            field: setting(settings, f"MPESA_{field.upper()}") for field in fields
        }
        environment = coerce.text(said)
        if environment not in ("sandbox", "production"):
            raise UsageError.field("MPESA_ENVIRONMENT", said, "'sandbox' or 'production'")
        try:
            return cls(live=environment == "production", **given)
        except UsageError as error:
            raise error.renamed(f"MPESA_{(error.name or '').upper()}") from None

    async def token(self, send: Send) -> Token:
        """Log in with key and secret."""
        pair = f"{reveal(self.consumer_key)}:{reveal(self.consumer_secret)}"
        basic = {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        asked = {"grant_type": "client_credentials"}
        login = await send(get(LOGIN, _Login, query=asked, headers=basic))
        return Token(Secret(login.access_token), login.expires_in)

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign a request with the token; the login has its own header."""
        if token is None or request.path == LOGIN:
            return request
        return request.with_headers({"Authorization": f"Bearer {token}"})

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Return the gateway's error, by endpoint and message: one code has several meanings."""
        if b"policies." in reply.body and (slow := throttled(reply)) is not None:
            return slow
        if request.money and b"uplicate" in reply.body and (had := duplicate(reply)) is not None:
            return had
        if reply.status < 400:
            return None
        said = reply.read(Said) or Said()
        if reply.status in request.accept and said.fault is None:
            why = f"a result under HTTP {reply.status}, where only a fault is documented"
            raise Unreadable(why)
        words = said.fault_message or ""
        code = said.fault if words else None
        error = refusal(request, reply, code, words) or super().judge(request, reply)
        if error is not None:
            error.code = code
            error.request_id = said.request_id
        return error

    # The verbs; each page of the documentation has a file.

    collect = stk.collect
    payout = b2c.payout
    refund = reversal.refund
    verify = stk.verify
    find = status.find
    asks = status.asks
    pace = status.pace
    answer_id = results.answer_id
    adopts = c2b.adopts
    credential_id = values.credential_id
    proof_of = values.proof_of

    async def balance(self, send: Send) -> Balance:
        """Ask for the balances of the shortcode that pays out; the answer comes as a message."""
        return await balance.balance(self, send)

    def webhook(self, incoming: WebhookRequest) -> Event:
        """Read an STK callback, a C2B message or a result; Daraja signs none: nothing is proved."""
        message = self.message(c2b.Message, incoming)
        if message.Result is not None:
            return self.event(results.claims(self, results.Answer(message.Result).result()))
        pushed = message.Body.callback if message.Body else None
        if pushed is not None and pushed.CheckoutRequestID and pushed.ResultCode:
            return self.event(self.payment(pushed))
        if message.Body is None and message.TransID:
            claims = c2b.claims(self, message, message.TransID)
            return self.event(claims, ping=message.asks())
        if message.CommandID and message.OriginatorConversationID:
            return self.event(results.waited(self, message.OriginatorConversationID))
        raise Unreadable("neither an STK callback, nor a C2B message, nor a result")

    def confirms(self, event: Event) -> bool:
        """Return whether a look-up can confirm a message: of C2B, what is adopted."""
        return "TransID" not in event.claims.ids or self.adopts(event) is not None

    def proof(self, event: Event, known: Payment) -> Payment | None:
        """Return what a confirmation or a result proves, if the account says that it does."""
        if "TransID" in event.claims.ids:
            return c2b.proof(self, event, known)
        return results.proof(self, event, known)

    def may_tell_of(self, event: Event, order: Payment) -> bool:
        """Return whether a confirmation may be about a push: same amount, account, visible digits.

        Safaricom sends a confirmation of each payment to the registered URL, also of a push, with
        the receipt of the push.
        """
        return super().may_tell_of(event, order) and c2b.may_tell_of(event, order)

    def pending(self, order: Order) -> Payment:
        """Return an order's payment before any answer, with our ids that the request will have.

        They are the reference that the prompt shows, and a payout's OriginatorConversationID. The
        latter becomes the provider's reference once M-Pesa has acknowledged it: until then nothing
        proves that M-Pesa has it.
        """
        reference = order.extra.get("account_reference")
        ids = {"AccountReference": reference} if isinstance(reference, str) else {}
        if order.kind == "payout":
            ids = {"OriginatorConversationID": b2c.own_id(self, order.reference)}
        return msgspec.structs.replace(super().pending(order), ids=ids)

    def acknowledge(self, event: Event, refused: str = "") -> Response:
        """Answer with a ResultCode; only a validation can be refused, with one of C2B's codes."""
        body: Mapping[str, Any] = {"ResultCode": 0, "ResultDesc": "Accepted"}
        if event.ping:
            body = self.c2b_reply(not refused, c2b.refusal(refused))
        headers = {"content-type": "application/json"}
        return Response(status=200, headers=headers, body=msgspec.json.encode(body))

    def payment(self, said: Said, asked: str | None = None, kind: Kind = "collect") -> Payment:
        """Read what Daraja says about a push; amount and receipt are read only from a message."""
        return stk.read(self, said, asked)

    @staticmethod
    def c2b_reply(accepted: bool, code: str = "C2B00011") -> dict[str, str]:
        """Return the body that answers a C2B validation, within 8 seconds, or a confirmation.

        A confirmation is always accepted.
        """
        return c2b.answer(accepted, code)

    @staticmethod
    def from_safaricom(peer: str | None) -> bool:
        """Return whether a message's sender is an address that Safaricom lists.

        Never call it with an address from a header.
        """
        return (coerce.text(peer) or "").removeprefix("::ffff:") in CALLBACK_ADDRESSES
