"""Understands an expression: is it one, do its types fit, and what does it need.

The library ``cel-expr-python`` parses and checks, with the very texts of the real server; this module tells it which
variables, types and functions there are. It is loaded on use. Pure. Source of the declarations: apiserver,
``pkg/cel/environment/base.go`` and ``pkg/cel/library``.
"""

import functools
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs
import orjson

from reconcile.testing.apiserver import regexps
from reconcile.testing.apiserver.cel import syntax
from reconcile.testing.apiserver.cel.evaluate import Program, program
from reconcile.testing.apiserver.cel.shapes import Shape, unescaped
from reconcile.testing.apiserver.extras import needed


class BadExpression(ValueError):
    """A text that is no expression, or one that cannot work; the text is the real server's."""


_NUMBERS: Final = ("int", "uint", "double")
_COMPARABLE: Final = (*_NUMBERS, "bool", "duration", "timestamp", "string", "bytes")
_Q, _S = "kubernetes.Quantity", "kubernetes.Semver"
_MEMBERS: Final = (
    ("charAt", "string", ("int",), "string", ()),
    *(
        (name, "string", arguments, "int", ())
        for name in ("indexOf", "lastIndexOf")
        for arguments in (("string",), ("string", "int"))
    ),
    ("substring", "string", ("int",), "string", ()),
    ("substring", "string", ("int", "int"), "string", ()),
    ("split", "string", ("string",), "list(string)", ()),
    ("split", "string", ("string", "int"), "list(string)", ()),
    ("join", "list(string)", (), "string", ()),
    ("join", "list(string)", ("string",), "string", ()),
    ("replace", "string", ("string", "string"), "string", ()),
    ("replace", "string", ("string", "string", "int"), "string", ()),
    *((name, "string", (), "string", ()) for name in ("trim", "lowerAscii", "upperAscii")),
    ("format", "string", ("list(dyn)",), "string", ()),
    ("isSorted", "list({})", (), "bool", _COMPARABLE),
    ("sum", "list({})", (), "{}", (*_NUMBERS, "duration")),
    ("min", "list({})", (), "{}", _COMPARABLE),
    ("max", "list({})", (), "{}", _COMPARABLE),
    ("indexOf", "list(A)", ("A",), "int", ()),
    ("lastIndexOf", "list(A)", ("A",), "int", ()),
    ("find", "string", ("string",), "string", ()),
    ("findAll", "string", ("string",), "list(string)", ()),
    ("findAll", "string", ("string", "int"), "list(string)", ()),
    *((name, "kubernetes.URL", (), "string", ()) for name in ("getScheme", "getHost", "getHostname", "getPort")),
    ("getEscapedPath", "kubernetes.URL", (), "string", ()),
    ("getQuery", "kubernetes.URL", (), "map(string,list(string))", ()),
    ("family", "net.IP", (), "int", ()),
    *(
        (name, "net.IP", (), "bool", ())
        for name in ("isUnspecified", "isLoopback", "isLinkLocalMulticast", "isLinkLocalUnicast", "isGlobalUnicast")
    ),
    ("containsIP", "net.CIDR", ("string",), "bool", ()),
    ("containsIP", "net.CIDR", ("net.IP",), "bool", ()),
    ("containsCIDR", "net.CIDR", ("string",), "bool", ()),
    ("containsCIDR", "net.CIDR", ("net.CIDR",), "bool", ()),
    ("ip", "net.CIDR", (), "net.IP", ()),
    ("prefixLength", "net.CIDR", (), "int", ()),
    ("masked", "net.CIDR", (), "net.CIDR", ()),
    ("sign", _Q, (), "int", ()),
    ("asApproximateFloat", _Q, (), "double", ()),
    ("asInteger", _Q, (), "int", ()),
    ("isInteger", _Q, (), "bool", ()),
    *((name, _Q, (other,), _Q, ()) for name in ("add", "sub") for other in (_Q, "int")),
    *((name, own, (own,), "bool", ()) for own in (_Q, _S) for name in ("isGreaterThan", "isLessThan")),
    *(("compareTo", own, (own,), "int", ()) for own in (_Q, _S)),
    *((name, _S, (), "int", ()) for name in ("major", "minor", "patch")),
    ("validate", "kubernetes.NamedFormat", ("string",), "optional_type(list(string))", ()),
)
_PLAIN: Final = (
    ("url", ("string",), "kubernetes.URL"),
    ("isURL", ("string",), "bool"),
    ("ip", ("string",), "net.IP"),
    ("isIP", ("string",), "bool"),
    ("ip.isCanonical", ("string",), "bool"),
    ("string", ("net.IP",), "string"),
    ("string", ("net.CIDR",), "string"),
    ("cidr", ("string",), "net.CIDR"),
    ("isCIDR", ("string",), "bool"),
    ("quantity", ("string",), _Q),
    ("isQuantity", ("string",), "bool"),
    ("semver", ("string",), _S),
    ("semver", ("string", "bool"), _S),
    ("isSemver", ("string",), "bool"),
    ("isSemver", ("string", "bool"), "bool"),
    *(
        (f"format.{name}", (), "kubernetes.NamedFormat")
        for name in (
            *(f"dns{rule}{end}" for rule in ("1123Label", "1123Subdomain", "1035Label") for end in ("", "Prefix")),
            *("qualifiedName", "labelValue", "uri", "uuid", "byte", "date", "datetime"),
        )
    ),
    ("format.named", ("string",), "optional_type(kubernetes.NamedFormat)"),
    # numbers of different types can be compared
    *(
        (f"_{sign}_", pair, "bool")
        for sign in ("<", "<=", ">", ">=")
        for pair in (*((one, one) for one in _COMPARABLE), *itertools.permutations(_NUMBERS, 2))
    ),
    *(("string", (one,), "string") for one in _COMPARABLE),
    ("strings.quote", ("string",), "string"),
)
_REPLACED: Final = ("_<_", "_<=_", "_>_", "_>=_", "string")
"""Functions of the language that are declared here, all forms of them."""
_EXTENSIONS: Final = (
    ("two-var-comprehensions", "latest"),
    ("optional", "latest"),
    ("sets", "latest"),
    ("lists", "latest"),
)


def _type(text: str) -> dict[str, Any]:
    name, _, inside = text.partition("(")
    if not inside:
        return {"type_name": name, **({"is_type_param": True} if name == "A" else {})}
    depth, parts, start = 0, [], 0
    inside = inside[:-1]
    for index, sign in enumerate(inside):
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            parts.append(inside[start:index])
            start = index + 1
    return {"type_name": name, "params": [_type(part) for part in (*parts, inside[start:])]}


def _declarations() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}

    def declare(name: str, target: str, arguments: tuple[str, ...], result: str) -> None:
        overload: dict[str, Any] = {
            "id": re.sub(r"\W+", "_", f"k8s_{name}_{target}_{'_'.join(arguments)}_{len(found)}")
        }
        if target:
            overload["target"] = _type(target)
        if arguments:
            overload["args"] = [_type(one) for one in arguments]
        found.setdefault(name, []).append({**overload, "return": _type(result)})

    for name, target, arguments, result, types in _MEMBERS:
        for one in types or ("",):
            declare(name, target.format(one), arguments, result.format(one))
    for plain in _PLAIN:
        declare(plain[0], "", plain[1], plain[2])
    return found


@functools.cache
def _library() -> Any:
    with needed("cel-expr-python", "rules"):
        from cel_expr_python import cel
    return cel


@functools.cache
def _common() -> bytes:
    """What all environments have."""
    functions = [{"name": name, "overloads": overloads} for name, overloads in _declarations().items()]
    extensions = [{"name": name, "version": version} for name, version in _EXTENSIONS]
    config = {
        "name": "kubernetes",
        "stdlib": {"exclude_functions": [{"name": name} for name in _REPLACED]},
        "extensions": extensions,
        "functions": functions,
    }
    return orjson.dumps(config)


@functools.lru_cache(maxsize=64)
def _config(variables: bytes) -> Any:
    # JSON is YAML
    text = _common()[:-1] + b',"variables":' + variables + b"}" if variables else _common()
    return _library().NewEnvConfigFromYaml(text.decode())


@attrs.frozen(eq=False)
class Environment:
    """What an expression may speak of: variables by name, each with its type."""

    variables: Mapping[str, Shape]
    optional: frozenset[str] = frozenset()
    """Those that may have no value: they are optionals."""
    _env: list[Any] = attrs.field(factory=list, init=False)

    def compile(self, text: str) -> Program:
        """Understand an expression.

        Raises:
            BadExpression: it is none, or its types do not fit.
            MissingExtra: the library is not there.
        """
        if not self._env:
            self._env.append(self._made())
        try:
            found = self._env[0].compile(text)
        except RuntimeError as error:
            raise BadExpression(_worded(str(error), text)) from None
        checked = syntax.read(found.serialize())
        if problems := list(_literal_problems(checked, text)):
            raise BadExpression("\n".join(problems))
        return program(checked, unescaped)

    def _made(self) -> Any:
        cel = _library()
        messages = _Messages()
        known: dict[int, Any] = {}
        for name, shape in self.variables.items():
            # variables of one shape are of one type
            if id(shape) not in known:
                known[id(shape)] = messages.declared(shape, f"{name}Type")
        plain = {name: _typed(cel, known[id(shape)]) for name, shape in self.variables.items()}
        optional = [{"name": name, **_optional(known[id(self.variables[name])])} for name in sorted(self.optional)]
        for name in self.optional:
            del plain[name]
        return cel.NewEnv(
            descriptor_pool=messages.pool(),
            config=_config(orjson.dumps(optional) if optional else b""),
            variables=plain,
        )


def _typed(cel: Any, declared: dict[str, Any]) -> Any:
    """The same type as a value of the library; it has none for optionals."""
    name, params = declared["type_name"], [_typed(cel, one) for one in declared.get("params", ())]
    match name:
        case "list":
            return cel.Type.List(*params)
        case "map":
            return cel.Type.Map(*params)
        case "string" | "int" | "uint" | "double" | "bool" | "bytes" | "timestamp" | "duration" | "dyn":
            return getattr(cel.Type, name.upper())
    return cel.Type.AbstractType(name) if name.startswith(_ABSTRACT) else cel.Type(name)


_ABSTRACT: Final = ("kubernetes.", "net.")


def _optional(type_: dict[str, Any]) -> dict[str, Any]:
    return {"type_name": "optional_type", "params": [type_]}


_PROBLEM: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): ")
_STRUCT: Final = re.compile(r" not found in struct '[^']*'")
_SCALAR: Final = re.compile(r"expression of type '([^']*)' cannot be the operand of a select operation")
_UNDECLARED: Final = re.compile(r"undeclared reference to '(\w+)((?:\.\w+)*)\.\w+'")
_OVERLOAD: Final = re.compile(r"found no matching overload for '([^']+)' applied to '\(([^']*)\)'")


def _worded(said: str, text: str) -> str:
    """What the library says, in the words of the one that the real server uses: problem by problem, as they stand."""
    said = said.removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
    parts = re.split(r"\n(?=ERROR: <input>)", said)
    return "\n".join(_reworded(part, text) for part in sorted(parts, key=_place))


def _place(problem: str) -> tuple[int, int]:
    found = _PROBLEM.match(problem)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _reworded(problem: str, text: str) -> str:
    head, newline, rest = problem.partition("\n")
    head = _SCALAR.sub(r"type '\1' does not support field selection", _STRUCT.sub("", head))
    line, column = _place(problem)
    if (found := _UNDECLARED.search(head)) is not None:
        # the first part of a dotted name is what is not there
        start = column - len(found[1]) - len(found[2])
        position = len("\n".join(text.split("\n")[: line - 1])) + (line > 1) + start - 1
        return _at(position, f"undeclared reference to '{found[1]}' (in container '')", text)
    if (found := _OVERLOAD.search(head)) is not None:
        before = text.split("\n")[line - 1][: column - 1]
        types = found[2].replace("null_type", "null")
        if before.endswith(f".{found[1]}"):
            own, _, others = types.partition(", ")
            types = f"{own}.({others})"
        else:
            types = f"({types})"
        head = head[: found.start()] + f"found no matching overload for '{found[1]}' applied to '{types}'"
    return head + newline + rest


# -- literals ------------------------------------------------------------------------------------------------------


def _literal_problems(checked: syntax.Checked, text: str) -> Iterator[str]:
    """Lists and maps of several types, and texts that are no duration, time or pattern."""
    # what is formatted may be of any types
    exempt = {
        id(one)
        for node in _walk(checked.root)
        if isinstance(node, syntax.Call) and node.function == "format"
        for one in node.args
    }
    for node in _walk(checked.root):
        if isinstance(node, syntax.MakeList) and id(node) not in exempt:
            yield from _mixed(node.items, checked, text)
        elif isinstance(node, syntax.MakeMap) and not node.name:
            yield from _mixed(tuple(value for _, value, _ in node.entries), checked, text)
        elif isinstance(node, syntax.Call):
            yield from _bad_literal(node, checked, text)


_NODES: Final = (
    *(syntax.Const, syntax.Ident, syntax.Select, syntax.Call),
    *(syntax.MakeList, syntax.MakeMap, syntax.Fold),
)
_PARTS: Final = {form.__name__: tuple(field.name for field in attrs.fields(form)) for form in _NODES}


def _walk(node: syntax.Node) -> Iterator[syntax.Node]:
    yield node
    for name in _PARTS[type(node).__name__]:
        value = getattr(node, name)
        for one in value if isinstance(value, tuple) else (value,):
            for part in one if isinstance(one, tuple) else (one,):
                if isinstance(part, syntax.Node):
                    yield from _walk(part)


def _mixed(items: tuple[syntax.Node, ...], checked: syntax.Checked, text: str) -> Iterator[str]:
    found = [(one, checked.types.get(one.id, ("dyn",))) for one in items]
    first = next((type_ for _, type_ in found if type_ != ("dyn",)), None)
    for one, type_ in found:
        if first is not None and type_ not in (first, ("dyn",)):
            says = f"expected type '{_shown(first)}' but found '{_shown(type_)}'"
            yield _at(checked.positions.get(one.id, 0), says, text)
            return


def _shown(type_: Any) -> Any:
    name, *rest = type_
    if name in ("list", "map"):
        return f"{name}({', '.join(map(_shown, rest))})"
    return rest[0] if rest else {"timestamp": "google.protobuf.Timestamp"}.get(name, name)


def _bad_literal(node: syntax.Call, checked: syntax.Checked, text: str) -> Iterator[str]:
    from reconcile.testing.apiserver.cel.functions import FUNCTIONS
    from reconcile.testing.apiserver.cel.values import CelError

    if not node.args or not isinstance(node.args[-1], syntax.Const) or not isinstance(node.args[-1].value, str):
        return
    if node.function not in ("duration", "timestamp", "matches"):
        return
    literal = node.args[-1]
    try:
        (regexps.check if node.function == "matches" else FUNCTIONS[node.function])(literal.value)
    except (CelError, regexps.BadPattern):
        yield _at(checked.positions.get(literal.id, 0), f"invalid {node.function} argument", text)


def _at(position: int, says: str, text: str) -> str:
    before = text[:position]
    line, column = before.count("\n") + 1, position - (before.rfind("\n") + 1)
    shown = text.split("\n")[line - 1]
    return f"ERROR: <input>:{line}:{column + 1}: {says}\n | {shown}\n | {'.' * column}^"


# -- types ---------------------------------------------------------------------------------------------------------

_VALUE: Final = ".google.protobuf.Value"
_WELL_KNOWN: Final = {
    "dyn": _VALUE,
    "timestamp": ".google.protobuf.Timestamp",
    "duration": ".google.protobuf.Duration",
}


@attrs.define
class _Messages:
    """The objects of a schema as message types, which are what the library knows."""

    _files: list[Any] = attrs.field(factory=list)

    def declared(self, shape: Shape, name: str) -> dict[str, Any]:
        """The type of a shape, as a configuration gives it; objects are made known under a name."""
        match shape.form:
            case "object":
                return {"type_name": self._message(shape, name)}
            case "list":
                assert shape.of is not None
                return {"type_name": "list", "params": [self.declared(shape.of, name)]}
            case "map":
                assert shape.of is not None
                return {"type_name": "map", "params": [{"type_name": "string"}, self.declared(shape.of, name)]}
        return {"type_name": shape.form}

    def _message(self, shape: Shape, name: str) -> str:
        from google.protobuf import descriptor_pb2

        file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", syntax="proto2")
        file.dependency.extend(f"google/protobuf/{one}.proto" for one in ("struct", "timestamp", "duration"))
        _fill(file.message_type.add(name=name), shape, f".{name}")
        self._files.append(file)
        return name

    def pool(self) -> Any:
        """All of them."""
        from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, struct_pb2, timestamp_pb2

        pool = descriptor_pool.DescriptorPool()
        for module in (struct_pb2, timestamp_pb2, duration_pb2):
            file = descriptor_pb2.FileDescriptorProto()
            module.DESCRIPTOR.CopyToProto(file)
            pool.Add(file)
        for file in self._files:
            pool.Add(file)
        return pool


_SCALARS: Final = {"string": 9, "int": 3, "uint": 4, "double": 1, "bool": 8, "bytes": 12}
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _fill(message: Any, shape: Shape, path: str) -> None:
    message.options.deprecated_legacy_json_field_conflicts = True
    maps: set[str] = set()
    for number, (name, child) in enumerate(sorted(shape.fields.items()), 1):
        if child.form == "list":
            assert child.of is not None
            _field(message, name, number, child.of, path, _REPEATED)
        elif child.form == "map" and _camel(name) not in maps:
            maps.add(_camel(name))
            assert child.of is not None
            entry = message.nested_type.add(name=_camel(name) + "Entry")
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, type=_SCALARS["string"], label=_OPTIONAL)
            _field(entry, "value", 2, child.of, f"{path}.{entry.name}", _OPTIONAL, message, name, path)
            type_name = f"{path}.{entry.name}"
            message.field.add(
                name=name, number=number, type=_MESSAGE, type_name=type_name, label=_REPEATED, json_name=f"j{number}"
            )
        else:
            _field(message, name, number, child, path, _OPTIONAL)


def _field(
    message: Any,
    name: str,
    number: int,
    shape: Shape,
    path: str,
    label: int,
    nest_in: Any = None,
    nested_name: str = "",
    nested_path: str = "",
) -> None:
    """One field; the type of an object in it is nested in the message, or in ``nest_in``."""
    field = message.field.add(name=name, number=number, label=label, json_name=f"j{number}")
    if shape.form in _SCALARS:
        field.type = _SCALARS[shape.form]
        return
    field.type = _MESSAGE
    if shape.form == "object":
        outer, own = (nest_in, nested_path) if nest_in is not None else (message, path)
        # a field and a type may not have the same name
        nested = f"{nested_name or name}_"
        field.type_name = f"{own}.{nested}"
        _fill(outer.nested_type.add(name=nested), shape, f"{own}.{nested}")
    else:
        known = {"list": ".google.protobuf.ListValue", "map": ".google.protobuf.Struct"}
        field.type_name = known.get(shape.form) or _WELL_KNOWN[shape.form]
