"""A payer's data: the number leaves the journal in every form; references and money stay."""

import asyncio
import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paymux import (
    Customer,
    DuplicateReference,
    Notifier,
    Payment,
    Pool,
    SqliteJournal,
    Status,
    UsageError,
)
from paymux.journal.tables.payer import FORGOTTEN, Payer
from paymux.models import Event, Trust

from .cli.running import ended
from .toys import Keyless, Wire, answer

NUMBER = "237670000123"
OTHER = "237690000999"
WRITTEN = [
    "237670000123",
    "+237670000123",
    "00237670000123",
    "670000123",
    "0670000123",
    "+237 670 00 01 23",
    "(+237) 670-000-123",
    "00 237 6 70 00 01 23",
    "237.670.000.123",
    "+237\u00a0670\u00a0000\u00a0123",
    "670 00 01 23",
    "+237 (0) 670 000 123",
]


@pytest.mark.parametrize("form", WRITTEN)
@pytest.mark.parametrize("asked", ["+237 670 00 01 23", "00237670000123", "237670000123"])
def test_every_written_form_is_found(asked: str, form: str) -> None:
    """However the number is given, and however it is written in a row, it is removed."""
    said = Payer(asked).without(json.dumps({"message": f"paid by {form}, thanks"}))
    assert said is not None
    digits = "".join(letter for letter in said if letter.isdigit())
    assert "670000123" not in digits
    assert "thanks" in said


@pytest.mark.parametrize(
    "text", ["237670000124", "1237670000123", "2376700001234", "67000012", "670000123456", ""]
)
def test_another_number_stays(text: str) -> None:
    """A longer number, a shorter one or a neighbour's is not touched."""
    assert Payer(NUMBER).without(json.dumps({"message": text})) is None


@pytest.mark.parametrize("number", ["670000123", "", "12", "abc", "+999 123", 5, None, "+237" * 30])
def test_what_is_no_number_is_refused(number: Any) -> None:
    """A national form names no country; the error shows no whole number."""
    with pytest.raises(UsageError) as caught:
        Payer(number)
    assert caught.value.name == "number"
    assert "670000123" not in str(caught.value)


def test_the_two_forms_of_benin() -> None:
    """Benin's number of today is that of before with 01: either is found by the other."""
    for asked in ("+229 01 97 00 00 01", "+22997000001"):
        for form in ("2290197000001", "22997000001", "97000001", "0197000001"):
            found = Payer(asked).without(json.dumps({"payer": form}))
            assert found is not None
            assert "97000001" not in found


def test_what_money_is_found_by_stays() -> None:
    """References, receipts and ids stay, also if they look like the number; numbers in JSON go."""
    payment = Payment(
        account="toy",
        kind="collect",
        reference=f"order-{NUMBER}",
        provider_reference=NUMBER,
        receipt=NUMBER,
        ids={"id": NUMBER, "MSISDN": NUMBER},
        payer=NUMBER,
        amount=Decimal(670000123),
        customer=Customer(name="Ama", phone=NUMBER),
        metadata={"phone": int(NUMBER), NUMBER: [NUMBER, 1.5, None]},
    )
    said = Payer(NUMBER).without(msgspec.json.encode(payment).decode())
    assert said is not None
    found = msgspec.json.decode(said, type=Payment)
    assert (found.reference, found.provider_reference, found.receipt, found.amount) == (
        payment.reference,
        NUMBER,
        NUMBER,
        payment.amount,
    )
    assert found.ids == {"id": NUMBER}
    assert found.customer is None
    assert NUMBER not in repr((found.payer, found.metadata))


def _pool(file: Path, status: str = "OK") -> Pool:
    def desk(outgoing: Any) -> Any:
        if outgoing.method == "POST":
            said = json.loads(outgoing.body)
            return answer(id=f"id-{said['reference']}", status=status, reference=said["reference"])
        return answer(id=outgoing.url.rpartition("/")[2], status=status)

    return Pool(Keyless(account="toy"), connection=Wire(desk), journal=file)


async def _collect(pay: Pool, reference: str, payer: str = NUMBER, amount: int = 500) -> Payment:
    return await pay.collect(
        "toy", amount=amount, currency="XAF", payer=payer, reference=reference,
        customer=Customer(name="Ama", phone=f"+{payer}"), metadata={"note": f"call {payer}"},
    )  # fmt: skip


def _readable(file: Path, *more: str) -> list[str]:
    """Return what can be read of the number in a journal's files, as `strings` does."""
    forms = ("670000123", "67000012", "70 00 01 23", *more)
    files = [file, *file.parent.glob(f"{file.name}-*")]
    return [form for form in forms for one in files if form.encode() in one.read_bytes()]


async def test_no_form_of_the_number_is_left_in_the_file(tmp_path: Path) -> None:
    """Payments, facts, messages, free pages and the log: none of it has the number any more."""
    file = tmp_path / "shop.db"
    async with _pool(file) as pay:
        for number in range(60):
            await _collect(pay, f"order-{number}", NUMBER if number % 3 else OTHER)
    book = SqliteJournal(file)
    claims = Payment(account="toy", provider_reference="id-order-1", payer=NUMBER)
    for trust in (Trust.NOTHING, Trust.BODY):
        await book.keep_event(Event(account="toy", claims=claims, trust=trust), open=True)
        await book.end_event(Event(account="toy", claims=claims, trust=trust), done=True)
    assert _readable(file)
    done = await book.forget_payer("+237 670 00 01 23")
    assert (done.payments, done.left) == (40, ())
    assert done.facts >= 80
    assert done.messages == 2
    assert _readable(file) == []  # while the worker lives
    payments = [payment async for payment in book.payments()]
    assert len(payments) == 60
    assert {payment.amount for payment in payments} == {Decimal(500)}
    assert sum(payment.payer == OTHER for payment in payments) == 20
    row = await book.find("toy", "collect", provider_reference="id-order-1")
    assert row is not None
    assert (row.payment.reference, row.payment.payer) == ("order-1", "237…23")
    assert len(_sql(file, "SELECT 1 FROM hints")) == 2
    await book.aclose()
    assert _readable(file) == []


async def test_an_order_under_the_reference_is_another_order(tmp_path: Path) -> None:
    """After it the same order is DuplicateReference, as is any: the digest is gone."""
    file = tmp_path / "shop.db"
    async with _pool(file) as pay:
        await _collect(pay, "order-1")
        await _collect(pay, "order-2", OTHER)
    book = SqliteJournal(file)
    await book.forget_payer(NUMBER)
    await book.aclose()
    async with _pool(file) as pay:
        for payer in (NUMBER, OTHER):
            with pytest.raises(DuplicateReference):
                await _collect(pay, "order-1", payer)
        assert (await _collect(pay, "order-2", OTHER)).status is Status.SUCCEEDED
    digests = dict(_sql(file, "SELECT reference, digest FROM payments"))
    assert digests["order-1"] == FORGOTTEN
    assert len(digests["order-2"]) == 64


async def test_what_keep_days_left_has_no_digest_either(tmp_path: Path) -> None:
    """A digest of a deleted payment may be of this payer, so none stays; the references do."""
    file = tmp_path / "shop.db"
    async with _pool(file) as pay:
        await _collect(pay, "order-1")
    _sql(file, "INSERT INTO forgotten SELECT account, kind, reference, digest, status, updated_at"
         " FROM payments")  # fmt: skip
    _sql(file, "DELETE FROM payments")
    book = SqliteJournal(file)
    await book.forget_payer(NUMBER)
    await book.aclose()
    assert _sql(file, "SELECT reference, digest FROM forgotten") == [("order-1", FORGOTTEN)]
    async with _pool(file) as pay:
        with pytest.raises(DuplicateReference):
            await _collect(pay, "order-1")


async def test_a_later_look_up_does_not_bring_the_number_back(tmp_path: Path) -> None:
    """What is found of a payment after its payer was forgotten is stored without the number."""
    file = tmp_path / "shop.db"
    async with _pool(file) as pay:
        payment = await _collect(pay, "order-1")
        book = SqliteJournal(file)
        await book.forget_payer(NUMBER)
        told = msgspec.structs.replace(payment, status=Status.REFUNDED, message=f"to {NUMBER}")
        await book.record(told, "verify")
        row = await book.find("toy", "collect", reference="order-1")
        assert row is not None
        assert row.payment.status is Status.REFUNDED
        await book.aclose()
    assert _readable(file) == []


async def test_nothing_is_changed_while_an_order_is_open(tmp_path: Path) -> None:
    """By the number a late payment finds its order, so an open one is named, and all stays."""
    file = tmp_path / "shop.db"
    async with _pool(file) as pay:
        await _collect(pay, "order-1")
    async with _pool(file, "WAIT") as pay:
        await _collect(pay, "order-2")
        book = SqliteJournal(file)
        before = _sql(file, "SELECT * FROM payments")
        with pytest.raises(UsageError, match="order-2") as caught:
            await book.forget_payer(NUMBER)
        assert "order-1" not in str(caught.value)
        assert "670000123" not in str(caught.value)
        assert _sql(file, "SELECT * FROM payments") == before
        await book.aclose()


async def test_an_end_that_is_to_be_told_needs_the_number(tmp_path: Path) -> None:
    """`on_payment` may top up that number: until it is told, the payer is not forgotten."""
    file = tmp_path / "shop.db"

    async def fails(_: Payment) -> None:
        raise ValueError

    async def told(_: Payment) -> None: ...

    async with _pool(file) as pay, Notifier(pay, fails):
        await _collect(pay, "order-1")
    book = SqliteJournal(file)
    with pytest.raises(UsageError, match="order-1"):
        await book.forget_payer(NUMBER)
    async with _pool(file) as pay, Notifier(pay, told):
        await asyncio.sleep(0.3)
    assert (await book.forget_payer(NUMBER)).payments == 1
    await book.aclose()


async def test_workers_go_on_meanwhile(tmp_path: Path) -> None:
    """While rows are changed and the file is written anew, orders of others are sent and kept."""
    file = tmp_path / "shop.db"
    async with _pool(file) as pay:
        await asyncio.gather(*(_collect(pay, f"old-{number}") for number in range(500)))
        book = SqliteJournal(file)
        forgetting = asyncio.create_task(book.forget_payer(NUMBER))
        made = 0
        while not forgetting.done():
            await _collect(pay, f"new-{made}", OTHER)
            made += 1
        assert (await forgetting).payments == 500
        await book.aclose()
        assert _readable(file) == []
    assert _sql(file, "PRAGMA integrity_check") == [("ok",)]
    count = _sql(file, "SELECT count(*) FROM payments WHERE reference LIKE 'new-%'")
    assert count == [(made,)]
    assert made > 0


async def test_a_damaged_row_is_cleaned_as_text(tmp_path: Path) -> None:
    """A row that cannot be decoded loses the number, too, and stops nothing."""
    file = tmp_path / "shop.db"
    async with _pool(file) as pay:
        await _collect(pay, "order-1")
    _sql(file, "UPDATE payments SET payment = substr(payment, 1, length(payment) - 5)")
    book = SqliteJournal(file)
    assert (await book.forget_payer(NUMBER)).payments == 1
    await book.aclose()
    assert _readable(file) == []


def test_the_command(tmp_path: Path) -> None:
    """`paymux journal forget-payer NUMBER JOURNAL` says what it changed, or why it cannot."""
    file = tmp_path / "shop.db"

    async def fill() -> None:
        async with _pool(file) as pay:
            await _collect(pay, "order-1")

    asyncio.run(fill())
    ask = ["journal", "forget-payer", "+237 670 000 123"]
    done = ended(*ask, str(file))
    assert (done.exit_code, done.output[:11]) == (0, "1 payments,")
    again = ended(*ask, PAYMUX_JOURNAL=str(file))
    assert (again.exit_code, again.output[:11]) == (0, "0 payments,")
    national = ended("journal", "forget-payer", "670000123", str(file))
    assert national.exit_code == 2
    assert "international" in national.output
    assert _readable(file) == []


def _sql(file: Path, sql: str) -> list[Any]:
    db = sqlite3.connect(file, isolation_level=None)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()
