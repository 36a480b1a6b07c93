"""Refusals of the control API, as application/problem+json (RFC 9457)."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from ...errors import UsageError
from ...http import Response


class Problem(Exception):
    """A request is refused: `detail` is the sentence for a person, `accepted` what would do."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        field: str | None = None,
        accepted: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.field = field
        self.accepted = accepted
        self.headers = headers or {}

    @classmethod
    def of(cls, error: UsageError) -> "Problem":
        """Make the 400 that says what a call in Python would have raised."""
        return cls(400, str(error), field=error.name, accepted=error.accepted or None)

    def reply(self) -> Response:
        """Write the answer."""
        told = {
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "field": self.field,
            "accepted": self.accepted,
        }
        headers = {"content-type": "application/problem+json", **self.headers}
        return Response(status=self.status, headers=headers, body=json.dumps(told).encode())
