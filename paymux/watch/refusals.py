"""Look-ups answered with HTTP 401 or 403 that do not come from the provider, by account."""

from ..errors import Mismatch, PaymuxError, ProviderError, Unavailable
from ..models import Payment, log

# such answers without an answer of the provider between them, before a person is told
DENIALS_IN_A_ROW = 10


class DenialCounter:
    """Counts such answers in a row for each account: only a person can open a firewall."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}

    def count(self, account: str, said: Payment | PaymuxError) -> None:
        """Record the result of a look-up; the tenth such answer in a row is logged as an ERROR."""
        if isinstance(said, Unavailable) and said.http_status in (401, 403):
            row = self._rows[account] = self._rows.get(account, 0) + 1
            if row == DENIALS_IN_A_ROW:
                log.error(
                    "%s: %d look-ups in a row were answered HTTP %d, but not by the provider; "
                    "a firewall may refuse us, or the credentials are wrong; watches go on",
                    account,
                    row,
                    said.http_status,
                )
        elif isinstance(said, Payment | ProviderError | Mismatch):
            self._rows.pop(account, None)
