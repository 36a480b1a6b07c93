"""Compare the cost of verify() and collect() with hand-written aiohttp and with other clients.

Run: python -m benchmarks.bench_call [--quick] [--rounds 41] [--only NAME …] [--json FILE]
     [--plot FILE] [--peers FOLDER] [--profile]

Figures are microseconds for each call. CPU is the CPU time of the client's process; wall is the
time of all calls, divided by their number. Every client runs in its own process, and all of them
send their requests to one server in another process (benchmarks/loopback.py). The two clients of a
pair take turns, in random order. The result is the median of the rounds' ratios, so that a busy
machine slows both down; the quartiles, in brackets, show how busy it was. Connections are open
before the measurement; the cost of a new connection is measured separately.

Other clients are installed from their packages into the folder of `--peers` when they are first
used. The exit code is 1 if a target is missed. `--quick` takes four minutes on two cores; the whole
run takes six times as long.

`floor/campay` is the lower bound for such a call: an asyncio protocol that writes prepared bytes
and reads an answer by its length. `--profile` compares nothing: it shows in which modules the CPU
time of paymux and of the floor is used, or of paymux and the clients of `--only`. See
`benchmarks/own_time.py`.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .loopback import Loopback
from .own_time import profiled
from .peers import FOLDER, HTTPX, OURS, PEERS, Worker, install, spread

SECTION = 0.05  # seconds of CPU for one measurement
PAIR = 10.0  # seconds after which a pair stops, once it has had three rounds

Row = dict[str, Any]


def targets(row: Row) -> Iterator[tuple[str, float, bool]]:
    """Yield the targets of a row: the name, the limit, and whether it is met."""
    other, verb = row["client"], row["verb"]
    if row["at_once"] != 50 or row["tls"] or "cpu_ratio" not in row:
        return
    cpu, faster = row["cpu_ratio"]["median"], row["times_faster"]["median"]
    if other.startswith("hand/"):
        limit = 1.0 if verb == "verify" else 1.25
        yield f"CPU of {verb} over {other}, at most", limit, cpu <= limit
    elif other.startswith("tuned/") and verb == "verify":
        yield f"CPU of {verb} over {other}, at most", 1.15, cpu <= 1.15
    elif other.startswith("floor/"):
        limit = 2.8 if verb == "verify" else 3.8
        yield f"CPU of {verb} over {other}, at most", limit, cpu <= limit
    elif other == "daraja-v3" and verb == "verify":
        yield f"throughput of {verb} over {other}, at least", 1.3, faster >= 1.3
    elif other in HTTPX and verb == "verify":
        yield f"throughput of {verb} over {other}, at least", 8.0, faster >= 8.0


async def counted(worker: Worker, verb: str, at_once: int) -> int:
    """Return the number of calls in one measurement of this client."""
    found = await worker.measure(verb, count=max(20, at_once), at_once=at_once)
    return max(10, at_once, min(int(SECTION / found["cpu"]), 4000)) if found else 0


async def pair(ours: Worker, theirs: Worker, row: Row, rounds: int, chance: random.Random) -> Row:
    """Measure two clients in turn, and return the row with their figures."""
    verb, at_once = row["verb"], row["at_once"]
    counts = {worker.name: await counted(worker, verb, at_once) for worker in (ours, theirs)}
    found: dict[str, list[dict[str, float]]] = {ours.name: [], theirs.name: []}
    began = time.monotonic()
    for number in range(rounds):
        if ours.error or theirs.error or (number >= 3 and time.monotonic() - began > PAIR):
            break
        for worker in chance.sample([ours, theirs], 2):
            found[worker.name].append(
                await worker.measure(verb, count=counts[worker.name], at_once=at_once)
            )
    if ours.error or theirs.error:
        return {**row, "error": f"{ours.error or theirs.error}"}
    mine, other = found[ours.name], found[theirs.name]
    both = list(zip(mine, other, strict=True))
    return {
        **row,
        "rounds": len(both),
        "cpu_us": statistics.median(one["cpu"] for one in other) * 1e6,
        "wall_us": statistics.median(one["wall"] for one in other) * 1e6,
        "our_cpu_us": statistics.median(one["cpu"] for one in mine) * 1e6,
        "our_wall_us": statistics.median(one["wall"] for one in mine) * 1e6,
        "cpu_ratio": spread(a["cpu"] / b["cpu"] for a, b in both),
        "times_faster": spread(b["wall"] / a["wall"] for a, b in both),
    }


async def fresh(worker: Worker, rounds: int) -> dict[str, float]:
    """Return the microseconds of CPU that a new connection adds to a collect, of 50 concurrent."""
    added = []
    for _ in range(rounds):
        await worker.measure("collect", count=50, at_once=50, warm=0)
        await asyncio.sleep(1.3)  # paymux reuses a connection for money within a second only
        cold = await worker.measure("collect", count=50, at_once=50, warm=0)
        warm = await worker.measure("collect", count=50, at_once=50, warm=0)
        added.append((cold["cpu"] - warm["cpu"]) * 1e6)
    return spread(added)


def shown(row: Row) -> str:
    """Return one row of the table."""
    where = (
        f"{row['verb']:8}{row['at_once']:>4}{' TLS' if row['tls'] else '    '}  {row['client']:16}"
    )
    if "error" in row:
        return f"{where}  {row['error'].splitlines()[0][:90]}"
    cpu, faster = row["cpu_ratio"], row["times_faster"]
    return (
        f"{where}{row['cpu_us']:9.0f}{row['our_cpu_us']:8.0f}"
        f"   {cpu['median']:5.2f} ({cpu['low']:.2f}-{cpu['high']:.2f})"
        f"{row['wall_us']:9.0f}{row['our_wall_us']:8.0f}"
        f"   {faster['median']:6.2f} ({faster['low']:.2f}-{faster['high']:.2f})  {row['rounds']:2}"
    )


async def over(
    server: Loopback, names: list[str], arguments: argparse.Namespace, *, tls: bool
) -> tuple[list[Row], dict[str, dict[str, float]]]:
    """Measure every pair, over TLS or over plain sockets."""
    rows: list[Row] = []
    added: dict[str, dict[str, float]] = {}
    chance = random.Random(0)
    url, ca = (server.tls_url, server.ca) if tls else (server.url, "")
    for verb in ("verify", "collect"):
        for at_once in (50,) if arguments.quick else (1, 50, 500):
            for name in names:
                row = {"verb": verb, "at_once": at_once, "tls": tls, "client": name}
                async with contextlib.AsyncExitStack() as stack:
                    ours, theirs = [
                        await stack.enter_async_context(
                            Worker(each, url, ca=ca, folder=arguments.peers)
                        )
                        for each in (OURS[name], name)
                    ]
                    rows.append(await pair(ours, theirs, row, arguments.rounds, chance))
                    print(shown(rows[-1]), flush=True)
                await server.reset()
    for name in dict.fromkeys(OURS[name] for name in names):
        async with Worker(name, url, ca=ca, folder=arguments.peers) as worker:
            added[name] = await fresh(worker, 2 if arguments.quick else 5)
            print(
                f"a new connection adds {added[name]['median']:.0f} us of CPU to a collect of "
                f"{name}{' over TLS' if tls else ''} "
                f"({added[name]['min']:.0f}-{added[name]['max']:.0f})"
            )
    return rows, added


def plot(rows: list[Row], path: str) -> None:
    """Draw the ratio of the CPU times of a verify, with 50 concurrent calls."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - of the bench extra

    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "paymux"})  # text stays text
    drawn = [
        row for row in rows if (row["verb"], row["at_once"], row["tls"]) == ("verify", 50, False)
    ]
    drawn = [row for row in drawn if "cpu_ratio" in row]
    figure, axes = plt.subplots(figsize=(8, 0.28 * len(drawn) + 0.8), layout="constrained")
    for place, row in enumerate(drawn):
        ratio = row["cpu_ratio"]
        axes.plot([1 / ratio["high"], 1 / ratio["low"]], [place, place], color="grey")
        axes.plot(1 / ratio["median"], place, "o", color="black")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    whole = {"hand": "aiohttp by hand", "tuned": "aiohttp and msgspec", "floor": "bytes alone"}
    parts = [row["client"].partition("/") for row in drawn]
    axes.set_yticks(
        range(len(drawn)), [", ".join(filter(None, (whole.get(a, a), b))) for a, _, b in parts]
    )
    axes.set_xlabel("CPU of a verify, theirs over paymux's; 50 at once, quartiles")
    axes.invert_yaxis()
    figure.savefig(path, metadata={"Date": None})


async def main(arguments: argparse.Namespace) -> int:
    """Measure and print; return 1 if a target is missed."""
    names = arguments.only or (["floor/campay"] if arguments.profile else list(OURS))
    refused = install([name for name in names if name in PEERS], arguments.peers)
    names = [name for name in names if name not in refused]
    print("\n".join(f"{name}: {why}" for name, why in refused.items()), end="\n" if refused else "")
    load = os.getloadavg()[0]
    print(
        f"{platform.python_version()}, {os.cpu_count()} cores, load {load:.2f}; microseconds "
        "per call"
    )
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "load": load}
    if arguments.profile:
        own_time = await profiled(names, arguments.peers)
        if arguments.json:
            arguments.json.write_text(
                json.dumps({"machine": machine, "own_time": own_time}, indent=1) + "\n"
            )
        return 0
    print(
        f"{'':34}{'CPU':>9}{'ours':>8}   ours / theirs      {'wall':>9}{'ours':>8}   times faster"
    )
    rows: list[Row] = []
    added: dict[str, Any] = {}
    async with Loopback(tls=not arguments.quick) as server:
        for tls in (False,) if arguments.quick else (False, True):
            more, new = await over(server, names, arguments, tls=tls)
            rows += more
            added["tls" if tls else "plain"] = new
    held = [(what, limit, met) for row in rows for what, limit, met in targets(row)]
    for what, limit, met in held:
        print(f"{'met   ' if met else 'MISSED'}  {what} {limit:g}")
    if arguments.json:
        said = {"machine": machine, "rows": rows, "new_connection_us": added, "refused": refused}
        arguments.json.write_text(json.dumps(said, indent=1) + "\n")
    if arguments.plot:
        plot(rows, arguments.plot)
    return 0 if all(met for *_, met in held) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="50 concurrent calls only, no TLS")
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--only", nargs="+", choices=list(OURS), metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", metavar="FILE")
    parser.add_argument(
        "--profile", action="store_true", help="only show in which modules CPU is used"
    )
    parser.add_argument("--peers", type=Path, default=FOLDER, metavar="FOLDER")
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given)))
