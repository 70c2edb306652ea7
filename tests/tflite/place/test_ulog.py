"""Logs that PX4 writes on board: place, angles, distance and exposures in them, whatever is left of a damaged one, and pyulog's word."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tflite.errors import CrackError
from tflite.place.flightlog import read_flight_log
from tflite.place.ulog import is_ulog, read_ulog

NOON = 1748779200.0  # 2025-06-01T12:00:00Z
HEAD = b"ULog\x01\x12\x35\x01" + struct.pack("<Q", 1)
SYNC = struct.pack("<HB", 8, ord("S")) + b"\x2f\x73\x13\x20\x25\x0c\xbb\x12"
NEW_GPS = (
    "uint64_t timestamp;uint64_t time_utc_usec;double latitude_deg;double longitude_deg;double altitude_msl_m;float eph;float hdop;"
    "uint8_t fix_type;uint8_t satellites_used;uint8_t[6] _padding0;"
)
OLD_GPS = "uint64_t timestamp;uint64_t time_utc_usec;int32_t lat;int32_t lon;int32_t alt;float eph;uint8_t fix_type;"
FORMATS = {
    "sensor_gps": (NEW_GPS, "<QQdddffBB"),
    "vehicle_gps_position": (OLD_GPS, "<QQiiifB"),
    "vehicle_global_position": ("uint64_t timestamp;double lat;double lon;float alt;float eph;", "<Qddff"),
    "vehicle_attitude": ("uint64_t timestamp;float[4] q;", "<Q4f"),
    "gimbal_device_attitude_status": ("uint64_t timestamp;float[4] q;uint16_t device_flags;", "<Q4fH"),
    "distance_sensor": (
        "uint64_t timestamp;float min_distance;float max_distance;float current_distance;int8_t signal_quality;uint8_t orientation;",
        "<QfffbB",
    ),
    "camera_capture": ("uint64_t timestamp;uint32_t seq;double lat;double lon;float alt;", "<QIddf"),
    "battery_status": ("uint64_t timestamp;float voltage_v;", "<Qf"),
}
NUMBERS = {name: number for number, name in enumerate(FORMATS)}


def message(kind: str, body: bytes) -> bytes:
    return struct.pack("<HB", len(body), ord(kind)) + body


def described(*names: str) -> bytes:
    """Head and definitions of a log of these topics."""
    text = b"".join(message("F", f"{name}:{FORMATS[name][0]}".encode()) for name in names)
    return HEAD + text + b"".join(message("A", struct.pack("<BH", 0, NUMBERS[name]) + name.encode()) for name in names)


def logged(name: str, seconds: float, *values: float, number: int | None = None) -> bytes:
    body = struct.pack(FORMATS[name][1], round(seconds * 1e6), *values)
    return message("D", struct.pack("<H", NUMBERS[name] if number is None else number) + body)


def turned(yaw: float, pitch: float = 0.0) -> tuple[float, float, float, float]:
    """A quaternion of angles in degrees, without roll."""
    cy, sy, cp, sp = (
        part(math.radians(angle) / 2) for angle, part in ((yaw, math.cos), (yaw, math.sin), (pitch, math.cos), (pitch, math.sin))
    )  # fmt: skip
    return cy * cp, -sy * sp, cy * sp, sy * cp


def gps(seconds: float, fix: int = 6, latitude: float = 48.3) -> bytes:
    return logged("sensor_gps", seconds, round((NOON + seconds) * 1e6), latitude, 16.37, 190.5, 0.02, 0.6, fix, 21)


def flight(*, gimbal: bool = False) -> bytes:
    """A few seconds before a wall."""
    data = described(*FORMATS)
    for second in range(3):
        data += logged("battery_status", second, 12.0) + gps(second + 0.001)
        data += logged("vehicle_attitude", second + 0.002, *turned(-90, 2))
        if gimbal:
            data += logged("gimbal_device_attitude_status", second + 0.003, *turned(10, -3), 32)
        data += logged("distance_sensor", second + 0.004, 0.1, 40, 5.125, -1, 0)
        data += logged("vehicle_global_position", second + 0.005, 48.2 + 1e-5 * second, 16.37, 180.5, 0.3)
    return data + logged("camera_capture", 2.5, 7, 48.25, 16.37, 181.0)


def test_positions_are_the_controllers_with_angles_distance_and_the_receivers_accuracy(tmp_path: Path) -> None:
    path = tmp_path / "log.ulg"
    path.write_bytes(flight())
    log = read_flight_log(path)
    assert is_ulog(flight())
    own = [fix for fix in log.fixes if round(fix.lat, 3) == 48.2]
    assert [fix.time for fix in own] == pytest.approx([NOON + second + 0.005 for second in range(3)], abs=1e-3)
    assert (own[1].lat, own[1].lon, own[1].alt) == pytest.approx((48.20001, 16.37, 180.5))
    assert (own[1].quality, own[1].satellites) == ("rtk", 21)
    assert (own[1].hdop, own[1].accuracy_m) == pytest.approx((0.6, 0.02))
    assert (own[1].heading_deg, own[1].pitch_deg) == pytest.approx((270, 2), abs=1e-3)
    assert own[1].roll_deg == pytest.approx(0, abs=1e-3)
    assert own[1].distance_m == 5.125
    assert log.skipped == {}
    assert log.exposures[7].time == pytest.approx(NOON + 2.5, abs=1e-3)
    assert log.exposures[7].lat == 48.25


def test_a_gimbals_angles_are_the_cameras_counted_from_the_vehicles_heading() -> None:
    fix = next(fix for fix in read_ulog(flight(gimbal=True)).fixes if round(fix.lat, 3) == 48.2)
    assert (fix.heading_deg, fix.pitch_deg) == pytest.approx((280, -3), abs=1e-3)
    assert fix.distance_m == 5.125  # it looks where the range finder does, to ten degrees


def test_before_version_1_14_the_receiver_wrote_whole_numbers() -> None:
    data = described("vehicle_gps_position")
    for second, fix in ((0, 3), (1, 1), (2, 5)):
        utc = round((NOON + second) * 1e6)
        data += logged("vehicle_gps_position", second, utc, 483_000_000, 163_700_000, 180_500, 0.5, fix)
    found = read_ulog(data).fixes
    assert [(entry.lat, entry.lon, entry.alt, entry.quality) for entry in found] == [
        (48.3, 16.37, 180.5, "3d"),
        (48.3, 16.37, 180.5, "float rtk"),
    ]
    assert [entry.time for entry in found] == [NOON, NOON + 2]


def test_of_several_receivers_the_first_is_taken() -> None:
    data = described("sensor_gps") + message("A", struct.pack("<BH", 1, 99) + b"sensor_gps")
    other = struct.pack(FORMATS["sensor_gps"][1], 0, round(NOON * 1e6), 10.0, 16.37, 1.0, 0.1, 0.6, 3, 9)
    data += gps(0) + message("D", struct.pack("<H", 99) + other)
    assert [fix.lat for fix in read_ulog(data).fixes] == [48.3]


def test_a_log_without_a_date_says_that_it_has_none(tmp_path: Path) -> None:
    name = "vehicle_global_position"
    (tmp_path / "x.ulg").write_bytes(described(name) + logged(name, 1, 48.2, 16.37, 180.5, 0.3))
    with pytest.raises(CrackError, match="1 no date or time"):
        read_flight_log(tmp_path / "x.ulg")


def test_values_that_cannot_be_are_left_out() -> None:
    data = flight() + logged("vehicle_global_position", 4, 200.0, 16.37, 1, 0.3)
    data += logged("distance_sensor", 4.1, 0.1, 40, 55.0, -1, 0) + logged("vehicle_attitude", 4.1, math.nan, 0, 0, 0)
    data += logged("vehicle_global_position", 4.2, 48.2, 16.37, math.nan, 0.3)
    content = read_ulog(data)
    assert content.skipped["no fix (0, 0)"] == 1
    assert (content.fixes[-1].alt, content.fixes[-1].distance_m, content.fixes[-1].heading_deg) == (None, None, None)


def test_after_damage_the_next_mark_is_looked_for() -> None:
    whole = flight()
    data = whole + b"\xff" * 40 + SYNC + gps(3) + logged("vehicle_global_position", 3.1, 48.4, 16.37, 180.5, 0.3)
    content = read_ulog(data)
    assert content.skipped == {"damaged": 1}
    assert content.fixes[-1].lat == 48.4


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_log_that_was_cut_off_gives_what_was_before(cut: int) -> None:
    content = read_ulog(flight()[:-cut])
    assert len(content.fixes) >= 3
    assert content.skipped == {"damaged": 1}


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_whatever_a_log_holds_reading_it_ends(data: st.DataObject) -> None:
    whole = bytearray(flight())
    for _ in range(data.draw(st.integers(1, 12))):
        whole[data.draw(st.integers(8, len(whole) - 1))] = data.draw(st.integers(0, 255))
    for fix in read_ulog(bytes(whole)).fixes:
        assert -90 <= fix.lat <= 90
        assert fix.time is None or math.isfinite(fix.time)


def test_a_log_reads_as_pyulog_reads_it(tmp_path: Path) -> None:
    pyulog = pytest.importorskip("pyulog", reason="pyulog is not installed")
    (tmp_path / "x.ulg").write_bytes(flight())
    theirs = {entry.name: entry.data for entry in pyulog.ULog(str(tmp_path / "x.ulg")).data_list}
    ours = [fix for fix in read_ulog(flight()).fixes if round(fix.lat, 3) == 48.2]
    assert [fix.lat for fix in ours] == pytest.approx(list(theirs["vehicle_global_position"]["lat"]))
    assert [fix.lon for fix in ours] == pytest.approx(list(theirs["vehicle_global_position"]["lon"]))
    assert theirs["sensor_gps"]["time_utc_usec"][0] == round((NOON + 0.001) * 1e6)
    assert theirs["distance_sensor"]["current_distance"][0] == ours[0].distance_m
