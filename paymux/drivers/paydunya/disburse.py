"""Disburse v2: money to a phone number at a network, in two requests.

https://developers.paydunya.com/doc/EN/api_deboursement. `get-invoice` makes a token and moves
nothing; `submit-invoice` pays it out; `check-status` is asked by the token. There is no sandbox
path: the private key decides.
"""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ...errors import UsageError
from ...http import Request, Send, post
from ...models import Operator, Order, Payment, Status
from ...values.money import whole
from ...values.parsing import ProviderData, Scalar, Text, Unreadable, amount
from ...values.status_words import Vocabulary
from .answers import DONE, TOKEN, first_code

if TYPE_CHECKING:
    from . import PayDunya

INVOICE = "/api/v2/disburse/get-invoice"
SUBMIT = "/api/v2/disburse/submit-invoice"
CHECK = "/api/v2/disburse/check-status"
STATUS_FIELD = "disburse.status"
TOKEN_ID = "disburse_token"  # in the `ids` of a payout by this API, and of no other
LEAST = 200  # francs; integrators' code

STATUS = Vocabulary(
    {
        "CREATED": Status.PENDING,  # not yet sent to the operator
        "PENDING": Status.PENDING,
        "SUCCESS": Status.SUCCEEDED,
        "FAILED": Status.FAILED,
    }
)
# Each country's calling code, and its `withdraw_mode`s. "moov-mali" and "wizall-senegal" are in
# integrators' code alone, and are left out.
_MODES: Mapping[str, Mapping[Operator, str]] = {
    "221": {
        "orange": "orange-money-senegal",
        "free": "free-money-senegal",
        "expresso": "expresso-senegal",
        "wave": "wave-senegal",
        "djamo": "djamo-sn",
    },
    "223": {"orange": "orange-money-mali"},
    "225": {
        "orange": "orange-money-ci",
        "mtn": "mtn-ci",
        "moov": "moov-ci",
        "wave": "wave-ci",
        "djamo": "djamo-ci",
    },
    "226": {"orange": "orange-money-burkina", "moov": "moov-burkina-faso"},
    "228": {"tmoney": "t-money-togo", "moov": "moov-togo"},
    "229": {"mtn": "mtn-benin", "moov": "moov-benin", "celtiis": "celtiis-cash"},
}


class Disbursement(ProviderData, frozen=True):
    """An answer of this API, or its message."""

    response_code: Scalar | list[Scalar] = None
    response_text: Text = None
    disburse_token: Scalar = None  # as it came: one with a space at its end is sent back with it
    token: Scalar = None
    hash: Scalar = None
    status: Text = None
    amount: Scalar = None
    withdraw_mode: Text = None
    disburse_id: Text = None
    transaction_id: Text = None
    disburse_tx_id: Text = None
    provider_ref: Text = None
    fees: Scalar = None

    def code(self) -> str | None:
        """Return the code as text; of several codes, the first."""
        return first_code(self.response_code)

    def named(self) -> str:
        """Return the token as it came."""
        token = self.disburse_token or self.token
        if not isinstance(token, str) or not TOKEN.fullmatch(token.strip()):
            raise Unreadable("no token of a disbursement")
        return token

    def accepted(self) -> bool:
        """Return whether the request was accepted: nothing more, whatever the status says."""
        if self.code() not in DONE:
            raise Unreadable("response_code is not 00")
        return True

    def invoiced(self) -> bool:
        """Return whether a token was made."""
        return self.accepted() and bool(self.named())

    def tells(self, *, token: str) -> bool:
        """Return whether this is the state of the disbursement with this token."""
        self.accepted()
        if not self.status:
            raise Unreadable("the answer has no status")
        if self.token is not None and str(self.token).strip() != token.strip():
            raise Unreadable("the answer is about another token")
        return True


_INVOICE = post(INVOICE, Disbursement, None, money=False, matches=Disbursement.invoiced)


async def payout(driver: "PayDunya", send: Send, order: Order) -> Payment:
    """Ask for a payout, which is pending: only `check-status` tells its end.

    `00` is said without a status, too, and no answer to `submit-invoice` repeats the amount.
    """
    mode, alias = route(order.operator, order.party or "")
    if order.amount < LEAST:
        raise UsageError.field("amount", f"{order.amount:.20g}", f"{LEAST} XOF or more")
    if not order.webhook_url:
        why = "PayDunya tests it before it pays out; a pool with webhook_base makes one"
        raise UsageError.missing("webhook_url", why)
    body = {
        "account_alias": alias,
        "amount": whole(order.amount),
        "withdraw_mode": mode,
        "callback_url": order.webhook_url,
        "disburse_id": order.reference,
    }
    token = (await send(_INVOICE.with_body(body))).named()
    submit = {"disburse_invoice": token, "disburse_id": order.reference}
    known = {"provider_reference": token.strip(), TOKEN_ID: token}
    matches = Disbursement.accepted
    said = await send(post(SUBMIT, Disbursement, submit, known=known, matches=matches))
    return _told(driver.pending(order), said, token)


def route(operator: Operator | None, party: str) -> tuple[str, str]:
    """Return the `withdraw_mode` of a network in a number's country, and the national number."""
    modes = _MODES[party[:3]]  # the party is a number of one of the driver's countries
    if operator is None or operator not in modes:
        accepted = f"for +{party[:3]}, one of {', '.join(modes)}"
        if operator is None:
            raise UsageError.missing("operator", f"{accepted}; nothing in a number tells it")
        raise UsageError.field("operator", operator, accepted)
    return modes[operator], party[3:]


def look_up(payment: Payment) -> Request[Disbursement]:
    """Return the question for a payout's state."""
    token = payment.ids[TOKEN_ID]
    matches = partial(Disbursement.tells, token=token)
    body = {"disburse_invoice": token}
    return post(CHECK, Disbursement, body, money=False, matches=matches)


def payment(driver: "PayDunya", said: Disbursement, asked: str) -> Payment:
    """Read an answer to `check-status`, or a message."""
    status, reason = driver.outcome({STATUS_FIELD: said.status})
    found = Payment(
        account=driver.account,
        provider=driver.name,
        live=driver.live,
        kind="payout",
        status=status,
        reason=reason,
        amount=amount(said.amount),
        currency="XOF",
        fee=amount(said.fees) or None,
        provider_status=said.status,
        message=said.response_text or None,
    )
    return driver.proved(_told(found, said, asked), "disbursement")


def _told(found: Payment, said: Disbursement, token: str) -> Payment:
    """Return a payment with the ids of an answer."""
    told = {
        TOKEN_ID: token,
        "transaction_id": said.transaction_id,
        "disburse_tx_id": said.disburse_tx_id or said.provider_ref,
    }
    ids = {name: value for name, value in told.items() if value}
    return msgspec.structs.replace(found, provider_reference=token.strip(), ids=ids)
