"""What the servers of the demo do that no schema can say."""

import pytest

from apinetlet.api import GENERATIONS, Generation, Kinds
from apinetlet.demo.definitions import source_kinds
from reconcile import ObjectKey
from reconcile.kube.errors import Invalid
from reconcile.kube.patch import MergePatch
from reconcile.testing.apiserver import ApiServer

BLUE = ObjectKey("default", "blue")


@pytest.mark.parametrize("generation", GENERATIONS.values(), ids=GENERATIONS)
@pytest.mark.parametrize("other", ["other://a/b/1/c", "", None])
async def test_a_provider_id_that_is_set_stays(generation: Generation, other: str | None) -> None:
    network = Kinds.of(generation).network
    async with ApiServer(source_kinds(generation)) as server, server.client() as client:
        await client.create(network, {"metadata": {"name": BLUE.name}, "spec": {}}, namespace=BLUE.namespace)
        for _ in range(2):  # the same once more is no change
            await client.patch(network, BLUE, MergePatch({"spec": {"providerID": "some://a/b/1/c"}}))
        with pytest.raises(Invalid, match=r"spec\.providerID: Invalid value: .*: field is immutable"):
            await client.patch(network, BLUE, MergePatch({"spec": {"providerID": other}}))
