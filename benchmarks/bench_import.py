"""What importing paymux costs over `import aiohttp, msgspec`, and what the peers' packages cost.

Run: python -m benchmarks.bench_import [--quick] [--pairs 15] [--json FILE] [--plot FILE] [--peers
FOLDER]

Each new process times one line after another, and the figures are medians: `import paymux`, which
loads no name yet; then `from paymux import CamPay, Pool`, which is what an app begins with and may
add 15 ms together with the first; then a pool made, which loads what runs one, and has no limit.
Phone numbers, watching and the journal load on use. A peer's import is its whole, with the HTTP
client that it brings; its processes take turns with ours. Bytecode is kept in a directory of its
own, for compiling is paid once, when a package is installed. `--quick` leaves the peers out. The
exit code is 1 where paymux adds too much.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .peers import FOLDER, PEERS, install, python_of, spread

ROOT = Path(__file__).parents[1]
LIMIT = 15.0  # milliseconds
MODULES = {
    "campay": "campay.sdk",
    "cinetpay-python": "cinetpay",
    "daraja-sdk-py": "daraja.client.async_client",
    "daraja-v3": "mpesa.async_client",
    "easyswitch": "easyswitch.integrators.cinetpay",
    "mpesakit": "mpesakit",
    "noriapay": "noriapay",
    "paydunya": "paydunya",
}
OURS = (
    "import aiohttp, msgspec",
    "import paymux",
    "from paymux import CamPay, Pool",
    "Pool(CamPay(username='shop', password='secret'))",
)
TIMED = """
import sys, time
times = [time.perf_counter()]
for line in sys.argv[1:]:
    exec(line)
    times.append(time.perf_counter())
print(*(after - before for before, after in zip(times, times[1:])))
"""

Row = dict[str, Any]


def took(name: str, bytecode: str, peers: Path) -> list[float]:
    """Give the milliseconds that a client's import takes in a new process; of paymux, each line."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    lines = OURS if name == "paymux" else (f"import {MODULES[name]}",)
    ended = subprocess.run(
        [python_of(name, peers), "-c", TIMED, *lines],
        cwd=ROOT,
        env={**kept, "PYTHONPYCACHEPREFIX": f"{bytecode}/{name}", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(seconds) * 1000 for seconds in ended.stdout.splitlines()[-1].split()]


def plot(rows: list[Row], path: str) -> None:
    """Draw the medians; that of paymux has two parts."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - of the bench extra

    figure, axes = plt.subplots(figsize=(8, 0.4 * len(rows) + 1.2), layout="constrained")
    for place, row in enumerate(rows):
        base = row["base_ms"]["median"] if "base_ms" in row else 0.0
        axes.barh(place, base, color="lightgrey")
        axes.barh(place, row["ms"]["median"], left=base, color="black" if base else "grey")
    axes.set_yticks(range(len(rows)), [row["client"] for row in rows])
    axes.set_xlabel("milliseconds of an import; of paymux, aiohttp and msgspec in light grey")
    axes.invert_yaxis()
    figure.savefig(path)


def main() -> None:
    """Print the medians; exit 1 if paymux is above its limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="paymux alone")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", metavar="FILE")
    parser.add_argument("--peers", type=Path, default=FOLDER, metavar="FOLDER")
    options = parser.parse_args()
    names = ["paymux"] if options.quick else ["paymux", *sorted(PEERS)]
    refused = install([name for name in names if name in PEERS], options.peers)
    names = [name for name in names if name not in refused]
    times: dict[str, list[list[float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as bytecode:
        for name in names:
            took(name, bytecode, options.peers)  # compiles the bytecode
        for _ in range(options.pairs):
            for name in names:
                times[name].append(took(name, bytecode, options.peers))
    parts = list(zip(*times["paymux"], strict=True))  # the base, and each of our lines
    app = [bare + names for _, bare, names, _ in times["paymux"]]
    rows: list[Row] = [{"client": "paymux", "ms": spread(app), "base_ms": spread(parts[0])}]
    rows += [{"client": name, "ms": spread(took for [took] in times[name])} for name in names[1:]]
    added = statistics.median(app)
    medians = dict(zip(OURS, map(statistics.median, parts), strict=True))
    for line, found in medians.items():
        print(f"{found:7.1f} ms  {line}")
    print(
        f"{added:7.1f} ms  both imports of paymux, medians of {options.pairs}; the limit: {LIMIT}"
    )
    for row in rows[1:]:
        print(f"{row['ms']['median']:7.1f} ms  import {MODULES[row['client']]} of {row['client']}")
    print("\n".join(f"{name}: {why}" for name, why in refused.items()), end="\n" if refused else "")
    if options.json:
        said = {
            "limit_ms": LIMIT,
            "lines_ms": medians,
            "pairs": options.pairs,
            "clients": rows,
            "refused": refused,
        }
        options.json.write_text(json.dumps(said, indent=1) + "\n")
    if options.plot:
        plot(rows, options.plot)
    sys.exit(added > LIMIT)


if __name__ == "__main__":
    main()
