"""Making the API user and key of a sandbox account; those of a live one come from MTN's portal.

MTN's own notebook, https://github.com/MoMoOpenAPI/MoMoOpenAPI_SandBox @d19708c.
"""

import re
import uuid
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...http import Send, post
from ...primitives import coerce
from ...values.parsing import Empty
from ..base import reveal
from .answers import ApiKey
from .people import checked_product
from .places import SANDBOX_TARGET

if TYPE_CHECKING:
    from . import MtnMomo

_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.ASCII)


async def provision(
    driver: "MtnMomo", send: Send, callback_host: str, product: str
) -> dict[str, str]:
    """Make an API user and its key in the sandbox, and return both; store them, MTN does not."""
    if driver.live or driver.target != SANDBOX_TARGET:
        raise UsageError.field("live", driver.live, "False: a live API user is made in the portal")
    host = coerce.text(callback_host) or ""
    if not _HOST.fullmatch(host):
        accepted = "the name of the host of webhook_base, as shop.example: no scheme, no address"
        raise UsageError.field("callback_host", callback_host, accepted)
    named = checked_product(driver, product)
    key = reveal(getattr(driver, f"{named}_key"))
    if not key:
        raise UsageError.missing(f"{named}_key", "the subscription key of the product")
    user = str(uuid.uuid4())
    headers = {"Ocp-Apim-Subscription-Key": key}
    made = post(
        "/v1_0/apiuser",
        Empty,
        {"providerCallbackHost": host},
        money=False,
        headers={**headers, "X-Reference-Id": user},
        accept=(409,),  # of a repeat, because this id is new: the user exists
    )
    await send(made)
    keyed = post(
        "/v1_0/apiuser/{user}/apikey",
        ApiKey,
        None,
        money=False,
        at={"user": user},
        headers=headers,
    )
    said = await send(keyed)
    return {f"{named}_user": user, f"{named}_api_key": said.api_key}
