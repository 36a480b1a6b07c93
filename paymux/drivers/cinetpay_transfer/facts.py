"""What no page says of CinetPay's transfers: without a sandbox, only a double can be asked."""

from collections.abc import Sequence

from .._probing import Call, Fact, Seen, at, field_at

_PAGE = "https://docs.cinetpay.com/api/1.0-fr/transfert"
_PAYOUT = Call(
    verb="payout",
    given={"amount": 500, "currency": "XOF", "payee": "2250102030405", "reference": "{new}"},
)
_AGAIN = Call(verb="payout", given=_PAYOUT.given, again=True)


def _repeated(seen: Sequence[Seen]) -> str:
    found = at("/money/send/contact", seen)
    if len(found) < 2 or not isinstance(found[1].body, dict):
        return ""
    told = found[1].body
    if str(told.get("code")) != "0":
        return str(told.get("code"))
    rows = told.get("data")
    while isinstance(rows, list) and rows:
        rows = rows[0]
    return str(rows.get("code", "taken")) if isinstance(rows, dict) else ""


FACTS = (
    Fact(
        id="unknown-transfer",
        question="Which code has the check of a transfer that was never made?",
        guess="723",
        steps=(Call(verb="find", given={"reference": "{new}", "kind": "payout"}),),
        reads=field_at("/check/money", "code"),
        source=f"{_PAGE}/annexe: 723 is 'No results for this search'",
    ),
    Fact(
        id="repeated-transfer",
        question="Which code has a second transfer with the same client_transaction_id?",
        guess="805",  # it is looked up, and never sent again
        steps=(_PAYOUT, _AGAIN),
        reads=_repeated,
        source=f"{_PAGE}/annexe: CLIENT_TRANSACTION_ID_EXIST, without how long it is remembered",
        money=True,
        needs=("webhook",),
    ),
)
