"""What does `import paymux` cost over `import aiohttp, msgspec`? At most 15 ms: drivers and phones load on use.

Run: python benchmarks/bench_import.py [--pairs 15] [--json]. Each new process times the one import and then the
other, and the figures are medians. Bytecode is kept in a directory of its own, for compiling is paid once, when a
package is installed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

LIMIT = 15.0  # milliseconds
TIMED = """
import time
times = [time.perf_counter()]
import aiohttp, msgspec
times.append(time.perf_counter())
import paymux
times.append(time.perf_counter())
print(times[1] - times[0], times[2] - times[1])
"""


def took(bytecode: str) -> list[float]:
    """Give the milliseconds that both imports take in a new process."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ended = subprocess.run(  # noqa: S603 - our own interpreter, and a program of this file
        [sys.executable, "-c", TIMED],
        env={**kept, "PYTHONPYCACHEPREFIX": bytecode},
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(seconds) * 1000 for seconds in ended.stdout.split()]


def main() -> None:
    """Print the medians; exit 1 where paymux adds too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as bytecode:
        took(bytecode)  # compiles
        base, added = map(statistics.median, zip(*(took(bytecode) for _ in range(options.pairs)), strict=True))
    if options.json:
        found = {"base_ms": round(base, 2), "added_ms": round(added, 2), "limit_ms": LIMIT, "pairs": options.pairs}
        print(json.dumps(found))
    else:
        print(f"{base:7.1f} ms  import aiohttp, msgspec")
        print(
            f"{added:7.1f} ms  import paymux after it, medians of {options.pairs} pairs; {LIMIT} ms is the limit"
        )
    sys.exit(added > LIMIT)


if __name__ == "__main__":
    main()
