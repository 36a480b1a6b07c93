"""What every world of one simulator is made from."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from ..models import Status
from ..values.arguments import whole
from ..values.validation import checked_seconds
from .base import Provider
from .core import Latency, PayerDelay, SimulatorCore
from .faults import Faults
from .payers import Habits, Payers


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The providers, and what `Simulator` was told about time, payers and webhooks."""

    kinds: Mapping[str, type[Provider]]
    latency: Latency
    payer_delay: PayerDelay
    default: Status | None
    payers: Habits | None
    after: float | None
    webhook_hosts: Collection[str]

    def core(self, seed: int, url: str, keep: int | None) -> SimulatorCore:
        """Make the state of one world."""
        return SimulatorCore(
            seed=whole("seed", seed, -(2**63), 2**63),
            latency=checked_delay("latency", self.latency),
            payer_delay=checked_delay("payer_delay", self.payer_delay),
            payers=Payers(self.payers, self.after, self.default),
            faults=Faults(sorted(self.kinds)),
            url=url,
            keep=keep,
            webhook_hosts=self.webhook_hosts,
        )


def checked_delay(name: str, value: Any) -> Any:
    """Check seconds of 0 or more, or a function that returns them."""
    if callable(value) or (type(value) in (int, float) and value == 0):
        return value
    return checked_seconds(name, value)
