"""What is wrong with a document by the rules of its schema.

Says what the real server says of a custom resource, word for word. A part that an update did not change is not judged
again. Pure. Source of rules and texts: kube-openapi, ``validation``, and apiextensions-apiserver, ``schema/listtype``.
"""

from collections.abc import Iterator
from typing import Any

import attrs
import orjson

from reconcile.testing.apiserver.failure import (
    Document,
    Fault,
    duplicate,
    invalid_value,
    required,
    too_many,
)
from reconcile.testing.apiserver.scalars import Verdict, broken, enum_faults, number_verdict, text_verdict
from reconcile.testing.apiserver.schema import MISSING, Items, Schema
from reconcile.testing.apiserver.walks import equal


def schema_faults(
    schema: Schema, new: Document, old: Document | None, *, only: tuple[str, ...] | None = None
) -> Iterator[Fault]:
    """Faults of a custom resource, of some parts of it with ``only``; ``old`` is the object before an update."""
    for name, part in schema.fields.items():
        if name in ("apiVersion", "kind", "metadata") or name not in new or (only is not None and name not in only):
            continue
        before = old.get(name, MISSING) if old is not None else MISSING
        if only is None:
            yield from _judge(part, new[name], before, name).faults
        else:
            # a part that is judged by itself does not know its own name
            for fault in _judge(part, new[name], before, "").faults:
                yield attrs.evolve(fault, field=_below(name, fault.field))
    if only is None:
        yield from (required(name) for name in schema.rules.get("required", ()) if name not in new)
    if old is None or not list(_twins(schema, old, "")):
        yield from _twins(schema, new, "")


def value_faults(schema: Schema, value: Any, path: str) -> Iterator[Fault]:
    """Faults of a value that is judged by itself; ``path`` is where it stands."""
    for fault in _judge(schema, value, MISSING, "").faults:
        yield attrs.evolve(fault, field=_below(path, fault.field))
    yield from _twins(schema, value, path)


def _below(name: str, path: str) -> str:
    return path if path == "<nil>" else f"{name}{'' if path.startswith('[') or not path else '.'}{path}"


def _judge(schema: Schema, value: Any, old: Any, path: str) -> Verdict:
    if old is not MISSING and equal(value, old):
        return Verdict([], 0)
    form = _form(value)
    faults: list[Fault] = []
    matches = 0
    if schema.type or schema.int_or_string:
        wrong = _wrong_type(schema, value, form)
        if wrong:
            faults.append(broken(path, form, f'must be of type {wrong}: "{form}"', type_error=True))
        matches += 1 if wrong else 2
    if value is None:
        return Verdict(faults + list(enum_faults(schema, value, path)), matches)
    for part in (
        _combined(schema, value, old, path),
        text_verdict(schema, value, path) if form == "string" else None,
        number_verdict(schema, value, path) if form in ("integer", "number") else None,
        _list(schema, value, old, path) if form == "array" else None,
        Verdict(list(enum_faults(schema, value, path)), 0),
        _map(schema, value, old, path) if form == "object" else None,
    ):
        if part is not None:
            faults += part.faults
            matches += part.matches + 1
    return Verdict(faults, matches + 1)


def _form(value: Any) -> str:
    if value is None:
        return "null"
    return _FORMS[type(value)]


_FORMS = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}


def _wrong_type(schema: Schema, value: Any, form: str) -> str:
    """The type that was wanted; "" if it is the value's."""
    wanted = ("integer", "string") if schema.int_or_string else (schema.type,)
    if value is None:
        return "" if schema.nullable else ",".join(wanted)
    fits = (
        form in wanted
        or (form == "number" and "integer" in wanted and float(value).is_integer())
        or (form == "integer" and "number" in wanted)
    )
    return "" if fits else ",".join(wanted)


def _list(schema: Schema, value: list[Any], old: Any, path: str) -> Verdict:
    faults: list[Fault] = []
    matches = 1
    assert schema.items is not None
    before = _by_key(schema, old)
    for index, item in enumerate(value):
        key = _key(schema, item)
        verdict = _judge(schema.items, item, before.get(key, MISSING) if key else MISSING, f"{path}[{index}]")
        faults += verdict.faults
        matches += verdict.matches
    rules = schema.rules
    if (least := rules.get("minItems")) is not None and len(value) < least:
        faults.append(broken(path, len(value), f"should have at least {least} items"))
    if (most := rules.get("maxItems")) is not None and len(value) > most:
        faults.append(too_many(path, len(value), most))
    return Verdict(faults, matches)


def _by_key(schema: Schema, old: Any) -> dict[str, Any]:
    if schema.relation is not Items.MAP or not isinstance(old, list):
        return {}
    return {_key(schema, item): item for item in old}


def _key(schema: Schema, item: Any) -> str:
    if schema.relation is not Items.MAP or not isinstance(item, dict):
        return ""
    return orjson.dumps([item.get(name) for name in schema.keys]).decode()


def _map(schema: Schema, value: Document, old: Any, path: str) -> Verdict:
    faults: list[Fault] = []
    matches = 0
    rules = schema.rules
    before = old if isinstance(old, dict) else {}
    if (least := rules.get("minProperties")) is not None and len(value) < least:
        faults.append(broken(path, len(value), f"should have at least {least} properties"))
    if (most := rules.get("maxProperties")) is not None and len(value) > most:
        faults.append(too_many(path, len(value), most))
    for name, one in value.items():
        child = schema.fields.get(name) or (schema.rest if schema.lists_rest else None)
        if child is not None and not (schema.embedded and name == "metadata"):
            verdict = _judge(child, one, before.get(name, MISSING), f"{path}.{name}" if path else name)
            faults += verdict.faults
            matches += verdict.matches
    faults += [required(f"{path}.{name}".lstrip(".")) for name in rules.get("required", ()) if name not in value]
    return Verdict(faults, matches)


def _combined(schema: Schema, value: Any, old: Any, path: str) -> Verdict:
    """``anyOf``, ``oneOf``, ``allOf`` and ``not``."""
    faults: list[Fault] = []
    matches = 1
    if schema.any_of:
        verdicts = [_judge(one, value, old, path) for one in schema.any_of]
        if all(verdict.faults for verdict in verdicts):
            faults.append(_composite(f'"{path}" must validate at least one schema (anyOf)'))
            faults += max(verdicts, key=lambda verdict: verdict.matches).faults
    if schema.one_of:
        verdicts = [_judge(one, value, old, path) for one in schema.one_of]
        good = sum(not verdict.faults for verdict in verdicts)
        if good != 1:
            found = f"Found {good} valid alternatives" if good else "Found none valid"
            faults.append(_composite(f'"{path}" must validate one and only one schema (oneOf). {found}'))
            if not good:
                faults += max(verdicts, key=lambda verdict: verdict.matches).faults
    if schema.all_of:
        verdicts = [_judge(one, value, old, path) for one in schema.all_of]
        for verdict in verdicts:
            faults += verdict.faults
        good = sum(not verdict.faults for verdict in verdicts)
        if good != len(verdicts):
            none = "" if good else ". None validated"
            faults.append(_composite(f'"{path}" must validate all the schemas (allOf){none}'))
    if schema.not_ is not None and not _judge(schema.not_, value, MISSING, path).faults:
        faults.append(_composite(f'"{path}" must not validate the schema (not)'))
    return Verdict(faults, matches)


def _composite(text: str) -> Fault:
    return invalid_value("<nil>", "", text)


def _twins(schema: Schema, value: Any, path: str) -> Iterator[Fault]:
    """Items of sets and list-maps that are there twice."""
    if isinstance(value, dict):
        for name, one in value.items():
            child = schema.fields.get(name)
            at = f"{path}.{name}" if path else name
            if child is None and schema.lists_rest:
                child, at = schema.rest, f"{path}[{name}]"
            if child is not None and isinstance(one, dict | list):
                yield from _twins(child, one, at)
    elif isinstance(value, list):
        if schema.relation is Items.SET:
            yield from _repeated(value, value, path)
        elif schema.relation is Items.MAP:
            wrong = next((index for index, item in enumerate(value) if not isinstance(item, dict | None)), None)
            if wrong is not None:
                text = "must be an object for an array of list-type map"
                yield invalid_value(f"{path}[{wrong}]", value[wrong], text)
            else:
                keys = [{name: item[name] for name in schema.keys if name in (item or {})} for item in value]
                yield from _repeated(keys, keys, path)
        for index, item in enumerate(value):
            if schema.items is not None and isinstance(item, dict | list):
                yield from _twins(schema.items, item, f"{path}[{index}]")


def _repeated(values: list[Any], shown: list[Any], path: str) -> Iterator[Fault]:
    seen: dict[bytes, int] = {}
    for index, value in enumerate(values):
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        seen[text] = seen.get(text, 0) + 1
        if seen[text] == 2:
            yield duplicate(f"{path}[{index}]", shown[index])
