"""The story told on a screen: act, wait for the goal, let people look."""

from collections.abc import Iterator, Sequence

import anyio
from attrs import Factory, define, field
from rich.console import Console, RenderableType
from rich.live import Live

from apinetlet.api import GENERATIONS
from apinetlet.assembly import assemble
from apinetlet.demo.apinet import Supply
from apinetlet.demo.main import DemoSettings
from apinetlet.demo.ports import Ports, served
from apinetlet.demo.story import Step, load, scene, story
from apinetlet.demo.table import picture
from apinetlet.demo.world import DAEMON, TARGET_NAMESPACE, World
from apinetlet.settings import Settings
from reconcile import Seconds
from reconcile.core import now

STEP_TIMEOUT: Seconds = 20.0
"""A goal that is not reached so long after its step was missed."""
PATIENCE_EACH: Seconds = 1.0
"""What a loaded step may take longer for each object of a kind."""
PUBLIC = "203.0.113.0/24"
"""The public addresses of the story: few and short."""
WIDTH = 104
"""Of what no terminal shows, in characters."""
LOOK: Seconds = 2.0
"""So long people look at a step that reached its goal."""
PACE: Seconds = 0.4
"""How long the data plane takes to program an interface."""
FRAME: Seconds = 0.05
SLOW_FRAME: Seconds = 0.5
"""Between two looks at a loaded world, which costs a while."""


async def run(settings: DemoSettings, console: Console | None = None) -> int:
    """Tell the story, once or for ever. Answers 0 if every goal was reached.

    Raises:
        OSError: a port cannot be had.
    """
    console = console or _console()
    generation = GENERATIONS[settings.generation]
    live = console.is_terminal and not settings.plain
    prefixes = Supply().prefixes if settings.load else (PUBLIC,)
    async with World(generation, prefixes=prefixes) as world, served(world, settings.port) as ports:
        daemon = assemble(
            Settings(api_net_namespace=TARGET_NAMESPACE),
            generation,
            world.source.client(user_agent=DAEMON, field_manager=generation.field_manager),
            world.apinet.client(user_agent=DAEMON, field_manager=generation.field_manager),
        )
        async with world.staff(pace=PACE / settings.speed if live else 0.0), daemon:
            screen = Live(console=console, auto_refresh=False) if live else None
            show = Show(
                world,
                console,
                screen,
                steps=load(settings.load) if settings.load else story(generation),
                pause=LOOK / settings.speed if live else 0.0,
                frame=SLOW_FRAME if settings.load else FRAME,
                timeout=STEP_TIMEOUT + settings.load * PATIENCE_EACH,
                ports=ports,
            )
            if screen is None:
                return await show.tell(once=settings.once)
            with screen:
                return await show.tell(once=settings.once)


@define
class Show:
    """One telling after the other, in one world."""

    world: World
    console: Console
    screen: Live | None
    """Drawn over again and again; ``None``: each step leaves its picture behind."""
    steps: Sequence[Step] = field(default=Factory(lambda self: story(self.world.generation), takes_self=True))
    pause: Seconds = 0.0
    frame: Seconds = FRAME
    timeout: Seconds = STEP_TIMEOUT
    ports: Ports | None = None
    _done: list[str] = field(factory=list)

    async def tell(self, *, once: bool) -> int:
        """Answers 1 at the first goal that is missed."""
        while True:
            self._done.clear()
            for step in self.steps:
                if not await self._take(step):
                    self.console.print(f"[red]The goal was not reached in {self.timeout:g} s:[/] {step.title}")
                    return 1
            if once:
                self.console.print(f"[green]Done:[/] every goal reached, {self.world.writes} writes by apinetlet.")
                return 0

    async def _take(self, step: Step) -> bool:
        begun, before = now(), self.world.writes
        await step.act(self.world)
        while not (reached := step.goal(self.world)) and now() - begun < self.timeout:
            self._draw(step)
            await anyio.sleep(self.frame)
        seconds, writes = now() - begun, self.world.writes - before
        self._draw(step, last=True)
        if reached:
            self._done.append(f"{step.title} ({writes} writes, {_duration(seconds)})")
        await anyio.sleep(self.pause)
        return reached

    def _draw(self, step: Step, *, last: bool = False) -> None:
        if self.screen is not None:
            self.screen.update(self.picture(step), refresh=True)
        elif last:
            self.console.print(self.picture(step, steps=False))

    def picture(self, step: Step, *, steps: bool = True) -> RenderableType:
        """Both sides as they are now, under a step; with ``steps``, what came before it below."""
        return picture(
            scene(self.world),
            title=step.title,
            steps=self._done if steps else [],
            writes=self.world.writes,
            hints=list(self._hints()) if steps or not self._done else [],
        )

    def _hints(self) -> Iterator[str]:
        if self.ports is not None:
            yield f"kubectl --kubeconfig {self.ports.source} get net,nic,lb,ngw,vip -w"
            yield f"kubectl --kubeconfig {self.ports.apinet} -n {TARGET_NAMESPACE} get networks,ips,loadbalancers"


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def _duration(seconds: Seconds) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
