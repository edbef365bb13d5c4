"""The story told on a screen: act, wait for the goal, let people look."""

import anyio
from rich.console import Console, RenderableType
from rich.live import Live

from apinetlet.api import GENERATIONS
from apinetlet.app import assemble
from apinetlet.demo.main import DemoSettings
from apinetlet.demo.story import STORY, Step
from apinetlet.demo.table import pairs, picture
from apinetlet.demo.world import DAEMON, TARGET_NAMESPACE, World
from apinetlet.settings import Settings
from reconcile import Seconds
from reconcile.core import now

STEP_TIMEOUT: Seconds = 10.0
"""A goal that is not reached so long after its step was missed."""
FRAME: Seconds = 0.05


async def run(settings: DemoSettings) -> int:
    """Tell the story, once or for ever. Answers 0 if every goal was reached."""
    console = Console()
    generation = GENERATIONS[settings.generation]
    async with World(generation) as world:
        daemon = assemble(
            Settings(api_net_namespace=TARGET_NAMESPACE),
            generation,
            world.source.client(user_agent=DAEMON, field_manager=generation.field_manager),
            world.apinet.client(user_agent=DAEMON, field_manager=generation.field_manager),
        )
        async with daemon:
            live = console.is_terminal and not settings.plain
            screen = Live(console=console, auto_refresh=False, transient=not live) if live else None
            show = Show(world, console, screen, settings.pause if live else 0.0)
            if screen is None:
                return await show.tell(once=settings.once)
            with screen:
                return await show.tell(once=settings.once)


class Show:
    """One telling after the other, in one world."""

    def __init__(self, world: World, console: Console, screen: Live | None, pause: Seconds) -> None:
        self._world, self._console, self._screen, self._pause = world, console, screen, pause
        self._done: list[str] = []

    async def tell(self, *, once: bool) -> int:
        """Answers 1 at the first goal that is missed."""
        while True:
            self._done.clear()
            for step in STORY:
                if not await self._take(step):
                    self._console.print(f"[red]The goal was not reached in {STEP_TIMEOUT:g} s:[/] {step.title}")
                    return 1
            if once:
                self._console.print(f"[green]Done:[/] every goal reached, {self._world.writes} writes by apinetlet.")
                return 0

    async def _take(self, step: Step) -> bool:
        begun, before = now(), self._world.writes
        await step.act(self._world)
        while not (reached := step.goal(self._world)) and now() - begun < STEP_TIMEOUT:
            self._draw(step)
            await anyio.sleep(FRAME)
        self._draw(step, last=True)
        seconds, writes = now() - begun, self._world.writes - before
        self._done.append(f"{step.title} ({writes} writes, {seconds * 1000:.0f} ms)")
        await anyio.sleep(self._pause)
        return reached

    def _draw(self, step: Step, *, last: bool = False) -> None:
        if self._screen is not None:
            self._screen.update(self._picture(step), refresh=True)
        elif last:
            self._console.print(self._picture(step, steps=False))

    def _picture(self, step: Step, *, steps: bool = True) -> RenderableType:
        world = self._world
        found = pairs(world.generation, world.networks, world.counterparts)
        return picture(found, title=step.title, steps=self._done if steps else [], writes=world.writes)
