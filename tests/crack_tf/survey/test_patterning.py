"""Patterns in findings: from a photograph's record to columns and to the words of the report."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf.photo.__main__ import main as measure
from crack_tf.survey.condition import read_condition, with_conditions
from crack_tf.survey.formats.geojson import finding_row
from crack_tf.survey.patterning import describe_pattern, slope_words, with_patterns
from crack_tf.survey.report.page import write_page
from tests.crack_tf.survey.known_surveys import drawn_finding, line_mask, photo_record, tile_finding, write_found
from tflite.device.tiles import Box
from tflite.files import read_json

BENT = ((40, 60), (90, 75), (150, 62), (210, 84), (260, 70))
SET = [line_mask([(x, y + off) for x, y in BENT], 5) for off in (0, 60, 120)]
MESH = line_mask([(60, 40), (220, 40), (220, 200), (60, 200), (60, 40)], 6) | line_mask([(140, 40), (140, 200)], 6)

# Level, with an end up and one down: its points lie along a slope, its pieces do not run along it.
STEPS = line_mask([(40, 75), (45, 110), (240, 110), (245, 145)], 5)


def test_a_set_has_its_spacing_direction_and_density() -> None:
    photo = photo_record("a.png", roll_deg=0.0)
    found = with_patterns(photo, [drawn_finding(photo, mask) for mask in SET])
    for finding in found:
        assert (finding.pattern, finding.orientation, finding.orientation_to) == (
            "parallel set",
            "horizontal",
            "member",
        )
        assert finding.spacing_px == pytest.approx(60, abs=4)
        assert finding.spacing_mm == finding.spacing_px  # a millimetre a pixel
        total = sum(one.length_px or 0 for one in found)
        assert finding.density_m_per_m2 == pytest.approx(total / 1000 / (0.32 * 0.24), rel=0.01)
    assert describe_pattern(found[0]) is not None
    assert "mm between cracks" in str(describe_pattern(found[0]))


def test_a_mesh_is_known_by_its_fields_and_old_surveys_get_a_pattern_too() -> None:
    photo = photo_record("a.png")
    mesh = drawn_finding(photo, MESH)
    (found,) = with_patterns(photo, [mesh])
    assert (found.pattern, found.orientation, found.orientation_deg) == ("map", "all ways", None)
    old = replace(drawn_finding(photo, SET[0]), centreline=())
    (told,) = with_patterns(photo, [old])
    assert (told.pattern, told.orientation, told.orientation_to) == ("single", "horizontal", "photograph")


@pytest.mark.parametrize(("mask", "told"), [(STEPS, "horizontal"), (MESH, "all ways")])
def test_a_crack_has_one_direction_on_its_photograph_and_in_a_survey(
    mask: np.ndarray, told: str, tmp_path: Path
) -> None:
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert measure(["measure", str(tmp_path / "mask.png"), "--out", str(tmp_path / "out")]) == 0
    with (tmp_path / "out/cracks.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    photo = photo_record("a.png")
    (found,) = with_patterns(photo, [drawn_finding(photo, mask)])
    degrees = "" if found.orientation_deg is None else str(found.orientation_deg)
    assert (row["orientation"], row["orientation_deg"]) == (found.orientation, degrees) == (told, degrees)
    if degrees:
        (crack,) = read_json(tmp_path / "out/cracks.json")["cracks"]
        assert crack["orientation_deg"] == found.orientation_deg


def test_a_direction_is_said_as_a_person_does() -> None:
    assert slope_words(163.2) == "17° from horizontal, falling to the right"
    assert slope_words(17.0) == "17° from horizontal, rising to the right"
    assert [slope_words(degrees) for degrees in (0.2, 90.3, 180.0)] == [
        f"{steep}° from horizontal" for steep in (0, 90, 0)
    ]
    photo = photo_record("a.png")
    down = line_mask([(40, 40), (200, 200)], 5)
    (rolled,), (plain,) = (
        with_patterns(shot, [drawn_finding(shot, down)]) for shot in (replace(photo, roll_deg=0.0), photo)
    )
    assert "; diagonal, 45° from horizontal, falling to the right;" in str(describe_pattern(rolled))
    assert "diagonal on the photograph (the camera's roll is not known), 45°" in str(describe_pattern(plain))


def test_without_a_scale_there_are_no_millimetres() -> None:
    photo = photo_record("a.png", mm_per_pixel=None)
    (found, *_) = with_patterns(photo, [drawn_finding(photo, mask) for mask in SET])
    assert (found.spacing_mm, found.density_m_per_m2) == (None, None)
    assert found.density_px is not None
    assert "px of crack per megapixel" in str(describe_pattern(found))


def test_what_is_refuted_or_not_drawn_has_none_and_does_not_count() -> None:
    photo = photo_record("a.png")
    refuted = drawn_finding(photo, SET[1], "refuted")
    tile = tile_finding(photo, Box(0, 0, 64, 64), "unclear")
    drawn, *others = with_patterns(photo, [drawn_finding(photo, SET[0]), refuted, tile])
    assert drawn.density_px == pytest.approx(1e6 * (drawn.length_px or 0) / (320 * 240), rel=1e-3)
    assert [other.pattern for other in others] == [None, None]


def test_concrete_alone_is_the_area_of_a_density() -> None:
    plain, half = photo_record("a.png"), photo_record("a.png", patches="gn/gn")
    whole, part = (with_patterns(photo, [drawn_finding(photo, SET[0])])[0] for photo in (plain, half))
    assert part.density_px == pytest.approx(2 * (whole.density_px or 0), rel=1e-3)


def test_the_report_and_the_table_say_pattern_rule_and_that_it_is_a_proposal(tmp_path: Path) -> None:
    photo = photo_record("a.png", mm_per_pixel=0.1)
    table = read_condition("osim")
    findings = with_conditions(table, with_patterns(photo, [drawn_finding(photo, mask) for mask in SET]))
    survey = write_found(tmp_path, [(photo, findings)], condition=table.as_json())
    page = write_page(tmp_path, survey).read_text(encoding="utf-8")
    assert "Proposed condition: OSIM crack widths" in page
    assert "not a rating" in page
    assert "proposal by OSIM crack widths: Fair" in page
    assert "parallel set; horizontal on the photograph" in page
    row = finding_row(findings[0])
    assert row["condition"] == "Fair"
    assert row["pattern"] == "parallel set"
