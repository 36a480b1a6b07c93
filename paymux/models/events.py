"""A message as it was read: a hint of what to ask the provider."""

import msgspec

from .kinds import ORDER_PATHS, Kind, PathUse
from .model import Model
from .payments import Payment
from .statuses import Trust


class Event(Model, frozen=True, kw_only=True):
    """What a webhook claims. It has no status: `await pool.confirm(event)` asks the provider."""

    account: str = ""
    provider: str = ""
    trust: Trust = Trust.NOTHING
    claims: Payment
    ping: bool = False  # the provider tests the address; there is nothing to confirm
    # our reference, if the message came to its order's secret path
    path_reference: str | None = msgspec.field(name="attempt", default=None)
    # what that path is for; None: the account's own address, or no path. A message that release
    # 0.1.0 stored has a reference alone: only collects had paths.
    path_use: PathUse | None = None

    @property
    def kind(self) -> Kind:
        """Return the kind of its payment: its path's, else what it claims, else "collect"."""
        if self.path_reference is not None:
            return ORDER_PATHS.get(self.path_use, "collect")
        return self.claims.kind or "collect"

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Return a key for duplicates: account, kind, payment and claimed status.

        A success stays distinct.
        """
        claims = self.claims
        named = self.path_reference or claims.provider_reference or claims.reference
        return (
            self.account,
            self.kind,
            named or " ".join(sorted(claims.ids.values())),
            claims.status,
        )

    @property
    def authenticated(self) -> bool:
        """Return whether its signature, or an order's secret path, proves who sent it.

        The account's own address and those of C2B do not: a provider has them for years.
        """
        of_order = self.path_reference is not None and (self.path_use or "collect") in ORDER_PATHS
        return self.trust is Trust.BODY or of_order
