"""Measure what a long history costs: CPU time, memory, and the longest step of the event loop.

Run: python -m benchmarks.bench_history [--rows 10000,100000] [--json FILE]

The histories are CamPay's transactions of 200 days, and the gateway's pages of 100 rows. They come
over sockets from a server in another process, which respects the dates or the page of a request.
Each case runs in its own process. A step is one callback of the event loop. Steps and rows are
measured in CPU time of the thread. Memory is the peak of the resident set, minus the resident set
before the first row. The consumer awaits nothing else. In "one day", all rows of CamPay are on one
day: no shorter period can be requested, so one page holds the whole history.

The exit code is 1 if a row takes more than 1.3 times as long as in the shortest history, if a step
takes more than 50 ms, if the peak is more than 24 MiB above the peak of the shortest history (plus
three times the page, in "one day"), if a row is missing, or if `raw` holds another row.
"""

import argparse
import asyncio
import json
import os
import platform
import re
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from paymux import CamPay, MpesaGateway, Pool

ROOT = Path(__file__).parents[1]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = "a0b1c2d3e4f5061728394a5b6c7d8e9f00112233"
DAYS, PER_PAGE = 200, 100
STEP, LINEAR, FLAT = 0.050, 1.3, 24 << 20
CASES = ("campay", "gateway", "one day")


def campay_rows(count: int, days: int) -> list[tuple[str, bytes]]:
    """Return CamPay's rows of `days` days, newest first, each with its day."""
    rows = []
    for number in range(count - 1, -1, -1):
        made = BEGAN + timedelta(days=days * number / count)
        row = (
            b'{"datetime":"%s","code":"CP%d","operator_tx_code":"188%d","operator":"MTN","phone_number":'
            b'"237679587525","description":"Forfait","external_user":"","amount":"500","charge_amount":"15",'
            b'"debit":"0","credit":"485","status":"SUCCESSFUL","reference_uuid":"26676007-1c31-46d7-9c71-%012d",'
            b'"currency":"XAF"}'
            % (f"{made:%Y-%m-%dT%H:%M:%S.%fZ}".encode(), number, number, number)
        )
        rows.append((f"{made:%Y-%m-%d}", row))
    return rows


def gateway_page(count: int, number: int) -> bytes:
    """Return one page of the gateway's rows, as JSON."""
    first, last = (number - 1) * PER_PAGE, min(number * PER_PAGE, count)
    rows = (
        b'{"id":"TXN%d","amount":1000.0,"status":"completed","payment_method":"mpesa","created_at":'
        b'"2026-01-02T10:30:00Z"}' % one
        for one in range(first, last)
    )
    return b'{"results":[%s],"total":%d,"page":%d}' % (b",".join(rows), count, number)


async def answer(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    count: int,
    made: list[tuple[str, bytes]],
) -> None:
    """Answer the requests of one connection."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        asked = json.loads(await reader.readexactly(int(length[1])) or b"{}") if length else {}
        if b"/token/" in head:
            body = b'{"token":"%s","expires_in":360000}' % TOKEN.encode()
        elif b"page=" in head or b"/api/payment/history/" in head:
            page = re.search(rb"page=(\d+)", head)
            body = gateway_page(count, int(page[1]) if page else 1)
        else:
            rows = [row for day, row in made if asked["start_date"] <= day <= asked["end_date"]]
            body = b'{"data":[%s]}' % b",".join(rows)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()


async def serve(count: int, days: int) -> None:
    """Print the server's port, and serve until standard input ends."""
    made = campay_rows(count, days)

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer, count, made)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    async with await asyncio.start_server(met, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def resident() -> int:
    """Return the resident set, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def read(case: str, url: str, rows: int) -> dict[str, Any]:
    """Read a whole history, and return what it cost."""
    driver = (
        MpesaGateway(base_url=url, access_token=TOKEN)
        if case == "gateway"
        else CamPay(base_url=url, username="u", password="p-of-the-shop")
    )
    longest, plain, own = 0.0, asyncio.Handle._run, True

    def timed(handle: asyncio.Handle) -> None:
        nonlocal longest
        began = time.thread_time()
        plain(handle)
        longest = max(longest, time.thread_time() - began)

    days = 1 if case == "one day" else DAYS
    async with Pool(driver) as pool:
        listed = pool.history(driver.account, since=BEGAN, until=BEGAN + timedelta(days=days))
        before, began, found, longest = resident(), time.thread_time(), 0, 0.0
        with patch.object(asyncio.Handle, "_run", timed):
            async for past in listed:
                found += 1
                own = own and (past.provider_reference or "-") in past.raw and len(past.raw) < 1000
        seconds = time.thread_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "case": case,
        "rows": rows,
        "found": found,
        "own": own,
        "us_per_row": seconds / max(found, 1) * 1e6,
        "step_ms": longest * 1e3,
        "peak": peak - before,
    }


def measured(case: str, rows: int) -> dict[str, Any]:
    """Read a history in a new process, from a server in another one."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.bench_history",
        "--case",
        case,
        "--rows",
        str(rows),
    ]
    serving = [*command, "--serve"]
    with subprocess.Popen(serving, stdin=-1, stdout=-1, cwd=ROOT, text=True) as server:
        assert server.stdout is not None
        reading = [*command, "--url", f"http://127.0.0.1:{server.stdout.readline().strip()}"]
        found = subprocess.run(reading, stdout=-1, cwd=ROOT, text=True, check=True).stdout
        assert server.stdin is not None
        server.stdin.close()
    row: dict[str, Any] = json.loads(found)
    return row


def broken(row: dict[str, Any], shortest: dict[str, Any]) -> list[str]:
    """Return the names of the limits that a case exceeds."""
    pages = 3 * row["rows"] * 420 if row["case"] == "one day" else 0
    held = {
        "rows": row["found"] == row["rows"],
        "own raw": row["own"],
        "linear": row["us_per_row"] <= LINEAR * shortest["us_per_row"],
        "step": row["step_ms"] <= STEP * 1e3,
        "memory": row["peak"] <= shortest["peak"] + FLAT + pages,
    }
    return [name for name, met in held.items() if not met]


def main() -> int:
    """Measure and print; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="10000,100000")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    counts = sorted(map(int, arguments.rows.split(",")))
    if arguments.serve:
        asyncio.run(serve(counts[0], 1 if arguments.case == "one day" else DAYS))
        return 0
    if arguments.case:
        print(json.dumps(asyncio.run(read(arguments.case, arguments.url, counts[0]))))
        return 0
    print(f"{platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}")
    rows, wrong = [], 0
    for case in CASES:
        for count in counts:
            row = measured(case, count)
            rows.append(row)
            shortest = next(one for one in rows if one["case"] == case)
            trouble = broken(row, shortest)
            wrong += bool(trouble)
            each = f"{case:8} {count:7,} rows {row['us_per_row']:5.0f} us each"
            most = f"longest step {row['step_ms']:4.1f} ms, peak {row['peak'] / 2**20:5.1f} MiB"
            print(each, most, *(f"BROKEN: {name}" for name in trouble), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
