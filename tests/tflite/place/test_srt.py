"""Drones' subtitles: every family gives time, place, altitude and angles, a row a block; broken blocks are named and passed over."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cases import case
from tflite.errors import CrackError
from tflite.place.clock import CameraClock, parse_timezone
from tflite.place.fix import Angles
from tflite.place.flightlog import read_flight_log
from tflite.place.srt import SrtBlock, is_srt, read_srt
from tflite.place.video import VideoTrack

TIMED = "1\n00:00:01,500 --> 00:00:02,000\n"
BRACKETS = "[iso : 100] [focal_len : 240] [latitude: -6.424724] [longitude: 107.234156]"
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "brackets": (
        TIMED + f'<font size="36">SrtCnt : 1, DiffTime : 33ms\n2022-08-07 13:40:40,774,808\n{BRACKETS} [altitude: 42.5] </font>',
        {"local": datetime(2022, 8, 7, 13, 40, 40, 774808), "altitude_m": 42.5},
    ),
    "brackets with both altitudes and the gimbal": (
        TIMED + f"FrameCnt: 1, DiffTime: 33ms\n2022-08-07 13:40:40.774\n{BRACKETS} [rel_alt: 12.3 abs_alt: 192.4] "
        "[gb_yaw: -30.0 gb_pitch: -45.0 gb_roll: 1.0]",
        {
            "local": datetime(2022, 8, 7, 13, 40, 40, 774000),
            "altitude_m": 192.4,
            "relative_altitude_m": 12.3,
            "angles": Angles(330.0, -45.0, 1.0),
        },
    ),
    "the maker's spelling": (
        TIMED + "2022-08-07 13:40:40\n[latitude : -6.424724] [longtitude : 107.234156]",
        {"local": datetime(2022, 8, 7, 13, 40, 40)},
    ),
    "without a time in the video": (
        "1\n2022.08.07 13:40:40,774,808,774,808\n[latitude : -6.424724] [longtitude : 107.234156] [iso : 100]",
        {"local": datetime(2022, 8, 7, 13, 40, 40, 774808), "start_s": None},
    ),
    "a list with satellites": (
        TIMED + "HOME(107.2,-6.4) 2022.8.7 13:40:40\nGPS(107.234156,-6.424724,16) BAROMETER:1.9\nISO:100 Shutter:60 EV: Fnum:2.2",
        {"local": datetime(2022, 8, 7, 13, 40, 40), "relative_altitude_m": 1.9},
    ),
    "an older list": (
        TIMED + "HOME(107.2,-6.4) 2022.8.7 13:40:40\nGPS(107.234156,-6.424724,16) Hb:1.9 Hs:2.9\nISO:100 TV:60 EV: 0 IR:F2.8",
        {"local": datetime(2022, 8, 7, 13, 40, 40), "relative_altitude_m": 1.9},
    ),
    "a list with an altitude": (
        TIMED.replace("\n", "\r\n") + "2022.08.07 13:40:40\r\nGPS(-6.424724,107.234156,3.5M) BAROMETER:83.8M\r\n",
        {"local": datetime(2022, 8, 7, 13, 40, 40), "altitude_m": 3.5, "relative_altitude_m": 83.8},
    ),
    "one line": (
        TIMED + "F/2.8, SS 30.15, ISO 260, EV -1.7, GPS (107.234156, -6.424724, 17), D 221.21m, H 200.70m, H.S n/a, V.S n/a ",
        {"relative_altitude_m": 200.7},
    ),
    "one line with angles": (
        TIMED + "F/5.6, SS 400, ISO 100, EV 0, RTK (107.234156, -6.424724, 15), HOME (107.2, -6.4, -57.98m), D 8.7m, H -85.8m, "
        "H.S 0.00m/s, V.S 0.00m/s, F.PRY (2.7°, -7.0°, 110.1°), G.PRY (-24.4°, 0.5°, -110.4°)",
        {"relative_altitude_m": -85.8, "angles": Angles(249.6, -24.4, 0.5)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_read(family: str) -> None:
    text, expected = FAMILIES[family]
    assert is_srt(text.encode())
    track = read_srt(text.encode())
    wanted: dict[str, Any] = {
        "number": 1,
        "start_s": 1.5,
        "end_s": 2.0,
        "local": None,
        "altitude_m": None,
        "relative_altitude_m": None,
        "place": (-6.424724, 107.234156),
        "angles": Angles(),
        **expected,
    }
    if wanted["start_s"] is None:
        wanted["end_s"] = None
    assert track.blocks == (SrtBlock(**wanted),)
    assert track.content.skipped == {}


def test_a_latitude_that_cannot_be_turns_the_order_of_the_whole_file() -> None:
    blocks = "".join(
        f"{number}\n00:00:0{number},000 --> 00:00:0{number},900\nGPS(-6.4,{lon},12) BAROMETER:2\n\n"
        for number, lon in ((1, 89.0), (2, 107.2))
    )
    assert [block.place for block in read_srt(blocks.encode()).blocks] == [(-6.4, 89.0), (-6.4, 107.2)]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (BRACKETS.replace("107.234156]", "107.23"), "block 2: it is cut off"),
        ("GPS(107.2,-6.4", "block 2: it is cut off"),
        (BRACKETS.replace("-6.424724", "-96.4"), "block 2: -96.4, 107.234 is no place on earth"),
        ("[latitude: -6.4] [iso: 100]", "block 2: half a position"),
        ("[latitude: north] [longitude: 7]", "block 2: 'north' is no number"),
        ("GPS(N/A,N/A,3) BAROMETER:0.0", "block 2: no position"),
        ("[latitude: 0.000000] [longitude: 0.000000]", "block 2: no fix (0, 0)"),
        ("2022-13-07 13:40:40\n" + BRACKETS, "block 2: 2022-13-07 is no date"),
        ("0001-01-01 00:00:00\n" + BRACKETS, "block 2: the year 1 is none"),
    ],
)
def test_a_block_that_cannot_be_is_named_and_the_others_are_read(body: str, told: str) -> None:
    text = "".join(
        f"{number}\n00:00:0{number},000 --> 00:00:0{number},900\n{body if number == 2 else BRACKETS}\n\n"
        for number in (1, 2, 3)
    )
    track = read_srt(text.encode())
    assert [block.number for block in track.blocks if block.place is not None] == [1, 3]
    assert track.content.problems[0].startswith(told)
    assert sum(track.content.skipped.values()) == 1


COUNTS = {
    "MAVIC3.srt": (40, 40),
    "air2s.srt": (17, 17),
    "broken_empty2.SRT": (0, 0),
    "broken_incomplete.SRT": (20, 19),
    "broken_incomplete2.SRT": (4, 4),
    "m2zoom.SRT": (40, 40),
    "matrice_300.srt": (60, 60),
    "mavic_2_style.SRT": (60, 60),
    "mavic_2pro_new.SRT": (40, 40),
    "mavic_air.SRT": (2, 0),
    "mavic_air2.srt": (25, 25),
    "mavic_mini.SRT": (60, 60),
    "mavic_pro.SRT": (60, 60),
    "mavic_pro_buggy.SRT": (60, 44),
    "mix_p4rtk_mavic2pro.srt": (12, 12),
    "old_format.SRT": (60, 60),
    "p4_rtk.SRT": (55, 55),
    "p4p_sample.SRT": (5, 5),
}
FIRST_PLACES = {
    "MAVIC3.srt": (8.41531, -8.3744),
    "matrice_300.srt": (41.6146, -11.112),
    "mavic_pro.SRT": (-25.2533, 34.0251),
    "mavic_2_style.SRT": (-25.2533, 34.0251),
    "old_format.SRT": (-25.2533, 34.0251),
    "p4_rtk.SRT": (-39.237922, -23.851745),
    "mavic_mini.SRT": (13.0771, -6.7458),
    "mix_p4rtk_mavic2pro.srt": (-39.6502, -24.409424),
    "p4p_sample.SRT": (12.4692, 13.209),
    "mavic_2pro_new.SRT": (-40.080155, -25.286702),
    "m2zoom.SRT": (36.452012, 39.398751),
    "air2s.srt": (6.424724, 7.234156),
}


@pytest.mark.parametrize("name", COUNTS)
def test_the_families_of_a_public_collection_are_read_a_row_a_block(name: str) -> None:
    data = case(f"srt/{name}").read_bytes()
    track = read_srt(data)
    assert (len(track.blocks), sum(block.place is not None for block in track.blocks)) == COUNTS[name]
    assert len(track.blocks) + track.content.skipped["damaged"] == data.count(b"-->") or name in (
        "broken_empty2.SRT",
        "mavic_2_style.SRT",
    )
    if name in FIRST_PLACES:
        assert track.blocks[0].place == FIRST_PLACES[name]
    if name not in ("mavic_2_style.SRT", "mavic_2pro_new.SRT"):  # which write none
        heights = [(block.altitude_m, block.relative_altitude_m) for block in track.blocks if block.place is not None]
        assert (None, None) not in heights


def test_angles_of_the_collection_are_the_gimbals() -> None:
    track = read_srt(case("srt/p4_rtk.SRT").read_bytes())
    assert track.blocks[0].angles == Angles(110.4, -24.4, 0.0)
    assert track.above_takeoff


def test_the_same_flight_in_two_formats_has_the_same_places() -> None:
    one, other = (read_srt(case(f"srt/{name}").read_bytes()) for name in ("mavic_pro.SRT", "mavic_2_style.SRT"))
    assert [block.place for block in one.blocks] == [block.place for block in other.blocks]
    mixed = read_srt(case("srt/mix_p4rtk_mavic2pro.srt").read_bytes())
    lats = [block.place[0] for block in mixed.blocks if block.place is not None]
    assert max(lats) - min(lats) < 0.002


# As a flight log


def test_subtitles_with_dates_are_a_flight_log(tmp_path: Path) -> None:
    path = case("11-dji-srt") / "DJI_0001.SRT"
    log = read_flight_log(path, "+02:00")
    assert log.times[0] == 1748772000.0
    assert (log.fixes[0].lat, log.fixes[0].lon, log.fixes[0].alt) == (48.2, 16.37, 192.3)
    with pytest.raises(
        CrackError, match=r"block 1: the time '2025-06-01 12:00:00' has no time zone\. Give it, such as --timezone"
    ):
        read_flight_log(path)


def test_subtitles_without_dates_need_the_videos_start(tmp_path: Path) -> None:
    path = tmp_path / "x.SRT"
    path.write_text(FAMILIES["one line"][0], encoding="utf-8")
    with pytest.raises(CrackError, match=r"its blocks have no date.*--video-start"):
        read_flight_log(path, "UTC")
    log = read_flight_log(path, None, 1748772000.0)
    assert log.times == [1748772001.5]
    assert log.fixes[0].alt == 200.7
    assert log.above_takeoff


@pytest.mark.parametrize("text", ["1\n", "", "1\n00:00:00,000 --> 00:00:01,000\nHello, world.\n\n"])
def test_subtitles_that_hold_no_position_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.srt").write_text(text)
    with pytest.raises(CrackError, match="holds no position with a time"):
        read_flight_log(tmp_path / "x.srt", "UTC")


# Beside a video


def test_frames_are_placed_by_the_time_at_which_they_are_shown() -> None:
    text = "".join(
        f"{number}\n00:00:0{number},000 --> 00:00:0{number + 1},000\nGPS(16.{number},48.{number},12) BAROMETER:2{number}\n\n"
        for number in (1, 2, 3)
    )
    track = VideoTrack(read_srt(text.encode()))
    assert len(track) == 3
    for seconds, lat in ((0.0, 48.1), (1.0, 48.1), (1.5, 48.15), (3.0, 48.3), (3.9, 48.3), (4.4, 48.3)):
        fix = track.at(seconds)
        assert fix is not None
        assert fix.lat == pytest.approx(lat)
        assert fix.time is None
    assert track.at(4.6) is None
    assert not VideoTrack(read_srt(b"1\n"))


def test_a_hole_in_the_subtitles_is_no_position() -> None:
    text = "".join(
        f"{second}\n00:00:{second:02d},000 --> 00:00:{second + 1:02d},000\nGPS(16,48,12) BAROMETER:2\n\n"
        for second in (1, 20)
    )
    assert VideoTrack(read_srt(text.encode())).at(10.0) is None


def test_subtitles_say_when_the_video_began() -> None:
    track = read_srt(FAMILIES["brackets"][0].encode())
    assert track.start(CameraClock()) is None
    assert track.start(CameraClock(parse_timezone("UTC"), 10)) == pytest.approx(
        datetime.fromisoformat("2022-08-07T13:40:40.774808+00:00").timestamp() - 1.5 + 10
    )
