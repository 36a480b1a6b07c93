"""`paymux verify`: ask once for each payment, one or 100,000."""

import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import click

from .command import command
from .exits import Exit, gravest, of_payment
from .failures import Failed, failure_of, show

if TYPE_CHECKING:
    from ..bulk import Progress
    from ..models import Payment
    from ..pool import Pool
    from .invocation import Invocation

_TELL_EVERY = 1.0  # seconds between two lines of progress


@command(
    "verify",
    examples=("paymux verify order-1042", "paymux verify - --json < orders.csv"),
)
@click.argument("references", nargs=-1, metavar="REF...")
@click.option("--id", "ids", multiple=True, metavar="ID", help="The provider's own reference.")
@click.option("-a", "--account", help="May be left out where the journal knows it.")
@click.option("--kind", type=click.Choice(["collect", "payout", "refund"]))
async def verify(
    cli: "Invocation",
    references: tuple[str, ...],
    ids: tuple[str, ...],
    account: str | None,
    kind: str | None,
) -> Exit:
    """Ask a provider once for each payment.

    REF - reads standard input: a reference a line, CSV with a header, or JSON lines, with the
    fields of a payment (account, reference, provider_reference, amount, currency). Results come as
    they finish; the exit code is the gravest: 6 mismatch, 5 pending, 4 unavailable, 3 unknown to
    the provider, 1 not paid, 0 all paid.
    """
    if not references and not ids:
        raise click.UsageError("REF: missing; a REF, --id, or - for standard input")
    from .payments import rows_of  # noqa: PLC0415 - `--help` needs no payment

    async with cli.pool() as pool:
        rows = rows_of(cli, at_once=True)
        codes: set[Exit] = set()
        progress = _Progress(cli, whole=None if "-" in references else len(references) + len(ids))

        def refused(failed: Failed) -> None:
            show(failed, cli.say, json=cli.json)
            codes.add(failed.exit)

        items = _asked(cli, pool, references, ids, account, kind, refused)
        async with pool.verify_many(items, progress=progress.told) as found:
            async for item in found:
                if item.payment is not None:
                    rows.write(item.payment)
                    codes.add(of_payment(item.payment))
                elif item.error is not None:
                    codes.add(_failed(cli, item.asked, item.error))
        rows.close()
        progress.end()
        return gravest(codes)


def _failed(cli: "Invocation", asked: "Payment", error: Any) -> Exit:
    named = asked.reference or asked.provider_reference or ""
    failed = failure_of(error)
    if getattr(error, "name", None) == "provider_reference":
        from .payments import unknown  # noqa: PLC0415 - `--help` needs no payment

        failed = unknown(cli, named, "--id asks by the provider's own id")
    if not failed.fields.get("reference"):
        failed.fields["reference"] = named
    if named and named not in str(failed):
        failed.args = (f"{named}: {failed}",)
    show(failed, cli.say, json=cli.json)
    return failed.exit


async def _asked(
    cli: "Invocation",
    pool: "Pool",
    references: tuple[str, ...],
    ids: tuple[str, ...],
    account: str | None,
    kind: str | None,
    refused: Callable[[Failed], None],
) -> "AsyncIterator[Payment]":
    """Yield what is asked for: an order of the journal, or a payment with what was given.

    A reference that names no order, or several, is `refused`; the next ones are asked for.
    """
    from ..models import Payment  # noqa: PLC0415 - `--help` needs no payment
    from .payment_lines import payments_in  # noqa: PLC0415

    async def known(reference: str, account: str | None, kind: str | None) -> Payment | None:
        try:
            return await _known(cli, pool, reference, account, kind)
        except Failed as failed:
            refused(failed)
            return None

    if account is not None:
        cli.account(account)  # a wrong one is refused at once
    for one in ids:
        yield Payment(account=cli.account(account), provider_reference=one, kind=kind)  # type: ignore[arg-type]
    for reference in references:
        if reference != "-":
            if (order := await known(reference, account, kind)) is not None:
                yield order
            continue
        async for given in payments_in(cli, account):
            alone = given.reference and given.provider_reference is None and given.amount is None
            if given.reference and (alone or not given.account):
                order = await known(given.reference, given.account, given.kind or kind)
                if order is not None:
                    yield order if alone else _expected(order, given)
            else:
                yield given


def _expected(known: "Payment", given: "Payment") -> "Payment":
    """Return the order of the journal as a list expects it: with the list's own values."""
    import msgspec  # noqa: PLC0415 - `--help` needs none

    names = ("provider_reference", "amount", "currency", "receipt")
    said = {name: value for name in names if (value := getattr(given, name)) is not None}
    return msgspec.structs.replace(known, **said)


async def _known(
    cli: "Invocation", pool: "Pool", reference: str, account: str | None, kind: str | None
) -> "Payment":
    from ..errors import UsageError  # noqa: PLC0415 - `--help` needs none
    from ..models import Payment  # noqa: PLC0415
    from .payments import in_journal, the_one, unknown  # noqa: PLC0415

    found = await in_journal(cli, pool, reference, account or None, kind)
    if found:
        return found[0] if len(found) == 1 else await the_one(cli, pool, reference, account, kind)
    named: Any = kind or "collect"
    try:
        whose = cli.account(account or None)
    except UsageError:
        if account:
            raise
        raise unknown(cli, reference, "-a names the account that is asked") from None
    return Payment(account=whose, reference=reference, kind=named)


class _Progress:
    """Says on standard error how far a long list is, with its rate and the time left."""

    def __init__(self, cli: "Invocation", *, whole: int | None) -> None:
        self._cli = cli
        self._whole = whole
        self._began = self._last = time.monotonic()
        self._done = 0

    def told(self, progress: "Progress") -> None:
        """Take the progress of the list; write a line now and then."""
        self._done, now = progress.done, time.monotonic()
        if now - self._last < _TELL_EVERY:
            return
        self._last = now
        rate = self._done / max(now - self._began, 1e-9)
        if self._whole:
            left = (self._whole - self._done) / max(rate, 1e-9)
            words = "{done} of {whole} verified, {rate} a second, about {left} s left"
            self._cli.tell(
                words, done=self._done, whole=self._whole, rate=round(rate), left=round(left)
            )
        else:
            self._cli.tell("{done} verified, {rate} a second", done=self._done, rate=round(rate))

    def end(self) -> None:
        """Write the sum of a list that was long enough to be told of."""
        if self._last > self._began:
            self._cli.tell("{done} verified", done=self._done)
