"""Draw `paymux demo` for the README: python .github/pictures/demo.py .github/pictures/demo.svg.

What differs from run to run is made equal: the port, and the order in which payers answer.
"""

import asyncio
import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from paymux.cli.demonstration import Demo

WIDTH = 84  # columns
EVENT = re.compile(r"(order-(\d+)|1(\d+))  \w+ +\S")
COLOURS = {"succeeded": "green", "failed": "red", "cancelled": "red", "unknown": "yellow"}


def said() -> list[str]:
    """Run the demonstration, and return its lines."""
    written = io.StringIO()
    console = Console(file=written, width=WIDTH, force_terminal=False)
    if not all(one.agrees for one in asyncio.run(Demo(console).run())):
        sys.exit("the demonstration failed")
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8765", written.getvalue()).splitlines()


def drawn(lines: list[str]) -> str:
    """Draw the lines as a terminal shows them, each order's together."""
    events = [line for line in lines if EVENT.match(line)]
    first, last = lines.index(events[0]), max(map(lines.index, events)) + 1
    # "pending" is said of each order; the picture shows how they end.
    ends = [line for line in events if not line.endswith(" pending")]
    ends.sort(key=lambda line: int(re.findall(r"\d+", line)[0]) % 1000)
    console = Console(file=io.StringIO(), record=True, width=WIDTH, force_terminal=True)
    for line in ["$ paymux demo", *lines[:first], *ends, "", *lines[last:]]:
        text = Text(line)
        for word, colour in COLOURS.items():
            text.highlight_regex(rf"\b{word}\b", colour)
        console.print(text)
    svg = console.export_svg(title="paymux demo", unique_id="demo")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # it asks no host for a font


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(drawn(said()), encoding="utf-8")
