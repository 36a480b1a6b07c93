"""What a caller is told of an account's rate limits."""

from collections.abc import Mapping

import msgspec

from .places import RequestKind


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """An account's rate limits: stated by its provider, and learned from refusals."""

    stated: Mapping[RequestKind, tuple[int, float]]  # requests, per so many seconds
    # requests per second of both kinds, learned from refusals; None: as stated
    pace: float | None = None
    closed_for: float = 0.0  # seconds for which the provider asked us to send nothing, at most 120
    waiting: int = 0  # requests in the queues
