"""The files of ``deploy``: bases, overlays and components of kustomize, the chart, and what Prometheus reads itself."""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from apinetlet.api import GENERATIONS
from apinetlet.assembly import SOURCE
from tools.deploy import alerts, dashboard, objects
from tools.deploy.objects import Object
from tools.deploy.template import all_of, dumped, filled, templated
from tools.deploy.values import NAMESPACE, VALUES, defaults, schema, values_yaml

FOLDER: Final = Path(__file__).resolve().parent.parent.parent / "deploy"
MADE: Final = "# made by tools/deploy from one source, with its counterpart for {}; do not edit\n"
KUSTOMIZE: Final = "kustomize.config.k8s.io/v1beta1"


def files() -> Mapping[str, str]:
    """All of them by path."""
    return {**kustomize(), **chart(), **prometheus()}


def outdated() -> list[str]:
    """The files that are not as they should be, or should not be there."""
    wanted = files()
    found = {str(one.relative_to(FOLDER)): one.read_text() for one in FOLDER.rglob("*") if one.is_file()}
    return sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))


def write() -> None:
    """Make the folder anew."""
    wanted = files()
    shutil.rmtree(FOLDER, ignore_errors=True)
    for path, text in wanted.items():
        place = FOLDER / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def kustomize() -> Mapping[str, str]:
    """The base has everything but the generation; an overlay adds that and the rights; monitoring is a component."""
    values = defaults(monitoring__serviceMonitor=True, monitoring__rules=True, monitoring__dashboard=True)
    found = dict(_resources("kustomize/base", _documents(_without_generation(), values), "Kustomization"))
    found |= _resources("kustomize/components/monitoring", _documents(objects.monitoring(), values), "Component")
    for name, generation in GENERATIONS.items():
        chosen = {**values, "generation": name}
        for side in objects.SIDES:
            whole = objects.rights(generation, side, objects.group(generation, side), whole=True)
            listed = [("rights.yaml", filled(one, chosen)) for one in whole]
            found |= _resources(f"kustomize/rights/{name}/{side}", listed, "Kustomization")
            more = objects.renewal(side, objects.group(generation, side))
            renewing = [("rights.yaml", filled(one, chosen)) for one in more]
            found |= _resources(f"kustomize/rights/{name}/{side}-renewal", renewing, "Kustomization")
        whole = objects.rights(generation, SOURCE, objects.account(), whole=True)
        own = [("rights.yaml", filled(one, chosen)) for one in whole]
        enforced = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": enforced}}
        flag = {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": f"--generation={name}"}
        found |= _resources(
            f"kustomize/overlays/{name}",
            [("namespace.yaml", space), *own],
            "Kustomization",
            first=["../../base"],
            patches=[{"target": {"kind": "Deployment", "name": values["release.name"]}, "patch": dumped([flag])}],
        )
    return found


def _without_generation() -> list[Object]:
    """The generation is the last flag, so that an overlay adds it where the chart has it."""
    found = []
    for one in objects.running():
        if one.document["kind"] == "Deployment":
            [container] = one.document["spec"]["template"]["spec"]["containers"]
            assert container["args"].pop() == "--generation=${generation}"
        found.append(one)
    return found


def _documents(parts: Iterable[Object], values: Mapping[str, Any]) -> Sequence[tuple[str, Any]]:
    return [
        (one.file, filled(one.document, values))
        for one in parts
        if all(condition.holds(values) for condition in one.conditions)
    ]


def _resources(
    folder: str, documents: Sequence[tuple[str, Any]], kind: str, *, first: Sequence[str] = (), **more: Any
) -> Mapping[str, str]:
    """The files of one folder, with the file that lists them."""
    head = MADE.format("Helm")
    names = [*first, *dict.fromkeys(file for file, _ in documents)]
    version = KUSTOMIZE if kind == "Kustomization" else KUSTOMIZE.replace("v1beta1", "v1alpha1")
    found = {
        f"{folder}/kustomization.yaml": head + dumped({"apiVersion": version, "kind": kind, "resources": names, **more})
    }
    for file, together in groupby(documents, key=lambda one: one[0]):
        found[f"{folder}/{file}"] = head + "---\n".join(dumped(document) for _, document in together)
    return found


def chart() -> Mapping[str, str]:
    """The Helm chart."""
    values = _types()
    about = {
        "apiVersion": "v2",
        "name": "apinetlet",
        "description": "Maps the networking objects of a source cluster into an api-net cluster, and reports back",
        "type": "application",
        "version": values["image.tag"],
        "appVersion": values["image.tag"],
        "kubeVersion": ">=1.25.0-0",
    }
    found = {
        "Chart.yaml": MADE.format("kustomize") + dumped(about),
        "values.yaml": MADE.format("kustomize") + values_yaml(),
        "values.schema.json": json.dumps(schema(), indent=2) + "\n",
        "templates/NOTES.txt": NOTES,
    }
    parts = [*objects.running(), *objects.rights_of_the_pod(), *objects.stores_of_the_pod()]
    parts += [*objects.reviews_of_the_pod(), *objects.monitoring()]
    for file, together in groupby(parts, key=lambda one: one.file):
        found[f"templates/{file}"] = MADE.format("kustomize") + "".join(_template(one, values) for one in together)
    return {f"helm/apinetlet/{path}": text for path, text in found.items()}


def _types() -> Mapping[str, Any]:
    """A value of the right type for every place."""
    return {value.path: value.default for value in VALUES}


def _template(one: Object, values: Mapping[str, Any]) -> str:
    text = "---\n" + templated(one.document, values)
    return f"{{{{- if {all_of(one.conditions)} }}}}\n{text}{{{{- end }}}}\n" if one.conditions else text


NOTES: Final = """\
{{ .Release.Name }} writes to the namespace {{ .Values.apinet.namespace }} of the api-net cluster.
{{- range $side := list "source" "apinet" }}
{{- $prefix := ternary "" "api-net-" (eq $side "source") }}
{{- with get $.Values $side }}
{{- if .kubeconfigSecret }}
The {{ $side }} cluster is reached by the kubeconfig in the Secret {{ .kubeconfigSecret }}.
Its identity needs the rights that this prints{{ if not .rotate }}, with its name in place of NAME{{ end }}:
  apinetlet rbac --side={{ $side }} --generation={{ $.Values.generation }}
  {{- print " --api-net-namespace=" $.Values.apinet.namespace }}
  {{- if eq $side "source" }} --leader-elect --leader-election-namespace={{ $.Release.Namespace }}{{ end }}
  {{- with $.Values.source.namespace }} --namespace={{ . }}{{ end }}
  {{- if and $.Values.monitoring.secure (eq $side "source") }} --metrics-bind-address=:8080{{ end }}
  {{- if .rotate }} --{{ $prefix }}kubeconfig-secret-name={{ .kubeconfigSecret }} --{{ $prefix }}rotate-certificates
  {{- else }} --{{ $prefix }}subject=User:NAME{{ end }}
{{- end }}
{{- if .bootstrapSecret }}
Its first certificate is requested by the kubeconfig in the Secret {{ .bootstrapSecret }}.
That one's identity needs the rights in deploy/kustomize/rights/{{ $.Values.generation }}/{{ $side }}-renewal.
{{- end }}
{{- end }}
{{- end }}
"""


def prometheus() -> Mapping[str, str]:
    """For a Prometheus without an operator, and a Grafana without a sidecar."""
    return {
        "monitoring/rules.yaml": MADE.format("Helm and kustomize") + dumped(alerts.groups("")),
        "monitoring/dashboard.json": dashboard.text(),
    }
