"""A pool of each kind under the mock, and a resolver that finds nothing."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver
from aioresponses import aioresponses


@pytest.fixture
def mocked(paymux_aioresponses: aioresponses) -> aioresponses:
    """Return the mock of aiohttp, by the fixture of the plugin."""
    return paymux_aioresponses


@pytest.fixture(params=["session=", "fixture alone"])
async def session(request: pytest.FixtureRequest) -> AsyncIterator[aiohttp.ClientSession | None]:
    """Yield the session of a pool: a user's, or none, which the mock sees by the fixture."""
    if request.param == "fixture alone":
        yield None
        return
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(autouse=True)
def resolved(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Resolve no host name; a test that looks one up must take it off the list."""
    asked: list[str] = []

    class Nowhere(AbstractResolver):
        def __init__(self, *_: object, **__: object) -> None: ...

        async def resolve(self, host: str, *_: object, **__: object) -> Any:
            asked.append(host)
            raise OSError(f"{host} was looked up")

        async def close(self) -> None: ...

    monkeypatch.setattr("aiohttp.connector.DefaultResolver", Nowhere)
    yield asked
    assert asked == []
