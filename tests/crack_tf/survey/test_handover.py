"""What is handed over: a GeoPackage that GIS programs read, and COCO masks that come back as pairs to train on."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crack_tf.data.convert import convert
from crack_tf.data.shapes import coco_counts, paint_polygon, paint_runs
from crack_tf.survey.findings import Finding, Gap, read_survey, write_survey
from crack_tf.survey.formats.geojson import COLUMNS, write_tables
from crack_tf.survey.handover import HandoverConfig, hand_over
from crack_tf.survey.reviews.review import COLUMNS as REVIEW_COLUMNS
from crack_tf.survey.reviews.review import Decision, Review, keep_review
from crack_tf.survey.severity import ranked
from crack_tf.survey_export import main
from tests.crack_tf.survey.known_surveys import (
    HEIGHT,
    LATITUDE,
    LONGITUDE,
    MM_PER_PIXEL,
    WIDTH,
    drawn_finding,
    line_mask,
    photo_record,
    tile_finding,
    write_found,
    write_photo,
)
from tflite.device.tiles import Box
from tflite.errors import CrackError
from tflite.extras import is_installed

LINE = line_mask([(40, 60), (150, 90), (260, 80)], 5)
MESH = line_mask([(60, 120), (220, 120), (220, 200), (60, 200), (60, 120)], 6) | line_mask([(140, 120), (140, 200)], 6)
NAMES = ("a.png", "sub/b.png", "c.png")

needs_gis = pytest.mark.skipif(
    not (is_installed("pyogrio") and is_installed("pyproj")), reason="needs requirements-handover.txt"
)


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """Three photographs: a crack, a mesh beside an unsettled and a refuted tile, and nothing; one that could not be read."""
    a, b, c = (photo_record(name, right) for name, right in zip(NAMES, (0.0, 0.25, 0.5), strict=True))
    second = [
        drawn_finding(b, MESH),
        tile_finding(b, Box(0, 0, 64, 64), "unclear"),
        tile_finding(b, Box(0, 200, 64, 64), "refuted"),
    ]
    lost = Gap("broken.jpg", "unreadable", "is truncated", None, None, None)
    write_found(tmp_path / "found", [(a, [drawn_finding(a, LINE)]), (b, second), (c, [])], [lost])
    for name in NAMES:
        write_photo(tmp_path / "DCIM", name)
    return tmp_path / "found"


def read_coco_masks(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """By photograph and category, by the plain rules of COCO: a second reading that knows nothing of the writer."""
    record = json.loads(path.read_text())
    names = {entry["id"]: entry["file_name"] for entry in record["images"]}
    labels = {entry["id"]: entry["name"] for entry in record["categories"]}
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in names.values()}
    for entry in record["annotations"]:
        mask = np.zeros((HEIGHT, WIDTH), bool)
        shape = entry["segmentation"]
        if isinstance(shape, dict):
            counts = coco_counts(shape["counts"]) if isinstance(shape["counts"], str) else shape["counts"]
            paint_runs(counts, shape["size"][0], shape["size"][1], 0, 0, True, mask)
        else:
            for ring in shape:
                paint_polygon(np.reshape(ring, (-1, 2)), mask)
        of_photo = found[names[entry["image_id"]]]
        label = labels[entry["category_id"]]
        of_photo[label] = of_photo.get(label, np.zeros_like(mask)) | mask
    return found


# --- COCO ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("masks", ["polygons", "rle"])
def test_every_photograph_is_in_the_file_with_the_pixels_of_its_cracks(found: Path, tmp_path: Path, masks: str) -> None:
    done = hand_over(found, tmp_path / "DCIM/cracks.json", HandoverConfig("coco", masks=masks))
    masks_read = read_coco_masks(done.path)
    assert set(masks_read) == set(NAMES)
    assert masks_read["c.png"] == {}
    assert set(masks_read["sub/b.png"]) == {"crack", "unclear"}
    for name, truth in (("a.png", LINE), ("sub/b.png", MESH)):
        drawn = masks_read[name]["crack"]
        # An outline keeps to half a pixel of the mask that it was made from.
        assert (drawn & truth).sum() / (drawn | truth).sum() > 0.97
    assert "1 place of category unclear" in done.told
    assert done.gaps == ("broken.jpg: unreadable, is truncated",)


def test_areas_and_boxes_are_those_of_the_masks(found: Path, tmp_path: Path) -> None:
    path = hand_over(found, tmp_path / "cracks.json", HandoverConfig("coco", masks="rle")).path
    record = json.loads(path.read_text())
    for entry in record["annotations"]:
        mask = np.zeros((HEIGHT, WIDTH), bool)
        paint_runs(entry["segmentation"]["counts"], HEIGHT, WIDTH, 0, 0, True, mask)
        x, y, w, h = entry["bbox"]
        assert entry["area"] == mask.sum() == mask[y : y + h, x : x + w].sum()
        assert mask[y].any()
        assert mask[:, x + w - 1].any()
    assert [entry["id"] for entry in record["annotations"]] == [1, 2, 3]


@pytest.mark.parametrize("masks", ["polygons", "rle"])
def test_masks_corrected_there_come_back_as_pairs(found: Path, tmp_path: Path, masks: str) -> None:
    path = hand_over(found, tmp_path / "DCIM/cracks.json", HandoverConfig("coco", masks=masks)).path
    record = json.loads(path.read_text())
    labels = {entry["name"]: entry["id"] for entry in record["categories"]}
    # What a person does: the unsettled place is deleted, and a crack is added to the photograph that had none.
    record["annotations"] = [entry for entry in record["annotations"] if entry["category_id"] == labels["crack"]]
    corners = [30.0, 20.0, 200.0, 30.0, 200.0, 36.0, 30.0, 26.0]
    empty = next(entry["id"] for entry in record["images"] if entry["file_name"] == "c.png")
    record["annotations"].append(
        {"id": 99, "image_id": empty, "category_id": labels["crack"], "segmentation": [corners], "iscrowd": 0}
    )
    path.write_text(json.dumps(record))
    expected = read_coco_masks(path)
    converted = convert(path, tmp_path / "pairs")
    assert (converted.photographs, converted.crack_free, converted.left) == (3, 0, ())
    for name in NAMES:
        mask = np.asarray(Image.open(tmp_path / "pairs/masks" / name)) > 0
        assert np.array_equal(mask, expected[name]["crack"])


def test_a_crack_on_several_photographs_is_annotated_on_each(tmp_path: Path) -> None:
    a, b = photo_record("a.png"), photo_record("b.png", 0.03)
    one, other = drawn_finding(a, LINE), drawn_finding(b, np.roll(LINE, -30, axis=1))
    merged = [replace(one, seen_on=("a.png", "b.png"))]
    write_found(tmp_path / "found", [(a, [one]), (b, [other])], merged=merged)
    path = hand_over(tmp_path / "found", tmp_path / "cracks.json", HandoverConfig("coco")).path
    assert all("crack" in masks for masks in read_coco_masks(path).values())


def review_all(folder: Path, decide: Callable[[Finding], str]) -> None:
    """Put a review into a survey's folder."""
    survey = read_survey(folder)
    decided = {finding.id: Decision(decide(finding), "seen", "2026-03-03T08:00:00Z") for finding in survey.findings}
    keep_review(folder, Review("", "DCIM", "A. Engineer", "", decided))


def test_accepted_places_are_cracks_to_draw_and_rejected_ones_are_left_out(found: Path, tmp_path: Path) -> None:
    before = hand_over(found, tmp_path / "before.json", HandoverConfig("coco"))
    assert before.told == (
        "3 photographs with 2 cracks, and 1 place of category unclear that nobody has settled: make them cracks, or delete them"
    )
    assert len(json.loads(before.path.read_text())["categories"]) == 2
    # The crack of a.png is none, and the three of b.png are all cracks, whatever the second opinion was.
    review_all(found, lambda finding: "rejected" if finding.photo == "a.png" else "accepted")
    done = hand_over(found, tmp_path / "DCIM/cracks.json", HandoverConfig("coco"))
    assert done.told == (
        "3 photographs with 1 crack, and 2 accepted places without a drawn crack, category crack to draw: draw it; "
        "1 rejected one is left out"
    )
    masks = read_coco_masks(done.path)
    assert masks["a.png"] == {}
    assert set(masks["sub/b.png"]) == {"crack", "crack to draw"}
    attributes = [entry["attributes"] for entry in json.loads(done.path.read_text())["annotations"]]
    assert {entry["decision"] for entry in attributes} == {"accepted"}
    # A tile is no mask to learn from.
    with pytest.raises(CrackError, match="which classes are cracks"):
        convert(done.path, tmp_path / "pairs")


def test_a_doubted_drawn_crack_is_no_crack_until_somebody_accepts_it(tmp_path: Path) -> None:
    a = photo_record("a.png")
    doubted = replace(drawn_finding(a, LINE), validation="unclear")
    write_found(tmp_path / "found", [(a, [doubted, tile_finding(a, Box(100, 200, 64, 64), "unclear")])])
    path = hand_over(tmp_path / "found", tmp_path / "before.json", HandoverConfig("coco")).path
    assert set(read_coco_masks(path)["a.png"]) == {"unclear"}
    drawn = [entry["attributes"]["drawn"] for entry in json.loads(path.read_text())["annotations"]]
    assert drawn == [True, False]
    review_all(tmp_path / "found", lambda finding: "accepted" if finding.id == doubted.id else "")
    path = hand_over(tmp_path / "found", tmp_path / "after.json", HandoverConfig("coco")).path
    assert set(read_coco_masks(path)["a.png"]) == {"crack", "unclear"}


def test_a_surveys_title_goes_with_its_exports(found: Path, tmp_path: Path) -> None:
    survey = read_survey(found)
    write_survey(found, replace(survey, settings={**survey.settings, "title": "Bridge 12"}))
    done = hand_over(found, tmp_path / "cracks.json", HandoverConfig("coco"))
    assert "survey Bridge 12:" in json.loads(done.path.read_text())["info"]["description"]
    write_tables(found, read_survey(found))
    for name in ("findings.geojson", "coverage.geojson"):
        assert json.loads((found / name).read_text())["title"] == "Bridge 12"
    if is_installed("ezdxf"):
        sheets = hand_over(found, tmp_path / "sheets", HandoverConfig("sheet")).path
        assert json.loads((sheets / "sheets.json").read_text())["title"] == "Bridge 12"
        assert "Survey of Bridge 12, flown " in (sheets / "sheet-001.svg").read_text()


def test_a_decision_holds_on_every_photograph_that_shows_the_finding(tmp_path: Path) -> None:
    a, b = photo_record("a.png"), photo_record("b.png", 0.03)
    one, other = drawn_finding(a, LINE), drawn_finding(b, np.roll(LINE, -30, axis=1))
    spoken_for = replace(one, seen_on=("a.png", "b.png"), merged=(other.id,))
    write_found(tmp_path / "found", [(a, [one]), (b, [other])], merged=[spoken_for])
    review_all(tmp_path / "found", lambda finding: "rejected")
    done = hand_over(tmp_path / "found", tmp_path / "cracks.json", HandoverConfig("coco"))
    assert all(not masks for masks in read_coco_masks(done.path).values())
    assert done.gaps == ()
    # A survey of an earlier version does not say whom a finding speaks for.
    write_survey(
        tmp_path / "found", replace(read_survey(tmp_path / "found"), findings=(replace(spoken_for, merged=()),))
    )
    (gap,) = hand_over(tmp_path / "found", tmp_path / "old.json", HandoverConfig("coco")).gaps
    assert gap.startswith("b.png: what was decided on findings that several photographs show is not known here")


def test_without_records_a_photograph_that_shows_another_ones_finding_is_left_out(tmp_path: Path) -> None:
    a, b = photo_record("a.png"), photo_record("b.png", 0.03)
    one = replace(drawn_finding(a, LINE), seen_on=("a.png", "b.png"))
    write_found(tmp_path / "found", [(a, [one]), (b, [])], merged=[one])
    for path in (tmp_path / "found/records").glob("*.json"):
        path.unlink()
    done = hand_over(tmp_path / "found", tmp_path / "cracks.json", HandoverConfig("coco"))
    assert set(read_coco_masks(done.path)) == {"a.png"}
    assert len(done.gaps) == 1
    assert done.gaps[0].startswith("b.png: ")


def test_frames_of_a_video_are_refused(tmp_path: Path) -> None:
    write_found(tmp_path / "found", [], kind="video")
    with pytest.raises(CrackError, match=r"--to coco .* video"):
        hand_over(tmp_path / "found", tmp_path / "cracks.json", HandoverConfig("coco"))


# --- GeoPackage ----------------------------------------------------------------------------------------------------


@needs_gis
def test_a_geopackage_holds_every_finding_with_all_columns(found: Path, tmp_path: Path) -> None:
    import pyogrio.raw

    path = tmp_path / "found.gpkg"
    assert main([str(found), "--to", "geopackage", "--out", str(path)]) == 1  # one photograph could not be read
    about, _, geometries, values = pyogrio.raw.read(path, layer="findings")
    rows = dict(zip(about["fields"], values, strict=True))
    assert list(rows) == list(COLUMNS)
    assert about["crs"] == "EPSG:4326"
    assert all(geometry is not None for geometry in geometries)
    assert sorted(rows["validation"]) == ["confirmed", "confirmed", "refuted", "unclear"]
    assert rows["length_mm"].dtype == np.float64
    about, _, _, values = pyogrio.raw.read(path, layer="gaps")
    assert list(values[list(about["fields"]).index("photo")]) == ["broken.jpg"]


@needs_gis
def test_a_geopackage_of_a_reviewed_survey_has_the_decisions(found: Path, tmp_path: Path) -> None:
    import pyogrio.raw

    review_all(found, lambda finding: "rejected" if finding.photo == "a.png" else "")
    path = hand_over(found, tmp_path / "found.gpkg").path
    about, _, _, values = pyogrio.raw.read(path, layer="findings")
    rows = dict(zip(about["fields"], values, strict=True))
    assert list(rows) == [*COLUMNS, *REVIEW_COLUMNS]
    assert dict(zip(rows["photo"], rows["decision"], strict=True)) == {"a.png": "rejected", "sub/b.png": ""}
    assert set(rows["reviewer"]) == {"A. Engineer"}


@pytest.mark.skipif(not is_installed("ezdxf"), reason="needs requirements-handover.txt")
def test_rejected_findings_are_on_no_sheet(found: Path, tmp_path: Path) -> None:
    def drawn(path: Path) -> set[str]:
        sheets = json.loads((path / "sheets.json").read_text())["sheets"]
        return {crack["finding"] for sheet in sheets for crack in sheet["cracks"]}

    before = hand_over(found, tmp_path / "before", HandoverConfig("sheet"))
    review_all(found, lambda finding: "rejected" if finding.photo == "a.png" else "")
    done = hand_over(found, tmp_path / "sheets", HandoverConfig("sheet"))
    assert "rejected" not in before.told
    assert "1 rejected finding is left out" in done.told
    of_a = {finding.id for finding in read_survey(found).findings if finding.photo == "a.png"}
    assert drawn(before.path) - drawn(done.path) == of_a


@needs_gis
def test_findings_of_an_earlier_versions_survey_have_todays_severities_and_order(found: Path, tmp_path: Path) -> None:
    import pyogrio.raw

    survey = read_survey(found)
    earlier = [replace(finding, severity=float(n)) for n, finding in enumerate(reversed(survey.findings), 1)]
    write_survey(found, replace(survey, findings=tuple(earlier)))
    done = hand_over(found, tmp_path / "found.gpkg")
    today = ranked(survey).findings
    for layer, expected in (("findings", today), ("cracks", [one for one in today if one.length_px is not None])):
        about, _, _, values = pyogrio.raw.read(done.path, layer=layer)
        rows = dict(zip(about["fields"], values, strict=True))
        told = list(zip(rows["id"], rows["severity"], strict=True))
        assert told == [(finding.id, finding.severity) for finding in expected]


@needs_gis
def test_a_geopackage_is_one_by_its_standard_for_a_reader_that_is_not_gdal(found: Path, tmp_path: Path) -> None:
    path = hand_over(found, tmp_path / "found.gpkg", HandoverConfig(crs="EPSG:2056")).path
    with contextlib.closing(sqlite3.connect(path)) as file:
        # OGC 12-128r18: requirements 2, 6 and 7, then what is in the file, in which system, and how a geometry begins.
        assert file.execute("PRAGMA application_id").fetchone()[0].to_bytes(4, "big") == b"GPKG"
        assert file.execute("PRAGMA user_version").fetchone()[0] == 10200
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert file.execute("PRAGMA foreign_key_check").fetchall() == []
        contents = dict(file.execute("SELECT table_name, srs_id FROM gpkg_contents WHERE data_type = 'features'"))
        assert contents == dict.fromkeys(("findings", "cracks", "photographs", "gaps"), 2056)
        systems = {number for (number,) in file.execute("SELECT srs_id FROM gpkg_spatial_ref_sys")}
        assert systems >= {-1, 0, 4326, 2056}
        for table, column in file.execute("SELECT table_name, column_name FROM gpkg_geometry_columns").fetchall():
            columns = {name: key for _, name, _, _, _, key in file.execute(f'PRAGMA table_info("{table}")')}
            assert sum(columns.values()) == 1  # an integer primary key
            for (geometry,) in file.execute(f'SELECT "{column}" FROM "{table}" WHERE "{column}" IS NOT NULL'):
                assert geometry[:3] == b"GP\0"
                assert int.from_bytes(geometry[4:8], "little") == 2056


@needs_gis
def test_lines_of_cracks_lie_where_the_wall_is(found: Path, tmp_path: Path) -> None:
    import pyogrio.raw
    from pyproj import Transformer

    path = hand_over(found, tmp_path / "found.gpkg", HandoverConfig(crs="EPSG:2056")).path
    about, _, geometries, values = pyogrio.raw.read(path, layer="cracks")
    assert (about["crs"], about["geometry_type"]) == ("EPSG:2056", "MultiLineString Z")
    first = list(values[list(about["fields"]).index("photo")]).index("a.png")
    points = np.frombuffer(geometries[first][9 + 9 :], "<f8").reshape(-1, 3)  # one line: two headers of nine bytes
    east, north = Transformer.from_crs("EPSG:4326", "EPSG:2056", always_xy=True).transform(LONGITUDE, LATITUDE)
    angle = math.radians(30.0)
    ahead = (points[:, 0] - east) * math.sin(angle) + (points[:, 1] - north) * math.cos(angle)
    right = (points[:, 0] - east) * math.cos(angle) - (points[:, 1] - north) * math.sin(angle)
    # North of the map is not north of the globe: the grid is turned by less than a degree here.
    assert ahead == pytest.approx(2.0, abs=0.02)
    ends = sorted([right[0], right[-1]])
    assert ends == pytest.approx(
        [(37.5 - 159.5) * MM_PER_PIXEL / 1000, (262.5 - 159.5) * MM_PER_PIXEL / 1000], abs=0.02
    )
    assert points[:, 2].max() == pytest.approx(540 + (119.5 - 60) / 1000, abs=0.004)


@needs_gis
@pytest.mark.parametrize(
    ("crs", "told"),
    [
        ("EPSG:999999", "no reference system of that name"),
        ("nonsense", "no reference system of that name"),
        ("EPSG:4978", "no system of a map"),
        ("EPSG:5773", "no system of a map"),
        ("EPSG:27700", "places lie outside"),
    ],
)
def test_a_reference_system_that_does_not_fit_is_refused_and_nothing_is_written(
    found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], crs: str, told: str
) -> None:
    out = tmp_path / "found.gpkg"
    assert main([str(found), "--to", "geopackage", "--crs", crs, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert f"--crs {crs}" in error
    assert told in error
    assert not out.exists()


@needs_gis
def test_utm_is_the_zone_of_the_findings(found: Path, tmp_path: Path) -> None:
    done = hand_over(found, tmp_path / "found.gpkg", HandoverConfig(crs="utm"))
    assert "EPSG:32632" in done.told
    assert "reached from WGS84 " in done.told


@needs_gis
def test_findings_without_a_place_stay_rows_and_are_told(tmp_path: Path) -> None:
    import pyogrio.raw

    a = photo_record("a.png", latitude=None, longitude=None)
    write_found(tmp_path / "found", [(a, [drawn_finding(a, LINE)])])
    done = hand_over(tmp_path / "found", tmp_path / "found.gpkg")
    _, _, geometries, _ = pyogrio.raw.read(done.path, layer="findings")
    assert list(geometries) == [None]
    assert done.told == "1 finding, and nothing has a position"
    assert "1 finding has no place: rows without a geometry" in done.gaps
    (line,) = (gap for gap in done.gaps if "1 drawn crack lies on no face" in gap)
    assert line.endswith(": no line, no point")


@needs_gis
@pytest.mark.parametrize(
    ("second", "told"),
    [({"latitude": None, "longitude": None}, "no line, and 1 has no point either"), ({}, "a point, no line")],
)
def test_a_crack_on_no_face_is_told_with_or_without_its_point(
    tmp_path: Path, second: dict[str, Any], told: str
) -> None:
    photos = [photo_record("a.png", altitude_m=None), photo_record("b.png", altitude_m=None, **second)]
    write_found(tmp_path / "found", [(photo, [drawn_finding(photo, LINE)]) for photo in photos])
    done = hand_over(tmp_path / "found", tmp_path / "found.gpkg")
    (line,) = (gap for gap in done.gaps if "2 drawn cracks lie on no face" in gap)
    assert line.endswith(f": {told}")


@needs_gis
@pytest.mark.parametrize("crs", ["utm", "EPSG:2056", "EPSG:4326"])
def test_a_reference_system_that_nothing_is_placed_in_is_told_as_not_used(tmp_path: Path, crs: str) -> None:
    a = photo_record("a.png", latitude=None, longitude=None)
    write_found(tmp_path / "found", [(a, [drawn_finding(a, LINE)])])
    done = hand_over(tmp_path / "found", tmp_path / "found.gpkg", HandoverConfig(crs=crs))
    assert done.told == f"1 finding, and nothing has a position, so --crs {crs} was not used"


@needs_gis
def test_the_same_survey_gives_the_same_file(found: Path, tmp_path: Path) -> None:
    one = hand_over(found, tmp_path / "one.gpkg").path.read_bytes()
    assert hand_over(found, tmp_path / "two.gpkg").path.read_bytes() == one


# --- both ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["coco", pytest.param("geopackage", marks=needs_gis)])
def test_only_its_own_file_is_replaced(
    found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], to: str
) -> None:
    out = tmp_path / {"coco": "a.json", "geopackage": "a.gpkg"}[to]
    words = [str(found), "--to", to, "--out", str(out)]
    assert main(words) == 1
    assert main(words) == 2
    assert main([*words, "--overwrite"]) == 1
    out.write_bytes(b'{"info": {}, "images": [], "annotations": []}')
    assert main([*words, "--overwrite"]) == 2
    assert "left alone" in capsys.readouterr().err
    assert out.read_bytes().startswith(b'{"info": {}')


def test_another_suffix_and_a_folder_without_a_survey_are_refused(found: Path, tmp_path: Path) -> None:
    with pytest.raises(CrackError, match=r"ends in \.json"):
        hand_over(found, tmp_path / "cracks.txt", HandoverConfig("coco"))
    with pytest.raises(CrackError, match="no finished survey"):
        hand_over(tmp_path, tmp_path / "cracks.json", HandoverConfig("coco"))
    with pytest.raises(CrackError, match="--to shapefile"):
        HandoverConfig("shapefile")


def test_a_missing_package_is_named_with_its_extra(
    found: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tflite.extras.is_installed", lambda package: package != "pyogrio")
    assert main([str(found), "--to", "geopackage", "--out", str(tmp_path / "a.gpkg")]) == 2
    assert "pip install 'crack_tf[handover]'" in capsys.readouterr().err
    assert main([str(found), "--to", "coco", "--out", str(tmp_path / "a.json")]) == 1
