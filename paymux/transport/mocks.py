"""What an active aioresponses means: it answers for a session, or cannot see a pool."""

import warnings
from typing import Any
from urllib.parse import urlsplit

from ..values.validation import is_loopback

_MOCK = "aioresponses"


def mock_of(session: object) -> Any:
    """Return the aioresponses that answers for a session, or for a class of sessions; or None."""
    replaced = getattr(getattr(session, "_request", None), "side_effect", None)
    mock = getattr(replaced, "__self__", None)
    return mock if type(mock).__module__.startswith(_MOCK) else None


def unseen_by_mock(session: type[Any], url: str) -> bool:
    """Warn, and return True, if this class of sessions is mocked and a URL is really asked.

    A simulator on this machine, and a URL that the mock passes on, are meant to be asked.
    """
    mock = mock_of(session)
    if mock is None:
        return False
    passed = getattr(mock, "_passthrough", ())
    if is_loopback(url) or any(url.startswith(prefix) for prefix in passed):
        return False
    warnings.warn(
        f"aioresponses is active, and does not see this pool's requests: {urlsplit(url).hostname} "
        "is really asked. Make the pool with `session=aiohttp.ClientSession()`, or use the fixture "
        "`paymux_aioresponses` (pip install 'paymux[testing]')",
        stacklevel=3,
    )
    return True
