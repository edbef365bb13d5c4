"""What a server keeps in a folder: all that anybody was told of, through every kind of end."""

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from reconcile.kube import ObjectKey
from reconcile.kube.access import ClusterAccess
from reconcile.kube.client import Client
from reconcile.kube.credentials import RenewedCredentials
from reconcile.kube.errors import Gone, KubeError
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.kube.patch import MergePatch
from reconcile.kube.request import watch
from reconcile.kube.transport import HttpTransport
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.apiserver.__main__ import main
from reconcile.testing.apiserver.journal import BadJournal, Journal, JournalFile
from reconcile.testing.plugin import AnyioBackend
from tests.testing.callers import THINGS, Api, Watch


@pytest.fixture(scope="module")
def anyio_backend() -> AnyioBackend:
    return "asyncio", {}  # a thread writes


@asynccontextmanager
async def kept(folder: Path) -> AsyncIterator[ApiServer]:
    journal = Journal(JournalFile.open(folder))
    async with ApiServer(journal=journal, rng=random.Random()) as server:
        yield server


async def test_a_server_goes_on_where_it_was(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        api = Api(server.transport(), "default")
        await api.made("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", THINGS)
        await api.thing("a", {"text": "blue"})
        await api.map("gone")
        await api.delete(f"{api.maps}/gone")
        version, before = server.storage.version, (await api.get(api.things)).body
    async with kept(tmp_path) as server:
        api = Api(server.transport(), "default")
        assert server.storage.version == version
        assert (await api.get(api.things)).body == before
        assert (await api.get(api.things, fieldSelector="spec.text=blue")).body == before
        assert (await api.get(f"{api.maps}/gone")).code == 404
        assert int((await api.thing("b")).version) > version
        with pytest.raises(Gone):
            await server.client().list(CONFIG_MAP, resource_version=str(version - 1), resource_version_match="Exact")


async def test_garbage_and_namespaces_in_deletion_are_not_forgotten(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        api = Api(server.transport(), "default")
        owner = await api.map("owner")
        await api.map("owned", ownerReferences=[reference(owner.meta)])
        await api.made("/api/v1/namespaces", {"metadata": {"name": "n"}})
    file = JournalFile.open(tmp_path)
    rows = file.load().tables["configmaps"]
    file.close()
    assert {key: orjson.loads(one.raw)["metadata"]["name"] for key, one in rows.items()} == {
        "default/owner": "owner",
        "default/owned": "owned",
    }
    async with kept(tmp_path) as server:
        api = Api(server.transport(), "default")
        await api.delete(f"{api.maps}/owner")
        with anyio.fail_after(5):
            while server.objects(CONFIG_MAP, "default"):
                await anyio.sleep(0.01)


def reference(meta: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": meta["name"], "uid": meta["uid"]}


async def test_nobody_sees_what_is_not_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its author, nor a reader, nor a watcher."""
    async with kept(tmp_path) as server:
        api = Api(server.transport(), "default")
        assert server.journal is not None
        stream = await api.watch(api.maps)
        write, allowed = JournalFile.write, asyncio.Event()
        loop = asyncio.get_running_loop()

        def slow(file: JournalFile, batches: Any) -> None:
            asyncio.run_coroutine_threadsafe(allowed.wait(), loop).result(10)
            write(file, batches)

        monkeypatch.setattr(JournalFile, "write", slow)
        told: list[str] = []

        async def note(name: str, wait: Any) -> None:
            await wait
            told.append(name)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(note, "writer", api.map("a"))
            await anyio.sleep(0.01)
            tasks.start_soon(note, "second writer", api.map("b"))
            tasks.start_soon(note, "reader", api.get(api.maps))
            tasks.start_soon(note, "watcher", stream.take(2))
            tasks.start_soon(note, "new watcher", late(api))
            await anyio.sleep(0.05)
            assert told == []
            allowed.set()
        assert sorted(told) == ["new watcher", "reader", "second writer", "watcher", "writer"]


async def late(api: Api) -> list[tuple[str, str]]:
    names = await (await api.watch(api.maps)).names(2)
    assert names == [("ADDED", "a"), ("ADDED", "b")]
    return names


async def test_a_watch_that_replays_what_is_being_committed_is_told_once(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        api = Api(server.transport(), "default")
        start = (await api.map("a")).version
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(api.map, "b")
            await anyio.lowlevel.checkpoint()
            stream = Watch(
                await server.transport().open(watch(CONFIG_MAP, "default", resource_version=start), timeout=10)
            )
            assert await stream.names(1) == [("ADDED", "b")]
        await api.map("c")
        assert await stream.names(1) == [("ADDED", "c")]
        await stream.stream.aclose()


async def test_writes_that_come_together_are_committed_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    write = JournalFile.write

    def counted(file: JournalFile, batches: list[Any]) -> None:
        sizes.append(len(batches))
        time.sleep(0.005)
        write(file, batches)

    async with kept(tmp_path) as server:
        api = Api(server.transport(), "default")
        await api.get(api.maps)
        monkeypatch.setattr(JournalFile, "write", counted)
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(api.map, f"m{number}")
        assert sum(sizes) == 50
        assert len(sizes) < 10


async def test_a_restore_goes_back_in_the_file_too(tmp_path: Path) -> None:
    async with kept(tmp_path) as server:
        api = Api(server.transport(), "default")
        await api.map("a")
        backup = server.snapshot()
        await api.map("b")
        server.restore(backup)
        await api.map("c")
    async with kept(tmp_path) as server:
        assert [one.metadata.name for one in server.objects(CONFIG_MAP, "default")] == ["a", "c"]


async def test_a_file_that_cannot_be_written_ends_everything_and_loses_nothing_that_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: JournalFile, batches: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async with kept(tmp_path) as server:
        api = Api(server.transport(), "default")
        await api.map("a")
        with monkeypatch.context() as patch:
            patch.setattr(JournalFile, "write", full)
            for _ in range(2):
                reply = await api.post(api.maps, {"metadata": {"name": "b"}})
                assert (reply.code, "disk is full" in reply["message"]) == (500, True)
        assert server.journal is not None
        assert server.journal.failed.is_set()
        assert (await api.get(api.maps)).code == 500
    async with kept(tmp_path) as server:
        assert [one.metadata.name for one in server.objects(CONFIG_MAP, "default")] == ["a"]


class TestBadFolders:
    """Each is refused in one line that names the file, and left as it is."""

    @pytest.fixture
    async def folder(self, tmp_path: Path) -> Path:
        async with kept(tmp_path) as server:
            api = Api(server.transport(), "default")
            for number in range(50):
                await api.map(f"m{number}", {"x": "y" * 1000})
        return tmp_path

    def refused(self, folder: Path, says: str) -> None:
        file = folder / "apiserver.sqlite"
        before = file.read_bytes() if file.exists() else None
        with pytest.raises(BadJournal) as refused:
            load(folder)
        assert says in str(refused.value)
        assert str(file) in str(refused.value)
        assert "\n" not in str(refused.value)
        assert (file.read_bytes() if file.exists() else None) == before

    async def test_one_in_use(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        async with kept(folder):
            code = await anyio.to_thread.run_sync(in_process, folder)
        assert code == (1, f"reconcile-apiserver: {folder}: is in use by process ")

    async def test_one_of_a_newer_program(self, folder: Path) -> None:
        with sqlite3.connect(folder / "apiserver.sqlite") as database:
            database.execute("PRAGMA user_version = 7")
        database.close()
        self.refused(folder, "has format 7, this program knows 1")

    async def test_one_of_another_program(self, folder: Path) -> None:
        with sqlite3.connect(folder / "apiserver.sqlite") as database:
            database.execute("PRAGMA application_id = 7")
        database.close()
        self.refused(folder, "is no journal of this program")

    async def test_one_that_was_emptied(self, folder: Path) -> None:
        (folder / "apiserver.sqlite").write_bytes(b"")
        self.refused(folder, "is damaged: it is empty")

    async def test_one_that_is_no_database(self, folder: Path) -> None:
        (folder / "apiserver.sqlite").write_bytes(b"hello" * 1000)
        self.refused(folder, "is damaged: file is not a database")

    async def test_one_that_was_cut(self, folder: Path) -> None:
        file = folder / "apiserver.sqlite"
        file.write_bytes(file.read_bytes()[:50_000])
        self.refused(folder, "is damaged: ")

    async def test_one_with_a_byte_that_changed(self, folder: Path) -> None:
        file = folder / "apiserver.sqlite"
        content = file.read_bytes()
        where = content.index(b"y" * 100)
        file.write_bytes(content[:where] + b"z" + content[where + 1 :])
        self.refused(folder, "is damaged: configmaps default/m")


def load(folder: Path) -> None:
    opened = JournalFile.open(folder)
    try:
        opened.load()
    finally:
        opened.close()


def in_process(folder: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "reconcile.testing.apiserver", "--port", "0", "--data-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stderr.rstrip("\n").rstrip("0123456789")


def test_sync_without_a_folder_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--sync", "normal"]) == 2
    assert "--sync says how --data-dir is kept" in capsys.readouterr().err


# -- killed ------------------------------------------------------------------------------------------------------------

WRITERS = 16


@pytest.mark.slow
async def test_what_was_acknowledged_survives_sigkill(tmp_path: Path, world_seed: int) -> None:
    await rounds_of_sigkill(tmp_path, 3, random.Random(world_seed))


@pytest.mark.proof
@pytest.mark.parametrize("sync", ["full", "normal"])
async def test_what_was_acknowledged_survives_sigkill_fifty_times(tmp_path: Path, world_seed: int, sync: str) -> None:
    started = time.monotonic()
    writes = await rounds_of_sigkill(tmp_path, 50, random.Random(world_seed), sync)
    print(f"SIGKILL, sync {sync}: 50 rounds, {writes} acknowledged writes, 0 lost, seed {world_seed}, "
          f"{time.monotonic() - started:.0f} s")  # fmt: skip


async def rounds_of_sigkill(folder: Path, rounds: int, rng: random.Random, sync: str = "full") -> int:
    """Kill a server in the middle of many writers, again and again; the answer counts the acknowledged writes."""
    known: dict[str, str | None] = {}
    shown: dict[str, str] = {}
    seen = total = 0
    for _ in range(rounds):
        process, url = await start(folder, sync)
        try:
            async with a_client(url) as client:
                listed = await client.list(CONFIG_MAP, namespace="default")
                assert int(listed.resource_version) >= seen, "versions went back"
                found = {one.metadata.name: one["data"]["n"] for one in listed.items}
                for name, expected in known.items():
                    if expected is not None:
                        assert found.get(name) == expected, (name, expected, found.get(name))
                assert all(int(found[name]) >= int(value) for name, value in shown.items()), "a watcher saw a ghost"
                known = dict(found)
                uids = [one.metadata.uid for one in listed.items]
                assert len(set(uids)) == len(uids)
                writers = [Writer(client, f"w{number}", known) for number in range(WRITERS)]
                async with anyio.create_task_group() as tasks:
                    for writer in writers:
                        tasks.start_soon(writer.run)
                    watcher = Seen(client)
                    tasks.start_soon(watcher.run)
                    await anyio.sleep(rng.uniform(0.05, 0.4))
                    with anyio.fail_after(60):  # a slow machine takes its time
                        while sum(writer.count for writer in writers) <= WRITERS:
                            await anyio.sleep(0.01)
                    process.send_signal(signal.SIGKILL)
                    await anyio.sleep(0.05)
                    tasks.cancel_scope.cancel()
                seen = max(watcher.version, *(writer.version for writer in writers))
                total += sum(writer.count for writer in writers)
                shown = watcher.values
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
    assert total > rounds * WRITERS
    return total


class Writer:
    """Counts one object up; ``known`` is what it was told, ``None`` while it cannot know."""

    def __init__(self, client: Client, name: str, known: dict[str, str | None]) -> None:
        self.client, self.name, self.known = client, name, known
        self.version = self.count = 0

    async def run(self) -> None:
        number = int(self.known.get(self.name) or 0)
        try:
            if self.name not in self.known:
                self.known[self.name] = None
                await self.client.create(CONFIG_MAP, a_counter(self.name, 0))
                self.known[self.name] = "0"
            while True:
                number += 1
                self.known[self.name] = None
                patch = MergePatch({"data": {"n": str(number)}})
                answer = await self.client.patch(CONFIG_MAP, ObjectKey("default", self.name), patch)
                self.known[self.name], self.version = str(number), answer.metadata.version
                self.count += 1
        except KubeError:
            pass


class Seen:
    """What a watcher was shown."""

    def __init__(self, client: Client) -> None:
        self.client, self.version = client, 0
        self.values: dict[str, str] = {}

    async def run(self) -> None:
        rest = b""
        try:
            stream = await self.client.transport.open(watch(CONFIG_MAP, "default"), timeout=10)
            while chunk := await stream.read():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    found = orjson.loads(line)["object"]
                    self.version = max(self.version, int(found["metadata"]["resourceVersion"]))
                    self.values[found["metadata"]["name"]] = found["data"]["n"]
        except KubeError:
            pass


def a_counter(name: str, number: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "data": {"n": str(number)}}


@asynccontextmanager
async def a_client(url: str) -> AsyncIterator[Client]:
    """One that does not try again."""
    async with Client(HttpTransport(RenewedCredentials(ClusterAccess(url)))) as client:
        yield client


async def start(folder: Path, sync: str) -> tuple[subprocess.Popen[bytes], str]:
    command = [sys.executable, "-m", "reconcile.testing.apiserver", "--port", "0", "--data-dir", str(folder)]

    def run() -> tuple[subprocess.Popen[bytes], str]:
        process = subprocess.Popen([*command, "--sync", sync], stdout=subprocess.PIPE)
        assert process.stdout is not None
        return process, process.stdout.readline().decode().removeprefix("listening on ").strip()

    return await anyio.to_thread.run_sync(run)
