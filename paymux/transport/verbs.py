"""Running a verb within its deadline, and saying truthfully how it ended."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar, cast

from ..drivers.base import Driver, Pushed
from ..errors import NotSent, OutcomeUnknown, PaymuxError, Unavailable
from ..lenient import Unreadable
from ..models import Payment
from .call import Call, Channel

T = TypeVar("T")


class Transport(Channel):
    """Carries the verbs of every account of one pool."""

    async def place(self, call: Call) -> None:
        """Wait, however long it takes, for the place of a verb's first request within the account's limit."""
        await call.gate.enter(money=False, priority=call.priority, deadline=float("inf"))
        call.placed = True

    async def perform(
        self, call: Call, operation: Callable[[Call], Awaitable[T]], pending: Payment | None = None
    ) -> T:
        """Run a verb within its deadline, and say truthfully how it ended; `pending` is what is then unknown.

        Whatever goes wrong once money may have moved is OutcomeUnknown, a driver's own mistake included.
        """
        try:
            with call.bounded():
                return await operation(call)
        except asyncio.CancelledError as cancelled:
            if call.in_doubt:
                cancelled.add_note(f"paymux: {call} had been sent; its outcome is unknown")
            # Without the frames below, whose variables hold headers and bodies.
            raise cancelled.with_traceback(None) from None
        except StopAsyncIteration:
            raise
        except Exception as error:
            failure = _ended(call, error, pending)
            if failure is error and not isinstance(error, PaymuxError):
                raise
        finally:
            if call.placed:
                call.gate.leave(money=False)
        # Without the frames below, whose variables hold bodies and what signs them.
        raise failure.with_traceback(None)

    async def frames(self, driver: Pushed) -> AsyncGenerator[str | bytes]:
        """Open the update socket of an account, and give its frames."""
        call = self.call(cast("Driver", driver), "updates", self._deadline)
        outgoing = await call.signed(driver.updates_request())
        async for frame in self.connection.frames(outgoing):
            yield frame


def _ended(call: Call, error: Exception, pending: Payment | None) -> Exception:
    """Say what an error that ends a verb means to its caller."""
    late = isinstance(error, TimeoutError)
    if isinstance(error, OutcomeUnknown) or call.in_doubt:
        said = "the deadline passed" if late else call.kept.said(str(error))
        driver = call.driver
        unknown = pending or Payment(account=driver.account, provider=driver.name, live=driver.live)
        # Of a reference that was used before, the page may be in the payer's hands.
        page = driver.lost_page if unknown.kind == "collect" and not call.duplicate else ""
        return OutcomeUnknown(". ".join(filter(None, (said, page))), unknown)
    if late:
        money = pending is not None or call.moves_money
        return (
            NotSent(f"{call}: the deadline passed; nothing was sent")
            if money
            else Unavailable(f"{call}: too late")
        )
    return Unavailable(f"{call}: {call.kept.said(str(error))}") if isinstance(error, Unreadable) else error
