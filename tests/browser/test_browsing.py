"""The fixture that all browser tests stand on: it sees what it is there to see."""

import pytest
from aiohttp import web
from playwright.async_api import Error

from .conftest import Audit, Browsing
from .serving import serving

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

PAGE = """<!doctype html><html lang="en"><title>t</title><h1>t</h1>
<img src="http://203.0.113.7/pixel.png" alt=""><script>undefined.x</script>"""


async def answer(request: web.BaseRequest) -> web.Response:
    """Serve a page that breaks its own policy, and one whose text cannot be read."""
    if request.path == "/pale":
        pale = '<!doctype html><html lang="en"><title>t</title><p style="color:#eee">pale'
        return web.Response(text=pale, content_type="text/html")
    policy = {"content-security-policy": "img-src *; script-src 'self'"}
    return web.Response(text=PAGE, content_type="text/html", headers=policy)


async def test_requests_that_leave_and_refusals_of_the_policy_are_complaints(
    browsing: Browsing,
) -> None:
    """A picture from another host and an inline script each fail a test."""
    async with serving(answer) as url:
        await browsing.tab(f"{url}/")
    assert "a request to http://203.0.113.7/pixel.png" in browsing.complaints
    assert any("Content Security Policy" in told for told in browsing.complaints)
    browsing.expected = ["203.0.113.7", "Content Security Policy", "net::"]


async def test_names_below_test_lead_here_and_no_other_name_anywhere(browsing: Browsing) -> None:
    """What a foreign name does to a server of this machine can be tried; the network cannot."""
    async with serving(answer) as url:
        port = url.rpartition(":")[2]
        tab = await browsing.tab(f"http://rebound.test:{port}/pale")
        assert await tab.text_content("p") == "pale"
        with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
            await tab.goto("http://example.org/")
    browsing.expected = ["http://example.org/"]


async def test_what_axe_finds_is_listed(browsing: Browsing, axe: Audit) -> None:
    """A text that is too pale is named with its place."""
    async with serving(answer) as url:
        tab = await browsing.tab(f"{url}/pale")
        assert [one for one in await axe(tab) if one.startswith("color-contrast")]
