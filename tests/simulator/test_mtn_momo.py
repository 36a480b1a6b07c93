"""The simulated MTN MoMo, as its portal and its notebook describe it."""

import base64
import uuid
from typing import Any

import pytest

from paymux.http import Response
from paymux.models import Reason, Status
from paymux.simulator import Simulator

from .asking import ask, told, until

KEY = {"ocp-apim-subscription-key": "simulator"}
BASIC = {"authorization": f"Basic {base64.b64encode(b'simulator:simulator').decode()}"}
NEW = "/momo.africa"


async def call(
    sim: Simulator, method: str, path: str, body: Any = None, **headers: str
) -> Response:
    """Send a request with the subscription key."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await ask(sim, method, f"/mtn_momo{path}", body, headers={**KEY, **given})


async def login(sim: Simulator, product: str = "collection", platform: str = "") -> dict[str, str]:
    """Log in, and return the headers of a request of that product."""
    target = {"x-target-environment": "sandbox"}
    path = f"/mtn_momo{platform}/{product}/token/"
    reply = await ask(sim, "POST", path, headers={**KEY, **BASIC, **target})
    assert reply.status == 200, reply.body
    return {"authorization": f"Bearer {told(reply)['access_token']}", **target}


def pay(number: str = "46733123499", **more: Any) -> dict[str, Any]:
    """Return the body of a request to pay."""
    return {
        "amount": "5.0",
        "currency": "EUR",
        "externalId": "order-1",
        "payer": {"partyIdType": "MSISDN", "partyId": number},
        "payerMessage": "Order 1",
        "payeeNote": "Order 1",
        **more,
    }


def transfer(number: str = "46733123499", **more: Any) -> dict[str, Any]:
    """Return the body of a transfer or deposit."""
    body = pay(**more)
    body["payee"] = {**body.pop("payer"), "partyId": number}
    return body


async def send(
    sim: Simulator, path: str, body: Any, signed: dict[str, str], named: str | None = None
) -> tuple[str, Response]:
    """Ask for money; return the X-Reference-Id and the answer."""
    named = named or str(uuid.uuid4())
    return named, await call(sim, "POST", path, body, x_reference_id=named, **signed)


async def test_a_request_to_pay_is_accepted_and_read() -> None:
    """202 with nothing in it; the truth is at its id, and has no id but our own."""
    async with Simulator(payer_delay=0.0) as sim:
        signed = await login(sim)
        named, reply = await send(sim, "/collection/v1_0/requesttopay", pay(), signed)
        assert (reply.status, reply.body) == (202, b"")
        sim.settle(named, Status.SUCCEEDED)
        found = await call(sim, "GET", f"/collection/v1_0/requesttopay/{named}", **signed)
        assert list(told(found)) == [
            *("financialTransactionId", "externalId", "amount", "currency", "payer"),
            *("payerMessage", "payeeNote", "status"),
        ]
        assert (told(found)["status"], told(found)["amount"]) == ("SUCCESSFUL", "5.0")
        unknown = await call(sim, "GET", f"/collection/v1_0/requesttopay/{uuid.uuid4()}", **signed)
        assert (unknown.status, told(unknown)["code"]) == (404, "RESOURCE_NOT_FOUND")


async def test_one_id_is_one_order() -> None:
    """A second request with it is 409, whatever is in it and whichever API it is."""
    async with Simulator() as sim:
        signed, paying = await login(sim), await login(sim, "disbursement")
        named, _ = await send(sim, "/collection/v1_0/requesttopay", pay(), signed)
        _, again = await send(sim, "/collection/v1_0/requesttopay", pay(), signed, named)
        assert (again.status, told(again)["code"]) == (409, "RESOURCE_ALREADY_EXIST")
        _, other = await send(sim, "/disbursement/v1_0/transfer", transfer(), paying, named)
        assert other.status == 409
        assert len(sim.ledger) == 1


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"currency": "UGX"}, 500, "INVALID_CURRENCY"),
        ({"externalId": 5}, 400, None),
        ({"amount": "-5"}, 400, None),
        ({"amount": "0"}, 400, None),
        ({"payerMessage": None}, 400, None),
        ({"payeeNote": "it's"}, 400, None),
        ({"payeeNote": "x" * 161}, 400, None),
        ({"payer": {"partyIdType": "MSISDN", "partyId": "+46733123499"}}, 400, None),
        ({"payer": {"partyIdType": "PHONE", "partyId": "46733123499"}}, 400, None),
    ],
)
async def test_what_the_page_refuses_is_refused(
    change: dict[str, Any], status: int, code: str | None
) -> None:
    """A wrong currency is a 500, what does not follow the page a 400 without a body."""
    async with Simulator() as sim:
        signed = await login(sim)
        _, reply = await send(sim, "/collection/v1_0/requesttopay", {**pay(), **change}, signed)
        assert reply.status == status
        assert reply.body == b"" if code is None else told(reply)["code"] == code
        assert len(sim.ledger) == 0


async def test_headers_are_checked() -> None:
    """The id is a UUID of version 4; target, token, key and callback host are the right ones."""
    async with Simulator() as sim:
        path, signed = "/collection/v1_0/requesttopay", await login(sim)
        for wrong in ("", "order-1", str(uuid.uuid1())):
            _, reply = await send(sim, path, pay(), signed, wrong or " ")
            assert reply.status == 400
        _, reply = await send(sim, path, pay(), {**signed, "x-target-environment": "mars"})
        assert told(reply)["code"] == "NOT_ALLOWED_TARGET_ENVIRONMENT"
        paying = await login(sim, "disbursement")
        _, reply = await send(
            sim, path, pay(), {**signed, "authorization": paying["authorization"]}
        )
        assert (reply.status, told(reply)["statusCode"]) == (401, 401)
        sim.mtn_momo.callback_host = "shop.example"
        elsewhere = {**signed, "x-callback-url": "https://thief.example/x"}
        _, reply = await send(sim, path, pay(), elsewhere)
        assert told(reply)["code"] == "INVALID_CALLBACK_URL_HOST"
        keyless = await ask(sim, "GET", "/mtn_momo/collection/v1_0/account/balance")
        assert keyless.status == 401


async def test_a_login_is_refused_as_each_platform_says() -> None:
    """500 login_failed on the old one; 401, 400 without a target, and pages on the new one."""
    async with Simulator() as sim:
        wrong = {"authorization": f"Basic {base64.b64encode(b'simulator:x').decode()}"}
        old = await call(sim, "POST", "/collection/token/", **wrong)
        assert (old.status, told(old)) == (500, {"error": "login_failed"})
        bare = await call(sim, "POST", f"{NEW}/collection/token/", **BASIC)
        assert (bare.status, "X-Target-Environment" in told(bare)["error"]) == (400, True)
        target = {"x-target-environment": "mtnuganda"}
        new = await call(sim, "POST", f"{NEW}/collection/token/", **wrong, **target)
        assert (new.status, told(new)) == (401, {"error": "invalid_client"})
        agent = {"user-agent": "python-requests/2.32"}
        page = await call(sim, "POST", f"{NEW}/collection/token/", **BASIC, **target, **agent)
        assert (page.status, page.body[:6]) == (403, b"<html>")
        form = await ask(
            sim,
            "POST",
            "/mtn_momo/collection/token/",
            {"a": "b"},
            headers={**KEY, **BASIC},
            form=True,
        )
        assert (form.status, b"Request Rejected" in form.body) == (200, True)


async def test_a_platform_knows_only_its_own_payments() -> None:
    """The same id may be used on both, and is another payment there."""
    async with Simulator() as sim:
        old, new = await login(sim), await login(sim, platform=NEW)
        path = "/collection/v1_0/requesttopay"
        named, _ = await send(sim, path, pay(), old)
        assert (await call(sim, "GET", f"{NEW}{path}/{named}", **new)).status == 404
        assert (await call(sim, "GET", f"{NEW}{path}/{named}", **old)).status == 401
        _, again = await send(sim, f"{NEW}{path}", pay(), new, named)
        assert again.status == 202
        assert len(sim.ledger.entries(named)) == 2


PAY = {
    50: ("FAILED", None), 51: ("FAILED", "APPROVAL_REJECTED"), 52: ("FAILED", "EXPIRED"),
    53: ("PENDING", "ONGOING"), 54: ("PENDING", "DELAYED"), 55: ("FAILED", "PAYER_NOT_FOUND"),
    56: ("FAILED", "PAYEE_NOT_ALLOWED_TO_RECEIVE"), 57: ("FAILED", "NOT_ALLOWED"),
    58: ("FAILED", "NOT_ALLOWED_TARGET_ENVIRONMENT"), 59: ("FAILED", "INVALID_CALLBACK_URL_HOST"),
    60: ("FAILED", "INVALID_CURRENCY"), 61: ("FAILED", "INTERNAL_PROCESSING_ERROR"),
    62: ("FAILED", "SERVICE_UNAVAILABLE"), 63: ("FAILED", "COULD_NOT_PERFORM_TRANSACTION"),
    64: ("FAILED", "TRANSFER_TYPE_UNKNOWN"), 65: ("SUCCESSFUL", None),
}  # fmt: skip
TRANSFER = {
    50: ("FAILED", None), 51: ("FAILED", "APPROVAL_REJECTED"), 53: ("PENDING", "ONGOING"),
    55: ("FAILED", "NOT_ENOUGH_FUNDS"), 56: ("FAILED", "PAYER_LIMIT_REACHED"),
    57: ("FAILED", "PAYEE_NOT_FOUND"), 58: ("FAILED", "NOT_ALLOWED"),
    63: ("FAILED", "SERVICE_UNAVAILABLE"), 64: ("FAILED", "TRANSFER_TYPE_UNKNOWN"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("api", "end", "expected"),
    [("requesttopay", end, want) for end, want in PAY.items()]
    + [("transfer", end, want) for end, want in TRANSFER.items()]
    + [("deposit", end, PAY[end]) for end in (55, 56, 63)],
)
async def test_the_sandbox_s_numbers_do_what_its_page_says(
    api: str, end: int, expected: tuple[str, str | None]
) -> None:
    """The table of requests to pay, of which deposits are part, and that of transfers."""
    async with Simulator(payer_delay=0.0, default=Status.SUCCEEDED) as sim:
        product = "collection" if api == "requesttopay" else "disbursement"
        body = pay if api == "requesttopay" else transfer
        signed, path = await login(sim, product), f"/{product}/v1_0/{api}"
        named, _ = await send(sim, path, body(f"467331234{end}"), signed)
        if expected[0] != "PENDING":
            await until(lambda: sim.ledger.newest.status.terminal)
        found = told(await call(sim, "GET", f"{path}/{named}", **signed))
        assert (found["status"], found.get("reason")) == expected


async def test_a_payment_that_never_ends_stays_open() -> None:
    """The number of a stuck payment is asked for again and again."""
    async with Simulator(payer_delay=0.0, default=Status.SUCCEEDED) as sim:
        signed = await login(sim)
        await send(sim, "/collection/v1_0/requesttopay", pay("46733123453"), signed)
        assert sim.ledger.newest.status is Status.PENDING
        sim.settle("order-1", Status.SUCCEEDED)
        assert sim.ledger.charged() == 5


async def test_a_refund_takes_at_most_what_was_paid() -> None:
    """Accepted at once, and failed later, where nothing of it is left."""
    async with Simulator(payer_delay=0.0, default=Status.SUCCEEDED) as sim:
        signed, paying = await login(sim), await login(sim, "disbursement")
        paid, _ = await send(sim, "/collection/v1_0/requesttopay", pay(amount="100"), signed)
        await until(lambda: sim.ledger.charged() == 100)
        path, seen = "/disbursement/v1_0/refund", []
        for amount, of in (("60", paid), ("60", paid), ("40", paid), ("1", str(uuid.uuid4()))):
            body = pay(amount=amount, referenceIdToRefund=of)
            del body["payer"]
            named, reply = await send(sim, path, body, paying)
            assert reply.status == 202
            await until(lambda: sim.ledger.newest.status.terminal)
            found = told(await call(sim, "GET", f"{path}/{named}", **paying))
            seen.append((found["status"], found.get("reason")))
        assert seen == [
            ("SUCCESSFUL", None),
            ("FAILED", "PAYEE_LIMIT_REACHED"),
            ("SUCCESSFUL", None),
            ("FAILED", "TRANSACTION_NOT_FOUND"),
        ]
        assert sim.ledger.refunded() == 100


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("shape", ["text", "object"])
async def test_a_callback_is_the_status_sent_once(method: Any, shape: Any) -> None:
    """By PUT as the portal says, or POST; the reason is a text or an object."""
    heard: list[Any] = []
    async with Simulator() as sim:
        sim.on_webhook(heard.append)
        sim.mtn_momo.callback_method, sim.mtn_momo.reason_shape = method, shape
        signed = {**await login(sim), "x-callback-url": "https://shop.example/pay/1"}
        await send(sim, "/collection/v1_0/requesttopay", pay(), signed)
        sim.settle("order-1", Status.FAILED, reason=Reason.DECLINED)
        await until(lambda: heard)
        assert heard[0].method == method
        body = told(Response(status=200, body=heard[0].body))
        code = "APPROVAL_REJECTED"
        assert body["reason"] == (
            code if shape == "text" else {"code": code, "message": "Approval rejected."}
        )
        assert "referenceId" not in body


async def test_money_that_leaves_is_taken_from_the_funds() -> None:
    """A transfer of more than there is fails; a balance is that of its product."""
    async with Simulator(payer_delay=0.0, default=Status.SUCCEEDED) as sim:
        paying = await login(sim, "disbursement")
        for amount, end in (("600000", Status.SUCCEEDED), ("600000", Status.FAILED)):
            await send(sim, "/disbursement/v1_0/transfer", transfer(amount=amount), paying)
            await until(lambda: sim.ledger.newest.status.terminal)
            assert sim.ledger.newest.status is end
        found = await call(sim, "GET", "/disbursement/v1_0/account/balance", **paying)
        assert told(found) == {"availableBalance": "400000", "currency": "EUR"}


async def test_a_sandbox_user_is_made_and_logs_in() -> None:
    """A user under an id of ours, once; its newest key logs in, and no other."""
    async with Simulator() as sim:
        user = str(uuid.uuid4())
        body = {"providerCallbackHost": "shop.example"}
        made = await call(sim, "POST", "/v1_0/apiuser", body, x_reference_id=user)
        again = await call(sim, "POST", "/v1_0/apiuser", body, x_reference_id=user)
        assert (made.status, again.status) == (201, 409)
        shown = told(await call(sim, "GET", f"/v1_0/apiuser/{user}"))
        assert shown == {**body, "targetEnvironment": "sandbox"}
        keys = []
        for _ in range(2):
            reply = await call(sim, "POST", f"/v1_0/apiuser/{user}/apikey")
            assert reply.status == 201
            keys.append(told(reply)["apiKey"])
        for key, status in zip(keys, (500, 200), strict=True):
            pair = base64.b64encode(f"{user}:{key}".encode()).decode()
            got = await call(sim, "POST", "/collection/token/", authorization=f"Basic {pair}")
            assert got.status == status
        assert (await call(sim, "POST", "/v1_0/apiuser/none/apikey")).status == 404


async def test_a_holder_is_active_or_not() -> None:
    """The numbers of the page: 50 is not found, 51 not active, any other is."""
    async with Simulator() as sim:
        signed, path = await login(sim), "/collection/v1_0/accountholder/msisdn"
        assert told(await call(sim, "GET", f"{path}/46733123499/active", **signed)) == {
            "result": True
        }
        assert told(await call(sim, "GET", f"{path}/46733123451/active", **signed)) == {
            "result": False
        }
        assert (await call(sim, "GET", f"{path}/46733123450/active", **signed)).status == 404
        name = told(await call(sim, "GET", f"{path}/46733123499/basicuserinfo", **signed))
        assert name["given_name"] == "Sand"
