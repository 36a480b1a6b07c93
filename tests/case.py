"""The differences between drivers: each driver's test file has its `CASE`."""

from collections.abc import Mapping
from typing import Any

import msgspec

from paymux import Status

PAGE = {"return_url": "https://shop.example/back", "description": "Data bundle"}
LEAVE = {**PAGE, "cancel_url": "https://shop.example/left"}


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """The samples of one driver, and the places of their status fields."""

    fields: Mapping[str, Any]
    asked: Mapping[str, Any]
    answers: tuple[str, ...]  # samples of answers to a look-up
    messages: tuple[str, ...] = ()  # samples of messages
    places: Mapping[str, str]  # field of `speaks`: its place in an answer
    told: Mapping[str, str] = {}  # its place in a message
    # The status of each sample, for answers and webhooks: a strict table must not leave a paid
    # order pending.
    said: Mapping[str, Status] = {}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """The differences of one driver; everything else in the contract tests is the same for all."""

    order: Mapping[str, Any]
    opens: str  # the request that moves money, or opens a page
    looks: str  # the look-up
    wire: bytes  # 1000 units as the provider documents them
    # How a provider reports an end for which it has no status word.
    told: Mapping[Status, Status] = {}
    login: str = ""  # the request for a token, if there is one
    bearer: bool = False  # the token comes from the caller's own coroutine
    # each POST makes a new page, which charges no payer: it may be repeated
    repeats: bool = False
    # throttling of money requests is documented, or the request may be repeated
    throttles: bool = True
    signs: bool = False  # a signature shows whether a message is forged
    # a message leads to its order even if the answer to the order was lost
    names_order: bool = True
    # the callback URL is a setting at the provider, not a field of an order
    dashboard: bool = False
    tells_amount: bool = True  # a look-up has the amount
    mode: tuple[bytes, bytes] | None = None  # the live and the test mode in an answer
    live: Mapping[str, str] = {}  # the fields of a live account
    shape: Mapping[str, Any] = {}  # attributes of the simulator that put the mode into answers
    payout: tuple[str, str] | None = None  # the payee, and the request
    words: Shape
