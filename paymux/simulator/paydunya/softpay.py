"""SoftPay: a network asks the payer of an invoice at once.

https://developers.paydunya.com/doc/FR/softpay; its fields are those of two transcriptions of it.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ...http import Response
from ..replies import json_reply
from .wizall import WIZALL, Wizall

if TYPE_CHECKING:
    from . import PayDunya

_LOCAL = re.compile(r"[0-9]{8,10}", re.ASCII)


class Form(NamedTuple):
    """What a network's request has."""

    country: str  # its calling code
    phone: str
    token: str
    needed: tuple[str, ...]  # the other fields that must be there
    otp: str = ""
    fixed: Mapping[str, tuple[str, ...]] = {}  # fields of certain values
    page: str = ""  # the network's own page, in the answer


_FORMS: Mapping[str, Form] = {
    "new-orange-money-senegal": Form(
        "221",
        "phone_number",
        "invoice_token",
        ("customer_name", "customer_email"),
        page="https://qrcode.orange.example/pay",
    ),
    "wave-senegal": Form(
        "221",
        "wave_senegal_phone",
        "wave_senegal_payment_token",
        ("wave_senegal_fullName", "wave_senegal_email"),
        page="https://pay.wave.com/c/cos-simulator",
    ),
    "free-money-senegal": Form(
        "221", "phone_number", "payment_token", ("customer_name", "customer_email")
    ),
    "expresso-senegal": Form(
        "221",
        "expresso_sn_phone",
        "payment_token",
        ("expresso_sn_fullName", "expresso_sn_email"),
    ),
    "djamo": Form(
        "",  # code_country tells it
        "djamo_phone",
        "djamo_payment_token",
        ("djamo_fullName", "djamo_email"),
        fixed={"code_country": ("sn", "ci")},
        page="https://pay.djamo.example/c/1",
    ),
    "orange-money-ci": Form(
        "225",
        "orange_money_ci_phone_number",
        "payment_token",
        ("orange_money_ci_customer_fullname", "orange_money_ci_email"),
        otp="orange_money_ci_otp",
    ),
    "mtn-ci": Form(
        "225",
        "mtn_ci_phone_number",
        "payment_token",
        ("mtn_ci_customer_fullname", "mtn_ci_email"),
        fixed={"mtn_ci_wallet_provider": ("MTNCI",)},
    ),
    "moov-ci": Form(
        "225",
        "moov_ci_phone_number",
        "payment_token",
        ("moov_ci_customer_fullname", "moov_ci_email"),
    ),
    "wave-ci": Form(
        "225",
        "wave_ci_phone",
        "wave_ci_payment_token",
        ("wave_ci_fullName", "wave_ci_email"),
        page="https://pay.wave.com/c/cos-simulator",
    ),
    "orange-money-burkina": Form(
        "226", "phone_bf", "payment_token", ("name_bf", "email_bf"), otp="otp_code"
    ),
    "moov-burkina": Form(
        "226",
        "moov_burkina_faso_phone_number",
        "moov_burkina_faso_payment_token",
        ("moov_burkina_faso_fullName", "moov_burkina_faso_email"),
    ),
    "moov-benin": Form(
        "229",
        "moov_benin_phone_number",
        "payment_token",
        ("moov_benin_customer_fullname", "moov_benin_email"),
    ),
    "mtn-benin": Form(
        "229",
        "mtn_benin_phone_number",
        "payment_token",
        ("mtn_benin_customer_fullname", "mtn_benin_email"),
        fixed={"mtn_benin_wallet_provider": ("MTNBENIN",)},
    ),
    "celtiis-cash": Form(
        "229",
        "celtiis_cash_phone_number",
        "payment_token",
        ("celtiis_cash_customer_fullname", "celtiis_cash_customer_email"),
    ),
    "t-money-togo": Form(
        "228", "phone_t_money", "payment_token", ("name_t_money", "email_t_money")
    ),
    "moov-togo": Form(
        "228",
        "moov_togo_phone_number",
        "payment_token",
        ("moov_togo_customer_fullname", "moov_togo_email", "moov_togo_customer_address"),
    ),
    "orange-money-mali": Form(
        "223",
        "orange_money_mali_phone_number",
        "payment_token",
        (
            "orange_money_mali_customer_fullname",
            "orange_money_mali_email",
            "orange_money_mali_customer_address",
        ),
    ),
    "moov-mali": Form(
        "223",
        "moov_ml_phone_number",
        "payment_token",
        ("moov_ml_customer_fullname", "moov_ml_email", "moov_ml_customer_address"),
    ),
}


class SoftPay:
    """The pushes of an application; a test may change every attribute."""

    def __init__(self, paydunya: "PayDunya") -> None:
        self._paydunya = paydunya
        self.enabled = True
        self.otp = "654321"  # the one code that is right
        self.fees = 0
        self.wizall = Wizall(paydunya)

    def answer(self, way: str, body: dict[str, Any]) -> Response:
        """Ask the payer of an invoice, whose token is in the body."""
        if way in (WIZALL, f"{WIZALL}/confirm") and self.enabled:
            return self.wizall.answer(way, body)
        form = _FORMS.get(way)
        if form is None or not self.enabled:
            return self._no("Ce moyen de paiement n'est pas disponible")
        token, phone = str(body.get(form.token) or ""), str(body.get(form.phone) or "")
        entry = self._paydunya.entry(token)
        missing = [name for name in form.needed if name not in body]
        wrong = [name for name, said in form.fixed.items() if body.get(name) not in said]
        if missing or wrong:
            return self._no(f"Le champ {(missing + wrong)[0]} est obligatoire")
        if not _LOCAL.fullmatch(phone):
            return self._no("Désolé, vous devez fournir un numéro valide")
        if entry is None or entry.kind != "collect" or entry.status.terminal:
            return self._no("Facture introuvable")
        if self._has_wrong_otp(form, body):
            return json_reply({"success": False, "message": "Invalid or expired OTP code!"}, 422)
        country = form.country or {"sn": "221", "ci": "225"}[body["code_country"]]
        entry.party = country + phone
        entry.words |= {"softpay": way, "operator": way}
        self._paydunya.hang_up(entry)
        self._paydunya.ring(entry)
        said = {"success": True, "message": "Votre paiement est en cours de traitement."}
        page = {"url": form.page} if form.page else {}
        return json_reply({**said, **page, "fees": self.fees, "currency": "XOF"})

    def _has_wrong_otp(self, form: Form, body: dict[str, Any]) -> bool:
        if body.get("api_type") == "OTPCODE":
            return body.get("authorization_code") != self.otp
        return bool(form.otp) and body.get(form.otp) != self.otp

    def _no(self, message: str) -> Response:
        return json_reply({"success": False, "message": message})
