"""Acme keeps the promises of every driver."""

from pathlib import Path

from acme_pay.driver import Acme
from acme_pay.simulator import Acme as AcmeSimulator

from paymux import Status
from paymux.testing.contract import Case, DriverContract, Shape

ID = "6f1c2a9e-0d7b-4c55-9c1e-3b1f4f6f2a10"
CASE = Case(
    order={"currency": "XOF", "payer": "2290196000001"},
    opens="POST /v1/payments/",
    looks="GET /v1/payments/",
    wire=b'"amount":1000',
    payouts=(("2290196000002", "POST /v1/transfers/"),),
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


class TestAcme(DriverContract):
    """The contract, for this driver and this simulator."""

    driver = Acme
    simulator = AcmeSimulator
    samples = Path(__file__).parent / "samples"
    case = CASE
