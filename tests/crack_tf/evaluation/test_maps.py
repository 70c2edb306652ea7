"""Segmentation models are measured on whole photographs, and on nothing that is not theirs."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf import evaluate
from crack_tf.evaluation.maps import evaluate_map, moved
from crack_tf.evaluation.pictures import choose_examples, errors
from crack_tf.inference.maps import segment
from crack_tf.inference.predictor import load_map_predictor
from tests.dark_map_model import write_map_model
from tests.dark_model import write_dark_model
from tests.pairs_on_disk import write_pairs
from tflite.files import read_json
from tflite.images import decode_rgb
from tflite.manifest import Manifest
from tflite.pixels import decode_mask
from tflite.segmenter import Segmenter


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_pairs(tmp_path_factory.mktemp("pairs") / "set")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("map") / "dark.tflite"
    write_map_model(path)
    return path


def call(*arguments: object) -> int:
    return evaluate.main([str(argument) for argument in arguments])


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_every_file_is_written_and_agrees_with_the_others(
    manifest: Manifest, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call(model, "--data", manifest.source, "--out", out, "--threads", 2) == 0
    (row,) = table(out / "metrics.csv")
    photos = table(out / "per_photo.csv")
    assert (row["photographs"], row["cracked_photographs"], row["split"]) == ("4", "3", "test")
    assert row["manifest_sha256"] == manifest.sha256
    assert len(photos) == 4
    for name in ("tp", "fp", "fn", "tn"):
        assert int(row[name]) == sum(int(photo[name]) for photo in photos)
    assert float(row["f1_low"]) <= float(row["f1"]) <= float(row["f1_high"])
    assert float(row["tolerant_f1"]) >= float(row["f1"]) > 0.7
    for name, tolerance in (("cl_iou", "4"), ("nsd", "2")):
        assert row[f"{name}_tolerance_px"] == tolerance
        assert 0.7 < float(row[f"{name}_low"]) <= float(row[name]) <= float(row[f"{name}_high"]) <= 1
        assert photos[0][name]
        assert photos[-1][name] == ""
    assert photos[-1]["label"] == "0"
    assert photos[-1]["f1"] == ""  # no crack there, and none called
    record = read_json(out / "metrics.json")
    assert record["task"] == "segment"
    assert record["models"][0]["f1"] == pytest.approx(float(row["f1"]))
    assert len(record["curves"]["dark_map-int8-ptq"]["recall"]) == 200
    for name in ("pr_curves.png", "gallery_dark_map-int8-ptq.png"):
        assert Image.open(out / name).size > (300, 200)
    printed = capsys.readouterr().out
    assert "4 photographs, 3 with a crack" in printed
    assert "F1, 2 px" in printed
    assert "clIoU, 4 px" in printed
    assert "NSD, 2 px" in printed


def test_figures_are_those_of_the_stitched_photographs(manifest: Manifest, model: Path) -> None:
    found = evaluate_map(load_map_predictor(model), "dark", manifest, "test", jobs=2)
    segmenter = Segmenter(model)
    hits = called_pixels = 0
    for item in manifest.split("test"):
        photo = decode_rgb(manifest.read(item))
        truth = decode_mask(manifest.read_mask(item), photo.shape[:2])
        called = segment(photo, segmenter) >= segmenter.threshold_probability
        hits += int((called & truth).sum())
        called_pixels += int(called.sum())
    assert (found.row.tp, found.row.tp + found.row.fp) == (hits, called_pixels)
    assert found.row.best_threshold_probability is not None


def test_displaced_masks_are_counted_and_left_out_in_a_table_of_their_own(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write_pairs(tmp_path / "good")
    assert call(model, "--data", good.source, "--out", tmp_path / "out") == 0
    assert table(tmp_path / "out" / "metrics.csv")[0]["displaced_masks"] == "0"
    assert not (tmp_path / "out" / "metrics_aligned.csv").exists()
    assert "beside" not in capsys.readouterr().out

    displaced = write_pairs(tmp_path / "moved", moved=1)
    assert call(model, "--data", displaced.source, "--out", tmp_path / "out", "--overwrite") == 0
    (everything,) = table(tmp_path / "out" / "metrics.csv")
    aligned, back = table(tmp_path / "out" / "metrics_aligned.csv")
    photos = table(tmp_path / "out" / "per_photo.csv")
    assert [photo["displaced_mask"] for photo in photos].count("True") == 1
    assert (everything["displaced_masks"], everything["photographs"]) == ("1", "4")
    assert (aligned["displaced_masks"], aligned["photographs"]) == ("0", "3")
    fitting = [photo for photo in photos if photo["displaced_mask"] == "False"]
    for name in ("tp", "fp", "fn", "tn"):
        assert int(aligned[name]) == sum(int(photo[name]) for photo in fitting)
    assert float(aligned["f1"]) > float(everything["f1"])
    assert (aligned["masks"], back["masks"]) == ("without displaced ones", "moved to where they fit")
    assert back["photographs"] == "4"
    assert float(back["f1"]) > float(everything["f1"]) + 0.1
    (move,) = (
        (int(photo["mask_move_x"]), int(photo["mask_move_y"])) for photo in photos if photo["displaced_mask"] == "True"
    )
    assert move[0] < 0 or move[1] < 0  # back to where the crack is
    assert read_json(tmp_path / "out" / "metrics.json")["aligned"][0]["photographs"] == 3
    printed = capsys.readouterr().out
    assert "1 masks lie beside their crack" in printed
    assert "dark_map-int8-ptq, masks moved to where they fit: F1" in printed


@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, 0), (-3, 2), (0, -5)])
def test_a_moved_mask_keeps_its_size_and_brings_in_background(x: int, y: int) -> None:
    mask = np.zeros((10, 12), bool)
    mask[5, 6] = True
    found = moved(mask, x, y)
    assert found.shape == mask.shape
    assert np.argwhere(found).tolist() == [[5 + y, 6 + x]]
    full = moved(np.ones((10, 12), bool), x, y)
    assert full.sum() == (10 - abs(y)) * (12 - abs(x))
    assert not moved(np.ones((4, 3), bool), x + 8, y).any()


def test_a_threshold_of_ones_own_changes_recall(manifest: Manifest, model: Path, tmp_path: Path) -> None:
    recalls = []
    for threshold in (0.2, 0.9):
        out = tmp_path / str(threshold)
        assert call(model, "--data", manifest.source, "--out", out, "--threshold", threshold) == 0
        recalls.append(float(table(out / "metrics.csv")[0]["recall"]))
    assert recalls[0] > recalls[1]


def test_a_limit_takes_that_many_photographs(manifest: Manifest, model: Path, tmp_path: Path) -> None:
    assert call(model, "--data", manifest.source, "--out", tmp_path / "out", "--limit", 2) == 0
    assert len(table(tmp_path / "out" / "per_photo.csv")) == 2


def test_model_and_manifest_must_be_about_one_task(
    manifest: Manifest, tiny_manifest: Manifest, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier = tmp_path / "classifier.tflite"
    write_dark_model(classifier)
    assert call(classifier, "--data", manifest.source) == 2
    assert "is a classification model, and" in capsys.readouterr().err
    assert call(model, "--data", tiny_manifest.source) == 2
    assert "It needs photographs with masks" in capsys.readouterr().err


def test_photographs_that_trained_the_model_are_refused(
    manifest: Manifest, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trained.tflite"
    training = {"dataset": "pairs", "policy": "plain", "manifest_sha256": manifest.sha256}
    write_map_model(path, training=training)
    assert call(path, "--data", manifest.source, "--split", "train") == 2
    assert "4 of 4 photographs of split 'train' trained" in capsys.readouterr().err
    assert call(path, "--data", manifest.source, "--split", "test") == 0
    assert "note:" not in capsys.readouterr().err


def test_examples_are_the_best_the_middle_and_the_worst(manifest: Manifest, model: Path) -> None:
    photos = evaluate_map(load_map_predictor(model), "dark", manifest, "all").photos
    examples = choose_examples(photos)
    f1 = [photo.strict.f1 for _, photo in examples]
    assert f1 == sorted(f1, reverse=True)
    assert [word for word, _ in examples] == ["best"] * 3 + ["median"] * 3 + ["worst"] * 3
    assert choose_examples(photos[-1:]) == [] or photos[-1].item.label == 1
    one = choose_examples([replace(photos[0])])
    assert [word for word, _ in one] == ["best"]


def test_errors_are_shown_in_three_colours() -> None:
    photo = np.full((2, 2, 3), 100, np.uint8)
    called, truth = np.array([[True, False], [True, False]]), np.array([[True, True], [False, False]])
    picture = errors(photo, called, truth)
    assert len({tuple(pixel) for pixel in picture.reshape(-1, 3)}) == 4
    assert (picture[1, 1] == picture[1, 1][0]).all()
