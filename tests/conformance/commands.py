"""What a person types: kubectl without a flag that makes it lenient, told to any server.

The commands build on each other and are told in order, in one namespace. ``FILES`` lie in the folder they run in.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import yaml


def _deployment(image: str, replicas: int, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image, "ports": [{"containerPort": 80}]}]},
            },
            **more,
        },
    }


_SETTINGS: Final = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"x": "1"}}
_WIDGETS: Final = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.kube.example.com"},
    "spec": {
        "group": "kube.example.com",
        "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["toys"]},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
                },
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                    {"name": "Phase", "type": "string", "jsonPath": ".status.phase", "priority": 1},
                ],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["size"],
                                "properties": {
                                    "size": {"type": "integer", "maximum": 10},
                                    "replicas": {"type": "integer", "default": 1},
                                },
                            },
                            "status": {
                                "type": "object",
                                "properties": {"phase": {"type": "string"}, "replicas": {"type": "integer"}},
                            },
                        },
                    }
                },
            }
        ],
    },
}


def _widget(name: str, size: Any, **more: Any) -> dict[str, Any]:
    spec = {"size": size, **more}
    return {"apiVersion": "kube.example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


def _list(*items: dict[str, Any]) -> dict[str, Any]:
    """What ``get -o yaml`` shows of several objects, and what kubectl checks by itself."""
    return {"apiVersion": "v1", "kind": "List", "items": list(items)}


FILES: Final[Mapping[str, str]] = {
    name: yaml.safe_dump(content, sort_keys=False)
    for name, content in {
        "web.yaml": _deployment("i:1", 1),
        "web-2.yaml": _deployment("i:2", 2),
        "web-3.yaml": _deployment("i:3", 2),
        "settings.yaml": _SETTINGS,
        "settings-2.yaml": {**_SETTINGS, "data": {"x": "2", "y": "1"}},
        "wrong.yaml": {**_SETTINGS, "nothing": {"x": 1}},
        "widgets.yaml": _WIDGETS,
        "widget.yaml": _widget("small", 1),
        "widget-wrong.yaml": _widget("big", 11),
        "widget-typed.yaml": _widget("big", "x"),
        "widget-more.yaml": _widget("big", 1, nothing=1),
        "all.yaml": _list(_SETTINGS, _deployment("i:1", 1), _widget("listed", 1)),
        "all-wrong.yaml": _list({**_SETTINGS, "nothing": 1}, _deployment("i:1", 1, paused="x"), _widget("big", "x")),
        "kustomization.yaml": {"resources": ["settings.yaml"], "nameSuffix": "-k"},
    }.items()
}
_ROLLED_OUT: Final = json.dumps(
    {
        "status": {
            "observedGeneration": 9,
            "replicas": 4,
            "updatedReplicas": 4,
            "readyReplicas": 4,
            "availableReplicas": 4,
        }
    },
    separators=(",", ":"),
)
EDITOR: Final = "sed -i s/x:.*/x:\\ edited/"

COMMANDS: Final = (
    "create configmap a --from-literal=x=1 --from-literal=y=2",
    "create configmap a --from-literal=x=1",
    "get configmap a",
    "get cm a -o wide",
    "get cm a -o yaml",
    "get cm a -o json",
    "get cm a -o name",
    "get cm a -o jsonpath={.data.x}",
    "get cm -o custom-columns=NAME:.metadata.name,X:.data.x",
    "get cm a -o go-template={{.metadata.name}}",
    "get cm nothing",
    "get nothing",
    "get cm a --show-labels",
    "label cm a l=1 m=2",
    "label cm a l=2",
    "label cm a l=2 --overwrite",
    "label cm a m-",
    "get cm -l l=2",
    "get cm -l l=3",
    "get cm -L l",
    "get cm --field-selector metadata.name=a",
    "get cm --field-selector data.x=1",
    "annotate cm a n=1",
    'patch cm a -p {"data":{"x":"3"}}',
    'patch cm a --type=merge -p {"data":{"y":null}}',
    'patch cm a --type=json -p [{"op":"add","path":"/data/z","value":"1"}]',
    'patch cm a --type=json -p [{"op":"test","path":"/data/z","value":"2"}]',
    "describe cm a",
    "apply -f settings.yaml",
    "apply -f settings.yaml",
    "apply -f settings-2.yaml",
    "apply -f wrong.yaml",
    "diff -f settings.yaml",
    "apply -f settings.yaml --dry-run=server",
    "apply -f settings.yaml --dry-run=client",
    "apply -k .",
    "edit cm settings",
    "get cm settings -o jsonpath={.data}",
    "replace -f settings.yaml",
    "replace --force -f settings.yaml",
    "apply --server-side -f settings-2.yaml --field-manager=other",
    "apply --server-side -f settings-2.yaml --field-manager=other --force-conflicts",
    "get cm settings -o yaml --show-managed-fields",
    "delete cm settings --dry-run=server",
    "delete -f settings.yaml",
    "delete -f settings.yaml",
    "delete -f settings.yaml --ignore-not-found",
    "create secret generic s --from-literal=p=q",
    "get secret s",
    "describe secret s",
    "create serviceaccount robot",
    "get sa robot -o yaml",
    "create role reader --verb=get,list --resource=pods",
    "create rolebinding read --role=reader --serviceaccount=space:robot",
    "get role,rolebinding",
    "describe role reader",
    "create quota q --hard=pods=2",
    "create job once --image=i",
    "get job once",
    "create cronjob daily --image=i --schedule=0_0_*_*_*",
    "get cronjob daily",
    "apply -f web.yaml",
    "get deploy web",
    "get deploy web -o wide",
    "diff -f web-2.yaml",
    "apply -f web-2.yaml",
    "apply --server-side -f web-3.yaml",
    "apply --server-side -f web-3.yaml --force-conflicts",
    "scale deploy web --replicas=4",
    "scale deploy web --replicas=5 --current-replicas=3",
    "set image deploy/web c=i:4",
    "set env deploy/web A=b",
    "get deploy web -o yaml",
    "wait --for=jsonpath={.spec.replicas}=4 deploy/web --timeout=5s",
    "wait --for=condition=Available deploy/web --timeout=1s",
    f"patch deploy web --subresource=status --type=merge -p {_ROLLED_OUT}",
    "rollout status deploy/web --timeout=5s",
    "rollout restart deploy/web",
    "rollout pause deploy/web",
    "get deploy web --subresource=status -o jsonpath={.status}",
    "expose deploy web --port=80",
    "get svc web -o jsonpath={.spec.ports}",
    "autoscale deploy web --min=1 --max=3",
    "get hpa web",
    "run p --image=i",
    "get pod p",
    "describe pod p",
    "logs p",
    "delete pod p",
    "get all",
    "delete deploy web --cascade=orphan",
    "delete svc,hpa,job,cronjob --all",
    "create deployment d --image=i --replicas=2",
    "delete deploy d --cascade=foreground",
    "create ingress front --rule=a.b/*=web:80",
    "get ingress",
    "create poddisruptionbudget keep --selector=app=web --min-available=1",
    "get pdb",
    "create priorityclass high --value=10 --description=x",
    "delete priorityclass high",
    "apply -f widgets.yaml",
    "wait --for=condition=Established crd/widgets.kube.example.com --timeout=10s",
    "apply -f widget.yaml",
    "apply -f widget-wrong.yaml",
    "apply -f widget-typed.yaml",
    "apply -f widget-more.yaml",
    "get widgets",
    "get wd -o wide",
    "get toys",
    "scale widget small --replicas=3",
    'patch widget small --type=merge --subresource=status -p {"status":{"phase":"Ready"}}',
    "wait --for=jsonpath={.status.phase}=Ready widget/small --timeout=5s",
    "describe widget small",
    "explain widget.spec",
    "explain configmap --recursive",
    "explain deployment.spec.strategy",
    "explain nothing",
    "api-resources --api-group=coordination.k8s.io",
    "api-resources --api-group=apps --sort-by=name",
    "api-resources --api-group=kube.example.com",
    "auth can-i create pods",
    "auth can-i create pods/exec --as=nobody",
    "get cm -w --request-timeout=1s",
    "get ns default",
    "get --raw /readyz",
    "get events",
    "apply -f all.yaml",
    "apply -f all.yaml",
    "apply -f all-wrong.yaml",
    "apply -f all-wrong.yaml --validate=false",
    "diff -f all.yaml",
    "delete -f all.yaml",
    "delete -f widgets.yaml",
    "delete cm --all",
    "get cm",
)
"""A ``_`` between digits of a schedule is a blank; ``space`` is the namespace."""
