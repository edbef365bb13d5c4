"""Every bound of a controller, with its name and its unit."""

from collections.abc import Callable, Hashable
from typing import Any

import attrs

from reconcile.core.backoff import Backoff
from reconcile.core.clock import Seconds


def _positive(_settings: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None and not value > 0:
        raise ValueError(f"{attribute.name} must be more than 0, not {value!r}")


@attrs.frozen(kw_only=True)
class ControllerSettings:
    """How a controller works. The defaults suit controllers that call nothing but API servers.

    Raises:
        ValueError: a number that must be positive is not.
    """

    workers: int = attrs.field(default=4, validator=_positive)
    """Reconciles at once."""
    deadline: Seconds = attrs.field(default=120.0, validator=_positive)
    """A reconcile is cancelled after this time."""
    cancel_grace: Seconds = attrs.field(default=5.0, validator=_positive)
    """One that did not end so long after that is reported with its stack and cancelled again."""
    backoff: Backoff = attrs.field(factory=Backoff)
    """After an error or a timeout."""
    conflict_backoff: Backoff = attrs.field(factory=lambda: Backoff(base=0.05, cap=2.0))
    """After a conflict: someone wrote first, which is no failure."""
    min_interval: Seconds = 0.0
    """From the start of one reconcile of a key to the start of the next; changes in between fold into one."""
    max_wait: Seconds = attrs.field(default=60.0, validator=_positive)
    """What is due so long goes before what has a higher priority."""
    resync: Seconds | None = attrs.field(default=36000.0, validator=_positive)
    """Every key is looked at that often at low priority, spread evenly; ``None`` for never."""
    retry_rate: float | None = attrs.field(default=None, validator=_positive)
    """Retries a second, over all keys; ``None`` for no limit."""
    retry_burst: int = attrs.field(default=100, validator=_positive)
    """So many of them at once."""
    fair_key: Callable[[Any], Hashable] | None = None
    """Keys with the same value are one share, and shares take turns; ``None`` for one line for all."""
    sync_timeout: Seconds | None = attrs.field(default=None, validator=_positive)
    """Stores that are not there so long after the start end the controller, with the reason; ``None``: it waits on."""
    source_backoff: Backoff = attrs.field(factory=lambda: Backoff(base=0.5))
    """Before a source that failed is started again, and a handler that failed is asked again."""
    self_trigger_limit: int = attrs.field(default=5, validator=_positive)
    """So many reconciles of a key in a row that only our own writes caused, and that wrote, make a loop."""
    self_trigger_delay: Seconds = attrs.field(default=1.0, validator=_positive)
    """How long a looping key waits first; twice as long with every step, up to ``self_trigger_cap``."""
    self_trigger_cap: Seconds = attrs.field(default=300.0, validator=_positive)
    history_keys: int = attrs.field(default=500, validator=_positive)
    """Of so many keys the last passes are remembered, at one to two kilobytes each."""
    history_passes: int = attrs.field(default=8, validator=_positive)
    """So many of each."""
    history_bytes: int = attrs.field(default=2 * 1024 * 1024, validator=_positive)
    """So much of old objects is kept to tell what changed."""
