import pytest

from paymux.http import WebhookRequest
from paymux.simulator.control.security import refuses_decision

HOST = "127.0.0.1:8765"


def decision(**headers: str) -> int | None:
    """Send a checkout's decision with these headers; the status of its refusal, or None."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = WebhookRequest(method="POST", path="/pay/1", headers={"host": HOST, **named})
    refusal = refuses_decision(request)
    return None if refusal is None else refusal.status


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": f"http://{HOST}", "sec_fetch_site": "same-origin"},
        {"origin": f"http://{HOST}"},
        {"origin": "null", "sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
    ],
)
def test_a_decision_of_our_own_page_is_taken(headers: dict[str, str]) -> None:
    """A page of ours, also one that hides its address, and a program that is no browser, decide."""
    assert decision(**headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://127.0.0.1:3000", "sec_fetch_site": "same-site"},
        {"origin": "https://evil.example", "sec_fetch_site": "cross-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "null", "sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "cross-site"},
        {"origin": f"http://{HOST}", "sec_fetch_site": "same-site"},
    ],
)
def test_a_decision_of_another_page_is_refused(headers: dict[str, str]) -> None:
    """A page on another port or host, and one that hides where it is from, decide nothing."""
    assert decision(**headers) == 403
