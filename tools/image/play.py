"""Does what a Dockerfile says, without Docker: for a test, and for a machine that has none.

    python -m tools.image.play FOLDER   # makes the root of the image there; as root, with mmdebstrap

Knows the instructions that ours uses, and refuses any other. A stage is a folder; RUN is a chroot into it. The base
image is not pulled: its place takes a root that mmdebstrap makes of the packages of Debian's release, which is what the
base image is made of, too. Of this machine it borrows what a builder borrows: how to reach packages.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

ROOT: Final = Path(__file__).resolve().parent.parent.parent
BORROWED: Final = {
    "/etc/resolv.conf": "/etc/resolv.conf",
    "/etc/hosts": "/etc/hosts",
    "/etc/ssl/certs/ca-certificates.crt": "/run/authorities.crt",
}
"""Files of this machine, and where a RUN finds them."""
NETWORK: Final = re.compile(r"PIP_(?!CERT|FIND)|https?_proxy|no_proxy", re.IGNORECASE)


@frozen
class Image:
    """What a runtime starts: a root, and how."""

    root: Path
    user: str
    entrypoint: tuple[str, ...]
    health: tuple[str, ...]
    labels: Mapping[str, str]
    bases: tuple[str, ...]
    """The base images that were asked for, in order."""


@define
class _Stage:
    root: Path
    folder: str = "/"
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    health: tuple[str, ...] = ()
    labels: dict[str, str] = field(factory=dict)
    arguments: dict[str, str] = field(factory=dict)


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Name and rest of each, without comments, lines joined."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", " ", lines).splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name, rest.strip()


def play(
    dockerfile: Path, work: Path, base: Callable[[str, Path], None], given: Mapping[str, str] | None = None
) -> Image:
    """Build in ``work``; ``base`` makes the root of a base image; ``given`` are build arguments.

    Raises:
        ValueError: an instruction that is not known.
        CalledProcessError: a RUN failed.
    """
    given, stages, bases = given or {}, dict[str, _Stage](), []
    arguments: dict[str, str] = {}
    stage: _Stage | None = None
    for name, rest in instructions(dockerfile.read_text()):
        if name == "ARG":
            key, _, default = rest.partition("=")
            (stage.arguments if stage else arguments)[key] = given.get(key, default)
            continue
        known = stage.arguments if stage and name != "FROM" else arguments
        rest = re.sub(r"\$\{(\w+)\}", lambda place: known[place[1]], rest)  # noqa: B023
        if name == "FROM":
            image, _, alias = rest.partition(" AS ")
            stage = stages[alias or image] = _Stage(work / f"stage-{len(stages)}")
            stage.root.mkdir(parents=True)
            bases.append(image)
            if image != "scratch":
                base(image, stage.root)
            continue
        assert stage is not None, "an image begins with FROM"
        match name:
            case "WORKDIR":
                stage.folder = rest
                (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "COPY":
                _copy(stage, rest, stages, dockerfile.parent)
            case "RUN":
                _run(stage, rest)
            case "USER":
                stage.user = rest
            case "LABEL":
                stage.labels |= dict(pair.split("=", 1) for pair in shlex.split(rest))
            case "ENTRYPOINT":
                stage.entrypoint = tuple(json.loads(rest))
            case "HEALTHCHECK":
                stage.health = tuple(json.loads(rest.partition("CMD ")[2]))
            case "EXPOSE":
                pass
            case _:
                raise ValueError(f"{name} is not known here")
    assert stage is not None
    return Image(stage.root, stage.user, stage.entrypoint, stage.health, stage.labels, tuple(bases))


def _copy(stage: _Stage, words: str, stages: Mapping[str, _Stage], context: Path) -> None:
    *sources, target = words.split()
    place = stage.root / Path(stage.folder, target).as_posix().lstrip("/")
    if sources[0].startswith("--from="):
        origin = stages[sources.pop(0).removeprefix("--from=")].root
        for source in sources:
            subprocess.run(["cp", "-a", f"{origin / source.lstrip('/')}/.", place], check=True)
        return
    for source in sources:
        found = context / source
        if found.is_dir():
            shutil.copytree(found, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy2(found, place / found.name if target.endswith("/") else place)


def _run(stage: _Stage, command: str) -> None:
    for here, there in BORROWED.items():
        if Path(here).exists():
            shutil.copyfile(here, stage.root / there.lstrip("/"))
    borrowed = {name: value for name, value in os.environ.items() if NETWORK.match(name)}
    borrowed |= {"PIP_CERT": "/run/authorities.crt"}
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        **borrowed,
        **stage.arguments,
    }
    within = f"mount -t proc proc /proc; cd {shlex.quote(stage.folder)}; {command}"
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    words = [*alone, "chroot", str(stage.root), "/bin/sh", "-ec", within]
    subprocess.run(words, env=environment, check=True)


def debian(image: str, root: Path) -> None:
    """A root of the Debian release that ``image`` (``debian:bookworm-slim``) names, from this machine's sources."""
    release = image.partition(":")[2].removesuffix("-slim")
    sources = Path("/etc/apt/sources.list.d/debian.sources")
    words = ["unshare", "--mount", "mmdebstrap", "--quiet", "--variant=minbase", "--mode=root"]
    words += [f"--aptopt={one}" for one in sorted(Path("/etc/apt/apt.conf.d").glob("99*"))]
    words += [release, str(root), str(sources if sources.exists() else "/etc/apt/sources.list")]
    subprocess.run(words, check=True)


def main() -> None:
    target = Path(sys.argv[1]).resolve()
    work = target.with_name(f"{target.name}.work")
    image = play(ROOT / "Dockerfile", work, debian)
    image.root.rename(target)
    shutil.rmtree(work)
    print(target)


if __name__ == "__main__":
    main()
