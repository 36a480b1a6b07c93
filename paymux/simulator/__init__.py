"""Every supported provider, simulated: on a loopback port or in process, with a ledger."""

from .faults import Fault
from .ledger import Entry, Ledger, Outcome
from .server import Received, Simulator
from .world import Delivery, Message

__all__ = ["Delivery", "Entry", "Fault", "Ledger", "Message", "Outcome", "Received", "Simulator"]
