"""Programs in other languages, built once into a cache folder; later runs find them there.

The folder is ``apinetlet/foreign`` below ``XDG_CACHE_HOME``; what is built is named after its sources, so a changed one
is built anew. Without the language's tools the test is skipped, and fails with REQUIRE_REAL=1.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest


def go(source: Path) -> Path:
    """The program of a Go module."""
    target = _target("go", source)
    if not target.exists():
        _build([_tool("go"), "build", "-o", str(target), "."], source)
    return target


def rust(source: Path) -> Path:
    """The program of a Cargo package."""
    target = _target("rust", source)
    if not target.exists():
        folder = target.with_suffix(".build")
        _build([_tool("cargo"), "build", "--quiet", "--target-dir", str(folder)], source)
        shutil.copy(folder / "debug" / "gardener", target)
        shutil.rmtree(folder)
    return target


def _target(language: str, source: Path) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "apinetlet", "foreign")
    cache.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    for path in sorted(source.rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    return cache / f"{language}-{digest.hexdigest()[:16]}"


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        if os.environ.get("REQUIRE_REAL") == "1":
            raise AssertionError(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


def _build(command: list[str], source: Path) -> None:
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
