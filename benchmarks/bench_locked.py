"""Check that no answer is lost while another program locks the journal.

Run: python -m benchmarks.bench_locked [--count 100] [--hold 60] [--json FILE]

`--count` charges are sent. Then another program's transaction locks the file for `--hold` seconds,
and all answers arrive in that time. Afterwards each answer must be in the journal. The exit code is
1 if one is missing.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from tests.campaigns.locked import locked_while_charging


def main(arguments: argparse.Namespace) -> int:
    """Print the number of answers in the journal; return 1 if one is missing."""
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
