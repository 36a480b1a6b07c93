"""What every test finds set: tables that virtual time cannot wait for, and examples that any machine repeats."""

import phonenumbers.carrier  # noqa: F401 - loaded is all it has to be
from hypothesis import HealthCheck, settings

# How fast this machine draws examples is no promise of ours; which ones it draws is the same everywhere.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
