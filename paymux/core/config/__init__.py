"""The config: which file is used, what it and the environment say, and the accounts of it."""

from .accounts import checked_account
from .location import config_file, usual_places
from .reading import Loaded, from_environment, from_mapping, from_place
from .settings import Config

__all__ = [
    "Config",
    "Loaded",
    "checked_account",
    "config_file",
    "from_environment",
    "from_mapping",
    "from_place",
    "usual_places",
]
