"""The installed daemon begins with two bootstrap tokens and empty stores, and lives on certificates that it renews.

A real kube-apiserver with RBAC on; a test controller approves and signs with the cluster's authority. The source side
keeps its certificate in a file, the api-net side in a Secret.
"""

import base64
import datetime as dt
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, field

from apinetlet.api import IRONCORE
from apinetlet.modes import store_manager, subject
from reconcile import NotFound, ObjectKey, connect
from reconcile.core.clock import Seconds
from reconcile.kube import login
from reconcile.kube.access import access
from reconcile.kube.certificates import pairs
from reconcile.kube.certificates.pairs import Subject
from reconcile.kube.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, SECRET, SERVICE_ACCOUNT
from reconcile.manager.guard import Guard
from reconcile.manager.web import Call, Reply
from reconcile.testing.envtest import ControlPlane
from tests.real.daemon import Daemon, Place, place
from tests.real.notary import Notary, a_token, allow, notary, of_apinet, of_source, rule
from tests.real.waiting import until

pytestmark = pytest.mark.real

PATIENCE: Seconds = 180.0
"""How long a certificate may take on a machine that is busy."""
BOOTSTRAPPERS = {
    "source": "system:bootstrappers:networking-ironcore-dev:networkplugins",
    "apinet": "system:bootstrappers:apinet-ironcore-dev:apinetlets",
}


@pytest.fixture(scope="module")
def plane(start_control_plane: Callable[..., ControlPlane]) -> ControlPlane:
    """Without kube-controller-manager, whose signer would be faster."""
    return start_control_plane(audited=True, flags=["--enable-bootstrap-token-auth"])


@define(eq=False)
class Story:
    """One daemon, run after run, and what it keeps."""

    world: Place
    notary: Notary
    subjects: dict[str, Subject]
    tokens: dict[str, ObjectKey]
    flags: list[str]
    store: Path
    secret: ObjectKey
    daemon: Daemon = field(init=False)
    runs: int = field(default=0, init=False)

    def start(self) -> None:
        self.daemon = self.world.start(*self.flags)
        self.runs += 1

    async def kill(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        """SIGKILL and a new start, and again; after each it comes as far as before."""
        for _ in range(2):
            self.daemon.process.kill()
            self.start()
            await until(holds, f"{what} after SIGKILL", within=PATIENCE)

    # what is there

    async def requests(self, side: str) -> int:
        return len(await self.notary.of(self.subjects[side]))

    async def kept(self) -> dict[str, bytes]:
        """The certificates in the stores, by side."""
        found: dict[str, bytes] = {}
        if self.store.exists():
            found["source"] = certificate(self.store.read_bytes())
        try:
            secret = await self.world.source.get(SECRET, self.secret)
            found["apinet"] = certificate(base64.b64decode(secret["data"]["kubeconfig"]))
        except NotFound:
            pass
        return found

    async def both_kept(self) -> bool:
        return (await self.kept()).keys() == {"source", "apinet"}

    async def mapped(self, name: str) -> None:
        """A new Network comes to be mapped."""
        await self.world.create(name)
        await until(lambda: self.world.is_available(name), f"{name} is Available", within=PATIENCE)

    async def rotated(self, side: str, than: bytes) -> bytes:
        """The certificate after ``than``."""

        async def is_new() -> bool:
            return (await self.kept())[side] != than

        await until(is_new, f"another certificate of {side}", within=PATIENCE)
        return (await self.kept())[side]


def certificate(text: bytes) -> bytes:
    """That of a kubeconfig; its key fits."""
    found = access(login.parse(text, Path("kept")))
    assert isinstance(found.certificate, bytes)
    assert isinstance(found.key, bytes)
    assert pairs.fits(found.certificate, found.key)
    return found.certificate


@asynccontextmanager
async def a_story(
    plane: ControlPlane, folder: Path, life: dt.timedelta, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Story]:
    async with place(IRONCORE, (plane, plane), folder) as world, connect(plane.kubeconfig()) as client:
        subjects = {side: subject(IRONCORE, side, world.target) for side in ("source", "apinet")}
        tokens, files = {}, {}
        for side, group in BOOTSTRAPPERS.items():
            await allow(
                client,
                group,
                [rule("certificates.k8s.io", ["certificatesigningrequests"], ["create", "get", "list", "watch"])],
            )
            token, tokens[side] = await a_token(client, group)
            files[side] = bootstrap(plane, folder / f"bootstrap-{side}", token)
        [plugins], [apinetlets] = subjects["source"].groups, subjects["apinet"].groups
        await allow(client, plugins, of_source(IRONCORE))
        await allow(client, apinetlets, of_source(IRONCORE)[:1])
        await allow(client, apinetlets, of_apinet(IRONCORE), namespace=world.target)
        # where the daemon runs: who may touch this one Secret only, found as kubectl finds it
        kept = rule("", ["secrets"], ["get", "create", "patch"]) | {"resourceNames": ["apinet-login"]}
        await allow(client, "pods", [kept], namespace=world.home)
        own = folder / "home" / ".kube"
        own.mkdir(parents=True)
        (own / "config").write_bytes(plane.kubeconfig("the-pod", groups=["pods"]).read_bytes())
        monkeypatch.setenv("HOME", str(own.parent))
        store = folder / "store" / "kubeconfig"
        store.parent.mkdir()
        flags = [
            f"--kubeconfig={store}",
            f"--bootstrap-kubeconfig={files['source']}",
            "--rotate-certificates",
            "--api-net-kubeconfig=",
            "--api-net-kubeconfig-secret-name=apinet-login",
            f"--api-net-kubeconfig-secret-namespace={world.home}",
            f"--api-net-bootstrap-kubeconfig={files['apinet']}",
            "--api-net-rotate-certificates",
            "--generation=auto",
        ]
        async with notary(plane, client, subjects.values(), life) as signer, world.allocating():
            secret = ObjectKey(world.home, "apinet-login")
            yield Story(world, signer, subjects, tokens, flags, store, secret)
            world.kill()


def bootstrap(plane: ControlPlane, path: Path, token: str) -> Path:
    document: dict[str, Any] = json.loads(plane.kubeconfig().read_text())
    document["users"][0]["user"] = {"token": token}
    path.touch(mode=0o600)
    path.write_text(json.dumps(document))
    return path


async def is_known(plane: ControlPlane, path: Path) -> bool:
    async with connect(path) as client:
        try:
            await client.discover(fresh=True)
        except Exception:
            return False
        return True


def logged(story: Story) -> str:
    return "".join(path.read_text() for path in sorted(story.world.folder.glob("apinetlet-*.log")))


async def test_from_empty_stores_to_a_mapped_network_and_through_the_first_renewal(
    plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_story(plane, tmp_path, dt.timedelta(seconds=6), monkeypatch) as story:
        story.start()
        await until(story.both_kept, "both certificates", within=PATIENCE)
        await story.mapped("first")
        assert story.notary.refused == []
        assert story.store.stat().st_mode & 0o777 == 0o600
        kept = await story.kept()
        await story.rotated("source", kept["source"])
        await story.mapped("second")
        shown = logged(story)
    assert "new certificate in use" in shown
    assert "BEGIN" not in shown


@pytest.mark.proof
@pytest.mark.parametrize("killed", [False, True], ids=["undisturbed", "killed at each step and again"])
async def test_the_bootstrap_story_from_empty_stores_to_a_revoked_token(
    plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    # who is killed needs time to come back before a certificate ends
    life = dt.timedelta(seconds=60 if killed else 40)
    async with a_story(plane, tmp_path, life, monkeypatch) as story:
        signer = story.notary
        signer.approves = signer.signs = False

        async def asked(more_than: int) -> bool:
            return await story.requests("source") > more_than

        # nobody has approved yet
        story.start()
        await until(lambda: asked(0), "the first request", within=PATIENCE)
        assert await story.kept() == {}
        if killed:
            for _ in range(2):
                before = await story.requests("source")
                story.daemon.process.kill()
                story.start()
                await until(partial(asked, before), "another request after SIGKILL", within=PATIENCE)
        # approved, not signed
        signer.approves = True
        await until(lambda: answered(story, "Approved"), "an approved request", within=PATIENCE)
        if killed:
            story.daemon.process.kill()
            before = await story.requests("source")
            story.start()
            await until(lambda: asked(before), "another request after SIGKILL", within=PATIENCE)
        # signed; the first may be killed before it could keep it
        signer.signs = True
        await until(lambda: answered(story, "certificate"), "a signed request", within=PATIENCE)
        if killed:
            await story.kill(story.both_kept, "both certificates are kept")
        await until(story.both_kept, "both certificates are kept", within=PATIENCE)
        # mapped
        await story.mapped("first")
        if killed:
            await story.kill(lambda: story.world.is_available("first"), "first is Available")
        await story.mapped("second")
        # three renewals of each
        for number in range(3):
            kept = await story.kept()
            for side in ("source", "apinet"):
                await story.rotated(side, kept[side])
            if killed:
                await story.kill(story.both_kept, "both certificates are kept")
            await story.mapped(f"renewed-{number}")
        # the tokens are taken back
        by_token = {
            side: sum(one["spec"]["username"] != whom.name for one in await signer.of(whom))
            for side, whom in story.subjects.items()
        }
        for key in story.tokens.values():
            await story.world.source.delete(SECRET, key)
        for side in BOOTSTRAPPERS:
            path = tmp_path / f"bootstrap-{side}"

            async def is_revoked(path: Path = path) -> bool:
                return not await is_known(plane, path)

            await until(is_revoked, f"the token of {side} is refused")
        await story.mapped("revoked")
        kept = await story.kept()
        for side in ("source", "apinet"):
            await story.rotated(side, kept[side])
        if killed:
            await story.kill(lambda: story.world.is_available("revoked"), "revoked is Available")
        await story.mapped("last")
        for name in ("first", "second", "revoked", "last"):
            assert await story.world.is_available(name)
        # who asked: by token only as long as there was no certificate
        assert signer.refused == []
        for side, whom in story.subjects.items():
            users = [one["spec"]["username"] for one in await signer.of(whom)]
            assert users.count(whom.name) >= 4, side
            assert len(users) - users.count(whom.name) == by_token[side], "nobody asked by a token that was taken back"
            if not killed:
                assert users[1:] == [whom.name] * (len(users) - 1), side
        secret = await story.world.source.get(SECRET, story.secret)
        assert {one["manager"] for one in secret["metadata"]["managedFields"]} == {store_manager(IRONCORE)}
        assert os.listdir(story.store.parent) == ["kubeconfig"]
        assert story.store.stat().st_mode & 0o777 == 0o600
        shown = logged(story)
        assert "BEGIN" not in shown
        assert "Traceback" not in shown
        denied = [
            one
            for one in plane.audit_events()
            if one.code == 403 and one.user in {s.name for s in story.subjects.values()}
        ]
        assert not denied


async def answered(story: Story, how: str) -> bool:
    for one in await story.notary.of(story.subjects["source"]):
        status = one.get("status", {})
        if how == "certificate" and status.get("certificate"):
            return True
        if how in {each["type"] for each in status.get("conditions", [])}:
            return True
    return False


@pytest.mark.proof
async def test_a_daemon_whose_request_is_denied_ends_with_one_line_that_says_so(
    plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_story(plane, tmp_path, dt.timedelta(hours=1), monkeypatch) as story:
        for whom in story.subjects.values():
            story.notary.subjects[whom.name] = Subject(whom.name, ("another",))
        story.start()
        code = await anyio.to_thread.run_sync(story.daemon.process.wait, 60.0)
        assert code == 1
        [line] = [line for line in logged(story).splitlines() if "Cannot go on" in line]
    assert "was denied (Test: organizations" in line
    assert "source-certificate" in line


async def test_a_real_api_server_says_who_may_read_the_metrics(control_plane: ControlPlane) -> None:
    async with connect(control_plane.kubeconfig()) as client:
        for name in ("scraper", "stranger"):
            await client.apply(SERVICE_ACCOUNT, {"metadata": {"name": name, "namespace": "default"}})
        group = "system:serviceaccount:default:scraper"
        subject = {"kind": "User", "name": group, "apiGroup": "rbac.authorization.k8s.io"}
        rules = [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]
        reference = {"kind": "ClusterRole", "name": "metrics-reader", "apiGroup": "rbac.authorization.k8s.io"}
        await client.apply(CLUSTER_ROLE, {"metadata": {"name": "metrics-reader"}, "rules": rules})
        await client.apply(
            CLUSTER_ROLE_BINDING,
            {"metadata": {"name": "metrics-reader"}, "subjects": [subject], "roleRef": reference},
        )

        async def token(name: str) -> str:
            path = f"/api/v1/namespaces/default/serviceaccounts/{name}/token"
            status, answer = await anyio.to_thread.run_sync(
                lambda: control_plane.request("POST", path, {"spec": {"expirationSeconds": 600}})
            )
            assert status == 201
            return str(json.loads(answer)["status"]["token"])

        async def page(_: Call) -> Reply:
            return Reply(b"figures")

        [handler] = Guard(client).guarded({"/metrics": page}).values()

        async def status(shown: str) -> int:
            return (await handler(Call(path="/metrics", token=shown))).status

        scraper, stranger = await token("scraper"), await token("stranger")

        async def may() -> bool:
            handler_now = Guard(client).guarded({"/metrics": page})["/metrics"]
            return (await handler_now(Call(path="/metrics", token=scraper))).status == 200

        await until(may, "the right to read is known")
        assert await status(scraper) == 200
        assert await status(stranger) == 403
        assert await status("rubbish") == 401
        assert await status("") == 401
