from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from crack_tf.data.cache import Tiles  # noqa: E402
from crack_tf.data.patches import Patches  # noqa: E402
from crack_tf.models import MODELS  # noqa: E402
from crack_tf.models.keras_models import load_keras, predict_logits  # noqa: E402
from crack_tf.training.config import TrainConfig  # noqa: E402
from crack_tf.training.loop import best_epoch, fit, initial_model, make_optimizer, out_of_time, stopped_early  # noqa: E402
from crack_tf.training.runs import read_history  # noqa: E402
from crack_tf.training.tasks import task_of  # noqa: E402
from tflite.device.tiles import Box  # noqa: E402
from tflite.errors import CrackError  # noqa: E402
from tflite.manifest import Item  # noqa: E402

SMALL: dict[str, dict[str, Any]] = {
    "opnet": {"widths": (4, 8)},
    "opnet_lite": {"width": 4, "blocks": 2},
    "opnet_lite_nano": {"width": 4, "blocks": 2},
    "opnet_lite_small": {"width": 4, "blocks": 2},
    "opnet_lite_base": {"width": 4, "blocks": 2},
    "mobilenet_v2": {"alpha": 0.35},
    "efficientnet_lite0": {"width": 0.3, "depth": 0.3},
    "unet": {"levels": 3, "width": 4},
    "unet_mobile": {"alpha": 0.35, "widths": (8, 8, 8, 4, 4), "detail": 4},
}

# One of each task; for the others the loop is the same.
TRACED = ("opnet", "unet")
UNTRACED = pytest.mark.usefixtures("untraced")

# Items name files; batches come from the arrays alone.
TILE = Item("", "", 0, "", "train")


def separable_tiles(count: int = 32, size: int = 32) -> Tiles:
    rng = np.random.default_rng(0)
    images = rng.integers(100, 200, (count, size, size, 3), dtype=np.uint8)
    labels = (np.arange(count) % 2).astype(np.int8)
    images[labels == 1, 12:20] = 0
    return Tiles(images, labels, [TILE] * count)


def striped_patches(count: int = 32, size: int = 32) -> Patches:
    """Every patch has a dark stripe somewhere, and the mask that shows it."""
    rng = np.random.default_rng(0)
    images = rng.integers(100, 200, (count, size, size, 3), dtype=np.uint8)
    masks = np.zeros((count, size, size), np.uint8)
    for image, mask, place in zip(images, masks, rng.integers(0, size - 6, count), strict=True):
        image[place : place + 6] = 20
        mask[place : place + 6] = 1
    return Patches(images, masks, [TILE] * count, [Box(0, 0, size, size)] * count)


def samples_for(model: str) -> Tiles | Patches:
    return separable_tiles(16) if MODELS[model].task == "classify" else striped_patches(16)


def config(model: str = "opnet", **changes) -> TrainConfig:
    settings: dict[str, Any] = {
        "model": model,
        "image_size": 32,
        "hyperparameters": SMALL.get(model, {}),
        "batch": 8,
        "weights": "none",
    }
    return TrainConfig(**settings | changes)


def last_weights(folder, epoch: int) -> list[np.ndarray]:
    return load_keras(folder / "checkpoints" / f"epoch-{epoch:03d}.keras").get_weights()


@pytest.mark.parametrize("name", MODELS)
def test_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if name not in TRACED:
        request.getfixturevalue("untraced")
    samples = samples_for(name)
    freeze = 1 if MODELS[name].set_trainable else 0
    settings = config(name, epochs=3, freeze_epochs=freeze)
    fit(settings, samples, samples, tmp_path / "whole")
    # What a kill -9 in epoch 3 leaves: two checkpoints, and the history row of an epoch whose checkpoint is missing.
    cut = tmp_path / "cut"
    shutil.copytree(tmp_path / "whole", cut)
    (cut / "checkpoints" / "epoch-003.keras").unlink()
    fit(settings, samples, samples, cut)
    for whole, resumed in zip(last_weights(tmp_path / "whole", 3), last_weights(cut, 3), strict=True):
        np.testing.assert_allclose(resumed, whole, rtol=1e-4, atol=1e-5)
    assert [row["epoch"] for row in read_history(cut)] == [1, 2, 3]


@UNTRACED
def test_torn_checkpoint_is_passed_over(tmp_path) -> None:
    tiles = separable_tiles()
    fit(config(epochs=2), tiles, tiles, tmp_path)
    path = tmp_path / "checkpoints" / "epoch-002.keras"
    path.write_bytes(path.read_bytes()[:500])
    said: list[str] = []
    fit(config(epochs=2), tiles, tiles, tmp_path, said.append)
    assert any("passed over" in line for line in said)
    assert any("resuming after epoch 1" in line for line in said)
    load_keras(path)


@UNTRACED
def test_a_training_ends_with_its_time_and_goes_on_when_it_is_given_more(tmp_path: Path) -> None:
    tiles = separable_tiles(16)
    said: list[str] = []
    fit(config(epochs=2, max_minutes=1e-5), tiles, tiles, tmp_path, said.append)
    assert len(read_history(tmp_path)) == 1
    assert "another epoch would not end within 1e-05 minutes: stopping after epoch 1." in said
    fit(config(epochs=2, max_minutes=60.0), tiles, tiles, tmp_path)
    assert len(read_history(tmp_path)) == 2


def test_no_epoch_is_begun_that_would_end_too_late() -> None:
    history = [{"seconds": 50.0}, {"seconds": 40.0}]
    assert out_of_time(history, 2.0)
    assert not out_of_time(history, 2.2)
    assert not out_of_time(history, None)
    assert not out_of_time([], 0.1)


@pytest.mark.parametrize("row", ["2,x", "2.5,0.1", "2", "2,0.1,3"])
def test_a_damaged_history_is_refused(row: str, tmp_path) -> None:
    assert read_history(tmp_path) == []
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss\n1,0.5\n")
    assert read_history(tmp_path) == [{"epoch": 1, "loss": 0.5}]
    path.write_text(f"epoch,loss\n1,0.5\n{row}\n")
    with pytest.raises(CrackError, match=r"history.csv is damaged"):
        read_history(tmp_path)


def test_training_learns_a_plain_task(tmp_path) -> None:
    tiles = separable_tiles(64)
    model = fit(config(epochs=8, learning_rate=3e-3, augmentation=0.0, patience=0), tiles, tiles, tmp_path)
    logits = predict_logits(model, tiles.images)
    assert ((logits >= 0) == tiles.labels).mean() > 0.95


def test_a_sum_of_losses_learns_to_draw_and_resumes(tmp_path) -> None:
    patches = striped_patches()
    settings = config("unet", epochs=6, learning_rate=1e-2, loss="bce+dice", augmentation=0.0, patience=0)
    fit(settings, patches, patches, tmp_path)
    rows = read_history(tmp_path)
    assert rows[-1]["loss"] < rows[0]["loss"] / 2
    assert max(row["f1"] for row in rows) > 0.9
    (tmp_path / "checkpoints" / "epoch-006.keras").unlink()
    fit(settings, patches, patches, tmp_path)  # the optimizer and the sum come back from the checkpoint
    assert [row["epoch"] for row in read_history(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_bfloat16_training_gives_a_float32_model(tmp_path) -> None:
    tiles = separable_tiles(16)
    model = fit(config(epochs=1, precision="bfloat16"), tiles, tiles, tmp_path)
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


@UNTRACED
def test_nan_loss_stops_with_advice_and_keeps_whole_epochs(tmp_path) -> None:
    tiles = separable_tiles()
    fit(config(epochs=1), tiles, tiles, tmp_path)
    with pytest.raises(CrackError, match=r"loss became .* Lower --learning-rate"):
        fit(config(epochs=4, learning_rate=1e36, optimizer="sgd"), tiles, tiles, tmp_path / "diverging")
    assert len(read_history(tmp_path)) == 1
    assert not list((tmp_path / "diverging" / "checkpoints").glob("*.partial*"))


@UNTRACED
def test_frozen_epochs_leave_the_backbone_alone(tmp_path: Path) -> None:
    tiles = separable_tiles(16)
    settings = config("mobilenet_v2", epochs=1, freeze_epochs=1)
    before = initial_model(settings).get_layer("Conv1").get_weights()[0]
    fit(settings, tiles, tiles, tmp_path)
    after = load_keras(tmp_path / "checkpoints" / "epoch-001.keras")
    np.testing.assert_array_equal(after.get_layer("Conv1").get_weights()[0], before)
    assert not np.array_equal(
        after.get_layer("logit").get_weights()[0], initial_model(settings).get_layer("logit").get_weights()[0]
    )


@UNTRACED
def test_warm_start_takes_weights_across_image_sizes_and_refuses_another_architecture(tmp_path) -> None:
    tiles = separable_tiles(16)
    model = fit(config(epochs=1), tiles, tiles, tmp_path)
    path = tmp_path / "m.keras"
    model.save(path)
    warm = initial_model(config(image_size=48, init_from=str(path)))
    for a, b in zip(warm.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(CrackError, match="another architecture"):
        initial_model(config("mobilenet_v2", init_from=str(path)))


def test_best_epoch_prefers_specificity_then_lower_loss_and_early_stop_counts_from_it() -> None:
    rows = [
        {"epoch": i + 1, "specificity_at_target": s, "val_loss": v}
        for i, (s, v) in enumerate([(0.8, 0.1), (0.9, 0.3), (0.9, 0.2), (0.7, 0.1)])
    ]
    task = task_of("opnet")
    assert best_epoch(rows, task) == 3
    assert stopped_early(rows, 1, task)
    assert not stopped_early(rows, 2, task)
    assert not stopped_early(rows, 0, task)
    assert not stopped_early([], 1, task)


def test_best_epoch_of_masks_has_the_highest_f1_then_recall() -> None:
    rows = [
        {"epoch": i + 1, "f1": f1, "recall": recall, "val_loss": 0.1}
        for i, (f1, recall) in enumerate([(0.7, 0.9), (0.8, 0.7), (0.8, 0.8), (0.6, 1.0)])
    ]
    assert best_epoch(rows, task_of("unet")) == 3


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop"])
def test_schedule_warms_up_and_falls_to_zero(name: str) -> None:
    optimizer = make_optimizer(config(optimizer=name, warmup_steps=5, learning_rate=0.01), 50)
    schedule = optimizer._learning_rate
    assert float(schedule(0)) == pytest.approx(0, abs=1e-8)
    assert float(schedule(5)) == pytest.approx(0.01, rel=1e-3)
    assert float(schedule(50)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("damage", [b"", b"not a zip"])
def test_damaged_keras_file_is_named(damage: bytes, tmp_path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(damage)
    with pytest.raises(CrackError, match=r"m\.keras is not a whole"):
        load_keras(path)
