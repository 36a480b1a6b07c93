"""What the document leaves open about a gateway, and its sandbox can settle."""

from collections.abc import Sequence

from .._probing import Fact, Raw, Seen, at

_DOCUMENT = "docs/PAYMENT_API.md of github.com/trent130/EasyMarket"


def _history_form(seen: Sequence[Seen]) -> str:
    found = at("/api/payment/history/", seen)
    if not found or not isinstance(found[-1].body, dict):
        return ""
    return "paginated" if "count" in found[-1].body else "of the document"


def _test_endpoints(seen: Sequence[Seen]) -> str:
    found = at("/api/payment/test/", seen)
    if not found:
        return ""
    return "none" if found[-1].status == 404 else "there"


FACTS = (
    Fact(
        id="history-form",
        question="Has the history the form of the document, or that of a paginator?",
        guess="of the document",  # both are read
        steps=(Raw(method="GET", path="/api/payment/history/"),),
        reads=_history_form,
        source=f"{_DOCUMENT}, and its own server, which differs",
    ),
    Fact(
        id="test-endpoints",
        question="Are the test endpoints there?",
        guess="there",
        steps=(
            Raw(
                method="POST",
                path="/api/payment/test/mpesa/",
                body={"phone_number": "254708374149", "amount": 10},
            ),
        ),
        reads=_test_endpoints,
        source=f"{_DOCUMENT}: 'in the sandbox', which not every gateway has",
    ),
)
