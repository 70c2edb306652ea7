"""Both kinds of model train on a mix of tiles and photographs with masks; what measures one kind says what to name instead."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from crack_tf import evaluate, train, tune
from crack_tf.benchmark import main as benchmark
from crack_tf.data.__main__ import main as data
from crack_tf.data.patches import load_patches, photographs
from crack_tf.deploy import bundle
from crack_tf.evaluation.suite.sets import Chosen, load_set
from crack_tf.explain.__main__ import main as explain
from crack_tf.quantisation.config import ExportConfig
from crack_tf.quantisation.data import load_data
from crack_tf.training.config import TrainConfig
from crack_tf.training.tasks import ALL, Choice, task_of
from tests.dark_model import write_dark_model
from tests.mixed_on_disk import write_mixed
from tflite.errors import CrackError
from tflite.manifest import Manifest
from tflite.sidecar import read_sidecar
from tuning import trial

QUICK = {
    "opnet": ["--hp", "widths=(4, 8)", "--zoom-out", "1.5"],
    "unet": ["--hp", "levels=3", "--hp", "width=4", "--loss", "bce+dice"],
}
TASKS = pytest.mark.parametrize("model", ["opnet", "unet"])


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_mixed(tmp_path_factory.mktemp("mixed"))


@pytest.fixture(scope="module")
def run_of(mixed: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The run folder of a model trained one epoch on the mix, balanced and through other cameras."""
    runs: dict[str, Path] = {}

    def train_once(model: str) -> Path:
        if model not in runs:
            out = tmp_path_factory.mktemp("runs") / model
            command = ["--model", model, "--data", str(mixed.source), "--image-size", "32", "--epochs", "1"]
            command += ["--batch", "4", "--camera", "0.5", "--balance", "0.5", "--out", str(out), *QUICK[model]]
            assert train.main(command) == 0
            runs[model] = out
        return runs[model]

    return train_once


@TASKS
def test_a_mix_trains_a_model_that_says_so(model: str, run_of: Callable[[str], Path], mixed: Manifest) -> None:
    run = run_of(model)
    sidecar = read_sidecar(run / "model.keras")
    assert sidecar.task == task_of(model).name
    assert (sidecar.training["dataset"], sidecar.training["manifest_sha256"]) == ("pairs+tiles", mixed.sha256)
    assert ("tile_side" in sidecar.training) == (model == "opnet")
    settings = json.loads((run / "config.json").read_text())["train"]
    assert (settings["camera"], settings["balance"]) == (0.5, 0.5)
    assert settings["zoom_out"] == (1.5 if model == "opnet" else 1.0)


@TASKS
def test_an_export_of_such_a_run_takes_its_samples_from_the_mix(
    model: str, run_of: Callable[[str], Path], mixed: Manifest
) -> None:
    path = run_of(model) / "model.keras"
    config = ExportConfig(measure_split="val", calibration_samples=6)
    loaded = load_data(config, mixed, path, read_sidecar(path), needs_train=True)
    assert loaded.train is not None
    assert loaded.calibration.shape == (6, 32, 32, 3)
    for samples in (loaded.train, loaded.val, loaded.measured):
        assert set(samples.labels) == {0, 1}
    domains = {item.group.partition("/")[0] for item in loaded.train.items}
    assert domains == {"pairs", "tiles"}


@TASKS
def test_batches_of_a_balanced_run_hold_both_labels_equally_often(model: str, mixed: Manifest) -> None:
    task = task_of(model)
    samples = task.load(mixed, "train", 32, ALL)
    for epoch in range(3):
        plan = task.plan(samples, TrainConfig(model=model, image_size=32, batch=4, balance=1.0), epoch)
        drawn = np.bincount(samples.labels[plan.order.ravel()], minlength=2)
        assert abs(int(drawn[0]) - int(drawn[1])) <= 1


def test_a_segmentation_model_learns_empty_masks_of_clean_tiles_and_nothing_of_cracked_ones(mixed: Manifest) -> None:
    patches = load_patches(mixed, "all", 32)
    shown = {item.path for item in patches.items}
    assert shown == {item.path for item in mixed.items if item.mask or not item.label}
    for item, mask in zip(patches.items, patches.masks, strict=True):
        assert item.mask or not mask.any()
    seen = {item.path: mask for item, _, mask in photographs(mixed, "all")}
    assert set(seen) == shown
    assert all(seen[item.path].any() == bool(item.label) for item in mixed.items if item.path in seen)


@TASKS
def test_a_share_of_a_mix_is_one_of_its_views_or_patches(model: str, mixed: Manifest) -> None:
    task = task_of(model)
    every = len(task.load(mixed, "train", 32, ALL))
    assert every > 4
    assert len(task.load(mixed, "train", 32, Choice(0.5))) == round(every / 2)


def test_a_cheap_trial_on_a_mix_takes_a_share(mixed: Manifest) -> None:
    recipe = argparse.Namespace(limit=None, model="opnet", manifest=str(mixed.source))
    rung = argparse.Namespace(end=1, most=4)
    assert trial.rung_limit(recipe, rung) == 0.25  # type: ignore[arg-type]


REFUSED: dict[str, list[str]] = {
    "an evaluation": ["evaluate"],
    "--errors": ["explain", "--errors"],
    "explanations": ["explain"],
    "a benchmark": ["benchmark"],
    "--finalists": ["tune", "--finalists", "1"],
}


@pytest.mark.parametrize("purpose", REFUSED)
def test_a_verb_that_measures_one_kind_asks_for_a_part_of_the_mix(
    purpose: str,
    mixed: Manifest,
    run_of: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    verb, *options = REFUSED[purpose]
    verbs = {"evaluate": evaluate.main, "explain": explain, "benchmark": benchmark, "tune": tune.main}
    write_dark_model(tmp_path / "model" / "dark.tflite")
    models = {"tune": [], "benchmark": [str(tmp_path / "model" / "dark.tflite")]}.get(verb, [str(run_of("opnet"))])
    assert verbs[verb]([*models, "--data", str(mixed.source), "--out", str(tmp_path / "out"), *options]) == 2
    error = capsys.readouterr().err
    assert f"{mixed.source} mixes tiles with photographs that have masks" in error
    assert f"For {purpose}" in error
    assert "name one of the manifests it was mixed from" in error
    assert "Traceback" not in error
    assert not list((tmp_path / "out").glob("*.csv"))


def test_the_suite_and_a_bundle_ask_for_a_part_of_the_mix(mixed: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CrackError, match="For the suite, name one of the manifests"):
        load_set(Chosen("mix", str(mixed.source), "grouped", "test", 32))
    monkeypatch.setattr(bundle, "find_models", lambda *_: [])
    config = bundle.BundleConfig(models=(), data=str(mixed.source), policy="grouped")
    with pytest.raises(CrackError, match=r"For a bundle's tiles \(--data\), name one of the manifests"):
        bundle.pack(config, Path("bundle.zip"))


@pytest.mark.parametrize("verb", ["disputes", "review"])
def test_labels_of_a_mix_are_not_doubted(
    verb: str, mixed: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data([verb, str(mixed.source), "--out", str(tmp_path / "out")]) == 2
    assert "holds masks: labels can be" in capsys.readouterr().err


def test_a_model_of_the_mix_is_measured_on_its_parts_and_its_training_tiles_are_known(
    run_of: Callable[[str], Path], mixed: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mixed.source is not None
    tiles, run = mixed.source.parent / "tiles" / "tiles.csv", run_of("opnet")
    command = [str(run), "--data", str(tiles), "--limit", "4", "--out", str(tmp_path / "out")]
    assert evaluate.main([*command, "--split", "train"]) == 2
    assert "trained" in capsys.readouterr().err
    assert evaluate.main(command) == 0
