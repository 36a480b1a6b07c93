"""Promises about sample bodies: each keeps its status, and no contradiction is an end."""

from collections.abc import Mapping

import pytest

from ...http import Response, get
from ...models import Status
from ...transport import Means, decide
from .bodies import Bodies, at, has, put, spelled, spoken
from .promises import Promises

FIREWALLS: Mapping[str, bytes] = {
    "nothing": b"",
    "a page": b"<html><title>Access denied</title></html>",
    "text": b"Request unsuccessful. Incapsula incident ID: 1-2",
    "a gateway's JSON": b'{"message": "Forbidden"}',
    "a proxy's JSON": b'{"error": "Forbidden", "status": 403}',
    "a list": b"[]",
    "a number": b"403",
    "half": b'{"detail": "Inv',
}
ERRORS = [400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504, 599]


def _misspelled(bodies: Bodies) -> list[str]:
    """Name the places that no sample has."""
    shape = bodies.shape
    wrong = [
        f"Shape.places: no sample of an answer has {place!r} ({field})"
        for field, place in shape.places.items()
        if not bodies.known(field, place, shape.answers, bodies.verified)
    ]
    wrong += [
        f"Shape.told: no sample of a message has {place!r} ({field})"
        for field, place in shape.told.items()
        if not bodies.known(field, place, shape.messages, bodies.claimed)
    ]
    answers = [bodies.sample(case) for case in shape.answers]
    wrong += [
        f"no sample has the amount field {place!r}: set Shape.amounts, or () if this "
        "provider's successes have none"
        for place in shape.amounts
        if not any(has(body, place) for body in answers)
    ]
    if shape.asked_by and not any(has(body, shape.asked_by) for body in answers):
        wrong.append(f"Shape.asked_by: no sample of an answer has {shape.asked_by!r}")
    return wrong


class SamplePromises(Promises):
    """Promises about sample bodies: each keeps its status, and no contradiction is an end."""

    def test_every_sample_keeps_its_status(self) -> None:
        """Documented and seen answers are read as they are, above all those of paid orders."""
        for bodies in self.bodies():
            shape = bodies.shape
            assert {*shape.answers, *shape.messages} <= shape.said.keys()
            for case, expected in shape.said.items():
                body, status = bodies.sample(case), case.rpartition(".")[2]
                if status.isdigit():
                    assert bodies.verified(body, int(status)) is expected, case
                else:
                    assert bodies.claimed(body) is expected, case

    def test_every_table_is_reached(self) -> None:
        """Each field of a driver's table is in an answer or a message."""
        reached = {field for shape in self.case.shapes for field in (*shape.places, *shape.told)}
        assert reached == self.driver.speaks.keys()

    def test_every_place_is_that_of_a_sample(self) -> None:
        """A place or an amount that is misspelled would let other promises check nothing."""
        assert [said for bodies in self.bodies() for said in _misspelled(bodies)] == []

    def test_no_terminal_state_comes_out_of_a_contradiction(self) -> None:
        """Every pair of words of any two fields, in every sample and spelling."""
        for bodies in self.bodies():
            places = bodies.shape.places
            wrong = []
            tried = against = 0
            for case in bodies.shape.answers:
                for body in bodies.pairs(case, places):
                    tried += 1
                    against += not bodies.possible(spoken(body, places))
                    for written in (body, spelled(body, places)):
                        said = bodies.wrong(written, places, bodies.verified(written))
                        wrong += [(case, spoken(written, places), said)] if said else []
            assert wrong == []
            if len(places) > 1:
                assert tried > 10
                assert against > tried / 5

    def test_no_terminal_state_is_claimed_out_of_a_contradiction(self) -> None:
        """The same for messages, although no code acts on their claims."""
        wrong = []
        for bodies in self.bodies():
            places = bodies.shape.told
            for case in bodies.shape.messages:
                for body in bodies.pairs(case, places):
                    for written in (body, spelled(body, places)):
                        said = bodies.wrong(written, places, bodies.claimed(written))
                        wrong += [(case, spoken(written, places), said)] if said else []
        assert wrong == []

    @pytest.mark.parametrize("status", ERRORS)
    def test_no_success_is_read_under_an_http_error(self, status: int) -> None:
        """A success under 4xx or 5xx is no success and no failure: the look-up failed."""
        for bodies in self.bodies():
            for case in bodies.shape.answers:
                if bodies.shape.said[case] is Status.SUCCEEDED:
                    assert bodies.verified(bodies.sample(case), status) is None

    def test_a_success_without_its_amount_is_none(self) -> None:
        """Without a field that each documented success has, it is PENDING or no answer."""
        for bodies in self.bodies():
            amounts = bodies.shape.amounts
            tried = 0
            for case in bodies.shape.answers:
                body = bodies.sample(case)
                found = [place for place in amounts if at(body, place) is not None]
                if bodies.shape.said[case] is Status.SUCCEEDED and found:
                    tried += 1
                    for place in found:
                        put(body, place, None)
                    assert bodies.verified(body) in (None, Status.PENDING), case
            assert tried or not amounts, (
                f"no sample of a success has one of the amount fields {amounts}: set "
                "Shape.amounts, or () if this provider's successes have none"
            )

    @pytest.mark.parametrize("status", [401, 403])
    @pytest.mark.parametrize("body", FIREWALLS.values(), ids=FIREWALLS)
    def test_a_firewalls_page_says_nothing_of_credentials(self, status: int, body: bytes) -> None:
        """401 and 403 in another format than the provider's leave a look-up unknown."""
        reply = Response(status=status, body=body)
        assert decide(self.bodies()[0].driver, get("/x", dict), reply).means is Means.UNKNOWN

    def bodies(self) -> list[Bodies]:
        """Return the samples of the driver, of each API."""
        return [Bodies(self.driver, shape, self.samples) for shape in self.case.shapes]
