"""Which key is due next, case by case. ``test_schedule_model.py`` has the whole of it."""

import math
from collections import Counter

import pytest

from reconcile.core import LOW, NORMAL, Schedule

Keys = Schedule[str]


def drained(schedule: Keys, now: float) -> list[str]:
    """All keys that are due, in the order in which one worker would see them."""
    keys = []
    while (key := schedule.take(now)) is not None:
        schedule.done(key, now)
        keys.append(key)
    return keys


class TestOnce:
    def test_a_key_added_twice_runs_once(self) -> None:
        schedule = Keys()
        assert schedule.add("a", 0.0)
        assert not schedule.add("a", 0.0)
        assert drained(schedule, 0.0) == ["a"]

    def test_a_key_in_work_is_not_handed_out_and_comes_back_after_done(self) -> None:
        schedule = Keys()
        schedule.add("a", 0.0)
        assert schedule.take(0.0) == "a"
        schedule.add("a", 1.0)
        assert schedule.take(1.0) is None
        schedule.done("a", 2.0)
        assert schedule.take(2.0) == "a"

    def test_done_for_a_key_that_is_not_in_work_is_an_error(self) -> None:
        schedule = Keys()
        schedule.add("a", 0.0)
        for key in "ab":
            with pytest.raises(KeyError):
                schedule.done(key, 0.0)

    def test_the_earlier_of_two_delays_wins(self) -> None:
        for delays in ([10.0, 5.0], [5.0, 10.0]):
            schedule = Keys()
            for delay in delays:
                schedule.add("a", 0.0, after=delay)
            assert schedule.due_at("a") == 5.0
            assert schedule.take(4.9) is None
            assert drained(schedule, 5.0) == ["a"]
            assert drained(schedule, 20.0) == []

    def test_the_higher_of_two_priorities_wins(self) -> None:
        for priorities in ([LOW, NORMAL], [NORMAL, LOW]):
            schedule = Keys()
            schedule.add("before", 0.0)
            for priority in priorities:
                schedule.add("a", 0.0, priority=priority)
            schedule.add("behind", 0.0, priority=LOW)
            assert drained(schedule, 0.0) == ["before", "a", "behind"]

    @pytest.mark.pain(28)
    def test_an_add_without_delay_runs_a_delayed_key_now_and_only_once(self) -> None:
        schedule = Keys()
        schedule.add("a", 0.0, after=60.0)
        schedule.add("a", 1.0)
        assert drained(schedule, 1.0) == ["a"]
        assert schedule.next_due() == math.inf

    def test_a_discarded_key_does_not_come_but_its_work_goes_on(self) -> None:
        schedule = Keys()
        for key in "abc":
            schedule.add(key, 0.0)
        assert schedule.take(0.0) == "a"
        schedule.add("a", 0.0)
        schedule.set_timer("a", 0.0, 5.0)
        for key in "abx":
            schedule.discard(key)
        assert schedule.in_work == 1
        schedule.done("a", 1.0)
        assert drained(schedule, 10.0) == ["c"]
        assert list(schedule) == []


@pytest.mark.pain(29)
class TestTimer:
    def test_a_timer_outlives_the_adds_that_pass_it(self) -> None:
        schedule = Keys()
        schedule.set_timer("a", 0.0, 10.0)
        schedule.add("a", 1.0)
        schedule.add("a", 1.0, after=1.0)
        assert drained(schedule, 5.0) == ["a"]
        assert schedule.due_at("a") == 10.0
        assert drained(schedule, 10.0) == ["a"]
        assert drained(schedule, 100.0) == []

    def test_a_later_timer_replaces_the_earlier_one_in_both_directions(self) -> None:
        schedule = Keys()
        for at in (10.0, 20.0, 15.0):
            schedule.set_timer("a", 0.0, at)
        assert drained(schedule, 14.0) == []
        assert drained(schedule, 15.0) == ["a"]
        assert drained(schedule, 100.0) == []

    def test_a_timer_that_was_taken_away_never_fires(self) -> None:
        schedule = Keys()
        schedule.set_timer("a", 0.0, 10.0)
        schedule.set_timer("a", 0.0, None)
        schedule.set_timer("never", 0.0, None)
        assert schedule.next_due() == math.inf
        assert drained(schedule, 10.0) == []
        assert list(schedule) == []

    def test_a_timer_and_an_add_due_together_are_one_run(self) -> None:
        schedule = Keys()
        schedule.set_timer("a", 0.0, 10.0)
        schedule.add("a", 0.0, after=9.0)
        assert drained(schedule, 11.0) == ["a"]

    def test_a_timer_that_falls_due_in_work_runs_after_done(self) -> None:
        schedule = Keys()
        schedule.add("a", 0.0)
        assert schedule.take(0.0) == "a"
        schedule.set_timer("a", 0.0, 5.0)
        assert schedule.take(6.0) is None
        schedule.done("a", 7.0)
        assert schedule.take(7.0) == "a"

    def test_a_timer_replaced_ten_thousand_times_leaves_no_heap_behind(self) -> None:
        schedule = Keys()
        for step in range(10_000):
            schedule.set_timer("a", 0.0, 36_000.0 + step)
        assert len(schedule._later) < 100
        assert schedule.next_due() == 45_999.0


class TestOrder:
    def test_keys_of_one_priority_leave_in_the_order_in_which_they_fell_due(self) -> None:
        schedule = Keys()
        schedule.add("late", 0.0, after=3.0)
        schedule.add("early", 0.0, after=1.0)
        schedule.set_timer("timer", 0.0, 2.0)
        schedule.add("now", 5.0)
        assert drained(schedule, 5.0) == ["early", "timer", "late", "now"]

    def test_a_key_that_is_added_over_and_over_keeps_its_place(self) -> None:
        schedule = Keys()
        for key in "aba":
            schedule.add(key, 0.0)
        schedule.add("c", 0.0, priority=LOW)
        schedule.add("b", 0.0, priority=LOW)
        assert drained(schedule, 0.0) == ["a", "b", "c"]

    @pytest.mark.pain(11)
    def test_a_fresh_change_passes_a_first_list_of_twenty_thousand(self) -> None:
        schedule = Schedule[int]()
        for key in range(20_000):
            schedule.add(key, 0.0, priority=LOW)
        for turn in range(100):
            assert schedule.take(1.0 + turn / 10) == turn
        schedule.add(15_000, 11.0)
        assert schedule.take(11.0) == 15_000

    @pytest.mark.pain(11)
    def test_a_fresh_change_waits_for_one_low_key_at_most_when_all_of_them_waited_too_long(self) -> None:
        schedule = Schedule[int](max_wait=60.0)
        for key in range(1000):
            schedule.add(key, 0.0, priority=LOW)
        for turn in range(100):
            now = 1000.0 + turn
            schedule.add(-1 - turn, now)
            assert -1 - turn in (schedule.take(now), schedule.take(now))

    @pytest.mark.pain(12)
    def test_the_lowest_priority_runs_within_its_bound_however_many_others_come(self) -> None:
        schedule = Schedule[int](max_wait=30.0)
        schedule.add(-1, 0.0, priority=LOW)
        taken_at, now = None, 0.0
        for key in range(1000):
            now = key / 10
            schedule.add(key, now)  # more than the worker below can do
            schedule.add(10_000 + key, now)
            if schedule.take(now) == -1:
                taken_at = now
        assert taken_at == 30.0

    def test_a_wait_without_bound_is_a_setting(self) -> None:
        schedule = Keys(max_wait=math.inf)
        schedule.add("low", 0.0, priority=LOW)
        schedule.add("normal", 1e9)
        assert drained(schedule, 1e9) == ["normal", "low"]

    @pytest.mark.pain(13)
    def test_a_tenant_with_a_thousand_keys_takes_turns_with_one_that_has_three(self) -> None:
        schedule = Schedule[tuple[str, int]](fair_key=lambda key: key[0])
        for number in range(1000):
            schedule.add(("big", number), 0.0)
        for number in range(3):
            schedule.add(("small", number), 0.0)
        first = [schedule.take(0.0) for _ in range(8)]
        assert first == [
            *(("big", 0), ("small", 0), ("big", 1), ("small", 1), ("big", 2), ("small", 2)),
            *(("big", 3), ("big", 4)),
        ]

    @pytest.mark.pain(13)
    def test_a_tenant_that_waits_for_its_turn_does_not_get_two(self) -> None:
        schedule = Schedule[tuple[str, int]](fair_key=lambda key: key[0])
        shares: Counter[str] = Counter()
        for number in range(300):
            for tenant in "abc":
                schedule.add((tenant, number), float(number))
                schedule.add((tenant, 1000 + number), float(number))
            key = schedule.take(float(number))
            assert key is not None
            shares[key[0]] += 1
        assert shares == {"a": 100, "b": 100, "c": 100}


@pytest.mark.pain(13)
class TestMinInterval:
    def test_the_first_add_after_a_rest_runs_at_once_and_what_follows_runs_together(self) -> None:
        schedule = Keys(min_interval=10.0)
        schedule.add("a", 0.0)
        assert drained(schedule, 0.0) == ["a"]
        for now in (1.0, 2.0, 9.0):
            schedule.add("a", now)
            assert schedule.take(now) is None
        assert schedule.next_due() == 10.0
        assert drained(schedule, 10.0) == ["a"]
        assert drained(schedule, 30.0) == []
        schedule.add("a", 31.0)
        assert drained(schedule, 31.0) == ["a"]

    def test_it_counts_from_start_to_start_and_holds_for_timers_and_what_came_in_work(self) -> None:
        schedule = Keys(min_interval=10.0)
        schedule.add("a", 0.0)
        assert schedule.take(0.0) == "a"
        schedule.add("a", 1.0)
        schedule.set_timer("a", 1.0, 11.0)
        schedule.done("a", 4.0)
        assert schedule.take(9.9) is None
        assert drained(schedule, 10.0) == ["a"]
        assert schedule.take(19.9) is None
        assert drained(schedule, 20.0) == ["a"]

    def test_nothing_is_remembered_of_a_key_once_its_interval_is_over(self) -> None:
        schedule = Schedule[int](min_interval=1.0)
        for key in range(1000):
            schedule.add(key, float(key))
            assert schedule.take(float(key)) == key
            schedule.done(key, float(key))
            schedule.add(-1, float(key))
            if schedule.take(float(key)) == -1:
                schedule.done(-1, float(key))
        assert len(schedule._started) <= 3


@pytest.mark.pain(35)
def test_everything_that_is_planned_can_be_seen() -> None:
    schedule = Keys()
    schedule.add("works", 0.0, priority=5)
    assert schedule.take(2.0) == "works"
    schedule.set_timer("works", 2.0, 48.0)
    schedule.add("works", 3.0)
    schedule.add("waits", 3.0, priority=LOW)
    schedule.add("later", 3.0, after=60.0, priority=7)
    seen = {entry.key: entry for entry in schedule}
    assert seen["works"].work == (2.0, 2.0, 5)
    assert (seen["works"].timer, seen["works"].waiting_since, seen["works"].priority) == (50.0, 3.0, NORMAL)
    assert (seen["waits"].waiting_since, seen["waits"].priority, seen["waits"].work) == (3.0, LOW, None)
    assert (seen["later"].due, seen["later"].priority, seen["later"].waiting_since) == (63.0, 7, None)
    assert schedule.depths() == {LOW: 1}
    assert (len(schedule), schedule.in_work) == (1, 1)
