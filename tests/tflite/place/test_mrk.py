"""The exposures of a drone with RTK."""

from __future__ import annotations

import calendar
from pathlib import Path

import pytest

from tflite.place.flightlog import FlightLog, read_flight_log
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


def flight(tmp_path: Path, name: str, count: int = 5) -> FlightLog:
    """Exposures 3, 4 ... every 2 s from 2025-05-02 20:22:22.5 UTC on, which is 14:22:22.5 in Alberta."""
    path = tmp_path / name
    path.write_text("".join(LINE.format(number + 3, 2 * number) for number in range(count)))
    return read_flight_log(path)


def test_photographs_are_found_by_their_number_where_their_name_or_time_says_that_they_are_of_this_flight(
    tmp_path: Path,
) -> None:
    log = flight(tmp_path, "DJI_202505021412_007_bridge_Timestamp.MRK")
    start = log.times[0]
    assert log.fix_of("DJI_20250502142224_0004_V.JPG", start + 2, None) == log.exposures[4]
    assert log.fix_of("sub/DJI_0004.JPG", start + 3, None) == log.exposures[4]
    # Of another flight, whose numbers begin at 1 too.
    assert log.fix_of("DJI_0004.JPG", start + 3600, None) is None
    assert log.fix_of("DJI_0099.JPG", start, None) is None
    assert log.fix_of("holiday.jpg", start, None) is None
    assert log.fix_of("DJI_0004.JPG", None, None) is None

    alberta = float(int(start)) - 6 * 3600  # by a clock that does not say its zone
    assert log.fix_of("DJI_0003.JPG", None, alberta) == log.exposures[3]
    assert log.fix_of("DJI_20250502142222_0003_W_point0.JPG", None, None) == log.exposures[3]
    for wrong in (alberta + 60, alberta - 900, alberta + 6 * 3600, alberta + 86400):
        assert log.fix_of("DJI_0003.JPG", None, wrong) is None
    assert flight(tmp_path, "x.MRK").fix_of("DJI_0003.JPG", None, alberta) is None


def test_a_photograph_that_shares_its_name_with_the_log_needs_no_time(tmp_path: Path) -> None:
    log = flight(tmp_path, "100_0005_Timestamp.MRK")
    assert log.fix_of("100_0005_0003.JPG", None, None) == log.exposures[3]
    assert log.fix_of("100_0005_0003.JPG", log.times[0] + 73, None) == log.exposures[3]  # a clock that is wrong
    assert log.fix_of("100_0006_0003.JPG", None, None) is None
    assert log.fix_of("100_0006_0003.JPG", log.times[0] + 73, None) is None


def test_a_number_that_comes_twice_is_none(tmp_path: Path) -> None:
    path = tmp_path / "100_0005_Timestamp.MRK"
    path.write_text(LINE.format(3, 0) + LINE.format(3, 2) + LINE.format(4, 4))
    log = read_flight_log(path)
    assert set(log.exposures) == {4}
    assert len(log.fixes) == 3
