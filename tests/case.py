"""What differs from one driver to another: each driver's test file holds its `CASE`."""

from collections.abc import Mapping
from typing import Any

import msgspec

from paymux import Status

PAGE = {"return_url": "https://shop.example/back", "description": "Data bundle"}
LEAVE = {**PAGE, "cancel_url": "https://shop.example/left"}


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One driver's samples, and where their fields of the status are."""

    fields: Mapping[str, Any]
    asked: Mapping[str, Any]
    answers: tuple[str, ...]  # samples of answers to a look-up
    messages: tuple[str, ...] = ()  # samples of messages
    places: Mapping[str, str]  # field of `speaks`: its place in an answer
    told: Mapping[str, str] = {}  # its place in a message
    # The status of each sample, of answers and messages: a strict table must not leave paid orders
    # pending.
    said: Mapping[str, Status] = {}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from one driver to another; everything else here is the same for all."""

    order: Mapping[str, Any]
    opens: str  # the request that moves money, or opens a page
    looks: str  # the look-up
    wire: bytes  # 1000 units as the provider documents them
    # How an end is told at a provider that has no word of its own for it.
    told: Mapping[Status, Status] = {}
    login: str = ""  # the request for a token, where there is one
    bearer: bool = False  # the token comes from the caller's own coroutine
    # each POST makes a page of its own, which charges no payer: it may be repeated
    repeats: bool = False
    # how money is throttled is documented, or the request may be repeated anyway
    throttles: bool = True
    signs: bool = False  # a message can be told from a forged one
    # a message leads to its order although the answer to the order was lost
    names_order: bool = True
    # the callback address is a setting at the provider's, not a field of an order
    dashboard: bool = False
    tells_amount: bool = True  # a look-up tells the amount
    mode: tuple[bytes, bytes] | None = None  # how the live and the test mode are told in an answer
    live: Mapping[str, str] = {}  # the fields of a live account
    shape: Mapping[str, Any] = {}  # attributes of the simulator with which it tells the mode
    payout: tuple[str, str] | None = None  # the payee, and the request
    words: Shape
