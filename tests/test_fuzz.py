"""R10: any message gives an event or BadWebhook, quickly and in little memory.

tests/campaigns/fuzz.py makes the messages; the command line of benchmarks/bench_fuzz.py repeats a
case that fails here.
"""

import base64
import contextlib
import functools
import hashlib
import hmac
import json
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paymux import BadWebhook, Event, Pool, WebhookRequest
from paymux.drivers import names
from paymux.drivers.base import WEBHOOK_BYTES
from paymux.values.parsing import json_fields

from .campaigns.fuzz import (
    GOOD,
    TEXTS,
    VALUES,
    Case,
    Tally,
    attempt,
    bound,
    cases,
    compare,
    desk,
    fuzz,
    giants,
    judged,
    length,
    memory,
    sign,
    smaller,
    verdict,
)
from .cases import CASES

TOTAL = 30_000  # different cases over all drivers, at least; the benchmark reads a million
BATCH = 250  # of one seed
EACH = math.ceil(TOTAL * 1.15 / len(names()) / BATCH)  # seeds of a driver; some cases come twice

every = pytest.mark.parametrize("name", names())


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1, "paymux")  # each unknown status is a warning


def fingerprint(case: Case) -> bytes:
    """Return a key that differs between cases."""
    given = case.given
    what = msgspec.structs.astuple(given) if isinstance(given, WebhookRequest) else given
    return hashlib.blake2b(ascii((case.way, case.open, what)).encode(), digest_size=8).digest()


@pytest.mark.slow
@every
def test_nothing_but_bad_webhook_escapes(name: str) -> None:
    """30,000 different messages: an event that JSON keeps, or a printable BadWebhook."""
    seen: set[bytes] = set()
    outcomes: Counter[str] = Counter()
    ways: Counter[str] = Counter()
    at = desk(name)

    @settings(max_examples=EACH, deadline=None, derandomize=True, database=None)
    @given(st.integers(0, 2**48))
    def read(seed: int) -> None:
        for number, case in enumerate(cases(name, seed, BATCH)):
            outcome, said = judged(case, attempt(at, case))
            assert outcome in GOOD, (
                f"{outcome}: {said}\n{smaller(at, case, outcome)!r}\n"
                f"python -m benchmarks.bench_fuzz --driver {name} --seed {seed}"
                f" --first {number} --cases 1"
            )
            outcomes[outcome] += 1
            ways[case.way] += 1
            seen.add(fingerprint(case))

    read()
    assert len(seen) >= TOTAL / len(names())
    # Some messages were read, and some were refused; a changed one that was signed is no event.
    assert outcomes["event"] > len(seen) / (200 if CASES[name].signs_body else 25)
    assert outcomes["refused"] > len(seen) / 4
    assert set(ways) == set(at.ways)


def trees(words: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of documents with these names, and with any other JSON."""
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
    keys = st.sampled_from(words) | st.text(max_size=4)
    inner = st.recursive(
        scalars
        | st.sampled_from(TEXTS)
        | st.sampled_from([value for value in VALUES if value != 10**400]),
        lambda below: st.lists(below, max_size=4) | st.dictionaries(keys, below, max_size=5),
        max_leaves=12,
    )
    return st.dictionaries(keys, inner, max_size=8)


@pytest.mark.slow
@every
def test_any_signed_document_is_an_event_or_a_bad_webhook(name: str) -> None:
    """Random documents with a valid signature give an event or BadWebhook."""
    at = desk(name)

    @settings(
        max_examples=150,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(trees(at.names), st.sampled_from(at.documents), st.integers(0, 9), st.booleans())
    def read(tree: dict[str, Any], known: dict[str, Any], seed: int, as_query: bool) -> None:
        whole, headers = {**known, **tree}, dict[str, str]()
        sign(random.Random(seed), at, whole, headers)
        body = json.dumps(whole).replace("\\u0001", "")
        case = Case("webhook", WebhookRequest(path=at.path, headers=headers, body=body.encode()))
        if as_query:
            query = "&".join(
                f"{quote(key, errors='replace')}={value}" for key, value in whole.items()
            )
            case = Case(
                "webhook", WebhookRequest(method="GET", path=at.path, headers=headers, query=query)
            )
        outcome, said = verdict(at, case)
        assert outcome in GOOD, said

    read()


DEEP = '{"reference": "1", "status": "PENDING", "custom_data": ' + '{"a":' * 40 + "1" + "}" * 41
# Bugs that the fuzzing found, as small cases: each raised another exception, or gave an event that
# JSON changed.
FOUND = [
    pytest.param(
        WebhookRequest(method="GET", query="\udc80"), id="half a surrogate pair, in a query"
    ),
    pytest.param(
        WebhookRequest(method="GET", query="reference=\udc80&status=x"), id="in a query's value"
    ),
    pytest.param(
        WebhookRequest(body=b'{"reference": "1", "custom_data": {"a": NaN}}'), id="no number"
    ),
    pytest.param(
        WebhookRequest(body=b'{"reference": "1", "custom_data": {"a": 1e999}}'),
        id="no finite number",
    ),
    pytest.param(WebhookRequest(body=DEEP.encode()), id="nested"),
    pytest.param(WebhookRequest(path="/" * 8200, body=b'{"reference": "1"}'), id="a long path"),
]


@pytest.mark.parametrize("incoming", FOUND)
@every
def test_what_was_found_is_refused(name: str, incoming: WebhookRequest) -> None:
    """The bugs that the fuzzing found stay fixed, in every driver."""
    if name in ("cinetpay", "cinetpay_transfer") and incoming.method == "GET":
        # CinetPay's GET only checks that the URL answers; it is not read.
        assert desk(name).unkeyed.webhook(incoming, account=name).ping
        return
    with pytest.raises(BadWebhook):
        desk(name).unkeyed.webhook(incoming, account=name)


@pytest.mark.parametrize("name", [name for name in names() if desk(name).driver.can("returned")])
@pytest.mark.parametrize(
    "query", ["token=\udc80", "transaction_id=\udc80", "external_reference=\udc80", "a=" * 40_000]
)
def test_a_return_address_that_nobody_could_open_is_refused(name: str, query: str) -> None:
    """Half a surrogate pair, or more than 64 KiB, is BadWebhook before it is parsed."""
    with pytest.raises(BadWebhook):
        desk(name).pool.returned(name, f"https://shop.example/back?{query}")


def test_json_is_read_as_it_would_be_written() -> None:
    """Up to 32 levels and 4096 finite values: what is read is what JSON keeps."""
    for good in (
        '{"a": 1.5, "b": -0.0, "c": 1e22, "d": 12345678901234567890}',
        '{"a":' * 32 + "1" + "}" * 32,
    ):
        assert msgspec.json.decode(msgspec.json.encode(json_fields(good.encode()))) == json.loads(
            good
        )
    assert (
        len(json_fields(b"{" + b",".join(b'"%d":0' % number for number in range(4000)) + b"}"))
        == 4000
    )
    for bad in (
        '{"a": -Infinity}',
        '{"a": [1e400]}',
        '{"a":' * 33 + "1" + "}" * 33,
        '{"a": [' + "0," * 4097 + "0]}",
    ):
        with pytest.raises(ValueError, match=r"JSON|number"):
            json_fields(bad.encode())


@pytest.mark.slow
@every
def test_the_largest_messages_take_little_memory(name: str) -> None:
    """No message, of any size, takes more than four times its size and a MiB."""
    share, worst = memory(name)
    assert 0 < share < 1, worst


@pytest.mark.slow
@every
def test_the_largest_messages_take_little_work(name: str) -> None:
    """No message takes 25 times the CPU time of parsing plain JSON of its size."""
    at = desk(name)
    for size in (WEBHOOK_BYTES, 2**20):
        plain = b"{" + b",".join(b'"%06d": 0' % number for number in range(size // 12)) + b"}"
        unit = min(work(lambda: json.loads(plain)) for _ in range(5))  # noqa: B023 - called at once
        tried = 0
        for case in giants(name, size):
            took = work(lambda: attempt(at, case))  # noqa: B023 - called at once
            if took > unit:  # again, because a garbage collection may have been included
                took = min(took, *(work(lambda: attempt(at, case)) for _ in range(3)))  # noqa: B023 - called at once
            assert took < 25 * unit, (took / unit, case)
            assert length(case) >= size // 2
            tried += 1
        assert tried > 100


def work(call: Callable[[], object]) -> float:
    """Return the CPU seconds of this thread alone, to which no other program adds."""
    began = time.thread_time()
    call()
    return time.thread_time() - began


def naive_json(body: bytes) -> Any:
    """Read JSON in the usual way."""
    return json.loads(body)


def naive_form(text: str) -> dict[str, str]:
    """Read a form in the usual way."""
    return dict(parse_qsl(text, keep_blank_values=True))


def naive_convert(type: Any, fields: Any) -> Any:
    """Convert fields, and let msgspec's own error out."""
    return msgspec.convert(fields, type, strict=False)


def naive_jwt(token: str, key: str) -> Any:
    """Check a JWT without checking its header."""
    header, claims, mac = token.split(".")
    made = hmac.digest(key.encode(), f"{header}.{claims}".encode(), "sha256")
    if not hmac.compare_digest(base64.urlsafe_b64encode(made).rstrip(b"=").decode(), mac):
        raise BadWebhook("forged")
    return json.loads(base64.urlsafe_b64decode(claims + "=="))


def loud(driver: Any, parse: Callable[[], Event], *_: object) -> Event:
    """Put the message's text into the error."""
    try:
        return parse()
    except ValueError as error:
        raise BadWebhook(f"refused:\n{error}") from None


@functools.cache
def unplanted(name: str) -> int:
    """Return the outcomes without a planted bug."""
    return fuzz(name, 1, 2500).escapes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "where", "planted", "outcomes"),
    [
        (
            "mpesa",
            "paymux.drivers._messages.json_fields",
            naive_json,
            {"JSONDecodeError", "RecursionError"},
        ),
        ("paydunya", "paymux.values.parsing._finite", float, {"changed by JSON"}),
        ("intram", "paymux.drivers._messages.form_fields", naive_form, {"UnicodeEncodeError"}),
        (
            "cinetpay",
            "paymux.drivers.cinetpay.form_fields",
            naive_form,
            {"no JSON: UnicodeEncodeError"},
        ),
        (
            "mpesa_gateway",
            "paymux.drivers.mpesa_gateway.convert",
            naive_convert,
            {"ValidationError"},
        ),
        ("campay", "paymux.drivers.campay.verified_claims", naive_jwt, {"ValueError", "TypeError"}),
        (
            "paydunya",
            "paymux.drivers.paydunya.compare_digest",
            lambda a, b: hmac.compare_digest(a.decode(), b),
            None,
        ),
        ("cinetpay", "paymux.core.internals.read_event", loud, {"unprintable"}),
    ],
)
def test_planted_bugs_are_found(
    name: str,
    where: str,
    planted: object,
    outcomes: set[str] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The messages find each planted bug, and print the command that repeats it."""
    assert unplanted(name) == 0
    monkeypatch.setattr(where, planted)
    found = fuzz(name, 1, 6000)
    assert found.escapes > 0
    assert found.wrong
    assert all("--seed 1 --first" in one for one in found.wrong)
    assert {*found.outcomes} - {*GOOD} >= (outcomes or {"TypeError"}), found.outcomes


def test_a_finding_is_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A found message is made smaller, and still shows the bug."""
    monkeypatch.setattr("paymux.drivers._messages.json_fields", naive_json)
    at = desk("mpesa")
    body = at.messages[0].body.replace(b'"Body"', b'"x": [1, 2, 3], "Body"')[:-1]
    case = Case("webhook", WebhookRequest(path=at.path, body=body))
    assert verdict(at, case)[0] == "JSONDecodeError"
    less = smaller(at, case, "JSONDecodeError")
    assert verdict(at, less)[0] == "JSONDecodeError"
    assert length(less) - len(at.path) <= 2


def test_the_same_seed_gives_the_same_messages() -> None:
    """The same seed gives the same messages, another seed others."""
    one, two, other = (list(map(fingerprint, cases("intram", seed, 300))) for seed in (1, 1, 2))
    assert one == two
    assert len({*one} & {*other}) < 60
    assert [fingerprint(case) for case in cases("intram", 1, 1, first=299)] == one[299:]


@pytest.mark.slow
def test_the_same_messages_get_foreign_exceptions_out_of_others() -> None:
    """Without the key, stripe and standardwebhooks raise foreign exceptions: the corpus works."""
    found = compare(0, 400)
    escaped = {
        reader: {word for word in tally.outcomes if word.endswith("without")}
        for reader, tally in found.items()
    }
    assert escaped["stripe"] >= {"TypeError without", "UnicodeDecodeError without"}
    assert escaped["standardwebhooks"] >= {"ValueError without", "UnicodeDecodeError without"}
    for tally in found.values():
        assert tally.outcomes["event"] > 100  # good ones are accepted
        assert tally.outcomes["own error"] > 100


def test_a_zero_is_printed_with_what_it_proves() -> None:
    """None in n is printed as p < 3/n; one in n has no bound."""
    assert bound(0, 3000) == "0 in 3,000 (p < 1.0e-03, 95 %)"
    assert bound(1, 3000) == "1 in 3,000"
    tally = Tally()
    assert (tally.escapes, tally.percentile(0.99)) == (0, 0.0)
    tally.outcomes.update({"refused": 5, "event": 2, "KeyError": 3})
    tally.times.extend(range(1, 101))
    assert (tally.escapes, tally.percentile(0.99), tally.percentile(0.5)) == (3, 100.0, 51.0)


def test_a_pool_of_no_hooks_reads_the_same() -> None:
    """With the account named by the caller's route, any path is accepted."""
    at = desk("mpesa")
    pool = Pool(at.driver, connection=at.sim.connection)
    for case in cases("mpesa", 7, 1500):
        if isinstance(case.given, WebhookRequest):
            with contextlib.suppress(BadWebhook):
                assert pool.webhook(case.given, account="mpesa").path_reference is None
