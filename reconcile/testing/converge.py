"""A program has converged when the world is at rest and stays so, whatever makes the program look again.

``assert_converges`` waits for rest and then looks for the three ways in which it may be false: a pass over every key
that writes, a new life that writes, an end that is not the expected one. At the end of the story and after the restart
it waits for as long as anything could come by itself, planned or not. It leaves the program running.
"""

from reconcile.core.clock import Seconds
from reconcile.testing.state import State, differences
from reconcile.testing.world import CALM, World


class NotConverged(AssertionError):
    """The world did not stay at rest, or came to another end. The message has the writes, or the differences."""


async def assert_converges(
    world: World, *, expected: State | None = None, calm: Seconds = CALM, limit: Seconds = 3600.0
) -> State:
    """See that the world comes to rest, is as ``expected`` then (if given), and stays as it is; the state it is in.

    Raises:
        StillMoving: no rest within ``limit``.
        NotConverged: a second pass or a restart tried to write, or the end is another one.
        AssertionError: what ``World.quiesce`` raises.
    """
    await world.quiesce(calm=calm, lull=calm, limit=limit)
    reached = world.state
    if expected is not None and (lines := differences(expected, reached)):
        raise NotConverged("\n  ".join(["the world came to another end:", *lines]))
    tried = len(world.tried)
    world.enqueue_all("a second pass")
    await world.quiesce(calm=calm, limit=limit)
    _see_no_more(world, tried, "a second pass over all keys")
    await world.crash()
    world.start()
    await world.quiesce(calm=calm, lull=calm, limit=limit)
    _see_no_more(world, tried, "a restart")
    return reached


def _see_no_more(world: World, tried: int, what: str) -> None:
    if more := world.tried[tried:]:
        raise NotConverged("\n  ".join([f"{what} led to {len(more)} more writes:", *map(str, more[:20])]))
