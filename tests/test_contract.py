"""The same promises over every driver that comes with paymux: `paymux.testing.contract`."""

from collections.abc import Mapping
from typing import Any

import pytest

from paymux.drivers import load, names
from paymux.simulator.providers import load as load_simulator
from paymux.testing.contract import Desk, DriverContract

from .cases import CASES
from .driving import SAMPLES

# The lines of the providers' documents that a promise proves: tests/test_seeds.py.
PROVES: Mapping[str, tuple[str, ...]] = {
    "test_a_collect_is_watched_to_its_success": (
        "cinetpay: after SUCCESS deliver",
        "mpesa_gateway: integration steps 1",
        "paydunya: a confirmation may take",
    ),
    "test_an_amount_travels_as_documented": ("cinetpay: /v2/payment amount: int",),
    "test_a_lost_answer_is_unknown_and_charges_once_at_most": (
        "campay: implement retries",
        "mpesa_gateway: payment requests are idempotent",
        "mpesa_gateway: time-outs and network errors",
    ),
    "test_what_was_not_paid_ends_as_a_value": (
        "cinetpay: after SUCCESS deliver",
        "mpesa_gateway: monitor success rates",
    ),
    "test_an_unknown_word_stays_pending": ("cinetpay: after SUCCESS deliver",),
    "test_a_stale_token_costs_one_login_and_one_charge": (
        "campay: refresh the token periodically",
        "mpesa_gateway: every endpoint wants",
    ),
    "test_an_odd_answer_to_a_look_up_is_unavailable": ("mpesa_gateway: integration steps 1",),
    "test_a_message_is_confirmed_by_asking": (
        "campay: notifications come",
        "campay: always check the status",
        "cinetpay: /v2/payment notify_url",
        "cinetpay: a notification never tells",
        "cinetpay: do nothing twice: a payment",
        "intram: actions.callback_url",
        "mpesa_gateway: integration steps 1",
        "paydunya: actions.callback_url: where",
        "paydunya: a confirmation may take",
    ),
    "test_a_forged_message_is_refused_or_found_out": (
        "campay: always check the status",
        "intram: always validate callbacks",
        "mpesa_gateway: verify before fulfilling",
    ),
    "test_a_success_that_comes_before_the_money_confirms_nothing": (
        "mpesa_gateway: verify before fulfilling",
    ),
    "test_a_test_success_on_a_live_account_is_a_mismatch": ("intram: transactions of the sandbox",),
    "test_a_second_use_of_a_reference_is_what_the_facts_say": (
        "cinetpay: /v2/payment transaction_id",
    ),
    "test_the_same_order_twice_at_once_is_one_request": (
        "mpesa_gateway: payment requests are idempotent",
    ),
    "test_a_refund_is_pending_and_asked_for_once": (
        "mpesa_gateway: POST /api/payment/transactions/{transaction_id}/refund/",
    ),
    "test_a_browser_that_came_back_is_a_hint": ("cinetpay: /v2/payment return_url",),
    "test_what_an_order_cannot_carry_is_refused": ("campay: notifications come",),
    "test_a_verb_that_the_provider_has_answers": ("mpesa_gateway: GET /api/payment/history/",),
    "test_a_payment_survives_json": ("cinetpay: always store payment_token",),
    "test_no_secret_is_ever_shown": (
        "campay: log all requests and answers",
        "intram: never share the API keys",
        "mpesa_gateway: security measures; credentials",
    ),
}


def _contract(name: str) -> type[DriverContract]:
    """Return the contract of a driver, named like a test class: pytest collects it."""
    driver = load(name)
    about: dict[str, Any] = {
        "__module__": __name__,
        "driver": driver,
        "simulator": load_simulator(name),
        "case": CASES[name],
        "samples": SAMPLES / name,
    }
    return type(f"Test{driver.__name__}", (DriverContract,), about)


CONTRACTS = {name: _contract(name) for name in CASES}
globals().update({contract.__name__: contract for contract in CONTRACTS.values()})


def desk(name: str, **how: Any) -> Desk:
    """Open an account at a simulated provider."""
    return CONTRACTS[name].desk(**how)


def test_every_driver_is_in_the_table() -> None:
    """Each driver that is found on disk is held to the contract."""
    assert sorted(CASES) == names()


@pytest.mark.parametrize("promise", PROVES)
def test_what_proves_a_line_is_a_promise_that_some_driver_keeps(promise: str) -> None:
    """A promise that is renamed, or that applies to no driver any more, proves nothing."""
    assert any(getattr(contract, promise) for contract in CONTRACTS.values())
