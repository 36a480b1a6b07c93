"""The observers of a pool: they are told of its verbs, and may read the load of its accounts."""

from functools import partial
from weakref import ref

from ..drivers.base import Driver
from .engine import Engine


def observe(engine: Engine, observers: object) -> None:
    """Tell these observers of a pool's verbs; UsageError: one of them is no observer."""
    engine.transport.observe(observers, partial(_loads, ref(engine)))


def _loads(pool: "ref[Engine]") -> list[tuple[Driver, int, float]] | None:
    # An observer may live longer than the pool, and must not keep it alive.
    engine = pool()
    return None if engine is None else engine.loads()
