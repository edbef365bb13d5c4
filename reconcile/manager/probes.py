"""Is this program alive, healthy, ready: named checks behind ``/livez``, ``/healthz`` and ``/readyz``.

``livez`` is for who restarts a process: only what a restart would mend belongs there. ``readyz`` is for who counts on
its work, ``healthz`` for what operators look at. The texts are the API server's (``[+]ping ok``), with reasons; they
name clusters, kinds and times, never an object. Pure but for the checks themselves, which must be quick.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal, TypeAlias

from attrs import define, field, frozen

from reconcile.manager.web import Call, Reply

Check: TypeAlias = Callable[[], str]
"""What is wrong, in a few words; "" if nothing is."""
Path: TypeAlias = Literal["livez", "healthz", "readyz"]
PATHS: Final[tuple[Path, ...]] = ("livez", "healthz", "readyz")


@frozen
class Report:
    """The outcome of all checks of one path. ``results``: by name what is wrong, "" if nothing."""

    path: str
    results: Mapping[str, str]

    @property
    def is_well(self) -> bool:
        return not any(self.results.values())

    def __str__(self) -> str:
        lines = [f"[-]{name} failed: {wrong}" if wrong else f"[+]{name} ok" for name, wrong in self.results.items()]
        return "\n".join([*lines, f"{self.path} check {'passed' if self.is_well else 'failed'}"])


@define(eq=False)
class Probes:
    """The checks by path. Each path starts with ``ping``, which only says that somebody answers."""

    _checks: dict[str, dict[str, Check]] = field(init=False, factory=lambda: {path: {"ping": _ping} for path in PATHS})

    def add(self, name: str, check: Check, *paths: Path) -> None:
        """Ask ``check`` too.

        Raises:
            ValueError: the name is taken at one of the paths, empty or has a slash; or there is no path.
        """
        if not name or "/" in name or not paths:
            raise ValueError(f"a check needs a name without a slash and one of the paths {', '.join(PATHS)}: {name!r}")
        for path in paths:
            if name in self._checks[path]:
                raise ValueError(f"there is a check {name!r} at /{path} already")
        for path in paths:
            self._checks[path][name] = check

    def report(self, path: Path, *, excluded: frozenset[str] = frozenset()) -> Report:
        """Ask all checks of a path. One that raises has failed, with what it raised."""
        checks = self._checks[path]
        return Report(path, {name: _ask(check) for name, check in checks.items() if name not in excluded})

    def routes(self) -> Mapping[str, Callable[[Call], Awaitable[Reply]]]:
        """Handlers for a web server: ``/readyz``, ``/readyz?verbose``, ``/readyz?exclude=a,b``, ``/readyz/<check>``."""
        return {f"/{path}": self._handler(path) for path in PATHS}

    def _handler(self, path: Path) -> Callable[[Call], Awaitable[Reply]]:
        async def answer(call: Call) -> Reply:
            if call.rest:
                if call.rest not in self._checks[path]:
                    return Reply(f"/{path} has: {', '.join(self._checks[path])}\n".encode(), status=404)
                wrong = _ask(self._checks[path][call.rest])
                return Reply(f"{wrong or 'ok'}\n".encode(), status=500 if wrong else 200)
            excluded = frozenset(call.query.get("exclude", "").split(","))
            report = self.report(path, excluded=excluded)
            text = "ok" if report.is_well and "verbose" not in call.query else f"{report}\n"
            return Reply(text.encode(), status=200 if report.is_well else 500)

        return answer


def _ping() -> str:
    return ""


def _ask(check: Check) -> str:
    try:
        return check()
    except Exception as error:
        return f"the check failed: {type(error).__name__}: {error}"
