"""Every supported provider, simulated: on a loopback port or in process, with a ledger."""

from .faults import Fault
from .ledger import AlreadyDecided, Change, Entry, Ledger, Outcome
from .messages import Message
from .payers import Payer
from .providers import names
from .records import Delivery, Received
from .server import Simulator
from .world import World

__all__ = [
    "AlreadyDecided",
    "Change",
    "Delivery",
    "Entry",
    "Fault",
    "Ledger",
    "Message",
    "Outcome",
    "Payer",
    "Received",
    "Simulator",
    "World",
    "names",
]
