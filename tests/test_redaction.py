"""Redaction: secrets are shown in no value, error, frame or log."""

import asyncio
import base64
import contextlib
import copy
import gc
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec
import pytest

import paymux
from paymux import OutcomeUnknown, Payment, PaymuxError, Pool, ProviderError, Rejected, UsageError
from paymux.drivers.base import Driver
from paymux.http import PreparedRequest, Request, Response, TransportError, WebhookRequest
from paymux.primitives import sensitive_fields
from paymux.primitives.redaction import Secret, hide, mask, shown
from paymux.primitives.sensitive_fields import HIDDEN

from .toys import BASE, Desk, Keyless, Said, Toy, Wire, answer, now, timeless

PACKAGE = Path(paymux.__file__).parent
PASSWORD = "cAnary-pass/word+1\"'&=x~9"
HOOK_KEY = "cAnary-hook/key+2=zzzzzz"
TOKEN = "cAnary-token/3+abc.def=="
POOL_KEY = "cAnary-pool/key+4=yyyyyy"
CANARIES = (PASSWORD, HOOK_KEY, TOKEN, POOL_KEY)
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": lambda text: json.dumps(text)[1:-1],
    "php json": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "url": lambda text: quote(text, safe=""),
    "lower url": lambda text: quote(text, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
    "path": quote,
    "form": quote_plus,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "urlsafe base64": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "basic": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "upper hex": lambda text: text.encode().hex().upper(),
    "repr": lambda text: repr(text)[1:-1],
}


def _leaks(text: str) -> list[str]:
    """List the canaries that a text shows, by form."""
    return [
        f"{canary[7:12]} as {form}"
        for canary in CANARIES
        for form, written in FORMS.items()
        if (written(canary) if form != "basic" else written(canary)[8:28]) in text
    ]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Return an error and all errors chained to it, shown or suppressed."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and all(one is not other for other in seen):
            seen.append(one)
            waiting += [one.__cause__, one.__context__]
            waiting += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
    yield from seen


def _ours(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    """Return the frames of paymux, and those of the toy driver's own methods."""
    for frame, line in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        if Path(code.co_filename).is_relative_to(PACKAGE) or code.co_qualname.startswith("Toy."):
            yield frame, line


def _rendered(error: BaseException) -> str:
    """Return everything that a log, a debugger or a crash reporter could show of an error."""
    found: list[str] = []
    for one in _chain(error):
        found += [str(one), repr(one), repr(one.args), repr(getattr(one, "__notes__", []))]
        found += [repr(value) for value in vars(one).values()]
        found += traceback.StackSummary.extract(_ours(one), capture_locals=True).format()
        with contextlib.suppress(Exception):
            found.append(pickle.dumps(one).decode("latin-1"))
    return "\n".join(found)


class Careless(Toy, frozen=True, kw_only=True):
    """A toy that puts the provider's text into every field of its errors."""

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        error = super().judge(request, reply)
        said = reply.read(Said)
        if error is not None and said is not None:
            words = str(said.token)
            error.code, error.request_id, error.details = (
                words,
                words,
                {"said": words, "list": [words]},
            )
        return error


def _toy(kind: type[Toy] = Toy, **fields: Any) -> Toy:
    return kind(password=PASSWORD, webhook_key=HOOK_KEY, **fields)


def _reply(kind: str, echo: str) -> Response | Exception:
    said = json.dumps(echo)[1:-1]
    if echo.count("\\/"):
        said = echo  # PHP's own escapes are in the body unchanged

    def body(error: str) -> str:
        return (
            f'{{"error": "{error}", "token": "{said}", "reference": "{said}", "status": "{said}"}}'
        )

    raw = {
        "no": Response(status=400, body=body("no").encode()),
        "duplicate": Response(status=409, body=body("duplicate").encode()),
        "stale": Response(status=401, body=body("stale").encode()),
        "slow": Response(status=429, body=body("slow").encode()),
        "500": Response(status=500, body=body("x").encode()),
        "html": Response(status=200, body=f"<html>{echo}</html>".encode()),
        "cut": Response(status=200, body=body("x").encode()[:-2]),
        "wrong type": Response(status=200, body=f'{{"id": ["{said}"]}}'.encode()),
        "contradiction": Response(
            status=200, body=f'{{"id": "p1", "amount": "7", "error": "{said}"}}'.encode()
        ),
        "answer": Response(
            status=200, body=f'{{"id": "p1", "status": "OK", "error": "{said}"}}'.encode()
        ),
    }
    return raw[kind]


KINDS = [
    "no",
    "duplicate",
    "stale",
    "slow",
    "500",
    "html",
    "cut",
    "wrong type",
    "contradiction",
    "answer",
]


async def _battery(pool: Pool) -> list[str]:
    """Use an account in every way, and return what was shown."""
    expected = Payment(account="toy", provider_reference="p1", amount=Decimal(500), currency="XAF")
    shown: list[str] = []
    for doing in (
        pool.verify(expected),
        pool.collect("toy", amount=500, currency="XAF", reference="order-1", payer="237670000000"),
        pool.payout("toy", amount=500, currency="XAF", reference="order-2", payee="237670000000"),
        pool.watch(expected, timeout=10),
    ):
        try:
            payment = await doing
        except PaymuxError as error:
            shown.append(_rendered(error))
        else:
            shown += [repr(payment), msgspec.json.encode(payment).decode()]
    shown.append(repr(pool.drivers))
    return shown


@pytest.mark.parametrize("form", [form for form in FORMS if form != "repr"])
@timeless
async def test_no_credential_is_shown_whatever_a_provider_echoes(
    form: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Credentials that a provider echoes in any form are in no error, payment or DEBUG record."""
    caplog.set_level(logging.DEBUG)
    echo = " ".join(FORMS[form](canary) for canary in (PASSWORD, HOOK_KEY, TOKEN))
    found: dict[str, list[str]] = {}
    for kind in KINDS:
        caplog.clear()
        reply = _reply(kind, echo)
        desk = Desk(login=answer(token=TOKEN), payments=[reply], collect=[reply], payout=[reply])
        async with Pool(
            _toy(), connection=Wire(desk), webhook_base=BASE, webhook_key=POOL_KEY
        ) as pool:
            shown = await _battery(pool)
        assert len(caplog.records) > 3
        found[kind] = _leaks(
            "\n".join([*shown, *(record.getMessage() for record in caplog.records)])
        )
    assert {kind: leaks for kind, leaks in found.items() if leaks} == {}


@pytest.mark.parametrize("kind", ["no", "stale", "slow"])
@timeless
async def test_every_field_of_an_error_is_scrubbed(kind: str) -> None:
    """Code, request id and details are cleaned like the provider's text."""
    reply = _reply(kind, f"{PASSWORD} {TOKEN}")
    desk = Desk(login=answer(token=TOKEN), payments=[reply], collect=[reply], payout=[reply])
    async with Pool(_toy(Careless), connection=Wire(desk)) as pool:
        assert _leaks("\n".join(await _battery(pool))) == []


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
@timeless
async def test_a_login_shows_no_credential(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """A login that echoes credentials, or fails in any way, shows none."""
    caplog.set_level(logging.DEBUG)
    body = json.dumps({"error": PASSWORD, "detail": [TOKEN], "password": PASSWORD}).encode()
    async with Pool(
        _toy(), connection=Wire(Desk(login=Response(status=status, body=body)))
    ) as pool:
        shown = await _battery(pool)
    text = "\n".join([*shown, *(record.getMessage() for record in caplog.records)])
    assert _leaks(text) == []


@pytest.mark.parametrize(
    "trouble", ["broken", "hangs in login", "hangs", "late login", "driver bug", "never sent"]
)
@timeless
async def test_no_credential_hangs_on_to_an_error(
    trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    """After any failure, no frame, cause or context of an error holds headers, bodies or tokens."""
    caplog.set_level(logging.DEBUG)

    class Buggy(Toy, frozen=True, kw_only=True):
        async def verify(self, send: Any, payment: Payment) -> Payment:
            if trouble == "driver bug":
                raise RuntimeError("a bug")
            return await super().verify(send, payment)

    async def respond(outgoing: PreparedRequest) -> Response:
        login = outgoing.url.endswith("/login")
        if (trouble == "late login" and login) or (trouble == "hangs in login" and login):
            await asyncio.sleep(10**6)
        if login:
            return answer(token=TOKEN)
        if trouble == "hangs":
            await asyncio.sleep(10**6)
        if trouble == "never sent":
            outgoing.sent = False
        raise TransportError("ServerDisconnectedError")

    shown: list[str] = []
    async with Pool(_toy(Buggy), connection=Wire(respond), deadline=20) as pool:
        expected = Payment(account="toy", provider_reference="p1")
        calls: list[Callable[[], Any]] = [
            lambda: pool.verify(expected),
            lambda: pool.collect("toy", amount=500, currency="XAF", reference="order-1"),
        ]
        doing = [asyncio.ensure_future(call()) for call in calls]
        if trouble == "late login":
            # A later caller waits for the same login, whose end comes before the caller's deadline.
            await asyncio.sleep(10)
            doing += [asyncio.ensure_future(call()) for call in calls]
        for one in await asyncio.gather(*doing, return_exceptions=True):
            assert isinstance(one, BaseException)
            shown.append(_rendered(one))
    text = "\n".join([*shown, *(record.getMessage() for record in caplog.records)])
    assert _leaks(text) == []


@timeless
async def test_a_cancellation_shows_no_credential() -> None:
    """The CancelledError that leaves a verb holds no frame of the wire."""
    async with Pool(_toy(), connection=Wire(Desk(login=answer(token=TOKEN)), after=5)) as pool:
        paying = asyncio.ensure_future(
            pool.collect("toy", amount=500, currency="XAF", reference="order-1")
        )
        await asyncio.sleep(7)
        paying.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await paying
        assert now() == 7 or _leaks(_rendered(caught.value)) == []
        assert _leaks(_rendered(caught.value)) == []


WRONG: list[dict[str, Any]] = [
    {"live": "no"},
    {"account": "a b"},
    {"username": "a\nb"},
    {"base_url": "http://live.example"},
    {"password": PASSWORD + "\n"},
    {"webhook_key": HOOK_KEY + "é"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_a_wrong_field_shows_no_credential_beside_it(wrong: dict[str, Any]) -> None:
    """A driver refused for one field shows no credential, in its error or any frame."""
    with pytest.raises(UsageError) as caught:
        Toy(**{"password": PASSWORD, "webhook_key": HOOK_KEY, **wrong})
    assert _leaks(_rendered(caught.value)) == []


@pytest.mark.parametrize("way", ["mapping", "environment"])
def test_a_wrong_setting_shows_no_credential_beside_it(way: str) -> None:
    """A config refused for one field shows no credential, in its error or paymux' frames."""
    fields = {
        "driver": "campay",
        "username": "u",
        "password": PASSWORD,
        "webhook_key": HOOK_KEY,
        "live": "no?",
    }

    def attempt() -> None:
        if way == "mapping":
            Pool.from_config({"accounts": {"a": fields}})
        else:
            Pool.from_env({f"PAYMUX_A__{key.upper()}": value for key, value in fields.items()})

    with pytest.raises(UsageError) as caught:
        attempt()
    assert _leaks(_rendered(caught.value)) == []


ACCOUNTS = {"a": {"driver": "campay", "access_token": "t"}}


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: Pool(Toy(), webhook_base=BASE, webhook_key=POOL_KEY + "é"),
        lambda: Pool(Toy(), webhook_base=BASE, webhook_key=[POOL_KEY, POOL_KEY + "é"]),
        lambda: Pool(Toy(), webhook_base=BASE, webhook_key=f'["{POOL_KEY}"'),
        lambda: Pool(Toy(), webhook_base="x", webhook_key=[POOL_KEY]),
        lambda: Pool.from_config({"accounts": ACCOUNTS, "webhook_key": [POOL_KEY, "x"]}),
        lambda: Pool.from_env(
            {"PAYMUX_A__DRIVER": "campay", "PAYMUX_WEBHOOK_KEY": POOL_KEY},
        ),
        lambda: Pool.from_env(
            {
                "PAYMUX_A__DRIVER": "campay",
                "PAYMUX_A__ACCESS_TOKEN": "t",
                "PAYMUX_WEBHOOK_KEY": f'["{POOL_KEY}", "x"]',
                "PAYMUX_WEBHOOK_BASE": BASE,
            },
        ),
    ],
)
def test_a_wrong_pool_key_is_not_shown(attempt: Callable[[], Pool]) -> None:
    """A refused callback key, or one beside it, is not shown, in no frame either."""
    with pytest.raises(UsageError) as caught:
        attempt()
    assert _leaks(_rendered(caught.value)) == []


def test_a_driver_shows_no_secret() -> None:
    """`repr`, `str`, pickle, JSON and copies of a driver, a pool and a secret show nothing."""
    driver = _toy()
    pool = Pool(driver, webhook_base=BASE, webhook_key=POOL_KEY)
    texts = [
        repr(driver),
        str(driver),
        f"{driver}",
        repr(pool),
        repr(vars(pool)),
        repr(pool._callback_urls),
    ]
    texts += [
        repr(copy.deepcopy(driver)),
        repr(driver.__struct_fields__),
        repr(msgspec.structs.asdict(driver)),
    ]
    for writes in (pickle.dumps, msgspec.json.encode, msgspec.msgpack.encode, json.dumps):
        for thing in (driver, driver.password):
            with contextlib.suppress(Exception):
                texts.append(str(writes(thing)))
    assert _leaks("\n".join(texts)) == []
    assert copy.deepcopy(driver) == driver


def test_a_secret_is_a_class_that_shows_nothing() -> None:
    """A Secret has no repr, pickle or encoding; only `reveal` returns it; equal ones are equal."""
    secret = Secret(PASSWORD)
    assert secret.reveal() == PASSWORD
    assert repr(secret) == f"Secret('{HIDDEN}')"
    assert str(secret) == f"{secret}" == HIDDEN
    assert (secret == Secret(PASSWORD), secret == Secret("x"), secret == PASSWORD) == (
        True,
        False,
        False,
    )
    assert len({secret, Secret(PASSWORD)}) == 1
    assert bool(Secret("")) is False
    for writes in (pickle.dumps, msgspec.json.encode, json.dumps):
        with pytest.raises(TypeError):
            writes(secret)


def test_errors_pickle_whole_and_without_secrets() -> None:
    """An error crosses a process boundary with all its values."""
    payment = Payment(account="toy", reference="r")
    unknown = pickle.loads(pickle.dumps(OutcomeUnknown("unknown", payment)))  # noqa: S301 - our own bytes
    assert unknown.payment == payment
    refused = Rejected("no", code="E1", details={"field": "x"})
    refused.account, refused.http_status = "toy", 400
    again = copy.copy(pickle.loads(pickle.dumps(refused)))  # noqa: S301 - our own bytes
    assert (again.code, again.account, again.http_status, str(again)) == (
        "E1",
        "toy",
        400,
        str(refused),
    )


DETAILS: list[Any] = [
    {"consumer_secret": ["This field is required."]},
    {"password": {"code": "short", "min": 8}},
    {"hash": None, "api_key": 5, "signature": [1, 2]},
    {"errors": [{"secret": ["a", {"b": "c"}]}]},
    {"api_key": []},
    {"token": True, "secret": False},
    {"note": 'say "hash": [1]'},
]


@pytest.mark.parametrize("details", DETAILS, ids=range(len(DETAILS)))
@timeless
async def test_details_about_a_credential_field_stay_readable(details: Any) -> None:
    """A refusal whose details have a field with a credential's name is still that refusal."""

    class Detailed(Keyless, frozen=True, kw_only=True):
        def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
            return Rejected("no", details=details)

    async with Pool(Detailed(), connection=Wire(Desk(payments=answer(400)))) as pool:
        with pytest.raises(Rejected) as caught:
            await pool.verify("keyless", "p1")
    assert caught.value.details is not None
    assert caught.value.details.keys() == details.keys()


@pytest.mark.parametrize(
    "body",
    [
        '{"hash": "abc123", "x": 1}',
        '{"Signature":"abc123"}',
        '{"data": "{\\"hash\\":\\"abc123\\"}"}',
        "hash=abc123&x=1",
        "data[hash]=abc123&x=1",
        "data%5Bhash%5D=abc123",
        "x-token: abc123",
        "apikey=abc123",
        "api_key=abc123",
        '{"consumer_secret" : "abc123"}',
        '{"PAYDUNYA-MASTER-KEY": "abc123"}',
        '{"access_token": "abc123"}',
        '{"notify_token":"abc123"}',
    ],
)
def test_a_credential_is_hidden_by_its_fields_name(body: str) -> None:
    """Hashes, signatures and keys are removed from a body by name, in JSON, forms and nested."""
    assert "abc123" not in hide(body)


def test_what_is_no_credential_is_left_alone() -> None:
    """Ordinary fields keep their values."""
    body = '{"amount": "5000", "status": "SUCCESSFUL", "hashtag": "x", "description": "a hash"}'
    assert hide(body) == body


@pytest.mark.parametrize(
    "sentence",
    [
        "The service request is processed successfully.",
        "Request accepted for processing",
        "SUCCESSFUL",
    ],
)
def test_an_ordinary_sentence_is_not_searched_by_a_pattern(
    monkeypatch: pytest.MonkeyPatch, sentence: str
) -> None:
    """What nearly every answer says costs no search for the names of credentials."""
    monkeypatch.setattr(sensitive_fields, "fields", None)
    body = json.dumps({"ResultCode": "0", "ResultDesc": sentence})
    assert hide(body) == body


def test_numbers_are_masked_and_values_shown_short() -> None:
    """Runs of nine digits or more lose their middle; a refused value is short."""
    assert mask("237670000000 and 12345678") == "237…00 and 12345678"
    for value in ("a" * 10**6, 10**5000, b"x" * 10**6, [1] * 10**6, object(), Secret(PASSWORD)):
        assert len(shown(value)) < 100
    assert _leaks(shown(Secret(PASSWORD))) == []


@timeless
async def test_no_log_of_asyncio_shows_a_credential(caplog: pytest.LogCaptureFixture) -> None:
    """The debug records of asyncio hold no credential either."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(enabled=True)
    async with Pool(
        _toy(), connection=Wire(Desk(login=answer(token=TOKEN), payments=answer(500)))
    ) as pool:
        await _battery(pool)
    gc.collect()
    assert _leaks("\n".join(record.getMessage() for record in caplog.records)) == []


def test_incoming_and_outgoing_show_no_body() -> None:
    """Requests and replies show neither headers nor bodies in their repr."""
    things: list[object] = [
        WebhookRequest(
            body=PASSWORD.encode(), headers={"a": PASSWORD}, query=PASSWORD, path=PASSWORD
        ),
        PreparedRequest(
            method="GET", url=PASSWORD, headers={"a": PASSWORD}, body=PASSWORD.encode(), money=False
        ),
        Response(status=200, body=PASSWORD.encode(), headers={"a": PASSWORD}),
        Request(method="GET", path="/x", type=Said, body={"a": PASSWORD}, headers={"a": PASSWORD}),
    ]
    assert _leaks(repr(things)) == []
    assert isinstance(_toy(), Driver)
