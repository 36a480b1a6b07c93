"""The promises that every driver keeps, for your own driver: subclass `DriverContract`.

A package of your own adds a driver and its simulator through two entry points. Its name is then
known where ours are: in `driver = "acme"` of a config file, `PAYMUX_SHOP__DRIVER=acme` for
`Pool.from_env`, `paymux providers`, and `Simulator().driver("acme")`. The class is imported from
its own package, `from acme_pay.driver import Acme`:

```toml
[project.entry-points."paymux.drivers"]
acme = "acme_pay.driver:Acme"

[project.entry-points."paymux.simulators"]
acme = "acme_pay.simulator:Acme"
```

`DriverContract` tests it: a driver that repeats an order or a payout, believes a message, calls an
unknown word a failure, takes another question's answer for its own, or shows its key fails. It
needs both classes, what the provider is like (`Case`, whose fields are explained beside them), and
a folder with bodies of its page, such as `paid.200.json` with `{"source": "https://…", "date":
"2026-11-30", "body": {…}}`:

```py
from pathlib import Path

from acme_pay.driver import Acme
from acme_pay.simulator import Acme as AcmeSimulator

from paymux import Status
from paymux.testing.contract import Case, DriverContract, Shape


class TestAcme(DriverContract):
    driver = Acme
    simulator = AcmeSimulator
    samples = Path(__file__).parent / "samples"
    case = Case(
        order={"currency": "XOF", "payer": "2290196000001"},
        opens="POST /v1/payments/",  # the request that asks for money, with a slash at its end
        looks="GET /v1/payments/",  # the look-up: the beginning of its path is enough
        wire=b'"amount":1000',
        payouts=(
            ("2290196000002", "POST /v1/transfers/"),
        ),  # a payee, and the request that pays it
        words=Shape(
            fields={"api_key": "simulator"},
            asked={"provider_reference": "6f1c2a9e-0d7b-4c55-9c1e-3b1f4f6f2a10"},
            answers=("paid.200",),
            places={"status": "status", "paid": "paid"},
            said={"paid.200": Status.SUCCEEDED},
        ),
    )
```

`Shape.amounts` names where the amount is, if not in `amount` (`()`: in no answer); `Case.pages` has
a `Shape` of each further API. In the driver, `takes` has the options of an order that the provider
has, with `"webhook_url"` if the callback URL is sent with it, `sandbox_url` the address of its test
accounts, and `proofs` the fields that every documented success has: a success without them stays
pending. [tests/acme](tests/acme) is such a package.
"""

from .case import Case, Shape
from .desk import Desk
from .exposure import ExposurePromises
from .messages import MessagePromises
from .orders import OrderPromises
from .outgoing import OutgoingPromises
from .questions import QuestionPromises
from .refusals import RefusalPromises
from .samples import SamplePromises
from .script import Script, drive
from .verbs import VerbPromises

__all__ = ["Case", "Desk", "DriverContract", "Script", "Shape", "drive"]


class DriverContract(
    OrderPromises,
    RefusalPromises,
    MessagePromises,
    VerbPromises,
    OutgoingPromises,
    QuestionPromises,
    SamplePromises,
    ExposurePromises,
):
    """The promises of a driver, as tests: without a socket, in virtual time, with any async plugin.

    Subclass it in a test file of yours:

        class TestAcme(DriverContract):
            driver = Acme
            simulator = AcmeSimulator
            samples = Path(__file__).parent / "samples"
            case = Case(order={"currency": "XOF", "payer": "2290196000001"}, …)

    A promise that your provider cannot give (a refund, a page) is left out; `Case` says what the
    provider is like. `desk()` opens an account at the simulator, for tests of your own.
    """
