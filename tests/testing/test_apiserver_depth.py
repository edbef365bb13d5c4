"""A body may be nested as deep as the embedded server can walk. The real one takes more: this is told of ours alone."""

from typing import Any

import pytest

from reconcile.testing.apiserver.content import PROTOBUF
from tests.testing.callers import DEFINITIONS, Api, definition_in_protobuf


@pytest.mark.parametrize("levels", [130, 300])
async def test_protobuf_that_is_nested_too_deep_is_refused_and_harms_nobody(api: Api, levels: int) -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {"not": schema}
    reply = await api.send("POST", DEFINITIONS, definition_in_protobuf(schema), media=PROTOBUF)
    assert reply.code == 400


@pytest.mark.parametrize("levels", [130, 5_000, 100_000])
async def test_json_within_protobuf_that_is_nested_too_deep_is_refused(api: Api, levels: int) -> None:
    deep = b"[" * levels + b"]" * levels
    text = "x" * (2 * levels - 2)
    body = definition_in_protobuf({"type": "string", "default": text}).replace(f'"{text}"'.encode(), deep)
    reply = await api.send("POST", DEFINITIONS, body, media=PROTOBUF)
    assert reply.code == 400
