"""What the command line takes to start, beside `import paymux` in the same process form.

    python benchmarks/bench_start.py [RUNS]

Each is started RUNS times (21 unless told), one after another in turn, so that a busy machine slows
all of them alike; medians and what is over `import paymux` are printed.
"""

import statistics
import subprocess
import sys
import time

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 21
STARTS = {
    "import paymux": ["-c", "import paymux"],
    "paymux --help": ["-m", "paymux", "--help"],
    "paymux --version": ["-m", "paymux", "--version"],
    "paymux providers": ["-m", "paymux", "providers"],
}


def milliseconds(words: list[str]) -> float:
    """Start a process and wait for its end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Print a line for each start."""
    took: dict[str, list[float]] = {name: [] for name in STARTS}
    for _ in range(RUNS):
        for name, words in STARTS.items():
            took[name].append(milliseconds(words))
    base = statistics.median(took["import paymux"])
    for name, found in took.items():
        median = statistics.median(found)
        print(f"{name:20} {median:6.0f} ms  {median - base:+6.0f} ms  {median / base:5.2f} times")


if __name__ == "__main__":
    main()
