"""A source VirtualIP, and what is known of its counterpart, to what each side should say.

The counterpart is an ``IP``. The body for the api-net cluster holds only what we own: the address and who claims it are
the server's. It has no owner: an IP with one goes as soon as whoever claimed it lets go. Pure.
"""

from typing import Any

from apinetlet.api import apinet, networking
from apinetlet.origin import Origins
from apinetlet.translate.body import body
from apinetlet.translate.refused import Refused, invalid
from reconcile.kube import MergePatch, Resource

PUBLIC = "Public"


def ip(
    source: networking.VirtualIP, *, resource: Resource[apinet.IP], namespace: str, origins: Origins
) -> dict[str, Any]:
    """The api-net IP for ``source``.

    Raises:
        Refused: a field that no valid VirtualIP has; names it.
    """
    if source.spec.type not in ("", PUBLIC):
        raise Refused("UnknownType", "spec.type", f"is {source.spec.type!r}, not {PUBLIC}")
    if source.spec.ip_family not in ("IPv4", "IPv6"):
        raise invalid("spec.ipFamily", f"is {source.spec.ip_family!r}, neither IPv4 nor IPv6")
    spec = {"type": PUBLIC, "ipFamily": source.spec.ip_family}
    return body(resource, source.metadata, namespace=namespace, origins=origins, spec=spec)


def immutable(source: networking.VirtualIP, target: apinet.IP) -> str:
    """The field of ``target`` that is not as ``source`` wants it and cannot be changed; "" if all is well."""
    return "spec.ipFamily" if target.spec.ip_family != source.spec.ip_family else ""


def status(source: networking.VirtualIP, target: apinet.IP) -> MergePatch | None:
    """The address for the source, if it says something else now. One that is not there yet takes nothing back."""
    if not target.spec.ip or source.status.ip == target.spec.ip:
        return None
    return MergePatch({"status": {"ip": target.spec.ip}})
