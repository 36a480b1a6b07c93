"""The contract finds mistakes: a driver that was made wrong on purpose fails it."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MISTAKEN = Path(__file__).parent / "mistaken.py"
# The drivers of tests/mistaken.py, each with the promise that finds its mistake.
MISTAKES: Mapping[str, str] = {
    "AcceptedIsPaid": "test_a_collect_is_watched_to_its_success",
    "RepeatsMoney": "test_a_lost_answer_is_unknown_and_charges_once_at_most",
    "HidesThatMoneyMoves": "test_a_lost_answer_is_unknown_and_charges_once_at_most",
    "SendsFloats": "test_an_amount_travels_as_documented",
    "UnknownIsFailed": "test_an_unknown_word_stays_pending",
    "NotFoundIsFailed": "test_not_found_yet_does_not_end_a_watch",
    "RepeatsWhatWasAsked": "test_another_amount_is_a_mismatch",
    "ErrorIsRefusal": "test_an_odd_answer_to_an_order_is_unknown",
    "FirewallIsKeys": "test_a_firewalls_page_says_nothing_of_credentials",
    "SuccessUnderErrors": "test_no_success_is_read_under_an_http_error",
    "IgnoresAField": "test_no_terminal_state_comes_out_of_a_contradiction",
    "BelievesMessages": "test_a_message_is_confirmed_by_asking",
    "CrashesOnMessages": "test_an_unreadable_message_is_a_bad_webhook",
    "ShowsItsKey": "test_no_secret_is_ever_shown",
    "DeclaresNoFacts": "test_facts_are_declared_for_each_money_verb",
    "ForgetsATable": "test_every_table_is_reached",
}


def _kept(report: Path) -> Mapping[tuple[str, str], bool]:
    """Run the promises that find the mistakes; return by driver and promise whether it was kept."""
    promises = " or ".join(sorted(set(MISTAKES.values())))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0"]
    subprocess.run(
        [*command, "-k", promises, f"--junitxml={report}", MISTAKEN],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    found: dict[tuple[str, str], bool] = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - written just now
        name = case.attrib["classname"].rpartition(".Test")[2]
        key = (name, case.attrib["name"].partition("[")[0])
        found[key] = found.get(key, True) and case.find("failure") is None
    return found


@pytest.mark.slow
def test_each_mistake_is_found(tmp_path: Path) -> None:
    """A driver with a mistake breaks the promise that is named, and the right driver keeps all."""
    kept = _kept(tmp_path / "report.xml")
    assert {driver for driver, _ in kept} == {"Acme", *MISTAKES}
    assert all(whole for (driver, _), whole in kept.items() if driver == "Acme")
    unseen = [driver for driver, promise in MISTAKES.items() if kept[driver, promise]]
    assert unseen == []
