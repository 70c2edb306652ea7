"""Where a spot on the wall is, when it was photographed, and how large a pixel is there; or that it is not known."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crack_tf.survey.geometry.camera import Locator, Scale, Shot
from tests.crack_tf.survey.small_flight import exif
from tflite.errors import CrackError
from tflite.place.clock import CameraClock, parse_timezone
from tflite.place.fix import EARTH_M, Fix
from tflite.place.flightlog import FlightLog, read_flight_log

METRE = math.degrees(1 / EARTH_M)
VIENNA = CameraClock(parse_timezone("Europe/Vienna"))


def jpeg(found: Image.Exif) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300)).save(out, "JPEG", exif=found)
    return out.getvalue()


def test_a_spot_to_the_right_lies_to_the_right_of_where_the_camera_looks():
    north = Shot(latitude=0.0, longitude=16.0, altitude_m=100.0, heading_deg=0.0, distance_m=2.0, mm_per_pixel=1.0)
    latitude, longitude, altitude = north.place(500, 1000)
    assert latitude == pytest.approx(2 * METRE, rel=1e-3)  # the wall is two metres to the north
    assert longitude == pytest.approx(16 + 0.5 * METRE, abs=1e-9)
    assert altitude == pytest.approx(99.0)
    latitude, longitude, _ = Shot(
        latitude=0.0, longitude=16.0, heading_deg=180.0, distance_m=2.0, mm_per_pixel=1.0
    ).place(500, 0)
    assert latitude == pytest.approx(-2 * METRE, rel=1e-3)
    assert longitude == pytest.approx(16 - 0.5 * METRE, abs=1e-9)


@pytest.mark.parametrize("missing", [{"heading_deg": None}, {"mm_per_pixel": None}, {"pitch_deg": -90.0}])
def test_without_direction_or_scale_it_is_the_cameras_place(missing):
    known = {"heading_deg": 0.0, "mm_per_pixel": 1.0, "distance_m": 2.0, "pitch_deg": 0.0}
    assert Shot(latitude=-33.5, longitude=-70.6, altitude_m=1.0, **(known | missing)).place(500, 500) == (
        -33.5,
        -70.6,
        1.0,
    )


def test_without_a_position_there_is_no_place():
    assert Shot(heading_deg=0.0, mm_per_pixel=1.0).place(1, 1) == (None, None, None)


@given(latitude=st.floats(-85, 85), heading=st.floats(0, 360), right=st.floats(-5000, 5000))
def test_places_stay_on_the_earth_at_the_antimeridian(latitude, heading, right):
    shot = Shot(latitude=latitude, longitude=179.99999, heading_deg=heading, distance_m=5.0, mm_per_pixel=1.0)
    place = shot.place(right, 0)
    assert place[1] is not None
    assert -180 <= place[1] <= 180
    east = (place[1] - 179.99999 + 180) % 360 - 180
    assert abs(east) * math.cos(math.radians(latitude)) <= 8 * METRE


def test_exif_gives_time_place_heading_and_distance():
    found = exif(1, latitude=-33.5, longitude=-70.6)
    found.get_ifd(0x8825)[16], found.get_ifd(0x8825)[17] = "T", 271.5
    found.get_ifd(0x8769)[0x9206], found.get_ifd(0x8769)[0xA405] = 2.5, 50
    shot = Locator().of_file(jpeg(found), 400, 300)
    assert shot.time == 1748770201.0
    assert shot.latitude == pytest.approx(-33.500001)
    assert shot.longitude == pytest.approx(-70.6)
    assert (shot.heading_deg, shot.distance_m) == (271.5, 2.5)
    assert shot.mm_per_pixel == pytest.approx(2500 * math.hypot(36, 24) / 500 / 50)


def test_a_magnetic_heading_is_not_taken_for_a_true_one():
    found = exif()
    found.get_ifd(0x8825)[16], found.get_ifd(0x8825)[17] = "M", 271.5
    assert Locator().of_file(jpeg(found), 400, 300).heading_deg is None


def test_a_gimbals_angles_come_from_xmp():
    data = jpeg(exif())
    xmp = b'<x drone-dji:GimbalYawDegree="-90.0" drone-dji:GimbalPitchDegree="-12.5"/>'
    shot = Locator().of_file(data[:2] + b"\xff\xe1" + (len(xmp) + 2).to_bytes(2, "big") + xmp + data[2:], 400, 300)
    assert (shot.heading_deg, shot.pitch_deg) == (270.0, -12.5)


def test_zero_zero_is_no_position():
    shot = Locator().of_file(jpeg(exif(0, latitude=0.0, longitude=0.0)), 400, 300)
    assert (shot.latitude, shot.longitude) == (None, None)


def test_a_clock_without_a_zone_needs_one():
    found = exif(0, latitude=None)
    del found.get_ifd(0x8769)[0x9011]
    data = jpeg(found)
    assert Locator().of_file(data, 400, 300).time is None
    assert Locator(clock=VIENNA).of_file(data, 400, 300).time == 1748770200.0


def test_an_hour_that_happened_twice_is_not_guessed():
    found = exif(0, latitude=None)
    taken = found.get_ifd(0x8769)
    taken[0x9003] = "2025:10:26 02:30:00"
    del taken[0x9011]
    assert Locator(clock=VIENNA).of_file(jpeg(found), 400, 300).time is None


def test_damaged_bytes_leave_everything_unknown():
    assert replace(Locator().of_file(b"\xff\xd8damaged", 400, 300), unplaced=None) == Shot()


def test_a_place_over_a_pole_is_the_cameras_own():
    shot = Shot(latitude=89.9999999, longitude=16.0, heading_deg=0.0, distance_m=500.0, mm_per_pixel=1.0)
    assert shot.place(0, 0) == (89.9999999, 16.0, None)


def test_a_scale_that_cannot_be_is_none():
    found = exif(1)
    found.get_ifd(0x8769)[0x9206], found.get_ifd(0x8769)[0xA405] = 900.0, 0.0001
    assert Locator().of_file(jpeg(found), 400, 300).mm_per_pixel is None


@pytest.mark.parametrize(
    "scale", [Scale(0.1, 2.0), Scale(0.1, focal_mm=8.0), Scale(focal_mm=8.0, distance_m=2.0), Scale(focal_mm=8.0)]
)
def test_scales_that_do_not_go_together_are_refused(scale):
    with pytest.raises(CrackError, match="--"):
        scale.check()


def test_a_given_camera_gives_the_scale():
    scale = Scale(distance_m=2.0, focal_mm=10.0, sensor_width_mm=13.2)
    scale.check()
    for said, mm_per_pixel in ((scale, 13.2 / 4000 * (2000 - 10) / 10), (Scale(0.2), 0.2)):
        found, why_not = said.find(None, 4000, 3000)
        assert found is not None
        assert found.mm_per_pixel == pytest.approx(mm_per_pixel)
        assert why_not is None
    assert Scale().find(None, 4000, 3000) == (None, None)


@pytest.mark.parametrize("scale", [Scale(distance_m=2.0), Scale(distance_m=2.0, focal_mm=8.0, sensor_width_mm=13.2)])
def test_a_panorama_has_no_scale_and_a_note_that_says_why(scale):
    found = exif()
    found.get_ifd(0x8769)[0xA405] = 24
    out = io.BytesIO()
    Image.new("RGB", (900, 300)).save(out, "JPEG", exif=found)
    shot = Locator(scale).of_file(out.getvalue(), 900, 300)
    assert shot.mm_per_pixel is None
    assert shot.notes[-1].startswith("no scale: the photograph has 900x300 pixels, wider than any sensor")
    whole = Locator(scale).of_file(jpeg(found), 400, 300)
    assert whole.mm_per_pixel is not None
    assert not any(note.startswith("no scale") for note in whole.notes)
    assert Locator(Scale(0.2)).of_file(out.getvalue(), 900, 300).mm_per_pixel == 0.2


def test_a_drones_log_of_exposures_places_and_dates_its_photographs_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "100_0005_Timestamp.MRK"
    path.write_text("7\t43225.5\t[2369]\t0,N\t0,E\t0,V\t48.1,Lat\t16.37,Lon\t190.0,Ellh\t0.01, 0.01, 0.02\t50,Q\n")
    locator, plain = Locator(log=read_flight_log(path)), jpeg(exif(0, latitude=None))
    shot = locator.of_file(plain, 400, 300, "sub/100_0005_0007.JPG")
    assert (shot.latitude, shot.longitude, shot.altitude_m, shot.unplaced) == (48.1, 16.37, 190.0, None)
    assert locator.of_file(plain, 400, 300, "sub/100_0006_0007.JPG").latitude is None
    undated = jpeg(Image.Exif())
    assert locator.of_file(undated, 400, 300, "100_0005_0007.JPG").time == locator.log.times[0]  # type: ignore[union-attr]
    own = locator.of_file(jpeg(exif(0)), 400, 300, "100_0005_0007.JPG")
    assert own.latitude == pytest.approx(48.2)


def drone(found: Image.Exif, size: tuple[int, int] = (400, 300), **values: str) -> bytes:
    """A photograph with properties of DJI."""
    out = io.BytesIO()
    Image.new("RGB", size).save(out, "JPEG", exif=found)
    data = out.getvalue()
    xmp = b"<x " + " ".join(f'drone-dji:{name}="{value}"' for name, value in values.items()).encode() + b"/>"
    return data[:2] + b"\xff\xe1" + (len(xmp) + 2).to_bytes(2, "big") + xmp + data[2:]


def with_lens(**tags: float) -> Image.Exif:
    found = exif(1)
    found.get_ifd(0x8769).update({int(tag[1:], 16): value for tag, value in tags.items()})
    return found


def test_a_lasers_range_goes_before_a_stated_distance_and_that_before_exif():
    found = with_lens(x9206=7.0, xA405=24)
    per_metre = 1000 * math.hypot(36, 24) / 500 / 24
    laser = drone(found, LRFTargetDistance="5.0", LRFStatus="Normal")
    for data, stated, distance, source in (
        (laser, 2.0, 5.0, "laser"), (laser, None, 5.0, "laser"), (jpeg(found), 2.0, 2.0, "stated"), (jpeg(found), None, 7.0, "EXIF"),
    ):  # fmt: skip
        shot = Locator(Scale(distance_m=stated)).of_file(data, 400, 300)
        assert (shot.distance_m, shot.scale_source) == (distance, source)
        assert shot.mm_per_pixel == pytest.approx(distance * per_metre)
    given = Locator(Scale(0.3)).of_file(laser, 400, 300)
    assert (given.mm_per_pixel, given.scale_source, given.scale_error) == (0.3, "given", None)
    camera = Scale(distance_m=2.0, focal_mm=10.0, sensor_width_mm=13.2)
    assert Locator(camera).of_file(laser, 400, 300).mm_per_pixel == pytest.approx(13.2 / 400 * (5000 - 10) / 10)


def test_a_calibrated_focal_length_is_used_and_grows_with_the_picture():
    found = with_lens(xA405=24, xA002=800, xA003=600)
    calibrated = "570"  # 24 mm are 555 pixels of 800 x 600
    shot = Locator(Scale(distance_m=2.0)).of_file(drone(found, CalibratedFocalLength=calibrated), 400, 300)
    assert shot.mm_per_pixel == pytest.approx(2000 / 285)
    (note,) = shot.notes  # half as large: the whole made smaller, or a part of it
    assert "400x300 pixels, and 800x600 when it was taken" in note
    assert "2 times too large" in note
    plain = Locator(Scale(distance_m=2.0)).of_file(jpeg(found), 400, 300)
    assert shot.scale_error is not None
    assert plain.scale_error is not None
    assert shot.scale_error < plain.scale_error
    alone = Locator(Scale(distance_m=2.0)).of_file(drone(exif(1), CalibratedFocalLength="500"), 400, 300)
    assert alone.mm_per_pixel == pytest.approx(4.0)


def test_a_calibration_of_another_lens_is_passed_over_with_a_note():
    shot = Locator(Scale(distance_m=2.0)).of_file(
        drone(with_lens(xA405=24, xA002=400, xA003=300), CalibratedFocalLength="3725"), 400, 300
    )
    assert shot.mm_per_pixel == pytest.approx(2000 * math.hypot(36, 24) / 500 / 24)
    assert shot.notes == (
        "XMP: a calibrated focal length of 3,725 pixels and the EXIF focal length (277 pixels) cannot be of one lens: "
        "that of EXIF was taken",
    )


def test_a_gimbals_pitch_corrects_the_scale_and_the_place():
    data = drone(
        with_lens(), (4000, 3000), GimbalYawDegree="0", GimbalPitchDegree="-30", CalibratedFocalLength="3000",
        LRFTargetDistance="6",
    )  # fmt: skip
    shot = Locator().of_file(data, 4000, 3000)
    view = shot.view(4000, 3000)
    assert view is not None
    down = view.measure([[(2000, 1490), (2000, 1510)]])
    assert down is not None
    assert down.length == pytest.approx(2.0 / math.cos(math.radians(30)), rel=1e-4)
    latitude, _, altitude = replace(shot, altitude_m=100.0).place(0, 0)
    assert latitude == pytest.approx(48.200001 + 6 * math.cos(math.radians(30)) * METRE, abs=1e-8)
    assert altitude == pytest.approx(100 - 3.0)


def test_a_given_scale_is_neither_corrected_nor_doubted():
    data = drone(with_lens(), GimbalYawDegree="0", GimbalPitchDegree="-30", LRFTargetDistance="6")
    view = Locator(Scale(0.3)).of_file(data, 400, 300).view(400, 300)
    assert view is not None
    scales = view.measure([[(0, 0), (0, 300)]])
    assert scales is not None
    assert (scales.length, scales.width, scales.error) == (0.3, 0.3, None)


def test_a_range_finder_in_the_flight_log_gives_the_distance_and_angles_of_a_photograph_that_knows_its_place():
    found = with_lens(xA405=24)
    taken = Locator(Scale()).of_file(jpeg(found), 400, 300)
    assert taken.time is not None
    fixes = [
        Fix(10, 20, time=taken.time + second, heading_deg=90.0, pitch_deg=-4.0, distance_m=5.0)
        for second in (-2, 0.3, 9)
    ]
    locator = Locator(Scale(distance_m=2.0), FlightLog(tuple(fixes), {}))
    shot = locator.of_file(jpeg(found), 400, 300)
    assert (shot.latitude, shot.heading_deg, shot.pitch_deg) == (taken.latitude, 90.0, -4.0)
    assert (shot.distance_m, shot.scale_source) == (5.0, "laser")
    laser = drone(found, LRFTargetDistance="3.0", LRFStatus="Normal", GimbalPitchDegree="-9", GimbalYawDegree="10")
    shot = locator.of_file(laser, 400, 300)
    assert (shot.distance_m, shot.heading_deg, shot.pitch_deg) == (3.0, 10.0, -9.0)


def test_a_distance_that_was_measured_more_than_a_second_away_is_not_interpolated():
    log = FlightLog((Fix(10, 20, time=100.0, distance_m=5.0), Fix(10, 20, time=108.0, distance_m=9.0)), {})
    assert [fix.distance_m for moment in (100.9, 101.1, 107.5) if (fix := log.fix_at(moment))] == [5.0, None, 9.0]


def test_a_frame_of_a_given_camera_has_its_scale_by_the_range_that_the_device_recorded():
    camera = Scale(focal_mm=10.0, sensor_width_mm=13.2)
    camera.check()
    shot = Locator(camera).of_moment(1.0, Fix(10, 20, heading_deg=5.0, pitch_deg=3.0, distance_m=4.0), 4000, 3000)
    assert (shot.distance_m, shot.scale_source, shot.heading_deg, shot.pitch_deg) == (4.0, "laser", 5.0, 3.0)
    assert shot.mm_per_pixel == pytest.approx(13.2 / 4000 * (4000 - 10) / 10)
    assert Locator(camera).of_moment(1.0, Fix(10, 20), 4000, 3000).mm_per_pixel is None
