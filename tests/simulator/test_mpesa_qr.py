"""The simulated dynamic QR: the page's answer, and what it refuses."""

import zlib
from base64 import b64decode
from typing import Any

import pytest

from paymux.simulator import Simulator

from .daraja import ROOT, call

QR = f"{ROOT}/qrcode/v1/generate"
CODE: dict[str, Any] = {
    "MerchantName": "TEST SUPERMARKET",
    "RefNo": "Invoice Test",
    "Amount": 1,
    "TrxCode": "BG",
    "CPI": "373132",
    "Size": "300",
}


@pytest.mark.parametrize("changes", [{}, {"Amount": "2000"}, {"TrxCode": "PB", "Size": 64}])
async def test_the_answer_has_a_whole_png(changes: dict[str, Any]) -> None:
    """With the page's fields: an id as ResponseCode, and an image of the size."""
    sim = Simulator()
    body = {**CODE, **changes}
    status, said = await call(sim, QR, body)
    assert (status, list(said)) == (
        200,
        ["ResponseCode", "RequestID", "ResponseDescription", "QRCode"],
    )
    assert said["ResponseCode"].startswith("AG_")
    image, size = b64decode(said["QRCode"], validate=True), int(body["Size"])
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    assert [int.from_bytes(image[at : at + 4]) for at in (16, 20)] == [size, size]
    data = image.index(b"IDAT")
    length = int.from_bytes(image[data - 4 : data])
    assert len(zlib.decompress(image[data + 4 : data + 4 + length])) == size * (size + 1)
    assert (sim.mpesa.qr.made[0].bill, len(sim.ledger)) == ("Invoice Test", 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("MerchantName", ""),
        ("RefNo", None),
        ("Amount", 0),
        ("Amount", "x"),
        ("TrxCode", "XX"),
        ("CPI", "12"),
        ("Size", "0"),
    ],
)
async def test_a_field_of_another_form_is_refused(field: str, value: object) -> None:
    """By its name, and no code is made."""
    sim = Simulator()
    status, said = await call(sim, QR, {**CODE, field: value})
    assert (status, said["errorMessage"]) == (400, f"Bad Request - Invalid {field}")
    assert not sim.mpesa.qr.made


@pytest.mark.parametrize("sort", ["SM", "SB"])
async def test_a_code_to_a_person_has_a_phone_number(sort: str) -> None:
    """Its CPI is in the format of a number."""
    sim = Simulator()
    assert (await call(sim, QR, {**CODE, "TrxCode": sort}))[0] == 400
    assert (await call(sim, QR, {**CODE, "TrxCode": sort, "CPI": "254708374149"}))[0] == 200
