"""R1 and R2: what a caller is told of a money request is true, wherever the wire breaks."""

import asyncio
import contextlib
import gzip
import json
import random
import socket
import ssl
import time
import warnings
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any
from unittest.mock import patch

import msgspec
import trustme

from paymux import AuthenticationFailed, NotSent, OutcomeUnknown, Payment, RateLimited, UsageError
from paymux.drivers import load
from paymux.http import Response
from paymux.primitives.redaction import Secret
from paymux.simulator import Simulator

from .faulty import (
    ATTEMPTS,
    HEALTHY,
    Case,
    Desk,
    Door,
    End,
    Fault,
    Framing,
    Operation,
    Over,
    Visit,
    Where,
    framed,
    hasty,
    refuses,
    request_cut,
    response_cut,
    writes,
)
from .proxy import REFUSALS

TITLES: Mapping[int, str] = {
    1: "DNS failure",
    2: "connect refused",
    3: "TCP connect time-out",
    4: "pool wait time-out",
    5: "pool wait, total time-out",
    6: "TLS hang, or a plaintext peer",
    7: "TLS close or reset in the handshake",
    8: "certificate untrusted, or of another host",
    9: "pin mismatch",
    10: "proxy refuses",
    11: "total time-out before sending",
    12: "cancelled before sending",
    13: "bad URL, closed pool",
    14: "CR, LF or NUL in a header value",
    15: "write error in mid request",
    16: "the peer stops reading",
    17: "reused: a FIN that the loop has not seen (asked on another connection)",
    18: "reused: ended after the whole request",
    19: "fresh: ended right after accepting",
    20: "ended after the whole request, before the answer",
    21: "TLS 1.3: client certificate demanded",
    22: "read time-out after sending",
    23: "total time-out after sending",
    24: "hang or end inside the answer's headers",
    25: "an answer that is not HTTP",
    26: "endless 100 Continue, then the end",
    27: "cancelled after sending",
    28: "the process dies between sending and the answer",
    29: "2xx, complete and ours",
    30: "2xx of another order",
    31: "2xx with a truncated body",
    32: "2xx without a length, closed in mid JSON",
    33: "bad gzip, or a body that stalls",
    34: "2xx that is HTML, empty or 204",
    35: "2xx that says error or busy",
    36: "3xx",
    37: "a listed business refusal",
    38: "4xx in HTML, or with an unknown code",
    39: "a stale token",
    40: "403 or 407 of a firewall",
    41: "408",
    42: "a listed duplicate reference",
    43: "409, 423, 425",
    44: "a listed throttling",
    45: "429 of an unknown layer",
    46: "500 with or without JSON",
    47: "502, 503, 504",
    48: "a body too large, too deep, or a bomb",
}
NEVER: Mapping[int, str] = {
    4: "the connector has no limit (limit=0), so that nothing ever waits for a place in it",
    5: (
        "as row 4; waiting for an account's own rate limit is bounded by the deadline, and sends "
        "nothing"
    ),
    9: "paymux pins no certificate",
    22: "there is no sock_read time-out; the deadline (row 23) ends a silent read",
    28: (
        "nothing in this process can be told; the reference is the caller's, stored before the call"
    ),
}
OVER_A_SESSION: Mapping[int, str] = {
    **NEVER,
    4: "the places of the session's connector are its owner's; tests/test_session.py fills them",
    5: "as row 4",
    10: "the proxy is the session's",
}
UNKNOWN = (OutcomeUnknown,)
HTML = b"<!doctype html><title>Sorry</title><p>Come back later."
NOT_HTTP: Mapping[str, bytes] = {
    "garbage": b"\x16\x03\x01 this is not HTTP\r\n\r\n",
    "status line": b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
    "long header": b"HTTP/1.1 200 OK\r\nX-Long: "
    + b"x" * 20_000
    + b"\r\nContent-Length: 2\r\n\r\n{}",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
}
SILENT = writes(lambda _: b"", End.STALL)
BRIEF = 0.4  # seconds: the deadline of what would stall for ever
WORKERS = 64  # which wait in silence for most of the time
# which compute: on a busy machine, more would let each other's handshakes time out
TABLE_WORKERS = 16


class Certificates:
    """The certificates of one campaign, which no other program trusts."""

    def __init__(self) -> None:
        self._ours, self._strangers = trustme.CA(), trustme.CA()
        self.client = ssl.create_default_context()
        self._ours.configure_trust(self.client)

    def server(
        self, host: str = "127.0.0.1", *, trusted: bool = True, demanding: bool = False
    ) -> ssl.SSLContext:
        """Make a server's context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (self._ours if trusted else self._strangers).issue_cert(host).configure_cert(context)
        if demanding:
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.verify_mode = ssl.CERT_REQUIRED
            self._ours.configure_trust(context)
        return context


@contextlib.asynccontextmanager
async def nobody(door: Door) -> AsyncGenerator[None]:
    """Let no server listen."""
    await door.shut()
    yield


@contextlib.asynccontextmanager
async def nameless(_: Door) -> AsyncGenerator[None]:
    """Let no name resolve."""
    with patch.object(
        asyncio.get_running_loop(), "getaddrinfo", side_effect=socket.gaierror(-2, "no such name")
    ):
        yield


@contextlib.asynccontextmanager
async def crowded(door: Door) -> AsyncGenerator[None]:
    """Let a full backlog swallow every connection attempt."""
    await door.shut()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", door.port))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", door.port))
        yield


@contextlib.asynccontextmanager
async def plain(
    door: Door, *, says: bytes = b"", reads: bool = False, end: End
) -> AsyncGenerator[None]:
    """Let a peer without TLS answer where TLS is spoken."""
    await door.shut()
    over = asyncio.Event()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reads:
            await reader.read(100)
        writer.write(says)
        if end is End.STALL:
            await over.wait()
        if end is End.RST:
            wire = writer.get_extra_info("socket")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(meet, "127.0.0.1", door.port)
    try:
        yield
    finally:
        over.set()
        server.close()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def recertified(door: Door, *, tls: ssl.SSLContext) -> AsyncGenerator[None]:
    """Let the server show, or demand, another certificate."""
    await door.shut()
    await door.open(tls)
    yield


def before_sending(certificates: Certificates, operation: Operation) -> dict[int, list[Case] | str]:
    """Give rows 1 to 14: nothing was sent, and the caller is told so."""
    case = partial(Case, ends=(NotSent,), where=("fresh",))
    secure = partial(case, tls=True, connect_timeout=1.0)
    stranger = partial(recertified, tls=certificates.server(trusted=False))
    other_host = partial(recertified, tls=certificates.server("other.example"))
    late = [case(name="while connecting", network=crowded, deadline=BRIEF)]
    if operation.driver in ("campay", "mpesa"):
        stalls = (request_cut(0, End.STALL),)
        late.append(case(name="in the login", plan=stalls, cold=True, deadline=BRIEF))
        late.append(
            case(name="login refused by the wire", plan=(request_cut(50, End.FIN),), cold=True)
        )
    return {
        1: [case(name="no such name", network=nameless, host="localhost", alone=True)],
        2: [case(name="nobody listens", network=nobody)],
        3: [case(name="backlog full", network=crowded, connect_timeout=0.5)],
        6: [
            secure(name="hang", network=partial(plain, end=End.STALL)),
            secure(
                name="plaintext", network=partial(plain, says=NOT_HTTP["status line"], end=End.FIN)
            ),
        ],
        7: [
            secure(name="close", network=partial(plain, reads=True, end=End.FIN)),
            secure(name="reset", network=partial(plain, reads=True, end=End.RST)),
        ],
        8: [
            case(name="untrusted", tls=True, network=stranger, handshakes=1),
            case(name="other host", tls=True, network=other_host, handshakes=1),
        ],
        10: [
            case(name=refusal, tls=True, proxy=refusal, connect_timeout=1.0) for refusal in REFUSALS
        ],
        11: late,
        12: [
            case(
                name="while connecting",
                ends=(asyncio.CancelledError,),
                network=crowded,
                meanwhile="cancel",
            )
        ],
        13: [
            case(
                name="closed pool",
                ends=(UsageError,),
                before="close the pool",
                where=("fresh", "reused"),
            ),
            case(
                name="pool closed while asking",
                ends=UNKNOWN,
                plan=(SILENT,),
                meanwhile="close the pool",
            ),
        ],
    }


def no_answer(certificates: Certificates, operation: Operation) -> dict[int, list[Case] | str]:
    """Give rows 15 to 27: it was sent, and no whole answer came."""
    case = partial(Case, ends=UNKNOWN)
    ends = (End.FIN, End.RST)
    whole = 1 << 30  # more than any request has
    demanding = partial(recertified, tls=certificates.server(demanding=True))
    half = [case(name="reset after 200 bytes", plan=(request_cut(200, End.RST),))]
    stuck: list[Case] | str = operation.endless if isinstance(operation.endless, str) else []
    if not isinstance(operation.endless, str):
        endless = partial(case, order=operation.endless)
        half += [
            endless(name=f"{end.value} in 6 MB", plan=(request_cut(100_000, end),)) for end in ends
        ]
        stuck = [endless(name="6 MB", plan=(request_cut(1, End.STALL),), deadline=2 * BRIEF)]
    return {
        15: half,
        16: stuck,
        17: [case(name="FIN", ends=(Payment,), where=("reused",), before="hang up")],
        18: [
            case(name=end.value, plan=(request_cut(whole, end),), where=("reused",)) for end in ends
        ],
        19: [case(name=end.value, plan=(request_cut(0, end),), where=("fresh",)) for end in ends],
        20: [
            case(name=end.value, plan=(request_cut(whole, end),), where=("fresh",)) for end in ends
        ],
        21: [case(name="none is shown", network=demanding, tls=True, where=("fresh",))],
        23: [case(name="silence", plan=(SILENT,), deadline=BRIEF)],
        24: [
            case(name="hang", plan=(response_cut(25, Framing.LENGTH, End.STALL),), deadline=BRIEF),
            *(case(name=end.value, plan=(response_cut(25, Framing.LENGTH, end),)) for end in ends),
        ],
        25: [case(name=name, plan=(spoken(said),)) for name, said in NOT_HTTP.items()],
        26: [case(name="200 times", plan=(spoken(b"HTTP/1.1 100 Continue\r\n\r\n" * 200),))],
        27: [
            case(name="silence", ends=(asyncio.CancelledError,), plan=(SILENT,), meanwhile="cancel")
        ],
    }


def spoken(said: bytes) -> Fault:
    """Do what a request asks, write these bytes, and close."""
    return writes(lambda _: said, End.FIN)


def instead(status: int, body: bytes = b"", **headers: str) -> Fault:
    """Do what a request asks, and give this answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return writes(lambda _: framed(Response(status=status, headers=named, body=body)))


def altered(fields: Mapping[str, object]) -> Fault:
    """Do what a request asks, and answer with some fields of another order."""

    def change(reply: Response) -> bytes:
        body = json.dumps({**json.loads(reply.body), **fields}).encode()
        return framed(Response(status=reply.status, headers=reply.headers, body=body))

    return writes(change)


def packed(cut: int) -> Fault:
    """Do what a request asks, and answer in a gzip that lacks its end."""

    def change(reply: Response) -> bytes:
        headers = {**reply.headers, "Content-Encoding": "gzip"}
        return framed(
            Response(status=reply.status, headers=headers, body=gzip.compress(reply.body)[:-cut])
        )

    return writes(change)


def answers(operation: Operation) -> dict[int, list[Case] | str]:
    """Give rows 29 to 36, and 48: a response of 2xx or 3xx."""
    case = partial(Case, ends=UNKNOWN)
    other = operation.altered
    busy = [
        case(name="busy", plan=(instead(200, b'{"status": "busy", "message": "Try again later"}'),))
    ]
    if not isinstance(operation.busy, str):
        said, error = operation.busy
        sure = issubclass(error, OutcomeUnknown)
        plan = (instead(said.status, said.body),) if sure else (refuses(said),)
        busy.append(case(name="its own", ends=(error,), plan=plan))
    long = b'{"status": "' + b"x" * (2 << 20) + b'"}'
    bomb = gzip.compress(long)
    return {
        29: [
            case(name=framing.value, ends=(Payment,), plan=(whole(framing),)) for framing in Framing
        ],
        30: other
        if isinstance(other, str)
        else [case(name=f"{one}", plan=(altered(one),)) for one in other],
        31: [
            case(name=way.value, plan=(inside(way, End.FIN),))
            for way in (Framing.LENGTH, Framing.CHUNKED)
        ],
        32: [case(name="FIN", plan=(inside(Framing.CLOSE, End.FIN),))],
        33: [
            case(name="gzip cut", plan=(packed(9),)),
            case(name="not gzip", plan=(instead(200, b"plain", Content_Encoding="gzip"),)),
            case(name="stall", plan=(inside(Framing.LENGTH, End.STALL),), deadline=BRIEF),
        ],
        34: [
            case(name="HTML", plan=(instead(200, HTML, Content_Type="text/html"),)),
            *([] if operation.bare else [case(name="empty", plan=(instead(200),))]),
            case(name="204", plan=(writes(lambda _: b"HTTP/1.1 204 No Content\r\n\r\n"),)),
            case(name="text", plan=(instead(200, b"OK", Content_Type="text/plain"),)),
            case(
                name="a bare number", plan=(instead(200, b"200", Content_Type="application/json"),)
            ),
        ],
        35: busy,
        36: [
            case(name=f"{status}", plan=(instead(status, HTML, Location="/elsewhere"),))
            for status in (301, 302, 303, 307, 308)
        ],
        48: [
            case(name="2 MiB", plan=(instead(200, long),)),
            case(
                name="2 MiB chunked",
                plan=(writes(lambda _: framed(Response(status=200, body=long), Framing.CHUNKED)),),
            ),
            case(name="deep", plan=(instead(200, b'{"status": ' + b"[" * 100_000),)),
            case(name="bomb", plan=(instead(200, bomb, Content_Encoding="gzip"),)),
        ],
    }


def whole(framing: Framing) -> Fault:
    """Give the good answer in this framing."""
    return response_cut(1 << 30, framing, End.FIN)


def inside(framing: Framing, end: End) -> Fault:
    """Give the good answer up to the middle of its body, and end."""

    async def act(visit: Visit) -> None:
        reply = await visit.process()
        if reply is not None:
            visit.write(framed(reply, framing)[: -len(reply.body) // 2])
            await visit.end(end)

    return Fault(act)


def refusals(operation: Operation) -> dict[int, list[Case] | str]:
    """Give rows 37 to 47: a response of 4xx or 5xx; only a listed one is certain."""
    case = partial(Case, ends=UNKNOWN)
    refusal, error = operation.refusal
    listed = [case(name="listed", ends=(error,), plan=(refuses(refusal),))]
    if operation.repeatable:
        listed.append(case(name="listed, after an unknown", plan=(instead(500), refuses(refusal))))
    return {
        37: listed,
        38: [
            case(name="HTML", plan=(instead(400, HTML),)),
            case(name="empty", plan=(instead(400),)),
            case(
                name="unknown code",
                plan=(instead(400, b'{"error_code": "NEW", "message": "unheard of"}'),),
            ),
            case(name="404", plan=(instead(404, b'{"detail": "Not found."}'),)),
            case(name="422", plan=(instead(422, b'{"detail": "no"}'),)),
        ],
        39: sure(operation.stale, "stale", AuthenticationFailed),
        40: [case(name=f"{status}", plan=(instead(status, HTML),)) for status in (401, 403, 407)],
        41: [
            case(name="JSON", plan=(instead(408, b"{}"),)),
            case(name="HTML", plan=(instead(408, HTML),)),
        ],
        42: duplicates(operation.duplicate),
        43: [case(name=f"{status}", plan=(instead(status, b"{}"),)) for status in (409, 423, 425)],
        44: sure(operation.throttled, "throttled", RateLimited),
        45: [
            case(name="HTML", plan=(instead(429, HTML, Retry_After="0"),)),
            case(name="JSON", plan=(instead(429, b'{"message": "slow down"}', Retry_After="0"),)),
        ],
        46: [
            case(name="JSON", plan=(instead(500, b'{"error": "internal"}'),)),
            case(name="HTML", plan=(instead(500, HTML),)),
            case(name="empty", plan=(instead(500),)),
            case(
                name="with the good body",
                plan=(writes(lambda reply: framed(msgspec.structs.replace(reply, status=500))),),
            ),
        ],
        47: [
            *(case(name=f"{status}", plan=(instead(status, HTML),)) for status in (502, 503, 504)),
            case(name="503, Retry-After", plan=(instead(503, HTML, Retry_After="0"),)),
        ],
    }


def sure(refusal: Response | str, name: str, error: type[BaseException]) -> list[Case] | str:
    """Give the cases of a refusal before processing: once, then served; and again and again."""
    if isinstance(refusal, str):
        return refusal
    at_once = msgspec.structs.replace(refusal, headers={**refusal.headers, "Retry-After": "0"})
    fault = refuses(at_once)
    return [
        Case(name=f"{name} once", ends=(Payment,), plan=(fault, HEALTHY)),
        Case(name=f"{name} for ever", ends=(error,), plan=(fault,)),
    ]


def duplicates(refusal: Response | str) -> list[Case] | str:
    """Give the case of a listed duplicate."""
    if isinstance(refusal, str):
        return refusal
    return [Case(name="listed", ends=UNKNOWN, listed=True, plan=(refuses(refusal),))]


def table(
    certificates: Certificates, operation: Operation, over: Over = "connection"
) -> dict[int, list[Case] | str]:
    """Give the whole table for one operation: the cases of each row, or why it cannot occur."""
    rows: dict[int, list[Case] | str] = {
        **before_sending(certificates, operation),
        14: "refused when a driver or an order is made, which this campaign checks",
        **no_answer(certificates, operation),
        **answers(operation),
        **refusals(operation),
        **(NEVER if over == "connection" else OVER_A_SESSION),
    }
    return {number: _repeated(operation, rows[number]) for number in sorted(rows)}


def _repeated(operation: Operation, cases: list[Case] | str) -> list[Case] | str:
    # Where each request makes a page that charges no payer, or is joined, what is unknown is
    # repeated and may be answered then. A provider with an answer for a duplicate gives that one,
    # if it had the first request: the order exists, and is looked up.
    if isinstance(cases, str) or not operation.repeatable:
        return cases
    ends = (Payment, *UNKNOWN) if operation.refuses_repeats else (Payment,)
    once = [
        msgspec.structs.replace(
            case, name=f"{case.name}, once", ends=ends, plan=(*case.plan, HEALTHY)
        )
        for case in cases
        if case.ends == UNKNOWN
        and case.plan != (HEALTHY,)
        and case.deadline is None
        and not case.listed
        and not case.meanwhile
        and len(case.plan) == 1
    ]
    return [*cases, *once]


def poisoned(operation: Operation) -> list[str]:
    """Try row 14: every credential and the reference with a control character.

    Give what was not refused.
    """
    kind = load(operation.driver)
    given: dict[str, Any] = {
        **Simulator().providers[operation.driver].credentials,
        "base_url": "http://127.0.0.1:1",
    }
    taken = []
    for field in msgspec.structs.fields(kind):
        if Secret not in getattr(field.type, "__args__", ()):
            continue
        for mark in "\r\n\0":
            try:
                kind(**{**given, field.name: f"simulator{mark}X: y"})
                taken.append(f"{operation.name}: {mark!r} in {field.name}")
            except UsageError:
                pass
    return taken


class Tally:
    """What a campaign found."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.counts: Counter[tuple[str, str]] = Counter()
        self.wrong: list[str] = []
        # the cases that end otherwise over a session, but soundly
        self.differences: Counter[str] = Counter()
        self.skipped = self.again = 0

    def note(self, desk: Desk, what: str, name: str, where: Where, problem: str | None) -> None:
        """Note how one case ended."""
        operation = desk.operation
        self.counts[operation.name, what] += 1
        if desk.differs:
            self.differences[f"{what[:2]} {name}, {where}: {desk.differs}"] += 1
        if problem is not None:
            self.wrong.append(f"{what[:2]} {operation.name}, {name}, {where}: {problem}")

    def total(self, *whats: str) -> int:
        """Count the cases of these kinds."""
        return sum(count for (_, what), count in self.counts.items() if what in whats)

    @property
    def late(self) -> bool:
        """Tell whether the campaign's time is over."""
        return time.monotonic() > self.until


async def walk_table(
    operations: Iterable[Operation],
    tally: Tally,
    *,
    in_turn: bool = False,
    over: Over = "connection",
) -> None:
    """R1: make every row that can occur.

    `in_turn`: each case on a fresh or a reused connection, not both.
    """
    certificates = Certificates()
    jobs = [
        (operation, number, case, where)
        for operation in operations
        for number, cases in table(certificates, operation, over).items()
        if not isinstance(cases, str)
        for turn, case in enumerate(cases, number)
        for where in (case.where[turn % len(case.where) :][:1] if in_turn else case.where)
    ]
    with (
        warnings.catch_warnings(),
        patch("aiohttp.connector._SSL_CONTEXT_VERIFIED", certificates.client),
        hasty(),
    ):
        # rows 15 and 16 do
        warnings.filterwarnings("ignore", "Sending a large body", ResourceWarning)
        for alone in (False, True):
            some = iter([job for job in jobs if job[2].alone is alone])

            async def work(some: Iterator[tuple[Operation, int, Case, Where]] = some) -> None:
                for operation, number, case, where in some:
                    if tally.late:
                        tally.skipped += 1
                        continue
                    attempts = 1 if case.alone else ATTEMPTS
                    desk = Desk(operation, attempts=attempts, over=over)
                    tls = certificates.server() if case.tls else None
                    await desk.open(
                        tls=tls,
                        host=case.host,
                        connect_timeout=case.connect_timeout,
                        proxied=case.proxy != "",
                    )
                    problem = await judged(desk, case, where, tally)
                    await desk.close()
                    tally.note(desk, "R1", f"row {number}: {case.name}", where, problem)

            await asyncio.gather(*(work() for _ in range(1 if alone else TABLE_WORKERS)))


async def judged(desk: Desk, case: Case, where: Where, tally: Tally) -> str | None:
    """Run a case, and give what is wrong with how it ended."""
    problem = await desk.run(case, where)
    if (problem is None and not desk.differs) or not desk.unlucky:
        return problem
    # The deadline passed, or the connection grew stale, before the fault was met: once more, with
    # more time.
    tally.again += 1
    deadline = None if case.deadline is None else 10 * case.deadline
    return await desk.run(msgspec.structs.replace(case, deadline=deadline), where)


async def measure(operation: Operation, over: Over) -> tuple[int, dict[Framing, int]]:
    """Give the length of an operation's request, and of its answer in each framing."""
    desk = Desk(operation, over=over)
    await desk.open()
    lengths: dict[Framing, int] = {}
    for framing in Framing:
        problem = await desk.run(
            Case(name="measure", ends=(Payment,), plan=(whole(framing),)), "fresh"
        )
        assert problem is None, f"{operation.name}: {problem}"
        lengths[framing] = desk.door.answer_length
    await desk.close()
    return desk.door.length, lengths


def cuts(
    operation: Operation, lengths: tuple[int, dict[Framing, int]], step: int, first: int
) -> Iterator[tuple[str, Case, Where]]:
    """Give every cut of an operation: each `step`th byte from `first` on, and both ends."""
    request, answers = lengths
    for count in _boundaries(request, step, first):
        yield from _ended("request", f"request, {count} bytes", partial(request_cut, count))
    for framing, length in answers.items():
        refusal = operation.refusal[0]
        for what, said, most in (
            ("answer", None, length),
            ("refusal", refusal, len(framed(refusal, framing))),
        ):
            for count in _boundaries(most, step, first):
                cut = partial(response_cut, count, framing, refusal=said)
                yield from _ended(what, f"{what} ({framing.value}), {count} bytes", cut)


def _ended(what: str, name: str, cut: Callable[..., Fault]) -> Iterator[tuple[str, Case, Where]]:
    # All ends of one cut together, so that what waits in silence and what computes share the time.
    wheres: tuple[Where, ...] = ("fresh", "reused")
    for end in End:
        deadline = BRIEF if end is End.STALL else None
        case = Case(name=f"{name}, {end.value}", plan=(cut(end=end),), deadline=deadline)
        yield from ((what, case, where) for where in wheres)


def _boundaries(length: int, step: int, first: int) -> list[int]:
    return sorted({0, length, *range(first % step, length, step)})


async def cut_everywhere(
    operations: Iterable[Operation],
    tally: Tally,
    *,
    step: int,
    seed: int,
    over: Over = "connection",
) -> None:
    """R2: cut each request and each answer at every byte."""
    chance = random.Random(seed)
    with hasty():
        for operation in operations:
            lengths = await measure(operation, over)
            jobs = cuts(operation, lengths, step, chance.randrange(step))

            async def work(
                jobs: Iterator[tuple[str, Case, Where]] = jobs, operation: Operation = operation
            ) -> None:
                desk: Desk | None = None
                for what, case, where in jobs:
                    if tally.late:
                        tally.skipped += 1
                        continue
                    if desk is None or not desk.left:
                        desk = await _fresh(desk, operation, over)
                    problem = await judged(desk, case, where, tally)
                    tally.note(desk, f"R2 {what}", case.name, where, problem)
                if desk is not None:
                    await desk.close()

            await asyncio.gather(*(work() for _ in range(WORKERS)))


async def _fresh(desk: Desk | None, operation: Operation, over: Over) -> Desk:
    if desk is not None:
        await desk.close()
    # one repeat, where a request may be repeated, is as good as two
    desk = Desk(operation, attempts=2, over=over)
    await desk.open()
    return desk
