"""What the shops share: one product, its order, and the two pages on which it is bought.

They need no JavaScript: a form, and a page of the order that loads itself again. SHOP_ACCOUNT is
the account that is paid, and SHOP_PRICE an amount in its currency; without them campay and 500 XAF.
"""

import os
import re
import sys
from collections.abc import Mapping
from html import escape
from string import Template
from typing import Any
from uuid import uuid4

from paymux import PaymuxError, Pool, Reason, Status, UsageError

ACCOUNT, PRICE = os.environ.get("SHOP_ACCOUNT", "campay"), os.environ.get("SHOP_PRICE", "500 XAF")
PAGE = Template("""<!doctype html><html lang="en"><meta charset="utf-8"><title>Coffee</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; --ink: #22201c; --paper: #f4efe6; --go: #0a6440; --on: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ink: #f2ede4; --paper: #1c1a17; --go: #6fd8a4; --on: #06281a } }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; text-align: center;
  background: var(--paper); color: var(--ink); font: 1.125rem/1.5 system-ui, sans-serif }
main { box-sizing: border-box; width: min(24rem, 100%); padding: 1.5rem }
input, button, a { display: block; box-sizing: border-box; width: 100%; margin: .5rem 0 1rem;
  padding: .6rem; border: 2px solid var(--go); border-radius: .5rem; font: inherit;
  text-align: center; text-decoration: none; background: none; color: inherit }
button, a { background: var(--go); color: var(--on) } :focus-visible { outline: 3px solid }
</style><main>$body</main></html>""")
FORM = Template("""<h1>A cup of coffee</h1><p role="alert" id="wrong">$wrong</p>
<form method="post" action="/orders"><input type="hidden" name="reference" value="$reference">
$phone<button>Pay $price</button></form>""")
PHONE = """<label for="phone">Your mobile money number</label><input id="phone" name="phone"
type="tel" autocomplete="tel" aria-describedby="wrong" required>"""
# Without JavaScript the page loads again; with it only the words, which a screen reader announces.
AGAIN = """<noscript><meta http-equiv="refresh" content="2"></noscript><script>
const shown = document.querySelector("[role=status]"), again = setInterval(async () => {
  const text = await fetch(location).then(answer => answer.text()).catch(() => "")
  const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("[role=status]")
  if (fresh && fresh.innerHTML !== shown.innerHTML) shown.innerHTML = fresh.innerHTML
  if (fresh && !text.includes("noscript")) clearInterval(again)
}, 1000)</script>"""
OURS = re.compile("order-[0-9a-f-]{36}")
PENDING = "Not paid yet", "Confirm on your phone. If it does not ask, wait here."
PAID = "Paid, thank you", "Your coffee is being made."


def pool() -> Pool:
    """Make the pool of the settings; what is missing ends the program with a sentence."""
    try:
        return Pool.from_config()
    except UsageError as wrong:
        sys.exit(f"{wrong}\nTo try it without an account: paymux simulator -- python {sys.argv[0]}")


def order(pay: Pool, form: Mapping[str, Any]) -> dict[str, Any]:
    """Return an order for `collect`: the price is ours, the number is the buyer's."""
    reference = str(form.get("reference"))  # made with the form: sent twice, it is one order
    url = f"{pay.webhook_url(ACCOUNT).rpartition('/pay/')[0]}/orders/{reference}"
    page = {"description": "Coffee", "return_url": url, "cancel_url": url}
    takes, (amount, currency) = pay.drivers[ACCOUNT].takes, PRICE.split()
    taken: dict[str, Any] = {name: text for name, text in page.items() if name in takes}
    ours = {"reference": reference if OURS.fullmatch(reference) else "", "currency": currency}
    return {**taken, **ours, "amount": amount, "payer": form.get("phone") or None}


def product(pay: Pool, wrong: PaymuxError | None = None) -> str:
    """Return the page of the product; `wrong`: why nothing was sent."""
    print("not sent:", wrong) if wrong else None
    number = isinstance(wrong, UsageError) and wrong.name == "payer" and wrong.accepted
    said = f"Please give {number}." if number else "You were not charged. Please try again."
    asks = "" if "return_url" in pay.drivers[ACCOUNT].takes else PHONE  # its own page asks
    words = {"price": PRICE, "phone": asks, "reference": f"order-{uuid4()}"}
    return PAGE.substitute(body=FORM.substitute(words, wrong=escape(said) if wrong else ""))


async def shown(pay: Pool, reference: str) -> tuple[str, int]:
    """Return the page of an order, and its HTTP status."""
    payment = await pay.payment(ACCOUNT, reference) if OURS.fullmatch(reference) else None
    if payment is None:
        return PAGE.substitute(body='<h1>No such order</h1><a href="/">To the shop</a>'), 404
    ended, why = payment.status.terminal, ("Not paid", (payment.reason or Reason.OTHER).text())
    title, text = {Status.PENDING: PENDING, Status.SUCCEEDED: PAID}.get(payment.status, why)
    url, label = ("/", "To the shop") if ended else (payment.checkout_url, "Go on paying")
    link = f'<a href="{escape(url)}">{label}</a>' if url else ""
    said = f'<div role="status"><h1>{title}</h1><p>{text}</p>{link}</div>'
    return PAGE.substitute(body=said if ended else said + AGAIN), 200
