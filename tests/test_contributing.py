"""Every link leads somewhere, and the page of a package index needs no repository beside it."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GITHUB = ROOT / ".github"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(GITHUB.glob("*.md"))]
FENCE = re.compile(r"^```.*?^```$", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)]+)\)")


def read(path: Path) -> str:
    """Give a file's text."""
    return path.read_text(encoding="utf-8")


def name(path: Path) -> str:
    """Give a file's path below the repository."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_a_link_leads_somewhere(path: Path) -> None:
    """A link to a file of the repository finds it, and a link to a heading does."""
    text = FENCE.sub("", read(path))
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for target in LINK.findall(text):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith("https://"):
            assert (path.parent / target).exists(), target


def test_the_index_page_needs_no_repository() -> None:
    """A package index shows each program of the README, and no relative link or picture."""
    project = tomllib.loads(read(ROOT / "pyproject.toml"))
    hook = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    assert hook["fragments"] == [{"path": "README.md"}]
    readme = page = read(ROOT / "README.md")
    for one in hook["substitutions"]:
        page = re.sub(one["pattern"], one["replacement"], page)
    assert all(target.startswith(("https://", "#")) for target in LINK.findall(page))
    assert all(picture not in page for picture in re.findall(r"!\[([^\]]+)\]", readme))
    assert "<img" not in page
    assert "'.[cli]'" not in page
    assert FENCE.findall(page) == [
        program.replace("'.[cli]'", "'paymux[cli]'") for program in FENCE.findall(readme)
    ]
