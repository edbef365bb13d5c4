"""Where a kubeconfig with a private key is kept: whole or not at all, for nobody else to read, and readable errors."""

import base64
import os
import stat
from pathlib import Path

import pytest

from reconcile.kube import kinds
from reconcile.kube.certificates.stores import FileStore, SecretStore
from reconcile.kube.kubeconfig import LoginError
from reconcile.kube.objects import ObjectKey
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.admission import Rules, User

KEY = ObjectKey("default", "login")
MANAGER = "ironcore.dev/config-read-writer"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_file_is_replaced_as_a_whole_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "kubeconfig")
    assert await store.read() is None
    store.path.write_bytes(b"old")
    store.path.chmod(0o644)
    await store.check()
    assert await store.read() == b"old"
    with store.path.open("rb") as before:
        await store.write(b"new")
        assert before.read() == b"old"  # a reader sees the one or the other
    assert await store.read() == b"new"
    assert mode(store.path) == 0o600
    assert os.listdir(tmp_path) == ["kubeconfig"]


async def test_a_file_is_for_nobody_else_from_its_first_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    replace = os.replace

    def watched(source: str, target: Path) -> None:
        modes.append(mode(Path(source)))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    before = os.umask(0)
    try:
        await FileStore(tmp_path / "kubeconfig").write(b"secret")
    finally:
        os.umask(before)
    assert modes == [0o600]


async def test_a_crash_in_the_middle_leaves_the_former_text_and_the_next_start_clears_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(tmp_path / "kubeconfig")
    await store.write(b"old")
    with monkeypatch.context() as crashed:
        crashed.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        crashed.setattr(os, "unlink", lambda *_: None)  # as SIGKILL would have it
        with pytest.raises(KeyboardInterrupt):
            await store.write(b"new")
    assert await store.read() == b"old"
    assert len(os.listdir(tmp_path)) == 2
    await store.check()
    assert os.listdir(tmp_path) == ["kubeconfig"]


async def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "kubeconfig")
    await FileStore(tmp_path / "link").write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "kubeconfig").read_bytes() == b"new"


async def test_a_file_that_cannot_be_read_or_written_says_where_and_why(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no" / "kubeconfig"):
        with pytest.raises(LoginError, match="the kubeconfig store cannot be written") as caught:
            await FileStore(path).check()
        assert str(path) in str(caught.value)
        assert "rights of its folder" in str(caught.value)
        with pytest.raises(LoginError, match="cannot be written"):
            await FileStore(path).write(b"secret")
    with pytest.raises(LoginError, match="cannot be read: it is a folder"):
        await FileStore(tmp_path).read()


async def test_a_file_that_everybody_may_read_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = FileStore(tmp_path / "kubeconfig")
    await store.write(b"secret")
    await store.read()
    assert caplog.text == ""
    store.path.chmod(0o644)
    assert await store.read() == b"secret"
    [line] = caplog.messages
    assert line == f"everybody may read a private key, so chmod 600 it: file={store.path} mode=644"


async def test_what_is_no_file_is_neither_replaced_nor_waited_for(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "kubeconfig")
    os.mkfifo(store.path)  # a device would be replaced as well, and reading this one would wait for a writer
    for attempt in (store.check, lambda: store.write(b"secret")):
        with pytest.raises(LoginError, match="cannot be written: it is no file"):
            await attempt()
    with pytest.raises(LoginError, match="cannot be read: it is no file"):
        await store.read()
    assert store.path.is_fifo()


async def test_a_secret_is_applied_under_its_own_field_manager_and_other_keys_stay() -> None:
    async with ApiServer() as server:
        client = server.client(field_manager=MANAGER)
        store = SecretStore(client, KEY)
        assert await store.read() is None
        await store.check()
        assert await store.read() is None
        await server.client().create(
            kinds.SECRET, {"metadata": {"name": "login"}, "data": {"other": "b2s="}}, namespace="default"
        )
        assert await store.read() is None
        for text in (b"one", b"two"):
            await store.write(text)
            await store.check()
            assert await store.read() == text
        [found] = server.objects(kinds.SECRET)
        assert found["data"] == {"other": "b2s=", "kubeconfig": base64.b64encode(b"two").decode()}
        owners = {one["manager"] for one in found["metadata"]["managedFields"] if one["operation"] == "Apply"}
        assert owners == {MANAGER}


async def test_a_secret_that_is_not_ours_to_touch_says_which_right_is_missing_and_nothing_secret() -> None:
    nobody = User("nobody", ())
    async with ApiServer() as server:
        await SecretStore(server.client(), KEY).write(b"-----BEGIN")
        server.rules = Rules({"nobody": ()})
        store = SecretStore(server.client(user=nobody), KEY)
        with pytest.raises(LoginError, match=r"cannot be read: .*Forbidden") as caught:
            await store.read()
        assert "Secret default/login" in str(caught.value)
        for act in (store.check(), store.write(b"-----BEGIN")):
            with pytest.raises(LoginError, match=r"cannot be written: .*Forbidden") as caught:
                await act
            assert "BEGIN" not in str(caught.value)
            assert base64.b64encode(b"-----BEGIN").decode() not in str(caught.value)


async def test_the_client_of_a_store_is_not_shown() -> None:
    async with ApiServer() as server:
        assert "client" not in repr(SecretStore(server.client(), KEY))
