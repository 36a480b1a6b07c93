"""`paymux security-credential`: the password is encrypted for M-Pesa, and shown nowhere."""

import base64
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

import paymux
from paymux.cli.root import commands

COMMAND = [sys.executable, "-W", "error", "-m", "paymux", "security-credential", "--certificate"]
PASSWORD = "Safaricom999!*é#"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
LONGEST = 2048 // 8 - 11


def _certificate(key: Any, form: Encoding = Encoding.PEM) -> bytes:
    """Make a certificate that expired long ago, as the published ones."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "apicrypt.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2014, 11, 12, tzinfo=UTC))
        .not_valid_after(datetime(2016, 11, 11, tzinfo=UTC))
    )
    return made.sign(key, hashes.SHA256()).public_bytes(form)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a certificate of KEY in a file."""
    path = tmp_path / "SandboxCertificate.cer"
    path.write_bytes(_certificate(KEY))
    return path


def _run(certificate: Path | str, said: str | bytes, *more: str) -> Result:
    words = ["security-credential", "--certificate", str(certificate), *more]
    return CliRunner().invoke(commands, words, input=said)


def _decrypted(credential: str) -> bytes:
    """Decrypt by the arithmetic of RFC 8017: 00 02, at least eight bytes of padding, 00, text."""
    numbers = KEY.private_numbers()
    cipher = int.from_bytes(base64.b64decode(credential, validate=True), "big")
    block = pow(cipher, numbers.d, numbers.public_numbers.n).to_bytes(256, "big")
    head, _, text = block[2:].partition(b"\0")
    assert block[:2] == b"\x00\x02"
    assert len(head) >= 8
    return text


@pytest.mark.parametrize("form", [Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize("end", ["\n", "\r\n", "", "\nanother line\n"])
def test_it_prints_what_only_mpesa_can_decrypt(tmp_path: Path, form: Encoding, end: str) -> None:
    """The first line of a pipe is encrypted byte for byte, with an expired certificate, too."""
    path = tmp_path / "ProductionCertificate.cer"
    path.write_bytes(_certificate(KEY, form))
    ended = _run(path, f"{PASSWORD}{end}")
    assert (ended.exit_code, ended.stderr) == (0, "")
    (credential,) = ended.stdout.splitlines()
    assert _decrypted(credential) == PASSWORD.encode()
    assert ended.stdout != _run(path, PASSWORD).stdout  # the padding is random


def test_bytes_that_are_no_utf_8_stay_as_they_are(certificate: Path) -> None:
    """The page speaks of the password's bytes, so that those of a pipe are not converted."""
    assert _decrypted(_run(certificate, b"p\xe9ss\n").stdout.strip()) == b"p\xe9ss"


@pytest.mark.parametrize("length", [1, LONGEST])
def test_a_password_up_to_the_keys_length_is_accepted(certificate: Path, length: int) -> None:
    """A key of 2,048 bits encrypts 245 bytes."""
    assert _decrypted(_run(certificate, "a" * length).stdout.strip()) == b"a" * length


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("", "it is empty"),
        ("\n", "it is empty"),
        ("q" * (LONGEST + 1), "it is longer than the 245 bytes"),
        ("q" * 100_000, "it is longer than the 245 bytes"),
        ("qqqqqqqq\x1b[D", "it has a control character"),
        ("qqqqqqqq\x00", "it has a control character"),
    ],
)
def test_a_password_that_cannot_be_right_is_refused(certificate: Path, said: str, why: str) -> None:
    """Exit code 2, one sentence, nothing on standard output, and the password nowhere."""
    ended = _run(certificate, said)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert f"Error: password: {why}" in ended.stderr
    assert "qqqq" not in ended.output


def _bodies() -> Iterator[tuple[str, bytes, str]]:
    whole = _certificate(KEY)
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    yield "empty", b"", "is no certificate"
    yield "text", b"<html>Log in</html>", "is no certificate"
    yield "cut", whole[: len(whole) // 2], "is no certificate"
    yield "cut DER", _certificate(KEY, Encoding.DER)[:-1], "is no certificate"
    yield "a public key", public, "is no certificate"
    yield "EC", _certificate(ec.generate_private_key(ec.SECP256R1())), "has a key that is not RSA"


@pytest.mark.parametrize(
    ("body", "why"), [pytest.param(body, why, id=name) for name, body, why in _bodies()]
)
def test_a_file_that_is_no_rsa_certificate_is_refused(
    tmp_path: Path, body: bytes, why: str
) -> None:
    """Exit code 2, the file and what is accepted, before the password is asked for."""
    path = tmp_path / "cert.cer"
    path.write_bytes(body)
    ended = _run(path, "")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert f"--certificate: {path} {why}; accepted: the certificate" in ended.stderr


@pytest.mark.filterwarnings("ignore:Parsed a")  # of a serial number below 1
def test_a_damaged_certificate_is_never_a_traceback(tmp_path: Path) -> None:
    """With any single byte changed, there is a credential, or exit code 2."""
    path, whole = tmp_path / "cert.cer", _certificate(KEY, Encoding.DER)
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        ended = _run(path, PASSWORD)
        assert ended.exit_code in (0, 2), (place, ended.exception)
        assert PASSWORD not in ended.output


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A path without a file is exit code 2."""
    ended = _run(tmp_path / "none.cer", PASSWORD)
    assert ended.exit_code == 2
    assert "none.cer" in ended.stderr


@pytest.mark.parametrize("words", [[PASSWORD], ["--password", PASSWORD], [f"-p{PASSWORD}"]])
def test_the_password_is_never_an_argument(certificate: Path, words: list[str]) -> None:
    """As an argument it is refused, and not repeated in the error."""
    ended = _run(certificate, PASSWORD, *words)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert PASSWORD not in ended.output
    assert PASSWORD[:9] not in ended.output


def test_no_frame_of_an_error_has_the_password(certificate: Path) -> None:
    """A tool that shows the variables of each frame shows no password."""
    wrong = "q" * (LONGEST + 1)
    runner, words = CliRunner(), ["security-credential", "--certificate", str(certificate)]
    ended = runner.invoke(commands, words, input=wrong, standalone_mode=False)
    assert isinstance(ended.exception, click.UsageError)
    frame = ended.exception.__traceback__
    shown: list[str] = []
    while frame is not None:
        if Path(frame.tb_frame.f_code.co_filename).is_relative_to(Path(paymux.__file__).parent):
            shown += map(repr, frame.tb_frame.f_locals.values())
        frame = frame.tb_next
    assert "Secret('***')" in shown
    assert not [text for text in shown if "qqqq" in text]


def _typed(certificate: Path, said: bytes) -> tuple[int, bytes, bytes]:
    """Run the command at a terminal; return its code, its output, and what the terminal showed."""
    master, slave = pty.openpty()
    command = [*COMMAND, str(certificate)]
    with subprocess.Popen(
        command, stdin=slave, stdout=subprocess.PIPE, stderr=slave, start_new_session=True
    ) as process:
        os.close(slave)
        shown = b""
        while b"password" not in shown:
            shown += os.read(master, 1024)
        os.write(master, said)
        out, _ = process.communicate(timeout=60)
        try:
            while part := os.read(master, 1024):
                shown += part
        except OSError:  # Linux: the other end is closed
            pass
    os.close(master)
    return process.returncode, out, shown


def test_at_a_terminal_it_asks_without_echo(certificate: Path) -> None:
    """What is typed is encrypted, and neither the terminal nor the output shows it."""
    code, out, shown = _typed(certificate, f"{PASSWORD}\n".encode())
    assert code == 0, shown
    assert _decrypted(out.decode().strip()) == PASSWORD.encode()
    assert PASSWORD.encode()[:9] not in shown + out


def test_an_interrupt_at_the_question_ends_it(certificate: Path) -> None:
    """The end of input at the terminal is no traceback, and prints no credential."""
    code, out, shown = _typed(certificate, b"\x04")
    assert (code, out) == (2, b"")
    assert b"Traceback" not in shown


def test_without_cryptography_it_says_what_to_install(tmp_path: Path, certificate: Path) -> None:
    """Without the `mpesa` extra this command names it; nothing else needs it."""
    fake = "raise ModuleNotFoundError('none', name='cryptography')"
    (tmp_path / "cryptography.py").write_text(fake)
    ended = subprocess.run(
        [*COMMAND, str(certificate)],
        input="secret",
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "paymux: cryptography is missing; install it with: pip install 'paymux[mpesa]'\n"
    )


def test_nothing_else_loads_cryptography() -> None:
    """Neither a pool with M-Pesa nor the command line imports it: the command does, when used."""
    code = (
        "import sys; from paymux import Mpesa, Pool; import paymux.cli.security_credential; "
        "Pool(Mpesa(consumer_key='k', consumer_secret='s', shortcode='174379', passkey='p')); "
        "sys.exit('cryptography' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
