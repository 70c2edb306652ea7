"""Positions from flight logs: CSV, GPX, NMEA; time zones; interpolation."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflite.errors import CrackError
from tflite.place.fix import Fix
from tflite.place.flightlog import FlightLog, read_flight_log
from tflite.place.logcontent import DAMAGED, DUPLICATE, NO_FIX, NO_TIME
from tflite.place.nmea import checksum

NOON = datetime(2025, 6, 1, 12, 0, 0, tzinfo=UTC)
HEADER = "time,lat,lon,alt\n"
ROWS = "2025-06-01T12:00:00Z,47.0,15.0,100\n2025-06-01T12:00:04Z,47.4,15.8,104\n"


def log_file(folder: Path, text: str | bytes, name: str = "flight.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder: Path, text: str | bytes, timezone: str | None = None) -> FlightLog:
    return read_flight_log(log_file(folder, text), timezone)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def moment(seconds: float) -> float:
    return after(seconds).timestamp()


def gpx(points: str, namespace: str = ' xmlns="http://www.topografix.com/GPX/1/1"') -> str:
    return f'<?xml version="1.0"?>\n<gpx version="1.1"{namespace}><trk><trkseg>{points}</trkseg></trk></gpx>'


def point(lat: float, lon: float, time: str, more: str = "") -> str:
    return f'<trkpt lat="{lat}" lon="{lon}"><ele>12.5</ele><time>{time}</time>{more}</trkpt>'


def sentence(body: str) -> str:
    return f"${body}*{checksum(body):02X}\r\n"


# ------------------------------------------------------------------------------------------------------------ fix_at


def test_a_position_between_two_fixes_is_interpolated(tmp_path: Path) -> None:
    log = read(tmp_path, HEADER + ROWS)
    position = log.fix_at(moment(1))
    assert position is not None
    assert (position.lat, position.lon, position.alt) == pytest.approx((47.1, 15.2, 101))
    assert log.fix_at(moment(4)) == log.fixes[1]


def test_outside_the_log_and_in_its_holes_there_is_no_position(tmp_path: Path) -> None:
    log = read(tmp_path, HEADER + ROWS)
    assert log.fix_at(moment(-0.1)) is None
    assert log.fix_at(moment(4.1)) is None
    assert log.fix_at(moment(1), max_gap_s=3.9) is None
    assert log.fix_at(moment(1), max_gap_s=4) is not None
    assert log.fix_at(moment(0), max_gap_s=0) is not None


def test_altitude_is_unknown_where_one_of_the_two_fixes_has_none(tmp_path: Path) -> None:
    log = read(tmp_path, HEADER + ROWS.replace(",104", ","))
    position = log.fix_at(moment(1))
    assert position is not None
    assert position.alt is None
    assert position.lat == pytest.approx(47.1)


@given(st.floats(-180, 180), st.floats(-0.01, 0.01), st.floats(-89, 89), st.floats(0, 1))
def test_interpolation_takes_the_short_way_everywhere_on_earth(
    lon: float, step: float, lat: float, share: float
) -> None:
    other = (lon + step + 180) % 360 - 180
    start = NOON.timestamp()
    log = FlightLog((Fix(lat, lon, None, start), Fix(lat, other, None, start + 8)), {})
    position = log.fix_at(moment(8 * share))
    assert position is not None
    assert -180 <= position.lon <= 180
    apart = abs((position.lon - lon + 180) % 360 - 180)
    assert apart <= abs(step) + 1e-9
    assert position.lat == pytest.approx(lat, abs=1e-9)


@pytest.mark.parametrize("signs", [(179.999, -179.999), (-179.999, 179.999)])
def test_a_flight_across_the_antimeridian_stays_there(tmp_path: Path, signs: tuple[float, float]) -> None:
    log = read(tmp_path, HEADER + f"{NOON.isoformat()},-16.8,{signs[0]},\n{after(4).isoformat()},-16.8,{signs[1]},\n")
    for second in range(5):
        position = log.fix_at(moment(second))
        assert position is not None
        assert abs(position.lon) >= 179.999
        assert position.lat == -16.8


# At 0, 0, where receivers without a fix are, or well away from it: how near is too near has a test of its own.
_POINTS = st.tuples(st.integers(0, 500), st.floats(-80, 80), st.floats(-179, 179)).filter(
    lambda point: point[1:] == (0, 0) or max(abs(point[1]), abs(point[2])) > 1e-3
)


@given(st.lists(_POINTS, min_size=1, max_size=30))
def test_the_order_of_lines_does_not_matter_and_every_line_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, points: list[tuple[int, float, float]]
) -> None:
    distinct = {second: (lat, lon) for second, lat, lon in reversed(points) if max(abs(lat), abs(lon)) > 1e-3}
    lines = [f"{after(second).isoformat()},{lat!r},{lon!r}" for second, lat, lon in points]
    if not distinct:
        return
    log = read(tmp_path_factory.mktemp("log"), "time,lat,lon\n" + "\n".join(lines))
    assert len(log.fixes) + sum(log.skipped.values()) == len(points)
    assert log.times == sorted(log.times)
    assert {fix.time: (fix.lat, fix.lon) for fix in log.fixes} == {
        after(second).timestamp(): place for second, place in distinct.items()
    }


# ----------------------------------------------------------------------------------------------------------- CSV


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("timestamp,lat,lon,alt", "2025-06-01 12:00:00+00:00,-33.9,-70.5,100"),
        ("Alt;LONGITUDE;Latitude;DateTime", "100;-70,5;-33,9;2025-06-01T12:00:00Z"),
        ("Time\tGPS Latitude [deg]\tGPS Lon\tElevation (m)", "2025/06/01 12:00:00Z\t-33.9\t-70.5\t100"),
        ("\ufefftime , lat , lng , alt", "1748779200,-33.9,-70.5,100"),
        ("timestamp,lat,lon,alt", "1748779200000.0,-33.9,-70.5,100"),
        (
            "time(millisecond),datetime(utc),latitude,longitude,height_above_takeoff(feet),"
            "altitude_above_seaLevel(feet)",
            "0,2025-06-01 12:00:00,-33.9,-70.5,9,328.083989501",
        ),
        ("DATE,TIME,LATITUDE N/S,LONGITUDE E/W,ALT", "2025:06:01,12:00:00Z,33.9S,70.5W,100"),
        ("date,time,lat,lat_ref,lon,lon_ref,alt", "2025-06-01,12:00:00Z,33.9,S,70.5,W,100"),
        ('"time","lat","lon","alt","note"', '"2025-06-01T12:00:00Z","-33.9","-70.5","100","pier 3, east"'),
    ],
)
def test_columns_are_recognised_by_their_usual_names(tmp_path: Path, header: str, row: str) -> None:
    (fix,) = read(tmp_path, f"{header}\n{row}\n").fixes
    assert (fix.lat, fix.lon, fix.alt, fix.time) == pytest.approx((-33.9, -70.5, 100, NOON.timestamp()))


def test_unknown_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        CrackError, match=r"no column for time, lon\. Columns seen: 'when', 'lat', 'speed'\. Expected time"
    ):
        read(tmp_path, "when,lat,speed\n1,2,3\n")
    with pytest.raises(CrackError, match="Columns seen: none"):
        read(tmp_path, "")


@pytest.mark.parametrize(
    "bad",
    [
        "2025-06-01T12:00:01Z",
        "yesterday,47,15,1",
        "2025-06-01T12:00:01Z,,15,1",
        "2025-06-01T12:00:01Z,nan,15,1",
        "2025-06-01T12:00:01Z,91,15,1",
        "2025-06-01T12:00:01Z,4_7,15,1",
        "2025-06-01T12:00:01Z,47,15E6W,1",
        "2025-06-01T12:00:01Z,-47S,15,1",
        "2025-06-01T12:00:01Z,47N5,15,1",
        "2025-06-01T12:00:01Z,47,15,inf",
        "2025-06-31T12:00:01Z,47,15,1",
        '"2025-06-01T12:00:01Z,47,15,1',
        "\x00\x01\x02",
    ],
)
def test_a_damaged_line_costs_that_line_only(tmp_path: Path, bad: str) -> None:
    log = read(tmp_path, HEADER + ROWS.replace("\n", f"\n{bad}\n", 1))
    assert len(log.fixes) == 2
    assert log.skipped == {DAMAGED: 1}
    assert log.describe() == "2 positions from 2025-06-01 12:00:00 to 2025-06-01 12:00:04 UTC; left out: 1 damaged"


def test_a_log_of_one_position_counts_it_in_the_singular(tmp_path: Path) -> None:
    log = read(tmp_path, HEADER + ROWS.splitlines(keepends=True)[0])
    assert log.describe().startswith("1 position from ")


def test_duplicates_and_places_without_a_fix_are_counted_apart(tmp_path: Path) -> None:
    log = read(tmp_path, HEADER + ROWS + ROWS + "2025-06-01T12:00:02Z,0,0,0\n")
    assert len(log.fixes) == 2
    assert log.skipped == {DUPLICATE: 2, NO_FIX: 1}


def test_a_log_without_any_usable_line_is_refused_with_the_first_value_that_was_not_understood(tmp_path: Path) -> None:
    with pytest.raises(
        CrackError, match=r"2 of 2 lines cannot be read\. Line 2: the time 'x' is not understood .*ISO 8601"
    ):
        read(tmp_path, HEADER + "x,1,2,3\ny,1,2,3\n")
    with pytest.raises(CrackError, match=r"Line 2: the latitude '48x12' is not understood: degrees such as 48\.2"):
        read(tmp_path, HEADER + "2025-06-01T12:00:00Z,48°12,16,1\n".replace("°", "x"))
    with pytest.raises(CrackError, match="it is empty"):
        read(tmp_path, HEADER)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match=r"none\.csv cannot be read: No such file"):
        read_flight_log(tmp_path / "none.csv")
    with pytest.raises(CrackError, match="cannot be read: Is a directory"):
        read_flight_log(tmp_path)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_log_or_one_clear_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    for start in (b"", b"time,lat,lon\n", b"<gpx>", b"$"):
        path = log_file(tmp_path_factory.getbasetemp(), start + data, "fuzz.log")
        with contextlib.suppress(CrackError):
            assert read_flight_log(path, "UTC").fixes


# ----------------------------------------------------------------------------------------------------- time zones


def test_times_without_a_zone_need_one(tmp_path: Path) -> None:
    with pytest.raises(
        CrackError, match=r"line 2: the time '2025-06-01T14:00:00' has no time zone\. Give it, such as --timezone"
    ):
        read(tmp_path, "time,lat,lon\n2025-06-01T14:00:00,47,15\n")


@pytest.mark.parametrize("timezone", ["Europe/Vienna", "+02:00", "+2", "UTC+02:00", "+0200"])
def test_local_times_are_turned_into_utc(tmp_path: Path, timezone: str) -> None:
    log = read(tmp_path, "time,lat,lon\n2025-06-01T14:00:00,47,15\n", timezone)
    assert log.times == [NOON.timestamp()]


def test_times_that_say_their_zone_do_not_take_another(tmp_path: Path) -> None:
    log = read(tmp_path, "time,lat,lon\n2025-06-01T14:00:00+02:00,47,15\n", "America/New_York")
    assert log.times == [NOON.timestamp()]


@pytest.mark.parametrize(("timezone", "hint"), [("Europ/Vienna", "Did you mean Europe/Vienna"), ("+29:00", "such as")])
def test_an_unknown_zone_is_refused_with_a_hint(tmp_path: Path, timezone: str, hint: str) -> None:
    with pytest.raises(CrackError, match=hint):
        read(tmp_path, HEADER + ROWS, timezone)


def local_rows(*times: str, day: str) -> str:
    return "time,lat,lon\n" + "".join(f"{day} {time},47,{number + 1}\n" for number, time in enumerate(times))


def test_the_hour_that_happens_twice_is_told_by_its_neighbours(tmp_path: Path) -> None:
    # Clocks go from 03:00 back to 02:00 at 01:00 UTC on this day in Vienna.
    twice = ("02:00:00", "02:20:00", "02:40:00", "02:59:59")
    text = local_rows("01:59:59", *twice, *twice, "03:00:00", day="2025-10-26")
    log = read(tmp_path, text, "Europe/Vienna")
    start = datetime(2025, 10, 25, 23, 59, 59, tzinfo=UTC).timestamp()
    assert [time - start for time in log.times] == [0, 1, 1201, 2401, 3600, 3601, 4801, 6001, 7200, 7201]
    assert [fix.lon for fix in log.fixes] == list(range(1, 11))


def test_a_log_that_starts_in_that_hour_is_told_by_its_end(tmp_path: Path) -> None:
    log = read(tmp_path, local_rows("02:59:58", "02:59:59", "03:00:00", day="2025-10-26"), "Europe/Vienna")
    end = datetime(2025, 10, 26, 2, 0, 0, tzinfo=UTC).timestamp()
    assert log.times == [end - 2, end - 1, end]


def test_a_log_wholly_within_that_hour_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match=r"Europe/Vienna has twice or never.*--timezone \+02:00"):
        read(tmp_path, local_rows("02:10:00", "02:10:01", day="2025-10-26"), "Europe/Vienna")


def test_the_hour_that_never_happens_is_left_out(tmp_path: Path) -> None:
    log = read(tmp_path, local_rows("01:59:59", "02:30:00", "03:00:00", day="2025-03-30"), "Europe/Vienna")
    assert log.times[1] - log.times[0] == 1
    assert log.skipped == {"local time that is no moment, or two": 1}


# ----------------------------------------------------------------------------------------------------------- GPX


@pytest.mark.parametrize(
    "namespace", ["", ' xmlns="http://www.topografix.com/GPX/1/0"', ' xmlns="http://www.topografix.com/GPX/1/1"']
)
def test_track_points_of_any_version_are_read(tmp_path: Path, namespace: str) -> None:
    log = read(tmp_path, gpx(point(-33.9, -70.5, "2025-06-01T12:00:00Z"), namespace))
    assert log.fixes == (Fix(-33.9, -70.5, 12.5, NOON.timestamp()),)


def test_a_prefixed_name_space_and_times_in_extensions_do_no_harm(tmp_path: Path) -> None:
    text = (
        '<g:gpx xmlns:g="http://www.topografix.com/GPX/1/1"><g:wpt lat="1" lon="1"/><g:trk><g:trkseg>'
        '<g:trkpt lat="47" lon="15"><g:time>2025-06-01T14:00:00+02:00</g:time>'
        "<g:extensions><g:time>1999-01-01T00:00:00Z</g:time></g:extensions></g:trkpt>"
        "</g:trkseg></g:trk></g:gpx>"
    )
    assert read(tmp_path, text).fixes == (Fix(47, 15, None, NOON.timestamp()),)


def test_gpx_times_without_a_zone_are_utc_as_the_format_demands(tmp_path: Path) -> None:
    log = read(tmp_path, gpx(point(47, 15, "2025-06-01T12:00:00")), "America/New_York")
    assert log.times == [NOON.timestamp()]


def test_track_points_without_time_or_with_nonsense_are_counted(tmp_path: Path) -> None:
    bad = '<trkpt lat="47" lon="15"/><trkpt lat="x" lon="15"/><trkpt lon="15"/>' + point(47, 15, "soon")
    log = read(tmp_path, gpx(point(47, 15, "2025-06-01T12:00:00Z") + bad))
    assert len(log.fixes) == 1
    assert log.skipped == {DAMAGED: 3, NO_TIME: 1}


def test_a_gpx_file_that_was_cut_off_keeps_what_came_before(tmp_path: Path) -> None:
    text = gpx("".join(point(47, 15 + i, f"2025-06-01T12:00:0{i}Z") for i in range(3)))
    log = read(tmp_path, text[: text.rindex("<trkpt") + 20])
    assert len(log.fixes) == 2
    assert log.skipped == {DAMAGED: 1}


def test_entities_are_never_expanded(tmp_path: Path) -> None:
    laughs = (
        '<!DOCTYPE gpx [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        '<gpx><trk><trkseg><trkpt lat="47" lon="15"><time>&b;</time></trkpt></trkseg></trk></gpx>'
    )
    with pytest.raises(CrackError, match="holds a document type"):
        read(tmp_path, laughs)
    secret = log_file(tmp_path, "secret", "secret.txt")
    external = f'<!DOCTYPE gpx [<!ENTITY a SYSTEM "{secret.as_uri()}">]><gpx>&a;</gpx>'
    with pytest.raises(CrackError, match="holds a document type"):
        read(tmp_path, external)


def test_other_xml_is_not_taken_for_gpx(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="XML but not GPX"):
        read(tmp_path, "<kml><trkpt/></kml>")


# ---------------------------------------------------------------------------------------------------------- NMEA


def test_nmea_positions_are_read_with_south_and_west(tmp_path: Path) -> None:
    text = (
        sentence("GPRMC,120000.00,A,3354.0000,S,07030.0000,W,0.0,,010625,,,A")
        + sentence("GPGGA,120000.00,3354.0000,S,07030.0000,W,1,08,1.0,100.0,M,,M,,")
        + sentence("GPRMC,120001.00,A,3354.0000,S,07029.9940,W,0.0,,010625,,,A")
        + "$GPRMC,120002.00,A,damaged*00\r\n"
    )
    log = read(tmp_path, text)
    assert [fix.time for fix in log.fixes] == [NOON.timestamp(), NOON.timestamp() + 1]
    assert (log.fixes[0].lat, log.fixes[0].lon, log.fixes[0].alt) == pytest.approx((-33.9, -70.5, 100))
    assert log.skipped == {DAMAGED: 1}


def test_nmea_without_a_date_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match=r"holds no position with a time \(1 no date or time\)"):
        read(tmp_path, sentence("GPGGA,120000.00,3354.0000,S,07030.0000,W,1,08,1.0,100.0,M,,M,,"))
