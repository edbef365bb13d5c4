"""A document as objects of its kind look: headed, pruned, with defaults.

This is what decoding does in the real server, between the bytes of a body and what is done with it. Pure; the document
is left alone, but parts of it are shared.
"""

import copy
from collections.abc import Callable

import orjson

from reconcile.testing.apiserver import metadata as metas
from reconcile.testing.apiserver.failure import Document, bad_request
from reconcile.testing.apiserver.going import as_go
from reconcile.testing.apiserver.schema import MISSING
from reconcile.testing.apiserver.shaping import pruned, with_defaults, without_empties
from reconcile.testing.apiserver.strategy import Kind


def formed(
    kind: Kind, document: Document, old: Document | None = None, *, cut: Callable[[Document], None] | None = None
) -> Document:
    """A body as an object of its kind. ``old`` is one that already is so; ``cut`` hears of a body that loses fields.

    Raises:
        Failure: 400 for metadata of the wrong types; whatever ``cut`` raises.
    """
    if fault := metas.shape_fault(document.get("metadata"), known=old and old.get("metadata")):
        raise bad_request(fault)
    head = {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind}
    document = {**head, **document, **head}
    known = pruned(kind.schema, document, old if old is not None else MISSING)
    if cut is not None and known != document:
        cut(document)
    if old is None or known.get("metadata") is not old["metadata"]:
        entries = metas.of(known).get("managedFields")
        known["metadata"] = dict(metas.of(known))
        metas.tidy(known)
        if entries == [] and not kind.custom:
            # a reset, which does not survive the decoding of a custom resource
            known["metadata"]["managedFields"] = entries
    return defaulted(kind, known, old)


def defaulted(kind: Kind, document: Document, old: Document | None = None) -> Document:
    """A document with what its schema, its Go type and its hook fill in; its metadata is its own."""
    document = dict(with_defaults(kind.schema, document, old if old is not None else MISSING))
    if not kind.custom:
        if kind.schema.go is not None:
            document = as_go(kind.schema, document, old or {})
        else:
            document = {**copy.deepcopy(kind.blank), **without_empties(kind.schema, document)}
    document["metadata"] = dict(metas.of(document))
    return document if kind.hooks.default is None else hooked(kind.hooks.default, document)


def hooked(hook: Callable[[Document], None], document: Document) -> Document:
    """A document after a hook that changes what it is given, and whatever is inside.

    The hook works on a copy. If it changes nothing, as most times, the answer is the document itself, which may share
    most of it with the old one: nobody needs to look at that again.
    """
    before = orjson.dumps(document)
    copied: Document = orjson.loads(before)
    hook(copied)
    return document if orjson.dumps(copied) == before else copied
