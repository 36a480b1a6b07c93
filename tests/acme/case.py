"""Acme: its own test file, with its case."""

import pytest

from paymux import Payment, Status
from paymux.drivers import load
from tests.case import Case, Shape
from tests.driving import Script, drive, reply

ID = "6f1c2a9e-0d7b-4c55-9c1e-3b1f4f6f2a10"
CASE = Case(
    order={"currency": "XOF", "payer": "2290196000001"},
    opens="POST /v1/payments/",
    looks="GET /v1/payments/",
    wire=b'"amount":1000',
    words=Shape(
        fields={"api_key": "simulator"},
        asked={"provider_reference": ID},
        answers=("paid.200", "open.200"),
        messages=("callback",),
        places={"status": "status", "paid": "paid"},
        told={"status": "status", "paid": "paid"},
        said={
            "paid.200": Status.SUCCEEDED,
            "open.200": Status.PENDING,
            "callback": Status.SUCCEEDED,
        },
    ),
)


@pytest.mark.parametrize(
    ("case", "status"), [("paid.200", Status.SUCCEEDED), ("open.200", Status.PENDING)]
)
def test_a_look_up_reads_the_page(case: str, status: Status) -> None:
    """Each answer of the page is read as it says."""
    driver = load("acme")(**CASE.words.fields)
    script = Script(driver, reply("acme", case))
    held = Payment(account="acme", provider_reference=ID)
    assert drive(driver.verify(script, held)).status is status
