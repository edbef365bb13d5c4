"""The shape of the packages, checked from their sources.

First what is allowed, as data; then one test for each rule, over the real tree; then one for each rule that plants a
violation and sees it reported: a rule that cannot fail protects nothing.
"""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.architecture import (
    CLOCKS,
    Tree,
    Violation,
    clocks,
    cycles,
    draws,
    keepers,
    layers,
    loaded_at_once,
    relative_imports,
    tells_time,
    waits,
)

ROOT = Path(__file__).parent.parent
PACKAGES = ("provider", "reconcile", "apinetlet")

# from low to high; `reconcile` itself is the vocabulary, which re-exports what stands below it
_STACK = [f"reconcile.{layer}" for layer in ("core", "kube", "cache", "controller", "manager")] + ["reconcile"]
ALLOWED = {
    "provider": {"provider"},
    **{layer: set(_STACK[: height + 1]) for height, layer in enumerate(_STACK)},
    "reconcile.testing": {*_STACK, "reconcile.testing"},
    "apinetlet": {*_STACK, "provider", "apinetlet", "apinetlet.demo"},
    "apinetlet.demo": {*_STACK, "provider", "apinetlet", "apinetlet.demo", "reconcile.testing"},
}

KEEPERS = {
    "kubernetes_asyncio": {"reconcile/kube/compat.py"},
    "tenacity": {"reconcile/kube/retry.py"},
    "aiohttp": {"reconcile/kube/session.py", "reconcile/manager/web.py", "reconcile/testing/apiserver/calling.py"},
}
LOADED_ON_USE = {"aiohttp", "kubernetes_asyncio"}

CLOCK_READERS = {
    "reconcile/core/clock.py": CLOCKS,
    "reconcile/testing/": CLOCKS,
    # its thread has no loop to ask, and must go on when the loop is blocked
    "reconcile/core/watchdog.py": {"time.monotonic"},
}
OWN_CLOCKS = {f"reconcile.core.clock.{name}" for name in ("now", "utc", "boottime")}

# decisions: no await, no clock, no randomness but what is passed in; some of them are still to be written
PURE = {
    f"{folder}/{module}"
    for folder, modules in {
        "provider": "ids.py",
        "reconcile/core": "backoff.py schedule.py",
        "reconcile/kube": "resource.py objects.py codec.py selector.py request.py errors.py patch.py finalizers.py "
        "owners.py conditions.py watch.py journal.py fieldset.py views.py encoding.py decoding.py quantity.py times.py "
        "events.py event_forms.py proxies.py discovery.py kubeconfig.py access.py pace.py models.py "
        "certificates/pairs.py certificates/requests.py certificates/stored.py",
        "reconcile/cache": "change.py entry.py store.py table.py staging.py scope.py watched.py proof.py overlay.py "
        "steps.py reflector.py",
        "reconcile/controller": "predicate.py handler.py cause.py outcome.py selftrigger.py history.py",
        "reconcile/manager": "lease.py rbac.py tables.py",
        "reconcile/testing/apiserver": "storage.py routes.py schema.py apply.py strategy.py gc.py messages.py "
        "tokens.py impersonation.py flags.py",
        "apinetlet": "names.py origin.py claims.py predicates.py selection.py flags.py settings.py translate/ api/ "
        "demo/table.py demo/policies.py demo/checks.py demo/source.py demo/networkids.py demo/addresses.py "
        "demo/claims.py demo/actors/slots.py demo/actors/room.py tools/answer.py tools/applied.py tools/changes.py "
        "tools/fields.py tools/findings.py tools/leftovers.py tools/provider_id.py tools/completion.py tools/rights.py",
    }.items()
    for module in modules.split()
}

RULES: dict[str, Callable[[Tree], list[Violation]]] = {
    "relative_imports": relative_imports,
    "layers": partial(layers, allowed=ALLOWED),
    "keepers": partial(keepers, only=KEEPERS),
    "loaded_at_once": partial(loaded_at_once, package="reconcile", libraries=LOADED_ON_USE),
    "cycles": cycles,
    "clocks": partial(clocks, readers=CLOCK_READERS),
    "waits": partial(waits, pure=PURE),
    "tells_time": partial(tells_time, pure=PURE, own_clocks=OWN_CLOCKS),
    "draws": partial(draws, pure=PURE),
}


@pytest.fixture(scope="module")
def packages() -> Tree:
    return Tree.read(ROOT, *PACKAGES)


def test_every_package_is_read(packages: Tree) -> None:
    assert {"provider.ids", "reconcile.core.clock", "apinetlet"} <= packages.modules.keys()


@pytest.mark.parametrize("rule", RULES)
def test_no_module_breaks_the_rule(rule: str, packages: Tree) -> None:
    violations = RULES[rule](packages)
    assert not violations, "\n" + "\n".join(map(str, violations))


def test_no_pure_module_is_listed_outside_the_packages() -> None:
    assert {place.partition("/")[0] for place in PURE} == set(PACKAGES)
    assert all(place.endswith((".py", "/")) for place in PURE)


def test_importing_reconcile_loads_neither_the_generated_client_nor_aiohttp() -> None:
    assert not LOADED_ON_USE & _loaded_by_importing("reconcile", ROOT)


# rule, sources by file, the one place that breaks it
PLANTED = [
    ("relative_imports", {"reconcile/core/queue.py": "from . import clock"}, "reconcile/core/queue.py:1"),
    ("relative_imports", {"reconcile/core/queue.py": "\nfrom .clock import now"}, "reconcile/core/queue.py:2"),
    ("layers", {"provider/ids.py": "import reconcile.core.clock"}, "provider/ids.py:1"),
    ("layers", {"reconcile/core/queue.py": "from reconcile import kube"}, "reconcile/core/queue.py:1"),
    ("layers", {"reconcile/kube/client.py": "def f():\n    import reconcile.cache"}, "reconcile/kube/client.py:2"),
    ("layers", {"reconcile/cache/store.py": "from reconcile.controller import X"}, "reconcile/cache/store.py:1"),
    ("layers", {"reconcile/controller/handler.py": "from reconcile import X"}, "reconcile/controller/handler.py:1"),
    ("layers", {"reconcile/manager/manager.py": "import provider"}, "reconcile/manager/manager.py:1"),
    ("layers", {"reconcile/manager/manager.py": "import apinetlet"}, "reconcile/manager/manager.py:1"),
    ("layers", {"reconcile/__init__.py": "from reconcile import testing"}, "reconcile/__init__.py:1"),
    ("layers", {"reconcile/testing/loop.py": "import apinetlet.app"}, "reconcile/testing/loop.py:1"),
    ("layers", {"apinetlet/app.py": "from reconcile.testing.loop import run"}, "apinetlet/app.py:1"),
    (
        "layers",
        {"reconcile/core/queue.py": "import typing\nif typing.TYPE_CHECKING:\n    import reconcile.manager"},
        "reconcile/core/queue.py:3",
    ),
    ("keepers", {"reconcile/kube/client.py": "from tenacity import retry"}, "reconcile/kube/client.py:1"),
    ("keepers", {"reconcile/manager/probes.py": "import aiohttp.web"}, "reconcile/manager/probes.py:1"),
    ("keepers", {"apinetlet/app.py": "def f():\n    import kubernetes_asyncio"}, "apinetlet/app.py:2"),
    (
        "keepers",
        {"apinetlet/app.py": "from importlib import import_module as load, import_module\nimport_module('tenacity')"},
        "apinetlet/app.py:2",
    ),
    (
        "loaded_at_once",
        {
            "reconcile/__init__.py": "from reconcile.kube.client import Client",
            "reconcile/kube/__init__.py": "from reconcile.kube.transport import HttpTransport",
            "reconcile/kube/client.py": "",
            "reconcile/kube/transport.py": "try:\n    import aiohttp\nfinally: ...",
        },
        "reconcile/kube/transport.py:2",
    ),
    (
        "cycles",
        {
            "reconcile/core/a.py": "\nfrom reconcile.core.b import B",
            "reconcile/core/b.py": "from reconcile.core import c",
            "reconcile/core/c.py": "import reconcile.core.a",
        },
        "reconcile/core/a.py:2",
    ),
    (
        "cycles",
        {
            "reconcile/kube/__init__.py": "from reconcile.kube.a import A",
            "reconcile/kube/a.py": "import reconcile.kube",
        },
        "reconcile/kube/__init__.py:1",
    ),
    ("clocks", {"reconcile/core/queue.py": "import time as t\nt.monotonic()"}, "reconcile/core/queue.py:2"),
    ("clocks", {"reconcile/core/queue.py": "from time import time_ns"}, "reconcile/core/queue.py:1"),
    ("clocks", {"reconcile/core/watchdog.py": "import time\ntime.time()"}, "reconcile/core/watchdog.py:2"),
    ("clocks", {"apinetlet/app.py": "import datetime as dt\ndt.datetime.now(dt.UTC)"}, "apinetlet/app.py:2"),
    ("clocks", {"apinetlet/app.py": "from datetime import datetime as D\nf(default=D.utcnow)"}, "apinetlet/app.py:2"),
    ("clocks", {"apinetlet/app.py": "import asyncio\nasyncio.get_running_loop().time()"}, "apinetlet/app.py:2"),
    ("clocks", {"apinetlet/app.py": "class A:\n    def f(self): return self._loop.time"}, "apinetlet/app.py:2"),
    ("waits", {"reconcile/core/schedule.py": "async def f(): ..."}, "reconcile/core/schedule.py:1"),
    ("waits", {"apinetlet/translate/network.py": "x = [\n    y async for y in z]"}, "apinetlet/translate/network.py:2"),
    ("tells_time", {"reconcile/cache/store.py": "import asyncio"}, "reconcile/cache/store.py:1"),
    ("tells_time", {"reconcile/cache/store.py": "from anyio.abc import TaskStatus"}, "reconcile/cache/store.py:1"),
    (
        "tells_time",
        {"reconcile/cache/store.py": "from datetime import date\ndate.today()"},
        "reconcile/cache/store.py:2",
    ),
    ("tells_time", {"reconcile/cache/store.py": "from reconcile.core.clock import now"}, "reconcile/cache/store.py:1"),
    (
        "tells_time",
        {"reconcile/cache/store.py": "from reconcile.core import clock\nclock.utc()"},
        "reconcile/cache/store.py:2",
    ),
    (
        "tells_time",
        {
            "reconcile/core/__init__.py": "from reconcile.core.clock import boottime as age",
            "reconcile/core/clock.py": "",
            "reconcile/cache/store.py": "import reconcile.core\nreconcile.core.age()",
        },
        "reconcile/cache/store.py:2",
    ),
    ("draws", {"reconcile/core/backoff.py": "import random\nrandom.random()"}, "reconcile/core/backoff.py:2"),
    ("draws", {"reconcile/core/backoff.py": "from random import choice"}, "reconcile/core/backoff.py:1"),
    ("draws", {"reconcile/core/backoff.py": "from random import Random\nr = Random()"}, "reconcile/core/backoff.py:2"),
    ("draws", {"reconcile/core/backoff.py": "import secrets"}, "reconcile/core/backoff.py:1"),
    ("draws", {"reconcile/core/backoff.py": "import os\nos.urandom(8)"}, "reconcile/core/backoff.py:2"),
    ("draws", {"reconcile/core/backoff.py": "from uuid import uuid4"}, "reconcile/core/backoff.py:1"),
]


@pytest.mark.parametrize(("rule", "sources", "place"), PLANTED)
def test_a_planted_violation_is_reported(rule: str, sources: dict[str, str], place: str) -> None:
    assert [f"{found.file}:{found.line}" for found in RULES[rule](Tree.of(sources))] == [place]


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, _, _ in PLANTED} == RULES.keys()


# what comes close to a violation and is none
FINE = {
    "reconcile/__init__.py": "from reconcile.kube.client import Client",
    "reconcile/core/__init__.py": "from reconcile.core.clock import Seconds, now",
    "reconcile/core/clock.py": "import time\nSeconds = float\ndef now(): return time.monotonic()\n",
    "reconcile/core/backoff.py": (
        "import datetime\nfrom random import Random\nfrom reconcile.core import Seconds\n"
        "def delay(now: Seconds, rng: Random): return rng.random() + Random(7).random()\n"
        "def at(seconds): return datetime.datetime.fromtimestamp(seconds, datetime.UTC).time()\n"
    ),
    "reconcile/core/queue.py": "from reconcile.core.clock import now\nasync def get(): return now()",
    "reconcile/kube/__init__.py": "",
    "reconcile/kube/client.py": (
        "from typing import TYPE_CHECKING\nfrom reconcile.kube import errors\n"
        "if TYPE_CHECKING:\n    from reconcile.kube.transport import Transport\n"
    ),
    "reconcile/kube/errors.py": "def f():\n    from reconcile.kube.client import Client",
    "reconcile/kube/session.py": "from reconcile.kube.client import Client\ndef f():\n    import aiohttp",
    "reconcile/manager/web.py": "import aiohttp.web",
    "apinetlet/demo/__init__.py": "from reconcile.testing import loop\nimport provider",
}


@pytest.mark.parametrize("rule", RULES)
def test_what_only_comes_close_is_not_reported(rule: str) -> None:
    assert RULES[rule](Tree.of(FINE)) == []


def test_a_library_that_a_package_does_load_is_seen(tmp_path: Path) -> None:
    (tmp_path / "greedy.py").write_text("import aiohttp")
    (tmp_path / "aiohttp.py").write_text("")
    assert LOADED_ON_USE & _loaded_by_importing("greedy", tmp_path) == {"aiohttp"}


def _loaded_by_importing(package: str, root: Path) -> set[str]:
    """What stands in ``sys.modules`` after the import in a fresh interpreter."""
    code = f"import sys; sys.path.insert(0, {str(root)!r}); import {package}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())
