"""Requests to a simulated provider as a client sends them, and waiting for their effects."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from paymux.http import PreparedRequest, Response
from paymux.simulator import Simulator

CAMPAY = {"authorization": "Token simulator"}
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def ask(
    sim: Simulator,
    method: str,
    path: str,
    body: Any = None,
    *,
    headers: dict[str, str] | None = None,
    form: bool = False,
) -> Response:
    """Send a request in process; the path begins with the provider's mount."""
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    return await sim.connection.exchange(
        PreparedRequest(
            method=method,
            url=f"{sim.url}{path}",
            headers={**(FORM if form else JSON), **(headers or {})},
            body=urlencode(body).encode() if form else content,
            money=False,
        )
    )


async def raw(
    sim: Simulator, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> bytes:
    """Send a request on the socket, and return every byte of the answer; a reset is an OSError."""
    url = urlsplit(sim.url)
    content = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {url.netloc}",
        f"Content-Length: {len(content)}",
        "Connection: close",
    ]
    given = {**JSON, **(headers or {})}
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        writer.write(
            "\r\n".join([*lines, *(f"{k}: {v}" for k, v in given.items()), "", ""]).encode()
            + content
        )
        return await reader.read()
    finally:
        writer.close()


def told(reply: Response) -> Any:
    """Return the JSON of an answer."""
    return json.loads(reply.body)


async def until(true: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


def collect(
    number: str = "237670000000", reference: str | None = "order-1", **fields: Any
) -> dict[str, Any]:
    """Return the body of a CamPay collection."""
    return {
        "amount": "500",
        "currency": "XAF",
        "from": number,
        "description": "Data bundle",
        "external_reference": reference,
        **fields,
    }


def password(timestamp: str = "20260102030405", passkey: str = "simulator") -> dict[str, str]:
    """Return the signed part of a Daraja request."""
    signed = base64.b64encode(f"174379{passkey}{timestamp}".encode()).decode()
    return {"BusinessShortCode": "174379", "Password": signed, "Timestamp": timestamp}


def push(number: str = "254712345678", reference: str = "order-1", **fields: Any) -> dict[str, Any]:
    """Return the body of an STK push."""
    return {
        **password(),
        "TransactionType": "CustomerPayBillOnline",
        "Amount": "250",
        "PartyA": number,
        "PartyB": "174379",
        "PhoneNumber": number,
        "CallBackURL": "https://shop.example/pay/7f3c",
        "AccountReference": reference,
        "TransactionDesc": "Bread",
        **fields,
    }


async def login(sim: Simulator) -> dict[str, str]:
    """Log in at Daraja, and return the header to use."""
    basic = base64.b64encode(b"simulator:simulator").decode()
    headers = {"authorization": f"Basic {basic}"}
    path = "/mpesa/oauth/v1/generate?grant_type=client_credentials"
    reply = await ask(sim, "GET", path, headers=headers)
    return {"authorization": f"Bearer {told(reply)['access_token']}"}
