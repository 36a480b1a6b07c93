"""The URL of a journal's database, from which no text ever shows the password."""

import re
from typing import Final, cast
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from ...errors import UsageError
from ...primitives.coerce import is_a
from ...primitives.redaction import Secret, hide_values

SCHEMES = ("postgresql", "postgres")
DEFAULT_SCHEMA = "paymux"
ACCEPTED: Final = (
    "postgresql://user:password@host:port/database?schema=paymux, where %, /, ?, #, @ and : in the "
    "user and the password are percent-encoded; TLS by sslmode, sslrootcert and so on; "
    "a file by its path alone"
)
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s:@\[\]]*)(?::\d{1,5})?")


class Address:
    """Where a journal's database is, and in which of its schemas the journal lies."""

    def __init__(self, url: str | Secret) -> None:
        self._shown = "…"
        given = url if is_a(url, Secret) else Secret(cast("str", url))
        del url  # neither this frame nor one of its error may hold the password
        if (refused := self._read(given)) is not None:
            raise refused

    def _read(self, place: Secret) -> UsageError | None:
        """Read a URL; an error is returned and not raised, as this frame holds the password."""
        if type(place.reveal()) is not str:
            return UsageError.hidden("journal", ACCEPTED)
        try:
            parts = urlsplit(place.reveal())
        except ValueError:
            return UsageError.hidden("journal", ACCEPTED)
        user, at, hosts = parts.netloc.rpartition("@")
        # A password with one of the separators would put its own rest in the place of the host.
        odd = "@" in user or "@" in parts.path or parts.fragment or user.count(":") > 1
        if parts.scheme not in SCHEMES or odd or not all(map(_HOST.fullmatch, hosts.split(","))):
            return UsageError.hidden("journal", ACCEPTED)
        try:
            given = parse_qsl(parts.query, strict_parsing=True) if parts.query else []
        except ValueError:
            return UsageError.hidden("journal", ACCEPTED)
        schemas = [value for name, value in given if name == "schema"] or [DEFAULT_SCHEMA]
        if len(schemas) > 1 or not _SCHEMA.fullmatch(schemas[0]):
            accepted = "one schema: lower-case letters, digits and _, at most 63, not pg_…"
            return UsageError.field("journal", f"schema={schemas[-1]}", accepted)
        self.schema = schemas[0]
        said = [(name, value) for name, value in given if name != "schema"]
        self.settings = {name for name, _ in said}
        self.files = {name: value for name, value in said if name in _FILES}
        self.url = Secret(parts._replace(query=urlencode(said)).geturl())
        words = (unquote(user.partition(":")[2]), *(v for name, v in said if "password" in name))
        self._secrets = tuple(word for word in words if word)
        name = unquote(user.partition(":")[0])
        self._shown = f"postgresql://{name}{at}{hosts}{parts.path} (schema {self.schema})"
        return None

    def __str__(self) -> str:
        return self._shown

    def __repr__(self) -> str:
        return f"Address({self._shown!r})"

    def without_secrets(self, text: str) -> str:
        """Remove the password from what the server or its client says."""
        return hide_values(text, self._secrets)
