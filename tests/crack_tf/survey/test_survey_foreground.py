"""A wall whose left third is mossy: the foreground leaves the crack there out, and the survey says so. With the shipped models."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from crack_tf.survey.__main__ import main
from crack_tf.survey.findings import read_survey

WALL = Path(__file__).parents[2] / "fixtures" / "left_mossy.jpg"


def test_positive_tiles_on_moss_are_never_nothing_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "DCIM").mkdir()
    shutil.copy(WALL, tmp_path / "DCIM")
    assert main([str(tmp_path / "DCIM"), "--out", str(tmp_path / "out"), "--mm-per-pixel", "0.2"]) == 0
    said = capsys.readouterr().out
    assert "nothing found" not in said
    assert (
        "on 1 photograph where nothing was taken for concrete (left_mossy.jpg): unclear findings, whose note says so."
        in said
    )
    survey = read_survey(tmp_path / "out")
    (photo,) = survey.photos
    left_out = [finding for finding in survey.findings if "taken for concrete" in (finding.note or "")]
    assert all(finding.note for finding in survey.findings if finding.validation == "unclear")
    assert photo.left_out == sum(finding.tiles for finding in left_out) > 5
    assert {finding.validation for finding in left_out} == {"unclear"}
    assert all("taken for concrete" in str(finding.note) for finding in left_out)
    with (tmp_path / "out" / "findings.csv").open(encoding="utf-8", newline="") as stream:
        assert [row["note"] for row in csv.DictReader(stream)] == [finding.note or "" for finding in survey.findings]
