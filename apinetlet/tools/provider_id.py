"""``apinetlet provider-id``: takes the text that names an api-net object apart, or puts it together."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from apinetlet.api import GENERATIONS
from apinetlet.flags import FlagError, setting
from apinetlet.tools import shell
from apinetlet.tools.answer import Answer, Failure, Table
from apinetlet.tools.shell import Tool
from provider import Meaning, ProviderID, ProviderIDError, Scheme, parse

USAGE = """\
apinetlet provider-id takes a provider ID apart, or puts one together.

  apinetlet provider-id parse ironcore-net://apinet/5c2e763b/1003/e6630cf8
  apinetlet provider-id format --generation=ironcore --namespace=apinet --name=nic --node=worker-1 --uid=e6630cf8
"""

_PARTS = "The parts"
_BY_SCHEME = {generation.scheme: name for name, generation in GENERATIONS.items()}


@frozen
class Flags:
    """The parts of an ID to write, and the form of the output."""

    generation: str = setting(
        "", "whose scheme to write", choices=("", *GENERATIONS), takes="|".join(GENERATIONS), group=_PARTS
    )
    namespace: str = setting("", "namespace of the api-net object", takes="namespace", group=_PARTS)
    name: str = setting("", "its name", takes="name", group=_PARTS)
    id: str = setting("", "of a network: its ID", takes="id", group=_PARTS)
    node: str = setting("", "of a network interface: its node", takes="name", group=_PARTS)
    uid: str = setting("", "its uid", takes="uid", group=_PARTS)
    o: str = shell.form("json")


def work(flags: Flags, places: Sequence[str]) -> Answer:
    """Parse or format, as the first word says."""
    try:
        match places:
            case ["parse", *texts] if texts:
                return _answer([facts(text) for text in texts])
            case ["format"]:
                return _answer([facts(formatted(flags))])
    except ProviderIDError as error:
        raise Failure(error) from error
    if not places or places[0] not in ("parse", "format"):
        raise FlagError("say what to do: provider-id parse TEXT, or provider-id format with the parts as flags")
    raise FlagError("a word is missing: the provider ID" if len(places) == 1 else f"unexpected word {places[1]!r}")


def facts(text: str) -> Mapping[str, Any]:
    """The parts of an ID. Whether the third is a network's ID or a node the text does not tell.

    Raises:
        ProviderIDError: it is none.
        Failure: it is of no scheme that we know.
    """
    scheme = next((one for one in Scheme if text.startswith(one.prefix)), None)
    if scheme is None:
        known = " nor ".join(one.prefix for one in Scheme)
        raise Failure(f"provider ID {text!r} starts with neither {known}")
    # a network's ID may be any text that a node's name may be
    found = parse(text, scheme=scheme, meaning=Meaning.NETWORK)
    return {
        "providerID": text,
        "generation": _BY_SCHEME[scheme],
        "namespace": found.namespace,
        "name": found.name,
        "networkIDOrNode": found.ref,
        "uid": found.uid,
    }


def formatted(flags: Flags) -> str:
    """The ID of the parts.

    Raises:
        FlagError: a part is not given, or both kinds of the third are.
        ProviderIDError: a part is invalid.
    """
    missing = [one for one in ("generation", "namespace", "name", "uid") if not getattr(flags, one)]
    if missing:
        raise FlagError(f"flag --{missing[0]} is required")
    if bool(flags.id) == bool(flags.node):
        raise FlagError("give one of --id (of a network) and --node (of a network interface)")
    scheme, where = GENERATIONS[flags.generation].scheme, {"namespace": flags.namespace, "name": flags.name}
    if flags.id:
        return str(ProviderID.network(scheme, **where, id=flags.id, uid=flags.uid))
    return str(ProviderID.network_interface(scheme, **where, node=flags.node, uid=flags.uid))


def _answer(found: Sequence[Mapping[str, Any]]) -> Answer:
    head = ("PROVIDER ID", "GENERATION", "NAMESPACE", "NAME", "NETWORK ID OR NODE", "UID")
    table = Table(head, [tuple(one.values()) for one in found])
    return Answer(found[0] if len(found) == 1 else found, [table])


TOOL = Tool("provider-id", USAGE, Flags, work, words=("parse", "format"))


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    return shell.run(TOOL, words)
