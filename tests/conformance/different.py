"""What is knowingly otherwise than on a real server: the case that shows it, and why it is so."""

from collections.abc import Mapping
from typing import Final

DIFFERENT: Final[Mapping[str, str]] = {}
