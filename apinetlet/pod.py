"""What a pod knows about itself."""

from collections.abc import Mapping
from pathlib import Path

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def pod_namespace(environment: Mapping[str, str], file: Path = NAMESPACE_FILE) -> str:
    """Where this process runs: ``$POD_NAMESPACE``, else what the service account says, else ``default``."""
    if named := environment.get("POD_NAMESPACE"):
        return named
    try:
        return file.read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"
