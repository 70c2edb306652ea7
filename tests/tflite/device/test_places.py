"""The device's positions: what is none never becomes one, clocks are read as the survey reads them, and a person is told why."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.dark_model import write_dark_model
from tests.tflite.place.mavlink_bytes import on_board
from tests.tflite.place.photographs import packet, photograph, position
from tests.tflite.videos import say_created, show_for, write_mp4
from tflite.device.frames import Progress, Sampling
from tflite.device.gps import open_gps, tpv_fix
from tflite.device.journal import read_journal
from tflite.device.run import main
from tflite.device.sources import open_source
from tflite.metrics import sigmoid
from tflite.place.fix import Fix
from tflite.place.nmea import checksum
from tflite.sidecar import Threshold, raw_threshold

NOON = 1748779200.0  # 2025-06-01T12:00:00Z
SIDE = 32
MRK = "{}\t{}.0\t[2369]\t0,N\t0,E\t0,V\t48.{},Lat\t16.37,Lon\t190.0,Ellh\t0.01, 0.01, 0.02\t50,Q\n"


def rmc(second: int, lat: str = "4712.0000,N", lon: str = "01622.2000,E", status: str = "A", mode: str = "A") -> bytes:
    body = f"GPRMC,1200{second:02d}.00,{status},{lat},{lon},0,0,010625,,,{mode}"
    return f"${body}*{checksum(body):02X}\r\n".encode()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that calls every grey tile cracked."""
    path = tmp_path_factory.mktemp("places") / "dark.tflite"
    logit = -4.5
    raw = raw_threshold(logit, 1 / 16, 128, "uint8")
    write_dark_model(path, threshold=Threshold(float(sigmoid(logit)), logit, raw, 0.99, "val"))
    return path


@pytest.fixture
def run(model: Path, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Run the loop over a source and give the journal's positives, one a frame."""

    def call(source: Path, *more: str) -> Any:
        out = tmp_path / f"out{len(list(tmp_path.glob('out*')))}"
        command = [
            "--source",
            str(source),
            "--model",
            str(model),
            "--out",
            str(out),
            "--threads",
            "1",
            "--tile-size",
            "480",
        ]
        assert main([*command, *more]) == 0
        return read_journal(out).positives

    return call


def folder_of(tmp_path: Path, *photographs: bytes) -> Path:
    folder = tmp_path / "DCIM"
    folder.mkdir()
    for number, data in enumerate(photographs):
        (folder / f"{number}.jpg").write_bytes(data)
    return folder


def test_null_island_and_void_fixes_are_no_position_and_xmp_is_one(
    run: Callable[..., list[dict[str, Any]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = position(_2=(0.0, 0.0, 0.0), _4=(0.0, 0.0, 0.0))
    xmp = packet('drone-dji:GpsLatitude="48.2" drone-dji:GpsLongitude="16.37" drone-dji:AbsoluteAltitude="180"')
    folder = folder_of(
        tmp_path, photograph(nowhere), photograph(position(_9="V")), photograph(position()), photograph(xmp=xmp)
    )
    found = [positive["gps"] for positive in run(folder, "--gps", "exif")]
    assert found[:2] == [None, None]
    assert [(gps["lat"], gps["source"]) for gps in found[2:]] == [(-33.86, "exif"), (48.2, "xmp")]
    told = capsys.readouterr().err
    assert "2 of 4 positives have a position (2: their own data hold no position)" in told
    assert (
        "some photographs state what cannot be, and that was left out. The first is 0.jpg: EXIF: the position" in told
    )


def test_receivers_that_say_zero_or_void_give_no_position(tmp_path: Path) -> None:
    path = tmp_path / "t.nmea"
    path.write_bytes(rmc(1, "0000.0000,N", "00000.0000,E") + rmc(2, mode="N") + rmc(3, status="V") + rmc(9))
    gps = open_gps(str(path), max_age=5)
    assert gps.at(NOON + 1, None) is None
    assert gps.at(NOON + 9, None) is not None
    assert tpv_fix({"class": "TPV", "mode": 3, "lat": 0, "lon": 0.0}, {}) is None
    assert open_gps("exif").at(NOON, Fix(0.0, 0.0)) is None


def test_a_camera_clock_without_a_zone_is_read_as_the_survey_reads_it(
    run: Callable[..., list[dict[str, Any]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, photograph(None, {0x9003: "2025:06:01 14:00:05"}))
    (tmp_path / "t.nmea").write_bytes(b"".join(rmc(second) for second in range(59)))
    track = str(tmp_path / "t.nmea")
    (positive,) = run(folder, "--gps", track)
    assert (positive["time"], positive["time_source"], positive["gps"]) == (None, "exif no zone", None)
    assert "does not say its time zone, so the flight log cannot be asked: give --timezone" in capsys.readouterr().err
    for options in (["--timezone", "Europe/Vienna"], ["--timezone", "+02:00"], ["--utc-offset", "2"]):
        (positive,) = run(folder, "--gps", track, *options)
        assert (positive["time"], positive["gps"]["age_s"]) == ("2025-06-01T12:00:05.000Z", 0.0)
    (positive,) = run(folder, "--gps", track, "--utc-offset", "2", "--clock-offset", "10")
    assert positive["time"] == "2025-06-01T12:00:15.000Z"
    (positive,) = run(folder, "--gps", track, "--utc-offset", "2", "--clock-offset", "-5")
    assert positive["time"] == "2025-06-01T12:00:00.000Z"


def test_a_file_that_is_just_being_written_dates_a_clock_without_a_zone(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, photograph(None, {0x9003: "2025:06:01 14:00:05"}))
    os.utime(folder / "0.jpg", (NOON, NOON))
    for follow, expected in ((True, (NOON, "file")), (False, (None, "exif no zone"))):
        progress = Progress({}, {}, 1, threading.Event())
        frame = next(open_source(str(folder), Sampling(), follow).frames(progress))
        assert (frame.time, frame.time_source) == expected


@pytest.mark.parametrize("suffix", ["gpx", "csv"])
def test_a_track_of_any_kind_is_taken(run: Callable[..., list[dict[str, Any]]], tmp_path: Path, suffix: str) -> None:
    folder = folder_of(tmp_path, photograph(None, {0x9003: "2025:06:01 14:00:05", 0x9011: "+02:00"}))
    track = tmp_path / f"t.{suffix}"
    if suffix == "csv":
        track.write_text("sep=;\ndatetime;lat;lon\n1.6.2025 14:00:05;48,2;16,37\n")
    else:
        track.write_text(
            '<gpx><trk><trkseg><trkpt lat="48.2" lon="16.37"><time>2025-06-01T12:00:05Z</time></trkpt></trkseg></trk></gpx>'
        )
    (positive,) = run(folder, "--gps", str(track), "--timezone", "Europe/Vienna")
    assert (positive["gps"]["lat"], positive["gps"]["source"]) == (48.2, f"{suffix} file")


def test_photographs_of_a_drone_with_rtk_are_placed_by_their_numbers(
    run: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    """Exposures a second apart, photographs whose clock does not say its zone, and one of another flight."""
    folder = tmp_path / "DCIM"
    folder.mkdir()
    track = tmp_path / "100_0005_Timestamp.MRK"
    track.write_text("".join(MRK.format(number, 43200 + 18 + number, number) for number in (1, 2, 3)))
    for name in ("100_0005_0001.JPG", "100_0005_0003.JPG", "100_0006_0002.JPG"):
        (folder / name).write_bytes(photograph(None, {0x9003: "2025:06:01 14:07:00"}))
    found = [positive["gps"] for positive in run(folder, "--gps", str(track))]
    assert [gps and (gps["lat"], gps["source"]) for gps in found] == [(48.1, "mrk file"), (48.3, "mrk file"), None]


# Videos


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Six frames, shown for 0.5 and 1.5 s in turn, of 2025-06-01 by its container and of 2026 by its file."""
    path = write_mp4(tmp_path / "phone.mp4", [np.full((480, 480, 3), 90, np.uint8)] * 6)
    show_for(path, [0.5, 1.5] * 3)
    say_created(path, NOON)
    os.utime(path, (1782900000, 1782900000))
    return path


def test_frames_are_dated_by_the_time_at_which_they_are_shown(
    run: Callable[..., list[dict[str, Any]]], video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.nmea").write_bytes(b"".join(rmc(second, f"471{second}.0000,N") for second in range(7)))
    positives = run(video, "--gps", str(tmp_path / "t.nmea"), "--gps-max-age", "0.6")
    seconds = ["00.000", "00.500", "02.000", "02.500", "04.000", "04.500"]
    assert [positive["time"][-7:-1] for positive in positives] == seconds
    assert {positive["time_source"] for positive in positives} == {"video container"}
    assert all(positive["gps"] is not None for positive in positives)
    assert "began at 2025-06-01 12:00:00 UTC by its container" in capsys.readouterr().err
    stated = run(video, "--video-start", "2025-06-01T14:00:10+02:00", "--clock-offset", "-10", "--every", "2")
    assert [positive["time"][-7:-1] for positive in stated] == seconds[::2]
    assert stated[0]["time_source"] == "video stated"
    assert len(run(video, "--fps", "0.5")) == 3


def test_a_copied_video_that_does_not_say_when_it_began_is_told_with_both_years(
    run: Callable[..., list[dict[str, Any]]], video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say_created(video, -2_082_844_800)
    os.utime(video, (1782900000, 1782900000))
    (tmp_path / "t.nmea").write_bytes(b"".join(rmc(second) for second in range(7)))
    positives = run(video, "--gps", str(tmp_path / "t.nmea"))
    assert {positive["gps"] for positive in positives} == {None}
    told = capsys.readouterr().err
    assert (
        "its frames are dated by its file (2026-07-01 09:59:54 UTC), which a copy changes. Give --video-start" in told
    )
    assert "0 of 6 positives have a position (6: taken before or after the flight log): video of 2026-07-01" in told
    assert "flight log of 2025-06-01" in told
    summary = json.loads((tmp_path / "out0" / "journal.jsonl").read_text().splitlines()[-1])["summary"]
    assert (summary["positives"], summary["positives_with_position"]) == (6, 0)


def subtitles(count: int = 6) -> str:
    return "".join(
        f"{n}\n00:00:0{n - 1},000 --> 00:00:0{n},000\n2025-06-01 14:00:0{n - 1}\n[latitude: 48.{n}] [longitude: 16.37] "
        f"[rel_alt: 1.0 abs_alt: 18{n}.0]\n\n"
        for n in range(1, count + 1)
    )


def test_subtitles_beside_a_video_place_its_frames_by_themselves(
    run: Callable[..., list[dict[str, Any]]], video: Path, tmp_path: Path
) -> None:
    video.with_suffix(".SRT").write_text(subtitles())
    positives = run(video, "--timezone", "Europe/Vienna")
    assert [positive["gps"]["lat"] for positive in positives] == pytest.approx([48.1, 48.15, 48.3, 48.35, 48.5, 48.55])
    assert (positives[0]["gps"]["source"], positives[0]["gps"]["alt"]) == ("srt", 181.0)
    assert (positives[1]["time"], positives[1]["time_source"]) == ("2025-06-01T12:00:00.500Z", "video subtitles")
    elsewhere = tmp_path / "elsewhere.srt"
    video.with_suffix(".SRT").rename(elsewhere)
    named = run(video, "--gps", str(elsewhere))
    assert [positive["gps"]["lat"] for positive in named] == [positive["gps"]["lat"] for positive in positives]


def test_subtitles_that_hold_nothing_are_refused(
    model: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.srt").write_text("1\n")
    command = [
        "--source",
        str(video),
        "--model",
        str(model),
        "--out",
        str(tmp_path / "out"),
        "--gps",
        str(tmp_path / "x.srt"),
    ]
    assert main(command) == 2
    assert "holds no position by time in the video (1 damaged (block 1: it is empty))" in capsys.readouterr().err


def test_clocks_and_settings_that_changed_are_another_run(
    run: Callable[..., list[dict[str, Any]]], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, photograph(position()))
    run(folder, "--clock-offset", "5")
    command = ["--source", str(folder), "--model", str(model), "--out", str(tmp_path / "out0"), "--tile-size", "480"]
    assert main(command) == 2
    assert "clock_offset was 5.0, now None" in capsys.readouterr().err


def test_a_videos_start_is_of_a_video(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of(tmp_path, photograph(position()))
    command = ["--source", str(folder), "--model", str(model), "--out", str(tmp_path / "out")]
    assert main([*command, "--video-start", "2025-06-01T12:00:00Z"]) == 2
    assert "is no video. Leave it out" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_flight_controllers_log_places_frames_with_distance_and_angles_also_those_without_a_crack(
    run: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    taken = {0x9003: "2025:06:01 12:00:02", 0x9011: "+00:00"}
    folder = folder_of(tmp_path, photograph(None, taken))
    (tmp_path / "flight.bin").write_bytes(on_board())
    (positive,) = run(folder, "--gps", str(tmp_path / "flight.bin"))
    assert (positive["gps"]["lat"], positive["gps"]["source"]) == (pytest.approx(48.20002, abs=2e-5), "bin file")
    assert (positive["gps"]["heading_deg"], positive["gps"]["pitch_deg"], positive["gps"]["distance_m"]) == (
        270.0,
        -2.5,
        5.125,
    )
    (done,) = read_journal(next(tmp_path.glob("out*"))).frames.values()
    assert done["gps"] == positive["gps"]
