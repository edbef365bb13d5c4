"""Times are read from any offset and written in UTC."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube.times import format_micro_time, format_time, parse_time

NOON = dt.datetime(2026, 1, 2, 12, 0, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-02T12:00:00Z", NOON),
        ("2026-01-02T13:00:00+01:00", NOON),
        ("2026-01-02T12:00:00.5Z", NOON.replace(microsecond=500_000)),
        ("2026-01-02T12:00:00.123456789Z", NOON.replace(microsecond=123_456)),
    ],
)
def test_rfc_3339_is_read(text: str, time: dt.datetime) -> None:
    assert parse_time(text) == time
    assert parse_time(text).tzinfo is not None


@pytest.mark.parametrize(
    "text",
    ["", "2026-01-02", "2026-01-02T12:00:00", "2026-01-02 12:00:00Z", "2026-13-02T12:00:00Z", "20260102T120000Z"],
)
def test_other_texts_are_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)


def test_a_time_is_written_in_utc() -> None:
    east = NOON.astimezone(dt.timezone(dt.timedelta(hours=5)))
    assert format_time(east) == "2026-01-02T12:00:00Z"
    assert format_time(NOON.replace(microsecond=5)) == "2026-01-02T12:00:00.000005Z"
    assert format_micro_time(east) == "2026-01-02T12:00:00.000000Z"
    with pytest.raises(ValueError, match="no time zone"):
        format_time(NOON.replace(tzinfo=None))


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_every_time_survives_a_round_trip(time: dt.datetime) -> None:
    assert parse_time(format_time(time)) == time
    assert parse_time(format_micro_time(time)) == time
