"""What no page says of Wave. There is no sandbox: only an account of its own can settle it."""

from .._probing import Call, Fact, Raw, repeated_at, status_at

_CHECKOUT = "https://docs.wave.com/checkout"
_ORDER = {
    "amount": 100,
    "currency": "XOF",
    "reference": "{new}",
    "return_url": "https://shop.example/back",
}

FACTS = (
    Fact(
        id="repeated-reference",
        question="What does a second session with the same client_reference do?",
        guess="another one",  # so that it is never sent twice
        steps=(Call(verb="collect", given=_ORDER), Call(verb="collect", given=_ORDER, again=True)),
        reads=repeated_at("/v1/checkout/sessions", "id"),
        source=f"{_CHECKOUT}: no Idempotency-Key is named for it",
    ),
    Fact(
        id="unknown-session",
        question="Which HTTP status has the look-up of a session that was never made?",
        guess="404",
        steps=(Raw(method="GET", path="/v1/checkout/sessions/cos-0000000000000"),),
        reads=status_at("/v1/checkout/sessions/"),
        source=f"{_CHECKOUT}: the code checkout-session-not-found, without a status",
    ),
)
