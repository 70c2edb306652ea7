"""Seams are measured by moving the grid of tiles: what changes is what tiling did."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from studies import seam_check
from studies.seam_check import coverage, edges, seam_effect, summary
from tests.dark_map_model import SIZE, dark_photo, write_map_model
from tests.pairs_on_disk import write_pairs


class Bordered:
    """Calls every tile's rim a crack, whatever it shows: as bad as seams can be."""

    image_size = SIZE

    def __init__(self, rim: int) -> None:
        self.rim = rim

    def probabilities(self, tiles: np.ndarray) -> np.ndarray:
        maps = np.ones(tiles.shape[:3], np.float32)
        maps[:, self.rim : -self.rim, self.rim : -self.rim] = 0
        return maps


class Blank:
    """Finds nothing."""

    image_size = SIZE

    def probabilities(self, tiles: np.ndarray) -> np.ndarray:
        return np.zeros(tiles.shape[:3], np.float32)


def test_a_model_that_sees_tile_rims_is_found_out() -> None:
    photo = dark_photo(96, 120)
    found = summary([seam_effect(photo, Bordered(8), 0.5)])
    assert found["mask_f1"] is not None
    assert found["mask_f1"] < 0.7
    assert found["difference_overlap"] is not None
    assert found["difference_overlap"] > 0.1


def test_a_model_without_a_crack_has_no_seams() -> None:
    found = summary([seam_effect(dark_photo(96, 120), Blank(), 0.5)])
    assert found == {"mask_f1": None, "difference_overlap": 0.0, "difference_inside": 0.0, "step_ratio": None}
    assert set(summary([]).values()) == {None}


def test_coverage_and_edges_are_those_of_the_tiles() -> None:
    covers = coverage(56, 32)  # tiles from 0 and 24
    assert covers.tolist() == [1] * 24 + [2] * 8 + [1] * 24
    assert edges(56, 32).tolist() == [23, 31]
    assert edges(32, 32).tolist() == []
    assert coverage(20, 32).tolist() == [1] * 20


def test_a_row_per_data_set_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "dark.tflite"
    write_map_model(model)
    manifest = write_pairs(tmp_path / "set")
    out = tmp_path / "seams.csv"
    assert seam_check.main([str(model), "--data", str(manifest.source), "--out", str(out)]) == 0
    with out.open() as stream:
        (row,) = csv.DictReader(stream)
    assert (row["photographs"], row["manifest_sha256"]) == ("4", manifest.sha256)
    # Its receptive field is three pixels, less than what is thrown away at tile edges.
    assert float(row["mask_f1"]) > 0.99
    assert 0.9 < float(row["step_ratio"]) < 1.1
    assert "mask F1" in capsys.readouterr().out
    assert seam_check.main([str(model), "--data", str(manifest.source), "--out", str(out)]) == 2
    assert "--overwrite" in capsys.readouterr().err
