"""What a photograph costs: rows of stages, this checkout beside another, and clear words where it cannot be measured."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf.survey.searching import search
from studies import photo_cost

ROOT = Path(__file__).parents[2]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(90, 160, (300, 420, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "wall.jpg")
    return folder


@pytest.mark.slow
def test_every_stage_is_a_row_beside_the_other_checkout(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cost.csv"
    arguments = ["--photos", str(photos), "--before", str(ROOT), "--rounds", "1", "--out", str(out)]
    assert photo_cost.main(arguments) == 0
    with out.open(newline="", encoding="utf-8") as stream:
        rows = {row["stage"]: row for row in csv.DictReader(stream)}
    assert {"predict: total", "survey: total", *(f"survey: {stage}" for stage in search.STAGES)} == set(rows)
    for name in ("predict: total", "survey: classify", "survey: total"):
        row = rows[name]
        assert float(row["cpu_s"]) > 0
        assert float(row["ratio"]) == pytest.approx(float(row["before_cpu_s"]) / float(row["cpu_s"]), rel=0.1, abs=0.01)
    assert rows["survey: total"]["photos"] == "1"
    assert rows["survey: total"]["hardware"]
    assert "times as fast" in capsys.readouterr().out
    assert photo_cost.main(arguments) == 2
    assert "exists already" in capsys.readouterr().err


def test_what_cannot_be_measured_is_explained(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cost.csv"
    assert photo_cost.main(["--photos", str(photos), "--before", str(photos), "--out", str(out)]) == 2
    assert "Give the folder of a checkout" in capsys.readouterr().err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert photo_cost.main(["--photos", str(empty), "--out", str(out)]) == 2
    assert "there is no photograph" in capsys.readouterr().err
    assert not out.exists()
