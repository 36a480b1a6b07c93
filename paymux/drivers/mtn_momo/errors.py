"""What MTN's errors prove: content/html_widgets/3fbhs, XCaGL, ekANR and o46rh of the portal."""

from collections.abc import Mapping
from typing import Any

from ...errors import AuthenticationFailed, ProviderError, Rejected
from ...http import Request, Response
from ..base import Duplicate
from .answers import REFUSALS, is_gateways

_DUPLICATE = "RESOURCE_ALREADY_EXIST"
_LOGINS = ("login_failed", "invalid_client")  # 500 on the old platform, 401 on the new one


def refusal(request: Request[Any], reply: Response) -> ProviderError | None:
    """Return what an error certainly means, or None.

    Its HTTP status proves nothing: what is wrong in a request, such as its currency, is told with
    500, as is an error that says nothing of what happened before it.
    """
    said = reply.read(dict[str, Any]) or {}
    if request.path.endswith("/token/"):
        return _login(said, reply.status)
    if is_gateways(said, reply.status):
        kind = {401: AuthenticationFailed, 403: Rejected}.get(reply.status)
        return kind(str(said["message"])) if kind else None
    code, message = str(said.get("code")), str(said.get("message", ""))
    if request.money and code == _DUPLICATE and reply.status == 409:
        return Duplicate(message, code=code)
    listed = code in REFUSALS and said.keys() <= {"code", "message"}
    return Rejected(message, code=code, reason=REFUSALS[code]) if listed else None


def _login(said: Mapping[str, Any], status: int) -> ProviderError | None:
    """Return what a login's refusal means; each of these comes from MTN itself."""
    word = str(said.get("error", ""))
    if is_gateways(said, 401):
        return AuthenticationFailed(str(said["message"]))
    if word in _LOGINS:
        return AuthenticationFailed(word)
    return Rejected(word) if status == 400 else None
