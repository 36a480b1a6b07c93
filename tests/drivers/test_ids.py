"""Ids that are derived from an order: the same in every release, and of no other merchant."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux.drivers._ids import derived_uuid, fingerprint
from paymux.models import Kind

KEY = "0123456789abcdef-orders"
KINDS = st.sampled_from(("collect", "payout", "refund"))


@pytest.mark.parametrize(
    ("kind", "reference", "told"),
    [
        ("collect", "order-1", "e5138549-d84c-4ecb-8a7d-43f20ac804f4"),
        ("payout", "order-1", "708e10ac-d4ca-487d-b059-a64a8cbdb223"),
        ("refund", "commande-é-9", "81327be8-b69b-4c89-b9ec-b95ce703b99a"),
    ],
)
def test_an_id_is_the_same_in_every_release(kind: Kind, reference: str, told: str) -> None:
    """A lost journal finds an order of years ago at its provider."""
    assert derived_uuid(KEY, kind, reference) == told


@given(KINDS, st.text(min_size=1, max_size=64), st.text(min_size=16, max_size=40))
def test_an_id_has_the_form_of_a_random_uuid(kind: Kind, reference: str, key: str) -> None:
    """A provider that accepts version 4 only accepts each."""
    found = uuid.UUID(derived_uuid(key, kind, reference))
    assert (found.version, found.variant) == (4, uuid.RFC_4122)


def test_nothing_else_has_the_id_of_an_order() -> None:
    """Another kind, reference or merchant has another id."""
    kinds: tuple[Kind, ...] = ("collect", "payout", "refund")
    ids = {derived_uuid(KEY, kind, f"order-{number}") for kind in kinds for number in range(500)}
    assert len(ids) == 1500
    assert derived_uuid(f"{KEY}2", "collect", "order-1") not in ids


def test_a_fingerprint_tells_two_keys_apart_and_is_no_id() -> None:
    """It is written to the journal, and differs from everything that is sent."""
    assert fingerprint(KEY) == "5944694e37e9c9d5"
    assert fingerprint(f"{KEY} ") != fingerprint(KEY)
