"""Where the programs of a real control plane are looked for."""

from pathlib import Path

import pytest

from reconcile.testing import assets


@pytest.fixture(autouse=True)
def _an_empty_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_without_programs_the_error_says_how_to_build_them() -> None:
    assert assets.find() is None
    with pytest.raises(assets.MissingAssets, match="make envtest"):
        assets.require()


def test_what_was_built_last_is_found(tmp_path: Path) -> None:
    built = programs(tmp_path / "cache/apinetlet/envtest/1.2.3-4.5.6-789")
    (built.parent / "current").symlink_to(built.name)
    assert assets.require().resolve() == built


def test_a_chosen_folder_wins_over_what_was_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    programs(tmp_path / "cache/apinetlet/envtest/current")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(programs(tmp_path / "chosen")))
    assert assets.find() == tmp_path / "chosen"


def test_a_chosen_folder_without_programs_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    programs(tmp_path / "cache/apinetlet/envtest/current")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "typo"))
    with pytest.raises(assets.MissingAssets, match="typo"):
        assets.require()


def test_controllers_without_their_program_are_an_error_that_names_it(tmp_path: Path) -> None:
    few = programs(tmp_path / "few")
    assert assets.require(few) == few
    with pytest.raises(assets.MissingAssets, match="kube-controller-manager"):
        assets.require(few, controllers=True)


def programs(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("kube-apiserver", "etcd"):
        (folder / name).touch(mode=0o755)
    return folder
