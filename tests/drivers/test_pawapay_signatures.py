"""Signed requests and callbacks of pawaPay: RFC 9421, in both forms, and what a forger tries."""

import base64
import hashlib
import json
import logging
import re
import time
import traceback
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from paymux import Pool
from paymux.drivers.pawapay import PawaPay
from paymux.errors import AuthenticationFailed, BadWebhook, PaymuxError, UsageError
from paymux.http import WebhookRequest
from paymux.models import Status, Trust
from paymux.primitives.redaction import Secret
from paymux.simulator import Simulator
from paymux.simulator.pawapay import PawaPay as PawaPaySimulator
from paymux.simulator.pawapay.signing import KEY_ID, public_pem
from paymux.testing.clock import virtual_time
from paymux.testing.contract import DriverContract
from paymux.values.http_signatures import one_line, signed_headers, verify
from paymux.values.parsing import Unreadable

from .test_pawapay import CASE

SAMPLES = Path(__file__).parent.parent / "samples" / "pawapay"
SHOP = "https://shop.example/pay/pawapay"
KEYS = {KEY_ID: public_pem()}
OURS = ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> str:
    """Write a private key in PEM."""
    written: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return written.decode()


def public(key: Any) -> str:
    """Write the public key of a private one in PEM."""
    written: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return written.decode()


LINE = one_line(pem(OURS))
SIGNS = {"signing_key": pem(OURS), "signing_key_id": "SHOP:1"}
ORDER: dict[str, Any] = {"currency": "RWF", "payer": "250783456000", "operator": "mtn"}
READER = PawaPay(api_token="x", callback_keys=KEYS)


def signed_callbacks(provider: Any) -> None:
    """Switch on signed callbacks in the simulated dashboard."""
    provider.signed_callbacks = True


def signed_requests(provider: Any) -> None:
    """Let the simulator accept signed requests only."""
    provider.signed_requests_only = True
    provider.signing.request_keys = {"SHOP:1": public(OURS)}


class TestSignedPawaPay(DriverContract):
    """The whole contract again, with callbacks that are signed."""

    driver = PawaPay
    simulator = PawaPaySimulator
    samples = SAMPLES
    case = msgspec.structs.replace(
        CASE,
        signs=True,
        signs_body=True,
        fields={**CASE.fields, "callback_keys": KEYS},
        prepares=signed_callbacks,
    )


async def callback(**changes: Any) -> WebhookRequest:
    """Return a signed callback of a success; `changes`: of the simulator's signing."""
    heard: list[WebhookRequest] = []
    async with virtual_time():
        sim = Simulator(providers=["pawapay"])
        sim.pawapay.webhook_url, sim.pawapay.signed_callbacks = SHOP, True
        for name, value in changes.items():
            assert hasattr(sim.pawapay.signing, name)
            setattr(sim.pawapay.signing, name, value)
        sim.on_webhook(heard.append)
        async with Pool(sim.driver("pawapay"), connection=sim.connection) as pool:
            await pool.collect("pawapay", amount=1000, reference="order-1", **ORDER)
        sim.settle("order-1", Status.SUCCEEDED)
        await sim.core.pause(1)
        await sim.core.aclose()
    (message,) = heard
    headers = {name.lower(): value for name, value in message.headers.items()}
    return msgspec.structs.replace(message, headers=headers)


def bent(message: WebhookRequest, **headers: str | None) -> WebhookRequest:
    """Return a message with other headers."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {**message.headers, **given}
    return msgspec.structs.replace(message, headers={k: v for k, v in kept.items() if v})


@pytest.mark.parametrize("raw", [False, True], ids=["DER", "r and s"])
@pytest.mark.parametrize("sha256", [False, True], ids=["sha-512", "sha-256"])
async def test_a_signed_callback_is_authentic_in_either_form(raw: bool, sha256: bool) -> None:
    """DER, as the official examples sign, and r and s, as RFC 9421 has it; both digests."""
    event = READER.webhook(await callback(raw=raw, sha256=sha256))
    assert (event.trust, event.claims.status) == (Trust.BODY, Status.SUCCEEDED)


async def test_keys_are_chosen_by_their_id() -> None:
    """A key under another id verifies nothing, even if it is the only one."""
    message = await callback()
    other = {"OTHER:1": public(OURS), **KEYS}
    assert PawaPay(api_token="x", callback_keys=other).webhook(message).trust is Trust.BODY
    for keys in ({"OTHER:1": KEYS[KEY_ID]}, {KEY_ID: public(OURS)}):
        with pytest.raises(Unreadable):
            PawaPay(api_token="x", callback_keys=keys).webhook(message)


async def test_without_keys_a_signed_callback_is_a_hint() -> None:
    """What cannot be verified proves nothing."""
    assert PawaPay(api_token="x").webhook(await callback()).trust is Trust.NOTHING


async def test_whatever_is_changed_breaks_the_signature() -> None:
    """Body, address, method, date, digest, input or signature: each is covered."""
    message = await callback()
    told = message.headers["signature-input"]
    changed = [
        msgspec.structs.replace(message, body=message.body.replace(b"1000", b"9000")),
        msgspec.structs.replace(message, path="/pay/other"),
        msgspec.structs.replace(message, method="PUT"),
        bent(message, host="other.example"),
        bent(message, host=None),
        bent(message, signature_date="2026-01-01T00:00:00Z"),
        bent(message, signature_date=None),
        bent(message, content_type="text/plain"),
        bent(message, content_digest=None),
        bent(message, content_digest="sha-512=:AAAA:"),
        bent(message, content_digest="md5=:AAAA:"),
        bent(message, content_digest=message.headers["content-digest"] + ",sha-256=:AAAA:"),
        bent(message, signature=None),
        bent(message, signature="sig-pp=:AAAA:"),
        bent(message, signature="sig-pp=:A:"),
        bent(message, signature=message.headers["signature"].replace("sig-pp", "sig-b")),
        bent(message, signature_input=None),
        bent(message, signature_input=told.replace(' "content-digest"', "")),
        bent(message, signature_input=told.replace('"@path" ', "")),
        bent(message, signature_input=told.replace('"@path"', '"@path" "@path"')),
        bent(message, signature_input=told.replace("ecdsa-p256-sha256", "rsa-v1_5-sha256")),
        bent(message, signature_input=told.replace("created=", "created=9")),
        bent(message, signature_input=told + ';created="now"'),
        bent(message, signature_input=told.replace(";created=", ';created="x";made=')),
        bent(message, signature_input=told + ";x"),
        bent(message, signature_input=f"{told}, {told.replace('sig-pp', 'b')}"),
        bent(message, signature_input="x" * 5000),
    ]
    for one in changed:
        with pytest.raises(Unreadable):
            READER.webhook(one)


def resigned(message: WebhookRequest, *covered: str, alg: str, more: str = "") -> WebhookRequest:
    """Sign these parts of a message with a known key, as section 2.5 of RFC 9421 has it."""
    names = " ".join(f'"{name}"' for name in covered)
    told = f'({names});alg="{alg}";keyid="SHOP:1";created={int(time.time())}{more}'
    host, fields = message.headers["host"], message.headers
    parts = {"@method": message.method, "@authority": host, "@path": message.path, **fields}
    lines = [*(f'"{name}": {parts[name]}' for name in covered), f'"@signature-params": {told}']
    signature = OURS.sign("\n".join(lines).encode(), ec.ECDSA(hashes.SHA256()))
    sealed = f"sig-pp=:{base64.b64encode(signature).decode()}:"
    return bent(message, signature_input=f"sig-pp={told}", signature=sealed)


async def test_a_known_key_proves_only_what_it_covers() -> None:
    """A good signature that leaves out the body, or names another algorithm, is refused."""
    message = await callback()
    reader = PawaPay(api_token="x", callback_keys={"SHOP:1": public(OURS)})
    whole, alg = ("@method", "@authority", "@path", "content-digest"), "ecdsa-p256-sha256"
    assert reader.webhook(resigned(message, *whole, alg=alg)).trust is Trust.BODY
    for left in whole:
        with pytest.raises(Unreadable, match="does not cover"):
            reader.webhook(resigned(message, *(one for one in whole if one != left), alg=alg))
    with pytest.raises(Unreadable, match="another algorithm"):
        reader.webhook(resigned(message, *whole, alg="rsa-v1_5-sha256"))
    for covered, more, why in (
        ((*whole, "@path"), "", "comes twice"),
        (whole, ";created=1", "comes twice"),
        (whole, ";x", "a parameter that is none"),
    ):
        with pytest.raises(Unreadable, match=why):
            reader.webhook(resigned(message, *covered, alg=alg, more=more))


@given(
    text=st.text(max_size=300),
    name=st.sampled_from(["signature", "signature-input", "content-digest", "host"]),
)
def test_a_hostile_header_is_unreadable_and_nothing_else(text: str, name: str) -> None:
    """No header raises anything but our own error."""
    with pytest.raises(Unreadable):
        READER.webhook(WebhookRequest(path="/", headers={name: text}, body=b"{}"))


def read_at(
    monkeypatch: pytest.MonkeyPatch, moment: float, message: WebhookRequest, *, fits: bool
) -> None:
    """Read a message at a time at which its signature is good, or too old or too new."""
    monkeypatch.setattr(time, "time", lambda: moment)
    if fits:
        assert READER.webhook(message).trust is Trust.BODY
    else:
        with pytest.raises(Unreadable, match="too long ago"):
            READER.webhook(message)


@pytest.mark.parametrize(
    ("seconds", "fits"), [(0, True), (899, True), (1500, False), (-400, False)]
)
async def test_a_redelivery_of_a_quarter_of_an_hour_is_accepted(
    seconds: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PawaPay tries for 15 minutes, maybe with one signature; later, it is a replay."""
    message = await callback()
    read_at(monkeypatch, time.time() + seconds, message, fits=fits)


@pytest.mark.parametrize(
    ("seconds", "fits"), [(-300, True), (-301, False), (1200, True), (1201, False)]
)
async def test_the_last_moment_of_a_signature_counts(
    seconds: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock five minutes fast, and a signature of twenty minutes ago, are the bounds."""
    message = await callback()
    created = int(re.findall(r"created=(\d+)", message.headers["signature-input"])[0])
    read_at(monkeypatch, float(created + seconds), message, fits=fits)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://API.example:443/v2/deposits", "api.example"),
        ("http://api.example:80/v2/deposits", "api.example"),
        ("https://api.example:80/v2/deposits", "api.example:80"),
        ("http://api.example:443/v2/deposits", "api.example:443"),
        ("https://api.example", "api.example"),
    ],
)
def test_what_is_signed_here_is_verified_here(url: str, host: str) -> None:
    """The usual port of a scheme is left out of the authority, and no path is "/"."""
    body, keys = b"{}", {"SHOP:1": one_line(public(OURS))}
    named = {"key": LINE, "key_id": "SHOP:1", "label": "sig-pp"}
    headers = signed_headers("POST", url, "application/json", body, **named)
    fields = {name.lower(): value for name, value in headers.items()}
    path = urlsplit(url).path
    message = WebhookRequest(
        path=path,
        headers={**fields, "host": host, "content-type": "application/json"},
        body=body,
    )
    verify(message, keys, longest=60)
    verify(msgspec.structs.replace(message, path=path or "/"), keys, longest=60)
    with pytest.raises(Unreadable, match="not that of this message"):
        verify(bent(message, host="other.example"), keys, longest=60)
    said = headers["Content-Digest"]
    assert said == f"sha-512=:{base64.b64encode(hashlib.sha512(body).digest()).decode()}:"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", headers["Signature-Date"])
    signed_at = datetime.fromisoformat(headers["Signature-Date"]).timestamp()
    assert abs(signed_at - time.time()) < 60


def test_a_key_that_is_none_signs_nothing() -> None:
    """An error of ours, and no signature."""
    named = {"key": "AAAA", "key_id": "SHOP:1", "label": "sig-pp"}
    with pytest.raises(ValueError, match="not a private key"):
        signed_headers("POST", "https://api.example/", "application/json", b"", **named)


async def test_a_long_header_is_read_up_to_its_limit() -> None:
    """A header of 4,096 characters is read, a longer one is none; neither is a foreign error."""
    message = await callback()
    told = message.headers["signature-input"]
    for length, why in ((4096, "not that of this message"), (4097, "not signed")):
        longer = f'{told};pad="{"a" * (length - len(told) - 7)}"'
        assert len(longer) == length
        with pytest.raises(Unreadable, match=why):
            READER.webhook(bent(message, signature_input=longer))
    for sealed in ("sig-pp=:" + "A" * 5000 + ":", "x" * 5000):
        with pytest.raises(Unreadable, match="no signature"):
            READER.webhook(bent(message, signature=sealed))
    with pytest.raises(Unreadable, match="not base64"):
        READER.webhook(bent(message, signature="sig-pp=:A:"))
    with pytest.raises(Unreadable, match="not that of this message"):
        READER.webhook(bent(message, signature_date="\udcff"))


async def test_an_order_is_signed_and_a_look_up_is_not() -> None:
    """What moves money is signed, as the page says, and nothing else; another key is refused."""
    sim = Simulator(providers=["pawapay"])
    signed_requests(sim.pawapay)
    async with Pool(sim.driver("pawapay", **SIGNS), connection=sim.connection) as pool:
        paid = await pool.collect("pawapay", amount=1000, reference="order-1", **ORDER)
        await pool.verify(paid)
        assert ["signature" in one.headers for one in sim.requests] == [True, False]
        told = sim.requests[0].headers["signature-input"]
        assert told.startswith(
            'sig-pp=("@method" "@authority" "@path" "signature-date" "content-digest" '
            '"content-type");alg="ecdsa-p256-sha256";keyid="SHOP:1";created='
        )
    other = {
        "signing_key": pem(ec.generate_private_key(ec.SECP256R1())),
        "signing_key_id": "SHOP:1",
    }
    for fields in ({}, other):
        async with Pool(sim.driver("pawapay", **fields), connection=sim.connection) as pool:
            with pytest.raises(AuthenticationFailed, match="HTTP_SIGNATURE_ERROR"):
                await pool.collect("pawapay", amount=1000, reference="order-2", **ORDER)
    assert len(sim.ledger) == 1


async def test_the_keys_are_fetched_by_a_coroutine() -> None:
    """What it returns is what `callback_keys` takes."""
    sim = Simulator(providers=["pawapay"])
    async with Pool(sim.driver("pawapay"), connection=sim.connection) as pool:
        keys = await pool.run("pawapay", PawaPay.public_keys)
    assert {id: one_line(key) for id, key in keys.items()} == READER.callback_keys
    assert PawaPay(api_token="x", callback_keys=json.dumps(keys)) == READER


@pytest.mark.parametrize(
    "written",
    [pem(OURS), Secret("".join(pem(OURS).splitlines())), "".join(pem(OURS).splitlines()[1:-1])],
    ids=["PEM", "one line", "base64"],
)
def test_a_private_key_is_pem_or_one_line_and_never_shown(written: Any) -> None:
    """A variable of the environment has no lines; no repr of the account shows the key."""
    driver = PawaPay(api_token="x", signing_key=written, signing_key_id="SHOP:1")
    assert LINE not in repr(driver)
    assert LINE in driver.secrets()


async def test_no_error_and_no_record_shows_a_private_key(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the log at DEBUG nor the frames of an error."""
    sim = Simulator(providers=["pawapay"])
    caplog.set_level(logging.DEBUG, "paymux")
    async with Pool(sim.driver("pawapay", **SIGNS), connection=sim.connection) as pool:
        for kind, status in (("error", 502), ("error", 403), ("stale_token", None)):
            sim.fault("pawapay", "POST", kind=kind, status=status, times=3)
            with pytest.raises(PaymuxError) as caught:
                await pool.collect("pawapay", amount=1000, reference=f"x-{status}", **ORDER)
            sim.clear_faults()
            told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
            assert LINE not in "".join(told.format())
    assert caplog.records
    assert not [one for one in caplog.records if LINE in one.getMessage()]


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"signing_key": pem(OURS)}, "signing_key_id"),
        ({**SIGNS, "signing_key": "not a key"}, "signing_key"),
        ({**SIGNS, "signing_key": "é"}, "signing_key"),
        ({**SIGNS, "signing_key": pem(ec.generate_private_key(ec.SECP384R1()))}, "signing_key"),
        ({**SIGNS, "signing_key": pem(rsa.generate_private_key(65537, 2048))}, "signing_key"),
        ({"callback_keys": {"a": "b"}}, "callback_keys"),
        (
            {"callback_keys": {"a": public(ec.generate_private_key(ec.SECP384R1()))}},
            "callback_keys",
        ),
        ({"callback_keys": {"a": 5}}, "callback_keys"),
        ({"callback_keys": ["a"]}, "callback_keys"),
        ({"callback_keys": "{"}, "callback_keys"),
        ({"callback_keys": "[" * 100_000}, "callback_keys"),
    ],
)
def test_a_key_that_is_none_is_refused_at_once(fields: dict[str, Any], match: str) -> None:
    """UsageError names the field, and shows no private key."""
    with pytest.raises(UsageError, match=match) as caught:
        PawaPay(api_token="x", **fields)
    assert fields.get("signing_key", "a private key") not in str(caught.value)


def test_signatures_without_their_package_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that signs nothing needs no package; another one says what to install."""
    monkeypatch.setitem(
        __import__("sys").modules, "cryptography.hazmat.primitives.asymmetric", None
    )
    assert PawaPay(api_token="x").name == "pawapay"
    with pytest.raises(UsageError, match=r"paymux\[signatures\]"):
        PawaPay(api_token="x", callback_keys={"a": base64.b64encode(b"never read").decode()})


async def test_a_forged_callback_is_refused_by_the_pool() -> None:
    """With keys, an unsigned success is BadWebhook."""
    sim = Simulator(providers=["pawapay"])
    driver = sim.driver("pawapay", callback_keys=KEYS)
    async with Pool(driver, connection=sim.connection) as pool:
        body = json.loads((SAMPLES / "callback_completed.json").read_text())["body"]
        message = WebhookRequest(body=json.dumps(body).encode())
        with pytest.raises(BadWebhook):
            pool.webhook(message, account="pawapay")
