"""Every supported provider, simulated: on a loopback port or in process, with a ledger."""

from .core import Delivery, Message
from .faults import Fault
from .ledger import Entry, Ledger, Outcome
from .providers import names
from .server import Received, Simulator

__all__ = [
    "Delivery",
    "Entry",
    "Fault",
    "Ledger",
    "Message",
    "Outcome",
    "Received",
    "Simulator",
    "names",
]
