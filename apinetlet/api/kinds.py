"""The kinds of one generation as REST resources."""

from functools import partial

from attrs import frozen

from apinetlet.api import apinet, networking
from apinetlet.api.generation import Generation
from reconcile.kube import Resource


@frozen
class Kinds:
    """Where each kind of a generation is served."""

    network: Resource[networking.Network]
    apinet_network: Resource[apinet.Network]

    @classmethod
    def of(cls, generation: Generation) -> "Kinds":
        source = partial(Resource, group=generation.networking, version=generation.version)
        target = partial(Resource, group=generation.apinet, version=generation.version)
        return cls(
            network=source(kind="Network", plural="networks", type=networking.Network),
            apinet_network=target(kind="Network", plural="networks", type=apinet.Network),
        )
