"""The README's programs for other libraries, and the servers of this machine that they run
against.
"""

import re
from pathlib import Path

_README = Path(__file__).parent.parent.parent / "README.md"


def program(heading: str) -> str:
    """Give the one program under a heading of the README, word for word."""
    text = _README.read_text(encoding="utf-8")
    section = re.search(
        rf"^#+ {re.escape(heading)}\n(.*?)(?=^##+ |\Z)", text, flags=re.DOTALL | re.MULTILINE
    )
    assert section, heading
    (found,) = re.findall(
        r"^```python no-run\n(.*?)^```", section[1], flags=re.DOTALL | re.MULTILINE
    )
    return str(found)
