"""OpenAPI version 2 as protobuf says what it says as JSON."""

from typing import Any

import orjson
import pytest
import yaml

from reconcile.kube.request import HttpRequest
from reconcile.testing.apiserver import ApiServer, gnostic

ANYTHING = {
    "type": "object",
    "additionalProperties": False,
    "required": ["size"],
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "size": {
            "type": "integer",
            "minimum": 1.5,
            "maximum": 10,
            "exclusiveMaximum": True,
            "default": 3,
            "enum": [2, 3],
        },
        "names": {"type": "array", "items": {"type": "string", "maxLength": 5, "pattern": "^a"}, "uniqueItems": False},
        "labels": {"type": "object", "additionalProperties": {"type": "string", "format": "byte"}},
        "ports": {"type": "array", "x-kubernetes-list-map-keys": ["port"], "items": {"$ref": "#/definitions/Port"}},
    },
}


def said(message: Any) -> Any:
    """A message as JSON would say it."""
    name, values = message.DESCRIPTOR.name, dict[str, Any]()
    for field, value in message.ListFields():
        many = field.is_repeated and field.message_type is not None
        told = [said(one) for one in value] if many else said(value) if field.message_type is not None else value
        values[field.json_name] = list(told) if field.is_repeated else told
    named = {one["name"]: one.get("value") for key in ("*", "x-") for one in values.pop(key, ())}
    match name:
        case "Any":
            return yaml.safe_load(values["yaml"])
        case "TypeItem":
            return values["value"][0]
        case "ItemsItem":
            return values["schema"][0]
        case "StringArray":
            return values.get("value", [])
        case "AdditionalPropertiesItem" | "SchemaItem" | "ResponseValue" | "SecurityDefinitionsItem":
            return next(iter(values.values()))
        case "ParametersItem" | "Parameter" | "NonBodyParameter":
            return next(iter(values.values()))
    return {**values, **named}


async def asked(server: ApiServer, accept: str) -> tuple[str, bytes]:
    """The type and the body of the answer."""
    request = HttpRequest("GET", "/openapi/v2", (), {"accept": accept}, b"")
    answer = await server.transport().call(request, timeout=30)
    assert answer.status == 200
    return answer.headers["content-type"], answer.body


@pytest.mark.parametrize("accept", gnostic.ASKED)
async def test_the_message_says_of_every_kind_what_the_document_says(accept: str) -> None:
    async with ApiServer() as server:
        media, packed = await asked(server, accept)
        _, plain = await asked(server, "application/json")
    assert media == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    assert said(gnostic.message_class("Document").FromString(packed)) == orjson.loads(plain)


def test_every_word_of_a_schema_is_told_and_what_is_no_word_is_left_out() -> None:
    document = {"swagger": "2.0", "definitions": {"Thing": {**ANYTHING, "nobody": "knows"}}}
    message = gnostic.message_class("Document").FromString(gnostic.encoded(orjson.dumps(document)))
    assert said(message)["definitions"] == {"Thing": ANYTHING}
