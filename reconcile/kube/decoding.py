"""From parsed JSON to attrs classes, strictly: a wrong type is an error with its path, never a guess.

Null reads as absent, an absent or null list as the field's default. Unknown fields are left alone; ``encoding.carry``
keeps them. Only this module loads cattrs, and ``codec.py`` loads this on first use. Pure.
"""

import datetime as dt
import enum
import functools
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias, Union, get_args, get_origin

import attrs
import cattrs
import msgspec
from cattrs.gen import make_dict_structure_fn, override

from reconcile.kube.encoding import ADDRESSES, wire_name
from reconcile.kube.objects import EMPTY, BadObject, ObjectMeta, structure_meta
from reconcile.kube.quantity import Quantity
from reconcile.kube.times import parse_time
from reconcile.kube.views import view

Hook: TypeAlias = Callable[[Any, Any], Any]
Step: TypeAlias = str | int


class Wrong(Exception):
    """A value of the wrong type or shape: ``what``, the ``culprit`` itself and the ``path`` that leads to it."""

    def __init__(self, what: str, culprit: object, path: tuple[Step, ...] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.culprit = culprit
        self.path = path

    @property
    def where(self) -> str:
        """The path as it is written: ``spec.ips[0]``."""
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path).lstrip(".")


@functools.cache
def converter() -> cattrs.Converter:
    """The one converter: every class is prepared once, when it is first met."""
    made = cattrs.Converter(detailed_validation=False)
    for kind in (str, bool, int, float):
        made.register_structure_hook(kind, _scalar(kind))
    made.register_structure_hook(dt.datetime, _parsed("RFC 3339 time", parse_time))
    made.register_structure_hook(Quantity, _quantity)
    for address in ADDRESSES:
        made.register_structure_hook(address, _parsed(address.__name__, address))
    made.register_structure_hook(ObjectMeta, _meta)
    made.register_structure_hook_func(_is_anything, lambda value, _: view(value))
    made.register_structure_hook_factory(_is_struct, _struct)
    made.register_structure_hook_factory(_is_enum, _enum)
    made.register_structure_hook_factory(_is_literal, _literal)
    made.register_structure_hook_factory(_is_plain_union, lambda kind: _union(kind, made))
    made.register_structure_hook_factory(_is_changeable, _refuse)
    made.register_structure_hook_factory(_is_list, lambda kind: _list(kind, made))
    made.register_structure_hook_factory(_is_mapping, lambda kind: _mapping(kind, made))
    made.register_structure_hook_factory(attrs.has, lambda kind: _fields(kind, made))
    return made


def _fields(kind: type, made: cattrs.Converter) -> Hook:
    """Reads an attrs class by the names on the wire."""
    if not attrs.inspect(kind).is_frozen:
        raise TypeError(f"{kind.__name__} must be frozen: its objects lie in a cache that others read too")
    attrs.resolve_types(kind)
    fields = tuple((wire_name(field), field) for field in attrs.fields(kind) if field.init)
    renames: dict[str, Any] = {field.name: override(rename=name) for name, field in fields}
    read: Hook = make_dict_structure_fn(kind, made, _cattrs_use_linecache=False, **renames)

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise _expected("object", value)
        given = {name: item for name, item in value.items() if item is not None} if None in value.values() else value
        try:
            return read(given, kind)
        except Exception as error:
            for name, field in fields:
                if name not in given and field.default is attrs.NOTHING:
                    raise Wrong("required, but missing", value, (name,)) from None
            parts = ((name, given[name], field.type) for name, field in fields if name in given)
            raise _located(error, value, parts, made) from _origin(error)

    return structure


def _list(kind: Any, made: cattrs.Converter) -> Hook:
    """Reads ``tuple[X, ...]``."""
    match get_args(kind):
        case (item, *others) if others in ([], [...]):
            pass
        case _:
            raise TypeError(f"{kind} has no form in JSON: write tuple[X, ...]")
    read = made.get_structure_hook(item)

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise _expected("array", value)
        try:
            return tuple([read(entry, item) for entry in value])
        except Exception as error:
            parts = ((index, entry, item) for index, entry in enumerate(value))
            raise _located(error, value, parts, made) from _origin(error)

    return structure


def _mapping(kind: Any, made: cattrs.Converter) -> Hook:
    """Reads ``Mapping[str, X]``; it cannot be changed afterwards."""
    _, item = get_args(kind) or (str, Any)
    if item is Any:
        return _any_mapping
    read = made.get_structure_hook(item)

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise _expected("object", value)
        try:
            found = {name: read(entry, item) for name, entry in value.items()}
        except Exception as error:
            parts = ((name, entry, item) for name, entry in value.items())
            raise _located(error, value, parts, made) from _origin(error)
        return types.MappingProxyType(found) if found else EMPTY

    return structure


def _any_mapping(value: Any, _: Any) -> Any:
    if type(value) is not dict:
        raise _expected("object", value)
    return view(value)


def _located(error: Exception, value: object, parts: Iterable[tuple[Step, Any, Any]], made: cattrs.Converter) -> Wrong:
    """The same error seen from one level further out: it is one of ``parts``, or ``value`` as a whole.

    The culprit of an inner error tells which part it was. Only scalars can be ambiguous: those are read once more.
    """
    suspects = list(parts)
    if isinstance(error, Wrong):
        suspects = [part for part in suspects if part[1] is error.culprit]
        if len(suspects) == 1:
            return Wrong(error.what, value, (suspects[0][0], *error.path))
    for step, item, kind in suspects:
        try:
            made.structure(item, kind)
        except Wrong as inner:
            return Wrong(inner.what, value, (step, *inner.path))
        except Exception as inner:
            return Wrong(str(inner) or type(inner).__name__, value, (step,))
    return Wrong(str(error) or type(error).__name__, value)


def _origin(error: Exception) -> BaseException | None:
    """What came first: without the levels in between, a traceback stays short."""
    return error.__cause__ if isinstance(error, Wrong) else error


def _scalar(kind: type) -> Hook:
    word = _WORDS[kind]

    def structure(value: Any, _: Any) -> Any:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        if kind is int and type(value) is float and value.is_integer():
            return int(value)
        raise _expected(word, value)

    return structure


def _parsed(what: str, parse: Callable[[str], Any]) -> Hook:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not str:
            raise _expected(what, value)
        try:
            return parse(value)
        except ValueError as error:
            raise Wrong(f"expected {what}: {error}", value) from error

    return structure


def _quantity(value: Any, _: Any) -> Quantity:
    """A quantity may also be a number on the wire."""
    if type(value) not in (str, int, float):
        raise _expected("quantity", value)
    try:
        return Quantity(Decimal(repr(value)) if type(value) is float else value)
    except ValueError as error:
        raise Wrong(str(error), value) from error


def _meta(value: Any, _: Any) -> ObjectMeta:
    """A head that was decoded already stays as it is."""
    if type(value) is ObjectMeta:
        return value
    try:
        return structure_meta(value, where="")
    except BadObject as error:
        raise Wrong(error.what, value, (error.where,) if error.where else ()) from error


def _struct(kind: type) -> Hook:
    def structure(value: Any, _: Any) -> Any:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise Wrong(str(error), value) from error

    return structure


def _enum(kind: type[enum.Enum]) -> Hook:
    return _one_of({member.value: member for member in kind})


def _literal(kind: Any) -> Hook:
    return _one_of({value: value for value in get_args(kind)})


def _one_of(choices: Mapping[Any, Any]) -> Hook:
    def structure(value: Any, _: Any) -> Any:
        if isinstance(value, (dict, list)) or value not in choices:
            raise Wrong(f"expected one of {', '.join(map(repr, choices))}, got {value!r}", value)
        return choices[value]

    return structure


def _union(kind: Any, made: cattrs.Converter) -> Hook:
    """Reads a union without classes: the first member that fits, in the order they are written."""
    members = [(member, made.get_structure_hook(member)) for member in get_args(kind) if member is not type(None)]
    optional = len(members) < len(get_args(kind))

    def structure(value: Any, _: Any) -> Any:
        if value is None and optional:
            return None
        wrongs = []
        for member, read in members:
            try:
                return read(value, member)
            except Wrong as error:
                wrongs.append(error.what)
        raise Wrong(", or ".join(wrongs), value)

    return structure


def _refuse(kind: Any) -> Hook:
    raise TypeError(
        f"{kind} can be changed by accident while it lies in a cache: write tuple[X, ...] or Mapping[str, X]"
    )


def _is_anything(kind: Any) -> bool:
    return kind in (Any, object)


def _is_changeable(kind: Any) -> bool:
    return (get_origin(kind) or kind) in (list, dict, set)


def _is_list(kind: Any) -> bool:
    return (get_origin(kind) or kind) in (tuple, Sequence)


def _is_mapping(kind: Any) -> bool:
    return (get_origin(kind) or kind) is Mapping


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind is not ObjectMeta


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def _is_literal(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is Literal


def _is_plain_union(kind: Any) -> bool:
    members = get_args(kind)
    return get_origin(kind) in (Union, types.UnionType) and not any(attrs.has(member) for member in members)


_WORDS: Final[Mapping[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    dict: "object",
    list: "array",
    type(None): "null",
}


def _expected(what: str, value: object) -> Wrong:
    return Wrong(f"expected {what}, got {_WORDS.get(type(value), type(value).__name__)}", value)
