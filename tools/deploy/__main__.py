"""Writes the folder ``deploy``.

python -m tools.deploy          # tells which files would change; status 1 if any
python -m tools.deploy --write  # writes them
"""

import argparse
import sys

from tools.deploy import write


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write them")
    if parser.parse_args().write:
        write.write()
        return 0
    outdated = write.outdated()
    print("\n".join(outdated) or "deploy is current")
    return 1 if outdated else 0


if __name__ == "__main__":
    sys.exit(main())
