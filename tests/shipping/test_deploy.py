"""``deploy`` says the same twice, and API servers take every word of it."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from apinetlet import flags
from apinetlet.api import GENERATIONS, IRONCORE
from apinetlet.listening import manager_settings
from apinetlet.settings import Settings
from apinetlet.tools import rbac
from reconcile import Client
from reconcile.kube.kinds import CRD, NAMESPACE
from reconcile.manager.certificate import SelfSigned
from reconcile.testing.apiserver import ApiServer
from tests.shipping.rendering import by_name, charted, definitions, helm, kustomized, monitored, noted, resource
from tools.deploy import objects, values, write
from tools.deploy.template import filled
from tools.deploy.write import FOLDER

ROOT = FOLDER.parent
generations = pytest.mark.parametrize("generation", sorted(GENERATIONS))
MONITORED = [f"--set=monitoring.{part}=true" for part in ("serviceMonitor", "rules", "dashboard")]


def test_the_folder_is_what_its_source_makes() -> None:
    assert write.outdated() == [], "run python -m tools.deploy --write"


@generations
async def test_the_embedded_server_takes_every_object_with_strict_fields(generation: str, tmp_path: Path) -> None:
    async with ApiServer() as server:
        await accept(server.client(), monitored(generation, tmp_path), definitions())


@generations
@pytest.mark.parametrize("side", [f"{side}{what}" for side in sorted(objects.SIDES) for what in ("", "-renewal")])
async def test_the_rights_for_one_side_alone_are_taken_too(generation: str, side: str) -> None:
    async with ApiServer() as server:
        rights = kustomized(FOLDER / "kustomize" / "rights" / generation / side)
        await accept(server.client(), rights)


async def accept(client: Client, documents: list[Any], kinds: Sequence[Any] = ()) -> None:
    """Create all of them, with no field that the server does not know; the namespaces first."""
    for one in kinds:
        await client.create(CRD, one, field_validation="Strict")
    brought = {one["metadata"]["name"] for one in documents if one["kind"] == "Namespace"}
    needed = {one["metadata"]["namespace"] for one in documents if "namespace" in one["metadata"]}
    for name in sorted(needed - brought):
        await client.create(NAMESPACE, {"metadata": {"name": name}})
    for one in sorted(documents, key=lambda one: one["kind"] != "Namespace"):
        await client.create(resource(one), one, field_validation="Strict")
    for one in documents:
        found = await client.list(resource(one))
        assert one["metadata"]["name"] in {there.metadata.name for there in found.items}


@generations
def test_every_flag_of_the_deployment_is_one_of_the_daemons_and_they_go_together(generation: str) -> None:
    [deployment] = [
        one for one in kustomized(FOLDER / "kustomize" / "overlays" / generation) if one["kind"] == "Deployment"
    ]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    settings, rest = flags.parse(container["args"], Settings)
    assert not rest
    assert settings.check().generation == generation
    assert settings.leader_elect
    assert settings.drain < deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] - 20


ROTATING = {
    "apinet.namespace": "apinet",
    "apinet.kubeconfigSecret": "own",
    "apinet.rotate": True,
    "apinet.bootstrapSecret": "first",
}


def started(deployment: Any) -> tuple[Settings, dict[str, str]]:
    """What the daemon of this Deployment is told, and the Secrets that it sees as files, by folder."""
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    secrets = {one["name"]: one["secret"]["secretName"] for one in pod["volumes"]}
    folders = {one["mountPath"]: secrets[one["name"]] for one in container["volumeMounts"]}
    return flags.parse(container["args"], Settings)[0].check(), folders


def assert_rotates(deployment: Any, roles: list[Any]) -> None:
    settings, folders = started(deployment)
    assert settings.api_net_rotate_certificates
    assert not settings.rotate_certificates
    assert (settings.api_net_kubeconfig, settings.api_net_kubeconfig_secret_name) == ("", "own")
    assert settings.api_net_bootstrap_kubeconfig == "/etc/apinetlet/apinet-bootstrap/kubeconfig"
    assert folders == {"/etc/apinetlet/apinet-bootstrap": "first"}
    [rule] = [rule for role in roles for rule in role["rules"] if "secrets" in rule["resources"]]
    assert rule["resourceNames"] == ["own"]


def test_a_certificate_that_is_renewed_is_in_a_secret_that_the_pod_may_write_and_does_not_mount() -> None:
    chosen = {**values.defaults(), **ROTATING}
    [store] = [
        filled(one.document, chosen)
        for one in objects.stores_of_the_pod()
        if one.document["kind"] == "Role" and all(each.holds(chosen) for each in one.conditions)
    ]
    assert_rotates(filled(objects.deployment(), chosen), [store])


def test_a_kubeconfig_that_somebody_else_renews_is_mounted() -> None:
    settings, folders = started(filled(objects.deployment(), values.defaults()))
    assert settings.api_net_kubeconfig == "/etc/apinetlet/apinet/kubeconfig"
    assert folders == {"/etc/apinetlet/apinet": "apinet-kubeconfig"}


def test_the_pod_may_nothing_that_it_does_not_need() -> None:
    pod = objects.deployment()["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_the_memory_asked_for_fits_what_was_measured() -> None:
    """The page's figures are of whole processes: 1,000 objects with two writes each, and 20,000 objects in a cache."""
    page = (ROOT / "docs" / "performance.md").read_text()
    small, large = (float(found) for found in re.findall(r"^\| \| peak MB \| (\d+) \|", page, re.MULTILINE)[:2])
    asked, allowed = (int(text.removesuffix("Mi")) * 2**20 / 1e6 for text in values.MEMORY)
    assert small < asked
    assert large + (large - small) < allowed  # twice as many objects
    guide = (ROOT / "docs" / "howto" / "deploy.md").read_text()
    assert f"{small:g} MB with 1,000 objects, {large:g} MB with 20,000 in a cache" in guide


def test_the_values_of_the_chart_are_those_of_the_schema() -> None:
    stated = yaml.safe_load(values.values_yaml())
    assert stated == values.nested({one.path: one.default for one in values.VALUES})


@pytest.mark.proof
class TestWithHelm:
    """Rendered by the real program."""

    @generations
    def test_the_chart_and_the_overlay_make_the_same_objects(self, generation: str, tmp_path: Path) -> None:
        chart = charted("--set=apinet.namespace=apinet", f"--set=generation={generation}", *MONITORED)
        overlay = [one for one in monitored(generation, tmp_path) if one["kind"] != "Namespace"]
        assert by_name(chart) == by_name(overlay)

    def test_one_cluster_for_both_sides_gives_the_pod_both_rights_and_mounts_nothing(self) -> None:
        made = charted("--set=apinet.namespace=apinet", "--set=apinet.kubeconfigSecret=")
        [deployment] = [one for one in made if one["kind"] == "Deployment"]
        assert not deployment["spec"]["template"]["spec"]["volumes"]
        places = {(one["kind"], one["metadata"].get("namespace")) for one in made if one["kind"].endswith("Role")}
        assert places == {("ClusterRole", None), ("Role", "apinetlet-system"), ("Role", "apinet")}

    def test_one_source_namespace_needs_no_right_in_any_other_but_to_write_events(self) -> None:
        made = charted("--set=apinet.namespace=apinet", "--set=source.namespace=home")
        assert {one["metadata"]["namespace"] for one in made if one["kind"] == "Role"} == {"apinetlet-system", "home"}
        rules = [rule for one in made if one["kind"] == "ClusterRole" for rule in one["rules"]]
        assert {name for rule in rules for name in rule["resources"]} <= {"events"}

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ((), "at '/apinet/namespace': minLength"),
            (("--set=apinet.namespace=Apinet",), "does not match pattern"),
            (("--set=apinet.namespace=apinet", "--set=generation=auto"), "value must be one of"),
            (("--set=apinet.namespace=apinet", "--set=replicas=two"), "got string, want integer"),
            (("--set=apinet.namespace=apinet", "--set=replica=2"), "additional properties 'replica' not allowed"),
            (("--set=apinet.namespace=apinet", "--set=flags={workers=8}"), "does not match pattern"),
            (("--set=apinet.namespace=apinet", "--set=resources.limits.memory=lots"), "does not match pattern"),
            (("--set=apinet.namespace=apinet", "--set=resources.limits.memory=100m"), "does not match pattern"),
            (("--set=apinet.namespace=apinet", "--set=resources.requests.cpu=100Mi"), "does not match pattern"),
            (("--set=apinet.namespace=apinet", "--set=resources.limits.cpu=null"), "missing property 'cpu'"),
            (("--set=apinet.namespace=apinet", "--set-json=networkPolicy.metricsFrom=[]"), "minItems"),
            (("--set=apinet.namespace=apinet", "--set-json=networkPolicy.metricsFrom=[{}]"), "minProperties"),
            (("--set=apinet.namespace=apinet", "--set=networkPolicy.metricsFrom={monitoring}"), "want object"),
            (("--set=apinet.namespace=apinet", "--set=networkPolicy.apiServerPorts={443}"), "want object"),
            (
                ("--set=apinet.namespace=apinet", '--set-json=networkPolicy.apiServerPorts=[{"prot":"TCP"}]'),
                "additional properties 'prot' not allowed",
            ),
            (("--set=apinet.namespace=apinet", "--set=tolerations={x}"), "want object"),
            (
                ("--set=apinet.namespace=apinet", "--set=monitoring.secure=true", "--set=generation=onmetal"),
                "at '/generation': value must be 'ironcore'",
            ),
            (("--set=apinet.namespace=apinet", "--set=monitoring.runbooks=https://docs"), "does not match pattern"),
            (("--set=apinet.namespace=apinet", "--set=source.rotate=true"), "/source/kubeconfigSecret': minLength"),
            (
                ("--set=apinet.namespace=apinet", "--set=source.bootstrapSecret=x"),
                "/source/bootstrapSecret': maxLength",
            ),
        ],
        ids=lambda value: value[-1] if isinstance(value, tuple) and value else None,
    )
    def test_a_value_that_makes_no_sense_is_refused_and_named(self, words: tuple[str, ...], said: str) -> None:
        made = helm(*words)
        assert made.returncode != 0
        assert said in made.stderr

    @pytest.mark.parametrize("rotate", [False, True], ids=["kept by others", "renewed"])
    def test_the_notes_name_the_rights_of_every_identity_that_is_not_the_pods(
        self, rotate: bool, tmp_path: Path
    ) -> None:
        """By commands that say what the values say: other namespaces have other rights."""
        words = ["--set=apinet.namespace=prod,source.namespace=home,generation=onmetal"]
        words += [f"--set={side}.kubeconfigSecret={side}-login,{side}.rotate={str(rotate).lower()}"
                  for side in objects.SIDES]  # fmt: skip
        told = noted(*words, folder=tmp_path)
        found = [flags.parse(shlex.split(line)[2:], rbac.Flags) for line in told if "apinetlet rbac" in line]
        assert [one.side for one, rest in found if not rest] == list(objects.SIDES)
        for settings, _ in found:
            assert (settings.generation, settings.api_net_namespace, settings.namespace) == ("onmetal", "prod", "home")
        [(source, _), (apinet, _)] = found
        assert (source.leader_elect, source.leader_election_namespace) == (True, "net")
        assert (source.rotate_certificates, apinet.api_net_rotate_certificates) == (rotate, rotate)
        assert (source.subject, apinet.api_net_subject) == (("", "") if rotate else ("User:NAME", "User:NAME"))

    def test_what_kubernetes_takes_is_taken(self) -> None:
        """Quantities with a fraction or a decimal unit, a Secret whose name has a dot, ports by range or by name."""
        ports = '[{"port":443},{"port":6443,"endPort":6445,"protocol":"TCP"},{"port":"https"}]'
        words = ["--set=apinet.namespace=apinet", f"--set-json=networkPolicy.apiServerPorts={ports}"]
        words += [
            "--set=resources.limits.cpu=1.5",
            "--set=resources.requests.cpu=1",
            "--set=source.kubeconfigSecret=a.b",
        ]
        words += ["--set=resources.limits.memory=1.5Gi", "--set=resources.requests.memory=512M"]
        words += ['--set-json=tolerations=[{"key":"a","operator":"Exists","effect":"NoSchedule"}]']
        made = charted(*words, "--set=monitoring.runbooks=https://docs/")
        [deployment] = [one for one in made if one["kind"] == "Deployment"]
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        assert container["resources"] == {
            "requests": {"cpu": "1", "memory": "512M"},
            "limits": {"cpu": "1.5", "memory": "1.5Gi"},
        }

    def test_a_chart_that_rotates_makes_what_the_bases_would(self) -> None:
        made = charted(*(f"--set={path}={str(value).lower()}" for path, value in ROTATING.items()))
        [deployment] = [one for one in made if one["kind"] == "Deployment"]
        assert_rotates(deployment, [one for one in made if one["kind"] == "Role"])

    async def test_protected_metrics_are_read_by_tls_and_the_pod_may_ask_who_reads_them(self) -> None:
        made = charted("--set=apinet.namespace=apinet", "--set=monitoring.secure=true", *MONITORED)
        async with ApiServer() as server:
            await accept(server.client(), made, definitions())
        [deployment] = [one for one in made if one["kind"] == "Deployment"]
        settings, _ = started(deployment)
        listening = manager_settings(settings, IRONCORE)
        assert (listening.metrics_guard, isinstance(listening.metrics_certificate, SelfSigned)) == ("source", True)
        [monitor] = [one for one in made if one["kind"] == "ServiceMonitor"]
        [endpoint] = monitor["spec"]["endpoints"]
        assert endpoint["scheme"] == "https"
        roles = {one["metadata"]["name"]: one["rules"] for one in made if one["kind"] == "ClusterRole"}
        asked = {name for rule in roles["apinetlet-system-apinetlet-metrics"] for name in rule["resources"]}
        assert asked == {"tokenreviews", "subjectaccessreviews"}
        assert roles["apinetlet-system-apinetlet-metrics-reader"] == [
            {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}
        ]
        bound = {one["roleRef"]["name"] for one in made if one["kind"] == "ClusterRoleBinding"}
        assert bound == roles.keys() - {"apinetlet-system-apinetlet-metrics-reader"}

    def test_where_the_pod_is_elsewhere_somebody_else_is_told_to_ask_who_reads_metrics(self, tmp_path: Path) -> None:
        words = ["--set=apinet.namespace=prod,monitoring.secure=true,source.kubeconfigSecret=source"]
        assert not [one for one in charted(*words) if one["kind"] == "ClusterRole"]
        [line, _] = [one for one in noted(*words, folder=tmp_path) if "apinetlet rbac" in one]
        settings, _ = flags.parse(shlex.split(line)[2:], rbac.Flags)
        assert manager_settings(settings, IRONCORE).metrics_guard == "source"

    def test_more_flags_reach_the_daemon(self) -> None:
        made = charted("--set=apinet.namespace=apinet", "--set=flags={--workers=8,--dangling-number=3}")
        [deployment] = [one for one in made if one["kind"] == "Deployment"]
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        settings, _ = flags.parse(container["args"], Settings)
        assert (settings.workers, settings.dangling_number) == (8, 3)
