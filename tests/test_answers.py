"""R22: no contradiction, and no unproved answer, gives a terminal status, at any driver."""

import copy
import itertools
import json
import logging
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec
import pytest

from paymux import (
    AuthenticationFailed,
    OutcomeUnknown,
    Payment,
    ProviderError,
    Status,
    Unavailable,
    WebhookRequest,
)
from paymux.drivers import load, names
from paymux.drivers.base import Driver
from paymux.http import Response, get
from paymux.simulator import Fault
from paymux.simulator.replies import json_reply
from paymux.transport.outcome import Means, decide
from paymux.values import status_words
from paymux.values.status_words import ANY_OTHER_WORD, normalized
from paymux.watch.refusals import DENIALS_IN_A_ROW

from .cases import CASES
from .driving import SAMPLES, Script, drive, sample
from .test_contract import ATTEMPTS, Desk
from .virtual import timeless

every = pytest.mark.parametrize("name", names())
NOVEL = "a word of no table"


SHAPES = {name: case.words for name, case in CASES.items()}


@cache
def driver(name: str) -> Driver:
    """Return an account at a provider."""
    return load(name)(**SHAPES[name].fields)


def at(body: Any, place: str) -> Any:
    """Return the value at a place, None if there is none."""
    for step in place.split("."):
        body = body.get(step) if isinstance(body, dict) else None
    return body


def put(body: Any, place: str, value: object) -> bool:
    """Put a value at a place; False where the body has no such place."""
    *path, last = place.split(".")
    for step in path:
        body = body.get(step) if isinstance(body, dict) else None
    if isinstance(body, dict):
        body[last] = value
    return isinstance(body, dict)


def verified(name: str, body: object, status: int = 200) -> Status | None:
    """Return the status that a look-up finds; None: none, the payment stays as it is."""
    one = driver(name)
    script = Script(one, Response(status=status, body=json.dumps(body).encode()))
    try:
        found = drive(
            one.verify(script, Payment(account=name, live=one.live, **SHAPES[name].asked))
        )
    except (OutcomeUnknown, ProviderError):
        return None
    return found.status


def claimed(name: str, body: object) -> Status:
    """Return the status that a message claims."""
    return driver(name).webhook(WebhookRequest(body=json.dumps(body).encode())).claims.status


def possible(name: str, said: Mapping[str, str]) -> frozenset[Status]:
    """Return the statuses that these words leave possible, by the driver's table."""
    left = frozenset(Status)
    for field, word in said.items():
        words = driver(name).speaks[field]
        meant = words.get(normalized(word)) or words.get(ANY_OTHER_WORD) or Status.PENDING
        left &= meant if isinstance(meant, frozenset) else {meant}
    return left


def spoken(body: Any, places: Mapping[str, str]) -> dict[str, str]:
    """Return the words of a body that speak of the status."""
    found = {field: at(body, place) for field, place in places.items()}
    plainly = {
        field: word for field, word in found.items() if not (word is None or isinstance(word, bool))
    }
    return {field: text for field, word in plainly.items() if (text := str(word).strip())}


def pairs(name: str, case: str, places: Mapping[str, str]) -> Iterator[Any]:
    """Give a sample with every pair of its fields set to every two words of their tables."""
    speaks = driver(name).speaks
    for one, two in itertools.combinations(places, 2):
        for word, other in itertools.product((*speaks[one], NOVEL), (*speaks[two], NOVEL)):
            body = copy.deepcopy(sample(name, case))
            if (
                ANY_OTHER_WORD not in (word, other)
                and put(body, places[one], word)
                and put(body, places[two], other)
            ):
                yield body


def spelled(body: Any, places: Mapping[str, str]) -> Any:
    """Return the words in another case, with white space and a full stop."""
    body = copy.deepcopy(body)
    for field, word in spoken(body, places).items():
        put(body, places[field], f" {word.lower()}. ")
    return body


def held(name: str, body: Any, places: Mapping[str, str], found: Status | None) -> str | None:
    """Return what is wrong with the status that was found."""
    left = possible(name, spoken(body, places))
    if name == "cinetpay" and found is Status.PENDING and at(body, "data.amount") is None:
        return None  # with a status, the guide's answer of 2021 is a success without its amount
    if not left and found is not None and found.terminal:
        return f"{found} out of a contradiction"
    if (
        left
        and found is not None
        and found is not next(status for status in Status if status in left)
    ):
        return f"{found} instead of {sorted(left)}"
    return None


@every
def test_no_terminal_state_comes_out_of_a_contradiction(name: str) -> None:
    """Every pair of words of any two fields, in every sample and spelling."""
    shape, wrong, tried, against = SHAPES[name], [], 0, 0
    for case in shape.answers:
        for body in pairs(name, case, shape.places):
            tried += 1
            against += not possible(name, spoken(body, shape.places))
            for written in (body, spelled(body, shape.places)):
                said = held(name, written, shape.places, verified(name, written))
                wrong += [(case, spoken(written, shape.places), said)] if said else []
    assert wrong == []
    assert tried > 10
    assert against > tried / 5


@every
def test_no_terminal_state_is_claimed_out_of_a_contradiction(name: str) -> None:
    """The same for messages, although no code acts on their claims."""
    shape, wrong = SHAPES[name], []
    for case in shape.messages:
        for body in pairs(name, case, shape.told):
            if name == "paydunya":
                body["data"]["hash"] = sample(name, "hash")["sha512"]
            for written in (body, spelled(body, shape.told)):
                said = held(name, written, shape.told, claimed(name, written))
                wrong += [(case, spoken(written, shape.told), said)] if said else []
    assert wrong == []


@every
def test_every_table_is_reached(name: str) -> None:
    """Each field of a driver's table is in an answer or a message."""
    shape = SHAPES[name]
    assert {*shape.places, *shape.told} == load(name).speaks.keys()


@every
def test_a_contradiction_is_logged_once(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """However often it is polled, there is one record, with known words."""
    shape = SHAPES[name]
    odd = (
        one
        for one in pairs(name, shape.answers[0], shape.places)
        if not possible(name, spoken(one, shape.places))
    )
    body = next(one for one in odd if verified(name, one) is Status.PENDING)
    status_words._contradiction.cache_clear()
    caplog.clear()
    with caplog.at_level(logging.WARNING, "paymux"):
        for _ in range(3):
            assert verified(name, body) is Status.PENDING
    assert (
        len([record for record in caplog.records if "contradicts itself" in record.getMessage()])
        == 1
    )


def test_ever_new_words_fill_no_log_of_contradictions(caplog: pytest.LogCaptureFixture) -> None:
    """A sender that invents words gets one record of the contradiction, without them."""
    status_words._contradiction.cache_clear()
    speaks = {"status": {"PAID": Status.SUCCEEDED}, "state": {"DUE": Status.PENDING}}
    with caplog.at_level(logging.WARNING, "paymux"):
        for number in range(50):
            assert (
                status_words.agreed_status("toy", speaks, {"status": "paid", "state": f"x{number}"})
                is Status.PENDING
            )
    said = [
        record.getMessage()
        for record in caplog.records
        if "contradicts itself" in record.getMessage()
    ]
    assert said == [
        (
            "toy: an answer that contradicts itself is kept as pending: status PAID, state of "
            "another word"
        )
    ]


SAID = {name: case.words.said for name, case in CASES.items()}


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name, cases in SAID.items() for case in cases], ids=str
)
def test_every_sample_keeps_its_status(name: str, case: str) -> None:
    """Documented and seen answers are read as before, above all those of paid orders."""
    body, expected = sample(name, case), SAID[name][case]
    if not case[-3:].isdigit():
        assert claimed(name, body) is expected
        return
    one = driver(name)
    # The samples are of several payments: each is asked for by the id that it answers to.
    asked = dict(SHAPES[name].asked)
    if name == "mpesa":
        asked["provider_reference"] = body.get("CheckoutRequestID", asked["provider_reference"])
    reply = Response(status=int(case[-3:]), body=json.dumps(body).encode())
    assert drive(one.verify(Script(one, reply), Payment(account=name, **asked))).status is expected


@every
def test_each_verify_sample_is_in_the_table(name: str) -> None:
    """Each added sample needs its status here."""
    kinds = (
        "successful",
        "demo_record",
        "payout_failed",
        "pending",
        "check_",
        "confirm",
        "query_",
        "verify",
        "complete",
    )
    found = {path.stem for path in (SAMPLES / name).glob("*.json") if path.stem.startswith(kinds)}
    requests = {"check_request", "query_request", "verify"}
    refused = {case for case in found if case.endswith((".404", ".408"))}
    assert found - requests - refused <= SAID[name].keys()


@every
@pytest.mark.parametrize(
    "status", [400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504, 599]
)
def test_no_success_is_read_under_an_http_error(name: str, status: int) -> None:
    """A success under 4xx or 5xx is no success and no failure: the look-up failed."""
    for case in SHAPES[name].answers:
        found = verified(name, sample(name, case), status)
        if SAID[name].get(case) is Status.SUCCEEDED:
            assert found is None


@every
def test_a_success_without_its_amount_is_none(name: str) -> None:
    """Without a field that each documented success has, it is PENDING or no answer."""
    places = (
        "amount",
        "data.amount",
        "total_amount",
        "invoice.total_amount",
        "invoice.total_amount_without_fees",
    )
    for case in SHAPES[name].answers:
        body = sample(name, case)
        if SAID[name][case] is not Status.SUCCEEDED or not any(
            at(body, place) is not None for place in places
        ):
            continue
        for place in places:
            if at(body, place) is not None:
                put(body, place, None)
        assert verified(name, body) in (None, Status.PENDING)


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


@every
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", FIREWALLS.values(), ids=FIREWALLS)
def test_a_firewalls_page_says_nothing_of_credentials(name: str, status: int, body: bytes) -> None:
    """401 and 403 in another format than the provider's leave a look-up unknown."""
    assert (
        decide(driver(name), get("/x", dict), Response(status=status, body=body)).means
        is Means.UNKNOWN
    )


OWN: Mapping[str, tuple[str, ...]] = {
    "campay": ("stale_token.401",),
    "intram": ("invalid_keys.401",),
    "mpesa": ("stale_token.401",),
    "mpesa_gateway": ("token_not_valid.401", "two_factor.403", "unsigned.401"),
}


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name, cases in OWN.items() for case in cases]
)
def test_the_providers_own_words_speak_of_credentials(name: str, case: str) -> None:
    """Each sampled refusal of the credentials is still one."""
    body = json.dumps(sample(name, case)).encode()
    verdict = decide(driver(name), get("/x", dict), Response(status=int(case[-3:]), body=body))
    assert isinstance(verdict.error, AuthenticationFailed)


@every
@pytest.mark.parametrize(("fault", "status"), [(Fault.HTML, 403), (Fault.ERROR, 401)])
@timeless
async def test_a_watch_goes_on_behind_a_firewall(
    name: str, fault: Fault, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A paid order ends all the same; ten refusals in a row are one ERROR record."""
    async with Desk(name) as desk:
        payment = await desk.collect()
        desk.settle(payment, Status.SUCCEEDED)
        desk.fault(desk.case.looks, fault, status=status, times=ATTEMPTS * (DENIALS_IN_A_ROW + 2))
        with pytest.raises(Unavailable) as caught:
            await desk.pool.verify(payment)
        assert caught.value.http_status == status
        assert (await desk.pool.watch(payment, timeout=None)).status is Status.SUCCEEDED
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len([one for one in errors if f"HTTP {status}" in one.getMessage()]) == 1


@pytest.mark.parametrize("name", ["campay", "mpesa"])
@timeless
async def test_a_firewall_before_the_login_is_told_too(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If no token can be had, the look-up failed: the watch goes on, and an ERROR is logged."""
    async with Desk(name) as desk:
        payment = await desk.collect()
        desk.settle(payment, Status.SUCCEEDED)
        desk.pool._engine.transport.tokens._entries.clear()
        desk.fault(desk.case.login, Fault.HTML, status=403, times=ATTEMPTS * DENIALS_IN_A_ROW)
        assert (await desk.pool.watch(payment, timeout=None)).status is Status.SUCCEEDED
    assert len([one for one in caplog.records if one.levelno == logging.ERROR]) == 1


@timeless
async def test_an_answer_between_them_begins_the_row_anew(caplog: pytest.LogCaptureFixture) -> None:
    """Nine refusals by a firewall, then an answer, then nine more: no ERROR is logged."""
    async with Desk("campay") as desk:
        payment = await desk.collect()
        for _ in range(2):
            desk.fault(
                desk.case.looks, Fault.HTML, status=403, times=ATTEMPTS * (DENIALS_IN_A_ROW - 1)
            )
            async with desk.pool.watch(payment, timeout=None) as watch:
                await anext(watch)
                found = await anext(watch)
                assert (found.status, found.provider_status) == (Status.PENDING, "PENDING")
            payment = msgspec.structs.replace(payment, provider_status=None)
    assert [record for record in caplog.records if record.levelno == logging.ERROR] == []


@pytest.mark.parametrize("name", ["campay", "mpesa", "mpesa_gateway"])
@timeless
async def test_money_and_a_401_in_unlisted_words(name: str) -> None:
    """Such an order is unknown and never sent again; the next caller uses a new token."""
    async with Desk(name) as desk:
        desk.fault(desk.case.opens, Fault.ERROR, status=401)
        with pytest.raises(OutcomeUnknown):
            await desk.collect()
        assert len(desk.sent(desk.case.opens)) == 1
        await desk.collect("104208")
        asked = [one for one in desk.sim.requests if desk.case.opens.split()[1] in f"{one.path}/"]
        assert len({one.headers["authorization"] for one in asked}) == len(asked) == 2
        assert len(desk.sim.ledger) == 2


@pytest.mark.parametrize("name", ["campay", "mpesa", "mpesa_gateway"])
@timeless
async def test_a_look_up_and_a_401_in_unlisted_words(name: str) -> None:
    """A stale token is renewed once: a firewall does not cause a login for each attempt."""
    async with Desk(name) as desk:
        payment = await desk.collect()
        desk.fault(desk.case.looks, Fault.ERROR, status=401, times=ATTEMPTS)
        with pytest.raises(Unavailable):
            await desk.pool.verify(payment)
        path = desk.case.looks.split()[1]
        asked = [
            one.headers["authorization"] for one in desk.sim.requests if path in f"{one.path}/"
        ]
        assert (len(asked), len({*asked})) == (ATTEMPTS, 2)


@pytest.mark.parametrize("status", [429, 500])
@timeless
async def test_a_burst_that_apigee_throttles_leaves_no_unknown(status: int) -> None:
    """Twenty pushes, each throttled once before Daraja, are charged once each."""
    fault = {
        "faultstring": "Spike arrest violation. Allowed rate : MessageRate{messagesPerPeriod=5}",
        "detail": {"errorcode": "policies.ratelimit.SpikeArrestViolation"},
    }
    async with Desk("mpesa") as desk:
        desk.provider.throttled = lambda: json_reply({"fault": fault}, status)
        for number in range(20):
            desk.fault(desk.case.opens, Fault.THROTTLE, retry_after=1)
            await desk.collect(str(104300 + number))
        assert len(desk.sim.ledger) == 20
