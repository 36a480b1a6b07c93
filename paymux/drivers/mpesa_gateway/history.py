"""History: pages of rows, newest first, which cannot be filtered."""

from collections import deque

import msgspec

from ...values.parsing import ProviderData, Text, Unreadable


class Page(ProviderData, frozen=True):
    """A page: `{results, total, page}` of the document, `{count, next, results}` of DRF."""

    results: list[msgspec.Raw]  # rows, read one by one: there may be thousands
    total: int = 0
    page: int | None = None
    next: Text = None

    def answers(self, number: int) -> bool:
        """Return whether this is the page that was asked for."""
        if self.page not in (None, number):
            raise Unreadable("the answer is another page")
        return True

    def has_more(self, read: int) -> bool:
        """Return whether there are pages after this one; `read`: the rows read so far."""
        return self.next is not None or read < self.total


class Recent:
    """The rows of this page and of the two before it.

    A payment that is made in the meantime moves a row that was read to the next page, or to the one
    after it.
    """

    def __init__(self) -> None:
        self._pages: deque[set[str | None]] = deque(maxlen=3)

    def turn(self) -> None:
        """Start a page."""
        self._pages.append(set())

    def is_new(self, row: str | None) -> bool:
        """Record a row; return whether it was not recorded before."""
        new = not any(row in page for page in self._pages)
        self._pages[-1].add(row)
        return new
