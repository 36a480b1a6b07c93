"""The connection of a worker's life to the database of its journal."""

from typing import TYPE_CHECKING

from .connection import CONNECT_SECONDS, failure_of

if TYPE_CHECKING:
    import asyncpg

    from .address import Address


async def life_connection(address: "Address") -> "asyncpg.Connection":
    """Connect with the journal's schema in the search path; OSError: not now."""
    import asyncpg  # noqa: PLC0415 - it takes a tenth of a second to load

    settings = {"search_path": address.schema}
    if "application_name" not in address.settings:
        settings["application_name"] = "paymux life"
    try:
        return await asyncpg.connect(
            address.url.reveal(), timeout=CONNECT_SECONDS, server_settings=settings
        )
    except Exception as error:  # noqa: BLE001 - asyncpg's, the system's, or that of its TLS
        failure = failure_of(error, address)
    # Outside of the handler: a frame of the client's may hold the password.
    raise failure
