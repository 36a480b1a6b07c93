"""The statements of the five source documents, each with the tests that prove it.

`@pytest.mark.proves("campay: POST /token/")` on a test names the driver and the start of a line, so
that the test may be renamed.

`python -m tests.test_seeds` prints the table as Markdown.
"""

import ast
import asyncio
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from paymux import BadWebhook, Pool, Status, WebhookRequest
from paymux.simulator import Simulator

from .test_contract import PROVES
from .toys import BASE, KEY, timeless

TESTS = Path(__file__).parent


class Line(NamedTuple):
    """One statement of a document, and its kind."""

    kind: str
    text: str


class Document(NamedTuple):
    """One document: its title, its driver, and its lines."""

    title: str
    driver: str
    lines: tuple[Line, ...]


CAMPAY = Document(
    "CamPay API Documentation (a summary in French)",
    "campay",
    (
        Line("endpoint", "base URL https://campay.net/api/"),
        Line("endpoint", "POST /token/: log in"),
        Line("field", "/token/ username: the API key; password: the API secret"),
        Line("answer", "/token/ token, without a lifetime"),
        Line("field", "header Authorization: Token <ACCESS_TOKEN>"),
        Line("field", "header Content-Type: application/json"),
        Line("endpoint", "GET /balance/: the balance"),
        Line("answer", "/balance/ available_balance (text) and currency XAF"),
        Line("endpoint", "POST /collect/: mobile money in"),
        Line("field", "/collect/ amount as text, currency XAF, from as +2376XXXXXXX, description"),
        Line("answer", "/collect/ reference, and status PENDING"),
        Line("endpoint", "POST /disburse/: money out"),
        Line("field", "/disburse/ amount as text, currency, to as +2376YYYYYYY, description"),
        Line("answer", "/disburse/ reference, and status PENDING"),
        Line("endpoint", "POST /transaction/: the status of a transaction"),
        Line("field", "/transaction/ reference"),
        Line("answer", "/transaction/ reference, status, amount (text), currency"),
        Line(
            "callback",
            "notifications come to a callback_url; no request of the document has a field for it",
        ),
        Line(
            "callback",
            "reference, status, amount, currency, customer (+2376XXXXXXX), without a signature",
        ),
        Line("advice", "always check the signature before crediting"),
        Line("advice", "always check the status before crediting"),
        Line("word", "PENDING: waiting"),
        Line("word", "SUCCESS: succeeded"),
        Line("word", "FAILED: failed"),
        Line("word", "CANCELLED: cancelled"),
        Line("advice", "refresh the token periodically"),
        Line("advice", "use HTTPS for the callback"),
        Line("advice", "log all requests and answers"),
        Line("advice", "implement retries on the server's side"),
    ),
)

CINETPAY = Document(
    "CinetPay: integration of the Checkout API, 2021-08-02",
    "cinetpay",
    (
        Line(
            "endpoint",
            "POST https://api-checkout.cinetpay.com/v2/payment: a link to the payment page",
        ),
        Line("field", "header Content-Type: application/json"),
        Line("field", "/v2/payment apikey and site_id, in the body"),
        Line("field", "/v2/payment transaction_id: ours, and unique"),
        Line("field", "/v2/payment amount: int"),
        Line(
            "field",
            '/v2/payment amount as text ("2500") in the curl example: whole units all the same',
        ),
        Line("field", "/v2/payment currency and description"),
        Line("field", '/v2/payment customer_name "le nom" and customer_surname "le prénom"'),
        Line("field", "/v2/payment notify_url: where to notify"),
        Line("field", "/v2/payment return_url: where the browser goes after the payment"),
        Line("field", "currency XOF"),
        Line("field", "currency XAF"),
        Line("field", "currency CDF"),
        Line("field", "currency GBF, of Guinea (GNF in ISO 4217)"),
        Line(
            "field",
            "countries: Burkina Faso, Ivory Coast, Mali, Togo, Senegal, Cameroon, DR Congo, Guinea",
        ),
        Line("code", "an identifier sent before is answered with an error"),
        Line("answer", '/v2/payment code "201", message CREATED'),
        Line("answer", "/v2/payment description, data"),
        Line("answer", "/v2/payment data.payment_token and data.payment_url"),
        Line("answer", "/v2/payment api_response_id"),
        Line("code", "an error has code, message, description and api_response_id, and no data"),
        Line("advice", "always store payment_token"),
        Line("callback", "POST to notify_url, as JSON: the payment has changed its status"),
        Line("callback", "cpm_trans_id"),
        Line("callback", "cpm_site_id: our own"),
        Line(
            "callback",
            (
                "the document's example has the two values the wrong way round: another "
                "account's, so refused"
            ),
        ),
        Line("advice", "a notification never tells the status: ask /v2/payment/check"),
        Line(
            "advice",
            (
                "do nothing twice: a payment already succeeded stays so "
                "(checkIfPaymentIsAlreadySuccess)"
            ),
        ),
        Line(
            "advice",
            (
                "after SUCCESS deliver, after PAYMENT_FAILED cancel the order, else nothing "
                "(postPaymentProcessing)"
            ),
        ),
        Line("endpoint", "POST https://api-checkout.cinetpay.com/v2/payment/check: the status"),
        Line("field", "/v2/payment/check apikey, site_id, transaction_id"),
        Line("field", "/v2/payment/check payment_token: one of the two ids is enough"),
        Line("advice", "the Python example sends a form under a JSON header: ours is JSON"),
        Line("answer", "/v2/payment/check code, message, api_response_id, data"),
        Line("answer", "/v2/payment/check operator_id, payment_method"),
        Line("answer", "/v2/payment/check payment_date"),
        Line("answer", "/v2/payment/check phone_prefix and phone_number"),
        Line("code", "00: succeeded"),
        Line("code", "600: failed"),
        Line(
            "word",
            (
                'message SUCCES in the answer, and SUCCESS in the examples ("message" alone '
                "decides nothing)"
            ),
        ),
        Line("word", "message PAYMENT_FAILED"),
        Line(
            "advice",
            "the return page must work: its address is checked, and what it says is a hint",
        ),
    ),
)

INTRAM = Document(
    "Intram: HTTP",
    "intram",
    (
        Line("endpoint", "base URL https://webservices.intram.org:4002/api/v1/"),
        Line("field", "headers X-API-KEY, X-PRIVATE-KEY, X-SECRET-KEY on every request"),
        Line("field", "header X-MARCHAND-KEY: the merchant's id"),
        Line("field", "header Content-Type: application/json"),
        Line("endpoint", "POST /payments/request: start a payment"),
        Line("field", "invoice.keys public, private, secret"),
        Line("field", "invoice.currency XOF, invoice.amount as a number, invoice.description"),
        Line("field", "invoice.items, invoice.taxes"),
        Line("field", "invoice.custom_datas"),
        Line("field", "store name"),
        Line("field", "store postal_adress, logo_url, web_site_url, template"),
        Line("field", "store phone, whatever it is: +22500000000"),
        Line("field", "actions cancel_url, return_url, callback_url"),
        Line("endpoint", "the minimal request: currency, amount, the store's name, the three URLs"),
        Line("endpoint", "GET /transactions/confirm/{transaction_id}: the status"),
        Line("code", "HTTP 200: success"),
        Line("code", "HTTP 400: an error of the request"),
        Line("code", "HTTP 401: an error of authentication"),
        Line("code", "HTTP 500: an error of the server"),
        Line("code", "an error comes with a message in JSON, with its status"),
        Line("advice", "never share the API keys"),
        Line("advice", "use HTTPS for every request"),
        Line("advice", "always validate callbacks on the server's side"),
        Line("callback", "actions.callback_url is called"),
        Line("advice", "use the sandbox for tests; the address is the same, the keys decide"),
        Line("advice", "transactions of the sandbox are not real"),
    ),
)

GATEWAY = Document(
    "Payment API Documentation (a merchant's gateway over M-Pesa)",
    "mpesa_gateway",
    (
        Line("setting", "MPESA_ENVIRONMENT 'sandbox' or 'production'"),
        Line(
            "setting", "MPESA_CONSUMER_KEY, MPESA_CONSUMER_SECRET, MPESA_SHORTCODE, MPESA_PASSKEY"
        ),
        Line("endpoint", "POST /api/payment/mpesa/: initiate"),
        Line("field", "initiate phone_number, amount 1000.00"),
        Line("field", "initiate order_id: an integer"),
        Line("field", "header Content-Type: application/json"),
        Line("answer", "initiate message, transaction_id, checkout_request_id"),
        Line("word", '"Payment initiated" is not paid'),
        Line("endpoint", "POST /api/payment/verify/"),
        Line("field", "verify transaction_id and order_id"),
        Line("answer", "verify status, message"),
        Line("word", "status completed"),
        Line("callback", "POST /api/payment/mpesa-callback/, without a token"),
        Line(
            "callback",
            "Body.stkCallback MerchantRequestID, CheckoutRequestID, ResultCode, ResultDesc",
        ),
        Line("callback", "ResultCode 0 without CallbackMetadata is a success"),
        Line(
            "callback",
            "the path has the word mpesa, which Safaricom advises against in a callback URL",
        ),
        Line("endpoint", "GET /api/payment/history/"),
        Line("answer", "history results: id, amount, status, payment_method, created_at"),
        Line("answer", "history total, page"),
        Line("endpoint", "GET /api/payment/transactions/{transaction_id}/receipt/"),
        Line(
            "answer",
            "receipt receipt_number, date, payment_method, status, customer_name, order_reference",
        ),
        Line("answer", 'receipt amount "KES 1,000.00"'),
        Line("endpoint", "POST /api/payment/transactions/{transaction_id}/refund/"),
        Line("field", "refund amount, reason"),
        Line("answer", 'refund message "Refund processed successfully", refund_id'),
        Line("endpoint", "GET /api/payment/methods/"),
        Line("answer", "methods type, display_name, enabled, currency"),
        Line("endpoint", "POST /api/payment/methods/"),
        Line("field", "add a method: type, details.phone_number, is_default"),
        Line("code", "an error is {error, code, details}"),
        Line("code", "INVALID_PHONE"),
        Line("code", "AMOUNT_TOO_LOW"),
        Line("code", "AMOUNT_TOO_HIGH"),
        Line("code", "PAYMENT_FAILED"),
        Line("code", "PAYMENT_EXPIRED"),
        Line("code", "INVALID_CURRENCY"),
        Line("callback", "WebSocket PAYMENT_UPDATE, with data.status"),
        Line("endpoint", "POST /api/payment/test/mpesa/, in the sandbox"),
        Line("field", "test payment: phone_number, amount"),
        Line("endpoint", "POST /api/payment/test/callback/"),
        Line("field", "test callback: transaction_id, status"),
        Line("field", "every endpoint wants a JWT: Authorization: Bearer <token>"),
        Line("limit", "100 initiations a minute"),
        Line("limit", "1000 status checks a minute"),
        Line("limit", "phone numbers are 254XXXXXXXXX"),
        Line("limit", "the amount is within the method's limits"),
        Line("limit", "the currency matches the method"),
        Line(
            "advice",
            (
                "integration steps 1 to 5: settings, initiation, callback, verification, errors "
                "and retries"
            ),
        ),
        Line("advice", "integration step 6: test in the sandbox"),
        Line(
            "advice",
            (
                "integration step 7: monitor transactions; best practice 3: keep logs for "
                "reconciliation"
            ),
        ),
        Line("advice", "verify before fulfilling an order"),
        Line("advice", "payment requests are idempotent"),
        Line("advice", "time-outs and network errors are handled gracefully"),
        Line("advice", "security measures; credentials are kept secure"),
        Line(
            "advice", "monitor success rates: every end is a status, and every failure has a reason"
        ),
    ),
)

PAYDUNYA = Document(
    "PayDunya: HTTP/JSON",
    "paydunya",
    (
        Line("setting", "keys per application; test keys begin with test_"),
        Line(
            "endpoint", "PAR: POST https://app.paydunya.com/sandbox-api/v1/checkout-invoice/create"
        ),
        Line("endpoint", "PAR: POST https://app.paydunya.com/api/v1/checkout-invoice/create"),
        Line("endpoint", "PSR: the page's third API, a popup over an invoice of ours"),
        Line("field", "headers PAYDUNYA-MASTER-KEY, PAYDUNYA-PRIVATE-KEY, PAYDUNYA-TOKEN"),
        Line(
            "field", "header Content-Type: application/json; answers are JSON, but for the callback"
        ),
        Line("answer", "response_code and response_text in every answer"),
        Line("code", '"00": success; anything else is none'),
        Line("answer", "create: response_text is the page's address; description, token"),
        Line("field", "invoice.total_amount and store.name: the obligatory ones"),
        Line("field", "invoice.description"),
        Line(
            "field", "items item_0 …: name, quantity, unit_price, total_price (text), description"
        ),
        Line("field", "items never charge anything"),
        Line("field", "taxes tax_0 …: name, amount (a number)"),
        Line("field", "store name, tagline, postal_address, phone, logo_url, website_url"),
        Line("field", "custom_data: kept, shown to nobody, given back"),
        Line("field", "actions.cancel_url: where the browser goes after a cancellation"),
        Line("field", "actions.return_url: where it goes after a payment, with ?token= added"),
        Line("field", "actions.callback_url: where the IPN goes"),
        Line(
            "endpoint",
            "PER: POST https://app.paydunya.com/sandbox-api/v1/direct-pay/credit-account",
        ),
        Line("endpoint", "PER: POST https://app.paydunya.com/api/v1/direct-pay/credit-account"),
        Line("field", "credit-account account_alias (a local number), amount (a number)"),
        Line(
            "answer",
            (
                "credit-account response_code, response_text, description with the amount, "
                "transaction_id"
            ),
        ),
        Line("advice", "PER must be switched on in the application's settings"),
        Line("callback", "the IPN: a POST of a form, x-www-form-urlencoded, below `data`"),
        Line(
            "callback",
            "the IPN has the shape of a confirmation, invoice.token included, and text for numbers",
        ),
        Line("callback", "paid, failed and cancelled payments differ by status alone"),
        Line("callback", "hash: the SHA-512 of the master key"),
        Line(
            "advice",
            (
                'the hash "shows that the data come from our servers": the same for every '
                "message, so a hint only"
            ),
        ),
        Line(
            "endpoint",
            "GET https://app.paydunya.com/sandbox-api/v1/checkout-invoice/confirm/[invoice_token]",
        ),
        Line(
            "endpoint",
            "GET https://app.paydunya.com/api/v1/checkout-invoice/confirm/[invoice_token]",
        ),
        Line("answer", "confirm invoice: items, taxes, token, total_amount, description"),
        Line("answer", "confirm custom_data"),
        Line("answer", "confirm actions: what we said ourselves, and not read"),
        Line("answer", "confirm mode: test or live"),
        Line("answer", "confirm status"),
        Line("answer", "confirm fail_reason, of cards only"),
        Line("answer", "confirm customer: name, phone, email"),
        Line("answer", "confirm receipt_url: a PDF"),
        Line("word", "pending"),
        Line("word", "completed"),
        Line("word", "cancelled"),
        Line("word", "failed"),
        Line("advice", "a confirmation may take a while: the IPN tells at once, the token asks"),
    ),
)

DOCUMENTS = (CAMPAY, CINETPAY, INTRAM, GATEWAY, PAYDUNYA)
KINDS = ("endpoint", "field", "answer", "word", "code", "callback", "limit", "setting", "advice")


def _meant(claim: str) -> list[tuple[str, Line]]:
    """Return the lines that start with a claim such as "campay: POST /token/"; it must be one."""
    driver, _, start = claim.partition(": ")
    lines = [line for document in DOCUMENTS if document.driver == driver for line in document.lines]
    found = [line for line in lines if line.text == start] or [
        line for line in lines if line.text.startswith(start)
    ]
    return [(driver, line) for line in found]


def _claims() -> Iterator[tuple[str, str]]:
    """Give each `@pytest.mark.proves` of the tests: what it says, and the test's name.

    The promises of all drivers are no tests of ours: tests/test_contract.py says what they prove.
    """
    for promise, claims in PROVES.items():
        yield from ((claim, f"test_contract.py::{promise}") for claim in claims)
    for file in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(
                node, ast.FunctionDef | ast.AsyncFunctionDef
            ) or not node.name.startswith("test_"):
                continue
            for decorator in node.decorator_list:
                if (
                    isinstance(decorator, ast.Call)
                    and ast.unparse(decorator.func) == "pytest.mark.proves"
                ):
                    for argument in decorator.args:
                        yield (
                            ast.literal_eval(argument),
                            f"{file.relative_to(TESTS).as_posix()}::{node.name}",
                        )


@cache
def _proofs() -> Mapping[tuple[str, Line], list[str]]:
    """Return the tests that prove each line."""
    proofs: defaultdict[tuple[str, Line], list[str]] = defaultdict(list)
    for claim, test in _claims():
        for meant in _meant(claim):
            proofs[meant].append(test)
    return proofs


def table() -> str:
    """Print every line of the documents with its proof, as Markdown."""
    parts = []
    for document in DOCUMENTS:
        parts.append(
            f"\n## {document.title}\n\n| | the document says | proved by |\n|---|---|---|\n"
        )
        for line in document.lines:
            proofs = "<br>".join(
                f"`{proof}`" for proof in _proofs().get((document.driver, line), ())
            )
            parts.append(f"| {line.kind} | {line.text.replace('|', chr(92) + '|')} | {proofs} |\n")
    return "".join(parts).lstrip()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.driver)
def test_every_line_of_a_document_is_proved(document: Document) -> None:
    """No line is empty or repeated, and each is proved by at least one test."""
    for line in document.lines:
        assert line.kind in KINDS
        assert line.text.strip()
    assert [line for line in document.lines if not _proofs().get((document.driver, line))] == []
    assert max(Counter(document.lines).values()) == 1


def test_every_claim_names_one_line() -> None:
    """Each claim of a test is the start of exactly one line."""
    claims = list(_claims())
    assert len(claims) > 300
    assert [(claim, test) for claim, test in claims if len(_meant(claim)) != 1] == []
    assert max(Counter(claims).values()) == 1


@pytest.mark.parametrize(
    ("claim", "lines"),
    [
        ("campay: POST /token/", 1),
        ("campay: /transaction/ reference", 1),
        ("campay: POST /", 4),
        ("campay: POST /refund/", 0),
        ("nobody: POST /token/", 0),
    ],
)
def test_a_claim_of_nothing_or_of_too_much_is_seen(claim: str, lines: int) -> None:
    """A claim that starts several lines, or none, is found."""
    assert len(_meant(claim)) == lines


def test_the_table_is_printed_whole() -> None:
    """The Markdown has a line for each row, with three cells."""
    lines = [line for line in table().splitlines() if line.startswith("| ")]
    assert len(lines) == sum(len(document.lines) + 1 for document in DOCUMENTS)
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in lines)


@pytest.mark.proves(
    "campay: GET /balance/: the balance",
    "campay: POST /collect/: mobile",
    "campay: POST /disburse/: money",
    "campay: CANCELLED: cancelled",
)
@timeless
async def test_the_summary_of_campay_is_spoken_from_end_to_end() -> None:
    """Balance, collect, payout, status and callback of the summary work in its dialect."""
    sim, messages = Simulator(), list[WebhookRequest]()
    sim.campay.dialect = "summary"
    sim.on_webhook(messages.append)
    driver = sim.driver("campay", dialect="summary", webhook_key="")
    async with Pool(driver, connection=sim.connection, webhook_base=BASE, webhook_key=KEY) as pool:
        sim.campay.webhook_url = pool.webhook_url("campay")
        assert (await pool.balance("campay")).available == 2_000_000
        order: dict[str, Any] = {"currency": "XAF", "description": "Achat data"}
        paid, left = [
            await pool.collect(
                "campay", amount=1000, payer="+237670000000", reference=reference, **order
            )
            for reference in ("data-1", "data-2")
        ]
        sim.settle("data-1", Status.SUCCEEDED)
        sim.settle(left.provider_reference or "", Status.CANCELLED)
        await asyncio.sleep(1)
        assert (await pool.verify(paid)).provider_status == "SUCCESS"
        assert (await pool.verify(left)).status is Status.CANCELLED
        told = await pool.confirm(pool.webhook(messages[0]), expected=paid)
        assert (told.status, told.reference) == (Status.SUCCEEDED, "data-1")
        out = await pool.payout(
            "campay", amount=2000, payee="237690000000", reference="wage-1", **order
        )
        sim.settle(out.provider_reference or "", Status.SUCCEEDED)
        assert (await pool.verify(out)).status is Status.SUCCEEDED
        assert sim.ledger.charged() == 1000
        assert sim.ledger.paid_out() == 2000
        paths = {request.path for request in sim.received("campay")}
        assert paths == {
            f"/api/{name}/" for name in ("token", "balance", "collect", "disburse", "transaction")
        }


@pytest.mark.proves("cinetpay: countries: Burkina Faso")
@pytest.mark.parametrize(
    ("currency", "written", "payer"),
    [
        ("XOF", "22670123456", "22670123456"),
        ("XOF", "2250712345678", "2250712345678"),
        ("XOF", "22365012345", "22365012345"),
        ("XOF", "22890112345", "22890112345"),
        ("XOF", "221771234567", "221771234567"),
        ("XAF", "237670000000", "237670000000"),
        ("XAF", "6 70 00 00 00", "237670000000"),
        ("CDF", "243991234567", "243991234567"),
        ("CDF", "0991 234 567", "243991234567"),
        ("GNF", "224601123456", "224601123456"),
    ],
)
@timeless
async def test_numbers_of_every_country_of_the_guide_can_pay(
    currency: str, written: str, payer: str
) -> None:
    """A payer of each country in CinetPay's table is accepted, with its currency."""
    sim = Simulator()
    sim.cinetpay.pings = False
    driver = sim.driver("cinetpay")
    async with Pool(driver, connection=sim.connection, webhook_base=BASE, webhook_key=KEY) as pool:
        await pool.collect(
            "cinetpay",
            amount=1000,
            currency=currency,
            payer=written,
            reference="order-1",
            description="Data bundle",
            return_url="https://shop.example/back",
        )
    (entry,) = sim.ledger
    assert (entry.party, entry.currency) == (payer, currency)


@pytest.mark.proves("mpesa_gateway: WebSocket PAYMENT_UPDATE")
@timeless
async def test_a_frame_of_the_gateway_wakes_a_watch_which_asks() -> None:
    """PAYMENT_UPDATE makes a watch poll immediately; the frame itself decides nothing."""
    sim = Simulator()
    async with Pool(sim.driver("mpesa_gateway"), connection=sim.connection) as pool:
        order: dict[str, Any] = {
            "amount": 1000,
            "currency": "KES",
            "payer": "254712345678",
            "reference": "123",
        }
        payment = await pool.collect("mpesa_gateway", **order)
        loop = asyncio.get_running_loop()

        async def end() -> float:
            assert (await pool.watch(payment)).status is Status.SUCCEEDED
            return loop.time()

        watching = asyncio.create_task(end())
        await asyncio.sleep(60)  # now the watch polls about every fifteen seconds
        looked = len(sim.received("mpesa_gateway", "POST /verify/"))
        lie = sim.mpesa_gateway.frame(next(iter(sim.ledger))) | {"status": "completed"}
        sim.mpesa_gateway.push(msgspec.json.encode(lie).decode())
        await asyncio.sleep(1.1)
        assert not watching.done()
        assert len(sim.received("mpesa_gateway", "POST /verify/")) > looked
        await asyncio.sleep(0.5)
        settled = loop.time()
        sim.settle(payment.provider_reference or "", Status.SUCCEEDED)
        assert await watching - settled <= 1.1


@pytest.mark.proves("mpesa_gateway: the path has the word mpesa")
@timeless
async def test_the_documents_own_callback_path_works(caplog: pytest.LogCaptureFixture) -> None:
    """Daraja calls `/api/payment/mpesa-callback/` as our base, and as an order's own URL."""
    sim, messages, base = (
        Simulator(),
        list[WebhookRequest](),
        "https://shop.example/api/payment/mpesa-callback/",
    )
    sim.on_webhook(messages.append)
    async with Pool(
        sim.driver("mpesa"), connection=sim.connection, webhook_base=base, webhook_key=KEY
    ) as pool:
        for reference, url in (("order-1", None), ("order-2", base)):
            placed = await pool.collect(
                "mpesa",
                amount=250,
                currency="KES",
                payer="254712345678",
                reference=reference,
                webhook_url=url,
            )
            sim.settle(placed.provider_reference or "", Status.SUCCEEDED)
            await asyncio.sleep(1)
            message = messages.pop()
            assert message.path.startswith("/api/payment/mpesa-callback/")
            paid = await pool.confirm(pool.webhook(message, account="mpesa"), expected=placed)
            assert (paid.status, paid.reference) == (Status.SUCCEEDED, reference)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        (
            "webhook_base: mpesa advises against 'mpesa' in the path of a callback, and may "
            "never call it"
        )
    ]


@pytest.mark.proves(
    "mpesa_gateway: 100 initiations a minute", "mpesa_gateway: 1000 status checks a minute"
)
@timeless
async def test_the_gateways_limits_are_never_met() -> None:
    """100 initiations and 1,000 checks a minute: others wait here, and none is refused."""
    sim = Simulator()
    async with Pool(sim.driver("mpesa_gateway"), connection=sim.connection, deadline=100) as pool:
        loop = asyncio.get_running_loop()
        order: dict[str, Any] = {"amount": 1000, "currency": "KES", "payer": "254712345678"}
        began = loop.time()
        payments = await asyncio.gather(
            *(
                pool.collect("mpesa_gateway", reference=str(number), **order)
                for number in range(1, 111)
            )
        )
        assert 60 <= loop.time() - began < 61
        assert len(sim.ledger) == len(sim.received("mpesa_gateway", "POST /payment/mpesa/")) == 110
        began = loop.time()
        await asyncio.gather(*(pool.verify(payment) for payment in payments * 10))
        assert 60 <= loop.time() - began < 61
        assert len(sim.received("mpesa_gateway", "POST /verify/")) == 1100


@pytest.mark.proves("cinetpay: the document's example")
@timeless
async def test_cinetpays_own_example_of_a_notification_is_refused() -> None:
    """The guide's notification has its two values swapped: it matches no order."""
    sim = Simulator()
    driver = sim.driver("cinetpay", secret_key="")
    async with Pool(driver, connection=sim.connection, webhook_base=BASE, webhook_key=KEY) as pool:
        swapped: Mapping[str, str] = {"cpm_trans_id": "123456", "cpm_site_id": "order-1"}
        path = pool.webhook_url("cinetpay").removeprefix("https://shop.example")
        with pytest.raises(BadWebhook):
            pool.webhook(WebhookRequest(path=path, body=msgspec.json.encode(swapped)))


if __name__ == "__main__":
    sys.stdout.write(table())
