"""A survey is compared with the truth by place, not by count."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from crack_tf.survey.findings import Finding, PhotoRecord, Survey
from crack_tf.survey.truth import FORMAT, compare, on_a_crack, read_truth
from tests.crack_tf.survey.some_finding import some_finding
from tflite.device.tiles import Box
from tflite.errors import CrackError

LINE = [[x, 100.0] for x in range(100, 301, 4)]
CRACK: dict[str, Any] = {"length_mm": 20.0, "mean_width_mm": 0.5, "max_width_mm": 0.8, "max_width_px": 8.0}
TRUTH: dict[str, Any] = {
    "format": FORMAT,
    "cracks": [
        {"id": 0, **CRACK, "photos": {"a.jpg": {"points": LINE}, "b.jpg": {"points": LINE}}},
        {"id": 1, **CRACK, "photos": {"a.jpg": {"points": [[x, 250.0] for x in range(100, 301, 4)]}}},
        {"id": 2, **CRACK, "photos": {"never flown.jpg": {"points": LINE}}},
    ],
}


def finding(y: float = 100.0, number: str = "x", **changes) -> Finding:
    ring = ((100.0, y - 3), (300.0, y - 3), (300.0, y + 3), (100.0, y + 3))
    sizes = {
        "mm_per_pixel": 0.1,
        "length_px": 210.0,
        "mean_width_px": 6.0,
        "max_width_px": 8.0,
        "length_mm": 21.0,
        "mean_width_mm": 0.6,
        "max_width_mm": 0.8,
    }
    box = Box(97, 100, 6, 200)
    return some_finding("DCIM/a.jpg", **{"id": number, "box": box, "outline": (ring,), "tiles": 2, **sizes, **changes})


def survey(*findings: Finding) -> Survey:
    photos = tuple(
        PhotoRecord(f"DCIM/{name}.jpg", "", 400, 300, None, None, None, None, None, 0.1, 9, 1, 1) for name in "ab"
    )
    return Survey("DCIM", "", {}, {}, photos, findings, ())


def test_a_finding_on_a_crack_is_right_and_its_errors_are_relative():
    result = compare(survey(finding()), TRUTH)
    assert (result.cracks, result.found, result.findings, result.right) == (2, 1, 1, 1)
    assert result.missed == (1,)
    assert result.length_error == pytest.approx(0.05)
    assert result.width_error == pytest.approx(0.2)
    assert "recall      0.500  1 of 2 cracks found" in result.describe()


def test_a_finding_beside_the_crack_is_wrong():
    result = compare(survey(finding(), finding(180.0, "y")), TRUTH)
    assert (result.right, result.wrong, result.precision) == (1, ("y",), 0.5)


def test_a_large_blot_across_a_crack_is_wrong():
    ring = tuple((x, y) for x, y in [(90.0, 20.0), (310.0, 20.0), (310.0, 220.0), (90.0, 220.0)])
    assert compare(survey(finding(outline=(ring,))), TRUTH).right == 0


def test_tiles_around_a_crack_are_right_though_nothing_was_measured():
    ring = ((90.0, 20.0), (310.0, 20.0), (310.0, 220.0), (90.0, 220.0))
    result = compare(survey(finding(outline=(ring,), length_px=None, length_mm=None, mean_width_mm=None)), TRUTH)
    assert (result.right, result.measured, result.length_error) == (1, 0, None)


def test_one_crack_found_twice_is_a_duplicate():
    assert compare(survey(finding(), finding(102.0, "y")), TRUTH).duplicates == 1


def test_refuted_findings_count_for_nothing():
    result = compare(survey(finding(validation="refuted")), TRUTH)
    assert (result.found, result.findings, result.precision) == (0, 0, None)


def test_a_refuted_finding_lies_on_a_crack_or_not():
    assert on_a_crack(finding(validation="refuted"), TRUTH)
    assert not on_a_crack(finding(180.0, validation="refuted"), TRUTH)


def test_a_file_that_is_no_truth_is_refused(tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"format": "other"}))
    with pytest.raises(CrackError, match="--truth"):
        read_truth(path)


def test_points_of_a_crack_need_not_be_even():
    uneven = dict(TRUTH, cracks=[{**TRUTH["cracks"][0], "photos": {"a.jpg": {"points": np.array(LINE)[::3].tolist()}}}])
    assert compare(survey(finding()), uneven).found == 1
