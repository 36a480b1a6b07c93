"""What a result proves by itself, exactly: every small change of these rules fails a test."""

from typing import Any

import pytest
from msgspec.structs import replace

from paymux import Payment, Status
from paymux.drivers.mpesa import codes, results
from paymux.values.parsing import Unreadable

from .mpesa_initiator import DRIVER, held, incoming, parameters, result

ALONE = replace(DRIVER, status_role=False)
KNOWN = held(provider_reference="600992_wage-7", ids={"ConversationID": "AG_1"})
PAID = result(ResultParameters=parameters(TransactionAmount=300, TransactionReceipt="SG7"))


def proved(known: Payment = KNOWN, **path: Any) -> Payment | None:
    """Return what a true result proves of a payout, on its own path or on another."""
    event = ALONE.webhook(incoming(PAID))
    own = {"path_reference": "wage-7", "path_use": "payout"}
    return results.proof(ALONE, replace(event, **{**own, **path}), known)


def test_a_true_result_on_its_own_path_proves_its_payout() -> None:
    """It is the order's: its kind and our reference are those of the order."""
    found = proved()
    assert found is not None
    assert (found.status, found.kind, found.reference) == (Status.SUCCEEDED, "payout", "wage-7")


@pytest.mark.parametrize(
    "path",
    [
        {"path_reference": None},
        {"path_reference": "wage-8"},
        {"path_use": "refund"},
        {"path_use": "payout_timeout"},
        {"path_use": None},
    ],
)
def test_on_any_other_path_it_proves_nothing(path: dict[str, Any]) -> None:
    """The account's address, another order's, another kind's, a time-out's."""
    assert proved(**path) == KNOWN


@pytest.mark.parametrize(
    "fields",
    [
        {"provider_reference": None},
        {"provider_reference": "600992_wage-8"},
        {"ids": {}},
        {"ids": {"ConversationID": "AG_2"}},
    ],
)
def test_without_both_acknowledged_ids_it_proves_nothing(fields: dict[str, Any]) -> None:
    """An id that is not known here cannot be compared."""
    known = replace(KNOWN, **fields)
    assert proved(known) == known


def test_two_unknown_ids_are_not_equal() -> None:
    """Neither the order nor the message has a ConversationID: that is no agreement."""
    event = ALONE.webhook(incoming({"Result": {**PAID["Result"], "ConversationID": None}}))
    event = replace(event, path_reference="wage-7", path_use="payout")
    known = replace(KNOWN, ids={})
    assert results.proof(ALONE, event, known) == known


def test_an_acknowledgement_needs_both_ids() -> None:
    """Without one of them the order could not be asked for, or its result not be tied to it."""
    for missing in ("ConversationID", "OriginatorConversationID"):
        given: dict[str, Any] = {"ConversationID": "AG_1", "OriginatorConversationID": "600992_1"}
        with pytest.raises(Unreadable, match="ConversationID"):
            results.Ack(ResponseCode="0", **{**given, missing: None}).accepts()
    with pytest.raises(Unreadable, match="ResponseCode"):
        results.Ack(ResponseCode="1").accepts()


def test_a_sentence_without_a_code_proves_nothing() -> None:
    """ResultDesc alone is about the request, not about the money, also that of a success."""
    for words in (
        "The initiator information is invalid.",
        "The service request is processed successfully.",
    ):
        assert codes.result(DRIVER, "payout", None, words) == (Status.PENDING, None)
    assert codes.transaction(DRIVER, None) == (Status.PENDING, None)


def test_no_reference_on_either_side_is_no_agreement() -> None:
    """An order without our reference is not the order of a path without one."""
    known = replace(KNOWN, reference=None)
    assert proved(known, path_reference=None) == known


def test_a_result_that_is_no_end_proves_nothing() -> None:
    """ResultType 1: more messages come, whatever its code says."""
    event = ALONE.webhook(incoming(result(2001, ResultType=1)))
    event = replace(event, path_reference="wage-7", path_use="payout")
    assert results.proof(ALONE, event, KNOWN) == KNOWN
