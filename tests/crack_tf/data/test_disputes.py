"""Disputed labels are found, and only by classifiers that have not seen them or their neighbours."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crack_tf.data.__main__ import main
from crack_tf.data.cache import Tiles
from crack_tf.data.disputes import find_disputes, out_of_fold
from tflite.errors import CrackError
from tflite.manifest import Manifest, read_manifest, write_manifest


def features(count: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two classes well apart in two of five dimensions, in groups of three."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    values = rng.normal(size=(count, 5))
    values[:, :2] += 4 * labels[:, None]
    return values, labels, np.arange(count) // 6 * 2 + labels


@pytest.mark.slow
def test_a_turned_label_is_the_surest_dispute() -> None:
    values, labels, groups = features()
    wrong = labels.copy()
    wrong[[10, 31]] = 1 - wrong[[10, 31]]
    probabilities = out_of_fold(values, wrong, groups)
    found = find_disputes([f"{n:03}" for n in range(len(labels))], wrong, probabilities)
    assert {dispute.path for dispute in found[:2]} == {"010", "031"}
    assert len(found) <= 4
    assert found == sorted(found, key=lambda dispute: -dispute.margin)


def test_a_tile_is_not_judged_by_its_own_group() -> None:
    # A feature that names the group and nothing else: seen in training it gives the label away, out of fold it is worth nothing.
    groups = np.repeat(np.arange(24), 5)
    labels = np.random.default_rng(1).permutation(np.arange(24) % 2)[groups]
    probabilities = out_of_fold(np.eye(24)[groups], labels, groups)
    assert np.mean((probabilities > 0.5) == (labels == 1)) < 0.7


def test_agreement_is_no_dispute() -> None:
    labels = np.array([0, 0, 1, 1])
    assert find_disputes(list("abcd"), labels, np.array([0.1, 0.2, 0.9, 0.8])) == []


def test_too_few_groups_are_refused() -> None:
    values, labels, _ = features(20)
    with pytest.raises(CrackError, match="groups"):
        out_of_fold(values, labels, labels)


def test_the_command_writes_a_table_that_relabel_takes(
    tiny_manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def darkest(tiles: Tiles, weights: str) -> np.ndarray:
        """In place of MobileNetV2: the tile's darkest grey level, and nothing else."""
        return np.asarray(tiles.images, np.float32).mean(axis=3).min(axis=(1, 2))[:, None]

    monkeypatch.setattr("crack_tf.data.disputes.pooled_features", darkest)
    wrong = tiny_manifest.items[0]
    items = (replace(wrong, label=1 - wrong.label), *tiny_manifest.items[1:])
    data, out = tmp_path / "wrong.csv", tmp_path / "disputes"
    write_manifest(data, replace(tiny_manifest, items=items, root=str(tiny_manifest.folder())))
    assert main(["disputes", str(data), "--out", str(out)]) == 0
    (row,) = csv.DictReader((out / "disputes.csv").open())
    assert (row["path"], row["sha256"], row["label"]) == (wrong.path, wrong.sha256, str(1 - wrong.label))
    assert (out / "disputes.png").stat().st_size > 1000
    without = tmp_path / "without.csv"
    assert main(["relabel", str(data), "--review", str(out / "disputes.csv"), "--out", str(without)]) == 0
    assert read_manifest(without).items == items[1:]
    assert main(["disputes", str(data), "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
