"""The case of each driver, from its test file."""

from collections.abc import Mapping
from importlib import import_module

from paymux.drivers import own
from paymux.testing.contract import Case

CASES: Mapping[str, Case] = {
    name: import_module(f"{__package__}.drivers.test_{name}").CASE for name in own()
}
