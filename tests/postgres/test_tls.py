"""TLS to the server, by the URL's own parameters."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from paymux import UsageError
from paymux.journal.postgres import PostgresJournal

from ..clusters import Cluster, why_not

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[Cluster, Path]]:
    """Run a server that takes TLS alone; return it, and the folder of certificates."""
    if why := why_not():
        pytest.skip(why)
    folder = Path(tempfile.mkdtemp(prefix="paymux-tls-"))
    folder.chmod(0o755)
    server = Cluster(folder / "server")
    try:
        server.make()
        authority, other = trustme.CA(), trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        other.cert_pem.write_to_path(str(folder / "other.pem"))
        own = authority.issue_cert("127.0.0.1")
        chain, key = server.folder / "server.pem", server.folder / "server.key"
        chain.write_bytes(own.cert_chain_pems[0].bytes())
        key.write_bytes(own.private_key_pem.bytes())
        key.chmod(0o600)
        for file in (chain, key):
            if server.user is not None:
                shutil.chown(file, server.user, server.user)
        server.configure(ssl="on", ssl_cert_file=str(chain), ssl_key_file=str(key))
        (server.data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")
        server.start()
        yield server, folder
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def opened(url: str) -> None:
    """Open a journal, and close it."""
    journal = PostgresJournal(url)
    try:
        await journal.open()
        assert await journal.find("toy", "collect", reference="order-1") is None
    finally:
        await journal.aclose()


async def test_a_certificate_is_checked_where_the_url_says_so(
    guarded: tuple[Cluster, Path],
) -> None:
    """`verify-full` with the right authority opens; another one is refused by name."""
    server, folder = guarded
    for more in ("sslmode=require", f"sslmode=verify-full&sslrootcert={folder}/ca.pem"):
        await opened(f"{server.url()}&{more}")
    with pytest.raises(UsageError, match="certificate verify failed"):
        await opened(f"{server.url()}&sslmode=verify-full&sslrootcert={folder}/other.pem")


@pytest.mark.parametrize("more", ["sslmode=nothing", "sslmode=verify-full&sslrootcert=/none.pem"])
async def test_a_parameter_that_cannot_be_used_is_named(
    guarded: tuple[Cluster, Path], more: str
) -> None:
    """UsageError says what the parameter is."""
    with pytest.raises(UsageError, match=r"`sslmode` parameter|sslrootcert: .*none"):
        await opened(f"{guarded[0].url()}&{more}")


async def test_a_server_that_takes_tls_alone_says_so(guarded: tuple[Cluster, Path]) -> None:
    """Without TLS it lets no session in."""
    with pytest.raises(UsageError, match=r"no pg_hba\.conf entry"):
        await opened(f"{guarded[0].url()}&sslmode=disable")
