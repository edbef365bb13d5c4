"""Who sends a request: by bearer token, by client certificate, by the token of a service account, or nobody.

Pure. Source of rules: apiserver, ``authentication/request``; the token file is that of ``kube-apiserver
--token-auth-file``: token, user, uid and groups in quotes, a line each.
"""

import csv
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from reconcile.testing.apiserver.admission import User
from reconcile.testing.apiserver.connection import Peer
from reconcile.testing.apiserver.failure import Failure

AUTHENTICATED: Final = "system:authenticated"
ANONYMOUS: Final = User("system:anonymous", ("system:unauthenticated",))


class BadTokens(ValueError):
    """A token file that cannot be read; the message has the line and what is wrong with it."""


def unauthorized() -> Failure:
    """401, as the real server words it."""
    return Failure(401, "Unauthorized", "Unauthorized")


def tokens(text: str) -> dict[str, User]:
    """Read a token file.

    Raises:
        BadTokens: a line has fewer than three columns, or no token or user; names the line, never the token.
    """
    found: dict[str, User] = {}
    for number, row in enumerate(csv.reader(text.splitlines()), 1):
        cells = [cell.strip() for cell in row]
        if not cells or cells[0].startswith("#"):
            continue
        if len(cells) < 3:
            raise BadTokens(f"line {number}: {len(cells)} columns where token, user and uid are needed")
        token, name, uid = cells[:3]
        if not token or not name:
            raise BadTokens(f"line {number}: the {'token' if not token else 'user'} is empty")
        groups = tuple(group.strip() for cell in cells[3:4] for group in cell.split(",") if group.strip())
        found[token] = User(name, _authenticated(groups), uid)
    return found


def of_certificate(certificate: Any) -> User | None:
    """The user that a client certificate shows: its common name, and its organizations as groups."""
    names: dict[str, list[str]] = {}
    for part in (certificate or {}).get("subject", ()):
        for key, value in part:
            names.setdefault(key, []).append(value)
    if not names.get("commonName"):
        return None
    return User(names["commonName"][0], _authenticated(tuple(names.get("organizationName", ()))))


def _authenticated(groups: tuple[str, ...]) -> tuple[str, ...]:
    return groups if AUTHENTICATED in groups else (*groups, AUTHENTICATED)


@attrs.frozen
class Authenticator:
    """Tells users apart. ``service_account`` reads the token of one, or answers ``None``."""

    tokens: Mapping[str, User] = attrs.field(factory=dict, repr=False)
    service_account: Callable[[str], User | None] = lambda token: None
    anonymous: bool = False
    """Whether who shows nothing is let in as nobody in particular, with the rights of that."""

    def __call__(self, headers: Mapping[str, str], peer: Peer) -> User:
        """The user of a request.

        Raises:
            Failure: 401.
        """
        found = of_certificate(peer.certificate)
        if found is not None:
            return found
        scheme, _, token = headers.get("authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            if self.anonymous and not headers.get("authorization"):
                return ANONYMOUS
            raise unauthorized()
        found = self.tokens.get(token) or self.service_account(token)
        if found is None:
            raise unauthorized()
        return found
