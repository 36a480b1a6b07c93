"""Callback URLs: unguessable, without names in them, and forged ones are BadWebhook."""

import contextlib
import random
import re
import time
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymux import BadWebhook, Event, Payment, Pool, UsageError, WebhookRequest
from paymux.core.callback_urls import ANSWERS, CallbackUrls, Route, Use
from paymux.primitives.redaction import Secret
from paymux.values.validation import NAME_PATTERN

from .toys import BASE, KEY, Keyless, Toy, push

ACCOUNTS = ("toy", "kenya", "camp-1")
HOOKS = CallbackUrls(BASE, Secret(KEY))
NONCE, NEVER = bytes(range(16)), 2**32 - 1
FORBIDDEN = ("mpesa", "m-pesa", "safaricom", "exe", "exec", "cmd", "sql", "query")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True), st.sampled_from(ACCOUNTS))
def test_an_orders_address_reads_back(reference: str, account: str) -> None:
    """An order's URL gives its account and reference back, and has no forbidden word."""
    url = HOOKS.url(account, reference)
    path = url.removeprefix("https://shop.example")
    assert HOOKS._read(path, ACCOUNTS) == (account, "collect", reference)
    assert HOOKS._read(path + "/", ACCOUNTS) == (account, "collect", reference)
    ours = url.removeprefix(BASE)
    assert re.fullmatch("[0-9a-f/]+", ours)
    assert not any(word in ours for word in FORBIDDEN)


def test_an_accounts_address_reads_back() -> None:
    """An account's URL gives the account, without a reference, wherever it is mounted."""
    for prefix in ("", "/pay", "/deep/er/pay", "https://shop.example/pay"):
        hook = HOOKS.url("kenya").rsplit("/", 1)[1]
        assert HOOKS._read(f"{prefix}/{hook}", ACCOUNTS) == ("kenya", "account", None)


_TOY = "/pay/495601e3fcb14ca47aa94e26839ef58a"
_KENYA = "/pay/487c419c8503d10d272f532a5dcd7758"
GOLDEN = {  # made by release 0.1.0: a provider may still have them
    ("toy", None): _TOY,
    ("toy", "order-1"): f"{_TOY}/6f726465722d313ddec439ec7351b87b43ef383662a558",
    ("toy", "-"): f"{_TOY}/2dd51d44c245a17451480b038f6a12b537",
    ("toy", "A" * 64): f"{_TOY}/{'41' * 64}3b98dcb0acd12e2581338d127737a0cd",
    ("kenya", None): _KENYA,
    ("kenya", "order-1"): f"{_KENYA}/6f726465722d31582014d9571c32dd4b42985a1d91c18f",
    ("kenya", ".x_9"): f"{_KENYA}/2e785f3959b7b43e45417d8fd769d7d66212c614",
}


@pytest.mark.parametrize(("account", "reference"), GOLDEN)
def test_an_address_of_an_earlier_release_still_reads(account: str, reference: str | None) -> None:
    """An account's and a collect's address are the same in every release, and read back."""
    pool = Pool(Toy(), Toy(account="kenya"), webhook_base=BASE, webhook_key=KEY)
    path = GOLDEN[account, reference]
    assert pool.webhook_url(account, reference) == f"https://shop.example{path}"
    event = pool.webhook(push(path=path, id="p1"))
    assert (event.account, event.path_reference, event.kind) == (account, reference, "collect")


def test_addresses_depend_on_the_key() -> None:
    """Another key makes other URLs, and does not read ours."""
    other = CallbackUrls(BASE, Secret("another key of 16+"))
    assert other.url("toy") != HOOKS.url("toy")
    assert other._read(HOOKS.url("toy", "r"), ACCOUNTS) is None
    assert CallbackUrls(BASE, Secret(KEY)).url("toy", "r") == HOOKS.url("toy", "r")


def test_an_address_names_nobody() -> None:
    """An account's URL shows no name, and each account has another URL."""
    urls = [HOOKS.url(account) for account in ACCOUNTS]
    assert len(set(urls)) == len(ACCOUNTS)
    assert not any(
        account in url.removeprefix(BASE) for account, url in zip(ACCOUNTS, urls, strict=True)
    )


def test_another_orders_or_accounts_mac_is_forged() -> None:
    """A reference needs its own MAC, under its own account."""
    pool = Pool(Toy(), Toy(account="kenya"), webhook_base=BASE, webhook_key=KEY)
    hook, attempt = HOOKS.url("toy", "r1").rsplit("/", 2)[1:]
    other = HOOKS.url("kenya", "r1").rsplit("/", 1)[1]
    forged = b"r2".hex() + attempt[-32:]
    for path in (
        f"/{hook}/{other}",
        f"/{hook}/{forged}",
        f"/{hook}/{attempt[:-1]}",
        f"/{hook}/{'0' * 32}",
    ):
        with pytest.raises(BadWebhook):
            pool.webhook(push(path=path, id="p1"))


USES: tuple[Use, ...] = ("collect", "payout", "refund", "payout_timeout", "refund_timeout")
# Every path that is not the account's own: its URL, and what it says.
TAILS: dict[Use, tuple[str, str | None]] = {
    **{use: (HOOKS.url("toy", "order-1", use), "order-1") for use in USES},
    "confirmation": (HOOKS.url("toy", use="confirmation"), None),
    "validation": (HOOKS.url("toy", use="validation"), None),
    "answer": (HOOKS.answer_urls("toy", NONCE, NEVER)[0], NONCE.hex()),
    "answer_timeout": (HOOKS.answer_urls("toy", NONCE, NEVER)[1], NONCE.hex()),
}


def _route(path: str, hooks: CallbackUrls = HOOKS) -> Route:
    return hooks.read(
        WebhookRequest(path=path.removeprefix("https://shop.example")), ACCOUNTS, None
    )


@pytest.mark.parametrize("use", TAILS)
def test_each_path_says_what_it_is_for(use: Use) -> None:
    """A path gives back its account, what it is for, and the reference or the nonce."""
    url, said = TAILS[use]
    assert _route(url) == Route("toy", use, said)
    assert re.fullmatch("[0-9a-f/]+", url.removeprefix(BASE))
    assert len({url for url, _ in TAILS.values()}) == len(TAILS)


def test_no_reference_begins_like_another_path() -> None:
    """No character that a reference may begin with is the byte of another use."""
    first = [char for char in map(chr, range(0x110000)) if NAME_PATTERN.fullmatch(char)]
    assert len(first) == 65
    for char in first:
        for reference in (char, char * 64):
            assert _route(HOOKS.url("toy", reference)) == Route("toy", "collect", reference)
            for use in USES:
                assert _route(HOOKS.url("toy", reference, use)).use == use


@pytest.mark.parametrize("use", TAILS)
def test_a_path_of_another_use_or_account_is_forged(use: Use) -> None:
    """A MAC is good for one use of one account: with another byte or hook, BadWebhook."""
    head, tail = TAILS[use][0].rsplit("/", 1)
    kenya = HOOKS.url("kenya")
    bare = tail if use == "collect" else tail[2:]
    forged = {f"{kenya}/{tail}"} | {
        f"{head}/{byte}{bare}"
        for byte in ("", "00", "01", "02", "03", "04", "05", "06", "10", "11", "12", "13", "2d")
        if f"{byte}{bare}" != tail
    }
    for other in forged:
        with pytest.raises(BadWebhook):
            _route(other)


@pytest.mark.parametrize("use", TAILS)
def test_a_damaged_path_is_forged(use: Use) -> None:
    """Truncated, odd, upper-case, spaced, doubled or very long tails are BadWebhook."""
    head, tail = TAILS[use][0].rsplit("/", 1)
    damaged = {tail[:length] for length in range(1, len(tail))}
    damaged |= {tail[1:], tail + "0", tail + "00", tail + tail, "0" + tail, tail.upper()}
    damaged |= {f"{tail[:2]} {tail[2:]}", "0" * 8000, tail[:2] * 4000, tail.replace("0", "\uff21")}
    for other in damaged - {tail}:
        with pytest.raises(BadWebhook):
            _route(f"{head}/{other}")


def test_the_path_of_an_answer_expires() -> None:
    """Until its second an answer's path reads; after it, BadWebhook says that it has expired."""
    now = int(time.time())
    for url in HOOKS.answer_urls("toy", NONCE, now + 60):
        assert _route(url).reference == NONCE.hex()
    for url in HOOKS.answer_urls("toy", NONCE, now - 1):
        with pytest.raises(BadWebhook, match="expired"):
            _route(url)


def test_a_pool_gives_each_address_by_its_use() -> None:
    """A caller gets the URL of an order by its kind, and the two of C2B; others are refused."""
    pool = Pool(Toy(), webhook_base=BASE, webhook_key=KEY)
    assert pool.webhook_url("toy", "order-1", use="payout") == TAILS["payout"][0]
    assert pool.webhook_url("toy", "order-1", use="refund") == TAILS["refund"][0]
    assert pool.webhook_url("toy", "order-1", use="collect") == pool.webhook_url("toy", "order-1")
    assert pool.webhook_url("toy", use="confirmation") == TAILS["confirmation"][0]
    assert pool.webhook_url("toy", use="validation") == TAILS["validation"][0]
    odd: Any
    for odd in ("payout_timeout", "answer", "account", "", 5):
        with pytest.raises(UsageError, match="use"):
            pool.webhook_url("toy", "order-1", use=odd)
    with pytest.raises(UsageError, match="reference"):
        pool.webhook_url("toy", use="payout")
    with pytest.raises(UsageError, match="reference"):
        pool.webhook_url("toy", "order-1", use="confirmation")


def test_an_event_says_what_its_path_is_for() -> None:
    """Only the path of an order authenticates a message; the account's and C2B's do not."""
    pool = Pool(Toy(), webhook_base=BASE, webhook_key=KEY)
    said = {}
    for use, (url, _) in {"account": (pool.webhook_url("toy"), None), **TAILS}.items():
        if use not in ANSWERS:
            event = pool.webhook(push(path=url, id="p1", kind="payout"))
            said[use] = (event.path_use, event.path_reference, event.kind, event.authenticated)
    assert said == {
        "account": (None, None, "payout", False),
        "collect": ("collect", "order-1", "collect", True),
        "payout": ("payout", "order-1", "payout", True),
        "refund": ("refund", "order-1", "refund", True),
        "payout_timeout": ("payout_timeout", "order-1", "payout", True),
        "refund_timeout": ("refund_timeout", "order-1", "refund", True),
        "confirmation": ("confirmation", None, "payout", False),
        "validation": ("validation", None, "payout", False),
    }


def test_a_stored_event_of_an_earlier_release_is_a_collects() -> None:
    """A message that was stored with its order's reference alone came on a collect's path."""
    stored = (
        b'{"account":"toy","provider":"toy","trust":"nothing","claims":{"account":"toy",'
        b'"status":"pending"},"ping":false,"attempt":"x-1"}'
    )
    event = msgspec.json.decode(stored, type=Event)
    assert (event.kind, event.authenticated) == ("collect", True)
    assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event


def test_only_webhooks_takes_an_answer() -> None:
    """`Pool.webhook` refuses the answer of a question, and says what takes it."""
    pool = Pool(Toy(), webhook_base=BASE, webhook_key=KEY)
    for use in ANSWERS:
        with pytest.raises(BadWebhook, match=r"paymux\.Webhooks"):
            pool.webhook(push(path=TAILS[use][0], id="p1"))


@pytest.mark.parametrize("body", [b"", b"\xff{", b'{"id": "p9", "status": "FAILED"}'])
def test_of_a_time_out_only_its_path_is_read(body: bytes) -> None:
    """Any body of a queue's time-out is a pending hint about its order, and is not kept."""
    pool = Pool(Toy(), webhook_base=BASE, webhook_key=KEY)
    path = TAILS["payout_timeout"][0].removeprefix("https://shop.example")
    event = pool.webhook(WebhookRequest(path=path, body=body))
    expected = Payment(
        account="toy", provider="toy", kind="payout", live=False, reference="order-1"
    )
    assert event.claims == expected


def test_every_flipped_character_is_refused() -> None:
    """A URL with one changed character is never accepted as another order's."""
    pool = Pool(Toy(), webhook_base=BASE, webhook_key=KEY)
    path = HOOKS.url("toy", "order-1").removeprefix("https://shop.example")
    for place in range(len("/pay/"), len(path)):
        changed = "0" if path[place] != "0" else "1"
        with pytest.raises(BadWebhook):
            pool.webhook(push(path=path[:place] + changed + path[place + 1 :], id="p1"))


HOSTILE = [
    "",
    "/",
    "//",
    "///",
    "/\udcff",
    "/é",
    "/" + "a" * 100_000,
    "/%00",
    "\x00",
    "/..",
    "/../..",
    "?",
    "#",
]


@pytest.mark.parametrize("path", HOSTILE)
@pytest.mark.parametrize("hooks", [True, False])
def test_a_hostile_path_is_bad_webhook(path: str, *, hooks: bool) -> None:
    """Any path is BadWebhook and nothing else, with and without webhooks."""
    pool = Pool(Toy(), webhook_base=BASE, webhook_key=KEY) if hooks else Pool(Toy())
    hook = HOOKS.url("toy").rsplit("/", 1)[1]
    for tried in (path, f"/{hook}{path}" if path.strip("/") else "/x", f"{path}/{hook}x"):
        with pytest.raises(BadWebhook):
            pool.webhook(WebhookRequest(path=tried, body=b"{}"))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(st.characters(), max_size=60), st.binary(max_size=60), st.text(max_size=60))
def test_no_message_raises_anything_foreign(path: str, body: bytes, query: str) -> None:
    """Any path, body and query gives an Event or BadWebhook."""
    pool = Pool(Toy(), webhook_base=BASE, webhook_key=KEY)
    hook = HOOKS.url("toy").rsplit("/", 1)[1]
    for tried in (path, f"/{hook}", f"/{hook}/{path}"):
        for method in ("GET", "POST"):
            try:
                event = pool.webhook(
                    WebhookRequest(method=method, path=tried, query=query, body=body)
                )
            except BadWebhook:
                continue
            assert event.account == "toy"


BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"5",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b'{"id": 1, "id": 2}',
    b'{"amount": 1E+1000000}',
    b'{"amount": "1E+1000000"}',
    b'{"amount": NaN}',
    b'{"amount": 1' + b"0" * 5000 + b"}",
    b'{"id": "\\ud800"}',
    b'{"id": {"a": 1}}',
    b'{"id": ' + b"[" * 200_000,
    b'{"id": "' + b"a" * 300_000 + b'"}',
    b"id=1&id=2",
    b"&".join(b"a%d=1" % n for n in range(300)),
    b"id=%ff",
    b"amount=1_000",
    b"amount=%D9%A1",
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_an_unreadable_body_is_bad_webhook(body: bytes) -> None:
    """An unreadable body is BadWebhook, and an event has no status to act on."""
    event = None
    with contextlib.suppress(BadWebhook):
        event = Pool(Toy()).webhook(WebhookRequest(body=body), account="toy")
    assert event is None or event.claims.provider_reference is None


def test_a_message_to_another_account_than_its_path_is_refused() -> None:
    """A route for one account refuses another account's path."""
    pool = Pool(Toy(), Toy(account="kenya"), webhook_base=BASE, webhook_key=KEY)
    with pytest.raises(BadWebhook):
        pool.webhook(push(path=HOOKS.url("toy"), id="p1"), account="kenya")
    assert pool.webhook(push(path="/campay", id="p1"), account="kenya").account == "kenya"
    with pytest.raises(UsageError):
        pool.webhook(push(path="/x", id="p1"), account="unknown")


def test_too_many_headers_are_refused() -> None:
    """A message with more than 64 headers is refused."""
    with pytest.raises(BadWebhook):
        Pool(Toy()).webhook(push(headers={f"x-{n}": "" for n in range(65)}, id="p"), account="toy")


@pytest.mark.proves("campay: use HTTPS for the callback")
@pytest.mark.parametrize(
    ("base", "key"),
    [
        (BASE, None),
        (None, KEY),
        (BASE, ""),
        (BASE, "short"),
        (BASE, "é" * 20),
        ("ftp://shop.example/pay", KEY),
        ("https://shop.example/pay?x=1", KEY),
        ("shop.example", KEY),
        ("https://user@shop.example", KEY),
        ("", KEY),
    ],
)
def test_a_wrong_base_or_key_is_refused(base: str | None, key: str | None) -> None:
    """Base and key come together, the base is https, the key is long; the key is not shown."""
    with pytest.raises(UsageError) as caught:
        Pool(Toy(), webhook_base=base, webhook_key=key)
    if key:
        assert key not in str(caught.value)


OLD, NEW = "sixteen characters, old", "sixteen characters, new"
STORED = [("collect", "order-1"), ("payout", "order-1"), ("refund", "order-1"), (None, None)]


@pytest.mark.parametrize(("use", "reference"), [*STORED, ("confirmation", None)])
def test_paths_of_every_key_are_read_and_the_first_makes_new_ones(
    use: Any, reference: str | None
) -> None:
    """A path that a provider got under the old key works, as before, after the new key came."""
    old, new = (Pool(Toy(), webhook_base=BASE, webhook_key=key) for key in (OLD, NEW))
    both = Pool(Toy(), webhook_base=BASE, webhook_key=[NEW, Secret(OLD)])
    path = partial(Pool.webhook_url, account="toy", reference=reference, use=use)
    assert path(both) == path(new) != path(old)
    for made in (old, new):
        event = both.webhook(push(path=path(made), id="p1"))
        assert (event.path_reference, event.authenticated) == (reference, reference is not None)
    with pytest.raises(BadWebhook):
        new.webhook(push(path=path(old), id="p1"))


@pytest.mark.parametrize(
    "keys",
    [(OLD,), [OLD], Secret(OLD), f'["{OLD}"]', f'["{OLD}", "{NEW}"]', (OLD, NEW), [OLD] * 16],
)
def test_one_key_may_be_a_list_or_its_json(keys: Any) -> None:
    """A list, a tuple, and the text that a variable has, are the same; the first key is used."""
    told = Pool(Toy(), webhook_base=BASE, webhook_key=keys).webhook_url("toy", "r")
    assert told == Pool(Toy(), webhook_base=BASE, webhook_key=OLD).webhook_url("toy", "r")


class _Hostile(list[str]):
    def __iter__(self) -> Any:
        raise RuntimeError(OLD)


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ([], "webhook_key"),
        ((), "webhook_key"),
        (5, "webhook_key"),
        ({OLD: NEW}, "webhook_key"),
        ({OLD}, "webhook_key"),
        (_Hostile([OLD]), "webhook_key"),
        ([OLD] * 17, "webhook_key"),
        ([None], "webhook_key"),
        ([[OLD]], "webhook_key"),
        (OLD.encode(), "webhook_key"),
        (Secret(5), "webhook_key"),  # type: ignore[arg-type]  # what is tested
        ([OLD, NEW[:15]], "webhook_key[1]"),
        ([OLD, 5], "webhook_key[1]"),
        ([NEW[:15], 5], "webhook_key[0]"),
        ([OLD, OLD + "é"], "webhook_key[1]"),
        ([OLD, OLD + "\ud800"], "webhook_key[1]"),
        (f'["{OLD}", 5]', "webhook_key[1]"),
        (f'["{OLD}"', "webhook_key"),
        ('["' * 100_000, "webhook_key"),
    ],
)
def test_a_wrong_list_of_keys_is_refused_and_not_shown(keys: Any, name: str) -> None:
    """UsageError names the field, or the key of the list, and shows none of them."""
    with pytest.raises(UsageError) as caught:
        Pool(Toy(), webhook_base=BASE, webhook_key=keys)
    assert (caught.value.name, caught.value.value) == (name, "***")
    assert not any(key[:15] in str(caught.value) for key in (OLD, NEW))


def test_http_is_for_sandboxes() -> None:
    """The base may be http if every account is a sandbox; one live account needs https."""
    plain = "http://shop.example/pay"
    sandbox, live = Toy(), Toy(account="live", live=True)
    for rehearsing in (sandbox, Toy(account="here", live=True, base_url="http://127.0.0.1:1")):
        account = rehearsing.account
        assert (
            Pool(rehearsing, webhook_base=plain, webhook_key=KEY)
            .webhook_url(account)
            .startswith(f"{plain}/")
        )
    for drivers in ((live,), (sandbox, live), (live, sandbox)):
        with pytest.raises(UsageError, match=r"webhook_base.*https"):
            Pool(*drivers, webhook_base=plain, webhook_key=KEY)


def test_an_address_needs_a_base() -> None:
    """Without a base, and for an unknown account, there is no URL."""
    with pytest.raises(UsageError):
        Pool(Toy()).webhook_url("toy")
    with pytest.raises(UsageError):
        Pool(Toy(), webhook_base=BASE, webhook_key=KEY).webhook_url("other")


@pytest.mark.parametrize("reference", ["\ud800", "a/b", "x" * 65, "é", ""])
def test_an_address_is_made_only_for_a_reference_that_could_be_an_orders(reference: str) -> None:
    """An impossible reference has no URL: UsageError, nothing foreign."""
    with pytest.raises(UsageError):
        Pool(Keyless(), webhook_base=BASE, webhook_key=KEY).webhook_url("keyless", reference)


def test_comparing_does_not_stop_at_the_first_account() -> None:
    """The URL of every account is found, in any order of accounts."""
    shuffled = random.Random(1).sample([f"account-{n}" for n in range(50)], 50)
    for account in shuffled[:5] + shuffled[-5:]:
        assert HOOKS._read(HOOKS.url(account), shuffled) == (account, "account", None)
