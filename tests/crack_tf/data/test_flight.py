"""A flight is the same for the same seed, and what it says about its photographs is true of them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image

from crack_tf.data.__main__ import main
from crack_tf.survey.geometry.camera import Locator
from crack_tf.synthetic.flight import write_flight
from crack_tf.synthetic.flight_geometry import move
from crack_tf.synthetic.flight_plan import Plan
from tests.options import instead
from tflite.errors import CrackError
from tflite.images import load_rgb
from tflite.place.flightlog import read_flight_log

SMALL = Plan(piers=1, rows=1, columns=3, width=400, height=300, cracks=3)


@pytest.fixture(scope="module")
def flight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flight") / "f"
    write_flight(folder, SMALL)
    return folder


def test_the_same_seed_is_the_same_flight(flight, tmp_path):
    write_flight(tmp_path / "again", SMALL, jobs=1)
    names = sorted(path.relative_to(flight) for path in flight.rglob("*") if path.is_file())
    assert names == sorted(
        path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*") if path.is_file()
    )
    for name in names:
        assert (flight / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_masks_show_the_cracks_of_the_truth(flight):
    truth = json.loads((flight / "truth.json").read_text())
    assert truth["complete"]
    assert len(truth["cracks"]) == 3
    for crack in truth["cracks"]:
        assert crack["photos"]
        for name, seen in crack["photos"].items():
            mask = np.asarray(Image.open(flight / "masks" / name.replace(".jpg", ".png"))) > 0
            x, y = np.array(seen["points"])[3:-3].round().astype(int).T
            assert (mask[y, x]).mean() > 0.85
            pixels = load_rgb(flight / "photos" / name).mean(axis=2)
            assert pixels[y, x].mean() < 0.75 * np.median(pixels)


def test_each_crack_is_whole_on_one_photograph(flight):
    for crack in json.loads((flight / "truth.json").read_text())["cracks"]:
        assert max(seen["visible_length_mm"] for seen in crack["photos"].values()) == pytest.approx(
            crack["length_mm"], rel=0.02
        )


def test_exif_data_gives_place_scale_and_orientation(flight):
    photos = json.loads((flight / "truth.json").read_text())["photos"]
    for number, photo in enumerate(photos):
        path = flight / "photos" / photo["name"]
        height, width = load_rgb(path).shape[:2]
        assert (width, height) == (400, 300)
        shot = Locator().of_file(path.read_bytes(), width, height)
        assert shot.mm_per_pixel == pytest.approx(0.15, rel=1e-4)
        if number == len(photos) - 1:  # this one the log knows
            assert shot.latitude is None
            continue
        assert shot.latitude == pytest.approx(photo["latitude"], abs=1e-8)
        assert shot.longitude == pytest.approx(photo["longitude"], abs=1e-8)
        assert shot.heading_deg == pytest.approx(photo["heading_deg"], abs=0.01)
    assert Image.open(flight / "photos" / photos[1]["name"]).getexif()[0x0112] == 3


def test_the_log_knows_where_every_photograph_was_taken(flight):
    log = read_flight_log(flight / "flight.csv")
    for photo in json.loads((flight / "truth.json").read_text())["photos"]:
        shot = Locator(log=log).of_file((flight / "photos" / photo["name"]).read_bytes(), 400, 300)
        assert shot.latitude == pytest.approx(photo["latitude"], abs=1e-7)
        assert shot.altitude_m == pytest.approx(photo["altitude_m"], abs=0.01)


def test_a_place_to_the_right_is_to_the_right_and_longitudes_wrap():
    latitude, longitude = move(0.0, 179.9999, 0.0, 100.0, 100.0)
    assert latitude == pytest.approx(math.degrees(100 / 6_371_008.8))
    assert -180 <= longitude < -179.999


def test_southern_and_western_flights_keep_their_signs(tmp_path):
    write_flight(
        tmp_path / "f",
        Plan(piers=1, rows=1, columns=2, width=240, height=240, cracks=0, latitude=-33.5, longitude=-70.6),
    )
    shot = Locator().of_file((tmp_path / "f/photos/IMG_0001.jpg").read_bytes(), 240, 240)
    assert shot.latitude == pytest.approx(-33.5, abs=1e-3)
    assert shot.longitude == pytest.approx(-70.6, abs=1e-3)


def test_the_command_writes_a_flight_and_overwrites_only_flights(tmp_path, capsys):
    command = [
        "flight",
        "--out",
        str(tmp_path / "f"),
        "--piers",
        "1",
        "--rows",
        "1",
        "--columns",
        "2",
        "--size",
        "240x240",
    ]
    assert main([*command, "--cracks", "1"]) == 0
    assert "2 photographs of 1 pier with" in capsys.readouterr().out
    assert main(command) == 2
    assert main(instead(command, ["--overwrite", "--columns", "1"])) == 0
    assert [path.name for path in (tmp_path / "f/photos").iterdir()] == ["IMG_0001.jpg"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("mine")
    assert main(["flight", "--out", str(tmp_path / "mine"), "--overwrite"]) == 2


@pytest.mark.parametrize(
    "plan",
    [Plan(width=100), Plan(height=9000), Plan(latitude=89.0), Plan(longitude=200.0)],
    ids=["narrow", "tall", "pole", "far"],
)
def test_a_plan_that_cannot_be_drawn_is_refused(tmp_path, plan):
    with pytest.raises(CrackError, match=r"--size|--at"):
        write_flight(tmp_path / "f", plan)


def test_a_drone_with_laser_and_gimbal_writes_what_is_true(tmp_path):
    plan = Plan(
        piers=1,
        rows=2,
        columns=2,
        width=400,
        height=300,
        cracks=1,
        laser_noise_m=0.02,
        pitch_deg=10,
        missed=1,
        blurred=1,
    )
    truth = write_flight(tmp_path / "f", plan)
    assert len(truth["photos"]) == 3
    assert sum(photo["smeared"] for photo in truth["photos"]) == 1
    for photo in truth["photos"]:
        data = (tmp_path / "f/photos" / photo["name"]).read_bytes()
        shot = Locator().of_file(data, 400, 300)
        assert shot.scale_source == "laser"
        assert shot.pitch_deg == pytest.approx(photo["pitch_deg"], abs=0.006)
        assert shot.distance_m == pytest.approx(2.0, abs=0.1)
        view = shot.view(400, 300)
        assert view is not None
        assert shot.distance_m is not None
        # Two marks on the photograph are as far apart as on the wall, within the interval.
        for ends in (((50, 40), (350, 40)), ((50, 280), (350, 280)), ((60, 20), (60, 280))):
            line = np.array(ends, float)
            scales = view.measure([line.tolist()])
            assert scales is not None
            assert scales.error is not None
            homography = np.array(photo["to_wall_mm"])
            there = np.c_[line, np.ones(2)] @ homography.T
            true = float(np.hypot(*np.diff(there[:, :2] / there[:, 2:], axis=0)[0]))
            found = scales.length * float(np.hypot(*np.diff(line, axis=0)[0]))
            assert found == pytest.approx(true, rel=0.03 + abs(shot.distance_m / 2 - 1))
            assert abs(found - true) <= scales.error * found


@pytest.mark.parametrize(
    "plan", [Plan(pitch_deg=40), Plan(laser_noise_m=-1), Plan(piers=1, rows=1, columns=2, missed=1, blurred=1)]
)
def test_a_drone_that_cannot_be_drawn_is_refused(tmp_path, plan):
    with pytest.raises(CrackError, match="--"):
        write_flight(tmp_path / "f", plan)
    assert not (tmp_path / "f").exists()
