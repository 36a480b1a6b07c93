"""A warning for tests: aioresponses is active, and cannot see requests that use no session."""

import warnings
from typing import Any
from urllib.parse import urlsplit

from ..values.validation import is_loopback

_MOCK = "aioresponses"


def unseen_by_mock(session: type[Any], url: str) -> bool:
    """Warn, and return True, if this class of sessions is mocked and a URL is really asked.

    A simulator on this machine, and a URL that the mock passes on, are meant to be asked.
    """
    replaced = getattr(getattr(session, "_request", None), "side_effect", None)
    mock = getattr(replaced, "__self__", None)
    if not type(mock).__module__.startswith(_MOCK):
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
