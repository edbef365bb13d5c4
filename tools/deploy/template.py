"""One document, two forms: filled with values (kustomize), or with its places left open (Helm).

A document is plain data. ``${image.tag}`` in a text is an open place; a text that is nothing else takes the value as it
is, whatever its type. ``When`` marks an item of a list that is there only under a condition, ``Each`` the items of a
list that is a value. Pure.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml
from attrs import frozen

PLACE: Final = re.compile(r"\$\{([a-zA-Z.]+)\}")
RELEASE: Final = {"release.name": ".Release.Name", "release.namespace": ".Release.Namespace"}
"""Places that Helm fills by itself."""


@frozen
class Condition:
    """``path`` holds something (or equals ``equals``); ``inverse`` turns that around."""

    path: str
    equals: str = ""
    inverse: bool = False

    def holds(self, values: Mapping[str, Any]) -> bool:
        found = values[self.path]
        return (found == self.equals if self.equals else bool(found)) is not self.inverse

    def __str__(self) -> str:
        said = f'(eq {_path(self.path)} "{self.equals}")' if self.equals else _path(self.path)
        return f"(not {said})" if self.inverse else said


@frozen
class When:
    """An item of a list that is there only if all ``conditions`` hold."""

    conditions: tuple[Condition, ...]
    item: Any


@frozen
class Each:
    """Stands in a list for every item of the list at ``path``, which are texts."""

    path: str


def all_of(conditions: Sequence[Condition]) -> str:
    """As Helm writes it; "" for none."""
    return f"and {' '.join(map(str, conditions))}" if len(conditions) > 1 else "".join(map(str, conditions))


def filled(document: Any, values: Mapping[str, Any]) -> Any:
    """``document`` with every place filled; ``values`` by their whole paths."""
    match document:
        case str() if whole := PLACE.fullmatch(document):
            return values[whole[1]]
        case str():
            return PLACE.sub(lambda place: str(values[place[1]]), document)
        case Mapping():
            return {key: filled(value, values) for key, value in document.items()}
        case list() | tuple():
            return [filled(item, values) for found in document for item in _items(found, values)]
    return document


def _items(item: Any, values: Mapping[str, Any]) -> Sequence[Any]:
    match item:
        case When():
            return [item.item] if all(one.holds(values) for one in item.conditions) else []
        case Each():
            return values[item.path]  # type: ignore[no-any-return]
    return [item]


def templated(document: Any, values: Mapping[str, Any]) -> str:
    """``document`` as text that Helm fills; ``values`` tell of what type each place is."""
    text = dumped(_marked(document))
    text = text.replace("{{", "\0").replace("}}", "\1").replace("\0", '{{ "{{" }}').replace("\1", '{{ "}}" }}')
    text = re.sub(r"^ *- '@if (.*)'$", r"{{- if \1 }}", text, flags=re.M)
    text = re.sub(
        r"^( *)- '@each (.*)'$", r"{{- range .Values.\2 }}\n\1- {{ . | quote }}\n{{- end }}", text, flags=re.M
    )
    text = re.sub(r"^ *- '@end'$", r"{{- end }}", text, flags=re.M)
    return "\n".join(_opened(line, values) for line in text.splitlines()) + "\n"


def _marked(document: Any) -> Any:
    match document:
        case Mapping():
            return {key: _marked(value) for key, value in document.items()}
        case list() | tuple():
            marked: list[Any] = []
            for item in document:
                if isinstance(item, When):
                    marked += [f"@if {all_of(item.conditions)}", _marked(item.item), "@end"]
                elif isinstance(item, Each):
                    marked.append(f"@each {item.path}")
                else:
                    marked.append(_marked(item))
            return marked
    return document


def _opened(line: str, values: Mapping[str, Any]) -> str:
    """One line with its places open. What is no text stands on lines of its own."""
    if whole := re.fullmatch(r"( *)((?:- )?)([^ ]+: )?\$\{([a-zA-Z.]+)\}", line):
        indent, dash, key, path = whole.groups()
        value, head = values.get(path, ""), f"{indent}{dash}{key or ''}"
        if isinstance(value, (dict, list)):
            return f"{head.rstrip()} {{{{- toYaml {_path(path)} | nindent {len(indent + dash) + 2} }}}}"
        return f"{head}{{{{ {_path(path)}{' | quote' if isinstance(value, str) else ''} }}}}"
    return PLACE.sub(lambda place: f"{{{{ {_path(place[1])} }}}}", line)


def _path(path: str) -> str:
    return RELEASE.get(path, f".Values.{path}")


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)  # lists stand in from their key


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def dumped(document: Any) -> str:
    """As YAML for people: in the order given, lines as long as they are."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=10**6, allow_unicode=True)
