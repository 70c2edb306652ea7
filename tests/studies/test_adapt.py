from __future__ import annotations

from pathlib import Path

import numpy as np

from studies.adapt import SETS, collect, summary
from tflite.files import read_csv, write_csv, write_json


def unit(out: Path, seed: int, shift: float) -> None:
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
        "threshold": 0.0,
        "recall": 0.9,
        "specificity": 0.5,
        "test_cracks": 20,
        "test_clean": 20,
        "test_photographs": 20,
        "least_margin_elsewhere": 0.01 * (seed + 1),
    }
    stem = out / f"{SETS[0]}-{seed}"
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


def test_nothing_measured_is_an_empty_summary() -> None:
    assert summary([], {}) == []
