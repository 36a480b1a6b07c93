"""R22: no contradiction, and no unproved answer, gives a terminal status, at any driver."""

import json
import logging
from collections.abc import Mapping

import msgspec
import pytest

from paymux import (
    AuthenticationFailed,
    OutcomeUnknown,
    Status,
    Unavailable,
)
from paymux.drivers import names
from paymux.http import Response, get
from paymux.simulator import Fault
from paymux.simulator.replies import json_reply
from paymux.testing.contract.bodies import spoken
from paymux.testing.contract.desk import ATTEMPTS
from paymux.transport.outcome import decide
from paymux.values import status_words
from paymux.watch.refusals import DENIALS_IN_A_ROW

from .cases import CASES
from .driving import SAMPLES, sample
from .test_contract import CONTRACTS, desk
from .toys import timeless

every = pytest.mark.parametrize("name", names())


@every
def test_a_contradiction_is_logged_once(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """However often it is polled, there is one record, with known words."""
    bodies = CONTRACTS[name]().bodies()[0]
    places = bodies.shape.places
    odd = (
        one
        for one in bodies.pairs(bodies.shape.answers[0], places)
        if not bodies.possible(spoken(one, places))
    )
    body = next(one for one in odd if bodies.verified(one) is Status.PENDING)
    status_words._contradiction.cache_clear()
    caplog.clear()
    with caplog.at_level(logging.WARNING, "paymux"):
        for _ in range(3):
            assert bodies.verified(body) is Status.PENDING
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
    said = {case for shape in CASES[name].shapes for case in shape.said}
    assert found - requests - refused <= said


OWN: Mapping[str, tuple[str, ...]] = {
    "campay": ("stale_token.401",),
    "intram": ("invalid_keys.401",),
    "mpesa": ("stale_token.401",),
    "mpesa_gateway": ("token_not_valid.401", "two_factor.403", "unsigned.401"),
    "wave": ("key_unknown.401",),
}


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name, cases in OWN.items() for case in cases]
)
def test_the_providers_own_words_speak_of_credentials(name: str, case: str) -> None:
    """Each sampled refusal of the credentials is still one."""
    body = json.dumps(sample(name, case)).encode()
    verdict = decide(
        CONTRACTS[name]().bodies()[0].driver,
        get("/x", dict),
        Response(status=int(case[-3:]), body=body),
    )
    assert isinstance(verdict.error, AuthenticationFailed)


@every
@pytest.mark.parametrize(("fault", "status"), [(Fault.HTML, 403), (Fault.ERROR, 401)])
@timeless
async def test_a_watch_goes_on_behind_a_firewall(
    name: str, fault: Fault, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A paid order ends all the same; ten refusals in a row are one ERROR record."""
    async with desk(name) as at:
        payment = await at.order()
        at.settle(payment, Status.SUCCEEDED)
        at.fault(at.case.looks, fault, status=status, times=ATTEMPTS * (DENIALS_IN_A_ROW + 2))
        with pytest.raises(Unavailable) as caught:
            await at.pool.verify(payment)
        assert caught.value.http_status == status
        assert (await at.pool.watch(payment, timeout=None)).status is Status.SUCCEEDED
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len([one for one in errors if f"HTTP {status}" in one.getMessage()]) == 1


@pytest.mark.parametrize("name", ["campay", "mpesa"])
@timeless
async def test_a_firewall_before_the_login_is_told_too(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If no token can be had, the look-up failed: the watch goes on, and an ERROR is logged."""
    async with desk(name) as at:
        payment = await at.collect()
        at.settle(payment, Status.SUCCEEDED)
        at.pool._engine.transport.tokens._entries.clear()
        at.fault(at.case.login, Fault.HTML, status=403, times=ATTEMPTS * DENIALS_IN_A_ROW)
        assert (await at.pool.watch(payment, timeout=None)).status is Status.SUCCEEDED
    assert len([one for one in caplog.records if one.levelno == logging.ERROR]) == 1


@timeless
async def test_an_answer_between_them_begins_the_row_anew(caplog: pytest.LogCaptureFixture) -> None:
    """Nine refusals by a firewall, then an answer, then nine more: no ERROR is logged."""
    async with desk("campay") as at:
        payment = await at.collect()
        for _ in range(2):
            at.fault(at.case.looks, Fault.HTML, status=403, times=ATTEMPTS * (DENIALS_IN_A_ROW - 1))
            async with at.pool.watch(payment, timeout=None) as watch:
                await anext(watch)
                found = await anext(watch)
                assert (found.status, found.provider_status) == (Status.PENDING, "PENDING")
            payment = msgspec.structs.replace(payment, provider_status=None)
    assert [record for record in caplog.records if record.levelno == logging.ERROR] == []


@pytest.mark.parametrize("name", ["campay", "mpesa", "mpesa_gateway"])
@timeless
async def test_money_and_a_401_in_unlisted_words(name: str) -> None:
    """Such an order is unknown and never sent again; the next caller uses a new token."""
    async with desk(name) as at:
        at.fault(at.case.opens, Fault.ERROR, status=401)
        with pytest.raises(OutcomeUnknown):
            await at.collect()
        assert len(at.sent(at.case.opens)) == 1
        await at.collect("104208")
        asked = [one for one in at.sim.requests if at.case.opens.split()[1] in f"{one.path}/"]
        assert len({one.headers["authorization"] for one in asked}) == len(asked) == 2
        assert len(at.sim.ledger) == 2


@pytest.mark.parametrize("name", ["campay", "mpesa", "mpesa_gateway"])
@timeless
async def test_a_look_up_and_a_401_in_unlisted_words(name: str) -> None:
    """A stale token is renewed once: a firewall does not cause a login for each attempt."""
    async with desk(name) as at:
        payment = await at.collect()
        at.fault(at.case.looks, Fault.ERROR, status=401, times=ATTEMPTS)
        with pytest.raises(Unavailable):
            await at.pool.verify(payment)
        path = at.case.looks.split()[1]
        asked = [one.headers["authorization"] for one in at.sim.requests if path in f"{one.path}/"]
        assert (len(asked), len({*asked})) == (ATTEMPTS, 2)


@pytest.mark.parametrize("status", [429, 500])
@timeless
async def test_a_burst_that_apigee_throttles_leaves_no_unknown(status: int) -> None:
    """Twenty pushes, each throttled once before Daraja, are charged once each."""
    fault = {
        "faultstring": "Spike arrest violation. Allowed rate : MessageRate{messagesPerPeriod=5}",
        "detail": {"errorcode": "policies.ratelimit.SpikeArrestViolation"},
    }
    async with desk("mpesa") as at:
        at.provider.throttled = lambda: json_reply({"fault": fault}, status)
        for number in range(20):
            at.fault(at.case.opens, Fault.THROTTLE, retry_after=1)
            await at.collect(str(104300 + number))
        assert len(at.sim.ledger) == 20
