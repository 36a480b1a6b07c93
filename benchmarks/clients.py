"""Run one client in its own process, and measure its verify and collect.

Run by benchmarks/peers.py as `python benchmarks/clients.py NAME URL`, with the Python of the
client's own environment. Each line of JSON on stdin, `{"verb", "count", "at_once", "warm"}`, is
answered with one line on stdout: `{"cpu", "wall", "count"}`, in seconds of the measured calls
alone, or `{"error"}`. CPU is the time of the whole process with its threads; garbage collection is
on.

`hand` is careful code with aiohttp: one session, a timeout, a cached token, `post(json=)`,
`.json()`, and a check that the answer is for this request. `tuned` is the same with what makes
aiohttp faster: prebuilt URLs and headers, the raw body, a typed msgspec decoder, no cookie jar, no
limit on connections. `floor` is the minimum of a call over asyncio: no HTTP client, a request of
prepared bytes, a deadline, an answer of which only the Content-Length is read, and `json.loads` of
the standard library. A client without coroutines is called in threads by `asyncio.to_thread`, as
its users do, and directly if only one call is made at a time. Each order has another payer, as in
production, so that no client profits from a cached phone number.

With `"sample": true` the answer also has `modules`: the number of CPU samples in each Python
module.
"""

import asyncio
import contextlib
import gc
import importlib
import io
import itertools
import json
import signal
import ssl
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from types import FrameType
from typing import Any

EAT = timezone(timedelta(hours=3))
SHOP = "https://shop.example"
TICK = 0.001  # seconds of CPU from sample to sample; the kernel may have fewer ticks
STATUSES = {"SUCCESSFUL": "succeeded", "FAILED": "failed", "0": "succeeded", "1032": "cancelled"}


def load(name: str) -> Any:
    """Import a module that is only in the client's own environment."""
    return importlib.import_module(name)


def kenyan(number: int) -> str:
    """Return the phone number of an M-Pesa payer."""
    return f"25471{number % 10_000_000:07}"


def cameroonian(number: int) -> str:
    """Return the phone number of a CamPay payer."""
    return f"23767{number % 10_000_000:07}"


@dataclass(frozen=True, slots=True)
class Found:
    """The result of the hand-written clients."""

    reference: str
    status: str
    amount: int | None = None


class Sampler:
    """Counts the module that runs at each CPU sample: `with sampler: ...`.

    A sample is a tick of the kernel's clock (SIGPROF, 100 to 1,000 for each second of CPU). It does
    not slow calls down, as a tracing profiler does. C code counts for the module that calls it.
    Python handles a tick at the next call, return from C or iteration of a loop, so that the end of
    a function may count for the code after it.
    """

    def __init__(self) -> None:
        self.modules: Counter[str] = Counter()

    def __enter__(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, TICK, TICK)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _sample(self, _: int, frame: FrameType | None) -> None:
        self.modules[frame.f_globals.get("__name__", "") if frame else ""] += 1


class Client:
    """A client of one provider."""

    threaded = False  # whether its verbs are blocking functions

    def __init__(self, url: str) -> None:
        self.url = url

    async def open(self) -> None:
        """Open the client, in a running loop."""

    async def aclose(self) -> None:
        """Close the client."""


class Paymux(Client):
    """paymux, with the driver of a subclass."""

    async def open(self) -> None:
        """Make the pool."""
        paymux = load("paymux")
        self.Payment = paymux.Payment
        self.pool = paymux.Pool(
            self.driver(paymux),
            webhook_base=f"{SHOP}/pay",
            webhook_key="sixteen characters or more",
            journal=self.journal(),
            **self.options(),
        )

    async def aclose(self) -> None:
        """Close the pool."""
        await self.pool.aclose()

    def options(self) -> dict[str, Any]:
        """Give what an older commit's pool may not have."""
        return {}

    def journal(self) -> str | None:
        """Give the journal's path, if there is one."""
        return None

    def driver(self, paymux: Any) -> Any:
        """Return the driver."""
        raise NotImplementedError


class PaymuxCamPay(Paymux):
    """paymux with CamPay, whose look-up is a GET."""

    def driver(self, paymux: Any) -> Any:
        """Return the driver."""
        return paymux.CamPay(
            username="simulator", password="simulator", base_url=f"{self.url}/campay/api"
        )

    async def verify(self, number: int) -> None:
        """Verify a payment that the caller holds."""
        reference = f"order-{number}"
        held = self.Payment(
            account="campay",
            reference=reference,
            provider_reference=f"tx-{reference}",
            amount=500,
            currency="XAF",
        )
        found = await self.pool.verify(held)
        assert found.status == "succeeded"

    async def collect(self, number: int) -> None:
        """Collect one order."""
        await self.pool.collect(
            "campay",
            amount=500,
            currency="XAF",
            payer=cameroonian(number),
            reference=f"order-{number}",
            description="Data bundle",
        )


class PaymuxJournal(PaymuxCamPay):
    """paymux with CamPay and a journal."""

    async def aclose(self) -> None:
        """Close the pool, and remove its journal."""
        await super().aclose()
        self.folder.cleanup()

    def journal(self) -> str | None:
        """Return the journal's path."""
        self.folder = tempfile.TemporaryDirectory()
        return f"{self.folder.name}/payments.db"


class Nothing:
    """An observer that does nothing."""

    def begin(self, verb: object) -> None:
        """Take a verb."""

    def attempt(self, begun: None, attempt: object) -> None:
        """Take an attempt."""

    def end(self, begun: None, end: object) -> None:
        """Take an end."""


class PaymuxObserved(PaymuxCamPay):
    """CamPay, with an observer that does nothing."""

    def options(self) -> dict[str, Any]:
        """Give the observer."""
        return {"observers": [Nothing()]}


class Dropped:
    """An exporter that drops what it gets."""

    def export(self, spans: object) -> Any:
        """Drop spans."""
        return load("opentelemetry.sdk.trace.export").SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """End."""


class PaymuxTraced(PaymuxCamPay):
    """CamPay, with OpenTelemetry and its SDK; what it exports in batches is dropped."""

    def options(self) -> dict[str, Any]:
        """Give the observer."""
        metrics, tracing = load("opentelemetry.sdk.metrics"), load("opentelemetry.sdk.trace")
        memory = load("opentelemetry.sdk.metrics.export").InMemoryMetricReader()
        traces = tracing.TracerProvider()
        batches = load("opentelemetry.sdk.trace.export").BatchSpanProcessor(Dropped())
        traces.add_span_processor(batches)
        otel = load("paymux.otel")
        return {"observers": [otel.OpenTelemetry(traces, metrics.MeterProvider([memory]))]}


class PaymuxSession(PaymuxCamPay):
    """CamPay, over an aiohttp session of the caller."""

    async def aclose(self) -> None:
        """Close the pool, and the session."""
        await super().aclose()
        await self.session.close()

    def options(self) -> dict[str, Any]:
        """Give the session."""
        self.session = load("aiohttp").ClientSession()
        return {"session": self.session}


class PaymuxMpesa(Paymux):
    """paymux with M-Pesa, whose look-up is a POST."""

    def driver(self, paymux: Any) -> Any:
        """Return the driver."""
        keys = {"consumer_key": "simulator", "consumer_secret": "simulator", "passkey": "simulator"}
        return paymux.Mpesa(**keys, shortcode="174379", base_url=f"{self.url}/mpesa")

    async def verify(self, number: int) -> None:
        """Verify a payment that the caller holds."""
        held = self.Payment(
            account="mpesa",
            reference=f"order-{number}",
            provider_reference=f"ws_CO_{number}",
            amount=500,
            currency="KES",
        )
        found = await self.pool.verify(held)
        assert found.status == "succeeded"

    async def collect(self, number: int) -> None:
        """Collect one order."""
        await self.pool.collect(
            "mpesa", amount=500, currency="KES", payer=kenyan(number), reference=f"order-{number}"
        )


class PaymuxCinetPay(Paymux):
    """paymux with CinetPay, whose look-up is a POST."""

    def driver(self, paymux: Any) -> Any:
        """Return the driver."""
        return paymux.CinetPay(
            apikey="simulator", site_id="445160", base_url=f"{self.url}/cinetpay"
        )

    async def verify(self, number: int) -> None:
        """Verify a payment that the caller holds."""
        held = self.Payment(
            account="cinetpay", reference=f"order-{number}", amount=500, currency="XOF"
        )
        found = await self.pool.verify(held)
        assert found.status == "succeeded"

    async def collect(self, number: int) -> None:
        """Collect one order."""
        await self.pool.collect(
            "cinetpay",
            amount=500,
            currency="XOF",
            reference=f"order-{number}",
            description="Data bundle",
            return_url=f"{SHOP}/back",
        )


class PaymuxPayDunya(Paymux):
    """paymux with PayDunya, whose look-up is a GET."""

    def driver(self, paymux: Any) -> Any:
        """Return the driver."""
        keys = {"master_key": "simulator", "private_key": "simulator", "access_token": "simulator"}
        return paymux.PayDunya(**keys, store_name="Shop", base_url=f"{self.url}/paydunya")

    async def verify(self, number: int) -> None:
        """Verify a payment that the caller holds."""
        held = self.Payment(
            account="paydunya", provider_reference=f"token{number}", amount=500, currency="XOF"
        )
        found = await self.pool.verify(held)
        assert found.status == "succeeded"

    async def collect(self, number: int) -> None:
        """Collect one order."""
        await self.pool.collect("paydunya", amount=500, currency="XOF", reference=f"order-{number}")


class Hand(Client):
    """aiohttp by hand, with the token that both providers need."""

    token = ""
    until = 0.0
    login: tuple[str, str, dict[str, Any], str]

    async def open(self) -> None:
        """Open the session."""
        aiohttp = load("aiohttp")
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        self.lock = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the session."""
        await self.session.close()

    async def signed(self) -> dict[str, str]:
        """Return the headers of a request, with a valid token."""
        method, path, sent, word = self.login
        if time.monotonic() >= self.until:
            async with self.lock:
                if time.monotonic() >= self.until:
                    async with self.session.request(method, self.url + path, **sent) as response:
                        response.raise_for_status()
                        said = await response.json()
                    self.token = said.get("token") or said["access_token"]
                    self.until = time.monotonic() + int(said["expires_in"]) - 60
        return {"Authorization": f"{word} {self.token}"}


class HandCamPay(Hand):
    """CamPay by hand."""

    login = (
        "POST",
        "/campay/api/token/",
        {"json": {"username": "simulator", "password": "simulator"}},
        "Token",
    )

    async def verify(self, number: int) -> Found:
        """Look up one payment."""
        asked = f"tx-order-{number}"
        headers = await self.signed()
        async with self.session.get(
            f"{self.url}/campay/api/transaction/{asked}/", headers=headers
        ) as response:
            response.raise_for_status()
            said = await response.json()
        if said["reference"] != asked:
            raise ValueError(said)
        return Found(asked, STATUSES.get(said["status"], "pending"), int(said["amount"]))

    async def collect(self, number: int) -> Found:
        """Collect one order."""
        body = {
            "amount": "500",
            "currency": "XAF",
            "from": cameroonian(number),
            "description": "Data bundle",
            "external_reference": f"order-{number}",
        }
        headers = await self.signed()
        async with self.session.post(
            f"{self.url}/campay/api/collect/", json=body, headers=headers
        ) as response:
            response.raise_for_status()
            said = await response.json()
        return Found(said["reference"], "pending", 500)


def password() -> tuple[str, str]:
    """Return Daraja's Password and Timestamp."""
    stamp = datetime.now(EAT).strftime("%Y%m%d%H%M%S")
    return b64encode(f"174379simulator{stamp}".encode()).decode(), stamp


def query(asked: str) -> dict[str, str]:
    """Return the body of an STK query."""
    word, stamp = password()
    return {
        "BusinessShortCode": "174379",
        "Password": word,
        "Timestamp": stamp,
        "CheckoutRequestID": asked,
    }


def push(number: int) -> dict[str, str]:
    """Return the body of an STK push."""
    word, stamp = password()
    return {
        "BusinessShortCode": "174379",
        "Password": word,
        "Timestamp": stamp,
        "TransactionType": "CustomerPayBillOnline",
        "Amount": "500",
        "PartyA": kenyan(number),
        "PartyB": "174379",
        "PhoneNumber": kenyan(number),
        "CallBackURL": f"{SHOP}/pay/7d5c1cbb5f8f4b0e9d7a5d4f8c9e2b11/{number}",
        "AccountReference": f"order-{number}"[:12],
        "TransactionDesc": "Payment",
    }


class HandMpesa(Hand):
    """M-Pesa by hand."""

    login = (
        "GET",
        "/mpesa/oauth/v1/generate?grant_type=client_credentials",
        {"headers": {"Authorization": f"Basic {b64encode(b'simulator:simulator').decode()}"}},
        "Bearer",
    )

    async def _post(self, path: str, body: dict[str, str]) -> Any:
        headers = await self.signed()
        async with self.session.post(
            f"{self.url}/mpesa{path}", json=body, headers=headers
        ) as response:
            response.raise_for_status()
            return await response.json()

    async def verify(self, number: int) -> Found:
        """Look up one payment."""
        asked = f"ws_CO_{number}"
        said = await self._post("/mpesa/stkpushquery/v1/query", query(asked))
        if said["CheckoutRequestID"] != asked:
            raise ValueError(said)
        return Found(asked, STATUSES.get(said["ResultCode"], "pending"))

    async def collect(self, number: int) -> Found:
        """Collect one order."""
        said = await self._post("/mpesa/stkpush/v1/processrequest", push(number))
        if said["ResponseCode"] != "0":
            raise ValueError(said)
        return Found(said["CheckoutRequestID"], "pending", 500)


class Tuned(Hand):
    """aiohttp by hand, tuned: the module's docstring lists the differences from `Hand`."""

    async def open(self) -> None:
        """Open the session, and prepare the encoder and the decoder."""
        aiohttp, msgspec, yarl = load("aiohttp"), load("msgspec"), load("yarl")
        self.session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=30),
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        self.lock = asyncio.Lock()
        self.encode = msgspec.json.Encoder().encode
        self.URL = yarl.URL
        fields = [
            *(
                (name, str | None, None)
                for name in ("reference", "status", "ResponseCode", "CheckoutRequestID")
            ),
            ("ResultCode", str | None, None),
            ("amount", int | None, None),
        ]
        self.decode = msgspec.json.Decoder(msgspec.defstruct("Said", fields)).decode
        self.multidict = load("multidict").CIMultiDict
        self.headers: Any = {}

    async def ready(self) -> Any:
        """Return the prebuilt headers, which are rebuilt with each token."""
        if time.monotonic() >= self.until:
            self.headers = self.multidict(await self.signed())
            self.headers["Content-Type"] = "application/json"
        return self.headers


class TunedCamPay(Tuned):
    """CamPay, tuned."""

    login = HandCamPay.login

    async def verify(self, number: int) -> Found:
        """Look up one payment."""
        asked = f"tx-order-{number}"
        url = self.URL(f"{self.url}/campay/api/transaction/{asked}/", encoded=True)
        async with self.session.get(url, headers=await self.ready()) as response:
            response.raise_for_status()
            said = self.decode(await response.read())
        if said.reference != asked:
            raise ValueError(said)
        return Found(asked, STATUSES.get(said.status, "pending"), said.amount)

    async def collect(self, number: int) -> Found:
        """Collect one order."""
        body = {
            "amount": "500",
            "currency": "XAF",
            "from": cameroonian(number),
            "description": "Data bundle",
            "external_reference": f"order-{number}",
        }
        url = self.URL(f"{self.url}/campay/api/collect/", encoded=True)
        headers = await self.ready()
        async with self.session.post(url, data=self.encode(body), headers=headers) as response:
            response.raise_for_status()
            said = self.decode(await response.read())
        return Found(said.reference, "pending", 500)


class TunedMpesa(Tuned):
    """M-Pesa, tuned."""

    login = HandMpesa.login

    async def open(self) -> None:
        """Open the session, and prepare the URLs."""
        await super().open()
        self.query_url = self.URL(f"{self.url}/mpesa/mpesa/stkpushquery/v1/query", encoded=True)
        self.push_url = self.URL(f"{self.url}/mpesa/mpesa/stkpush/v1/processrequest", encoded=True)

    async def verify(self, number: int) -> Found:
        """Look up one payment."""
        asked, headers = f"ws_CO_{number}", await self.ready()
        async with self.session.post(
            self.query_url, data=self.encode(query(asked)), headers=headers
        ) as response:
            response.raise_for_status()
            said = self.decode(await response.read())
        if said.CheckoutRequestID != asked:
            raise ValueError(said)
        return Found(asked, STATUSES.get(said.ResultCode, "pending"))

    async def collect(self, number: int) -> Found:
        """Collect one order."""
        headers = await self.ready()
        async with self.session.post(
            self.push_url, data=self.encode(push(number)), headers=headers
        ) as response:
            response.raise_for_status()
            said = self.decode(await response.read())
        if said.ResponseCode != "0":
            raise ValueError(said)
        return Found(said.CheckoutRequestID, "pending", 500)


class Bytes(asyncio.Protocol):
    """A connection of `floor`, which reads an answer by its Content-Length."""

    received = b""
    answer: asyncio.Future[bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Set the result to the body, once the whole answer has arrived."""
        received = self.received = self.received + data
        head, _, body = received.partition(b"\r\n\r\n")
        _, _, length = head.partition(b"\r\nContent-Length: ")
        if not length or len(body) < int(length.partition(b"\r")[0]):
            return
        self.received = b""
        if head.startswith(b"HTTP/1.1 200 "):
            self.answer.set_result(body)
        else:
            self.answer.set_exception(ValueError(received))


class FloorCamPay(Client):
    """CamPay without an HTTP client: it writes prepared bytes, and reads the JSON of the answer."""

    async def open(self) -> None:
        """Log in, and prepare the requests."""
        self.loop = asyncio.get_running_loop()
        self.idle: list[Bytes] = []
        scheme, _, place = self.url.partition("://")
        self.host, _, self.port = place.partition(":")
        self.tls = ssl.create_default_context() if scheme == "https" else None
        lines = f"HTTP/1.1\r\nHost: {place}\r\nContent-Type: application/json\r\n"
        login = json.dumps({"username": "simulator", "password": "simulator"})
        asked = f"POST /campay/api/token/ {lines}Content-Length: {len(login)}\r\n\r\n{login}"
        lines += f"Authorization: Token {json.loads(await self.ask(asked.encode()))['token']}\r\n"
        order = {
            "amount": "500",
            "currency": "XAF",
            "from": "%b",
            "description": "Data bundle",
            "external_reference": "order-%d",
        }
        self.ordered = json.dumps(order).encode()
        self.looked = f"GET /campay/api/transaction/tx-order-%d/ {lines}\r\n".encode()
        self.pushed = f"POST /campay/api/collect/ {lines}Content-Length: %d\r\n\r\n%b".encode()

    async def aclose(self) -> None:
        """Close the connections."""
        for connection in self.idle:
            connection.transport.close()

    async def ask(self, request: bytes) -> bytes:
        """Send a request on a free connection, and return the body of its answer."""
        if self.idle:
            connection = self.idle.pop()
        else:
            _, connection = await self.loop.create_connection(
                Bytes, self.host, int(self.port), ssl=self.tls
            )
        connection.answer = self.loop.create_future()
        connection.transport.write(request)
        async with asyncio.timeout(30):
            body = await connection.answer
        self.idle.append(connection)
        return body

    async def verify(self, number: int) -> Any:
        """Look up one payment."""
        return json.loads(await self.ask(self.looked % number))

    async def collect(self, number: int) -> Any:
        """Collect one order."""
        body = self.ordered % (cameroonian(number).encode(), number)
        return json.loads(await self.ask(self.pushed % (len(body), body)))


class DarajaV3(Client):
    """daraja-v3: its async client over aiohttp."""

    async def open(self) -> None:
        """Make the client; an option sets the address."""
        client = load("mpesa.async_client").MpesaAsyncClient
        self.client = client(
            "simulator", "simulator", "174379", "simulator", base_url=f"{self.url}/mpesa"
        )

    async def aclose(self) -> None:
        """Close the client."""
        await self.client.aclose()

    async def verify(self, number: int) -> None:
        """Look up one payment."""
        found = await self.client.stk_query(f"ws_CO_{number}")
        assert found.is_paid

    async def collect(self, number: int) -> None:
        """Collect one order."""
        await self.client.stk_push(
            kenyan(number), 500, f"order-{number}"[:12], callback_url=f"{SHOP}/pay"
        )


class DarajaSdk(Client):
    """daraja-sdk-py: its async client over httpx."""

    async def open(self) -> None:
        """Make the client; the address is a global of its module."""
        load("daraja.environment").SANDBOX_BASE_URL = f"{self.url}/mpesa"
        config = {
            "consumer_key": "simulator",
            "consumer_secret": "simulator",
            "passkey": "simulator",
        }
        self.client = load("daraja.client.async_client").AsyncMpesa(config)

    async def aclose(self) -> None:
        """Close the client."""
        await self.client._client.aclose()

    async def verify(self, number: int) -> None:
        """Look up one payment."""
        asked = {"BusinessShortCode": "174379", "CheckoutRequestID": f"ws_CO_{number}"}
        found = await self.client.stk_query(asked)
        assert found.ResultCode == "0"

    async def collect(self, number: int) -> None:
        """Collect one order."""
        order = {
            **push(number),
            "Password": "",
            "Timestamp": "",
            "BusinessShortCode": 174379,
            "Amount": 500,
        }
        await self.client.stk_push(order)


class Noriapay(Client):
    """noriapay: its async client over httpx; the caller computes the password."""

    async def open(self) -> None:
        """Make the client; an option sets the address."""
        client = load("noriapay").AsyncMpesaClient
        self.client = client(
            consumer_key="simulator", consumer_secret="simulator", base_url=f"{self.url}/mpesa"
        )

    async def aclose(self) -> None:
        """Close the client."""
        await self.client._client.aclose()

    async def verify(self, number: int) -> None:
        """Look up one payment."""
        found = await self.client.stk_push_query(query(f"ws_CO_{number}"))
        assert found["ResultCode"] == "0"

    async def collect(self, number: int) -> None:
        """Collect one order."""
        await self.client.stk_push(push(number))


class Mpesakit(Client):
    """mpesakit: its async client over httpx."""

    async def open(self) -> None:
        """Make the client; the method that chooses its address is replaced."""
        http = load("mpesakit.http_client").MpesaAsyncHttpClient
        http._resolve_base_url = lambda *_: f"{self.url}/mpesa"
        self.client = load("mpesakit").AsyncMpesaClient("simulator", "simulator")

    async def aclose(self) -> None:
        """Close the client."""
        await self.client.http_client.aclose()

    async def verify(self, number: int) -> None:
        """Look up one payment."""
        found = await self.client.stk_query(
            business_short_code=174379, checkout_request_id=f"ws_CO_{number}", passkey="simulator"
        )
        assert str(found.ResultCode) == "0"

    async def collect(self, number: int) -> None:
        """Collect one order."""
        await self.client.stk_push(
            business_short_code=174379,
            transaction_type="CustomerPayBillOnline",
            amount=500,
            party_a=kenyan(number),
            party_b="174379",
            phone_number=kenyan(number),
            callback_url=f"{SHOP}/pay",
            account_reference=f"order-{number}"[:12],
            transaction_desc="Payment",
            passkey="simulator",
        )


class CinetPayPython(Client):
    """cinetpay-python: its async client over httpx, for CinetPay's newer API."""

    async def open(self) -> None:
        """Make the client; an option sets the address."""
        cinetpay = load("cinetpay")
        self.request = cinetpay.PaymentRequest
        keys = cinetpay.CountryCredentials(api_key="sk_test_simulator", api_password="simulator")
        config = cinetpay.ClientConfig(credentials={"CI": keys}, base_url=f"{self.url}/cinetpay_v1")
        self.client = cinetpay.AsyncCinetPayClient(config)

    async def aclose(self) -> None:
        """Close the client."""
        await self.client.close()

    async def verify(self, number: int) -> None:
        """Look up one payment."""
        found = await self.client.payment.get_status(f"order-{number}", "CI")
        assert found.status == "SUCCESS"

    async def collect(self, number: int) -> None:
        """Collect one order."""
        order = self.request(
            currency="XOF",
            merchant_transaction_id=f"order-{number}",
            amount=500,
            lang="fr",
            designation="Data bundle",
            client_email="awa@shop.example",
            client_first_name="Awa",
            client_last_name="Diop",
            success_url=f"{SHOP}/back",
            failed_url=f"{SHOP}/back",
            notify_url=f"{SHOP}/pay",
            channel="PUSH",
        )
        await self.client.payment.initialize(order, "CI")


class Easyswitch(Client):
    """easyswitch: its CinetPay adapter over aiohttp, with a session for every call."""

    async def open(self) -> None:
        """Make the adapter; the address is an attribute of its class."""
        types, conf = load("easyswitch.types"), load("easyswitch.conf")
        adapter = load("easyswitch.integrators.cinetpay").CinetpayAdapter
        adapter.SANDBOX_URL = adapter.PRODUCTION_URL = f"{self.url}/cinetpay"
        extra = {"site_id": "445160", "secret": "simulator"}
        config = conf.ProviderConfig(api_key="simulator", extra=extra, callback_url=f"{SHOP}/pay")
        self.adapter = adapter(config, {"debug_mode": False})
        self.types = types

    async def verify(self, number: int) -> None:
        """Look up one payment."""
        found = await self.adapter.check_status(f"order-{number}")
        assert found.amount == "500"

    async def collect(self, number: int) -> None:
        """Collect one order."""
        types = self.types
        order = types.TransactionDetail(
            transaction_id=f"order-{number}",
            provider=types.Provider.CINETPAY,
            amount=500.0,
            currency=types.Currency.XOF,
            customer=types.CustomerInfo(
                phone_number="+2250700000000", first_name="Awa", last_name="Diop"
            ),
            reference=f"order-{number}",
            reason="Data bundle",
        )
        await self.adapter.send_payment(order)


class PayDunyaSdk(Client):
    """paydunya: PayDunya's own SDK over requests, in threads."""

    threaded = True

    async def open(self) -> None:
        """Prepare the SDK; the address is a global of the module."""
        self.sdk = load("paydunya")
        self.sdk.LIVE_ENDPOINT = f"{self.url}/paydunya/api/v1/"
        names = ("PAYDUNYA-MASTER-KEY", "PAYDUNYA-PRIVATE-KEY", "PAYDUNYA-TOKEN")
        self.sdk.api_keys = dict.fromkeys(names, "simulator")
        self.store = self.sdk.Store(name="Shop")

    def verify(self, number: int) -> None:
        """Look up one payment."""
        done, found = self.sdk.Invoice().confirm(f"token{number}")
        assert done is True
        assert found["status"] == "completed"

    def collect(self, number: int) -> None:
        """Collect one order."""
        invoice = self.sdk.Invoice(self.store)
        invoice.total_amount = 500
        invoice.description = f"order-{number}"
        done, _ = invoice.create()
        assert done is True


class CamPaySdk(Client):
    """campay: CamPay's own SDK over requests, in threads; each call logs in."""

    threaded = True

    async def open(self) -> None:
        """Make the client; the address is an attribute."""
        keys = {"app_username": "simulator", "app_password": "simulator", "environment": "PROD"}
        self.client = load("campay.sdk").Client(keys)
        self.client.host = f"{self.url}/campay"

    def verify(self, number: int) -> None:
        """Look up one payment."""
        found = self.client.get_transaction_status({"reference": f"tx-order-{number}"})
        assert found["status"] == "SUCCESSFUL"

    def collect(self, number: int) -> None:
        """Collect, without the SDK's own polling."""
        order = {
            "amount": "500",
            "currency": "XAF",
            "from": cameroonian(number),
            "description": "Data bundle",
        }
        found = self.client.initCollect({**order, "external_reference": f"order-{number}"})
        assert found["reference"] == f"tx-order-{number}"


CLIENTS: dict[str, type[Client]] = {
    "paymux/campay": PaymuxCamPay,
    "hand/campay": HandCamPay,
    "tuned/campay": TunedCamPay,
    "floor/campay": FloorCamPay,
    "paymux/journal": PaymuxJournal,
    "paymux/observed": PaymuxObserved,
    "paymux/otel": PaymuxTraced,
    "paymux/session": PaymuxSession,
    "paymux/mpesa": PaymuxMpesa,
    "hand/mpesa": HandMpesa,
    "tuned/mpesa": TunedMpesa,
    "paymux/cinetpay": PaymuxCinetPay,
    "paymux/paydunya": PaymuxPayDunya,
    "daraja-v3": DarajaV3,
    "daraja-sdk-py": DarajaSdk,
    "noriapay": Noriapay,
    "mpesakit": Mpesakit,
    "cinetpay-python": CinetPayPython,
    "easyswitch": Easyswitch,
    "paydunya": PayDunyaSdk,
    "campay": CamPaySdk,
}


async def calls(
    call: Callable[[int], Any], numbers: list[int], at_once: int, *, threaded: bool
) -> None:
    """Make these calls, `at_once` of them concurrently.

    `at_once` tasks share the calls, and each task makes one call after the other.
    """
    left = iter(numbers)

    async def work() -> None:
        for number in left:
            if not threaded:
                await call(number)
            elif at_once == 1:
                call(number)
            else:
                await asyncio.to_thread(call, number)

    await asyncio.gather(*(work() for _ in range(at_once)))


async def serve(client: Client, answer: Callable[[Any], None]) -> None:
    """Measure the calls that each line of stdin names."""
    loop = asyncio.get_running_loop()
    await client.open()
    answer({"ready": True})
    fresh = itertools.count(1)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        call, at_once, threaded = getattr(client, asked["verb"]), asked["at_once"], client.threaded
        numbers = list(itertools.islice(fresh, asked["warm"] + asked["count"]))
        try:
            await calls(call, numbers[: asked["warm"]], at_once, threaded=threaded)
            gc.collect()
            sampler = Sampler()
            with sampler if asked.get("sample") else contextlib.nullcontext():
                cpu, wall = time.process_time(), time.perf_counter()
                await calls(call, numbers[asked["warm"] :], at_once, threaded=threaded)
                taken = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        except Exception as error:  # noqa: BLE001 - any exception of another client is its result
            answer({"error": f"{type(error).__name__}: {error}"[:300]})
        else:
            answer({**taken, "count": asked["count"], "modules": sampler.modules})
    await client.aclose()


def main(name: str, url: str) -> None:
    """Run the process of one client; the client's own output is discarded."""
    answers = sys.stdout

    def answer(said: Any) -> None:
        answers.write(f"{json.dumps(said)}\n")
        answers.flush()

    with contextlib.redirect_stdout(Nowhere()):
        asyncio.run(serve(CLIENTS[name](url), answer))


class Nowhere(io.TextIOBase):
    """A file that discards its text."""

    def write(self, text: str) -> int:
        """Discard the text."""
        return len(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
