'''What every simulated provider is: a sans-IO server that answers from the provider's own page.

To simulate a provider, write `simulator/<driver name>.py` with one class, and nothing else anywhere:

    class Acme(Provider):
        """Acme's merchant API on the wire, from https://acme.example/docs."""

        name = "acme"                              # mounted at /acme: the driver's name
        base_path = "/api/v1"                      # what the driver's base_url has below the mount
        hosts = frozenset({"api.acme.example"})    # whose URLs are answered, too, when there is no socket
        credentials = {"api_key": "simulator"}     # the driver's fields; every secret is "simulator"
        numbers = magic("22997979797", success="7")  # what the payers of these numbers do

        async def answer(self, incoming):          # the path is the provider's own, below the mount
            match incoming.method, *segments(incoming):
                case "POST", "api", "v1", "payments":
                    return self.request_payment(fields(incoming))
            return json_reply({"message": "Not found"}, 404)

        def message(self, entry, *, forged=False): # the webhook about a settled order, signed; None: there is none
            return Message.json(entry.words["callback_url"], {...})

`replies.py` reads requests and words answers, `tokens.py` has access tokens and JWT. The rules:

* Read the provider's page, never our driver. A doubtful point of it is a plain attribute of the instance, with the
  likeliest reading as default.
* Refuse what the provider refuses, in its own words: `raise Refused(json_reply({...}, 400))` below `answer`.
* Accept an order with `self.open(...)`, which writes it in the ledger, and call `self.ring(entry)` when the payer
  is asked: his number, or the simulator's default, or a later `sim.settle` decides. A person decides on a page of
  yours: `page(...)`, then `self.settle(entry, outcome)`. Settling moves the money and sends `message`.
* `entry.code` is the provider's own word or code, where a test names one: say it instead of the usual one.
* Ids and chance come from `self.world.random`, so that a seed repeats a run; waits use the loop's clock
  (`self.world.after`, `self.world.pause`), dates and signed times the wall's.
'''

import asyncio
import heapq
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from ..models import Kind, Reason, Status
from ..wire import Incoming, Reply
from .faults import Fault
from .ledger import Entry, Outcome
from .replies import Refused, json_reply
from .world import Message, World

# What the payer does whose number ends so, where the provider's own test numbers do not say otherwise.
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
    """Give the numbers that begin with `stem` their habits.

    `success` is the last digit of the payer who pays; 0 declines, 1 lacks money, 2 cancels, 3 lets it expire,
    4 never answers, 5 mistypes the PIN, 6 is busy with another payment, 8 is above a limit.
    """
    return {f"{stem}{digit}": habit for digit, habit in _HABITS.items()} | {
        f"{stem}{success}": Outcome(Status.SUCCEEDED)
    }


class Provider:
    """One simulated provider; see the top of this module for how to write one."""

    name: ClassVar[str]
    base_path: ClassVar[str] = ""
    hosts: ClassVar[frozenset[str]] = frozenset()
    # How its own paths begin, where one of them begins as a mount does: at the root they are told apart by it.
    own_mounts: ClassVar[frozenset[str]] = frozenset()
    credentials: ClassVar[Mapping[str, str]] = {}
    numbers: ClassVar[Mapping[str, Outcome]] = {}

    def __init__(self, world: World) -> None:
        self.world = world
        self.magic = dict(self.numbers)  # a test may add its own
        self._due: list[tuple[float, int, Entry, Outcome]] = []
        self._rung = 0

    @property
    def url(self) -> str:
        """Where this provider is mounted, for the addresses it gives out."""
        return f"{self.world.url}/{self.name}"

    async def handle(self, incoming: Incoming) -> Reply:
        """Answer one request whose path is the provider's own."""
        self.world.catch_up()
        self._ripen()
        try:
            return await self.answer(incoming)
        except Refused as refused:
            return refused.reply

    async def answer(self, incoming: Incoming) -> Reply:
        """Answer one request, or raise Refused."""
        raise NotImplementedError

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Make the webhook about an order, or None where the provider sends none; forged: a false success."""
        return None

    def throttled(self) -> Reply:
        """Refuse a request before processing it; the Retry-After header is added by the fault."""
        return json_reply({"message": "Too many requests"}, 429)

    def stale(self, incoming: Incoming) -> Reply:
        """Refuse the token of this request, which was good before."""
        return json_reply({"message": "Unauthorized"}, 401)

    def listens(self, incoming: Incoming) -> Reply | None:
        """Refuse a WebSocket with a reply, or accept it with None: it gets every frame that is `push`ed."""
        return Reply(status=404)

    def push(self, frame: str) -> None:
        """Send a text frame to every WebSocket of this provider."""
        self.world.push(self.name, frame)

    def uuid(self) -> str:
        """Make a UUID4 that the seed repeats."""
        return str(uuid.UUID(int=self.world.random.getrandbits(128), version=4))

    def open(
        self,
        kind: Kind,
        *,
        reference: str | None,
        provider_reference: str,
        amount: Decimal,
        currency: str,
        party: str | None = None,
        **words: Any,
    ) -> Entry:
        """Accept an order: it is in the ledger, PENDING, and nobody has been asked yet."""
        return self.world.ledger.open(
            Entry(
                provider=self.name,
                kind=kind,
                reference=reference,
                provider_reference=provider_reference,
                amount=amount,
                currency=currency,
                party=party,
                words=words,
            )
        )

    def entry(self, provider_reference: str) -> Entry | None:
        """Give the order with this provider reference."""
        return self.world.ledger.get(self.name, provider_reference)

    def entries(self) -> list[Entry]:
        """List this provider's orders, oldest first."""
        return self.world.ledger.entries(provider=self.name)

    def ring(self, entry: Entry, outcome: Outcome | None = None) -> None:
        """Ask the payer (or the operator): he decides after his delay, as his number says, if it says anything."""
        outcome = outcome or self.magic.get(entry.party or "") or self.world.usual()
        if outcome is None or outcome.status is Status.PENDING:
            return
        delay = self.world.decision_delay(entry)
        self._rung += 1
        due = asyncio.get_running_loop().time() + delay
        heapq.heappush(self._due, (due, self._rung, entry, outcome))
        self.world.after(delay, self._ripen)

    def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Decide an order now: the money moves in the ledger, and the webhook goes out."""
        self.world.ledger.settle(entry, outcome)
        if entry.status.terminal:
            self.announce(entry)

    def announce(self, entry: Entry) -> None:
        """Send the message about an order, or what a planned fault makes of it."""
        message = self.message(entry)
        if message is None:
            return
        planned = self.world.faults.for_webhook(entry)
        kind = planned.kind if planned else None
        if kind is Fault.WEBHOOK_LOST:
            return
        messages = [message]
        if kind is Fault.WEBHOOK_DUPLICATE:
            messages.append(message)
        if kind is Fault.WEBHOOK_FORGED and (forged := self.message(entry, forged=True)):
            messages.insert(0, forged)
        late = planned.seconds if planned and kind is Fault.WEBHOOK_LATE else 0.0
        self.world.send(self.name, *messages, after=late)

    def _ripen(self) -> None:
        # Also asked at each request: timers die with their loop, and a simulator may see several loops in turn.
        now = asyncio.get_running_loop().time() + 0.001  # a timer may ring a clock tick early
        while self._due and self._due[0][0] <= now:
            _, _, entry, outcome = heapq.heappop(self._due)
            if entry.status is Status.PENDING:
                self.settle(entry, outcome)
