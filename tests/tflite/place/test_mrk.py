"""The exposures of a drone with RTK."""

from __future__ import annotations

import calendar
from pathlib import Path

import pytest

from tflite.place.flightlog import read_flight_log
from tflite.place.mrk import is_mrk, read_mrk

LINE = (
    "{}\t50536{}.5\t[2364]\t  -339,N\t  -361,E\t   348,V\t51.10917679,Lat\t-115.38278248,Lon\t1368.634,Ellh\t"
    "0.03, 0.04, 0.020338\t50,Q\n"
)


def test_positions_are_dated_by_gps_time_less_its_leap_seconds(tmp_path: Path) -> None:
    path = tmp_path / "DJI_202505021412_007_Timestamp.MRK"
    path.write_text(LINE.format(3, 0) + LINE.format(4, 2))
    log = read_flight_log(path)
    (first, second) = log.fixes
    assert (first.lat, first.lon, first.alt, first.quality) == (51.10917679, -115.38278248, 1368.634, "rtk")
    assert first.accuracy_m == pytest.approx(0.05)
    # Week 2364 began on 2025-04-27.
    assert first.time == calendar.timegm((2025, 4, 27, 0, 0, 0)) + 505360.5 - 18
    assert second.time is not None
    assert second.time - first.time == 2


def test_a_line_that_is_not_understood_is_named_and_left_out() -> None:
    data = (LINE.format(3, 0) + "garbage\n" + LINE.format(5, 1).replace("51.1", "151.1")).encode()
    assert is_mrk(data)
    content = read_mrk(data)
    assert len(content.fixes) == 1
    assert content.problems[0] == "line 2: 'garbage' is not understood"
    assert content.problems[1].startswith("line 3: latitude 151.1")
    assert not is_mrk(b"1\n00:00:00,000 --> 00:00:01,000\n")
