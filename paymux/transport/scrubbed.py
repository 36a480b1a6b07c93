"""A verb's answers without credentials, so that they may be kept and shown."""

from typing import TypeVar

import msgspec

from ..errors import ProviderError
from ..primitives.echoes import clean
from ..primitives.redaction import hide, hide_and_flag, mask, scrub

T = TypeVar("T")


class ScrubbedResponse(msgspec.Struct):
    """The last answer of one verb; its text is scrubbed once, when it is first read."""

    secrets: tuple[str, ...]  # the account's credentials, and the token in use
    _body: bytes | None = b""
    _raw: str = ""
    _held: bool = False

    def __repr__(self) -> str:
        return "<ScrubbedResponse>"

    def set_body(self, body: bytes) -> None:
        """Replace the answer by a newer one."""
        self._held = self._held or bool(self._body)  # that one was never checked
        self._body = body

    def text(self, own: str = "") -> tuple[str, bool]:
        """Return the answer without credentials, and whether it contained any.

        `own`: the part of the answer that is one row's, to scrub instead. If it contained a
        credential, pass what was read from it to `clean`, too.
        """
        if own:
            return hide_and_flag(own, self.secrets)
        if self._body is not None:
            text = self._body.decode("utf-8", "replace")
            self._raw, held = hide_and_flag(text, self.secrets)
            self._body, self._held = None, self._held or held
        return self._raw, self._held

    def clean(self, found: T, known: object = None) -> T:
        """Remove credentials from what was read from an answer.

        A value that is equal to the `known` one is our own, and stays.
        """
        return clean(found, self.secrets, known)

    def scrub(self, text: str) -> str:
        """Remove credentials and whole phone numbers from a text for an error or a log."""
        return mask(hide(text, self.secrets))

    def scrub_error(self, error: ProviderError, *, raw: bool) -> None:
        """Scrub every field of a provider's error.

        `raw`: whether the error may show the answer.
        """
        error.message = self.scrub(error.message)
        error.args = (error.message,)
        error.raw = mask(self.text()[0]) if raw else ""
        if error.details:
            error.details = scrub(error.details, self.secrets)
        error.code = error.code and hide(error.code, self.secrets)
        error.request_id = error.request_id and hide(error.request_id, self.secrets)
