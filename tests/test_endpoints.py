"""Endpoints that return payments and take them: FastAPI and pydantic, Litestar, Quart, Django."""

import asyncio
import copy
import json
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pydantic
import pytest
import quart
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import RequestFactory
from fastapi import Body, FastAPI
from litestar import Litestar, get, post
from litestar.params import JSONBody

from paymux import Balance, Customer, Event, Item, Method, Payment, Reason, Receipt, Status, Tax

PAYMENT = Payment(
    account="kenya",
    provider="mpesa",
    kind="collect",
    live=True,
    reference="order-1",
    provider_reference="ws_CO_1",
    ids={"MerchantRequestID": "m-1", "claimed_receipt": "SKE52PAWR9", "MSISDN": "254708374149"},
    status=Status.FAILED,
    amount=Decimal("250.00"),
    currency="KES",
    payer="254708374149",
    payee="254708374150",
    fee=Decimal("1.5"),
    checkout_url="https://pay.example/1",
    prompt="Enter your PIN",
    provider_status="1032",
    reason=Reason.CANCELLED,
    message="cancelled by 254708374149",
    customer=Customer(name="Amina", phone="254708374149"),
    metadata={"basket": [1, 2.5, "x"]},
    created_at=datetime(2026, 11, 30, 8, tzinfo=UTC),
    raw='{"MSISDN": "254708374149"}',
)
STORED = json.loads(msgspec.json.encode(PAYMENT))

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


async def ask(app: Any, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    """Send one request to an ASGI application, and give the status and the JSON of its answer."""
    sent: list[Any] = []
    answered = asyncio.Event()
    pending = [{"type": "http.request", "body": body, "more_body": False}]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"shop"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("shop", 80),
        "state": {},
    }

    async def receive() -> Any:
        if pending:
            return pending.pop()
        await answered.wait()  # a client that is gone is not answered
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            answered.set()

    await app(scope, receive, send)
    content = b"".join(one.get("body", b"") for one in sent if one["type"] == "http.response.body")
    return sent[0]["status"], json.loads(content)


# Bodies that are no payment; those of FastAPI are JSON that Python's own module reads.
BAD: Mapping[str, str] = {
    "no object": "[]",
    "null": "null",
    "a text": '"kenya"',
    "no account": "{}",
    "an account of another type": '{"account": 5}',
    "an unknown status": '{"account": "kenya", "status": "paid"}',
    "a kind that is none": '{"account": "kenya", "kind": "gift"}',
    "ids that are no mapping": '{"account": "kenya", "ids": "m-1"}',
    "an id that is no text": '{"account": "kenya", "ids": {"m": 1}}',
    "a time that is none": '{"account": "kenya", "paid_at": "yesterday"}',
    "an amount that is no number": '{"account": "kenya", "amount": "much"}',
    "a body that is deep": f'{{"account": "kenya", "ids": {"[" * 900}{"]" * 900}}}',
}
WORSE: Mapping[str, str] = {
    "live as a text": '{"account": "kenya", "live": "true"}',
    "a float": '{"account": "kenya", "amount": 2.5}',
    "not a number": '{"account": "kenya", "amount": NaN}',
    "not a number, as a text": '{"account": "kenya", "amount": "NaN"}',
    "infinity": '{"account": "kenya", "fee": "-Infinity"}',
    "a number with a large exponent": '{"account": "kenya", "amount": "1e999999"}',
    "a large integer": f'{{"account": "kenya", "amount": {10**400}}}',
    "half a surrogate pair": r'{"account": "\ud800"}',
    "a time without an offset": '{"account": "kenya", "paid_at": "2026-11-30T08:00:00"}',
    "a number with many decimals": f'{{"account": "kenya", "amount": "1.{"0" * 100_000}"}}',
    "a number with a small exponent": '{"account": "kenya", "amount": "1E-999999999"}',
    "a number of ten decimals": '{"account": "kenya", "amount": "1.0000000001"}',
    "a number with an underscore": '{"account": "kenya", "amount": "1_0"}',
    "a number of another alphabet": '{"account": "kenya", "amount": "\u0665"}',
    "a number between spaces": '{"account": "kenya", "amount": " 5 "}',
    "a number of sixteen digits": '{"account": "kenya", "amount": "1000000000000000"}',
    "an integer of sixteen digits": '{"account": "kenya", "amount": 1000000000000000}',
    "a time before all times": '{"account": "kenya", "paid_at": "0001-01-01T00:00:00+03:00"}',
    "a time after all times": '{"account": "kenya", "paid_at": "9999-12-31T23:59:59-03:00"}',
    "metadata that are deep": f'{{"account": "k", "metadata": {{"m": {"[" * 900}{"]" * 900}}}}}',
}


# pydantic and FastAPI.


class Sale(pydantic.BaseModel):
    """A shop's own model."""

    payment: Payment
    earlier: list[Payment] = []
    refund: Payment | None = None


def shop() -> FastAPI:
    """Make endpoints that return payments and take them, in every way that FastAPI knows."""
    app = FastAPI()

    @app.get("/payment")
    async def one() -> Payment:
        return PAYMENT

    @app.get("/public")
    async def public() -> Payment:
        return PAYMENT.public()

    @app.get("/payments", response_model=list[Payment])
    async def several() -> Any:
        return [PAYMENT]

    @app.get("/sale")
    async def sale() -> Sale:
        return Sale(payment=PAYMENT, earlier=[PAYMENT])

    @app.post("/payment")
    async def take(payment: Annotated[Payment, Body()]) -> Payment:
        assert type(payment) is Payment
        return payment

    @app.post("/sale")
    async def take_sale(sale: Sale) -> dict[str, Payment]:
        return {"payment": sale.payment}

    @app.post("/two")
    async def take_two(
        old: Annotated[Payment, Body()], new: Annotated[Payment, Body()]
    ) -> list[Payment]:
        return [old, new]

    return app


async def test_fastapi_returns_payments_as_they_are_stored() -> None:
    """By the return type, `response_model`, in a list and in a model: amounts are strings."""
    app = shop()
    assert STORED["amount"] == "250.00"
    assert await ask(app, "GET", "/payment") == (200, STORED)
    assert await ask(app, "GET", "/payments") == (200, [STORED])
    status, sale = await ask(app, "GET", "/sale")
    assert (status, sale) == (200, {"payment": STORED, "earlier": [STORED], "refund": None})
    assert msgspec.json.decode(json.dumps(sale["payment"]), type=Payment) == PAYMENT


async def test_fastapi_takes_payments() -> None:
    """As a body, as a part of one, and in a model; what was taken equals what was stored."""
    app = shop()
    body = msgspec.json.encode(PAYMENT)
    assert await ask(app, "POST", "/payment", body) == (200, STORED)
    hand_written = b'{"account": "kenya", "amount": 250, "other": 1}'
    status, taken = await ask(app, "POST", "/payment", hand_written)
    assert (status, taken) == (200, {"account": "kenya", "status": "pending", "amount": "250"})
    sale = json.dumps({"payment": STORED, "refund": STORED}).encode()
    assert await ask(app, "POST", "/sale", sale) == (200, {"payment": STORED})
    two = json.dumps({"old": STORED, "new": STORED}).encode()
    assert await ask(app, "POST", "/two", two) == (200, [STORED, STORED])


@pytest.mark.parametrize("what", [*BAD, *WORSE])
@pytest.mark.parametrize("path", ["/payment", "/sale"])
async def test_fastapi_answers_a_bad_body_with_422(path: str, what: str) -> None:
    """Also where the answer shows what came in, which its JSON could not hold."""
    body = {**BAD, **WORSE}[what]
    body = body if path == "/payment" else f'{{"payment": {body}}}'
    status, told = await ask(shop(), "POST", path, body.encode())
    assert status == 422
    assert told["detail"][0]["loc"][0] == "body"


@pytest.mark.parametrize("text", ["5", "-5", "0.00", "0E-8", "1E-7", "999999999999999.999999999"])
def test_an_amount_that_json_of_ours_may_have_is_read(text: str) -> None:
    """Python writes nine decimals of a small number with an exponent."""
    body = {"account": "kenya", "amount": text}
    assert pydantic.TypeAdapter(Payment).validate_python(body).amount == Decimal(text)


@pytest.mark.parametrize("text", ["1_0", "\u0665", "1E-999999999", "1E+3"])
def test_every_amount_of_a_model_is_checked(text: str) -> None:
    """Also those of a mapping, and those of an event's payment."""
    balance = {"currency": "KES", "available": "1", "by_operator": {"mtn": text}}
    for kind, body in (
        (Balance, balance),
        (Event, {"claims": {"account": "kenya", "fee": text}}),
    ):
        with pytest.raises(pydantic.ValidationError, match="an amount has"):
            pydantic.TypeAdapter(kind).validate_python(body)


def test_a_time_of_another_offset_is_read_as_utc() -> None:
    """All times of a payment are UTC, also those of an event's payment."""
    payment = {"account": "kenya", "paid_at": "2026-11-30T11:00:00+03:00"}
    event = pydantic.TypeAdapter(Event).validate_python({"claims": payment})
    for found in (pydantic.TypeAdapter(Payment).validate_python(payment), event.claims):
        assert found.paid_at == datetime(2026, 11, 30, 8, tzinfo=UTC)
        assert found.paid_at.tzinfo is UTC


async def test_openapi_has_a_named_payment_with_amounts_as_strings() -> None:
    """Every endpoint refers to one `Payment`, in requests and in responses."""
    _, told = await ask(shop(), "GET", "/openapi.json")
    schemas = told["components"]["schemas"]
    ref = {"$ref": "#/components/schemas/Payment"}
    shown = told["paths"]["/payment"]
    assert shown["post"]["requestBody"]["content"]["application/json"]["schema"] == ref
    for method in ("get", "post"):
        answer = shown[method]["responses"]["200"]["content"]["application/json"]
        assert answer["schema"] == ref
    listed = told["paths"]["/payments"]["get"]["responses"]["200"]["content"]["application/json"]
    assert listed["schema"]["items"] == ref
    assert schemas["Sale"]["properties"]["payment"] == ref
    payment = schemas["Payment"]
    assert payment["required"] == ["account"]
    assert set(payment["properties"]) == set(Payment.__struct_fields__)
    assert payment["properties"]["status"]["enum"] == sorted(Status)
    for name in ("amount", "fee", "refunded_amount"):
        kinds = [one["type"] for one in payment["properties"][name]["anyOf"]]
        assert kinds == ["string", "null"]
    assert not [name for name in schemas if "Input" in name or "__" in name]


def test_pydantic_validates_and_writes_a_payment() -> None:
    """From Python, from JSON, as itself; a wrong one is pydantic's own error, with the field."""
    sale = Sale(payment=PAYMENT)
    assert sale.payment is PAYMENT
    assert sale.model_dump()["payment"] is PAYMENT
    assert sale.model_dump(mode="json")["payment"] == STORED
    assert Sale.model_validate_json(sale.model_dump_json()) == sale
    made = Sale.model_validate({"payment": {"account": "kenya", "amount": Decimal("2.50")}})
    assert made.payment == Payment(account="kenya", amount=Decimal("2.50"))
    with pytest.raises(pydantic.ValidationError, match=r"status") as wrong:
        Sale.model_validate({"payment": {"account": "kenya", "status": "paid"}})
    assert wrong.value.errors()[0]["loc"] == ("payment",)


@pytest.mark.parametrize("odd", [object(), {1, 2}, b"\xff", {"account": object()}, Decimal(5), ...])
def test_pydantic_refuses_what_is_no_payment(odd: object) -> None:
    """An object of the caller is a ValidationError, whatever it is."""
    with pytest.raises(pydantic.ValidationError):
        pydantic.TypeAdapter(Payment).validate_python(odd)


OTHERS = (
    Balance(currency="XAF", available=Decimal(5), by_operator={"MTN": Decimal(3)}),
    Customer(name="Amina"),
    Event(account="kenya", claims=PAYMENT, path_reference="order-1"),
    Item(name="Data bundle", unit_price=Decimal(500)),
    Method(type="mpesa", display_name="M-Pesa", enabled=True),
    Receipt(number="SKE52PAWR9", status=Status.SUCCEEDED, amount=Decimal("2.5")),
    Tax(name="VAT", amount=Decimal(19)),
)


@pytest.mark.parametrize("value", OTHERS, ids=lambda value: type(value).__name__)
def test_the_other_models_work_as_a_payment_does(value: Any) -> None:
    """Each is returned, taken, and named in OpenAPI; and so are the enums."""
    adapter = pydantic.TypeAdapter[Any](list[type(value)])  # type: ignore[misc]  # a type that is a value
    stored = json.loads(msgspec.json.encode([value]))
    assert json.loads(adapter.dump_json([value])) == stored
    assert adapter.validate_python(stored) == [value]
    assert adapter.validate_json(json.dumps(stored)) == [value]
    name = type(value).__name__
    for mode in ("validation", "serialization"):
        schema = adapter.json_schema(mode=mode)
        assert schema["items"] == {"$ref": f"#/$defs/{name}"}
        assert set(schema["$defs"]) == {name}


@pytest.mark.parametrize("kind", [Status, Reason])
def test_the_enums_are_words_to_pydantic(kind: Any) -> None:
    """An unknown word is a ValidationError, not our own error."""
    adapter = pydantic.TypeAdapter(kind)
    assert [adapter.validate_python(word.value) for word in kind] == list(kind)
    assert json.loads(adapter.dump_json(next(iter(kind)))) == next(iter(kind)).value
    assert sorted(adapter.json_schema()["enum"]) == sorted(kind)
    with pytest.raises(pydantic.ValidationError):
        adapter.validate_python("paid")


def test_importing_paymux_imports_no_pydantic() -> None:
    """Pydantic itself is what asks for the schema."""
    code = "import sys, paymux; print([name for name in sys.modules if 'pydantic' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Litestar, Quart and Django.


def litestar() -> Litestar:
    """Make endpoints in Litestar, which knows msgspec."""

    @get("/payment")
    async def one() -> Payment:
        return PAYMENT

    @post("/payment", status_code=200)
    async def take(data: JSONBody[Payment]) -> list[Payment]:
        return [data]

    return Litestar([one, take])


async def test_litestar_returns_and_takes_payments() -> None:
    """It needs nothing of ours; its OpenAPI has a named `Payment`."""
    app = litestar()
    assert await ask(app, "GET", "/payment") == (200, STORED)
    assert await ask(app, "POST", "/payment", msgspec.json.encode(PAYMENT)) == (200, [STORED])
    _, told = await ask(app, "GET", "/schema/openapi.json")
    assert "Payment" in told["components"]["schemas"]


@pytest.mark.parametrize("what", list(BAD))
async def test_litestar_answers_a_bad_body_with_400(what: str) -> None:
    """That is its own answer to what msgspec refuses."""
    status, _ = await ask(litestar(), "POST", "/payment", BAD[what].encode())
    assert status == 400


def quarts() -> quart.Quart:
    """Make endpoints in Quart."""
    app = quart.Quart(__name__)

    @app.get("/payment")
    async def one() -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(PAYMENT.public())
        return found

    @app.post("/payment")
    async def take() -> Any:
        try:
            payment = msgspec.json.decode(await quart.request.get_data(), type=Payment)
        except (msgspec.DecodeError, RecursionError) as wrong:
            return {"wrong": str(wrong)}, 422
        return msgspec.to_builtins(payment)

    return app


async def test_quart_returns_and_takes_payments() -> None:
    """With `msgspec.to_builtins` and `msgspec.json.decode`."""
    app = quarts()
    assert await ask(app, "GET", "/payment") == (200, msgspec.to_builtins(PAYMENT.public()))
    assert await ask(app, "POST", "/payment", msgspec.json.encode(PAYMENT)) == (200, STORED)


@pytest.mark.parametrize("what", list(BAD))
async def test_quart_answers_a_bad_body_with_422(what: str) -> None:
    """What msgspec raises of a body is an error of its own, or that the body is deep."""
    status, _ = await ask(quarts(), "POST", "/payment", BAD[what].encode())
    assert status == 422


def django_view(request: HttpRequest) -> HttpResponse:
    """Return a payment, or take one."""
    if request.method == "GET":
        return JsonResponse(msgspec.to_builtins(PAYMENT.public()))
    try:
        payment = msgspec.json.decode(request.body, type=Payment)
    except (msgspec.DecodeError, RecursionError) as wrong:
        return JsonResponse({"wrong": str(wrong)}, status=422)
    return JsonResponse(msgspec.to_builtins(payment))


def test_django_returns_and_takes_payments() -> None:
    """With `msgspec.to_builtins` and `msgspec.json.decode`; a bad body is 422."""
    if not settings.configured:
        settings.configure()
    requests = RequestFactory()
    shown = django_view(requests.get("/payment"))
    assert json.loads(shown.content) == msgspec.to_builtins(PAYMENT.public())
    for body, status in [(json.dumps(STORED), 200), *((bad, 422) for bad in BAD.values())]:
        made = requests.post("/payment", body, content_type="application/json")
        assert django_view(made).status_code == status


# What a payment is to a program.


def test_public_leaves_out_what_is_no_business_of_a_browser() -> None:
    """No number, no name, no metadata, no body of a provider, no claim; the rest stays."""
    shown = PAYMENT.public()
    assert (shown.raw, shown.payer, shown.payee, shown.customer) == ("", None, None, None)
    assert shown.metadata == {}
    assert shown.ids == {"MerchantRequestID": "m-1"}
    text = msgspec.json.encode(shown).decode()
    assert "254708374149" not in text
    assert "254708374150" not in text
    assert "Amina" not in text
    assert "SKE52PAWR9" not in text
    hidden = {"raw", "payer", "payee", "customer", "metadata", "ids", "message"}
    for name in set(Payment.__struct_fields__) - hidden:
        assert getattr(shown, name) == getattr(PAYMENT, name)
    assert shown.public() == shown
    by_hand: Any = Payment(account="kenya", ids=None, message=5)  # type: ignore[arg-type]
    assert by_hand.public() == Payment(account="kenya")


def test_a_payment_is_hashed_by_its_account_kind_and_references() -> None:
    """So it can be in a set, and is found there whatever its status has become."""
    later = msgspec.structs.replace(PAYMENT, status=Status.SUCCEEDED, receipt="R1", raw="")
    assert hash(later) == hash(PAYMENT)
    assert later != PAYMENT
    assert PAYMENT in {PAYMENT, later}
    for changed in (
        {"account": "uganda"},
        {"kind": "payout"},
        {"reference": "order-2"},
        {"provider_reference": None},
    ):
        assert hash(msgspec.structs.replace(PAYMENT, **changed)) != hash(PAYMENT)
    assert hash(Payment(account="kenya")) == hash(Payment(account="kenya"))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_payment_survives_pickle_and_copy(protocol: int) -> None:
    """All of its fields, and what it holds."""
    for value in (PAYMENT, *OTHERS):
        assert pickle.loads(pickle.dumps(value, protocol)) == value  # noqa: S301 - our own
        assert copy.copy(value) == value
        assert copy.deepcopy(value) == value


def test_a_payment_goes_to_other_processes_and_back() -> None:
    """A process pool takes payments and returns them."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(copy.copy, PAYMENT).result() == PAYMENT
        assert pool.submit(hash, Payment(account="1")).result() is not None
