"""Probes: each fact is confirmed, and contradicted, by a simulator that is set so."""

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from paymux import UsageError
from paymux.cli.checks.probing import Lab, Probed
from paymux.cli.checks.recording import MAX_REQUESTS, redacted
from paymux.drivers import facts, names
from paymux.drivers._probing import Fact
from paymux.simulator import Simulator

INITIATOR = {"initiator_name": "simulator", "security_credential": "canary-credential-5e1d"}
FIELDS: dict[str, dict[str, Any]] = {"mpesa": INITIATOR, "intram": {"merchant_key": ""}}
FIELDS["mtn_momo"] = {"target": "sandbox"}  # which pays in EUR
ALL = [(name, fact) for name in names() for fact in facts(name)]

# For each fact, what makes the simulator contradict the driver, and the word that is then seen.
OTHERWISE: dict[tuple[str, str], tuple[Callable[[Simulator], object], str]] = {}


def otherwise(provider: str, fact: str, saw: str) -> Callable[[Callable[[Any], object]], None]:
    """Note how a simulated provider contradicts a fact."""

    def note(sets: Callable[[Any], object]) -> None:
        OTHERWISE[provider, fact] = (lambda sim: sets(sim.providers[provider]), saw)

    return note


def _sets(name: str, value: object, *path: str) -> Callable[[Any], object]:
    def sets(provider: Any) -> None:
        for step in path:
            provider = getattr(provider, step)
        assert hasattr(provider, name)
        setattr(provider, name, value)

    return sets


otherwise("campay", "repeated-reference", "the first one again")(_sets("repeated", "join"))
otherwise("campay", "token-lifetime", "60")(_sets("life", 60, "tokens"))
otherwise("campay", "history-last-day", "left out")(_sets("last_day", False))
otherwise("cinetpay", "unknown-transaction", "600")(_sets("unknown", "600"))
otherwise("cinetpay", "page-status", "200")(_sets("created", 200))
otherwise("cinetpay", "check-status", "402")(_sets("checked", 402))
otherwise("cinetpay", "repeated-transaction", "608")(_sets("duplicate", "608"))
otherwise("cinetpay_v1", "unknown-payment", "422")(_sets("missing", 422))
otherwise("cinetpay_v1", "small-letters", "taken")(_sets("strict_ids", False))
otherwise("cinetpay_v1", "repeated-id", "1004")(_sets("repeated", 1004))
otherwise("cinetpay_v1", "balance-currency", "XAF")(_sets("currencies", {"XAF"}))
otherwise("cinetpay_v1", "token-lifetime", "60")(_sets("life", 60, "tokens"))
otherwise("cinetpay_transfer", "unknown-transfer", "704")(_sets("unknown", "704"))
otherwise("cinetpay_transfer", "repeated-transfer", "715")(_sets("duplicate", "715"))
otherwise("intram", "unknown-transaction", "404")(_sets("unknown_status", 404))
otherwise("intram", "merchant-key", "refused (HTTP 401)")(_sets("merchant_key_required", True))
otherwise("intram_merchant", "unknown-operation", "transaction_not_found")(
    _sets("unknown_operation", "transaction_not_found")
)
otherwise("intram_merchant", "repeated-key", "another one")(_sets("life", 0.0, "store"))
otherwise("mpesa", "unknown-push", "500.001.1001")(_sets("unknown_id", "pending"))
otherwise("mpesa", "open-push", "4999")(_sets("pending", "4999"))
otherwise("mpesa", "word-in-path", "refused")(_sets("refuses_words", True))
otherwise("mpesa", "repeated-payout", "HTTP 200")(_sets("duplicate", "200", "b2c"))
otherwise("mpesa", "status-id-name", "OriginatorConversationID")(
    _sets("named", "OriginatorConversationID", "status")
)
otherwise("mpesa", "unknown-payout", "2001")(_sets("unknown_code", "2001", "status"))
otherwise("mpesa", "unknown-receipt", "17")(_sets("unknown_code", "17", "status"))
otherwise("mpesa", "pull-none", "HTTP 500")(_sets("none", "500", "pull"))
otherwise("mpesa_gateway", "history-form", "paginated")(_sets("history_shape", "paginated"))
otherwise("mpesa_gateway", "test-endpoints", "none")(_sets("sandbox", False))
otherwise("mtn_momo", "repeated-id", "202")(_sets("repeated", "join"))
otherwise("mtn_momo", "unknown-id", "NOT_FOUND")(_sets("unknown", "NOT_FOUND"))
otherwise("pawapay", "refused-id", "DUPLICATE_IGNORED")(_sets("refused_again", "DUPLICATE_IGNORED"))
otherwise("pawapay", "open-word", "PROCESSING")(_sets("stuck_word", "PROCESSING"))
otherwise("pawapay", "operations-form", "a list")(_sets("operations_as_list", True, "toolkit"))
otherwise("paydunya", "unknown-token", "Invoice expired")(_sets("unknown", "Invoice expired"))
otherwise("paydunya", "refusal-code", "42")(_sets("refusal", "42"))
otherwise("wave", "repeated-reference", "the first one again")(_sets("repeated", "join"))
otherwise("wave", "unknown-session", "400")(_sets("unknown_status", 400))
OTHERWISE["intram_merchant", "base-url"] = (
    lambda sim: sim.fault("intram_merchant", "GET", kind="html", status=404, times=9),
    "404",
)
OTHERWISE["campay", "error-form"] = (
    lambda sim: sim.fault("campay", "POST /collect/", kind="html", status=400),
    "no JSON (HTTP 400)",
)


def _port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _lab(sim: Simulator, provider: str, **fields: Any) -> Lab:
    port = _port()
    mpesa: Any = sim.providers["mpesa"]
    mpesa.pull.registered.add("174379")
    driver = sim.driver(provider, **{**FIELDS.get(provider, {}), **fields})
    return Lab(driver, webhook_base=f"http://127.0.0.1:{port}/pay", port=port)


async def _ask(provider: str, fact: Fact, sets: Callable[[Simulator], object]) -> Probed:
    async with Simulator() as sim:
        sets(sim)
        lab = _lab(sim, provider)
        try:
            found = await lab.ask(fact)
            assert lab.recorder.sent == len(sim.requests) <= MAX_REQUESTS
        finally:
            await lab.aclose()
    return found


@pytest.mark.parametrize(("provider", "fact"), ALL, ids=[f"{p}-{f.id}" for p, f in ALL])
async def test_a_simulator_as_we_assume_confirms_the_fact(provider: str, fact: Fact) -> None:
    """The simulator's defaults are what the drivers assume: so says each probe."""
    found = await _ask(provider, fact, lambda sim: None)
    assert (found.verdict, found.saw) == ("confirmed", fact.guess)


@pytest.mark.parametrize(("provider", "fact"), ALL, ids=[f"{p}-{f.id}" for p, f in ALL])
async def test_a_simulator_that_differs_contradicts_the_fact(provider: str, fact: Fact) -> None:
    """Where the provider is otherwise, the probe says how."""
    sets, saw = OTHERWISE[provider, fact.id]
    found = await _ask(provider, fact, sets)
    assert (found.verdict, found.saw) == ("differs", saw)


def test_every_fact_is_complete() -> None:
    """Each has a source and a question, and each id is there once."""
    assert len(ALL) >= 17
    assert {(name, fact.id) for name, fact in ALL} == set(OTHERWISE)
    for _, fact in ALL:
        assert fact.source
        assert fact.question.endswith("?")
        assert fact.steps
    for name in names():
        ids = [fact.id for fact in facts(name)]
        assert len(ids) == len(set(ids))


async def test_a_live_account_is_refused_before_anything_is_sent() -> None:
    """Nothing is tried out where real money moves."""
    async with Simulator() as sim:
        with pytest.raises(UsageError, match="live"):
            _lab(sim, "campay", live=True)
        assert sim.requests == []


async def test_what_an_account_lacks_is_not_asked() -> None:
    """Without initiator or callback address nothing of them is asked, and the reason is told."""
    async with Simulator() as sim:
        lab = Lab(sim.driver("mpesa"))
        for fact in facts("mpesa"):
            if fact.needs:
                found = await lab.ask(fact)
                assert found.verdict == "not asked"
                assert found.why.startswith("needs ")
        await lab.aclose()
        assert sim.requests == []


async def test_at_most_thirty_requests_are_sent() -> None:
    """A run ends before the limit; what is left is not asked, and the next run goes on."""
    async with Simulator() as sim:
        lab = _lab(sim, "campay")
        fact = next(one for one in facts("campay") if one.id == "repeated-reference")
        verdicts = [(await lab.ask(fact)).verdict for _ in range(9)]
        await lab.aclose()
        assert len(sim.requests) <= MAX_REQUESTS
    assert verdicts == ["confirmed"] * 7 + ["not asked"] * 2


async def test_a_provider_that_is_away_settles_nothing() -> None:
    """No answer is no fact: it is not asked, and may be asked again."""
    async with Simulator() as sim:
        sim.fault("intram", kind="drop_before", times=9)
        lab = _lab(sim, "intram")
        found = await lab.ask(facts("intram")[0])
        await lab.aclose()
    assert (found.verdict, found.why) == ("not asked", "no answer came")


def test_a_sample_has_no_credential_phone_or_name() -> None:
    """What is written down can be published: bodies of all kinds are bare."""
    body = {
        "FirstName": "NICHOLAS",
        "DebitPartyName": "254708374149 - John Doe",
        "MSISDN": 254708374149,
        "PhoneNumber": "254708374149",
        "access_token": "s3cr3t-token",
        "token": "another-token-5e1d",
        "note": "key canary-credential-5e1d",
        "rows": [{"phone_number": "+237 677777777", "amount": 5}],
    }
    text = json.dumps(redacted(body, ("canary-credential-5e1d",)))
    for word in ("NICHOLAS", "John", "254708374149", "s3cr3t", "another", "canary", "677777777"):
        assert word not in text
    assert '"amount": 5' in text


async def test_a_port_that_is_taken_is_told() -> None:
    """A fact that is answered by a message is not asked, where no message could be heard."""
    async with Simulator() as sim:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            driver = sim.driver("mpesa", **INITIATOR)
            lab = Lab(driver, webhook_base=f"http://127.0.0.1:{port}/pay", port=port)
            fact = next(one for one in facts("mpesa") if one.hears)
            found = await lab.ask(fact)
            await lab.aclose()
    assert found.verdict == "not asked"
    assert found.why.startswith(f"port {port}: ")
