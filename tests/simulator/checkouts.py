"""Orders with a hosted checkout page, opened at each provider as its API wants it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from paymux.http import Response
from paymux.simulator import Simulator
from paymux.simulator.ledger import Entry

from .asking import CAMPAY, ask, told

SHOP = "https://shop.example"


class Page(NamedTuple):
    """A page of a provider: its path, the order behind it, and what the shop's text is."""

    path: str
    entry: Entry
    provider: str


class Texts(NamedTuple):
    """What a merchant writes into an order."""

    success: str = f"{SHOP}/return"
    failure: str = f"{SHOP}/cancel"
    description: str = "Commande 1042"
    shop: str = "Boutique Awa"


async def cinetpay(sim: Simulator, texts: Texts, more: Mapping[str, Any]) -> Any:
    """Open a payment at CinetPay, which has one way back, and no name of a shop."""
    order = {
        "apikey": "simulator",
        "site_id": "123456",
        "transaction_id": f"order-{len(sim.ledger)}",
        "amount": 5000,
        "currency": "XOF",
        "channels": "ALL",
        "description": texts.description,
        "notify_url": "http://127.0.0.1:9/notify",
        "return_url": texts.success,
        **more,
    }
    # The page must stand what the API would refuse, and a card without its owner's address.
    sim.cinetpay.special, sim.cinetpay.card = False, []
    said = await ask(sim, "POST", "/cinetpay/v2/payment", order, headers={"user-agent": "shop"})
    return told(said)["data"]["payment_url"]


async def cinetpay_v1(sim: Simulator, texts: Texts, more: Mapping[str, Any]) -> Any:
    """Open a payment at CinetPay's API of 2026."""
    agent = {"user-agent": "shop"}
    keys = {"api_key": "simulator", "api_password": "simulator"}
    entered = told(await ask(sim, "POST", "/cinetpay_v1/v1/oauth/login", keys, headers=agent))
    headers = {**agent, "authorization": f"Bearer {entered['access_token']}"}
    order = {
        "currency": "XOF",
        "merchant_transaction_id": f"ORDER-{len(sim.ledger)}",
        "amount": 5000,
        "lang": "fr",
        "designation": texts.description,
        "client_email": "awa@example.com",
        "client_first_name": "Awa",
        "client_last_name": "Kone",
        "success_url": texts.success,
        "failed_url": texts.failure,
        "notify_url": "http://127.0.0.1:9/notify",
        **more,
    }
    sim.cinetpay_v1.shop = texts.shop
    said = await ask(sim, "POST", "/cinetpay_v1/v1/payment", order, headers=headers)
    return told(said)["payment_url"]


async def paydunya(sim: Simulator, texts: Texts, more: Mapping[str, Any]) -> Any:
    """Open an invoice at PayDunya."""
    keys = {
        "paydunya-master-key": "simulator",
        "paydunya-private-key": "test_private_simulator",
        "paydunya-token": "simulator",
    }
    order = {
        "invoice": {"total_amount": 5000, "description": texts.description, **more},
        "store": {"name": texts.shop},
        "actions": {"return_url": texts.success, "cancel_url": texts.failure},
    }
    path = "/paydunya/sandbox-api/v1/checkout-invoice/create"
    return told(await ask(sim, "POST", path, order, headers=keys))["response_text"]


async def intram(sim: Simulator, texts: Texts, more: Mapping[str, Any]) -> Any:
    """Open a transaction at Intram."""
    keys = {"x-api-key": "simulator", "x-private-key": "simulator", "x-secret-key": "simulator"}
    sim.intram.urls_required = ()
    order = {
        "invoice": {"currency": "XOF", "amount": 5000, "description": texts.description, **more},
        "store": {"name": texts.shop},
        "actions": {"return_url": texts.success, "cancel_url": texts.failure},
    }
    said = await ask(sim, "POST", "/intram/api/v1/payments/request", order, headers=keys)
    return told(said)["receipt_url"]


async def campay(sim: Simulator, texts: Texts, more: Mapping[str, Any]) -> Any:
    """Open a payment link at CamPay, where the shop is the app."""
    order = {
        "amount": "5000",
        "currency": "XAF",
        "description": texts.description,
        "external_reference": f"order-{len(sim.ledger)}",
        "redirect_url": texts.success,
        "failure_redirect_url": texts.failure,
        **more,
    }
    said = await ask(sim, "POST", "/campay/api/get_payment_link/", order, headers=CAMPAY)
    return told(said)["link"]


async def pawapay(sim: Simulator, texts: Texts, more: Mapping[str, Any]) -> Any:
    """Open a payment page of pawaPay, which has one way back."""
    order = {
        "depositId": str(UUID(int=len(sim.ledger) + 1, version=4)),
        "returnUrl": texts.success,
        "amountDetails": {"amount": "5000", "currency": "XOF"},
        "country": "CIV",
        "reason": texts.description,
        **more,
    }
    headers = {"authorization": "Bearer simulator"}
    return told(await ask(sim, "POST", "/pawapay/v2/paymentpage", order, headers=headers))[
        "redirectUrl"
    ]


async def wave(sim: Simulator, texts: Texts, more: Mapping[str, Any]) -> Any:
    """Open a session at Wave, in Côte d'Ivoire."""
    sim.wave.calling_code = "225"
    order = {
        "amount": "5000",
        "currency": "XOF",
        "client_reference": f"order-{len(sim.ledger)}",
        "success_url": texts.success,
        "error_url": texts.failure,
        **more,
    }
    headers = {"authorization": "Bearer simulator"}
    said = await ask(sim, "POST", "/wave/v1/checkout/sessions", order, headers=headers)
    return told(said)["wave_launch_url"]


OPENERS: Mapping[str, Callable[[Simulator, Texts, Mapping[str, Any]], Awaitable[Any]]] = {
    "cinetpay": cinetpay,
    "cinetpay_v1": cinetpay_v1,
    "paydunya": paydunya,
    "intram": intram,
    "campay": campay,
}

# A page in English, and one of a single wallet, whose payer may try again.
OTHERS = {"pawapay": pawapay, "wave": wave}


async def opened(sim: Simulator, provider: str, texts: Texts | None = None, **more: Any) -> Page:
    """Open an order, with `more` fields of the provider's, and return its page."""
    url = await {**OPENERS, **OTHERS}[provider](sim, texts or Texts(), more)
    return Page(url.removeprefix(sim.url), [*sim.ledger][-1], provider)


async def post(sim: Simulator, page: Page, decision: str, **fields: Any) -> Response:
    """Send a form of the page, as a browser without JavaScript does."""
    headers = fields.pop("headers", None)
    lang = fields.pop("lang", "fr")
    body = {"decision": decision, **fields}
    return await ask(sim, "POST", f"{page.path}?lang={lang}", body, form=True, headers=headers)


async def shown(sim: Simulator, page: Page, lang: str = "fr") -> str:
    """Return the page's HTML."""
    reply = await ask(sim, "GET", f"{page.path}?lang={lang}")
    assert reply.status == 200
    return reply.body.decode()
