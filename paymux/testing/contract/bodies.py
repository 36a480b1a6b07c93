"""A driver's samples, what it reads in them, and what its tables leave possible."""

import copy
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...drivers.base import Driver
from ...errors import OutcomeUnknown, ProviderError
from ...http import Response, WebhookRequest
from ...models import Payment, Status
from ...values.status_words import ANY_OTHER_WORD, normalized
from .case import Shape
from .script import Script, drive

NOVEL = "a word of no table"


def at(body: Any, place: str) -> Any:
    """Return the value at a place, None if there is none."""
    for step in place.split("."):
        body = _inside(body, step)
    return body


def _inside(body: Any, step: str) -> Any:
    """Return what an object has under a name, or a list at a number."""
    if isinstance(body, list) and step.isdigit() and int(step) < len(body):
        return body[int(step)]
    return body.get(step) if isinstance(body, dict) else None


def has(body: Any, place: str) -> bool:
    """Return whether a body has a place, whatever is there."""
    above, _, last = place.rpartition(".")
    inner = at(body, above) if above else body
    return isinstance(inner, dict) and last in inner


def put(body: Any, place: str, value: object) -> bool:
    """Put a value at a place; False where the body has no such place."""
    *path, last = place.split(".")
    for step in path:
        body = _inside(body, step)
    if isinstance(body, dict):
        body[last] = value
    return isinstance(body, dict)


def spoken(body: Any, places: Mapping[str, str]) -> dict[str, str]:
    """Return the words of a body that speak of the status."""
    found = {field: at(body, place) for field, place in places.items()}
    plainly = {
        field: word for field, word in found.items() if not (word is None or isinstance(word, bool))
    }
    return {field: text for field, word in plainly.items() if (text := str(word).strip())}


def spelled(body: Any, places: Mapping[str, str]) -> Any:
    """Return the words in another case, with white space and a full stop."""
    body = copy.deepcopy(body)
    for field, word in spoken(body, places).items():
        put(body, places[field], f" {word.lower()}. ")
    return body


class Bodies:
    """The samples of one driver."""

    def __init__(self, driver: type[Driver], shape: Shape, samples: Path) -> None:
        self.driver = driver(**shape.fields)
        self.shape = shape
        self._samples = samples

    def sample(self, case: str) -> Any:
        """Return the body of a sample."""
        return json.loads((self._samples / f"{case}.json").read_text(encoding="utf-8"))["body"]

    def verified(self, body: Any, status: int = 200) -> Status | None:
        """Return the status that a look-up finds; None: none, the payment stays as it is."""
        fields = dict(self.shape.asked)
        if (own := at(body, self.shape.asked_by)) is not None:
            fields["provider_reference"] = own
        asked = Payment(account=self.driver.account, live=self.driver.live, **fields)
        reply = Response(status=status, body=json.dumps(body).encode())
        try:
            return drive(self.driver.verify(Script(self.driver, reply), asked)).status
        except (OutcomeUnknown, ProviderError):
            return None

    def claimed(self, body: Any) -> Status:
        """Return the status that a message claims."""
        for place, value in self.shape.signed.items():
            put(body, place, value)
        message = WebhookRequest(body=json.dumps(body).encode())
        return self.driver.webhook(message).claims.status

    def possible(self, said: Mapping[str, str]) -> frozenset[Status]:
        """Return the statuses that these words leave possible, by the driver's table."""
        left = frozenset(Status)
        for field, word in said.items():
            words = self.driver.speaks[field]
            meant = words.get(normalized(word)) or words.get(ANY_OTHER_WORD) or Status.PENDING
            left &= meant if isinstance(meant, frozenset) else {meant}
        return left

    def known(
        self,
        field: str,
        place: str,
        cases: Sequence[str],
        read: Callable[[Any], Status | None],
    ) -> bool:
        """Return whether a place is in a sample, or the driver reads what is put there."""
        if any(has(self.sample(case), place) for case in cases):
            return True
        for case, word in itertools.product(cases, (*self.driver.speaks.get(field, ()), NOVEL)):
            body = self.sample(case)
            if put(body, place, word) and read(body) is not read(self.sample(case)):
                return True
        return False

    def pairs(self, case: str, places: Mapping[str, str]) -> Iterator[Any]:
        """Yield a sample with every pair of its fields set to every two words of their tables."""
        speaks = self.driver.speaks
        for one, two in itertools.combinations(places, 2):
            for word, other in itertools.product((*speaks[one], NOVEL), (*speaks[two], NOVEL)):
                body = copy.deepcopy(self.sample(case))
                if (
                    ANY_OTHER_WORD not in (word, other)
                    and put(body, places[one], word)
                    and put(body, places[two], other)
                ):
                    yield body

    def wrong(self, body: Any, places: Mapping[str, str], found: Status | None) -> str | None:
        """Return what is wrong with the status that was found."""
        left = self.possible(spoken(body, places))
        amounts = self.shape.amounts
        if found is Status.PENDING and amounts and all(at(body, one) is None for one in amounts):
            return None  # a success without its amount
        if not left and found is not None and found.terminal:
            return f"{found} out of a contradiction"
        expected = next((status for status in Status if status in left), None)
        if left and found is not None and found is not expected:
            return f"{found} instead of {sorted(left)}"
        return None
