"""What kubectl and helm make of the folder ``deploy``, as objects that can be compared."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconcile import Resource
from tests.testing.apiserver.processes import program
from tools.deploy.values import NAMESPACE
from tools.deploy.write import FOLDER

KUBECTL = Path(sys.executable).with_name("kubectl")
DEFINITIONS = Path(__file__).with_name("operator.yaml")
CLUSTER_WIDE = {"Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}


def definitions() -> list[Any]:
    """The kinds of the Prometheus operator."""
    return list(yaml.safe_load_all(DEFINITIONS.read_text()))


def kustomized(folder: Path) -> list[Any]:
    """By ``kubectl kustomize``."""
    made = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return list(yaml.safe_load_all(made.stdout))


def monitored(generation: str, folder: Path) -> list[Any]:
    """An overlay with the component ``monitoring``, as somebody writes it who installs both."""
    wanted = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(FOLDER / "kustomize" / "overlays" / generation, folder.resolve())],
        "components": [os.path.relpath(FOLDER / "kustomize" / "components" / "monitoring", folder.resolve())],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(wanted))
    return kustomized(folder)


def helm(*words: str, release: str = "apinetlet") -> subprocess.CompletedProcess[str]:
    """``helm template`` over the chart."""
    command = [_helm(), "template", release, str(FOLDER / "helm" / "apinetlet"), "--namespace", NAMESPACE, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _helm() -> str:
    if program := os.environ.get("HELM"):
        return program
    if os.environ.get("REQUIRE_REAL") == "1":
        raise AssertionError("set HELM to what tools/helm/build.sh prints")
    pytest.skip("needs helm: HELM=$(tools/helm/build.sh)")


def charted(*words: str, release: str = "apinetlet") -> list[Any]:
    """The objects of the chart."""
    made = helm(*words, release=release)
    assert made.returncode == 0, made.stderr
    return [one for one in yaml.safe_load_all(made.stdout) if one is not None]


def noted(*words: str, folder: Path) -> list[str]:
    """The lines that somebody reads who installs the chart: into the namespace net of a server with nothing in it."""
    with program("--kubeconfig-out", folder / "kubeconfig"):
        command = [_helm(), "install", "apinetlet", str(FOLDER / "helm" / "apinetlet"), "--namespace", "net", *words]
        command += ["--dry-run=client", f"--kubeconfig={folder / 'kubeconfig'}"]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return made.stdout.partition("NOTES:\n")[2].splitlines()


def by_name(documents: Iterable[Any]) -> Mapping[tuple[str, str], Any]:
    """Without what is empty: null, ``[]`` and a key that is not there say the same."""
    return {(one["kind"], one["metadata"]["name"]): _said(one) for one in documents}


def _said(value: Any) -> Any:
    match value:
        case dict():
            return {key: _said(one) for key, one in value.items() if one not in (None, {}, [])}
        case list():
            return [_said(one) for one in value]
    return value


def resource(document: Mapping[str, Any]) -> Resource[Any]:
    """How a client calls the kind of an object."""
    kind = document["kind"]
    plural = {"NetworkPolicy": "networkpolicies"}.get(kind, kind.lower() + "s")
    return Resource.untyped(document["apiVersion"], kind, plural, namespaced=kind not in CLUSTER_WIDE)
