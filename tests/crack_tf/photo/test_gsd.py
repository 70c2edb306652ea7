"""Millimetres per pixel from a camera's numbers and from EXIF data; what is missing is asked for."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from crack_tf.photo.gsd import (
    PLAUSIBLE_MM_PER_PIXEL,
    SIZE,
    GroundSampling,
    NoLensError,
    ScaleRefusedError,
    check_whole,
    from_camera,
    from_equivalent_focal,
    from_photo,
    from_value,
    implausible,
    needed_mm_per_pixel,
    small_note,
    too_coarse,
)
from tests.cases import case
from tflite.errors import CrackError, ImageError

FOCAL, FOCAL_35MM, DISTANCE, ZOOM, PIXEL_X, PIXEL_Y = 0x920A, 0xA405, 0x9206, 0xA404, 0xA002, 0xA003
CUSTOM_RENDERED = 0xA401


def photograph(tags: dict[int, Any], size: tuple[int, int] = (400, 300)) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update(tags)
    out = io.BytesIO()
    Image.new("RGB", size, (90, 90, 90)).save(out, "JPEG", exif=exif)
    return out.getvalue()


def test_a_known_camera_gives_the_textbook_value() -> None:
    # A 1-inch sensor (13.2 mm, 5472 pixels) with 8.8 mm lens, 3 m away: 2.4 um pixels times (3000 - 8.8) / 8.8.
    scale = from_camera(8.8, 3.0, 13.2, 5472)
    assert scale.mm_per_pixel == pytest.approx(13.2 / 5472 * (3000 - 8.8) / 8.8)
    assert scale.mm_per_pixel == pytest.approx(0.82, abs=0.005)


def test_the_equivalent_focal_length_agrees_with_the_real_one_on_any_aspect_ratio() -> None:
    for sensor, pixels in (((13.2, 8.8), (5472, 3648)), ((17.3, 13.0), (5280, 3968))):
        diagonal = (sensor[0] ** 2 + sensor[1] ** 2) ** 0.5
        real = from_camera(10.0, 20.0, sensor[0], pixels[0])
        equivalent = from_equivalent_focal(10.0 * 43.2666 / diagonal, 20.0, *pixels)
        assert equivalent.mm_per_pixel == pytest.approx(real.mm_per_pixel, rel=2e-3)


@given(
    focal=st.floats(2, 200),
    distance=st.floats(0.5, 100),
    sensor=st.floats(3, 60),
    width=st.integers(100, 20000),
    factor=st.integers(2, 10),
)
def test_twice_the_pixels_is_half_the_scale_and_farther_is_coarser(
    focal: float, distance: float, sensor: float, width: int, factor: int
) -> None:
    scale = from_camera(focal, distance, sensor, width).mm_per_pixel
    assert from_camera(focal, distance, sensor, width * factor).mm_per_pixel == pytest.approx(scale / factor)
    assert from_camera(focal, distance * factor, sensor, width).mm_per_pixel > scale * factor * 0.999


def test_a_tenth_of_a_millimetre_per_pixel_is_needed_for_cracks_of_three_tenths() -> None:
    assert needed_mm_per_pixel(0.3) == pytest.approx(0.1)
    assert from_value(0.1).smallest_width_mm() == pytest.approx(0.3)
    text = from_value(0.1).describe()
    assert "0.1 mm per pixel (given)" in text
    assert "0.3 mm" in text


def test_exif_with_the_equivalent_focal_length_and_distance_is_enough() -> None:
    data = photograph({FOCAL_35MM: 24, DISTANCE: IFDRational(25, 10)})
    expected = from_equivalent_focal(24, 2.5, 400, 300)
    scale = from_photo(data)
    assert scale.mm_per_pixel == pytest.approx(expected.mm_per_pixel)
    assert "EXIF distance" in scale.source


def test_a_given_distance_wins_and_a_given_sensor_takes_the_real_focal_length(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photograph({FOCAL: IFDRational(88, 10), FOCAL_35MM: 24, DISTANCE: IFDRational(25, 10)}))
    scale = from_photo(path, distance_m=4.0, sensor_width_mm=13.2)
    assert scale.mm_per_pixel == pytest.approx(from_camera(8.8, 4.0, 13.2, 400).mm_per_pixel)
    assert "given distance" in scale.source


def test_portrait_and_landscape_have_the_same_scale() -> None:
    tags = {FOCAL: IFDRational(88, 10), DISTANCE: IFDRational(3, 1)}
    portrait = from_photo(photograph(tags, (300, 400)), sensor_width_mm=13.2)
    landscape = from_photo(photograph(tags, (400, 300)), sensor_width_mm=13.2)
    assert portrait.mm_per_pixel == pytest.approx(landscape.mm_per_pixel)


def test_a_resized_photograph_is_fine_and_a_cropped_one_is_refused() -> None:
    tags = {FOCAL_35MM: 24, DISTANCE: IFDRational(3, 1), PIXEL_X: 4000, PIXEL_Y: 3000}
    full = from_equivalent_focal(24, 3, 4000, 3000).mm_per_pixel
    assert from_photo(photograph(tags)).mm_per_pixel == pytest.approx(10 * full)
    with pytest.raises(ScaleRefusedError, match="it was cropped"):
        from_photo(photograph(tags, (400, 200)))
    with pytest.raises(ScaleRefusedError, match="it was cropped"):
        check_whole(photograph(tags, (400, 200)))  # whoever states the lens


def test_what_is_missing_is_asked_for_by_the_option_that_gives_it() -> None:
    for tags, options in (
        ({}, ["--focal-mm", "--sensor-width-mm", "--mm-per-pixel"]),
        ({FOCAL: 8}, ["--sensor-width-mm"]),
    ):
        with pytest.raises(NoLensError) as error:
            from_photo(photograph(tags), 2)
        assert [option for option in options if option in str(error.value)] == options
    with pytest.raises(CrackError, match="--distance-m"):
        from_photo(photograph({FOCAL_35MM: 24}))


def test_a_smaller_picture_of_the_same_shape_may_be_a_part_and_the_scale_says_so() -> None:
    lens = {FOCAL_35MM: 24, DISTANCE: IFDRational(3, 1)}
    told = from_photo(photograph(lens | {PIXEL_X: 4000, PIXEL_Y: 3000})).note
    assert told == check_whole(photograph({PIXEL_X: 4000, PIXEL_Y: 3000}))
    assert told is not None
    assert told.startswith(SIZE)
    assert "400x300 pixels, and 4000x3000 when it was taken" in told
    assert "10 times too large" in told
    assert from_photo(photograph(lens | {PIXEL_X: 400, PIXEL_Y: 300})).note is None
    assert from_photo(photograph(lens)).note is None
    # Whoever states a lens means the camera's whole picture, and no camera takes so few pixels.
    assert "fewer than a camera takes" in str(check_whole(photograph({})))
    assert check_whole(photograph({}, (1200, 900))) is None
    assert small_note((4000, 3000)) is None


GPANO = b"http://ns.adobe.com/xap/1.0/\0<rdf xmlns:GPano='http://ns.google.com/photos/1.0/panorama/' GPano:ProjectionType='x'/>"


@pytest.mark.parametrize(
    ("size", "tags", "xmp", "message"),
    [
        ((400, 300), {}, GPANO, "is a stitched panorama by its own data"),
        ((1200, 300), {}, GPANO, "is a stitched panorama by its own data"),
        ((400, 300), {CUSTOM_RENDERED: 6}, b"", "is a stitched panorama by its own data"),
        ((802, 400), {}, b"", "has 802x400 pixels, wider than any sensor"),
        ((300, 1200), {}, b"", "has 300x1200 pixels, wider than any sensor"),
    ],
)
@pytest.mark.parametrize("sensor", [None, 13.2])
def test_a_stitched_panorama_has_no_scale(size, tags, xmp: bytes, message: str, sensor: float | None) -> None:
    lens = {FOCAL_35MM: 24, FOCAL: IFDRational(88, 10), DISTANCE: IFDRational(3, 1)}
    data = photograph(lens | tags, size)
    if xmp:
        data = data[:2] + b"\xff\xe1" + (len(xmp) + 2).to_bytes(2, "big") + xmp + data[2:]
    with pytest.raises(ScaleRefusedError, match=f"{message}.*millimetres per pixel directly"):
        from_photo(data, 2, sensor)


def test_the_phone_panorama_of_the_cases_is_refused() -> None:
    with pytest.raises(ScaleRefusedError, match="stitched panorama by its own data"):
        from_photo(case("21-panorama-scale") / "PANO_0001.jpg", 2)


def test_a_telephones_heic_has_the_scale_of_its_own_data() -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed (requirements-heic.txt)")
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({FOCAL_35MM: 26})
    out = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (400, 300), (90, 90, 90))).save(out, exif=exif.tobytes())
    found = from_photo(out.getvalue(), 2)
    assert found.mm_per_pixel == from_equivalent_focal(26, 2, 400, 300).mm_per_pixel
    wide = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (900, 300), (90, 90, 90))).save(wide, exif=exif.tobytes())
    with pytest.raises(ScaleRefusedError, match="wider than any sensor"):
        from_photo(wide.getvalue(), 2)


def test_the_scale_of_a_tiff_is_that_of_its_photograph_not_of_its_preview() -> None:
    out = io.BytesIO()
    Image.new("RGB", (800, 600), (90, 90, 90)).save(out, "TIFF", tiffinfo={0x8769: {FOCAL_35MM: 24}})
    data = bytearray(out.getvalue())
    assert data[:2] == b"II"
    # A preview of 80 x 60, grey, before it in the chain.
    strip = len(data)
    data += bytes([90]) * 80 * 60
    fields = (
        (254, 1),
        (256, 80),
        (257, 60),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, strip),
        (277, 1),
        (278, 60),
        (279, 4800),
    )
    start, first = len(data), struct.unpack_from("<I", data, 4)[0]
    data += struct.pack("<H", len(fields))
    for tag, value in fields:
        data += struct.pack("<HHII", tag, 4, 1, value)
    data += struct.pack("<I", first)
    struct.pack_into("<I", data, 4, start)
    assert from_photo(bytes(data), 2).mm_per_pixel == from_equivalent_focal(24, 2, 800, 600).mm_per_pixel


def test_the_widest_sensors_are_no_panoramas() -> None:
    tags = {FOCAL_35MM: 24, DISTANCE: IFDRational(3, 1)}
    assert from_photo(photograph(tags, (800, 400))).mm_per_pixel > 0


@pytest.mark.parametrize(
    ("tags", "sensor", "message"),
    [
        ({}, None, "no subject distance"),
        ({FOCAL_35MM: 24}, None, "no subject distance"),
        ({FOCAL_35MM: 24, DISTANCE: IFDRational(0, 1)}, None, "unusable subject distance"),
        ({FOCAL_35MM: 24, DISTANCE: IFDRational(0xFFFFFFFF, 1)}, None, "unusable subject distance"),
        ({FOCAL_35MM: 24, DISTANCE: IFDRational(1, 0)}, None, "no subject distance"),
        ({DISTANCE: IFDRational(3, 1)}, None, "no focal length"),
        ({DISTANCE: IFDRational(3, 1)}, 13.2, "no focal length"),
        ({FOCAL: IFDRational(88, 10), DISTANCE: IFDRational(3, 1)}, None, "sensor's width"),
        (
            {FOCAL: IFDRational(8, 1), FOCAL_35MM: 48388, DISTANCE: IFDRational(3, 1)},
            None,
            "no usable 35 mm equivalent",
        ),
        ({FOCAL_35MM: 24, DISTANCE: IFDRational(3, 1), ZOOM: IFDRational(2, 1)}, None, "digital zoom 2"),
        (
            {FOCAL: IFDRational(88, 10), DISTANCE: IFDRational(1, 1000)},
            13.2,
            r"0.001 m \(--distance-m\) is within the focal length of 8.8 mm",
        ),
    ],
)
def test_missing_and_absurd_exif_data_says_what_to_give(tags, sensor, message: str) -> None:
    with pytest.raises(CrackError, match=message):
        from_photo(photograph(tags), sensor_width_mm=sensor)


def test_files_that_are_no_photographs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot read image"):
        from_photo(tmp_path / "missing.jpg", 3.0)
    with pytest.raises(ImageError, match="the photograph is not an image in a supported format"):
        from_photo(b"no photograph", 3.0)


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf")])
def test_numbers_that_are_not_above_zero_are_refused(bad: float) -> None:
    for call in (
        lambda: from_value(bad),
        lambda: GroundSampling(bad, "x"),
        lambda: from_camera(bad, 3, 13.2, 4000),
        lambda: from_camera(8.8, bad, 13.2, 4000),
        lambda: from_camera(8.8, 3, bad, 4000),
        lambda: from_equivalent_focal(bad, 3, 4000, 3000),
        lambda: from_equivalent_focal(24, bad, 4000, 3000),
        lambda: needed_mm_per_pixel(bad),
    ):
        with pytest.raises(CrackError, match="must be a number above 0"):
            call()


def test_a_scale_beyond_any_flight_is_doubted_and_no_number_has_an_exponent() -> None:
    said = from_value(100).describe()
    assert said.startswith(
        "100 mm per pixel (given): a pixel shows 100 mm, more than any crack is wide, so nothing can be measured."
    )
    assert "--mm-per-pixel" in said
    assert "trusted" in from_value(PLAUSIBLE_MM_PER_PIXEL).describe()
    coarse = too_coarse([0.2, 1000.0], 0.3, 2)
    assert coarse is not None
    assert coarse.startswith("2 of 2 photographs are too coarse for cracks of 0.3 mm: ")
    assert "a pixel shows up to 1,000 mm, more than any crack is wide, so nothing can be measured there." in coarse
    some, alike = too_coarse([0.2, 0.5, 0.05], 0.3, 3), too_coarse([0.5, 0.5], 0.3, 2)
    assert some is not None
    assert ": at up to 0.5 mm per pixel, widths are trusted from 1.5 mm on" in some
    assert alike is not None
    assert ": at 0.5 mm per pixel" in alike
    assert "e+0" not in said + coarse
    assert implausible([0.2, 10.0]) is None
    assert implausible([]) is None
