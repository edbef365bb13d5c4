"""Pods: what the server writes into a new one, and what may not be in one.

The checks are those that users meet; what is left out stands in ``docs/testing.md``. Pure. Source: k8s.io/kubernetes,
``pkg/registry/core/pod``, ``pkg/apis/core/validation`` and the admission plugins Priority and DefaultTolerationSeconds.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from reconcile.kube.quantity import Quantity
from reconcile.kube.resource import Resource
from reconcile.testing.apiserver import names, walks
from reconcile.testing.apiserver.admission import Write
from reconcile.testing.apiserver.failure import (
    Document,
    Fault,
    GroupName,
    duplicate,
    forbidden,
    forbidden_field,
    invalid_value,
    not_found_field,
    not_supported,
    required,
)

_PRIORITY_CLASSES: Final = Resource.untyped(
    "scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", namespaced=False
)
_SYSTEM_CLASSES: Final = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}
_UNREADY: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TOLERATED_SECONDS: Final = 300


def prepare(write: Write) -> None:
    """Status, class of service, priority and tolerations of a new pod.

    Raises:
        Failure: 403 for a priority class that is not there.
    """
    new = write.new
    if new is None or write.old is not None:
        return
    spec = new["spec"]
    new["status"] = {"phase": "Pending", "qosClass": quality(spec)}
    _prioritise(write, spec)
    tolerations = spec.get("tolerations", [])
    missing = [key for key in _UNREADY if not any(_tolerates(one, key) for one in tolerations)]
    if missing:
        spec["tolerations"] = tolerations + [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _TOLERATED_SECONDS}
            for key in missing
        ]


def _tolerates(toleration: Document, key: str) -> bool:
    return toleration.get("key", key) in ("", key) and toleration.get("effect", "NoExecute") in ("", "NoExecute")


def _prioritise(write: Write, spec: Document) -> None:
    name = spec.get("priorityClassName", "")
    priority, policy = 0, "PreemptLowerPriority"
    if name in _SYSTEM_CLASSES:
        priority = _SYSTEM_CLASSES[name]
    else:
        classes = list(write.world.list(_PRIORITY_CLASSES))
        chosen = [one for one in classes if (one["metadata"]["name"] == name if name else one.get("globalDefault"))]
        if name and not chosen:
            pod = write.object["metadata"].get("name", "")
            raise forbidden(GroupName("", "pods"), pod, f"no PriorityClass with name {name} was found")
        if chosen:
            found = min(chosen, key=lambda one: one["value"])
            spec["priorityClassName"] = found["metadata"]["name"]
            priority, policy = found["value"], found.get("preemptionPolicy", policy)
    spec["priority"] = priority
    spec.setdefault("preemptionPolicy", policy)


def quality(spec: Document) -> str:
    """Guaranteed, Burstable or BestEffort."""
    both = [*(spec.get("containers") or ()), *spec.get("initContainers", ())] if "resources" not in spec else [spec]
    asked = guaranteed = False
    guaranteed = bool(both)
    for one in both:
        resources = one.get("resources", {})
        requests, limits = (_compute(resources.get(part, {})) for part in ("requests", "limits"))
        asked = asked or bool(requests or limits)
        guaranteed = guaranteed and limits.keys() == {"cpu", "memory"} and {**limits, **requests} == limits
    return "Guaranteed" if guaranteed and asked else "Burstable" if asked else "BestEffort"


def _compute(amounts: Document) -> dict[str, Decimal]:
    found = {name: Decimal(Quantity(str(amount))) for name, amount in amounts.items() if name in ("cpu", "memory")}
    return {name: amount for name, amount in found.items() if amount}


# -- rules ---------------------------------------------------------------------------------------------------------

_POLICIES: Final = ("Always", "OnFailure", "Never")
_CHANGEABLE: Final = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")


def judge(write: Write) -> Iterator[Fault]:
    """What a pod may not be, or become."""
    new, old = write.new or {}, write.old
    if old is None:
        yield from spec_faults(new["spec"], "spec")
    elif not write.subresource:
        yield from spec_faults(new["spec"], "spec")
        yield from _changed(new["spec"], old["spec"])


def _changed(new: Document, old: Document) -> Iterator[Fault]:
    for part in ("containers", "initContainers"):
        if len(new.get(part) or ()) != len(old.get(part) or ()):
            yield forbidden_field(f"spec.{part}", "pod updates may not add or remove containers")
            return
    kept = {_but_seconds(one) for one in new.get("tolerations", ())}
    if any(_but_seconds(one) not in kept for one in old.get("tolerations", ())):
        yield forbidden_field(
            "spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"
        )
        return
    before = {name: value for name, value in old.items() if name not in _CHANGEABLE}
    after = {name: value for name, value in new.items() if name not in _CHANGEABLE}
    if "nodeName" in after and "nodeName" not in before:
        after["nodeName"] = before.get("nodeName")
        after.pop("nodeName") if after["nodeName"] is None else None
    for part in ("containers", "initContainers"):
        images = [one.get("image") for one in before.get(part, ())]
        if len(after.get(part, ())) == len(images):
            after[part] = [
                {**one, "image": image} for one, image in zip(after.get(part, ()), images, strict=True)
            ] or before.get(part)
            if after[part] is None:
                del after[part]
    if not walks.equal(before, after):
        yield forbidden_field("spec", _IMMUTABLE)


def _but_seconds(toleration: Document) -> tuple[str, ...]:
    """What may not change in a toleration."""
    return tuple(str(toleration.get(name) or "") for name in ("key", "operator", "value", "effect"))


_IMMUTABLE: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def spec_faults(spec: Document, path: str) -> Iterator[Fault]:
    """What is wrong with the spec of a pod or of a template of pods."""
    volumes: dict[str, Document] = {}
    for index, volume in enumerate(spec.get("volumes", ())):
        at = f"{path}.volumes[{index}]"
        yield from _volume(volume, at, volumes)
        volumes.setdefault(volume.get("name", ""), volume)
    seen: set[str] = set()
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    for part in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(part) or ()):
            yield from _container(container, f"{path}.{part}[{index}]", volumes, seen)
    policy = spec.get("restartPolicy", "")
    if policy not in _POLICIES:
        yield not_supported(f"{path}.restartPolicy", policy, _POLICIES) if policy else required(f"{path}.restartPolicy")
    policy = spec.get("dnsPolicy", "")
    if policy not in _DNS:
        yield not_supported(f"{path}.dnsPolicy", policy, _DNS_SAID) if policy else required(f"{path}.dnsPolicy")
    for key, value in (spec.get("nodeSelector") or {}).items():
        yield from (invalid_value(f"{path}.nodeSelector", key, says) for says in names.label_key(key))
        yield from (invalid_value(f"{path}.nodeSelector", value, says) for says in names.label_value(value))
    for name in ("serviceAccountName", "nodeName", "priorityClassName"):
        if spec.get(name):
            yield from (
                invalid_value(f"{path}.{name}", spec[name], says) for says in names.subdomain(spec[name], False)
            )
    for name in ("hostname", "subdomain"):
        if spec.get(name):
            yield from (invalid_value(f"{path}.{name}", spec[name], says) for says in names.label(spec[name], False))
    seconds = spec.get("activeDeadlineSeconds")
    if seconds is not None and not 1 <= seconds < 2**31:
        yield invalid_value(f"{path}.activeDeadlineSeconds", seconds, "must be between 1 and 2147483647, inclusive")
    if (seconds := spec.get("terminationGracePeriodSeconds", 0)) < 0:
        yield invalid_value(f"{path}.terminationGracePeriodSeconds", seconds, names.NOT_NEGATIVE)


_DNS_SAID: Final = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_DNS: Final = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_PULLS: Final = ("Always", "IfNotPresent", "Never")
_MESSAGES: Final = ("File", "FallbackToLogsOnError")


def _volume(volume: Document, at: str, known: dict[str, Document]) -> Iterator[Fault]:
    name = volume.get("name", "")
    if not name:
        yield required(f"{at}.name")
    else:
        yield from (invalid_value(f"{at}.name", name, says) for says in names.label(name, False))
        if name in known:
            yield duplicate(f"{at}.name", name)
    sources = [one for one in volume if one != "name"]
    for extra in sources[1:]:
        yield forbidden_field(f"{at}.{extra}", "may not specify more than 1 volume type")
    needed = {"hostPath": "path", "secret": "secretName", "configMap": "name", "persistentVolumeClaim": "claimName"}
    for source, field in needed.items():
        if source in volume and not volume[source].get(field):
            yield required(f"{at}.{source}.{field}")


def _container(container: Document, at: str, volumes: dict[str, Document], seen: set[str]) -> Iterator[Fault]:
    name, image = container.get("name", ""), container.get("image", "")
    if not name:
        yield required(f"{at}.name")
    else:
        yield from (invalid_value(f"{at}.name", name, says) for says in names.label(name, False))
        if name in seen:
            yield duplicate(f"{at}.name", name)
        seen.add(name)
    if not image:
        yield required(f"{at}.image")
    elif image != image.strip():
        yield invalid_value(f"{at}.image", image, "must not have leading or trailing whitespace")
    if (policy := container.get("terminationMessagePolicy", "")) not in _MESSAGES:
        yield not_supported(f"{at}.terminationMessagePolicy", policy, ("FallbackToLogsOnError", "File"))
    yield from _ports(container.get("ports", ()), f"{at}.ports")
    yield from _variables(container.get("env", ()), f"{at}.env")
    yield from _mounts(container.get("volumeMounts", ()), f"{at}.volumeMounts", volumes)
    if (policy := container.get("imagePullPolicy", "")) not in _PULLS:
        yield not_supported(f"{at}.imagePullPolicy", policy, _PULLS) if policy else required(f"{at}.imagePullPolicy")
    yield from _resources(container.get("resources", {}), f"{at}.resources")


def _ports(ports: Any, path: str) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        at = f"{path}[{index}]"
        name = port.get("name")
        if name:
            faults = [invalid_value(f"{at}.name", name, says) for says in names.port_name(name)]
            if not faults and name in seen:
                faults = [duplicate(f"{at}.name", name)]
            seen.add(name)
            yield from faults
        if not port.get("containerPort"):
            yield required(f"{at}.containerPort")
        elif not 1 <= port["containerPort"] <= 65535:
            yield invalid_value(f"{at}.containerPort", port["containerPort"], names.PORT_NUMBER)
        if not 0 <= port.get("hostPort", 0) <= 65535:
            yield invalid_value(f"{at}.hostPort", port["hostPort"], names.PORT_NUMBER)
        if port.get("protocol") not in ("SCTP", "TCP", "UDP"):
            yield not_supported(f"{at}.protocol", port.get("protocol", ""), ("SCTP", "TCP", "UDP"))


def _variables(variables: Any, path: str) -> Iterator[Fault]:
    for index, one in enumerate(variables):
        if not one.get("name"):
            yield required(f"{path}[{index}].name")
        source = one.get("valueFrom")
        if source is not None:
            if not source:
                says = (
                    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or "
                    "`fileKeyRef`"
                )
                yield invalid_value(f"{path}[{index}].valueFrom", "", says)
            elif one.get("value"):
                says = "may not be specified when `value` is not empty"
                yield invalid_value(f"{path}[{index}].valueFrom", "", says)


def _mounts(mounts: Any, path: str, volumes: dict[str, Document]) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, one in enumerate(mounts):
        at = f"{path}[{index}]"
        name = one.get("name", "")
        if not name:
            yield required(f"{at}.name")
        elif name not in volumes:
            yield not_found_field(f"{at}.name", name)
        if not one.get("mountPath"):
            yield required(f"{at}.mountPath")
        elif one["mountPath"] in seen:
            yield invalid_value(f"{at}.mountPath", one["mountPath"], "must be unique")
        seen.add(one.get("mountPath", ""))


def _resources(resources: Document, path: str) -> Iterator[Fault]:
    limits, requests = (resources.get(part, {}) for part in ("limits", "requests"))
    for part, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            if Quantity(str(amount)) < 0:
                yield invalid_value(f"{path}.{part}[{name}]", amount, names.NOT_NEGATIVE)
    for name, amount in requests.items():
        if name in limits and Quantity(str(amount)) > Quantity(str(limits[name])):
            says = f"must be less than or equal to {name} limit of {limits[name]}"
            yield invalid_value(f"{path}.requests", amount, says)


def grace(pod: Document, asked: int | None) -> int:
    """Seconds a pod that is deleted has to end: none if it does not run."""
    spec = pod.get("spec") or {}
    if not spec.get("nodeName") or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    seconds: int = asked if asked is not None else spec.get("terminationGracePeriodSeconds") or 0
    return seconds if seconds >= 0 else 1
