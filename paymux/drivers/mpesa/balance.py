"""Account balance: the money of each account of the shortcode that pays out.

https://developer.safaricom.co.ke/apis/AccountBalance, as copied at
https://github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs @e875f3b).
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from ...http import Send
from ...models import Balance
from ...values.parsing import Unreadable, amount
from .results import question
from .status import answered
from .values import credentials

if TYPE_CHECKING:
    from . import Mpesa

BALANCE = "/mpesa/accountbalance/v1/query"
# The account that payouts leave and collects reach; a till has a merchant account instead.
_PAYING = ("Utility Account", "Merchant Account")


async def balance(driver: "Mpesa", send: Send) -> Balance:
    """Ask for the balances; what can be paid out is on the utility account."""
    name, credential = credentials(driver, "balance")
    body = {
        "Initiator": name,
        "SecurityCredential": credential,
        "CommandID": "AccountBalance",
        "PartyA": driver.b2c_shortcode or driver.shortcode,
        "IdentifierType": "4",
        "Remarks": "Balance",
        "QueueTimeOutURL": "",
        "ResultURL": "",
    }
    said = (await send(question(BALANCE, body))).result()
    accounts = _accounts(answered(driver, said).get("AccountBalance"))
    for paying in _PAYING:
        if paying in accounts:
            return Balance(currency="KES", available=accounts[paying], by_account=accounts)
    raise Unreadable("no balance of a utility account")


def _accounts(said: str | None) -> Mapping[str, Decimal]:
    """Read `name|KES|current|available|reserved|uncleared`, joined by `&`."""
    found = {}
    for row in (said or "").split("&"):
        fields = row.split("|")
        if len(fields) < 4 or fields[1] != "KES":
            continue
        available = amount(fields[3])
        if available is not None:
            found[fields[0].strip()] = available
    return found
