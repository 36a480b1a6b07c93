"""News from other workers: the rows of watched payments are read, and fed to their watches."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import Mismatch, PaymuxError
from ..journal import Subject, Wakeups, subjects_of
from ..models import Payment, log, merge
from .keys import are_compatible

if TYPE_CHECKING:
    from ..journal import Journal

SUBJECTS_PER_READ = 500  # payments whose rows are read at once
RETRY_SECONDS = 1.0  # seconds until rows that could not be read are read again

_TOLD = ("status", "provider_status", "reference", "provider_reference", "receipt", "ids")


def news_of(
    journal: "Journal | None",
    deliver: Callable[[Payment], None],
    loop: Callable[[], asyncio.AbstractEventLoop | None],
) -> "News | None":
    """Return what hears of a journal's news; None: there is no journal, or it carries none."""
    wakeups = None if journal is None else journal.wakeups
    if journal is None or wakeups is None:
        return None
    return News(wakeups, journal.payments_of, deliver, loop)


class News:
    """Reads what other workers have told of the watched payments of one pool.

    A piece of news says no more than that a row is to be read: what a watch is fed is in the
    journal. All news of one moment is one read.
    """

    def __init__(
        self,
        wakeups: Wakeups,
        rows: Callable[[list[Subject]], Awaitable[list[Payment]]],
        deliver: Callable[[Payment], None],
        loop: Callable[[], asyncio.AbstractEventLoop | None],
    ) -> None:
        self._rows = rows
        self._deliver = deliver
        self._loop = loop  # returns the loop in which the pool was last used
        self._heard_in: asyncio.AbstractEventLoop | None = None
        self._unread: dict[Subject, None] = {}  # watched since the last `listen`
        self._task: asyncio.Task[None] | None = None
        self._over = False
        self._subscription = wakeups.subscribe(self._woken)

    def add(self, payment: Payment, *, current: bool) -> None:
        """Hear of a payment; `current`: its row was read just now."""
        for subject in subjects_of(payment)[:1]:
            self._subscription.add(subject)
            if not current:
                self._unread[subject] = None

    def discard(self, subject: Subject) -> None:
        """Hear of a payment no more; callable at any point, from any thread."""
        self._subscription.discard(subject)
        self._unread.pop(subject, None)

    def listen(self) -> None:
        """Read the rows of new watches once: what came before a watch was not heard.

        In a new loop, those of all: nothing was heard between the two loops.
        """
        loop = asyncio.get_running_loop()
        if self._heard_in is not loop:
            self._heard_in = loop
            self._subscription.missed()
            self._begin()  # what had come by the end of the other loop has woken no task
        if self._unread:
            unread, self._unread = self._unread, {}
            self._subscription.look(unread)

    def close(self) -> None:
        """Hear nothing more; callable once its loop has ended, too."""
        self._over = True
        task, self._task = self._task, None
        if task is not None and not task.get_loop().is_closed():
            task.cancel()

    def _woken(self) -> None:
        """Have the rows read; called in any thread."""
        loop = self._loop()
        if loop is not None and not self._over:
            with suppress(RuntimeError):  # it has ended: the next one reads all rows
                loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        task, loop = self._task, asyncio.get_running_loop()
        if not self._over and (task is None or task.done() or task.get_loop() is not loop):
            self._task = loop.create_task(self._read())

    async def _read(self) -> None:
        said = False
        while subjects := self._subscription.take():
            for start in range(0, len(subjects), SUBJECTS_PER_READ):
                try:
                    found = await self._rows(subjects[start : start + SUBJECTS_PER_READ])
                except PaymuxError as error:  # it can never be a journal: watches poll
                    log.warning("news of payments cannot be read: %s", error)
                    return
                except OSError as error:
                    if not said:
                        log.info("news of payments cannot be read yet: %s", error)
                    said = True
                    await asyncio.sleep(RETRY_SECONDS)
                    self._subscription.look(subjects[start:])
                    break
                for payment in found:
                    self._deliver(payment)


def is_news(known: Payment, found: Payment) -> bool:
    """Return whether the row of a payment tells a watch what it does not know yet.

    What contradicts it is no news: its own look-up will say what the provider says.
    """
    try:
        merged = merge(known, found) if are_compatible(known, found) else known
    except Mismatch:
        return False
    return any(getattr(merged, name) != getattr(known, name) for name in _TOLD)
