"""Logs that ArduPilot writes on board: the same as pymavlink reads, and whatever is left of a damaged one."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tflite.place.mavlink_bytes import MILLISECONDS, NOON, WEEK, described, logged, on_board
from tflite.errors import CrackError
from tflite.place.dataflash import is_dataflash, read_dataflash
from tflite.place.flightlog import read_flight_log


def test_positions_are_the_controllers_with_angles_distance_and_the_receivers_accuracy(tmp_path: Path) -> None:
    path = tmp_path / "00000042.BIN"
    path.write_bytes(on_board())
    log = read_flight_log(path)
    own = [fix for fix in log.fixes if round(fix.lat, 3) == 48.2]
    assert [fix.time for fix in own] == pytest.approx([NOON + t for t in (0.001, 1.001, 2.001, 2.5, 3.001, 4.001)])
    fix = own[1]
    assert (fix.lat, fix.lon, fix.alt) == pytest.approx((48.20001, 16.37, 180.5))
    assert (fix.quality, fix.satellites, fix.hdop, fix.accuracy_m) == ("dgps", 17, 0.7, 0.35)
    assert (fix.heading_deg, fix.pitch_deg, fix.roll_deg, fix.distance_m) == (270.0, -2.5, 1.0, 5.125)
    assert log.skipped == {}
    assert log.exposures[7].time == pytest.approx(NOON + 2.5)


def test_a_log_reads_as_pymavlink_reads_it(tmp_path: Path) -> None:
    reader = pytest.importorskip("pymavlink.DFReader", reason="pymavlink is not installed")
    path = tmp_path / "x.bin"
    path.write_bytes(on_board())
    theirs, their_log = [], reader.DFReader_binary(str(path))
    while (message := their_log.recv_match(type=["POS"])) is not None:
        theirs.append((message._timestamp, message.Lat, message.Lng, message.Alt))
    ours = [(fix.time, fix.lat, fix.lon, fix.alt) for fix in read_flight_log(path).fixes]
    assert len(theirs) == 5
    for entry in theirs:
        assert min(abs(entry[0] - found[0]) for found in ours) < 0.01
        assert any(entry[1:] == pytest.approx(found[1:]) for found in ours)


def test_without_the_controllers_position_the_receivers_is_taken_and_none_without_a_fix() -> None:
    data = described("GPS")
    for second, status in ((0, 3), (1, 1), (2, 3)):
        at = second * 1_000_000
        data += logged("GPS", at, 0, status, MILLISECONDS, WEEK, 9, 90, 483_000_000, 163_700_000, 100, 0, 0, 0, 0, 1)
    data += logged("GPS", 3_000_000, 1, 3, MILLISECONDS, WEEK, 9, 90, 10_000_000, 163_700_000, 100, 0, 0, 0, 0, 1)
    assert [fix.lat for fix in read_dataflash(data).fixes] == [48.3, 48.3]


def test_a_log_without_a_date_says_that_it_has_none(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(described("POS") + logged("POS", 1, 482_000_000, 163_700_000, 1, 1, 1))
    with pytest.raises(CrackError, match="1 no date or time"):
        read_flight_log(tmp_path / "x.bin")


def test_values_that_cannot_be_are_left_out() -> None:
    data = on_board(range(1))
    data += logged("POS", 101_000_000, 2_000_000_000, 163_700_000, 1, 1, 1)  # latitude 200
    data += logged("POS", 102_000_000, 482_000_000, 163_700_000, math.nan, 1, 1)
    data += logged("RFND", 102_100_000, 0, math.inf, 4, 0, 0) + logged(
        "ATT", 102_100_000, 0, math.nan, 0, 0, 0, math.nan, 0
    )
    data += logged("POS", 102_200_000, 482_000_000, 163_700_000, 5, 1, 1)
    content = read_dataflash(data)
    assert content.skipped["no fix (0, 0)"] == 1
    assert content.skipped["damaged"] == 3
    assert content.fixes[-1].distance_m is None


@pytest.mark.parametrize("cut", [1, 2, 3, 17, 40])
def test_a_log_that_was_cut_off_gives_what_was_before(cut: int) -> None:
    content = read_dataflash(on_board()[:-cut])
    assert sum(round(fix.lat, 3) == 48.2 for fix in content.fixes) == 5
    assert content.skipped == ({"damaged": 1} if cut < 50 else {})


def test_a_torn_block_in_the_middle_costs_only_itself() -> None:
    whole = on_board(range(10))
    middle = len(whole) // 2
    content = read_dataflash(whole[:middle] + bytes(64) + whole[middle + 64 :])
    assert len(content.fixes) >= 10
    assert content.skipped["damaged"] == 1
    assert content.problems[0].startswith("byte ")


@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_no_damage_raises(data: st.DataObject) -> None:
    found = bytearray(on_board(range(3)))
    for _ in range(data.draw(st.integers(1, 20))):
        found[data.draw(st.integers(0, len(found) - 1))] = data.draw(st.integers(0, 255))
    for fix in read_dataflash(bytes(found)).fixes:
        assert -90 <= fix.lat <= 90
        assert fix.distance_m is None or 0 < fix.distance_m < 1001


def test_other_files_are_no_such_logs() -> None:
    assert not is_dataflash(b"")
    assert not is_dataflash(b"$GPRMC,")
    assert not is_dataflash(b"\xa3\x95\x81")
