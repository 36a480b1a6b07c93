"""The chat bots of paymux/examples, unchanged, in the real libraries.

Killed, flooded, cancelled, told the truth.
"""

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Self

import pytest
import pytest_asyncio

from paymux import Payment, Reason, SqliteJournal, Status
from paymux.simulator import Fault, Simulator
from paymux.simulator.campay import messages as campay_messages

from .programs.chats import TOKEN, Chats, Discord, Telegram

ROOT = Path(__file__).parent.parent
BOTS: dict[str, type[Chats]] = {"aiogram": Telegram, "telegram": Telegram, "discord": Discord}
ASKED, PAID = "Confirm on your phone.", "Paid, thank you!"
UNKNOWN = {
    "en": "We do not know yet: do not pay again.",
    "fr": "Nous ne savons pas encore : ne payez pas à nouveau.",
}
WARNINGS = (
    "error",
    # discord.py imports what left the standard library in Python 3.13.
    "ignore:'audioop' is deprecated:DeprecationWarning",
    # python-telegram-bot warns of the next major version whenever it makes its own RetryAfter.
    "ignore:Deprecated since version v22.2",
    # It asks for a loop where there is none, which Python 3.12 and later make and warn of.
    "ignore:There is no current event loop:DeprecationWarning",
)
LOADING = 90.0  # seconds that a busy machine may take to load three libraries at once
PAYS, NEVER_ANSWERS, NO_CARRIER = "677777777", "677777774", "662345678"

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


class Bot:
    """A bot's program under its library, in a process that can be killed and run again."""

    def __init__(self, library: str, directory: Path) -> None:
        self.library = library
        self.chats = BOTS[library]()
        self.sim = Simulator(payer_delay=0.2)
        self.directory = directory / self.library
        self.directory.mkdir()
        self._ends = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._ends.enter_async_context(self.sim)
        await self._ends.enter_async_context(self.chats)
        errors = self._ends.enter_context((self.directory / "stderr").open("wb"))
        self._runner = await asyncio.create_subprocess_exec(
            sys.executable,
            *(f"-W{filter}" for filter in WARNINGS),
            *("-m", "tests.programs.bot", self.library, self.chats.url),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            cwd=self.directory,
            env={
                **os.environ,
                "PYTHONPATH": f"{ROOT}:{self.directory}",
                "BOT_TOKEN": TOKEN,
                "PAYMUX_JOURNAL": "bot.db",
                "PAYMUX_CAMPAY__DRIVER": "campay",
                "PAYMUX_CAMPAY__USERNAME": "simulator",
                "PAYMUX_CAMPAY__PASSWORD": "simulator",
                "PAYMUX_CAMPAY__BASE_URL": f"{self.sim.campay.url}{self.sim.campay.base_path}",
            },
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner.stdin is not None:
            self._runner.stdin.close()
        await self._runner.wait()
        await self._ends.aclose()

    async def start(self) -> None:
        """Run the program."""
        assert self._runner.stdin is not None
        self._runner.stdin.write(b"\n")
        self.process = await self._told()
        await self.chats.until(lambda: self.chats.present)

    async def end(self, how: signal.Signals) -> int:
        """Send the program a signal; give its exit code."""
        os.kill(self.process, how)
        code = await self._told()
        self.chats.present = False
        return code

    async def _told(self) -> int:
        assert self._runner.stdout is not None
        line = await asyncio.wait_for(self._runner.stdout.readline(), LOADING)
        assert line, self.errors()
        return int(line)

    def errors(self) -> str:
        """Give what the program wrote to its standard error."""
        return (self.directory / "stderr").read_text(encoding="utf-8")

    def asked(self, reference: str) -> int:
        """Tell how often the provider was asked to charge this order."""
        requests = self.sim.received("campay", "POST /api/collect/")
        return sum(f'"{reference}"'.encode() in request.body for request in requests)

    async def note_an_order(self, person: int) -> None:
        """Leave what a bot leaves that is killed between writing an order down and sending it."""
        note = f"en {person} {person} {self.chats.write(person, '…')}"
        order = Payment(
            account="campay",
            provider="campay",
            kind="collect",
            reference="never-sent",
            amount=Decimal(5000),
            currency="XAF",
        )
        with contextlib.closing(sqlite3.connect(self.directory / "chats.db")) as chats, chats:
            chats.execute("INSERT INTO chats VALUES (?, ?)", ("never-sent", note))
        journal = SqliteJournal(self.directory / "bot.db")
        assert await journal.intend(order, "digest") is None
        await journal.aclose()

    async def say(self, person: int, *words: str, language: str = "en") -> str:
        """Send `/pay …`, and return its reference once the bot has shown the result."""
        number = self.chats.say(person, "pay", *words, language=language)
        await self.chats.until(lambda: len((self.chats.texts(person) or [[]])[-1]) > 1)
        return self.chats.reference(person, number)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bots(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Bot]]:
    """Run the three bots, side by side: each loads for seconds."""
    async with contextlib.AsyncExitStack() as ends:
        directory = tmp_path_factory.mktemp("bots")
        running = [await ends.enter_async_context(Bot(library, directory)) for library in BOTS]
        await _each(running, Bot.start)
        yield running
        await _each(running, lambda bot: bot.end(signal.SIGKILL))


async def _each(bots: list[Bot], play: Callable[[Bot], Awaitable[object]]) -> None:
    """Play a scene with every bot at once."""

    async def named(bot: Bot) -> None:
        try:
            await play(bot)
        except AssertionError as error:
            error.add_note(f"with {bot.library}; its standard error:\n{bot.errors()[-4000:]}")
            raise

    async with asyncio.TaskGroup() as scenes:
        for bot in bots:
            scenes.create_task(named(bot))


async def test_a_payment_is_told_at_each_status(bots: list[Bot]) -> None:
    """The bot's one message is edited from the asking to the paying, and the payer is charged
    once.
    """

    async def play(bot: Bot) -> None:
        reference = await bot.say(1, "5000", PAYS)
        await bot.chats.until(lambda: bot.chats.texts(1)[0][-1] == PAID)
        assert list(dict.fromkeys(bot.chats.texts(1)[0])) == ["…", ASKED, PAID]
        assert bot.sim.ledger.charged(reference) == 5000

    await _each(bots, play)


async def test_each_failure_is_told_in_the_users_language(
    bots: list[Bot], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the reason, the payer reads our sentence for it, in English or in French."""
    monkeypatch.setattr(campay_messages, "_REASONS", {reason: reason.value for reason in Reason})
    cases = [(reason, language) for reason in Reason for language in ("en", "fr")]

    async def play(bot: Bot) -> None:
        async def fail(person: int, reason: Reason, language: str) -> None:
            reference = await bot.say(person, "5000", NEVER_ANSWERS, language=language)
            bot.sim.settle(reference, Status.FAILED, reason=reason)
            await bot.chats.until(lambda: bot.chats.texts(person)[0][-1] == reason.text(language))
            assert bot.sim.ledger.charged(reference) == 0

        await asyncio.gather(*(fail(100 + n, *case) for n, case in enumerate(cases)))

    await _each(bots, play)


async def test_a_refused_order_is_told_at_once(bots: list[Bot]) -> None:
    """What the provider refuses is shown with its reason: no prompt, and no more waiting."""

    async def play(bot: Bot) -> None:
        reference = await bot.say(2, "5000", NO_CARRIER, language="fr")
        assert bot.chats.texts(2) == [["…", Reason.UNKNOWN_PAYER.text("fr")]]
        assert bot.sim.ledger.entries(reference) == []

    await _each(bots, play)


async def test_nobody_is_told_to_pay_again_when_nothing_is_known(bots: list[Bot]) -> None:
    """After a lost answer, the payer reads in their language that it is unknown; that is all."""

    async def play(bot: Bot) -> None:
        for person, language in ((3, "en"), (4, "fr")):
            bot.sim.fault("campay", "POST /api/collect/", kind=Fault.DROP_AFTER)
            reference = await bot.say(person, "5000", NEVER_ANSWERS, language=language)
            assert bot.chats.texts(person) == [["…", UNKNOWN[language]]]
            assert bot.asked(reference) == 1

    await _each(bots, play)


async def test_a_command_that_arrives_twice_is_one_charge(bots: list[Bot]) -> None:
    """Telegram may send an update again, and people edit commands.

    Neither asks the payer a second time.
    """

    async def play(bot: Bot) -> None:
        if not isinstance(bot.chats, Telegram):
            return
        reference = await bot.say(5, "5000", NEVER_ANSWERS)
        bot.chats.deliver(bot.chats.last)
        await bot.chats.until(
            lambda: len(bot.chats.texts(5)) == 2 and len(bot.chats.texts(5)[1]) == 2
        )
        assert bot.chats.texts(5)[1] == ["…", UNKNOWN["en"]]
        assert bot.asked(reference) == 1

    await _each(bots, play)


async def test_cancel_leaves_ones_own_messages_alone(bots: list[Bot]) -> None:
    """After /cancel no message of this user changes; other users' payments are shown as before."""

    async def play(bot: Bot) -> None:
        mine, other = (
            await bot.say(6, "5000", NEVER_ANSWERS),
            await bot.say(7, "5000", NEVER_ANSWERS),
        )
        bot.chats.say(6, "cancel")
        await bot.chats.until(lambda: len(bot.chats.texts(6)) == 2)
        shown = [list(texts) for texts in bot.chats.texts(6)]
        assert "still charged" in shown[1][0]
        for reference in (mine, other):
            bot.sim.settle(reference, Status.SUCCEEDED)
        await bot.chats.until(lambda: bot.chats.texts(7)[0][-1] == PAID)
        await asyncio.sleep(1.0)
        assert bot.chats.texts(6) == shown

    await _each(bots, play)


async def test_a_flood_of_edits_waits(bots: list[Bot]) -> None:
    """An edit that comes too soon is made later: the end is always shown."""

    async def play(bot: Bot) -> None:
        bot.chats.floods[8] = 1
        reference = await bot.say(8, "5000", NEVER_ANSWERS)
        assert "flood" in bot.chats.refused
        bot.sim.settle(reference, Status.SUCCEEDED)
        await bot.chats.until(lambda: bot.chats.texts(8)[0][-1] == PAID)

    await _each(bots, play)


async def test_a_killed_bot_goes_on_where_it_was(bots: list[Bot]) -> None:
    """A payment made while the bot was dead is shown later; an unsent order is not sent then."""

    async def play(bot: Bot) -> None:
        settled, open_ = (
            await bot.say(9, "5000", NEVER_ANSWERS),
            await bot.say(10, "5000", NEVER_ANSWERS),
        )
        assert await bot.end(signal.SIGKILL) == -signal.SIGKILL
        bot.sim.settle(settled, Status.SUCCEEDED)
        await bot.note_an_order(12)
        await bot.start()
        await bot.chats.until(lambda: bot.chats.texts(9)[0][-1] == PAID)
        bot.sim.settle(open_, Status.FAILED, reason=Reason.EXPIRED)
        await bot.chats.until(lambda: bot.chats.texts(10)[0][-1] == Reason.EXPIRED.text("en"))
        assert bot.asked(settled) == bot.asked(open_) == 1
        assert bot.chats.texts(12) == [["…", Reason.OTHER.text("en")]]
        assert bot.asked("never-sent") == 0
        assert bot.chats.texts(3)[0][-1] == UNKNOWN["en"]

    await _each(bots, play)


async def test_a_bot_ends_cleanly_in_the_middle_of_a_watch(bots: list[Bot]) -> None:
    """Asked to end while a payer thinks, it leaves no task, connection or warning behind, and
    starts again.
    """

    async def play(bot: Bot) -> None:
        await bot.say(11, "5000", NEVER_ANSWERS)
        assert await bot.end(signal.Signals[bot.chats.signal]) == 0
        assert [
            word for word in ("Traceback", "Warning", "never", "Task") if word in bot.errors()
        ] == []
        await bot.start()

    await _each(bots, play)
