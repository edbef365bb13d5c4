"""Waiting for a state of the world, on real time: asked again and again, for a bounded while."""

import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import anyio

from reconcile import Client, NotFound, Resource
from reconcile.core.clock import Seconds
from reconcile.kube.kinds import CRD


async def until(holds: Callable[[], bool | Awaitable[bool]], what: str, *, within: Seconds = 30.0) -> None:
    """Wait until the world is so. Raises AssertionError, with ``what``, when it is not in time."""
    end = time.monotonic() + within
    while not (answer if isinstance(answer := holds(), bool) else await answer):
        assert time.monotonic() < end, f"not within {within:g} s: {what}"
        await anyio.sleep(0.05)


async def until_right(looks: Callable[[], Awaitable[list[str]]], what: str, *, within: Seconds) -> None:
    """Wait until ``looks`` finds nothing wrong any more; the failure shows the first of what it found last."""
    last: list[str] = []

    async def is_so() -> bool:
        last[:] = await looks()
        return not last

    try:
        await until(is_so, what, within=within)
    except AssertionError as error:
        error.add_note("\n".join(last[:20]))
        raise


async def install(client: Client, definitions: Iterable[Any], names: Iterable[str]) -> None:
    """Have these CRDs, and wait until their kinds are served."""
    wanted = {one["metadata"]["name"]: one for one in definitions if one["metadata"]["name"] in set(names)}
    for body in wanted.values():
        await client.apply(CRD, body)
    for name, body in wanted.items():
        group, version = body["spec"]["group"], body["spec"]["versions"][0]["name"]
        plural = body["spec"]["names"]["plural"]
        served = Resource.untyped(f"{group}/{version}", body["spec"]["names"]["kind"], plural)

        async def is_served(served: Resource[Any] = served) -> bool:
            with suppress(NotFound):
                await client.list(served)
                return True
            return False

        await until(is_served, f"{name} is served")
