"""Elevation sheets: vertices where they are on the wall, files that other programs read, and the photographs in their places."""

from __future__ import annotations

import itertools
import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from crack_tf.photo.faces import CYLINDER, Face, Frame, spots_on
from crack_tf.survey.findings import Finding, PhotoRecord, Survey
from crack_tf.survey.formats.sheet_layout import PAPER_MM, Title, layout_of, width_class
from crack_tf.survey.formats.sheet_svg import write_svg
from crack_tf.survey.geometry.footprint import before, camera_of, see
from crack_tf.survey.geometry.placing import on_face, place_cracks
from crack_tf.survey.handover import HandoverConfig, hand_over
from tests.crack_tf.survey.geometric_flight import before_wall, record, round_face, wall_face
from tests.crack_tf.survey.known_surveys import HEIGHT, WIDTH, drawn_finding, line_mask, photo_record, write_found
from tflite.errors import CrackError
from tflite.extras import is_installed
from tflite.files import sha256_bytes

needs_cad = pytest.mark.skipif(not is_installed("ezdxf"), reason="needs requirements-handover.txt")
LINE = line_mask([(40, 60), (150, 90), (260, 80)], 5)
SVG = "{http://www.w3.org/2000/svg}"


def camera_before(face: Face, photo: PhotoRecord, frame: Frame):
    camera = camera_of(photo, frame)
    assert camera is not None
    found = before(camera, face, frame, 1.0)
    assert found is not None
    return found


@pytest.mark.parametrize("roll", [0.0, 6.0, -20.0])
@pytest.mark.parametrize(
    ("kind", "pitch", "heading"), [("rectangle", 0.0, 0.0), ("rectangle", 25.0, 0.2), ("cylinder", -10.0, 0.0)]
)
def test_lines_of_sight_are_the_reverse_of_what_a_camera_sees(
    kind: str, pitch: float, heading: float, roll: float
) -> None:
    rng = np.random.default_rng(3)
    if kind == CYLINDER:
        face, middle = round_face(2.4, 5.0), math.pi * 1.2
        pose = before_wall(0.0, 0.0, 2.5, 3.0, math.radians(pitch))
        pose = replace(pose, place=pose.place - np.array([0, 1.2, 0]))
    else:
        face, middle = wall_face(0.0, 6.0, 5.0), 3.0
        pose = before_wall(0.0, 3.0, 2.5, 3.0, math.radians(pitch))
        pose = replace(pose, heading=heading)
    photo = replace(record(0, pose, rng, 0.0, 0.0, 0.0), roll_deg=roll)
    frame = Frame(face.latitude, face.longitude)
    camera = camera_before(face, photo, frame)
    spots = np.array([middle, 2.5]) + rng.uniform(-0.4, 0.4, (50, 2))
    seen = see(camera, spots_on(face, frame, *spots.T))
    assert seen.inside.sum() > 20
    # What `see` counts from the corner, an outline counts from the middle of the first pixel.
    pixels = np.c_[seen.x, seen.y][seen.inside] - 0.5
    assert on_face(camera, face, frame, pixels) == pytest.approx(spots[seen.inside], abs=1e-6)


def sheet_of(folder: Path) -> dict[str, Any]:
    """The one sheet of a survey with one face, as sheets.json has it."""
    hand_over(folder / "found", folder / "sheets", HandoverConfig("sheet"))
    record: dict[str, Any] = json.loads((folder / "sheets/sheets.json").read_text())
    (sheet,) = record["sheets"]
    return dict(sheet)


@needs_cad
def test_vertices_lie_within_five_millimetres_of_the_truth(tmp_path: Path) -> None:
    """Cameras without errors, rolled and pitched, each with its part of a wall; what a position is off by comes on top."""
    rng = np.random.default_rng(5)
    face = wall_face(0.3, 8.0, 6.0)
    frame = Frame(face.latitude, face.longitude)
    photos, truths = [], {}
    for number in range(6):
        spot = rng.uniform((1.5, 1.5), (6.5, 4.5))
        pose = before_wall(0.3, float(spot[0]), float(spot[1]), 4.0, float(rng.uniform(-0.2, 0.2)))
        photo = replace(
            record(number, pose, rng, 0.0, 0.0, 0.0), width=800, height=600, roll_deg=float(rng.uniform(-8, 8)),
            mm_per_pixel=2.0, distance_m=4.0,
        )  # fmt: skip
        true = spot + np.cumsum(np.r_[[[-0.3, -0.1]], rng.uniform(0, 0.12, (6, 2))], axis=0)
        seen = see(camera_before(face, photo, frame), spots_on(face, frame, *true.T))
        mask = line_mask([(float(x) - 0.5, float(y) - 0.5) for x, y in zip(seen.x, seen.y, strict=True)], 4, (800, 600))
        finding = drawn_finding(photo, mask)
        photos.append((photo, [finding]))
        truths[finding.id] = true
    write_found(tmp_path / "found", photos, faces=[asdict(face)])
    sheet = sheet_of(tmp_path)
    assert len(sheet["cracks"]) == 6
    off = []
    for crack in sheet["cracks"]:
        true = 1000 * truths[crack["finding"]]
        fine = np.concatenate([np.linspace(a, b, 200) for a, b in itertools.pairwise(true)])
        for line in crack["lines_mm"]:
            off += [float(np.hypot(*(fine - point).T).min()) for point in line]
    assert np.median(off) < 2.0  # a pixel shows two millimetres
    assert np.quantile(off, 0.95) < 5.0


@needs_cad
def test_the_drawing_of_cad_programs_is_full_size_with_a_layer_for_each_class(tmp_path: Path) -> None:
    from ezdxf.filemanagement import readfile

    photo = photo_record("a.png")
    write_found(tmp_path / "found", [(photo, [drawn_finding(photo, LINE)])])
    sheet = sheet_of(tmp_path)
    drawing = readfile(tmp_path / "sheets/sheet-001.dxf")
    assert drawing.header["$INSUNITS"] == 4  # millimetres
    assert not drawing.audit().errors
    (line,) = drawing.modelspace().query('LWPOLYLINE[layer=="CRACKS 0.4 mm or more"]')
    points = np.array(list(line.get_points("xy")))  # type: ignore[attr-defined]
    assert points == pytest.approx(np.array(sheet["cracks"][0]["lines_mm"][0]), abs=0.06)
    assert np.ptp(points[:, 0]) == pytest.approx(225, abs=5)  # a millimetre a pixel
    told = {text.dxf.text for text in drawing.modelspace().query("TEXT")}
    assert any("flown 2026-03-01" in text for text in told)


def test_names_that_no_drawing_can_hold_are_escaped(tmp_path: Path) -> None:
    title = Title("west\x00<1>", "br\udcfccke\n1", "2026-03-01", "2026-03-02", "1 of 1", ())
    write_svg(tmp_path / "sheet.svg", layout_of(wall_face(0, 6, 3), (), title), None)
    texts = [text.text or "" for text in ElementTree.parse(tmp_path / "sheet.svg").getroot().iter()]
    assert texts.count("west\\x00<1>") == 2
    assert any(text.startswith("Survey of br\\udcfccke\\n1, flown") for text in texts)


@needs_cad
def test_the_svg_is_true_to_scale_and_says_which(tmp_path: Path) -> None:
    photo = photo_record("a.png")
    write_found(tmp_path / "found", [(photo, [drawn_finding(photo, LINE)])])
    sheet = sheet_of(tmp_path)
    root = ElementTree.parse(tmp_path / "sheets/sheet-001.svg").getroot()
    assert (root.get("width"), root.get("viewBox")) == ("420mm", "0 0 420 297")
    (line,) = root.iter(f"{SVG}polyline")
    points = np.array([[float(value) for value in pair.split(",")] for pair in line.get("points", "").split()])
    true = np.array(sheet["cracks"][0]["lines_mm"][0])
    assert np.ptp(points, axis=0) * sheet["scale"] == pytest.approx(np.ptp(true, axis=0), abs=0.1)
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert any(f"Scale 1:{sheet['scale']} (A3)" in text for text in texts)
    bar = next(path for path in root.iter(f"{SVG}path") if "v2h" in (path.get("d") or ""))
    length = float(re.search(r"h([\d.]+)", bar.get("d") or "")[1])  # type: ignore[index]
    assert f"{length * sheet['scale']:.0f} mm" in texts
    with Image.open(tmp_path / "sheets/sheet-001.png") as picture:
        assert picture.width / picture.height == pytest.approx(PAPER_MM[0] / PAPER_MM[1], rel=1e-3)
        assert len(picture.getcolors(100_000)) > 10  # type: ignore[arg-type]


@needs_cad
def test_photographs_lie_where_they_were_taken_and_others_are_told(tmp_path: Path) -> None:
    (tmp_path / "DCIM").mkdir()
    photos: list[tuple[PhotoRecord, list[Finding]]] = []
    for name, right, colour in (
        ("a.png", 0.0, (200, 40, 40)),
        ("b.png", 0.4, (40, 40, 200)),
        ("c.png", 0.8, (40, 200, 40)),
    ):
        path = tmp_path / "DCIM" / name
        Image.new("RGB", (WIDTH, HEIGHT), colour).save(path)
        photos.append((photo_record(name, right, sha256=sha256_bytes(path.read_bytes())), []))
    (tmp_path / "DCIM/c.png").unlink()
    write_found(tmp_path / "found", photos)
    done = hand_over(tmp_path / "found", tmp_path / "sheets", HandoverConfig("sheet", photos=tmp_path / "DCIM"))
    assert len(done.gaps) == 1
    assert "c.png" in done.gaps[0]
    pixels = np.asarray(Image.open(tmp_path / "sheets/sheet-001.jpg"), int)
    middle = pixels[pixels.shape[0] // 2]
    shares = [pixels.shape[1] * (0.16 + right) / 1.12 for right in (0.0, 0.4, 0.8)]
    red, blue, none = (middle[round(place)] for place in shares)
    assert red[0] > 180 > red[2]
    assert blue[2] > 180 > blue[0]
    assert np.ptp(none) < 12  # paper


@needs_cad
def test_transparent_parts_of_a_photograph_are_paper_in_the_mosaic(tmp_path: Path) -> None:
    (tmp_path / "DCIM").mkdir()
    path = tmp_path / "DCIM/a.png"
    photo = Image.new("RGBA", (WIDTH, HEIGHT), (200, 40, 40, 255))
    photo.paste((40, 200, 40, 0), (0, 0, WIDTH // 2, HEIGHT))
    photo.save(path)
    write_found(tmp_path / "found", [(photo_record("a.png", sha256=sha256_bytes(path.read_bytes())), [])])
    assert not hand_over(
        tmp_path / "found", tmp_path / "sheets", HandoverConfig("sheet", photos=tmp_path / "DCIM")
    ).gaps
    pixels = np.asarray(Image.open(tmp_path / "sheets/sheet-001.jpg"), int)
    transparent, there = (pixels[pixels.shape[0] // 2, round(pixels.shape[1] * place)] for place in (0.25, 0.75))
    assert np.ptp(transparent) < 12
    assert there[0] > 180 > there[2]


@needs_cad
def test_a_survey_without_faces_is_refused_and_leaves_no_folder_behind(tmp_path: Path) -> None:
    photo = photo_record("a.png", latitude=None, longitude=None)
    write_found(tmp_path / "found", [(photo, [])])
    with pytest.raises(CrackError, match="no face to draw"):
        hand_over(tmp_path / "found", tmp_path / "sheets", HandoverConfig("sheet"))
    assert not (tmp_path / "sheets").exists()


@needs_cad
def test_a_persons_files_among_sheets_stay(tmp_path: Path) -> None:
    photo = photo_record("a.png")
    write_found(tmp_path / "found", [(photo, [drawn_finding(photo, LINE)])])
    sheet_of(tmp_path)
    (tmp_path / "sheets/sheet-plan.svg").write_text("mine")
    with pytest.raises(CrackError, match="--overwrite"):
        hand_over(tmp_path / "found", tmp_path / "sheets", HandoverConfig("sheet"))
    hand_over(tmp_path / "found", tmp_path / "sheets", HandoverConfig("sheet"), overwrite=True)
    assert (tmp_path / "sheets/sheet-plan.svg").read_text() == "mine"


@pytest.mark.parametrize(
    ("width", "name"),
    [(None, "width not known"), (0.0, "below 0.1 mm"), (0.1, "0.1 to 0.2 mm"), (7.0, "0.4 mm or more")],
)
def test_classes_of_width(width: float | None, name: str) -> None:
    assert width_class(width) == name


def test_a_crack_beside_a_face_by_less_than_the_error_of_a_position_is_on_the_face_that_holds_most_of_it() -> None:
    photo = photo_record("a.png")
    finding = drawn_finding(photo, LINE)
    frame = Frame(photo.latitude or 0.0, photo.longitude or 0.0)

    def face_at(right: float) -> dict[str, object]:
        ahead = np.array([math.sin(math.radians(30.0)), math.cos(math.radians(30.0))])
        side = np.array([ahead[1], -ahead[0]])
        latitude, longitude = frame.place(*(2.0 * ahead + right * side).tolist())
        face = Face(f"at {right}", "rectangle", latitude, longitude, 539.0, 30.0, 2.0, width_m=0.3)
        return asdict(face)

    def placed(error: float, *rights: float) -> list[str]:
        settings = {"faces": [face_at(right) for right in rights], "position_error_m": error}
        survey = Survey("DCIM", "2026-03-02T10:00:00Z", {}, settings, (photo,), (finding,), ())
        return [crack.face.name for crack in place_cracks(survey).cracks]

    # The crack reaches from 0.12 m left of the middle to 0.10 m right of it.
    assert placed(0.01, -0.02) == []
    assert placed(0.2, -0.02) == ["at -0.02"]
    assert placed(0.2, 0.0, -0.1) == ["at -0.1"]
