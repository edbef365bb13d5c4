"""Both clusters as people see them: what users, machine providers and operators do, and what is there then.

One vocabulary for every kind and for both ways to tell a story: in a ``Lab``, where the daemon is started by hand, and
in a ``World``, which tells the story again and again with everything that may go wrong.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from attrs import asdict, frozen

from apinetlet.api import Generation, Kinds, apinet, networking
from apinetlet.origin import Origins
from provider import ProviderID
from reconcile import Client, NotFound, ObjectKey, Resource
from reconcile.kube import MergePatch, ObjectMeta
from reconcile.testing.apiserver import ApiServer
from tests.scenarios.daemon import Lab

T = TypeVar("T")

HOME, TARGET = "default", "apinet"
"""The namespaces of users and of the data plane."""
NODE = "my-node"


@frozen
class Both:
    """The two servers, and the clients of everybody but the daemon."""

    generation: Generation
    kinds: Kinds
    here: ApiServer
    """The source cluster."""
    there: ApiServer
    """The api-net cluster."""
    user: Client
    provider: Client

    @classmethod
    def of(cls, lab: Lab) -> "Both":
        world = lab.world
        user, provider = world.source.client(), world.apinet.client()
        return cls(world.generation, world.kinds, world.source, world.apinet, user, provider)

    # -- users -----------------------------------------------------------------------------------------------------

    async def create_vip(
        self,
        name: str = "public",
        *,
        family: str = "IPv4",
        target: networking.NetworkInterface | None = None,
        namespace: str = HOME,
        **metadata: Any,
    ) -> networking.VirtualIP:
        """A user asks for a public address."""
        spec: dict[str, Any] = {"type": "Public", "ipFamily": family}
        if target is not None:
            spec["targetRef"] = {"name": target.metadata.name, "uid": target.metadata.uid}
        body = {"metadata": {"name": name, **metadata}, "spec": spec}
        return await self.user.create(self.kinds.virtual_ip, body, namespace=namespace)

    async def create_nic(
        self,
        name: str = "nic",
        *,
        on: apinet.NetworkInterface | None = None,
        provider_id: str = "",
        vip: str = "",
        namespace: str = HOME,
        spec: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> networking.NetworkInterface:
        """A user declares an interface, which is attached to ``on`` at once, and wants the VirtualIP ``vip``."""
        wants: dict[str, Any] = {"networkRef": {"name": "net"}, "ips": [{"value": "192.168.178.1"}], **(spec or {})}
        if provider_id or on is not None:
            wants["providerID"] = provider_id or self.provider_id(on)
        if vip:
            wants["virtualIP"] = {"virtualIPRef": {"name": vip}}
        body = {"metadata": {"name": name, **metadata}, "spec": wants}
        return await self.user.create(self.kinds.network_interface, body, namespace=namespace)

    async def attach(self, name: str, to: apinet.NetworkInterface | None) -> None:
        """The machine poollet reports the interface that the provider made, or that there is none any more."""
        await self.change(self.kinds.network_interface, name, spec={"providerID": self.provider_id(to) if to else ""})

    async def want(self, name: str, vip: str) -> None:
        """The interface wants another VirtualIP, or none."""
        wanted = {"virtualIPRef": {"name": vip}} if vip else None
        await self.change(self.kinds.network_interface, name, spec={"virtualIP": wanted})

    async def change(self, resource: Resource[Any], name: str, namespace: str = HOME, **parts: Any) -> None:
        """Somebody changes parts of an object of the source cluster."""
        await self.user.patch(resource, ObjectKey(namespace, name), MergePatch(parts))

    async def delete(self, resource: Resource[Any], name: str, namespace: str = HOME) -> None:
        """A user deletes an object."""
        await self.user.delete(resource, ObjectKey(namespace, name))

    async def delete_by_force(self, resource: Resource[Any], name: str) -> None:
        """Somebody deletes an object and strips its finalizers, if it had any."""
        await self.delete(resource, name)
        with suppress(NotFound):
            await self.change(resource, name, metadata={"finalizers": None})

    # -- the data plane --------------------------------------------------------------------------------------------

    async def create_interface(
        self, name: str = "machine-0", *, spec: Mapping[str, Any] | None = None, **metadata: Any
    ) -> apinet.NetworkInterface:
        """The provider of machines makes an interface."""
        wants = {"nodeRef": {"name": NODE}, "networkRef": {"name": "net"}, "ips": ["192.168.178.1"], **(spec or {})}
        body = {"metadata": {"name": name, **metadata}, "spec": wants}
        return await self.provider.create(self.kinds.apinet_network_interface, body, namespace=TARGET)

    async def program(self, name: str, state: str, **status: Any) -> None:
        """The data plane reports."""
        key = ObjectKey(TARGET, name)
        patch = MergePatch({"status": {"state": state, **status}})
        await self.provider.patch(self.kinds.apinet_network_interface, key, patch, subresource="status")

    async def edit(self, resource: Resource[Any], name: str, **parts: Any) -> None:
        """Somebody changes parts of an object of the api-net cluster."""
        await self.provider.patch(resource, ObjectKey(TARGET, name), MergePatch(parts))

    async def remove(self, resource: Resource[Any], name: str) -> None:
        """Somebody deletes an object of the api-net cluster."""
        await self.provider.delete(resource, ObjectKey(TARGET, name))

    # -- what is there ---------------------------------------------------------------------------------------------

    def find(self, server: ApiServer, resource: Resource[T], name: str, namespace: str) -> T | None:
        found = server.storage.get(resource.name, f"{namespace}/{name}")
        return None if found is None else resource.codec.decode(found.raw)

    def vip(self, name: str = "public", namespace: str = HOME) -> networking.VirtualIP:
        """A VirtualIP that is there; fails if it is not."""
        found = self.find(self.here, self.kinds.virtual_ip, name, namespace)
        assert found is not None, f"no VirtualIP {name}"
        return found

    def nic(self, name: str = "nic", namespace: str = HOME) -> networking.NetworkInterface:
        """A NetworkInterface that is there; fails if it is not."""
        found = self.find(self.here, self.kinds.network_interface, name, namespace)
        assert found is not None, f"no NetworkInterface {name}"
        return found

    def ip(self, vip: networking.VirtualIP) -> apinet.IP:
        """The counterpart of a VirtualIP; fails if it is not there."""
        found = self.find(self.there, self.kinds.apinet_ip, vip.metadata.uid, TARGET)
        assert found is not None, f"no IP for {vip.metadata.name}"
        return found

    def interface(self, name: str = "machine-0") -> apinet.NetworkInterface:
        """An interface of the data plane that is there; fails if it is not."""
        found = self.find(self.there, self.kinds.apinet_network_interface, name, TARGET)
        assert found is not None, f"no interface {name}"
        return found

    @property
    def vips(self) -> list[str]:
        return [one.metadata.name for one in self.here.objects(self.kinds.virtual_ip)]

    @property
    def nics(self) -> list[str]:
        return [one.metadata.name for one in self.here.objects(self.kinds.network_interface)]

    @property
    def ips(self) -> list[apinet.IP]:
        return self.there.objects(self.kinds.apinet_ip)

    @property
    def taken(self) -> list[str]:
        """The addresses that are not free."""
        return self.there.storage.keys(f"ipaddresses.{self.kinds.apinet_ip.group}")

    def public(self, name: str = "machine-0") -> list[str]:
        """The public addresses that an interface of the data plane lists."""
        return [one.ip for one in self.interface(name).spec.public_ips]

    def holder(self, name: str = "machine-0") -> str:
        """The uid of the source interface that has claimed an interface of the data plane; "" for none."""
        origin = Origins(self.generation, "NetworkInterface").of(self.interface(name).metadata)
        return origin.uid if origin is not None else ""

    def origin_of(self, kind: str, name: str, uid: str, namespace: str = HOME) -> dict[str, Any]:
        """Origin metadata that name a source."""
        source = ObjectMeta(namespace=namespace, name=name, uid=uid)
        return dict(Origins(self.generation, kind).metadata(source))

    def provider_id(self, found: apinet.NetworkInterface | None, *, uid: str = "", namespace: str = TARGET) -> str:
        """The provider ID of an interface of the data plane; its node is not the one where it is: nobody compares."""
        name = found.metadata.name if found is not None else "unknown"
        return str(
            ProviderID.network_interface(
                self.generation.scheme,
                namespace=namespace,
                name=name,
                node="node",
                uid=uid or (found.metadata.uid if found is not None else "nobody"),
            )
        )

    def read_live(self, agent: str) -> list[str]:
        """The objects that somebody asked a server for, one by one."""
        kinds = {one.name for one in asdict(self.kinds, recurse=False).values() if isinstance(one, Resource)}
        return [
            f"{one.resource} {one.key}"
            for server in (self.here, self.there)
            for one in server.audit
            if one.user_agent == agent and one.verb == "get" and one.resource in kinds
        ]

    def unsafe(self) -> Sequence[str]:
        """Addresses that an interface lists although they are free, or another object's."""
        users = {one.spec.ip: _users(one) for one in self.ips if one.spec.ip in self.taken}
        return [
            f"{nic.metadata.name} lists {entry.ip}, which is not its own"
            for nic in self.there.objects(self.kinds.apinet_network_interface)
            for entry in nic.spec.public_ips
            if nic.metadata.uid not in users.get(entry.ip, ())
        ]


def _users(ip: apinet.IP) -> set[str]:
    """The uids of who may list an address: its claimer, or whom it was made for."""
    claim = ip.spec.claim_ref
    return {*(owner.uid for owner in ip.metadata.owner_references), *([claim.uid] if claim is not None else [])}
