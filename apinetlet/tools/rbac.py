"""``apinetlet rbac``: the manifests of the least rights for exactly the given flags, for both clusters."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import yaml
from attrs import frozen

from apinetlet.api import GENERATIONS, Generation
from apinetlet.assembly import APINET, SOURCE
from apinetlet.flags import FlagError, setting
from apinetlet.settings import AUTO, Settings
from apinetlet.tools import shell
from apinetlet.tools.answer import Answer, Table
from apinetlet.tools.declared import declared
from apinetlet.tools.rights import POD, SIDES, Subject, by_default, manifests, rights
from apinetlet.tools.shell import Tool
from apinetlet.tools.sides import sides
from reconcile import Manager
from reconcile.manager.rbac import Rule, named

USAGE = """\
apinetlet rbac prints roles and bindings with the least rights that the daemon needs with exactly these flags. With
--generation no server is asked.

  apinetlet rbac --generation=ironcore --api-net-namespace=apinet --leader-elect > rights.yaml
  apinetlet rbac --generation=ironcore --api-net-namespace=apinet --side=source | kubectl apply -f -
  apinetlet rbac --generation=ironcore --api-net-namespace=apinet --subject=User:apinetlet -o table
"""

_RIGHTS = "Rights"
_ACCOUNT = "ServiceAccount:apinetlet-system/apinetlet"
_LOGIN = f"the user of our certificate, else {_ACCOUNT}"
_SUBJECTS = {SOURCE: "subject", APINET: "api_net_subject", POD: "pod_subject"}


def _subject(where: str, otherwise: str) -> Any:
    return setting("", f"whom to bind to in {where}; by default {otherwise}", takes="kind:name", group=_RIGHTS)


@frozen
class Flags(Settings):
    """The daemon's, and to whom the rights are given: ``User:name``, ``Group:name``, ``ServiceAccount:space/name``."""

    subject: str = _subject("the source cluster", _LOGIN)
    api_net_subject: str = _subject("the api-net cluster", _LOGIN)
    pod_subject: str = _subject("the cluster of the Secrets with kubeconfigs", _ACCOUNT)
    role_name: str = setting("apinetlet", "name of the roles and bindings", takes="name", group=_RIGHTS)
    side: str = setting("all", "the manifests of which cluster", choices=("all", *SIDES), group=_RIGHTS)
    o: str = shell.form("yaml", "yaml")


def work(flags: Flags, places: Sequence[str]) -> Answer:
    """Derive them from what is declared."""
    shell.wanted(places)
    try:
        told = {side: Subject.read(text) for side, name in _SUBJECTS.items() if (text := getattr(flags, name))}
    except ValueError as error:
        raise FlagError(f"whom to bind to: {error}") from error

    async def derived() -> tuple[Manager, Generation]:
        generation = GENERATIONS[flags.generation] if flags.generation != AUTO else await _asked(flags)
        return declared(flags, generation), generation

    daemon, generation = anyio.run(derived)
    rules = rights(daemon, flags, generation, environment=os.environ)
    rules = tuple(one for one in rules if flags.side in ("all", one.cluster))
    subjects = {side: told.get(side) or by_default(flags, generation, side) for side in SIDES}
    return answer(flags, rules, manifests(rules, subjects, flags.role_name))


async def _asked(flags: Flags) -> Generation:
    async with sides(flags) as both:
        return both.generation


def answer(flags: Flags, rules: Sequence[Rule], found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Answer:
    """As documents to apply; of one side as a List, for kubectl takes that."""
    lists = {side: {"apiVersion": "v1", "kind": "List", "items": items} for side, items in found.items() if items}
    facts = lists if flags.side == "all" else lists.get(flags.side, {})
    if flags.o == "table":
        head = ("CLUSTER", "NAMESPACE", "GROUP", "RESOURCE", "VERBS")
        rows = [(one.cluster, one.namespace or "*", one.group, named(one), ", ".join(one.verbs)) for one in rules]
        return Answer(facts, [Table(head, rows)])
    return Answer(facts, ["".join(f"---\n# {side} cluster\n{_yaml(one)}" for side in found for one in found[side])])


def _yaml(document: Mapping[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, default_flow_style=False)


class _Plain(yaml.SafeDumper):
    """Writes everything out, where the same value stands twice, too."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


TOOL = Tool("rbac", USAGE, Flags, work)


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    return shell.run(TOOL, words)
