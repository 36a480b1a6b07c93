"""What no page says of CinetPay's API of 2026, and its sandbox can settle."""

from collections.abc import Sequence

from .._probing import Call, Fact, Raw, Seen, at, field_at, status_at
from .checkout import PATH

_CLIENT = "PyPI cinetpay-python 0.1.0"
_BODY = {
    "currency": "XOF",
    "amount": 100,
    "lang": "fr",
    "designation": "paymux probe",
    "client_email": "probe@example.com",
    "client_first_name": "Probe",
    "client_last_name": "Paymux",
    "success_url": "https://example.com/back",
    "failed_url": "https://example.com/back",
    "notify_url": "https://example.com/told",
    "channel": "PUSH",
}


def _page(id: str) -> Raw:
    """Ask for a page: no payer is asked by that. Countries of other currencies refuse it."""
    return Raw(method="POST", path=PATH, body={**_BODY, "merchant_transaction_id": id}, money=True)


def _taken(seen: Sequence[Seen]) -> str:
    found = at(PATH, seen)
    if not found:
        return ""
    return "taken" if found[-1].said("payment_token") else f"refused ({found[-1].said('code')})"


FACTS = (
    Fact(
        id="unknown-payment",
        question="Which HTTP status has the look-up of a payment that was never made?",
        guess="404",
        steps=(Call(verb="find", given={"reference": "{new}"}),),
        reads=status_at(f"{PATH}/"),
        source=f"{_CLIENT} constants/statuses.py: the code 404, and no HTTP status",
    ),
    Fact(
        id="small-letters",
        question="In XOF: is a merchant_transaction_id with small letters taken?",
        guess="refused (1004)",  # the driver sends capitals and digits
        steps=(_page("order-{new}"),),
        reads=_taken,
        source=f"{_CLIENT} types/payment.py: 'max 30 chars', and an integrator's report of 1004",
    ),
    Fact(
        id="repeated-id",
        question="In XOF: which code has a second payment with the same merchant_transaction_id?",
        guess="1200",
        steps=(_page("PROBE-{today}"), _page("PROBE-{today}")),
        reads=field_at(PATH, "code"),
        source=f"{_CLIENT} constants/statuses.py: TRANSACTION_EXIST, without a page",
    ),
    Fact(
        id="balance-currency",
        question="Which currency has the answer to a balance?",
        guess="XOF",
        steps=(Raw(method="GET", path="/v1/balances"),),
        reads=field_at("/v1/balances", "currency"),
        source=f"{_CLIENT} types/balance.py: no page shows the answer",
    ),
    Fact(
        id="token-lifetime",
        question="For how many seconds does a login say that its token is valid?",
        guess="86400",
        steps=(Raw(method="GET", path="/v1/balances"),),
        reads=field_at("/v1/oauth/login", "expires_in"),
        source=f"{_CLIENT} types/config.py: 'the 86 400 s API TTL'",
        logs_in=True,
    ),
)
