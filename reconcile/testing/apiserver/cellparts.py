"""What the cells of all kinds are made of: ages, names, labels, selectors, lists that are cut short.

Pure. Source: k8s.io/kubernetes, ``pkg/printers/internalversion/printers.go``, and apimachinery, ``util/duration``.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from reconcile.testing.apiserver.failure import Document

NONE: Final = "<none>"
UNSET: Final = "<unset>"
UNKNOWN: Final = "<unknown>"


def human(seconds: float) -> str:
    """A span of time as people say it."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 120:
        return f"{max(whole, 0)}s"
    minutes, hours = whole // 60, whole // 3600
    days = hours // 24
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 24 * 8:
        return _two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    return _two(days // 365, "y", days % 365, "d") if days < 365 * 8 else f"{days // 365}y"


def _two(great: int, unit: str, small: int, smaller: str) -> str:
    return f"{great}{unit}{small}{smaller}" if small else f"{great}{unit}"


@attrs.frozen
class Clock:
    """The moment at which a table is made."""

    now: dt.datetime

    def since(self, time: str | None) -> str:
        """How long ago that was."""
        if not time:
            return UNKNOWN
        try:
            return human((self.now - dt.datetime.fromisoformat(time)).total_seconds())
        except ValueError:
            return "<invalid>"


Printer: TypeAlias = Callable[[Document, Clock], list[Any]]


def steps(path: str) -> list[str | int]:
    """A simple JSONPath: ``.spec.list[0].a\\.b``, ``.metadata.labels['a.b']``."""
    found: list[str | int] = []
    for name, index, quoted in re.findall(r"\.((?:\\.|[^.\[\]])+)|\[(-?\d+)\]|\[['\"](.*?)['\"]\]", path):
        if index:
            found.append(int(index))
        else:
            found.append((name or quoted).replace("\\.", "."))
    return found


def name_of(document: Document) -> str:
    """The name of an object."""
    return document["metadata"].get("name", "")  # type: ignore[no-any-return]


def age(document: Document, clock: Clock) -> str:
    """How old an object is."""
    return clock.since(document["metadata"].get("creationTimestamp"))


def spec_of(document: Document) -> Document:
    """What an object should be."""
    return document.get("spec") or {}


def status_of(document: Document) -> Document:
    """What an object is."""
    return document.get("status") or {}


def labels_of(labels: Mapping[str, str] | None) -> str:
    """Labels as a text."""
    return ",".join(f"{name}={value}" for name, value in sorted((labels or {}).items())) or NONE


def selector(value: Document | None, *, empty: str = NONE) -> str:
    """A label selector as a text."""
    if value is None:
        return NONE
    parts = {name: f"{name}={text}" for name, text in (value.get("matchLabels") or {}).items()}
    found = sorted(parts.items())
    for one in value.get("matchExpressions") or ():
        key, values = one["key"], ",".join(sorted(one.get("values") or ()))
        text = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }[one["operator"]]
        found.append((key, text))
    return ",".join(text for _, text in sorted(found, key=lambda pair: pair[0])) or empty


def selector_text(value: Document) -> str:
    """A selector as a text, be it one of today or the bare labels of a replication controller."""
    return labels_of(value) if is_plain(value) else selector(value, empty="")


def containers_of(template: Document | None) -> list[str]:
    """The names and the images of the containers of a template."""
    found = ((template or {}).get("spec") or {}).get("containers") or ()
    return [",".join(one.get(part, "") for one in found) for part in ("name", "image")]


def first_few(found: list[str], most: int = 3) -> str:
    """The first few of a list, and how many there are more."""
    if not found:
        return UNSET
    text = ",".join(found[:most])
    return f"{text} + {len(found) - most} more..." if len(found) > most else text


def said(value: Any, otherwise: str) -> Any:
    """A value, or what stands for none."""
    return otherwise if value in (None, "") else value


def is_plain(value: Document | None) -> bool:
    """Whether a selector is nothing but labels."""
    return bool(value) and not {"matchLabels", "matchExpressions"} & (value or {}).keys()


def balanced(one: Document) -> list[str]:
    """Where a load balancer is reached."""
    found = (status_of(one).get("loadBalancer") or {}).get("ingress") or ()
    return sorted({each.get("ip") or each.get("hostname") or "" for each in found} - {""})


def plain(*paths: str) -> Printer:
    """Name, some values, age."""
    split = [path.split(".") for path in paths]

    def cells(one: Document, clock: Clock) -> list[Any]:
        found = []
        for path in split:
            value: Any = one
            for step in path:
                value = (value or {}).get(step)
            found.append("" if value is None else value)
        return [name_of(one), *found, age(one, clock)]

    return cells


def count_of(*parts: str) -> Printer:
    """Name, how many entries some fields have, age."""
    return lambda one, clock: [name_of(one), sum(len(one.get(part) or ()) for part in parts), age(one, clock)]
