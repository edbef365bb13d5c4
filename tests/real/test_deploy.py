"""A real kube-apiserver takes what is in ``deploy``, every field of it."""

from pathlib import Path

import pytest

from apinetlet.api import GENERATIONS
from reconcile import connect
from reconcile.kube.kinds import NAMESPACE
from reconcile.testing.envtest import ControlPlane
from tests.real.waiting import install
from tests.shipping.rendering import charted, definitions, monitored, resource

pytestmark = [pytest.mark.real, pytest.mark.proof]  # helm takes minutes to build


async def test_every_object_of_both_forms_is_taken_with_strict_fields(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    """The kinds of the operator are there with the fields that we use, for the operator itself is not."""
    one_cluster = ("--set=apinet.namespace=apinet", "--set=apinet.kubeconfigSecret=", "--set=source.namespace=home")
    async with connect(control_plane.kubeconfig()) as client:
        await install(client, definitions(), [one["metadata"]["name"] for one in definitions()])
        for name in ("apinet", "home"):
            await client.apply(NAMESPACE, {"metadata": {"name": name}}, field_manager="people")
        for generation in sorted(GENERATIONS):
            (tmp_path / generation).mkdir()
            overlay = monitored(generation, tmp_path / generation)
            chart = charted(*one_cluster, f"--set=generation={generation}", release=f"only-{generation}")
            for one in sorted([*overlay, *chart], key=lambda one: one["kind"] != "Namespace"):
                taken = await client.apply(resource(one), one, field_validation="Strict", field_manager=generation)
                assert taken.metadata.name == one["metadata"]["name"]
