"""The statements for contributors are true: commands, links, forms, workflows, index page."""

import re
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from . import test_source

ROOT = Path(__file__).parent.parent
GITHUB = ROOT / ".github"
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "benchmarks/README.md")),
    *sorted(GITHUB.glob("*.md")),
]
FORMS = [path for path in sorted(GITHUB.glob("ISSUE_TEMPLATE/*.yml")) if path.name != "config.yml"]
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
FENCE = re.compile(r"^```.*?^```$", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)]+)\)")
# Every repository on GitHub has these labels; a form with another label sets none.
LABELS = {
    "bug",
    "documentation",
    "duplicate",
    "enhancement",
    "good first issue",
    "help wanted",
    "invalid",
    "question",
    "wontfix",
}


def read(path: Path) -> str:
    """Return a file's text."""
    return path.read_text(encoding="utf-8")


def name(path: Path) -> str:
    """Return a file's path below the repository."""
    return path.relative_to(ROOT).as_posix()


class Validations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a field of a form is required."""

    required: bool


class Attributes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a field of a form shows."""

    label: str = ""
    description: str = ""
    placeholder: str = ""
    render: str = ""
    value: str = ""
    options: list[Any] = []


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One field of a form."""

    type: Literal["markdown", "input", "textarea", "dropdown", "checkboxes"]
    attributes: Attributes
    id: str = ""
    validations: Validations | None = None


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An issue form, in GitHub's words."""

    name: str
    description: str
    labels: list[str]
    body: list[Field]


class Step(msgspec.Struct, frozen=True, rename={"with_": "with"}):
    """One step of a job."""

    uses: str = ""
    run: str = ""
    with_: dict[str, Any] = {}


class Job(msgspec.Struct, frozen=True, rename={"timeout": "timeout-minutes"}):
    """One job of a workflow."""

    timeout: int | None = None
    permissions: dict[str, str] | None = None
    environment: str | None = None
    steps: list[Step] = []


class Workflow(msgspec.Struct, frozen=True):
    """A workflow: its permissions and commands; YAML 1.1 reads its key `on` as True."""

    permissions: dict[str, str]
    concurrency: dict[str, Any]
    jobs: dict[str, Job]


def workflow(path: Path) -> Workflow:
    """Read a workflow."""
    found = msgspec.yaml.decode(path.read_bytes(), type=dict[Any, Any])
    named = {key: value for key, value in found.items() if key is not True}
    return msgspec.convert(named, Workflow)


def steps() -> list[Step]:
    """Return every step of every workflow."""
    jobs = [job for path in WORKFLOWS for job in workflow(path).jobs.values()]
    return [step for job in jobs for step in job.steps]


@pytest.mark.parametrize("path", FORMS, ids=name)
def test_a_form_asks_what_a_maintainer_needs(path: Path) -> None:
    """GitHub can show each form; it asks for the account's mode, and for no secret."""
    form = msgspec.yaml.decode(path.read_bytes(), type=Form)
    asked = {field.id: field for field in form.body if field.type != "markdown"}
    assert len(asked) == len([field for field in form.body if field.type != "markdown"])
    assert "" not in asked
    assert set(form.labels) <= LABELS
    assert {"provider", "masked"} <= asked.keys()
    assert {"mode", "account"} & asked.keys()
    assert [option["required"] for option in asked["masked"].attributes.options] == [True]
    for field in asked.values():
        assert field.attributes.label
        assert bool(field.attributes.options) == (field.type in ("dropdown", "checkboxes"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_a_workflow_has_the_least_rights(path: Path) -> None:
    """A workflow can only read, has a time limit, and runs once at a time; uploads have more."""
    found = workflow(path)
    assert set(found.permissions.values()) <= {"read"}
    assert found.concurrency
    for job in found.jobs.values():
        uploads = any(step.uses.startswith("pypa/gh-action-pypi-publish@") for step in job.steps)
        rights = found.permissions if job.permissions is None else job.permissions
        assert rights == ({"id-token": "write"} if uploads else {"contents": "read"})
        assert job.environment == ("pypi" if uploads else None)
        assert job.timeout is not None or not job.steps


def test_every_action_is_pinned() -> None:
    """An action is pinned to a commit, with its version, and leaves no token on the disk."""
    for path in WORKFLOWS:
        for used in re.findall(r"uses: (.+)", read(path)):
            local = used.startswith("./.github/workflows/") and (ROOT / used).is_file()
            assert local or re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used
    checkouts = [step for step in steps() if step.uses.startswith("actions/checkout@")]
    assert checkouts
    assert all(step.with_.get("persist-credentials") is False for step in checkouts)


def test_the_workflows_run_what_contributors_run() -> None:
    """CI is `.ci/run`, which checks the workflows and the package; that package is published."""
    script = read(ROOT / ".ci/run")
    assert ".ci/workflows\n" in script
    assert ".ci/package " in script
    commands = [step.run for step in steps()]
    assert "bash .ci/run" in commands
    assert ".ci/package dist" in commands
    assert any(".ci/pages pages\n" in command for command in commands)


def test_the_hooks_are_the_checks_of_the_source() -> None:
    """A commit is checked by the commands of tests/test_source.py, in the same environment."""
    found = msgspec.yaml.decode(read(ROOT / ".pre-commit-config.yaml"))
    assert [repository["repo"] for repository in found["repos"]] == ["local"]
    hooks = found["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    checks = [" ".join(command).replace(" --check", "") for command in test_source.COMMANDS]
    assert [hook["entry"] for hook in hooks] == [f".venv/bin/python -m {check}" for check in checks]


def test_contributors_are_told_commands_that_run() -> None:
    """The README's test command starts with the set-up; the files of each command exist."""
    text = read(GITHUB / "CONTRIBUTING.md")
    commands = re.findall(r"^```sh\n(.*?)\n```$", text, flags=re.MULTILINE)
    assert commands[0] == "python3 -m venv .venv && .venv/bin/pip install -e '.[test]'"
    assert f"\n{commands[0]} && .venv/bin/python -m pytest -n auto\n" in read(ROOT / "README.md")
    assert {".venv/bin/python -m pytest -n auto", ".ci/run"} < set(commands)
    settings = tomllib.loads(read(ROOT / "pyproject.toml"))["tool"]["pytest"]["ini_options"]
    assert any(marker.startswith("slow") for marker in settings["markers"])
    for word in " ".join(commands).split():
        if word.startswith((".ci/", "tests/")):
            assert (ROOT / word).exists(), word


@pytest.mark.parametrize("path", sorted(GITHUB.rglob("*.md")), ids=name)
def test_each_path_that_is_named_exists(path: Path) -> None:
    """Each file or folder that a page names exists."""
    named = re.findall(r"`((?:paymux|tests|benchmarks|\.ci|\.github)/[\w./]*)`", read(path))
    for found in named:
        own = ROOT / found
        target = own if own.exists() else ROOT / found.replace("acme", "intram")
        assert target.exists() or target.with_suffix("").is_dir(), found  # a driver may be a folder


def test_each_folder_of_the_package_is_described() -> None:
    """Every folder of the package has a description for contributors."""
    text = read(GITHUB / "CONTRIBUTING.md")
    folders = {found.parent for found in ROOT.glob("paymux/*/__init__.py")}
    assert [folder for folder in folders if f"`{name(folder)}/`" not in text] == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_a_link_leads_somewhere(path: Path) -> None:
    """Each link to a file or a heading of the repository finds it."""
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
