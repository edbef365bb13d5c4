"""Machines: what is attached to one gets an interface in the data plane, and its provider ID once that works.

Plays the machine poollet and the provider behind it. Attached is what has a ``machineRef``; the interface is made when
the network has its provider ID and every address is known, and goes when the reference does.
"""

from typing import Any

from attrs import frozen

from apinetlet.demo.actors.desk import (
    MACHINE,
    NETWORK,
    SOURCE,
    Desk,
    document,
    is_allocated,
    key_of,
    look,
    network_of,
    requests,
    sees,
    spec_of,
)
from provider import Meaning, ProviderID, parse
from reconcile import DONE, Controller, For, Object, ObjectKey, Request, Result, Watches, enqueue_by
from reconcile.controller.source import AnySource
from reconcile.kube import MergePatch

NODE = "partition-a.node-1"
"""Where all machines run."""


@frozen
class Machines:
    """Attaches and detaches interfaces of the source cluster."""

    desk: Desk
    namespace: str
    """Of the interfaces in the api-net cluster."""
    node: str = NODE

    async def reconcile(self, request: Request) -> Result:
        desk = self.desk
        interface = desk.of("networkinterfaces", request.key)
        uid = None if interface is None else interface.metadata.uid
        attached = interface is not None and look(interface, "spec", "machineRef") is not None
        made = desk.all_there("networkinterfaces", MACHINE, request.key)
        mine = [one for one in made if attached and one.metadata.labels[f"{desk.machine_label}-uid"] == uid]
        for one in made:
            if one not in mine:
                await desk.apinet.delete(one)
        if interface is None or interface.metadata.is_deleting:
            return DONE
        if not mine:
            await self._report(interface, "")
            if attached and (spec := self._spec(interface)) is not None:
                await desk.apinet.create(self._body(interface, spec))
        elif look(mine[0], "status", "state") == "Ready" and not mine[0].metadata.is_deleting:
            await self._report(interface, self._provider_id(mine[0]))
        return DONE

    async def _report(self, interface: Object, provider_id: str) -> None:
        if (look(interface, "spec", "providerID") or "") != provider_id:
            await self.desk.source.patch(interface, MergePatch({"spec": {"providerID": provider_id}}))

    def _spec(self, interface: Object) -> dict[str, Any] | None:
        """What the data plane is told; ``None`` while something is not known yet."""
        key = network_of(interface)
        network = self.desk.of("networks", key) if key is not None else None
        provider_id = look(network, "spec", "providerID")
        ips = [self._address(interface, index) for index in range(len(look(interface, "spec", "ips") or ()))]
        if not provider_id or not all(ips):
            return None
        name = parse(provider_id, scheme=self.desk.generation.scheme, meaning=Meaning.NETWORK).name
        return {"nodeRef": {"name": self.node}, "networkRef": {"name": name}, "ips": ips}

    def _address(self, interface: Object, index: int) -> str | None:
        one = look(interface, "spec", "ips")[index]
        if value := one.get("value"):
            return str(value)
        prefix = self.desk.of("prefixes", key_of(interface, f"{interface.metadata.name}-{index}"))
        if prefix is None or not is_allocated(prefix):
            return None
        return str(look(prefix, "spec", "prefix")).partition("/")[0]

    def _body(self, interface: Object, spec: dict[str, Any]) -> Any:
        metadata, label = interface.metadata, self.desk.machine_label
        labels = {label: metadata.namespace, f"{label}-name": metadata.name, f"{label}-uid": metadata.uid}
        key = ObjectKey(self.namespace, f"machine-{metadata.uid}")
        return document(self.desk.at_apinet["networkinterfaces"], key, metadata={"labels": labels}, spec=spec)

    def _provider_id(self, found: Object) -> str:
        return str(
            ProviderID.network_interface(
                self.desk.generation.scheme,
                namespace=found.metadata.namespace,
                name=found.metadata.name,
                node=self.node,
                uid=found.metadata.uid,
            )
        )


def controllers(desk: Desk, namespace: str) -> list[Controller]:
    """The one for all machines."""
    interfaces = desk.at_source["networkinterfaces"]

    def made_for(found: Object) -> list[Request]:
        labels = found.metadata.labels
        name = labels.get(f"{desk.machine_label}-name")
        return requests(SOURCE, [ObjectKey(labels[desk.machine_label], name)] if name else [])

    def within(network: Object) -> list[Request]:
        return requests(SOURCE, desk.source.store(interfaces).keys_by(NETWORK, network.metadata.key))

    def owner(prefix: Object) -> list[Request]:
        reference = prefix.metadata.controller
        is_ours = reference is not None and reference.kind == "NetworkInterface"
        return requests(SOURCE, [key_of(prefix, reference.name)] if reference is not None and is_ours else [])

    sources: list[AnySource] = [
        For(desk.source, interfaces, sees(spec_of)),
        Watches(
            desk.source,
            desk.at_source["networks"],
            enqueue_by(within),
            sees(lambda network: look(network, "spec", "providerID")),
        ),
        Watches(
            desk.source,
            desk.at_source["prefixes"],
            enqueue_by(owner),
            sees(lambda prefix: look(prefix, "spec", "prefix") if is_allocated(prefix) else None),
        ),
        Watches(
            desk.apinet,
            desk.at_apinet["networkinterfaces"],
            enqueue_by(made_for),
            sees(lambda found: (look(found, "status", "state"), found.metadata.is_deleting)),
        ),
    ]
    return [desk.controller("machines", Machines(desk, namespace), sources)]
