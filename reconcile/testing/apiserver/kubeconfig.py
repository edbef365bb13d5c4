"""The file that tells kubectl and every other client where the server is and who they are."""

import base64
import contextlib
import os
import tempfile
from pathlib import Path

import attrs

from reconcile.testing.apiserver.failure import Document

NAME = "reconcile"


@attrs.frozen
class Login:
    """How a client shows who it is; nothing, where everybody is let in. Texts are PEM."""

    user: str = "admin"
    token: str = attrs.field(default="", repr=False)
    certificate: str = ""
    key: str = attrs.field(default="", repr=False)


def document(url: str, login: Login, ca: str = "") -> Document:
    """A kubeconfig of one server and one user; ``ca`` signed the server's certificate. Needs no other file. Pure."""
    cluster = {"server": url, **({"certificate-authority-data": _base64(ca)} if ca else {})}
    user = {
        "token": login.token,
        "client-certificate-data": _base64(login.certificate),
        "client-key-data": _base64(login.key),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": login.user, "user": {name: value for name, value in user.items() if value}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": login.user}}],
        "current-context": NAME,
    }


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def write(path: Path, text: str) -> None:
    """Put a text into a file that only its owner reads; whoever looks sees the old file or the whole new one.

    Raises:
        OSError: the folder is missing, or cannot be written to.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    try:
        with open(handle, "w") as file:
            file.write(text)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
