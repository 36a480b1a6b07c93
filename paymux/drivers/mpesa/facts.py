"""What no page says of Daraja, and its sandbox can settle."""

from collections.abc import Sequence

from .._probing import Call, Fact, Raw, Seen, at, field_at

_DOCS = "https://developer.safaricom.co.ke"
_PAYER = "254708374149"  # of the sandbox
_PUSH = {
    "amount": 1,
    "currency": "KES",
    "payer": _PAYER,
    "reference": "{new}",
    "description": "paymux probe",
}
_PAYOUT = {
    **{name: _PUSH[name] for name in ("currency", "reference")},
    "amount": 10,
    "payee": _PAYER,
}
_INITIATOR = ("initiator_name", "security_credential")
_QUERY = "/stkpushquery/"
_STATUS = "/transactionstatus/"


def _word(seen: Sequence[Seen]) -> str:
    found = at("/stkpush/", seen)
    if not found:
        return ""
    return "taken" if found[-1].said("ResponseCode") == "0" else "refused"


def _repeated_payout(seen: Sequence[Seen]) -> str:
    found = at("/b2c/", seen)
    if len(found) < 2 or found[0].said("ResponseCode") != "0":
        return ""
    if found[1].said("ResponseCode") == "0":
        return "accepted"
    return found[1].said("errorCode") or f"HTTP {found[1].status}"


def _id_name(seen: Sequence[Seen]) -> str:
    found = at(_STATUS, seen)
    if not found:
        return ""
    first = found[0].said("ResponseCode") == "0"
    return "OriginalConversationID" if first else "OriginatorConversationID"


def _told(seen: Sequence[Seen]) -> str:
    """Read the ResultCode of the message that answers the acknowledged question."""
    asked = {one.said("ConversationID") for one in at(_STATUS, seen)} - {""}
    for one in seen:
        result = one.body.get("Result") if isinstance(one.body, dict) else None
        if one.status == 0 and isinstance(result, dict) and result.get("ConversationID") in asked:
            return str(result.get("ResultCode", ""))
    return ""


def _none_listed(seen: Sequence[Seen]) -> str:
    found = at("/pulltransactions/", seen)
    if not found or found[-1].status == 400:
        return ""  # the shortcode is not registered for pull
    return found[-1].said("ResponseCode") or f"HTTP {found[-1].status}"


FACTS = (
    Fact(
        id="unknown-push",
        question="What does the query say of a CheckoutRequestID that was never issued?",
        guess="400.002.02",
        steps=(Call(verb="verify", given={"provider_reference": "ws_CO_000000000000000000"}),),
        reads=field_at(_QUERY, "errorCode", "ResultCode"),
        source=f"{_DOCS}: the page of the query shows payments only",
    ),
    Fact(
        id="open-push",
        question="What does the query say of a push that waits for its payer?",
        guess="500.001.1001",  # 4999 is read as well
        steps=(
            Call(verb="collect", given=_PUSH),
            Call(verb="verify", given={"provider_reference": "{first[CheckoutRequestID]}"}),
        ),
        reads=field_at(_QUERY, "errorCode", "ResultCode"),
        source="seen as HTTP 500 with 500.001.1001, and as 200 with ResultCode 4999",
        money=True,
        needs=("webhook",),
    ),
    Fact(
        id="word-in-path",
        question="Is a callback path with the word 'mpesa' refused?",
        guess="taken",  # and perhaps never called, so a warning is logged
        steps=(Call(verb="collect", given={**_PUSH, "webhook_url": "{webhook}/mpesa"}),),
        reads=_word,
        source=f"{_DOCS} FAQ: such words are to be avoided; no refusal is shown",
        money=True,
        needs=("webhook",),
    ),
    Fact(
        id="repeated-payout",
        question="What does a second B2C request with the same OriginatorConversationID get?",
        guess="500.002.1001",
        steps=(
            Call(verb="payout", given=_PAYOUT),
            Call(verb="payout", given=_PAYOUT, again=True),
        ),
        reads=_repeated_payout,
        source=f"{_DOCS}/apis/BusinessToCustomer, and result 15 in /apis/AccountBalance",
        money=True,
        more=2,  # its status is asked for, as it may have paid
        hears=True,
        needs=("webhook", *_INITIATOR),
    ),
    Fact(
        id="status-id-name",
        question="By which field does the transaction status take the id of a payout?",
        guess="OriginalConversationID",
        steps=(Call(verb="verify", given={"kind": "payout", "provider_reference": "{new}"}),),
        reads=_id_name,
        source=f"{_DOCS}/apis/TransactionStatus: the pages of 2022 and 2025 differ",
        more=1,  # by the other name
        hears=True,
        needs=("webhook", *_INITIATOR),
    ),
    Fact(
        id="unknown-payout",
        question="Which result code has the status of a payout that was never sent?",
        guess="SFC_IC0003",
        steps=(Call(verb="verify", given={"kind": "payout", "provider_reference": "{new}"}),),
        reads=_told,
        source=f"{_DOCS}/apis/TransactionStatus: no answer for an unknown id",
        hears=True,
        more=1,
        needs=("webhook", *_INITIATOR),
    ),
    Fact(
        id="unknown-receipt",
        question="Which result code has the status of a receipt that was never given?",
        guess="SFC_IC0003",
        steps=(Call(verb="find", given={"receipt": "ZZZ0000000"}),),
        reads=_told,
        source=f"{_DOCS}/apis/TransactionStatus: no answer for an unknown receipt",
        hears=True,
        more=1,
        needs=("webhook", *_INITIATOR),
    ),
    Fact(
        id="pull-none",
        question="How does pull say that a period has no payments?",
        guess="1001",
        steps=(
            Raw(
                method="POST",
                path="/pulltransactions/v1/query",
                body={
                    "ShortCode": "{shortcode}",
                    "StartDate": "{today} 00:00:00",
                    "EndDate": "{today} 00:00:01",
                    "OffSetValue": "0",
                },
            ),
        ),
        reads=_none_listed,
        source=f"{_DOCS}/apis/PullTransaction: it has both, code 1001 and HTTP 500 in words",
    ),
)
