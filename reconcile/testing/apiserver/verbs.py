"""What a request to change something means: an order, checked as far as it can be without looking at what is stored.

An order is carried out in a session, and its outcome is the answer. Pure.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

import attrs
import orjson

from reconcile.kube.request import HttpRequest, HttpResponse
from reconcile.testing.apiserver import content, decoding, patching, rescaling
from reconcile.testing.apiserver import metadata as metas
from reconcile.testing.apiserver.belonging import check_definition
from reconcile.testing.apiserver.content import Form
from reconcile.testing.apiserver.deleting import delete, delete_all
from reconcile.testing.apiserver.failure import Document, Failure, go_value, unsupported_media_type
from reconcile.testing.apiserver.options import list_options
from reconcile.testing.apiserver.orders import delete_options, write_options
from reconcile.testing.apiserver.reviews import Review
from reconcile.testing.apiserver.routes import Call
from reconcile.testing.apiserver.session import Session
from reconcile.testing.apiserver.strategy import Kind
from reconcile.testing.apiserver.writing import Result, apply, create, replace, unstored, update

SCALE: Final = "scale"
_JSON: Final = {"content-type": content.JSON}


@attrs.frozen
class Outcome:
    """What came of an order. ``changed``: whether something is other than before, in a dry run for its time."""

    response: HttpResponse
    changed: bool


@attrs.frozen
class Order:
    """What is to be done. ``run`` does it, in a session made with ``dry_run`` and ``strictness``."""

    run: Callable[[Session], Outcome]
    dry_run: bool
    strictness: str = "Ignore"


_Steps: TypeAlias = Callable[[Session], Result]


def ordered(call: Call, request: HttpRequest, *, watch_list: bool) -> Order:
    """Read a request for create, update, patch, delete or deletecollection.

    Raises:
        Failure: 400, 406, 415 or 422 as the real server answers.
    """
    if call.info.verb == "delete":
        return _delete(call, request)
    if call.info.verb == "deletecollection":
        return _delete_all(call, request, watch_list=watch_list)
    return _patch(call, request) if call.info.verb == "patch" else _put(call, request)


def reviewed(call: Call, request: HttpRequest, session: Session, review: Review) -> HttpResponse:
    """The answer to a question that comes as a create."""
    options = write_options(request, "CreateOptions")
    document = unstored(session, call.kind, decoding.body(request, call.kind), options.manager)
    metas.place(document, call.info.namespace)
    return HttpResponse(201, _JSON, orjson.dumps(review(document)))


def _put(call: Call, request: HttpRequest) -> Order:
    kind, info = call.kind, call.info
    form = content.form(request, custom=kind.custom)
    options = write_options(request, "CreateOptions" if info.verb == "create" else "UpdateOptions")
    document = decoding.body(request, rescaling.SCALE if info.subresource == SCALE else kind)

    def steps(session: Session) -> Result:
        if info.verb == "create":
            return create(session, kind, info.namespace, document, options.manager)
        if info.subresource == SCALE:
            return rescaling.update(session, kind, info.key, lambda _: document, options.manager)
        return replace(session, kind, info.key, document, options.manager, info.subresource)

    def run(session: Session) -> Outcome:
        if info.verb == "create":
            check_definition(session.transaction, kind, document)
        return _written(kind, form, request.body, _is_yaml(request), steps, session)

    return Order(run, options.dry_run, options.validation or "Warn")


def _patch(call: Call, request: HttpRequest) -> Order:
    kind, key, subresource = call.kind, call.info.key, call.info.subresource
    form_of = rescaling.SCALE if subresource == SCALE else kind
    form = content.form(request, custom=kind.custom)
    media = request.headers.get("content-type", "").partition(";")[0].strip()
    offers = [patching.JSON_PATCH, patching.MERGE, patching.APPLY]
    if kind.strategy.strategic:
        offers.insert(2, patching.STRATEGIC)
    if media not in offers:
        raise unsupported_media_type(offers, routed=not kind.custom)
    options = write_options(request, "PatchOptions", apply=media == patching.APPLY)
    raw, manager = request.body, options.manager
    config: Document = {}
    if media == patching.APPLY:
        config = decoding.configuration(raw, strict=options.validation == "Strict")

    def steps(session: Session) -> Result:
        if media == patching.APPLY and subresource == SCALE:
            return rescaling.apply(session, kind, key, config, manager, force=options.force)
        if media == patching.APPLY:
            return apply(session, kind, key, config, manager, force=options.force, subresource=subresource)

        def change(live: Document) -> Document:
            patched = patching.patched(form_of.schema, live, raw, media)
            of_patch = media == patching.STRATEGIC
            blame = patching.blame(raw, live) if of_patch else partial(decoding.blame_result, kind)
            session.blame = blame
            decoding.check_patched(form_of, patched, live, blame, converts=media == patching.STRATEGIC)
            return patched

        if subresource == SCALE:
            return rescaling.update(session, kind, key, change, manager)

        return update(session, kind, key, change, manager, subresource=subresource)

    run = partial(_written, kind, form, raw, media == patching.APPLY, steps)
    return Order(run, options.dry_run, options.validation or "Warn")


def _is_yaml(request: HttpRequest) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip() == content.YAML


def _written(kind: Kind, form: Form, raw: bytes, of_yaml: bool, steps: _Steps, session: Session) -> Outcome:
    if session.strictness != "Ignore":
        session.repeated = decoding.repeated(raw, of_yaml=of_yaml, strict=session.strictness == "Strict")
    try:
        result = steps(session)
    except Failure as failure:
        # what was read before it was refused is warned of all the same
        failure.warning = _said(session.warnings)
        raise
    said = _said(session.warnings)
    headers = {**_JSON, "warning": said} if said else _JSON
    return Outcome(_shown(201 if result.created else 200, result.raw, form, headers), result.changed)


def _said(warnings: list[str]) -> str:
    return ", ".join(f"299 - {go_value(text)}" for text in dict.fromkeys(warnings))


def _delete(call: Call, request: HttpRequest) -> Order:
    kind, key = call.kind, call.info.key
    form = content.form(request, custom=kind.custom)
    options = delete_options(request, decoding.options(request))

    def run(session: Session) -> Outcome:
        result = delete(session, kind, key, options)
        changed = result.changed or result.gone
        if not result.gone or kind.strategy.returns_deleted:
            return Outcome(_shown(200, result.raw, form), changed)
        details = {**kind.group_resource.details(key.name), "uid": result.document["metadata"]["uid"]}
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {name: value for name, value in details.items() if value},
        }
        return Outcome(HttpResponse(200, _JSON, orjson.dumps(status)), changed)

    return Order(run, options.dry_run)


def _delete_all(call: Call, request: HttpRequest, *, watch_list: bool) -> Order:
    kind = call.kind
    # what form the answer has is settled here, though it is always whole
    content.form(request, custom=kind.custom)
    chosen = list_options(request, kind, call.info.namespace, watch_list=watch_list)
    options = delete_options(request, decoding.options(request))

    def run(session: Session) -> Outcome:
        items = delete_all(session, kind, chosen.selection, options)
        head = {"kind": kind.list_kind, "apiVersion": kind.resource.api_version}
        # an item of a built-in kind does not repeat what kind it is
        if not kind.custom:
            items = [{name: part for name, part in item.items() if name not in head} for item in items]
        metadata = {**({"continue": ""} if kind.custom else {}), "resourceVersion": str(session.transaction.base)}
        body = orjson.dumps({**head, "metadata": metadata, "items": items})
        return Outcome(HttpResponse(200, _JSON, body), bool(items))

    return Order(run, options.dry_run)


def _shown(code: int, raw: bytes, form: Form, headers: dict[str, str] = _JSON) -> HttpResponse:
    return HttpResponse(code, headers, raw if form is Form.WHOLE else content.metadata_only(orjson.loads(raw)))
