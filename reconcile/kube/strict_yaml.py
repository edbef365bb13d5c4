"""YAML for settings of people: a key that stands twice is a mistake, for one of its values would be dropped unsaid.

Pure.
"""

from typing import Any

import yaml


class RepeatedKey(yaml.YAMLError):
    """A key stands twice in one mapping. ``problem`` says which, and where the second one is."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class StrictLoader(yaml.SafeLoader):
    """As ``yaml.SafeLoader``. Raises RepeatedKey where that takes the last of several values."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise RepeatedKey(f"{key.value} stands there twice, again in line {key.start_mark.line + 1}")
                seen.add(key.value)
        return super().construct_mapping(node, deep)


class TextLoader(StrictLoader):
    """The same, but every scalar is the text that stands there, be it a number, a date or a ``yes``; null is None."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as in the class that it replaces
        first: [(tag, form) for tag, form in known if tag == "tag:yaml.org,2002:null"]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
