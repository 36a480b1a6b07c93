"""What no page says of the Merchant API, and its sandbox keys can settle."""

from collections.abc import Sequence

from .._probing import Call, Fact, Raw, Seen, at, field_at, status_at

_PAGE = "https://github.com/suntechdevs/paycfa merchant-api"
_ORDER = {"amount": 100, "currency": "XOF", "reference": "{new}", "description": "paymux probe"}


def _ids(seen: Sequence[Seen]) -> list[str]:
    data = (one.body.get("data") for one in seen if isinstance(one.body, dict))
    return [str(one.get("operation_id") or "") for one in data if isinstance(one, dict)]


def _repeated(seen: Sequence[Seen]) -> str:
    found = at("/payment-requests", seen)
    ids = _ids(found)
    if len(found) < 2 or not ids:
        return ""
    if len(ids) < 2:
        return found[1].said("code") or f"refused (HTTP {found[1].status})"
    return "the first one again" if ids[0] == ids[1] else "another one"


FACTS = (
    Fact(
        id="base-url",
        question="Does the documented base URL answer?",
        guess="200",
        steps=(Raw(method="GET", path="/balance"),),
        reads=status_at("/balance"),
        source=f"{_PAGE}/README.md: an integrator saw 404 below /v1",
    ),
    Fact(
        id="unknown-operation",
        question="What does the look-up of an operation that was never made say?",
        guess="operation_not_found",
        steps=(Call(verb="verify", given={"provider_reference": "op_00000000"}),),
        reads=field_at("/operations/", "code"),
        source=f"{_PAGE}/errors.md: listed, without a body",
    ),
    Fact(
        id="repeated-key",
        question="What answers a second request with the key and body of the first?",
        guess="the first one again",
        steps=(
            Call(verb="collect", given=_ORDER),
            Call(verb="collect", given=_ORDER, again=True),
        ),
        reads=_repeated,
        source=f"{_PAGE}/idempotency.md: within 24 hours; what a request in progress says is open",
        more=20,
    ),
)
