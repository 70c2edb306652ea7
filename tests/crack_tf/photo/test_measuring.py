"""Masks measured and concrete found from Python; the command line's own tests are in test_photo_cli.py."""

from __future__ import annotations

import csv
import io
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crack_tf.inference.segment import SegmentConfig, segment_photos
from crack_tf.photo.foreground_files import ForegroundConfig, write_foreground
from crack_tf.photo.masks import read_mask
from crack_tf.photo.measure_config import MeasureConfig
from crack_tf.photo.measuring import MaskConfig, measure_mask
from crack_tf.photo.ranges import measures_in_millimetres
from crack_tf.survey.geometry.camera import Locator, Scale
from tflite.errors import CrackError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A photograph of 200x100 with a crack of 120x4 pixels, and its mask."""
    photo = np.random.default_rng(0).normal(150, 8, (100, 200, 3)).clip(0, 255).astype(np.uint8)
    mask = np.zeros((100, 200), np.uint8)
    mask[50:54, 30:150] = 255
    photo[mask > 0] = 30
    Image.fromarray(photo).save(tmp_path / "photo.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return tmp_path


def test_a_mask_gives_its_cracks_in_millimetres_and_their_files(folder: Path) -> None:
    config = MaskConfig(photo=folder / "photo.png", measure=MeasureConfig(mm_per_pixel=0.1))
    found = measure_mask(folder / "mask.png", folder / "out", config)
    (crack,) = found.cracks
    assert crack.length_mm == pytest.approx(12, abs=0.3)
    assert found.scale is not None
    assert found.notes == ()
    assert found.lines()[0].startswith("0.1 mm per pixel")
    assert found.lines()[-1] == f"1 crack (length, mean / maximum width), written to {folder / 'out'}"
    assert {path.name for path in found.folder.iterdir()} == {"cracks.csv", "cracks.json", "overlay.png", "widths.csv"}


def test_a_crack_is_measured_where_it_lies_with_the_cameras_pitch_as_in_a_survey(tmp_path: Path) -> None:
    mask = np.zeros((300, 400), np.uint8)
    mask[20:150, 350:356] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    exif, plain = Image.Exif(), io.BytesIO()
    exif.get_ifd(0x8769)[0xA405] = 24
    Image.fromarray(np.where(mask > 0, 30, 150).astype(np.uint8)).convert("RGB").save(plain, "JPEG", exif=exif)
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x drone-dji:GimbalYawDegree="0" drone-dji:GimbalPitchDegree="-30"/>'
    data = plain.getvalue()[:2] + b"\xff\xe1" + (len(xmp) + 2).to_bytes(2, "big") + xmp + plain.getvalue()[2:]
    (tmp_path / "pier.jpg").write_bytes(data)
    config = MaskConfig(photo=tmp_path / "pier.jpg", measure=MeasureConfig(distance_m=2))
    (crack,) = measure_mask(tmp_path / "mask.png", tmp_path / "out", config).cracks
    view = Locator(Scale(distance_m=2)).of_file(data, 400, 300).view(400, 300)
    assert view is not None
    assert view.tilt_deg == -30
    ring = crack.outline[0][:-1]
    whole, widest = view.measure([ring]), view.measure([ring], crack.max_width_at)
    assert whole is not None
    assert widest is not None
    assert abs(whole.length / view.mm_per_pixel - 1) > 0.05
    assert crack.length_mm == pytest.approx(whole.length * crack.length_px)
    assert crack.mean_width_mm == pytest.approx(whole.width * crack.mean_width_px)
    assert crack.max_width_mm == pytest.approx(widest.width * crack.max_width_px)
    pixels = crack.length_px, crack.mean_width_px, crack.max_width_px
    assert crack.ranges_mm == measures_in_millimetres(pixels, crack.ranges, whole, widest)
    with (tmp_path / "out" / "widths.csv").open() as stream:
        scales = [float(row["width_mm"]) / float(row["width_px"]) for row in csv.DictReader(stream)]
    assert np.mean(scales) == pytest.approx(whole.width, rel=0.03)
    assert max(scales) > 1.02 * min(scales)


def test_a_lens_and_a_distance_that_make_no_scale_are_named_before_anything_is_written(folder: Path) -> None:
    measure = MeasureConfig(distance_m=5000, focal_mm=0.5, sensor_width_mm=13.2)
    message = r"focal length 0.5 mm, distance 5000 m, sensor 13.2 mm: a pixel would show 660,000 mm.*Compare --distance-m, --focal-mm and"
    with pytest.raises(CrackError, match=message):
        measure_mask(folder / "mask.png", folder / "out", MaskConfig(photo=folder / "photo.png", measure=measure))
    (folder / "photos").mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(folder / "photo.png", folder / "photos" / name)
    with pytest.raises(CrackError, match=message):
        segment_photos([folder / "photos"], SegmentConfig(measure=measure), folder / "out")
    assert not (folder / "out").exists()


def test_cracks_outside_the_concrete_are_left_out(folder: Path) -> None:
    nowhere = np.zeros((100, 200), np.uint8)
    nowhere[:20] = 255
    Image.fromarray(nowhere).save(folder / "concrete.png")
    found = measure_mask(str(folder / "mask.png"), str(folder / "out"), MaskConfig(foreground=folder / "concrete.png"))
    assert (found.cracks, found.scale) == ((), None)


def test_a_crack_that_a_mask_of_the_concrete_cuts_off_ends_nobody_knows_where(folder: Path) -> None:
    concrete = np.full((100, 200), 255, np.uint8)
    for last, cut_off in ((160, False), (90, True)):
        concrete[:, last:] = 0
        Image.fromarray(concrete).save(folder / "concrete.png")
        config = MaskConfig(foreground=folder / "concrete.png")
        (crack,) = measure_mask(folder / "mask.png", folder / "out", config, overwrite=True).cracks
        assert crack.touches_border is cut_off
        assert (crack.ranges[0].high == math.inf) is cut_off


def test_a_stain_is_told_beside_the_cracks_and_short_marks_of_a_person_are_meant(folder: Path) -> None:
    mask = np.asarray(Image.open(folder / "mask.png")).copy()
    mask[10:40, 20:70] = mask[70:74, 20:45] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    found = measure_mask(folder / "mask.png", folder / "out")
    assert [round(crack.length_px) for crack in found.cracks] == [120, 25]
    assert [crack.number for crack in found.unclear] == [3]
    assert found.lines()[-2].startswith("3: unclear (what is drawn here is too wide")
    assert found.lines()[-1].startswith("2 cracks, 1 unclear (too wide for a crack) (length")
    config = MaskConfig(measure=MeasureConfig(min_length=40))
    shorter = measure_mask(folder / "mask.png", folder / "out", config, overwrite=True)
    assert (len(shorter.cracks), shorter.short) == (1, 1)
    assert "1 short mark left out" in shorter.lines()[-1]


def test_results_are_replaced_when_asked_only(folder: Path) -> None:
    measure_mask(folder / "mask.png", folder / "out")
    with pytest.raises(CrackError, match="out"):
        measure_mask(folder / "mask.png", folder / "out")
    measure_mask(folder / "mask.png", folder / "out", overwrite=True)


def test_the_mask_of_the_concrete_is_returned_as_it_is_written(folder: Path) -> None:
    config = ForegroundConfig(backend="none", mask=folder / "mask.png")
    written = write_foreground(folder / "photo.png", folder / "concrete.png", config)
    np.testing.assert_array_equal(written.found.mask, read_mask(folder / "mask.png"))
    np.testing.assert_array_equal(read_mask(written.png), written.found.mask)
    np.testing.assert_array_equal(np.load(written.npy), written.found.mask)
    with pytest.raises(CrackError, match=r"concrete\.png"):
        write_foreground(folder / "photo.png", folder / "concrete.png", config)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"backend": "magic"}, "--backend 'magic': choose one of grabcut"),
        ({"preset": "sam_base"}, "--preset sam_base is for --backend sam, not grabcut"),
        ({"mask": "m.png"}, "--mask m.png is for --backend none, not grabcut"),
        ({"fg": 5}, "--fg 5: give a list"),
        ({"fg": ((1,),)}, "--fg"),
    ],
)
def test_an_impossible_setting_of_the_foreground_is_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(CrackError, match=words):
        ForegroundConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "words"), [({"threshold": 0.0}, "--threshold 0"), ({"invert": "yes"}, "--invert 'yes'")]
)
def test_an_impossible_setting_of_a_mask_is_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(CrackError, match=words):
        MaskConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"min_length": -3}, "--min-length -3: give a whole number from 0"),
        ({"min_area": -1}, "--min-area -1: give a whole number from 0"),
        ({"min_area": -(10**5000)}, "--min-area a number of too many digits: give"),
        ({"limit_mm": 10**5000}, "--limit-mm a number of too many digits: widths lie above 0"),
        (
            {"focal_mm": 10**400, "distance_m": 2, "sensor_width_mm": 13},
            r"--focal-mm 10+\.\.\.0+: give millimetres from 0\.5 to 5000\.",
        ),
        ({"mm_per_pixel": 1e200}, r"--mm-per-pixel 1e\+200: give millimetres from 0\.0001 to 1000\."),
        ({"mm_per_pixel": float("nan")}, "--mm-per-pixel nan: give millimetres"),
        ({"distance_m": 1e200, "exif": True}, r"--distance-m 1e\+200: give metres from 0\.01 to 5000\."),
        (
            {"distance_m": 2, "focal_mm": 8.8, "sensor_width_mm": 1e9},
            r"--sensor-width-mm 1000000000\.0: give millimetres",
        ),
    ],
)
def test_an_impossible_setting_of_a_measurement_is_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(CrackError, match=words):
        MeasureConfig(**settings)


def test_arguments_of_another_kind_are_named(folder: Path) -> None:
    with pytest.raises(CrackError, match="mask is 5: give a mask file"):
        measure_mask(5, folder / "out")  # type: ignore[arg-type]
    with pytest.raises(CrackError, match="config is"):
        write_foreground(folder / "photo.png", folder / "c.png", MaskConfig())  # type: ignore[arg-type]
    assert not (folder / "out").exists()
