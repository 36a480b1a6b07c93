"""Send hostile messages to the webhook readers, and measure the time and memory of each reading.

Run: python -m benchmarks.bench_fuzz [--cases 1000000] [--seconds 3600] [--driver campay] [--seed 0]
     [--json FILE]
     python -m benchmarks.bench_fuzz --atheris [--runs 1000000]

R10: messages from the simulators and the samples, changed at random (body, form, query, headers,
JWT, method, path), and also update frames and return URLs. Half of the messages are signed with the
right key, so that the code after the signature check is reached, too. A reading must end with
BadWebhook, or with an event that is unchanged after encoding to JSON and decoding. The same
messages go through the verifiers of stripe and standardwebhooks. `--atheris` uses fuzzing guided by
coverage instead. All three packages come with the `bench` extra. The exit code is 1 if a reading
ended in another way, if the 99th percentile of its CPU time reached 5 ms, or if it used more memory
than four times the message and 1 MiB.
"""

import argparse
import contextlib
import functools
import importlib
import importlib.metadata
import json
import logging
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from paymux import WebhookRequest
from paymux.drivers import names
from paymux.drivers._pushed import Pushed
from tests.campaigns.fuzz import (
    GOOD,
    LIMIT,
    ROOT,
    Case,
    Desk,
    Tally,
    bound,
    compare,
    desk,
    form,
    fuzz,
    jwt,
    memory,
    sign,
    verdict,
)

# Fuzzing guided by coverage.

CHILD = """
import sys, atheris
with atheris.instrument_imports(include=["paymux"]):
    from benchmarks import bench_fuzz
    bench_fuzz.prepare()  # the drivers are imported here
atheris.Setup(sys.argv, bench_fuzz.guided)
atheris.Fuzz()
"""


def prepare() -> None:
    """Open every driver's pool before the first run."""
    logging.getLogger("paymux").setLevel(logging.CRITICAL + 1)
    for name in names():
        desk(name)


def guided(data: bytes) -> None:
    """Read the bytes that atheris chose.

    The first byte selects the driver, the second the entry point and the signature; the rest is
    the message.
    """
    if len(data) < 2:
        return
    at, how, raw = desk(names()[data[0] % len(names())]), data[1], data[2:]
    case = Case("webhook", entering(at, how, raw), open=bool(how & 4))
    if how & 3 == 3:
        case = Case(
            "webhook",
            WebhookRequest(method="GET", path=at.path, query=raw.decode("latin-1")),
            open=bool(how & 4),
        )
    elif how & 3 == 2 and at.driver.can("returned"):
        case = Case(
            "returned", "https://shop.example/back?" + raw.decode("utf-8", "surrogateescape")
        )
    elif how & 3 == 2 and isinstance(at.driver, Pushed):
        case = Case("update", raw)
    outcome, said = verdict(at, case)
    if outcome not in GOOD:
        raise AssertionError(f"{at.name}: {outcome}: {said}: {case!r}")


def entering(at: Desk, how: int, raw: bytes) -> WebhookRequest:
    """Return a POST request, signed if that needs no parsing by its driver."""
    headers: dict[str, str] = {}
    if b"-signature-" in raw:
        raw = raw.replace(b"-signature-", good_jwt(int(time.time()) // 600))
    if at.name == "cinetpay" and how & 8:
        with contextlib.suppress(ValueError):
            fields = json.loads(raw) if raw.startswith(b"{") else dict(parse_qsl(raw.decode()))
            if isinstance(fields, dict):
                sign(random.Random(0), at, fields, headers)
    path = at.path if how & 16 else at.order
    if how & 64:
        path, raw = raw[:80].decode("latin-1"), at.messages[0].body
    return WebhookRequest(
        method="HEAD" if how & 32 else "POST", path=path, headers=headers, body=raw
    )


@functools.lru_cache(maxsize=2)
def good_jwt(when: int) -> bytes:
    """Return a JWT that is valid for an hour."""
    return jwt(b'{"alg":"HS256"}', json.dumps({"exp": when * 600 + 3600}).encode()).encode()


def campaign(runs: int, seed: int, seconds: float) -> dict[str, Any]:
    """Run atheris in its own process, on a corpus of good messages, and return its statistics."""
    with tempfile.TemporaryDirectory() as folder:
        count = 0
        for number, name in enumerate(names()):
            at = desk(name)
            for tree in at.documents:
                if at.name in ("campay", "paydunya"):
                    sign(random.Random(0), at, tree, {})
                if at.name == "campay":
                    tree["signature"] = "-signature-"
                for body in (json.dumps(tree).encode(), form(random.Random(0), tree)):
                    for how in (8 | 16, 4, 3, 2):
                        (Path(folder) / f"{count:05}").write_bytes(bytes((number, how)) + body)
                        count += 1
        program = [
            sys.executable,
            "-c",
            CHILD,
            folder,
            f"-runs={runs}",
            f"-seed={seed or 1}",
            "-max_len=4096",
        ]
        program += [
            f"-max_total_time={int(seconds)}",
            "-timeout=5",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
        ]
        program += [f"-artifact_prefix={folder}/found-"]
        ran = subprocess.run(
            program, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False
        )
        said = ran.stderr + ran.stdout
        found = [file.read_bytes() for file in Path(folder).glob("found-*")]
    coverage = re.findall(r"cov: (\d+) ft: (\d+)", said)
    done = re.search(r"number_of_executed_units:\s*(\d+)", said)
    return {
        "runs": int(done[1]) if done else 0,
        "good messages": count,
        "edges covered": int(coverage[-1][0]) if coverage else 0,
        "at the beginning": int(coverage[0][0]) if coverage else 0,
        "found": [repr(one) for one in found],
        "exit": ran.returncode,
        "said": said[-2000:] if ran.returncode or found else "",
    }


def report(tallies: Mapping[str, Tally]) -> None:
    """Print one row for each driver."""
    print(f"{'':47}{'wall, ms':>17}{'CPU, ms':>22}")
    print(
        f"{'driver':15}{'cases':>11}{'events':>10}{'escapes':>9}"
        f"{'p50':>8}{'p99':>9}{'p99':>12}{'max':>9}  memory"
    )
    for name, tally in tallies.items():
        print(
            f"{name:15}{len(tally.times):11,}{tally.outcomes['event']:10,}{tally.escapes:9,}"
            f"{tally.percentile(0.5):8.3f}{tally.percentile(0.99):9.3f}"
            f"{tally.percentile(0.99, worked=True):12.3f}{tally.slowest[0]:9.2f}{tally.peak:8.0%}"
        )
    total, wrong = (
        sum(len(one.times) for one in tallies.values()),
        sum(one.escapes for one in tallies.values()),
    )
    print(f"p99 of the CPU time must be below {LIMIT:.0f} ms: wall time includes other programs")
    print(
        f"(load {os.getloadavg()[0]:.1f}). Memory is the largest share of the limit, "
        "4 x message + 1 MiB."
    )
    print(f"escapes of paymux: {bound(wrong, total)}")
    for name, tally in tallies.items():
        print(f"  most work of {name}: {tally.slowest[0]:.2f} ms, {tally.slowest[1]}")
        for one in tally.wrong:
            print(f"  {name}: {one}")


def report_others(tallies: Mapping[str, Tally]) -> None:
    """Print how the other libraries' readers ended, with their foreign exceptions."""
    for reader, tally in tallies.items():
        print(
            f"\n{reader} {importlib.metadata.version(reader)}: "
            f"{len(tally.times):,} of the same messages, "
            f"p99 {tally.percentile(0.99, worked=True):.3f} ms, "
            f"{tally.outcomes['own error']:,} refused with its own error, "
            f"{tally.outcomes['event']:,} accepted; foreign exceptions:"
        )
        for outcome, count in sorted(tally.outcomes.items(), key=lambda pair: -pair[1]):
            if outcome not in ("own error", "event"):
                print(f"  {count:9,}  {outcome}")


def main() -> int:
    """Run the chosen campaign; return 1 if a reading was wrong or slow."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1_000_000, help="for all drivers together")
    parser.add_argument("--seconds", type=float, default=3_600.0, help="stop after this time")
    parser.add_argument("--driver", choices=names(), action="append", help="only this one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--first", type=int, default=0, help="the number of the first case, to repeat one"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--atheris", action="store_true", help="guided by coverage, instead")
    parser.add_argument("--runs", type=int, default=1_000_000, help="of atheris")
    given = parser.parse_args()
    prepare()
    if given.atheris:
        found = campaign(given.runs, given.seed, given.seconds)
        print("\n".join(f"{name}: {said}" for name, said in found.items()))
        print(f"escapes: {bound(len(found['found']), found['runs'])}")
        if given.json:
            given.json.write_text(json.dumps(found, indent=1) + "\n")
        return 1 if found["found"] or found["exit"] else 0
    began, chosen = time.perf_counter(), given.driver or names()
    tallies, each = {}, max(given.cases // len(chosen), 1)
    for number, name in enumerate(chosen, 1):
        until = began + given.seconds * number / len(chosen)
        tallies[name] = fuzz(name, given.seed, each, given.first, until)
        tallies[name].peak, worst = memory(name) if given.cases > 1 else (0.0, "")
        if tallies[name].peak >= 1:
            tallies[name].wrong.append(f"too much memory: {worst}")
    beside = compare(given.seed, each // 10) if given.cases > 1 else {}
    print(f"Python {sys.version.split()[0]}, msgspec {msgspec.__version__}, seed {given.seed}")
    report(tallies)
    report_others(beside)
    if given.json:
        rows = {name: tally.facts() for name, tally in {**tallies, **beside}.items()}
        said = {"seed": given.seed, "limit_ms": LIMIT, "readers": rows}
        given.json.write_text(json.dumps(said, indent=1) + "\n")
    slow = any(tally.percentile(0.99, worked=True) >= LIMIT for tally in tallies.values())
    return 1 if slow or any(tally.wrong for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
