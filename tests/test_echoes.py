"""A credential echoed inside a success is in no field, `repr`, journal or Mismatch."""

import json
import logging
import traceback
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paymux import (
    Balance,
    Customer,
    Event,
    Mismatch,
    OutcomeUnknown,
    Payment,
    PaymuxError,
    Pool,
    Receipt,
    Status,
    UsageError,
)
from paymux.http import Response, Send, WebhookRequest, get
from paymux.models import Method, Order
from paymux.primitives.echoes import clean
from paymux.primitives.redaction import hide

from .test_aiohttp import ACCOUNTS
from .test_redaction import FORMS, HOOK_KEY, PASSWORD, TOKEN, _leaks, _rendered
from .toys import Desk, Said, Toy, Wire, answer, timeless

PAGE = "https://pay.example/checkout?token=abc&signature=def&access_token=ghi#key=jkl"


# nothing known that an answer could contradict
ASKED = Payment(account="parrot", ids={"known": "1"})


class Echo(msgspec.Struct):
    """An answer with room for an echo in every field of a payment."""

    said: str
    amount: Decimal = Decimal(500)


class Parrot(Toy, frozen=True, kw_only=True):
    """A toy whose provider copies the request's header into every field of a success."""

    name = "parrot"
    verifies_by = frozenset({"known"})

    async def verify(self, send: Send, payment: Payment) -> Payment:
        return self._all((await send(get("/payments/p1", Echo))).said)

    async def _move(self, send: Send, path: str, order: Order) -> Payment:
        said = self._all((await send(get("/payments/p1", Echo))).said)
        return msgspec.structs.replace(
            said, provider_reference="p1", reference=order.reference, kind=order.kind
        )

    async def balance(self, send: Send) -> Balance:
        said = (await send(get("/payments/p1", Echo))).said
        return Balance(currency=said, available=Decimal(5), by_operator={said: Decimal(5)})

    async def receipt(self, send: Send, payment: Payment) -> Receipt:
        said = (await send(get("/payments/p1", Echo))).said
        return Receipt(number=said, status=Status.SUCCEEDED, method=said, customer=said, order=said)

    async def methods(self, send: Send) -> list[Method]:
        said = (await send(get("/payments/p1", Echo))).said
        return [Method(type=said, display_name=said, enabled=True)]

    async def history(self, send: Send, since: datetime, until: datetime) -> AsyncIterator[Payment]:
        said = (await send(get("/payments/p1", Echo))).said
        yield msgspec.structs.replace(self._all(said), raw=json.dumps({"said": said}))

    async def steps(self, send: Send) -> Payment:
        """Look up twice: the values of the first answer count, too."""
        first = await send(get("/payments/p1", Echo))
        await send(get("/find/p1", Said))
        return self._all(first.said)

    def webhook(self, incoming: WebhookRequest) -> Event:
        return Event(claims=self._all(self.message(Echo, incoming).said))

    def _all(self, said: str) -> Payment:
        return Payment(
            account=self.account,
            provider=self.name,
            reference=said,
            provider_reference=said,
            ids={"one": said, said: "two"},
            status=Status.SUCCEEDED,
            amount=Decimal(500),
            currency=said,
            payer=said,
            payee=said,
            operator=said,
            receipt=said,
            receipt_url=f"https://r.example/{said}",
            checkout_url=f"{PAGE}&said={said}",
            prompt=said,
            provider_status=said,
            message=said,
            customer=Customer(name=said, email=said),
            metadata={"a": said, "b": [{said: said}], "n": 5},
        )


def parrot() -> Parrot:
    """Return the account whose credentials are searched."""
    return Parrot(password=PASSWORD, webhook_key=HOOK_KEY)


def _wire(echo: str) -> Wire:
    body = f'{{"said": "{echo}", "amount": "500"}}'.encode()
    return Wire(
        Desk(
            login=answer(token=TOKEN),
            payments=Response(status=200, body=body),
            find=answer(id="p1"),
        )
    )


ESCAPED: dict[str, Callable[[str], str]] = {
    **{form: write for form, write in FORMS.items() if form != "repr"},
    "plain": lambda text: json.dumps(text)[1:-1],
    "all escaped": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "partly escaped": lambda text: (
        json.dumps(text)[1:-1].replace("/", "\\u002F").replace("=", "\\u003d")
    ),
}


def _everything(found: list[Any]) -> str:
    """Return all that could be shown or stored of a value."""
    texts = [repr(one) for one in found]
    for one in found:
        if isinstance(one, BaseException):
            texts.append(_rendered(one))
            texts += [repr(value) for value in vars(one).values()]
        else:
            texts.append(msgspec.json.encode(one).decode())
        payment = getattr(one, "payment", one)
        texts += map(
            str, msgspec.structs.astuple(payment) if isinstance(payment, msgspec.Struct) else ()
        )
    return "\n".join(texts)


@pytest.mark.parametrize("form", ESCAPED)
@timeless
async def test_a_credential_inside_a_success_reaches_nothing(
    form: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever field and form a provider uses, our credentials are removed."""
    caplog.set_level(logging.DEBUG)
    echo = " ".join(ESCAPED[form](canary) for canary in (PASSWORD, HOOK_KEY, TOKEN))
    moment, held = (
        datetime.now(UTC),
        Payment(account="parrot", provider_reference="p1", currency="XAF"),
    )
    async with Pool(parrot(), connection=_wire(echo)) as pool:
        found: list[Any] = [await pool.balance("parrot"), await pool.receipt(held)]
        event = pool.webhook(
            WebhookRequest(body=f'{{"said": "{echo}"}}'.encode()), account="parrot"
        )
        found.append(event)
        found += [await pool.run("parrot", Parrot.steps), *await pool.methods("parrot")]
        found += [past async for past in pool.history("parrot", since=moment, until=moment)]
        found += [await pool.verify(ASKED)]
        for doing in (
            pool.verify(held),
            pool.confirm(event, expected=held),
            pool.collect("parrot", amount=500, currency="XAF", reference="o1"),
        ):
            with pytest.raises(PaymuxError) as refused:
                await doing
            found.append(refused.value)
    assert isinstance(found[-1], OutcomeUnknown | Mismatch)
    records = "\n".join(record.getMessage() for record in caplog.records)
    assert "GET /payments/p1" in records
    assert _leaks(_everything(found) + records) == []


async def test_a_journal_holds_no_credential_that_was_echoed(tmp_path: Path) -> None:
    """What is stored of a success is what its caller sees."""
    path = tmp_path / "journal.db"

    class Quiet(Parrot, frozen=True, kw_only=True):
        async def _move(self, send: Send, path: str, order: Order) -> Payment:
            said = await super()._move(send, path, order)
            return msgspec.structs.replace(said, currency="XAF", payer=None)

    driver = Quiet(password=PASSWORD, webhook_key=HOOK_KEY)
    async with Pool(
        driver, connection=_wire(json.dumps(f"{PASSWORD} {TOKEN}")[1:-1]), journal=path
    ) as pool:
        paid = await pool.collect("parrot", amount=500, currency="XAF", reference="o1")
        kept = [one async for one in pool.payments()]
    assert paid.status is Status.SUCCEEDED
    assert paid.message == "*** ***"
    assert _leaks(_everything([paid, *kept])) == []
    stored = b"".join(one.read_bytes() for one in tmp_path.glob("journal.db*"))
    assert _leaks(stored.decode("latin-1")) == []


@timeless
async def test_a_checkout_address_keeps_the_tokens_that_make_it_work() -> None:
    """A parameter that only has a credential's name stays in a URL: `token=***` would break it."""
    async with Pool(parrot(), connection=_wire("plain")) as pool:
        paid = await pool.verify(ASKED)
    assert paid.checkout_url == f"{PAGE}&said=plain"
    # Nor does an echo beside it change a part of the address that is no credential of ours.
    async with Pool(parrot(), connection=_wire(TOKEN)) as pool:
        paid = await pool.verify(ASKED)
    assert paid.checkout_url == f"{PAGE}&said=***"


@pytest.mark.parametrize("short", ["1", "500", "XAF", "test", "p1", "abc-def"])
@timeless
async def test_a_short_credential_shreds_no_answer(short: str) -> None:
    """A password of a few letters is part of anything: it is hidden only as a whole word."""
    said = f"{short} a{short}b {short}9 {short}"
    wire = Wire(Desk(login=answer(token=TOKEN), payments=answer(said=said, amount="500")))
    async with Pool(Parrot(password=short), connection=wire) as pool:
        paid = await pool.verify(ASKED)
    assert paid.amount == 500
    assert paid.status is Status.SUCCEEDED
    assert paid.reference == paid.receipt == paid.metadata["a"] == said
    assert paid.message == f"*** a{short}b {short}9 ***"
    assert f"a{short}b {short}9" in paid.raw


@timeless
async def test_what_is_ours_stays_as_it_is() -> None:
    """A reference or metadata of ours that looks like a credential is kept as given."""

    class Same(Toy, frozen=True, kw_only=True):
        async def _move(self, send: Send, path: str, order: Order) -> Payment:
            said = await super()._move(send, path, order)
            return msgspec.structs.replace(said, metadata={**order.metadata, "theirs": "simulator"})

    wire = Wire(
        Desk(
            login=answer(token=TOKEN), collect=answer(id="p1", reference="simulator-1", status="OK")
        )
    )
    async with Pool(Same(password="simulator"), connection=wire) as pool:
        note = {"note": "of the simulator"}
        paid = await pool.collect(
            "toy", amount=5, currency="XAF", reference="simulator-1", metadata=note
        )
    assert (paid.reference, paid.status) == ("simulator-1", Status.SUCCEEDED)
    assert paid.metadata == {"note": "of the simulator", "theirs": "***"}


def test_cleaning_gives_back_what_held_nothing() -> None:
    """A value with nothing to hide is the same object: nothing is copied."""
    payment = Payment(
        account="a", reference="r", metadata={"a": ["b"]}, customer=Customer(name="n")
    )
    assert clean(payment, (PASSWORD,)) is payment
    assert clean([payment], (PASSWORD,)) == [payment]
    assert clean(payment, ()) is payment


@pytest.mark.parametrize(
    "secret", ["reference", "user", "amount", "pass", "a", "order_id", "refe-rence"]
)
@pytest.mark.parametrize(
    "body",
    [
        '{"%s": "%s", "x": ["%s"], "%s_id": {"%s" : "y %s"}}',
        '{"x":"{\\"%s\\": \\"%s\\"}","%s":"%s"}',
        "%s=%s&x=%s&%s_id=1",
    ],
)
def test_no_name_of_a_field_is_masked(secret: str, body: str) -> None:
    """A debug record shows field names, also those that look like a credential."""
    written = body.replace("%s", secret)
    names = [name for name in (f'"{secret}"', f"{secret}=") if name in written]
    shown = hide(written, (secret,))
    assert shown.count("***") >= 1
    for name in names:
        assert shown.count(name.rstrip("=")) >= 1


@pytest.mark.parametrize("secret", [PASSWORD, TOKEN, "hunter2hunter2"])
def test_a_credential_is_hidden_even_as_the_name_of_a_field(secret: str) -> None:
    """A text that is no field name of the provider is a credential everywhere."""
    assert secret not in hide(json.dumps({secret: 1}), (secret,))
    assert secret not in hide(f"{secret}=1", (secret,))


@timeless
async def test_an_unknown_word_in_the_log_is_no_credential(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The warning about a status shows words and codes, and neither a token nor a password."""
    for word, shown in (
        ("NEWS", "NEWS"),
        ("1050", "1050"),
        (TOKEN, "of other than letters"),
        ("simulator", "***"),
    ):
        caplog.clear()
        wire = Wire(Desk(login=answer(token=TOKEN), payments=answer(id="p1", status=word)))
        async with Pool(Toy(account=f"a{len(word)}"), connection=wire) as pool:
            await pool.verify(f"a{len(word)}", "p1")
        assert [
            record.getMessage()
            for record in caplog.records
            if "unknown status" in record.getMessage()
        ] in (
            [f"toy: unknown status {shown!r} is kept as pending"],
            [],  # logged before, in this process
        )


ADDRESSES = [
    "https://user:cAnary-pass%2Fword@api.example",
    "https://cAnary-pass@api.example",
    "https://:cAnary-pass@api.example",
    "https://api.example/?token=cAnary-pass",
    "https://api.example/#cAnary-pass",
    "http://user:cAnary-pass@[::1]:80:90",
]


@pytest.mark.parametrize("url", ADDRESSES)
@pytest.mark.parametrize("name", ACCOUNTS)
def test_an_address_with_a_credential_is_refused_unseen(name: str, url: str) -> None:
    """A `base_url` with a password is UsageError, without it in text or frames."""
    with pytest.raises(
        UsageError, match=r"base_url: \*\*\* is refused; accepted: an https URL"
    ) as refused:
        ACCOUNTS[name].driver(url)
    assert "cAnary" not in str(refused.value)
    ours = [
        frame
        for frame, _ in traceback.walk_tb(refused.value.__traceback__)
        if "/drivers/" in frame.f_code.co_filename
    ]
    assert "cAnary" not in "".join(repr(frame.f_locals) for frame in ours)


@pytest.mark.parametrize("url", ADDRESSES)
@timeless
async def test_no_other_address_is_shown_with_a_credential(url: str) -> None:
    """The same for the base of callbacks, and for an order's own address."""
    with pytest.raises(UsageError) as refused:
        Pool(Toy(), webhook_base=url, webhook_key="0123456789abcdef-hooks")
    assert "cAnary" not in str(refused.value)
    async with Pool(Toy(), connection=_wire("x")) as pool:
        if "?" not in url:
            with pytest.raises(UsageError) as refused:
                await pool.collect("toy", amount=5, currency="XAF", reference="r", return_url=url)
            assert "cAnary" not in str(refused.value)
