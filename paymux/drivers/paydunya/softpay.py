"""SoftPay: an invoice that a network asks its payer for at once, without PayDunya's page.

https://developers.paydunya.com/doc/FR/softpay, as two integrators transcribed its fields: each
network has its own names for them. There is no sandbox path: the invoice's token decides. Wizall,
which has a step of its own, is in wizall.py.

Left out: `mtn-cameroun`, for an invoice has no currency, and no page says whether its 500 are XOF
or XAF there; and `card`, which only gives the address of the page that a plain `collect` opens.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ...errors import Rejected, UsageError
from ...http import Response, Send, post
from ...models import Customer, Operator, Order, Payment, Reason
from ...values.parsing import ProviderData, Text, Unreadable
from . import checkout

if TYPE_CHECKING:
    from . import PayDunya

ROOT = "/api/v1/softpay/"
_OTP_REFUSED = "expired otp"  # "Invalid or expired OTP code!", with HTTP 422
_OPEN = "its invoice can still be paid on the page of PayDunya, until it lapses after 24 hours"


class Way(NamedTuple):
    """A network's path, and its names for the fields."""

    path: str
    name: str
    email: str
    phone: str
    token: str
    otp: str = ""  # a code that the payer makes on the phone
    address: str = ""
    more: Mapping[str, str] = {}
    with_otp: Mapping[str, str] = {}  # where a code is one of two ways


_ORANGE_SN = Way(
    "new-orange-money-senegal",
    *("customer_name", "customer_email", "phone_number", "invoice_token"),
    otp="authorization_code",
    with_otp={"api_type": "OTPCODE"},  # without: a QR code and links into Orange's apps
)
_ORANGE_CI = Way(
    "orange-money-ci",
    *("orange_money_ci_customer_fullname", "orange_money_ci_email"),
    *("orange_money_ci_phone_number", "payment_token"),
    otp="orange_money_ci_otp",  # the payer dials #144*82#
)
_ORANGE_BF = Way(
    "orange-money-burkina",
    *("name_bf", "email_bf", "phone_bf", "payment_token"),
    otp="otp_code",
)
_ORANGE_ML = Way(
    "orange-money-mali",
    *("orange_money_mali_customer_fullname", "orange_money_mali_email"),
    *("orange_money_mali_phone_number", "payment_token"),
    address="orange_money_mali_customer_address",
)


def _own_page(path: str, prefix: str, more: Mapping[str, str] = {}) -> Way:
    """Return a network with a page of its own, whose names have its prefix."""
    name, email, phone = (f"{prefix}_{one}" for one in ("fullName", "email", "phone"))
    return Way(path, name, email, phone, f"{prefix}_payment_token", more=more)


def _usual(path: str, prefix: str, *, address: str = "", more: Mapping[str, str] = {}) -> Way:
    """Return a network whose names have its prefix, but that of the token."""
    name, email, phone = (
        f"{prefix}_{one}" for one in ("customer_fullname", "email", "phone_number")
    )
    return Way(path, name, email, phone, "payment_token", address=address, more=more)


def _mtn(path: str, prefix: str, wallet: str) -> Way:
    return _usual(path, prefix, more={f"{prefix}_wallet_provider": wallet})


_WAYS: Mapping[str, Mapping[Operator | None, Way]] = {
    "221": {
        "orange": _ORANGE_SN,
        "wave": _own_page("wave-senegal", "wave_senegal"),
        "free": Way(
            "free-money-senegal",
            *("customer_name", "customer_email", "phone_number", "payment_token"),
        ),
        "expresso": Way(
            "expresso-senegal",
            *("expresso_sn_fullName", "expresso_sn_email", "expresso_sn_phone", "payment_token"),
        ),
        "djamo": _own_page("djamo", "djamo", {"code_country": "sn"}),
    },
    "223": {
        "orange": _ORANGE_ML,
        "moov": Way(
            "moov-mali",
            *("moov_ml_customer_fullname", "moov_ml_email", "moov_ml_phone_number"),
            "payment_token",
            address="moov_ml_customer_address",
        ),
    },
    "225": {
        "orange": _ORANGE_CI,
        "mtn": _mtn("mtn-ci", "mtn_ci", "MTNCI"),
        "moov": _usual("moov-ci", "moov_ci"),
        "wave": _own_page("wave-ci", "wave_ci"),
        "djamo": _own_page("djamo", "djamo", {"code_country": "ci"}),
    },
    "226": {
        "orange": _ORANGE_BF,
        "moov": Way(
            "moov-burkina",
            *("moov_burkina_faso_fullName", "moov_burkina_faso_email"),
            *("moov_burkina_faso_phone_number", "moov_burkina_faso_payment_token"),
        ),
    },
    "228": {
        "tmoney": Way(
            "t-money-togo", *("name_t_money", "email_t_money", "phone_t_money", "payment_token")
        ),
        "moov": _usual("moov-togo", "moov_togo", address="moov_togo_customer_address"),
    },
    "229": {
        "moov": _usual("moov-benin", "moov_benin"),
        "mtn": _mtn("mtn-benin", "mtn_benin", "MTNBENIN"),
        "celtiis": Way(
            "celtiis-cash",
            *("celtiis_cash_customer_fullname", "celtiis_cash_customer_email"),
            *("celtiis_cash_phone_number", "payment_token"),
        ),
    },
}


class Push(ProviderData, frozen=True):
    """An answer of this API, which has no `response_code`."""

    success: bool | None = None
    message: Text = None
    url: Text = None  # of the network's own page, or of a QR code

    def started(self) -> bool:
        """Return whether the network was asked: nothing more."""
        if self.success is not True:
            raise Unreadable("success is not true")
        return True


async def collect(driver: "PayDunya", send: Send, order: Order) -> Payment:
    """Make an invoice, and let the network ask its payer, who confirms on the phone.

    An invoice whose page has no visitor moves nothing: it may be made again. The push is
    sent once; if its answer is lost, the invoice tells what became of it.
    """
    way = _way(order)
    fields = _fields(way, order)
    made = await send(checkout.create(driver, order, money=False))
    known = {"provider_reference": made.token or "", "checkout_url": made.response_text or ""}
    body = {**fields, way.token: made.token}
    said = await send(post(ROOT + way.path, Push, body, known=known, matches=Push.started))
    return msgspec.structs.replace(
        driver.pending(order),
        provider_reference=made.token,
        checkout_url=said.url,
        prompt=said.message,
    )


def refusal(reply: Response) -> Rejected | None:
    """Return that the network was not asked, or None: an answer proves no such thing."""
    said = reply.read(Push)
    if said is None or reply.status not in (200, 422):
        return None
    words = said.message or ""
    otp = reply.status == 422 and _OTP_REFUSED in words.lower()
    if said.success is not False and not otp:
        return None
    reason = Reason.WRONG_PIN if otp else None
    return Rejected("; ".join(filter(None, (words, _OPEN))), reason=reason)


def _way(order: Order) -> Way:
    """Return the way of an order's network in the country of its payer's number."""
    if not order.party:
        raise UsageError.missing("payer", "the number that `operator` asks for the money")
    ways = _WAYS[order.party[:3]]  # a number of one of the driver's countries
    way = ways.get(order.operator)
    if way is None:
        accepted = f"for +{order.party[:3]}, one of {', '.join(map(str, ways))}"
        raise UsageError.field("operator", order.operator, accepted)
    return way


def _fields(way: Way, order: Order) -> dict[str, str]:
    """Return the fields of a network's request, without the token."""
    who, otp = order.customer or Customer(), _otp(way, order)
    fields = {
        way.name: " ".join(filter(None, (who.name, who.surname))),
        way.email: who.email or "",
        way.phone: (order.party or "")[3:],  # "+228…" is refused as no number of Togo
        **way.more,
    }
    if way.address:
        if not who.address:
            raise UsageError.missing("customer.address", f"{way.path} asks for the payer's address")
        fields[way.address] = who.address
    return {**fields, **way.with_otp, way.otp: otp} if otp else fields


def _otp(way: Way, order: Order) -> str:
    """Return the code that the payer made on the phone, or an empty text: there is none."""
    otp = order.extra.get("otp", "")
    fits = isinstance(otp, str) and otp.isascii() and otp.isalnum() and len(otp) <= 12
    if otp != "" and not fits:
        raise UsageError.hidden("otp", "the code as text: up to 12 letters and digits")
    if otp and not way.otp:
        raise UsageError.hidden("otp", f"none: {way.path} takes no code")
    if way.otp and not way.with_otp and not otp:
        raise UsageError.missing("otp", f"{way.path} takes a code that the payer makes, in `extra`")
    return str(otp)
