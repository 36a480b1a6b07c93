"""What no page says of pawaPay, or says in two ways, and its sandbox can settle."""

from collections.abc import Sequence
from typing import Any

from .._probing import Call, Fact, Raw, Seen, at

_PAGE = "https://docs.pawapay.io/v2"
_ORDER = {
    "amount": 1000,
    "currency": "RWF",
    "payer": "250783456789",  # of the sandbox: it pays
    "operator": "mtn",
    "reference": "{new}",
}
_STUCK = {**_ORDER, "payer": "250783456129"}  # and this one never answers


def _last_status(seen: Sequence[Seen]) -> str:
    found = [one.said("status") for one in at("/v2/deposits", seen) if one.method == "POST"]
    return found[1] if len(found) > 1 else ""


def _open_word(seen: Sequence[Seen]) -> str:
    data = [one.body.get("data") for one in at("/v2/deposits/", seen) if _is_object(one.body)]
    return str(data[-1].get("status", "")) if data and _is_object(data[-1]) else ""


def _operations(seen: Sequence[Seen]) -> str:
    body: Any = at("/v2/active-conf", seen)[-1].body if at("/v2/active-conf", seen) else None
    for name in ("countries", "providers", "currencies"):
        inner = body.get(name) if _is_object(body) else None
        body = inner[0] if isinstance(inner, list) and inner else None
    types = body.get("operationTypes") if _is_object(body) else None
    if isinstance(types, list):
        return "a list"
    return "an object" if _is_object(types) else ""


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


FACTS = (
    Fact(
        id="refused-id",
        question="What becomes of a request whose id was refused before?",
        guess="ACCEPTED",  # the docstring asks for a new reference all the same
        steps=(
            Call(verb="collect", given={**_ORDER, "amount": 999_999_999}),
            Call(verb="collect", given=_ORDER, again=True),
        ),
        reads=_last_status,
        source=f"{_PAGE}/api-reference/deposits/initiate-deposit: of accepted duplicates only",
        money=True,
    ),
    Fact(
        id="open-word",
        question="Which status has a deposit whose payer never answers?",
        guess="SUBMITTED",  # either word is pending
        steps=(
            Call(verb="collect", given=_STUCK),
            Call(verb="find", given={"reference": "{new}"}),
        ),
        reads=_open_word,
        source=f"{_PAGE}/docs/test_numbers: SUBMITTED, which v2 calls PROCESSING",
        money=True,
    ),
    Fact(
        id="operations-form",
        question="Are the operations of a currency in active-conf an object or a list?",
        guess="an object",  # both are read
        steps=(Raw(method="GET", path="/v2/active-conf"),),
        reads=_operations,
        source=f"{_PAGE}/api-reference/toolkit/active-configuration: a list; guides: an object",
    ),
)
