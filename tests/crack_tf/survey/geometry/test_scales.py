"""Where scales come from is told in one sentence, and angles in doubt are warned of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import crack_tf
from crack_tf.survey.findings import PhotoRecord
from crack_tf.survey.geometry.camera import Locator, Scale
from crack_tf.survey.geometry.scales import (
    SAMPLES,
    ask_for_lens,
    describe_scales,
    describe_tiles,
    warn_of_scales,
    warn_of_unscaled,
)
from crack_tf.survey.source import open_source
from tflite.errors import CrackError

PHOTO = PhotoRecord("a.jpg", "0" * 64, 400, 300, None, None, None, None, None, None, 1, 0, 0)


def known(scale: float, source: str | None, error: float | None = None, pitch: float | None = None) -> PhotoRecord:
    return replace(PHOTO, mm_per_pixel=scale, scale_source=source, scale_error=error, pitch_deg=pitch)


def test_each_source_is_counted_with_its_scales_and_how_sure_they_are():
    photos = [known(0.12, "laser", 0.081), known(0.18, "laser", 0.112), known(0.2, "given"), PHOTO, known(0.3, None)]
    assert describe_scales(photos) == (
        "1 photograph by --mm-per-pixel (0.200 mm per pixel), "
        "2 photographs by the laser's range (0.120 to 0.180 mm per pixel, 95 % within 8 to 11 %), "
        "1 photograph by a scale of unknown origin (0.300 mm per pixel), 1 photograph without a scale"
    )
    assert describe_scales([]) is None


def test_tiles_are_told_in_millimetres_where_they_are_known():
    assert (
        describe_tiles(200, [known(0.1, "laser"), known(0.21, "given"), PHOTO])
        == "200 pixels, 20 to 42 mm of the surface"
    )
    assert describe_tiles(200, [PHOTO]) == "200 pixels"
    assert describe_tiles(200, [PHOTO], auto=True) == (
        "200 pixels; the model does not say how many millimetres its tiles had in training"
    )
    assert describe_tiles(200, [known(0.1, "laser"), known(0.2, "given"), PHOTO], 40.0, True) == (
        "40 mm of the surface, as in the model's training: 200 to 400 pixels; 200 pixels on 1 photograph without a scale"
    )


def test_a_pitch_between_wall_and_deck_is_warned_of_where_it_counts():
    assert (
        warn_of_scales(
            [known(0.1, "laser", 0.1, -20.0), known(0.1, "laser", 0.1, -90.0), known(0.1, "given", None, 45.0)]
        )
        == []
    )
    (warning,) = warn_of_scales([known(0.1, "laser", 0.1, -40.0), known(0.1, "laser", 0.1, 50.0)])
    assert warning.startswith("2 photographs look neither level nor straight up or down, the first a.jpg (-40 degrees)")


def photograph(path: Path, **tags: int) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({int(tag[1:], 16): value for tag, value in tags.items()})
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (400, 300), (90, 90, 90)).save(path, "JPEG", exif=exif)


def test_a_distance_is_of_no_use_without_a_lens_and_that_is_said_before_the_search(tmp_path: Path) -> None:
    for number in range(3):
        photograph(tmp_path / f"DCIM/{number}.jpg")
    message = r"--distance-m 2: of 3 photographs of DCIM that were looked at, 3 tell no lens, so.* Give --focal-mm and --sensor-width-mm"
    with pytest.raises(CrackError, match=message):
        crack_tf.survey(tmp_path / "DCIM", tmp_path / "found", distance_m=2)
    assert not (tmp_path / "found").exists()


def test_where_some_photographs_were_asked_for_a_lens_none_are_taken_for_all(tmp_path: Path) -> None:
    for number in range(9):
        photograph(tmp_path / f"DCIM/{number}.jpg")
    with pytest.raises(CrackError, match=r"of 5 photographs of DCIM that were looked at, 5 tell no lens"):
        crack_tf.survey(tmp_path / "DCIM", tmp_path / "found", distance_m=2)


def test_a_folder_that_a_distance_cannot_measure_is_refused_with_all_its_reasons(tmp_path: Path) -> None:
    for number in range(3):
        photograph(tmp_path / f"EX/P{number}.jpg", xA405=24, xA002=5280, xA003=2000)
    with pytest.raises(
        CrackError,
        match=r"of 3 photographs of EX that were looked at, 3 are not what their lens drew, so.* \(--mm-per-pixel\)\S*; or leave",
    ):
        crack_tf.survey(tmp_path / "EX", tmp_path / "found", distance_m=0.5)
    photograph(tmp_path / "EX/none.jpg")
    (tmp_path / "EX/broken.jpg").write_bytes(b"no picture")
    message = (
        r"--distance-m 0.5: of 5 photographs of EX that were looked at, 3 are not what their lens drew, 1 tells no lens, 1 cannot be read, "
        r"so nothing can be measured by it. .*P0.jpg has 400x300 pixels, and 5280x2000 when it was taken: it was cropped. "
        r"Take the original file, or give "
        r"the millimetres per pixel directly \(--mm-per-pixel\)\. For those without a lens give --focal-mm and "
    )
    with pytest.raises(CrackError, match=message):
        crack_tf.survey(tmp_path / "EX", tmp_path / "found", distance_m=0.5)


def test_photographs_without_a_scale_are_told_what_each_lacks_not_what_was_given() -> None:
    assert warn_of_unscaled([known(0.2, "given")]) == []
    (plain,) = warn_of_unscaled([PHOTO, known(0.2, "given")])
    assert plain.startswith(
        "1 of 2 photographs has no known scale: lengths and widths are in pixels there. Give --mm-per-pixel, or --dist"
    )
    cropped = replace(
        PHOTO, name="b.jpg", distance_m=0.5, notes=("no scale: the photograph was cropped. Take the original file.",)
    )
    (mixed,) = warn_of_unscaled([PHOTO, cropped, replace(PHOTO, distance_m=0.5)])
    assert (
        "1 can have none, the first b.jpg: the photograph was cropped. Take the original file. Of 1 the distance is known"
        in mixed
    )
    assert "For 1 give --mm-per-pixel, or --distance-m" in mixed
    (given,) = warn_of_unscaled([cropped])
    assert "--distance-m" not in given


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        (
            {"focal_mm": 0.5, "sensor_width_mm": 13.2},
            r"focal length 0.5 mm, distance 5000 m, sensor 13.2 mm: a pixel would show 330,000 mm, and scales lie from 0.0001 to 1000",
        ),
        (
            {},
            r"0.jpg, focal length 277 pixels, distance 5000 m: a pixel would show 18,000 mm.*Compare --distance-m, --focal-mm and",
        ),
    ],
)
def test_a_scale_that_no_photograph_has_is_told_before_the_search(
    stated: dict[str, Any], message: str, tmp_path: Path
) -> None:
    photograph(tmp_path / "DCIM/0.jpg", xA405=24)
    with pytest.raises(CrackError, match=message):
        crack_tf.survey(tmp_path / "DCIM", tmp_path / "found", distance_m=5000, **stated)
    assert not (tmp_path / "found").exists()
    shot = Locator(Scale(distance_m=5000, **stated)).of_file((tmp_path / "DCIM/0.jpg").read_bytes(), 400, 300)
    assert shot.mm_per_pixel is None
    assert shot.notes[-1].startswith("no scale: ")


def test_photographs_of_which_some_tell_their_lens_are_searched(tmp_path: Path) -> None:
    stated = Scale(distance_m=2.0)
    for number in range(2 * SAMPLES):
        photograph(tmp_path / f"DCIM/{number:02}.jpg")
    source = open_source(tmp_path / "DCIM", tmp_path / "found", Locator(stated), 1.0, None)
    assert [path.name for path in source.samples(SAMPLES)] == [
        f"{number:02}.jpg" for number in range(0, 2 * SAMPLES, 2)
    ]
    with pytest.raises(CrackError, match="8 photographs"):
        ask_for_lens(source, stated)
    for enough in (Scale(), Scale(0.1), Scale(distance_m=2.0, focal_mm=8.8, sensor_width_mm=13.2)):
        ask_for_lens(source, enough)
    photograph(tmp_path / "DCIM/08.jpg", xA405=24)
    ask_for_lens(source, stated)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/a.jpg").write_bytes(b"no picture")  # is told when it is read
    ask_for_lens(open_source(tmp_path / "damaged", tmp_path / "found", Locator(stated), 1.0, None), stated)
