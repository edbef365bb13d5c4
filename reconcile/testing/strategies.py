"""Hypothesis strategies for tests of controllers: objects as servers take them, faults, and worlds to be told.

What fails is shrunk as usual: to the shortest name, the fewest rules of a plan, the first variation. Needs hypothesis.
"""

import string
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from reconcile.core.clock import Seconds
from reconcile.testing.explore import Exploration
from reconcile.testing.faultplan import (
    WRITES,
    Cut,
    Delayed,
    Fault,
    FaultPlan,
    Latency,
    LostReply,
    LostRequest,
    NoBookmarks,
    NoReply,
    Refused,
    Replayed,
    Rule,
    Silent,
    StaleList,
    Status,
)
from reconcile.testing.scenario import Variation

_ENDS: Final = string.ascii_lowercase + string.digits
_READS: Final = ("get", "list", "watch")
_FAULTS: Final[tuple[Fault, ...]] = (
    Latency(0.0, 2.0),
    Delayed(0.0, 5.0),
    NoBookmarks(),
    Status(409),
    Status(410),
    Status(429, retry_after=1),
    Status(500),
    Status(503),
    Status(504),
    Refused(),
    LostRequest(),
    LostReply(),
    NoReply(),
    StaleList(),
    Replayed(),
    Cut(0),
    Cut(3),
    Silent(0),
    Silent(2),
)


def names(*, max_size: int = 63) -> SearchStrategy[str]:
    """DNS-1123 labels, which every kind takes as a name."""
    middle = st.text(_ENDS + "-", max_size=max(0, max_size - 2))
    ends = st.sampled_from(_ENDS)
    longer = st.builds(lambda first, between, last: first + between + last, ends, middle, ends)
    return ends | longer if max_size > 1 else ends


def labels(*, max_size: int = 4) -> SearchStrategy[dict[str, str]]:
    """Labels of an object, some under a domain and some with empty values."""
    keys = st.builds(lambda domain, name: domain + name, st.sampled_from(["", "example.org/"]), names(max_size=20))
    return st.dictionaries(keys, st.just("") | names(max_size=20), max_size=max_size)


def seeds() -> SearchStrategy[int]:
    """For whatever draws by itself: a loop, a server, a plan."""
    return st.integers(0, 2**32 - 1)


def faults() -> SearchStrategy[Fault]:
    """Any one thing that can go wrong on the wire, milder ones first."""
    return st.sampled_from(_FAULTS)


def fault_plans(*, until: Seconds, at_most: int = 4) -> SearchStrategy[FaultPlan]:
    """Up to so many rules, none of which strikes for certain or after ``until``."""
    rules = st.builds(
        Rule,
        faults(),
        verbs=st.sampled_from([(), WRITES, _READS]),
        probability=st.sampled_from([0.5, 0.2, 0.05]),
        times=st.sampled_from([None, 1, 3]),
        end=st.just(until),
    )
    return st.lists(rules, max_size=at_most).map(lambda chosen: FaultPlan(tuple(chosen)))


def variations(exploration: Exploration) -> SearchStrategy[Variation]:
    """One of the worlds to be told."""
    return st.sampled_from(list(exploration))
