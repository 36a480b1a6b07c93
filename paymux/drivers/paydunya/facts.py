"""What no page says of PayDunya, and its sandbox can settle."""

from collections.abc import Sequence

from .._probing import Call, Fact, Raw, Seen, at, field_at

_PAGE = "https://developers.paydunya.com/doc/Fr/http_json"


def _not_found(seen: Sequence[Seen]) -> str:
    found = at("/checkout-invoice/confirm/", seen)
    if not found:
        return ""
    words = found[-1].said("response_text")
    return "not found" if "not found" in words.lower() else words or f"HTTP {found[-1].status}"


FACTS = (
    Fact(
        id="unknown-token",
        question="What does the look-up of a token that was never issued say?",
        guess="not found",
        steps=(Call(verb="verify", given={"provider_reference": "test_0000000000"}),),
        reads=_not_found,
        source=f"{_PAGE}: it shows only found invoices",
    ),
    Fact(
        id="refusal-code",
        question="Which response_code has an invoice without an amount?",
        guess="1001",
        steps=(
            Raw(
                method="POST",
                path="/sandbox-api/v1/checkout-invoice/create",
                body={"invoice": {"total_amount": 0}, "store": {"name": "{store_name}"}},
            ),
        ),
        reads=field_at("/checkout-invoice/create", "response_code"),
        source=f"{_PAGE}: no list of codes is published",
    ),
)
