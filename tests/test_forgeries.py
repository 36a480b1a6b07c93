"""R11: no forgery proves anything, and none makes an unpaid order paid.

Each forgery is read by `webhook` and confirmed. Many forgeries can be read, because a message is
only a hint: what counts is that none has Trust.BODY, and that `confirm` returns what the
simulator's ledger has for that payment, or a typed error.
"""

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import math
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import pytest

from paymux import BadWebhook, Event, Payment, PaymuxError, Pool, Status, Trust, WebhookRequest
from paymux.drivers import names
from paymux.http import Connection
from paymux.simulator import Simulator
from paymux.simulator.ledger import Entry
from paymux.simulator.tokens import jwt
from paymux.testing.contract.messages import Bent

from .campaigns.fuzz import SHAPES, SIGNED
from .campaigns.simulation import LoopJournal
from .cases import CASES, ordered
from .toys import BASE, KEY, Wall, run

DEAR, PAID, NEXT = "10420", "104207", "104206"  # a prefix of another, or a bit apart
LEVELS = ("expected", "journal", "nothing")  # what the shop passes to confirm, or stores

every = pytest.mark.parametrize("name", names())
at_each_level = pytest.mark.parametrize("level", LEVELS)
# The place of the signature, for the providers that have one.
SEALS = {
    "campay": "signature",
    "cinetpay": "x-token",
    "paydunya": "hash",
    "wave": "wave-signature",
}
sealed = pytest.mark.parametrize("name", sorted(SEALS))
# The providers whose signature covers all fields that we read.
COVERED = frozenset({"cinetpay", "wave"})
# Those whose signature proves the body: of a forgery, nothing is.
BODIES = frozenset({"intram_merchant", "wave"})


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no signature expire, though asking about thousands of messages takes hours."""
    began = time.time()
    monkeypatch.setattr("paymux.values.jwt.time", SimpleNamespace(time=lambda: began))
    monkeypatch.setattr("paymux.drivers.wave.signature.TOLERANCE", 10**9)


class Shop:
    """A shop at one provider with two expensive unpaid orders and a cheap paid one."""

    def __init__(
        self,
        name: str,
        level: str,
        folder: Path,
        shape: str = "",
        bent: tuple[bytes, bytes] | None = None,
        **fields: Any,
    ) -> None:
        self.name, self.level, self.case = name, level, CASES[name]
        self.sim = Simulator()
        self.provider: Any = self.sim.providers[name]
        self.sim.on_webhook(lambda _: None)
        self.driver = self.sim.driver(name, **fields)
        self.connection: Connection = (
            self.sim.connection if bent is None else Bent(self.sim.connection, *bent)
        )
        for attribute, value in self.case.shape.items() if bent else ():
            setattr(self.provider, attribute, value)
        self.keeper = self._pool(LoopJournal(folder / "payments.db", random.Random(1)))
        if hasattr(self.provider, "webhook_url"):
            self.provider.webhook_url = self.keeper.webhook_url(name)
        if hasattr(self.provider, "reference_key"):
            self.provider.reference_key = "paymux_reference"
        if shape:
            setattr(self.provider, SHAPES[name][0], shape)
        self.orders: dict[str, Payment] = {}
        self.outcomes: Counter[str] = Counter()
        self._confirmed: dict[bytes, str] = {}
        self._true = set[bytes]()  # bodies that the provider has signed

    def _pool(self, journal: LoopJournal | None = None) -> Pool:
        return Pool(
            self.driver,
            connection=self.connection,
            attempts=1,
            webhook_base=BASE,
            webhook_key=KEY,
            journal=journal,
        )

    async def __aenter__(self) -> Self:
        for number, (reference, amount) in enumerate(
            [(DEAR, 50_000), (NEXT, 50_000), (PAID, 1000)], 1
        ):
            order = dict(self.case.order)
            for party in {"payer", "payee"} & {*order}:
                order[party] = order[party][:-1] + str(number)
            self.orders[reference] = await ordered(
                self.keeper, self.name, reference=reference, amount=amount, **order
            )
        self.sim.settle(self.entry(PAID).provider_reference, Status.SUCCEEDED)
        return self

    async def __aexit__(self, *_: object) -> None:
        for reference in (DEAR, NEXT):
            assert not self.entry(reference).moved
            assert await self._kept(reference) is Status.PENDING
        assert await self._kept(PAID) in (Status.PENDING, Status.SUCCEEDED)
        await self.keeper.aclose()
        await self.sim.core.aclose()

    async def _kept(self, reference: str) -> Status:
        [found] = [one async for one in self.keeper.payments() if one.reference == reference]
        return found.status

    def entry(self, reference: str) -> Entry:
        """Return the ledger's entry of an order."""
        found: Entry = self.provider.entry(self.orders[reference].provider_reference)
        return found

    def message(self, reference: str, *, forged: bool = False) -> WebhookRequest:
        """Return the provider's message about an order.

        `forged`: it claims a success, signed with a wrong key.
        """
        message = self.provider.message(self.entry(reference), forged=forged)
        url = urlsplit(message.url)
        if not forged:
            self._true.add(message.body)
        return WebhookRequest(
            method=message.method,
            path=url.path,
            query=url.query,
            headers=message.headers,
            body=message.body,
        )

    def path(self, reference: str | None) -> str:
        """Return the account's callback path, or an order's own."""
        use = None if reference is None else self.orders[reference].kind
        return urlsplit(self.keeper.webhook_url(self.name, reference, use=use)).path

    def read(self, incoming: WebhookRequest) -> Event | None:
        """Read a message; None means BadWebhook. No body may ever be proved but a signed one."""
        try:
            event = self.keeper.webhook(incoming)
        except BadWebhook:
            return None
        if self.name in BODIES:
            assert event.trust is Trust.BODY
            assert incoming.body in self._true
            return event
        assert event.trust is not Trust.BODY
        assert event.trust is Trust.NOTHING or self.name in SEALS
        return event

    async def hear(self, incoming: WebhookRequest, reference: str) -> str:
        """Deliver a message to a shop that expects this order, and return the outcome."""
        event = self.read(incoming)
        outcome = "BadWebhook" if event is None else await self.confirm(event, reference)
        self.outcomes[outcome] += 1
        return outcome

    async def confirm(self, event: Event, reference: str) -> str:
        """Confirm an event, and compare the payment with the ledger; results are cached."""
        key = msgspec.json.encode((event, reference))
        if key not in self._confirmed:
            self._confirmed[key] = await self._confirm(event, reference)
        return self._confirmed[key]

    async def _confirm(self, event: Event, reference: str) -> str:
        expected = self.orders[reference] if self.level == "expected" else None
        pool = self.keeper if self.level == "journal" else self._pool()
        await asyncio.sleep(61)  # "not found" is remembered for a minute
        try:
            found = await pool.confirm(event, expected=expected)
        except PaymuxError as error:
            return type(error).__name__
        finally:
            if pool is not self.keeper:
                await pool.aclose()
        return self.true(found, expected)

    def true(self, found: Payment, expected: Payment | None) -> str:
        """Check that a payment agrees with the ledger; missing values may be None."""
        entry = self.provider.entry(found.provider_reference)
        assert entry is not None, found
        assert found.status is self.case.told.get(entry.status, entry.status)
        assert found.reference in (None, entry.reference)
        assert found.amount in (None, entry.amount)
        assert found.currency in (None, entry.currency)
        if expected is not None:
            assert (found.reference, found.amount) == (expected.reference, expected.amount)
        return str(found.status)


def shop(
    name: str, level: str, folder: Path, work: Callable[[Shop], Any], shape: str = "", **fields: Any
) -> Shop:
    """Open a shop in virtual time, run some work in it, and return it with its counts."""

    async def opened() -> Shop:
        async with Shop(name, level, folder, shape, **fields) as one:
            await work(one)
            return one

    return run(opened())


def changed(incoming: WebhookRequest, **fields: Any) -> WebhookRequest:
    """Return a message with other fields."""
    return msgspec.structs.replace(incoming, **fields)


def swap(incoming: WebhookRequest, old: str, new: str) -> WebhookRequest:
    """Replace a text everywhere in a message."""
    return changed(
        incoming,
        body=incoming.body.replace(old.encode(), new.encode()),
        query=incoming.query.replace(old, new),
    )


def seal(name: str, incoming: WebhookRequest) -> str:
    """Return a message's signature."""
    if name in ("cinetpay", "wave"):
        return incoming.headers[SEALS[name]].rpartition("=")[2]
    found = re.search(
        rf'{SEALS[name]}(?:"\s*:\s*"|=|%5D=|\]=)([A-Za-z0-9_.-]+)',
        (incoming.body.decode() or incoming.query),
    )
    assert found is not None
    return found[1]


def resealed(name: str, incoming: WebhookRequest, other: str) -> WebhookRequest:
    """Return a message with another signature."""
    if name in ("cinetpay", "wave"):
        before = incoming.headers[SEALS[name]].removesuffix(seal(name, incoming))
        return changed(incoming, headers={**incoming.headers, SEALS[name]: before + other})
    return swap(incoming, seal(name, incoming), other)


def flips(raw: bytes) -> Iterator[bytes]:
    """Yield every text that differs in a single bit."""
    for place in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[place // 8] ^= 1 << place % 8
        yield bytes(flipped)


def flipped(incoming: WebhookRequest, step: int = 1) -> Iterator[WebhookRequest]:
    """Yield the message with every bit, or every nth, of its body or query flipped."""
    for raw in itertools.islice(flips(incoming.body or incoming.query.encode()), 0, None, step):
        yield (
            changed(incoming, body=raw)
            if incoming.body
            else changed(incoming, query=raw.decode("latin-1"))
        )


def shapes(name: str) -> tuple[str, ...]:
    """Return the forms of a provider's message that can be signed."""
    attribute, found = SHAPES.get(name, ("", ("",)))
    return (
        tuple(shape for shape in found if shape not in ("minimal", "shared"))
        if attribute != "frame_shape"
        else ("",)
    )


EVERY_SHAPE = [(name, shape) for name in names() for shape in shapes(name)]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "shape"), EVERY_SHAPE)
def test_every_flipped_bit_is_refused_or_says_the_same_or_is_only_a_hint(
    name: str, shape: str, tmp_path: Path
) -> None:
    """A flipped bit of a body is never proved, and if all is signed, it changes nothing."""
    seen: Counter[str] = Counter()

    async def work(one: Shop) -> None:
        true = one.message(PAID)
        known = one.read(true)
        assert known is not None
        for forged in flipped(true):
            event = one.read(forged)
            same = event is not None and event.claims == known.claims
            seen["refused" if event is None else "the same" if same else "a hint"] += 1

    one = shop(name, "nothing", tmp_path, work, shape)
    message = one.message(PAID)
    assert seen.total() == 8 * (len(message.body) + len(message.query)) > 1000
    assert seen["refused"] > seen.total() / 20
    assert name not in COVERED or seen["a hint"] == 0


# The possible outcomes of a forgery: a refusal, or the ledger's status, but never UsageError.
REFUSALS = frozenset(
    {"BadWebhook", "Mismatch", "NotFound", "Rejected", "AuthenticationFailed", "ProviderError"}
)


def names_it(name: str, level: str) -> bool:
    """Return whether the true message leads to its payment; a gateway's has no usable id."""
    return level != "nothing" or CASES[name].names_order


@at_each_level
@every
def test_the_true_message_is_accepted(name: str, level: str, tmp_path: Path) -> None:
    """The unchanged message is read and confirmed as paid, unlike all forgeries."""

    async def work(one: Shop) -> None:
        told = await one.hear(one.message(PAID), PAID)
        assert told == ("succeeded" if names_it(name, level) else "BadWebhook")

    shop(name, level, tmp_path, work)


@pytest.mark.slow
@at_each_level
@every
def test_no_flipped_bit_pays_an_order(name: str, level: str, tmp_path: Path) -> None:
    """A message with a flipped bit is refused, or confirmed as the ledger says.

    With a journal every bit is flipped, otherwise every third: reading is the same in all.
    """
    step = 1 if level == "journal" else 3

    async def work(one: Shop) -> None:
        for forged in flipped(one.message(PAID), step):
            await one.hear(forged, PAID)

    one = shop(name, level, tmp_path, work)
    message = one.message(PAID)
    assert one.outcomes.total() == math.ceil(8 * (len(message.body) + len(message.query)) / step)
    assert set(one.outcomes) <= {*REFUSALS, "succeeded"}
    assert one.outcomes["BadWebhook"] > 0
    assert bool(one.outcomes["succeeded"]) is (names_it(name, level) and name not in BODIES)


@sealed
def test_every_flipped_bit_of_a_signature_is_refused(name: str, tmp_path: Path) -> None:
    """A signature with a wrong bit is refused, except for the case of hex digits."""
    seen: Counter[str] = Counter()

    async def work(one: Shop) -> None:
        true = one.message(PAID)
        known, good = one.read(true), seal(name, true)
        for flipped_seal in flips(good.encode()):
            text = flipped_seal.decode("latin-1")
            event = one.read(resealed(name, true, text))
            seen["refused" if event is None else "read"] += 1
            assert event is None or (event == known and text.lower() == good.lower())

    one = shop(name, "nothing", tmp_path, work)
    letters = sum(letter.isalpha() for letter in seal(name, one.message(PAID)))
    assert seen.total() == 8 * len(seal(name, one.message(PAID)))
    assert seen["read"] == (0 if name in ("campay", "wave") else letters)


@every
def test_every_flipped_bit_of_a_callback_path_is_refused(name: str, tmp_path: Path) -> None:
    """No flipped bit of a callback path leads to another account or order."""
    seen: Counter[str] = Counter()

    async def work(one: Shop) -> None:
        true = changed(one.message(PAID), path=one.path(PAID))
        known = one.read(true)
        assert known is not None
        assert known.path_reference == PAID
        _, hook, attempt = true.path.rsplit("/", 2)
        for raw in flips(f"{hook}/{attempt}".encode()):
            event = one.read(changed(true, path=f"/pay/{raw.decode('latin-1')}"))
            seen["refused" if event is None else "read"] += 1
            # A hex digit may be upper case if it is not part of a MAC.
            assert event is None or event == known

    one = shop(name, "nothing", tmp_path, work)
    kind = 0 if one.orders[PAID].kind == "collect" else 2  # a payout's path begins with its kind
    assert seen["refused"] + seen["read"] == 8 * (32 + 1 + kind + 2 * len(PAID) + 32)
    assert seen["refused"] > 500


def attacks(one: Shop) -> Iterator[tuple[str, WebhookRequest]]:
    """Yield what a forger with the receipt of a cheap order could send for an expensive one."""
    true, forged = one.message(PAID), one.message(DEAR, forged=True)
    cheap, dear = one.entry(PAID), one.entry(DEAR)
    captured = resealed(one.name, forged, seal(one.name, true)) if one.name in SEALS else forged
    yield "an invented success", forged
    yield "an invented success, with a captured signature", captured
    for reference in (PAID, NEXT, None):
        yield (
            f"an invented success on the path of {reference}",
            changed(captured, path=one.path(reference)),
        )
    for path in (None, DEAR, NEXT):
        yield (
            f"a cheaper payment's message on the path of {path}",
            changed(true, path=one.path(path)),
        )
    for reference in (None, DEAR):
        for what, message in (
            ("id", swap(captured, dear.provider_reference, cheap.provider_reference)),
            ("reference", swap(swap(captured, DEAR, PAID), PAID + "7", PAID)),
            ("message, with the dear amount", swap(swap(true, "1000", "50000"), "950", "47500")),
            ("message, with the dear reference", swap(true, PAID, DEAR)),
            (
                "message, with the dear id",
                swap(true, cheap.provider_reference, dear.provider_reference),
            ),
        ):
            yield (
                f"a cheaper payment's {what}, on the path of {reference}",
                changed(message, path=one.path(reference)),
            )
    for unknown in ("x" * 36, "ws_CO_0", "00000000-0000-4000-8000-000000000000", "0", "None"):
        yield f"a payment that is none: {unknown}", swap(captured, dear.provider_reference, unknown)
    for word in ("../..", "%2e%2e", "a/b", "é", "x" * 2000, "'--", "\\u0000", "1E+1000000"):
        yield f"an id that is no id: {word}", swap(captured, dear.provider_reference, word)
    yield "a message of nobody", changed(true, path="/pay/0" * 3)


@at_each_level
@every
def test_no_forged_message_pays_an_order(name: str, level: str, tmp_path: Path) -> None:
    """A cheaper payment's id, another order's path or a captured signature pays no order."""
    heard: dict[str, str] = {}

    async def work(one: Shop) -> None:
        # First before the end of the cheap payment is known, and again after its own message was
        # confirmed.
        for again in ("", " once more"):
            for what, message in attacks(one):
                heard[what + again] = await one.hear(message, DEAR)
            await one.hear(one.message(PAID), PAID)

    shop(name, level, tmp_path, work)
    assert len(heard) == 2 * 32
    # The expensive order has its true status; the cheap one is paid for a caller that expects
    # neither.
    allowed = {*REFUSALS, "pending"} | (set() if level == "expected" else {"succeeded"})
    assert set(heard.values()) <= allowed, heard
    refused = [what for what, outcome in heard.items() if outcome in REFUSALS]
    assert len(refused) >= len(heard) / 5, heard


def signed(name: str, incoming: WebhookRequest, key: str) -> WebhookRequest:
    """Sign a message with this key, as its provider does."""
    if name == "campay":
        other = jwt(key, {"source": "CamPay"}, life=3600)
    elif name == "cinetpay":
        fields = dict(parse_qsl(incoming.body.decode(), keep_blank_values=True))
        other = hmac.digest(
            key.encode(), "".join(fields[field] for field in SIGNED).encode(), "sha256"
        ).hex()
    elif name == "wave":
        now = re.search("t=([0-9]+)", incoming.headers["wave-signature"])
        assert now is not None
        other = hmac.digest(key.encode(), now[1].encode() + incoming.body, "sha256").hex()
    else:
        other = hashlib.sha512(key.encode()).hexdigest()
    return resealed(name, incoming, other)


@sealed
def test_another_tenants_key_an_empty_key_and_none_at_all_are_refused(
    name: str, tmp_path: Path
) -> None:
    """Only the account's own key signs its messages."""

    async def work(one: Shop) -> None:
        for message in (one.message(PAID), one.message(DEAR)):
            assert one.read(signed(name, message, "simulator")) is not None
            for key in ("", "another-tenant", "simulato", "simulator ", "Simulator", "None", "***"):
                assert one.read(signed(name, message, key)) is None
            for seal in ("", "None", "null", "0", "0" * 128, "A" * 64, "é", "x", "true"):
                assert one.read(resealed(name, message, seal)) is None
            bare = changed(
                message, headers={}, body=re.sub(rb"(?:hash|signature)", b"x", message.body)
            )
            assert one.read(bare) is None

    shop(name, "nothing", tmp_path, work)


@sealed
def test_a_tenants_message_is_not_for_another_account_of_the_same_pool(
    name: str, tmp_path: Path
) -> None:
    """Each account has its own path and key: another account refuses its messages."""
    sim = Simulator()
    key = CASES[name].signs_with[0]
    mine, other = sim.driver(name), sim.driver(name, account="other", **{key: "another-tenant"})
    pool = Pool(mine, other, webhook_base=BASE, webhook_key=KEY)

    async def told() -> WebhookRequest:
        async with Shop(name, "nothing", tmp_path) as one:
            return one.message(PAID)

    message = run(told())
    path, foreign = (urlsplit(pool.webhook_url(account)).path for account in (name, "other"))
    assert pool.webhook(changed(message, path=path)).account == name
    with pytest.raises(BadWebhook):
        pool.webhook(changed(message, path=foreign))
    with pytest.raises(BadWebhook):
        pool.webhook(changed(message, path=path), account="other")


HEADER = {"alg": "HS256", "typ": "JWT"}


def token(
    claims: Any = None, header: Any = None, key: str = "simulator", digest: str = "sha256"
) -> str:
    """Return a signed JWT; parts that are text are used unchanged."""
    now = int(time.time())
    parts = (
        HEADER if header is None else header,
        {"iat": now, "exp": now + 3600} if claims is None else claims,
    )
    said = ".".join(part(one if isinstance(one, str) else json.dumps(one)) for one in parts)
    return f"{said}.{part(hmac.digest(key.encode(), said.encode(), digest))}"


def part(text: str | bytes) -> str:
    """Return one encoded part of a JWT."""
    raw = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwt_attacks() -> dict[str, list[str]]:
    """Return the attacks, each with its variants."""
    good, now = token(), time.time()
    said, _, mac = good.rpartition(".")
    nothing = said.partition(".")[2]
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spare = last[last.index(mac[-1]) ^ 1]
    keyless = [
        token(header={**HEADER, "alg": alg}, key="") for alg in ("none", "None", "NONE", "nOnE", "")
    ]
    return {
        "no algorithm": [
            *(
                f"{part(json.dumps({'alg': alg}))}.{nothing}.{seal}"
                for alg in ("none", "None", "")
                for seal in ("", mac)
            ),
            *keyless,
            *(
                token(header={**HEADER, "alg": alg})
                for alg in ("none", None, "", [], ["HS256"], {"HS256": 1}, 0)
            ),
            token(header={"typ": "JWT"}),
        ],
        "an algorithm's other spelling": [
            token(header={**HEADER, "alg": alg})
            for alg in ("hs256", "Hs256", "HS256 ", "HS-256", "SHA256", "\uff28S256")
        ],
        "another algorithm": [
            *(
                token(header={**HEADER, "alg": alg})
                for alg in ("RS256", "ES256", "PS256", "EdDSA", "HS384", "HS512")
            ),
            token(header={**HEADER, "alg": "HS512"}, digest="sha512"),
            token(digest="sha512"),
            token(header={**HEADER, "alg": "RS256"}, key="-----BEGIN PUBLIC KEY-----"),
        ],
        "a key of the token's own": [
            *(
                token(header={**HEADER, name: value}, key=key)
                for name, value in (
                    ("jku", "https://forger.example/keys"),
                    ("x5u", "https://forger.example/cert"),
                    ("jwk", {"kty": "oct", "k": "Zm9yZ2Vy"}),
                    ("x5c", ["MIIB"]),
                    ("crit", ["exp"]),
                )
                for key in ("simulator", "forger")
            ),
            *(
                token(header={**HEADER, "kid": kid}, key=key)
                for kid, key in (("../../dev/null", ""), ("k", "forger"))
            ),
        ],
        "an empty signature": [f"{said}.", f"{said}. ", f"{said}.=", f"{said}.AA"],
        "a stripped signature": [said, said.partition(".")[0], nothing, f".{nothing}.{mac}"],
        "extra parts": [
            f"{good}.",
            f"{good}.{mac}",
            f".{good}",
            f"{said}..{mac}",
            f"{said}.{mac}.{mac}",
            f"{good}\n.x",
        ],
        "another writing of base64": [
            *(good + tail for tail in ("=", "==", "A", "\x00", "\u200b", "%3D")),
            good[:-1] + spare,
            good.replace(".", ".=", 1),
            f"{said}.{mac[:9]} {mac[9:]}",
            f"{said}.{mac[:-1]}",
            f"{said[:8]}={said[8:]}.{mac}",
        ],
        "a time that is over": [
            token({"exp": exp})
            for exp in (now - 61, now - 1e6, 0, -1, -1e300, "0", 1, True, False, "1", 0.1)
        ],
        "a time that is none": [
            *(
                token({"exp": exp})
                for exp in (
                    None,
                    "soon",
                    "",
                    [],
                    {},
                    [now + 9],
                    {"exp": now + 9},
                    1e12,
                    1e300,
                    "inf",
                )
            ),
            *(
                token(f'{{"exp": {exp}}}')
                for exp in ("NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "9" * 5000)
            ),
            *(token({name: "nan"}) for name in ("exp", "nbf", "iat")),
        ],
        "a time that is to come": [
            token({name: now + at}) for name in ("iat", "nbf") for at in (61, 3600, 1e9, 1e300)
        ],
        "claims that are none": [
            *(
                token(said)
                for said in (
                    "[]",
                    "[[]]",
                    "",
                    "x",
                    "null",
                    "5",
                    '"x"',
                    "{",
                    "[" * 5000,
                    '{"a":' * 5000,
                )
            ),
            token("\ud800".encode("utf-8", "surrogatepass").decode("latin-1")),
        ],
        "claims that come twice": [
            token('{"exp": 1, "exp": 9999999999}'),
            token('{"exp": 9999999999, "exp": 1}'),
            token('{"a": {"b": 1, "b": 2}}'),
            token(header='{"alg": "none", "alg": "HS256"}'),
        ],
        "another key": [
            token(key=key) for key in ("", "forger", "simulator\n", "\0", "Simulator", "=")
        ],
    }


def test_no_attack_on_a_jwt_is_accepted(tmp_path: Path) -> None:
    """Fourteen kinds of attack on a JWT, each in its variants, are all refused."""
    found = jwt_attacks()
    tried: Counter[str] = Counter()

    async def work(one: Shop) -> None:
        true = json.loads(one.message(PAID).body)

        def read(signature: object) -> Event | None:
            return one.read(
                changed(
                    one.message(PAID), body=json.dumps({**true, "signature": signature}).encode()
                )
            )

        for good in (token(), token(header={"alg": "HS256"}), token({"exp": time.time() - 30})):
            event = read(good)
            assert event is not None
            assert event.trust is Trust.ORIGIN
        for kind, variants in found.items():
            for signature in variants:
                assert read(signature) is None, (kind, signature)
                tried[kind] += 1
        for odd in (None, True, 5, [], {}, [token()], {"jwt": token()}, f"Bearer {token()}"):
            assert read(odd) is None
            tried["no text"] += 1

    shop("campay", "nothing", tmp_path, work)
    assert len(tried) == 15
    assert tried.total() > 120


@at_each_level
def test_a_token_that_names_no_end_is_the_providers_own_choice_and_still_a_hint(
    level: str, tmp_path: Path
) -> None:
    """A JWT of CamPay's key without an `exp`, or with a far one, is a hint like any other."""

    async def work(one: Shop) -> None:
        true = one.message(PAID)
        choices: tuple[Any, ...] = ({}, {"claims": {"exp": 1}}, {"exp": time.time() + 10**9})
        for claims in choices:
            event = one.read(resealed("campay", true, token(claims)))
            assert event is not None
            assert event.trust is Trust.ORIGIN
            assert await one.confirm(event, PAID) == "succeeded"
            forged = resealed("campay", one.message(DEAR, forged=True), token(claims))
            assert await one.hear(forged, DEAR) == "pending"

    shop("campay", level, tmp_path, work)


@at_each_level
@every
def test_a_replay_changes_nothing(name: str, level: str, tmp_path: Path) -> None:
    """The same message again has the same result; after a refund it is refunded, not paid."""

    async def work(one: Shop) -> None:
        true = one.message(PAID)
        told = [await one.hear(true, PAID) for _ in range(3)]
        assert len(set(told)) == 1
        moved = one.sim.ledger.totals()
        assert [*moved.values()] == [Decimal(1000)]
        one._confirmed.clear()
        again = await one.hear(true, PAID)
        # A gateway's message names only an open payment: after its success there is no look-up.
        assert again == told[0] or not CASES[name].names_order

    shop(name, level, tmp_path, work)


@at_each_level
@every
def test_an_old_message_is_refused_or_asked_about(
    name: str, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a day CamPay's token has expired; a message without a date causes a look-up."""
    wall = Wall()
    monkeypatch.setattr("paymux.values.jwt.time", wall)

    async def work(one: Shop) -> None:
        true, forged = one.message(PAID), one.message(DEAR, forged=True)
        wall.shift = 86_400.0
        old = "BadWebhook" if name == "campay" or not names_it(name, level) else "succeeded"
        assert await one.hear(true, PAID) == old
        assert await one.hear(forged, DEAR) in {*REFUSALS, "pending"}

    shop(name, level, tmp_path, work)


@pytest.mark.parametrize(("name", "shape"), EVERY_SHAPE)
def test_a_field_that_comes_twice_is_refused(name: str, shape: str, tmp_path: Path) -> None:
    """A repeated field in JSON, a form or a query is refused: no value is ever chosen."""
    tried = 0

    async def work(one: Shop) -> None:
        nonlocal tried
        true = one.message(PAID)
        for forged in doubled(true):
            assert one.read(forged) is None, forged.body or forged.query
            tried += 1

    shop(name, "nothing", tmp_path, work, shape)
    assert tried >= 8


def doubled(incoming: WebhookRequest) -> Iterator[WebhookRequest]:
    """Yield the message with each field repeated, with another value and with the same."""
    text = incoming.body.decode() or incoming.query
    for found in re.finditer(r'"(\w+)": ', text) if text.startswith("{") else ():
        for value in ('"x"', "0", "null", "{}"):
            twice = f'{text[: found.start()]}"{found[1]}": {value}, {text[found.start() :]}'
            yield changed(incoming, body=twice.encode())
    if not text.startswith("{"):
        for pair in text.split("&"):
            name, _, value = pair.partition("=")
            for other in ("x", "", "50000", value):
                for twice in (f"{text}&{name}={other}", f"{name}={other}&{text}"):
                    yield changed(
                        incoming,
                        **({"body": twice.encode()} if incoming.body else {"query": twice}),
                    )


@at_each_level
def test_a_shifted_field_boundary_is_a_hint_at_most(level: str, tmp_path: Path) -> None:
    """A text moved between CinetPay's signed fields causes a look-up, and pays nothing.

    CinetPay's MAC joins the fields without separators. A receipt of order 104207 can become a
    message about order 10420, whose last digit is then the first of the next field.
    """
    tried: Counter[str] = Counter()

    async def work(one: Shop) -> None:
        true = one.message(PAID)
        fields = dict(parse_qsl(true.body.decode(), keep_blank_values=True))
        for left, right in itertools.pairwise(SIGNED):
            both = fields[left] + fields[right]
            for cut in range(len(both) + 1):
                shifted = {**fields, left: both[:cut], right: both[cut:]}
                if shifted == fields:
                    continue
                message = changed(true, body=urlencode(shifted).encode())
                event = one.read(message)
                tried["refused" if event is None else "read"] += 1
                if event is None:
                    continue
                assert event.trust is Trust.ORIGIN
                for path in (PAID, DEAR, None):
                    outcome = await one.hear(changed(message, path=one.path(path)), DEAR)
                    assert outcome in {*REFUSALS, "pending"} | (
                        set() if level == "expected" else {"succeeded"}
                    )
                tried[f"about {event.claims.reference}"] += 1

    one = shop("cinetpay", level, tmp_path, work)
    assert tried["read"] > 50
    assert tried[f"about {DEAR}"] > 0  # the attack was possible
    assert one.outcomes["pending"] > 0  # and shows that the order is unpaid


@at_each_level
def test_a_constant_hash_proves_nothing_of_what_it_comes_with(level: str, tmp_path: Path) -> None:
    """PayDunya's hash is the same in every message, so that no field of it is believed."""
    read = 0

    async def work(one: Shop) -> None:
        nonlocal read
        true, dear = json.loads(one.message(PAID).body)["data"], one.entry(DEAR)
        pending = json.loads(one.message(DEAR).body)["data"]
        inventions: list[dict[str, Any]] = [
            {**pending, "status": "completed"},
            {**pending, "status": "completed", "mode": "live"},
            {**true, "custom_data": {"paymux_reference": DEAR}},
            {**true, "invoice": {**true["invoice"], "total_amount": 50_000}},
            {**true, "invoice": {**true["invoice"], "token": dear.provider_reference}},
            {
                **pending,
                "status": "completed",
                "invoice": {**pending["invoice"], "token": true["invoice"]["token"]},
            },
            {
                "hash": true["hash"],
                "status": "completed",
                "invoice": {"token": dear.provider_reference},
            },
            {
                "hash": true["hash"],
                "invoice": {"token": dear.provider_reference, "total_amount": 1},
            },
            {"hash": true["hash"].upper(), "invoice": {"token": dear.provider_reference}},
        ]
        for data in inventions:
            for path in (DEAR, None):
                body = json.dumps({"data": data}).encode()
                message = WebhookRequest(
                    path=one.path(path), headers={"content-type": "application/json"}, body=body
                )
                event = one.read(message)
                assert event is not None
                assert event.trust is Trust.NOTHING
                read += 1
                outcome = await one.hear(message, DEAR)
                about = event.claims.provider_reference
                assert outcome in (
                    {"pending"} if about == dear.provider_reference else {"Mismatch", "succeeded"}
                )
                assert level != "expected" or outcome != "succeeded"

    shop("paydunya", level, tmp_path, work, "json")
    assert read == 18


@at_each_level
def test_an_invented_c2b_payment_pays_no_order(level: str, tmp_path: Path) -> None:
    """A C2B payment has no look-up: whatever it names, it pays no order."""
    outcomes: Counter[str] = Counter()

    async def work(one: Shop) -> None:
        told = {"TransID": "RKL51ZDR4F", "TransTime": "20231121121325", "TransAmount": "50000.00"}
        told |= {"BillRefNumber": DEAR, "OrgAccountBalance": "25.00", "MSISDN": "2547 ***** 126"}
        ids = ("RKL51ZDR4F", one.entry(PAID).provider_reference, one.entry(DEAR).provider_reference)
        for path, number in itertools.product((None, DEAR, PAID), ids):
            message = WebhookRequest(
                path=one.path(path), body=json.dumps({**told, "TransID": number}).encode()
            )
            outcomes[await one.hear(message, DEAR)] += 1

    shop("mpesa", level, tmp_path, work)
    assert outcomes == {"Unsupported": 9}


telling_modes = pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.mode])


@at_each_level
@telling_modes
def test_a_payment_in_test_mode_pays_no_live_order(name: str, level: str, tmp_path: Path) -> None:
    """A test payment is a Mismatch on a live account, also if the shop expects nothing."""
    case = CASES[name]
    assert case.mode is not None
    live, test = case.mode

    async def work(one: Shop) -> None:
        assert one.driver.live
        true = one.message(PAID)
        assert await one.hear(true, PAID) == "Mismatch"
        assert isinstance(one.connection, Bent)
        assert one.connection.changed > 0

    shop(name, level, tmp_path, work, bent=(live, test), live=True, **case.live)
