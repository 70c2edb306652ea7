"""Findings come back from their file as they were written, and damage is told."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.survey.findings import (
    VALIDATIONS,
    Finding,
    Gap,
    PhotoRecord,
    Survey,
    finding_id,
    read_survey,
    survey_id,
    write_survey,
)
from tests.crack_tf.survey.drawn_surveys import drawn_survey
from tflite.device.tiles import Box
from tflite.errors import CrackError
from tflite.files import read_json

numbers = st.none() | st.floats(0, 1e5, allow_nan=False)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
names = texts.map(lambda text: f"DCIM/{text}".replace("\0", "0").replace("/..", "/-"))
findings = st.builds(
    Finding,
    id=st.from_regex(r"[0-9a-f]{12}", fullmatch=True),
    photo=names,
    seen_on=st.lists(names, max_size=3).map(tuple),
    box=st.builds(Box, *[st.integers(0, 10_000)] * 4),
    outline=st.lists(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)), max_size=4).map(tuple), max_size=2).map(
        tuple
    ),
    latitude=st.none() | st.floats(-90, 90),
    longitude=st.none() | st.floats(-180, 180),
    altitude_m=numbers,
    time=st.none() | texts,
    probability=st.floats(0, 1),
    tiles=st.integers(0, 500),
    validation=st.sampled_from(VALIDATIONS),
    validation_score=st.none() | st.floats(0, 1),
    mm_per_pixel=numbers,
    length_px=numbers,
    mean_width_px=numbers,
    max_width_px=numbers,
    length_mm=numbers,
    mean_width_mm=numbers,
    max_width_mm=numbers,
    severity=st.floats(0, 1e9),
    picture=names,
    overlay=names,
)


@given(found=st.lists(findings, max_size=3, unique_by=lambda finding: finding.id))
def test_a_survey_comes_back_as_it_was_written(tmp_path_factory, found):
    folder = tmp_path_factory.mktemp("survey")
    photo = PhotoRecord("a.jpg", "0" * 64, 10, 20, None, -33.5, 179.9, None, 359.0, 0.1, 6, 1, 1)
    gap = Gap("b.jpg", "unreadable", "damaged")
    survey = Survey("DCIM", "2025-06-01T09:30:00Z", {}, {"tile": 227}, (photo,), tuple(found), (gap,), ("beware",))
    write_survey(folder, survey)
    assert read_survey(folder) == survey


def test_the_file_names_the_survey_for_programs_that_write_reviews(tmp_path):
    survey = Survey("DCIM", "2026-12-01T10:00:00Z", {}, {}, (), (), ())
    write_survey(tmp_path, survey)
    assert read_json(tmp_path / "survey.json")["id"] == survey_id(survey)
    assert read_survey(tmp_path) == survey


def test_a_printed_finding_has_its_numbers_and_not_its_hundreds_of_points(tmp_path):
    finding = drawn_survey(tmp_path, 1).findings[0]
    assert f"length_px={finding.length_px}" in repr(finding)
    assert not any(f"{name}=" in repr(finding) for name in ("outline", "centreline", "holes"))


def test_an_id_depends_on_photograph_and_place():
    ids = {finding_id(photo, box) for photo in ("a", "b") for box in (Box(0, 0, 5, 5), Box(0, 1, 5, 5))}
    ids |= {finding_id("a", Box(0, 0, 5, 5), again) for again in (0, 1, 2)}
    assert len(ids) == 6
    assert all(len(number) == 12 for number in ids)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "was not written by this version"),
        ({"findings": [{"id": "x"}]}, "is damaged"),
        ({"photos": 3}, "is damaged"),
        ({"strange": 1}, "is damaged"),
    ],
)
def test_damage_is_told(tmp_path, change, message):
    path = write_survey(tmp_path, Survey("DCIM", "2025-06-01T09:30:00Z", {}, {}, (), (), ()))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CrackError, match=message):
        read_survey(tmp_path)


@pytest.mark.parametrize("part", ["photos", "findings", "gaps"])
def test_a_survey_that_lost_a_part_is_never_read_as_crack_free(tmp_path, part):
    path = write_survey(tmp_path, Survey("DCIM", "2025-06-01T09:30:00Z", {}, {}, (), (), ()))
    value = json.loads(path.read_text())
    del value[part]
    path.write_text(json.dumps(value))
    with pytest.raises(CrackError, match=f"is damaged: .*lacks {part}"):
        read_survey(tmp_path)


def test_a_folder_without_a_finished_survey_is_told(tmp_path):
    with pytest.raises(CrackError, match="no finished survey"):
        read_survey(tmp_path)
