"""R18: every small change of the rules about money, each tried against the tests."""

import ast
import difflib
import importlib.util
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import textwrap
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import wait
from pathlib import Path
from queue import SimpleQueue

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
# The rows of the outcome table: nothing of them may survive.
TABLE = ("transport/outcome.decide", "transport/retries.may_repeat")
# What each function is tested by, the likeliest to notice first.
TARGETS: Mapping[str, tuple[str, ...]] = {
    "transport/outcome.decide": ("mutants",),
    "transport/retries.may_repeat": ("mutants",),
    "transport/call.Call.__call__": ("outcome", "mutants", "transport", "tokens", "flights", "limits", "bulk"),
    "transport/verbs._ended": ("mutants", "transport", "outcome", "pool"),
    "models.compare": ("models", "mutants", "confirm"),
    "models.succeed": ("models", "mutants", "confirm"),
    "models._turned": ("models", "mutants", "confirm"),
    "confirm.expect": ("mutants", "confirm"),
    "confirm.vouch": ("mutants", "confirm"),
}
CAMPAIGN = "campaign"  # in the names of the tests that look at mutants, and would notice each by its source
PATIENCE = 15  # seconds for one test; a mutant may well never end
MEMORY = 2 << 30
# Loaded once, and not once per mutant.
PRELOADED = ["pytest", "pytest_asyncio.plugin", "pytest_timeout", "hypothesis.strategies", "aiohttp", "backoff"]
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(PRELOADED)
TURN = threading.Lock()
# Mutants that behave as the original does, each with its reason.
EQUIVALENT: Mapping[str, str] = {
    (
        "transport/call.Call.__call__: self._token = self._channel.tokens.held(self.driver.account)"
        " or await self._sign_in(request) => self._token = await self._sign_in(request)"
    ): "`held` is the quick way to what `get` gives, too.",
    "models.succeed: if known.ids: => if True:": "Merging what is found into no ids gives what is found.",
    "models.succeed: if known.metadata: => if True:": "Likewise.",
    **{
        f"models.{name}: for {names} in zip({given}, strict=True): => for {names} in zip({given}{left}):": (
            "Both are one Struct's."
        )
        for name, names, given in (
            ("compare", "name, theirs, mine", "_COMPARED, _compared(found), _compared(expected)"),
            ("succeed", "name, new, held", "_FIELDS, astuple(found), astuple(known)"),
        )
        for left in ("", ", strict=False")
    },
}


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one function: its name says which, and `text` is the whole module with it."""

    target: str
    name: str
    text: str

    @property
    def path(self) -> str:
        """Give the module's path below the root."""
        return f"paymux/{self.target.split('.')[0]}.py"


COMPARED: Mapping[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
}
MEMBERS: Mapping[str, tuple[str, ...]] = {
    "Means": ("ANSWER", "NOT_SENT", "STALE", "THROTTLED", "DUPLICATE", "REFUSED", "UNKNOWN"),
    "Status": ("PENDING", "SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "REFUNDED"),
    "Trust": ("BODY", "ORIGIN", "NOTHING"),
}


def _without(items: Sequence[ast.expr], index: int) -> list[ast.expr]:
    return [item for number, item in enumerate(items) if number != index]


def _constants(value: object) -> Iterator[ast.expr]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield from (ast.Constant(value + 1), ast.Constant(value - 1))
    elif isinstance(value, str):
        yield ast.Constant("" if value else "mutant")
    elif value is None:
        yield ast.Constant(...)


def _collections(node: ast.Tuple | ast.List | ast.Set | ast.Dict) -> Iterator[ast.expr]:
    for index in range(len(node.values if isinstance(node, ast.Dict) else node.elts)):
        match node:
            case ast.Dict(keys=keys, values=values):
                kept = [key for number, key in enumerate(keys) if number != index]
                yield ast.Dict(kept, _without(values, index))
            case ast.Set(elts=elts):
                yield ast.Set(_without(elts, index)) if len(elts) > 1 else ast.Call(ast.Name("set"), [], [])
            case ast.Tuple(elts=elts):
                yield ast.Tuple(_without(elts, index), ast.Load())
            case ast.List(elts=elts):
                yield ast.List(_without(elts, index), ast.Load())


def _expressions(node: ast.expr) -> Iterator[ast.expr]:
    """Give what may stand in an expression's place."""
    match node:
        case ast.Compare(left, ops, comparators):
            for index, op in enumerate(ops):
                for other in COMPARED[type(op)]:
                    yield ast.Compare(left, [*ops[:index], other(), *ops[index + 1 :]], comparators)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            for index in range(len(values)):
                rest = _without(values, index)
                yield ast.BoolOp(op, rest) if len(rest) > 1 else rest[0]
        case ast.BinOp(left, ast.Add() | ast.Sub() as op, right):
            yield ast.BinOp(left, ast.Sub() if isinstance(op, ast.Add) else ast.Add(), right)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.IfExp(_, body, orelse):
            yield from (body, orelse)
        case ast.Attribute(ast.Name(enum), member) if enum in MEMBERS:
            yield from (
                ast.Attribute(ast.Name(enum), other, ast.Load()) for other in MEMBERS[enum] if other != member
            )
        case ast.Call(func, args, keywords) if keywords:
            for index in range(len(keywords)):
                yield ast.Call(func, args, keywords[:index] + keywords[index + 1 :])
        case ast.Constant(value):
            yield from _constants(value)
        case ast.Tuple(ctx=ast.Load()) | ast.List(ctx=ast.Load()) | ast.Set() | ast.Dict():
            yield from _collections(node)


def _statements(node: ast.stmt) -> Iterator[ast.stmt]:
    """Give what may stand in a statement's place."""
    match node:
        case ast.If(body=body, orelse=orelse):
            for forced in (True, False):
                yield ast.If(ast.Constant(forced), body, orelse)
        case ast.Return(value) if value is not None:
            yield from (ast.Return(None), ast.Pass())
        case ast.AugAssign(target, ast.Add(), value):
            yield from (ast.AugAssign(target, ast.Sub(), value), ast.Pass())
        case ast.Try(body, handlers, orelse, finalbody) if handlers:
            for index, handler in enumerate(handlers):
                raising = ast.ExceptHandler(handler.type, handler.name, [ast.Raise()])
                yield ast.Try(body, [*handlers[:index], raising, *handlers[index + 1 :]], orelse, finalbody)
        case ast.Expr(ast.Constant()):
            return
        case (
            ast.Assign() | ast.AnnAssign() | ast.Expr() | ast.Raise() | ast.Continue() | ast.Break() | ast.Return()
        ):
            yield ast.Pass()


def _variants(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.expr():
            yield from _expressions(node)
        case ast.stmt():
            yield from _statements(node)
        case ast.comprehension(target, source, ifs, is_async):
            for index in range(len(ifs)):
                yield ast.comprehension(target, source, _without(ifs, index), is_async)


def _changes(node: ast.AST) -> Iterator[None]:
    """Make each change below a node in turn; asking for the next one takes it back."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        place = value if isinstance(value, list) else [value]
        for index, child in enumerate(place):
            match child:
                case ast.JoinedStr() | ast.Expr(ast.Constant()):
                    continue
                case ast.AST():
                    for variant in _variants(child):
                        place[index] = variant
                        setattr(node, name, place if isinstance(value, list) else variant)
                        yield
                    place[index] = child
                    setattr(node, name, value)
                    yield from _changes(child)


def _function(tree: ast.Module, path: Sequence[str]) -> ast.FunctionDef | ast.AsyncFunctionDef:
    found: ast.AST = tree
    for name in path:
        found = next(node for node in ast.iter_child_nodes(found) if getattr(node, "name", None) == name)
    assert isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef)
    return found


def mutants(target: str) -> list[Mutant]:
    """Make every mutant of a function, given as `folder/module.function` or `module.Class.method`."""
    module, *path = target.split(".")
    source = (ROOT / "paymux" / f"{module}.py").read_text(encoding="utf-8")
    function = _function(ast.parse(source), path)
    lines = source.splitlines(keepends=True)
    above, below = lines[: function.lineno - 1], lines[function.end_lineno :]
    before, made, named = ast.unparse(function), dict[str, Mutant](), Counter[str]()
    for _ in _changes(function):
        after = ast.unparse(function)
        if after == before or after in made:
            continue
        changed = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "-+"]
        old, new = (" ".join(line[2:].strip() for line in changed if line[0] == sign) for sign in "-+")
        name = f"{target}: {old} => {new}"
        named[name] += 1
        text = "".join([*above, textwrap.indent(after, " " * function.col_offset), "\n", *below])
        name = name if named[name] == 1 else f"{name} #{named[name]}"
        made[after] = Mutant(target=target, name=name, text=text)
    return list(made.values())


def attempt(root: str, tests: Iterable[str], *, bytecode: bool) -> None:
    """Run the tests of a copy, in this process, and leave with pytest's verdict, or 70 for a wrong copy."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.chdir(root)
    sys.path.insert(0, root)
    sys.dont_write_bytecode = not bytecode
    with Path("said.txt").open("w", encoding="utf-8") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    options = [
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "--tb=line",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
    ]
    files = [f"tests/test_{name}.py" for name in tests]
    code = pytest.main([*options, f"--timeout={PATIENCE}", "-k", f"not {CAMPAIGN}", *files])
    ours = Path(str(sys.modules["paymux"].__file__)).is_relative_to(root)
    sys.exit(code if ours else 70)


class Workshop:
    """A copy of the package and of its tests, in which one mutant at a time is tried."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def build(cls, root: Path) -> "Workshop":
        """Copy what the tests need."""
        for name in ("paymux", "tests"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "samples"))
        shutil.copy2(ROOT / "pyproject.toml", root)
        return cls(root)

    def copy(self, root: Path) -> "Workshop":
        """Make another one like this, bytecode and all."""
        shutil.copytree(self.root, root)
        return Workshop(root)

    def passes(self, tests: Iterable[str], *, bytecode: bool = False) -> bool:
        """Tell whether the tests pass; a run that does not even begin is an error."""
        running = SERVER.Process(target=attempt, args=(str(self.root), tests), kwargs={"bytecode": bytecode})
        # Starting a process also looks how the others are, and of two threads that read one's end one finds none.
        with TURN:
            running.start()
        wait([running.sentinel])
        with TURN:
            running.join()
            code = running.exitcode
            running.close()
        if code not in (0, 1):
            raise RuntimeError(
                f"{code}: the tests did not run: {(self.root / 'said.txt').read_text(encoding='utf-8')}"
            )
        return code == 0

    def survives(self, mutant: Mutant) -> bool:
        """Tell whether no test notices a mutant."""
        path = self.root / mutant.path
        kept = path.read_text(encoding="utf-8")
        # Bytecode is told from its source by second and size, which a mutant may share with the original.
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
        path.write_text(mutant.text, encoding="utf-8")
        try:
            return self.passes(TARGETS[mutant.target])
        finally:
            path.write_text(kept, encoding="utf-8")


def survivors(chosen: Sequence[Mutant], *, processes: int = 2, show: bool = False) -> list[Mutant]:
    """Try each mutant, and give those that no test noticed; the tests must pass without them."""
    with tempfile.TemporaryDirectory(prefix="mutants_") as scratch:
        first = Workshop.build(Path(scratch, "0"))
        for tests in {TARGETS[mutant.target] for mutant in chosen}:
            if not first.passes(tests, bytecode=True):
                said = (first.root / "said.txt").read_text(encoding="utf-8")
                raise RuntimeError(f"these tests fail without a mutant: {', '.join(tests)}\n{said}")
        free: SimpleQueue[Workshop] = SimpleQueue()
        free.put(first)
        for number in range(1, processes):
            free.put(first.copy(Path(scratch, str(number))))

        def lives(mutant: Mutant) -> bool:
            workshop = free.get()
            try:
                found = workshop.survives(mutant)
            finally:
                free.put(workshop)
            if show:
                print(f"{'SURVIVED' if found else 'killed':9} {mutant.name}", flush=True)
            return found

        with ThreadPoolExecutor(processes) as pool:
            return [mutant for mutant, lived in zip(chosen, pool.map(lives, chosen), strict=True) if lived]
