from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

keras = pytest.importorskip("keras")

from crack_tf.data.augment import Augmentation  # noqa: E402
from crack_tf.data.cache import Tiles  # noqa: E402
from crack_tf.data.pipeline import PlannedTiles, plan_epoch, training_batches  # noqa: E402
from crack_tf.training.teacher import Teacher, load_teacher  # noqa: E402
from tflite.errors import CrackError  # noqa: E402
from tflite.manifest import Item  # noqa: E402

SIZE = 16
TILE = Item("", "", 0, "", "train")  # items name files; batches come from the arrays alone


def brightness_model(size: int = SIZE) -> Any:
    """Its logit is a tenth of the mean grey above 128."""
    inputs = keras.Input((size, size, 3))
    mean = keras.layers.GlobalAveragePooling2D()(inputs)
    logit = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.1 / 3))(mean)
    model = keras.Model(inputs, logit)
    model.layers[-1].bias.assign([-12.8])
    return model


def grey(*levels: float, size: int = SIZE) -> np.ndarray:
    return np.stack([np.full((size, size, 3), level, np.float32) for level in levels])


def as_array(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def test_targets_lie_between_the_label_and_what_the_teacher_thinks() -> None:
    labels = np.array([[1.0], [0.0], [1.0]], np.float32)
    targets = as_array(Teacher(brightness_model(), 0.75)(grey(128, 128, 168), labels))
    thought = 1 / (1 + np.exp(-4.0))
    np.testing.assert_allclose(targets[:, 0], [0.25 + 0.375, 0.375, 0.25 + 0.75 * thought], atol=1e-5)


@given(share=st.floats(0, 1), level=st.floats(0, 255), label=st.sampled_from([0.0, 1.0]))
def test_targets_are_probabilities_and_a_share_of_nothing_keeps_the_label(
    share: float, level: float, label: float
) -> None:
    labels = np.array([[label]], np.float32)
    target = float(as_array(Teacher(TEACHER, share)(grey(level), labels))[0, 0])
    assert -1e-6 <= target <= 1 + 1e-6
    kept = float(as_array(Teacher(TEACHER, 0.0)(grey(level), labels))[0, 0])
    assert kept == label


@pytest.mark.parametrize("outputs", [2, (SIZE, SIZE, 1)])
def test_what_is_no_classifier_of_this_project_teaches_nothing(outputs: Any, tmp_path: Path) -> None:
    inputs = keras.Input((SIZE, SIZE, 3))
    answer = (
        keras.layers.Dense(2)(keras.layers.Flatten()(inputs)) if outputs == 2 else keras.layers.Conv2D(1, 1)(inputs)
    )
    keras.Model(inputs, answer).save(tmp_path / "other.keras")
    with pytest.raises(CrackError, match=r"--teacher .*other\.keras: it draws masks, or has several outputs\. Name a"):
        load_teacher(str(tmp_path / "other.keras"), 0.7)


def test_a_model_made_elsewhere_teaches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brightness_model().save(tmp_path / "mine.keras")
    assert load_teacher(str(tmp_path / "mine.keras"), 0.7)
    monkeypatch.setattr("crack_tf.training.origins.sidecars_of", lambda _: [SimpleNamespace(adopted=True)])
    with pytest.raises(CrackError, match=r"--teacher .*mine\.keras: it was made elsewhere and adopted"):
        load_teacher(str(tmp_path / "mine.keras"), 0.7)


def test_a_teacher_of_another_size_sees_the_whole_tile() -> None:
    labels = np.zeros((1, 1), np.float32)
    same, larger = (as_array(Teacher(brightness_model(size), 1.0)(grey(140), labels)) for size in (SIZE, 24))
    np.testing.assert_allclose(same, larger, atol=1e-5)


def test_both_kinds_of_batches_ask_the_teacher_about_the_augmented_tile() -> None:
    levels = np.array([110, 120, 130, 140], np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (4, SIZE, SIZE, 3)).copy()
    tiles = Tiles(images, np.array([0, 1, 0, 1], np.int8), [TILE] * 4)
    plan = plan_epoch(4, 4, SIZE, Augmentation(), seed=1, epoch=0)
    teacher = Teacher(brightness_model(), 1.0)
    pixels, targets = next(iter(training_batches(tiles, plan, soften=teacher).as_numpy_iterator()))
    expected = 1 / (1 + np.exp(-(pixels.mean((1, 2, 3)) - 128) / 10))
    np.testing.assert_allclose(targets[:, 0], expected, atol=1e-3)
    assert np.ptp(np.abs(pixels.mean((1, 2, 3)) - levels[plan.order[0]])) > 1, "brightness was not augmented"
    other = PlannedTiles(tiles, plan, soften=teacher)[0][1]
    np.testing.assert_allclose(targets, other, atol=1e-3)


TEACHER = brightness_model()
