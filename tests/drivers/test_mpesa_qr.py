"""Dynamic QR of M-Pesa: the page's request, and the image in its answer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux import Mpesa, Pool
from paymux.drivers.mpesa.qr import QR, Code
from paymux.errors import OutcomeUnknown, Unavailable, UsageError
from paymux.simulator import Fault, Simulator
from paymux.values.parsing import Unreadable
from tests.driving import Script, drive, reply, sample
from tests.simulator.asking import until

from .mpesa_initiator import DRIVER, another, body_of
from .mpesa_initiator import reply as said

PNG = b"\x89PNG\r\n\x1a\n"
SHOP = another(DRIVER, till="373132", business_name="TEST SUPERMARKET")
ASKED: dict[str, Any] = {"amount": 1, "bill_reference": "Invoice Test"}


def test_a_code_is_asked_for_with_the_pages_body() -> None:
    """Every field of the sample, in its order; the amount alone is a number. No money moves."""
    script = Script(SHOP, reply("mpesa", "qr_made.200"))
    image = drive(SHOP.qr_code(script, **ASKED))
    page = sample("mpesa", "qr_request")
    assert list(body_of(script).items()) == list(page.items())
    (request,) = script.requests
    assert (request.path, request.money) == (QR, False)
    assert image.startswith(PNG)


def test_a_paybill_is_named_by_its_shortcode() -> None:
    """TrxCode PB and the shortcode, with the name of this call in place of the account's."""
    script = Script(DRIVER, reply("mpesa", "qr_made.200"))
    drive(DRIVER.qr_code(script, **ASKED, business_name="Duka", size=64))
    body: dict[str, Any] = body_of(script)
    assert (body["TrxCode"], body["CPI"], body["MerchantName"], body["Size"]) == (
        "PB",
        "600992",
        "Duka",
        "64",
    )


@pytest.mark.parametrize(
    ("field", "driver", "changes"),
    [
        ("business_name", DRIVER, {}),
        ("business_name", SHOP, {"business_name": 7}),
        ("bill_reference", SHOP, {"bill_reference": ""}),
        ("bill_reference", SHOP, {"bill_reference": "x" * 21}),
        ("bill_reference", SHOP, {"bill_reference": None}),
        ("amount", SHOP, {"amount": 0}),
        ("amount", SHOP, {"amount": "1.50"}),
        ("amount", SHOP, {"amount": 1.5}),
        ("size", SHOP, {"size": 0}),
        ("size", SHOP, {"size": 2001}),
        ("size", SHOP, {"size": "big"}),
    ],
)
def test_bad_input_is_named_and_never_sent(
    field: str, driver: Mpesa, changes: dict[str, Any]
) -> None:
    """UsageError names the field, and no request is made."""
    script = Script(driver)
    with pytest.raises(UsageError, match=field):
        drive(driver.qr_code(script, **{**ASKED, **changes}))
    assert not script.requests


@pytest.mark.parametrize("code", [None, "", "x", "aGVsbG8=", "é", "=====", 7, "data:image/png,x"])
def test_what_is_no_image_is_no_answer(code: object) -> None:
    """Whatever its ResponseCode says."""
    script = Script(SHOP, said(200, {**sample("mpesa", "qr_made.200"), "QRCode": code}))
    with pytest.raises(OutcomeUnknown):
        drive(SHOP.qr_code(script, **ASKED))


@given(st.text(max_size=200))
def test_no_text_raises_another_error(code: str) -> None:
    """A hostile answer is Unreadable at the most."""
    try:
        image = Code(QRCode=code).image()
    except Unreadable:
        return
    assert image.startswith(PNG)


async def test_a_code_is_made_and_paid() -> None:
    """By `run`, with an image of the size; what a customer pays by it is told by C2B."""
    async with (
        Simulator() as sim,
        Pool(sim.driver("mpesa", business_name="Mama Café"), connection=sim.connection) as pool,
    ):
        image = await pool.run("mpesa", Mpesa.qr_code, amount="250", bill_reference="order-8")
        assert image.startswith(PNG)
        assert int.from_bytes(image[16:20]) == int.from_bytes(image[20:24]) == 300
        [made] = sim.mpesa.qr.made
        assert (made.merchant, made.bill, made.sort) == ("Mama Café", "order-8", "PB")
        paid = sim.mpesa.pays(bill=made.bill, amount=made.amount, shortcode=made.party)
        await until(lambda: paid.moved)
        assert sim.ledger.charged("order-8") == 250


async def test_an_image_that_does_not_come_is_unavailable() -> None:
    """It moves no money, so it may be asked for again, and is."""
    async with Simulator() as sim:
        driver = sim.driver("mpesa", business_name="Duka")
        async with Pool(driver, connection=sim.connection) as pool:
            sim.fault("mpesa", "/mpesa/qrcode/v1/generate", kind=Fault.GARBAGE, times=9)
            with pytest.raises(Unavailable):
                await pool.run("mpesa", Mpesa.qr_code, amount=5, bill_reference="order-8")
        body = json.loads(sim.requests[-1].body)
        assert body["Amount"] == 5
