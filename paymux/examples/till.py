"""What the three bots share: it knows payments, and no chat library.

A bot passes an `edit` function, which follows its library's rules: an edit that changes nothing is
no error, and an edit that comes too soon waits. The message to edit is written down, and the order
is journaled, before it is sent; a Notifier reports each end, also after the bot was killed.

The account is PAYMUX_CAMPAY__DRIVER=campay with the driver's fields (PAYMUX_CAMPAY__USERNAME …);
PAYMUX_JOURNAL is a file such as bot.db. BOT_ACCOUNT names another account, and BOT_CURRENCY its
currency; BOT_URL is where a provider's page leads back to, and BOT_CHATS a file for the messages.
"""

import os
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from paymux import (
    DuplicateReference,
    Notifier,
    OutcomeUnknown,
    Payment,
    PaymuxError,
    Pool,
    Reason,
    Status,
)

ACCOUNT, CURRENCY = os.environ.get("BOT_ACCOUNT", "campay"), os.environ.get("BOT_CURRENCY", "XAF")
BACK = os.environ.get("BOT_URL", "https://telegram.org")
PAGE = {"description": "To our bot", "return_url": BACK, "cancel_url": BACK}  # of some providers
ASKED = {"en": "Confirm on your phone.", "fr": "Confirmez sur votre téléphone."}
UNKNOWN = {
    "en": "We do not know yet: do not pay again.",
    "fr": "Nous ne savons pas encore : ne payez pas à nouveau.",
}
PAID = {"en": "Paid, thank you!", "fr": "Payé, merci !"}


class Till:
    """Collects from payers, and shows them how it ended; await edit(text, chat, message)."""

    def __init__(self, edit: Callable[[str, str, str], Awaitable[None]]) -> None:
        self.pay = Pool.from_config()
        self.edit = edit
        self.quiet: set[str] = set()
        self.notifier = Notifier(self.pay, self.ended)
        # Not in `metadata`, which not every provider takes.
        self.chats = sqlite3.connect(os.environ.get("BOT_CHATS", "chats.db"), isolation_level=None)
        self.chats.execute(
            "CREATE TABLE IF NOT EXISTS chats (reference TEXT PRIMARY KEY, note TEXT)"
        )

    async def charge(
        self, reference: str, amount: str, payer: str, language: str, *where: int
    ) -> None:
        """Ask a payer; `where` is the user, the chat and the message to edit."""
        language = "fr" if language.startswith("fr") else "en"
        user, chat, message = map(str, where)
        self.quiet.discard(user)
        # A message that came twice is one order, and its end is told in the first answer.
        note = f"{language} {user} {chat} {message}"
        noted = self.chats.execute("INSERT OR IGNORE INTO chats VALUES (?, ?)", (reference, note))
        takes = self.pay.drivers[ACCOUNT].takes
        page: dict[str, Any] = {name: text for name, text in PAGE.items() if name in takes}
        try:
            payment = await self.pay.collect(
                ACCOUNT,
                amount=amount,
                currency=CURRENCY,
                payer=payer or None,
                reference=reference,
                **page,
            )
            text = payment.checkout_url or ASKED[language]
            if not noted.rowcount:  # this message came twice
                text = UNKNOWN[language]
        except (OutcomeUnknown, DuplicateReference):
            text = UNKNOWN[language]
        except PaymuxError as error:
            text = (getattr(error, "reason", None) or Reason.OTHER).text(language)
        await self.edit(text, chat, message)

    async def ended(self, payment: Payment) -> None:
        """Show the end of a payment: called at least once for each, also after a restart."""
        known = self.chats.execute(
            "SELECT note FROM chats WHERE reference = ?", (payment.reference,)
        )
        note = known.fetchone()
        if note is None:  # an order of another program
            return
        language, user, chat, message = note[0].split()
        paid = payment.kind == "collect" and payment.status is Status.SUCCEEDED
        text = PAID[language] if paid else (payment.reason or Reason.OTHER).text(language)
        if user not in self.quiet:
            await self.edit(text, chat, message)

    def cancel(self, user: int) -> None:
        """Leave the messages of a user as they are."""
        self.quiet.add(str(user))

    async def open(self, *_: object) -> None:
        """Find out what a crash left open, and begin to watch."""
        async for left in self.pay.recover():
            if left.was == "intent":  # it was not sent before a crash, and will not be
                await self.ended(left.payment)
        await self.notifier.__aenter__()

    async def close(self, *_: object) -> None:
        """Stop."""
        await self.notifier.aclose()
        await self.pay.aclose()
        self.chats.close()
