"""An answer in hand is never lost: another program locks the journal while charges are on the wire.

Run: python -m benchmarks.bench_locked [--count 100] [--hold 60] [--json FILE]

The charges leave, then another program's transaction holds the file for so many seconds, in which
every answer comes in. Afterwards each must be in the journal. The exit code is 1 if one is missing.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from tests.campaigns.locked import locked_while_charging


def main(arguments: argparse.Namespace) -> int:
    """Print how many answers were kept."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "payments.db"
        kept, seconds = asyncio.run(locked_while_charging(file, arguments.count, arguments.hold))
    print(
        f"{arguments.count} charges on the wire, the file locked for {arguments.hold:.0f} s: "
        f"{kept} answers kept"
    )
    if arguments.json:
        said = {
            "count": arguments.count,
            "hold": arguments.hold,
            "kept": kept,
            "seconds": round(seconds, 1),
        }
        arguments.json.write_text(json.dumps(said, indent=1) + "\n")
    return 0 if kept == arguments.count else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--hold", type=float, default=60.0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    sys.exit(main(parser.parse_args()))
