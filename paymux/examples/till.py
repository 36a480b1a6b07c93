"""What the three bots share: it knows payments, and no chat library.

A bot passes an `edit` function, which follows its library's rules: an edit that changes nothing is
no error, and an edit that comes too soon waits. The message to edit is written down, and the order
is journaled, before it is sent; a Notifier reports each end, also after the bot was killed.

The account is PAYMUX_CAMPAY__DRIVER=campay with the driver's fields (PAYMUX_CAMPAY__USERNAME …);
PAYMUX_JOURNAL is a file such as bot.db. BOT_ACCOUNT names another account, and BOT_CURRENCY its
currency; BOT_URL is where a provider's page leads back to.
"""

import os
from collections.abc import Awaitable, Callable
from typing import Any

from paymux import DuplicateReference, Notifier, OutcomeUnknown, Payment, PaymuxError, Pool, Reason
from paymux.examples.chats import ASKED, UNKNOWN, Chats, ending

ACCOUNT, CURRENCY = os.environ.get("BOT_ACCOUNT", "campay"), os.environ.get("BOT_CURRENCY", "XAF")
BACK = os.environ.get("BOT_URL", "https://telegram.org")
PAGE = {"description": "To our bot", "return_url": BACK, "cancel_url": BACK}  # of some providers


class Till:
    """Collects from payers, and shows them how it ended; await edit(text, chat, message)."""

    def __init__(self, edit: Callable[[str, str, str], Awaitable[None]]) -> None:
        self.pay = Pool.from_config()
        self.edit = edit
        self.quiet: set[str] = set()
        self.notifier = Notifier(self.pay, self.ended)
        self.chats = Chats()

    async def charge(
        self, reference: str, amount: str, payer: str, language: str, *where: int
    ) -> None:
        """Ask a payer; `where` is the user, the chat and the message to edit."""
        language = "fr" if language.startswith("fr") else "en"
        user, chat, message = map(str, where)
        self.quiet.discard(user)
        # A message that came twice is one order, and its end is told in the first answer.
        first = self.chats.note(reference, f"{language} {user} {chat} {message}")
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
            text = (payment.checkout_url or ASKED[language]) if first else UNKNOWN[language]
        except (OutcomeUnknown, DuplicateReference):
            text = UNKNOWN[language]
        except PaymuxError as error:
            text = (getattr(error, "reason", None) or Reason.OTHER).text(language)
        await self.edit(text, chat, message)

    async def ended(self, payment: Payment) -> None:
        """Show the end of a payment: called at least once for each, also after a restart."""
        note = self.chats.noted(payment.reference)
        if note is None:  # an order of another program
            return
        language, user, chat, message = note.split()
        if user not in self.quiet:
            await self.edit(ending(payment, language), chat, message)

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
