"""What it means that a server said no: to the user, to the operator, and about an object. Pure."""

from reconcile import ApiError, KubeError, NotFound, ObjectKey
from reconcile.kube.errors import ConnectionFailed


class Exhausted(KubeError):
    """The api-net cluster has nothing left to allocate. It may call that a conflict; no one was faster: back off."""


def is_about(error: NotFound, key: ObjectKey) -> bool:
    """Whether a 404 speaks of that object. One of a proxy does not, nor one of a server that lacks the kind."""
    return error.details.name == key.name


def is_refusal(error: KubeError) -> bool:
    """Whether a server that works said no, which a user should know; an outage is the operator's to see."""
    return isinstance(error, Exhausted) or (
        isinstance(error, ApiError) and error.code != 429 and error.code not in range(501, 600)
    )


def failure_of(error: Exception) -> str:
    """How a server has failed, in a few words that name no object; "" if it was not the server's failure."""
    if isinstance(error, Exhausted):
        return "409: nothing left to allocate"
    if isinstance(error, ApiError):
        return f"{error.code} {error.reason or type(error).__name__}" if error.code >= 500 or error.code == 429 else ""
    return "no answer" if isinstance(error, ConnectionFailed) else ""
