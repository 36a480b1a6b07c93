"""What the checkout page does: it asks, it decides once, and it leads back."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from ...http import Response, WebhookRequest
from ...primitives.clock import wall_time
from ..base import Provider
from ..control.security import refuses_decision
from ..ledger import Entry
from ..payers import ANSWERS, checked_answer
from ..phone import answer
from ..replies import fields, query, redirect
from .addresses import form_action, web_address
from .offer import Checkout
from .operators import COUNTRIES, Operator
from .view import View
from .words import LANGUAGES

_DIGITS = re.compile(r"[0-9]{8,15}", re.ASCII)


def serve(
    provider: Provider, entry: Entry, incoming: WebhookRequest, checkout: Checkout
) -> Response:
    """Answer a GET or a POST of an order's checkout page.

    A form posts `decision`: "ask" with `operator` and `number`, "change", or a key of
    `payers.ANSWERS`; "approve" with the `pin`, without which a program pays in the payer's place.
    """
    refusal = refuses_decision(incoming) if incoming.method == "POST" else None
    return refusal or _Visit(provider, entry, incoming, checkout).reply()


class _Visit:
    """One request for the page of an order."""

    def __init__(
        self, provider: Provider, entry: Entry, incoming: WebhookRequest, checkout: Checkout
    ) -> None:
        self._provider = provider
        self._entry = entry
        self._checkout = checkout
        self._browses = "origin" in incoming.headers  # no program sends it with a form
        lang = query(incoming).get("lang", "")
        self._lang = lang if lang in LANGUAGES else checkout.lang
        posted = incoming.method == "POST"
        self._said: dict[str, Any] = (fields(incoming) or {}) if posted else {}
        end = entry.opened_at + timedelta(seconds=checkout.life)
        self._left = int((end - wall_time()).total_seconds())

    def reply(self) -> Response:
        """Do what a form says, if the order is still open; then the page is fetched anew."""
        if self._left <= 0:
            answer(self._provider, self._entry, "expire", by="checkout")
        decision, wrong = str(self._said.get("decision")), ""
        if self._entry.status.terminal:
            # A form that was sent twice, or too late: it is led back where the end is its own.
            mine = decision in ANSWERS and ANSWERS[decision].status is self._entry.status
            return self._leave() if mine else self._page()
        if decision == "ask":
            wrong = self._ask()
        elif decision == "change":
            self._entry.words.pop("chosen", None)
            self._provider.hang_up(self._entry)
        elif decision in ANSWERS:
            # A form that was sent twice is one try.
            left = str(self._entry.tries_left)
            if self._said.get("tries", left) == left:
                word, pin = checked_answer(decision), self._text("pin")
                answer(self._provider, self._entry, word, pin, by="checkout")
            failed = self._checkout.retries and "chosen" not in self._entry.words
            if self._entry.status.terminal or failed:
                return self._leave()
        else:
            return self._page()
        if wrong:
            return self._page(wrong=wrong, typed=self._text("number") or "")
        # To reload the page then repeats nothing.
        return Response(status=303, headers={"location": f"?lang={self._lang}"})

    def _ask(self) -> str:
        """Ask the payer whom a form names on the phone; return the field that is wrong."""
        checkout = self._checkout
        chosen = _chosen(checkout.operators, self._said.get("operator"))
        if chosen is None:
            return "means"
        if chosen.country and not checkout.locked:
            party = _party(chosen, self._text("number") or "")
            if party is None:
                return "number"
            self._entry.party = party
        self._entry.words["chosen"] = chosen.code
        word = chosen.code if chosen.word is None else chosen.word
        if word:
            self._entry.words["operator"] = word
        self._provider.hang_up(self._entry)  # what the number before would have done
        self._provider.ring(self._entry)
        return ""

    def _text(self, name: str) -> str | None:
        value = self._said.get(name)
        return value if isinstance(value, str) else None

    def _leave(self) -> Response:
        """Lead back; where that is no web address, or takes a form, the page shows the end.

        A browser goes on from our page, a program by a redirect: Chromium applies form-action to
        every redirect after a form, also to those of the shop, which may lead to any origin.
        """
        back = self._checkout.back()
        address = web_address(back.address) if back and back.fields is None else None
        if address is None or self._browses:
            return self._page(onward=address or "")
        return redirect(address)

    def _page(self, **filled: str) -> Response:
        view = View(
            provider=type(self._provider).__name__,
            entry=self._entry,
            checkout=self._checkout,
            lang=self._lang,
            left=self._left,
            pin=self._provider.core.payers.pin(self._entry),
            asked=_chosen(self._checkout.operators, self._entry.words.get("chosen")),
            **filled,
        )
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            "img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action {form_action(self._checkout.addresses)}"
        )
        return Response(
            status=422 if view.wrong else 200,
            headers={
                "content-type": "text/html; charset=utf-8",
                "content-security-policy": policy,
                "x-content-type-options": "nosniff",
                # With no-referrer our own form has `Origin: null`, and off this machine there is no
                # Sec-Fetch-Site to judge it by: a phone of the same network could not pay (tried).
                "referrer-policy": "same-origin",
                "cross-origin-resource-policy": "same-origin",
                "cache-control": "no-store",
            },
            body=view.html().encode("utf-8", "replace"),
        )


def _chosen(operators: Sequence[Operator], code: object) -> Operator | None:
    return next((one for one in operators if one.code == code), None)


def _party(operator: Operator, typed: str) -> str | None:
    """Read a number, local or international; None: it is none."""
    digits = re.sub(r"[ .()-]", "", typed)
    code = COUNTRIES[operator.country][0]
    if digits.startswith(("+", "00")):
        digits = digits.removeprefix("+").removeprefix("00")
    elif not (digits.startswith(code) and len(digits) > 10):
        digits = code + digits
    return digits if _DIGITS.fullmatch(digits) else None
