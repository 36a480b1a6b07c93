"""A provider on a wire that breaks at any byte, and what a caller may be told then.

`Door` is a raw server on asyncio streams. It hands whole requests to the simulator, so that every
good answer and every entry of the ledger is a provider's that knows nothing of our drivers, and it
can stop reading or writing at any byte, with a FIN, a reset or silence. `Desk` asks for money
through a pool, and compares what the caller was told with what the door and the ledger saw.
"""

import asyncio
import contextlib
import enum
import itertools
import json
import re
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, TypeAlias
from unittest.mock import patch

import aiohttp
import msgspec

from paymux import (
    AuthenticationFailed,
    Customer,
    NotSent,
    OutcomeUnknown,
    Payment,
    PaymuxError,
    Pool,
    ProviderError,
    Rejected,
    Status,
    UsageError,
)
from paymux.core import orders
from paymux.drivers import load
from paymux.drivers.intram_merchant import operations
from paymux.http import Connection, PreparedRequest, Response
from paymux.models import Kind
from paymux.primitives.redaction import Secret
from paymux.simulator import Simulator
from paymux.simulator.ledger import Outcome
from paymux.transport.aiohttp import DIRECT, AiohttpConnection
from paymux.transport.connection import connection_of
from paymux.values.network import network_of

from .proxy import Proxy
from .simulation import known_as, prove

SAMPLES = Path(__file__).parent.parent / "samples"
ATTEMPTS = 3
DESK_LIFE = 40  # cases that share a pool: the gateway lets 100 money requests a minute pass


class End(enum.Enum):
    """How a connection ends."""

    FIN = "FIN"
    RST = "RST"
    STALL = "stall"


class Framing(enum.Enum):
    """How an answer says where its body ends."""

    LENGTH = "Content-Length"
    CHUNKED = "chunked"
    CLOSE = "until closed"


def framed(reply: Response, framing: Framing = Framing.LENGTH) -> bytes:
    """Give every byte of an answer."""
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    headers, body = dict(reply.headers), reply.body
    if framing is Framing.LENGTH:
        headers["Content-Length"] = str(len(body))
    elif framing is Framing.CHUNKED:
        headers["Transfer-Encoding"] = "chunked"
        step = max(61, len(body) // 64)
        pieces = [body[at : at + step] for at in range(0, len(body), step)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    else:
        headers["Connection"] = "close"
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def sample(driver: str, case: str, **fields: Any) -> Response:
    """Give a provider's own answer from tests/samples, with some fields replaced."""
    body = json.loads((SAMPLES / driver / f"{case}.json").read_text())["body"]
    headers = {"Content-Type": "application/json"}
    return Response(
        status=int(case.rsplit(".", 1)[1]),
        headers=headers,
        body=json.dumps({**body, **fields}).encode(),
    )


Told: TypeAlias = Literal["answer", "refusal"] | None
Where: TypeAlias = Literal["fresh", "reused"]
Over: TypeAlias = Literal["connection", "session"]  # the pool's own, or one of the caller


def _nothing(_: Simulator, __: str) -> Mapping[str, Any]:
    return {}


def _code_sent(simulator: Simulator, reference: str) -> Mapping[str, Any]:
    """Let PayDunya send a payer a code, and return what the charge by it takes."""
    opr = simulator.paydunya.opr
    invoice = {
        "invoice": {"total_amount": 500},
        "store": {"name": "Shop"},
        "custom_data": {"paymux_reference": reference},
    }
    body = {"invoice_data": invoice, "opr_data": {"account_alias": "771234567"}}
    made = json.loads(opr.answer("create", body, "sandbox-api").body)
    tokens = {"opr_token": made["token"], "invoice_token": made["invoice_token"]}
    return {"extra": {**tokens, "otp": opr.code}}


def _wizall_code_sent(simulator: Simulator, reference: str) -> Mapping[str, Any]:
    """Let PayDunya send the holder of a Wizall account a code, and return what the charge takes."""
    paydunya, own = simulator.paydunya, {"paymux_reference": reference}
    body = {"invoice": {"total_amount": 500}, "store": {"name": "Shop"}, "custom_data": own}
    token = paydunya.invoice(body, "sandbox-api").provider_reference
    asked = {"customer_name": "", "customer_email": "", "phone_number": "771234567"}
    answer = paydunya.softpay.answer("wizall-money-senegal", {**asked, "invoice_token": token})
    transaction = json.loads(answer.body)["data"]["transaction_id"]
    given = {"wizall_transaction": transaction, "invoice_token": token}
    return {"extra": {**given, "otp": paydunya.softpay.wizall.code}}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One money verb of one driver, and the answers of its provider that the table asks for.

    Where a field may be text, the text is the reason why this provider has no such thing.
    """

    driver: str
    verb: Kind
    of: str = ""  # the provider's word for it, where a verb has several operations
    path: str  # where its money request goes
    # Where a step before it goes, which moves nothing: it is answered beside the wire, so that
    # every fault meets the money request, over a connection that nothing else has used.
    first: str = ""
    # A word that the provider's order has since the money request; "": that request makes it.
    asked: str = ""
    order: Mapping[str, Any]
    # What each order has beside, of what its provider was asked before: by our reference.
    prepared: Callable[[Simulator, str], Mapping[str, Any]] = _nothing
    fields: Mapping[str, Any] = {}
    # of the driver, which must be proved before more than a few of its requests leave
    credential: str = ""
    bought: Callable[[Simulator], Payment] | None = None  # what is refunded, if not as usual
    once: bool = False  # a payment is refunded once, so that each refund has its own
    bare: bool = False  # a good answer has no body, so that row 34's empty one is good
    repeatable: bool = False  # each request makes a page that charges no payer, or is joined
    joined: bool = False  # the provider takes all requests of a reference for one
    # It says of a repeat only that it has the first one: a caller gets OutcomeUnknown then.
    refuses_repeats: bool = False
    endless: Mapping[str, Any] | str = (
        "every field of this request is bounded, so that it fits the send buffer"
    )
    refusal: tuple[Response, type[ProviderError]]
    # fields of a good answer that make it another order's
    altered: tuple[Mapping[str, Any], ...] | str
    stale: Response | str
    duplicate: Response | str
    throttled: Response | str
    busy: tuple[Response, type[Exception]] | str  # an error inside HTTP 200

    @property
    def page(self) -> str:
        """Give what its errors say of a page whose address was lost."""
        opens = self.verb == "collect" and not self.first
        return load(self.driver).lost_page if opens else ""

    @property
    def name(self) -> str:
        """Give the name by which the campaign and the tests call it."""
        return " ".join(filter(None, (self.driver, self.verb, self.of)))


async def _bearer() -> str:
    return "simulator"


_PAGES = {
    "webhook_url": "https://shop.example/hook",
    "return_url": "https://shop.example/back",
}
# Orders are refused long before this size; only here the check is put off, to fill a socket's
# buffers.
orders.MAX_JSON_BYTES = 8_000_000
_LONG = "x" * 6_000_000  # more than Linux lets a send buffer grow to (tcp_wmem: 4 MiB)
_KEYS = "it signs with keys, which do not go stale; refused keys are row 37"
_NO_DUPLICATE = "no page lists an answer to a repeated reference; a bare 409 is row 43"
_NO_THROTTLE = "no page gives the shape of its throttling; a 429 of any shape is row 45"
_NO_ECHO = "the answer repeats nothing of the order"
_NO_BUSY = "no other error inside HTTP 200 is known; the common one of this row applies"
_CAMPAY: dict[str, Any] = {
    "driver": "campay",
    "refusal": (sample("campay", "refused_number.400"), Rejected),
    "altered": ({"external_reference": "another-order"}, {"amount": "1"}),
    "stale": sample("campay", "stale_token.401"),
    "duplicate": _NO_DUPLICATE,
    "throttled": _NO_THROTTLE,
    "busy": _NO_BUSY,
}
_CINETPAY_V1: dict[str, Any] = {
    "driver": "cinetpay_v1",
    "altered": (
        {"merchant_transaction_id": "ANOTHER"},
        {"transaction_id": None},
        {"code": 2010, "status": "FAILED"},
    ),
    "stale": sample("cinetpay_v1", "expired_token.200"),
    "duplicate": sample("cinetpay_v1", "exists.400"),
    "throttled": _NO_THROTTLE,
    "busy": (
        sample("cinetpay_v1", "expired_token.200", code=-1, status="OPERATION_ERROR"),
        OutcomeUnknown,
    ),
}
_INITIATOR: dict[str, Any] = {
    "driver": "mpesa",
    "fields": {"initiator_name": "simulator", "security_credential": "simulator"},
    "credential": "security_credential",
    "endless": (
        "only the URL that the result goes to is unbounded, and it is checked with the amounts"
    ),
    "stale": sample("mpesa", "stale_token.401"),
    "throttled": sample("mpesa", "spike_arrest.500"),
    "busy": (sample("mpesa", "b2c_ack.200", ResponseCode="1"), OutcomeUnknown),
}
_MERCHANT: dict[str, Any] = {
    "driver": "intram_merchant",
    "repeatable": True,
    "joined": True,
    "refusal": (sample("intram_merchant", "validation_error.400"), Rejected),
    "altered": ({"data": {"operation_id": "op_1", "type": "another"}}, {"data": None}),
    "stale": _KEYS,
    "duplicate": sample("intram_merchant", "idempotency_conflict.409"),
    "throttled": _NO_THROTTLE,
    "busy": _NO_BUSY,
}
_MOMO: dict[str, Any] = {
    "driver": "mtn_momo",
    "repeatable": True,
    "joined": True,
    "refuses_repeats": True,
    "refusal": (sample("mtn_momo", "invalid_currency.500"), Rejected),
    "altered": "its answer is a status alone",
    "stale": Response(
        status=401,
        headers={"Content-Type": "application/json"},
        body=b'{"statusCode": 401, "message": "Unauthorized. Access token is missing or invalid."}',
    ),
    "duplicate": sample("mtn_momo", "resource_already_exist.409"),
    "throttled": _NO_THROTTLE,
    "busy": (
        msgspec.structs.replace(sample("mtn_momo", "invalid_currency.500"), status=200),
        OutcomeUnknown,
    ),
}
_GATEWAY: dict[str, Any] = {
    "driver": "mpesa_gateway",
    "fields": {"access_token": "", "bearer": _bearer},
    "refusal": (sample("mpesa_gateway", "error.400", code="AMOUNT_TOO_LOW"), Rejected),
    "stale": sample("mpesa_gateway", "token_not_valid.401"),
    "duplicate": _NO_DUPLICATE,
    "throttled": sample(
        "mpesa_gateway",
        "throttled.429",
        detail="Request was throttled. Expected available in 1 second.",
    ),
    "busy": _NO_BUSY,
}

_DEPOSIT = "f4401bd2-1568-4140-bf2d-eb77d2b2b639"
_PAWAPAY: dict[str, Any] = {
    "driver": "pawapay",
    "fields": {"id_key": "a key of sixteen characters"},
    "repeatable": True,
    "joined": True,
    "refuses_repeats": True,
    "refusal": (sample("pawapay", "missing_parameter.400"), Rejected),
    "stale": _KEYS,
    "duplicate": sample("pawapay", "duplicate.200"),
    "throttled": _NO_THROTTLE,
    "busy": (sample("pawapay", "rejected_unavailable.200"), Rejected),
}


def _to_a_business(of: str, path: str, payee: str, extra: Mapping[str, Any]) -> Operation:
    """Return one of M-Pesa's payouts to a business, which have no id of ours."""
    return Operation(
        verb="payout",
        of=of,
        path=f"/mpesa/mpesa/b2b/v1/{path}",
        order={
            "amount": 250,
            "currency": "KES",
            "payee": payee,
            "bill_reference": "353353",
            "webhook_url": "https://shop.example/hook",
            "extra": extra,
        },
        refusal=(sample("mpesa", "push_invalid_phone.400"), Rejected),
        altered=_NO_ECHO,
        duplicate=_NO_DUPLICATE,
        **_INITIATOR,
    )


def _session(simulator: Simulator) -> Payment:
    """Return a paid session at Wave, which is refunded once."""
    wave, amount = simulator.wave, Decimal(500)
    named = f"cos-{len(simulator.ledger):015x}"
    words = {"transaction_id": named, "operator": "WAVE", "paid": "succeeded", "error": None}
    paid = wave.open(
        "collect",
        named,
        reference=None,
        provider_reference=named,
        amount=amount,
        currency="XOF",
        **words,
    )
    simulator.ledger.settle(paid, Outcome(Status.SUCCEEDED))
    return Payment(account="wave", provider_reference=named, amount=amount, currency="XOF")


def _deposit(simulator: Simulator) -> Payment:
    """Return a deposit at pawaPay, of which several refunds may be open."""
    pawapay = simulator.pawapay
    pawapay.refunds_wait = False
    names = {"provider": "MTN_MOMO_RWA", "country": "RWA", "wallet": "RWA/RWF", "receipt": "1"}
    amount = Decimal(150_000)
    paid = pawapay.open(
        "collect",
        reference="1",
        provider_reference=_DEPOSIT,
        amount=amount,
        currency="RWF",
        **names,
    )
    simulator.ledger.settle(paid, Outcome(Status.SUCCEEDED))
    return Payment(account="pawapay", provider_reference=_DEPOSIT, amount=amount, currency="RWF")


OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation(
            verb="collect",
            path="/campay/api/collect/",
            order={"amount": 500, "currency": "XAF", "payer": "237670000000"},
            endless={"metadata": {"external_user": _LONG}},
            **_CAMPAY,
        ),
        Operation(
            verb="payout",
            path="/campay/api/withdraw/",
            order={"amount": 500, "currency": "XAF", "payee": "237670000000"},
            endless={"metadata": {"external_user": _LONG}},
            **_CAMPAY,
        ),
        Operation(
            verb="payout",
            of="airtime",
            path="/campay/api/utilities/airtime/transfer/",
            order={
                "amount": 500,
                "currency": "XAF",
                "payee": "237670000000",
                "extra": {"airtime": True},
            },
            **_CAMPAY,
        ),
        Operation(
            driver="mpesa",
            verb="collect",
            path="/mpesa/mpesa/stkpush/v1/processrequest",
            order={
                "amount": 250,
                "currency": "KES",
                "payer": "254712345678",
                "webhook_url": "https://shop.example/hook",
            },
            refusal=(sample("mpesa", "push_invalid_phone.400"), Rejected),
            altered=_NO_ECHO,
            stale=sample("mpesa", "stale_token.401"),
            duplicate=_NO_DUPLICATE,
            throttled=sample("mpesa", "spike_arrest.500"),
            busy=_NO_BUSY,
        ),
        Operation(
            verb="payout",
            path="/mpesa/mpesa/b2c/v3/paymentrequest",
            order={
                "amount": 250,
                "currency": "KES",
                "payee": "254712345678",
                "webhook_url": "https://shop.example/hook",
            },
            refusal=(sample("mpesa", "push_invalid_phone.400"), Rejected),
            altered=({"OriginatorConversationID": "174379_another"},),
            duplicate=sample("mpesa", "b2c_duplicate.500"),
            **_INITIATOR,
        ),
        _to_a_business("to a paybill", "paymentrequest", "paybill:888880", {}),
        _to_a_business("to a till", "paymentrequest", "till:373132", {}),
        _to_a_business(
            "of float", "paymentrequest", "paybill:600997", {"command_id": "BusinessPayToBulk"}
        ),
        _to_a_business("of tax", "remittax", "paybill:572572", {}),
        Operation(
            driver="mpesa",
            verb="collect",
            of="from a till",
            path="/mpesa/v1/ussdpush/get-msisdn",
            fields={"business_name": "Duka"},
            order={
                "amount": 250,
                "currency": "KES",
                "payer": "till:123456",
                "webhook_url": "https://shop.example/hook",
            },
            refusal=(sample("mpesa", "push_invalid_phone.400"), Rejected),
            altered=_NO_ECHO,
            stale=sample("mpesa", "stale_token.401"),
            duplicate=_NO_DUPLICATE,
            throttled=sample("mpesa", "spike_arrest.500"),
            busy=(sample("mpesa", "till_push.200", code="4102"), Rejected),
        ),
        Operation(
            verb="refund",
            path="/mpesa/mpesa/reversal/v1/request",
            order={"amount": 250, "webhook_url": "https://shop.example/hook"},
            refusal=(sample("mpesa", "reversal_error.400"), Rejected),
            altered=_NO_ECHO,
            duplicate="its requests carry no reference that could be a duplicate",
            **_INITIATOR,
        ),
        Operation(
            driver="cinetpay",
            verb="collect",
            path="/cinetpay/v2/payment",
            order={"amount": 500, "currency": "XOF", "description": "Data bundle", **_PAGES},
            endless={"metadata": {"note": _LONG}},
            refusal=(sample("cinetpay", "fields.400"), Rejected),
            altered=_NO_ECHO,
            stale=_KEYS,
            duplicate=sample("cinetpay", "duplicate.400"),
            throttled=sample(
                "cinetpay", "fields.400", code="429", message="TOO_MANY_REQUESTS", description=None
            ),
            busy=_NO_BUSY,
        ),
        Operation(
            verb="collect",
            path="/cinetpay_v1/v1/payment",
            order={
                "amount": 500,
                "currency": "XOF",
                "customer": Customer(name="Ada", surname="Kouassi", email="ada@example.com"),
                **_PAGES,
            },
            refusal=(
                sample("cinetpay_v1", "exists.400", code=1004, status="INVALID_PARAMS"),
                Rejected,
            ),
            **_CINETPAY_V1,
        ),
        Operation(
            verb="payout",
            path="/cinetpay_v1/v1/transfer",
            order={
                "amount": 500,
                "currency": "XOF",
                "payee": "2250512345678",
                "operator": "mtn",
                "webhook_url": "https://shop.example/hook",
            },
            refusal=(sample("cinetpay_v1", "no_balance.400"), Rejected),
            **_CINETPAY_V1,
        ),
        Operation(
            driver="cinetpay_transfer",
            verb="payout",
            first="/cinetpay_transfer/v1/transfer/contact",
            path="/cinetpay_transfer/v1/transfer/money/send/contact",
            order={
                "amount": 500,
                "currency": "XOF",
                "payee": "2250102030405",
                "webhook_url": "https://shop.example/hook",
            },
            endless="only the URL for messages is unbounded, and it is checked with the amounts",
            refusal=(sample("cinetpay_transfer", "send_no_funds.200"), Rejected),
            altered=(
                {"data": {"transaction_id": "EA1", "client_transaction_id": "another-order"}},
                {"data": {"transaction_id": "EA1", "amount": "505"}},
                {"data": {"treatment_status": "NEW"}},
            ),
            stale=sample("cinetpay_transfer", "invalid_token.200"),
            duplicate=sample("cinetpay_transfer", "send_duplicate.200"),
            throttled=_NO_THROTTLE,
            busy=(
                sample("cinetpay_transfer", "send.200", data=[[{"code": "715"}]]),
                OutcomeUnknown,
            ),
        ),
        Operation(
            driver="intram",
            verb="collect",
            path="/intram/api/v1/payments/request",
            order={
                "amount": 500,
                "currency": "XOF",
                "cancel_url": "https://shop.example/no",
                **_PAGES,
            },
            repeatable=True,
            endless={"metadata": {"note": _LONG}},
            refusal=(sample("intram", "refused.400"), Rejected),
            altered=({"total_amount": 7}, {"currency": "usd"}),
            stale=_KEYS,
            duplicate="its requests carry no reference that could be a duplicate",
            throttled=_NO_THROTTLE,
            busy=(sample("intram", "refused.200"), Rejected),
        ),
        Operation(
            verb="collect",
            path="/intram_merchant/api/v1/merchant/payment-requests",
            order={"amount": 500, "currency": "XOF"},
            endless={"metadata": {"note": _LONG}},
            **_MERCHANT,
        ),
        Operation(
            verb="payout",
            path="/intram_merchant/api/v1/merchant/payouts",
            order={"amount": 500, "currency": "XOF", "payee": "2290196000002", "operator": "mtn"},
            endless="its answer repeats the request, and would be too large to be read",
            **_MERCHANT,
        ),
        Operation(
            verb="payout",
            of="wire",
            path="/intram_merchant/api/v1/merchant/payouts",
            order={
                "amount": 500,
                "currency": "XOF",
                "payee": "bank:BJ0612345678",
                "extra": {"swift": "ECOCBJBJ"},
            },
            endless="its answer repeats the request, and would be too large to be read",
            **_MERCHANT,
        ),
        Operation(
            verb="refund",
            path="/intram_merchant/api/v1/merchant/refunds",
            order={"amount": 500},
            **_MERCHANT,
        ),
        Operation(
            driver="paydunya",
            verb="collect",
            path="/paydunya/sandbox-api/v1/checkout-invoice/create",
            order={"amount": 500, "currency": "XOF", "description": "Data bundle"},
            repeatable=True,
            endless={"metadata": {"note": _LONG}},
            refusal=(sample("paydunya", "wrong_keys.200"), AuthenticationFailed),
            altered=_NO_ECHO,
            stale=_KEYS,
            duplicate="its requests carry no reference that could be a duplicate",
            throttled=_NO_THROTTLE,
            busy=(sample("paydunya", "maintenance.200"), Rejected),
        ),
        Operation(
            driver="paydunya",
            verb="payout",
            path="/paydunya/sandbox-api/v1/direct-pay/credit-account",
            order={"amount": 500, "currency": "XOF", "payee": "seller@example.com"},
            refusal=(sample("paydunya", "no_funds.200"), Rejected),
            altered=({"description": "Success! Amount of 7 FCFA has been transfered to A"},),
            stale=_KEYS,
            duplicate="its requests carry no reference that could be a duplicate",
            throttled=_NO_THROTTLE,
            busy=(sample("paydunya", "maintenance.200"), OutcomeUnknown),
        ),
        Operation(
            driver="paydunya",
            verb="payout",
            of="disburse",
            first="/paydunya/api/v2/disburse/get-invoice",
            path="/paydunya/api/v2/disburse/submit-invoice",
            order={
                "amount": 500,
                "currency": "XOF",
                "payee": "+221771234567",
                "operator": "wave",
                "webhook_url": "https://shop.example/hook",
            },
            endless="only the token and our reference are in it",
            refusal=(sample("paydunya", "no_funds.200"), Rejected),
            altered=_NO_ECHO,
            stale=_KEYS,
            duplicate=_NO_DUPLICATE,
            throttled=_NO_THROTTLE,
            busy=(sample("paydunya", "maintenance.200"), OutcomeUnknown),
        ),
        Operation(
            driver="wave",
            verb="collect",
            path="/wave/v1/checkout/sessions",
            order={"amount": 500, "currency": "XOF", "return_url": "https://shop.example/back"},
            refusal=(sample("wave", "invalid.400"), Rejected),
            altered=({"client_reference": "another-order"}, {"amount": "1"}),
            stale=_KEYS,
            duplicate=_NO_DUPLICATE,
            throttled=sample("wave", "throttled.429"),
            busy=_NO_BUSY,
        ),
        Operation(
            driver="wave",
            verb="payout",
            path="/wave/v1/payout",
            order={"amount": 500, "currency": "XOF", "payee": "221771234567"},
            repeatable=True,
            joined=True,
            refusal=(sample("wave", "no_funds.422"), Rejected),
            altered=({"client_reference": "another-order"}, {"receive_amount": "1"}),
            stale=_KEYS,
            duplicate=sample("wave", "key_reused.409"),
            throttled="its page calls a payout under 429 pending, which is row 45",
            busy=(
                msgspec.structs.replace(sample("wave", "no_funds.422"), status=200),
                Rejected,
            ),
        ),
        Operation(
            driver="wave",
            verb="refund",
            path="/refund",
            order={"amount": 500},
            bought=_session,
            once=True,
            bare=True,
            repeatable=True,
            joined=True,
            refusal=(
                sample("wave", "no_funds.422", code="checkout-refund-failed"),
                Rejected,
            ),
            altered=_NO_ECHO,
            stale=_KEYS,
            duplicate=_NO_DUPLICATE,
            throttled="its page calls no refund under 429 refused, which is row 45",
            busy=_NO_BUSY,
        ),
        Operation(
            verb="collect",
            path="/mtn_momo/collection/v1_0/requesttopay",
            order={"amount": 500, "currency": "UGX", "payer": "256772123456"},
            **_MOMO,
        ),
        Operation(
            verb="payout",
            path="/mtn_momo/disbursement/v1_0/transfer",
            order={"amount": 500, "currency": "UGX", "payee": "256772123456"},
            **_MOMO,
        ),
        Operation(
            verb="payout",
            of="deposit",
            path="/mtn_momo/disbursement/v1_0/deposit",
            order={
                "amount": 500,
                "currency": "UGX",
                "payee": "256772123456",
                "extra": {"api": "deposit"},
            },
            **_MOMO,
        ),
        Operation(
            verb="refund",
            path="/mtn_momo/disbursement/v1_0/refund",
            order={"amount": 500},
            **_MOMO,
        ),
        Operation(
            verb="collect",
            path="/pawapay/v2/deposits",
            altered=({"depositId": _DEPOSIT}, {"status": "COMPLETED"}),
            order={
                "amount": 500,
                "currency": "RWF",
                "payer": "250783456000",
                "operator": "mtn",
            },
            endless={"metadata": {"note": _LONG}},
            **_PAWAPAY,
        ),
        Operation(
            verb="payout",
            path="/pawapay/v2/payouts",
            altered=({"payoutId": _DEPOSIT}, {"status": "COMPLETED"}),
            order={
                "amount": 500,
                "currency": "RWF",
                "payee": "250783456000",
                "operator": "mtn",
            },
            endless={"metadata": {"note": _LONG}},
            **_PAWAPAY,
        ),
        Operation(
            verb="refund",
            path="/pawapay/v2/refunds",
            altered=({"refundId": _DEPOSIT}, {"status": "COMPLETED"}),
            order={"amount": 10, "reason": "damaged"},
            bought=_deposit,
            **_PAWAPAY,
        ),
        Operation(
            driver="paydunya",
            verb="collect",
            of="softpay",
            first="/paydunya/sandbox-api/v1/checkout-invoice/create",
            path="/paydunya/api/v1/softpay/wave-senegal",
            asked="softpay",
            order={
                "amount": 500,
                "currency": "XOF",
                "payer": "+221771234567",
                "operator": "wave",
                "customer": Customer(name="Awa", email="awa@example.com"),
            },
            endless="each of its fields is bounded",
            refusal=(sample("paydunya", "softpay_refused.200"), Rejected),
            altered=_NO_ECHO,
            stale=_KEYS,
            duplicate=_NO_DUPLICATE,
            throttled=_NO_THROTTLE,
            busy=(sample("paydunya", "maintenance.200"), OutcomeUnknown),
        ),
        Operation(
            driver="paydunya",
            verb="collect",
            of="opr",
            first="/paydunya/sandbox-api/v1/checkout-invoice/confirm",
            path="/paydunya/sandbox-api/v1/opr/charge",
            asked="opr",
            order={"amount": 500, "currency": "XOF"},
            prepared=_code_sent,
            endless="only the token and the code are in it",
            refusal=(sample("paydunya", "wrong_keys.200"), AuthenticationFailed),
            altered=_NO_ECHO,
            stale=_KEYS,
            duplicate=_NO_DUPLICATE,
            throttled=_NO_THROTTLE,
            busy=(sample("paydunya", "maintenance.200"), OutcomeUnknown),
        ),
        Operation(
            driver="paydunya",
            verb="collect",
            of="wizall",
            first="/paydunya/sandbox-api/v1/checkout-invoice/confirm",
            path="/paydunya/api/v1/softpay/wizall-money-senegal/confirm",
            asked="softpay",
            order={
                "amount": 500,
                "currency": "XOF",
                "payer": "+221771234567",
                "operator": "wizall",
            },
            prepared=_wizall_code_sent,
            endless="only the number, the code and an id are in it",
            refusal=(sample("paydunya", "wrong_keys.200"), AuthenticationFailed),
            altered=_NO_ECHO,
            stale=_KEYS,
            duplicate=_NO_DUPLICATE,
            throttled=_NO_THROTTLE,
            busy=(sample("paydunya", "softpay_refused.200"), OutcomeUnknown),
        ),
        Operation(
            verb="collect",
            path="/mpesa_gateway/api/payment/mpesa/",
            order={"amount": 250, "currency": "KES", "payer": "254712345678"},
            altered=({"order_id": 999}, {"amount": 11}),
            **_GATEWAY,
        ),
        Operation(
            verb="refund",
            path="/refund/",
            order={"amount": 10, "reason": "damaged"},
            altered=_NO_ECHO,
            **_GATEWAY,
        ),
    )
}


class Aside:
    """A connection that gives an operation's first step to the provider beside the wire."""

    def __init__(self, wire: Connection, door: "Door") -> None:
        self._wire, self._door = wire, door

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Carry one attempt."""
        target = f"/{outgoing.url.split('/', 3)[3]}"
        if not target.startswith(self._door.operation.first):
            return await self._wire.exchange(outgoing)
        outgoing.started = outgoing.sent = True
        headers, body = outgoing.headers, outgoing.body or b""
        return await self._door.hand_over(outgoing.method, target, headers, body)

    def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Open a WebSocket."""
        return self._wire.frames(outgoing)

    async def aclose(self) -> None:
        """Close the wire."""
        await self._wire.aclose()


class Visit:
    """One connection, as the server sees it."""

    def __init__(
        self, door: "Door", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.door = door
        self.gone = False
        self.served = self.received = 0
        self._hung_up = False
        self._reader = reader
        self._writer = writer
        self._buffer = bytearray()

    async def arrival(self) -> bool:
        """Wait for the first byte of a request; False where the client left, or finds us gone."""
        arrived = bool(self._buffer) or await self._more()
        if arrived and self._hung_up:
            await self.end(End.RST)
        return arrived and not self._hung_up

    async def _more(self) -> bool:
        data = await self._reader.read(1 << 16)
        self._buffer += data
        self.received += len(data)
        return bool(data)

    def _length(self) -> int | None:
        """Give the length of the request at hand, None while its head is incomplete."""
        head, end, _ = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)
        return len(head) + 4 + (int(length[1]) if length else 0)

    async def is_money(self) -> bool:
        """Read the head of the next request, and tell whether it is the operation's."""
        while self._length() is None:
            if not await self._more():
                return False
        return self.door.is_money(self._buffer.split(b"\r\n", 1)[0].decode("latin-1"))

    async def take(self, count: int) -> None:
        """Read so many bytes; if that is a whole request, the provider does what it asks."""
        while len(self._buffer) < count and (self._length() or count) >= count:
            if not await self._more():
                return
        if (self._length() or count + 1) <= count:
            await self.process()

    async def process(self) -> Response | None:
        """Read a whole request, and let the provider do what it asks.

        None where the client left before.
        """
        content = await self._request()
        if content is None:
            return None
        head, _, body = content.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        headers = {name: value.strip() for name, _, value in pairs}
        return await self.door.hand_over(method, target, headers, body)

    async def refuse(self) -> bool:
        """Read a whole request, and do nothing; False where the client left before."""
        return await self._request() is not None

    async def _request(self) -> bytes | None:
        while (length := self._length()) is None or len(self._buffer) < length:
            if not await self._more():
                return None
        content, self._buffer = bytes(self._buffer[:length]), self._buffer[length:]
        self.served += 1
        self.door.seen(self, content.split(b"\r\n", 1)[0].decode("latin-1"), length)
        return content

    def write(self, data: bytes) -> None:
        """Write bytes."""
        self._writer.write(data)

    async def end(self, how: End) -> None:
        """End the connection this way."""
        self.gone = True
        if how is End.STALL:
            self.door.reached.set()
            await self.door.over.wait()
            with contextlib.suppress(OSError):
                await self._more()  # what came, unread
        if how is End.RST:
            wire = self._writer.get_extra_info("socket")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how is not End.FIN:
            self._writer.transport.abort()

    def hang_up(self) -> None:
        """Send a FIN at this very moment, before the client's loop can notice it."""
        self._hung_up = True
        self._writer.get_extra_info("socket").shutdown(socket.SHUT_WR)

    async def close(self) -> None:
        """Let go of the connection."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class Fault(msgspec.Struct, frozen=True):
    """What the server does with a money request.

    `early` if before it has read even the head of one.
    """

    act: Callable[[Visit], Awaitable[None]]
    early: bool = False


async def _serve(visit: Visit) -> None:
    reply = await visit.process()
    if reply is not None:
        visit.write(framed(reply))
        visit.door.tell("answer")


HEALTHY = Fault(_serve)


def request_cut(count: int, end: End) -> Fault:
    """Read so many bytes of a request, and end."""

    async def act(visit: Visit) -> None:
        await visit.take(count)
        await visit.end(end)

    return Fault(act, early=True)


def response_cut(count: int, framing: Framing, end: End, refusal: Response | None = None) -> Fault:
    """Do what a request asks (or refuse it), write so many bytes of the answer, and end."""

    async def act(visit: Visit) -> None:
        if refusal is None:
            reply = await visit.process()
        else:
            reply = refusal if await visit.refuse() else None
        if reply is None:
            return
        data = framed(reply, framing)
        visit.write(data[:count])
        visit.door.answer_length = len(data)
        if count >= len(data):
            visit.door.tell(
                "answer" if refusal is None else "refusal", unsure=_unended(framing, end)
            )
        await visit.end(end)

    return Fault(act)


def _unended(framing: Framing, end: End) -> bool:
    # Where the end of the connection is the end of the body, only a FIN says so.
    return framing is Framing.CLOSE and end is not End.FIN


def refuses(refusal: Response) -> Fault:
    """Refuse a request, and keep the connection."""

    async def act(visit: Visit) -> None:
        if await visit.refuse():
            visit.write(framed(refusal))
            visit.door.tell("refusal")

    return Fault(act)


def writes(change: Callable[[Response], bytes], end: End | None = None) -> Fault:
    """Do what a request asks, and then write something else than its answer."""

    async def act(visit: Visit) -> None:
        reply = await visit.process()
        if reply is not None:
            visit.write(change(reply))
            if end is not None:
                await visit.end(end)

    return Fault(act)


class Door:
    """A raw server in front of a simulator.

    `plan` is what becomes of the next money requests; its last stays.
    """

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.simulator = Simulator()
        # a payer with an open prompt would be busy for the next case
        self.simulator.mpesa.locks = False
        self.simulator.cinetpay.pings = self.simulator.cinetpay_transfer.pings = False
        self.simulator.paydunya.disburse.probes = False
        self.simulator.intram_merchant.work_delay = 0.0
        self.simulator.mpesa_gateway.refund_outcome = Outcome(Status.PENDING)
        self.plan: list[Fault] = [HEALTHY]
        # Held for good, so that no other program gets the port while no server of ours listens.
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.port = self._holder.getsockname()[1]
        self.over = asyncio.Event()
        self.reached = asyncio.Event()
        self.visits: dict[asyncio.Task[Any], Visit] = {}
        self.length = self.answer_length = 0
        self._server: asyncio.Server | None = None
        self.begin([HEALTHY])

    def begin(self, plan: Sequence[Fault]) -> None:
        """Forget what was seen, and plan what comes."""
        self.plan = list(plan)
        self.whole = self.refused = self.handshakes = 0
        self.told: Told = None
        self.unsure = False
        self.paths: list[str] = []
        for visit in self.visits.values():
            visit.received = 0
        self.struck: Visit | None = None  # the first connection that brought a money request
        self.booked = len(self.simulator.ledger)
        self.reached.clear()

    def tell(self, told: Told, *, unsure: bool = False) -> None:
        """Note that an answer left whole; `unsure`: the client cannot know that it is."""
        self.told, self.unsure = told, unsure
        self.refused += told == "refusal"

    async def hand_over(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """Let the provider do what a request asks."""
        url = self.simulator.url + target
        outgoing = PreparedRequest(method=method, url=url, headers=headers, body=body, money=False)
        return await self.simulator.connection.exchange(outgoing)

    def entries(self) -> list[str]:
        """List the provider's ids of the orders that it accepted since."""
        asked, booked = self.operation.asked, list(self.simulator.ledger)[self.booked :]
        if self.operation.once:  # what it refunds is booked as well
            booked = [entry for entry in booked if entry.kind == self.operation.verb]
        return [known_as(entry) for entry in booked if not asked or asked in entry.words]

    def is_money(self, first_line: str) -> bool:
        """Tell whether this begins a request of the operation."""
        return self.operation.path in first_line

    def seen(self, visit: Visit, first_line: str, length: int) -> None:
        """Note a whole request."""
        self.paths.append(first_line.split(" ")[1])
        if self.is_money(first_line):
            self.whole += 1
            self.length = length
            self.struck = self.struck or visit

    async def open(self, tls: ssl.SSLContext | None = None) -> None:
        """Listen."""
        if tls is not None:
            tls.sni_callback = self._greeted
        self._server = await asyncio.start_server(self._visited, "127.0.0.1", self.port, ssl=tls)

    def _greeted(self, *_: object) -> None:
        self.handshakes += 1

    async def shut(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def close(self) -> None:
        """Stop for good."""
        await self.settle()
        await self.shut()
        self._holder.close()

    async def settle(self) -> None:
        """End what still stalls, and wait for every connection to end."""
        self.over.set()
        while self.visits:
            await asyncio.wait(list(self.visits))
        self.over.clear()

    async def _visited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        visit = self.visits[task] = Visit(self, reader, writer)
        try:
            while not visit.gone and await self._turn(visit):
                pass
        except OSError:
            pass  # the client's side of a connection that we, or its deadline, broke
        finally:
            await visit.close()
            del self.visits[task]

    async def _turn(self, visit: Visit) -> bool:
        """Meet one request with what is planned for it; False at the connection's end."""
        if (visit.served or not self.plan[0].early) and not await visit.arrival():
            return False
        if not self.plan[0].early and not await visit.is_money():
            reply = await visit.process()
            if reply is not None:
                visit.write(framed(reply))
            return reply is not None
        self.struck = self.struck or visit
        fault = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
        await fault.act(visit)
        return True


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that goes wrong, and how the verb must end: `()` if as the door says it told."""

    name: str
    ends: tuple[type[Payment] | type[BaseException], ...] = ()
    plan: tuple[Fault, ...] = (HEALTHY,)
    where: tuple[Where, ...] = ("fresh", "reused")
    network: Callable[[Door], AbstractAsyncContextManager[None]] | None = None
    before: Literal["hang up", "close the pool"] | None = None
    # once the server stalls, or after a moment
    meanwhile: Literal["cancel", "close the pool"] | None = None
    order: Mapping[str, Any] = {}
    deadline: float | None = None
    connect_timeout: float = 10.0
    host: str = "127.0.0.1"
    tls: bool = False
    cold: bool = False  # no login yet
    listed: bool = False  # the provider says that it had our reference before
    proxy: str = ""  # how a proxy between them refuses the tunnel
    alone: bool = False  # it bends something that other cases share
    handshakes: int | None = None


def hasty() -> AbstractContextManager[object]:
    """Wait for a page only a moment: time is real here, and the page is ready at once."""
    return patch.object(operations, "WAITS", (0.001,))


class Desk:
    """Asks for money at one door, and judges what it is told."""

    def __init__(
        self, operation: Operation, *, attempts: int = ATTEMPTS, over: Over = "connection"
    ) -> None:
        self.operation = operation
        self.door = Door(operation)
        self._over = over
        self._session: aiohttp.ClientSession | None = None
        self._proxy: Proxy | None = None
        self.left = DESK_LIFE
        self._attempts = attempts
        self._warm = False
        # whether a busy machine may be why the last case ended otherwise than it should
        self.unlucky = False
        self.differs = ""  # how the last case ended otherwise than over the pool's own connection
        self._references = (str(number) for number in itertools.count(10_000_001))

    async def open(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        connect_timeout: float = 10.0,
        proxied: bool = False,
    ) -> None:
        """Open the door, and a pool that talks to it, through a proxy if it is `proxied`."""
        await self.door.open(tls)
        simulator, name = self.door.simulator, self.operation.driver
        provider = simulator.providers[name]
        base = f"{'https' if tls else 'http'}://{host}:{self.door.port}/{name}{provider.base_path}"
        driver = simulator.driver(name, base_url=base, **self.operation.fields)
        network = DIRECT
        if proxied:
            self._proxy = await Proxy().__aenter__()
            url = Secret(f"http://shop:canary@127.0.0.1:{self._proxy.port}")
            network = network_of(url, None, None)
        self._connection = AiohttpConnection(connect_timeout, network)
        wire: Connection = self._connection
        if self._over == "session":
            # a case lets no name resolve, which the session's cache would hide
            connector = aiohttp.TCPConnector(use_dns_cache=False)
            self._session = aiohttp.ClientSession(connector=connector)
            wire = connection_of(None, self._session, connect_timeout, None, None, None)
        if self.operation.first:
            wire = Aside(wire, self.door)
        self._pool = Pool(driver, connection=wire, attempts=self._attempts)
        if self.operation.verb == "refund":
            self._paid = self._bought()
        if self.operation.credential:  # as in a shop that has paid before
            await prove(self._pool, name, self.operation.credential)

    def _bought(self) -> Payment:
        """Return a payment that can be given back."""
        simulator, name = self.door.simulator, self.operation.driver
        if self.operation.bought is not None:
            return self.operation.bought(simulator)
        if name == "mpesa":
            amount = Decimal(self.operation.order["amount"])
            receipt = simulator.mpesa.pays(bill="1", amount=amount).words["receipt"]
            given: dict[str, Any] = {"provider_reference": receipt, "receipt": receipt}
            return Payment(account=name, kind="collect", amount=amount, **given)
        if name == "intram_merchant":
            amount = Decimal(self.operation.order["amount"])
            sold = simulator.intram_merchant.paid(amount)
            return Payment(account=name, receipt=sold.words["transaction"], amount=amount)
        amount, named, currency = Decimal(150_000), "P1", "KES"
        more: dict[str, Any] = {}
        if name == "mtn_momo":
            named, currency = simulator.mtn_momo.uuid(), "UGX"
            more = {"platform": "proxy", "api": "requesttopay", "party_type": "MSISDN"}
            more |= {"refund_of": None, "callback": ""}
        paid = simulator.providers[name].open(
            "collect",
            reference="1",
            provider_reference=named,
            amount=amount,
            currency=currency,
            **more,
        )
        simulator.ledger.settle(paid, Outcome(Status.SUCCEEDED))
        return Payment(
            account=name,
            reference="1",
            provider_reference=named,
            amount=amount,
            currency=currency,
        )

    async def close(self) -> None:
        """Close all of it."""
        await self._pool.aclose()
        if self._session is not None:
            await self._session.close()
        if self._proxy is not None:
            await self._proxy.__aexit__()
        await self.door.close()

    async def _hang_up(self) -> None:
        """Close the idle connections, so that the next request opens one."""
        await self._connection.aclose()
        if self._session is not None:
            connector: Any = self._session.connector
            for kept in connector._conns.values():
                for protocol, _ in kept:
                    protocol.close()

    async def run(self, case: Case, where: Where) -> str | None:
        """Run one case; give what is wrong with how it ended, None if nothing is."""
        self.left -= 1
        self.differs = ""
        if self._proxy is not None:
            self._proxy.refusal = ""
        await self._hang_up()
        primed: Visit | None = None
        if where == "reused" or not (case.cold or self._warm):
            self.door.begin([HEALTHY])
            try:
                await self._ask(next(self._references), {})
            except PaymuxError as error:
                self.unlucky = True
                return f"a healthy wire: {error!r}"
            self._warm = True  # logged in
            primed = self.door.struck
        if where == "fresh":
            await self._hang_up()
            await self.door.settle()
        reference = next(self._references)
        self.door.begin(case.plan)
        if self._proxy is not None:
            self._proxy.refusal = case.proxy
        async with case.network(self.door) if case.network else contextlib.nullcontext():
            ended = await self._end(case, reference)
            await self._hang_up()
            await self.door.settle()
        reached = self.door.struck
        strayed = (
            reached is not None
            and case.before is None
            and (reached is primed) != (where == "reused")
        )
        lie = self._unsound(ended, reference, cold=case.cold)
        self.unlucky = (
            lie is None and case.network is None and (strayed or case.deadline is not None)
        )
        if strayed:
            return lie or f"the campaign itself: the request did not go over a {where} connection"
        return lie or self._unexpected(ended, case)

    async def _ask(self, reference: str, options: Mapping[str, Any]) -> Payment:
        pool, operation = self._pool, self.operation
        made = operation.prepared(self.door.simulator, reference)
        order: dict[str, Any] = {**operation.order, **made, **options, "reference": reference}
        if operation.verb == "refund":
            paid = self._bought() if operation.once else self._paid
            return await pool.refund(paid, **order)
        if operation.verb == "payout":
            return await pool.payout(operation.driver, **order)
        return await pool.collect(operation.driver, **order)

    async def _end(self, case: Case, reference: str) -> Payment | BaseException:
        """Ask, and give how it ended."""

        async def ask() -> Payment | BaseException:
            try:
                return await self._ask(reference, {**case.order, "deadline": case.deadline})
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - judging it is the whole point
                return error

        if case.before == "hang up":
            for visit in self.door.visits.values():
                visit.hang_up()
        if case.before == "close the pool":
            await self._pool.aclose()
        if case.meanwhile is None:
            return await ask()
        asking = asyncio.create_task(ask())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.door.reached.wait(), 0.1 if case.network else 5.0)
        if case.meanwhile == "cancel":
            asking.cancel()
        else:
            await self._pool.aclose()
        return await asking

    def _unsound(self, ended: Payment | BaseException, reference: str, *, cold: bool) -> str | None:
        """Compare what the caller was told with what the provider saw and did."""
        door, entries = self.door, self.door.entries()
        most = self._attempts if self.operation.repeatable else 1
        made = 1 if self.operation.joined else most
        if door.whole - door.refused > most or len(entries) > made:
            return f"the provider saw {door.whole} whole requests and accepted {len(entries)}"
        if isinstance(ended, Payment):
            return self._wrong_payment(ended, reference, entries)
        if isinstance(ended, OutcomeUnknown):
            kept = ended.payment
            if (kept.reference, kept.status, kept.account) != (
                reference,
                Status.PENDING,
                self.operation.driver,
            ):
                return f"the unknown payment is {kept!r}"
            if self.operation.first and not (kept.provider_reference or kept.ids):
                return "the id of its first step is lost"
            return (
                None
                if kept.amount == self.operation.order["amount"]
                else f"its amount is {kept.amount}"
            )
        if isinstance(ended, asyncio.CancelledError):
            noted = any(reference in note for note in getattr(ended, "__notes__", ()))
            return (
                None
                if noted == bool(door.whole)
                else f"cancelled, noted={noted}, whole={door.whole}"
            )
        if entries:
            return f"{type(ended).__name__}, yet the provider accepted the order"
        if isinstance(ended, NotSent | UsageError):
            came = door.whole or (door.struck is not None and door.struck.received and not cold)
            return f"{type(ended).__name__}, yet bytes of it came" if came else None
        if isinstance(ended, ProviderError):
            return None if door.told == "refusal" else f"{ended!r}, and nobody refused it"
        return f"a foreign exception: {ended!r}"

    def _wrong_payment(self, ended: Payment, reference: str, entries: Sequence[str]) -> str | None:
        if self.door.told != "answer":
            return "a payment without a whole answer"
        if ended.reference != reference or ended.provider_reference not in entries:
            return f"another payment: {ended!r}"
        if ended.amount != self.operation.order["amount"] or ended.status not in (
            Status.PENDING,
            Status.SUCCEEDED,
        ):
            return f"not the payment that was asked for: {ended!r}"
        return None

    def _unexpected(self, ended: Payment | BaseException, case: Case) -> str | None:
        door = self.door
        expected: tuple[type, ...] = case.ends
        if not expected:
            refusal = self.operation.refusal[1]
            told: Mapping[Told, type] = {
                "answer": Payment,
                "refusal": refusal,
                None: OutcomeUnknown,
            }
            # A repeat may be answered as a duplicate, which is looked up.
            again = door.whole > 1 and isinstance(self.operation.duplicate, Response)
            unsure = door.unsure or again
            expected = (told[door.told], OutcomeUnknown) if unsure else (told[door.told],)
        if type(ended) not in expected:
            said = ended if isinstance(ended, BaseException) else ""
            names = " or ".join(kind.__name__ for kind in expected)
            if self._over == "session" and {type(ended), *expected} == {NotSent, OutcomeUnknown}:
                # A session writes later than the pool's own connection, and does other things
                # before. Either is true, as `_unsound` has found; which it is, is told.
                self.differs = f"{type(ended).__name__} for {names}"
                return None
            return f"{type(ended).__name__} for {names}: {said!s:.200}"
        if any("elsewhere" in path for path in door.paths):
            return "a redirect was followed"
        if "canary" in repr(ended):
            return "it shows the proxy's password"
        if case.handshakes is not None and door.handshakes != case.handshakes:
            return f"{door.handshakes} handshakes for {case.handshakes}"
        page = type(ended) is OutcomeUnknown and self.operation.page
        if not page or (page in str(ended)) is not case.listed:
            return None
        # Of a listed duplicate the page may be in the payer's hands; of any other unknown, no payer
        # has it.
        return (
            f"it {'says' if case.listed else 'does not say'} that a new reference is safe: {ended}"
        )
