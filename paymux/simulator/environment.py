"""Lines to paste, so that a program speaks with the simulator: for shells, files and others."""

import json
from collections.abc import Callable, Mapping
from typing import TypeAlias

from ..errors import UsageError
from ..primitives import coerce
from .service import Service

Accounts: TypeAlias = dict[str, dict[str, str]]


def accounts(world: Service) -> Accounts:
    """Return the fields of an account for each provider: driver, base URL and test credentials."""
    return {
        name: {
            "driver": name,
            "base_url": f"{provider.url}{provider.base_path}",
            **provider.credentials,
            **provider.more_credentials,
        }
        for name, provider in sorted(world.providers.items())
    }


def variables(world: Service) -> dict[str, str]:
    """Return the variables that `Pool.from_env` reads, and the simulator's own address."""
    return {
        "PAYMUX_SIMULATOR": world.url,
        **{
            f"PAYMUX_{account.upper()}__{field.upper()}": value
            for account, fields in accounts(world).items()
            for field, value in fields.items()
        },
    }


def lines(world: Service, format: str = "sh") -> str:
    """Write the lines in one of FORMATS; any language can use the URLs and credentials in them."""
    write = FORMATS.get(coerce.text(format) or "")
    if write is None:
        raise UsageError.field("format", format, ", ".join(FORMATS))
    return write(world)


def _sh(world: Service) -> str:
    # Values hold no quote: they are URLs and "simulator".
    return "".join(f"export {name}='{value}'\n" for name, value in variables(world).items())


def _powershell(world: Service) -> str:
    return "".join(f"$env:{name} = '{value}'\n" for name, value in variables(world).items())


def _dotenv(world: Service) -> str:
    return "".join(f"{name}={value}\n" for name, value in variables(world).items())


def tables(found: Accounts) -> str:
    """Write accounts as the tables of a config, none of them live."""
    written = []
    for account, fields in found.items():
        lines = (f"{name} = {json.dumps(value)}\n" for name, value in fields.items())
        written.append(f"[accounts.{json.dumps(account)}]\nlive = false\n{''.join(lines)}")
    return "\n".join(written)


def _toml(world: Service) -> str:
    return tables(accounts(world))


def _json(world: Service) -> str:
    return json.dumps({"simulator": world.url, "accounts": accounts(world)}, indent=2) + "\n"


FORMATS: Mapping[str, Callable[[Service], str]] = {
    "sh": _sh,
    "powershell": _powershell,
    "dotenv": _dotenv,
    "toml": _toml,
    "json": _json,
}
