"""What a message means: its payment is confirmed and told, or it is kept, refused or left to do."""

import logging

import msgspec

from ..core import Engine, confirm_received
from ..core.notify import CallbackFailed, Notifier, TooManyUnconfirmed, log_failure
from ..errors import (
    AuthenticationFailed,
    BadWebhook,
    Mismatch,
    NoAnswer,
    NotFound,
    PaymuxError,
    RateLimited,
    Unsupported,
    UsageError,
)
from ..journal import OpenMessage
from ..models import Event, Payment, log
from ..primitives.redaction import mask
from ..values.payment_arguments import checked_payment
from .matching import EventMatcher
from .pending import Unfinished
from .telling import Teller

DAY_SECONDS = 86_400.0  # seconds for which a provider that does not answer is asked again


class MessageHandler:
    """Handles one message at a time, once, and says what is left to do about it."""

    def __init__(
        self, engine: Engine, notifier: Notifier, matcher: EventMatcher, teller: Teller
    ) -> None:
        self._engine = engine
        self._notifier = notifier
        self._matcher = matcher
        self._teller = teller

    async def handle(self, message: OpenMessage, until: float) -> Unfinished | None:
        """Confirm a message and call `on_payment` with its payment.

        None: the message is finished, with or without success.
        """
        event, expected, real = message.event, None, False
        driver = self._engine.driver(event.account)
        if not driver.confirms(event):
            return await self._keep(event)
        try:
            expected = await self._matcher.expected(event)
            if expected is not None:
                expected = checked_payment(expected, "expected")
            payment = await confirm_received(self._engine, event, expected, message=message)
            real = True
            if payment.status.terminal:
                return await self._teller.tell(message, payment, until)
            pace = driver.pace(payment)
            if event.claims.status.terminal and not pace.by_callback:
                # The message may be ahead of the provider's own look-up, or false: look up for a
                # while.
                return Unfinished(
                    status=200,
                    retry_seconds=pace.watch_timeout,
                    known=await self._matcher.knows(event, expected),
                )
        except CallbackFailed:
            return Unfinished(
                retry_seconds=float("inf"), known=real or await self._matcher.knows(event, expected)
            )
        except Unsupported:
            return await self._keep(event)
        except (PaymuxError, OSError) as error:  # OSError: from the journal
            return await self._left(event, expected, error)
        except Exception as error:  # noqa: BLE001 - a driver's bug must not lose a message
            log_failure("a driver", event.account, error)
            return Unfinished(retry_seconds=DAY_SECONDS)
        return None

    async def _left(
        self,
        event: Event,
        expected: Payment | None,
        error: PaymuxError | OSError,
    ) -> Unfinished | None:
        """Return what is left to do about a message that was not confirmed; None: nothing."""
        about = msgspec.structs.replace(event.claims, kind=event.kind)
        pace = self._engine.driver(event.account).pace(expected or about)
        if isinstance(error, Mismatch):
            # A retry of the same message would give the same result: it is only logged.
            self._matcher.refused(event, error)
            return None
        if isinstance(error, BadWebhook):
            if event.path_reference is not None:
                # Its path says which order it is about; the answer with the provider's id may
                # still come.
                return Unfinished(retry_seconds=pace.watch_timeout)
            log.warning("%s", mask(str(error)))
            return None
        if isinstance(error, NoAnswer):
            return None  # it was asked for; a message never causes a second question
        known = await self._matcher.knows(event, expected)
        if isinstance(error, RateLimited):
            lasting = DAY_SECONDS if known else 0.0
            return Unfinished(
                status=429,
                retry_after=error.retry_after,
                retry_seconds=lasting,
                known=known,
                always=not known,
            )
        if isinstance(error, NotFound):
            if known and pace.by_callback:
                return None  # asked once; its watch asks again
            return Unfinished(retry_seconds=pace.watch_timeout if known else 0.0, known=known)
        if pace.by_callback and not isinstance(error, OSError):
            # Its question may have left, and a message causes one at most. An order that the
            # journal has is asked for again by its watch; of any other, no watch waits for the end.
            log.warning("%s: a message was not confirmed: %s", event.account, mask(str(error)))
            return None
        level = logging.ERROR if isinstance(error, AuthenticationFailed) else logging.WARNING
        said = "%s: a message could not be confirmed yet: %s"
        log.log(level, said, event.account, mask(str(error)))
        return Unfinished(retry_seconds=DAY_SECONDS, known=known)

    async def _keep(self, event: Event) -> Unfinished | None:
        """Keep a message that no look-up confirms, before it is acknowledged.

        It may be about money, and is sent once.
        """
        try:
            await self._notifier.unconfirmed.take(event)
        except UsageError:
            return Unfinished(status=400, always=True)
        except TooManyUnconfirmed:
            return Unfinished(always=True)
        except OSError as error:
            log.warning("%s: a message could not be kept yet: %s", event.account, error)
            return Unfinished(retry_seconds=float("inf"))
        return None
