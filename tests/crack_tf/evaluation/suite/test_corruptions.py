"""Corruptions: graded, repeatable, and doing what their names say."""

from __future__ import annotations

import numpy as np
import pytest

from crack_tf.evaluation.suite.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from crack_tf.synthetic.tiles import render_tile
from tflite.errors import CrackError


@pytest.fixture(scope="module")
def tile() -> np.ndarray:
    return render_tile(0, 1, True, 227).image


def change(tile: np.ndarray, kind: str, severity: int) -> float:
    return float(np.abs(corrupt(tile, kind, severity).astype(float) - tile).mean())


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_corruption_keeps_the_shape_and_repeats_itself(kind: str, tile: np.ndarray) -> None:
    before = tile.copy()
    one, again = corrupt(tile, kind, 3, seed=5), corrupt(tile, kind, 3, seed=5)
    assert one.shape == tile.shape
    assert one.dtype == np.uint8
    assert np.array_equal(one, again)
    assert np.array_equal(tile, before)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_the_worst_severity_changes_a_tile_more_than_the_slightest(kind: str, tile: np.ndarray) -> None:
    assert 0 < change(tile, kind, SEVERITIES[0]) < change(tile, kind, SEVERITIES[-1])


@pytest.mark.parametrize("kind", ["motion_blur", "defocus"])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_blur_keeps_the_mean_and_lowers_the_contrast(kind: str, severity: int, tile: np.ndarray) -> None:
    blurred = corrupt(tile, kind, severity)
    assert blurred.mean() == pytest.approx(tile.mean(), abs=1.0)
    assert blurred.std() < tile.std()


def test_a_motion_blur_leaves_a_line_along_its_direction_sharp() -> None:
    # Blurred in a random direction, a point becomes a line: its light is kept, and the line is longer than wide.
    point = np.zeros((65, 65, 3), np.uint8)
    point[32, 32] = 255
    y, x = np.nonzero(corrupt(point, "motion_blur", 4)[..., 0])
    axes = np.linalg.eigvalsh(np.cov(y, x))
    assert axes[1] > 8 * axes[0]


def test_light_falls_with_low_light_and_rises_with_over_exposure(tile: np.ndarray) -> None:
    means = [corrupt(tile, "low_light", severity).mean() for severity in SEVERITIES]
    assert means == sorted(means, reverse=True)
    means = [corrupt(tile, "over_exposure", severity).mean() for severity in SEVERITIES]
    assert means == sorted(means)


def test_a_shadow_darkens_one_side_only() -> None:
    grey = np.full((227, 227, 3), 200, np.uint8)
    shaded = corrupt(grey, "shadow", 5)
    assert shaded.max() == 200
    assert shaded.min() == pytest.approx(40, abs=1)
    assert 0.2 < np.mean(shaded == 200) < 0.8


def test_distance_shrinks_the_scene() -> None:
    square = np.zeros((200, 200, 3), np.uint8)
    square[50:150, 50:150] = 255
    assert np.mean(corrupt(square, "distance", 3)[50:150, 50:150] > 127) < np.mean(square[50:150, 50:150] > 127)


def test_another_seed_draws_another_noise(tile: np.ndarray) -> None:
    assert not np.array_equal(corrupt(tile, "noise", 2, seed=0), corrupt(tile, "noise", 2, seed=1))


@pytest.mark.parametrize(("kind", "severity"), [("fog", 1), ("noise", 0), ("noise", 6)])
def test_unknown_kinds_and_severities_are_refused(kind: str, severity: int, tile: np.ndarray) -> None:
    with pytest.raises(CrackError, match=r"fog|severity"):
        corrupt(tile, kind, severity)
