"""A Telegram bot in aiogram: `/pay 5000 677777777` asks a payer, `/cancel` leaves it at that.

    pip install paymux aiogram
    python -m paymux.examples.aiogram_bot

BOT_TOKEN is the bot's; paymux/examples/till.py says how its account is set.
"""

import os
from contextlib import suppress

import backoff
from aiogram import Bot, Dispatcher
from aiogram.exceptions import TelegramBadRequest, TelegramNetworkError, TelegramRetryAfter
from aiogram.filters import Command, CommandObject
from aiogram.types import Message

from paymux.examples.till import Till

bot = Bot(os.environ["BOT_TOKEN"])
dispatcher = Dispatcher()


def seconds(flood: TelegramRetryAfter) -> float:
    """Return how long Telegram asks us to wait."""
    return flood.retry_after


@backoff.on_exception(backoff.expo, TelegramNetworkError, max_value=60)
@backoff.on_exception(backoff.runtime, TelegramRetryAfter, value=seconds, jitter=None)
async def edit(text: str, chat: str, message: str) -> None:
    """Change a message of the bot."""
    with suppress(TelegramBadRequest):  # "message is not modified", or it was deleted
        await bot.edit_message_text(text, chat_id=int(chat), message_id=int(message))


till = Till(edit)
dispatcher.startup.register(till.open)
dispatcher.shutdown.register(till.close)


@dispatcher.message(Command("pay"))
async def pay(asked: Message, command: CommandObject) -> None:
    """Ask a payer."""
    user = asked.from_user
    if user is None:  # a channel's own message
        return
    amount, _, payer = (command.args or "").partition(" ")
    shown = await asked.answer("…")
    reference = f"tg.{asked.chat.id}.{asked.message_id}"  # an update that comes twice is one order
    where = (user.id, shown.chat.id, shown.message_id)
    await till.charge(reference, amount, payer, user.language_code or "en", *where)


@dispatcher.message(Command("cancel"))
async def cancel(asked: Message) -> None:
    """Leave the user's messages as they are."""
    if asked.from_user is not None:
        till.cancel(asked.from_user.id)
        await asked.answer("Decline on your phone, too: what you confirm is still charged.")


if __name__ == "__main__":
    dispatcher.run_polling(bot)
