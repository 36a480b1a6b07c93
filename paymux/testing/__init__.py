"""Tests of your own app, and of your own driver: fixtures, a clock, and the driver contract."""

from typing import TYPE_CHECKING

from ..primitives.lazy import loader

__all__ = ["VirtualClock", "charged_once", "virtual_time"]

if TYPE_CHECKING:
    from .clock import VirtualClock, virtual_time
    from .ledger import charged_once
else:
    # The plugin lies in this package, and every start of pytest loads it.
    __getattr__ = loader(
        __name__, {"clock": ("VirtualClock", "virtual_time"), "ledger": ("charged_once",)}
    )
