"""The config: which file is used, what it and the environment say, and the accounts of it."""

from .accounts import checked_account
from .file import read_file
from .location import config_file, usual_places
from .reading import (
    Loaded,
    from_environment,
    from_mapping,
    from_place,
    named_accounts,
    named_journal,
)
from .settings import Config
from .showing import shown_settings

__all__ = [
    "Config",
    "Loaded",
    "checked_account",
    "config_file",
    "from_environment",
    "from_mapping",
    "from_place",
    "named_accounts",
    "named_journal",
    "read_file",
    "shown_settings",
    "usual_places",
]
