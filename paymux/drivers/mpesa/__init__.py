"""M-Pesa of Safaricom's Daraja: Express, C2B, pull, B2C, B2B, reversal, status, balance, Ratiba.

"Documentation": https://developer.safaricom.co.ke/ as transcribed at
https://github.com/amoskyalo/daraja-docs.

Daraja answers most questions later: it acknowledges a look-up, and sends the answer to an address.
paymux makes a fresh address for each question, which works once, for 15 minutes, and believes only
an answer with the id of the acknowledgement. So payouts, refunds, `find` and the balance need
`webhook_base` and a `Webhooks` that hears them, in any process that shares the journal. Daraja has
no idempotency key for a push: an order with a lost answer is found by its own callback path.

- `payee` is a phone number; `pochi:2547…` is a small business's wallet, `paybill:888880` and
  `till:123456` are other businesses. A paybill needs `bill_reference=`, your account there.
  `paybill:572572` is the tax authority, whose `bill_reference` is the payment registration number.
- **What goes to a paybill or till has no id of ours** (B2B): it is sent once, and if its answer was
  lost, nothing can be asked. Its result comes to its own address and ends it; without one look in
  Safaricom's portal. It leaves the working account (`balance().by_account`), not the utility
  account of B2C. `extra={"command_id": "BusinessPayToBulk"}` tops up a B2C shortcode from there.
- `payment.reason` says why one failed: UNKNOWN_PAYEE (correct the number), INSUFFICIENT_FUNDS (top
  up *your* account). `extra={"command_id": "SalaryPayment"}` is for wages; B2C takes 10 to 250,000
  shillings.
- `find(account, reference=…, kind="payout")` asks by your reference, `find(account, receipt=…)` by
  the receipt of an SMS.
- A result that comes to an order's own address only says that it is time to ask.
  `Mpesa(status_role=False)` believes it, for an API user without the status role: that proves where
  the message came from, and no more.
- **A wrong credential locks the API user for all programs.** Until an answer has proved it, at most
  3 requests are out (the balance is asked first), and after the first refusal every further one
  raises `AuthenticationFailed` unsent, in each process that shares the journal, until the
  credential is another one. The same password, encrypted again, is another one: do that when
  Safaricom has unlocked the user. It is an error of its own, `CredentialRefused`.
- A refund at Daraja is a reversal: the whole amount, by the receipt that `on_payment` or the
  journal has; hours later perhaps FAILED, for lack of money or because it was given back before: a
  second one moves nothing. Where a provider has none, `payout(payee=payment.payer)` is another
  transaction, with fees, and yours to decide.
- The queue's time-out, a lost result, "duplicate detected" and an internal error say nothing about
  the money: PENDING. Ask as late as the day after (`recover`, `verify`); a payment is asked for at
  most five times a day by itself.

- `collect(payer="till:123456")` prompts another business, which pays your paybill from its till
  (B2B Express). It ends by its callback alone: a success is asked for by the receipt in it, which
  needs the status role; whether a prompt is still open cannot be asked.
- `pay.run("kenya", Mpesa.qr_code, amount=250, bill_reference="order-8", business_name="Duka")` is
  the PNG of a code that the customer's M-Pesa app scans. What is paid by it is a payment without an
  order.
- `pay.run("kenya", Mpesa.standing_order, name="Gym 4711", …)` asks a customer for a standing order
  (Ratiba), a product of its own that Safaricom enables by contract: its docstring has what to know.

**Payments without an order.** With `Mpesa(adopt_c2b=True)` a payment whose payer typed the
paybill or till number is a payment of its own: `reference="c2b.<receipt>"`, a collect that
`on_payment` hears once it is proved, and `bill_reference` is what the payer typed. Compare that and
the amount with your own orders: a payer can type `order-8` and pay 1 shilling, so it never settles
an order by itself. `paymux/examples/paybill_shop.py` is a whole shop.

- Register once, with the addresses of `pay.webhook_url("kenya", use="confirmation")` and
  `use="validation"`: `pay.run("kenya", Mpesa.register_c2b, …)`, and `Mpesa.register_pull`, by which
  a confirmation is proved and a lost one is found, at the start and every ten minutes. Without pull
  the transaction status proves it, or `trust_confirmations=True`, which believes every sender that
  knows that address.
- A push has a confirmation with the same receipt, too. A receipt is told once, so a confirmation
  waits two minutes for an order of ours. What `dealt_with` ended is not told again. An order that
  was left to a person (after `watch_days`) holds nothing back: look for `c2b.…` of its amount
  before you `resolve` it as paid.
- It needs a journal, one for each shortcode: pull lists the whole shortcode, and the pushes of
  another program would be adopted and told here. What was paid before the journal first had this on
  is never told.

Without `adopt_c2b`, `Webhooks(pay, on_payment, on_unconfirmed)` stores each confirmation: one that
matches no order within two minutes goes to `on_unconfirmed(event)`, and `pay.unconfirmed()` lists
it until `pay.dealt_with(event, because="…")`. `Mpesa.c2b_reply` answers a validation,
`Mpesa.from_safaricom(peer)` checks a sender's address: pass it as `senders={"kenya":
Mpesa.from_safaricom}`.
"""

from base64 import b64encode
from typing import Any

import msgspec

from ...errors import ProviderError
from ...http import Request, Response, Send, get
from ...models import Balance, Event, Kind, Order, Payment
from ...primitives import coerce
from ...primitives.redaction import Secret
from ...values.parsing import Unreadable
from ..base import Driver, Token, reveal
from . import (
    balance,
    c2b,
    lookups,
    messages,
    parties,
    pull,
    qr,
    ratiba,
    registration,
    results,
    reversal,
    status,
    stk,
    till_push,
    values,
)
from .account import Account
from .errors import duplicate, refusal, throttled
from .express import PUSH, QUERY, Said

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


class Mpesa(Account, frozen=True, kw_only=True):
    """One shortcode at Daraja; for Buy Goods `till` is the till and `shortcode` the head office.

    Setup. `consumer_key` and `consumer_secret` are those of the app at developer.safaricom.co.ke;
    `passkey` comes by mail when M-Pesa Express goes live. `collect` needs no more.

    `payout`, `refund`, `balance` and `find` also need an API user ("initiator"), whom the Business
    Administrator makes at org.ke.m-pesa.com (operators, access channel API) with a role for each
    operation: ORG B2C API initiator (payout to a phone), Org Business Pay Bill API initiator (to a
    paybill or till), Org Business Pay to Bulk API initiator (top-up), Tax Remittance to KRA API
    (tax), Org Reversals Initiator (refund), Transaction Status query ORG API (verify and find),
    Balance Query ORG API (balance). The products B2C, B2B, Tax Remittance, Reversal, Transaction
    Status and Account Balance must be in the app as well, as far as you use them.

    * `initiator_name`: the API user's name.
    * `security_credential`: its password, encrypted with the certificate of the same environment,
      by the page "Test credentials" of the portal, or by `paymux security-credential`. It is valid
      as long as the password, 90 days; after several wrong ones the user is locked.
    * `payout(…, extra={"command_id": "SalaryPayment"})`, or PromotionPayment; else it is a
      BusinessPayment. 10 to 250,000 shillings each, to a phone. `payee="paybill:…"` and "till:…"
      take `bill_reference=`, and `extra={"requester": …}`, the number of the customer whose bill it
      is; `{"command_id": "BusinessPayToBulk"}` tops up the B2C shortcode that is the payee, and
      `"BusinessTransferFromMMFToUtility"` moves money to the utility account of the own one.
    * `business_name`: what others see of you: a customer who scans a QR code, and a business that
      is asked to pay from its till (`payer="till:…"`, which needs it).
    * `b2c_shortcode`: the shortcode that pays out, if it is not `shortcode`. Payouts leave its
      utility account. M-Pesa knows a payout by this shortcode and your reference: programs
      that pay out of one shortcode, and accounts of one pool, never share a reference.
    * `status_role=False`: the user lacks the role for the transaction status. A result that comes
      to the order's own secret URL is then believed, which proves its origin only.

    Each request has its callback URLs, so the pool needs `webhook_base`; for these operations
    nothing is registered.

    Payments that customers make by themselves (C2B) are told to the URLs of `register_c2b`, once.
    With `adopt_c2b=True` each is a payment of its own: its reference is "c2b." and its receipt, and
    `bill_reference` is what the payer typed. Compare that and the amount with your own orders; it
    proves no order by itself. A confirmation is not signed, so it only causes a look-up: by pull,
    which also finds payments of which no message came (`register_pull`; the product must be in the
    app), else by the transaction status.

    * `adopt_c2b=True` needs one journal for each shortcode, used by all programs that push to it:
      pull lists every payment to the shortcode. The pushes of another program with a journal of
      its own would be adopted, and told here as well.
    * `trust_confirmations=True`: a confirmation at the URL of `use="confirmation"` is believed
      without a look-up. That proves only that its sender knows the URL.
    """

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
        if request.path == till_push.TILL_PUSH and (no := till_push.refusal(reply)) is not None:
            return no
        if request.path == ratiba.RATIBA and (no_order := ratiba.refusal(reply)) is not None:
            return no_order
        if reply.status < 400:
            return None
        if request.path == pull.QUERY and pull.says_none(reply):
            return None
        said = reply.read(Said) or Said()
        words = said.fault_message or ""
        code = said.fault if words else None
        error = refusal(request, reply, code, words) or super().judge(request, reply)
        if (
            error is None
            and reply.status in request.accept
            and (said.fault is None or request.path == pull.QUERY)
        ):
            why = f"a result under HTTP {reply.status}, where only a fault is documented"
            raise Unreadable(why)
        if error is not None:
            error.code = code
            error.request_id = said.request_id
        return error

    # The verbs; each page of the documentation has a file.

    collect = parties.collect
    payout = parties.payout
    refund = reversal.refund
    verify = stk.verify
    find = status.find
    asks = lookups.asks
    pace = lookups.pace
    facts_of = parties.facts_of
    history = pull.history
    webhook = messages.webhook
    answer_id = results.answer_id
    proof = messages.proof
    may_tell_of = messages.may_tell_of
    acknowledge = messages.acknowledge
    adopts = c2b.adopts
    credential_id = values.credential_id
    proof_of = values.proof_of

    # Beyond the common verbs, for `pool.run` and `paymux run`.

    register_c2b = registration.register_c2b
    simulate_c2b = registration.simulate_c2b
    register_pull = registration.register_pull
    qr_code = qr.qr_code
    standing_order = ratiba.standing_order

    async def balance(self, send: Send) -> Balance:
        """Ask for the balances of the shortcode that pays out; the answer comes as a message."""
        return await balance.balance(self, send)

    def confirms(self, event: Event) -> bool:
        """Return whether a message is about a push, a payout or a refund.

        A C2B payment may be that of a push: so it is kept first, and is adopted if it is not. What
        became of a standing order is kept as well: nothing can be asked about it.
        """
        return "TransID" not in event.claims.ids and not ratiba.is_about_one(event.claims)

    @property
    def adopting(self) -> bool:  # type: ignore[override]  # a fact of the account here
        """Return whether C2B payments are adopted."""
        return self.adopt_c2b

    def lists_those_of(self, other: Driver) -> bool:
        """Return whether another account collects at the same shortcode or till."""
        if not isinstance(other, Mpesa) or other.live is not self.live:
            return False
        return (other.till or other.shortcode) == (self.till or self.shortcode)

    def pending(self, order: Order) -> Payment:
        """Return an order's payment before any answer, with our ids that the request will have."""
        ids = parties.own_ids(self, order)
        return msgspec.structs.replace(super().pending(order), ids=ids)

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
