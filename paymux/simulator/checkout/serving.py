"""What the checkout page does: it asks, it decides once, and it leads back."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from ...http import Response, WebhookRequest
from ...primitives.clock import wall_time
from ..base import Provider
from ..ledger import Entry
from ..phone import ANSWERS, answer, tries_left
from ..replies import fields, query, redirect
from .addresses import form_action, web_address
from .offer import Checkout
from .operators import COUNTRIES, Operator
from .same_origin import refuses_decision
from .view import View
from .words import LANGUAGES

_DIGITS = re.compile(r"[0-9]{8,15}", re.ASCII)


def serve(
    provider: Provider, entry: Entry, incoming: WebhookRequest, checkout: Checkout
) -> Response:
    """Answer a GET or a POST of an order's checkout page.

    A form posts `decision`: "ask" with `operator` and `number`, "change", or a key of
    `phone.ANSWERS`; "approve" with the `pin`, without which a program pays in the payer's place.
    """
    asked = query(incoming).get("lang", "")
    lang = asked if asked in LANGUAGES else checkout.lang
    said: dict[str, Any] = {}
    if incoming.method == "POST":
        refusal = refuses_decision(incoming)
        if refusal is not None:
            return refusal
        said = fields(incoming) or {}
    left = int((entry.opened_at + timedelta(seconds=checkout.life) - wall_time()).total_seconds())
    if left <= 0:
        answer(provider, entry, "expire")
    return _decided(provider, entry, checkout, said, lang=lang, left=left)


def _decided(
    provider: Provider,
    entry: Entry,
    checkout: Checkout,
    said: dict[str, Any],
    *,
    lang: str,
    left: int,
) -> Response:
    """Do what a form says, if the order is still open; the page itself is then fetched anew."""
    decision, wrong = str(said.get("decision")), ""
    if entry.status.terminal:
        # A form that was sent twice, or too late; it is led back where the end is its own.
        mine = decision in ANSWERS and ANSWERS[decision].status is entry.status
        return (_gone(checkout) if mine else None) or _page(provider, entry, checkout, lang, left)
    if decision == "ask":
        wrong = _ask(provider, entry, checkout, said)
    elif decision == "change":
        entry.words.pop("asks", None)
    elif decision in ANSWERS:
        # A form that was sent twice is one try.
        if str(said.get("tries", tries_left(entry))) == str(tries_left(entry)):
            answer(provider, entry, decision, _text(said, "pin"))
        if entry.status.terminal:
            return _gone(checkout) or _page(provider, entry, checkout, lang, left)
    else:
        return _page(provider, entry, checkout, lang, left)
    if wrong:
        typed = _text(said, "number") or ""
        return _page(provider, entry, checkout, lang, left, wrong=wrong, typed=typed)
    # To reload the page then repeats nothing.
    return Response(status=303, headers={"location": f"?lang={lang}"})


def _ask(provider: Provider, entry: Entry, checkout: Checkout, said: dict[str, Any]) -> str:
    """Ask the payer whom a form names on the phone; return the field that is wrong."""
    chosen = _chosen(checkout.operators, said.get("operator"))
    if chosen is None:
        return "means"
    if chosen.country and not checkout.locked:
        party = _party(chosen, _text(said, "number") or "")
        if party is None:
            return "number"
        entry.party = party
    entry.words["asks"] = chosen.code
    if checkout.chose is not None:
        checkout.chose(chosen)
    provider.ring(entry)
    return ""


def _chosen(operators: Sequence[Operator], code: object) -> Operator | None:
    return next((one for one in operators if one.code == code), None)


def _text(said: dict[str, Any], name: str) -> str | None:
    value = said.get(name)
    return value if isinstance(value, str) else None


def _party(operator: Operator, typed: str) -> str | None:
    """Read a number, local or international; None: it is none."""
    digits = re.sub(r"[ .()-]", "", typed)
    code = COUNTRIES[operator.country][0]
    if digits.startswith(("+", "00")):
        digits = digits.removeprefix("+").removeprefix("00")
    elif not (digits.startswith(code) and len(digits) > 10):
        digits = code + digits
    return digits if _DIGITS.fullmatch(digits) else None


def _gone(checkout: Checkout) -> Response | None:
    """Send the browser back, if that is a redirect to a web address."""
    back = checkout.back()
    address = web_address(back.address) if back and back.fields is None else None
    return redirect(address) if address else None


def _page(
    provider: Provider,
    entry: Entry,
    checkout: Checkout,
    lang: str,
    left: int,
    **filled: str,
) -> Response:
    view = View(
        provider=type(provider).__name__,
        entry=entry,
        checkout=checkout,
        lang=lang,
        left=left,
        asked=_chosen(checkout.operators, entry.words.get("asks")),
        **filled,
    )
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action {form_action(checkout.addresses)}"
    )
    return Response(
        status=422 if view.wrong else 200,
        headers={
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-resource-policy": "same-origin",
            "cache-control": "no-store",
        },
        body=view.html().encode(),
    )
