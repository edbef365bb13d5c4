"""Ask before the start whether the rights that are needed are there.

A missing right otherwise shows as a watch that never begins, or as a write that fails one day. The API server is asked
by ``SelfSubjectAccessReview``, which every user may create and which authorizers of every kind answer. What it says is
true for the moment only; later refusals are reported where they happen.
"""

import logging
from collections.abc import Iterable, Sequence
from random import Random
from typing import Final, Literal, TypeAlias

import anyio
from anyio.abc import TaskStatus
from attrs import evolve, frozen

from reconcile.cache.cluster import Cluster
from reconcile.core.backoff import Backoff
from reconcile.kube.client import Client
from reconcile.kube.errors import KubeError, is_retryable
from reconcile.kube.kinds import SELF_SUBJECT_ACCESS_REVIEW as REVIEW
from reconcile.manager.election import LeaderElector
from reconcile.manager.rbac import Rule, Writes, leading, merged, watching

log = logging.getLogger(__name__)

Preflight: TypeAlias = Literal["fail", "warn", "off"]
"""What missing rights do: end the start, be logged, or nobody asks."""

QUESTIONS: Final = 8
"""So many reviews are under way at once."""
BACKOFF: Final = Backoff(base=1.0, factor=2.0, cap=10.0)


class MissingRights(Exception):
    """The server would refuse what this program is going to do. ``rules``: what is missing, no more."""

    def __init__(self, cluster: str, rules: tuple[Rule, ...]) -> None:
        lines = (f"\n  {rule}; the rule to add: {rule.to_add}" for rule in rules)
        super().__init__(f"rights are missing in cluster {cluster}:" + "".join(lines))
        self.cluster = cluster
        self.rules = rules


async def preflight(cluster: str, client: Client, rules: Iterable[Rule], *, mode: Preflight, rng: Random) -> None:
    """See that ``client`` has the rights it needs, waiting for the server as long as it cannot be reached.

    Raises:
        MissingRights: it has not, and ``mode`` is ``fail``.
    """
    failures = 0
    while mode != "off":
        try:
            lacking = await missing(client, rules)
        except KubeError as error:
            if not is_retryable(error, idempotent=True):
                log.warning("rights could not be checked: cluster=%s error=%s", cluster, error)
                return
            failures += 1
            if failures == 1:
                log.warning("rights are not checked yet: cluster=%s error=%s", cluster, error)
            await anyio.sleep(BACKOFF.delay(failures, rng))
            continue
        if lacking and mode == "fail":
            raise MissingRights(cluster, lacking)
        for rule in lacking:
            log.warning("a right is missing: cluster=%s right=%s add=%s", cluster, rule, rule.to_add)
        return


@frozen
class Checked:
    """A cluster as a service, whose rights are asked for before its first watch. ``rules`` may be about others, too."""

    cluster: Cluster
    rules: tuple[Rule, ...]
    mode: Preflight
    rng: Random

    @property
    def name(self) -> str:
        """The cluster's."""
        return self.cluster.name

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Ask, then run the cluster.

        Raises:
            MissingRights: see ``preflight``.
        """
        ours = [rule for rule in self.rules if rule.cluster == self.name]
        await preflight(self.name, self.cluster.client, ours, mode=self.mode, rng=self.rng)
        await self.cluster.run(task_status=task_status)


def needed(clusters: Sequence[Cluster], writes: Iterable[Writes], election: LeaderElector | None) -> tuple[Rule, ...]:
    """The rights for what clusters watch, for what is declared to be written, and for a leader election."""
    watched = {
        (cluster.name, informer.watched.resource): informer.watched.namespaces
        for cluster in clusters
        for informer in cluster.informers
    }
    rules = [rule for (cluster, resource), places in watched.items() for rule in watching(cluster, resource, places)]
    for write in writes:
        rules += write.rules(watched.get((write.cluster, write.resource), ()))
    if election is not None and clusters:
        rules.append(leading(election.cluster or clusters[0].name, election.election.namespace))
    return merged(rules)


async def missing(client: Client, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """What of ``rules`` the server would refuse. Asks one question for each verb.

    Raises:
        KubeError: a question was not answered.
    """
    questions = iter([(rule, verb) for rule in merged(rules) for verb in rule.verbs])
    refused: list[Rule] = []
    errors: list[KubeError] = []

    async def ask() -> None:
        for rule, verb in questions:
            try:
                if not await _is_allowed(client, rule, verb):
                    refused.append(evolve(rule, verbs=(verb,)))
            except KubeError as error:
                errors.append(error)
                return

    async with anyio.create_task_group() as tasks:
        for _ in range(QUESTIONS):
            tasks.start_soon(ask)
    if errors:
        raise errors[0]
    return merged(refused)


async def _is_allowed(client: Client, rule: Rule, verb: str) -> bool:
    resource, _, subresource = rule.resource.partition("/")
    attributes = {
        "namespace": rule.namespace,
        "verb": verb,
        "group": rule.group,
        "resource": resource,
        "subresource": subresource,
        "name": rule.name,
    }
    spec = {"resourceAttributes": {name: value for name, value in attributes.items() if value}}
    body = {"apiVersion": REVIEW.api_version, "kind": REVIEW.kind, "metadata": {}, "spec": spec}
    answer = await client.create(REVIEW, body)
    return answer.at("status", "allowed") is True
