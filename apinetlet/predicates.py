"""Which source objects are ours to map.

Asked inside the reconcile, not at the watch, so that every way into a reconcile obeys it. Pure.
"""

from attrs import frozen

from apinetlet.api.generation import Generation
from reconcile.kube import ObjectMeta


@frozen
class Eligibility:
    """The watch filter and the managed-by rule."""

    generation: Generation
    watch_filter: str = ""
    """The value that the watch-filter label must have; empty: any, also none."""
    namespace: str = ""
    """The one source namespace that is watched; empty: all."""

    def admits(self, source: ObjectMeta) -> bool:
        """Whether an object that is not being deleted is mapped. What was mapped stays so when this turns false."""
        if self.generation.managed_by_annotation in source.annotations:
            return False
        return not self.watch_filter or source.labels.get(self.generation.watch_filter_label) == self.watch_filter

    def watches(self, namespace: str) -> bool:
        """Whether the absence of an object in ``namespace`` says anything: what nobody watches looks absent, too."""
        return not self.namespace or namespace == self.namespace
