"""VirtualIPs of the source cluster: made for interfaces that ask for one, and released when their interface is gone.

Source: the controllers for ephemeral virtual IPs and for their release of the Go source clusters.
"""

from typing import Any

from attrs import frozen

from apinetlet.api import IRONCORE
from apinetlet.demo.actors.desk import (
    CLAIMER,
    SOURCE,
    Desk,
    claimer_of,
    document,
    goes,
    is_controlled,
    look,
    owned_by,
    owners_of,
    requests,
    sees,
    wishes,
)
from reconcile import DONE, Controller, For, Object, Owns, Request, Result, Watches, enqueue_by
from reconcile.controller.predicate import exactly
from reconcile.kube import MergePatch


@frozen
class Ephemerals:
    """Makes the VirtualIP that an interface asks for, preset to it, under its name."""

    desk: Desk

    async def reconcile(self, request: Request) -> Result:
        desk, kind = self.desk, self.desk.at_source["virtualips"]
        interface = desk.of("networkinterfaces", request.key)
        if interface is None or interface.metadata.is_deleting:
            return DONE
        template = look(interface, "spec", "virtualIP", "ephemeral", "virtualIPTemplate")
        found = desk.of("virtualips", request.key)
        if template is not None and found is None:
            await desk.source.create(self._body(interface, template))
        elif template is None and found is not None and is_controlled(found, interface):
            await desk.source.delete(kind, found.metadata.key, uid=found.metadata.uid)
        return DONE

    def _body(self, interface: Object, template: dict[str, Any]) -> Any:
        desk, metadata = self.desk, dict(look(template, "metadata") or {})
        spec = {name: value for name, value in (look(template, "spec") or {}).items() if name != "reclaimPolicy"}
        spec["targetRef"] = {"name": interface.metadata.name, "uid": interface.metadata.uid}
        owner: dict[str, Any] | None = owned_by(interface, desk.at_source["networkinterfaces"])
        if desk.generation is IRONCORE:
            mark = {f"{desk.generation.common}/ephemeral-managed-by": "ephemeral-manager"}
            metadata["annotations"] = {**metadata.get("annotations", {}), **mark}
            if look(template, "spec", "reclaimPolicy") == "Retain":
                owner = None
        kept = {name: metadata[name] for name in ("labels", "annotations") if metadata.get(name)}
        return document(desk.at_source["virtualips"], interface.metadata.key, owner, metadata=kept, spec=spec)


@frozen
class Release:
    """Frees a VirtualIP once there is no interface of the name it is claimed by, whatever its uid."""

    desk: Desk

    async def reconcile(self, request: Request) -> Result:
        virtual_ip = self.desk.of("virtualips", request.key)
        claimer = None if virtual_ip is None else claimer_of(virtual_ip)
        if virtual_ip is None or virtual_ip.metadata.is_deleting:  # one that goes is claimed by nobody anew
            return DONE
        if claimer is None or self.desk.of("networkinterfaces", claimer) is not None:
            return DONE
        metadata = {"resourceVersion": virtual_ip.metadata.resource_version}
        await self.desk.source.patch(virtual_ip, MergePatch({"metadata": metadata, "spec": {"targetRef": None}}))
        return DONE


def controllers(desk: Desk) -> list[Controller]:
    """Both of them."""
    interfaces, virtual_ips = desk.at_source["networkinterfaces"], desk.at_source["virtualips"]

    def claimed(interface: Object) -> list[Request]:
        return requests(SOURCE, desk.source.store(virtual_ips).keys_by(CLAIMER, interface.metadata.key))

    return [
        desk.controller(
            "ephemeral-virtual-ips",
            Ephemerals(desk),
            [For(desk.source, interfaces, sees(wishes("virtualIP"))), Owns(desk.source, virtual_ips, sees(owners_of))],
        ),
        desk.controller(
            "virtual-ip-release",
            Release(desk),
            [
                For(desk.source, virtual_ips, sees(claimer_of)),
                Watches(desk.source, interfaces, enqueue_by(claimed), exactly(goes)),
            ],
        ),
    ]
