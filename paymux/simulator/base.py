'''The base of simulated providers: a sans-IO server that answers as the provider's page says.

To simulate a provider, write `simulator/<driver name>.py` with one class; nothing else is needed.
An API of several pages is a folder of that name, with a file for each page, as `mpesa`. A package
of your own names its class in the entry-point group `paymux.simulators`.

    class Acme(Provider):
        """Acme's merchant API on the wire, from https://acme.example/docs."""

        name = "acme"          # mounted at /acme: the driver's name
        base_path = "/api/v1"  # what the driver's base_url has below the mount
        # Hosts of the provider, which are answered in process, too.
        hosts = frozenset({"api.acme.example"})
        # The driver's fields; every secret is "simulator".
        credentials = {"api_key": "simulator"}
        # What the payers with these numbers do.
        numbers = magic("229019797979", success="7")

        async def answer(self, incoming):  # the path is the provider's own, below the mount
            match incoming.method, *segments(incoming):
                case "POST", "api", "v1", "payments":
                    return self.request_payment(fields(incoming))
                case "GET", "api", "v1", "payments", number if entry := self.entry(number):
                    return json_reply({...})
            return json_reply({"message": "Not found"}, 404)

        # The signed webhook of a settled order, or None; forged: one that claims a success.
        def message(self, entry, *, forged=False):
            url = entry.words["callback_url"]
            return Message.json(url, {...}) if url else None

        def throttled(self):               # "too many requests", in the provider's own words
            return json_reply({"error": "too_many"}, 429)

        def stale(self, incoming):         # refused credentials, or a token that is no longer good
            return json_reply({"error": "bad_key"}, 401)

`replies.py` reads requests and writes answers; `tokens.py` has access tokens and JWT. The rules:

* Read the provider's page, never our driver. A doubtful point of the page is a plain attribute of
  the instance, with the likeliest reading as default.
* Refuse what the provider refuses, with the provider's text:
  `raise Refused(json_reply({...}, 400))` inside `answer`.
* Accept an order with `self.open(...)`, which adds it to the ledger. Call `self.ring(entry)` when
  the payer is asked: the payer's number, or the simulator's default, or a later `sim.settle`
  decides. For a checkout page use `checkout.serve(...)`, else `self.settle(entry, outcome)`.
  Settling moves the money and sends `message`.
* If a message has several shapes, `shapes` is the attribute that selects one, and its values: the
  fuzzer sends each.
* The plain attributes of `__init__` are settings, which a reset keeps: `balances` names those that
  are money, and `stays` what else is kept. `inbound` lets a customer pay unasked.
* `entry.code` is the provider's own status word or code, if a test sets one: send it instead of the
  usual one.
* Ids and random values come from `self.core.random`, so that a seed repeats a run. Waits use the
  event loop's clock (`self.core.after`, `self.core.pause`); dates and signed times use the wall
  clock.
'''

import asyncio
import heapq
import re
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from ..errors import UsageError
from ..http import Response, WebhookRequest
from ..models import Kind, Reason, Status
from ..primitives import coerce
from .core import SimulatorCore
from .faults import Fault
from .ledger import Entry, Outcome
from .messages import Message
from .replies import Refused, json_reply

_STEM = re.compile(r"[0-9]{1,14}")
_DIGIT = re.compile(r"[0-9]")
# What a payer does by the last digit, unless the provider's own test numbers say otherwise.
_HABITS: Mapping[str, Outcome] = {
    "0": Outcome(Status.FAILED, Reason.DECLINED),
    "1": Outcome(Status.FAILED, Reason.INSUFFICIENT_FUNDS),
    "2": Outcome(Status.CANCELLED, Reason.CANCELLED),
    "3": Outcome(Status.EXPIRED, Reason.EXPIRED),
    "4": Outcome(Status.PENDING),
    "5": Outcome(Status.FAILED, Reason.WRONG_PIN),
    "6": Outcome(Status.FAILED, Reason.BUSY),
    "8": Outcome(Status.FAILED, Reason.LIMIT),
}


def magic(stem: str, *, success: str) -> dict[str, Outcome]:
    """Return outcomes for the phone numbers that begin with `stem`, by their last digit.

    `success` is the digit of the payer who pays; 0 declines, 1 lacks money, 2 cancels, 3 lets it
    expire, 4 never answers, 5 enters a wrong PIN, 6 is busy with another payment, 8 exceeds a
    limit. UsageError: `stem` is not 1 to 14 digits, or `success` not one digit.
    """
    if not _STEM.fullmatch(coerce.text(stem) or ""):
        accepted = "1 to 14 digits, as the provider gets a number: it has at most 15"
        raise UsageError.field("stem", stem, accepted)
    if not _DIGIT.fullmatch(coerce.text(success) or ""):
        raise UsageError.field("success", success, "one digit")
    return {f"{stem}{digit}": habit for digit, habit in _HABITS.items()} | {
        f"{stem}{success}": Outcome(Status.SUCCEEDED)
    }


class Provider:
    """A simulated provider; this module's docstring says how to write one."""

    name: ClassVar[str]
    base_path: ClassVar[str] = ""
    hosts: ClassVar[frozenset[str]] = frozenset()
    # First parts of its own paths that are also the name of a mount, for a provider at the root.
    own_mounts: ClassVar[frozenset[str]] = frozenset()
    credentials: ClassVar[Mapping[str, str]] = {}
    # More of the driver's fields, which some operations need; any text is valid.
    more_credentials: ClassVar[Mapping[str, str]] = {}
    numbers: ClassVar[Mapping[str, Outcome]] = {}
    # Of `__init__`: settings that change by themselves, and what else stays after a reset.
    balances: ClassVar[frozenset[str]] = frozenset()
    stays: ClassVar[tuple[str, ...]] = ("magic", "tokens")
    # The attribute that selects the shape of a message, and its values, if there are several.
    shapes: ClassVar[tuple[str, tuple[str, ...]]] = ("", ())

    def __init__(self, core: SimulatorCore) -> None:
        self.core = core
        self.magic = dict(self.numbers)  # a test may add more
        self._due: list[tuple[float, int, Entry, Outcome]] = []
        self._rung = 0

    @property
    def url(self) -> str:
        """The URL of this provider's mount, for the addresses that it sends."""
        return f"{self.core.url}/{self.name}"

    async def handle(self, incoming: WebhookRequest) -> Response:
        """Answer one request; its path is relative to the mount."""
        self.core.catch_up()
        self._ripen()
        try:
            return await self.answer(incoming)
        except Refused as refused:
            return refused.reply

    async def answer(self, incoming: WebhookRequest) -> Response:
        """Answer one request, or raise Refused."""
        raise NotImplementedError

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Make the webhook of an order; None: the provider sends none. forged: a false success."""
        return None

    def throttled(self) -> Response:
        """Refuse a request before processing it; the Retry-After header is added by the fault."""
        return json_reply({"message": "Too many requests"}, 429)

    def stale(self, incoming: WebhookRequest) -> Response:
        """Refuse this request's token as expired."""
        return json_reply({"message": "Unauthorized"}, 401)

    def listens(self, incoming: WebhookRequest) -> Response | None:
        """Return None to accept a WebSocket, which then gets every frame of `push`.

        Else the refusal.
        """
        return Response(status=404)

    def inbound(
        self, *, amount: str, reference: str | None, party: str | None, account: str | None
    ) -> Entry:
        """Let a customer pay unasked; UsageError: the provider has no such payment."""
        raise UsageError.field("provider", self.name, "one whose customers pay unasked, as mpesa")

    def push(self, frame: str) -> None:
        """Send a text frame to every WebSocket of this provider."""
        self.core.push(self.name, frame)

    def uuid(self) -> str:
        """Make a UUID4 from the seed."""
        return str(uuid.UUID(int=self.core.random.getrandbits(128), version=4))

    def open(
        self,
        kind: Kind,
        *names: str,
        reference: str | None,
        provider_reference: str,
        amount: Decimal,
        currency: str,
        party: str | None = None,
        **words: Any,
    ) -> Entry:
        """Accept an order: it is in the ledger, PENDING; the payer is not asked yet.

        `names`: other ids by which the ledger finds it, such as its receipt.
        """
        return self.core.ledger.open(
            Entry(
                provider=self.name,
                kind=kind,
                reference=reference,
                provider_reference=provider_reference,
                amount=amount,
                currency=currency,
                party=party,
                words=words,
            ),
            *names,
        )

    def entry(self, provider_reference: str) -> Entry | None:
        """Return the order with this provider reference."""
        return self.core.ledger.get(self.name, provider_reference)

    def entries(self) -> list[Entry]:
        """List this provider's orders, oldest first."""
        return self.core.ledger.entries(provider=self.name)

    def ring(self, entry: Entry, outcome: Outcome | None = None, *, on_phone: bool = True) -> None:
        """Ask the payer or the operator; the number decides after a delay, else the default.

        `on_phone`: a payer is asked on the phone; a checkout page asks there only later, by
        another call.
        """
        core = self.core
        decided = outcome or core.payers.outcome(
            entry, self.magic.get(entry.party or ""), core.random
        )
        opens = decided is None or decided.status is not Status.PENDING
        if on_phone and entry.kind == "collect" and opens and not entry.status.terminal:
            entry.asks = True
            core.tell("payment", entry)
        if decided is None or not opens:
            return
        delay = core.decision_delay(entry)
        self._rung += 1
        due = asyncio.get_running_loop().time() + delay
        heapq.heappush(self._due, (due, self._rung, entry, decided))
        core.after(delay, self._ripen)

    def hang_up(self, entry: Entry) -> None:
        """Stop asking a payer: nothing decides any more, until a test does."""
        self._due = [one for one in self._due if one[2] is not entry]
        heapq.heapify(self._due)
        entry.asks = False
        self.core.tell("payment", entry)

    def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Decide an order now: the ledger moves the money, and the webhook is sent."""
        self.core.ledger.settle(entry, outcome)
        if entry.status.terminal:
            self.announce(entry)

    def announce(self, entry: Entry) -> None:
        """Send the webhook of an order, changed by a planned fault."""
        message = self.message(entry)
        if message is not None:
            messages, late = self.faulted(entry, message)
            self.core.send(self.name, *messages, after=late)

    def faulted(self, entry: Entry, message: Message) -> tuple[list[Message], float]:
        """Return what a planned fault leaves of an order's message, and after how many seconds."""
        planned = self.core.faults.for_webhook(entry)
        kind = planned.kind if planned else None
        if kind is Fault.WEBHOOK_LOST:
            return [], 0.0
        message = _marked(message, entry, forged=False)
        messages = [message]
        if kind is Fault.WEBHOOK_DUPLICATE:
            messages.append(message)
        if kind is Fault.WEBHOOK_FORGED and (forged := self.message(entry, forged=True)):
            messages.insert(0, _marked(forged, entry, forged=True))
        return messages, planned.seconds if planned and kind is Fault.WEBHOOK_LATE else 0.0

    def _ripen(self) -> None:
        # Also called at each request: timers end with their event loop, and a simulator may see
        # several.
        now = asyncio.get_running_loop().time() + 0.001  # a timer may fire a clock tick early
        while self._due and self._due[0][0] <= now:
            _, _, entry, outcome = heapq.heappop(self._due)
            if entry.status is Status.PENDING:
                self.settle(entry, outcome)


def _marked(message: Message, entry: Entry, *, forged: bool) -> Message:
    """Note on a message which order it is about; a question of M-Pesa's has none in the ledger."""
    return msgspec.structs.replace(message, order=entry.id, forged=forged)
