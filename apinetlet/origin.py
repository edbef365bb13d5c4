"""Which source object a target object was made for, as recorded on the target itself.

Three values: name, namespace and uid of the source, under keys made of the generation's domain and the lower-case
kind. Where the name stands (label or annotation) is the generation's choice. An object that lacks one of the three is
not ours: it is never touched. Pure.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import frozen

from apinetlet.api.generation import Generation, NameIn
from reconcile.kube import MergePatch, ObjectKey, ObjectMeta

ORIGIN: Final = "origin"
"""The index over target objects: by the key of the source that each was made for."""
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


@frozen
class Origin:
    """The source object that a target was made for."""

    namespace: str
    name: str
    uid: str

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.namespace, self.name)


@frozen
class Origins:
    """Reads and writes the origin of one source kind."""

    generation: Generation
    kind: str

    def of(self, target: ObjectMeta) -> Origin | None:
        """The recorded source of ``target``; ``None`` if any of the three values is missing: then it is not ours."""
        names = target.labels if self.generation.name_in is NameIn.LABEL else target.annotations
        name, namespace, uid = (
            names.get(self._key("name")),
            target.labels.get(self._key("namespace")),
            target.labels.get(self._key("uid")),
        )
        return Origin(namespace, name, uid) if name and namespace and uid else None

    def keys(self, target: ObjectMeta) -> Iterable[ObjectKey]:
        """The source key of ``target`` as the values of an index: one, or none."""
        origin = self.of(target)
        return () if origin is None else (origin.key,)

    def metadata(self, source: ObjectMeta) -> Mapping[str, Any]:
        """``labels`` (and ``annotations``) of a target made for ``source``: exactly these keys, nothing else."""
        placed = {
            "labels": {self._key("namespace"): source.namespace, self._key("uid"): source.uid},
            "annotations": {},
        }
        placed["labels" if self.generation.name_in is NameIn.LABEL else "annotations"][self._key("name")] = source.name
        return {where: values for where, values in placed.items() if values}

    def origin(self, source: ObjectMeta) -> Origin:
        """What a target made for ``source`` records."""
        return Origin(source.namespace, source.name, source.uid)

    def absent(self) -> Mapping[str, Any]:
        """``labels`` and ``annotations`` for a merge patch that takes our three values away, and nothing else."""
        names = "labels" if self.generation.name_in is NameIn.LABEL else "annotations"
        gone: dict[str, dict[str, None]] = {"labels": dict.fromkeys((self._key("namespace"), self._key("uid")))}
        gone.setdefault(names, {})[self._key("name")] = None
        return gone

    def moved(self, target: ObjectMeta) -> MergePatch | None:
        """The name out of the label where former releases wrote it, into the annotation where it stands now.

        ``None`` where there is nothing to move: no such label, or not all three values.
        """
        label, labels = self._key("name"), target.labels
        is_whole = all(labels.get(self._key(part)) for part in ("name", "namespace", "uid"))
        if self.generation.name_in is NameIn.LABEL or not is_whole:
            return None
        return MergePatch({"metadata": {"labels": {label: None}, "annotations": {label: labels[label]}}})

    def fits(self, source: ObjectMeta) -> bool:
        """Whether the name of ``source`` can be recorded; only a server that checks no names lets others through."""
        return self.generation.name_in is NameIn.ANNOTATION or (
            len(source.name) <= 63 and _LABEL_VALUE.fullmatch(source.name) is not None
        )

    def _key(self, part: str) -> str:
        return f"{self.generation.origins}/{self.kind.lower()}-{part}"
