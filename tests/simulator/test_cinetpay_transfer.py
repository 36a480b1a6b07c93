import asyncio
import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from paymux.http import Response, WebhookRequest
from paymux.models import Status
from paymux.simulator import Simulator

from ..driving import sample
from .asking import ask, told

GOOD = {"apikey": "simulator", "password": "simulator"}
PAYEE = {"prefix": "225", "phone": "0102030405"}
PERSON = {**PAYEE, "name": "Test A", "surname": "Test B", "email": "testa@exemple.com"}
WAGE = {
    **PAYEE,
    "amount": "500",
    "client_transaction_id": "wage-1",
    "notify_url": "https://shop.example/told",
}
LOGIN, CONTACT = "/v1/auth/login", "/v1/transfer/contact"
SEND, CHECK = "/v1/transfer/money/send/contact", "/v1/transfer/check/money"


class Client:
    """A client of the transfer API at a simulator, with its token in the query."""

    def __init__(self) -> None:
        self.sim = Simulator()
        self.provider = self.sim.cinetpay_transfer
        self.messages: list[WebhookRequest] = []
        self.sim.on_webhook(self.messages.append)
        self.token = ""

    async def call(self, method: str, path: str, body: Any = None, **asked: str) -> Any:
        """Send a request, and return the body of its answer."""
        reply = await self.reply(method, path, body, **asked)
        assert reply.status == 200
        return told(reply)

    async def reply(self, method: str, path: str, body: Any = None, **asked: str) -> Response:
        """Send a request, and return its answer."""
        query = urlencode({"token": self.token, "lang": "fr", **asked})
        url = f"/cinetpay_transfer{path}?{query}"
        return await ask(self.sim, method, url, body or {}, form=True)

    async def login(self) -> None:
        """Get a token."""
        self.token = (await self.call("POST", LOGIN, GOOD))["data"]["token"]

    async def contact(self, **fields: Any) -> dict[str, Any]:
        """Make a contact, and return its row."""
        data = json.dumps([{**PERSON, **fields}])
        return self.row(await self.call("POST", CONTACT, {"data": data}))

    async def send(self, **fields: Any) -> dict[str, Any]:
        """Send money, and return its row."""
        data = json.dumps([{**WAGE, **fields}])
        return self.row(await self.call("POST", SEND, {"data": data}))

    async def check(self, **asked: str) -> Any:
        """Check a transfer."""
        return await self.call("GET", CHECK, **asked)

    def row(self, body: Any) -> dict[str, Any]:
        """Return the only row of an answer, in the page's form."""
        assert (body["code"], body["message"]) == (0, "OPERATION_SUCCES")
        [[row]] = body["data"]
        found: dict[str, Any] = row
        return found


async def client(*, contact: bool = True) -> Client:
    """Return a client that is logged in, with its payee as a contact."""
    found = Client()
    await found.login()
    if contact:
        assert (await found.contact())["code"] == 0
    return found


async def test_the_documented_bodies_are_answered() -> None:
    """Login, its refusal, a token that is invalid, and a balance are as on the page."""
    one = Client()
    assert await one.call("POST", LOGIN, {**GOOD, "password": "x"}) == sample(
        "cinetpay_transfer", "login_refused.200"
    )
    refused = sample("cinetpay_transfer", "invalid_token.200")
    assert await one.call("GET", "/v1/transfer/check/balance") == refused
    await one.login()
    one.provider.funds = Decimal(663)
    balance = sample("cinetpay_transfer", "balance.200")
    assert await one.call("GET", "/v1/transfer/check/balance") == balance


async def test_a_known_contact_is_726_inside_code_0() -> None:
    """A second time it is an error in its row, as on the page, and harmless."""
    one = await client()
    documented = sample("cinetpay_transfer", "contact_known.200")["data"][0][0]
    row = await one.contact()
    assert (row["code"], row["status"]) == (documented["code"], documented["status"])
    assert row.keys() == documented.keys()
    assert len(row["lot"]) == len(documented["lot"])


@pytest.mark.parametrize(
    "body", [{}, {"data": "["}, {"data": "5"}, {"data": "[]"}, {"data": "[1]"}]
)
@pytest.mark.parametrize("path", [CONTACT, SEND])
async def test_what_is_no_list_of_rows_is_refused(path: str, body: dict[str, str]) -> None:
    """718 or 704, in the envelope, and nothing is sent."""
    one = await client()
    assert (await one.call("POST", path, body))["code"] in ("718", "704")
    assert len(one.sim.ledger) == 0


@pytest.mark.parametrize("path", [CONTACT, SEND])
async def test_a_body_that_is_no_form_is_refused(path: str) -> None:
    """The page wants X-WWW-URLENCODED."""
    one = await client()
    url = f"/cinetpay_transfer{path}?token={one.token}"
    assert told(await ask(one.sim, "POST", url, {"data": [WAGE]}))["code"] == "704"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"phone": "01"}, "802"),
        ({"prefix": "33"}, "721"),
        ({"name": ""}, "716"),
        ({"email": None}, "716"),
    ],
)
async def test_a_wrong_contact_is_refused_in_its_row(fields: dict[str, Any], code: str) -> None:
    """The envelope still says 0."""
    one = await client(contact=False)
    assert (await one.contact(**fields))["code"] == code


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"phone": "0709090909"}, "724"),
        ({"phone": "x"}, "802"),
        ({"prefix": "237"}, "721"),
        ({"notify_url": ""}, "725"),
        ({"notify_url": "shop"}, "725"),
        ({"client_transaction_id": ""}, "716"),
        ({"client_transaction_id": 5}, "716"),
        ({"amount": "501"}, "801"),
        ({"amount": "5.00"}, "801"),
        ({"amount": None}, "801"),
        ({"amount": "195"}, "719"),
        ({"amount": "1500005"}, "720"),
    ],
)
async def test_a_wrong_transfer_is_refused_in_its_row(fields: dict[str, Any], code: str) -> None:
    """Each with its code of the annexe, inside code 0; nothing is in the ledger."""
    one = await client()
    row = await one.send(**fields)
    assert row["code"] == code
    assert "transaction_id" not in row
    assert len(one.sim.ledger) == 0


async def test_an_error_may_stand_in_the_envelope() -> None:
    """Integrators expect both places; an attribute chooses."""
    one = await client()
    one.provider.errors = "envelope"
    data = json.dumps([{**WAGE, "amount": "501"}])
    body = await one.call("POST", SEND, {"data": data})
    assert (body["code"], body["message"], body["data"]) == ("801", "INVALID_AMOUNT", [])


async def test_a_reference_is_taken_once_for_ever() -> None:
    """805, whatever became of the first, and nothing more is sent."""
    one = await client()
    first = await one.send()
    for outcome in (Status.FAILED, Status.SUCCEEDED):
        assert (await one.send())["code"] == "805"
        one.sim.settle(first["transaction_id"], outcome)
    assert (await one.send(amount="1000"))["code"] == "805"
    assert one.sim.ledger.paid_out("wage-1") == 500
    assert len(one.sim.ledger) == 1


async def test_several_rows_are_several_transfers() -> None:
    """Each row has its own code, inside one envelope of code 0."""
    one = await client()
    other = {**WAGE, "client_transaction_id": "wage-2", "amount": "501"}
    body = await one.call("POST", SEND, {"data": json.dumps([WAGE, other])})
    [[good, bad]] = body["data"]
    assert (body["code"], good["code"], bad["code"]) == (0, 0, "801")
    assert len(one.sim.ledger) == 1


async def test_money_that_waits_cannot_be_sent_again() -> None:
    """602 beyond what is available; a rejected transfer gives it back, a paid one does not."""
    one = await client()
    one.provider.funds = Decimal(1000)
    first = await one.send()
    balance = await one.call("GET", "/v1/transfer/check/balance")
    assert balance["data"] == {"amount": 1000, "inUsing": 500, "available": 500}
    assert (await one.send(client_transaction_id="wage-2", amount="505"))["code"] == "602"
    second = await one.send(client_transaction_id="wage-3")
    one.sim.settle(first["transaction_id"], Status.SUCCEEDED)
    one.sim.settle(second["transaction_id"], Status.FAILED)
    balance = await one.call("GET", "/v1/transfer/check/balance")
    assert balance["data"] == {"amount": 500, "inUsing": 0, "available": 500}


async def test_a_check_takes_each_of_the_three_ids() -> None:
    """Ours, CinetPay's, or the lot; another is 723."""
    one = await client()
    row = await one.send()
    for asked in (
        {"client_transaction_id": "wage-1"},
        {"transaction_id": row["transaction_id"]},
        {"lot": row["lot"]},
    ):
        found = one.row(await one.check(**asked))
        assert (found["treatment_status"], found["client_transaction_id"]) == ("NEW", "wage-1")
    for asked in ({"client_transaction_id": "wage-2"}, {"transaction_id": "x"}, {"lot": "x"}, {}):
        assert await one.check(**asked) == {
            "code": "723",
            "message": "NOT_FOUND",
            "description": "NOT_FOUND",
            "data": [],
        }


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (Status.SUCCEEDED, "VAL"),
        (Status.FAILED, "REJ"),
        (Status.CANCELLED, "REJ"),
        (Status.EXPIRED, "REJ"),
    ],
)
async def test_each_end_has_the_pages_word(status: Status, word: str) -> None:
    """VAL and REJ are the only ends."""
    one = await client()
    row = await one.send()
    one.sim.settle(row["transaction_id"], status)
    found = one.row(await one.check(client_transaction_id="wage-1"))
    assert found["treatment_status"] == word
    assert (found["operator_transaction_id"] is not None) == (word == "VAL")


async def test_without_a_registered_address_a_transfer_waits_for_ever() -> None:
    """It stays NOS, also to a number that is paid at once, until it is confirmed by hand."""
    one = await client(contact=False)
    one.sim.change(after=0)
    await one.contact(phone="0700000007")
    one.provider.whitelisted = False
    row = await one.send(phone="0700000007")
    await asyncio.sleep(0.05)
    found = one.row(await one.check(client_transaction_id="wage-1"))
    assert (row["treatment_status"], found["treatment_status"]) == ("NOS", "NOS")
    assert one.sim.ledger.paid_out() == 0
    [entry] = one.sim.ledger.entries("wage-1")
    one.provider.confirm(entry)
    await asyncio.sleep(0.05)
    assert one.sim.ledger.paid_out() == 500


async def test_a_notification_has_the_ten_fields_after_a_ping() -> None:
    """A GET without data when it is accepted, then an unsigned form with the page's fields."""
    one = await client()
    row = await one.send()
    one.sim.settle(row["transaction_id"], Status.SUCCEEDED)
    await asyncio.sleep(0.05)
    ping, notice = one.messages
    assert (ping.method, ping.body, ping.query) == ("GET", b"", "")
    fields = dict(parse_qsl(notice.body.decode(), keep_blank_values=True))
    assert [*fields] == [*sample("cinetpay_transfer", "notification")]
    assert (fields["treatment_status"], fields["client_transaction_id"]) == ("VAL", "wage-1")


async def test_a_token_lives_five_minutes() -> None:
    """One that was never given is 706, and so is one that is over."""
    one = await client()
    one.provider.tokens.revoke()
    assert (await one.check(client_transaction_id="wage-1"))["code"] == "706"
    assert one.provider.tokens.life == 300


@pytest.mark.parametrize("path", ["/v1/transfer/elsewhere", "/v2/transfer/contact"])
async def test_an_unknown_path_is_a_page(path: str) -> None:
    """HTML with 404, as a web server has it."""
    one = await client()
    assert (await one.reply("GET", path)).status == 404
