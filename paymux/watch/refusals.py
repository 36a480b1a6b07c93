"""Look-ups that got HTTP 401 or 403 in another shape than the provider's own, by account."""

from ..errors import Mismatch, PaymuxError, ProviderError, Unavailable
from ..models import Payment, log

IN_A_ROW = 10  # such answers, with no answer of the provider's between them, before a person is told


class Refusals:
    """How many such answers each account got in a row: only a person can open a firewall."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}

    def heard(self, account: str, said: Payment | PaymuxError) -> None:
        """Note how a look-up ended; the tenth such answer in a row is one ERROR record."""
        if isinstance(said, Unavailable) and said.http_status in (401, 403):
            row = self._rows[account] = self._rows.get(account, 0) + 1
            if row == IN_A_ROW:
                log.error(
                    "%s: %d look-ups in a row were answered HTTP %d, and not in the provider's own words; "
                    "something in between may refuse us, or the credentials are wrong; watches go on",
                    account,
                    row,
                    said.http_status,
                )
        elif isinstance(said, Payment | ProviderError | Mismatch):
            self._rows.pop(account, None)
