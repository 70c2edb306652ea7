"""CSV logs as exporters write them: read, or refused with the value that was not understood and what is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import case
from tflite.errors import CrackError
from tflite.place.flightlog import FlightLog, read_flight_log

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC).timestamp()


def read(folder: Path, text: str | bytes, timezone: str | None = "UTC") -> FlightLog:
    path = folder / "log.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_flight_log(path, timezone)


@pytest.mark.parametrize(
    "text",
    [
        "sep=,\ndatetime(utc),latitude,longitude,altitude(m)\n2025-06-01 12:00:00,48.2,16.37,180\n",
        '"sep=;"\r\ndatetime(utc);latitude;longitude;altitude(m)\r\n2025-06-01 12:00:00;48,2;16,37;180\r\n',
        "SEP=\\t\ndatetime(utc)\tlatitude\tlongitude\taltitude(m)\n2025-06-01 12:00:00\t48.2\t16.37\t180\n",
        "sep=|\ndatetime(utc)|latitude|longitude|altitude(m)\n2025-06-01 12:00:00|48.2|16.37|180\n",
        # Airdata: milliseconds since take-off first, feet, a gimbal.
        "time(millisecond),datetime(utc),latitude,longitude,height_above_takeoff(feet),altitude_above_seaLevel(feet),"
        "gimbal_heading(degrees),gimbal_pitch(degrees)\n0,2025-06-01 12:00:00,48.2,16.37,40,590.5511811,271.5,-12.0\n",
        # Litchi: a local time beside that of UTC.
        "latitude,longitude,altitude(m),datetime(local),datetime(utc),satellites,home_latitude,home_longitude\n"
        "48.2,16.37,180,2025-06-01 14:00:00.000,2025-06-01 12:00:00.000,15,1.0,2.0\n",
        # Flight Reader.
        "CUSTOM.date [local],CUSTOM.updateTime [local],OSD.flyTime [s],OSD.latitude,OSD.longitude,OSD.altitude [ft],HOME.latitude\n"
        "6/1/2025,12:00:00.00 PM,0,48.2,16.37,590.5511811,1.0\n",
        "CUSTOM.date [UTC],CUSTOM.updateTime [UTC],OSD.latitude,OSD.longitude,OSD.altitude [m]\n2025-06-01,12:00:00,48.2,16.37,180\n",
        # PhantomHelp and what it was made with.
        "CUSTOM.updateTime,OSD.flyTime [s],OSD.latitude,OSD.longitude,OSD.altitude [m]\n2025/06/01 12:00:00.000,0,48.2,16.37,180\n",
        "Flight of the first of June\n\ndatetime,latitude,longitude,altitude\n1.6.2025 12:00:00,48.2,16.37,180\n",
        "datetime,latitude,longitude,altitude\n2025-06-01T14:00:00+0200,48.2,16.37,180\n",
        "timestamp,latitude,longitude,altitude\n1748779200000000,48.2,16.37,180\n",
        "datetime|latitude|longitude|alt_m\n2025-06-01T12:00:00Z|48.2|16.37|180\n",
        "datetime,latitude,longitude,altitude_ft\n2025-06-01T12:00:00Z,48.2,16.37,590.5511811\n",
        "datetime,latitude,longitude,Altitude Feet\n2025-06-01T12:00:00Z,48.2,16.37,590.5511811\n",
    ],
)
def test_what_exporters_write_is_read(tmp_path: Path, text: str) -> None:
    (fix,) = read(tmp_path, text).fixes
    assert (fix.lat, fix.lon, fix.time) == (48.2, 16.37, NOON)
    assert fix.alt == pytest.approx(180)
    if "gimbal" in text:
        assert (fix.heading_deg, fix.pitch_deg) == (271.5, -12.0)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_is_read_with_and_without_its_mark(tmp_path: Path, encoding: str) -> None:
    text = "time,lat,lon\n2025-06-01T12:00:00Z,48.2,16.37\n"
    assert read(tmp_path, text.encode(encoding)).times == [NOON]


@pytest.mark.parametrize(
    ("row", "metres"),
    [
        ('48.2,16.37,"1,234"', 1234.0),
        ('48.2,16.37,"1,234.5"', 1234.5),
        ('"48,2","16,37","180,500"', 180.5),
        ('48.2,16.37,"180,5"', 180.5),
    ],
)
def test_a_comma_in_an_altitude_is_what_the_degrees_of_its_row_say(tmp_path: Path, row: str, metres: float) -> None:
    (fix,) = read(tmp_path, f"time,lat,lon,alt\n2025-06-01T12:00:00Z,{row}\n").fixes
    assert fix.alt == metres


def test_heights_above_takeoff_are_taken_where_there_are_no_others_and_told(tmp_path: Path) -> None:
    log = read(tmp_path, "datetime(utc),lat,lon,height_above_takeoff(feet)\n2025-06-01 12:00:00,48.2,16.37,40\n")
    assert log.fixes[0].alt == pytest.approx(12.192)
    assert log.above_takeoff


@pytest.mark.parametrize(
    ("times", "hours"),
    [
        (["6/1/2025 12:00:00 AM", "6/1/2025 1:00:00 AM"], [0, 1]),
        (["6/1/2025 11:59:59 am", "6/1/2025 12:00:00 pm", "6/1/2025 11:00:00 p.m."], [11, 12, 23]),
        (["6/1/2025 09:00:00", "6/13/2025 10:00:00"], [9, 10]),
        (["1/6/2025 09:00:00", "13/6/2025 10:00:00"], [9, 10]),
        (["1.6.2025 09:00", "2.6.2025 10:00:00,5"], [9, 10]),
        (["2025.06.01 09:00:00"], [9]),
    ],
)
def test_day_and_month_are_told_apart_by_the_whole_log(tmp_path: Path, times: list[str], hours: list[int]) -> None:
    log = read(tmp_path, "time;lat;lon\n" + "".join(f"{time};48.2;16.{number}\n" for number, time in enumerate(times)))
    found = [datetime.fromtimestamp(time, UTC) for time in log.times]
    assert [time.hour for time in found] == hours
    assert (found[0].month, found[0].day) == (6, 1)


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (
            ["6/1/2025 10:00:00", "6/2/2025 10:00:00"],
            "whether '6/1/2025 10:00:00' begins with the day or the month cannot be told",
        ),
        (["6/13/2025 10:00:00", "13/6/2025 10:00:00"], "begin with the day in some lines and with the month in others"),
        (["June 1st", "June 2nd"], r"2 of 2 lines cannot be read\. Line 2: the time 'June 1st' is not understood"),
        (
            ["6/1/2025 13:00:00 PM"],
            r"Line 2: the time '6/1/2025 13:00:00 PM' is not understood \(13 is no hour of a 12-hour",
        ),
        (["10:00:00"], r"Line 2: the time '10:00:00' is not understood"),
        (["0"], r"Line 2: the time '0' is not understood"),
        (["0001-01-01 00:00:00"], r"Line 2: the time '0001-01-01 00:00:00' is not understood \(the year 1 is none"),
    ],
)
def test_a_time_that_is_not_understood_is_named_with_what_is(tmp_path: Path, times: list[str], told: str) -> None:
    with pytest.raises(CrackError, match=told) as caught:
        read(tmp_path, "time,lat,lon\n" + "".join(f"{time},48.2,16.37\n" for time in times))
    assert "ISO 8601" in str(caught.value)
    assert "damaged" not in str(caught.value)


def test_a_position_that_is_not_understood_is_named_with_what_is(tmp_path: Path) -> None:
    with pytest.raises(
        CrackError, match=r"Line 2: the longitude '16 deg' is not understood: degrees such as 48\.2 or 48\.2 E"
    ):
        read(tmp_path, "time,lat,lon\n2025-06-01T12:00:00Z,48.2,16 deg\n")


def test_local_times_of_exporters_need_a_zone(tmp_path: Path) -> None:
    with pytest.raises(
        CrackError, match=r"the time '6/1/2025 12:00:00 PM' has no time zone\. Give it, such as --timezone"
    ):
        read(tmp_path, "datetime,latitude,longitude\n6/1/2025 12:00:00 PM,48.2,16.37\n", None)


def test_a_log_of_a_spreadsheets_exporter_places_its_photographs() -> None:
    log = read_flight_log(case("09-csv-sep-line") / "log.csv")
    assert log.skipped == {}
    assert log.times[0] == datetime(2025, 6, 1, 10, tzinfo=UTC).timestamp()
    assert (log.fixes[0].lat, log.fixes[0].lon, log.fixes[0].alt) == (48.2, 16.37, 180)


@pytest.mark.parametrize(("name", "altitude"), [("FlightRecord.csv", 182.88), ("us_dates.csv", 180.0)])
def test_logs_with_american_dates_are_read(name: str, altitude: float) -> None:
    log = read_flight_log(case("10-csv-flightreader") / name, "+02:00")
    assert log.skipped == {}
    assert log.times[0] == datetime(2025, 6, 1, 10, tzinfo=UTC).timestamp()
    assert log.fixes[0].alt == pytest.approx(altitude)


@given(
    st.sampled_from([",", ";", "\t"]),
    st.lists(st.tuples(st.integers(0, 86_399), st.floats(-89, 89), st.floats(-179, 179)), min_size=1, max_size=8),
    st.booleans(),
)
def test_the_same_rows_in_american_form_give_the_same_log(
    tmp_path_factory: pytest.TempPathFactory, delimiter: str, rows: list[tuple[int, float, float]], stated: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    iso, american = ["datetime", "latitude", "longitude"], [f"sep={delimiter}"] if stated else []
    american.append(
        delimiter.join(("CUSTOM.date [local]", "CUSTOM.updateTime [local]", "OSD.latitude", "OSD.longitude"))
    )
    text = [",".join(iso)]
    for second, lat, lon in rows:
        moment = datetime(2025, 12, 3, second // 3600, second // 60 % 60, second % 60)
        text.append(f"{moment.isoformat()},{lat!r},{lon!r}")
        clock = f"{moment.hour % 12 or 12}:{moment:%M:%S}.00 {'PM' if moment.hour >= 12 else 'AM'}"
        american.append(delimiter.join(("12/3/2025", clock, repr(lat), repr(lon))))
    try:
        wanted = read(folder, "\n".join(text))
    except CrackError:  # all at 0, 0
        return
    assert read(folder, "\n".join(american)).fixes == wanted.fixes
