"""Where a manager listens, and every bound of it, with its name and its unit."""

from attrs import frozen

from reconcile.core.clock import Seconds
from reconcile.manager.certificate import Certificate, SelfSigned
from reconcile.manager.preflight import Preflight
from reconcile.manager.web import Address


@frozen(kw_only=True)
class ManagerSettings:
    """How a manager runs. Addresses as ``Address.parse`` reads them; ``0`` means: not at all.

    Pages with the same address share a server. What stopping may take in all, ``drain_budget`` and about twice
    ``stop_budget``, has to be less than the grace period of the pod (30 s, unless it says otherwise).

    Raises:
        ValueError: an address cannot be read, pages in TLS share one with others, or guarded ones are not in TLS.
    """

    probes: str = "0"
    """``/livez``, ``/healthz``, ``/readyz``."""
    metrics: str = "0"
    """``/metrics``; needs the extra ``metrics``."""
    metrics_certificate: Certificate | SelfSigned | None = None
    """Puts the server of the metrics into TLS."""
    metrics_guard: str = ""
    """The cluster whose API server says who may read the metrics; "": everybody may."""
    debug: str = "0"
    """``/debug/queues``, ``/debug/why``, ``/debug/informers``, ``/debug/stacks``."""
    preflight: Preflight = "fail"
    staleness_limit: Seconds = 120.0
    """A copy that was not known to be current for so long makes us not ready. A quiet server speaks every minute."""
    lag_limit: Seconds = 2.0
    """So does a loop that was blocked for so long."""
    drain_budget: Seconds = 20.0
    """For the reconciles that are going on when the stop begins."""
    stop_budget: Seconds = 3.0
    """For a part to end once it is cancelled; after that it is reported and the stop goes on."""
    freeze_gc: bool = False
    """Take what was loaded at start out of garbage collection. Concerns the whole process."""

    def __attrs_post_init__(self) -> None:
        others = {Address.parse(self.probes), Address.parse(self.debug)} - {None}
        if self.metrics_guard and self.metrics_certificate is None:
            raise ValueError("guarded metrics need TLS, or the tokens of their readers can be read along")
        if Address.parse(self.metrics) in others and self.metrics_certificate is not None:
            raise ValueError(f"metrics in TLS need an address of their own, not {self.metrics!r} with other pages")
