"""The server as a program: from flags to a port that is served until it is told to stop.

Parts are loaded when a flag asks for them, so that a plain start is quick.
"""

import asyncio
import json
import random
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import attrs

from reconcile.core.clock import utc
from reconcile.testing.apiserver import definitions, kubeconfig
from reconcile.testing.apiserver.admission import Rules, User
from reconcile.testing.apiserver.auditing import AuditLog
from reconcile.testing.apiserver.authentication import AUTHENTICATED, Authenticator, BadTokens, tokens
from reconcile.testing.apiserver.flags import RBAC, BadFlags, Flags, checked_reach
from reconcile.testing.apiserver.http import Endpoint, Security, is_loopback, listening
from reconcile.testing.apiserver.kubeconfig import Login
from reconcile.testing.apiserver.rbac import Rbac
from reconcile.testing.apiserver.server import ApiServer
from reconcile.testing.apiserver.settings import HttpSettings, Settings
from reconcile.testing.apiserver.tokens import Tokens, authenticated

if TYPE_CHECKING:
    from reconcile.testing.faultplan import FaultPlan

_ADMIN = User("admin", ("system:masters", AUTHENTICATED))


@attrs.frozen
class _Guarded:
    """How a port is guarded, and what a client needs to come in."""

    security: Security
    login: Login
    ca: str


@asynccontextmanager
async def serving(flags: Flags) -> AsyncIterator[Endpoint]:
    """Serve what the flags say until the block ends.

    Raises:
        BadFlags, BadDefinition, BadCertificate, BadJournal, CannotListen: what is wrong, in one line.
    """
    flags = checked_reach(flags, loopback=_is_loopback(flags.host))
    # read before anything is opened, so that a mistake leaves nothing behind
    defined = [one for path in flags.crds for one in definitions.read(path)]
    async with AsyncExitStack() as stack:
        server = _server(flags)
        guarded = _guarded(flags, server)
        await stack.enter_async_context(server)
        await definitions.install(server, defined)
        settings = HttpSettings(stop_seconds=flags.stop_seconds)
        audit_log = _audit_log(flags, stack)
        endpoint = await stack.enter_async_context(
            listening(
                server,
                host=flags.host,
                port=flags.port,
                security=guarded.security,
                settings=settings,
                audit_log=audit_log,
            )
        )
        if flags.faults:
            server.disturb(_faults(flags.faults), seed=flags.seed)
        ways = kubeconfig.document(endpoint.url, guarded.login, guarded.ca)
        _write("--kubeconfig-out", flags.kubeconfig_out, json.dumps(ways, indent=2))
        _write("--ready-file", flags.ready_file, endpoint.url)
        yield endpoint


def _server(flags: Flags) -> ApiServer:
    rng = random.Random(secrets.randbits(128))
    rules = Rbac() if flags.authorization == RBAC else Rules()
    settings = Settings(audit=100)  # whoever wants more asks for --audit-log
    if flags.data_dir is None:
        return ApiServer(rng=rng, rules=rules, settings=settings)
    from reconcile.testing.apiserver.journal import Journal, JournalFile

    try:
        file = JournalFile.open(flags.data_dir, flags.sync)
    except OSError as error:
        raise BadFlags(f"--data-dir {flags.data_dir}: {error.strerror}") from error
    issued = Tokens(file.secret)
    return ApiServer(rng=rng, rules=rules, settings=settings, journal=Journal(file), tokens=issued)


async def ended(server: ApiServer, stop: asyncio.Event) -> bool:
    """Wait for the word to stop; whether it came, or the server cannot go on."""
    if server.journal is None:
        await stop.wait()
        return True
    failed = server.journal.failed
    async with anyio.create_task_group() as tasks:

        async def wait(event: asyncio.Event) -> None:
            await event.wait()
            tasks.cancel_scope.cancel()

        tasks.start_soon(wait, stop)
        tasks.start_soon(wait, failed)
    return not failed.is_set()


def _write(flag: str, path: Path | None, text: str) -> None:
    if path is None:
        return
    try:
        kubeconfig.write(path, f"{text}\n")
    except OSError as error:
        raise BadFlags(f"{flag} {path}: {error.strerror}") from error


def _faults(names: str) -> "FaultPlan":
    from reconcile.testing.faultplan import FaultPlan

    try:
        return FaultPlan.named(names)
    except ValueError as error:
        raise BadFlags(f"--faults: {error}") from error


def _audit_log(flags: Flags, stack: AsyncExitStack) -> AuditLog | None:
    if flags.audit_log is None:
        return None
    try:
        log = AuditLog(flags.audit_log)
    except OSError as error:
        raise BadFlags(f"--audit-log {flags.audit_log}: {error.strerror}") from error
    stack.callback(log.close)
    return log


def _is_loopback(host: str) -> bool:
    try:
        return is_loopback(host)
    except OSError as error:
        raise BadFlags(f"--host {host}: {error.strerror}") from error


def _guarded(flags: Flags, server: ApiServer) -> _Guarded:
    """What guards the port."""
    certified = None
    if flags.has_tls:
        from reconcile.testing.apiserver import certified as certificates

        if flags.tls_cert is not None and flags.tls_key is not None:
            certified = certificates.given(flags.tls_cert, flags.tls_key, flags.client_ca)
        else:
            certified = certificates.made([flags.host], flags.client_ca)
    context, ca = (certified.context, certified.ca) if certified is not None else (None, "")
    if not flags.has_authentication:
        return _Guarded(Security(context), Login(), ca)
    known = _tokens(flags.token_file)
    login = certified.login if certified is not None else None
    if login is None:
        login = Login(token=secrets.token_urlsafe(32))
        known = {**known, login.token: _ADMIN}
    account = _service_accounts(server)
    server.authenticate = lambda token: known.get(token) or account(token)
    authenticator = Authenticator(known, account, anonymous=flags.authorization == RBAC)
    return _Guarded(Security(context, authenticator), login, ca)


def _tokens(path: Path | None) -> Mapping[str, User]:
    if path is None:
        return {}
    try:
        return tokens(path.read_text())
    except OSError as error:
        raise BadFlags(f"--token-file {path}: {error.strerror}") from error
    except (BadTokens, UnicodeDecodeError) as error:
        raise BadFlags(f"--token-file {path}: {error}") from error


def _service_accounts(server: ApiServer) -> Callable[[str], User | None]:
    def uid_of(table: str, key: str) -> str | None:
        found = server.storage.get(table, key)
        return found.uid if found is not None else None

    return lambda token: authenticated(server.tokens, token, int(utc().timestamp()), uid_of)
