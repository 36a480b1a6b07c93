"""Errors give the reason once: the subject, and what could not be read."""

import json
import re
from typing import Any

import pytest

from paymux import (
    NotFound,
    OutcomeUnknown,
    Payment,
    Pool,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
)
from paymux.drivers.base import Driver
from paymux.http import PreparedRequest, Response

from .test_aiohttp import ACCOUNTS
from .toys import Desk, Keyless, Toy, Wire, answer, timeless

LOGIN = answer(token="canary-1", access_token="canary-1", expires_in="3599")


def _wire(status: int, body: bytes) -> Wire:
    def respond(outgoing: PreparedRequest) -> Response:
        if "token" in outgoing.url or "oauth" in outgoing.url:
            return LOGIN
        return Response(status=status, body=body)

    return Wire(respond)


# The account, the verb, the body of the answer, and what is said of it.
LOOK_UPS: list[tuple[str, int, Any, str]] = [
    ("campay", 200, {"reference": "r"}, "the answer has no status"),
    ("campay", 200, {"status": "PENDING"}, "the answer has no reference"),
    ("campay", 200, {"reference": "r", "status": ["PENDING"]}, "status: expected text, got list"),
    ("campay", 200, b"<html>Bad gateway</html>", "not JSON: invalid character (byte 0)"),
    ("campay", 200, b"", "an empty body"),
    ("campay", 200, b'{"reference": "r"', "JSON that is cut off"),
    ("campay", 200, [], "the body: expected object, got list"),
    ("cinetpay", 200, {"message": "OK"}, "the answer is about no payment"),
    ("cinetpay", 503, b"<html>", "HTTP 503: not JSON: invalid character (byte 0)"),
    ("intram", 200, {"amount": 500}, "the answer has no status"),
    ("intram", 200, {"status": "SUCCESS"}, "the answer has no amount"),
    ("intram", 200, {"status": "SUCCESS", "amount": "five"}, "not an amount"),
    (
        "mpesa",
        200,
        {"ResponseCode": "0", "ResultCode": "0", "CheckoutRequestID": "ws_CO_2"},
        "the answer is about another CheckoutRequestID",
    ),
    ("mpesa", 200, {"ResponseCode": "1", "ResultCode": "0"}, "ResponseCode is not 0"),
    ("mpesa", 200, {"ResponseCode": "0"}, "the answer has no ResultCode"),
    (
        "mpesa",
        500,
        {"errorCode": "500.001.1001", "errorMessage": "System is busy"},
        "HTTP 500: an error that does not say how the payment stands",
    ),
    (
        "mpesa_gateway",
        200,
        {"status": "completed", "order_id": 43},
        "the answer is about another order_id",
    ),
    ("mpesa_gateway", 200, {"order_id": 42}, "the answer has no status"),
    ("mpesa_gateway", 200, {"status": "completed", "amount": "KES 5"}, "not an amount"),
    ("paydunya", 200, {"response_code": "00"}, "the answer is about no invoice"),
]
ORDERS: list[tuple[str, int, Any, str]] = [
    (
        "campay",
        200,
        {"reference": "r", "external_reference": "43"},
        "the answer is about another external_reference",
    ),
    ("campay", 200, {"reference": "r", "amount": "499"}, "the answer is about another amount"),
    ("campay", 200, {}, "the answer has no reference"),
    ("cinetpay", 201, {"code": "00", "message": "OK"}, "code is not 201"),
    (
        "cinetpay",
        201,
        {"code": "201", "message": "CREATED", "data": {}},
        "the answer has no payment_url",
    ),
    ("intram", 200, {"transaction_id": "t", "amount": 499}, "the answer is about another amount"),
    (
        "intram",
        200,
        {"transaction_id": "t", "currency": "XAF"},
        "the answer is about another currency",
    ),
    ("intram", 200, {"transaction_id": "t"}, "the answer has no address of a page"),
    ("intram", 200, {"receipt_url": "https://r.example"}, "the answer has no transaction_id"),
    ("mpesa", 200, {"ResponseCode": "1"}, "ResponseCode is not 0"),
    ("mpesa", 200, {"ResponseCode": "0"}, "the answer has no CheckoutRequestID"),
    ("mpesa_gateway", 200, {"order_id": 42}, "the answer has no transaction_id"),
    (
        "mpesa_gateway",
        200,
        {"transaction_id": "t", "order_id": 43},
        "the answer is about another order_id",
    ),
    (
        "paydunya",
        200,
        {"response_code": "00", "response_text": "x"},
        "the answer has no address of a page",
    ),
    (
        "paydunya",
        200,
        {"response_code": "00", "response_text": "https://p.example"},
        "the answer has no token",
    ),
    ("keyless", 500, b"", "HTTP 500"),
]


def _said(error: BaseException, account: str) -> str:
    """Return an error's text, without repetition and without HTTP 200 as a reason."""
    text = str(error)
    assert "HTTP 200" not in text
    assert text.count(f"{account}:") == 1
    words = re.split(r"[:;.] ", text)
    assert len(words) == len(set(words))
    return text


def _body(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.mark.parametrize(("name", "status", "body", "said"), LOOK_UPS)
@timeless
async def test_a_look_up_says_why_its_answer_is_none(
    name: str, status: int, body: Any, said: str
) -> None:
    """What did not match, or could not be read, is the reason of Unavailable."""
    driver = ACCOUNTS[name].driver("http://127.0.0.1:1")
    async with Pool(driver, connection=_wire(status, _body(body)), attempts=1) as pool:
        with pytest.raises(Unavailable) as failed:
            await pool.verify(Payment(account=name, reference="42", provider_reference="ws_CO_1"))
    assert _said(failed.value, name).partition(": ")[2].endswith(f": {said}")


@pytest.mark.parametrize(("name", "status", "body", "said"), ORDERS)
@timeless
async def test_an_order_says_why_its_outcome_is_unknown(
    name: str, status: int, body: Any, said: str
) -> None:
    """The same for an order, before the advice."""
    if name == "keyless":
        driver: Driver = Keyless()
        order: dict[str, Any] = {"amount": 500, "currency": "XAF", "reference": "42"}
    else:
        driver, order = ACCOUNTS[name].driver("http://127.0.0.1:1"), ACCOUNTS[name].order
    async with Pool(driver, connection=_wire(status, _body(body)), attempts=1) as pool:
        with pytest.raises(OutcomeUnknown) as unknown:
            await pool.collect(name, **order)
    assert f": {said}; the outcome is unknown" in _said(unknown.value, name)


@timeless
async def test_the_reason_is_that_of_the_attempt_that_is_unknown() -> None:
    """A refused repetition is not the reason why the first attempt is unknown."""
    wire = Wire(Desk(collect=[Response(status=200, body=b"<html>"), answer(400, error="no")]))
    async with Pool(Keyless(repeatable=True), connection=wire) as pool:
        with pytest.raises(OutcomeUnknown, match=r"not JSON: .*; the outcome is unknown"):
            await pool.collect("keyless", amount=5, currency="XAF", reference="r1")
    assert len(wire.seen) == 2


@timeless
async def test_a_login_that_fails_names_its_account_once() -> None:
    """The reason of a failed login is given, with the account once."""
    wire = Wire(Desk(login=Response(status=200, body=b'{"token": ["x"]}')))
    async with Pool(Toy(), connection=wire, attempts=1) as pool:
        with pytest.raises(Unavailable) as failed:
            await pool.verify("toy", "p1")
    assert (
        _said(failed.value, "toy")
        == "toy: the login failed: POST /login: token: expected text, got list"
    )


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (400, Rejected, "keyless: the request is refused (HTTP 400)"),
        (404, NotFound, "keyless: unknown to the provider (HTTP 404)"),
        (429, RateLimited, "keyless: too many requests (HTTP 429)"),
    ],
)
@timeless
async def test_a_refusal_without_words_says_what_it_is_once(
    status: int, kind: type[ProviderError], said: str
) -> None:
    """A bare status of a look-up is one fact, and claims nothing about money."""
    async with Pool(
        Keyless(), connection=Wire(lambda _: Response(status=status)), attempts=1
    ) as pool:
        with pytest.raises(kind) as refused:
            await pool.verify("keyless", "p1")
    assert str(refused.value) == said
    assert refused.value.message == ""
    assert "money" not in str(refused.value)


def test_a_code_that_stands_in_the_message_is_not_repeated() -> None:
    """Code and status are added to the provider's text if they are not in it."""
    error = Rejected("ER101: Invalid phone number", code="ER101")
    error.account, error.http_status = "shop", 400
    assert str(error) == "shop: ER101: Invalid phone number (HTTP 400)"
    error = Rejected("Invalid phone number", code="ER101")
    error.account, error.http_status = "shop", 200
    assert str(error) == "shop: Invalid phone number [ER101]"


@timeless
async def test_a_reason_shows_no_credential() -> None:
    """What could not be read is named by its place, without its content."""
    body = b'{"id": "p1", "kind": "cAnary-password", "amount": "cAnary-password"}'
    wire = Wire(Desk(payments=Response(status=200, body=body)))
    async with Pool(Keyless(password="cAnary-password"), connection=wire, attempts=1) as pool:
        with pytest.raises(Unavailable) as failed:
            await pool.verify("keyless", "p1")
    assert str(failed.value) == "keyless: GET /payments/{id}: kind: Invalid enum value"
