"""What can be chosen about a server, and what it remembers of each request."""

from typing import Final

import attrs

from reconcile.core.clock import Seconds
from reconcile.kube.objects import ObjectKey

DEPTH_LIMIT: Final = 120
"""How deep a document may be nested: what is stored has to be walked and written again."""


@attrs.frozen
class Settings:
    """What can be chosen about a server. Times are in seconds."""

    history: int = 10_000
    """Changes of a resource that can be watched again; older ones are a 410."""
    watch_buffer: int = 1000
    """Lines a watcher may be behind before it is cut off."""
    watch_seconds: Seconds = 1800.0
    """A watch without a timeout of its own ends after this, or up to twice as much."""
    watch_list: bool = True
    """Whether a watch may begin with a list; servers before 1.34 have it off unless told otherwise."""
    needs_namespace: bool = True
    """Whether an object needs a namespace that exists."""
    garbage_collection: bool = True
    """Whether objects go when all their owners are gone."""
    namespace_lifecycle: bool = True
    """Whether a namespace in deletion is emptied and removed."""
    event_ttl: Seconds = 3600.0
    """Events go so long after they were last written; 0: never."""
    audit: int = 10_000
    """Requests that are remembered."""


@attrs.frozen
class HttpSettings:
    """The bounds of a connection. Times are in seconds."""

    head_bytes: int = 1024 * 1024
    """Of the head of a request."""
    write_buffer_bytes: int = 256 * 1024
    """What may wait for a client to read before the next part of an answer is made."""
    request_seconds: Seconds = 60.0
    """From the first byte of a request to its last."""
    write_seconds: Seconds = 60.0
    """How long a client may read nothing of what is there for it."""
    idle_seconds: Seconds = 180.0
    """Between two requests."""
    stop_seconds: Seconds = 5.0
    """For what is under way when the server stops."""
    connections: int = 10_000
    """Further ones are closed at once."""


@attrs.frozen
class Audited:
    """One request that was answered. ``time`` is on the loop's clock; ``stored``: it changed something for good."""

    verb: str
    resource: str
    """``plural.group``; the path for what is no resource."""
    key: ObjectKey
    subresource: str
    user_agent: str
    user: str
    code: int
    stored: bool
    time: Seconds

    @property
    def is_write(self) -> bool:
        """Whether it was a write that succeeded and changed something."""
        return self.stored
