"""PyPI campay 1.1.0, CamPay's own SDK, with another host."""

import sys

from campay.sdk import Client  # type: ignore[import-not-found]  # only its own environment has it

from .listening import listen

client = Client({"app_username": "simulator", "app_password": "simulator", "environment": "DEV"})
# there is no option for the host: this is the attribute that "DEV" and "PROD" set
client.host = sys.argv[1]

listen(
    "campay",
    client.collect,
    client.initCollect,
    client.get_transaction_status,
    client.disburse,
    client.get_balance,
    client.get_payment_link,
)
