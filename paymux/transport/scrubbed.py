"""What may be kept and shown of a verb's answers.

Without credentials, whatever a provider echoes.
"""

from typing import TypeVar

from ..errors import ProviderError
from ..primitives.redaction import clean, hide, hide_and_flag, mask, scrub

T = TypeVar("T")


class ScrubbedResponse:
    """The last answer of one verb; its text is scrubbed once, when it is first asked for."""

    __slots__ = ("_body", "_held", "_raw", "_secrets", "token")

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets
        self.token = ""  # that the verb is signed with
        self._body: bytes | None = b""
        self._raw = ""
        self._held = False

    @property
    def secrets(self) -> tuple[str, ...]:
        """Give what nobody may see: the account's credentials, and the token in use."""
        return (*self._secrets, self.token)

    def set_body(self, body: bytes) -> None:
        """Keep an answer instead of the last one."""
        self._held = self._held or bool(self._body)  # nobody looked into that one
        self._body = body

    def text(self, own: str = "") -> tuple[str, bool]:
        """Give the answer, or the part of it that is a row's own, and whether it held a credential of ours.

        What was read of one that held any has to be cleaned (`read`), too.
        """
        if own:
            return hide_and_flag(own, self.secrets)
        if self._body is not None:
            text = self._body.decode("utf-8", "replace")
            self._raw, held = hide_and_flag(text, self.secrets)
            self._body, self._held = None, self._held or held
        return self._raw, self._held

    def clean(self, found: T, known: object = None) -> T:
        """Take credentials out of what was read of an answer.

        What equals what is `known` is our own.
        """
        return clean(found, self.secrets, known)

    def scrub(self, text: str) -> str:
        """Take credentials and whole phone numbers out of what goes into an error or a log."""
        return mask(hide(text, self.secrets))

    def scrub_error(self, error: ProviderError, *, raw: bool) -> None:
        """Take them out of every field of a provider's error, whose `raw` is the answer where it may be shown."""
        error.message = self.scrub(error.message)
        error.args = (error.message,)
        error.raw = mask(self.text()[0]) if raw else ""
        if error.details:
            error.details = scrub(error.details, self.secrets)
        error.code = error.code and hide(error.code, self.secrets)
        error.request_id = error.request_id and hide(error.request_id, self.secrets)
