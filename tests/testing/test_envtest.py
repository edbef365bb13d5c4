"""A control plane that cannot start. One that runs: tests/real/test_control_plane.py."""

import tempfile
from pathlib import Path

import pytest

from reconcile.testing.envtest import ControlPlane
from reconcile.testing.processes import ProgramFailed


def test_a_program_that_fails_is_an_error_with_its_output_and_leaves_no_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    etcd = a_program(tmp_path / "etcd", "echo no space left on device >&2; exit 1")
    a_program(tmp_path / "kube-apiserver", "exec sleep 600")
    with pytest.raises(ProgramFailed, match="etcd ended with 1; its last lines:\nno space left on device"):
        ControlPlane.start(etcd.parent)
    assert not list(tmp_path.glob("envtest-*"))


def a_program(path: Path, script: str) -> Path:
    path.touch(mode=0o755)
    path.write_text(f"#!/bin/sh\n{script}\n")
    return path
