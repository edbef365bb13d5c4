"""A user who acts as another one, where that is allowed.

Pure. Source of rules and texts: apiserver, ``endpoints/filters/impersonation``.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Protocol
from urllib.parse import unquote

import attrs

from reconcile.testing.apiserver.admission import User
from reconcile.testing.apiserver.failure import Failure, GroupName, forbidden
from reconcile.testing.apiserver.messages import ONE_BY_ONE

_USER: Final = "impersonate-user"
_GROUP: Final = "impersonate-group"
_UID: Final = "impersonate-uid"
_EXTRA: Final = "impersonate-extra-"
_SERVICE_ACCOUNT: Final = "system:serviceaccount:"
_META: Final = "authentication.k8s.io"


class Authorizes(Protocol):
    """Says who may do what."""

    def allows(self, user: User, verb: str, group: str, resource: str, *, name: str, namespace: str) -> bool: ...


@attrs.frozen
class _Wish:
    """One thing that a user wants to be taken for."""

    group: str
    resource: str
    name: str
    namespace: str = ""


def is_wanted(headers: Mapping[str, str]) -> bool:
    """Whether a request is to be answered as if it was somebody else's."""
    for name in headers:  # noqa: SIM110 - asked of every request, and this is the quicker form
        if name.startswith("impersonate-"):
            return True
    return False


def wanted(headers: Mapping[str, str]) -> User:
    """Whom the headers name, whether or not that is allowed."""
    name = headers.get(_USER, "")
    groups = tuple(_values(headers, _GROUP))
    if not groups and name.startswith(_SERVICE_ACCOUNT):
        namespace = name.removeprefix(_SERVICE_ACCOUNT).partition(":")[0]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    common = "system:unauthenticated" if name == "system:anonymous" else "system:authenticated"
    if common not in groups and "system:unauthenticated" not in groups:
        groups = (*groups, common)
    return User(name, groups, headers.get(_UID, ""), _extra(headers))


def impersonated(headers: Mapping[str, str], user: User, authorizer: Authorizes, path: str) -> User:
    """Whom a request is of.

    Raises:
        Failure: 403 where ``user`` may not act as that; 500, as the real server has it, where nobody is named.
    """
    if not is_wanted(headers):
        return user
    wishes = list(_wishes(headers))
    if _USER not in headers:
        named = " ".join(f"{{{one.resource} {one.name}}}" for one in wishes)
        raise Failure(
            500, "InternalError", f'Internal Server Error: "{path}": requested [{named}] without impersonating a user'
        )
    for wish in wishes:
        resource = wish.resource
        if not authorizer.allows(user, "impersonate", wish.group, resource, name=wish.name, namespace=wish.namespace):
            where = f'in the namespace "{wish.namespace}"' if wish.namespace else "at the cluster scope"
            why = f'User "{user.name}" cannot impersonate resource "{resource}" in API group "{wish.group}" {where}'
            raise forbidden(GroupName(wish.group, resource.partition("/")[0]), wish.name, why)
    return wanted(headers)


def _wishes(headers: Mapping[str, str]) -> Iterator[_Wish]:
    name = headers.get(_USER, "")
    if name.startswith(_SERVICE_ACCOUNT) and name.count(":") == 3:
        namespace, _, account = name.removeprefix(_SERVICE_ACCOUNT).partition(":")
        yield _Wish("", "serviceaccounts", account, namespace)
    elif name:
        yield _Wish("", "users", name)
    for group in _values(headers, _GROUP):
        yield _Wish("", "groups", group)
    if headers.get(_UID):
        yield _Wish(_META, "uids", headers[_UID])
    for key, values in _extra(headers).items():
        for value in values:
            yield _Wish(_META, f"userextras/{key}", value)


def _extra(headers: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    names = sorted(name for name in headers if name.startswith(_EXTRA))
    return {unquote(name.removeprefix(_EXTRA)): tuple(_values(headers, name)) for name in names}


def _values(headers: Mapping[str, str], name: str) -> list[str]:
    return headers[name].split(ONE_BY_ONE) if headers.get(name) else []
