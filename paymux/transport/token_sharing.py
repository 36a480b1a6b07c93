"""Access tokens that the processes of one journal share: sealed, and with one login at a time.

A provider may honour only its newest token (M-Pesa). There, processes that log in on their own end
each other's tokens. Here one logs in, and the others find its token when they need one: at first,
before theirs ends, or when the provider refuses it. So between another process's login and its own
next request a process holds a dead token: that costs one refused request, and no login.
"""

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..drivers.base import Driver, Token
from ..models import log
from ..primitives.redaction import Secret
from ..primitives.sealing import Sealer
from .tokens import Landed, Login, life_of, logged_in, margin_of

if TYPE_CHECKING:
    from ..journal import Journal, SharedToken

RIGHT_SECONDS = 10.0  # seconds after which another process's right to log in has lapsed, at most
# Seconds that the journal has to answer, at most. It says itself that it cannot, and earlier; and
# where it is only slow, a login of one's own would end the token that the others use.
JOURNAL_SECONDS = 12.0
POLL_SECONDS = 0.1  # seconds between two looks for the token of another process's login
_PURPOSE = b"paymux: access tokens, 1"
_LOGIN_DIGITS = 4  # of a digest: enough to tell two logins apart, and too few to try passwords with


class _Account:
    """What this pool knows of the shared token of an account, or of one of its logins."""

    def __init__(self, driver: Driver, name: str, digest: str) -> None:
        self.name = driver.account
        self.digest = digest
        self.login = digest[:_LOGIN_DIGITS] + name
        self.generation = 0  # the newest that was seen
        self.text = ""  # the token in use
        self.shared = False  # whether it is the token of that generation
        self.warned = False

    def about(self, generation: int) -> bytes:
        """Return what a sealed token belongs to."""
        return msgspec.json.encode((self.name, self.digest, generation))


class _Offer(NamedTuple):
    """A token of our own for the others."""

    text: str
    life: float  # seconds
    left: float  # of them


class TokenSharing:
    """Shares the tokens of one pool; without the package `cryptography`, none."""

    def __init__(self, journal: "Journal", keys: tuple[Secret, ...], deadline: float) -> None:
        self._journal = journal
        self._keys = keys
        # Short enough for a login of one's own within the deadline.
        self._right_seconds = min(RIGHT_SECONDS, deadline / 3)
        self._journal_seconds = min(JOURNAL_SECONDS, deadline / 2)
        self._sealer: Sealer | None = None
        self._alone = False  # whether nothing can be sealed here
        self._accounts: dict[tuple[str, str], _Account] = {}

    async def obtain(self, driver: Driver, name: str, login: Login, refused: str | None) -> Landed:
        """Return the newest token of an account; log in if there is none that is newer than ours.

        `refused`: the token that the provider has refused. If the journal cannot be used, this is a
        login of our own, which is offered to the others when it can.
        """
        one, sealer = self._account(driver, name), self._opener()
        if one is None or sealer is None:
            return await logged_in(login)
        while True:
            try:
                found = await self._found_or_permitted(
                    one, sealer, refused=one.shared and one.text == refused
                )
            except OSError as error:
                log.info("%s: its token is not shared now: %s", one.name, error)
                return self._offered_later(one, sealer, driver, await logged_in(login))
            if isinstance(found, Landed):
                return found
            landed = await self._permitted_login(one, login, found)
            offer = _offer(driver, landed)
            if offer is None or await self._kept(one, sealer, offer, found):
                return landed
            # It was late: while this process was paused, another one has logged in.

    def _account(self, driver: Driver, name: str) -> _Account | None:
        one = self._accounts.get((driver.account, name))
        if one is None and (digest := driver.login_id(name)) is not None:
            one = self._accounts[driver.account, name] = _Account(driver, name, digest)
        return one

    def _opener(self) -> Sealer | None:
        if self._sealer is None and not self._alone:
            try:
                self._sealer = Sealer(self._keys, _PURPOSE)
            except ImportError:
                self._alone = True
                log.info("each process logs in on its own; paymux[shared] lets them share tokens")
        return self._sealer

    async def _found_or_permitted(
        self, one: _Account, sealer: Sealer, *, refused: bool
    ) -> Landed | int:
        """Return a newer token, or the generation of the login that we may make now.

        While another process logs in, wait. OSError: the journal cannot be used.
        """
        store = self._journal.tokens
        while True:
            try:
                async with asyncio.timeout(self._journal_seconds):
                    said = await store.ask(
                        one.name,
                        one.login,
                        one.generation,
                        refused=refused,
                        seconds=self._right_seconds,
                    )
            except TimeoutError:
                raise OSError("the journal is slow") from None
            refused = False  # it is dropped
            if said.generation > one.generation:
                one.generation = said.generation
                if (landed := _opened(one, sealer, said)) is not None:
                    return landed
            elif said.permitted:
                return said.permitted
            else:
                await asyncio.sleep(POLL_SECONDS)

    async def _permitted_login(self, one: _Account, login: Login, generation: int) -> Landed:
        token = None
        try:
            landed = await logged_in(login)
            token = landed.token
        finally:
            if token is None:  # it failed, was cancelled, or there is nothing to share
                self._journal.tokens.withdraw(one.name, one.login, generation)
        return landed

    async def _kept(self, one: _Account, sealer: Sealer, offer: _Offer, generation: int) -> bool:
        """Give a token to the others. False: a newer one has come meanwhile."""
        sealed = sealer.seal(offer.text, one.about(generation))
        one.generation = generation
        try:
            async with asyncio.timeout(self._journal_seconds):
                kept = await self._journal.tokens.offer(
                    one.name, one.login, generation, sealed, offer.life, offer.left
                )
        except OSError:  # or too late
            kept = True  # as far as is known: it is offered until the journal can be used
        if kept:
            one.text, one.shared = offer.text, True
        return kept

    def _offered_later(
        self, one: _Account, sealer: Sealer, driver: Driver, landed: Landed
    ) -> Landed:
        offer = _offer(driver, landed)
        if offer is not None:
            one.text, one.shared = offer.text, False
            seal = partial(_seal_if_used, one, sealer, offer.text)
            self._journal.tokens.offer_late(one.name, one.login, seal, offer.life, offer.left)
        return landed


def _offer(driver: Driver, landed: Landed) -> _Offer | None:
    """Return a token for the others; None: this account needs none."""
    if landed.token is None:
        return None
    life = life_of(driver, landed.token)
    left = life - (asyncio.get_running_loop().time() - landed.began)
    return _Offer(landed.token.secret.reveal(), life, left)


def _opened(one: _Account, sealer: Sealer, said: "SharedToken") -> Landed | None:
    """Return a shared token; None: it counts as absent."""
    text = sealer.open(said.sealed, one.about(said.generation))
    if text is None and not one.warned:
        one.warned = True
        log.warning(
            "%s: the token of another process cannot be opened: has each the same webhook_key, and "
            "the same credentials?",
            one.name,
        )
    if text is None or said.left <= margin_of(said.life):
        return None
    one.text, one.shared = text, True
    age = said.life - said.left
    began = asyncio.get_running_loop().time() - age
    return Landed(Token(Secret(text), said.life), began, time.time() - age, own=False)


def _seal_if_used(one: _Account, sealer: Sealer, text: str, generation: int) -> str | None:
    """Seal a token for the others, in the journal's thread, if it is still the one in use."""
    if one.text != text:
        return None
    one.generation, one.shared = generation, True
    return sealer.seal(text, one.about(generation))
