"""`paymux security-credential`: encrypts the initiator's password for M-Pesa's operations."""

import base64
import getpass
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..primitives.redaction import Secret
from .command import command
from .exits import Exit
from .failures import Failed
from .invocation import Invocation

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_MAX_FILE_BYTES = 1 << 16  # bytes of a certificate; the portal's have 2,300
_MAX_PASSWORD_BYTES = 4096  # bytes of a line; no key encrypts as many
_PADDING_BYTES = 11  # of PKCS#1 v1.5, https://www.rfc-editor.org/rfc/rfc8017#section-7.2.1
_SOURCE = "the certificate of your environment, from developer.safaricom.co.ke, as PEM or DER"


@command(
    "security-credential",
    examples=(
        "paymux security-credential --certificate ProductionCertificate.cer",
        "pass show daraja | paymux security-credential --certificate SandboxCertificate.cer",
    ),
    context_settings={"allow_extra_args": True},
)
@click.option(
    "--certificate",
    required=True,
    type=click.Path(exists=True, dir_okay=False),
    help="The certificate of the portal, sandbox or production: a .cer file, PEM or DER.",
)
@click.pass_context
def security_credential(ctx: click.Context, cli: Invocation, certificate: str) -> None:
    """Encrypt M-Pesa's initiator password.

    It prints the `security_credential` of an account. The password is asked for at the terminal,
    without echo; if standard input is a pipe, it is the first line. It is never an argument or a
    variable, because other processes can read those. The credential is valid as long as the
    password: 90 days. Needs: pip install 'paymux[cli,mpesa]'.
    """
    if ctx.args:  # click would print them
        raise click.UsageError(
            "the password is never an argument, because the list of processes and the shell's "
            "history show arguments; run the command without it, and it asks"
        )
    key = _key(certificate)  # first, so that no password is entered in vain
    password = _password()
    if why := _refusal(password, key):
        raise click.UsageError(f"password: {why}")
    credential = _encrypted(password, key)
    if credential is None:
        raise _refused(certificate, "has no usable key")
    cli.write_one(f"{credential}\n", type="credential", security_credential=credential)


def _key(certificate: str) -> "RSAPublicKey":
    """Return the RSA key of a certificate.

    Its dates are not checked: the copies that published clients contain expired in 2016 and 2018.
    """
    try:
        from cryptography import x509  # noqa: PLC0415 - comes with the `mpesa` extra
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        if missing.name != "cryptography":
            raise
        said = "cryptography is missing; install it with: pip install 'paymux[mpesa]'"
        raise Failed(said, Exit.USAGE) from None
    body = _read(certificate)
    pem = b"-----BEGIN" in body
    try:
        found = (x509.load_pem_x509_certificate if pem else x509.load_der_x509_certificate)(body)
    except (ValueError, x509.InvalidVersion):
        raise _refused(certificate, "is no certificate") from None
    try:
        key = found.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise _refused(certificate, "has no usable key") from None
    if not isinstance(key, RSAPublicKey):
        raise _refused(certificate, "has a key that is not RSA")
    return key


def _read(certificate: str) -> bytes:
    try:
        with Path(certificate).open("rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError as error:
        raise _refused(certificate, f"cannot be read ({error.strerror})") from None


def _refused(certificate: str, why: str) -> click.UsageError:
    return click.UsageError(f"--certificate: {certificate} {why}; accepted: {_SOURCE}")


def _password() -> Secret:
    """Read the password; a Secret, so that no frame of an error has it as text."""
    if sys.stdin is None:
        return Secret("")
    if not sys.stdin.isatty():
        line = sys.stdin.buffer.readline(_MAX_PASSWORD_BYTES).rstrip(b"\r\n")
        return Secret(line.decode(errors="surrogateescape"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)  # it would read with echo
        try:
            return Secret(getpass.getpass("The initiator's password (not shown): "))
        except getpass.GetPassWarning:
            why = "this terminal cannot hide it; use another one, or a pipe"
        except UnicodeError:
            why = "it is no text in the encoding of this terminal"
    raise click.UsageError(f"password: {why}")


def _bytes(password: Secret) -> bytes:
    return password.reveal().encode(errors="surrogateescape")


def _refusal(password: Secret, key: "RSAPublicKey") -> str:
    """Return why a password cannot be the right one, or ""."""
    if not password:
        return "it is empty"
    if any(map(_is_control, password.reveal())):
        return "it has a control character: an arrow or Ctrl key was pressed"
    longest = key.key_size // 8 - _PADDING_BYTES
    if len(_bytes(password)) > longest:
        return f"it is longer than the {longest} bytes that the certificate's key can encrypt"
    return ""


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character < "\xa0"


def _encrypted(password: Secret, key: "RSAPublicKey") -> str | None:
    """Encrypt the password's bytes with PKCS#1 v1.5, not OAEP, as base64; None: a damaged key.

    https://developer.safaricom.co.ke/apis/BusinessToCustomer, "How do I generate Security
    Credential?"
    """
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415

    try:
        return base64.b64encode(key.encrypt(_bytes(password), PKCS1v15())).decode()
    except ValueError:  # such as an even modulus
        return None
