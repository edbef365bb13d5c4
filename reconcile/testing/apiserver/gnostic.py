"""OpenAPI version 2 as protobuf, in the messages of gnostic: how kubectl wants it before it checks a ``kind: List``.

The messages say what the JSON document says, with more words: a map is a list of named values, what may be one of two
is a message for each, and what may be anything is YAML. Needs the package ``protobuf`` of the extra ``server``, loaded
on first use. Pure. Source: gnostic-models, ``openapiv2``, and kube-openapi, ``handler``.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from reconcile.testing.apiserver.extras import needed
from reconcile.testing.apiserver.failure import Document

MEDIA_TYPE: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ASKED: Final = (MEDIA_TYPE, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
"""What clients call it; the second is no media type by the book, and every kubectl says it."""

_ALL: Final = "*"
"""The field for all that a map holds."""
_EXTRAS: Final = "x-"
"""The field for all that begins so."""
_PARAMETER: Final = (
    "format items:PrimitivesItems collectionFormat default:Any maximum:double exclusiveMaximum:bool minimum:double "
    "exclusiveMinimum:bool maxLength:int64 minLength:int64 pattern maxItems:int64 minItems:int64 uniqueItems:bool "
    "enum:Any+ multipleOf:double x-:NamedAny+"
)
_MESSAGES: Final[Mapping[str, str]] = {
    "Document": "swagger info:Info host basePath schemes+ consumes+ produces+ paths:Paths definitions:Definitions "
    "parameters:Any responses:Any security:SecurityRequirement+ securityDefinitions:SecurityDefinitions",
    "Info": "title version description",
    "Paths": "x-:NamedAny+ *:NamedPathItem+",
    "NamedPathItem": "name value:PathItem",
    "PathItem": "$ref get:Operation put:Operation post:Operation delete:Operation options:Operation head:Operation "
    "patch:Operation parameters:ParametersItem+ x-:NamedAny+",
    "Operation": "tags+ summary description externalDocs:ExternalDocs operationId produces+ consumes+ "
    "parameters:ParametersItem+ responses:Responses schemes+ deprecated:bool security:SecurityRequirement+ "
    "x-:NamedAny+",
    "ParametersItem": "parameter:Parameter jsonReference:JsonReference",
    "Parameter": "body:BodyParameter other:NonBodyParameter",
    "BodyParameter": "description name in required:bool schema:Schema x-:NamedAny+",
    "NonBodyParameter": "header:HeaderParameter formData:HeaderParameter query:QueryParameter path:HeaderParameter",
    "HeaderParameter": f"required:bool in description name type {_PARAMETER}",
    "QueryParameter": f"required:bool in description name allowEmptyValue:bool type {_PARAMETER}",
    "PrimitivesItems": "type format",
    "Responses": "*:NamedResponseValue+",
    "NamedResponseValue": "name value:ResponseValue",
    "ResponseValue": "response:Response jsonReference:JsonReference",
    "Response": "description schema:SchemaItem",
    "SchemaItem": "schema:Schema",
    "JsonReference": "$ref description",
    "Definitions": "*:NamedSchema+",
    "NamedSchema": "name value:Schema",
    "Schema": "$ref format title description default:Any multipleOf:double maximum:double exclusiveMaximum:bool "
    "minimum:double exclusiveMinimum:bool maxLength:int64 minLength:int64 pattern maxItems:int64 minItems:int64 "
    "uniqueItems:bool maxProperties:int64 minProperties:int64 required+ enum:Any+ "
    "additionalProperties:AdditionalPropertiesItem type:TypeItem items:ItemsItem allOf:Schema+ properties:Properties "
    "discriminator readOnly:bool xml:Any externalDocs:ExternalDocs example:Any x-:NamedAny+",
    "AdditionalPropertiesItem": "schema:Schema boolean:bool",
    "TypeItem": "value+",
    "ItemsItem": "schema:Schema+",
    "Properties": "*:NamedSchema+",
    "ExternalDocs": "description url",
    "SecurityDefinitions": "*:NamedSecurityDefinitionsItem+",
    "NamedSecurityDefinitionsItem": "name value:SecurityDefinitionsItem",
    "SecurityDefinitionsItem": "basic:Any apiKey:ApiKeySecurity",
    "ApiKeySecurity": "type name in description",
    "SecurityRequirement": "*:NamedStringArray+",
    "NamedStringArray": "name value:StringArray",
    "StringArray": "value+",
    "NamedAny": "name value:Any",
    "Any": "value yaml",
}
"""The fields of each message by their names in JSON, numbered from 1: ``name:type``, with ``+`` if repeated. Fields
that no document of ours has are there for the numbers of those behind them."""


def _reference_or(name: str) -> Callable[[Any], Document]:
    return lambda value: {"jsonReference" if "$ref" in value else name: value}


_SHAPES: Final[Mapping[str, Callable[[Any], Document]]] = {
    "ParametersItem": _reference_or("parameter"),
    "Parameter": lambda value: {"body" if value["in"] == "body" else "other": value},
    "NonBodyParameter": lambda value: {value["in"]: value},
    "ResponseValue": _reference_or("response"),
    "SchemaItem": lambda value: {"schema": value},
    "AdditionalPropertiesItem": lambda value: {"boolean" if isinstance(value, bool) else "schema": value},
    "TypeItem": lambda value: {"value": value if isinstance(value, list) else [value]},
    "ItemsItem": lambda value: {"schema": value if isinstance(value, list) else [value]},
    "SecurityDefinitionsItem": lambda value: {value["type"]: value},
    "StringArray": lambda value: {"value": value},
    "Any": lambda value: {"yaml": orjson.dumps(value).decode()},
}
"""What a value of the JSON document is in a message that says it in other words."""


@functools.lru_cache(maxsize=2)
def encoded(document: bytes) -> bytes:
    """The JSON document of ``/openapi/v2`` as a message. Words that gnostic has no field for are left out."""
    message = message_class("Document")()
    _write(message, orjson.loads(document))
    return bytes(message.SerializeToString(deterministic=True))


@functools.cache
def message_class(name: str) -> Any:
    """The class of a message; its fields are named as in JSON, with ``_`` for what is no letter."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(name))


@functools.cache
def _pool() -> Any:
    with needed("protobuf", "OpenAPI version 2 as protobuf"):
        from google.protobuf import descriptor_pb2, descriptor_pool
    file = descriptor_pb2.FileDescriptorProto(name="gnostic", syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, text in enumerate(fields.split(), 1):
            told, _, type_ = text.removesuffix("+").partition(":")
            field = message.field.add(name=_field(told), number=number, json_name=told)
            field.label = field.LABEL_REPEATED if text.endswith("+") else field.LABEL_OPTIONAL
            if type_ in _MESSAGES:
                field.type, field.type_name = field.TYPE_MESSAGE, f".{type_}"
            else:
                field.type = getattr(field, f"TYPE_{(type_ or 'string').upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _field(told: str) -> str:
    return "".join(one if one.isalnum() else "_" for one in told)


@functools.cache
def _plan(name: str) -> Mapping[str, tuple[str, bool, bool]]:
    """By the name in JSON: the field, whether it is repeated, and whether it holds messages."""
    fields = _pool().FindMessageTypeByName(name).fields
    return {one.json_name: (one.name, one.is_repeated, one.message_type is not None) for one in fields}


def _write(message: Any, value: Any) -> None:
    name = message.DESCRIPTOR.name
    plan = _plan(name)
    shape = _SHAPES.get(name)
    words = shape(value) if shape is not None else _gathered(value, plan)
    for told, one in words.items():
        if told in plan:
            field, is_repeated, is_message = plan[told]
            if is_repeated and is_message:
                for each in one:
                    _write(getattr(message, field).add(), each)
            elif is_repeated:
                getattr(message, field).extend(one)
            elif is_message:
                getattr(message, field).SetInParent()
                _write(getattr(message, field), one)
            else:
                setattr(message, field, one)


def _gathered(value: Document, plan: Mapping[str, object]) -> Document:
    """With what a message has a list of named values for in that list."""
    if not ({_ALL, _EXTRAS} & plan.keys()):
        return value
    found: Document = {}
    for key, one in value.items():
        place = _EXTRAS if _EXTRAS in plan and key.startswith(_EXTRAS) else _ALL
        if key in plan or place not in plan:
            found[key] = one
        else:
            found.setdefault(place, []).append({"name": key, "value": one})
    return found
