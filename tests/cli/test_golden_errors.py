"""The 20 commonest errors, in both languages and as JSON, as `tests/golden/errors.txt` has them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from paymux.cli.main import run
from paymux.simulator import Fault, Simulator

GOLDEN = Path(__file__).parents[1] / "golden" / "errors.txt"
TO = ["XAF", "237677777777", "--reference"]
SENDS = {"collect": "POST /collect/", "payout": "POST /withdraw/"}
CASES: list[tuple[Fault | None, list[str]]] = [
    (None, ["colect", "5000"]),
    (None, ["collect", "5000", "--referense", "x"]),
    (None, ["collect", "5000"]),
    (None, ["collect", "5000", "XAF", "237677777777", "-y"]),
    (None, ["collect", "5000", *TO, "order-1"]),
    (None, ["collect", "250.50", *TO, "order-1", "-y"]),
    (None, ["collect", "1e3", *TO, "order-1", "-y"]),
    (None, ["collect", "5000", "KES", *TO[1:], "order-1", "-y"]),
    (None, ["collect", "5000", "XAF", "12", "--reference", "order-1", "-y"]),
    (None, ["collect", "5000", *TO, "order 1", "-y"]),
    (None, ["collect", "5000", *TO, "order-1", "-y", "-a", "nobody"]),
    (None, ["collect", "600", *TO, "known", "-y"]),
    (Fault.DROP_AFTER, ["collect", "5000", *TO, "order-2", "-y"]),
    (Fault.THROTTLE, ["collect", "5000", *TO, "order-3", "-y"]),
    (Fault.ERROR, ["payout", "5000", *TO, "wage-1", "-y"]),
    (None, ["refund", "known", "--reference", "back-1", "-y"]),
    (None, ["refund", "order-9", "--reference", "back-1", "-y"]),
    (None, ["watch", "order-9"]),
    (None, ["verify"]),
    (None, ["resolve", "known", "failed", "--because", "the payer says so", "-y"]),
    (None, ["--config", "absent.toml", "balance"]),
]


def _told(
    sim: Simulator, fault: Fault | None, words: list[str], capsys: pytest.CaptureFixture[str]
) -> str:
    if fault is not None:
        sim.fault(
            "campay", SENDS[words[0]], kind=fault, times=1 if fault is Fault.DROP_AFTER else 9
        )
    code = run(words)
    sim.clear_faults()
    said = capsys.readouterr().err
    assert len(said.splitlines()) <= 4, said
    said = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d[:\d]*( [+-]\d{4}|Z)?", "TIME", said)
    said = re.sub(r"-\d{8}-\d{6}", "-TIME", said)
    return f"$ paymux {' '.join(words)}   # exit {code}\n{said}\n"


def _all(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    assert run(["collect", "5000", *TO, "known", "-y", "--wait"]) == 0
    capsys.readouterr()
    for fault, words in CASES:
        for last in ([], ["--lang", "fr"], ["--json"]):
            marked = [*words, *last] if words[0] != "--config" else [words[2], *words[:2], *last]
            if fault is not None:  # an order that was sent is a case of its own
                at = marked.index("--reference") + 1
                marked[at] = f"{marked[at]}{''.join(last[-1:]).strip('-')}"
            yield _told(sim, fault, marked, capsys)


@pytest.mark.slow
def test_the_commonest_errors_read_as_they_did(
    shop: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """What happened, whether money moved, what to type next; a changed word is seen in a review."""
    assert "".join(_all(shop, capsys)) == GOLDEN.read_text("utf-8")
