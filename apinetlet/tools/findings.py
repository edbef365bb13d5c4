"""What the facts about both servers mean for somebody who wants to start the daemon, and what to do. Pure."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

from attrs import field, frozen

from apinetlet.api import GENERATIONS, Generation
from apinetlet.assembly import APINET, SOURCE
from apinetlet.settings import Settings
from reconcile import Seconds
from reconcile.manager.rbac import Rule

Level: TypeAlias = Literal["ok", "unknown", "warning", "problem"]
"""``unknown``: nobody could tell, and the daemon does not need to."""

SKEW: Final[Seconds] = 5.0
"""Clocks that differ by more make timestamps hard to read; an expiry comes early or late by it."""
SOON: Final = dt.timedelta(days=14)
"""What ends within this time should be renewed now, unless the daemon does that."""
LOGIN: Final = "our login"
"""Whose certificate it is that we show."""


@frozen
class Finding:
    """One line of the report. ``todo`` is empty where nothing is to be done."""

    level: Level
    side: str
    about: str
    what: str
    todo: str = ""


@frozen
class Lifetime:
    """Until when a certificate holds; ``what`` is whose."""

    what: str
    ends: dt.datetime


@frozen
class KindFacts:
    """A kind that the daemon needs, as the server has it."""

    resource: str
    is_served: bool
    lacks_status: bool = False
    lacks_fields: tuple[str, ...] = ()


@frozen
class LeaseFacts:
    """Who leads. ``age``: seconds since the last renewal, by the holder's clock."""

    name: str
    holder: str = ""
    age: Seconds = 0.0
    duration: Seconds = 0.0
    error: str = ""

    @property
    def is_held(self) -> bool:
        """Whether somebody leads now, as far as clocks agree."""
        return bool(self.holder) and self.age <= self.duration


@frozen
class SideFacts:
    """What was seen of one server. ``None`` means that it could not be told."""

    side: str
    server: str
    error: str = ""
    version: str = ""
    skew: Seconds | None = None
    lifetimes: tuple[Lifetime, ...] = ()
    generations: tuple[str, ...] = ()
    """Those whose groups it serves on this side."""
    kinds: tuple[KindFacts, ...] = ()
    namespaces: Mapping[str, bool | None] = field(factory=dict)
    missing: tuple[Rule, ...] | None = None
    """The rights that we lack."""
    is_new: bool = False
    """Whether our own certificate has yet to be requested; the rights are those to request it."""
    lease: LeaseFacts | None = None


def findings(
    settings: Settings, generation: Generation | None, sides: Iterable[SideFacts], now: dt.datetime
) -> list[Finding]:
    """Everything that was looked at, in the order in which it has to be right."""
    return [one for side in sides for one in _of_side(settings, generation, side, now)]


def _of_side(
    settings: Settings, generation: Generation | None, facts: SideFacts, now: dt.datetime
) -> Iterator[Finding]:
    side = facts.side
    if facts.error:
        todo = "see that the server runs and that the kubeconfig names it and may log in"
        yield Finding("problem", side, "server", f"{facts.server}: {facts.error}", todo)
        return
    yield Finding("ok", side, "server", f"{facts.server} answers, {facts.version or 'version unknown'}")
    yield from _clock(facts)
    if facts.is_new:
        yield Finding("ok", side, "certificate of our login", "none yet: the daemon requests it at its start")
    yield from (_lifetime(settings, facts.side, one, now) for one in facts.lifetimes)
    if side not in (SOURCE, APINET):  # where the pod is nothing is mapped
        yield from _rights(facts)
        return
    yield _generation(settings, generation, facts)
    yield from _kinds(facts)
    yield from (_namespace(side, name, exists) for name, exists in facts.namespaces.items())
    if generation is not None:  # which are needed depends on it
        yield from _rights(facts)
    if facts.lease is not None:
        yield _lease(settings, side, facts.lease)


def _clock(facts: SideFacts) -> Iterator[Finding]:
    if facts.skew is None:
        return
    what = f"{abs(facts.skew):.0f} s {'ahead of' if facts.skew > 0 else 'behind'} ours"
    if abs(facts.skew) > SKEW:
        yield Finding(
            "warning", facts.side, "clock", what, "set both clocks by NTP: certificates and leases live by them"
        )
    else:
        yield Finding("ok", facts.side, "clock", "agrees with ours")


def _lifetime(settings: Settings, side: str, one: Lifetime, now: dt.datetime) -> Finding:
    about, left = f"certificate of {one.what}", one.ends - now
    if left <= dt.timedelta(0):
        return Finding("problem", side, about, f"expired at {one.ends:%Y-%m-%d %H:%M}", "renew it")
    rotates = {SOURCE: settings.rotate_certificates, APINET: settings.api_net_rotate_certificates}
    if rotates.get(side) and one.what == LOGIN:
        return Finding("ok", side, about, f"ends in {_days(left)}, and the daemon renews it")
    if left < SOON:
        return Finding("warning", side, about, f"ends in {_days(left)}", "renew it, or see that somebody does")
    return Finding("ok", side, about, f"ends in {_days(left)}")


def _days(left: dt.timedelta) -> str:
    return f"{left.days} days" if left.days > 1 else f"{left.total_seconds() / 3600:.0f} h"


def _generation(settings: Settings, generation: Generation | None, facts: SideFacts) -> Finding:
    served = " and ".join(facts.generations) or "none"
    if generation is None and facts.side != SOURCE and facts.generations:
        what = f"serves {served}; which one is needed the source cluster tells"
        return Finding("unknown", facts.side, "generation", what)
    if generation is None:
        todo = f"install the API of {' or '.join(GENERATIONS)}; until then the daemon waits"
        return Finding("problem", facts.side, "generation", f"it serves {served}", todo)
    if generation.name not in facts.generations:
        todo = f"install the API of {generation.name}, or correct --generation and the kubeconfigs"
        return Finding("problem", facts.side, "generation", f"{generation.name} is needed, it serves {served}", todo)
    return Finding("ok", facts.side, "generation", f"serves {generation.name}")


def _kinds(facts: SideFacts) -> Iterator[Finding]:
    if not facts.kinds:
        return
    good = [one for one in facts.kinds if one.is_served and not one.lacks_status and not one.lacks_fields]
    if good:
        yield Finding("ok", facts.side, "kinds", f"{len(good)} of {len(facts.kinds)} are as we need them")
    for one in facts.kinds:
        if not one.is_served:
            todo = "install it; what does not need it is mapped meanwhile"
            yield Finding("problem", facts.side, "kinds", f"{one.resource} is not served", todo)
            continue
        if one.lacks_status:
            todo = "install the kind with its status subresource"
            yield Finding("problem", facts.side, "kinds", f"{one.resource} has no status subresource", todo)
        if one.lacks_fields:
            what = f"{one.resource} lacks the fields {', '.join(one.lacks_fields)}"
            yield Finding("warning", facts.side, "kinds", what, "install a release of the API that has them")


def _namespace(side: str, name: str, exists: bool | None) -> Finding:
    if exists is None:
        return Finding("unknown", side, "namespace", f"{name}: we may not look, and need not")
    if exists:
        return Finding("ok", side, "namespace", f"{name} is there")
    return Finding("problem", side, "namespace", f"{name} is not there", f"kubectl create namespace {name}")


def _rights(facts: SideFacts) -> Iterator[Finding]:
    if facts.missing is None:
        yield Finding("unknown", facts.side, "rights", "the server does not say what we may do")
    elif not facts.missing:
        what = "all that a request for a certificate needs" if facts.is_new else "all that are needed"
        yield Finding("ok", facts.side, "rights", what)
    else:
        for rule in facts.missing:
            yield Finding("problem", facts.side, "rights", f"missing: {rule}", f"add {rule.to_add} (apinetlet rbac)")


def _lease(settings: Settings, side: str, lease: LeaseFacts) -> Finding:
    if lease.error:
        return Finding("unknown", side, "leader", f"Lease {lease.name} cannot be read: {lease.error}")
    if not lease.holder:
        return Finding("ok", side, "leader", f"nobody holds Lease {lease.name}")
    what = f"{lease.holder} holds Lease {lease.name}, renewed {lease.age:.0f} s ago"
    if not lease.is_held:
        return Finding("ok", side, "leader", f"{what}: it is over")
    if settings.leader_elect:
        return Finding("ok", side, "leader", f"{what}: we would stand by")
    todo = "stop that daemon, or start with --leader-elect: two without would write side by side"
    return Finding("warning", side, "leader", what, todo)
