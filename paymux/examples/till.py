"""What the three bots share: it knows payments, and no chat library.

A bot passes an `edit` function, which follows its library's rules: an edit that changes nothing is
no error, and an edit that comes too soon waits. An order is journaled before it is sent, with the
message to edit in its metadata; a Notifier reports each end, also after the bot was killed.

The account is PAYMUX_CAMPAY__DRIVER=campay with the driver's fields (PAYMUX_CAMPAY__USERNAME …);
PAYMUX_JOURNAL is a file such as bot.db.
"""

from collections.abc import Awaitable, Callable

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

    async def charge(
        self, reference: str, amount: str, payer: str, language: str, *where: int
    ) -> None:
        """Ask a payer; `where` is the user, the chat and the message to edit."""
        language = "fr" if language.startswith("fr") else "en"
        user, chat, message = map(str, where)
        self.quiet.discard(user)
        try:
            await self.pay.collect(
                "campay",
                amount=amount,
                currency="XAF",
                payer=payer,
                reference=reference,
                metadata={"external_user": f"{language} {user} {chat} {message}"},
            )
            text = ASKED[language]
        # or this message came twice, and the first is being answered
        except (OutcomeUnknown, DuplicateReference):
            text = UNKNOWN[language]
        except PaymuxError as error:
            text = (getattr(error, "reason", None) or Reason.OTHER).text(language)
        await self.edit(text, chat, message)

    async def ended(self, payment: Payment) -> None:
        """Show the end of a payment: called at least once for each, also after a restart."""
        language, user, chat, message = payment.metadata["external_user"].split()
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
