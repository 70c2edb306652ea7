"""Local times around the nights on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflite.errors import CrackError
from tflite.place.clock import candidates, parse_timezone, sequence_to_utc, to_utc

VIENNA = ZoneInfo("Europe/Vienna")
ZONES = ["Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "UTC"]
MOMENTS = st.datetimes(datetime(2011, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, st.sampled_from(ZONES))
def test_what_a_clock_shows_leads_back_to_the_moment(moment: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    local = moment.astimezone(zone).replace(tzinfo=None)
    assert moment in candidates(local, zone)
    assert to_utc(local, zone, near=moment + timedelta(minutes=10)) == moment


@given(MOMENTS, st.sampled_from(ZONES), st.lists(st.integers(1, 300), min_size=1, max_size=60))
def test_a_recording_through_any_night_keeps_its_moments(moment: datetime, name: str, steps: list[int]) -> None:
    zone = ZoneInfo(name)
    moments = [moment - timedelta(hours=3), moment]
    for step in steps:
        moments.append(moments[-1] + timedelta(seconds=step))
    moments.append(moments[-1] + timedelta(hours=3))
    local = [each.astimezone(zone).replace(tzinfo=None, fold=0) for each in moments[1:-1]]
    found = sequence_to_utc(local, zone)
    settled = [number for number, each in enumerate(local) if len(candidates(each, zone)) == 1]
    if settled:
        assert found == moments[1:-1]
    assert all(found[number] == moments[number + 1] for number in settled)


def test_a_time_that_happens_twice_needs_a_neighbour() -> None:
    local = datetime(2025, 10, 26, 2, 30)
    first, second = datetime(2025, 10, 26, 0, 30, tzinfo=UTC), datetime(2025, 10, 26, 1, 30, tzinfo=UTC)
    assert candidates(local, VIENNA) == (first, second)
    assert to_utc(local, VIENNA) is None
    assert to_utc(local, VIENNA, near=first - timedelta(minutes=20)) == first
    assert to_utc(local, VIENNA, near=second + timedelta(minutes=20)) == second


def test_a_time_that_never_happened_is_none() -> None:
    assert candidates(datetime(2025, 3, 30, 2, 30), VIENNA) == ()
    assert to_utc(datetime(2025, 3, 30, 2, 30), VIENNA, near=datetime(2025, 3, 30, 1, tzinfo=UTC)) is None


def test_a_fixed_offset_knows_no_such_nights() -> None:
    zone = parse_timezone("-03:30")
    assert to_utc(datetime(2025, 3, 30, 2, 30), zone) == datetime(2025, 3, 30, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "/etc/passwd", "../UTC", "Europe", "+24:00", "02:00", "+02:60", "Mars/Olympus"])
def test_what_is_no_zone_is_refused(text: str) -> None:
    with pytest.raises(CrackError, match="is not a known time zone"):
        parse_timezone(text)
