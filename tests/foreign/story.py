"""A small story that controllers of any make are told: gardens are made, changed and given up, a gardener tends them.

A gardener puts a finalizer on each Garden, keeps a ConfigMap ``garden-NAME`` with an entry for each plant (owned by the
Garden), counts the plants in its status, and writes ``epitaph-NAME`` before a Garden goes. ``end`` says what there is
when nothing is left to do: the same, whoever gardens and whatever server it is.
"""

import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from reconcile.testing.processes import Process

GROUP: Final = "foreign.example.com"
FINALIZER: Final = f"{GROUP}/gardener"
_PATIENCE: Final = 60.0
_TEXT: Final = {"type": "string"}

GARDENS: Final[Mapping[str, Any]] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"gardens.{GROUP}"},
    "spec": {
        "group": GROUP,
        "names": {"plural": "gardens", "kind": "Garden"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.beds", "statusReplicasPath": ".status.planted"},
                },
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "plants": {"type": "array", "x-kubernetes-list-type": "set", "items": _TEXT},
                                    "beds": {"type": "integer", "default": 1},
                                },
                            },
                            "status": {"type": "object", "properties": {"planted": {"type": "integer"}}},
                        },
                    }
                },
            }
        ],
    },
}


@attrs.frozen
class Site:
    """A server and one namespace on it, as the story's teller sees them."""

    url: str
    namespace: str
    token: str = ""
    ca: str = ""

    def ask(self, method: str, path: str, body: Any = None, media: str = "application/json") -> tuple[int, Any]:
        """One request; ``path`` of a resource in the namespace, or from the root with a slash."""
        split = urlsplit(self.url)
        context = ssl.create_default_context(cadata=self.ca) if self.ca else None
        host, port = split.hostname or "", split.port
        connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(host, port, context=context, timeout=30)
            if context is not None
            else http.client.HTTPConnection(host, port, timeout=30)
        )
        headers = {"Content-Type": media, **({"Authorization": f"Bearer {self.token}"} if self.token else {})}
        try:
            connection.request(method, self._path(path), json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            raw = answer.read()
            return answer.status, json.loads(raw) if raw.startswith(b"{") else raw.decode()
        finally:
            connection.close()

    def _path(self, path: str) -> str:
        if path.startswith("/"):
            return path
        base = f"/apis/{GROUP}/v1" if path.startswith("gardens") else "/api/v1"
        return f"{base}/namespaces/{self.namespace}/{path}"

    def prepare(self) -> None:
        """Have the namespace, and the kind served."""
        self.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", GARDENS)
        self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        self.until(lambda: self.ask("GET", "gardens")[0] == 200, "gardens are served")

    def kubeconfig(self) -> str:
        """How any client finds it."""
        cluster: dict[str, Any] = {"server": self.url}
        if self.ca:
            import base64

            cluster["certificate-authority-data"] = base64.b64encode(self.ca.encode()).decode()
        context = {"cluster": "it", "user": "me", "namespace": self.namespace}
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "it", "cluster": cluster}],
                "users": [{"name": "me", "user": {"token": self.token} if self.token else {}}],
                "contexts": [{"name": "it", "context": context}],
                "current-context": "it",
            }
        )

    def until(self, holds: Callable[[], bool], what: str, process: Process | None = None) -> None:
        """Wait until it is so."""
        end = time.monotonic() + _PATIENCE
        while not holds():
            if process is not None and process.code is not None:
                raise process.failed()
            assert time.monotonic() < end, f"never came: {what}"
            time.sleep(0.05)

    def read(self, path: str) -> Any:
        """An object, or ``None``."""
        code, body = self.ask("GET", path)
        return body if code == 200 else None


def a_garden(name: str, *plants: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Garden",
        "metadata": {"name": name},
        "spec": {"plants": list(plants)},
    }


def tell(site: Site, gardener: Process) -> None:
    """Everything that people do."""

    def tended(name: str, count: int) -> bool:
        garden = site.read(f"gardens/{name}")
        beds = site.read(f"configmaps/garden-{name}")
        planted = ((garden or {}).get("status") or {}).get("planted")
        return planted == count and beds is not None and len(beds.get("data") or {}) == count

    for garden in (a_garden("back", "rose", "lily"), a_garden("front", "oak")):
        code, body = site.ask("POST", "gardens", garden)
        assert code == 201, body
    site.until(lambda: tended("back", 2) and tended("front", 1), "two gardens are tended", gardener)
    site.ask("PATCH", "gardens/back", {"spec": {"plants": ["rose", "tulip", "fern"]}}, "application/merge-patch+json")
    site.until(lambda: tended("back", 3), "the change is planted", gardener)
    site.ask("DELETE", "gardens/front")
    site.until(lambda: site.read("gardens/front") is None, "a garden is given up", gardener)
    site.until(lambda: site.read("configmaps/garden-front") is None, "its beds go with it", gardener)


def end(site: Site) -> dict[str, Any]:
    """What there is in the end, without what nobody chose."""
    gardens = site.ask("GET", "gardens")[1]["items"]
    uids = {one["metadata"]["uid"]: one["metadata"]["name"] for one in gardens}
    maps = site.ask("GET", "configmaps")[1]["items"]
    return {
        "gardens": {
            one["metadata"]["name"]: {
                "finalizers": one["metadata"].get("finalizers"),
                "generation": one["metadata"]["generation"],
                "spec": one["spec"],
                "status": one.get("status"),
            }
            for one in gardens
        },
        "maps": {
            one["metadata"]["name"]: {
                "data": one.get("data"),
                "owners": [uids.get(owner["uid"]) for owner in one["metadata"].get("ownerReferences", ())],
            }
            for one in maps
            if one["metadata"]["name"] != "kube-root-ca.crt"
        },
    }


END: Final[Mapping[str, Any]] = {
    "gardens": {
        "back": {
            "finalizers": [FINALIZER],
            "generation": 2,
            "spec": {"plants": ["rose", "tulip", "fern"], "beds": 1},
            "status": {"planted": 3},
        }
    },
    "maps": {
        "garden-back": {"data": dict.fromkeys(("rose", "tulip", "fern"), "planted"), "owners": ["back"]},
        "epitaph-front": {"data": {"plants": "1"}, "owners": []},
    },
}
