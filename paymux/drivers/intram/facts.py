"""What no page says of Intram, and its sandbox keys can settle."""

from collections.abc import Sequence

from .._probing import Call, Fact, Seen, at, status_at

_PAGE = "https://github.com/suntechdevs/paycfa backend/http.md"


def _taken(seen: Sequence[Seen]) -> str:
    found = at("/payments/request", seen)
    if not found:
        return ""
    return "taken" if found[-1].said("transaction_id") else f"refused (HTTP {found[-1].status})"


_ORDER = {
    "amount": 100,
    "currency": "XOF",
    "reference": "{new}",
    "description": "paymux probe",
    "return_url": "{webhook}",
    "cancel_url": "{webhook}",
}

FACTS = (
    Fact(
        id="unknown-transaction",
        question="Which HTTP status has the look-up of an id that was never issued?",
        guess="400",
        steps=(Call(verb="verify", given={"provider_reference": "0123456789abcdef01234567"}),),
        reads=status_at("/transactions/confirm/"),
        source=f"{_PAGE}: it lists 200, 400, 401 and 500, without this case",
    ),
    Fact(
        id="merchant-key",
        question="Is a request without X-MARCHAND-KEY taken?",
        guess="taken",
        steps=(Call(verb="collect", given=_ORDER),),
        reads=_taken,
        source=f"{_PAGE}: required in 2025-02, not named in 2026-05",
        needs=("webhook",),
        without=("merchant_key",),
    ),
)
