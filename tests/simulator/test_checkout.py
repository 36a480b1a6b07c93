"""The hosted checkout pages without a browser: they ask, decide once, and lead back."""

import html
import re
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from paymux import Reason, Status
from paymux.http import Response
from paymux.simulator import Simulator
from paymux.simulator.checkout.addresses import form_action, web_address
from paymux.simulator.checkout.words import money
from paymux.simulator.payers import Payer

from .asking import ask, raw, until
from .checkouts import OPENERS, SHOP, Page, Texts, opened, post, shown

PROVIDERS = pytest.mark.parametrize("provider", sorted(OPENERS))
OPERATORS = {
    "campay": "ORANGE",
    "cinetpay": "WAVE_CI",
    "cinetpay_v1": "WAVE_CI",
    "intram": "moov-benin",
    "paydunya": "wave-senegal",
}
# The card of each provider that takes one.
CARDS = {"cinetpay": "CREDIT_CARD", "paydunya": "card", "intram": "visa", "campay": "CARD"}
# Whether the payer comes back to the first address, by provider: CinetPay has only that.
FAILURE = {"cinetpay": "return"}


async def asked(sim: Simulator, provider: str, texts: Texts | None = None) -> Page:
    """Open an order whose payer has chosen an operator, and holds the phone."""
    page = await opened(sim, provider, texts)
    reply = await post(sim, page, "ask", operator=OPERATORS[provider], number="07 07 07 07 07")
    assert (reply.status, reply.headers["location"]) == (303, "?lang=fr")
    return page


def led_back(reply: Response, name: str) -> bool:
    """Return whether the answer sends the browser to this page of the shop."""
    return reply.status == 302 and reply.headers["location"].startswith(f"{SHOP}/{name}")


@PROVIDERS
async def test_a_payer_pays_with_the_pin(provider: str) -> None:
    """Operator and number, then the phone, then the PIN 0000: one charge, and the way back."""
    sim = Simulator()
    page = await opened(sim, provider)
    first = await shown(sim, page)
    assert "aucun argent ne bouge" in first
    assert "5\u202f000\u00a0X" in first
    assert "Commande 1042" in first
    assert 'name="pin"' not in first
    page = await asked(sim, provider)
    phone = await shown(sim, page)
    assert 'name="pin"' in phone
    assert f"+{page.entry.party}" in phone
    assert led_back(await post(sim, page, "approve", pin="0000"), "return")
    assert page.entry.status is Status.SUCCEEDED
    assert sim.ledger.charged(page.entry.provider_reference) == 5000
    assert "Paiement réussi" in await shown(sim, page)


@PROVIDERS
async def test_the_third_wrong_pin_fails_the_payment(provider: str) -> None:
    """The tries left are shown; a form that is sent twice is one try."""
    sim = Simulator()
    page = await asked(sim, provider)
    for left in (2, 1):
        for _ in range(2):
            assert (await post(sim, page, "approve", pin="1", tries=left + 1)).status == 303
        assert f"Essais restants\u00a0: {left}." in await shown(sim, page)
    assert led_back(
        await post(sim, page, "approve", pin="", tries=1), FAILURE.get(provider, "cancel")
    )
    assert (page.entry.status, page.entry.reason) == (Status.FAILED, Reason.WRONG_PIN)
    assert Reason.WRONG_PIN.text("fr") in await shown(sim, page)


@PROVIDERS
@pytest.mark.parametrize(
    ("decision", "status", "reason"),
    [
        ("decline", Status.FAILED, Reason.DECLINED),
        ("no_money", Status.FAILED, Reason.INSUFFICIENT_FUNDS),
        ("limit", Status.FAILED, Reason.LIMIT),
        ("busy", Status.FAILED, Reason.BUSY),
        ("expire", Status.EXPIRED, Reason.EXPIRED),
        ("cancel", Status.CANCELLED, Reason.CANCELLED),
    ],
)
async def test_a_payer_who_does_not_pay_is_led_back(
    provider: str, decision: str, status: Status, reason: Reason
) -> None:
    """Each answer ends the payment unpaid; sent again it decides nothing, and leads back again."""
    sim = Simulator()
    page = await asked(sim, provider)
    for _ in range(2):
        gone = await post(sim, page, decision, pin="")
        assert led_back(gone, FAILURE.get(provider, "cancel"))
    assert (page.entry.status, page.entry.reason) == (status, reason)
    assert sim.ledger.charged(page.entry.provider_reference) == 0


@PROVIDERS
async def test_what_was_decided_elsewhere_is_shown_with_the_way_back(provider: str) -> None:
    """A page that stood open pays nothing more: it says how the payment ended."""
    sim = Simulator()
    page = await asked(sim, provider)
    sim.settle(page.entry.provider_reference, Status.FAILED, reason=Reason.LIMIT)
    late = await post(sim, page, "approve", pin="0000", lang="en")
    assert late.status == 200
    assert "Payment failed" in late.body.decode()
    assert f'href="{SHOP}/{FAILURE.get(provider, "cancel")}' in late.body.decode()
    assert sim.ledger.charged(page.entry.provider_reference) == 0


@PROVIDERS
async def test_a_page_expires(provider: str) -> None:
    """After its time a payment can no longer be paid; before, the page says how long is left."""
    sim = Simulator()
    with time_machine.travel("2026-12-01T06:41:00Z", tick=False) as clock:
        page = await asked(sim, provider)
        life = sim.providers[provider].page_life  # type: ignore[attr-defined]  # of these four
        clock.shift(life - 45)
        assert 'data-left="45">45 s<' in await shown(sim, page)
        clock.shift(45)
        late = await post(sim, page, "approve", pin="0000")
    assert "Paiement expiré" in late.body.decode()
    assert page.entry.status is Status.EXPIRED
    assert sim.ledger.charged(page.entry.provider_reference) == 0


@PROVIDERS
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
    ],
)
async def test_another_page_cannot_decide(provider: str, headers: dict[str, str]) -> None:
    """A form of another origin, of another port of this machine too, is refused."""
    sim = Simulator()
    page = await asked(sim, provider)
    refused = await post(sim, page, "approve", headers={"host": "127.0.0.1:8765", **headers})
    assert (refused.status, page.entry.status) == (403, Status.PENDING)


@PROVIDERS
async def test_our_own_page_may_decide(provider: str) -> None:
    """A form of this page is accepted, on this machine and from a phone of the same network."""
    sim = Simulator()
    page = await asked(sim, provider)
    own = {**BROWSER, "sec-fetch-site": "same-origin"}
    assert (await post(sim, page, "decline", tries="0", headers=own)).status == 303
    assert (await post(sim, page, "approve", pin="0000", headers=BROWSER)).status == 200
    assert page.entry.status is Status.SUCCEEDED


BROWSER = {"host": "127.0.0.1:8765", "origin": "http://127.0.0.1:8765"}
HOSTILE = '"><script>alert(1)</script><!-- {shop} %s &amp;'


@PROVIDERS
async def test_hostile_texts_stay_texts(provider: str) -> None:
    """Names and descriptions are escaped on every page, and close no attribute."""
    sim = Simulator()
    page = await asked(sim, provider, Texts(description=HOSTILE, shop=HOSTILE))
    page.entry.reference = HOSTILE
    pages = [await shown(sim, page)]
    await post(sim, page, "decline")
    pages.append(await shown(sim, page))
    for one in pages:
        assert html.escape(HOSTILE) in one
        assert "<script>" not in one
        assert "<!--" not in one


@PROVIDERS
@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)//",
        "data:text/html,<script>alert(1)</script>",
        "https://shop.example/\r\nset-cookie: a=b",
        "http://a;script-src *.evil/",
        "//shop.example/",
        "file:///etc/passwd",
    ],
)
async def test_an_address_that_is_no_web_address_is_refused_or_shown(
    provider: str, address: str
) -> None:
    """It is neither followed, nor a link, nor in the page's policy."""
    sim = Simulator()
    sent = Texts(success=address, failure=address)
    try:
        page = await opened(sim, provider, sent)
    except KeyError:
        return  # CinetPay (both APIs) and Intram refuse the order
    gone = await post(sim, page, "decline")
    assert (gone.status, gone.headers.get("location")) == (200, None)
    text = gone.body.decode()
    assert not re.search(r'(?:href|action)="(?!\?|/_paymux/)', text)
    assert "n'est pas une adresse web" in html.unescape(text)
    assert gone.headers["content-security-policy"].endswith("; form-action 'self'")


@pytest.mark.parametrize(
    ("written", "sent", "allowed"),
    [
        ("https://shop.example/a?b=c", "https://shop.example/a?b=c", "https://shop.example"),
        ("http://localhost:3000", "http://localhost:3000", "http://localhost:3000"),
        ("HTTPS://Shop.Example/É", "HTTPS://Shop.Example/%C3%89", "https://shop.example"),
        ("http://[::1]:80/a", "http://[::1]:80/a", "http:"),
        ("http://my_app:8000/a b", "http://my_app:8000/a%20b", "http:"),
        ("https://éts.example/", "https://%C3%A9ts.example/", "https://xn--ts-9ia.example"),
        ("https://shop.example:99999/", None, None),
        ("https://[::1/", None, None),
        ("https://", None, None),
        ("https://a\u202eb.example/", None, None),
        (7, None, None),
    ],
)
def test_where_a_browser_may_be_sent(written: Any, sent: str | None, allowed: str | None) -> None:
    """Only to web addresses; the policy names their origin, or their scheme where it cannot."""
    assert web_address(written) == sent
    assert form_action([written]) == " ".join(["'self'", *([allowed] if allowed else [])])


@PROVIDERS
async def test_the_headers_let_the_page_load_nothing_else(provider: str) -> None:
    """The policy is the one of the simulator's pages, with the origins of the shop for forms."""
    sim = Simulator()
    page = await opened(sim, provider, Texts("http://a.test:1/x", "https://b.test/y"))
    headers = (await ask(sim, "GET", page.path)).headers
    origins = "http://a.test:1" if provider == "cinetpay" else "http://a.test:1 https://b.test"
    assert headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' {origins}"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@PROVIDERS
async def test_a_wrong_choice_is_said_at_its_field(provider: str) -> None:
    """A number that is none, and an operator that the provider has not, are asked for again."""
    sim = Simulator()
    page = await opened(sim, provider)
    bad = await post(sim, page, "ask", operator=OPERATORS[provider], number="12<b>")
    assert bad.status == 422
    assert 'value="12&lt;b&gt;"' in bad.body.decode()
    assert 'aria-invalid="true"' in bad.body.decode()
    none = await post(sim, page, "ask", operator="M-PESA", number="0707070707")
    assert (none.status, "Choisissez un moyen" in none.body.decode()) == (422, True)
    assert page.entry.words.get("chosen") is None


@pytest.mark.parametrize("provider", sorted(CARDS))
async def test_a_card_needs_no_number(provider: str) -> None:
    """The bank asks in the phone's place; the payer may go back and choose anew."""
    sim = Simulator()
    page = await opened(sim, provider)
    assert (await post(sim, page, "ask", operator=CARDS[provider])).status == 303
    assert "Votre banque" in await shown(sim, page)
    assert (await post(sim, page, "change")).status == 303
    assert 'name="operator"' in await shown(sim, page)
    await post(sim, page, "ask", operator=CARDS[provider])
    assert led_back(await post(sim, page, "approve", pin="0000"), "return")


@pytest.mark.parametrize(
    ("provider", "fields", "offered"),
    [
        ("campay", {"payment_options": "MOMO"}, ["MTN", "ORANGE"]),
        ("campay", {"payment_options": "CARD"}, ["CARD"]),
        ("campay", {"payment_options": None}, ["MTN", "ORANGE", "CARD"]),
        ("cinetpay", {"currency": "XAF"}, ["OM_CM", "MTN_CM", "CREDIT_CARD"]),
        ("cinetpay", {"currency": "GNF", "channels": "MOBILE_MONEY"}, ["OM_GN", "MTN_GN"]),
        ("cinetpay", {"channels": "CREDIT_CARD"}, ["CREDIT_CARD"]),
        ("cinetpay_v1", {}, ["OM_CI", "MOOV_CI", "MTN_CI", "WAVE_CI"]),
        ("cinetpay_v1", {"payment_method": "WAVE_CI"}, ["WAVE_CI"]),
        ("intram", {"channels": ["visa", "mtn-benin", "?", []]}, ["mtn-benin", "visa"]),
        ("paydunya", {"channels": ["wave-ci", "card"]}, ["wave-ci", "card"]),
        ("paydunya", {"channels": ["mtn-benin", "wave-ci"]}, ["mtn-benin", "wave-ci"]),
    ],
)
async def test_the_operators_are_those_of_the_order(
    provider: str, fields: dict[str, Any], offered: list[str]
) -> None:
    """Those of the currency's countries, and of the channels that the order allows."""
    sim = Simulator()
    page = await opened(sim, provider, **fields)
    found = re.findall(r'name="operator" value="([^"]+)"', await shown(sim, page))
    assert found == offered


async def test_what_was_chosen_is_in_the_payment() -> None:
    """The provider's answers name the operator that the payer chose, and the number."""
    sim = Simulator()
    words = {"campay": "ORANGE", "cinetpay": "WAVE_CI", "cinetpay_v1": "WAVE_CI", "intram": "MOOV"}
    for provider, word in words.items():
        page = await asked(sim, provider)
        assert page.entry.words["operator"] == word
        assert str(page.entry.party).endswith("0707070707")


async def test_a_locked_number_stays() -> None:
    """CinetPay's lock_phone_number: the payer sees the order's number, and cannot change it."""
    sim = Simulator()
    number: dict[str, Any] = {"lock_phone_number": True, "customer_phone_number": "+2250707123456"}
    page = await opened(sim, "cinetpay", **number)
    assert 'value="2250707123456" maxlength="30" aria-describedby="told" readonly' in (
        await shown(sim, page)
    )
    await post(sim, page, "ask", operator="WAVE_CI", number="0500000000")
    assert page.entry.party == "2250707123456"


@PROVIDERS
async def test_the_page_is_the_payers_phone(provider: str) -> None:
    """The payer is asked once the page asks; their own PIN pays, and the history names the page."""
    sim = Simulator(payers="ask")
    page = await opened(sim, provider)
    assert not page.entry.asks
    sim.core.payers.put(Payer(number=page.entry.party or "", pin="2580"))
    page = await asked(sim, provider)
    sim.core.payers.put(Payer(number=page.entry.party or "", pin="2580"))
    assert page.entry.asks
    assert "2580 paie" in await shown(sim, page)
    await post(sim, page, "change")
    assert not page.entry.asks
    await post(sim, page, "ask", operator=OPERATORS[provider], number="07 07 07 07 07")
    await post(sim, page, "approve", pin="0000")
    assert page.entry.tries_left == 2
    await post(sim, page, "approve", pin="2580")
    assert [one.by for one in page.entry.history] == ["order", "checkout"]


async def test_a_magic_number_decides_by_itself() -> None:
    """A number with a meaning that is entered on the page does what it says."""
    async with Simulator(payer_delay=0.0) as sim:
        page = await opened(sim, "cinetpay")
        await post(sim, page, "ask", operator="WAVE_CI", number="+225 07 00 00 00 01")
        await until(lambda: page.entry.status.terminal)
    assert page.entry.reason is Reason.INSUFFICIENT_FUNDS


async def test_a_browser_goes_on_from_our_page() -> None:
    """No redirect follows its form, so that the policy cannot stop those of the shop."""
    sim = Simulator()
    page = await opened(sim, "campay", Texts(success="https://shop.example/a?b='\"<c>;d"))
    gone = await post(sim, page, "approve", headers=BROWSER)
    [to] = re.findall(r'<meta http-equiv="refresh" content="0;url=([^"]*)">', gone.body.decode())
    assert gone.status == 200
    assert html.unescape(to).startswith(
        "https://shop.example/a?b='%22%3Cc%3E;d?external_reference="
    )
    assert "refresh" not in await shown(sim, page)


@PROVIDERS
async def test_half_a_character_breaks_nothing(provider: str) -> None:
    """A lone surrogate, which no UTF-8 has, is shown as a question mark."""
    sim = Simulator()
    page = await opened(sim, provider, Texts(description="\ud800", shop="\ud800"))
    page.entry.reference = "\ud800"
    assert "?" in await shown(sim, page)
    assert (await post(sim, page, "approve")).status == 302
    assert "Paiement réussi" in await shown(sim, page)


async def test_the_languages() -> None:
    """French by default, English on demand; CinetPay's order may ask for English."""
    sim = Simulator()
    page = await opened(sim, "paydunya")
    assert '<html lang="fr">' in (await ask(sim, "GET", page.path)).body.decode()
    english = await shown(sim, page, "en")
    assert '<html lang="en">' in english
    assert "5,000\u00a0XOF" in english
    assert "no money moves" in english
    link = await opened(sim, "cinetpay")
    link.entry.words["lang"] = "en"
    assert '<html lang="en">' in (await ask(sim, "GET", link.path)).body.decode()
    assert '<html lang="fr">' in await shown(sim, link, "fr")


def test_money_has_its_currencys_decimals() -> None:
    """Francs have none, dollars two, with each language's marks."""
    assert money(Decimal(1234567), "XAF", "fr") == "1\u202f234\u202f567\u00a0XAF"
    assert money(Decimal("1234.5"), "USD", "fr") == "1\u202f234,50\u00a0USD"
    assert money(Decimal("1234.5"), "USD", "en") == "1,234.50\u00a0USD"


async def test_a_pin_is_in_no_log() -> None:
    """A payer may type a real one: the request log of the simulator's page hides it."""
    async with Simulator() as sim:
        page = await asked(sim, "intram")
        await post(sim, page, "approve", pin="4711")
        [*_, last] = sim.requests
        shown_row = await raw(sim, "GET", f"/_paymux/requests/{last.n}")
    assert b"decision=approve" in shown_row
    assert b"4711" not in shown_row


async def test_a_payer_needs_no_token() -> None:
    """Where the control API wants its token, the page and its files are open to a phone."""
    async with Simulator() as sim:
        sim.access.token = "of the person who started it"
        page = await opened(sim, "campay")
        assert b" 200 " in (await raw(sim, "GET", page.path))[:20]
        for name in ("checkout.css", "checkout.js", "checkout.svg"):
            assert b" 200 " in (await raw(sim, "GET", f"/_paymux/{name}"))[:20]
        assert b" 200 " not in (await raw(sim, "GET", "/_paymux/payments"))[:20]


async def test_a_link_without_addresses_ends_on_its_page() -> None:
    """Nothing to lead back to: the page says that it can be closed."""
    sim = Simulator()
    for provider in ("paydunya", "intram", "campay"):
        page = await opened(sim, provider, Texts(success="", failure=""))
        ended = await post(sim, page, "approve", lang="en")
        assert (ended.status, "You can close this page" in ended.body.decode()) == (200, True)
