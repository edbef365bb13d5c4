"""The picture of the demo in the README, recorded from the terminal: docs/img/demo.svg.

    python tools/picture.py           # prints what it would record
    python tools/picture.py --write   # records it

The story is told on virtual time and from a seed, so that the same code records the same picture.
"""

import argparse
import io
import pathlib
import random
import re

from rich.console import Console

from apinetlet.api import IRONCORE
from apinetlet.assembly import assemble
from apinetlet.demo.show import PUBLIC, WIDTH, Show
from apinetlet.demo.story import STORY
from apinetlet.demo.world import DAEMON, TARGET_NAMESPACE, World
from apinetlet.settings import Settings
from reconcile.testing import loop

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "img" / "demo.svg"
STEPS = 6
"""So many steps are told; the last one is what is shown."""


async def record(console: Console) -> None:
    """Tell the story up to the step that is shown, and print that to ``console``."""
    manager = IRONCORE.field_manager
    async with World(IRONCORE, prefixes=(PUBLIC,)) as world, world.staff():
        source, target = (one.client(user_agent=DAEMON, field_manager=manager) for one in (world.source, world.apinet))
        settings, rng = Settings(api_net_namespace=TARGET_NAMESPACE), random.Random(0)
        async with assemble(settings, IRONCORE, source, target, rng=rng):
            show = Show(world, Console(file=io.StringIO()), None, steps=STORY[:STEPS])
            if await show.tell(once=True):
                raise SystemExit("the story did not come to its goals")
            console.print(show.picture(STORY[STEPS - 1]))


def drawing(console: Console) -> str:
    """What was recorded, as SVG that loads nothing from elsewhere: the fonts are those of who looks."""
    made = console.export_svg(title="apinetlet demo", unique_id="demo")
    made = re.sub(r"@font-face \{.*?\}\n", "", made, flags=re.DOTALL)
    return re.sub(r"^ +$", "", made.replace("Fira Code", "ui-monospace"), flags=re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put it into docs/img/demo.svg")
    options = parser.parse_args()
    file = io.StringIO() if options.write else None
    console = Console(record=True, width=WIDTH, file=file, force_terminal=True, color_system="truecolor")
    loop.run(record(console), seed=0)
    if options.write:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(drawing(console))
        print(PAGE)


if __name__ == "__main__":
    main()
