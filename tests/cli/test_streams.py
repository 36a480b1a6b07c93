"""Standard output in any encoding, and when its reader has gone."""

import subprocess
import sys

import pytest

SAY = "from paymux.cli import streams; streams.prepare(); "


def _ran(code: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", SAY + code],
        capture_output=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", **environment},
    )


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp850", "utf-8"])
def test_what_an_encoding_lacks_is_replaced(encoding: str) -> None:
    """Under any encoding a result is written: ✓ is "yes" where there is no such letter."""
    ended = _ran(
        "streams.write('✓ 5\\u202f000 XAF … été → 漢\\n'); streams.write_error('…\\n')",
        PYTHONIOENCODING=encoding,
    )
    assert (ended.returncode, bool(ended.stderr)) == (0, True)
    said = ended.stdout.decode(encoding)
    assert ("yes" in said) == (encoding != "utf-8")
    assert said.count("\n") == 1


@pytest.mark.slow
def test_json_is_utf8_whatever_the_locale() -> None:
    """A program that reads JSON need not know the locale in which it was written."""
    ended = _ran("streams.write_json({'name': 'été'})", PYTHONIOENCODING="ascii")
    assert ended.stdout.decode("utf-8") == '{"name":"été"}\n'


@pytest.mark.slow
def test_a_closed_pipe_is_silent() -> None:
    """`| head -1` ends a command without a word: ReaderGone once, and nothing at exit."""
    code = (
        SAY + "import os; r, w = os.pipe(); os.close(r); os.dup2(w, 1)\n"
        "try:\n    streams.write('x' * 100000)\nexcept streams.ReaderGone:\n    print('more')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.slow
def test_closed_descriptors_are_no_error() -> None:
    """Started by a job with both streams closed, a command does its work."""
    code = (
        f"{SAY}import sys; sys.stdout = sys.stderr = None; "
        "streams.write('x'); streams.write_error('x')"
    )
    ended = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert ended.returncode == 0
