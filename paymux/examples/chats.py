"""What the messages of a bot say, and which one shows an order: a file, named by BOT_CHATS.

That is no `metadata` of the order, which not every provider takes.
"""

import os
import sqlite3

from paymux import Payment, Reason, Status

ASKED = {"en": "Confirm on your phone.", "fr": "Confirmez sur votre téléphone."}
UNKNOWN = {
    "en": "We do not know yet: do not pay again.",
    "fr": "Nous ne savons pas encore : ne payez pas à nouveau.",
}
PAID = {"en": "Paid, thank you!", "fr": "Payé, merci !"}


def ending(payment: Payment, language: str) -> str:
    """Say how an order ended."""
    paid = payment.kind == "collect" and payment.status is Status.SUCCEEDED
    return PAID[language] if paid else (payment.reason or Reason.OTHER).text(language)


class Chats:
    """Notes about orders, written down before they are sent, and read after a restart."""

    def __init__(self) -> None:
        self.file = sqlite3.connect(os.environ.get("BOT_CHATS", "chats.db"), isolation_level=None)
        self.file.execute("CREATE TABLE IF NOT EXISTS chats (reference PRIMARY KEY, note)")

    def note(self, reference: str, note: str) -> bool:
        """Write a note down; False: the order has one, which stays."""
        written = self.file.execute("INSERT OR IGNORE INTO chats VALUES (?, ?)", (reference, note))
        return written.rowcount == 1

    def noted(self, reference: str | None) -> str | None:
        """Return the note of an order; None: it is of another program."""
        found = self.file.execute("SELECT note FROM chats WHERE reference = ?", (reference,))
        row = found.fetchone()
        return row and str(row[0])

    def close(self) -> None:
        """Close the file."""
        self.file.close()
