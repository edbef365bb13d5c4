"""What is wrong with the schema of a definition: it has to be structural, and its defaults have to fit it.

A schema is structural when the form of every value is said once, outside of ``allOf``, ``anyOf``, ``oneOf`` and
``not``, which may only judge what is there. Pure; works on schemas as JSON has them. Source of rules and texts:
apiextensions-apiserver, ``apiserver/schema`` and ``apis/apiextensions/validation``.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import attrs

from reconcile.testing.apiserver import regexps
from reconcile.testing.apiserver.failure import Document, Fault, forbidden_field, invalid_value, not_supported, required
from reconcile.testing.apiserver.fieldpaths import BadPath, follow
from reconcile.testing.apiserver.walks import equal

TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
_META: Final = ("apiVersion", "kind", "metadata")
_EITHER: Final = [{"type": "integer"}, {"type": "string"}]
_PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED: Final = "x-kubernetes-embedded-resource"
_EITHER_FLAG: Final = "x-kubernetes-int-or-string"
_RULES: Final = "x-kubernetes-validations"
_LIST_TYPE: Final = "x-kubernetes-list-type"
_MAP_TYPE: Final = "x-kubernetes-map-type"
_LIST_KEYS: Final = "x-kubernetes-list-map-keys"
_LOGIC: Final = ("anyOf", "allOf", "oneOf")


def children(schema: Document) -> Iterator[tuple[str, Document]]:
    """The schemas right below a schema that say the form of a value, with their paths."""
    for name, child in (schema.get("properties") or {}).items():
        yield f"properties[{name}]", child
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield name, schema[name]


def mentions(schema: Any, name: str) -> bool:
    """Whether a keyword stands anywhere in a schema."""
    if not isinstance(schema, dict):
        return False
    if schema.get(name) not in (None, [], {}):
        return True
    nested = [one for logic in _LOGIC for one in schema.get(logic) or ()]
    below = [child for _, child in children(schema)]
    return any(mentions(child, name) for child in (*below, *nested, schema.get("not")))


# -- one form for each value ---------------------------------------------------------------------------------------


def form_faults(schema: Document, path: str) -> list[Fault]:
    """Why a schema is not structural; in the order of their texts."""
    return sorted([*_forms(schema, "root", path), *_complete(schema, schema, path, path)], key=str)


def unreadable(schema: Document) -> str:
    """Why a schema can be no structural one at all; "" if it may be."""
    for name in ("id", "$schema", "$ref", "patternProperties", "dependencies", "additionalItems", "definitions"):
        if schema.get(name) not in (None, "", {}):
            return f"OpenAPIV3Schema '{'schema' if name == '$schema' else name}' is not supported"
    if isinstance(schema.get("items"), list) and schema["items"]:
        return "OpenAPIV3Schema 'items' must be a schema, but is an array"
    if schema.get(_PRESERVE) is False:
        return f"internal error: '{_PRESERVE}' must be true or undefined"
    nested = [one for logic in _LOGIC for one in schema.get(logic) or ()]
    below = [*(child for _, child in children(schema)), *nested, *([schema["not"]] if schema.get("not") else ())]
    return next((problem for child in below if (problem := unreadable(child))), "")


_EMPTY_SAYS: Final = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}


def _forms(schema: Document, level: str, path: str) -> Iterator[Fault]:
    type_ = schema.get("type") or ""
    properties = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    embedded = bool(schema.get(_EMBEDDED))
    if type_ == "array" and not isinstance(schema.get("items"), dict):
        yield required(f"{path}.items", "must be specified")
    if additional is not None and level == "root":
        yield forbidden_field(f"{path}.additionalProperties", "must not be used at the root")
    for step, child in children(schema):
        yield from _forms(child, "item" if step == "items" else "field", f"{path}.{step}")
    for name, flag in ((_PRESERVE, schema.get(_PRESERVE)), (_EMBEDDED, embedded)):
        if schema.get(_EITHER_FLAG) and flag:
            yield invalid_value(f"{path}.{name}", True, f"must be false if {_EITHER_FLAG} is true")
    yield from _values(schema, path, skip_any=_is_either(schema), skip_first=_is_either(_first(schema)))
    if embedded and type_ != "object":
        says = f"must be object if {_EMBEDDED} is true"
        yield required(f"{path}.type", says) if not type_ else invalid_value(f"{path}.type", type_, says)
    elif not type_ and not schema.get(_EITHER_FLAG) and not schema.get(_PRESERVE):
        yield required(f"{path}.type", _EMPTY_SAYS[level])
    if embedded and additional is not None:
        yield forbidden_field(f"{path}.additionalProperties", f"must not be used if {_EMBEDDED} is set")
    if level == "root" and type_ not in ("", "object"):
        yield invalid_value(f"{path}.type", type_, "must be object at the root")
    is_object = level == "root" or embedded
    for name in ("kind", "apiVersion"):
        if is_object and name in properties and properties[name].get("type") != "string":
            yield invalid_value(f"{path}.properties[{name}].type", properties[name].get("type") or "", "must be string")
    if "metadata" in properties:
        yield from _metadata(properties["metadata"], level, f"{path}.properties[metadata]", is_object=is_object)
    if embedded and not schema.get(_PRESERVE) and not properties:
        says = f"must not be empty if {_EMBEDDED} is true without {_PRESERVE}"
        yield required(f"{path}.properties", says)


def _metadata(schema: Document, level: str, path: str, *, is_object: bool) -> Iterator[Fault]:
    if is_object and schema.get("type") != "object":
        yield invalid_value(f"{path}.type", schema.get("type") or "", "must be object")
    if level == "root":
        own = set(schema.get("properties") or {})
        rest = {
            name: value
            for name, value in schema.items()
            if name not in ("type", "default")
            and value not in (None, "", [], {}, False)
            and not (name == "properties" and own <= {"name", "generateName"})
        }
        if rest:
            says = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            yield forbidden_field(path, says)


def _first(schema: Document) -> Document:
    parts = schema.get("allOf") or [{}]
    return parts[0]  # type: ignore[no-any-return]


def _is_either(schema: Document) -> bool:
    """Whether ``anyOf`` says no more than that this may be an integer or a text."""
    return equal(schema.get("anyOf"), _EITHER)


def _values(
    schema: Document, path: str, *, skip_any: bool = False, skip_first: bool = False, level: str = ""
) -> Iterator[Fault]:
    """What may judge values only, and says their form."""
    for logic in _LOGIC:
        if logic == "anyOf" and skip_any:
            continue
        for index, one in enumerate(schema.get(logic) or ()):
            skip = skip_first and logic == "allOf" and index == 0
            yield from _nested(one, f"{path}.{logic}[{index}]", skip_any=skip)
    if schema.get("not"):
        yield from _nested(schema["not"], f"{path}.not")
    if schema.get("pattern"):
        try:
            regexps.check(schema["pattern"])
        except regexps.BadPattern as problem:
            says = f"must be a valid regular expression, but isn't: {problem}"
            yield invalid_value(f"{path}.pattern", schema["pattern"], says)


_EMPTY_IN_LOGIC: Final = {
    "type": "empty",
    "default": "undefined",
    "title": "empty",
    "description": "empty",
    "nullable": "false",
    _PRESERVE: "false",
    _EMBEDDED: "false",
    _EITHER_FLAG: "false",
    _LIST_KEYS: "empty",
    _LIST_TYPE: "undefined",
    _MAP_TYPE: "undefined",
    _RULES: "empty",
}


def _nested(schema: Document, path: str, *, skip_any: bool = False) -> Iterator[Fault]:
    yield from _values(schema, path, skip_any=skip_any)
    if isinstance(schema.get("items"), dict):
        yield from _nested(schema["items"], f"{path}.items")
    for name, child in (schema.get("properties") or {}).items():
        yield from _nested(child, f"{path}.properties[{name}]")
    if schema.get("additionalProperties") not in (None, False):
        yield forbidden_field(f"{path}.additionalProperties", "must be undefined to be structural")
    for name, wanted in _EMPTY_IN_LOGIC.items():
        if schema.get(name) not in (None, "", [], False) or (name == "default" and schema.get(name) is not None):
            yield forbidden_field(f"{path}.{name}", f"must be {wanted} to be structural")
    if "metadata" in (schema.get("properties") or {}):
        yield forbidden_field(f"{path}.properties[metadata]", "must not be specified in a nested context")


def _complete(judge: Document, schema: Document | None, path: str, of: str) -> Iterator[Fault]:
    """What is judged and has no form."""
    for logic in ("not", *_LOGIC):
        found = judge.get(logic)
        parts = [("", found)] if logic == "not" and found else [(f"[{i}]", x) for i, x in enumerate(found or ())]
        for index, part in parts:
            yield from _complete_nested(part, schema, path, f"{of}.{logic}{index}")


def _complete_nested(judge: Document, schema: Document | None, path: str, of: str) -> Iterator[Fault]:
    if schema is None:
        yield required(path, f"because it is defined in {of}")
        return
    yield from _complete(judge, schema, path, of)
    if isinstance(judge.get("items"), dict):
        items = schema.get("items")
        yield from _complete_nested(
            judge["items"], items if isinstance(items, dict) else None, f"{path}.items", f"{of}.items"
        )
    for name, child in (judge.get("properties") or {}).items():
        found = (schema.get("properties") or {}).get(name)
        yield from _complete_nested(child, found, f"{path}.properties[{name}]", f"{of}.properties[{name}]")


# -- keywords ------------------------------------------------------------------------------------------------------


@attrs.frozen
class _Place:
    """What is known of where in the schema of a kind a part of it stands."""

    defaults: bool = True
    why_no_defaults: str = ""
    in_metadata: bool = False


def keyword_faults(schema: Document, path: str) -> list[Fault]:
    """What is wrong with the keywords of a schema, whether it is structural or not."""
    return list(_keywords(schema, path, _Place(), is_root=True))


def _keywords(schema: Document, path: str, place: _Place, *, is_root: bool = False) -> Iterator[Fault]:
    yield from _standard(schema, path, place)
    if schema.get("uniqueItems"):
        says = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden_field(f"{path}.uniqueItems", says)
    additional = schema.get("additionalProperties")
    properties = schema.get("properties") or {}
    if additional is not None:
        if properties and additional is not True:
            says = "additionalProperties and properties are mutual exclusive"
            yield forbidden_field(f"{path}.additionalProperties", says)
        if isinstance(additional, dict):
            why = "inside additionalProperties applying to object metadata"
            below = attrs.evolve(place, defaults=False, why_no_defaults=why) if place.in_metadata else place
            yield from _keywords(additional, f"{path}.additionalProperties", below)
    for name, child in properties.items():
        below = place
        if (is_root or schema.get(_EMBEDDED)) and name in _META:
            below = attrs.evolve(below, in_metadata=True)
            if is_root:
                below = attrs.evolve(below, defaults=False, why_no_defaults=f"in top-level {name}")
        yield from _keywords(child, f"{path}.properties[{name}]", below)
    for logic in ("not", "allOf", "oneOf", "anyOf"):
        found = schema.get(logic)
        parts = [("", found)] if logic == "not" and found else [(f"[{i}]", x) for i, x in enumerate(found or ())]
        for index, part in parts:
            yield from _keywords(part, f"{path}.{logic}{index}", place)
    items = schema.get("items")
    for index, one in [("", items)] if isinstance(items, dict) else [(f"[{i}]", x) for i, x in enumerate(items or ())]:
        yield from _keywords(one, f"{path}.items{index}", place)
    if schema.get(_PRESERVE) is False:
        yield invalid_value(f"{path}.{_PRESERVE}", False, "must be true or undefined")
    yield from _maps_and_lists(schema, path)
    for number, rule in enumerate(schema.get(_RULES) or ()):
        yield from _rule_faults(rule, schema, f"{path}.{_RULES}[{number}]")


def _standard(schema: Document, path: str, place: _Place) -> Iterator[Fault]:
    type_ = schema.get("type") or ""
    if type_ and type_ not in TYPES:
        yield not_supported(f"{path}.type", type_, TYPES)
    if schema.get("default") is not None and not place.defaults:
        yield forbidden_field(f"{path}.default", f"must not be set {place.why_no_defaults}".rstrip())
    for name in ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"):
        if schema.get(name) not in (None, "", {}):
            yield forbidden_field(f"{path}.{name}", f"{name} is not supported")
    if type_ == "null":
        yield forbidden_field(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.get("items"), list) and schema["items"]:
        yield forbidden_field(f"{path}.items", "items must be a schema object and not an array")
    if place.in_metadata and schema.get(_EMBEDDED):
        yield forbidden_field(f"{path}.{_EMBEDDED}", "must not be used inside of resource meta")


def _maps_and_lists(schema: Document, path: str) -> Iterator[Fault]:
    type_, items = schema.get("type") or "", schema.get("items")
    for keyword, form, allowed in (
        (_MAP_TYPE, "object", ("atomic", "granular")),
        (_LIST_TYPE, "array", ("atomic", "set", "map")),
    ):
        value = schema.get(keyword)
        if value is not None and type_ != form:
            says = f"must be {form} if {keyword} is specified"
            yield required(f"{path}.type", says) if not type_ else invalid_value(f"{path}.type", type_, says)
        elif value == "set" and isinstance(items, dict):
            yield from _set_items(items, f"{path}.items")
        if value is not None and value not in allowed:
            yield not_supported(f"{path}.{keyword}", value, allowed)
    relation, keys = schema.get(_LIST_TYPE), schema.get(_LIST_KEYS) or []
    if keys and relation != "map":
        says = f"must be map if {_LIST_KEYS} is non-empty"
        at = f"{path}.{_LIST_TYPE}"
        yield required(at, says) if relation is None else invalid_value(at, relation, says)
    if relation == "map":
        yield from _map_items(schema, items, keys, path)
    if relation in ("set", "map") and isinstance(items, dict):
        if items.get("nullable"):
            says = f"cannot be nullable when {_LIST_TYPE} is {relation}"
            yield forbidden_field(f"{path}.items.nullable", says)
        for key in keys if relation == "map" else ():
            yield from _key_faults(items, key, f"{path}.items.properties[{key}]")


def _set_items(items: Document, path: str) -> Iterator[Fault]:
    says = f"must be atomic as item of a list with {_LIST_TYPE}=set"
    if items.get("type") == "array" and items.get(_LIST_TYPE) not in (None, "atomic"):
        yield invalid_value(f"{path}.{_LIST_TYPE}", items[_LIST_TYPE], says)
    elif items.get("type") == "object" and items.get(_MAP_TYPE) != "atomic":
        # the real server shows the wrong keyword's value here
        yield invalid_value(f"{path}.{_MAP_TYPE}", items.get(_LIST_TYPE), says)


def _map_items(schema: Document, items: Any, keys: list[str], path: str) -> Iterator[Fault]:
    if not keys:
        yield required(f"{path}.{_LIST_KEYS}", f"must not be empty if {_LIST_TYPE} is map")
    if items is None:
        yield required(f"{path}.items", f"must have a schema if {_LIST_TYPE} is map")
    if not isinstance(items, dict):
        return
    if items.get("type") != "object":
        says = f"must be object if parent array's {_LIST_TYPE} is map"
        yield invalid_value(f"{path}.items.type", items.get("type") or "", says)
        return
    seen: set[str] = set()
    for key in keys:
        found = (items.get("properties") or {}).get(key)
        if found is None:
            yield invalid_value(f"{path}.{_LIST_KEYS}", keys, "entries must all be names of item properties")
        elif found.get("type") in ("array", "object"):
            says = f"must be a scalar type if parent array's {_LIST_TYPE} is map"
            yield invalid_value(f"{path}.items.properties[{key}].type", items["type"], says)
        if key in seen:
            yield invalid_value(f"{path}.{_LIST_KEYS}", keys, "must not contain duplicate entries")
        seen.add(key)


def _key_faults(items: Document, key: str, path: str) -> Iterator[Fault]:
    found = (items.get("properties") or {}).get(key)
    if found is None:
        return
    if key not in (items.get("required") or ()) and found.get("default") is None:
        says = f"this property is in {_LIST_KEYS}, so it must have a default or be a required property"
        yield required(f"{path}.default", says)
    if found.get("nullable"):
        yield forbidden_field(f"{path}.nullable", f"this property is in {_LIST_KEYS}, so it cannot be nullable")


REASONS: Final = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_BREAK: Final = re.compile(r"[\n\r]")


def _rule_faults(rule: Document, schema: Document, path: str) -> Iterator[Fault]:
    text, message = (rule.get("rule") or "").strip(), rule.get("message") or ""
    if not text:
        yield required(f"{path}.rule", "rule is not specified")
    elif message and not message.strip():
        yield invalid_value(f"{path}.message", message, "must be non-empty if specified")
    elif _BREAK.search(message.strip()):
        yield invalid_value(f"{path}.message", message, "must not contain line breaks")
    elif _BREAK.search(text) and not message.strip():
        yield required(f"{path}.message", "message must be specified if rule contains line breaks")
    if (expression := rule.get("messageExpression")) and not expression.strip():
        yield required(f"{path}.messageExpression", "messageExpression must be non-empty if specified")
    if (reason := rule.get("reason")) is not None and reason not in REASONS:
        yield not_supported(f"{path}.reason", reason, REASONS)
    if field := rule.get("fieldPath"):
        if not field.strip():
            yield invalid_value(f"{path}.fieldPath", field, "must be non-empty if specified")
        if _BREAK.search(field):
            yield invalid_value(f"{path}.fieldPath", field, "must not contain line breaks")
        try:
            follow(field, schema)
        except BadPath:
            yield invalid_value(f"{path}.fieldPath", field, "must be a valid path")
