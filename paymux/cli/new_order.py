"""What collect and payout do: an order of a command's words, placed once."""

from typing import TYPE_CHECKING, Any, Literal

from .. import core
from .exits import Exit
from .ordering import Asked, need_reference, options_of, place
from .payments import need_journal

if TYPE_CHECKING:
    from .invocation import Invocation


async def new_order(
    cli: "Invocation",
    kind: Literal["collect", "payout"],
    amount: str,
    currency: str,
    party: str | None,
    given: dict[str, Any],
) -> Exit:
    """Check an order before anything is asked or sent, and place it."""
    need_journal(cli)
    reference = need_reference(cli, given["reference"], kind)
    account, options = cli.account(given["account"]), options_of(given)
    async with cli.pool() as pool:
        order = core.checked_order(
            pool.drivers[account],
            kind,
            reference=reference,
            amount=amount,
            currency=currency,
            party=party,
            options=options,
        )
        asked = Asked.of(order, order.party, given)
        verb: Any = pool.collect if kind == "collect" else pool.payout
        whose = {"payer" if kind == "collect" else "payee": party}
        words = {"amount": amount, "currency": currency, "reference": reference, **whose}
        return await place(cli, pool, asked, lambda: verb(account, **words, **options))
