"""``rbac``: the daemon runs under the rights that it prints, and each of them is needed."""

import json
from collections.abc import Iterable

import pytest
import yaml
from attrs import evolve

from apinetlet import cli
from apinetlet.api import GENERATIONS, IRONCORE, ONMETAL, Generation
from apinetlet.settings import Settings
from apinetlet.tools import rights
from apinetlet.tools.declared import declared
from apinetlet.tools.rights import POD, Subject, by_default
from reconcile.manager.rbac import Rule
from tests.apinetlet.tools.guarded import SETTINGS, least, told

WORDS = ["rbac", "--generation=ironcore", "--api-net-namespace=apinet"]


def verbs_of(rules: Iterable[Rule]) -> set[tuple[str, str, str]]:
    return {(one.cluster, verb, one.resource) for one in rules for verb in one.verbs}


def without(rules: Iterable[Rule], cluster: str, verb: str, resource: str) -> list[Rule]:
    taken = (cluster, verb, resource)
    left = [
        evolve(one, verbs=[said for said in one.verbs if (one.cluster, said, one.resource) != taken]) for one in rules
    ]
    return [one for one in left if one.verbs]


async def test_the_whole_story_needs_just_the_rights_that_are_printed() -> None:
    found, rules = await told(IRONCORE, least(IRONCORE)), least(IRONCORE)
    assert found.refused == frozenset()
    assert found.missed == ()
    assert found.used <= verbs_of(rules)
    used = {(cluster, resource) for cluster, _, resource in found.used}
    assert {(one.cluster, one.resource) for one in rules} == used


@pytest.mark.proof
async def test_a_right_that_is_taken_away_is_missed() -> None:
    found = await told(IRONCORE, without(least(IRONCORE), "source", "patch", "networks"))
    assert ("source", "patch", "networks") in found.refused
    assert found.missed


@pytest.mark.proof
@pytest.mark.parametrize("generation", GENERATIONS.values(), ids=lambda one: one.name)
async def test_each_rule_and_each_verb_of_the_story_is_missed_when_it_is_taken_away(generation: Generation) -> None:
    rules = least(generation)
    whole = await told(generation, rules)
    idle = []
    for rule in rules:
        found = await told(generation, [one for one in rules if one != rule])
        if not found.refused and not found.missed:
            idle.append((rule.cluster, rule.resource))
    assert idle == []
    for one in sorted(whole.used & verbs_of(rules)):
        found = await told(generation, without(rules, *one))
        assert found.refused or found.missed, one


# -- what is printed ---------------------------------------------------------------------------------------------------


def test_the_manifests_of_one_side_are_a_list_that_kubectl_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*WORDS, "--side=apinet", "-o=json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "List"
    kinds = [(one["kind"], one["metadata"].get("namespace")) for one in found["items"]]
    assert kinds == [("Role", "apinet"), ("RoleBinding", "apinet")]
    assert found["items"][1]["subjects"] == [
        {"kind": "ServiceAccount", "name": "apinetlet", "namespace": "apinetlet-system"}
    ]


def test_the_manifests_are_yaml_by_default_and_bind_what_they_grant(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*WORDS, "--leader-elect", "--leader-election-namespace=home", "--subject=Group:plugins"]) == 0
    documents = list(yaml.safe_load_all(capsys.readouterr().out))
    roles = {(one["kind"], one["metadata"]["name"]) for one in documents if "rules" in one}
    bound = {(one["roleRef"]["kind"], one["roleRef"]["name"]) for one in documents if "roleRef" in one}
    assert roles == bound == {("ClusterRole", "apinetlet"), ("Role", "apinetlet"), ("Role", "apinetlet-api-net")}
    [lease] = [one for one in documents if one["kind"] == "Role" and one["metadata"]["namespace"] == "home"]
    assert [rule["resources"] for rule in lease["rules"]] == [["leases"]]


def test_whoever_asks_who_reads_the_metrics_may_ask_in_either_generation() -> None:
    def guards(generation: Generation, **flags: str) -> set[str]:
        settings = Settings(api_net_namespace="apinet", **flags)  # type: ignore[arg-type]
        return {one.resource for one in rights.protecting(settings, generation)}

    reviews = {"tokenreviews", "subjectaccessreviews"}
    assert guards(ONMETAL) == guards(IRONCORE) == set()
    assert guards(ONMETAL, metrics_cert_path="certs") == reviews
    assert guards(IRONCORE, metrics_cert_path="certs") == set()  # its metrics are off unless a flag says where
    assert guards(IRONCORE, metrics_cert_path="certs", metrics_bind_address=":8443") == reviews
    assert guards(ONMETAL, metrics_cert_path="certs", metrics_bind_address="0") == set()


async def test_fewer_flags_need_fewer_rights() -> None:
    def verbs(**flags: object) -> set[tuple[str, str, str]]:
        settings = Settings(api_net_namespace="apinet", **flags)  # type: ignore[arg-type]
        return verbs_of(rights.rights(declared(settings, IRONCORE), settings, IRONCORE, environment={}))

    plain = verbs()
    assert {one[2] for one in verbs(leader_elect=True) - plain} == {"leases"}
    assert {one[2] for one in verbs(metrics_bind_address=":8443") - plain} == {"tokenreviews", "subjectaccessreviews"}
    assert verbs(metrics_bind_address=":8443", metrics_secure=False) == plain
    requests = {"certificatesigningrequests", "certificatesigningrequests/apinetletclient"}
    own = {"api_net_rotate_certificates": True, "api_net_kubeconfig": "kept"}
    assert {one[2] for one in verbs(**own) - plain} == requests
    kept = {"rotate_certificates": True, "kubeconfig_secret_name": "kept"}
    assert {one[1:] for one in verbs(**kept) - plain if one[0] == "pod"} == {
        (verb, "secrets") for verb in ("get", "create", "patch")
    }
    only_read = verbs(kubeconfig_secret_name="kept") - plain
    assert only_read == {("pod", "get", "secrets")}


def test_of_all_secrets_it_may_see_the_one_that_it_keeps(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--rotate-certificates", "--kubeconfig-secret-name=kept", "--kubeconfig-secret-namespace=here"]
    assert cli.main([*WORDS, *words, "--side=pod", "-o=json"]) == 0
    role, binding = json.loads(capsys.readouterr().out)["items"]
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["kept"], "verbs": ["get", "create", "patch"]}
    ]
    assert (role["metadata"]["namespace"], binding["kind"]) == ("here", "RoleBinding")


def test_who_has_a_certificate_is_bound_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*WORDS, "--rotate-certificates", "--kubeconfig=kept", "--side=source", "-o=json"]) == 0
    found = json.loads(capsys.readouterr().out)["items"]
    [user] = {(one["kind"], one["name"]) for each in found for one in each.get("subjects", ())}
    assert user == ("User", "networking.ironcore.dev:system:networkplugin:ironcore-net")


async def test_with_one_namespace_no_right_reaches_beyond_it() -> None:
    settings = Settings(api_net_namespace="apinet", namespace="blue")
    found = rights.rights(declared(settings, IRONCORE), settings, IRONCORE, environment={})
    assert {(one.cluster, one.namespace) for one in found} == {("source", "blue"), ("apinet", "apinet")}


@pytest.mark.parametrize("text", ["robot", "Robot:x", "User:", "ServiceAccount:x", "ServiceAccount:a/b/c"])
def test_whom_nobody_could_be_is_a_wrong_word(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="is none of"):
        Subject.read(text)
    assert cli.main([*WORDS, f"--subject={text}"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_help_names_the_account_that_reads_the_secrets_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    """Secrets with kubeconfigs are read before there is any certificate of ours."""
    assert cli.main(["rbac", "--help"]) == 0
    _, _, told = capsys.readouterr().out.partition("--pod-subject")
    rotating = evolve(SETTINGS, rotate_certificates=True, kubeconfig_secret_name="kept")
    account = by_default(rotating, IRONCORE, POD)
    assert f"by default {account.kind}:{account.namespace}/{account.name}" in told.splitlines()[1]
