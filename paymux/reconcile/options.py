"""The options of a reconciliation that most callers leave out."""

from collections.abc import Callable
from datetime import timedelta
from os import PathLike
from typing import TYPE_CHECKING, TypedDict

import msgspec

from ..models import Kind

if TYPE_CHECKING:
    from .formats import FileFormat


class ReconcileProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a reconciliation is.

    `stage` is "resumed", "theirs", "ours", "asking" (with the rows that will be asked for),
    "matching" or "report"; `rows` is what it has done so far: rows, or steps of the matching.
    `resumed` are the rows that an earlier run had read.
    """

    stage: str
    rows: int
    resumed: int = 0


class ReconcileOptions(TypedDict, total=False):
    """Options of `Pool.reconcile`.

    - `edge`: what is missing and nearer to the period's end is no difference: a timedelta, or text
      such as "2d" or "12h". By default two days, but at most a tenth of the period.
    - `kind`: the only kind that the statement lists: ours of others are not missing there.
    - `format`, `our_format`: how each file is read; what they leave out is guessed.
    - `ask`: verify each order that differs first, so that a journal that is merely late agrees.
    - `out`: the report's file, CSV, or JSON lines by its name; `.part` until the end.
    - `state`: the SQLite file of the run, by default beside `out`. With neither, none is left.
    - `restart`: begin anew where a stopped run would go on.
    - `language`: "en" or "fr", of the advice in `out`.
    - `progress`: is called with a ReconcileProgress, every few thousand rows.
    """

    edge: timedelta | str | None
    kind: Kind | None
    format: "FileFormat | None"
    our_format: "FileFormat | None"
    ask: bool
    out: str | PathLike[str] | None
    state: str | PathLike[str] | None
    restart: bool
    language: str
    progress: Callable[[ReconcileProgress], object] | None
