"""What no page says of CinetPay. It has no sandbox, so only a double of it can be asked."""

from .._probing import Call, Fact, field_at, status_at

_PAGE = "https://docs.cinetpay.com/api/1.0-fr/checkout"
_ORDER = {
    "amount": 100,
    "currency": "XOF",
    "reference": "{new}",
    "description": "paymux probe",
    "return_url": "{webhook}",
}
_COLLECT = Call(verb="collect", given=_ORDER)

FACTS = (
    Fact(
        id="unknown-transaction",
        question="Which code has the check of a transaction that was never made?",
        guess="624",
        steps=(Call(verb="verify", given={"provider_reference": "{new}"}),),
        reads=field_at("/v2/payment/check", "code"),
        source=f"{_PAGE}/verification: it shows payments only",
    ),
    Fact(
        id="page-status",
        question="Which HTTP status has the answer that opens a page?",
        guess="201",
        steps=(_COLLECT,),
        reads=status_at("/v2/payment"),
        source=f"{_PAGE}/initialisation: it shows a body only",
        needs=("webhook",),
    ),
    Fact(
        id="check-status",
        question="Which HTTP status has the check of a payment that waits?",
        guess="200",
        steps=(_COLLECT, Call(verb="verify", given={"provider_reference": "{new}"})),
        reads=status_at("/v2/payment/check"),
        source=f"{_PAGE}/verification: it shows a body only",
        needs=("webhook",),
    ),
    Fact(
        id="repeated-transaction",
        question="Which code has a second page with the same transaction_id?",
        guess="620",
        steps=(_COLLECT, Call(verb="collect", given=_ORDER, again=True)),
        reads=field_at("/v2/payment", "code"),
        source=f"{_PAGE}: 'un message d'erreur', without its code",
        needs=("webhook",),
    ),
)
