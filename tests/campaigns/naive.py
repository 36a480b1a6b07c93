"""Naive payment clients, which take an exception for an outcome.

The campaign of bench_safety runs them to show what paymux prevents.
"""

import asyncio

import aiohttp
import msgspec

PAID, UNKNOWN = "254708374149", "254708374140"  # payees at M-Pesa, by the last digit


class Naive(msgspec.Struct, frozen=True, kw_only=True):
    """A client of one provider; at M-Pesa it pays out.

    `attempts` is how often it sends a request that did not succeed.
    """

    name: str
    account: str
    attempts: int

    async def pay_all(self, url: str, count: int) -> dict[str, bool]:
        """Make payments; return for each reference whether the client reports it as accepted."""
        timeout = aiohttp.ClientTimeout(total=20.0)
        scheme = "Bearer" if self.account == "mpesa" else "Token"
        headers = {"Authorization": f"{scheme} simulator"}
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
            references = [f"o-{number:06}" for number in range(count)]
            told = await asyncio.gather(
                *(self._pay(session, url, reference) for reference in references)
            )
        return dict(zip(references, told, strict=True))

    async def _pay(self, session: aiohttp.ClientSession, url: str, reference: str) -> bool:
        for attempt, named in enumerate(self.names(reference)):
            path, body = self._order(named)
            await asyncio.sleep(attempt)
            try:
                async with session.post(url + path, json=body) as response:
                    answer = await response.json()
                    if response.status < 300 and self._accepted(answer):
                        return True
            except (aiohttp.ClientError, ValueError, TimeoutError):
                continue
        return False

    def names(self, reference: str) -> list[str]:
        """Return the name under which each attempt is sent.

        Published clients of M-Pesa make a new OriginatorConversationID for each request.
        """
        if self.account == "mpesa":
            return [f"{reference}.{attempt}" for attempt in range(self.attempts)]
        return [reference] * self.attempts

    def _order(self, reference: str) -> tuple[str, dict[str, object]]:
        if self.account == "mpesa":
            # Every tenth payee is not registered, which only the result says.
            payee = UNKNOWN if reference.partition(".")[0].endswith("0") else PAID
            return "/mpesa/b2c/v3/paymentrequest", {
                "OriginatorConversationID": reference,
                "InitiatorName": "simulator",
                "SecurityCredential": "simulator",
                "CommandID": "BusinessPayment",
                "Amount": "500",
                "PartyA": "600992",
                "PartyB": payee,
                "Remarks": "Wage",
                "QueueTimeOutURL": "https://shop.example/pay",
                "ResultURL": "https://shop.example/pay",
                "Occassion": "",
            }
        if self.account == "cinetpay":
            return "/v2/payment", {
                "apikey": "simulator",
                "site_id": "123456",
                "transaction_id": reference,
                "amount": 500,
                "currency": "XOF",
                "description": "Order",
                "notify_url": "https://shop.example/pay",
                "return_url": "https://shop.example/back",
            }
        return "/api/collect/", {
            "amount": "500",
            "currency": "XAF",
            "from": "237670000000",
            "description": "Order",
            "external_reference": reference,
        }

    def _accepted(self, answer: object) -> bool:
        if not isinstance(answer, dict):
            return False
        if self.account == "mpesa":
            return answer.get("ResponseCode") == "0"
        return (
            answer.get("code") == "201"
            if self.account == "cinetpay"
            else bool(answer.get("reference"))
        )


CLIENTS = {
    client.name: client
    for client in (
        Naive(name="retries on anything", account="campay", attempts=4),
        Naive(name="never retries, calls an error a failure", account="campay", attempts=1),
        Naive(name="retries at a provider that deduplicates", account="cinetpay", attempts=4),
        Naive(name="pays out, retries with a new id", account="mpesa", attempts=4),
        Naive(name="pays out, trusts the acknowledgement", account="mpesa", attempts=1),
    )
}
