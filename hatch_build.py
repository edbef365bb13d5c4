"""Notes in the wheel which commit it was built from, for ``apinetlet version``."""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VARIABLE = "SOURCE_COMMIT"
"""Says it where there is no repository, as in an image build."""


class Commit(BuildHookInterface[Any]):
    """Adds ``apinetlet/commit.txt``. Without a commit that is known there is no such file."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is built; an editable one follows its working tree, and notes nothing."""
        commit = os.environ.get(VARIABLE) or _checked_out(self.root)
        if version == "editable" or not commit or (Path(self.root) / "apinetlet" / "commit.txt").exists():
            return
        self._file = Path(tempfile.mkdtemp()) / "commit.txt"
        self._file.write_text(f"{commit}\n", encoding="ascii")
        build_data["force_include"][str(self._file)] = "apinetlet/commit.txt"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called when the wheel is there."""
        if (file := getattr(self, "_file", None)) is not None:
            file.unlink()
            file.parent.rmdir()


def _checked_out(folder: str) -> str:
    if not (Path(folder) / ".git").exists():
        return ""  # another repository around it is not ours
    try:
        words = ["git", "rev-parse", "HEAD"]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
