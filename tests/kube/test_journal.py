"""Writes reach the journal of the reconcile they belong to."""

from contextvars import copy_context

from reconcile.kube import kinds
from reconcile.kube.journal import Write, journal, record
from reconcile.kube.objects import ObjectKey

WRITE = Write("main", "patch", kinds.POD, ObjectKey("shop", "web-0"), "changed", paths=("spec.x",))


def test_without_a_journal_nothing_is_kept() -> None:
    record(WRITE)


def test_a_write_is_told_to_the_journal_of_its_own_context_only() -> None:
    mine: list[Write] = []
    others: list[Write] = []

    def work(notes: list[Write]) -> None:
        journal.set(notes.append)
        copy_context().run(record, WRITE)  # as a task that the reconcile starts

    copy_context().run(work, others)
    copy_context().run(work, mine)
    assert (mine, others) == ([WRITE], [WRITE])
    assert journal.get() is None
