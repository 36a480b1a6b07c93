"""What no page says for certain of MTN MoMo, and its sandbox can settle."""

from .._probing import Call, Fact, field_at, status_at

_PORTAL = "https://momodeveloper.mtn.com content/html_widgets"
_ORDER = {
    "amount": 5,
    "currency": "EUR",
    "payer": "46733123453",  # of the sandbox: its payments stay open
    "reference": "{new}",
    "description": "paymux probe",
}

FACTS = (
    Fact(
        id="repeated-id",
        question="What does a second request with the same X-Reference-Id get?",
        guess="409",  # and makes nothing: a request without an answer is sent again with its id
        steps=(Call(verb="collect", given=_ORDER), Call(verb="collect", given=_ORDER, again=True)),
        reads=status_at("/requesttopay"),
        source=f"{_PORTAL}/3fbhs and o46rh, which show no exchange",
        money=True,
        needs=("collection_user",),
    ),
    Fact(
        id="unknown-id",
        question="Which code has the answer about an X-Reference-Id that was never used?",
        guess="RESOURCE_NOT_FOUND",  # which is never final
        steps=(Call(verb="find", given={"reference": "{new}"}),),
        reads=field_at("/requesttopay/", "code"),
        source=f"{_PORTAL}/o46rh: RESOURCE_NOT_FOUND, and NOT_FOUND in the same list",
        needs=("collection_user",),
    ),
)
