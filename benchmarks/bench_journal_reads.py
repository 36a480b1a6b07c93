"""What `paymux journal` takes for many rows: seconds and memory of each command, as a process.

    python benchmarks/bench_journal_reads.py [ROWS]

It fills a journal with orders (100,000 unless told), then starts each command with its output in a
pipe, and prints its time and its largest memory beside the time of `paymux --version`.
"""

import asyncio
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from paymux import Payment
from paymux.journal import journal_at

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
AT_ONCE = 2000
COMMANDS = (["list"], ["list", "--json"], ["export"], ["export", "--as", "jsonl"], ["stats"])


async def fill(file: Path) -> None:
    """Write the orders, many at once."""
    book = journal_at(file)
    for base in range(0, ROWS, AT_ONCE):
        numbers = range(base, min(ROWS, base + AT_ONCE))
        await asyncio.gather(*(book.intend(order(number), "digest") for number in numbers))
    await book.aclose()


def filled(file: Path) -> None:
    """Fill a journal, in a process."""
    asyncio.run(fill(file))


def order(number: int) -> Payment:
    """Make an order."""
    return Payment(
        account="campay",
        kind="collect",
        reference=f"order-{number}",
        amount=Decimal(500),
        currency="XAF",
        payer="237677000001",
    )


def measured(*words: str) -> tuple[float, float]:
    """Run a command; return its seconds and its MiB."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "paymux", *words], stdout=subprocess.PIPE)
    assert process.stdout is not None
    while process.stdout.read(1 << 16):
        pass
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return time.perf_counter() - began, used.ru_maxrss / 1024


def main() -> None:
    """Fill a journal, and print a line for each command."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "shop.db")
        # In a process of its own: ours must be small, as a command's largest memory begins with it.
        filling = multiprocessing.get_context("spawn").Process(target=filled, args=(file,))
        filling.start()
        filling.join()
        print(f"{'paymux --version':40} {measured('--version')[0]:6.2f} s")
        whole = [["journal", *words, str(file)] for words in COMMANDS]
        for words in [*whole, ["journal", "show", str(file), f"order-{ROWS - 1}"]]:
            seconds, memory = measured(*words)
            print(f"{'paymux ' + ' '.join(words[:-1])[:34]:40} {seconds:6.2f} s {memory:6.0f} MiB")


if __name__ == "__main__":
    main()
