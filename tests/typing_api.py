"""The public API as a user's type checker sees it.

`mypy --strict` checks this file; it is never run.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, assert_type

import msgspec

import paymux
from paymux import (
    AttemptEnded,
    BadWebhook,
    Balance,
    CamPay,
    CinetPay,
    CinetPayV1,
    Customer,
    Event,
    Health,
    Intram,
    Item,
    Method,
    Mismatch,
    Mpesa,
    MpesaGateway,
    NotFound,
    OutcomeUnknown,
    PayDunya,
    Payment,
    PaymuxError,
    Pool,
    ProviderError,
    RateLimited,
    Reason,
    Receipt,
    Rejected,
    Status,
    Tax,
    Trust,
    UsageError,
    VerbBegan,
    VerbEnded,
    Watch,
    WatchTimeout,
    WebhookRequest,
    get,
    post,
)
from paymux.drivers.base import Driver
from paymux.otel import OpenTelemetry


class Answer(msgspec.Struct):
    """A caller's own type of reply."""

    ok: bool


async def bearer() -> str:
    """Return a token."""
    return "token"


def drivers() -> Pool:
    """Write credentials as plain text."""
    return Pool(
        CamPay(username="shop", password="…", webhook_key="…", live=True),
        CamPay(account="second", access_token=os.environ["CAMPAY"], dialect="summary"),
        CinetPay(apikey="…", site_id="…", secret_key="…", live=True),
        CinetPayV1(api_key="…", api_password="…", country="CI"),
        Intram(public_key="…", private_key="…", secret="…", store={"name": "Shop"}),
        Mpesa(
            account="kenya", consumer_key="…", consumer_secret="…", shortcode="174379", passkey="…"
        ),
        MpesaGateway(base_url="https://shop.example", bearer=bearer),
        PayDunya(master_key="…", private_key="…", access_token="…", store_name="Shop"),
        deadline=30,
        attempts=3,
        webhook_base="https://shop.example/pay",
        webhook_key="…",
    )


class Printer:
    """An observer of a user's own."""

    def begin(self, verb: VerbBegan) -> str:
        """Give a name."""
        assert_type(verb.reference, str | None)
        return f"{verb.provider} {verb.operation}"

    def attempt(self, name: str, attempt: AttemptEnded) -> None:
        """Get the name and what ended."""
        assert_type(attempt.status, int | None)
        assert_type(attempt.duration, float)

    def end(self, name: str, end: VerbEnded) -> None:
        """Get the name and the end."""
        assert_type(end.sent, bool)


def observed() -> Pool:
    """Give observers of different kinds."""
    return Pool(observers=[Printer(), OpenTelemetry(references=True)])


def pools(environment: Mapping[str, str]) -> None:
    """Make pools in every way; a subclass makes its own."""

    class Mine(Pool):
        """A caller's own subclass of Pool."""

    assert_type(Pool.from_config("accounts.toml"), Pool)
    assert_type(Pool.from_config(Path("accounts.toml"), deadline=5), Pool)
    assert_type(Pool.from_config({"accounts": {"campay": {"driver": "campay"}}}), Pool)
    assert_type(Pool.from_env(), Pool)
    assert_type(Mine.from_env(environment), Mine)
    assert_type(Mpesa.from_settings(environment), Mpesa)


async def operations(pay: Pool) -> None:
    """Show a health page."""
    found = await pay.health(deadline=1)
    assert_type(found, Health)
    assert_type(found.problems, tuple[str, ...])
    assert_type(found.lag, Mapping[str, float])


async def accounts(pay: Pool) -> None:
    """Add an account, and rotate its key."""
    await pay.add(CamPay(account="second", access_token="…"))
    await pay.replace(CamPay(account="second", access_token="…"))
    assert_type(pay.drivers, Mapping[str, Driver])


async def money(pay: Pool) -> None:
    """Get a Payment from every money verb."""
    payment = await pay.collect(
        "campay",
        amount=5000,
        currency="XAF",
        payer="+237 670 00 00 00",
        reference="order-1042",
        description="Data bundle",
        customer=Customer(name="A"),
        items=[Item(name="x", unit_price=Decimal(5))],
        taxes=(Tax(name="VAT", amount=Decimal(1)),),
        metadata={"a": 1},
        deadline=10,
    )
    assert_type(payment, Payment)
    assert_type(payment.status, Status)
    assert_type(payment.status.terminal, bool)
    assert_type(payment.public(), Payment)
    assert_type(payment.amount, Decimal | None)
    assert_type(payment.ids, Mapping[str, str])
    assert_type(payment.reason, Reason | None)
    assert_type(payment.paid_at, datetime | None)
    assert_type(payment.checkout_url, str | None)
    assert_type(
        await pay.payout(
            "kenya", amount="250", currency="KES", payee="254708374149", reference="w"
        ),
        Payment,
    )
    assert_type(
        await pay.refund(payment, amount=Decimal(20), reference="refund-9", reason="damaged"),
        Payment,
    )


async def questions(pay: Pool, payment: Payment) -> None:
    """Get the type of each look-up's result."""
    assert_type(await pay.verify(payment), Payment)
    assert_type(await pay.verify("campay", "bcedde9b", deadline=5), Payment)
    assert_type(await pay.find("cinetpay", reference="order-1042"), Payment)
    assert_type(await pay.find("mpesa", receipt="NLJ7RT61SV"), Payment)
    assert_type((await pay.balance("campay")).by_account, Mapping[str, Decimal])
    assert_type(payment.bill_reference, str | None)
    assert_type(await pay.balance("campay"), Balance)
    assert_type((await pay.balance("campay")).by_operator, Mapping[str, Decimal])
    assert_type(await pay.receipt(payment), Receipt)
    assert_type(await pay.methods("gateway"), list[Method])
    now = datetime.now(UTC)
    assert_type(pay.history("campay", since=now, until=now), AsyncIterator[Payment])
    async for old in pay.history("campay", since=now, until=now):
        assert_type(old, Payment)


async def watching(pay: Pool, payment: Payment) -> None:
    """Await a Watch for the end, or iterate it for each state."""
    watch = pay.watch(payment, timeout=120)
    assert_type(watch, Watch)
    assert_type(await pay.watch(payment, timeout=None), Payment)
    async for state in pay.watch(payment):
        assert_type(state, Payment)
    async with pay.watch(payment) as held:
        assert_type(held, Watch)
        assert_type(held.payment, Payment)
        assert_type(await anext(held), Payment)
    as_awaitable: Awaitable[Payment] = watch
    as_iterator: AsyncIterator[Payment] = watch
    assert_type((as_awaitable, as_iterator), tuple[Awaitable[Payment], AsyncIterator[Payment]])


async def messages(pay: Pool, incoming: WebhookRequest, stored: Payment) -> None:
    """Get an Event of a message, without a status to act on; confirming gives a Payment."""
    event = pay.webhook(incoming)
    assert_type(event, Event)
    assert_type(event.trust, Trust)
    assert_type(event.claims, Payment)
    event.status  # type: ignore[attr-defined] # the whole point: only `confirm` gives one  # noqa: B018
    assert_type(pay.webhook(incoming, account="campay"), Event)
    assert_type(pay.returned("paydunya", "https://shop.example/back?token=x"), Event)
    assert_type(await pay.confirm(event), Payment)
    assert_type(await pay.confirm(event, expected=stored, deadline=5), Payment)
    assert_type(pay.webhook_url("campay"), str)


async def beyond(pay: Pool) -> None:
    """`run` has the method's own parameters and result, and `send` the caller's own type."""
    assert_type(
        await pay.run("campay", CamPay.payment_link, amount=500, reference="link-1"), Payment
    )
    assert_type(
        await pay.run("gateway", MpesaGateway.add_method, phone="254708374149"), dict[str, Any]
    )
    await pay.run("campay", CamPay.payment_link, amount=500)  # type: ignore[call-arg] # no reference
    await pay.run("campay", CamPay.payment_link, amount=5.0, reference="x")  # type: ignore[arg-type] # a float
    assert_type(await pay.send("campay", get("/balance/", Answer)), Answer)
    assert_type(await pay.send("campay", post("/x/", Answer, {"a": 1}, money=False)), Answer)
    assert_type(await pay.send("campay", paymux.get("/list/", list[int])), list[int])


async def wrong(pay: Pool, payment: Payment) -> None:
    """Make the mistakes with money that a type checker finds."""
    await pay.collect("campay", amount=50.0, currency="XAF", reference="a")  # type: ignore[arg-type] # a float
    await pay.collect("campay", amount=50, currency="XAF")  # type: ignore[call-arg] # no reference
    await pay.payout("campay", amount=5, currency="XAF", payee="1", reference="a", operator="x")  # type: ignore[arg-type] # no network
    await pay.verify("campay")  # type: ignore[call-overload] # of an account alone
    payment.status = Status.SUCCEEDED  # type: ignore[misc] # frozen


async def errors(pay: Pool, payment: Payment) -> None:
    """Read the fields of each error."""
    try:
        await pay.verify(payment)
    except OutcomeUnknown as unknown:
        assert_type(unknown.payment, Payment)
    except WatchTimeout as late:
        assert_type(late.payment, Payment)
        as_timeout: TimeoutError = late
        assert_type(as_timeout, TimeoutError)
    except RateLimited as limited:
        assert_type(limited.retry_after, float | None)
    except (NotFound, Rejected) as refused:
        assert_type(refused, NotFound | Rejected)
        assert_type(refused.reason, Reason | None)
    except ProviderError as error:
        assert_type(error.code, str | None)
        assert_type(error.http_status, int | None)
        assert_type(error.details, Mapping[str, Any] | None)
    except Mismatch as mismatch:
        assert_type(mismatch.fields, tuple[str, ...])
    except UsageError as usage:
        as_value: ValueError = usage
        assert_type(as_value, ValueError)
    except BadWebhook as bad:
        as_ours: PaymuxError = bad
        assert_type(as_ours, PaymuxError)


def stored(payment: Payment) -> Payment:
    """Store a Payment as JSON, and read it back."""
    return msgspec.json.decode(msgspec.json.encode(payment), type=Payment)
