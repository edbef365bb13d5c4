"""What a conformance case is made of: requests, as values.

A case says what is asked, never what is answered: the answers of a real server are on record (``record.py``). Paths and
bodies may speak of what came before: ``${ns}`` is the namespace that the case has to itself, ``${0.metadata.uid}`` a
part of the answer to the first step, and ``Live(0, {...})`` that answer as a body, changed as a merge patch would.
"""

from collections.abc import Mapping
from typing import Any, Final

import attrs

from reconcile.kube.objects import EMPTY

JSON: Final = "application/json"
YAML: Final = "application/yaml"
MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"

MAPS: Final = "/api/v1/namespaces/${ns}/configmaps"
SECRETS: Final = "/api/v1/namespaces/${ns}/secrets"
PODS: Final = "/api/v1/namespaces/${ns}/pods"
SERVICES: Final = "/api/v1/namespaces/${ns}/services"
ACCOUNTS: Final = "/api/v1/namespaces/${ns}/serviceaccounts"
EVENTS: Final = "/api/v1/namespaces/${ns}/events"
LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/${ns}/leases"
DEPLOYMENTS: Final = "/apis/apps/v1/namespaces/${ns}/deployments"
NAMESPACES: Final = "/api/v1/namespaces"
DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@attrs.frozen
class Live:
    """The body of an earlier answer, changed by a merge patch."""

    step: int
    patch: Any = attrs.field(factory=dict)


@attrs.frozen
class Step:
    """One request, and what of its answer counts."""

    method: str
    path: str
    body: Any = None
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = EMPTY
    watches: bool = False
    take: int | None = None
    """A watch: how many events are read before it is closed; ``None``: all, to its end."""
    stops: str = ""
    """A watch: it is read until it tells of an object of this name."""
    opens: str = ""
    """A watch that goes on under this name while later steps are taken."""
    reads: str = ""
    """Read ``take`` events of the watch of that name."""
    until: Mapping[str, Any] = EMPTY
    """Ask again until the answer has this ``code``, and a body with all of ``where``."""
    pick: str = ""
    """The part of the answer that counts: ``paths`` of it joined by commas; "" for all."""
    forgets: bool = False
    """No request: the server shall forget its history, where it can be told to."""


@attrs.frozen
class Case:
    """A story with an end that can be told to any server. Its ``name`` is unique in its section."""

    section: str
    name: str
    steps: tuple[Step, ...]

    @property
    def id(self) -> str:
        """By which it is found in the record."""
        return f"{self.section}: {self.name}"


def case(section: str, name: str, *steps: Step) -> Case:
    """A case of these steps."""
    return Case(section, name, steps)


def _request(method: str, path: str, body: Any, media: str, query: Mapping[str, Any]) -> Step:
    """``query``: a trailing underscore of a name is dropped, a list repeats it; ``accept`` and ``pick`` are none."""
    given = dict(query)
    headers = {"accept": given.pop("accept", JSON)}
    headers |= given.pop("headers", {})
    pick = given.pop("pick", "")
    if body is not None and media:
        headers["content-type"] = media
    pairs = [
        (name.rstrip("_"), str(one))
        for name, value in given.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    return Step(method, path, body, tuple(pairs), headers, pick=pick)


def get(path: str, **query: Any) -> Step:
    return _request("GET", path, None, JSON, query)


def post(path: str, body: Any, *, media: str = JSON, **query: Any) -> Step:
    return _request("POST", path, body, media, query)


def put(path: str, body: Any, *, media: str = JSON, **query: Any) -> Step:
    return _request("PUT", path, body, media, query)


def merge(path: str, body: Any, **query: Any) -> Step:
    return _request("PATCH", path, body, MERGE, query)


def json_patch(path: str, body: Any, **query: Any) -> Step:
    return _request("PATCH", path, body, JSON_PATCH, query)


def strategic(path: str, body: Any, **query: Any) -> Step:
    return _request("PATCH", path, body, STRATEGIC, query)


def apply(path: str, body: Any, manager: str = "", **query: Any) -> Step:
    """``manager``: "" for none."""
    return _request("PATCH", path, body, APPLY, {**({"fieldManager": manager} if manager else {}), **query})


def delete(path: str, body: Any = None, *, media: str = JSON, **query: Any) -> Step:
    return _request("DELETE", path, body, media, query)


def send(method: str, path: str, body: Any = None, *, media: str = JSON, **query: Any) -> Step:
    """Any other request."""
    return _request(method, path, body, media, query)


def watch(path: str, take: int | None = None, **query: Any) -> Step:
    """Read ``take`` events; without a number to the end, which comes after a second."""
    query.setdefault("watch", "true")
    if take is None:
        query.setdefault("timeoutSeconds", "1")
    return attrs.evolve(_request("GET", path, None, JSON, query), watches=True, take=take)


def watch_until(path: str, last: str, **query: Any) -> Step:
    """Read events until one tells of the object ``last``."""
    query.setdefault("watch", "true")
    return attrs.evolve(_request("GET", path, None, JSON, query), watches=True, stops=last)


def follow(name: str, path: str, **query: Any) -> Step:
    """Open a watch that ``told`` reads later."""
    query.setdefault("watch", "true")
    return attrs.evolve(_request("GET", path, None, JSON, query), watches=True, opens=name)


def told(name: str, take: int) -> Step:
    """The next events of a watch that was opened before."""
    return Step("", "", reads=name, take=take)


def until(step: Step, code: int = 200, **where: Any) -> Step:
    """Repeat a request until its answer is so."""
    return attrs.evolve(step, until={"code": code, "where": where})


def forget() -> Step:
    """From now on the server remembers no version before this one; a real server is left alone."""
    return Step("", "", forgets=True)
