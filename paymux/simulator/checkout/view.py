"""The checkout page as HTML: every text is escaped, and no script is needed."""

import html
from collections.abc import Sequence

import msgspec

from ..ledger import Entry
from .addresses import web_address
from .offer import Back, Checkout
from .operators import COUNTRIES, Operator
from .words import LANGUAGES, duration, money, word

# The failures that a payer's phone may answer, beside a wrong PIN.
_FAILURES = ("no_money", "limit", "busy", "expire")
_CARD, _CHECKED, _CURRENT = ' class="card"', " checked", ' aria-current="true"'
_ALERT, _INVALID = ' role="alert"', ' aria-invalid="true"'
_MARKS = {"succeeded": "✓", "refunded": "✓", "failed": "✕", "cancelled": "✕", "expired": "!"}


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One page; `wrong`: the field that must be filled in again, "number" or "means".

    `onward`: where a browser goes from here by itself.
    """

    provider: str
    entry: Entry
    checkout: Checkout
    lang: str
    left: int
    pin: str
    asked: Operator | None = None
    wrong: str = ""
    typed: str = ""
    onward: str = ""

    def html(self) -> str:
        """Return the page of what the order is now."""
        if self.entry.status.terminal:
            body = self._ended()
        else:
            body = self._phone(self.asked) if self.asked else self._means()
        title = self._word("title", shop=self.checkout.shop, amount=self._amount())
        refresh = f'<meta http-equiv="refresh" content="0;url={_esc(self.onward)}">'
        onward = refresh if self.onward else ""
        languages = "".join(
            f'<a href="?lang={lang}" lang="{lang}" hreflang="{lang}"'
            f"{_CURRENT if lang == self.lang else ''}>{name}</a>"
            for lang, name in LANGUAGES.items()
        )
        return (
            f'<!doctype html><html lang="{self.lang}"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark">'
            f"<title>{title}</title>{onward}"
            '<link rel="icon" href="/_paymux/checkout.svg">'
            '<link rel="stylesheet" href="/_paymux/checkout.css">'
            '<script src="/_paymux/checkout.js" defer></script></head>'
            f'<body data-status="{self.entry.status}"><header>'
            f'<p class="banner">{self._word("simulated")}</p><div class="top">'
            f'<span class="provider">{_esc(self.provider)}</span>'
            f'<nav aria-label="{self._word("language")}">{languages}</nav></div></header>'
            f"<main>{self._order()}{body}</main></body></html>"
        )

    def _word(self, name: str, **inserted: object) -> str:
        return _esc(word(name, self.lang, **inserted))

    def _amount(self) -> str:
        return money(self.entry.amount, self.entry.currency, self.lang)

    def _order(self) -> str:
        """Show who asks for what, and until when."""
        description = self.checkout.description.strip()
        left = (
            f'<p class="left">{self._word("left")} '
            f'<strong data-left="{self.left}">{duration(self.left)}</strong></p>'
        )
        return (
            f'<section class="order"><h1>{_esc(self.checkout.shop)}</h1>'
            + (f'<p class="description">{_esc(description)}</p>' if description else "")
            + f'<p class="amount">{_esc(self._amount())}</p>'
            + ("" if self.entry.status.terminal else left)
            + "</section>"
        )

    def _form(self, inner: str) -> str:
        return f'<form method="post" action="?lang={self.lang}">{inner}</form>'

    def _button(self, decision: str, *, kind: str = "", **inserted: object) -> str:
        """Make a button that decides; of a form's fields, only `approve` needs any."""
        free = "" if decision in ("ask", "approve") else " formnovalidate"
        name = {"ask": "continue"}.get(decision, decision)
        return (
            f'<button name="decision" value="{decision}" class="{kind}"{free}>'
            f"{self._word(name, **inserted)}</button>"
        )

    def _cancel(self) -> str:
        return self._form(self._button("cancel", kind="quiet"))

    def _means(self) -> str:
        """Show how to pay: the operators by country, and the number."""
        missing = f'<p class="wrong"{_ALERT}>{self._word("bad_means")}</p>'
        return (
            self._form(
                f"<fieldset><legend>{self._word('means')}</legend>"
                + (missing if self.wrong == "means" else "")
                + self._operators()
                + f"</fieldset>{self._number()}{self._button('ask', kind='main')}"
            )
            + self._cancel()
        )

    def _number(self) -> str:
        wrong = self.wrong == "number"
        state = f"{_INVALID} autofocus" if wrong else ""
        state += " readonly" if self.checkout.locked else ""
        told = (
            f'<p id="told" class="wrong"{_ALERT}>{self._word("bad_number")}</p>'
            if wrong
            else f'<p id="told" class="hint">{self._word("number_hint")}</p>'
        )
        return (
            f'<div class="number"><label for="number">{self._word("number")}</label>'
            f'<input id="number" name="number" type="tel" inputmode="tel" autocomplete="tel" '
            f'value="{_esc(self.typed or self.entry.party or "")}" maxlength="30" '
            f'aria-describedby="told"{state}>{told}</div>'
        )

    def _operators(self) -> str:
        """Show the operators of the payer's country and the card; other countries are folded."""
        grouped: dict[str, list[Operator]] = {}
        for one in self.checkout.operators:
            grouped.setdefault(one.country, []).append(one)
        cards = grouped.pop("", [])
        first = self._likely(list(grouped))
        shown = [*grouped.pop(first, []), *cards]
        others = "".join(
            f'<div role="group" aria-label="{self._country(country)}">'
            f"<p>{self._country(country)}</p>{self._choices(operators)}</div>"
            for country, operators in grouped.items()
        )
        title = f"<p>{self._country(first)}</p>" if others else ""
        folded = f"<details><summary>{self._word('others')}</summary>{others}</details>"
        return title + self._choices(shown, checked=True) + (folded if others else "")

    def _choices(self, operators: Sequence[Operator], *, checked: bool = False) -> str:
        """Make a radio button for each; of those that are shown at first, the first is checked."""
        choices = "".join(
            f'<label class="operator"><input type="radio" name="operator" '
            f'value="{_esc(one.code)}"{"" if one.country else _CARD}'
            f"{_CHECKED if checked and one is operators[0] else ''}>"
            f'<span class="{_brand(one)}">{_esc(one.name)}</span></label>'
            for one in operators
        )
        return f'<div class="operators">{choices}</div>'

    def _country(self, country: str) -> str:
        return _esc(COUNTRIES[country][1 if self.lang == "fr" else 2])

    def _likely(self, countries: list[str]) -> str:
        """Return the country of the payer's number, else the first."""
        party = self.entry.party or ""
        codes = {one: COUNTRIES[one][0] for one in countries}
        usual = countries[0] if countries else ""
        return next((one for one, code in codes.items() if party.startswith(code)), usual)

    def _phone(self, asked: Operator) -> str:
        """Show the payer's phone, or the bank of a card, which asks for the PIN."""
        tries, amount = self.entry.tries_left, self._amount()
        wrong = tries < 3
        told = self._word("wrong_pin", tries=tries) if wrong else ""
        number = f"+{self.entry.party}" if asked.country and self.entry.party else ""
        title = self._word("phone" if asked.country else "bank")
        return (
            self._form(
                f'<section class="phone" aria-labelledby="phone"><h2 id="phone">{title}</h2>'
                f'<p class="{_brand(asked)}">{_esc(asked.name)} <span>{_esc(number)}</span></p>'
                f'<p id="asks">{self._word("asks", shop=self.checkout.shop, amount=amount)}</p>'
                f'<input type="hidden" name="tries" value="{tries}">'
                f'<label for="pin">{self._word("pin")}</label>'
                '<input id="pin" name="pin" type="password" inputmode="numeric" maxlength="8"'
                f' autocomplete="off" required autofocus aria-describedby="asks told hint"'
                f"{_INVALID if wrong else ''}>"
                f'<p id="told" class="wrong" role="alert">{told}</p>'
                f'<p id="hint" class="hint">{self._word("pin_hint", pin=self.pin)}</p>'
                f'<div class="answers">{self._button("approve", kind="main", amount=amount)}'
                f"{self._button('decline')}</div>"
                f'<p class="hint">{self._word("otherwise")}</p><div class="failures">'
                + "".join(self._button(one) for one in _FAILURES)
                + f"</div></section>{self._button('change', kind='quiet')}"
            )
            + self._cancel()
        )

    def _ended(self) -> str:
        """Show how the order ended, and the way back."""
        status, reason = self.entry.status, self.entry.reason
        name = status.value
        why = f"<p>{_esc(reason.text(self.lang))}</p>" if reason and name == "failed" else ""
        reference = self.entry.reference or self.entry.provider_reference
        return (
            f'<section class="ended {name}"><p class="mark" aria-hidden="true">{_MARKS[name]}</p>'
            f"<h2>{self._word(name)}</h2>{why}"
            f'<p class="reference">{self._word("reference")} <code>{_esc(reference)}</code></p>'
            f"{self._way(self.checkout.back())}</section>"
        )

    def _way(self, back: Back | None) -> str:
        address = web_address(back.address) if back else None
        if back is None:
            return f"<p>{self._word('close')}</p>"
        if address is None:
            refused = f"<p><code>{_esc(back.address)}</code></p>"
            return f'<p class="wrong">{self._word("refused_url")}</p>{refused}'
        if back.fields is None:
            return f'<a class="main" href="{_esc(address)}">{self._word("back")}</a>'
        inputs = "".join(
            f'<input type="hidden" name="{_esc(name)}" value="{_esc(value)}">'
            for name, value in back.fields.items()
        )
        return (
            f'<form method="post" action="{_esc(address)}">{inputs}'
            f'<button class="main">{self._word("back")}</button></form>'
        )


def _esc(text: object) -> str:
    return html.escape(str(text))


def _brand(one: Operator) -> str:
    """Return the class of an operator's colour: the first word of its name."""
    return f"brand {one.name.partition(' ')[0].lower().replace('-', '')}"
