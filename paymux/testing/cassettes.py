"""Cassettes of vcrpy without credentials and without phone numbers."""

import re
from typing import Any

from ..drivers.base import Driver
from ..primitives.redaction import hide, hide_values
from ..primitives.sensitive_fields import HIDDEN

__all__ = ["scrubbed"]

# A login's answer has a lifetime beside the token, or nothing of a payment: CamPay may answer
# without `expires_in`. Beside the fields of a payment, `token` is PayDunya's name of an invoice.
_LIFETIME = re.compile(rb'"expires_in"|"access_token"')
_PAYMENT = re.compile(rb'"(?:response_code|invoice|transaction_id|reference|amount)"')
_TOKEN = re.compile(rb'("(?:access_)?token"\s*:\s*")(?:[^"\\]|\\.)*', re.DOTALL)
# Nine digits are a phone number, or the end of an id that contains one (Daraja's). The same digits
# are always replaced by the same ones, so that what is replayed asks for the id that was recorded,
# and a JSON number stays one.
_PHONE = re.compile(r"(\d{2})\d{5}(\d{2})(?!\d)")
_REQUEST_HEADERS = ("content-type",)
_RESPONSE_HEADERS = ("content-type", "retry-after")


def scrubbed(*drivers: Driver) -> dict[str, Any]:
    """Return options for vcrpy that keep secrets out of cassettes: `vcr.VCR(**scrubbed(driver))`.

    Credentials are removed from URLs and bodies in every form, tokens from the answers of logins,
    the middle of each phone number, and every header but the content type. Pass each driver of the
    pool, which needs a `session=`, as vcrpy sees nothing else. Read a cassette before you commit
    it: names, descriptions and e-mail addresses stay. It raises nothing.
    """
    secrets = tuple(secret for driver in drivers for secret in driver.secrets())

    def request(recorded: Any) -> Any:
        recorded.uri = _without_phones(hide_values(recorded.uri, secrets))
        recorded.headers = _kept(recorded.headers, _REQUEST_HEADERS)
        if recorded.body:
            body = bytes(recorded.body)
            recorded.body = _scrubbed_body(body, secrets, login=_LIFETIME.search(body))
        return recorded

    def response(recorded: dict[str, Any]) -> dict[str, Any]:
        body = recorded["body"].get("string", b"")
        login = _LIFETIME.search(body) or not _PAYMENT.search(body)
        headers = _kept(recorded["headers"], _RESPONSE_HEADERS)
        body = _scrubbed_body(body, secrets, login=login)
        return {**recorded, "headers": headers, "body": {"string": body}}

    return {"before_record_request": request, "before_record_response": response}


def _kept(headers: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in headers.items() if name.lower() in names}


def _scrubbed_body(body: bytes, secrets: tuple[str, ...], *, login: object) -> bytes:
    if login:
        body = _TOKEN.sub(rb"\1" + HIDDEN.encode(), body)
    return _without_phones(hide(body.decode("utf-8", "replace"), secrets)).encode()


def _without_phones(text: str) -> str:
    return _PHONE.sub(r"\g<1>00000\2", text)
