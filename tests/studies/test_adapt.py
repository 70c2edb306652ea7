"""The study of a few labels: what is measured is kept, and put together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studies.adapt import collect, extent
from studies.adapt_tables import SETS
from tflite.files import read_csv, write_csv, write_json


def unit(out: Path, seed: int, shift: float, part: str = "labels") -> None:
    """What one pair of set and seed leaves: 20 photographs with two tiles each, the better told apart the larger the shift."""
    rng = np.random.default_rng(seed)
    truth = np.arange(40) % 2
    logits = rng.normal(0, 1, 40) + shift * truth
    row = {
        "set": SETS[0],
        "seed": seed,
        "labels": 0,
        "candidate": "shipped",
        "auc": 0.5,
        "specificity_at_recall": 0.25,
        "specificity_at_90": 0.5,
        "threshold": 0.0,
        "recall": 0.9,
        "specificity": 0.5,
        "shipped_recall": 0.9,
        "shipped_specificity": 0.5,
        "accepted": "",
        "asked_recall": "",
        "choice": "",
        "seconds": "",
        "test_cracks": 20,
        "test_clean": 20,
        "test_photographs": 20,
        "least_margin_elsewhere": 0.01 * (seed + 1),
    }
    stem = out / f"{SETS[0]}-{seed}-{part}"
    kept = {"logits0": logits.tolist(), "truth": truth.tolist(), "photos": [f"p{place // 2}" for place in range(40)]}
    write_json(stem.with_suffix(".json"), kept)
    write_csv(stem.with_suffix(".csv"), [row], list(row))


def test_means_over_seeds_have_intervals_by_photograph_and_a_plot(tmp_path: Path) -> None:
    for seed in range(2):
        unit(tmp_path / "work", seed, 2.0)
    write_json(tmp_path / "work" / "study.json", {"model": "tiny"})
    collect(tmp_path, tmp_path / "work")
    (row,) = read_csv(tmp_path / "summary.csv")
    assert (row["set"], row["seeds"], float(row["specificity_at_recall"])) == (SETS[0], "2", 0.25)
    assert 0.5 < float(row["auc_low"]) < float(row["auc_high"]) <= 1
    assert float(row["worst_margin_elsewhere"]) == 0.01
    assert len(read_csv(tmp_path / "runs.csv")) == 2
    assert (tmp_path / "adapt.png").stat().st_size > 1000
    assert not (tmp_path / "guard.csv").exists()  # no guard was asked


def test_how_long_a_crack_is_in_a_tile() -> None:
    mask = np.zeros((40, 40), bool)
    assert extent(mask) == 0
    mask[5, 5] = True
    assert extent(mask) == 0  # a single pixel
    mask[35, 5] = True
    assert extent(mask) == pytest.approx(0.75)
    mask[35, 39] = True
    assert extent(mask) == pytest.approx(np.hypot(30, 34) / 40)


def test_the_shipped_model_that_several_parts_have_counts_once_a_draw(tmp_path: Path) -> None:
    for seed, part in ((0, "labels"), (0, "unjudged"), (1, "labels")):
        unit(tmp_path / "work", seed, 2.0, part)
    write_json(tmp_path / "work" / "study.json", {"model": "tiny"})
    collect(tmp_path, tmp_path / "work")
    (row,) = read_csv(tmp_path / "summary.csv")
    assert row["seeds"] == "2"
    assert len(read_csv(tmp_path / "runs.csv")) == 2
