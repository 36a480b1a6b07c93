"""The description of the control API, and what it describes."""

import json
import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from paymux.simulator import Simulator
from paymux.simulator.control.openapi import EVENTS, document

from .asking import raw

# Every route, as clients rely on it, and the magic numbers for the page.
TABLE = """
GET health
GET env
GET payments
GET payments/{id}
POST payments/{id}/answer
POST payments/{id}/settle
GET wait
GET requests
GET requests/{n}
GET deliveries
GET deliveries/{n}
POST deliveries/{n}/again
GET faults
POST faults
DELETE faults
DELETE faults/{n}
GET settings
PATCH settings
GET payers
PUT payers/{number}
DELETE payers/{number}
POST inbound
GET ledger
POST reset
POST worlds
GET events
GET openapi.json
"""
WORDS = "hello payment request delivery fault settings reset gap batch"


def described() -> Any:
    """Return the description as a client reads it."""
    return json.loads(json.dumps(document()))


def test_the_description_is_openapi_3_1() -> None:
    """A published validator has nothing to say about it, so that generators can read it."""
    errors = OpenAPIV31SpecValidator(described()).iter_errors()
    assert [error.message for error in errors] == []


def test_every_route_is_described_and_no_other() -> None:
    """What a client can call is in the description, and what is in it can be called."""
    routes = {
        f"{method.upper()} {path[1:]}"
        for path, methods in described()["paths"].items()
        for method in methods
    }
    assert routes == set(TABLE.split("\n")) - {""}


def test_every_event_is_described_and_no_other() -> None:
    """A reader of the stream knows each word that may come."""
    shapes = described()["components"]["schemas"]["Event"]["oneOf"]
    words = [re.search(r'"const": "(\w+)"', json.dumps(shape)) for shape in shapes]
    assert [word and word[1] for word in words] == WORDS.split() == list(EVENTS)


@pytest.mark.parametrize("mount", ["", "/w/t1"])
async def test_it_is_served_in_each_world(mount: str) -> None:
    """A client finds it below /_paymux of each world."""
    async with Simulator() as sim:
        sim.world("t1")
        answer = await raw(sim, "GET", f"{mount}/_paymux/openapi.json")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert json.loads(body) == described()
