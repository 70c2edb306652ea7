"""Segmentation models are exported like classifiers: every scheme, a threshold of their own, a gate, and files that run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crack_tf import export
from crack_tf.data.patches import load_patches
from crack_tf.evaluation.thresholds import threshold_record
from crack_tf.inference.predictor import load_map_predictor, load_predictor
from crack_tf.quantisation.config import PARTS
from crack_tf.quantisation.fine_tune import qat_batches
from tests.options import instead
from tests.pairs_on_disk import write_pairs
from tflite.errors import CrackError
from tflite.files import read_json, sha256_file
from tflite.manifest import LABELS, Manifest
from tflite.segmenter import Segmenter
from tflite.sidecar import Sidecar, TensorSpec, read_sidecar, write_sidecar

pytest.importorskip("tensorflow")

SIZE = 32
HYPERPARAMETERS: dict[str, Any] = {"levels": 2, "width": 4, "slope": 0.375}
QUICK = ["--calibration-samples", "8", "--threads", "1", "--max-f1-drop", "5"]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_pairs(tmp_path_factory.mktemp("pairs") / "set")


@pytest.fixture(scope="module")
def run_folder(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder around a small U-Net that has learnt to draw dark lines, as crack_tf.train would leave it."""
    import keras

    from crack_tf.models import build_model

    keras.utils.set_random_seed(0)
    model = build_model("unet", keras, image_size=SIZE, **HYPERPARAMETERS)
    patches = load_patches(manifest, "train", SIZE)
    model.compile(keras.optimizers.Adam(1e-2), loss=keras.losses.BinaryCrossentropy(from_logits=True))
    pixels = np.asarray(patches.images, np.float32)
    model.fit(pixels, np.asarray(patches.masks, np.float32)[..., np.newaxis], epochs=20, batch_size=8, verbose=0)
    folder = tmp_path_factory.mktemp("runs") / "unet"
    folder.mkdir()
    path = folder / "model.keras"
    model.save(path)
    (folder / "config.json").write_text(json.dumps({"data": {"manifest": str(manifest.source)}}))
    sidecar = Sidecar(
        model="unet",
        scheme="keras",
        file=path.name,
        sha256=sha256_file(path),
        image_size=SIZE,
        labels=LABELS,
        hyperparameters=HYPERPARAMETERS,
        input=TensorSpec((1, SIZE, SIZE, 3), "float32", 0.0, 0),
        output=TensorSpec((1, SIZE, SIZE, 1), "float32", 0.0, 0),
        threshold=threshold_record(0.0, split="val"),
        golden=None,
        training={"dataset": "pairs", "policy": "plain", "manifest_sha256": manifest.sha256, "run": "r", "seed": 0},
        metrics={},
        licence="research only (academic research)",
        versions={},
        git_revision=None,
        created="2024-01-01T00:00:00+00:00",
        task="segment",
    )
    write_sidecar(path, sidecar)
    return folder


def call(run: Path, out: Path, *options: str) -> int:
    return export.main(instead([str(run), "--out", str(out), *QUICK], options))


@pytest.fixture(scope="module")
def exported(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    assert call(run_folder, out, "--int8", "--ptq", "--float16", "--dynamic", "--float32") == 0
    assert call(run_folder, out, "--int8", "--qat-steps", "3") == 0
    return out


@pytest.mark.parametrize("scheme", ["float32", "float16", "dynamic", "int8-ptq", "int8-qat"])
def test_every_scheme_is_written_whole_and_draws_what_the_float_model_draws(
    scheme: str, exported: Path, run_folder: Path, manifest: Manifest
) -> None:
    path = exported / f"unet-{scheme}.tflite"
    segmenter = Segmenter(path)  # checks hash, tensors and the golden answer
    Segmenter(path, delegate="none")
    sidecar = segmenter.sidecar
    assert sidecar.task == "segment"
    assert sidecar.threshold.split == "val"
    assert sidecar.training.get("bias_correction", False) == (scheme == "int8-ptq")
    assert sidecar.golden is not None
    assert len(sidecar.golden.grid) == 64
    patches = load_patches(manifest, "test", SIZE)
    expected = load_map_predictor(run_folder).logits(np.asarray(patches.images[:2]))
    found = load_map_predictor(path).logits(np.asarray(patches.images[:2]))
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] > 0.99
    record = read_json(exported / f"unet-{scheme}.comparison.json")
    assert record["pixels"] == len(patches) * SIZE * SIZE
    assert record["reference"]["f1"] > 0.8
    assert abs(record["f1_drop_points"]) < 5
    assert 0 <= record["reference"]["iou"] <= record["reference"]["f1"] <= 1
    assert not any(name.endswith("_low") for name in record["quantised"])
    card = (exported / f"unet-{scheme}.md").read_text()
    for words in ("Draws cracks", "For research only", "crack-tf photo segment", "| float |", "highest F1"):
        assert words in card
    assert Image.open(exported / f"unet-{scheme}.comparison.png").size > (400, 200)
    assert {part for part in PARTS if (exported / f"unet-{scheme}{part}").is_file()} == set(PARTS)


@pytest.mark.parametrize("scheme", ["int8-ptq", "int8-qat"])
def test_int8_takes_raw_pixels_and_gives_a_map_of_int8_logits(scheme: str, exported: Path) -> None:
    sidecar = read_sidecar(exported / f"unet-{scheme}.tflite")
    assert sidecar.input == TensorSpec((1, SIZE, SIZE, 3), "uint8", 1 / 128, 128)
    assert (sidecar.output.shape, sidecar.output.dtype) == ((1, SIZE, SIZE, 1), "int8")
    assert isinstance(sidecar.threshold.raw, int)
    # XNNPACK has no nearest resize, which copies pixels; all else but the conversion of the input is its.
    nodes = Segmenter(exported / f"unet-{scheme}.tflite").nodes
    assert nodes.remaining == 2


def test_the_edge_tpu_form_has_the_same_weights_and_is_predicted_fully_mapped(
    run_folder: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tflite import edgetpu

    assert call(run_folder, tmp_path, "--int8", "--ptq", "--edge-tpu") == 0
    path = tmp_path / "unet-edge-int8-ptq.tflite"
    assert read_sidecar(path).hyperparameters["edge_tpu"] is True
    assert edgetpu.main(["check", str(path)]) == 0
    assert "fully mapped" in capsys.readouterr().out
    one, other = (
        read_json(path.with_suffix(".comparison.json")),
        read_json(exported / "unet-int8-ptq.comparison.json"),
    )
    assert one["quantised"]["f1"] == pytest.approx(other["quantised"]["f1"], abs=0.03)
    assert edgetpu.main(["check", str(exported / "unet-int8-ptq.tflite")]) == 2


def test_lost_f1_fails_the_export_and_leaves_nothing(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tflite import convert

    original = convert.convert_ptq

    def damaged(model: Any, *rest: Any) -> bytes:
        model.set_weights([weight * 0.2 for weight in model.get_weights()])
        return original(model, *rest)

    monkeypatch.setattr(convert, "convert_ptq", damaged)
    assert call(run_folder, tmp_path / "out", "--int8", "--ptq", "--max-f1-drop", "1") == 2
    assert "points of F1, 1 are allowed" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


def test_a_classifiers_data_are_refused(
    run_folder: Path, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(run_folder, tmp_path / "out", "--int8", "--ptq", "--data", str(tiny_manifest.source)) == 2
    assert "It needs photographs with masks" in capsys.readouterr().err


def test_a_classifier_has_one_form(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tiny_run, tmp_path / "out", "--int8", "--ptq", "--edge-tpu") == 2
    assert "--edge-tpu: opnet has one form only" in capsys.readouterr().err


def test_keras_and_tflite_predictors_refuse_the_other_task(run_folder: Path, exported: Path, tiny_run: Path) -> None:
    for path in (run_folder, exported / "unet-int8-ptq.tflite"):
        with pytest.raises(CrackError, match="segmentation model"):
            load_predictor(path)
    with pytest.raises(CrackError, match="is a classifier"):
        load_map_predictor(tiny_run)


def test_qat_batches_turn_masks_with_their_tiles() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    masks = (images[..., 0] > 100).astype(np.uint8)
    batch_at = qat_batches(images, masks, 3, seed=1)
    for step in range(4):
        tiles, truth = batch_at(step)
        assert truth.shape == (3, 8, 8)
        assert ((tiles[..., 0] > 100) == (truth > 0)).all()
