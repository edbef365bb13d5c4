"""From a kubeconfig to a client, in one call.

Finds the way in as kubectl does (``login.py``), reaches the server over HTTP (``transport.py``) and speaks its verbs
(``client.py``). Whoever needs more of any of the three puts them together by hand.
"""

from pathlib import Path

from attrs import evolve

from reconcile.kube import login
from reconcile.kube.client import Client, ClientSettings
from reconcile.kube.transport import HttpTransport, TransportSettings

_TRANSPORT, _CLIENT = TransportSettings(), ClientSettings()


def connect(
    kubeconfig: Path | str | None = None,
    *,
    context: str | None = None,
    field_manager: str = "reconcile",
    user_agent: str = "",
    transport: TransportSettings = _TRANSPORT,
    settings: ClientSettings = _CLIENT,
) -> Client:
    """A client for one API server; use it with ``async with``. Reads files, sends nothing yet.

    Without ``kubeconfig``: ``$KUBECONFIG``, the service account of the pod, ``~/.kube/config``, whichever is first.
    ``field_manager`` owns what is applied. ``user_agent`` defaults to it and stands in the audit log.

    Raises:
        LoginError: no way in was found, or it is unusable; says what, where and what to do.
    """
    credentials = login.load(Path(kubeconfig) if kubeconfig else None, context)
    reached = HttpTransport(credentials, evolve(transport, user_agent=user_agent or field_manager))
    return Client(reached, field_manager=field_manager, settings=settings)
