"""The inputs from outside that this package once got wrong, by the verbs that people call, on the workstation and on the device.

What each is, and what is right about it, stands in the README of its folder. `BY_HAND` names the tests of those that hold no input.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crack_tf.data.__main__ import main as data
from crack_tf.models.shipped import find_model
from crack_tf.photo.__main__ import main as photo
from crack_tf.predict import main as predict
from crack_tf.survey.__main__ import main as survey
from crack_tf.survey.findings import Survey, read_survey
from crack_tf.survey.searching.validate import LEFT_OUT
from tests.cases import case
from tflite.device.gps import open_gps
from tflite.device.journal import read_journal
from tflite.device.run import main as device
from tflite.images import decode_rgb
from tflite.manifest import Manifest, read_manifest
from tflite.masks import load_mask
from tflite.place.clock import parse_time

# The classifier that the cases were found with: it calls each of their cracks a crack.
MODEL = "mobilenet_v2_mixed"
BY_HAND = {
    "17-own-models": ("tests/crack_tf/test_adopt.py", "test_the_files_that_people_brought_are_adopted"),
    "24-bundle-check-golden": (
        "tests/tflite/device/test_check.py",
        "test_what_the_workstation_got_wrong_too_is_the_models_error",
    ),
    "27-camera-clock-offset": ("tests/crack_tf/survey/test_places.py", "test_a_slow_clock_is_set_right"),
    "28-video-copied": (
        "tests/tflite/device/test_places.py",
        "test_a_copied_video_that_does_not_say_when_it_began_is_told_with_both_years",
    ),
    "srt": ("tests/tflite/place/test_srt.py", "read_srt"),
}


def test_every_case_is_a_test() -> None:
    here = Path(__file__)
    text = here.read_text(encoding="utf-8")
    for folder in sorted(path for path in case("").iterdir() if path.is_dir()):
        file, name = BY_HAND.get(folder.name, (f"tests/{here.name}", f'case("{folder.name}'))
        covered = text if file == f"tests/{here.name}" else (here.parents[1] / file).read_text(encoding="utf-8")
        assert name in covered, folder.name


@dataclass(frozen=True)
class Seen:
    """What a verb makes of a folder of photographs.

    Attributes:
        positives: number of cracked tiles of each photograph that was read.
        gaps: why the others were not.
    """

    positives: dict[str, int]
    gaps: dict[str, str]


def surveyed(folder: Path, out: Path, *more: str, code: int | None = None) -> Survey:
    options = ["--model", MODEL, "--segmenter", "none", "--foreground", "none", "--jobs", "2"]
    found = survey([str(folder), "--out", str(out), *options, *more])
    assert found in ((0, 1) if code is None else (code,))
    return read_survey(out)


def flown(folder: Path, out: Path, *more: str) -> Any:
    model = find_model(MODEL)
    options = ["--model", str(model.path), "--threads", "1", "--overlap", "0.25"]
    code = device(["--source", str(folder), "--out", str(out), *options, *more])
    journal = read_journal(out)
    assert code == int(bool(journal.gaps))
    return journal


def on_workstation(folder: Path, tmp_path: Path) -> Seen:
    found = surveyed(folder, tmp_path / "survey")
    gaps = {gap.photo: gap.detail for gap in found.gaps if gap.reason == "unreadable"}
    return Seen({each.name: each.positives for each in found.photos}, gaps)


def on_device(folder: Path, tmp_path: Path) -> Seen:
    journal = flown(folder, tmp_path / "flight")
    return Seen(
        {name: line["positives"] for name, line in journal.frames.items()},
        {name: line["reason"] for name, line in journal.gaps.items()},
    )


both_sides = pytest.mark.parametrize("see", [on_workstation, on_device])


@pytest.mark.slow
@both_sides
def test_a_tiff_is_never_answered_from_its_preview_or_first_page(see: Any, tmp_path: Path) -> None:
    found = see(case("02-dng-thumbnail-first"), tmp_path)
    assert set(found.positives) == {"DJI_0001.DNG"}
    assert found.positives["DJI_0001.DNG"] > 0
    assert set(found.gaps) == {"two_pages.tif"}
    assert "holds 2 pictures" in found.gaps["two_pages.tif"]


@pytest.mark.slow
@both_sides
def test_photographs_are_known_by_content_and_a_heic_is_named(see: Any, tmp_path: Path) -> None:
    found = see(case("06-unlisted-suffixes"), tmp_path)
    assert set(found.positives) == {"a.jpg", "b.JFIF", "d.MPO", "e.jfif"}
    assert found.positives["e.jfif"] > 0
    assert set(found.gaps) == {"IMG_0007.HEIC"}


@pytest.mark.slow
@both_sides
def test_the_edge_of_a_transparent_part_is_no_crack(see: Any, tmp_path: Path) -> None:
    found = see(case("07-transparent-nodata"), tmp_path)
    assert found == Seen({"ortho_tile.png": 0, "same-without-hole.png": 0}, {})


@pytest.mark.slow
@both_sides
def test_a_jpeg_that_a_card_left_zeroed_is_a_gap(see: Any, tmp_path: Path) -> None:
    found = see(case("19-jpeg-zero-filled"), tmp_path)
    assert set(found.positives) == {"whole.jpg"}
    assert found.positives["whole.jpg"] > 0
    assert set(found.gaps) == {"truncated.jpg", "zero_30.jpg", "zero_50.jpg", "zero_75.jpg"}
    assert all("damaged" in reason for reason in found.gaps.values())


@pytest.mark.slow
def test_predict_names_zeroed_jpegs_and_says_so_by_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict([str(case("19-jpeg-zero-filled")), "--model", MODEL]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert sum("  NOT READ" in line for line in lines) == 4
    assert sum("  crack " in line for line in lines) == 1


@pytest.mark.slow
def test_a_position_in_xmp_alone_is_one_on_both_sides(tmp_path: Path) -> None:
    folder = case("03-xmp-only-position")
    found = surveyed(folder, tmp_path / "survey", code=0)
    assert found.gaps == ()
    place = found.photos[0].latitude, found.photos[0].longitude
    journal = flown(folder, tmp_path / "flight", "--gps", "exif")
    assert {(positive["gps"]["lat"], positive["gps"]["lon"]) for positive in journal.positives} == {place}


@pytest.mark.slow
def test_null_island_is_no_place_in_a_journal_nor_in_its_survey(tmp_path: Path) -> None:
    folder = case("05-null-island-device")
    journal = flown(folder, tmp_path / "flight", "--gps", "exif")
    assert [positive["gps"] for positive in journal.positives] == [None] * len(journal.positives)
    assert journal.positives
    found = surveyed(tmp_path / "flight", tmp_path / "survey", code=0)
    assert found.gaps == ()
    assert all(photo.unplaced for photo in found.photos)
    assert {(finding.latitude, finding.longitude) for finding in found.findings} == {(None, None)}


@pytest.mark.slow
def test_a_log_with_a_line_for_spreadsheets_places_photographs_on_both_sides(tmp_path: Path) -> None:
    folder, log = case("09-csv-sep-line") / "DCIM", str(case("09-csv-sep-line") / "log.csv")
    found = surveyed(folder, tmp_path / "survey", "--flight-log", log, code=0)
    assert len(found.photos) == 3
    assert found.gaps == ()
    journal = flown(folder, tmp_path / "flight", "--gps", log)
    places = {each.name: (each.latitude, each.longitude) for each in found.photos}
    for positive in journal.positives:
        assert (positive["gps"]["lat"], positive["gps"]["lon"]) == pytest.approx(places[positive["frame"]])


@pytest.mark.parametrize("name", ["FlightRecord.csv", "us_dates.csv"])
def test_logs_of_exporters_place_frames_of_the_device(name: str) -> None:
    gps = open_gps(str(case("10-csv-flightreader") / name), timezone="+02:00")
    fix = gps.at(parse_time("2025-06-01T10:00:01Z").timestamp(), None)
    assert fix is not None
    assert (fix.fix.lat, fix.fix.lon) == pytest.approx((48.20001, 16.370001), abs=1e-9)
    assert fix.fix.alt == pytest.approx(601 * 0.3048 if name == "FlightRecord.csv" else 181)


def test_subtitles_of_a_drone_place_frames_of_the_device() -> None:
    gps = open_gps(str(case("11-dji-srt") / "DJI_0001.SRT"), timezone="+02:00")
    assert gps.span is not None
    fix = gps.at(gps.span[0], None)
    assert fix is not None
    assert fix.fix.lat != 0


# Masks: folder, and number of pairs that are read.
MASKS = {
    **dict.fromkeys(("alpha", "onebit", "pal_bw", "sixteen_bit", "sixteen_bit_255", "sixteen_bit_one", "zero_one"), 8),
    "mixed_with_alpha": 40,
}
REFUSED = {
    "cvat_red": "in colour",
    "mixed_val_0_2": "class number",
    "pal_inverted_palette": "looks inverted",
    "value_38": "class number",
    "voc_palette": "in colour",
}
CONVERTED = {"cvat_red": "250,50,83", "labelme": "crack", "mixed_val_0_2": "2", "value_38": "38", "voc_palette": "1"}


def split_of(folder: Path, out: Path, *more: str) -> Manifest:
    assert data(["split", str(folder), "--out", str(out), *more]) == 0
    return read_manifest(out)


def check_masks(manifest: Manifest) -> None:
    """Each mask is a line, and lies on the dark line of its photograph."""
    for item in manifest.items:
        mask, grey = load_mask(manifest, item), decode_rgb(manifest.read(item)).mean(axis=2)
        assert 0.005 < mask.mean() < 0.15
        assert grey[mask].mean() < grey[~mask].mean() - 20


@pytest.mark.parametrize("name", MASKS)
def test_masks_of_every_depth_and_channel_are_read_right(name: str, tmp_path: Path) -> None:
    manifest = split_of(case("13-mask-variants") / name, tmp_path / "split.csv")
    assert [item.label for item in manifest.items] == [1] * MASKS[name]
    check_masks(manifest)


@pytest.mark.parametrize("name", REFUSED)
def test_masks_that_may_mean_anything_are_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data(["split", str(case("13-mask-variants") / name), "--out", str(tmp_path / "split.csv")]) == 2
    assert re.search(REFUSED[name], capsys.readouterr().err)
    assert not (tmp_path / "split.csv").exists()


@pytest.mark.parametrize("name", CONVERTED)
def test_annotations_and_masks_of_classes_are_converted(name: str, tmp_path: Path) -> None:
    source, out = case("13-mask-variants") / name, tmp_path / "set"
    assert data(["convert", str(source), "--crack-class", CONVERTED[name], "--out", str(out)]) == 0
    manifest = split_of(out, tmp_path / "split.csv")
    assert [item.label for item in manifest.items] == [1] * 8
    if name != "labelme":  # a box around anything
        check_masks(manifest)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Défauts béton — août", "ambiguous: besides the class folders"),
        ("crackfree", "only one class: no no_crack folder"),
        ("german", "no class folders"),
        ("numbers", "no class folders"),
        ("portuguese", "no class folders"),
    ],
)
def test_folders_whose_names_are_no_known_classes_are_refused(
    name: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb, out in (("split", "split.csv"), ("audit", "audit")):
        assert data([verb, str(case("14-class-folders") / name), "--out", str(tmp_path / out)]) == 2
        assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_class_folders_are_known_whatever_their_spelling(tmp_path: Path) -> None:
    manifest = split_of(case("14-class-folders") / "no-crack spaced", tmp_path / "split.csv")
    assert {item.label for item in manifest.items} == {0, 1}


def test_a_split_that_folders_have_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = split_of(case("14-class-folders") / "presplit", tmp_path / "split.csv")
    assert "the split is the folders' own" in capsys.readouterr().out
    assert {(item.path.split("/")[0], item.split) for item in manifest.items} == {
        ("train", "train"),
        ("valid", "val"),
        ("test", "test"),
    }


@pytest.mark.slow
def test_tiles_of_rare_suffixes_are_read_or_named_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = case("14-class-folders") / "jfif_mixed"
    for verb, out in (("split", "split.csv"), ("audit", "audit")):
        assert data([verb, str(folder), "--out", str(tmp_path / out)]) == 1
        printed, told = capsys.readouterr()
        assert "crack/h0.gif is GIF" in printed
        assert "4 files cannot be used" in told
    manifest = read_manifest(tmp_path / "split.csv")
    assert sum(item.path.endswith(".jfif") for item in manifest.items) == 6
    assert json.loads((tmp_path / "audit/summary.json").read_text())["unreadable"] == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["left_mossy.jpg", "left_shadow.jpg", "ring.jpg"])
def test_positive_tiles_on_concrete_in_shade_are_never_nothing_found(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the foreground that a survey has by default."""
    source = case("25-shadow-not-concrete") / name
    options = ["--model", MODEL, "--segmenter", "none", "--jobs", "2"]
    assert survey([str(source), "--out", str(tmp_path / "out"), *options]) == 0
    found = read_survey(tmp_path / "out")
    assert found.photos[0].positives > 0
    assert "nothing found" not in capsys.readouterr().out
    assert found.findings
    assert found.photos[0].left_out == sum(finding.tiles for finding in found.findings if finding.note == LEFT_OUT)


@pytest.mark.slow
def test_a_stitched_panorama_has_no_scale_in_any_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = case("21-panorama-scale")
    panorama = str(folder / "PANO_0001.jpg")
    command = ["measure", str(folder / "mask.png"), "--photo", panorama, "--distance-m", "2"]
    assert photo([*command, "--out", str(tmp_path / "measured")]) == 2
    assert "stitched panorama by its own data" in capsys.readouterr().err
    options = ["--model", MODEL, "--segmenter", "none", "--out", str(tmp_path / "refused"), "--distance-m", "2"]
    assert survey([panorama, *options]) == 2
    assert "stitched panorama" in capsys.readouterr().err
    assert not (tmp_path / "refused").exists()
    found = surveyed(Path(panorama), tmp_path / "survey")
    assert found.photos[0].mm_per_pixel is None
    assert any("stitched panorama" in note for note in found.photos[0].notes)


@pytest.mark.parametrize(("name", "orientation"), [("rot180", 3), ("rot90square", 6)])
def test_masks_drawn_before_their_photographs_were_turned_are_turned_with_them(
    name: str, orientation: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = split_of(case("26-exif-rotated-photo-raw-mask") / name, tmp_path / "split.csv")
    assert [item.mask_orientation for item in manifest.items] == [orientation] * 24
    assert "24 masks were drawn on the pixels as stored" in capsys.readouterr().out


@pytest.mark.slow
def test_a_photograph_of_a_test_flight_is_where_its_data_say_on_both_sides(tmp_path: Path) -> None:
    folder = case("drone_photo")
    (shot,) = surveyed(folder, tmp_path / "survey", "--timezone", "America/Chicago", "--tile", "700", code=0).photos
    assert (shot.latitude, shot.longitude) == pytest.approx((46.842774, -91.993826), abs=1e-6)
    assert shot.altitude_m == pytest.approx(198.5, abs=0.1)
    assert shot.heading_deg == pytest.approx(228.0)
    assert shot.time == "2016-06-23T21:32:50.000Z"
    journal = flown(folder, tmp_path / "flight", "--timezone", "America/Chicago", "--gps", "exif", "--tile-size", "700")
    assert journal.frames["DJI_0025.JPG"]["time"] == shot.time
    for positive in journal.positives:
        assert (positive["gps"]["lat"], positive["gps"]["lon"]) == pytest.approx((46.842774, -91.993826), abs=1e-6)
