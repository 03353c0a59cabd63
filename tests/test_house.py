"""What linters cannot say about this house: tags, order, names, sizes, and nothing that nobody uses."""

import ast
import functools
import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from itertools import permutations
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from counterseal import ROOMS
from ledger import domains
from ledger.errors import Code

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("ledger", "tlog", "node", "lab", "observer", "inspector", "devnet")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500

# A wall that moves one way: what is longer than a screen or a file should be, with the most lines it may have. A table,
# a state machine or a format may stand here, a mixture of things may not; what shrinks below the wall is taken out.
LONG_FUNCTIONS: dict[str, int] = {}
LONG_FILES = {
    "ledger/charter.py": 530,  # one format in two versions: what founders sign, and what may be asked of it
    "ledger/tiles.py": 520,  # one format: where tiles stand, what is in them, how they are believed
    "node/consensus/core.py": 782,  # one state machine: every transition of the protocol
    "node/consensus/messages.py": 507,  # its vocabulary: events, actions, votes, certificates
    "node/store.py": 560,  # one file's invariants: what is written together, and how it is read
    "node/founding.py": 510,  # one state machine: every transition of the ceremony
}

BANNED_FILE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "models", "misc", "base"}
BANNED_NAMES = {"data", "info", "obj", "handle_stuff"}  # and `process` as a verb; a process of the system is a noun

# Modules that people or the front door call, so that no module of ours needs to import them; scripts may run others.
ENTRANCES = {"counterseal", "ledger.verify", *(room.module for room in ROOMS)}


@cache
@functools.cache
def sources() -> dict[Path, ast.Module]:
    """Every hand-written module of the product, parsed."""
    found = [ROOT / "counterseal.py"]
    for package in PACKAGES:
        found += sorted(path for path in (ROOT / package).rglob("*.py") if "v1" not in path.relative_to(ROOT).parts)
    return {path.relative_to(ROOT): ast.parse(path.read_text(encoding="utf-8")) for path in found}


def module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def docstrings(tree: ast.Module) -> set[int]:
    """Identities of the nodes that are docstrings, or texts that stand alone after a definition."""
    return {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


# --- domain-separation tags ------------------------------------------------------------------------------------------


def tags() -> dict[str, bytes]:
    """Every tag of the domains module that can begin a message, with its name."""
    values = {name: value for name, value in vars(domains).items() if name.isupper()}
    encoded = {name: value.encode() if isinstance(value, str) else value for name, value in values.items()}
    # One-byte prefixes separate within one structure (leaf and node; key types), not across messages.
    return {name: value for name, value in encoded.items() if isinstance(value, bytes) and len(value) > 1}


def test_no_tag_is_a_prefix_of_another() -> None:
    assert len(tags()) > 15
    for (name, tag), (other_name, other) in permutations(tags().items(), 2):
        assert not other.startswith(tag), f"{other_name} begins with {name}"


def test_tags_stand_in_one_module_only() -> None:
    for path, tree in sources().items():
        if path == Path("ledger/domains.py"):
            continue
        passed_over = docstrings(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in passed_over:
                value = node.value.encode() if isinstance(node.value, str) else node.value
                assert b"counterseal/" not in value, f"{path}:{node.lineno}: a tag outside domains"


# --- nothing depends on the order of a set ---------------------------------------------------------------------------


def is_set_annotation(annotation: ast.expr | None, *, inside: bool) -> bool:
    """Is it annotated as a set; or, with `inside`, as a mapping to sets?"""
    if annotation is None:
        return False
    text = ast.unparse(annotation).strip("'\"")
    kinds = r"(?:frozenset|set|Set|AbstractSet|MutableSet)\b"
    return bool(re.search(rf"\[.*\b{kinds}", text) if inside else re.match(kinds, text))


class SetUse(ast.NodeVisitor):
    """Finds where a module walks over a set whose order would then matter."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[int] = []
        self.sets: set[str] = set()
        self.mappings: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.AnnAssign | ast.arg):
                name = node.arg if isinstance(node, ast.arg) else ast.unparse(node.target).rpartition(".")[2]
                if is_set_annotation(node.annotation, inside=False):
                    self.sets.add(name)
                elif is_set_annotation(node.annotation, inside=True):
                    self.mappings.add(name)
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and self.is_set(node.value):
                self.sets |= {ast.unparse(target).rpartition(".")[2] for target in node.targets}
        self.visit(tree)

    def is_set(self, node: ast.expr) -> bool:  # noqa: PLR0911 - a table of the shapes that are sets
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Call(func=ast.Name(id="set" | "frozenset")):
                return True
            case ast.Call(func=ast.Attribute(attr="union" | "intersection" | "difference" | "symmetric_difference")):
                return True
            case ast.Call(func=ast.Attribute(value=holder, attr="get" | "setdefault" | "pop" | "copy")):
                return self.name_of(holder) in self.mappings or self.is_set(holder)
            case ast.Call(func=ast.Attribute(attr="keys")):
                return False
            case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor(), right=right):
                keys = any(isinstance(n, ast.Call) and ast.unparse(n.func).endswith(".keys") for n in (left, right))
                return keys or self.is_set(left) or self.is_set(right)
            case ast.Subscript(value=holder):
                return self.name_of(holder) in self.mappings
            case ast.Name() | ast.Attribute():
                return self.name_of(node) in self.sets
            case _:
                return False

    @staticmethod
    def name_of(node: ast.expr) -> str:
        return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""

    def check(self, node: ast.expr) -> None:
        if self.is_set(node):
            self.found.append(node.lineno)

    def visit_For(self, node: ast.For) -> None:
        self.check(node.iter)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self.check(node.iter)
        self.generic_visit(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        """A set made from a set stays a set: order has not entered yet."""
        self.visit(node.elt)

    def visit_Starred(self, node: ast.Starred) -> None:
        self.check(node.value)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        orders = {"list", "tuple", "iter", "next", "enumerate", "zip", "map", "filter", "dict", "join", "extend"}
        if self.name_of(node.func) in orders:
            for argument in node.args:
                self.check(argument)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "pop" and self.is_set(node.func.value):
            self.found.append(node.lineno)
        self.generic_visit(node)


def test_core_and_rules_never_depend_on_the_order_of_a_set() -> None:
    for path, tree in sources().items():
        if path.parts[:2] in {("node", "consensus"), ("ledger", "rules")}:
            assert SetUse(tree).found == [], f"{path}: iterates over a set; use a dict, a list or sorted(…)"


@pytest.mark.parametrize(
    "text",
    [
        "for x in {1, 2}: pass",
        "s = set()\nfor x in s: pass",
        "def f(s: frozenset[int]) -> None:\n    return [x for x in s]",
        "class A:\n    _s: set[int]\n    def f(self) -> None:\n        list(self._s)",
        "class A:\n    _s: dict[int, set[int]]\n    def f(self) -> None:\n        for x in self._s[1]: pass",
        "s: set[int] = set()\n''.join(s)",
        "for x in a.keys() | b.keys(): pass",
        "s = {1}\ns.pop()",
        "s = {1}\nprint(*s)",
    ],
)
def test_a_walk_over_a_set_is_found(text: str) -> None:
    assert SetUse(ast.parse(text)).found


@pytest.mark.parametrize(
    "text",
    [
        "s = {1}\nfor x in sorted(s): pass",
        "s = {1}\n1 in s",
        "d: dict[int, set[int]] = {}\nfor k in d: pass",
        "for x in {1: 2}: pass",
        "s = {1}\nt = {x for x in s}\nlen(s)",
    ],
)
def test_other_uses_of_a_set_are_let_be(text: str) -> None:
    assert not SetUse(ast.parse(text)).found


# --- files, names, sizes ---------------------------------------------------------------------------------------------


def imports(tree: ast.Module) -> Iterator[str]:
    """Every module a file imports or may import from, absolute, at any depth of the code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_file_has_an_importer() -> None:
    imported = {name for path, tree in sources().items() for name in imports(tree) if name != module_name(path)}
    for script in (ROOT / "scripts").iterdir():
        imported |= set(re.findall(r"-m ([\w.]+)", script.read_text(encoding="utf-8"))) if script.is_file() else set()
    lonely = [str(path) for path in sources() if path.name != "__init__.py" and module_name(path) not in imported]
    assert [name for name in lonely if module_name(Path(name)) not in ENTRANCES] == []


def test_file_names_say_what_is_inside() -> None:
    assert [str(path) for path in sources() if path.stem in BANNED_FILE_NAMES] == []


def test_names_say_what_they_name() -> None:
    for path, tree in sources().items():
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    assert name != "process", f"{path}:{node.lineno}: what does it do?"
                case ast.arg(arg=name):
                    pass
                case ast.Name(id=name, ctx=ast.Store()):
                    pass
                case _:
                    continue
            assert name not in BANNED_NAMES, f"{path}:{getattr(node, 'lineno', 0)}: `{name}` says nothing"


def test_initializers_hold_a_docstring_and_nothing_else() -> None:
    for path, tree in sources().items():
        if path.name == "__init__.py":
            assert ast.get_docstring(tree), f"{path}: no docstring"
            is_library = path == Path("observer/__init__.py")  # `from observer import …` is for programs of others
            assert len(tree.body) == 1 or is_library, f"{path}: more than a docstring"


def test_no_function_grows_past_a_screen() -> None:
    long: dict[str, int] = {}
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    long[f"{path}:{node.name}"] = lines
    assert {name: lines for name, lines in long.items() if lines > LONG_FUNCTIONS.get(name, FUNCTION_LINES_MAX)} == {}
    assert [name for name in LONG_FUNCTIONS if name not in long] == [], "take these out"


def test_no_file_holds_more_than_one_concept_can_fill() -> None:
    lengths = {str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert {name: lines for name, lines in lengths.items() if lines > LONG_FILES.get(name, FILE_LINES_MAX)} == {}
    assert [name for name in LONG_FILES if lengths.get(name, 0) <= FILE_LINES_MAX] == [], "take these out"


# --- errors ----------------------------------------------------------------------------------------------------------


def test_every_code_is_used_and_documented() -> None:
    used = Counter(
        node.attr
        for path, tree in sources().items()
        if path.name != "counterseal.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Code"
    )
    documented = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert [code.value for code in Code if not used[code.value]] == []
    assert [code.value for code in Code if f"| `{code.value}` |" not in documented] == []


# --- what is installed -----------------------------------------------------------------------------------------------


def requirement_names(*groups: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for group in groups for line in group}


OBSERVER_EXTRA = ("observer/export", "observer/mirror", "observer/monitor", "observer/web", "observer/witness")
"""What of the observer needs more than its plain installation; everything else checks and shows without."""


def test_every_room_imports_only_what_its_installation_brings() -> None:
    extras = PROJECT["optional-dependencies"]
    base = requirement_names(PROJECT["dependencies"])
    observer = base | requirement_names(extras["observer"])
    both = observer & requirement_names(extras["node"])
    node = base | requirement_names(extras["node"])
    distributions = metadata.packages_distributions()
    for path, tree in sources().items():
        allowed = {"node": node, "devnet": node, "tlog": base | both}.get(path.parts[0], base)
        if path.as_posix().startswith(OBSERVER_EXTRA):
            allowed = observer
        if path == Path("ledger/threshold/pyecc.py"):
            allowed = base | requirement_names(extras["reference"])
        for name in imports(tree):
            top = name.partition(".")[0]
            bringers = {canonicalize_name(bringer) for bringer in distributions.get(top, [])} - {"counterseal"}
            if bringers and top not in {*PACKAGES, "counterseal"}:
                assert bringers & allowed, f"{path} imports {name}, which its installation does not bring"


def read_lock(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE))


def test_the_lock_satisfies_what_the_package_asks_for() -> None:
    locked = read_lock("run.txt")
    for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["node"]]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), line


def test_both_locks_agree() -> None:
    run, dev = read_lock("run.txt"), read_lock("dev.txt")
    assert len(run) > 20
    assert {name: version for name, version in run.items() if dev.get(name) != version} == {}


# --- the repository stands alone -------------------------------------------------------------------------------------

# Spelled with character classes, so that this file does not name them either.
FOREIGN = re.compile(
    r"(?<![\w.])/wor[k]/|\.\./share[d]|/opt/wheel[s]|/root/\.|py[p]i\.org|python[h]osted|registry\.np[m]js"
    r"|proxy\.gol[a]ng|design documen[t]"
)
UNFINISHED = re.compile(r"\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b|NotImplementedErro[r]")


def test_nothing_in_the_repository_is_unfinished_or_names_a_place_outside_it() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    assert len(names) > 50
    for name in names:
        text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
        for pattern in (FOREIGN,) if "/v1/" in name else (FOREIGN, UNFINISHED):
            hit = pattern.search(text)
            assert hit is None, f"{name}: {hit.group()}"
