"""Comparing what we believe with what the provider says: each row once, and each sum exact.

A statement, a provider's list or its answers are one side, the journal or a file of the caller's
the other. Both are staged in one SQLite file; `matching` pairs rows by exact keys, `comparing` says
what a pair means, `run` does it step by step, so that a run that was killed goes on. Each name
loads its module at its first use.
"""

from typing import TYPE_CHECKING

from ..primitives.lazy import loader

__all__ = [
    "REPORT_COLUMNS",
    "Difference",
    "DifferenceKind",
    "Explanation",
    "FileFormat",
    "ReconcileOptions",
    "ReconcileProgress",
    "ReconcileVerb",
    "Reconciliation",
    "Summary",
    "Total",
    "as_json",
    "cells",
    "checked_kept",
    "summary_json",
]

if TYPE_CHECKING:
    from .difference import Difference, DifferenceKind
    from .formats import FileFormat
    from .kept import checked_kept
    from .options import ReconcileOptions, ReconcileProgress
    from .reading import Explanation
    from .report import REPORT_COLUMNS, as_json, cells, summary_json
    from .run import Reconciliation
    from .summary import Summary, Total
    from .verb import ReconcileVerb
else:
    __getattr__ = loader(
        __name__,
        {
            "difference": ("Difference", "DifferenceKind"),
            "formats": ("FileFormat",),
            "kept": ("checked_kept",),
            "reading": ("Explanation",),
            "report": ("REPORT_COLUMNS", "as_json", "cells", "summary_json"),
            "options": ("ReconcileOptions", "ReconcileProgress"),
            "run": ("Reconciliation",),
            "summary": ("Summary", "Total"),
            "verb": ("ReconcileVerb",),
        },
    )
