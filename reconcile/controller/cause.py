"""Why a key is to be reconciled, kept while many reasons fold into one run.

A queue that knows keys only forgets why; here the reasons wait beside it. Reasons about one object are merged: from the
version before the first to the version after the last. A key keeps a bounded number of them, the rest is counted by
kind. What changed inside an object is worked out only when somebody asks. Pure.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

import attrs
import msgspec

from reconcile.cache.change import Change
from reconcile.core.clock import Seconds
from reconcile.core.schedule import LOW, NORMAL
from reconcile.kube.objects import ObjectKey

K = TypeVar("K", bound=Hashable)

Kind: TypeAlias = Literal["change", "initial", "requested", "source", "resync", "timer", "retry"]
"""``initial``: seen when the watch began; ``requested``: somebody called ``enqueue``; ``source``: not from a watch."""

PATHS: Final = 16
"""So many changed paths, and so many versions, are kept of one cause."""


@attrs.define(eq=False, weakref_slot=False)
class Cause:
    """One reason for a run, maybe merged from several. To be read; only its owner merges.

    ``old_version`` is "" for an object that came, ``new_version`` for one that went.
    """

    kind: Kind
    at: Seconds
    """When the first of them came, on the loop's clock."""
    priority: int = NORMAL
    cluster: str = ""
    resource: str = ""
    """As errors name it: ``plural.group``."""
    key: ObjectKey | None = None
    """The object it is about; ``None`` if about none."""
    old_version: str = ""
    new_version: str = ""
    reason: str = ""
    count: int = 1
    """So many were merged."""
    versions: tuple[str, ...] = ()
    """The merged ones, the last ``PATHS`` of them; "" is a deletion."""
    _change: Change[Any] | None = None
    _paths: tuple[str, ...] | None = None

    @property
    def changed_paths(self) -> tuple[str, ...]:
        """What differs between both versions, ``PATHS`` at most; empty when an object came or went, or is not kept."""
        if self._paths is None and self._change is not None and self._change.new is not None:
            self._paths = self._change.changed_paths(PATHS)
        return self._paths or ()

    @property
    def last_known(self) -> Any:
        """The object as it was before it went; ``None`` if it is there, or is not kept.

        Raises:
            BadObject: its document does not fit its type.
        """
        return self._change.old_object if self._change is not None and self._change.new is None else None

    @property
    def kept_bytes(self) -> int:
        """What this cause keeps alive that no store does."""
        old = self._change.old if self._change is not None else None
        return len(old.raw) if old is not None else 0

    def forget_change(self) -> None:
        """Let go of both versions of the object; paths already worked out stay."""
        self._change = None

    @property
    def is_change(self) -> bool:
        """Whether a store told it."""
        return self.kind in ("change", "initial")

    @property
    def is_order(self) -> bool:
        """Whether somebody asked for this run."""
        return self.kind in ("requested", "source")

    def is_news(self, is_own: Callable[[str, str, ObjectKey, str], bool]) -> bool:
        """Whether something else than our own doing is behind it.

        ``is_own`` tells of cluster, resource, key and version whether that version is our write.
        """
        if not self.is_change:
            return self.is_order
        key = self.key
        return key is None or not all(is_own(self.cluster, self.resource, key, version) for version in self.versions)

    def is_alike(self, other: "Cause") -> bool:
        """Whether both can be merged."""
        return (
            self.key == other.key
            and self.kind == other.kind
            and self.resource == other.resource
            and self.cluster == other.cluster
        )

    def absorb(self, later: "Cause") -> None:
        """Merge with a later one that is alike."""
        self.count += later.count
        self.priority = max(self.priority, later.priority)
        if later.versions:
            self.versions = (*self.versions, *later.versions)[-PATHS:]
        self.new_version = later.new_version
        self.reason = later.reason
        self._paths = None
        self._change = self._span(later._change)

    def _span(self, later: Change[Any] | None) -> Change[Any] | None:
        """From before the first to after the last."""
        if later is None or later.new is None:
            return later
        if self._change is None or self._change.old is None:
            return None
        return msgspec.structs.replace(later, old=self._change.old)

    def facts(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "kind": self.kind,
            "cluster": self.cluster,
            "resource": self.resource,
            "key": str(self.key) if self.key is not None else None,
            "oldVersion": self.old_version,
            "newVersion": self.new_version,
            "changedPaths": list(self.changed_paths),
            "reason": self.reason,
            "count": self.count,
        }

    def __str__(self) -> str:
        parts: list[str] = [self.kind]
        if self.key is not None:
            parts += [self.cluster, self.resource, f"{self.key}:", self.old_version or "new", "->"]
            parts += [self.new_version or "gone", *self.changed_paths]
        if self.reason:
            parts.append(f"({self.reason})")
        if self.count > 1:
            parts.append(f"x{self.count}")
        return " ".join(parts)


def cause_of(change: Change[Any], *, at: Seconds, priority: int | None = None) -> Cause:
    """The cause that a change is; without a ``priority``, what was there already comes at a low one."""
    old, new = change.old, change.new
    if priority is None:
        priority = LOW if change.initial else NORMAL
    new_version = new.meta.resource_version if new is not None else ""
    return Cause(
        "initial" if change.initial else "change",
        at,
        priority,
        change.cluster,
        change.resource.name,
        change.key,
        old.meta.resource_version if old is not None else "",
        new_version,
        versions=(new_version,),
        # the first sight of an object has no other side to compare with
        change=None if old is None else change,
    )


@attrs.define(eq=False)
class Pending(Generic[K]):
    """The causes of the runs to come, by key.

    ``limit``: so many kinds and objects a key; what comes on top is counted under its kind.
    """

    limit: int = 8
    _causes: dict[K, list[Cause]] = attrs.field(init=False, factory=dict)

    def note(self, key: K, cause: Cause) -> None:
        """Remember a cause, merged with an earlier one that is alike. Takes ownership of it."""
        causes = self._causes.get(key)
        if causes is None:
            self._causes[key] = [cause]
            return
        known = _alike(causes, cause)
        if known is None and len(causes) >= self.limit:
            cause = Cause(cause.kind, cause.at, cause.priority, reason="others", count=cause.count)
            known = _alike(causes, cause)
        if known is None:
            causes.append(cause)
        else:
            known.absorb(cause)

    def take(self, key: K) -> tuple[Cause, ...]:
        """The causes of a run that begins now; they are no longer pending."""
        return tuple(self._causes.pop(key, ()))

    def of(self, key: K) -> tuple[Cause, ...]:
        """The causes of the next run."""
        return tuple(self._causes.get(key, ()))

    def __len__(self) -> int:
        return len(self._causes)


def _alike(causes: Iterable[Cause], cause: Cause) -> Cause | None:
    return next((known for known in causes if known.is_alike(cause)), None)
