"""Folders, videos and journals give the photographs that can be read, and say what is missing."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crack_tf.survey.__main__ import main
from crack_tf.survey.findings import FORMAT, read_survey
from crack_tf.survey.geometry.camera import Locator, Scale
from crack_tf.survey.source import FolderSource, JournalSource, VideoSource, is_video, open_source
from tests.crack_tf.survey.small_flight import exif, wall, write_models
from tflite.device.frames import Sampling
from tflite.device.journal import FILE_NAME, Journal
from tflite.device.sources import open_source as open_on_device
from tflite.device.tiles import Box
from tflite.errors import CrackError, ImageError
from tflite.files import write_json

ALL = lambda name, size: True  # noqa: E731


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def write_journal(folder: Path, end: bool = True) -> Path:
    """Two frames of 224x160: one with a crack in two tiles of 96, one clean, and a gap."""
    cracked = wall(0, [[(20, 40), (200, 50)]])
    moment = {"time": "2025-06-01T09:30:00.000Z", "time_source": "file"}
    told: dict[str, Any] = {**moment, "frame_size": {"w": 224, "h": 160}}
    answer = {
        "score": {"raw": 9, "logit": 3.0, "probability": 0.95},
        "threshold": {"raw": 0, "logit": 0.0, "probability": 0.5},
    }
    gps = {"lat": -33.5, "lon": -70.6, "alt": 12.0}
    with Journal(folder, {"model_sha256": "ab"}, {}) as journal:
        for box in (Box(0, 0, 96, 96), Box(0, 96, 96, 96)):
            tile = cracked.crop((box.x, box.y, box.x + box.w, box.y + box.h))
            journal.positive("00001.jpg", box, {**told, **answer, "model_sha256": "ab", "gps": gps}, png(tile))
        journal.frame("00001.jpg", {**told, "tiles": 6, "positives": 2, "bytes": 1, "dropped": 0})
        journal.frame("00002.jpg", {**told, "tiles": 6, "positives": 0, "bytes": 1, "dropped": 3})
        journal.gap("00003.jpg", {**moment, "reason": "damaged", "bytes": 1, "dropped": 0})
        if end:
            journal.end("finished", {})
    return folder


def test_a_folder_gives_photographs_by_name_and_passes_others_over(tmp_path):
    folder = tmp_path / "DCIM"
    (folder / "100").mkdir(parents=True)
    for name in ("b.png", "100/a.png"):
        wall().save(folder / name, exif=exif())
    (folder / "flight.txt").write_text("log")
    source = open_source(folder, tmp_path / "out", Locator(), 1.0, None)
    assert isinstance(source, FolderSource)
    assert [item.name for item in source.items(ALL)] == ["100/a.png", "b.png"]
    assert "1 file in DCIM" in source.warnings[0]
    frame = next(iter(source.items(ALL))).read()
    assert frame.image.shape == (160, 224, 3)
    assert next(iter(source.items(ALL))).pixels == 160 * 224


def test_the_pictures_of_an_earlier_survey_are_passed_over_and_named(tmp_path):
    folder = tmp_path / "DCIM"
    for place in (folder, folder / "found/pictures", folder / "found/overlays"):
        place.mkdir(parents=True)
        wall().save(place / "a.png")
    write_json(folder / "found/settings.json", {"format": FORMAT, "created": "2026-01-01T00:00:00Z", "settings": {}})
    source = open_source(folder, tmp_path / "out", Locator(), 1.0, None)
    assert [item.name for item in source.items(ALL)] == ["a.png"]
    assert source.warnings == [
        "1 folder in DCIM with results of an earlier run passed over, the first found: its pictures are no photographs."
    ]


def test_only_what_is_wanted_is_given(tmp_path):
    for name in ("a.png", "b.png"):
        wall().save(tmp_path / name)
    source = open_source(tmp_path, tmp_path.parent / "out", Locator(), 1.0, None)
    assert [item.name for item in source.items(lambda name, size: name == "b.png" and size > 0)] == ["b.png"]


def test_a_single_photograph_is_a_source(tmp_path):
    wall().save(tmp_path / "a.png")
    assert open_source(tmp_path / "a.png", tmp_path / "out", Locator(), 1.0, None).count == 1


def test_a_tiny_picture_is_unreadable(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (item,) = open_source(tmp_path / "a.png", tmp_path / "out", Locator(), 1.0, None).items(ALL)
    with pytest.raises(ImageError, match="too small"):
        item.read()


def test_a_journals_tiles_lie_where_they_were(tmp_path):
    source = open_source(write_journal(tmp_path / "j"), tmp_path / "out", Locator(Scale(0.2)), 1.0, None)
    assert isinstance(source, JournalSource)
    first, second = (item.read() for item in source.items(ALL))
    assert first.boxes == (Box(0, 0, 96, 96), Box(0, 96, 96, 96))
    assert np.array_equal(first.image[:96, :192], np.asarray(wall(0, [[(20, 40), (200, 50)]]))[:96, :192])
    assert (first.image[96:] == 128).all()
    assert (first.shot.latitude, first.shot.longitude, first.shot.mm_per_pixel) == (-33.5, -70.6, 0.2)
    assert first.shot.time == 1748770200.0
    assert (second.boxes, second.tiles) == ((), 6)


def test_a_journal_tells_its_gaps_and_lost_frames(tmp_path):
    source = JournalSource(write_journal(tmp_path / "j", end=False), Locator())
    assert [(gap.photo, gap.reason) for gap in source.gaps] == [("00003.jpg", "unreadable"), (FILE_NAME, "missing")]
    assert "cut short" in source.warnings[0]


def test_a_corrupt_line_is_a_gap_and_the_rest_is_surveyed(tmp_path):
    path = write_journal(tmp_path / "j") / FILE_NAME
    lines = path.read_bytes().split(b"\n")
    lines[4] = lines[4].replace(b"00002", b"00009")
    path.write_bytes(b"\n".join(lines))
    models = write_models(tmp_path / "models")
    assert main([str(path.parent), "--out", str(tmp_path / "out"), *models.options]) == 1
    survey = read_survey(tmp_path / "out")
    assert ("damaged record", FILE_NAME) in {(gap.reason, gap.photo) for gap in survey.gaps}
    assert [photo.name for photo in survey.photos] == ["00001.jpg"]
    (finding,) = survey.findings
    assert (finding.validation, finding.latitude) == ("confirmed", -33.5)
    assert finding.length_px == pytest.approx(172, abs=6)  # what the tiles show of it


def test_a_damaged_tile_makes_its_frame_a_gap(tmp_path):
    folder = write_journal(tmp_path / "j")
    next((folder / "tiles").iterdir()).write_bytes(b"damaged")
    item = next(iter(JournalSource(folder, Locator()).items(ALL)))
    with pytest.raises(ImageError, match="is damaged"):
        item.read()


def test_of_a_video_that_cannot_be_read_one_line_is_told(tmp_path: Path) -> None:
    (tmp_path / "cut.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(500))
    # A process of its own: FFmpeg is told to be quiet before its first video, and another test may have opened one.
    command = [sys.executable, "-m", "crack_tf", "survey", str(tmp_path / "cut.mp4"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "cut.mp4 is no video that OpenCV can read here" in line


def test_a_video_that_ends_early_leaves_a_gap(tmp_path):
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "f.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (224, 160))
    for number in range(30):
        writer.write(np.asarray(wall(number)))
    writer.release()
    source = VideoSource(path, Locator(), 0.5, None)
    assert [item.name for item in source.items(ALL)] == [f"f.avi#{number:06d}" for number in range(0, 30, 5)]
    assert source.gaps == []
    source._frames = 99  # as a container says whose end was cut off
    assert len(list(source.items(ALL))) == 6
    assert source.gaps[0].reason == "unreadable"


def test_nothing_there_is_told(tmp_path):
    with pytest.raises(CrackError, match="does not exist"):
        open_source(tmp_path / "x", tmp_path / "out", Locator(), 1.0, None)


def test_what_a_device_journalled_of_distance_and_angles_places_and_scales_its_frames(tmp_path):
    gps = {"lat": -33.5, "lon": -70.6, "alt": 12.0, "heading_deg": 270.0, "pitch_deg": -3.5, "distance_m": 4.0}
    clean = {"time": "2025-06-01T09:30:00.000Z", "time_source": "sensor", "frame_size": {"w": 4000, "h": 3000}}
    with Journal(tmp_path / "flight", {"model_sha256": "ab"}, {}) as journal:
        done = {"tiles": 6, "positives": 0, "bytes": None, "dropped": 0}
        journal.frame("00001", {**clean, **done, "gps": gps})
        journal.frame("00002", {**clean, **done})
        journal.end("finished", {})
    locator = Locator(Scale(focal_mm=10.0, sensor_width_mm=13.2))
    shots = [
        item.read().shot for item in open_source(tmp_path / "flight", tmp_path / "out", locator, 1.0, None).items(ALL)
    ]
    assert (shots[0].latitude, shots[0].heading_deg, shots[0].pitch_deg) == (-33.5, 270.0, -3.5)
    assert (shots[0].distance_m, shots[0].scale_source) == (4.0, "laser")
    assert shots[0].mm_per_pixel == pytest.approx(13.2 / 4000 * 3990 / 10)
    assert (shots[1].latitude, shots[1].mm_per_pixel) == (None, None)


@pytest.mark.parametrize(
    ("name", "value"), [("distance_m", -1.0), ("heading_deg", 400.0), ("pitch_deg", "down"), ("distance_m", None)]
)
def test_a_journal_with_a_distance_or_an_angle_that_no_device_writes_is_refused(tmp_path, name, value):
    moment = {"time": "2025-06-01T09:30:00.000Z", "time_source": "clock", "frame_size": {"w": 40, "h": 30}}
    done = {
        "tiles": 6,
        "positives": 0,
        "bytes": None,
        "dropped": 0,
        "gps": {"lat": 1.0, "lon": 2.0, "alt": None, name: value},
    }
    with Journal(tmp_path / "flight", {"model_sha256": "ab"}, {}) as journal:
        journal.frame("00001", {**moment, **done})
    with pytest.raises(CrackError, match=name):
        open_source(tmp_path / "flight", tmp_path / "out", Locator(), 1.0, None)


@pytest.mark.parametrize("suffix", [".mp4", ".MTS", ".ts", ".mpg", ".mjpeg"])
def test_what_is_a_video_to_a_survey_is_one_to_the_device(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"flight{suffix}"
    path.write_bytes(b"no video")
    assert is_video(path)
    told = ""
    try:
        open_on_device(str(path), Sampling())
    except CrackError as error:
        told = str(error)
    assert "neither a folder nor a video" not in told
