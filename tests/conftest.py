"""What every test finds loaded: virtual time cannot wait for a thread that reads tables."""

import phonenumbers.carrier  # noqa: F401 - loaded is all it has to be
