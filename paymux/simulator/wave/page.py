"""The page that `wave_launch_url` opens: one wallet, and the way to success_url or error_url."""

from typing import TYPE_CHECKING

from ..checkout import Back, Checkout, Operator
from ..ledger import Entry

if TYPE_CHECKING:
    from . import Wave

# Countries of the XOF in which Wave has wallets; the page lists none.
_COUNTRIES = {"221": "SN", "225": "CI", "223": "ML", "226": "BF"}


def checkout(wave: "Wave", entry: Entry) -> Checkout:
    """Return the page of a session; a session for one payer takes no other number."""
    words = entry.words
    country = _COUNTRIES.get(wave.calling_code, "SN")
    return Checkout(
        shop=wave.business,
        description="",
        operators=(Operator("wave", "Wave", country, word=""),),
        addresses=[words["success_url"], words["error_url"]],
        back=lambda: Back(words["success_url" if entry.moved else "error_url"]),
        life=wave.page_life,
        locked=words["restricted"],
        retries=True,
    )
