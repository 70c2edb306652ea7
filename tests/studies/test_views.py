"""The same weights asked about several views of a tile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras")

from crack_tf.evaluation.suite.answers import TestSet
from studies.views import View, Way, means, picture, rows
from tflite.sidecar import read_sidecar


def test_every_view_of_a_set_with_both_classes_has_a_row(tiny_run: Path, tmp_path: Path) -> None:
    size = read_sidecar(tiny_run / "model.keras").image_size
    tiles = np.random.default_rng(0).integers(0, 256, (6, 40, 40, 3), dtype=np.uint8)
    labels = np.array([0, 1, 0, 1, 0, 1], np.int8)
    sets = [
        TestSet("brick", tiles, labels, "sha", "all"),
        TestSet("cssc", tiles, 1 - labels, "sha", "all"),
        TestSet("scenes", tiles, 0 * labels, "sha", "test"),
    ]
    sharp, smooth = Way((size,)), Way((16, size))
    views = {
        "sharp": View((sharp,)),
        "smooth": View((smooth,)),
        "both": View((sharp, smooth)),
        "large": View((Way((size + 16,)),)),
        "larger": View((sharp, Way((size,), blur=3)), larger=True),
    }
    found = list(rows(tiny_run, iter(sets), views))
    assert [(row["set"], row["view"]) for row in found] == [
        (name, view) for name in ("brick", "cssc") for view in views
    ]
    # The same tiles with the labels swapped: what ranks one set well ranks the other badly, by as much.
    assert found[0]["auc"] + found[len(views)]["auc"] == pytest.approx(1, abs=1e-3)
    assert means(found) == dict.fromkeys(views, pytest.approx(0.5, abs=1e-3))
    picture(found, tmp_path / "views.png")
    assert (tmp_path / "views.png").read_bytes().startswith(b"\x89PNG")


def test_a_view_with_itself_is_that_view(tiny_run: Path) -> None:
    size = read_sidecar(tiny_run / "model.keras").image_size
    tiles = np.random.default_rng(1).integers(0, 256, (8, 40, 40, 3), dtype=np.uint8)
    tested = TestSet("brick", tiles, np.arange(8, dtype=np.int8) % 2, "sha", "all")
    one = Way((size,))
    views = {"one": View((one,)), "mean": View((one, one)), "larger": View((one, one), larger=True)}
    assert len({row["auc"] for row in rows(tiny_run, iter([tested]), views)}) == 1
