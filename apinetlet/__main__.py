"""``python -m apinetlet`` and the ``apinetlet`` script."""

import sys

from apinetlet.cli import main as run


def main() -> None:
    """Run the command line of this process and leave with its status."""
    sys.exit(run())


if __name__ == "__main__":
    main()
