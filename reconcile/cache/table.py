"""Objects and the indexes over them, changed together.

A table holds one version of each object, by namespace and name, and for every index which keys have which value.
``put`` and ``pop`` change all of it in one step, at a cost that does not depend on how many objects there are. What an
index says of an object is worked out before, so a function that fails cannot leave half a change behind. Pure.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Literal, TypeAlias

import attrs

from reconcile.cache.entry import Entry
from reconcile.kube.objects import ObjectKey, ObjectMeta

Values: TypeAlias = tuple[tuple[Hashable, ...], ...]
"""For each index, in their order, under which values an object is found."""


@attrs.frozen
class Index:
    """A name to look objects up by. ``function`` says under which values an object is found: any number, hashable.

    ``needs`` says what it is called with: "object", the typed object, or "meta", its head alone, which is a lot
    cheaper, for the body is never decoded. A text counts as one value, ``None`` as no value.
    """

    name: str
    function: Callable[[Any], Iterable[Hashable] | None]
    needs: Literal["meta", "object"] = "object"

    def values(self, about: Any) -> tuple[Hashable, ...]:
        """What ``function`` says of an object or its head, each value once.

        Raises:
            Exception: whatever the function raises; ``TypeError`` for what is not hashable.
        """
        found = self.function(about)
        if found is None:
            return ()
        return (found,) if isinstance(found, str) else tuple(dict.fromkeys(found))


@attrs.define(eq=False)
class Table:
    """``indexes`` is how many of them there are; they are known by their place."""

    indexes: int = 0
    bytes: int = attrs.field(init=False, default=0)
    """How long the documents are together."""
    _objects: dict[str, dict[str, Entry]] = attrs.field(init=False, factory=dict)
    _keys: tuple[dict[Hashable, dict[ObjectKey, None]], ...] = attrs.field(init=False)
    _values: dict[ObjectKey, Values] = attrs.field(init=False, factory=dict)
    _length: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._keys = tuple({} for _ in range(self.indexes))

    def __len__(self) -> int:
        return self._length

    def get(self, key: ObjectKey) -> Entry | None:
        """The object of that key."""
        names = self._objects.get(key[0])
        return None if names is None else names.get(key[1])

    def find(self, meta: ObjectMeta) -> Entry | None:
        """The object of that head's key."""
        names = self._objects.get(meta.namespace)
        return None if names is None else names.get(meta.name)

    def entries(self, namespace: str | None = None) -> Iterator[Entry]:
        """All objects, or those of one namespace, in the order in which they came."""
        if namespace is not None:
            yield from self._objects.get(namespace, {}).values()
            return
        for names in self._objects.values():
            yield from names.values()

    def keys_by(self, index: int, value: Hashable) -> Iterable[ObjectKey]:
        """The keys that an index has under a value, in the order in which they came there."""
        return self._keys[index].get(value, ())

    def values(self, key: ObjectKey) -> Values:
        """What the indexes have of an object."""
        return self._values.get(key, ((),) * self.indexes)

    def put(self, entry: Entry, values: Values) -> Entry | None:
        """Add or replace an object; what was there before."""
        meta = entry.meta
        names = self._objects.get(meta.namespace)
        if names is None:
            names = self._objects[meta.namespace] = {}
        old = names.get(meta.name)
        names[meta.name] = entry
        self.bytes += len(entry.raw)
        if old is None:
            self._length += 1
        else:
            self.bytes -= len(old.raw)
        if self.indexes:
            self._index(meta.key, values)
        return old

    def pop(self, key: ObjectKey) -> Entry | None:
        """Remove an object; what was there."""
        names = self._objects.get(key.namespace)
        old = None if names is None else names.pop(key.name, None)
        if names is None or old is None:
            return None
        if not names:
            del self._objects[key.namespace]
        self.bytes -= len(old.raw)
        self._length -= 1
        if self.indexes:
            self._index(key, ())
        return old

    def _index(self, key: ObjectKey, values: Values) -> None:
        before = self._values.get(key, ())
        if before == values:
            return
        for place, keys in enumerate(self._keys):
            was, now = before[place] if before else (), values[place] if values else ()
            for value in was:
                if value not in now:
                    del keys[value][key]
                    if not keys[value]:
                        del keys[value]
            for value in now:
                if value not in was:
                    keys.setdefault(value, {})[key] = None
        if any(values):
            self._values[key] = values
        else:
            self._values.pop(key, None)
