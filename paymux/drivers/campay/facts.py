"""What no page says of CamPay, and its demo can settle."""

from collections.abc import Sequence

from .._probing import Call, Fact, Raw, Seen, at, field_at, repeated_at

_PAGE = "https://documenter.getpostman.com/view/2391374/T1LV8PVA"
_PAYER = "237677777777"  # of the demo: it pays
_ORDER = {
    "amount": 5,
    "currency": "XAF",
    "payer": _PAYER,
    "reference": "{new}",
    "description": "paymux probe",
}


def _error_form(seen: Sequence[Seen]) -> str:
    found = at("/collect/", seen)
    if not found:
        return ""
    if not isinstance(found[-1].body, dict):
        return f"no JSON (HTTP {found[-1].status})"
    return ", ".join(sorted(map(str, found[-1].body)))


def _last_day(seen: Sequence[Seen]) -> str:
    ours, listed = at("/collect/", seen), at("/history/", seen)
    rows = listed[-1].body.get("data") if listed and isinstance(listed[-1].body, dict) else None
    if not ours or not ours[0].said("reference") or not isinstance(rows, list):
        return ""
    named = [row.get("reference_uuid") for row in rows if isinstance(row, dict)]
    return "included" if ours[0].said("reference") in named else "left out"


FACTS = (
    Fact(
        id="repeated-reference",
        question="What does a second collect with the same external_reference do?",
        guess="another one",  # so that it is never sent twice
        steps=(Call(verb="collect", given=_ORDER), Call(verb="collect", given=_ORDER, again=True)),
        reads=repeated_at("/collect/", "reference"),
        source=f"{_PAGE}: both 'the results of the first request' and 'will be rejected'",
        money=True,
    ),
    Fact(
        id="token-lifetime",
        question="For how many seconds does a login say that its token is valid?",
        guess="3600",  # of which the driver uses half, if a login states none
        steps=(Raw(method="GET", path="/balance/"),),
        reads=field_at("/token/", "expires_in"),
        source=f"{_PAGE}: no lifetime is stated",
        logs_in=True,
        needs=("username", "password"),
    ),
    Fact(
        id="error-form",
        question="Which fields has the refusal of a payer's number?",
        guess="error_code, message",
        steps=(
            Raw(
                method="POST",
                path="/collect/",
                body={
                    "amount": "5",
                    "currency": "XAF",
                    "from": "237000",
                    "description": "paymux probe",
                    "external_reference": "{new}",
                },
                money=True,
            ),
        ),
        reads=_error_form,
        source=f"{_PAGE}: it lists codes, and shows no body of an error",
    ),
    Fact(
        id="history-last-day",
        question="Does /history/ include the day that is its end_date?",
        guess="included",  # the driver asks for one day more, and compares times itself
        steps=(
            Call(verb="collect", given=_ORDER),
            Raw(
                method="POST",
                path="/history/",
                body={"start_date": "{today}", "end_date": "{today}"},
            ),
        ),
        reads=_last_day,
        source=f"{_PAGE}: no zone and no end of the days is stated",
        money=True,
    ),
)
