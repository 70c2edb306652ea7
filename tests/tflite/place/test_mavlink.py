"""MAVLink messages become fixes of one vehicle, with the camera's angles and distance; recordings are read however damaged."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tflite.place.mavlink_bytes import BOOTED, NOON, Controller, tlog
from tflite.errors import CrackError
from tflite.extras import install
from tflite.place.fix import Fix
from tflite.place.flightlog import read_flight_log
from tflite.place.logcontent import LogContent
from tflite.place.mavlink import MavlinkFixes, MavlinkParser, is_tlog, quaternion_angles, read_tlog

pytest.importorskip("pymavlink", reason="pymavlink is not installed (requirements-mavlink.txt)")
VEHICLE = Controller()


def told(*messages: bytes, fixes: MavlinkFixes | None = None, start: float = 50.0) -> list[Fix]:
    """The fixes of messages that come a tenth of a second apart, after a heartbeat."""
    parser = MavlinkParser("a test")
    found, moment = [], start
    fixes = fixes or MavlinkFixes()
    for message in parser.feed(VEHICLE.heartbeat() + b"".join(messages)):
        fix = fixes.feed(message, moment)
        moment += 0.1
        if fix is not None:
            found.append(fix)
    return found


def only(*messages: bytes) -> Fix:
    (fix,) = told(*messages)
    return fix


def test_a_position_has_the_vehicles_time_angles_and_distance_and_the_receivers_accuracy() -> None:
    fix = told(
        VEHICLE.clock(99), VEHICLE.position(99.5), VEHICLE.receiver(99.6), VEHICLE.attitude(99.7), VEHICLE.range(99.8),
        VEHICLE.position(100),
    )[-1]  # fmt: skip
    assert (fix.lat, fix.lon, fix.alt) == pytest.approx((48.2, 16.37, 180.5))
    assert fix.time == pytest.approx(NOON)
    assert (fix.quality, fix.satellites, fix.hdop, fix.accuracy_m) == ("rtk", 17, 0.7, 0.021)
    looks = (fix.heading_deg, fix.pitch_deg, fix.roll_deg)
    assert looks == pytest.approx((math.degrees(-1.5) % 360, math.degrees(0.1), math.degrees(0.02)))
    assert fix.distance_m == 5.12


def test_without_attitude_the_heading_is_that_of_the_position_and_without_a_date_there_is_no_time() -> None:
    fix = only(VEHICLE.position(100))
    assert (fix.heading_deg, fix.pitch_deg, fix.time, fix.distance_m, fix.quality) == (270.5, None, None, None, None)


def test_what_came_more_than_a_second_ago_is_left_out() -> None:
    between = [VEHICLE.heartbeat()] * 12
    fix = only(VEHICLE.attitude(1), VEHICLE.range(1), *between, VEHICLE.position(3))
    assert (fix.pitch_deg, fix.distance_m) == (None, None)


@pytest.mark.parametrize(
    ("range", "metres"),
    [
        ({"centimetres": 20}, None), ({"centimetres": 4000}, None), ({"centimetres": 0}, None), ({"quality": 1}, None),
        ({"looks": 25}, None), ({"looks": 2}, None), ({"quality": 100}, 5.12),
    ],
)  # fmt: skip
def test_a_distance_counts_where_it_was_measured_ahead_within_the_sensors_limits(range: Any, metres: Any) -> None:
    assert only(VEHICLE.range(1, **range), VEHICLE.position(1)).distance_m == metres


def test_a_distance_that_is_lost_is_not_kept() -> None:
    assert only(VEHICLE.range(1), VEHICLE.range(1.1, 4000), VEHICLE.position(1.2)).distance_m is None


def test_a_gimbal_goes_before_the_vehicle_and_the_range_finder_is_the_one_that_looks_where_it_does() -> None:
    up = VEHICLE.pack("mount_orientation", 1000, 0.5, 85.0, 10.0, 200.0)
    ranges = VEHICLE.range(1, 300), VEHICLE.range(1, 812, looks=24)
    fix = only(VEHICLE.attitude(1, pitch=0.02), up, *ranges, VEHICLE.position(1))
    assert (fix.heading_deg, fix.pitch_deg, fix.roll_deg, fix.distance_m) == (200.0, 85.0, 0.5, 8.12)


def test_of_a_gimbal_that_does_not_tell_its_angles_the_pitch_and_the_distance_are_unknown() -> None:
    gimbal = Controller(component=154).heartbeat(kind=26, autopilot=8)
    fix = only(gimbal, VEHICLE.attitude(1, yaw=1.5), VEHICLE.range(1), VEHICLE.position(1))
    assert (fix.heading_deg, fix.pitch_deg, fix.roll_deg, fix.distance_m) == pytest.approx(
        (math.degrees(1.5), None, None, None)
    )


@pytest.mark.parametrize(("flags", "heading"), [(32, 100.0), (64, 40.0), (16, 40.0), (48, 100.0), (0, 100.0)])
def test_a_gimbals_yaw_counts_from_north_or_from_the_vehicle_as_its_flags_say(flags: int, heading: float) -> None:
    half = math.radians(40) / 2
    turned = VEHICLE.pack(
        "gimbal_device_attitude_status", 0, 0, 1000, flags, (math.cos(half), 0, 0, math.sin(half)), 0, 0, 0, 0
    )
    fix = only(VEHICLE.attitude(1, yaw=math.radians(60)), turned, VEHICLE.position(1))
    assert (fix.heading_deg, fix.pitch_deg) == pytest.approx((heading, 0), abs=1e-3)


def test_positions_of_others_on_the_link_are_not_taken() -> None:
    station, other = Controller(system=255, component=190), Controller(system=7)
    fixes = MavlinkFixes()
    found = told(
        station.heartbeat(6, 8), other.heartbeat(), other.position(1, lat=10), station.position(1), fixes=fixes
    )
    assert found == []
    assert fixes.heard


def test_nothing_is_taken_before_a_vehicle_was_heard() -> None:
    fixes, parser = MavlinkFixes(), MavlinkParser("a test")
    messages = parser.feed(Controller(system=255).heartbeat(6, 8) + VEHICLE.position(1))
    assert [fixes.feed(message, 1.0) for message in messages] == [None, None]
    assert not fixes.heard


def test_the_receivers_position_is_taken_where_the_controller_tells_none() -> None:
    first, *others = told(VEHICLE.receiver(1, lat=48.3), VEHICLE.position(1), VEHICLE.receiver(1.1, lat=48.3))
    assert [fix.lat for fix in (first, *others)] == pytest.approx([48.3, 48.2])


def test_without_satellites_the_controllers_position_is_called_an_estimate() -> None:
    fix = only(VEHICLE.receiver(1, fix=1), VEHICLE.position(1))
    assert (fix.quality, fix.satellites, fix.accuracy_m) == ("estimated", None, None)


@pytest.mark.parametrize("exposure", ["camera_trigger", "camera_image_captured"])
def test_an_exposure_is_where_the_vehicle_was_with_the_angles_and_the_distance_of_that_moment(exposure: str) -> None:
    fixes = MavlinkFixes()
    if exposure == "camera_trigger":
        taken = VEHICLE.pack(exposure, int((NOON + 1) * 1e6), 12)
    else:
        taken = VEHICLE.pack(exposure, 101_000, int((NOON + 1) * 1e6), 0, 0, 0, 0, 0, (1, 0, 0, 0), 12, 1, b"")
    found = told(VEHICLE.position(100), VEHICLE.range(100.5, 431), taken, fixes=fixes)
    assert (found[-1].lat, found[-1].time, found[-1].distance_m) == pytest.approx((48.2, NOON + 1, 4.31), abs=1e-6)
    assert fixes.exposures == {12: [found[-1]]}


def test_a_camera_that_knows_its_place_and_direction_is_believed() -> None:
    half = math.radians(-30) / 2
    q = (math.cos(half), 0, math.sin(half), 0)
    taken = VEHICLE.pack("camera_image_captured", 101_000, 0, 0, 485_000_000, 163_700_000, 1000, 0, q, 3, 1, b"")
    fix = only(VEHICLE.clock(99), taken)
    assert (fix.lat, fix.time, fix.pitch_deg) == pytest.approx((48.5, BOOTED + 101, -30.0), abs=1e-3)
    failed = VEHICLE.pack("camera_image_captured", 101_000, 0, 0, 485_000_000, 163_700_000, 1000, 0, q, 3, 0, b"")
    assert told(failed) == []


def test_ardupilots_own_message_of_an_exposure_is_taken_too() -> None:
    fixes = MavlinkFixes()
    taken = VEHICLE.pack(
        "camera_feedback", int((NOON + 2) * 1e6), 1, 0, 41, 485_000_000, 163_700_000, 190.0, 20.0, 0, 0, 0, 0, 0
    )
    (fix,) = told(VEHICLE.range(1, 431), taken, fixes=fixes)
    assert (fix.lat, fix.alt, fix.time, fix.distance_m) == pytest.approx((48.5, 190.0, NOON + 2, 4.31), abs=1e-6)
    assert list(fixes.exposures) == [41]


def test_hostile_values_are_unknown_and_none_is_a_place() -> None:
    fixes = MavlinkFixes()
    bad = [
        VEHICLE.pack("system_time", 2**64 - 1, 1), VEHICLE.pack("attitude", 1, *(math.nan,) * 3, 0, 0, 0),
        VEHICLE.pack("attitude", 1, 1e30, -1e30, 1e30, 0, 0, 0), VEHICLE.position(1, 0, 0), VEHICLE.position(1, 95, 16),
        VEHICLE.position(1, -214.7, 200), VEHICLE.pack("camera_trigger", 2**64 - 1, 2**32 - 1),
        VEHICLE.pack("mount_orientation", 1, *(math.inf,) * 4),
        VEHICLE.pack("gimbal_device_attitude_status", 0, 0, 1, 65535, (math.nan,) * 4, 0, 0, 0, 0),
        VEHICLE.pack("gps_raw_int", 2**64 - 1, 3, 2**31 - 1, -(2**31), 2**31 - 1, 65535, 65535, 0, 0, 255),
    ]  # fmt: skip
    assert told(*bad, fixes=fixes) == []
    assert fixes.vehicle.void == 3
    (fix,) = told(VEHICLE.position(2), fixes=fixes, start=52.0)
    assert (fix.time, fix.pitch_deg, fix.satellites) == (None, None, None)


@given(data=st.binary(max_size=2000), at=st.integers(0, 400), flip=st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_noise_and_damage_on_a_link_never_raise_and_the_next_message_is_heard(data: bytes, at: int, flip: int) -> None:
    parser, fixes = MavlinkParser("a test"), MavlinkFixes()
    sent = bytearray(VEHICLE.heartbeat() + VEHICLE.attitude(1) + VEHICLE.position(1))
    sent[at % len(sent)] ^= flip
    for part in (data, bytes(sent), *[VEHICLE.heartbeat() + VEHICLE.position(2)] * 8):
        for message in parser.feed(part):
            fixes.feed(message, 1.0)
    assert fixes.heard


@given(q=st.tuples(*[st.floats(-1e30, 1e30)] * 4))
def test_a_quaternion_gives_angles_or_none(q: tuple[float, ...]) -> None:
    found = quaternion_angles(q)
    assert found.heading is None or 0 <= found.heading < 360 + 1e-9
    assert found.pitch is None or -90 <= found.pitch <= 90


def flight(seconds: int = 5, clock: float = 0.0) -> bytes:
    """A recording of that many seconds from noon on, by a ground station whose clock is so many seconds ahead."""
    entries = [(NOON + clock, VEHICLE.heartbeat())]
    for second in range(seconds):
        now = 100.0 + second
        entries += [
            (NOON + clock + second, VEHICLE.position(now, 48.2 + second * 1e-5)),
            (NOON + clock + second + 0.1, VEHICLE.range(now + 0.1, 500 + second)),
            (NOON + clock + second + 0.5, VEHICLE.clock(now + 0.5)),
        ]
    return tlog(entries)


def test_a_recording_is_known_by_its_content_and_gives_positions_by_the_vehicles_clock(tmp_path: Path) -> None:
    (tmp_path / "flight.log").write_bytes(flight(clock=7.0))
    log = read_flight_log(tmp_path / "flight.log")
    assert log.times == pytest.approx([NOON + second for second in range(5)], abs=1e-3)
    assert log.skipped == {}
    fix = log.fix_at(NOON + 1.5)
    assert fix is not None
    assert (fix.lat, fix.distance_m) == pytest.approx((48.200015, 5.0))


def test_a_recording_reads_as_pymavlink_reads_it(tmp_path: Path) -> None:
    mavutil = pytest.importorskip("pymavlink.mavutil")
    path = tmp_path / "flight.tlog"
    path.write_bytes(flight())
    theirs, their_log = [], mavutil.mavlink_connection(str(path))
    while (message := their_log.recv_match(type="GLOBAL_POSITION_INT")) is not None:
        theirs.append((message._timestamp, message.lat / 1e7, message.lon / 1e7))
    their_log.close()
    ours = [(fix.time, fix.lat, fix.lon) for fix in read_flight_log(path).fixes]
    assert ours == [pytest.approx(entry, abs=1e-3) for entry in theirs]


def test_without_the_vehicles_date_the_ground_stations_counts(tmp_path: Path) -> None:
    entries = [(NOON, VEHICLE.heartbeat()), (NOON + 3, VEHICLE.position(100))]
    assert read_tlog(tlog(entries), "x").fixes[0].time == pytest.approx(NOON + 3)


@pytest.mark.parametrize("cut", [1, 7, 9, 20, 37])
def test_a_recording_that_was_cut_off_or_damaged_in_the_middle_gives_the_rest(cut: int) -> None:
    whole = flight()
    short = read_tlog(whole[:-cut], "x")
    assert len(short.fixes) == 5
    assert short.skipped == {"damaged": 1}
    middle = len(whole) // 2
    torn = read_tlog(whole[:middle] + b"\xff" * cut + whole[middle + cut :], "x")
    assert len(torn.fixes) >= 4
    assert torn.skipped["damaged"] == 1


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_damage_to_a_recording_raises(data: st.DataObject) -> None:
    found = bytearray(flight(3))
    for _ in range(data.draw(st.integers(1, 20))):
        found[data.draw(st.integers(0, len(found) - 1))] = data.draw(st.integers(0, 255))
    content = read_tlog(bytes(found[: data.draw(st.integers(0, len(found)))]), "x")
    assert isinstance(content, LogContent)
    assert len(content.fixes) <= 3


def test_a_recording_without_a_vehicle_is_refused_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.tlog").write_bytes(tlog([(NOON, VEHICLE.position(1))]))
    with pytest.raises(CrackError, match=r"no position with a time .*No vehicle's heartbeat is in it"):
        read_flight_log(tmp_path / "x.tlog")
    assert not is_tlog(b"$GPGGA,1,2")
    assert not is_tlog(b"")


def test_whoever_lacks_pymavlink_is_told_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys

    (tmp_path / "x.tlog").write_bytes(flight(1))
    for name in [name for name in sys.modules if name.startswith("pymavlink")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymavlink", None)
    with pytest.raises(CrackError) as raised:
        read_flight_log(tmp_path / "x.tlog")
    assert install("mavlink") in str(raised.value)
