"""The contract finds mistakes: a driver that was made wrong on purpose fails it."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from . import mistaken

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
    "ForgetsTheAddress": "test_the_provider_is_given_an_address",
    "NeedsNoAmount": "test_a_success_without_its_amount_is_none",
    "AcceptedPayoutIsPaid": "test_a_payout_is_made_once",
    "PaysOutTwice": "test_a_payout_without_its_answer_is_unknown_at_once",
    "UnlistedPayoutFailed": "test_an_unlisted_code_ends_no_payout",
    "AnyMessageAnswers": "test_an_answer_with_another_id_answers_nothing",
    "InventsTheAnswer": "test_a_late_answer_is_applied_and_told_once",
    "BelievesAResult": "test_a_message_of_a_payout_is_a_hint",
    "ClaimsToFind": "test_what_can_be_asked_is_said_for_each_kind",
    "ClaimsReceipts": "test_a_receipt_is_found_as_finds_by_says",
    "KeepsItsKey": "test_no_secret_is_ever_shown",
    "AmountMisspelled": "test_every_place_is_that_of_a_sample",
    "OneAmountMisspelled": "test_every_place_is_that_of_a_sample",
    "HiddenByAmounts": "test_a_success_without_its_amount_is_none",
    "PlaceMisspelled": "test_every_place_is_that_of_a_sample",
    "PlaceNowhere": "test_every_place_is_that_of_a_sample",
    "ToldMisspelled": "test_every_place_is_that_of_a_sample",
    "AskedByMisspelled": "test_every_place_is_that_of_a_sample",
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


def test_a_wrong_shape_is_named() -> None:
    """The text says which field of `Shape`, and which place of it."""
    contracts: Any = vars(mistaken)
    for name, said in {
        "AmountMisspelled": r"no sample has the amount field 'smu': set Shape\.amounts, or \(\) if",
        "PlaceMisspelled": r"Shape\.places: no sample of an answer has 'stat' \(status\)",
        "ToldMisspelled": r"Shape\.told: no sample of a message has 'stat' \(status\)",
    }.items():
        with pytest.raises(AssertionError) as broken:
            contracts[f"Test{name}"]().test_every_place_is_that_of_a_sample()
        assert re.search(said, str(broken.value)), broken.value
    with pytest.raises(AssertionError, match="takes: webhook_url is missing"):
        contracts["TestForgetsTheAddress"]().test_the_provider_is_given_an_address()


@pytest.mark.parametrize("module", ["contract", "aioresponses"])
def test_without_the_extra_the_error_says_what_to_install(module: str) -> None:
    """`paymux.testing` names it, as `paymux.otel` does."""
    lacking = "pytest" if module == "contract" else module
    code = (
        f"import sys; sys.modules[{lacking!r}] = None\n"
        f"try: import paymux.testing.{module}\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'paymux[testing]'" in done.stdout


@pytest.mark.slow
def test_each_mistake_is_found(tmp_path: Path) -> None:
    """A driver with a mistake breaks the promise that is named, and the right driver keeps all."""
    kept = _kept(tmp_path / "report.xml")
    assert {driver for driver, _ in kept} == {"Acme", *MISTAKES}
    assert all(whole for (driver, _), whole in kept.items() if driver == "Acme")
    unseen = [driver for driver, promise in MISTAKES.items() if kept[driver, promise]]
    assert unseen == []
