"""The JSON bodies of the control API, for its description; the Python calls check the values."""

from functools import cache
from types import GenericAlias
from typing import Annotated, Any

import msgspec

from ...models import Reason, Status
from ..faults import Fault
from ..payers import Answer

_KINDS = sorted(fault.name.lower() for fault in Fault)


class AnswerBody(msgspec.Struct, kw_only=True):
    """What a payer answers; `pin` as it is typed to approve, null: the right one."""

    answer: Answer
    pin: str | None = None


class SettleBody(msgspec.Struct, kw_only=True):
    """The truth about an order; `code` is the provider's own word, even a misleading one."""

    status: Status
    reason: Reason | None = None
    code: str | None = None


class AgainBody(msgspec.Struct, kw_only=True):
    """How often a webhook is sent again, whether forged, and to which address."""

    times: int = 1
    forged: bool = False
    url: str | None = None


class FaultBody(msgspec.Struct, kw_only=True):
    """A fault for the next requests that match; for a webhook, `match` is an order's reference."""

    provider: str
    kind: Annotated[str, msgspec.Meta(extra_json_schema={"enum": _KINDS})]
    match: str = ""
    times: int = 1
    processed: bool = True
    status: int | None = None
    seconds: float = 1.0
    retry_after: int | str = 1
    location: str | None = None


class PayerBody(msgspec.Struct, kw_only=True):
    """What one number does from now on; answer null: a person decides. `after`: seconds."""

    answer: Answer | None = None
    after: float | None = None
    pin: str = "0000"


class InboundBody(msgspec.Struct, kw_only=True):
    """A payment that a customer begins: `reference` is what the customer types, null at a till."""

    provider: str
    amount: str
    reference: str | None = None
    party: str | None = None
    account: str | None = None


class ResetBody(msgspec.Struct, kw_only=True):
    """The seed of the random values from now on."""

    seed: int = 0


class WorldBody(msgspec.Struct, kw_only=True):
    """A world to open; without a name it gets one."""

    name: str | None = None
    seed: int = 0


class SettingsBody(msgspec.Struct, kw_only=True):
    """Settings: also `"campay": {"webhook_url": …}`, a provider's own by its name."""

    latency: float | None = None
    payers: Annotated[
        str | None, msgspec.Meta(extra_json_schema={"enum": ["ask", "approve", "random", None]})
    ] = None
    after: float | None = None


class WorldRow(msgspec.Struct, kw_only=True):
    """A world: the base of its providers' URLs, and of its control API."""

    name: str
    url: str
    control: str


class Health(msgspec.Struct, kw_only=True):
    """The simulator listens; `uptime` in seconds."""

    status: str
    version: str
    providers: list[str]
    uptime: float


class Money(msgspec.Struct, kw_only=True):
    """What moved at one provider, in major units of one currency."""

    provider: str
    kind: str
    currency: str
    amount: str
    orders: int


class LedgerTold(msgspec.Struct, kw_only=True):
    """What was really charged, paid out and refunded, and the orders of each reference."""

    totals: list[Money]
    references: dict[str, int]


class Empty(msgspec.Struct):
    """Nothing more to say."""


@cache  # one type for one row: two of a name are two schemas, which older msgspec confuses
def listed(row: type[msgspec.Struct]) -> Any:
    """Return the type of a list of rows: newest first, `next` goes on, null is the end."""
    return msgspec.defstruct(
        f"{row.__name__}s",
        [("items", GenericAlias(list, (row,))), ("next", str | None)],
        kw_only=True,
    )
