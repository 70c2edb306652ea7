"""A survey's times and places from what drones, phones and loggers write; what has none says why."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crack_tf.survey.__main__ import main
from crack_tf.survey.findings import Survey, read_survey
from crack_tf.survey.geometry.camera import Locator, Scale, Shot
from crack_tf.survey.source import FolderSource, JournalSource, VideoSource
from tests.cases import case
from tests.crack_tf.survey.small_flight import Models, exif, wall, write_models
from tests.tflite.place.photographs import packet
from tests.tflite.videos import say_created, show_for, write_mp4
from tflite.device.journal import Journal
from tflite.device.tiles import Box
from tflite.place.clock import CameraClock, parse_timezone
from tflite.place.flightlog import read_flight_log

LINE = [[(20, 30), (200, 60)]]
ALL = lambda name, size: True  # noqa: E731


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return write_models(tmp_path_factory.mktemp("models"))


def survey(source: Path, out: Path, models: Models, *more: str, code: int = 0) -> Survey:
    assert main([str(source), "--out", str(out), *models.options, *more]) == code
    return read_survey(out)


def shots_in(folder: Path, locator: Locator) -> dict[str, Shot]:
    """What is known about the photographs of a folder, which are not searched."""
    items = FolderSource(folder, folder.parent / "out", locator).items(ALL)
    return {item.name: item.read().shot for item in items}


def test_a_flight_log_of_a_spreadsheets_exporter_places_all_photographs() -> None:
    log = read_flight_log(case("09-csv-sep-line") / "log.csv")
    shots = shots_in(case("09-csv-sep-line") / "DCIM", Locator(log=log))
    assert [shot.latitude for shot in shots.values()] == pytest.approx([48.2, 48.2001, 48.2002])
    assert {shot.unplaced for shot in shots.values()} == {None}


def test_positions_of_xmp_are_places_and_null_island_is_none(tmp_path: Path) -> None:
    shot = shots_in(case("03-xmp-only-position"), Locator())["DJI_0001.jpg"]
    assert (shot.latitude, shot.longitude, shot.altitude_m, shot.heading_deg) == (48.2, 16.37, 180.0, 90.0)
    shot = shots_in(case("05-null-island-device"), Locator())["DJI_0001.jpg"]
    assert (shot.latitude, shot.longitude, shot.altitude_m) == (None, None, None)
    assert shot.unplaced == "its own data hold no position, and there is no flight log"


def test_a_camera_that_looks_down_is_not_taken_to_look_at_a_wall() -> None:
    path = case("drone_photo/DJI_0025.JPG")
    shot = Locator(Scale(mm_per_pixel=10.0)).of_file(path.read_bytes(), 4000, 2250)
    assert (shot.heading_deg, shot.pitch_deg) == (228.0, -89.9)
    assert shot.place(1000, 1000) == (shot.latitude, shot.longitude, shot.altitude_m)


@pytest.mark.slow
def test_null_island_is_no_place_and_says_why(tmp_path: Path, models: Models) -> None:
    (tmp_path / "DCIM").mkdir()
    wall(0, LINE).save(tmp_path / "DCIM" / "zero.png", exif=exif(0, latitude=0.0, longitude=0.0))
    found = survey(tmp_path / "DCIM", tmp_path / "out", models)
    assert found.gaps == ()
    assert found.photos[0].unplaced == "its own data hold no position, and there is no flight log"
    assert any("zero.png: EXIF: the position 0, 0 is no place" in warning for warning in found.warnings)
    assert "no place" in found.photos[0].notes[0]


def write_flight(folder: Path, zone: str | None = "+02:00", count: int = 3) -> Path:
    """Photographs a second apart without a position, the first at 11:30:00 by the camera's clock."""
    folder.mkdir()
    for number in range(count):
        data = exif(number, latitude=None)
        if zone is None:
            del data.get_ifd(0x8769)[0x9011]
        wall(number, LINE).save(folder / f"{number}.png", exif=data)
    return folder


def write_log(path: Path, first: int = 0, last: int = 120, day: str = "2025-06-01") -> Path:
    rows = [
        f"{day}T09:{30 + second // 60}:{second % 60:02d}Z,{48 + second / 1000:.4f},16.4"
        for second in range(first, last)
    ]
    path.write_text("time,lat,lon\n" + "\n".join(rows) + "\n")
    return path


def test_a_slow_clock_is_set_right(tmp_path: Path, models: Models) -> None:
    photos, log = write_flight(tmp_path / "DCIM"), str(write_log(tmp_path / "log.csv"))
    found = survey(photos, tmp_path / "a", models, "--flight-log", log)
    assert [photo.latitude for photo in found.photos] == pytest.approx([48.0, 48.001, 48.002])
    found = survey(photos, tmp_path / "b", models, "--flight-log", log, "--clock-offset", "73")
    assert [photo.latitude for photo in found.photos] == pytest.approx([48.073, 48.074, 48.075])
    assert found.photos[0].time == "2025-06-01T09:31:13.000Z"
    assert found.settings["clock_offset"] == 73
    assert main([str(photos), "--out", str(tmp_path / "b"), *models.options, "--flight-log", log]) == 2


def test_findings_without_a_place_are_counted_with_the_reason(
    tmp_path: Path, models: Models, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, log = write_flight(tmp_path / "DCIM"), str(write_log(tmp_path / "log.csv", day="2024-06-01"))
    found = survey(photos, tmp_path / "a", models, "--flight-log", log, code=1)
    told = "0 of 3 photographs have a position (3: taken before or after the flight log): photographs of 2025-06-01 09:30:00 to"
    (line,) = (warning for warning in found.warnings if warning.startswith(told))
    assert "flight log of 2024-06-01" in line
    assert "have no place" not in line  # which follows
    assert "--clock-offset" in line
    assert told in capsys.readouterr().out
    assert {photo.unplaced for photo in found.photos} == {"taken before or after the flight log"}
    naive = write_flight(tmp_path / "naive", zone=None)
    found = survey(naive, tmp_path / "b", models, "--flight-log", log, code=1)
    assert "give --timezone" in str(found.photos[0].unplaced)
    assert found.photos[0].time is None
    assert any("are --timezone and --clock-offset right?" in warning for warning in found.warnings)
    for path in naive.iterdir():
        wall(0).save(path)
    found = survey(naive, tmp_path / "c", models, "--flight-log", log, code=1)
    (line,) = (warning for warning in found.warnings if "have a position" in warning)
    assert "no time to look one up in the flight log" in line
    assert "survey the files that the camera wrote" in line
    assert "--timezone" not in line


def test_one_photographs_metadata_never_stops_a_survey(tmp_path: Path, models: Models) -> None:
    folder = write_flight(tmp_path / "DCIM")
    absurd = {0: "0001:01:01 00:00:00", 1: "9999:12:31 23:59:59"}
    for number, time in absurd.items():
        data = exif(number)
        data.get_ifd(0x8769)[0x9003] = time
        data.get_ifd(0x8825)[7], data.get_ifd(0x8825)[29] = (1e9, 1e9, 1e9), "9999:99:99"
        wall(number, LINE).save(folder / f"{number}.png", exif=data)
    xmp = packet(
        f'drone-dji:GimbalYawDegree="{"9" * 400}" drone-dji:GimbalPitchDegree="nan" drone-dji:GpsLatitude="1e400"'
    )
    wall(7, LINE).save(folder / "7.jpg", exif=exif(7), xmp=xmp.encode(), quality=95)
    found = survey(folder, tmp_path / "out", models, code=1)
    assert [photo.name for photo in found.photos] == ["0.png", "1.png", "2.png", "7.jpg"]
    assert found.gaps == ()
    noted = {photo.name: photo.notes for photo in found.photos if photo.notes}
    assert set(noted) == {"0.png", "1.png", "7.jpg"}
    assert found.photos[3].heading_deg is None
    coverage = json.loads((tmp_path / "out" / "coverage.geojson").read_text())
    assert any(
        "GimbalYawDegree" in " ".join(feature["properties"].get("notes", [])) for feature in coverage["features"]
    )
    assert any("and 2 more photographs" in warning for warning in found.warnings)
    again = survey(folder, tmp_path / "out", models, code=1)
    assert again.photos == found.photos


def test_a_journal_of_an_earlier_version_brings_no_null_island(tmp_path: Path) -> None:
    told = {"time": "2025-06-01T09:30:00.000Z", "time_source": "exif", "frame_size": {"w": 96, "h": 96}}
    answer = {"raw": 9.0, "logit": 3.0, "probability": 0.95}
    wall(0, LINE, 96, 96).save(tmp_path / "tile.png")
    places = [{"lat": 0, "lon": 0.0, "alt": 0}, None, {"lat": 48.2, "lon": 16.4, "alt": 12}]
    with Journal(tmp_path / "j", {}, {}) as journal:
        for number, place in enumerate(places):
            record = {**told, "score": answer, "threshold": answer, "model_sha256": "ab", "gps": place}
            journal.positive(f"{number}.jpg", Box(0, 0, 96, 96), record, (tmp_path / "tile.png").read_bytes())
            journal.frame(f"{number}.jpg", {**told, "tiles": 1, "positives": 1, "bytes": 1, "dropped": 0})
    source = JournalSource(tmp_path / "j", Locator())
    assert source.gaps == []
    shots = [item.read().shot for item in source.items(ALL)]
    assert [shot.latitude for shot in shots] == [None, None, 48.2]
    assert shots[0].unplaced is not None


# Videos


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Eight frames, shown for 0.25 and 1.75 s in turn."""
    path = write_mp4(tmp_path / "flight.mp4", [np.asarray(wall(number, LINE)) for number in range(8)])
    show_for(path, [0.25, 1.75] * 4)
    return path


def shots_of(source: VideoSource) -> dict[str, tuple[float | None, float | None]]:
    return {item.name[-2:]: (shot.time, shot.latitude) for item in source.items(ALL) for shot in [item.read().shot]}


def test_frames_are_taken_and_dated_by_the_time_at_which_they_are_shown(video: Path) -> None:
    say_created(video, 1748770200)
    source = VideoSource(video, Locator(clock=CameraClock(offset_s=10)), 2.0, None)
    times = {name: time for name, (time, _) in shots_of(source).items()}
    assert times == {"00": 1748770210.0, "02": 1748770212.0, "04": 1748770214.0, "06": 1748770216.0}
    assert "began at 2025-06-01 09:30:10 UTC by its container" in source.warnings[0]


def test_a_copied_video_that_does_not_say_when_it_began_has_no_time(video: Path) -> None:
    source = VideoSource(video, Locator(), 2.0, None)
    assert set(shots_of(source).values()) == {(None, None)}
    assert "does not say when it began: without --video-start" in source.warnings[0]


def advice(found: Survey) -> str:
    (line,) = (warning for warning in found.warnings if "have a position" in warning)
    assert "no time to look one up in the flight log" in line
    return line


def test_a_video_without_a_time_asks_for_its_start_alone(video: Path, tmp_path: Path, models: Models) -> None:
    log = str(write_log(tmp_path / "log.csv"))
    found = survey(video, tmp_path / "out", models, "--flight-log", log, "--every-s", "4", code=1)
    assert "give --video-start, in another --out" in advice(found)
    assert "survey the files" not in " ".join(found.warnings)
    stated = ("--flight-log", log, "--every-s", "4", "--video-start", "2025-06-01T09:30:00Z")
    assert survey(video, tmp_path / "again", models, *stated).photos[0].latitude == pytest.approx(48.0)


def test_a_journal_without_times_asks_for_the_devices_zone(tmp_path: Path, models: Models) -> None:
    told = {"time": None, "time_source": "exif no zone", "frame_size": {"w": 96, "h": 96}}
    with Journal(tmp_path / "j", {}, {}) as journal:
        journal.frame("0.jpg", {**told, "tiles": 1, "positives": 0, "bytes": 1, "dropped": 0})
    log = str(write_log(tmp_path / "log.csv"))
    line = advice(survey(tmp_path / "j", tmp_path / "out", models, "--flight-log", log, code=1))
    assert "give the device --timezone" in line
    assert "survey the files" not in line


def write_subtitles(path: Path) -> Path:
    path.write_text(
        "".join(
            f"{n}\n00:00:0{n - 1},000 --> 00:00:0{n},000\n2025-06-01 11:30:0{n - 1}.000\n[latitude: 48.{n}] [longitude: 16.4] "
            "[rel_alt: 3.0 abs_alt: 183.0] [gb_yaw: 90.0 gb_pitch: -2.0 gb_roll: 0.0]\n\n"
            for n in range(1, 9)
        )
    )
    return path


def test_subtitles_beside_a_video_are_found_by_themselves(video: Path) -> None:
    write_subtitles(video.with_suffix(".SRT"))
    source = VideoSource(video, Locator(), 2.0, None)
    assert [latitude for _, latitude in shots_of(source).values()] == pytest.approx([48.1, 48.3, 48.5, 48.7])
    assert source.warnings == ["flight.SRT beside the video was read: 8 of its 8 blocks have a position."]
    vienna = VideoSource(video, Locator(clock=CameraClock(parse_timezone("Europe/Vienna"))), 2.0, None)
    assert [time for time, _ in shots_of(vienna).values()] == [1748770200.0 + 2 * n for n in range(4)]
    (first, *_) = (item.read().shot for item in vienna.items(ALL))
    assert (first.heading_deg, first.pitch_deg, first.altitude_m) == (90.0, -2.0, 183.0)


def test_subtitles_that_are_named_place_the_frames_of_their_video(video: Path, tmp_path: Path, models: Models) -> None:
    log = write_subtitles(tmp_path / "elsewhere.SRT")
    found = survey(video, tmp_path / "out", models, "--flight-log", str(log), "--every-s", "2")
    assert [photo.latitude for photo in found.photos] == pytest.approx([48.1, 48.3, 48.5, 48.7])
    assert found.gaps == ()


def test_subtitles_are_a_flight_log_of_photographs_too(tmp_path: Path, models: Models) -> None:
    photos, log = write_flight(tmp_path / "DCIM"), str(write_subtitles(tmp_path / "x.SRT"))
    found = survey(photos, tmp_path / "out", models, "--flight-log", log, "--timezone", "Europe/Vienna")
    assert [photo.latitude for photo in found.photos] == pytest.approx([48.1, 48.2, 48.3])
    assert [photo.heading_deg for photo in found.photos] == [90.0] * 3


def test_subtitles_without_a_position_are_refused(
    video: Path, tmp_path: Path, models: Models, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.srt").write_text("1\n")
    command = [str(video), "--out", str(tmp_path / "out"), *models.options, "--flight-log", str(tmp_path / "x.srt")]
    assert main(command) == 2
    assert "holds no position by time in the video" in capsys.readouterr().err
