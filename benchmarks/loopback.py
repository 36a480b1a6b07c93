"""A fast server with fixed, correct answers, so that a benchmark measures only the client.

The providers have the same paths as in the simulator: `<url>/campay/api`, `<url>/mpesa`,
`<url>/cinetpay` and `<url>/paydunya/api/v1`; CinetPay's newer API is `<url>/cinetpay_v1`. A
benchmark runs the server in its own process:

    async with Loopback(latency_ms=20, tls=False, pending=0) as server:
        url = f"{server.url}/campay/api"
        Pool(CamPay(username="simulator", password="simulator", base_url=url))
        await server.counts()  # {"paths": {"POST /…/token/": 1, …}, "references": {"tx-1": 2, …}}
        await server.summary()  # the totals: see below
        await server.reset(latency_ms=0)  # clears the counts, and changes the named settings

From any other program: `python -m benchmarks.loopback [--latency MS] [--pending SECONDS] [--tls]`
prints one line of JSON (`url`, and with TLS `tls_url` and `ca`, the file of the certificate
authority) and serves until its input ends. Over HTTP, `GET <url>/loopback/counts`,
`GET …/summary` and `POST …/reset` do the same as the methods.

* Every request except a login needs credentials; otherwise the answer is 401. An unknown path gets
  404.
* A collect of our reference `order-1` gets the provider reference `tx-order-1` (CamPay), and a
  look-up of `tx-order-1` answers for `order-1`: a payment can be looked up without a collect.
  Daraja's ids are `ws_CO_1` and so on, CinetPay returns the transaction id, PayDunya its token. The
  amount is 500 unless a collect had another amount.
* A payment is pending until `pending` seconds after its first request, and then it has succeeded.
  The payment `tx-wait-2.5-x` is pending for 2.5 s, whatever `pending` is.
* `summary` has `requests`, `logins`, `asked` (number of references that were looked up), `looks`
  (number of look-ups), `most` (look-ups of the reference with the most look-ups) and
  `after_terminal` (look-ups of a payment after an answer with its end).
* `latency_ms` is the delay between the end of a request and its answer, in milliseconds.
"""

import argparse
import asyncio
import json
import ssl
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

ROOT = Path(__file__).parents[1]
TOKEN = (
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpYXQiOjE2MDM4MjQyODN9."
    "ufW8sCrf5KWVn4Fq6zri0l7pJLnkPXCZi1zc10"
)
LOGINS = ("/campay/api/token/", "/mpesa/oauth/v1/generate", "/cinetpay_v1/v1/oauth/login")
UNSIGNED = 401, {"detail": "Authentication credentials were not provided."}


class World:
    """The state of the server: the payments with their first request, and the request counts."""

    def __init__(self, clock: Callable[[], float], *, latency: float, pending: float) -> None:
        self._clock = clock
        self.latency, self.pending = latency, pending
        self.forget()

    def forget(self) -> None:
        """Clear the counts and the payments."""
        self.paths: Counter[str] = Counter()
        self.references: Counter[str] = Counter()
        self.amounts: dict[str, str] = {}
        self._heard: dict[str, float] = {}
        self._ended: set[str] = set()
        self._after = self._pushes = 0

    def summary(self) -> dict[str, int]:
        """Return the totals of the counts."""
        return {
            "requests": self.paths.total(),
            "logins": sum(
                count for path, count in self.paths.items() if path.partition(" ")[2] in LOGINS
            ),
            "asked": len(self.references),
            "looks": self.references.total(),
            "most": max(self.references.values(), default=0),
            "after_terminal": self._after,
        }

    def collected(self, reference: str, amount: object) -> str:
        """Record an order."""
        if self.pending:
            self._heard.setdefault(reference, self._clock())
        if str(amount) != "500":
            self.amounts[reference] = str(amount)
        return reference

    def ended(self, reference: str) -> bool:
        """Count a look-up, and return whether the payment has ended."""
        self.references[reference] += 1
        if reference in self._ended:
            self._after += 1
            return True
        wait = float(reference.split("-")[2]) if reference.startswith("tx-wait-") else self.pending
        over = not wait or self._clock() - self._heard.setdefault(reference, self._clock()) >= wait
        if over:
            self._ended.add(reference)
        return over

    def answer(self, method: str, target: str, head: bytes, body: bytes) -> tuple[int, Any]:
        """Return the answer to a request: the status, and the JSON document."""
        path, _, query = target.partition("?")
        if path.startswith("/loopback/"):
            return self._controlled(path, body)
        shown = "/campay/api/transaction/" if path.startswith("/campay/api/transaction/") else path
        self.paths[f"{method} {shown}"] += 1
        provider = path.split("/", 2)[1]
        answering = getattr(self, f"_{provider}", None)
        if answering is None:
            return 404, {"detail": "Not found."}
        found: tuple[int, Any] = answering(
            path, head, _fields(head, body) or dict(parse_qsl(query))
        )
        return found

    def _controlled(self, path: str, body: bytes) -> tuple[int, Any]:
        if path == "/loopback/counts":
            return 200, {"paths": self.paths, "references": self.references}
        if path == "/loopback/reset":
            changes = json.loads(body or b"{}")
            self.latency = changes.get("latency_ms", self.latency * 1000) / 1000
            self.pending = changes.get("pending", self.pending)
            self.forget()
        return 200, self.summary()

    def _campay(self, path: str, head: bytes, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/campay/api/token/":
            return 200, {"token": TOKEN, "expires_in": 3600}
        if b"\r\nauthorization: token " not in head:
            return UNSIGNED
        if path == "/campay/api/collect/":
            reference = self.collected(f"tx-{body['external_reference']}", body["amount"])
            return 200, {"reference": reference, "ussd_code": "*126#", "operator": "mtn"}
        reference = path.removeprefix("/campay/api/transaction/").rstrip("/")
        if reference == path.rstrip("/") or not reference:
            return 404, {"detail": "Not found."}
        return 200, {
            "reference": reference,
            "external_reference": reference.removeprefix("tx-"),
            "status": "SUCCESSFUL" if self.ended(reference) else "PENDING",
            "amount": int(self.amounts.get(reference, "500")),
            "currency": "XAF",
            "operator": "MTN",
            "code": "CP201027T00005",
            "operator_reference": "1880106956",
        }

    def _mpesa(self, path: str, head: bytes, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/mpesa/oauth/v1/generate":
            return (
                (200, {"access_token": TOKEN, "expires_in": "3599"})
                if b": basic " in head
                else UNSIGNED
            )
        if b"\r\nauthorization: bearer " not in head:
            return UNSIGNED
        if path == "/mpesa/mpesa/stkpush/v1/processrequest":
            self._pushes += 1
            return 200, {
                "MerchantRequestID": f"29115-34620561-{self._pushes}",
                "CheckoutRequestID": self.collected(f"ws_CO_{self._pushes}", body["Amount"]),
                "ResponseCode": "0",
                "ResponseDescription": "Success. Request accepted for processing",
                "CustomerMessage": "Success. Request accepted for processing",
            }
        if path != "/mpesa/mpesa/stkpushquery/v1/query":
            return 404, {"detail": "Not found."}
        over = self.ended(body["CheckoutRequestID"])
        return 200, {
            "ResponseCode": "0",
            "ResponseDescription": "The service request has been accepted successfully",
            "MerchantRequestID": "22205-34066-1",
            "CheckoutRequestID": body["CheckoutRequestID"],
            "ResultCode": "0" if over else "4999",
            "ResultDesc": "The service request is processed successfully."
            if over
            else "The transaction is still under processing",
        }

    def _cinetpay(self, path: str, head: bytes, body: dict[str, Any]) -> tuple[int, Any]:
        # PyPI's easyswitch sends `api_key`, which CinetPay itself would refuse.
        if not (body.get("apikey") or body.get("api_key")):
            return UNSIGNED
        reference = body["transaction_id"]
        if path == "/cinetpay/v2/payment":
            self.collected(reference, body["amount"])
            page = {
                "payment_token": "5f0a3b9c7e1d4286",
                "payment_url": "https://checkout.cinetpay.com/payment/5f0a3b9c7e1d4286",
            }
            return 200, {
                "code": "201",
                "message": "CREATED",
                "description": "Transaction created with success",
                "data": page,
                "api_response_id": "1663322990.1234",
            }
        if path != "/cinetpay/v2/payment/check":
            return 404, {"detail": "Not found."}
        over = self.ended(reference)
        return 200, {
            "code": "00" if over else "662",
            "message": "SUCCES" if over else "WAITING_CUSTOMER_PAYMENT",
            "data": {
                "amount": self.amounts.get(reference, "500"),
                "currency": "XOF",
                "status": "ACCEPTED" if over else "WAITING_FOR_CUSTOMER",
                "payment_method": "OM",
                "description": "Paiement abonnement",
                "metadata": None,
                "operator_id": "MP220915.2257.A76307",
                "payment_date": "2022-09-15 22:57:15",
                "fund_availability_date": "2022-09-17 00:00:00",
            },
            "api_response_id": "1663323067.7677",
        }

    def _cinetpay_v1(self, path: str, head: bytes, body: dict[str, Any]) -> tuple[int, Any]:
        # The newer API. Its source is the only client that uses it, PyPI's cinetpay-python.
        if path == "/cinetpay_v1/v1/oauth/login":
            return 200, {"code": 200, "status": "OK", "access_token": TOKEN, "token_type": "Bearer"}
        if b"\r\nauthorization: bearer " not in head:
            return UNSIGNED
        if path == "/cinetpay_v1/v1/payment":
            reference = self.collected(body["merchant_transaction_id"], body["amount"])
            return 200, {
                "code": 200,
                "status": "OK",
                "payment_token": reference,
                "notify_token": "5f0a3b9c7e1d4286",
                "transaction_id": "5f0a3b9c7e1d4286",
                "merchant_transaction_id": reference,
                "payment_url": "https://checkout.cinetpay.com/payment/5f0a3b9c7e1d4286",
                "details": {
                    "code": 2001,
                    "status": "INITIATED",
                    "message": "",
                    "must_be_redirected": True,
                },
            }
        reference = path.removeprefix("/cinetpay_v1/v1/payment/")
        over = self.ended(reference)
        return 200, {
            "code": 100 if over else 2002,
            "status": "SUCCESS" if over else "PENDING",
            "merchant_transaction_id": reference,
            "transaction_id": "5f0a3b9c7e1d4286",
            "user": {
                "name": "Awa Diop",
                "email": "awa@shop.example",
                "phone_number": "+2250700000000",
            },
        }

    def _paydunya(self, path: str, head: bytes, body: dict[str, Any]) -> tuple[int, Any]:
        if b"\r\npaydunya-token: " not in head:
            return UNSIGNED
        if path == "/paydunya/api/v1/checkout-invoice/create":
            self._pushes += 1
            token = self.collected(f"invoice{self._pushes}", body["invoice"]["total_amount"])
            page = f"https://app.paydunya.com/checkout/invoice/{token}"
            return 200, {
                "response_code": "00",
                "response_text": page,
                "description": "Checkout Invoice Created",
                "token": token,
            }
        token = path.removeprefix("/paydunya/api/v1/checkout-invoice/confirm/")
        if token == path:
            return 404, {"detail": "Not found."}
        invoice = {
            "token": token,
            "total_amount": self.amounts.get(token, "500"),
            "description": "Chaussure VANS",
        }
        return 200, {
            "response_code": "00",
            "response_text": "Transaction Found",
            "hash": "0" * 128,
            "invoice": invoice,
            "custom_data": {},
            "status": "completed" if self.ended(token) else "pending",
            "customer": {
                "name": "Alioune Faye",
                "phone": "+221774563209",
                "email": "aliounefaye@gmail.com",
            },
            "receipt_url": f"https://paydunya.com/checkout/receipt/pdf/{token}.pdf",
        }


def _fields(head: bytes, body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    if b"application/x-www-form-urlencoded" in head:
        return dict(parse_qsl(body.decode()))
    read: dict[str, Any] = json.loads(body)
    return read


class Door(asyncio.Protocol):
    """One connection: HTTP/1.1 with Content-Length, one request after the other."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop = asyncio.get_running_loop()
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that has arrived completely."""
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end]
            low = head.lower() + b"\r\n"
            _, found, length = low.partition(b"\r\ncontent-length:")
            whole = end + 4 + (int(length.partition(b"\r\n")[0]) if found else 0)
            if len(self._read) < whole:
                return
            body, self._read = self._read[end + 4 : whole], self._read[whole:]
            method, target, _ = head.partition(b"\r\n")[0].decode().split(" ")
            try:
                status, said = self._world.answer(method, target, low, body)
            except (KeyError, ValueError) as error:
                status, said = 400, {"detail": repr(error)}
            self._tell(status, json.dumps(said).encode())

    def _tell(self, status: int, body: bytes) -> None:
        answer = (
            b"HTTP/1.1 %d OK\r\nServer: nginx\r\nDate: Thu, 08 Jan 2026 10:00:00 GMT\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\n"
            b"Vary: Accept, Cookie\r\nX-Content-Type-Options: nosniff\r\n\r\n%b"
            % (status, len(body), body)
        )
        if self._world.latency:
            self._loop.call_later(self._world.latency, self._write, answer)
        else:
            self._write(answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


def certified(folder: Path) -> ssl.SSLContext:
    """Make a certificate for 127.0.0.1, and write its authority to `ca.pem`."""
    import trustme  # noqa: PLC0415 - only needed for TLS

    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


async def serve(arguments: argparse.Namespace) -> None:
    """Print the server's URLs, and serve until standard input ends."""
    loop = asyncio.get_running_loop()
    world = World(loop.time, latency=arguments.latency / 1000, pending=arguments.pending)
    plain = await loop.create_server(lambda: Door(world), "127.0.0.1", 0, backlog=4096)
    told = {"url": f"http://127.0.0.1:{plain.sockets[0].getsockname()[1]}"}
    with tempfile.TemporaryDirectory() as folder:
        if arguments.tls:
            context = certified(Path(folder))
            sealed = await loop.create_server(
                lambda: Door(world), "127.0.0.1", 0, ssl=context, backlog=4096
            )
            port = sealed.sockets[0].getsockname()[1]
            told |= {"tls_url": f"https://127.0.0.1:{port}", "ca": f"{folder}/ca.pem"}
        print(json.dumps(told), flush=True)
        await loop.run_in_executor(None, sys.stdin.read)


class Loopback:
    """The server in its own process.

    It has `url`, with TLS also `tls_url` and `ca`, and the request counts.
    """

    def __init__(self, *, latency_ms: float = 0, pending: float = 0, tls: bool = False) -> None:
        self._arguments = [
            "--latency",
            str(latency_ms),
            "--pending",
            str(pending),
            *(["--tls"] if tls else []),
        ]
        self._process: asyncio.subprocess.Process | None = None
        self.url = self.tls_url = self.ca = ""

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "benchmarks.loopback", *self._arguments),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        told = json.loads(await self._process.stdout.readline())
        self.url, self.tls_url, self.ca = told["url"], told.get("tls_url", ""), told.get("ca", "")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()

    async def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of requests by method and path, and of look-ups by reference."""
        told: dict[str, dict[str, int]] = await self._ask("GET", "counts", {})
        return told

    async def summary(self) -> dict[str, int]:
        """Return the totals of the counts."""
        told: dict[str, int] = await self._ask("GET", "summary", {})
        return told

    async def reset(self, **changes: float) -> None:
        """Clear the counts and payments.

        `latency_ms=` (milliseconds) and `pending=` (seconds) change these settings.
        """
        await self._ask("POST", "reset", changes)

    async def _ask(self, method: str, what: str, changes: dict[str, float]) -> Any:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(self.url.rpartition(":")[2])
        )
        body = json.dumps(changes)
        writer.write(
            (
                f"{method} /loopback/{what} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        told = json.loads(await reader.readexactly(length))
        writer.close()
        await writer.wait_closed()
        return told


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--latency", type=float, default=0, metavar="MS")
    parser.add_argument("--pending", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--tls", action="store_true")
    asyncio.run(serve(parser.parse_args()))
