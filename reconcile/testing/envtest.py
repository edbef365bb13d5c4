"""A real control plane for one test session: etcd and kube-apiserver, their own certificates, users and audit log.

``ControlPlane.start()`` returns a server that answers; leaving its ``with`` block, or the end of this process in any
way, takes it down (its folder stays only after SIGKILL). RBAC is on, the client is the administrator until
``kubeconfig(user, groups=...)`` says otherwise, and nothing runs pods. Listens on one port of 127.0.0.1, kept through
``kill`` and ``restart``; etcd on sockets in a private folder. Blocks and reads the real clock, for its programs live
by it: an async test calls ``await anyio.to_thread.run_sync(ControlPlane.start)``. Linux. Needs the extra ``bootstrap``.
"""

import base64
import datetime as dt
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from attrs import define, field

from reconcile.core.clock import Seconds
from reconcile.testing import assets, audit
from reconcile.testing.audit import AuditEvent
from reconcile.testing.processes import Process, Processes

if TYPE_CHECKING:
    from reconcile.testing.certificates import Authority, KeyPair


@define(eq=False)
class ControlPlane:
    """A running API server. ``ca`` also signs for other servers and clients of the test."""

    url: str
    token: str  # the administrator's
    folder: Path
    ca: "Authority"
    _address: tuple[str, int]
    _command: Sequence[str | Path]
    _timeout: Seconds
    _owned: ExitStack
    _processes: Processes
    _running: dict[str, Process] = field(factory=dict)
    _users: int = 0

    @classmethod
    def start(
        cls,
        programs: Path | None = None,
        *,
        flags: Sequence[str] = (),
        controllers: Sequence[str] = (),
        audited: bool = False,
        in_memory: bool = False,
        timeout: Seconds = 60.0,
    ) -> Self:
        """Start etcd and kube-apiserver and wait until the server is ready.

        ``programs``: their folder, by default what ``assets.find()`` finds. ``flags``: more of them for kube-apiserver,
        such as ``--feature-gates=WatchList=false``. ``controllers``: run a kube-controller-manager with these, usually
        ``assets.CONTROLLERS``. ``audited``: keep the log that ``audit_events`` reads. ``in_memory``: write to /dev/shm,
        where there is one.

        Raises:
            MissingAssets: there are no programs, or no kube-controller-manager to run ``controllers``.
            ProgramFailed: one ended, or was not ready within ``timeout`` seconds; has the end of its log.
            ImportError: the extra ``bootstrap`` is missing.
        """
        from reconcile.testing.certificates import Authority  # on use: the extra may be missing

        programs = assets.require(programs, controllers=bool(controllers)).resolve()  # they run in another folder
        owned = ExitStack()
        try:
            folder = Path(tempfile.mkdtemp(prefix="envtest-", dir=_memory() if in_memory else None))
            owned.callback(shutil.rmtree, folder, ignore_errors=True)
            address = owned.enter_context(_reserved_port()).getsockname()
            ca, token = Authority.create("envtest", dt.datetime.now(dt.UTC)), secrets.token_hex(16)
            plane = cls(
                url=f"https://{address[0]}:{address[1]}",
                token=token,
                folder=folder,
                ca=ca,
                address=address,
                command=[programs / "kube-apiserver", *assets.server_flags(address, audited=audited), *flags],
                timeout=timeout,
                owned=owned,
                processes=owned.enter_context(Processes()),
            )
            _write_pair(folder, "ca", ca.pair)
            _write_pair(folder, "server", ca.server(["127.0.0.1", "localhost"]))
            _write_pair(folder, "service-accounts", ca.client("service-accounts"))
            _write(folder / "tokens.csv", f'{token},admin,admin,"system:masters"\n')
            _write(folder / "audit-policy.json", json.dumps(audit.POLICY))
            plane._launch([programs / "etcd", *assets.ETCD_FLAGS])
            plane.restart()
            if controllers:
                manager_flags = assets.manager_flags(plane.kubeconfig(), controllers)
                plane._launch([programs / "kube-controller-manager", *manager_flags])
        except BaseException:
            owned.close()
            raise
        return plane

    def stop(self) -> None:
        """End the programs and remove the folder. A second call does nothing."""
        self._owned.close()

    def pause(self) -> None:
        """Freeze the API server: connections stay open and nothing answers."""
        self._running["kube-apiserver"].signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen API server run on."""
        self._running["kube-apiserver"].signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the API server as a crash does: connections break, new ones are refused, its data stays in etcd."""
        self._running["kube-apiserver"].kill()

    def restart(self) -> None:
        """Start the API server, killed before if it still runs, and wait until it is ready. Raises ProgramFailed."""
        if "kube-apiserver" in self._running:
            self.kill()
        self._launch(self._command)
        self._wait_ready()

    def pid(self, program: str) -> int:
        """The process of ``etcd``, ``kube-apiserver`` or ``kube-controller-manager``. KeyError: not started."""
        return self._running[program].pid

    def kubeconfig(self, user: str = "", *, groups: Iterable[str] = ()) -> Path:
        """Write a kubeconfig and return its path: the administrator's, by token, or one for ``user``, by certificate.

        The file needs no other, has mode 0600 and goes with the control plane. A user has the rights of its ``groups``
        and those that RBAC objects give it.
        """
        self._users += 1
        path = self.folder / f"kubeconfig-{self._users}"
        credentials = _certificate_user(self.ca.client(user, groups)) if user else {"token": self.token}
        cluster = {"server": self.url, "certificate-authority-data": _base64(self.ca.pair.certificate)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "envtest", "cluster": cluster}],
            "users": [{"name": user or "admin", "user": credentials}],
            "contexts": [{"name": "envtest", "context": {"cluster": "envtest", "user": user or "admin"}}],
            "current-context": "envtest",
        }
        _write(path, json.dumps(document))
        return path

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: Seconds = 10.0,
    ) -> tuple[int, bytes]:
        """One request as administrator: status and body. Sets a scene without the client under test. Raises OSError."""
        context = ssl.create_default_context(cadata=self.ca.pair.certificate)
        connection = http.client.HTTPSConnection(*self._address, context=context, timeout=timeout)
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **(headers or {})}
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, sent)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def audit_events(self) -> list[AuditEvent]:
        """Every request answered so far, by whomever. Needs ``audited=True``."""
        return audit.read(self.folder / "audit.log")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self, command: Sequence[str | Path]) -> None:
        name = Path(command[0]).name
        self._running[name] = self._processes.start(command, log=self.folder / f"{name}.log", cwd=self.folder)

    def _wait_ready(self) -> None:
        end = time.monotonic() + self._timeout
        while not self._is_ready():
            for program in self._running.values():
                if program.code is not None:
                    raise program.failed()
            if time.monotonic() > end:
                raise self._running["kube-apiserver"].failed()
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        # /readyz may be true a moment before there is a namespace to write to
        paths = ("/readyz", "/api/v1/namespaces/default")
        try:
            return all(self.request("GET", path)[0] == http.HTTPStatus.OK for path in paths)
        except (OSError, http.client.HTTPException):
            return False


def _reserved_port() -> socket.socket:
    """A free port of 127.0.0.1 that nobody else gets while the socket is open: bound, never listening.

    A server that sets SO_REUSEPORT may listen on it; without one, connections are refused.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    keeper.bind(("127.0.0.1", 0))
    return keeper


def _certificate_user(pair: "KeyPair") -> dict[str, str]:
    return {"client-certificate-data": _base64(pair.certificate), "client-key-data": _base64(pair.key)}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _write_pair(folder: Path, name: str, pair: "KeyPair") -> None:
    _write(folder / f"{name}.crt", pair.certificate)
    _write(folder / f"{name}.key", pair.key)


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _memory() -> str | None:
    shared = "/dev/shm"  # noqa: S108  (mkdtemp makes a private folder in it)
    return shared if os.access(shared, os.W_OK) else None
