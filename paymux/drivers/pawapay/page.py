"""The payment page: https://docs.pawapay.io/v2/api-reference/payment-page.

The session lasts 15 minutes. The deposit has the id of a collect with the same reference, so it is
found by that, and cannot be paid twice.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypedDict

from ...errors import UsageError
from ...http import Send, post
from ...models import Payment
from ...values import arguments
from ...values.money import exact
from ...values.parsing import ProviderData, Text, Unreadable
from ...values.validation import checked_reference, checked_url
from .orders import shown, written

if TYPE_CHECKING:
    from . import PawaPay

_REASON_CHARS = 50
_LANGUAGES = ("EN", "FR")


class Shown(TypedDict, total=False):
    """What the page shows, and what its payer cannot change there."""

    amount: int | str | Decimal
    currency: str
    country: str
    payer: str
    description: str
    language: Literal["EN", "FR"]


class Page(ProviderData, frozen=True, rename="camel"):
    """A payment page that was made."""

    redirect_url: Text = None

    def answers(self) -> bool:
        """Return whether it has an address."""
        if not self.redirect_url:
            raise Unreadable("the answer has no redirectUrl")
        return True


async def open_page(
    driver: "PawaPay", send: Send, reference: str, return_url: str, given: Shown
) -> Payment:
    """Open a page, which charges no payer."""
    for name in given.keys() - Shown.__annotations__.keys():
        raise UsageError.field("option", name, ", ".join(Shown.__annotations__))
    id = driver.id_of("collect", checked_reference(reference))
    currency = given.get("currency")
    total = _total(driver, given)
    payer = given.get("payer")
    party = None if payer is None else driver.party("collect", payer)
    language = given.get("language")
    if language not in (None, *_LANGUAGES):
        raise UsageError.field("language", language, ", ".join(_LANGUAGES))
    said = given.get("description")
    description = "" if said is None else arguments.text("description", said, longest=500)
    body = {
        "depositId": id,
        "returnUrl": checked_url("return_url", return_url, query=True),
        "customerMessage": shown(description),
        "amountDetails": total and {"amount": written(total), "currency": currency},
        "phoneNumber": party,
        "language": language,
        "country": given.get("country"),
        "reason": description[:_REASON_CHARS].strip(),
    }
    sent = {name: value for name, value in body.items() if value}
    opens = post("/v2/paymentpage", Page, sent, money=False, matches=Page.answers)
    return Payment(
        account=driver.account,
        provider=driver.name,
        kind="collect",
        live=driver.live,
        reference=reference,
        provider_reference=id,
        amount=total,
        currency=currency if total else None,
        payer=party,
        checkout_url=(await send(opens)).redirect_url,
    )


def _total(driver: "PawaPay", given: Shown) -> Decimal | None:
    if "amount" not in given:
        return None
    currency, country = given.get("currency", ""), given.get("country", "")
    if currency not in driver.currencies:
        raise UsageError.field("currency", currency, ", ".join(sorted(driver.currencies)))
    if not country:
        raise UsageError.missing("country", "an amount needs it, in three letters: ZMB")
    arguments.text("country", country, longest=3)
    return exact(given["amount"], currency, driver.decimals)
