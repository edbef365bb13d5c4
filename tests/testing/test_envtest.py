"""Where the programs of a real control plane are looked for. The running thing: tests/real/test_control_plane.py."""

import tempfile
from pathlib import Path

import pytest

from reconcile.testing import envtest
from reconcile.testing.processes import ProgramFailed


@pytest.fixture(autouse=True)
def _an_empty_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_without_assets_the_error_says_how_to_build_them() -> None:
    assert envtest.assets() is None
    with pytest.raises(envtest.MissingAssets, match="make envtest"):
        envtest.ControlPlane.start()


def test_a_program_that_fails_is_an_error_with_its_output_and_leaves_no_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = programs(tmp_path / "broken")
    (folder / "etcd").write_text("#!/bin/sh\necho no space left on device >&2; exit 1")
    (folder / "kube-apiserver").write_text("#!/bin/sh\nexec sleep 600")
    with pytest.raises(ProgramFailed, match="etcd ended with 1; its last lines:\nno space left on device"):
        envtest.ControlPlane.start(folder)
    assert not list(tmp_path.glob("envtest-*"))


def test_what_was_built_last_is_used(tmp_path: Path) -> None:
    built = programs(tmp_path / "cache/apinetlet/envtest/1.2.3-4.5.6-789")
    (built.parent / "current").symlink_to(built.name)
    found = envtest.assets()
    assert found is not None
    assert found.resolve() == built


def test_a_chosen_folder_wins_over_what_was_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    programs(tmp_path / "cache/apinetlet/envtest/current")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(programs(tmp_path / "chosen")))
    assert envtest.assets() == tmp_path / "chosen"


def test_a_chosen_folder_without_programs_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    programs(tmp_path / "cache/apinetlet/envtest/current")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "typo"))
    with pytest.raises(envtest.MissingAssets, match="typo"):
        envtest.ControlPlane.start()


def test_controllers_without_their_program_are_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(envtest.MissingAssets, match="kube-controller-manager"):
        envtest.ControlPlane.start(programs(tmp_path / "few"), controllers=envtest.CONTROLLERS)


def programs(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("kube-apiserver", "etcd"):
        (folder / name).touch(mode=0o755)
    return folder
