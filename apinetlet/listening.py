"""Where the daemon listens for those who ask how it is, and who may ask. Pure."""

from pathlib import Path

from apinetlet.api import ONMETAL, Generation
from apinetlet.assembly import SOURCE
from apinetlet.settings import OFF, Settings
from reconcile import ManagerSettings
from reconcile.manager.certificate import Certificate, SelfSigned


def manager_settings(settings: Settings, generation: Generation) -> ManagerSettings:
    """Where the daemon listens. The generations differ in whether metrics are on by default."""
    metrics = settings.metrics_bind_address or (":8080" if generation is ONMETAL else OFF)
    certificate: Certificate | SelfSigned | None = None
    if settings.metrics_secure and settings.metrics_cert_path:
        folder = Path(settings.metrics_cert_path)
        certificate = Certificate(folder / settings.metrics_cert_name, folder / settings.metrics_cert_key)
    elif settings.metrics_secure and generation is not ONMETAL and metrics != OFF:
        certificate = SelfSigned()  # as controller-runtime does; the older Go daemon knew no TLS here
    return ManagerSettings(
        probes=settings.health_probe_bind_address,
        metrics=metrics,
        metrics_certificate=certificate,
        metrics_guard=SOURCE if certificate is not None else "",
        debug=settings.debug_bind_address,
        preflight="warn",
        drain_budget=settings.drain,
        freeze_gc=True,
    )
