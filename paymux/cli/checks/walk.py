"""What the checks of one run share: a pool of the accounts that are whole, and what it saw."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from ...drivers.base import Driver
from ...errors import UsageError
from ...models import Balance
from ...pool import Pool
from .findings import Finding
from .setup import Setup
from .visits import Visit, visit

Ask: TypeAlias = Callable[["Walk", Driver], Awaitable[Finding | None]]

VERB_SECONDS = 7.0  # for one question to a provider


class Walk:
    """The pool of one run, without journal and callback URLs: nothing of either can break it."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._balances: dict[str, asyncio.Future[Balance]] = {}
        self._looks: asyncio.Future[list[Visit]] | None = None
        self.refused: UsageError | None = None  # why the pool's own connections cannot be made
        network: dict[str, Any] = {
            name: setup.options[name]
            for name in ("proxy", "tls", "local_address")
            if setup.options.get(name)
        }
        options: dict[str, Any] = {
            "deadline": VERB_SECONDS,
            "connect_timeout": 5.0,
            "attempts": 1,
        }
        drivers = setup.whole.values()
        try:
            self.pool = Pool(*drivers, **options, **network)
        except UsageError as error:
            self.refused = error
            self.pool = Pool(*drivers, **options)
        self._proxied = "proxy" in network and self.refused is None

    async def visits(self) -> list[Visit]:
        """Look at each host once, for all checks."""
        if self._looks is None:
            self._looks = asyncio.ensure_future(self._look())
        return await asyncio.shield(self._looks)

    async def _look(self) -> list[Visit]:
        connection = self.pool.internals.engine.transport.connection
        urls = {urlsplit(driver.url).netloc: driver.url for driver in self.setup.whole.values()}
        looks = [visit(url, connection, proxied=self._proxied) for url in urls.values()]
        return list(await asyncio.gather(*looks))

    async def each(self, ask: Ask) -> list[Finding]:
        """Ask about each account that is whole, all at once."""
        found = await asyncio.gather(*(ask(self, one) for one in self.setup.whole.values()))
        return [one for one in found if one is not None]

    async def balance(self, account: str) -> Balance:
        """Ask for a balance once, for all checks."""
        if account not in self._balances:
            self._balances[account] = asyncio.ensure_future(self.pool.balance(account))
        return await asyncio.shield(self._balances[account])

    async def aclose(self) -> None:
        """End what still asks, and close the pool."""
        asking: list[asyncio.Future[Any]] = [*self._balances.values()]
        if self._looks is not None:
            asking.append(self._looks)
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        await self.pool.aclose()
