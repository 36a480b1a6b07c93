"""What every test finds loaded: virtual time cannot wait for a thread that reads tables."""

import phonenumbers.carrier

assert phonenumbers.carrier
