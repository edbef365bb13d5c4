"""Tools beside the daemon, in the same program: a module each, loaded only when its word is said.

A module has ``TOOL``, its declaration: usage, flags and what it does (``shell.py``), and ``main``, which takes the
words after its own and answers the exit status. Help, completion and the command line follow from the declarations.
"""

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Final

TOOLS: Final[Mapping[str, str]] = {
    "check": "look whether the daemon could do its work",
    "drain": "uninstall: take our finalizers off all source objects",
    "explain": "tell everything about one source object",
    "plan": "show what the daemon would change, as a diff",
    "rbac": "print the least rights for exactly these flags",
    "top": "watch what a running daemon does",
    "provider-id": "read or write provider IDs",
    "version": "print the version, its commit and the generations it serves",
    "completion": "print a completion script for a shell",
}
"""Each word, and what it does in one line."""


def load(word: str) -> ModuleType:
    """The module of a tool. Raises ``KeyError``: there is no such tool."""
    if word not in TOOLS:
        raise KeyError(word)
    return importlib.import_module(f"{__name__}.{word.replace('-', '_')}")


def summary() -> str:
    """The tools as ``--help`` lists them."""
    return "\n".join(f"  apinetlet {word:<12} {what}" for word, what in TOOLS.items())
