"""A Discord bot in discord.py: `/pay 5000 677777777` asks a payer, `/cancel` leaves it at that.

    pip install paymux discord.py
    python -m paymux.examples.discord_bot

BOT_TOKEN is the bot's; paymux/examples/till.py says how its account is set.
"""

import os
from contextlib import suppress

import discord
from discord import app_commands

from paymux.examples.till import Till


class Bot(discord.Client):
    """The bot, whose till opens and closes with it."""

    async def setup_hook(self) -> None:
        """Publish the commands, and open the till."""
        await tree.sync()
        await till.open()

    async def close(self) -> None:
        """Close the till, and leave."""
        await till.close()
        await super().close()


bot = Bot(intents=discord.Intents.none())
tree = app_commands.CommandTree(bot)


async def edit(text: str, chat: str, message: str) -> None:
    """Change a message of the bot; the library itself waits for Discord's rate limits."""
    channel = bot.get_partial_messageable(int(chat))
    with suppress(discord.NotFound):  # it was deleted
        await channel.get_partial_message(int(message)).edit(content=text)


till = Till(edit)


@tree.command(description="Pay by mobile money")
async def pay(asked: discord.Interaction, amount: int, phone: str) -> None:
    """Ask a payer."""
    await asked.response.send_message("…")
    shown = await asked.original_response()
    where = (asked.user.id, shown.channel.id, shown.id)
    await till.charge(f"discord.{asked.id}", str(amount), phone, asked.locale.value, *where)


@tree.command(description="Leave my messages as they are")
async def cancel(asked: discord.Interaction) -> None:
    """Leave the user's messages as they are."""
    till.cancel(asked.user.id)
    await asked.response.send_message(
        "Decline on your phone, too: what you confirm is still charged."
    )


if __name__ == "__main__":
    bot.run(os.environ["BOT_TOKEN"])
