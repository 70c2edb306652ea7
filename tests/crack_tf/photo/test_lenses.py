"""A lens is the same whether its photograph tells it calibrated, as a 35 mm equivalent, or with a stated sensor."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pytest
from PIL import Image

from crack_tf.photo.lenses import find_lens
from tests.tflite.place.photographs import DJI, packet
from tflite.errors import CrackError


def photo(path: Path, size: tuple[int, int] = (400, 300), xmp: str = "", **tags: float) -> str:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({int(tag[1:], 16): value for tag, value in tags.items()})
    out = io.BytesIO()
    Image.new("RGB", size).save(out, "JPEG", exif=exif, xmp=packet(xmp, "", DJI).encode())
    path.write_bytes(out.getvalue())
    return str(path)


def test_a_photograph_tells_its_lens_by_the_equivalent_the_calibration_or_the_sensor(tmp_path: Path) -> None:
    by_equivalent = find_lens(photo(tmp_path / "a.jpg", xA405=24))
    assert by_equivalent.focal_px == pytest.approx(24 * 500 / math.hypot(36, 24), rel=1e-6)
    assert (by_equivalent.width, by_equivalent.height, by_equivalent.name) == (400, 300, "a.jpg")
    assert by_equivalent.source == "its photograph (35 mm equivalent 24 mm)"
    calibrated = find_lens(photo(tmp_path / "b.jpg", xA405=24, xmp='drone-dji:CalibratedFocalLength="280"'))
    assert calibrated.focal_px == pytest.approx(280)
    by_sensor = find_lens(photo(tmp_path / "c.jpg", x920A=8.8), sensor_width_mm=13.2)
    assert by_sensor.focal_px == pytest.approx(8.8 / 13.2 * 400, rel=1e-3)


def test_a_lasers_range_says_nothing_of_the_lens(tmp_path: Path) -> None:
    laser = 'drone-dji:LRFTargetDistance="7.5" drone-dji:LRFStatus="Normal"'
    near, far = (find_lens(photo(tmp_path / f"{len(xmp)}.jpg", xA405=24, xmp=xmp)) for xmp in (laser, ""))
    assert near.focal_px == pytest.approx(far.focal_px)


def test_an_upright_photograph_has_its_longer_side_first(tmp_path: Path) -> None:
    lens = find_lens(photo(tmp_path / "a.jpg", size=(300, 400), xA405=24))
    assert (lens.width, lens.height) == (400, 300)


def test_what_tells_no_lens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="no focal length in its EXIF data"):
        find_lens(photo(tmp_path / "a.jpg"))
    with pytest.raises(CrackError, match="stitched panorama"):
        find_lens(photo(tmp_path / "b.jpg", size=(900, 300), xA405=24))
    with pytest.raises(CrackError, match="--focal-mm 16: the photograph"):
        find_lens(photo(tmp_path / "c.jpg", xA405=24), focal_mm=16.0)
    for absurd in (4e9, 1e-9):  # no lens is so long or short: it was never read
        with pytest.raises(CrackError, match="no focal length in its EXIF data"):
            find_lens(photo(tmp_path / "e.jpg", x920A=absurd), sensor_width_mm=13.2)
    with pytest.raises(CrackError, match=r"--sensor-width-mm 13\.2: that of pi-camera-3 is known, 6\.45 mm"):
        find_lens("pi-camera-3", sensor_width_mm=13.2)
    with pytest.raises(CrackError, match=r"--focal-mm 16: pi-camera-3 has a fixed lens of 4\.74 mm\. Leave it out"):
        find_lens("pi-camera-3", focal_mm=16.0)
    (tmp_path / "d.jpg").write_bytes(b"no photograph")
    with pytest.raises(CrackError, match=r"d\.jpg is not an image in a supported format \(JPEG") as told:
        find_lens(str(tmp_path / "d.jpg"))
    assert "BytesIO" not in str(told.value)


def test_a_photograph_that_does_not_tell_its_lens_says_what_to_give_and_takes_it(tmp_path: Path) -> None:
    bare = photo(tmp_path / "a.jpg")
    with pytest.raises(CrackError, match=r"such as --focal-mm 8\.8 and --sensor-width-mm 13\.2"):
        find_lens(bare, focal_mm=8.8)
    with pytest.raises(CrackError, match=r"such as --focal-mm 8\.8 and --sensor-width-mm 13\.2"):
        find_lens(bare, sensor_width_mm=13.2)
    lens = find_lens(bare, focal_mm=8.8, sensor_width_mm=13.2)
    assert lens.focal_px == pytest.approx(8.8 / 13.2 * 400)
    assert (lens.width, lens.height) == (400, 300)
    half = photo(tmp_path / "b.jpg", x920A=8.8)
    with pytest.raises(CrackError, match=r"has a focal length \(8.8 mm\), .* such as --sensor-width-mm 13.2"):
        find_lens(half)


@pytest.mark.parametrize("numbers", [(880.0, 13.2), (8.8, 0.0132), (0.5, 13.2)])
def test_a_lens_that_nobody_makes_is_refused(numbers: tuple[float, float], tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="is that of no lens"):
        find_lens(photo(tmp_path / "a.jpg"), *numbers)
    with pytest.raises(CrackError, match="is that of no lens"):
        find_lens("pi-hq", focal_mm=numbers[0] * 100)
