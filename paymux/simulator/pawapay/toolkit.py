"""Configuration, availability, prediction, wallets and statements.

https://docs.pawapay.io/v2/api-reference/toolkit and /finances.
"""

import csv
import io
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ...http import Response, WebhookRequest
from ...models import Status
from ...primitives.clock import wall_time
from ..messages import Message
from ..replies import json_reply, query
from .messages import failure, moment, refused, word
from .operators import OPERATORS, Operator, predicted

if TYPE_CHECKING:
    from . import PawaPay

_OPERATIONS = ("DEPOSIT", "PAYOUT", "REFUND")
_LONGEST = timedelta(days=31)


class Toolkit:
    """What an account can look up; a test may change each attribute."""

    def __init__(self, pawapay: "PawaPay") -> None:
        self._pawapay = pawapay
        # The guides show an object of operations, and the API's page a list of objects.
        self.operations_as_list = False
        self._statements: dict[str, dict[str, Any]] = {}

    def active_conf(self, incoming: WebhookRequest) -> Response:
        """Answer with the operators, their limits and their state."""
        pawapay, asked = self._pawapay, query(incoming)
        return json_reply(
            {
                "companyName": pawapay.company,
                "signatureConfiguration": {
                    "signedRequestsOnly": pawapay.signed_requests_only,
                    "signedCallbacks": pawapay.signed_callbacks,
                },
                "countries": [
                    {
                        "country": country,
                        "prefix": listed[0].prefix,
                        "displayName": {"en": country, "fr": country},
                        "providers": [self._provider(one, asked) for one in listed],
                    }
                    for country, listed in _by_country(asked.get("country")).items()
                ],
            }
        )

    def _provider(self, operator: Operator, asked: Mapping[str, str]) -> dict[str, Any]:
        types = {
            name: self._type(operator, name)
            for name in _OPERATIONS
            if asked.get("operationType", name) == name
        }
        told = [{name: one} for name, one in types.items()] if self.operations_as_list else types
        return {
            "provider": operator.code,
            "displayName": operator.code.split("_")[0],
            "nameDisplayedToCustomer": self._pawapay.company,
            "currencies": [
                {"currency": money, "displayName": money, "operationTypes": told}
                for money in operator.currencies
            ],
        }

    def _type(self, operator: Operator, name: str) -> dict[str, Any]:
        low, high = self._pawapay.bounds
        told: dict[str, Any] = {
            "minAmount": str(low),
            "maxAmount": str(high),
            "decimalsInAmount": "TWO_PLACES" if operator.decimals else "NONE",
            "status": self._state(operator),
            "callbackUrl": self._pawapay.webhook_url,
        }
        return {"authType": operator.auth, **told} if name == "DEPOSIT" else told

    def _state(self, operator: Operator) -> str:
        if operator.code in self._pawapay.closed:
            return "CLOSED"
        return "DELAYED" if operator.code in self._pawapay.delayed else "OPERATIONAL"

    def availability(self, incoming: WebhookRequest) -> Response:
        """Answer with the state of each operator; it needs no token."""
        return json_reply(
            [
                {
                    "country": country,
                    "providers": [
                        {
                            "provider": one.code,
                            "operationTypes": [
                                {"operationType": name, "status": self._state(one)}
                                for name in _OPERATIONS
                            ],
                        }
                        for one in listed
                    ],
                }
                for country, listed in _by_country(query(incoming).get("country")).items()
            ]
        )

    def predict(self, body: Mapping[str, Any]) -> Response:
        """Answer with the operator of a number, which may be written in any way."""
        number = re.sub(r"[^0-9]", "", str(body.get("phoneNumber", ""))).lstrip("0")
        found = predicted(number)
        if found is None or not 8 <= len(number) <= 15:
            return json_reply(failure("INVALID_PARAMETER", "No provider has such numbers."), 400)
        said = {"country": found.country, "provider": found.code, "phoneNumber": number}
        return json_reply(said)

    def wallets(self, asked: str | None) -> Response:
        """Answer with the money in each wallet, or in those of a country."""
        names = {name: tuple(name.split("/")) for name in self._pawapay.wallets}
        return json_reply(
            {
                "balances": [
                    {
                        "country": country,
                        "balance": f"{self._pawapay.wallets[name]:.2f}",
                        "currency": currency,
                        "provider": "",
                    }
                    for name, (country, currency) in names.items()
                    if asked in (None, country)
                ]
            }
        )

    def request_statement(self, body: Mapping[str, Any]) -> Response:
        """Make a statement, and tell the request's own address when it is ready."""
        wallet = body.get("wallet")
        wallet = wallet if isinstance(wallet, dict) else {}
        name = f"{wallet.get('country')}/{wallet.get('currency')}"
        if name not in self._pawapay.wallets:
            raise refused("WALLET_NOT_FOUND", "There is no such wallet.", status=400)
        try:
            since, until = (
                datetime.fromisoformat(str(body.get(field))) for field in ("startDate", "endDate")
            )
        except ValueError:
            raise refused(
                "INVALID_PARAMETER", "startDate and endDate are times.", status=400
            ) from None
        if not timedelta(0) < until - since <= _LONGEST:
            raise refused("INVALID_DATE_RANGE", "At most 31 days.", status=400)
        id, now = self._pawapay.uuid(), moment(wall_time())
        self._statements[id] = {
            "statementId": id,
            "status": "COMPLETED",
            "wallet": wallet,
            "created": now,
            "startDate": body["startDate"],
            "endDate": body["endDate"],
            "downloadUrl": f"{self._pawapay.url}/statements/{id}.csv",
            "completedAt": now,
        }
        if url := body.get("callbackUrl"):
            told = Message.json(str(url), self._statements[id])
            self._pawapay.core.send(self._pawapay.name, told)
        return json_reply({"statementId": id, "status": "ACCEPTED", "created": now})

    def statement(self, id: str) -> Response:
        """Answer with a statement and its address."""
        found = self._statements.get(id)
        return json_reply({"status": "FOUND", "data": found} if found else {"status": "NOT_FOUND"})

    def download(self, name: str) -> Response:
        """Serve a statement's file: the columns of the builders' list, of all that moved."""
        id = name.removesuffix(".csv")
        if id not in self._statements:
            return Response(status=404)
        wallet = self._statements[id]["wallet"]
        file = io.StringIO()
        rows = csv.writer(file)
        rows.writerow(["Transaction ID", "Transaction Type", "Status", "Currency", "Amount"])
        for entry in self._pawapay.entries():
            of_wallet = entry.words["wallet"] == f"{wallet['country']}/{wallet['currency']}"
            if entry.status is Status.SUCCEEDED and of_wallet:
                rows.writerow(
                    [
                        entry.provider_reference,
                        entry.kind,
                        word(entry),
                        entry.currency,
                        entry.amount,
                    ]
                )
        return Response(
            status=200, headers={"content-type": "text/csv"}, body=file.getvalue().encode()
        )


def _by_country(country: str | None) -> dict[str, list[Operator]]:
    found: dict[str, list[Operator]] = {}
    for one in OPERATORS.values():
        if country in (None, one.country):
            found.setdefault(one.country, []).append(one)
    return found
