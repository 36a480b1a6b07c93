"""Messages as senders really write them: with a BOM, as multipart, with unknown fields."""

import copy
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux import BadWebhook, Payment, Pool, WebhookRequest
from paymux.drivers import load
from paymux.simulator import Simulator
from paymux.values.multipart import multipart_fields
from paymux.values.parsing import BOM, Unreadable

from .campaigns.fuzz import parts
from .cases import CASES
from .driving import sample

MESSAGES = [(name, case) for name, one in CASES.items() for case in one.words.messages]
MESSAGES += [("cinetpay", "notice"), ("cinetpay", "notice_minimal"), ("mpesa", "c2b_confirmation")]
every = pytest.mark.parametrize(("name", "case"), MESSAGES)
# Values of every JSON type, for fields that no driver reads.
EXTRA: Mapping[str, Any] = {
    "text": "x",
    "number": 1.5,
    "flag": True,
    "nothing": None,
    "list": [1, [2], {"a": None}],
    "object": {"a": {"b": ["c"]}, "d": False},
}
# objects with the sender's own data, which is kept
KEPT = {"custom_data", "custom_datas", "metadata"}


def claims(name: str, body: bytes, content_type: str = "application/json") -> Payment:
    """Give what a message claims."""
    driver = load(name)(**CASES[name].words.fields)
    message = WebhookRequest(body=body, headers={"content-type": content_type})
    return driver.webhook(message).claims


def document(name: str, case: str) -> Any:
    """Return a sample message as JSON."""
    return sample(name, case)


def flat(tree: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Return a tree as PHP writes it into a form: data[a][b]=…, without empty values."""
    if isinstance(tree, dict):
        for key, inner in tree.items():
            yield from flat(inner, f"{name}[{key}]" if name else key)
    elif tree is not None:
        yield name, str(tree)


def objects(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a message whose fields a driver selects."""
    if isinstance(tree, dict):
        yield tree
        for key, inner in tree.items():
            if key not in KEPT:
                yield from objects(inner)
    elif isinstance(tree, list):
        for inner in tree:
            yield from objects(inner)


@every
def test_a_byte_order_mark_changes_nothing(name: str, case: str) -> None:
    """JSON and forms with a UTF-8 byte order mark are read as without it."""
    body = json.dumps(document(name, case)).encode()
    assert claims(name, BOM + body) == claims(name, body)


@every
@pytest.mark.parametrize("extra", EXTRA)
def test_what_nobody_reads_changes_nothing(name: str, case: str, extra: str) -> None:
    """Unknown fields, lists and objects in any object of a message are ignored."""
    known = claims(name, json.dumps(document(name, case)).encode())
    for number, _ in enumerate(objects(document(name, case))):
        tree = copy.deepcopy(document(name, case))
        [*objects(tree)][number][f"x_{extra}"] = EXTRA[extra]
        assert claims(name, json.dumps(tree).encode()) == known


@pytest.mark.parametrize("value", [{"a": 1}, [1], None, True])
def test_an_item_that_is_no_value_is_passed_over(value: object) -> None:
    """Unreadable items in Safaricom's list are ignored, and the others are read."""
    for name, case in (("mpesa", "callback_succeeded"), ("mpesa_gateway", "callback")):
        tree = copy.deepcopy(sample(name, case))
        items = [
            {"Name": "Amount", "Value": 1},
            {"Name": "MpesaReceiptNumber", "Value": "NLJ7RT61SV"},
        ]
        more = [{"Name": "Basket", "Value": value, "Unit": {"of": "x"}}, {}]
        tree["Body"]["stkCallback"]["CallbackMetadata"] = {
            "Item": [*more, *items],
            "Note": {"a": 1},
        }
        found = claims(name, json.dumps(tree).encode())
        assert (found.amount, found.receipt) == (Decimal(1), "NLJ7RT61SV")


FORMS = [
    ("campay", "callback"),
    ("cinetpay", "notice"),
    ("cinetpay", "notice_minimal"),
    ("paydunya", "ipn"),
]
FORMS += [("intram", "callback_flat"), ("mpesa", "c2b_confirmation")]
forms = pytest.mark.parametrize(("name", "case"), FORMS)


@forms
def test_a_form_in_parts_is_a_form(name: str, case: str) -> None:
    """multipart/form-data gives the same claims as application/x-www-form-urlencoded."""
    pairs = [*flat(document(name, case))]
    known = claims(name, urlencode(pairs).encode(), "application/x-www-form-urlencoded")
    said = 'multipart/form-data; charset=utf-8; boundary="x-1"'
    assert claims(name, parts(pairs), said) == known
    assert claims(name, BOM + urlencode(pairs).encode(), "") == known
    assert known.provider_reference or known.provider_status


@forms
def test_a_file_beside_the_fields_is_passed_over(name: str, case: str) -> None:
    """An attached file is no field."""
    pairs = [*flat(document(name, case))]
    known = claims(name, parts(pairs), "multipart/form-data; boundary=x-1")
    head = b'--x-1\r\nContent-Disposition: form-data; name="f"; filename="r.png"\r\n'
    body = head + b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x00\xff\r\n" + parts(pairs)
    assert claims(name, body, "Multipart/Form-Data; boundary=x-1") == known


HEAD = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
SOUND = HEAD + b"1\r\n--x--\r\n"
NESTED = (
    b"--x\r\nContent-Disposition: form-data\r\n"
    b"Content-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--x--"
)
HOSTILE: Mapping[str, tuple[bytes, str]] = {
    "no boundary": (SOUND, ""),
    "an empty boundary": (SOUND, "; boundary="),
    "a long boundary": (SOUND, "; boundary=" + "x" * 71),
    "a boundary beyond ASCII": (SOUND, "; boundary=é"),
    "two boundaries": (SOUND, "; boundary=x; boundary=y"),
    "a boundary in pieces": (SOUND, "; boundary*0=x; boundary*=y"),
    "a line of a header": (SOUND, "; boundary=x\r\nx: y"),
    "many parameters": (SOUND, "; boundary=x" + "; a=b" * 40),
    "a long header": (SOUND, "; boundary=x; a=" + "b" * 2000),
    "another boundary": (SOUND, "; boundary=y"),
    "cut off": (SOUND[:-6], "; boundary=x"),
    "no end": (HEAD + b"1", "; boundary=x"),
    "nothing": (b"", "; boundary=x"),
    "a name twice": (HEAD + b"1\r\n" + SOUND, "; boundary=x"),
    "no headers": (b"--x\r\n1\r\n--x--", "; boundary=x"),
    "no name": (b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--", "; boundary=x"),
    "another disposition": (
        b'--x\r\nContent-Disposition: file; name="a"\r\n\r\n1\r\n--x--',
        "; boundary=x",
    ),
    "encoded": (
        SOUND.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
        "; boundary=x",
    ),
    "not UTF-8": (HEAD + b"\xff\r\n--x--", "; boundary=x"),
    "a head that is not UTF-8": (SOUND.replace(b'"a"', b'"\xff"'), "; boundary=x"),
    "a large head": (SOUND.replace(b'"a"', b'"' + b"a" * 2000 + b'"'), "; boundary=x"),
    "a name in pieces": (SOUND.replace(b"name=", b"name*0*="), "; boundary=x"),
    "too many parts": (
        b"".join(HEAD.replace(b'"a"', b'"%d"' % n) + b"1\r\n" for n in range(101)),
        "; boundary=x",
    ),
    "parts in parts": (NESTED, "; boundary=x"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_form_in_parts_is_refused(case: str) -> None:
    """A wrong multipart form is refused with our own error."""
    body, rest = HOSTILE[case]
    assert multipart_fields(SOUND, "multipart/form-data; boundary=x") == {"a": "1"}
    with pytest.raises(Unreadable):
        multipart_fields(body, f"multipart/form-data{rest}")


@given(
    st.lists(
        st.sampled_from(
            [HEAD, SOUND, b"\r\n", b"--x", b'"', b";", b"=", b"*", b"\\", b"name", b"\xe9"]
        )
    ),
    st.text(st.sampled_from("boundary=x;\"'*\\ \r\n\x00é0"), max_size=40),
)
def test_no_foreign_error_leaves_a_form_in_parts(pieces: list[bytes], rest: str) -> None:
    """A multipart form gives text fields, or Unreadable."""
    for content_type in ("multipart/form-data; boundary=x", f"multipart/form-data{rest}"):
        try:
            found = multipart_fields(b"".join(pieces), content_type)
        except Unreadable:
            continue
        assert all(isinstance(text, str) for pair in found.items() for text in pair)


def test_a_form_in_parts_comes_in_by_the_pool_like_any_message() -> None:
    """The pool reads a multipart form as an event, and a hostile one is BadWebhook."""
    sim = Simulator()
    pool = Pool(sim.driver("intram"), connection=sim.connection)
    fields = {"transaction_id": "5f2d7a96b97d9d3fea912c11", "status": "SUCCESS"}
    headers = {"content-type": "multipart/form-data; boundary=x-1"}
    event = pool.webhook(
        WebhookRequest(body=parts(fields.items()), headers=headers), account="intram"
    )
    assert event.claims.provider_reference == "5f2d7a96b97d9d3fea912c11"
    with pytest.raises(BadWebhook):
        pool.webhook(WebhookRequest(body=b"--x-1\r\n\r\n", headers=headers), account="intram")
