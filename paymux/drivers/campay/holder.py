"""`/holder_info/`: the name in which a mobile money account is registered.

From https://documenter.getpostman.com/view/2391374/T1LV8PVA ("Get holder info").
"""

from typing import TYPE_CHECKING

from ...http import Send, get
from ...values.parsing import ProviderData, Text, Unreadable

if TYPE_CHECKING:
    from . import CamPay

HOLDER = "/holder_info/"


class Holder(ProviderData, frozen=True):
    """The answer."""

    full_name: Text = None

    def names(self) -> bool:
        """Return whether there is a name."""
        if not self.full_name:
            raise Unreadable("the answer has no full_name")
        return True


async def holder(driver: "CamPay", send: Send, *, number: str) -> str:
    """Ask for the name of a number's owner, such as to show it before a payout.

    It is personal data: paymux neither logs nor keeps it.
    """
    asked = {"phone_number": driver.party("collect", number)}
    said = await send(get(HOLDER, Holder, query=asked, matches=Holder.names))
    return said.full_name or ""
