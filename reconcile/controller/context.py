"""Which pass the running code belongs to, for log lines and for whoever asks why it was called.

A context variable carries it, so tasks that a reconciler starts belong to the pass as well.
"""

import logging
from contextvars import ContextVar
from typing import Any, Final

from reconcile.controller.history import Pass

running_pass: Final[ContextVar[Pass[Any] | None]] = ContextVar("running_pass", default=None)
"""Set by the worker for the time of a call; ``None`` elsewhere."""


class PassFilter(logging.Filter):
    """Gives each log record ``controller``, ``key`` and ``reconcile_id``; "" outside of a reconcile. Drops nothing.

    A program that wants them adds the filter to its handlers::

        handler.addFilter(PassFilter())
        handler.setFormatter(logging.Formatter("%(message)s controller=%(controller)s key=%(key)s"))
    """

    def filter(self, record: logging.LogRecord) -> bool:
        found = running_pass.get()
        record.controller = found.controller if found is not None else ""
        record.key = str(found.key) if found is not None else ""
        record.reconcile_id = found.id if found is not None else ""
        return True
