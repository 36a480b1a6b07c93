"""What `paymux doctor` checks: each check says what is wrong, and the command that mends it.

    setup.py            the configuration as it is written
    walk.py, visits.py  one pool and one look at each host, shared by all checks
    *_checks.py         the checks, by what they are about
    mending.py          the commands that mend
    findings.py         what a check found, in English and French
    examination.py      the list of the checks; it runs them side by side
    round_trip.py       whether a message comes back through the public address

    probing.py          what no page says, asked in a provider's sandbox: `paymux probe`

A check moves no money, and shows no value of the configuration.
"""

from .examination import CHECKS, IDS, Check, chosen, examine
from .findings import Finding, Said, summary
from .probing import Lab, Probed, requests_of
from .recording import MAX_REQUESTS, redacted
from .round_trip import callback
from .setup import Setup

__all__ = [
    "CHECKS",
    "IDS",
    "MAX_REQUESTS",
    "Check",
    "Finding",
    "Lab",
    "Probed",
    "Said",
    "Setup",
    "callback",
    "chosen",
    "examine",
    "redacted",
    "requests_of",
    "summary",
]
