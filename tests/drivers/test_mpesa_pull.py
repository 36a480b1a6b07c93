"""Pull of M-Pesa: the history of a shortcode, and the proof of a payment that has no order."""

import inspect
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from paymux import Pool
from paymux.drivers.mpesa import Mpesa, pull
from paymux.drivers.mpesa.status import STATUS
from paymux.errors import (
    AuthenticationFailed,
    Mismatch,
    NotFound,
    OutcomeUnknown,
    Rejected,
    UsageError,
)
from paymux.http import Response, post
from paymux.models import Payment, Status, merge
from paymux.primitives.clock import wall_time
from paymux.simulator import Simulator
from paymux.values.parsing import Unreadable, convert
from tests.driving import Script, drive, reply, sample

from .mpesa_initiator import DRIVER, another, told
from .mpesa_initiator import reply as answer

SHOP = another(DRIVER, adopt_c2b=True, initiator_name="", security_credential="")
ASKS = another(DRIVER, shortcode="600310", adopt_c2b=True)
NOW = datetime(2020, 8, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
[[PAID]] = sample("mpesa", "pull_rows.200")["Response"]
NONE = reply("mpesa", "pull_none.200")
HELD = Payment(
    account="kenya",
    kind="collect",
    live=False,
    reference="c2b.yzlyrEsRG1",
    provider_reference="yzlyrEsRG1",
    ids={"TransID": "yzlyrEsRG1"},
    amount=Decimal(168),
    currency="KES",
    paid_at=NOW,
)


@pytest.fixture(autouse=True)
def _clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not inspect.iscoroutinefunction(request.function):  # those have the simulator's time
        monkeypatch.setattr(pull, "time", SimpleNamespace(time=NOW.timestamp))


def page(*rows: object, code: str = "1000", **fields: object) -> Response:
    """Return an answer with these rows."""
    return answer(200, {"ResponseCode": code, "Response": [list(rows)], **fields})


def row(receipt: str, **changes: object) -> dict[str, Any]:
    """Return the page's row with another receipt, and these changes."""
    return {**PAID, "transactionId": receipt, **changes}


async def _all(rows: AsyncIterator[Payment | None]) -> list[Payment]:
    return [one async for one in rows if one is not None]


def listed(script: Script, driver: Mpesa = SHOP, **period: datetime) -> list[Payment]:
    """Return the history of a period that has the page's row."""
    since, until = period.get("since", NOW - HOUR * 30), period.get("until", NOW)
    return drive(_all(driver.history(script, since, until)))


def read(changes: Mapping[str, object], driver: Mpesa = SHOP) -> Payment:
    """Return how the page's row with these changes is read."""
    [one] = listed(Script(driver, page({**PAID, **changes}), NONE), driver)
    return one


def bodies(script: Script) -> list[dict[str, str]]:
    """Return the bodies of all requests."""
    return [json.loads(one.content()) for one in script.requests]


def test_the_query_has_the_documented_fields_in_the_pages_order() -> None:
    """As the page's sample, all text, posted, and no money."""
    script = Script(SHOP, NONE)
    assert listed(script) == []
    [request], [body] = script.requests, bodies(script)
    assert list(body) == list(sample("mpesa", "pull_request"))
    assert (request.method, request.path, request.money) == ("POST", pull.QUERY, False)
    assert (body["ShortCode"], body["OffSetValue"]) == ("600992", "0")
    till = Script(another(SHOP, till="300100"), NONE)
    listed(till, another(SHOP, till="300100"))
    assert bodies(till)[0]["ShortCode"] == "300100"


def test_the_dates_cover_the_period_in_each_zone() -> None:
    """No zone is stated: the period is covered in UTC and East African time, and an hour more."""
    script = Script(SHOP, NONE)
    listed(script, since=NOW - HOUR, until=NOW)
    [body] = bodies(script)
    assert (body["StartDate"], body["EndDate"]) == ("2020-08-05 10:00:00", "2020-08-05 16:00:00")


def test_more_than_48_hours_are_refused_unsent() -> None:
    """`since` is named, and nothing is sent; a caller's 48 hours of some seconds ago are not."""
    script = Script(SHOP)
    with pytest.raises(UsageError, match=r"since.*48 hours"):
        listed(script, since=NOW - timedelta(hours=48, minutes=6))
    assert not script.requests
    script = Script(SHOP, NONE)
    listed(script, since=NOW - timedelta(hours=48, seconds=5))
    assert bodies(script)[0]["StartDate"] == "2020-08-03 11:00:00"


def test_the_pages_row_is_a_payment() -> None:
    """Its receipt is the provider's reference and makes ours; its Z is no sure zone."""
    found = read({})
    assert json.loads(found.raw) == PAID
    assert replace(found, raw="") == Payment(
        account="kenya",
        provider="mpesa",
        kind="collect",
        live=False,
        status=Status.SUCCEEDED,
        reference="c2b.yzlyrEsRG1",
        provider_reference="yzlyrEsRG1",
        ids={"TransID": "yzlyrEsRG1"},
        amount=Decimal(168),
        currency="KES",
        payer="254722000000",
        bill_reference="37207636392",
        receipt="yzlyrEsRG1",
        provider_status="c2b-pay-bill-debit",
    )
    assert read({}, another(SHOP, adopt_c2b=False)).reference is None


def test_a_row_with_a_zone_has_its_time() -> None:
    """The row of a till that an integrator published has +03:00, and no account."""
    assert listed(Script(SHOP, reply("mpesa", "pull_rows_till.200"), NONE)) == []  # of 2025
    found = read({**sample("mpesa", "pull_rows_till.200")["Response"][0][0], "trxDate": zoned(NOW)})
    assert (found.status, found.bill_reference) == (Status.SUCCEEDED, None)
    assert read({"billreference": "null"}).bill_reference == "null"  # a payer may have typed it
    assert (found.amount, found.paid_at) == (Decimal("2697.0"), NOW)


def zoned(time: datetime) -> str:
    """Return a date as in the till's row."""
    return f"{time + 3 * HOUR:%Y-%m-%dT%H:%M:%S}+03:00"


@pytest.mark.parametrize(
    ("date", "inside"),
    [
        ("2020-08-05T11:00:00Z", True),  # in UTC
        ("2020-08-05T14:00:00Z", True),  # in East African time
        ("2020-08-05T14:00:00", True),
        ("2020-08-05T10:59:59Z", False),
        ("2020-08-05T15:00:01Z", False),
        ("2020-08-05T14:00:00+03:00", True),
        ("2020-08-05T13:59:59+03:00", False),
        ("2020-08-05T15:00:01+03:00", False),
        ("yesterday", True),
        (None, True),
    ],
)
def test_a_row_is_left_out_only_if_it_is_surely_outside(date: object, inside: bool) -> None:
    """A row that may be of the period, in one reading of its date, is listed."""
    script = Script(SHOP, page({**PAID, "trxDate": date}), NONE)
    assert len(listed(script, since=NOW - HOUR, until=NOW)) == inside


@pytest.mark.parametrize("end", ["pull_none.200", "pull_none.500"])
def test_none_is_an_empty_list_in_both_documented_forms(end: str) -> None:
    """Code 1001 with [[]], and HTTP 500 with the page's words."""
    assert listed(Script(SHOP, reply("mpesa", end))) == []
    assert len(listed(Script(SHOP, page(PAID), reply("mpesa", end)))) == 1


@pytest.mark.parametrize("rows", [None, [], [[]], "[[]]", ""])
def test_none_has_no_rows_in_any_form(rows: object) -> None:
    """The page has null and the text "[[]]" as well."""
    assert listed(Script(SHOP, answer(200, {"ResponseCode": 1001, "Response": rows}))) == []
    assert listed(Script(SHOP, answer(200, {"ResponseCode": "1001"}))) == []


@pytest.mark.parametrize(
    "said",
    [
        answer(500, {"errorCode": "500", "errorMessage": "Failed to retrieve transactions."}),
        answer(500, {"errorCode": "500.001.1001", "errorMessage": "Something"}),
        answer(500, {"ResponseCode": "1001", "Response": [[]]}),
        answer(500, {"ResponseCode": "1000", "Response": [[PAID]]}),
        answer(500, b"does not have any available transactions"),
        answer(503, b"Request unsuccessful. Incapsula incident ID: 0"),
        answer(200, {"ResponseCode": "0", "Response": [[PAID]]}),
        answer(200, {"Response": [[PAID]]}),
        answer(200, {"ResponseCode": "1001", "Response": [[PAID]]}),
        answer(200, []),
        answer(200, b""),
    ],
)
def test_anything_else_is_no_answer(said: Response) -> None:
    """An error of other words, or an answer without its code, is not "none"."""
    with pytest.raises(OutcomeUnknown):
        listed(Script(SHOP, said))


def test_the_pages_refusals_are_read() -> None:
    """An unknown shortcode is rejected with what to do; a refused token is a stale one."""
    with pytest.raises(Rejected, match=r"Invalid ShortCode.*register_pull"):
        listed(Script(SHOP, reply("mpesa", "pull_shortcode.400")))
    with pytest.raises(AuthenticationFailed):
        listed(Script(SHOP, reply("mpesa", "pull_token.401")))
    refused = reply("mpesa", "pull_shortcode.400")
    pushed = post("/mpesa/stkpush/v1/processrequest", dict, {})
    assert SHOP.judge(pushed, refused) is None


def test_rows_are_read_from_the_next_one_on() -> None:
    """OffSetValue is a row, not a page, and pages may have any size."""
    pages = page(row("A1"), row("A2")), page(row("A3")), NONE
    script = Script(SHOP, *pages)
    assert [one.receipt for one in listed(script)] == ["A1", "A2", "A3"]
    assert [body["OffSetValue"] for body in bodies(script)] == ["0", "2", "3"]
    nested = answer(200, {"ResponseCode": "1000", "Response": [[row("A1")], [row("A2")]]})
    flat = answer(200, {"ResponseCode": "1000", "Response": [row("A3")]})
    assert len(listed(Script(SHOP, nested, flat, NONE))) == 3


def test_a_page_that_comes_again_is_the_last_one() -> None:
    """A server that ignores the offset causes no endless list, and each row is listed once."""
    again = page(row("A1"), row("A2"), row("A1"))
    assert [one.receipt for one in listed(Script(SHOP, again, again))] == ["A1", "A2"]


def test_between_pages_the_deadline_starts_again() -> None:
    """None says that more rows follow."""

    async def rows() -> list[Payment | None]:
        script = Script(SHOP, page(row("A1")), page(row("A2")), NONE)
        return [one async for one in SHOP.history(script, NOW - 30 * HOUR, NOW)]

    assert [one and one.receipt for one in drive(rows())] == ["A1", None, "A2", None]


@pytest.mark.parametrize(
    "changes",
    [
        {"transactiontype": "c2b-other"},
        {"transactiontype": ""},
        {"transactiontype": None},
        {"amount": None},
        {"amount": "0.00"},
        {"amount": "-168.00"},
    ],
)
def test_a_row_that_is_not_surely_a_payment_is_pending(changes: dict[str, object]) -> None:
    """Without the type of what a customer paid, or an amount, nothing is paid or adopted."""
    found = read(changes)
    assert (found.status, found.reference, found.receipt) == (Status.PENDING, None, None)


def test_a_settlement_is_no_payment() -> None:
    """A till's money that goes to its organization is listed by pull, and left out."""
    settled = row("A1", transactiontype="merchant-to-organization-settlement", amount="22779.95")
    assert [one.receipt for one in listed(Script(SHOP, page(settled, PAID), NONE))] == [
        "yzlyrEsRG1"
    ]


@pytest.mark.parametrize(
    ("number", "payer"),
    [
        (254722000000, "254722000000"),
        ("0722000000", "254722000000"),
        (722000000, "254722000000"),
        (72200000, None),
        ("2547 ***** 126", None),
        ("a" * 64, None),
        (None, None),
    ],
)
def test_a_payers_number_is_read_if_it_is_whole(number: object, payer: str | None) -> None:
    """A number may lack its country; a masked one is none."""
    assert read({"msisdn": number}).payer == payer


@pytest.mark.parametrize(
    "bad",
    [
        row(""),
        row("../x"),
        row("x" * 41),
        {**PAID, "transactionId": None},
        row("A2", amount="1e5"),
        row("A2", amount="9" * 50),
        row("A2", amount=[1]),
        "text",
        7,
        [[[]]],
    ],
)
def test_a_hostile_row_is_named_by_its_number(bad: object) -> None:
    """The error says which row, and nothing of its content; rows before it are listed."""
    with pytest.raises(Unreadable, match=r"^row 2: "):
        listed(Script(SHOP, page(row("A1"), bad), NONE))


@given(
    st.dictionaries(
        st.sampled_from([*PAID]), st.none() | st.integers() | st.floats() | st.text(max_size=30)
    )
)
def test_no_row_makes_a_payment_of_another_receipt(changes: dict[str, Any]) -> None:
    """Whatever a row holds: it is refused, or a payment under its own receipt."""
    try:
        found = pull.read(SHOP, convert(pull.Row, {**PAID, **changes}))
    except Unreadable:
        return
    assert found.reference in (None, f"c2b.{found.provider_reference}")
    assert (found.receipt is not None) == (found.status is Status.SUCCEEDED)
    if found.status is Status.SUCCEEDED:
        assert found.amount is not None
        assert found.amount > 0


def test_names_are_in_no_error_and_no_field() -> None:
    """The sender's name is in `raw` alone, which `repr` does not show."""
    found = read({"sender": "CANARY-NAME", "organizationname": "CANARY-SHOP"})
    assert "CANARY" not in repr(found) + str(replace(found, raw=""))
    assert "254722000000" not in repr(found)
    with pytest.raises(Unreadable) as caught:
        listed(Script(SHOP, page(row("", sender="CANARY-NAME")), NONE))
    assert "CANARY" not in str(caught.value)


# The proof of one payment.


def verified(script: Script, payment: Payment = HELD, driver: Mpesa = SHOP) -> Payment:
    """Return what a look-up of an adopted payment finds."""
    assert driver.asks(payment) == "verify"
    return drive(driver.verify(script, payment))


def test_a_listed_receipt_proves_its_payment() -> None:
    """In the minutes around it, as East African time; the reference stays ours."""
    script = Script(SHOP, page(row("A1"), PAID))
    found = verified(script)
    assert (found.status, found.reference) == (Status.SUCCEEDED, HELD.reference)
    assert merge(HELD, found).status is Status.SUCCEEDED
    [body] = bodies(script)
    assert (body["StartDate"], body["EndDate"]) == ("2020-08-05 14:55:00", "2020-08-05 15:05:00")
    named = replace(HELD, reference=None)
    assert verified(Script(SHOP, page(PAID)), named).reference is None


def test_another_amount_is_a_mismatch() -> None:
    """A receipt alone proves no amount."""
    with pytest.raises(Mismatch, match="amount"):
        merge(replace(HELD, amount=Decimal(5)), verified(Script(SHOP, page(PAID))))


def test_a_receipt_that_is_not_listed_is_not_refuted() -> None:
    """NotFound: it may be listed later. Where no row is, the dates are asked in both readings."""
    script = Script(SHOP, page(row("A1")), NONE)
    with pytest.raises(NotFound):
        verified(script)
    assert len(script.requests) == 2
    script = Script(SHOP, NONE, NONE)
    with pytest.raises(NotFound):
        verified(script)
    assert bodies(script)[1]["StartDate"] == "2020-08-05 10:55:00"
    assert bodies(script)[1]["EndDate"] == "2020-08-05 16:05:00"
    assert verified(Script(SHOP, NONE, page(PAID))).status is Status.SUCCEEDED


def test_the_period_is_that_of_the_payment() -> None:
    """An older one is asked for in both readings at once, and one of three days ago not at all."""
    script = Script(SHOP, page(PAID))
    verified(script, replace(HELD, paid_at=NOW - 3 * HOUR))
    assert bodies(script)[0]["StartDate"] == "2020-08-05 07:55:00"
    script = Script(SHOP, page(PAID))
    verified(script, replace(HELD, paid_at=None))
    assert bodies(script)[0]["StartDate"] == "2020-08-03 11:00:00"
    script = Script(SHOP, page(PAID))
    verified(script, replace(HELD, paid_at=NOW - 72 * HOUR, created_at=NOW))
    assert bodies(script)[0]["StartDate"] == "2020-08-05 14:55:00"
    script = Script(SHOP)
    with pytest.raises(NotFound):
        verified(script, replace(HELD, paid_at=NOW - 72 * HOUR))
    assert not script.requests


def by_status(**changes: object) -> tuple[Response, Response]:
    """Return the two replies of a question about the held payment."""
    said = sample("mpesa", "status_completed")
    values = {
        "ReceiptNo": "yzlyrEsRG1",
        "Amount": "168.00",
        "DebitPartyName": "254722000000 - John Doe",
        "CreditPartyName": "600310 - Safaricom333",
        **changes,
    }
    rows = said["Result"]["ResultParameters"]["ResultParameter"]
    rows[:] = [one for one in rows if one["Key"] not in values]
    rows += [{"Key": key, "Value": value} for key, value in values.items()]
    return told(said)


@pytest.mark.parametrize(
    "first",
    [
        [NONE, NONE],
        [page(row("A1")), NONE],
        [page({**PAID, "transactiontype": "c2b-other"})],
        [reply("mpesa", "pull_shortcode.400")],
        [reply("mpesa", "pull_token.401")],
    ],
)
def test_with_an_api_user_the_status_is_asked_then(first: list[Response]) -> None:
    """If pull does not list it, or is not to be had, the transaction status answers by receipt."""
    script = Script(ASKS, *first, *by_status())
    found = verified(script, driver=ASKS)
    assert (found.status, found.kind, found.reference) == (
        Status.SUCCEEDED,
        "collect",
        HELD.reference,
    )
    assert (script.requests[-1].path, bodies(script)[-1]["TransactionID"]) == (STATUS, "yzlyrEsRG1")
    assert merge(HELD, found).status is Status.SUCCEEDED


def test_what_the_status_says_must_agree() -> None:
    """Another receipt, another party, another amount: a Mismatch, and no proof."""
    for other in ({"ReceiptNo": "A1"}, {"CreditPartyName": "600000 - Another"}):
        with pytest.raises(Mismatch):
            verified(Script(ASKS, NONE, NONE, *by_status(**other)), driver=ASKS)
    with pytest.raises(Mismatch):
        merge(HELD, verified(Script(ASKS, NONE, NONE, *by_status(Amount="5.00")), driver=ASKS))


def test_without_either_the_refusal_is_raised() -> None:
    """An account that can only pull says why it could not."""
    for lacks in (SHOP, replace(ASKS, status_role=False)):
        with pytest.raises(Rejected, match="Invalid ShortCode"):
            verified(Script(lacks, reply("mpesa", "pull_shortcode.400")), driver=lacks)


def test_a_push_and_an_account_that_does_not_adopt_are_asked_for_as_before() -> None:
    """Only an adopted payment is pulled."""
    push = Payment(account="kenya", kind="collect", provider_reference="ws_CO_1", reference="x-1")
    assert SHOP.asks(push) == "verify"
    script = Script(SHOP, reply("mpesa", "query_succeeded.200"))
    checkout = sample("mpesa", "query_succeeded.200")["CheckoutRequestID"]
    drive(SHOP.verify(script, replace(push, provider_reference=checkout)))
    assert script.requests[0].path.endswith("stkpushquery/v1/query")
    assert another(DRIVER, adopt_c2b=False).asks(HELD) == "find"
    assert SHOP.pace(HELD).by_callback
    assert SHOP.pace(HELD).ages is not None
    assert not SHOP.pace(push).by_callback


# Against the simulator, which is written from the page.


def shop(sim: Simulator, **fields: Any) -> Pool:
    """Return a pool that adopts what customers pay."""
    driver = sim.driver("mpesa", adopt_c2b=True, **fields)
    return Pool(driver, connection=sim.connection)


async def registered(pay: Pool) -> None:
    """Register the shortcode for pull."""
    said = await pay.run(
        "mpesa",
        Mpesa.register_pull,
        nominated_number="0722000000",
        callback_url="https://shop.example/pay/0a1b",
    )
    assert "Registered" in said


@pytest.mark.parametrize("zone", ["utc", "eat"])
@pytest.mark.parametrize("none", ["1001", "500"])
async def test_each_payment_is_listed_once_in_either_zone(zone: str, none: Any) -> None:
    """Pages of any size, both forms of "none", both readings of the dates."""
    sim = Simulator()
    sim.mpesa.pull.rows, sim.mpesa.pull.none = 3, none
    if zone == "utc":
        sim.mpesa.pull.zone = UTC
    paid = [sim.mpesa.pays(bill=f"order-{n}", amount=n + 1) for n in range(7)]
    async with shop(sim) as pay:
        await registered(pay)
        until = wall_time() + timedelta(minutes=1)
        found = [one async for one in pay.history("mpesa", since=until - HOUR, until=until)]
        receipts = [one.words["receipt"] for one in paid]
        assert [one.receipt for one in found] == receipts
        assert [one.bill_reference for one in found] == [f"order-{n}" for n in range(7)]
        assert sum(one.amount or 0 for one in found) == 28
        for one in found:
            assert (await pay.verify(replace(one, status=Status.PENDING))).status == "succeeded"
        sim.mpesa.pull.lag = 60.0
        with pytest.raises(NotFound):
            await pay.verify(replace(found[0], status=Status.PENDING))


async def test_a_shortcode_registers_before_it_pulls() -> None:
    """The refusal says so; and to register twice is harmless."""
    sim = Simulator()
    async with shop(sim) as pay:
        now = wall_time()
        with pytest.raises(Rejected, match="register_pull"):
            await anext(aiter(pay.history("mpesa", since=now - HOUR, until=now)))
        await registered(pay)
        await registered(pay)
