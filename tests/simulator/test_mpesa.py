import base64
import json
from typing import Any

import pytest

from paymux.http import Response, WebhookRequest
from paymux.models import Reason, Status
from paymux.simulator import Fault, Simulator

from .asking import ask, login, password, push, told, until

PUSH = "/mpesa/mpesa/stkpush/v1/processrequest"
QUERY = "/mpesa/mpesa/stkpushquery/v1/query"
LOGIN = "/mpesa/oauth/v1/generate"
BASIC = base64.b64encode(b"simulator:simulator").decode()
URLS = {
    "ConfirmationURL": "https://shop.example/c/7f",
    "ValidationURL": "https://shop.example/v/7f",
}
PAID = {
    "ShortCode": "174379",
    "CommandID": "CustomerPayBillOnline",
    "Amount": "5",
    "Msisdn": "254708374126",
    "BillRefNumber": "bill-1",
}


async def call(sim: Simulator, path: str, body: Any) -> tuple[int, Any]:
    """Call Daraja with a fresh token, and return the status and the body."""
    reply = await ask(sim, "POST", path, body, headers=await login(sim))
    return reply.status, told(reply)


async def pushed(sim: Simulator, **fields: Any) -> str:
    """Push, and return the CheckoutRequestID."""
    status, body = await call(sim, PUSH, push(**fields))
    assert (status, body["ResponseCode"]) == (200, "0")
    return str(body["CheckoutRequestID"])


async def asked(sim: Simulator, checkout: str) -> tuple[int, Any]:
    """Query a push."""
    return await call(sim, QUERY, {**password(), "CheckoutRequestID": checkout})


@pytest.mark.parametrize(
    ("header", "query", "code"),
    [
        (None, "grant_type=client_credentials", "400.008.01"),
        ("Bearer x", "grant_type=client_credentials", "400.008.01"),
        (f"Basic {BASIC}", "grant_type=password", "400.008.02"),
        ("Basic eDp5", "grant_type=client_credentials", None),
    ],
)
async def test_a_bad_login_is_http_400(header: str | None, query: str, code: str | None) -> None:
    """Wrong credentials get an empty body, the rest the documented codes."""
    headers = {"authorization": header} if header else {}
    reply = await ask(Simulator(), "GET", f"{LOGIN}?{query}", headers=headers)
    assert reply.status == 400
    assert (told(reply)["errorCode"] if code else reply.body) == (code or b"")


async def test_a_login_tells_its_lifetime_as_text() -> None:
    """`expires_in` is a string of 3599 seconds, as the docs show it."""
    headers = {"authorization": f"Basic {BASIC}"}
    reply = await ask(Simulator(), "GET", f"{LOGIN}?grant_type=client_credentials", headers=headers)
    assert told(reply)["expires_in"] == "3599"


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [("401.002.01", 401, "401.002.01"), ("404.001.03", 404, "404.001.03")],
)
async def test_a_stale_token_is_refused_in_either_form(form: str, status: int, code: str) -> None:
    """The documented refusal repeats the token in its message; the other is HTTP 404."""
    sim = Simulator()
    sim.mpesa.bad_token = form
    headers = await login(sim)
    sim.mpesa.tokens.revoke()
    reply = await ask(sim, "POST", PUSH, push(), headers=headers)
    assert (reply.status, told(reply)["errorCode"]) == (status, code)
    token = headers["authorization"].removeprefix("Bearer ")
    assert (token in told(reply)["errorMessage"]) is (status == 401)
    sim.fault("mpesa", "POST /processrequest/", kind=Fault.STALE_TOKEN)
    assert (await call(sim, PUSH, push()))[0] == status
    assert len(sim.ledger) == 0


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"BusinessShortCode": "1"}, 400, "Invalid BusinessShortCode"),
        ({"BusinessShortCode": "600000"}, 500, "Merchant does not exist"),
        ({"Timestamp": "2026"}, 400, "Invalid Timestamp"),
        ({"Timestamp": "20261302030405"}, 400, "Invalid Timestamp"),
        ({"Timestamp": "20260102030406"}, 500, "Wrong credentials"),
        (password(passkey="wrong"), 500, "Wrong credentials"),
        ({"TransactionType": "Pay"}, 400, "Invalid TransactionType"),
        ({"Amount": "0"}, 400, "Invalid Amount"),
        ({"Amount": "1.5"}, 400, "Invalid Amount"),
        ({"Amount": None}, 400, "Invalid Amount"),
        ({"PartyA": "0712345678"}, 400, "Invalid PartyA"),
        ({"PartyB": "600000"}, 400, "Invalid PartyB"),
        ({"PhoneNumber": "+254712345678"}, 400, "Invalid PhoneNumber"),
        ({"PhoneNumber": "254212345678"}, 400, "Invalid PhoneNumber"),
        ({"CallBackURL": None}, 400, "Invalid CallBackURL"),
        ({"CallBackURL": "shop"}, 400, "Invalid CallBackURL"),
        ({"CallBackURL": "ftp://shop.example/x"}, 400, "Invalid CallBackURL"),
        ({"CallBackURL": "http:///x"}, 400, "Invalid CallBackURL"),
        ({"AccountReference": ""}, 400, "Invalid AccountReference"),
        ({"TransactionDesc": ""}, 400, "Invalid Remarks"),
    ],
)
async def test_a_bad_push_is_refused_in_darajas_words(
    fields: dict[str, Any], status: int, message: str
) -> None:
    """Each field, the shortcode and the password are checked as in the docs and live answers."""
    sim = Simulator()
    got, body = await call(sim, PUSH, push(**fields))
    assert (got, body["errorCode"]) == (status, "400.002.02" if status == 400 else "500.001.1001")
    assert message in body["errorMessage"]
    assert body["requestId"]
    assert len(sim.ledger) == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/MPESA/callback",
        "https://shop.example/executed",
        "http://shop.example/sql",
    ],
)
async def test_a_word_to_avoid_is_refused_where_a_test_wants_it(url: str) -> None:
    """The docs advise against some words in a callback's path; refusing them is optional."""
    sim = Simulator()
    sim.mpesa.refuses_words = True
    _, body = await call(sim, PUSH, push(CallBackURL=url))
    assert body["errorMessage"] == "Bad Request - Invalid CallBackURL"
    assert (await call(sim, PUSH, push(CallBackURL="https://mpesa.shop.example/pay")))[0] == 200
    assert (await call(Simulator(), PUSH, push(CallBackURL=url)))[0] == 200


@pytest.mark.parametrize(
    ("body", "form", "code"),
    [(b"{", False, "400.002.05"), (b"[]", False, "400.002.05"), (push(), True, "400.002.02")],
)
async def test_only_a_json_object_is_a_request(body: Any, form: bool, code: str) -> None:
    """Broken JSON is malformed; a form is read as a missing shortcode."""
    sim = Simulator()
    reply = await ask(sim, "POST", PUSH, body, form=form, headers=await login(sim))
    assert (reply.status, told(reply)["errorCode"]) == (400, code)


async def test_other_paths_and_methods_are_refused_in_the_envelope() -> None:
    """A wrong path, a GET and a missing token have their documented codes."""
    sim = Simulator()
    headers = await login(sim)
    for method, path, given, code in (
        ("POST", "/mpesa/mpesa/nothing", headers, "404.001.01"),
        ("GET", PUSH, headers, "405.001"),
        ("POST", PUSH, {}, "404.001.04"),
    ):
        reply = await ask(sim, method, path, push() if method == "POST" else None, headers=given)
        assert told(reply)["errorCode"] == code


@pytest.mark.parametrize("amount", ["250", 250])
@pytest.mark.parametrize(
    "till",
    [{}, {"TransactionType": "CustomerBuyGoodsOnline", "PartyB": "5500123"}],
    ids=["paybill", "till"],
)
async def test_a_push_is_pending_then_told_by_query(
    amount: str | int, till: dict[str, str]
) -> None:
    """Strings and numbers are accepted; the query is first pending as HTTP 500, then "0"."""
    sim = Simulator()
    checkout = await pushed(sim, Amount=amount, **till)
    assert checkout.startswith("ws_CO_")
    assert checkout.endswith("712345678")
    status, pending = await asked(sim, checkout)
    assert (status, pending["errorCode"], pending["requestId"]) == (500, "500.001.1001", checkout)
    assert pending["errorMessage"] == "The transaction is being processed"
    sim.settle("order-1", Status.SUCCEEDED)
    status, paid = await asked(sim, checkout)
    assert (status, paid["ResultCode"], paid["CheckoutRequestID"]) == (200, "0", checkout)
    assert sim.ledger.charged("order-1") == 250


async def test_pending_may_be_4999_in_a_200() -> None:
    """The other format of pending that was seen live."""
    sim = Simulator()
    sim.mpesa.pending = "4999"
    status, body = await asked(sim, await pushed(sim))
    assert (status, body["ResponseCode"], body["ResultCode"]) == (200, "0", "4999")


async def test_an_unknown_id_is_invalid_or_pending() -> None:
    """No source shows Daraja's answer for an id that it never issued: a test chooses."""
    sim = Simulator()
    status, body = await asked(sim, "ws_CO_nobody")
    assert (status, body["errorMessage"]) == (400, "Bad Request - Invalid CheckoutRequestID")
    sim.mpesa.unknown_id = "pending"
    assert (await asked(sim, "ws_CO_nobody"))[1]["errorCode"] == "500.001.1001"
    body = {**password(passkey="wrong"), "CheckoutRequestID": "ws_CO_nobody"}
    assert (await call(sim, QUERY, body))[1][
        "errorMessage"
    ] == "[MerchantValidate] - Wrong credentials"


@pytest.mark.parametrize(
    "digit_and_code",
    ["9 0", "0 E3008", "1 1", "2 1032", "3 1037", "5 2001", "6 1001", "8 4"],
)
async def test_a_magic_number_ends_in_its_code(digit_and_code: str) -> None:
    """The sandbox's number pays, our numbers end in the result code of their failure."""
    digit, code = digit_and_code.split()
    sim = Simulator(payer_delay=0.0)
    checkout = await pushed(sim, number=f"25470837414{digit}")
    await until(lambda: next(iter(sim.ledger)).status.terminal)
    assert (await asked(sim, checkout))[1]["ResultCode"] == code
    assert sim.ledger.charged("order-1") == (250 if code == "0" else 0)


async def test_a_payer_answers_one_prompt_at_a_time() -> None:
    """A second push to the same phone fails with 1001; to another phone, or later, it does not."""
    sim = Simulator(payer_delay=0.0)
    await pushed(sim, reference="first")
    busy = await pushed(sim, reference="second")
    other = await pushed(sim, number="254712345679", reference="third")
    await until(lambda: sim.ledger.entries("second")[0].status.terminal)
    assert (await asked(sim, busy))[1]["ResultCode"] == "1001"
    assert (await asked(sim, other))[0] == 500
    sim.settle("first", Status.SUCCEEDED)
    assert (await asked(sim, await pushed(sim, reference="fourth")))[0] == 500
    sim.mpesa.locks = False
    assert (await asked(sim, await pushed(sim, reference="fifth")))[0] == 500
    assert sim.ledger.charged() == 250


async def test_too_much_is_a_result_and_not_a_refusal() -> None:
    """Above the limit the push is accepted, and its result is 3."""
    sim = Simulator(payer_delay=0.0)
    checkout = await pushed(sim, Amount="250001")
    await until(lambda: next(iter(sim.ledger)).status.terminal)
    assert (await asked(sim, checkout))[1]["ResultCode"] == "3"


async def test_too_many_requests_are_a_spike_arrest() -> None:
    """Throttling is HTTP 500 with 500.003.02, and Retry-After where the test wants one."""
    sim = Simulator()
    sim.fault("mpesa", "POST /processrequest/", kind=Fault.THROTTLE)
    status, body = await call(sim, PUSH, push())
    assert (status, body["errorCode"]) == (500, "500.003.02")


@pytest.mark.parametrize(
    ("status", "reason", "code", "result", "moved"),
    [
        (Status.SUCCEEDED, None, None, 0, 250),
        (Status.CANCELLED, None, None, 1032, 0),
        (Status.EXPIRED, Reason.EXPIRED, "1019", 1019, 0),
        (Status.FAILED, None, None, 1, 0),
        (Status.FAILED, Reason.DECLINED, None, "E3008", 0),
        (Status.SUCCEEDED, None, "17", 17, 250),
    ],
)
async def test_the_callback_tells_the_code_as_a_number(
    status: Status, reason: Reason | None, code: str | None, result: int | str, moved: int
) -> None:
    """The callback's code is a number, the query's is text; only 0 has CallbackMetadata."""
    sim = Simulator()
    got: list[WebhookRequest] = []
    sim.on_webhook(got.append)
    checkout = await pushed(sim)
    [entry] = sim.settle("order-1", status, reason=reason, code=code)
    await until(lambda: got)
    callback = json.loads(got[0].body)["Body"]["stkCallback"]
    assert (callback["CheckoutRequestID"], callback["ResultCode"]) == (checkout, result)
    assert ("CallbackMetadata" in callback) is (result == 0)
    assert (await asked(sim, checkout))[1]["ResultCode"] == str(result)
    assert sim.ledger.charged("order-1") == moved
    if result == 0:
        items = {item["Name"]: item["Value"] for item in callback["CallbackMetadata"]["Item"]}
        assert (items["Amount"], items["PhoneNumber"]) == (250.0, 254712345678)
        assert items["MpesaReceiptNumber"] == entry.words["receipt"]
        assert len(str(items["TransactionDate"])) == 14


@pytest.mark.proves("mpesa_gateway: ResultCode 0 without CallbackMetadata")
async def test_a_success_may_come_without_metadata() -> None:
    """Some callbacks of a success carry nothing but the code."""
    sim = Simulator()
    sim.mpesa.metadata = False
    got: list[WebhookRequest] = []
    sim.on_webhook(got.append)
    await pushed(sim)
    sim.settle("order-1", Status.SUCCEEDED)
    await until(lambda: got)
    assert set(json.loads(got[0].body)["Body"]["stkCallback"]) == {
        "MerchantRequestID",
        "CheckoutRequestID",
        "ResultCode",
        "ResultDesc",
    }


@pytest.mark.parametrize(
    ("answer", "response_type", "charged", "calls"),
    [
        (
            {"ResultCode": "0", "ResultDesc": "Accepted", "ThirdPartyTransID": "t-1"},
            "Cancelled",
            5,
            ["v", "c"],
        ),
        ({"ResultCode": 0}, "Cancelled", 5, ["v", "c"]),
        ({"ResultCode": "C2B00012", "ResultDesc": "Rejected"}, "Completed", 0, ["v"]),
        (None, "Completed", 5, ["v", "c"]),
        (None, "Cancelled", 0, ["v"]),
    ],
)
async def test_c2b_asks_and_then_tells(
    answer: dict[str, Any] | None, response_type: str, charged: int, calls: list[str]
) -> None:
    """The merchant accepts or rejects; without a readable answer ResponseType decides."""
    sim = Simulator()
    got: list[WebhookRequest] = []

    def receive(incoming: WebhookRequest) -> Response:
        got.append(incoming)
        return Response(status=200, body=json.dumps(answer).encode() if answer else b"<html>")

    sim.on_webhook(receive)
    register = {"ShortCode": "174379", "ResponseType": response_type, **URLS}
    status, body = await call(sim, "/mpesa/mpesa/c2b/v2/registerurl", register)
    assert (status, "OriginatorCoversationID" in body) == (200, True)
    assert (await call(sim, "/mpesa/mpesa/c2b/v2/simulate", PAID))[1]["ResponseCode"] == "0"
    await until(lambda: next(iter(sim.ledger)).status.terminal and len(got) == len(calls))
    assert [incoming.path[1] for incoming in got] == calls
    assert sim.ledger.charged("bill-1") == charged
    said = json.loads(got[-1].body)
    assert (said["TransAmount"], said["BillRefNumber"], said["MSISDN"]) == (
        "5.00",
        "bill-1",
        "2547 ***** 126",
    )
    assert said["ThirdPartyTransID"] == (
        answer.get("ThirdPartyTransID", "") if answer and charged else ""
    )


async def test_c2b_needs_no_validation_where_it_is_not_enabled() -> None:
    """Without validation only the confirmation comes; version 1 hashes the number."""
    sim = Simulator()
    got: list[WebhookRequest] = []
    sim.on_webhook(got.append)
    sim.mpesa.c2b.validation = False
    register = {"ShortCode": "174379", "ResponseType": "Completed", **URLS}
    await call(sim, "/mpesa/mpesa/c2b/v1/registerurl", register)
    bought = {**PAID, "BillRefNumber": None, "CommandID": "CustomerBuyGoodsOnline"}
    await call(sim, "/mpesa/mpesa/c2b/v1/simulate", bought)
    await until(lambda: got)
    said = json.loads(got[0].body)
    assert (got[0].path, said["TransactionType"], said["BillRefNumber"]) == (
        "/c/7f",
        "Buy Goods",
        "",
    )
    assert len(said["MSISDN"]) == 64


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"ShortCode": "1"}, "400.002.02"),
        ({"ResponseType": "completed"}, "400.002.02"),
        ({"ConfirmationURL": "shop.example/confirm"}, "400.002.02"),
        ({"ValidationURL": None}, "400.002.02"),
        ({}, "500.003.1001"),
    ],
)
async def test_c2b_refuses_a_bad_or_a_second_registration(
    fields: dict[str, Any], code: str
) -> None:
    """The ResponseType has two spellings, URLs a host, and production one registration."""
    sim = Simulator()
    sim.mpesa.c2b.once = True
    register = {"ShortCode": "174379", "ResponseType": "Completed", **URLS}
    if not fields:
        await call(sim, "/mpesa/mpesa/c2b/v2/registerurl", register)
    _, body = await call(sim, "/mpesa/mpesa/c2b/v2/registerurl", {**register, **fields})
    assert body["errorCode"] == code


@pytest.mark.parametrize("fields", [{}, {"Amount": "1.5"}, {"Msisdn": "0712"}])
async def test_c2b_refuses_a_payment_that_cannot_be(fields: dict[str, Any]) -> None:
    """No payment before URLs are registered, of a fraction, or from a number of another form."""
    sim = Simulator()
    register = {"ShortCode": "174379", "ResponseType": "Completed", **URLS}
    if fields:
        await call(sim, "/mpesa/mpesa/c2b/v2/registerurl", register)
    status, body = await call(sim, "/mpesa/mpesa/c2b/v2/simulate", {**PAID, **fields})
    assert (status, body["errorCode"]) == (400, "400.002.02")
    assert len(sim.ledger) == 0
