"""Look at differences, or record anew.

    python -m tests.conformance [WORDS]            what the embedded server answers otherwise than is on record
    python -m tests.conformance --record [WORDS]   ask a real server (KUBEBUILDER_ASSETS) and put its answers on record

WORDS: only cases with all of them in their name.
"""

import sys
from collections.abc import Iterable

from reconcile.testing.assets import CONTROLLERS
from reconcile.testing.envtest import ControlPlane
from reconcile.testing.loop import run
from tests.conformance import record
from tests.conformance.collection import all_cases
from tests.conformance.reading import told_apart
from tests.conformance.steps import Case
from tests.conformance.targets import by_real, in_memory


def main(arguments: list[str]) -> int:
    words = [one for one in arguments if not one.startswith("--")]
    cases = [case for case in all_cases() if all(word in case.id for word in words)]
    if "--missing" in arguments:
        cases = [case for case in cases if _is_missing(case)]
    if "--record" in arguments:
        return _record(cases)
    return _compare(cases)


def _record(cases: list[Case]) -> int:
    import anyio

    with ControlPlane.start(in_memory=True, controllers=CONTROLLERS) as plane:
        server, found = anyio.run(by_real, plane, cases)
    failed = {name: answers for name, answers in found.items() if isinstance(answers, Exception)}
    told = [(case, answers) for case in cases if not isinstance(answers := found[case.id], Exception)]
    record.store(server, told, all_cases())
    for name, error in failed.items():
        print(f"NOT TOLD {name}: {type(error).__name__} {error}")
    print(f"{len(told)} of {len(cases)} cases recorded from {server}")
    return len(failed)


def _compare(cases: Iterable[Case]) -> int:
    wrong = total = 0
    for case in cases:
        total += 1
        known = record.load(case.section).get(case.name)
        if known is None or known.mark != record.mark(case):
            print(f"NOT ON RECORD {case.id}")
            wrong += 1
            continue
        try:
            found = run(in_memory(case))
        except Exception as error:
            print(f"NOT TOLD {case.id}: {type(error).__name__} {error}")
            wrong += 1
            continue
        lines = told_apart(known.answers, found)
        if lines:
            wrong += 1
            print(f"DIFFERENT {case.id}", *lines, sep="\n")
    print(f"{wrong} of {total} cases differ")
    return min(wrong, 100)


def _is_missing(case: Case) -> bool:
    known = record.load(case.section).get(case.name)
    return known is None or known.mark != record.mark(case)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
