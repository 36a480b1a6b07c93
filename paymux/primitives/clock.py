"""The clocks, each read in one place, so that a test in virtual time moves what it must move."""

import time
from datetime import UTC, datetime, tzinfo

# For what must not wait for a loop to read its clock anew, as uvloop does once in a round.
monotonic = time.monotonic

# Kept by its method: freezegun puts a class of its own in the place of `datetime`, and msgspec
# encodes no other than the real one.
_at = datetime.fromtimestamp


def wall_time(zone: tzinfo = UTC) -> datetime:
    """Return the present time as an aware datetime."""
    return _at(time.time(), zone)
