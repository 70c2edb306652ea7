"""The benchmark of a segmentation model counts pixels of whole photographs, and refuses tiles without masks."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.dark_map_model import SIZE, dark_photo, logits_of, write_map_model
from tests.dark_model import write_dark_model
from tests.pairs_on_disk import write_pairs
from tflite import benchmark, measure
from tflite.manifest import Manifest
from tflite.measure import Job, compare, draw, select_tiles
from tflite.results import result_path
from tflite.segmenter import Segmenter
from tflite.sustained import Load


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_pairs(tmp_path_factory.mktemp("pairs") / "set")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "dark.tflite"
    write_map_model(path)
    return path


def results(folder: Path) -> list[dict[str, str]]:
    with result_path(folder, ".csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(("height", "width"), [(70, 100), (SIZE, SIZE), (9, 90), (5, 3)])
def test_a_photograph_of_any_size_is_drawn_from_tiles_side_by_side(model: Path, height: int, width: int) -> None:
    photo = dark_photo(height, width)
    called, times = draw(Segmenter(model), photo)
    assert called.shape == (height, width)
    assert len(times) == -(-height // SIZE) * -(-width // SIZE)
    expected = logits_of(photo)
    sure = np.abs(expected) > 4  # at a tile's edge its neighbours are missing
    assert (called == (expected > 0))[sure].all()


def test_pixels_of_all_photographs_count(model: Path, manifest: Manifest) -> None:
    row = measure.measure(Job(model, "dark", 1, "xnnpack", 50, 0, select_tiles(manifest, "test")))
    assert row["task"] == "segment"
    assert (row["photographs"], row["tiles"]) == (
        4,
        sum(-(-h // SIZE) * -(-w // SIZE) for h, w in ((50, 50), (20, 90), (60, 80), (40, 100))),
    )
    assert 0.7 < row["pixel_f1"] < 1
    assert row["pixel_iou"] == pytest.approx(row["pixel_f1"] / (2 - row["pixel_f1"]), abs=1e-5)
    assert row["recall"] is None
    assert row["auc"] is None
    assert 0 < row["inference_p50_ms"] < row["total_p50_ms"]


def test_the_command_tells_of_pixels(
    model: Path, manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--manifest", str(manifest.source), "--runs", "50", "--warmup", "1"]
    assert benchmark.main([str(model), *options, "--out", str(tmp_path / "device")]) == 0
    printed = capsys.readouterr().out
    assert "pixel F1" in printed
    assert "12 MP photo s" not in printed
    (row,) = results(tmp_path / "device")
    assert float(row["pixel_f1"]) > 0.7


def test_model_and_manifest_must_be_about_one_task(
    model: Path, manifest: Manifest, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier = tmp_path / "classifier.tflite"
    write_dark_model(classifier)
    for path, source in ((model, tiny_manifest.source), (classifier, manifest.source)):
        assert benchmark.main([str(path), "--manifest", str(source), "--out", str(tmp_path / "out")]) == 2
        assert "Choose another manifest" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_tasks_may_be_timed_side_by_side(model: Path, tmp_path: Path) -> None:
    classifier = tmp_path / "classifier.tflite"
    write_dark_model(classifier)
    rows = compare([Job(path, path.stem, 1, "none", 50, 1, None) for path in (model, classifier)])
    assert [row.model for row in rows] == ["dark", "classifier"]


def test_a_load_is_kept_up_by_inferences(model: Path, manifest: Manifest) -> None:
    row = measure.measure(
        Job(model, "dark", 1, "xnnpack", 50, 0, select_tiles(manifest, "test"), Load(3.0, 20.0, None, 0.0))
    )
    assert row["sustained_work"] == "inference"
    assert row["decisions"] > 20
