"""C2B of M-Pesa: what its messages claim, which of them are adopted, and what they prove."""

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from paymux import Pool
from paymux.core.callback_urls import Route, read_event
from paymux.drivers.base import Driver
from paymux.drivers.mpesa import Mpesa
from paymux.errors import Mismatch, OutcomeUnknown, Rejected, UsageError
from paymux.http import Response, WebhookRequest, post
from paymux.models import Event, Payment, Status, Trust
from paymux.simulator import Simulator
from tests.driving import Script, drive, reply, sample

from .mpesa_initiator import DRIVER, another, body_of, incoming

CONFIRMATION = sample("mpesa", "c2b_confirmation")
VALIDATION = sample("mpesa", "c2b_validation")
SHOP = another(DRIVER, shortcode="600966", adopt_c2b=True)
TRUSTS = another(SHOP, trust_confirmations=True)
REFERENCE = "c2b.RKL51ZDR4F"


def heard(driver: Mpesa = SHOP, use: Any = "confirmation", **changes: object) -> Event:
    """Return the event of a confirmation with these changes, as it comes in on such a path."""
    message = incoming({**CONFIRMATION, **changes})
    order = "wage-7" if use in ("collect", "payout", "refund") else None
    route = use and Route("kenya", use, order)
    return read_event(driver, lambda: driver.webhook(message), lambda _: (), route)


def test_an_adopted_payment_has_a_reference_of_its_own() -> None:
    """Its reference is its receipt's; what the payer typed is `bill_reference` and no more."""
    assert heard().claims == Payment(
        account="kenya",
        provider="mpesa",
        live=False,
        kind="collect",
        reference=REFERENCE,
        provider_reference="RKL51ZDR4F",
        ids={"receipt": "RKL51ZDR4F", "TransID": "RKL51ZDR4F", "MSISDN": "2547 ***** 126"},
        amount=Decimal(5),
        currency="KES",
        bill_reference="Sample Transaction",
        receipt="RKL51ZDR4F",
        paid_at=datetime(2023, 11, 21, 9, 13, 25, tzinfo=UTC),
    )


def test_a_payer_is_told_only_if_the_number_is_whole() -> None:
    """A masked number (v2), or a hash (v1), is no payer."""
    assert heard(MSISDN="254708374149").claims.payer == "254708374149"
    for hidden in ("2547 ***** 126", "25470****149", "a" * 64, "", None):
        assert heard(MSISDN=hidden).claims.payer is None


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("order-8", "order-8"),
        (" order-8 ", "order-8"),
        (8, "8"),
        ("", None),
        ("  ", None),
        (None, None),
        ("x" * 21, "x" * 20),
        # A payer may have such a name, and a person must see what was typed.
        *((word, word) for word in ("null", "None", "undefined")),
    ],
)
def test_what_the_payer_typed_never_names_an_order(typed: object, read: str | None) -> None:
    """Every payer can type `order-8`: it is never the reference of the payment."""
    claims = heard(BillRefNumber=typed).claims
    assert (claims.reference, claims.bill_reference) == (REFERENCE, read)


def test_a_confirmation_is_adopted_by_its_receipt() -> None:
    """On the URL of confirmations, and on the account's, where it may have been registered."""
    for use in ("confirmation", "account"):
        event = heard(use=use)
        assert (SHOP.adopts(event), event.trust, event.ping) == (REFERENCE, Trust.NOTHING, False)
        assert not SHOP.confirms(event)  # it may be the twin of a push: it is kept first
        assert event.claims.status is Status.PENDING


@pytest.mark.parametrize(
    "changes",
    [
        {"use": "validation"},
        {"use": "collect"},
        {"use": "payout"},
        {"use": "account", "OrgAccountBalance": ""},
        {"TransAmount": None},
        {"TransAmount": "0.00"},
        {"TransAmount": "-5.00"},
        {"BusinessShortCode": "600000"},
        {"TransID": "RKL51/../x"},
        {"TransID": "x" * 41},
    ],
)
def test_nothing_else_is_adopted(changes: dict[str, Any]) -> None:
    """No validation, no message of an order's path, of another shortcode, or without an amount."""
    event = heard(**changes)
    assert SHOP.adopts(event) is None
    assert not SHOP.confirms(event)
    assert TRUSTS.proof(event, event.claims) is None


def test_another_shortcodes_confirmation_stays_a_hint() -> None:
    """It is read as without adopting, so that a person hears of it."""
    claims = heard(BusinessShortCode="600000").claims
    assert (claims.reference, claims.bill_reference) == ("Sample Transaction", None)
    for own in ({"till": "600000"}, {"b2c_shortcode": "600000"}):
        assert heard(another(SHOP, **own), BusinessShortCode="600000").claims.reference == REFERENCE
    assert heard(BusinessShortCode=None).claims.reference == REFERENCE


def test_without_adopting_all_is_as_before() -> None:
    """A confirmation has what the payer typed as its reference, and no look-up confirms it."""
    off = another(SHOP, adopt_c2b=False)
    event = heard(off)
    assert (event.claims.reference, event.claims.kind) == ("Sample Transaction", None)
    assert event.claims.bill_reference is None
    assert (off.adopts(event), off.confirms(event)) == (None, False)
    # A message that was kept before the account adopted, also one with a typed reference of ours.
    assert SHOP.adopts(event) is None
    assert SHOP.adopts(heard(off, BillRefNumber="c2b.RKL51ZDR4G")) is None


def test_a_driver_adopts_nothing_unless_it_says_so() -> None:
    """Only a provider that tells of payments without an order has any."""
    assert Driver.adopts(SHOP, heard()) is None
    assert (SHOP.adopting, DRIVER.adopting) == (True, False)


@pytest.mark.parametrize("use", ["validation", "confirmation", "account", None])
@pytest.mark.parametrize("balance", ["", "25.00"])
def test_the_path_says_what_a_message_is(use: Any, balance: str) -> None:
    """Only elsewhere the blank balance makes it a validation: no confirmation is lost for it."""
    event = heard(use=use, OrgAccountBalance=balance)
    asks = use == "validation" or (use != "confirmation" and not balance)
    assert event.ping is asks
    assert b'"Accepted"' in SHOP.acknowledge(event).body
    if asks:
        assert json.loads(SHOP.acknowledge(event, "C2B00012").body)["ResultCode"] == "C2B00012"


def test_a_confirmation_proves_nothing_unless_the_account_trusts_them() -> None:
    """The default is to ask M-Pesa."""
    event = heard()
    assert SHOP.proof(event, event.claims) is None
    assert another(SHOP, adopt_c2b=False).proof(event, event.claims) is None


def test_a_trusted_confirmation_proves_its_payment() -> None:
    """On the URL of confirmations it is a success, with its receipt, amount and time."""
    event = heard(TRUSTS)
    for known in (event.claims, replace(event.claims, amount=None, provider_reference=None)):
        found = TRUSTS.proof(event, known)
        assert found is not None
        assert (found.status, found.kind, found.reference) == (
            Status.SUCCEEDED,
            "collect",
            REFERENCE,
        )
        assert (found.receipt, found.amount) == ("RKL51ZDR4F", Decimal(5))
        assert (found.ids, found.paid_at) == ({"TransID": "RKL51ZDR4F"}, event.claims.paid_at)


@pytest.mark.parametrize("use", ["account", "validation", "collect", "payout", "refund", None])
def test_only_the_url_of_confirmations_is_trusted(use: Any) -> None:
    """The account's own URL stands at the head of every order's, so it proves nothing."""
    event = heard(TRUSTS, use)
    assert TRUSTS.proof(event, event.claims) is None


@pytest.mark.parametrize(
    "other",
    [{"amount": Decimal(6)}, {"reference": "order-8"}, {"reference": "c2b.OTHER"}],
)
def test_a_trusted_confirmation_of_another_payment_proves_nothing(other: dict[str, Any]) -> None:
    """A known payment with another amount, or another reference, is asked for."""
    event = heard(TRUSTS)
    assert TRUSTS.proof(event, replace(event.claims, **other)) is None


def test_a_push_and_its_confirmation_are_known_to_be_one() -> None:
    """The typed account is compared with that of the push, whether or not it is adopted."""
    pushed = Payment(
        account="kenya",
        reference="order-8",
        amount=Decimal(5),
        currency="KES",
        payer="254700000126",
    )
    for driver in (SHOP, another(SHOP, adopt_c2b=False)):
        assert driver.may_tell_of(heard(driver, BillRefNumber="order-8"), pushed)
        for nothing in ("", None, "null", "None"):  # a till has no account
            assert driver.may_tell_of(heard(driver, BillRefNumber=nothing), pushed)
        assert not driver.may_tell_of(heard(driver, BillRefNumber="order-9"), pushed)
        assert not driver.may_tell_of(heard(driver, BillRefNumber="order-8", TransAmount=6), pushed)
        hidden = {"BillRefNumber": "order-8", "MSISDN": "2541 ***** 126"}
        assert not driver.may_tell_of(heard(driver, **hidden), pushed)


@given(
    st.dictionaries(
        st.sampled_from(["TransID", "TransAmount", "BillRefNumber", "MSISDN", "BusinessShortCode"]),
        st.none() | st.integers() | st.text(max_size=30),
    )
)
def test_no_message_is_adopted_under_another_receipt(changes: dict[str, Any]) -> None:
    """Whatever a message holds: it is refused, a hint, or adopted under its own receipt."""
    try:
        event = SHOP.webhook(incoming({**CONFIRMATION, **changes}))
    except ValueError:  # Unreadable is one
        return
    adopted = SHOP.adopts(event)
    assert adopted in (None, f"c2b.{event.claims.receipt}")


@pytest.mark.parametrize("field", ["adopt_c2b", "trust_confirmations"])
def test_the_fields_are_checked(field: str) -> None:
    """A wrong value is refused by the name of its field; trust without adopting has no meaning."""
    with pytest.raises(UsageError, match=field):
        another(SHOP, **{field: "yes"})
    with pytest.raises(UsageError, match="adopt_c2b"):
        another(DRIVER, trust_confirmations=True)


def test_the_payers_name_is_never_read() -> None:
    """Names in a message are in no event, and so in no journal and no log."""
    names = {"FirstName": "CANARY-ONE", "MiddleName": "CANARY-TWO", "LastName": "CANARY-THREE"}
    for driver in (SHOP, TRUSTS, DRIVER):
        assert "CANARY" not in str(heard(driver, **names)) + repr(heard(driver, **names).claims)


# Registration, and the sandbox's customer.

HOOKS: dict[str, Any] = {
    "confirmation_url": "https://example.com/pay/confirm/7f3c",
    "validation_url": "https://example.com/pay/validate/7f3c",
    "response_type": "Completed",
}


def test_c2b_is_registered_with_the_documented_fields() -> None:
    """In the page's order, by v2, where numbers are masked; and it moves no money."""
    driver = another(SHOP, shortcode="601426")
    script = Script(driver, reply("mpesa", "c2b_registered.200"))
    said = drive(driver.register_c2b(script, **HOOKS))
    [request] = script.requests
    assert body_of(script) == sample("mpesa", "c2b_register_request")
    assert list(body_of(script)) == list(sample("mpesa", "c2b_register_request"))
    assert (request.path, request.money) == ("/mpesa/c2b/v2/registerurl", False)
    assert said == "Accept the service request successfully."
    till = another(driver, till="300100")
    script = Script(till, reply("mpesa", "c2b_registered.200"))
    drive(till.register_c2b(script, **HOOKS))
    assert body_of(script)["ShortCode"] == "300100"


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("confirmation_url", "http://example.com/pay"),
        ("confirmation_url", "https://example.com/mpesa/7f"),
        ("confirmation_url", "https://example.com/a?b=c"),
        ("validation_url", "https://example.com/Query"),
        ("validation_url", "https://example.com/x.exe"),
        ("validation_url", ""),
        ("response_type", "completed"),
        ("response_type", "Canceled"),
        ("response_type", None),
    ],
)
def test_what_cannot_be_changed_later_is_checked_before(field: str, given: Any) -> None:
    """Production takes the URLs once: a wrong one is refused by name, and nothing is sent."""
    live = another(SHOP, live=True)
    script = Script(live)
    with pytest.raises(UsageError, match=field):
        drive(live.register_c2b(script, **{**HOOKS, field: given}))
    assert not script.requests


def test_a_second_registration_in_production_is_rejected_in_words() -> None:
    """It is no outage that a retry would end."""
    script = Script(SHOP, reply("mpesa", "c2b_registered_before.500"))
    with pytest.raises(Rejected, match=r"already registered\. Once in production"):
        drive(SHOP.register_c2b(script, **HOOKS))
    other = post("/mpesa/b2c/v3/paymentrequest", dict, {})
    assert SHOP.judge(other, reply("mpesa", "c2b_registered_before.500")) is None


def test_the_sandboxs_customer_pays() -> None:
    """With the fields of the page; a till has no account to type."""
    script = Script(SHOP, reply("mpesa", "c2b_registered.200"))
    drive(SHOP.simulate_c2b(script, amount=5, bill_reference="Sample Transaction"))
    assert body_of(script) == sample("mpesa", "c2b_simulate_request")
    assert (script.requests[0].path, script.requests[0].money) == ("/mpesa/c2b/v2/simulate", False)
    till = another(SHOP, till="300100")
    script = Script(till, reply("mpesa", "c2b_registered.200"))
    drive(till.simulate_c2b(script, amount="5", payer="0712345678"))
    assert body_of(script) == {
        "ShortCode": "300100",
        "CommandID": "CustomerBuyGoodsOnline",
        "Amount": "5",
        "Msisdn": "254712345678",
        "BillRefNumber": None,
    }


@pytest.mark.parametrize(
    ("field", "driver", "changes"),
    [
        ("live", another(SHOP, live=True), {}),
        ("live", another(SHOP, live=True, base_url="http://127.0.0.1:9"), {}),
        ("bill_reference", another(SHOP, till="300100"), {"bill_reference": "x"}),
        ("bill_reference", SHOP, {"bill_reference": "x" * 21}),
        ("amount", SHOP, {"amount": "5.50"}),
        ("amount", SHOP, {"amount": 0}),
        ("payer", SHOP, {"payer": "12"}),
    ],
)
def test_no_live_customer_is_simulated(field: str, driver: Mpesa, changes: dict[str, Any]) -> None:
    """A live account has real customers; other wrong fields are named, and nothing is sent."""
    script = Script(driver)
    with pytest.raises(UsageError, match=field):
        drive(driver.simulate_c2b(script, **{"amount": 5, **changes}))
    assert not script.requests


@pytest.mark.parametrize(
    "answer",
    [
        sample("mpesa", "pull_register.200"),
        {**sample("mpesa", "pull_register.200"), "ResponseStatus": 1001},
        {"Response Status": "1000", "Response Description": "Shortcode Registered Successfully"},
    ],
)
def test_pull_is_registered_with_the_documented_fields(answer: dict[str, Any]) -> None:
    """Twice is harmless, and an answer with spaces in its keys is read."""
    driver = another(SHOP, shortcode="600000")
    script = Script(driver, Response(status=200, body=json.dumps(answer).encode()))
    asked = {"nominated_number": "0722000000", "callback_url": "https://domain/path"}
    assert drive(driver.register_pull(script, **asked)) == "Shortcode Registered Successfully"
    page = {**sample("mpesa", "pull_register_request"), "NominatedNumber": "254722000000"}
    assert (body_of(script), list(body_of(script))) == (page, list(page))
    assert (script.requests[0].path, script.requests[0].money) == (
        "/pulltransactions/v1/register",
        False,
    )


def test_a_registration_that_was_not_accepted_is_no_answer() -> None:
    """Another code than those of the pages says nothing for certain."""
    asked = {"nominated_number": "0722000000", "callback_url": "https://domain/path"}
    for body in ({}, {"ResponseCode": "1"}, {"ResponseStatus": "1002"}):
        said = Response(status=200, body=json.dumps(body).encode())
        with pytest.raises(OutcomeUnknown):
            drive(SHOP.register_c2b(Script(SHOP, said), **HOOKS))
        with pytest.raises(OutcomeUnknown):
            drive(SHOP.register_pull(Script(SHOP, said), **asked))


async def test_a_customer_of_the_simulator_is_told_and_proved() -> None:
    """Registered by `run`, paid, told at the URL of confirmations, proved by pull."""
    sim, told = Simulator(), asyncio.Queue[WebhookRequest]()
    sim.on_webhook(told.put)
    hooks: dict[str, Any] = {"webhook_base": "https://shop.example/pay", "webhook_key": "k" * 16}
    driver = sim.driver("mpesa", adopt_c2b=True)
    async with Pool(driver, connection=sim.connection, **hooks) as pay:
        urls = {
            f"{use}_url": pay.webhook_url("mpesa", use=use)
            for use in ("confirmation", "validation")
        }
        await pay.run("mpesa", Mpesa.register_c2b, **urls, response_type="Completed")
        at = {"nominated_number": "0722000000", "callback_url": pay.webhook_url("mpesa")}
        await pay.run("mpesa", Mpesa.register_pull, **at)
        await pay.run("mpesa", Mpesa.simulate_c2b, amount=40, bill_reference="order-8")
        asks, tells = [pay.webhook(await told.get()) for _ in range(2)]
        assert (asks.path_use, asks.ping) == ("validation", True)
        assert (tells.path_use, tells.ping) == ("confirmation", False)
        claims = tells.claims
        paid = await pay.verify(claims)
        assert (paid.status, paid.bill_reference) == (Status.SUCCEEDED, "order-8")
        assert paid.reference == f"c2b.{paid.receipt}" == claims.reference
        with pytest.raises(Mismatch, match="amount"):
            await pay.verify(replace(claims, amount=Decimal(4000)))
