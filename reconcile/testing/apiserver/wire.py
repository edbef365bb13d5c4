"""Documents of built-in kinds as protobuf messages, and back.

The messages are those of Kubernetes, from one small file of descriptors; needs the package ``protobuf`` of the extra
``server``, loaded on first use. What JSON writes in a way of its own (times, quantities, numbers or texts, raw objects)
is one message each here. An object travels in an envelope, ``k8s\\0`` and ``runtime.Unknown``, which says what it is.
Pure but for one read of the file. Source: apimachinery, ``runtime/serializer/protobuf``.
"""

import base64
import datetime as dt
import functools
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from reconcile.testing.apiserver.extras import needed
from reconcile.testing.apiserver.failure import Document

DATA: Final = Path(__file__).parent / "data" / "messages.z"
INLINE: Final = "~"
MAGIC: Final = b"k8s\x00"
_META: Final = "k8s.io.apimachinery.pkg.apis.meta.v1."
_RUNTIME: Final = "k8s.io.apimachinery.pkg.runtime."
_EXTENSIONS: Final = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1."
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Malformed(ValueError):
    """Bytes that are no message of the kind that was asked for."""


def definition_of(message: str) -> str:
    """The name of the OpenAPI schema of a message."""
    head, *rest = message.split(".")
    return ".".join(("io", head, *(part.replace("_", "-") for part in rest[1:]))) if rest[:1] == ["io"] else message


@functools.cache
def _pool() -> Any:
    with needed("protobuf", "protobuf bodies"):
        from google.protobuf import descriptor_pb2, descriptor_pool
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString(zlib.decompress(DATA.read_bytes()))
    waiting = {file.name: file for file in files.file}

    def add(file: Any) -> None:
        for name in file.dependency:
            if name in waiting:
                add(waiting.pop(name))
        pool.Add(file)

    while waiting:
        add(waiting.pop(next(iter(waiting))))
    return pool


@functools.cache
def _class(name: str) -> Any:
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(name))


@functools.cache
def _of_definition() -> Mapping[str, str]:
    """Messages by the name of their schema."""
    from google.protobuf import descriptor_pb2

    files = descriptor_pb2.FileDescriptorSet.FromString(zlib.decompress(DATA.read_bytes()))
    names = (f"{file.package}.{message.name}" for file in files.file for message in file.message_type)
    return {definition_of(name): name for name in names}


def has(definition: str) -> bool:
    """Whether there is a message for a schema."""
    _pool()
    return definition in _of_definition()


# -- envelopes -----------------------------------------------------------------------------------------------------


def opened(raw: bytes, definition: Callable[[str, str], str]) -> Document:
    """The document in an envelope; ``definition`` tells the schema of an apiVersion and kind.

    Raises:
        Malformed: it is no envelope, or what is in it is no such message.
    """
    if not raw.startswith(MAGIC):
        raise Malformed("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    unknown = _parsed(_RUNTIME + "Unknown", raw[len(MAGIC) :])
    head = {"apiVersion": _text(unknown.typeMeta.apiVersion), "kind": _text(unknown.typeMeta.kind)}
    schema = definition(head["apiVersion"], head["kind"])
    message = _of_definition().get(schema)
    if message is None:
        raise Malformed(f'no kind "{head["kind"]}" is registered for version "{head["apiVersion"]}"')
    try:
        document = _read(_parsed(message, unknown.raw))
    except (UnicodeDecodeError, orjson.JSONDecodeError, OverflowError) as error:
        # a name that is no text, raw JSON that is none, a time beyond all calendars
        raise Malformed(f"proto: {error}") from error
    return {**{name: text for name, text in head.items() if text}, **document}


def sealed(document: Document, definition: str) -> bytes:
    """A document in an envelope."""
    return _envelope(document, encoded(document, definition))


def _envelope(document: Document, raw: bytes) -> bytes:
    unknown = _class(_RUNTIME + "Unknown")()
    unknown.typeMeta.apiVersion = document.get("apiVersion") or ""
    unknown.typeMeta.kind = document.get("kind") or ""
    unknown.raw, unknown.contentEncoding, unknown.contentType = raw, "", ""
    return MAGIC + bytes(unknown.SerializeToString())


def encoded(document: Document, definition: str) -> bytes:
    """A document as a bare message."""
    _pool()
    message = _class(_of_definition()[definition])()
    _write(message, document)
    return bytes(message.SerializeToString())


def frame(kind: str, sealed_object: bytes) -> bytes:
    """One event of a watch: its length in four bytes, and a message without an envelope."""
    event = _class(_META + "WatchEvent")()
    event.type, event.object.raw = kind, sealed_object
    raw = bytes(event.SerializeToString())
    return len(raw).to_bytes(4, "big") + raw


def _parsed(name: str, raw: bytes) -> Any:
    from google.protobuf.message import DecodeError

    _pool()
    message = _class(name)()
    try:
        message.ParseFromString(raw)
    except DecodeError as error:
        raise Malformed(f"proto: {error}") from error
    return message


# -- walks ---------------------------------------------------------------------------------------------------------


@functools.cache
def _plan(name: str) -> tuple[tuple[str, str, str, str], ...]:
    """For each field of a message: its name, its name in JSON, its form, and the message it holds, if any."""
    found = []
    for field in _pool().FindMessageTypeByName(name).fields:
        inner = field.message_type
        form, held = "one", inner.full_name if inner is not None else ""
        if inner is not None and inner.GetOptions().map_entry:
            value = inner.fields_by_name["value"]
            form, held = "map", value.message_type.full_name if value.message_type is not None else ""
            held = held or ("bytes" if value.type == value.TYPE_BYTES else "")
        else:
            held = held or ("bytes" if field.type == field.TYPE_BYTES else "")
            form = "list" if field.is_repeated else "one"
        if field.json_name.startswith(INLINE):
            form = "inline"
        found.append((field.name, field.json_name, form, held))
    return tuple(found)


@functools.cache
def _written(name: str) -> tuple[tuple[str, str, Any], ...]:
    """Fields that Go keeps by value, and writes even when they are empty: name, name in JSON, empty value."""
    from reconcile.testing.apiserver import published

    facts = published.definitions().get(definition_of(name), {}).get("x-go", {})
    descriptor = _pool().FindMessageTypeByName(name)
    kept = set(facts.get("omits", ()))
    return tuple(
        (field.name, field.json_name, field.default_value)
        for field in descriptor.fields
        if field.json_name in kept and field.message_type is None and not field.is_repeated
    )


def _write(message: Any, document: Document) -> None:
    for name, told, empty in _written(message.DESCRIPTOR.full_name):
        if told not in document:
            setattr(message, name, empty)
    for name, told, form, held in _plan(message.DESCRIPTOR.full_name):
        if form == "inline":
            _write(getattr(message, name), document)
            continue
        value = document.get(told)
        if value is None:
            continue
        if form == "one":
            _write_one(message, name, held, value)
        elif form == "list":
            target = getattr(message, name)
            for one in value:
                _append(target, held, one)
        else:
            target = getattr(message, name)
            for key, one in value.items():
                if held and held != "bytes":
                    _fill(target[key], held, one)
                else:
                    target[key] = base64.b64decode(one or "") if held == "bytes" else one


def _write_one(message: Any, name: str, held: str, value: Any) -> None:
    if held == "bytes":
        setattr(message, name, base64.b64decode(value))
    elif held:
        _fill(getattr(message, name), held, value)
    else:
        setattr(message, name, value)


def _append(target: Any, held: str, value: Any) -> None:
    if held == "bytes":
        target.append(base64.b64decode(value))
    elif held:
        _fill(target.add(), held, value)
    else:
        target.append(value)


def _fill(message: Any, held: str, value: Any) -> None:
    """Put a value into a message that is there from now on, empty or not."""
    message.SetInParent()
    special = _SPECIAL.get(held)
    if special is not None:
        special[0](message, value)
    elif isinstance(value, dict):
        _write(message, value)


def _read(message: Any) -> Document:
    document: Document = {}
    for name, told, form, held in _plan(message.DESCRIPTOR.full_name):
        if form == "inline":
            if message.HasField(name):
                document.update(_read(getattr(message, name)))
            continue
        if form == "one":
            if message.HasField(name):
                document[told] = _value(getattr(message, name), held)
            continue
        found = getattr(message, name)
        if form == "list" and found:
            document[told] = [_value(one, held) for one in found]
        elif form == "map" and found:
            document[told] = {key: _value(found[key], held) for key in found}
    return document


def _text(value: Any) -> Any:
    """A scalar; what is no text where one should be comes as bytes, and is shown as Go shows it in JSON."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _value(value: Any, held: str) -> Any:
    if not held:
        return _text(value)
    if held == "bytes":
        return base64.b64encode(value).decode()
    special = _SPECIAL.get(held)
    return special[1](value) if special is not None else _read(value)


# -- what JSON writes in a way of its own --------------------------------------------------------------------------


def _put_time(message: Any, value: str) -> None:
    since = dt.datetime.fromisoformat(value) - _EPOCH
    message.seconds = since.days * 86400 + since.seconds
    message.nanos = since.microseconds * 1000


def _get_time(form: str) -> Callable[[Any], str | None]:
    def get(message: Any) -> str | None:
        if not message.ListFields():
            return None
        moment = _EPOCH + dt.timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
        return moment.strftime(form)

    return get


def _put_number_or_text(message: Any, value: Any) -> None:
    is_text = isinstance(value, str)
    message.type, message.intVal, message.strVal = int(is_text), 0 if is_text else value, value if is_text else ""


def _put_raw(name: str) -> Callable[[Any, Any], None]:
    return lambda message, value: setattr(message, name, orjson.dumps(value))


def _get_raw(name: str) -> Callable[[Any], Any]:
    def get(message: Any) -> Any:
        raw = getattr(message, name)
        return orjson.loads(raw) if raw else None

    return get


def _put_items(message: Any, value: Any) -> None:
    message.items.extend(value)


def _get_items(message: Any) -> list[str]:
    return [_text(one) for one in message.items]


def _put_schema_or(name: str) -> Callable[[Any, Any], None]:
    def put(message: Any, value: Any) -> None:
        if isinstance(value, dict):
            _write(message.schema, value)
            message.schema.SetInParent()
        if isinstance(value, bool):
            message.allows = value
        elif isinstance(value, list):
            target = getattr(message, name)
            for one in value:
                _append(target, _EXTENSIONS + "JSONSchemaProps" if isinstance(one, dict) else "", one)
        elif name == "allows":
            message.allows = True

    return put


def _get_schema_or(name: str) -> Callable[[Any], Any]:
    def get(message: Any) -> Any:
        if message.HasField("schema"):
            return _read(message.schema)
        found = getattr(message, name)
        if name == "allows":
            return found
        return [_read(one) if hasattr(one, "DESCRIPTOR") else _text(one) for one in found]

    return get


_SPECIAL: Final[Mapping[str, tuple[Callable[[Any, Any], None], Callable[[Any], Any]]]] = {
    f"{_META}Time": (_put_time, _get_time("%Y-%m-%dT%H:%M:%SZ")),
    f"{_META}MicroTime": (_put_time, _get_time("%Y-%m-%dT%H:%M:%S.%fZ")),
    f"{_META}FieldsV1": (_put_raw("Raw"), _get_raw("Raw")),
    f"{_META}Verbs": (_put_items, _get_items),
    **{
        f"k8s.io.api.{group}.v1.ExtraValue": (_put_items, _get_items)
        for group in ("authentication", "authorization", "certificates")
    },
    "k8s.io.apimachinery.pkg.api.resource.Quantity": (
        lambda message, value: setattr(message, "string", str(value)),
        lambda message: _text(message.string),
    ),
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": (
        _put_number_or_text,
        lambda message: _text(message.strVal) if message.type else message.intVal,
    ),
    f"{_RUNTIME}RawExtension": (_put_raw("raw"), _get_raw("raw")),
    f"{_EXTENSIONS}JSON": (_put_raw("raw"), _get_raw("raw")),
    f"{_EXTENSIONS}JSONSchemaPropsOrBool": (_put_schema_or("allows"), _get_schema_or("allows")),
    f"{_EXTENSIONS}JSONSchemaPropsOrArray": (_put_schema_or("jSONSchemas"), _get_schema_or("jSONSchemas")),
    f"{_EXTENSIONS}JSONSchemaPropsOrStringArray": (_put_schema_or("property"), _get_schema_or("property")),
}
