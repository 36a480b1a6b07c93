"""A bot in python-telegram-bot: `/pay 5000 677777777` asks a payer, `/cancel` leaves it at that.

    pip install paymux python-telegram-bot
    python -m paymux.examples.telegram_bot

BOT_TOKEN is the bot's; paymux/examples/till.py says how its account is set.
"""

import os
from contextlib import suppress
from datetime import timedelta

import backoff
from telegram import Update
from telegram.error import BadRequest, NetworkError, RetryAfter
from telegram.ext import Application, CommandHandler, ContextTypes

from paymux.examples.till import Till


def seconds(flood: RetryAfter) -> float:
    """Return how long Telegram asks us to wait."""
    after = flood.retry_after
    return after.total_seconds() if isinstance(after, timedelta) else after


@backoff.on_exception(backoff.expo, NetworkError, max_value=60)
@backoff.on_exception(backoff.runtime, RetryAfter, value=seconds, jitter=None)
async def edit(text: str, chat: str, message: str) -> None:
    """Change a message of the bot."""
    with suppress(BadRequest):  # "message is not modified", or it was deleted
        await app.bot.edit_message_text(text, chat_id=int(chat), message_id=int(message))


till = Till(edit)


async def pay(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    """Ask a payer."""
    user, asked = update.effective_user, update.effective_message
    if user is None or asked is None:  # a channel's own message
        return
    amount, _, payer = " ".join(context.args or ()).partition(" ")
    shown = await asked.reply_text("…")
    reference = f"tg.{asked.chat_id}.{asked.message_id}"  # an update that comes twice is one order
    where = (user.id, shown.chat_id, shown.message_id)
    await till.charge(reference, amount, payer, user.language_code or "en", *where)


async def cancel(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
    """Leave the user's messages as they are."""
    user, asked = update.effective_user, update.effective_message
    if user is not None and asked is not None:
        till.cancel(user.id)
        await asked.reply_text("Decline on your phone, too: what you confirm is still charged.")


builder = Application.builder().token(os.environ["BOT_TOKEN"]).concurrent_updates(True)
app = builder.post_init(till.open).post_stop(till.close).build()
app.add_handlers([CommandHandler("pay", pay), CommandHandler("cancel", cancel)])

if __name__ == "__main__":
    app.run_polling()
