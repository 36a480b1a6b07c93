"""Wake-ups: news of a payment in one worker wakes the watches of it in all others."""

import threading
from collections.abc import Callable, Hashable, Iterable
from typing import Protocol, TypeAlias

from ..models import Payment

# What a watch may know a payment by: its account and kind with our reference, or its account alone
# with the provider's reference.
Subject: TypeAlias = tuple[tuple[str, ...], str]


def subjects_of(payment: Payment) -> list[Subject]:
    """List what the watches of a payment in other workers may know it by."""
    account, found = payment.account, list[Subject]()
    if payment.reference is not None:
        found.append(((account, payment.kind or "collect"), payment.reference))
    if payment.provider_reference is not None:
        found.append(((account,), payment.provider_reference))
    return found


class Subscription:
    """The payments that one pool watches, and which of them there is news of.

    `wake` is called in any thread when there is something to `take`, once until it is taken.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        # Two threads use it; a watch may be collected, and leave, in the midst of any line.
        self._lock = threading.RLock()
        self._named: dict[Hashable, Subject] = {}
        self._unnamed: dict[Subject, None] = {}  # until it is known how news name a payment
        self._name: Callable[[Subject], Hashable] | None = None
        self._news: dict[Subject, None] = {}
        self._missed = False  # news of any of them may have been missed

    # In the loop of the watches.

    def add(self, subject: Subject) -> None:
        """Listen for news of a payment."""
        with self._lock:
            if self._name is None:
                self._unnamed[subject] = None
            else:
                self._named[self._name(subject)] = subject

    def discard(self, subject: Subject) -> None:
        """Stop listening for news of a payment."""
        with self._lock:
            self._unnamed.pop(subject, None)
            self._news.pop(subject, None)
            if self._name is not None:
                self._named.pop(self._name(subject), None)

    def look(self, subjects: Iterable[Subject]) -> None:
        """Take these payments for ones of which there is news."""
        self._tell(dict.fromkeys(subjects))

    def take(self) -> list[Subject]:
        """Return of which payments there is news; all of them, if any may have been missed."""
        with self._lock:
            missed, self._missed = self._missed, False
            news, self._news = self._news, {}
            return [*self._unnamed, *self._named.values()] if missed else list(news)

    # In the thread that hears of news.

    @property
    def watches(self) -> bool:
        """Return whether a payment is watched."""
        return bool(self._named or self._unnamed)

    def begin(self, name: Callable[[Subject], Hashable]) -> None:
        """Learn how news name a payment."""
        with self._lock:
            self._name = name
            subjects = [*self._unnamed, *self._named.values()]
            self._unnamed, self._named = {}, {name(one): one for one in subjects}

    def heard(self, names: Iterable[Hashable]) -> None:
        """Take the names in a piece of news; those of payments that are not watched do nothing."""
        named = self._named
        self._tell({named[name]: None for name in names if name in named})

    def missed(self) -> None:
        """Take all payments for ones of which there may be news: it could not be heard."""
        with self._lock:
            idle, self._missed = not (self._news or self._missed), True
        if idle:
            self._wake()

    def _tell(self, news: dict[Subject, None]) -> None:
        with self._lock:
            idle = not (self._news or self._missed)
            self._news |= news
        if news and idle:
            self._wake()


class Wakeups(Protocol):
    """News of payments between the workers of one journal. It may be lost: watches poll as well."""

    def announce(self, payment: Payment) -> None:
        """Tell the other workers that there is news of a payment, without waiting.

        What they are told is only that its row in the journal is to be read.
        """
        ...

    def subscribe(self, wake: Callable[[], None]) -> Subscription:
        """Hear of news from now on, for as long as the subscription is held."""
        ...
