"""What is asked next: every answer has one next step."""

import math
import random
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reconcile.cache.reflector import Reflector
from reconcile.cache.steps import AskKind, Effect, List, Pause, ReflectorSettings, State, Step, Watch
from reconcile.kube import errors

PAGES = ReflectorSettings(watch_list=False)


def a_reflector(settings: ReflectorSettings = PAGES, **more: Any) -> Reflector:
    return Reflector(settings, random.Random(0), **more)


def an_error(code: int, *, causes: tuple[str, ...] = (), message: str = "", retry_after: float | None = None) -> Any:
    status = {
        "code": code,
        "message": message,
        "details": {"retryAfterSeconds": retry_after, "causes": [{"reason": cause} for cause in causes]},
    }
    return errors.status_error(status)


def live(settings: ReflectorSettings = PAGES, version: str = "10") -> Reflector:
    """One whose copy is at ``version``, with an open watch since time 0."""
    reflector = a_reflector(settings)
    if isinstance(reflector.step, List):
        assert reflector.page(version, "", 0.0) is Effect.TAKE
        reflector.opened(0.0)
    else:
        reflector.opened(0.0)
        assert reflector.bookmark(version, ends_list=True, now=0.0) is Effect.TAKE
    return reflector


def next_of(reflector: Reflector) -> tuple[Step, State]:
    return reflector.step, reflector.state


def after_pause(reflector: Reflector) -> Step:
    if isinstance(reflector.step, Pause):
        reflector.rested()
    return reflector.step


@pytest.mark.pain(22)
def test_a_start_lists_everything_consistently_page_by_page_and_watches_from_there() -> None:
    reflector = a_reflector()
    assert reflector.step == List("", "", 500)
    assert reflector.state is State.SYNCING
    assert reflector.page("", "more", 0.0) is Effect.STAGE
    assert reflector.step == List("", "more", 500)
    assert reflector.page("7", "", 0.0) is Effect.TAKE
    assert isinstance(reflector.step, Watch)
    assert (reflector.step.resource_version, reflector.step.lists) == ("7", False)
    assert reflector.relists == {"start": 1}


@pytest.mark.pain(1)
def test_every_watch_has_a_server_timeout_and_two_limits_of_the_client() -> None:
    steps = [live().step for _ in range(3)]
    reflector = live()
    for _ in range(50):
        reflector.closed(1000.0)
        steps.append(reflector.step)
    for step in steps:
        assert isinstance(step, Watch)
        assert 240 <= step.timeout_seconds <= 480
        assert step.limit == step.timeout_seconds + 15
        assert step.idle == 75
    assert len({step.timeout_seconds for step in steps if isinstance(step, Watch)}) > 10


@pytest.mark.pain(1)
def test_a_silent_watch_is_opened_again_at_once_from_the_last_version() -> None:
    reflector = live()
    reflector.bookmark("12", now=1.0)
    reflector.silent(76.0)
    assert isinstance(reflector.step, Watch)
    assert reflector.step.resource_version == "12"
    reflector.opened(76.0)
    reflector.silent(76.0 + 495)
    assert reflector.restarts == {"idle": 1, "overdue": 1}


@pytest.mark.pain(30)
@pytest.mark.parametrize("bookmarks", [True, False])
def test_a_server_that_falls_mute_for_good_is_asked_for_a_list_if_it_used_to_send_bookmarks(bookmarks: bool) -> None:
    """Its history may have gone back behind our version: then it has nothing to say of what is yet to come."""
    reflector, now = live(), 1.0
    reflector.event("19", now=now)
    if bookmarks:
        reflector.bookmark("20", now=now)
    for _ in range(2):
        now += 75
        reflector.silent(now)
        assert isinstance(reflector.step, Watch)
        reflector.opened(now)
    reflector.silent(now + 75)
    if not bookmarks:  # a quiet server may be like that
        assert isinstance(reflector.step, Watch)
        return
    assert reflector.step == List("", "", 500)
    assert reflector.page("7", "", now + 75) is Effect.TAKE
    assert reflector.is_reset
    assert isinstance(reflector.step, Watch)
    assert reflector.step.resource_version == "7"


@pytest.mark.pain(3)
@pytest.mark.parametrize("code", ["Expired", "Gone"])
def test_a_version_that_is_history_leads_to_a_consistent_list(code: str) -> None:
    reflector = live()
    reflector.failed(errors.status_error({"code": 410, "reason": code}), 1.0)
    assert reflector.step == List("", "", 500)
    assert (reflector.relists["expired"], reflector.restarts["expired"]) == (1, 1)
    assert reflector.state is State.SYNCING


@pytest.mark.pain(3)
def test_a_page_that_is_history_starts_the_list_again_and_whole() -> None:
    reflector = a_reflector()
    reflector.page("", "more", 0.0)
    reflector.failed(an_error(410), 1.0)
    assert reflector.step == List("", "", 0)
    assert reflector.page("8", "", 1.0) is Effect.TAKE


@pytest.mark.pain(3)
def test_a_server_that_always_says_410_is_asked_ever_more_slowly() -> None:
    reflector = live()
    pauses = []
    for _ in range(200):
        reflector.failed(an_error(410), 1.0)
        pauses.append(reflector.step.seconds if isinstance(reflector.step, Pause) else 0.0)
        assert after_pause(reflector) == List("", "", 500)
    assert pauses[0] == 0
    assert max(pauses[1:3]) <= 3.2
    assert 15 < max(pauses) <= 30


def test_the_pauses_grow_and_start_small_again_after_a_healthy_time() -> None:
    reflector = live()
    for _ in range(20):
        reflector.failed(errors.ConnectionFailed("refused", sent=False), 1.0)
        after_pause(reflector)
    reflector.opened(2.0)
    reflector.failed(errors.ConnectionFailed("reset", sent=True), 130.0)
    assert isinstance(reflector.step, Pause)
    assert reflector.step.seconds <= 0.8
    assert reflector.step.then == Watch("10", **limits(reflector.step.then))


def limits(step: Any) -> dict[str, Any]:
    return {"timeout_seconds": step.timeout_seconds, "idle": step.idle, "limit": step.limit}


def test_a_server_that_names_a_time_is_left_alone_for_so_long_but_not_for_ever() -> None:
    reflector = live()
    reflector.failed(an_error(429, retry_after=17), 1.0)
    assert isinstance(reflector.step, Pause)
    assert reflector.step.seconds >= 17
    after_pause(reflector)
    reflector.failed(an_error(503, retry_after=86400), 1.0)
    assert isinstance(reflector.step, Pause)
    assert reflector.step.seconds == 120


def test_a_watch_that_closes_at_once_again_and_again_backs_off_and_lists_in_the_end() -> None:
    reflector = live()
    for _ in range(2):
        reflector.closed(0.1)
        assert isinstance(reflector.step, Pause)
        assert isinstance(after_pause(reflector), Watch)
        reflector.opened(0.0)
    reflector.closed(0.1)
    assert after_pause(reflector) == List("10", "", 500)
    assert (reflector.restarts["closed at once"], reflector.relists["stuck"]) == (3, 1)


def test_a_watch_that_ends_in_order_goes_on_without_a_pause() -> None:
    reflector = live()
    reflector.event("11", now=1.0)
    reflector.closed(300.0)
    assert isinstance(reflector.step, Watch)
    assert reflector.step.resource_version == "11"


@pytest.mark.parametrize("code", [400, 401, 403, 404, 406, 409, 410, 422, 429, 500, 501, 502, 503, 504])
def test_no_error_event_of_any_code_stops_it(code: int) -> None:
    reflector = live()
    for _ in range(50):
        reflector.failed(an_error(code), 1.0)
        step = after_pause(reflector)
        assert not isinstance(step, Pause)
        if isinstance(step, AskKind):
            reflector.kind_is(True, 1.0)


def test_errors_that_come_again_and_again_without_an_event_lead_to_a_list() -> None:
    reflector = live()
    kinds = []
    for _ in range(3):
        reflector.failed(an_error(500), 1.0)
        kinds.append(type(after_pause(reflector)))
    assert kinds == [Watch, Watch, List]
    reflector = live()
    for version in "123456":
        reflector.failed(errors.BadAnswer("no JSON"), 1.0)
        assert isinstance(after_pause(reflector), Watch)
        reflector.event("1" + version, now=1.0)


def test_a_lost_connection_never_makes_it_list() -> None:
    reflector = live()
    for _ in range(50):
        reflector.failed(errors.ConnectionFailed("refused", sent=False), 1.0)
        assert isinstance(after_pause(reflector), Watch)
    assert reflector.state is State.UNREACHABLE
    reflector.opened(1.0)
    assert (reflector.state, reflector.error) == (State.LIVE, None)


@pytest.mark.pain(10)
@pytest.mark.parametrize(("code", "state"), [(401, State.UNAUTHORIZED), (403, State.FORBIDDEN)])
def test_a_refusal_shows_in_the_state_and_is_asked_again(code: int, state: State) -> None:
    reflector = a_reflector()
    error = an_error(code)
    reflector.failed(error, 0.0)
    assert (reflector.state, reflector.error) == (state, error)
    assert after_pause(reflector) == List("", "", 500)
    reflector.page("5", "", 1.0)
    assert (reflector.state, reflector.error) == (State.LIVE, None)


# the kind


@pytest.mark.pain(26)
def test_a_kind_that_is_missing_at_the_start_is_waited_for() -> None:
    reflector = a_reflector()
    reflector.failed(an_error(404), 0.0)
    assert next_of(reflector) == (AskKind(), State.SYNCING)
    for _ in range(5):
        assert reflector.kind_is(False, 0.0) is Effect.NOTHING
        assert isinstance(reflector.step, Pause)
        assert reflector.state is State.WAITING_FOR_KIND
        reflector.rested()
    assert reflector.kind_is(True, 0.0) is Effect.NOTHING
    assert next_of(reflector) == (List("", "", 500), State.SYNCING)


@pytest.mark.pain(26)
def test_only_discovery_can_say_that_a_kind_is_gone_and_then_its_objects_are() -> None:
    reflector = live()
    reflector.failed(an_error(404), 1.0)
    assert next_of(reflector) == (AskKind(), State.SYNCING)
    assert reflector.kind_is(True, 1.0) is Effect.NOTHING
    reflector.failed(an_error(404), 1.0)
    after_pause(reflector)
    assert reflector.kind_is(False, 1.0) is Effect.EMPTY
    assert reflector.state is State.GONE
    after_pause(reflector)
    assert reflector.kind_is(False, 1.0) is Effect.NOTHING
    assert reflector.state is State.GONE
    for _ in range(2):  # it comes, and goes before it is listed
        after_pause(reflector)
        reflector.kind_is(True, 1.0)
        assert next_of(reflector) == (List("", "", 500), State.SYNCING)
        reflector.failed(an_error(404), 1.0)
        after_pause(reflector)
        assert reflector.kind_is(False, 1.0) is Effect.NOTHING
        assert reflector.state is State.GONE
    after_pause(reflector)
    reflector.kind_is(True, 1.0)
    assert next_of(reflector) == (List("", "", 500), State.SYNCING)
    reflector.page("3", "", 1.0)
    assert not reflector.is_reset


# history


@pytest.mark.pain(30)
def test_a_relist_is_not_older_than_what_was_seen_or_written() -> None:
    reflector = live()
    assert reflector.relist("unconfirmed", at_least=30) is Effect.STOP
    assert reflector.step == List("30", "", 500)
    assert reflector.page("31", "", 1.0) is Effect.TAKE
    assert not reflector.is_reset
    assert reflector.relist("unconfirmed", at_least=3) is Effect.STOP
    assert reflector.step == List("31", "", 500)
    assert reflector.relist("again") is Effect.NOTHING


@pytest.mark.pain(30)
def test_a_list_that_began_before_a_later_version_was_known_of_is_no_other_history() -> None:
    reflector = live()
    reflector.relist("x", at_least=20)
    reflector.page("", "more", 1.0)
    assert reflector.relist("unconfirmed", at_least=30) is Effect.NOTHING
    assert reflector.page("25", "", 1.0) is Effect.TAKE
    assert not reflector.is_reset


@pytest.mark.pain(30)
def test_a_relist_that_is_asked_for_in_a_pause_comes_after_it() -> None:
    reflector = live()
    reflector.failed(errors.ConnectionFailed("refused", sent=False), 1.0)
    reflector.relist("unconfirmed")
    assert isinstance(reflector.step, Pause)
    assert after_pause(reflector) == List("10", "", 500)


@pytest.mark.pain(30)
@pytest.mark.parametrize(
    "error",
    [
        an_error(504, causes=("ResourceVersionTooLarge",), retry_after=1),
        an_error(504, message="Too large resource version: 10, current: 5"),
    ],
)
def test_a_version_that_is_yet_to_come_is_waited_for_and_given_up(error: errors.ApiError) -> None:
    reflector = live()
    reflector.relist("x")
    for now in (0.0, 10.0, 29.0):
        reflector.failed(error, now)
        assert after_pause(reflector) == List("10", "", 500)
    reflector.failed(error, 31.0)
    assert after_pause(reflector) == List("", "", 500)
    assert reflector.page("5", "", 32.0) is Effect.TAKE
    assert reflector.is_reset
    assert (reflector.resets, reflector.version) == (1, "5")
    reflector.relist("y")
    assert reflector.page("6", "", 33.0) is Effect.TAKE
    assert not reflector.is_reset


@pytest.mark.pain(30)
@pytest.mark.parametrize("lists", [True, False])
def test_a_stream_that_is_opened_only_to_say_so_is_given_up_too(lists: bool) -> None:
    reflector = live(ReflectorSettings())
    if lists:
        reflector.relist("x")
    for now in (0.0, 10.0, 29.0):
        reflector.opened(now)
        reflector.failed(an_error(504, causes=("ResourceVersionTooLarge",)), now)
        step = after_pause(reflector)
        assert isinstance(step, Watch)
        assert (step.resource_version, step.lists) == ("10", lists)
    reflector.opened(31.0)
    reflector.failed(an_error(504, causes=("ResourceVersionTooLarge",)), 31.0)
    step = after_pause(reflector)
    assert isinstance(step, Watch)
    assert (step.resource_version, step.lists) == ("", True)


@pytest.mark.pain(30)
@pytest.mark.parametrize("what", ["event", "bookmark"])
def test_a_version_below_the_last_one_seen_leads_to_a_consistent_list(what: str) -> None:
    reflector = live()
    effect = reflector.event("9", now=1.0) if what == "event" else reflector.bookmark("9", now=1.0)
    assert effect is Effect.STOP
    assert reflector.step == List("", "", 500)
    assert reflector.version == "10"


def test_the_end_of_an_object_may_carry_the_version_of_its_last_state() -> None:
    reflector = live()
    assert reflector.event("3", is_end=True, now=1.0) is Effect.COMMIT
    assert reflector.version == "10"


def test_a_list_without_a_version_is_no_answer() -> None:
    for version in ("", "0"):
        reflector = a_reflector()
        assert reflector.page(version, "", 0.0) is Effect.STOP
        assert after_pause(reflector) == List("", "", 500)
        assert isinstance(reflector.error, errors.BadAnswer)


# WatchList


@pytest.mark.pain(31)
def test_a_list_comes_as_a_stream_where_the_server_can_do_that() -> None:
    reflector = a_reflector(ReflectorSettings())
    step = reflector.step
    assert isinstance(step, Watch)
    assert (step.resource_version, step.lists, step.idle, step.limit) == ("", True, 10, 60)
    reflector.opened(0.0)
    assert next_of(reflector) == (step, State.SYNCING)
    assert reflector.event("3", now=0.0) is Effect.STAGE
    assert reflector.bookmark("4", now=0.0) is Effect.NOTHING
    assert reflector.event("2", now=0.0) is Effect.STAGE
    assert reflector.bookmark("9", ends_list=True, now=0.0) is Effect.TAKE
    # the same stream goes on, with the time that the server gave it
    follows = Watch("9", step.timeout_seconds, idle=75, limit=step.timeout_seconds + 15)
    assert next_of(reflector) == (follows, State.LIVE)
    assert reflector.event("11", now=0.0) is Effect.COMMIT


@pytest.mark.pain(31)
def test_a_stream_that_never_ends_its_list_is_given_up_for_pages_and_that_is_remembered() -> None:
    known: set[str] = set()
    reflector = a_reflector(ReflectorSettings(), group="example.dev", without_watch_list=known)
    reflector.opened(0.0)
    reflector.event("3", now=0.0)
    reflector.silent(10.0)
    assert reflector.step == List("", "", 500)
    assert a_reflector(ReflectorSettings(), group="example.dev", without_watch_list=known).step == List("", "", 500)
    assert isinstance(a_reflector(ReflectorSettings(), group="", without_watch_list=known).step, Watch)


@pytest.mark.pain(31)
@pytest.mark.parametrize("code", [400, 422, 501])
def test_a_server_that_refuses_to_stream_a_list_is_asked_for_pages_at_once(code: int) -> None:
    reflector = a_reflector(ReflectorSettings())
    reflector.failed(an_error(code), 0.0)
    assert reflector.step == List("", "", 500)


@pytest.mark.pain(31)
@pytest.mark.parametrize("how", ["closed", "broken", "bad line"])
def test_a_stream_whose_list_breaks_off_is_tried_again_a_few_times(how: str) -> None:
    reflector = a_reflector(ReflectorSettings())
    steps = []
    for _ in range(3):
        reflector.opened(0.0)
        if how == "closed":
            reflector.closed(1.0)
        else:
            broken = errors.ConnectionFailed("reset", sent=True)
            reflector.failed(broken if how == "broken" else errors.BadAnswer("?"), 1.0)
        assert isinstance(reflector.step, Pause)
        steps.append(type(after_pause(reflector)))
    assert steps == [Watch, Watch, List]


def test_a_server_that_is_down_keeps_its_streams() -> None:
    reflector = a_reflector(ReflectorSettings())
    for _ in range(10):
        reflector.failed(errors.ConnectionFailed("refused", sent=False), 1.0)
        step = after_pause(reflector)
        assert isinstance(step, Watch)
        assert step.lists


def test_a_stream_that_answers_with_errors_only_gives_way_to_pages_once() -> None:
    reflector = a_reflector(ReflectorSettings())
    for _ in range(3):
        reflector.failed(an_error(500), 1.0)
        after_pause(reflector)
    assert reflector.step == List("", "", 500)
    assert reflector.without_watch_list == set()


def test_a_relist_by_stream_is_not_older_than_what_was_seen() -> None:
    reflector = live(ReflectorSettings())
    reflector.relist("x", at_least=12)
    assert isinstance(reflector.step, Watch)
    assert (reflector.step.resource_version, reflector.step.lists) == ("12", True)
    reflector.failed(an_error(410), 1.0)
    assert isinstance(reflector.step, Watch)
    assert (reflector.step.resource_version, reflector.step.lists) == ("", True)


versions = st.integers(0, 30).map(str) | st.sampled_from(["", "x", "y"])
failures = st.one_of(
    st.sampled_from([400, 401, 403, 404, 405, 406, 409, 410, 413, 422, 429, 500, 501, 502, 503, 504, 599]).map(
        an_error
    ),
    st.just(an_error(504, causes=("ResourceVersionTooLarge",))),
    st.builds(an_error, st.sampled_from([429, 503]), retry_after=st.integers(0, 10**6)),
    st.booleans().map(lambda sent: errors.ConnectionFailed("lost", sent=sent)),
    st.just(errors.BadAnswer("nonsense")),
    st.just(errors.KubeError("no login")),
)


class AnyAnswer(RuleBasedStateMachine):
    """A server that says anything at all."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.is_open = False
        self.expired: str | None = None
        self.effects: list[Effect] = []

    @rule(settings=st.sampled_from([PAGES, ReflectorSettings()]))
    @precondition(lambda self: not hasattr(self, "reflector"))
    def start(self, settings: ReflectorSettings) -> None:
        self.reflector = a_reflector(settings)

    def is_at(self, *kinds: type, is_open: bool | None = None) -> bool:
        if not hasattr(self, "reflector") or not isinstance(self.reflector.step, kinds):
            return False
        return is_open is None or self.is_open is is_open

    def note(self, effect: Effect, before: str) -> None:
        after = self.reflector.version
        went_back = before.isdigit() and after.isdigit() and int(after) < int(before)
        assert not went_back or (effect is Effect.TAKE and self.reflector.is_reset)
        if effect is Effect.TAKE:
            self.expired = None
        if effect is Effect.STOP or not isinstance(self.reflector.step, Watch):
            self.is_open = False

    @rule(seconds=st.sampled_from([0.0, 1.0, 60.0, 1000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.is_at(Pause))
    @rule()
    def rest(self) -> None:
        assert isinstance(self.reflector.step, Pause)
        assert 0 <= self.reflector.step.seconds <= 120
        assert math.isfinite(self.reflector.step.seconds)
        self.reflector.rested()
        assert not isinstance(self.reflector.step, Pause)

    @precondition(lambda self: self.is_at(List))
    @rule(version=versions, continue_=st.sampled_from(["", "", "token"]))
    def page(self, version: str, continue_: str) -> None:
        before = self.reflector.version
        self.note(self.reflector.page(version, continue_, self.now), before)

    @precondition(lambda self: self.is_at(Watch, is_open=False))
    @rule()
    def open(self) -> None:
        self.reflector.opened(self.now)
        self.is_open = True

    @precondition(lambda self: self.is_at(Watch, is_open=True))
    @rule(version=versions, is_end=st.booleans())
    def event(self, version: str, is_end: bool) -> None:
        before = self.reflector.version
        self.note(self.reflector.event(version, is_end=is_end, now=self.now), before)

    @precondition(lambda self: self.is_at(Watch, is_open=True))
    @rule(version=versions, ends_list=st.booleans())
    def bookmark(self, version: str, ends_list: bool) -> None:
        before = self.reflector.version
        self.note(self.reflector.bookmark(version, ends_list=ends_list, now=self.now), before)

    @precondition(lambda self: self.is_at(Watch, is_open=True))
    @rule(how=st.sampled_from(["closed", "silent"]))
    def end(self, how: str) -> None:
        getattr(self.reflector, how)(self.now)
        self.is_open = False

    @precondition(lambda self: self.is_at(List, Watch, AskKind))
    @rule(error=failures)
    def fail(self, error: errors.KubeError) -> None:
        step = self.reflector.step
        if isinstance(error, errors.Gone) and isinstance(step, (List, Watch)):
            # a stream asks from where it is by now
            self.expired = self.reflector.version if isinstance(step, Watch) else step.resource_version
        self.reflector.failed(error, self.now)
        self.is_open = False

    @precondition(lambda self: self.is_at(AskKind))
    @rule(served=st.booleans())
    def discovery(self, served: bool) -> None:
        self.reflector.kind_is(served, self.now)

    @precondition(lambda self: hasattr(self, "reflector"))
    @rule(at_least=st.integers(0, 30))
    def relist(self, at_least: int) -> None:
        self.reflector.relist("test", at_least)
        self.is_open = self.is_open and isinstance(self.reflector.step, Watch) and not self.reflector.step.lists

    @invariant()
    def the_next_request_is_one_that_may_be_asked(self) -> None:
        if not hasattr(self, "reflector"):
            return
        step = self.reflector.step
        request = step.then if isinstance(step, Pause) else step
        if isinstance(request, AskKind):
            return
        assert isinstance(request, (List, Watch))
        assert request.resource_version != "0"
        if not self.is_open and self.expired:
            assert request.resource_version != self.expired
        if isinstance(request, List):
            assert not (request.continue_ and request.resource_version)
        elif not request.lists:
            assert request.resource_version


TestAnyAnswer = pytest.mark.pain(3)(AnyAnswer.TestCase)
