"""The refusals of PayDunya, by request, code and text: no list of codes is published."""

from ...errors import AuthenticationFailed, NotFound, ProviderError, Rejected
from ...http import Response
from ...models import Reason
from . import disburse, opr
from .answers import DONE, Answer
from .checkout import CREATE

_NO_ANSWER = Answer()


def told(reply: Response) -> tuple[str, str] | None:
    """Return the code and the text of an error in PayDunya's own form, or None."""
    answer = reply.read(Answer) or _NO_ANSWER
    code = answer.code()
    if code is None or code in DONE or reply.status >= 500:
        return None
    return code, answer.response_text or ""


def refusal(path: str, code: str, message: str) -> ProviderError | None:
    """Return the error that a code and its text certainly mean for a request, or None.

    Of a request that moves money, only texts that integrators have received are sure; of one that
    pays out, only that about our own funds.
    """
    words = message.lower()
    # 4002 is also "the callback is not accessible".
    if code == "4002" and "enough funds" in words:
        return Rejected(message, code=code, reason=Reason.INSUFFICIENT_FUNDS)
    if path == disburse.SUBMIT:
        return None
    if code == "1001" and "masterkey" in words:
        return AuthenticationFailed(message, code=code)
    # A page or a token that was not made moves no money.
    if path.endswith((CREATE, opr.CREATE)) or path == disburse.INVOICE:
        return Rejected(message, code=code)
    return None


def of_a_look_up(
    error: ProviderError | None, status: int, code: str, message: str
) -> ProviderError:
    """Return the error of a look-up, of which `error` is what its HTTP status says."""
    if status in (401, 403):  # in PayDunya's own form, so they are about the keys
        return AuthenticationFailed(message, code=code)
    if error is None:
        # The answer for an unknown token is not published; the text of a good answer is
        # "Transaction Found".
        error = NotFound() if "not found" in message.lower() else ProviderError()
    error.message, error.code = message, code
    return error
