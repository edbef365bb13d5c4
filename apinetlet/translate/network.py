"""A source Network, and what is known of its counterpart, to what each side should say.

Pure. The body for the api-net cluster holds only what we own: an ID is the server's to give. The patches are ``None``
where nothing changes.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from attrs import frozen

from apinetlet.api import Generation, apinet, networking
from apinetlet.api.networking import NetworkState, PeeringStatus
from apinetlet.origin import Origins
from apinetlet.translate.body import body, filled
from apinetlet.translate.peering import document
from provider import Meaning, ProviderID, ProviderIDError, parse
from reconcile.kube import MergePatch, Resource


def network(
    source: networking.Network,
    *,
    resource: Resource[apinet.Network],
    namespace: str,
    origins: Origins,
    peerings: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The api-net Network for ``source``: named after its uid, in ``namespace``, marked with its origin."""
    spec = filled({"peerings": list(peerings)})
    return body(resource, source.metadata, namespace=namespace, origins=origins, spec=spec)


class Standing(Enum):
    """How the provider ID of a source stands to the one that its counterpart calls for."""

    UNKNOWN = "the counterpart has no ID yet"
    UNSET = "the source has no provider ID yet"
    MATCHING = "both agree"
    MISMATCHED = "the source names another counterpart"


@frozen
class View:
    """One source Network beside its live counterpart."""

    source: networking.Network
    target: apinet.Network
    generation: Generation

    @property
    def provider_id(self) -> str:
        """What the source must carry; empty while the counterpart has no ID.

        Raises:
            provider.BadPart: the server gave an ID that no provider ID can hold.
        """
        if not self.target.spec.id:
            return ""
        return str(
            ProviderID.network(
                self.generation.scheme,
                namespace=self.target.metadata.namespace,
                name=self.target.metadata.name,
                id=self.target.spec.id,
                uid=self.target.metadata.uid,
            )
        )

    @property
    def standing(self) -> Standing:
        if not (expected := self.provider_id):
            return Standing.UNKNOWN
        if not (found := self.source.spec.provider_id):
            return Standing.UNSET
        return Standing.MATCHING if found == expected else Standing.MISMATCHED


def network_spec(view: View) -> MergePatch | None:
    """The provider ID for the source, once: the field is immutable afterwards."""
    return MergePatch({"spec": {"providerID": view.provider_id}}) if view.standing is Standing.UNSET else None


def network_status(
    source: networking.Network, state: NetworkState, peerings: Sequence[PeeringStatus] | None = None
) -> MergePatch | None:
    """``state`` for the source, if it says something else now, and ``peerings`` likewise; ``None``: not ours to say."""
    changes: dict[str, Any] = {}
    if source.status.state is not state:
        changes["state"] = state.value
    if peerings is not None and source.status.peerings != tuple(peerings):
        changes["peerings"] = [document(one) for one in peerings] or None
    return MergePatch({"status": changes}) if changes else None


def pending(source: networking.Network, peerings: Sequence[PeeringStatus] | None = None) -> MergePatch | None:
    """``Pending``, unless the source was available before: an outage of the other side must not take that back."""
    was_available = source.status.state is NetworkState.AVAILABLE
    return network_status(source, NetworkState.AVAILABLE if was_available else NetworkState.PENDING, peerings)


def counterpart_name(source: networking.Network, generation: Generation, namespace: str) -> str:
    """The name of the api-net Network of ``source``: its uid, unless somebody else manages it.

    Those who do say in the provider ID which Network of our ``namespace`` it stands for.
    """
    if generation.managed_by_annotation not in source.metadata.annotations:
        return source.metadata.uid
    try:
        named = parse(source.spec.provider_id, scheme=generation.scheme, meaning=Meaning.NETWORK)
    except ProviderIDError:
        return source.metadata.uid
    return named.name if named.namespace == namespace else source.metadata.uid


def is_exhausted(code: int, message: str) -> bool:
    """Whether a failed create says that the range of network IDs is used up. The server has no code of its own for it.

    Source: the ID allocator of the Go api-net server, which answers 500 with the allocator's plain text.
    """
    return code == 500 and "allocated" in message.lower()
