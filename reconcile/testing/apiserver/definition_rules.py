"""What a CustomResourceDefinition may not say.

Pure. What is wrong with its schemas is ``structural.py``'s and ``defaults.py``'s business. Source of rules, order and
texts: apiextensions-apiserver, ``apis/apiextensions/validation``.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from reconcile.testing.apiserver import go_forms, names
from reconcile.testing.apiserver.admission import Write
from reconcile.testing.apiserver.failure import (
    Document,
    Fault,
    forbidden_field,
    go_value,
    invalid_value,
    not_supported,
    required,
)
from reconcile.testing.apiserver.fieldpaths import selectable_faults
from reconcile.testing.apiserver.schema_rules import schema_faults_of
from reconcile.testing.apiserver.walks import equal

_HOISTED: Final = {
    "schema": "validation",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}
"""Parts of versions that the real server keeps once, under these names, when all versions have the same."""


def faults(write: Write) -> Iterator[Fault]:
    """What is wrong with a definition that is to be stored."""
    new, old = write.new or {}, write.old
    if write.subresource:
        yield from name_faults((new.get("status") or {}).get("acceptedNames") or {}, "status.acceptedNames")
        return
    spec, path = new["spec"], "spec"
    own = f"{spec['names'].get('plural') or ''}.{spec.get('group') or ''}"
    if old is None and new["metadata"].get("name") != own:
        yield invalid_value("metadata.name", new["metadata"]["name"], 'must be spec.names.plural+"."+spec.group')
    yield from _spec(spec, path, old)
    if old is not None:
        before, established = old["spec"], _is_true(old, "Established")
        for one, found in (("scope", spec), ("kind", spec["names"])) if established else ():
            was = before["names"] if one == "kind" else before
            at = f"{path}.names.kind" if one == "kind" else f"{path}.scope"
            yield from _immutable(found.get(one), was.get(one), at)
        yield from _immutable(spec.get("group"), before.get("group"), f"{path}.group")
        yield from _immutable(spec["names"].get("plural"), before["names"].get("plural"), f"{path}.names.plural")
    yield from name_faults((new.get("status") or {}).get("acceptedNames") or {}, "status.acceptedNames")
    yield from _stored((new.get("status") or {}).get("storedVersions") or [], spec.get("versions") or [])
    yield from _approval_faults(new, old)
    if spec.get("preserveUnknownFields") and not (old or {}).get("spec", {}).get("preserveUnknownFields"):
        says = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        yield invalid_value(f"{path}.preserveUnknownFields", True, says)


def _is_true(definition: Document, condition: str) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(one["type"] == condition and one["status"] == "True" for one in conditions)


def _immutable(new: Any, old: Any, path: str) -> Iterator[Fault]:
    if new != old:
        yield invalid_value(path, new, "field is immutable")


def _spec(spec: Document, path: str, old: Document | None) -> Iterator[Fault]:
    group = spec.get("group") or ""
    if not group:
        yield required(f"{path}.group")
    elif complaints := names.subdomain(group, False):
        yield invalid_value(f"{path}.group", group, ",".join(complaints))
    elif "." not in group:
        yield invalid_value(f"{path}.group", group, "should be a domain with at least one dot")
    yield from _choice(spec.get("scope") or "", ("Cluster", "Namespaced"), f"{path}.scope")
    versions = spec.get("versions") or []
    shared = frozenset(
        name
        for name in _HOISTED
        if versions and all(equal(one.get(name) or None, versions[0].get(name) or None) for one in versions)
    )
    shown = go_forms.versions(spec.get("versions"), shared)
    for index, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            yield required(f"{path}.versions[{index}].schema.openAPIV3Schema")
    for index, version in enumerate(versions):
        at = f"{path}.versions[{index}]"
        if complaints := names.label_1035(version.get("name") or "", False):
            yield invalid_value(f"{at}.name", version.get("name") or "", ",".join(complaints))
        yield from _deprecation(version, at)
        for name in _HOISTED:
            if name not in shared:
                yield from _part(name, version, spec, f"{at}.{name}", old)
    listed = [one.get("name") for one in versions]
    if len(set(listed)) != len(listed):
        yield invalid_value(f"{path}.versions", shown, "must contain unique version names")
    if sum(bool(one.get("storage")) for one in versions) != 1:
        says = "must have exactly one version marked as storage version"
        yield invalid_value(f"{path}.versions", shown, says)
    if versions and (complaints := names.label_1035(listed[0] or "", False)):
        yield invalid_value(f"{path}.version", listed[0] or "", ",".join(complaints))
    for name in ("plural", "singular", "kind", "listKind"):
        if not spec["names"].get(name):
            yield required(f"{path}.names.{name}")
    yield from name_faults(spec["names"], f"{path}.names")
    for name, kept in _HOISTED.items():
        if name in shared:
            yield from _part(name, versions[0], spec, f"{path}.{kept}", old)
    yield from _conversion(spec.get("conversion"), f"{path}.conversion")


def _part(name: str, version: Document, spec: Document, path: str, old: Document | None) -> Iterator[Fault]:
    """One of the parts that may be the same for all versions."""
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if name == "schema":
        if schema is not None:
            has_status = "status" in (version.get("subresources") or {})
            yield from schema_faults_of(schema, path, has_status=has_status, before=_rules_of(old))
    elif name == "subresources":
        yield from _scale((version.get(name) or {}).get("scale"), f"{path}.scale")
    elif name == "additionalPrinterColumns":
        for index, column in enumerate(version.get(name) or ()):
            yield from _column(column, f"{path}[{index}]")
    elif version.get(name):
        yield from selectable_faults(version[name], schema or {}, path)


def _rules_of(old: Document | None) -> Iterable[Document]:
    """The schemas of the definition as it was: what they said before is not refused now."""
    versions = ((old or {}).get("spec") or {}).get("versions") or ()
    return [found for one in versions if (found := (one.get("schema") or {}).get("openAPIV3Schema"))]


def _choice(value: str, allowed: tuple[str, ...], path: str) -> Iterator[Fault]:
    if not value:
        yield required(path)
    elif value not in allowed:
        yield not_supported(path, value, allowed)


def _deprecation(version: Document, path: str) -> Iterator[Fault]:
    text = version.get("deprecationWarning")
    at = f"{path}.deprecationWarning"
    if text is None:
        return
    if not version.get("deprecated"):
        yield invalid_value(at, text, "can only be set for deprecated versions")
        return
    if len(text) > 256:
        yield invalid_value(at, text, "must be <= 256 characters long")
    if not text:
        yield invalid_value(at, text, "must not be an empty string")
    wrong = next((index for index, sign in enumerate(text) if not sign.isprintable()), None)
    if wrong is not None:
        says = f"must only contain printable UTF-8 characters; non-printable character found at index {wrong}"
        yield invalid_value(at, text, says)


def name_faults(found: Document, path: str) -> Iterator[Fault]:
    """What is wrong with the names of a definition, those that it has."""
    for name in ("plural", "singular", "kind", "listKind"):
        value = found.get(name) or ""
        complaints = names.label_1035(value.lower() if "ind" in name else value, False) if value else []
        if complaints:
            mixed = "may have mixed case, but should otherwise match: " if "ind" in name else ""
            yield invalid_value(f"{path}.{name}", value, mixed + ",".join(complaints))
    yield from _labels(found.get("shortNames") or (), f"{path}.shortNames")
    if found.get("kind") and found["kind"] == found.get("listKind"):
        yield invalid_value(f"{path}.listKind", found["listKind"], "kind and listKind may not be the same")
    yield from _labels(found.get("categories") or (), f"{path}.categories")


def _labels(values: Iterable[str], path: str) -> Iterator[Fault]:
    for index, value in enumerate(values):
        if complaints := names.label_1035(value, False):
            yield invalid_value(f"{path}[{index}]", value, ",".join(complaints))


_TYPES: Final = "boolean,date,integer,number,string"
_FORMATS: Final = "byte,date,date-time,double,float,int32,int64,password"


def _column(column: Document, path: str) -> Iterator[Fault]:
    if not column.get("name"):
        yield required(f"{path}.name")
    if not column.get("type"):
        yield required(f"{path}.type", f"must be one of {_TYPES}")
    elif column["type"] not in _TYPES.split(","):
        yield invalid_value(f"{path}.type", column["type"], f"must be one of {_TYPES}")
    if column.get("format") and column["format"] not in _FORMATS.split(","):
        yield invalid_value(f"{path}.format", column["format"], f"must be one of {_FORMATS}")
    if not column.get("jsonPath"):
        yield required(f"{path}.JSONPath")
    else:
        yield from _simple_path(column["jsonPath"], f"{path}.JSONPath")


def _simple_path(text: str, path: str) -> Iterator[Fault]:
    if not text.startswith("."):
        yield invalid_value(path, text, "must be a simple json path starting with .")


def _scale(scale: Document | None, path: str) -> Iterator[Fault]:
    if scale is None:
        return
    for name, below in (("specReplicasPath", "spec"), ("statusReplicasPath", "status")):
        if not scale.get(name):
            yield required(f"{path}.{name}")
        else:
            yield from _path_below(scale[name], (f".{below}.",), f"under .{below}", f"{path}.{name}")
    if text := scale.get("labelSelectorPath"):
        yield from _path_below(
            text, (".spec.", ".status."), "under either .spec or .status", f"{path}.labelSelectorPath"
        )


def _path_below(text: str, starts: tuple[str, ...], where: str, path: str) -> Iterator[Fault]:
    wrong = list(_simple_path(text, path))
    yield from wrong
    if not wrong and not text.startswith(starts):
        yield invalid_value(path, text, f"should be a json path {where}")


def _conversion(conversion: Document | None, path: str) -> Iterator[Fault]:
    if conversion is None:
        return
    strategy = conversion.get("strategy") or ""
    yield from _choice(strategy, ("None", "Webhook"), f"{path}.strategy")
    webhook = conversion.get("webhook") or {}
    config, versions = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or []
    at = f"{path}.webhookClientConfig"
    if strategy != "Webhook":
        says = "should not be set when strategy is not set to Webhook"
        if config is not None:
            yield forbidden_field(at, says)
        if versions:
            yield forbidden_field(f"{path}.conversionReviewVersions", says)
        return
    if config is None:
        yield required(at, "required when strategy is set to Webhook")
    else:
        yield from client_config_faults(config, at)
    yield from _review_versions(versions, f"{path}.conversionReviewVersions")


def client_config_faults(config: Document, path: str) -> Iterator[Fault]:
    """What is wrong with where a webhook is to be found."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        yield required(path, "exactly one of url or service is required")
    elif url is not None:
        yield from url_faults(url, f"{path}.url")
    elif service is not None:
        yield from service_faults(service, f"{path}.service")


_FORM: Final = "; desired format: https://host[/path]"


def url_faults(url: str, path: str) -> Iterator[Fault]:
    """What is wrong with the address of a webhook."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        yield invalid_value(path, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}")
    if not parts.netloc.rpartition("@")[2]:
        yield invalid_value(path, "", f"host must be specified{_FORM}")
    if "@" in parts.netloc:
        user = parts.netloc.rpartition("@")[0]
        yield invalid_value(path, user, "user information is not permitted in the URL")
    if parts.fragment:
        yield invalid_value(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield invalid_value(path, parts.query, "query parameters are not permitted in the URL")


def service_faults(service: Document, path: str) -> Iterator[Fault]:
    """What is wrong with the service of a webhook."""
    for name in ("name", "namespace"):
        if not service.get(name):
            yield required(f"{path}.{name}")
    port = service.get("port", 443)
    if not 1 <= port <= 65535:
        yield invalid_value(f"{path}.port", port, "port is not valid: must be between 1 and 65535, inclusive")
    where = service.get("path")
    if not where or where == "/":
        return
    at = f"{path}.path"
    if where == "//":
        yield invalid_value(at, where, "segment[0] may not be empty")
        return
    if not where.startswith("/"):
        yield invalid_value(at, where, "must start with a '/'")
    for index, step in enumerate(where[1:].removesuffix("/").split("/")):
        if not step:
            yield invalid_value(at, where, f"segment[{index}] may not be empty")
        else:
            yield from (invalid_value(at, where, f"segment[{index}]: {one}") for one in names.subdomain(step, False))


def _review_versions(versions: list[str], path: str) -> Iterator[Fault]:
    if not versions:
        yield required(path)
        return
    seen: set[str] = set()
    for index, version in enumerate(versions):
        if version in seen:
            yield invalid_value(f"{path}[{index}]", version, "duplicate version")
            continue
        seen.add(version)
        yield from (invalid_value(f"{path}[{index}]", version, one) for one in names.label_1035(version, False))
    if not seen & {"v1", "v1beta1"}:
        yield invalid_value(path, versions, "must include at least one of v1, v1beta1")


def _stored(stored: list[str], versions: list[Document]) -> Iterator[Fault]:
    path = "status.storedVersions"
    if not stored:
        yield invalid_value(path, stored or None, "must have at least one stored version")
        return
    for version in versions:
        if version.get("storage") and version["name"] not in stored:
            yield invalid_value(path, stored, f"must have the storage version {version['name']}")
    listed = {version["name"] for version in versions}
    for index, name in enumerate(stored):
        if name not in listed:
            says = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} and removes "
                f"{name} from status.storedVersions"
            )
            yield invalid_value(f"{path}[{index}]", name, says)


_APPROVAL: Final = "api-approved.kubernetes.io"
_SEE: Final = "see https://github.com/kubernetes/enhancements/pull/1111"
_MISSING: Final = f'protected groups must have approval annotation "{_APPROVAL}", {_SEE}'
_INVALID: Final = (
    f'protected groups must have approval annotation "{_APPROVAL}" with either a URL or a reason starting with '
    f'"unapproved", {_SEE}'
)


def _is_protected(definition: Document) -> bool:
    group = definition["spec"].get("group") or ""
    return f".{group}".endswith((".k8s.io", ".kubernetes.io"))


def approval(definition: Document) -> Iterator[tuple[bool, str, str]]:
    """Whether a definition in one of Kubernetes' own groups may be there: the condition's value, reason and message."""
    if not _is_protected(definition):
        return
    value = _annotation(definition)
    match _approval_state(value):
        case "missing":
            yield False, "MissingAnnotation", _MISSING
        case "invalid":
            yield False, "InvalidAnnotation", _INVALID
        case "bypassed":
            yield False, "UnapprovedAnnotation", f"not approved: {go_value(value)}"
        case _:
            yield True, "ApprovedAnnotation", f"approved in {value}"


def _approval_faults(new: Document, old: Document | None) -> Iterator[Fault]:
    if not _is_protected(new):
        return
    path, value = f"metadata.annotations[{_APPROVAL}]", _annotation(new)
    state = _approval_state(value)
    if old is not None and _approval_state(_annotation(old)) == state:
        return
    if state == "missing":
        yield required(path, _MISSING)
    elif state == "invalid":
        yield invalid_value(path, value, _INVALID)


def _annotation(definition: Document) -> str:
    return (definition["metadata"].get("annotations") or {}).get(_APPROVAL) or ""


def _approval_state(value: str) -> str:
    if not value:
        return "missing"
    parts = urlsplit(value)
    if value.startswith("unapproved"):
        return "bypassed"
    return "approved" if parts.scheme and parts.netloc else "invalid"
