"""Functions of the user's that failed: counted and named, without a flood of lines.

An index, a handler or a predicate that is wrong is often wrong for every object. The first failures of each are logged
with their traceback, after that only every thousandth.
"""

import logging
from collections import Counter
from typing import Final

FIRST: Final = 10
EVERY: Final = 1000


class Faults(Counter[str]):
    """How often each function failed, by name."""

    def note(self, logger: logging.Logger, what: str, name: str, error: BaseException, **facts: object) -> None:
        """One more. ``what`` is one sentence, ``facts`` say about which object."""
        self[name] += 1
        if self[name] <= FIRST or self[name] % EVERY == 0:
            text = "".join(f" {key}={value}" for key, value in facts.items())
            logger.error("%s: name=%s times=%d%s", what, name, self[name], text, exc_info=error)
