"""``import reconcile`` costs nothing, and its words are what the layers define."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import reconcile

HEAVY = {"aiohttp", "cattrs", "prometheus_client", "kubernetes_asyncio", "tenacity", "cryptography", "rich"}

# not ru_maxrss: that begins with what the parent had
MEASURE = """
import json, re, sys, time
began = time.process_time()
import reconcile
{more}
spent = time.process_time() - began
peak_mb = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024
print(json.dumps([spent, peak_mb, sorted(sys.modules)]))
"""


def measure(more: str = "") -> tuple[float, float, set[str]]:
    """CPU seconds, peak memory in MB and loaded modules of a fresh interpreter."""
    code = MEASURE.format(more=more)
    answer: list[Any] = json.loads(subprocess.run([sys.executable, "-c", code], check=True, stdout=-1).stdout)
    return answer[0], answer[1], set(answer[2])


def test_the_import_is_cheap_and_loads_no_library_that_is_not_needed() -> None:
    seconds, peak_mb, modules = measure()
    assert not HEAVY & modules
    assert seconds < 0.1
    assert peak_mb < 35


def test_all_words_together_load_no_http_library_either() -> None:
    _, _, modules = measure("for name in reconcile.__all__: getattr(reconcile, name)")
    assert "reconcile.manager.manager" in modules
    assert not HEAVY & modules


def test_type_checkers_and_the_interpreter_find_the_words_in_the_same_places() -> None:
    tree = ast.parse(Path(reconcile.__file__).read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert told == reconcile._HOME


@pytest.mark.parametrize("name", reconcile.__all__)
def test_a_word_is_there_and_at_home_where_it_is_said_to_be(name: str) -> None:
    word = getattr(reconcile, name)
    assert getattr(word, "__module__", reconcile._HOME[name]).startswith(("reconcile.", "builtins", "typing"))
    assert name in dir(reconcile)
    home = getattr(word, "__module__", "reconcile.")
    assert not home.startswith("reconcile.") or home == reconcile._HOME[name]


def test_an_unknown_word_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'reconcile' has no attribute 'Contoller'"):
        _ = reconcile.Contoller  # type: ignore[attr-defined]
