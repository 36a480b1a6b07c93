"""PayDunya's SoftPay: a network asks the payer of an invoice at once, and is asked once."""

import json
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymux.drivers.paydunya import PayDunya, softpay
from paymux.errors import AuthenticationFailed, NotSent, OutcomeUnknown, Rejected, UsageError
from paymux.http import Response, post
from paymux.models import Customer, Order, Payment, Reason, Status
from paymux.pool import Pool
from paymux.simulator import Fault, Simulator
from paymux.values.parsing import Unreadable
from tests.driving import Script, drive, reply, sample

FORMS: dict[str, list[str]] = sample("paydunya", "softpay_fields")
CREATE, PUSH = "POST /checkout-invoice/create", "POST /api/v1/softpay/wave-senegal"
PAYER = Customer(name="Awa", surname="Sow", email="awa@example.com", address="Rue 12")
SALE: dict[str, Any] = {
    "amount": 500,
    "currency": "XOF",
    "payer": "+221771234567",
    "operator": "wave",
    "reference": "order-7",
}
# Each network: a number of its country, and its path.
NETWORKS = [
    ("221771234567", "orange", "new-orange-money-senegal"),
    ("221771234567", "wave", "wave-senegal"),
    ("221771234567", "free", "free-money-senegal"),
    ("221771234567", "expresso", "expresso-senegal"),
    ("221771234567", "djamo", "djamo"),
    ("22370123456", "orange", "orange-money-mali"),
    ("22370123456", "moov", "moov-mali"),
    ("2250707070707", "orange", "orange-money-ci"),
    ("2250707070707", "mtn", "mtn-ci"),
    ("2250707070707", "moov", "moov-ci"),
    ("2250707070707", "wave", "wave-ci"),
    ("2250707070707", "djamo", "djamo"),
    ("22670123456", "orange", "orange-money-burkina"),
    ("22670123456", "moov", "moov-burkina"),
    ("22890112233", "tmoney", "t-money-togo"),
    ("22890112233", "moov", "moov-togo"),
    ("2290197979797", "moov", "moov-benin"),
    ("2290197979797", "mtn", "mtn-benin"),
    ("2290197979797", "celtiis", "celtiis-cash"),
]
OTP = ("orange-money-ci", "orange-money-burkina")
VALUES = {  # of the fields that say which network or country it is
    "mtn_ci_wallet_provider": "MTNCI",
    "mtn_benin_wallet_provider": "MTNBENIN",
    "authorization_code": "654321",
    "api_type": "OTPCODE",
    "orange_money_ci_otp": "654321",
    "otp_code": "654321",
}


def paydunya() -> PayDunya:
    """Return a sandbox account."""
    return PayDunya(
        master_key="m", private_key="test_private_x", access_token="t", store_name="Shop"
    )


def sale(**changes: Any) -> Order:
    """Return an order at a network."""
    given: dict[str, Any] = {
        "account": "paydunya",
        "kind": "collect",
        "reference": "order-7",
        "amount": Decimal(500),
        "currency": "XOF",
        "party": "221771234567",
        "operator": "wave",
        "customer": PAYER,
        **changes,
    }
    return Order(**given)


def asked(*replies: Response, **changes: Any) -> tuple[Payment, Script]:
    """Collect with the sample of an invoice and these answers."""
    driver = paydunya()
    made = reply("paydunya", "created_sandbox.200")
    send = Script(driver, made, *(replies or (reply("paydunya", "softpay_pushed.200"),)))
    return drive(driver.collect(send, sale(**changes))), send


def said(**fields: Any) -> Response:
    """Return an answer of SoftPay."""
    status = fields.pop("status", 200)
    return Response(status=status, body=json.dumps(fields).encode())


def world(**options: Any) -> tuple[Simulator, Pool]:
    """Return a simulator and a pool at it."""
    sim = Simulator()
    return sim, Pool(sim.driver("paydunya"), connection=sim.connection, **options)


def sent(sim: Simulator, call: str) -> int:
    """Count the requests of one kind."""
    return sum(one.path.rstrip("/").endswith(call.partition(" ")[2]) for one in sim.requests)


@pytest.mark.parametrize(("party", "operator", "path"), NETWORKS)
def test_each_network_gets_the_fields_of_the_page(party: str, operator: str, path: str) -> None:
    """Names, values and order are the page's, and the number is national."""
    extra = {"otp": "654321"} if path in (*OTP, "new-orange-money-senegal") else {}
    paid, send = asked(party=party, operator=operator, extra=extra)
    first, second = send.requests
    assert first.target() == "/sandbox-api/v1/checkout-invoice/create"
    assert second.target() == f"/api/v1/softpay/{path}"
    assert [(one.money, one.repeatable) for one in send.requests] == [(False, False), (True, False)]
    body = json.loads(second.content() or b"")
    optional = {"api_type", "authorization_code"}
    assert set(body) - optional == set(FORMS[path]) - optional
    country = {"221": "sn", "225": "ci"}.get(party[:3])
    for name, value in body.items():
        if "name" in name.lower():
            assert value == "Awa Sow"
        elif "email" in name:
            assert value == "awa@example.com"
        elif "phone" in name:
            assert value == party[3:]
        elif "token" in name:
            assert value == "test_RHICF0HboN"
        elif "address" in name:
            assert value == "Rue 12"
        else:
            assert value == {**VALUES, "code_country": country}[name], name
    assert second.known == {
        "provider_reference": "test_RHICF0HboN",
        "checkout_url": sample("paydunya", "created_sandbox.200")["response_text"],
    }
    assert (paid.status, paid.provider_reference) == (Status.PENDING, "test_RHICF0HboN")


def test_a_started_push_is_pending_and_its_own_page_is_told() -> None:
    """`success` says only that the network was asked; Wave's page is where the payer goes."""
    paid, _ = asked(reply("paydunya", "softpay_page.200"))
    assert (paid.status, paid.checkout_url) == (Status.PENDING, "https://pay.wave.com/...")
    assert paid.prompt is None
    paid, _ = asked(said(success=True, message="", url=""))
    assert (paid.checkout_url, paid.prompt) == (None, None)
    paid, _ = asked()
    assert (paid.checkout_url, paid.prompt) == (None, "Votre paiement est en cours de traitement.")


@pytest.mark.parametrize(
    ("case", "reason"), [("softpay_refused.200", None), ("softpay_otp.422", Reason.WRONG_PIN)]
)
def test_a_refused_push_says_that_its_invoice_is_open(case: str, reason: Reason | None) -> None:
    """The network was not asked; the words are PayDunya's."""
    with pytest.raises(Rejected, match="can still be paid on the page") as refused:
        asked(reply("paydunya", case))
    assert refused.value.reason is reason
    assert f"{sample('paydunya', case)['message']}; its invoice can" in str(refused.value)


def test_the_words_about_a_code_refuse_with_their_status_alone() -> None:
    """A refused code may come without `success`; without HTTP 422 the words prove nothing."""
    words = "Invalid or expired OTP code!"
    with pytest.raises(Rejected, match="OTP"):
        asked(said(message=words, status=422))
    with pytest.raises(OutcomeUnknown):
        asked(said(message=words))
    with pytest.raises(Rejected) as refused:
        asked(said(success=False, message=words))
    assert refused.value.reason is None
    with pytest.raises(Rejected, match=r"provider: its invoice can"):
        asked(said(success=False))
    with pytest.raises(Unreadable, match="success is not true"):
        softpay.Push(success=False).started()


@pytest.mark.parametrize(
    "answer",
    [
        said(success=None, message="x"),
        said(message="x"),
        said(success="maybe"),
        said(success=False, message="x", status=500),
        said(success=False, message="x", status=400),
        said(message="The given data was invalid.", status=422),
        said(response_code="1001", response_text="x"),
        said(response_code="4002", response_text="You don't have much"),
        said(response_code="00"),
        Response(status=200, body=b"<html>"),
        Response(status=404, body=b"<html>"),
    ],
)
def test_any_other_answer_to_a_push_is_unknown(answer: Response) -> None:
    """Only `success` true or false is an answer; the payer may have been asked."""
    with pytest.raises(OutcomeUnknown):
        asked(answer)


@given(st.text(max_size=20), st.sampled_from([200, 400, 409, 422, 429, 500]))
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
def test_unlisted_words_of_a_push_refuse_nothing(words: str, status: int) -> None:
    """Without `success` no words prove that the network was not asked."""
    request = post(f"{softpay.ROOT}wave-ci", softpay.Push, {})
    assert paydunya().judge(request, said(message=words, status=status)) is None


def test_a_code_has_up_to_twelve_characters() -> None:
    """The longest is sent as it is."""
    otp = {"otp": "123456789012"}
    _, send = asked(party="2250707070707", operator="orange", extra=otp)
    assert json.loads(send.requests[1].content() or b"")["orange_money_ci_otp"] == otp["otp"]


def test_refused_keys_are_told_as_such() -> None:
    """PayDunya's own form, before the network is asked."""
    with pytest.raises(AuthenticationFailed):
        asked(reply("paydunya", "wrong_keys.200"))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"party": None}, "payer: missing.*the number that `operator` asks for the money"),
        (
            {"operator": "paydunya"},
            "operator: 'paydunya' is refused.*for .221, one of orange, wave",
        ),
        ({"operator": "wizall"}, "wizall_transaction.*what wizall_create"),
        ({"party": "2250707070707", "operator": "orange"}, "otp: missing.*a code that the payer"),
        ({"party": "22890112233", "operator": "moov", "customer": None}, "customer.address: miss"),
        ({"extra": {"otp": "65-secret"}}, "otp.*up to 12 letters and digits"),
        ({"extra": {"otp": 654321}}, "otp.*up to 12 letters and digits"),
        ({"extra": {"otp": "1234567890123"}}, "otp.*up to 12 letters and digits"),
        ({"extra": {"otp": "١٢٣٤"}}, "otp.*up to 12 letters and digits"),
        ({"extra": {"otp": "654321"}}, "otp.*wave-senegal takes no code"),
        ({"operator": None, "extra": {"otp": "654321"}}, "otp.*without the `operator`"),
    ],
)
def test_what_a_network_cannot_be_asked_is_refused_unsent(
    changes: dict[str, Any], why: str
) -> None:
    """Before an invoice is made; a code is in no error."""
    driver = paydunya()
    send = Script(driver)
    with pytest.raises(UsageError, match=why) as refused:
        drive(driver.collect(send, sale(**changes)))
    assert send.requests == []
    assert "654321" not in str(refused.value)
    assert "secret" not in str(refused.value)


async def test_orange_without_a_code_gets_a_page_for_a_qr_code() -> None:
    """The code of Orange in Senegal is one of two ways."""
    sim, pay = world()
    async with pay:
        paid = await pay.collect("paydunya", **{**SALE, "operator": "orange"}, customer=PAYER)
        again = {**SALE, "operator": "orange", "reference": "order-8"}
        with pytest.raises(Rejected, match="OTP"):
            await pay.collect("paydunya", **again, customer=PAYER, extra={"otp": "1"})
    assert paid.checkout_url == "https://qrcode.orange.example/pay"
    assert paid.operator == "orange"
    assert len([one for one in sim.ledger if "softpay" in one.words]) == 1


@pytest.mark.parametrize("kind", [Fault.DROP_AFTER, Fault.DROP_BEFORE, Fault.HTML])
async def test_a_lost_push_is_recovered_by_its_invoice(tmp_path: Path, kind: Fault) -> None:
    """Nothing is sent again, and no new reference is called safe: the payer may be asked."""
    sim, before = world(journal=tmp_path / "pay.db")
    sim.fault("paydunya", PUSH, kind=kind)
    async with before:
        with pytest.raises(OutcomeUnknown) as lost:
            await before.collect("paydunya", **SALE, customer=PAYER)
        with pytest.raises(OutcomeUnknown) as again:
            await before.collect("paydunya", **SALE, customer=PAYER)
    for one in (lost.value, again.value):
        assert "new reference" not in str(one)
        assert (one.payment.provider_reference or "").startswith("test_")
        assert "/sandbox-checkout/invoice/" in (one.payment.checkout_url or "")
    if kind is not Fault.DROP_BEFORE:
        sim.settle("order-7", Status.SUCCEEDED)
    pay = Pool(sim.driver("paydunya"), connection=sim.connection, journal=tmp_path / "pay.db")
    async with pay:
        left = [one.payment.status async for one in pay.recover()]
        with suppress(OutcomeUnknown):
            await pay.collect("paydunya", **SALE, customer=PAYER)
    ended = Status.PENDING if kind is Fault.DROP_BEFORE else Status.SUCCEEDED
    assert left == [ended]
    assert (sent(sim, CREATE), sent(sim, PUSH)) == (1, int(kind is not Fault.DROP_BEFORE))


@pytest.mark.parametrize("kind", [Fault.DROP_BEFORE, Fault.DROP_AFTER, Fault.HTML])
async def test_an_invoice_that_is_never_made_asks_nobody(kind: Fault) -> None:
    """It is NotSent; an invoice whose answer was lost has no payer, and another is made."""
    sim, pay = world()
    sim.fault("paydunya", CREATE, kind=kind, times=9)
    async with pay:
        with pytest.raises(NotSent):
            await pay.collect("paydunya", **SALE, customer=PAYER)
    assert sent(sim, PUSH) == 0
    sim, pay = world()
    sim.fault("paydunya", CREATE, kind=Fault.DROP_AFTER)
    async with pay:
        await pay.collect("paydunya", **SALE, customer=PAYER)
    assert (sent(sim, CREATE), sent(sim, PUSH)) == (2, 1)


async def test_a_payer_who_confirms_has_paid_the_invoice_once() -> None:
    """The end is the invoice's: its look-up has the amount and our reference."""
    sim, pay = world()
    async with pay:
        paid = await pay.collect("paydunya", **SALE, customer=PAYER)
        sim.settle("order-7", Status.SUCCEEDED)
        paid = await pay.verify(paid)
    assert (paid.status, paid.reference) == (Status.SUCCEEDED, "order-7")
    assert paid.amount == 500
    assert sim.ledger.charged("order-7") == 500
