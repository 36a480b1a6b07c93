"""The promises that every driver keeps, for your own driver: subclass `DriverContract`."""

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
