"""The gardener, written with kopf.

    KUBECONFIG=FILE python kopf_gardener.py NAMESPACE

Its client for what it makes is kubernetes_asyncio's.
"""

import asyncio
import logging
import sys
from typing import Any

import kopf
from kubernetes_asyncio import client, config

GROUP, VERSION, PLURAL = "foreign.example.com", "v1", "gardens"


@kopf.on.startup()
async def configure(settings: kopf.OperatorSettings, memo: Any, **_: Any) -> None:
    settings.persistence.finalizer = f"{GROUP}/gardener"
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix="kopf.example.com")
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix="kopf.example.com")
    settings.posting.enabled = False
    await config.load_kube_config()
    memo.api = client.ApiClient()


@kopf.on.cleanup()
async def close(memo: Any, **_: Any) -> None:
    await memo.api.close()


@kopf.on.create(GROUP, VERSION, PLURAL)
@kopf.on.update(GROUP, VERSION, PLURAL, field="spec")
@kopf.on.resume(GROUP, VERSION, PLURAL)
async def tend(name: str, namespace: Any, uid: str, spec: kopf.Spec, patch: kopf.Patch, memo: Any, **_: Any) -> None:
    plants = list(spec.get("plants", ()))
    owner = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Garden", "name": name, "uid": uid}
    await _keep(memo.api, namespace, f"garden-{name}", dict.fromkeys(plants, "planted"), [owner])
    patch.status["planted"] = len(plants)


@kopf.on.delete(GROUP, VERSION, PLURAL)
async def remember(name: str, namespace: Any, spec: kopf.Spec, memo: Any, **_: Any) -> None:
    await _keep(memo.api, namespace, f"epitaph-{name}", {"plants": str(len(spec.get("plants", ())))}, [])


async def _keep(api: Any, namespace: Any, name: str, data: dict[str, str], owners: list[Any]) -> None:
    maps = client.CoreV1Api(api)
    body: Any = {"metadata": {"name": name, "ownerReferences": owners}, "data": data}
    try:
        live = await maps.read_namespaced_config_map(name, namespace)
    except client.ApiException as error:
        if error.status != 404:
            raise
        await maps.create_namespaced_config_map(namespace, body)
    else:
        version = live.metadata.resource_version
        body["metadata"]["resourceVersion"] = version
        await maps.replace_namespaced_config_map(name, namespace, body)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(kopf.operator(namespaces=[sys.argv[1]], standalone=True))
