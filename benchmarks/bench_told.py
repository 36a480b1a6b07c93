"""Check that each end of a payment is delivered to `on_payment`, though workers are killed (R19).

Run: python -m benchmarks.bench_told [--orders 1000] [--seconds 60] [--seed 0] [--variant NAME]
     [--json FILE] [--paymux DIR]

1,000 orders at six simulators are made by two workers, which are killed and started again at
random. In the three variants no webhook is delivered, or each webhook three times, or `on_payment`
raises for FAILED while SUCCEEDED arrives. At least a tenth of the orders lose their answer, and a
twentieth succeed late, after they had failed. Some workers die directly after an end was written to
the journal. A payout or a refund with the reference of an order must change nothing. The last
variant, "limit": four notifiers share 10,000 open orders of one account, in virtual time.

The columns after `slowest` (in seconds) count errors. The exit code is 1 if one is not 0.
`--paymux` uses another release from that folder.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from tests.campaigns.told import ROOT, VARIANTS, Found, Street

# Four notifiers and one limit, in virtual time.


def divided(orders: int, folder: Path) -> dict[str, float]:
    """Let four notifiers watch `orders` open orders of one account.

    Return the figures, with the fullest window of look-ups at the provider.
    """
    from benchmarks import told_limits  # noqa: PLC0415 - it replaces the clocks of the journal

    return told_limits.run(orders, folder)


def shown(found: Found) -> str:
    """Return the line of one variant."""
    return (
        f"{found.variant:26} {found.orders:6} {found.ends:6} {found.lost_answers:6} "
        f"{found.late_successes:5} {found.kills:6} {found.slowest:8.1f} {found.untold:7} "
        f"{found.too_late:6} {found.twice:6} {found.at_once:7} "
        f"{found.backwards:9} {found.wrong_kind:6} {found.wrong_end:6}"
    )


async def play(options: argparse.Namespace, variant: str) -> Found:
    """Run one variant in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        return await Street(options, variant, Path(folder)).run()


def main() -> None:
    """Run the chosen variants and print them; exit 1 if there was an error."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variant", choices=[*VARIANTS, "limit"])
    parser.add_argument("--open", type=int, default=10_000, help='open orders of "limit"')
    parser.add_argument("--json", type=Path)
    parser.add_argument("--paymux", default=str(ROOT), help="the folder of another release")
    options = parser.parse_args()
    print(
        f"{'':26} orders   ends   lost  late  kills  slowest  untold   late  twice at once "
        "backwards   kind  other"
    )
    results: list[dict[str, Any]] = []
    bad = 0
    for variant in VARIANTS if options.variant is None else [options.variant]:
        if variant != "limit":
            found = asyncio.run(play(options, variant))
            print(shown(found), flush=True)
            results.append(msgspec.to_builtins(found))
            bad += found.bad
    if options.variant in (None, "limit"):
        with tempfile.TemporaryDirectory() as folder:
            limit = divided(options.open, Path(folder))
        print(", ".join(f"{name}: {value:g}" for name, value in limit.items()))
        results.append({"variant": "limit", **limit})
        bad += limit["fullest window"] > limit["limit"]
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
