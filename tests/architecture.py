"""What a source tree imports and names, found by reading it.

A rule is a function from a ``Tree``, and what is allowed, to its violations; ``test_architecture.py`` says what is
allowed here. A place is a file, or a folder with its slash. Names are followed through aliases and re-exports: after
``from a import now as later``, where ``a`` took ``now`` from ``b``, ``later`` is ``b.now``. Nothing is executed, so a
name made up at run time is not seen; a local name that hides an import counts as the import. Only ``Tree.read`` touches
files.
"""

import ast
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Literal, Self, TypeAlias

from attrs import frozen

When: TypeAlias = Literal["load", "call", "typing"]
"""An import is done when the module is loaded, when a function is called, or by type checkers only."""

CLOCKS = frozenset(
    {f"time.{name}{unit}" for name in ("time", "monotonic", "perf_counter", "clock_gettime") for unit in ("", "_ns")}
    | {f"time.{name}{unit}" for name in ("process_time", "thread_time") for unit in ("", "_ns")}
    | {"time.gmtime", "time.localtime", "time.ctime", "datetime.date.today", "anyio.current_time", "loop.time"}
    | {f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")}
)
WAITING = frozenset({"asyncio", "anyio", "time"})
SEEDLESS = frozenset({"secrets", "os.urandom", "os.getrandom", "uuid.uuid1", "uuid.uuid4"})


@frozen
class Violation:
    """One place that breaks a rule. ``line`` counts from 1."""

    file: str
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text} ({self.rule})"


@frozen
class Import:
    """One imported name, dotted: ``a.b.c`` for ``from a.b import c``, be it a module or not."""

    name: str
    line: int
    when: When
    binds: tuple[str, str] | None
    """A name of the importing module and what it stands for: after ``import a.b``, ``a`` stands for ``a``."""
    is_relative: bool = False


@frozen
class Module:
    """One parsed file. ``file`` is relative to the root of the tree."""

    file: str
    name: str
    syntax: ast.Module
    imports: tuple[Import, ...]
    locals: Mapping[str, str]
    """What the names bound by imports stand for."""

    @classmethod
    def of(cls, file: str, source: str) -> Self:
        syntax = ast.parse(source, file)
        name = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        imports = tuple(_imports(syntax, "load"))
        return cls(file, name, syntax, imports, dict(found.binds for found in imports if found.binds))

    def breaks(self, rule: str, line: int, text: str) -> Violation:
        return Violation(self.file, line, rule, text)


@frozen
class Tree:
    """The modules of some packages, by dotted name."""

    modules: Mapping[str, Module]

    @classmethod
    def of(cls, sources: Mapping[str, str]) -> Self:
        """``sources``: text by file."""
        modules = [Module.of(file, source) for file, source in sources.items()]
        return cls({module.name: module for module in modules})

    @classmethod
    def read(cls, root: Path, *packages: str) -> Self:
        files = sorted(file for package in packages for file in (root / package).rglob("*.py"))
        return cls.of({file.relative_to(root).as_posix(): file.read_text("utf-8") for file in files})

    def under(self, *places: str) -> list[Module]:
        return [module for module in self.modules.values() if module.file.startswith(places)]

    def imports(self) -> Iterator[tuple[Module, Import]]:
        return ((module, found) for module in self.modules.values() for found in module.imports)

    def module_of(self, name: str) -> str | None:
        """The module that ``name`` is, or is in. None if it is not of this tree."""
        return _longest(name, self.modules)

    def loads(self) -> dict[str, set[str]]:
        """For each module those that loading it asks for by name."""
        loads = {name: set[str]() for name in self.modules}
        for module, found in self.imports():
            if found.when == "load" and (target := self.module_of(found.name)):
                loads[module.name].add(target)
        return loads

    def origin(self, name: str) -> str:
        """Where ``name`` was defined, through re-exports."""
        seen = set[str]()
        while name not in seen and (module := self.module_of(name)) is not None and module != name:
            seen.add(name)
            first, dot, rest = name.removeprefix(f"{module}.").partition(".")
            name = self.modules[module].locals.get(first, f"{module}.{first}") + dot + rest
        return name

    def names(self, module: Module) -> Iterator[tuple[str, int]]:
        """Every name imported, or reached by a dot from an import, with its line. A loop's clock is ``loop.time``."""
        for found in module.imports:
            yield self.origin(found.name), found.line
        for node in ast.walk(module.syntax):
            if isinstance(node, ast.Attribute):
                if (name := _dotted(node, module.locals)) is not None:
                    yield self.origin(name), node.lineno
                elif node.attr == "time" and ast.unparse(node.value).removesuffix("()").endswith("loop"):
                    yield "loop.time", node.lineno


def relative_imports(tree: Tree) -> list[Violation]:
    """Every import says the whole path."""
    return [
        module.breaks("whole paths", found.line, f"imports {found.name} by a relative path")
        for module, found in tree.imports()
        if found.is_relative
    ]


def layers(tree: Tree, allowed: Mapping[str, AbstractSet[str]]) -> list[Violation]:
    """Each layer imports only what it may, type checkers' imports included.

    ``allowed``: for a layer the layers it may import. A layer is a package; the longest that fits is meant.
    """
    return [
        module.breaks("layers", found.line, f"{layer} may not import {found.name}")
        for module, found in tree.imports()
        if (layer := _longest(module.name, allowed)) and (target := _longest(found.name, allowed))
        if target not in allowed[layer]
    ]


def keepers(tree: Tree, only: Mapping[str, AbstractSet[str]]) -> list[Violation]:
    """A library is imported by its keepers only. ``only``: for a library, the files that may."""
    return [
        module.breaks(
            "keepers", found.line, f"imports {found.name}, which is kept by {', '.join(sorted(only[library]))}"
        )
        for module, found in tree.imports()
        if (library := _longest(found.name, only)) and module.file not in only[library]
    ]


def loaded_at_once(tree: Tree, package: str, libraries: AbstractSet[str]) -> list[Violation]:
    """``import package`` loads none of ``libraries``, whatever it loads on the way."""
    # loading a.b loads a first
    loads = {name: found | tree.modules.keys() & set(_parents(name)) for name, found in tree.loads().items()}
    loaded = _reach(loads, {package})
    return [
        module.breaks("loaded on use", found.line, f"import {package} loads {found.name}")
        for module, found in tree.imports()
        if module.name in loaded and found.when == "load" and _longest(found.name, libraries)
    ]


def cycles(tree: Tree) -> list[Violation]:
    """No module needs itself to be loaded. Modules that need each other are named once, at the first of them."""
    loads = tree.loads()
    reach = {name: _reach(loads, loads[name]) for name in loads}
    rings = {frozenset(other for other in reach[name] if name in reach[other]) for name in loads}
    found = []
    for ring in sorted(sorted(ring) for ring in rings if ring):
        first = tree.modules[ring[0]]
        line = next(into.line for into in first.imports if into.when == "load" and tree.module_of(into.name) in ring)
        found.append(first.breaks("no cycles", line, f"{' <-> '.join(ring)} need each other"))
    return found


def clocks(tree: Tree, readers: Mapping[str, AbstractSet[str]]) -> list[Violation]:
    """Clocks are read by ``readers`` only: for a place the clocks it may read."""
    return [
        module.breaks("clocks", line, f"names {name}")
        for module in tree.modules.values()
        for name, line in tree.names(module)
        if name in CLOCKS and not any(module.file.startswith(place) and name in may for place, may in readers.items())
    ]


def waits(tree: Tree, pure: AbstractSet[str]) -> list[Violation]:
    """A pure place neither awaits nor defines what can be awaited."""
    awaiting = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)
    found = []
    for module in tree.under(*pure):
        for node in ast.walk(module.syntax):
            if isinstance(node, awaiting):
                found.append(module.breaks("pure: no await", node.lineno, "awaits"))
            elif isinstance(node, ast.comprehension) and node.is_async:
                found.append(module.breaks("pure: no await", node.target.lineno, "awaits"))
    return found


def tells_time(tree: Tree, pure: AbstractSet[str], own_clocks: AbstractSet[str]) -> list[Violation]:
    """A pure place names no clock, neither Python's nor ``own_clocks``, and nothing of a library for waiting."""
    return [
        module.breaks("pure: no clock", line, f"names {name}")
        for module in tree.under(*pure)
        for name, line in tree.names(module)
        if name in CLOCKS | own_clocks or _longest(name, WAITING)
    ]


def draws(tree: Tree, pure: AbstractSet[str]) -> list[Violation]:
    """A pure place draws only from a ``random.Random`` it was given, and makes none without a seed."""
    found = []
    for module in tree.under(*pure):
        for name, line in tree.names(module):
            if _longest(name, SEEDLESS) or (name.startswith("random.") and name != "random.Random"):
                found.append(module.breaks("pure: no randomness", line, f"names {name}"))
        for call in (node for node in ast.walk(module.syntax) if isinstance(node, ast.Call)):
            seeded = call.args or call.keywords
            if not seeded and tree.origin(_dotted(call.func, module.locals) or "") == "random.Random":
                found.append(module.breaks("pure: no randomness", call.lineno, "makes a Random without a seed"))
    return found


def _parents(name: str) -> list[str]:
    """``a.b.c`` -> ``a.b.c``, ``a.b``, ``a``."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _longest(name: str, packages: Mapping[str, object] | AbstractSet[str]) -> str | None:
    return next((parent for parent in _parents(name) if parent in packages), None)


def _reach(edges: Mapping[str, AbstractSet[str]], start: AbstractSet[str]) -> set[str]:
    reached, ahead = set[str](), set(start)
    while ahead:
        reached |= ahead
        ahead = {target for name in ahead for target in edges[name]} - reached
    return reached


def _dotted(node: ast.expr, local_names: Mapping[str, str]) -> str | None:
    """``clock.now`` with what ``clock`` stands for put in its place; None if it stands for no import."""
    match node:
        case ast.Name(id=name):
            return local_names.get(name)
        case ast.Attribute(value=value, attr=attr) if (inner := _dotted(value, local_names)) is not None:
            return f"{inner}.{attr}"
    return None


def _imports(node: ast.AST, when: When) -> Iterator[Import]:
    inside: When = when
    match node:
        case ast.Import(names=aliases, lineno=line):
            for alias in aliases:
                first = alias.name.partition(".")[0]
                yield Import(alias.name, line, when, (alias.asname, alias.name) if alias.asname else (first, first))
        case ast.ImportFrom(module=source, names=aliases, level=level, lineno=line):
            for alias in aliases:
                name = f"{source}.{alias.name}" if source else alias.name
                yield Import(name, line, when, (alias.asname or alias.name, name), is_relative=level > 0)
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
            lineno=line,
        ):
            yield Import(name, line, when, binds=None)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() if when == "load":
            inside = "call"
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            inside = "typing"
    for child in ast.iter_child_nodes(node):
        # what stands in the else of `if TYPE_CHECKING` runs
        is_else = isinstance(node, ast.If) and child in node.orelse
        yield from _imports(child, when if is_else else inside)
