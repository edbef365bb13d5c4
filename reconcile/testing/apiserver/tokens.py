"""Tokens of service accounts: JSON Web Tokens that this server issues and reads.

They are signed with a key of the server's own (HS256), so that nothing but the standard library is needed; to clients
a token is opaque. Pure: time, key and identifier are given. Source of the claims: kube-apiserver,
``serviceaccount/claims.go``.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
import orjson

from reconcile.testing.apiserver.admission import User

ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
_HEAD: Final = {"alg": "HS256", "typ": "JWT"}
_CREDENTIAL: Final = "authentication.kubernetes.io/credential-id"


@attrs.frozen
class ServiceAccount:
    """Whose token it is. ``bound`` is the object that the token dies with: its kind (Pod, Secret, Node), name, uid."""

    namespace: str
    name: str
    uid: str
    bound: tuple[str, str, str] | None = None

    @property
    def username(self) -> str:
        """As RBAC subjects and audit logs know it."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    def user(self, token_id: str = "") -> User:
        """The user that shows its token."""
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{self.namespace}", "system:authenticated")
        extra: dict[str, tuple[str, ...]] = {_CREDENTIAL: (f"JTI={token_id}",)} if token_id else {}
        if self.bound is not None and self.bound[0] in ("Pod", "Node"):
            kind, name, uid = self.bound
            extra[f"authentication.kubernetes.io/{kind.lower()}-name"] = (name,)
            extra[f"authentication.kubernetes.io/{kind.lower()}-uid"] = (uid,)
        return User(self.username, groups, self.uid, extra)


@attrs.frozen
class Tokens:
    """Issues and reads tokens with one secret key."""

    key: bytes = attrs.field(repr=False)

    def issue(
        self, account: ServiceAccount, token_id: str, *, at: int, seconds: int, audiences: Sequence[str] = (ISSUER,)
    ) -> str:
        """A token that is good from ``at`` (seconds since the epoch) for so many seconds."""
        facts: dict[str, Any] = {
            "namespace": account.namespace,
            "serviceaccount": {"name": account.name, "uid": account.uid},
        }
        if account.bound is not None:
            kind, name, uid = account.bound
            facts[kind.lower()] = {"name": name, "uid": uid}
        claims = {
            "aud": list(audiences),
            "exp": at + seconds,
            "iat": at,
            "iss": ISSUER,
            "jti": token_id,
            "kubernetes.io": facts,
            "nbf": at,
            "sub": account.username,
        }
        signed = f"{_encoded(orjson.dumps(_HEAD))}.{_encoded(orjson.dumps(claims))}"
        return f"{signed}.{self._signature(signed)}"

    def read(self, token: str, *, at: int, audience: str = ISSUER) -> tuple[ServiceAccount, str] | None:
        """Whose token it is, and its identifier; ``None`` if it is none of ours, not for us, or not good at ``at``."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            return None
        claims = _decoded(signed.rpartition(".")[2])
        if claims is None or audience not in claims["aud"] or not claims["nbf"] <= at < claims["exp"]:
            return None
        facts = claims["kubernetes.io"]
        named = facts["serviceaccount"]
        bound = next(
            (
                (kind, facts[kind.lower()]["name"], facts[kind.lower()]["uid"])
                for kind in _BOUND
                if kind.lower() in facts
            ),
            None,
        )
        return ServiceAccount(facts["namespace"], named["name"], named["uid"], bound), claims["jti"]

    def _signature(self, signed: str) -> str:
        return _encoded(hmac.new(self.key, signed.encode(), hashlib.sha256).digest())


_BOUND: Final = ("Pod", "Secret", "Node")
_TABLES: Final = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


def authenticated(tokens: Tokens, token: str, at: int, uid_of: Callable[[str, str], str | None]) -> User | None:
    """The user of a token whose account, and whatever it is bound to, still live; ``uid_of`` takes table and key."""
    found = tokens.read(token, at=at)
    if found is None:
        return None
    account, token_id = found
    if uid_of("serviceaccounts", f"{account.namespace}/{account.name}") != account.uid:
        return None
    if account.bound is not None:
        kind, name, uid = account.bound
        key = name if kind == "Node" else f"{account.namespace}/{name}"
        if uid_of(_TABLES[kind], key) != uid:
            return None
    return account.user(token_id)


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> Mapping[str, Any] | None:
    try:
        value = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error):
        return None
    return value if isinstance(value, dict) else None
