"""Deletion, insertion, localisation: maps that are right score better than maps that are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.explain.faithfulness import (
    RANDOM,
    SHARES,
    area,
    curves,
    curves_plot,
    localisation,
    margin_of,
    measure,
    random_map,
    summarise,
)
from tflite.errors import CrackError

SIZE = 32


@pytest.fixture
def mask() -> np.ndarray:
    found = np.zeros((SIZE, SIZE), bool)
    found[:, 15:17] = True
    return found


@pytest.fixture
def image(mask: np.ndarray) -> np.ndarray:
    return np.where(mask[..., None], np.uint8(20), np.uint8(200)).repeat(3, axis=2)


def darkness(tiles: np.ndarray) -> np.ndarray:
    """Logits of a model that counts dark pixels: sure of a crack at half a line, sure of none at a tenth."""
    return (tiles[..., 0] < 100).mean(axis=(1, 2)) * 400 - 8


def test_deletion_of_a_perfect_map_beats_a_random_one(image: np.ndarray, mask: np.ndarray) -> None:
    perfect = curves(darkness, image, mask.astype(np.float32))
    random = curves(darkness, image, random_map(SIZE, 0))
    assert area(perfect[0]) < 0.1 < area(random[0])
    assert area(perfect[1]) > 0.9 > area(random[1])


def test_curves_start_and_end_at_the_tile_and_at_its_filling(image: np.ndarray) -> None:
    deletion, insertion = curves(darkness, image, random_map(SIZE, 0))
    assert len(deletion) == len(insertion) == len(SHARES)
    assert deletion[0] == insertion[-1] > 0.99
    assert deletion[-1] == insertion[0] < 0.01


@given(st.floats(0, 1))
def test_the_area_under_a_constant_is_the_constant(value: float) -> None:
    assert area(np.full(len(SHARES), value)) == pytest.approx(value)


def test_a_map_on_the_crack_is_inside_and_hits(mask: np.ndarray) -> None:
    found = localisation(mask.astype(np.float32), mask, 1)
    assert found["inside"] == 1
    assert found["hit"] is True
    assert found["area"] == pytest.approx(4 / SIZE)  # two columns and the margin's two


def test_negative_values_do_not_count_and_a_flat_map_points_nowhere(mask: np.ndarray) -> None:
    heat = np.where(mask, 1.0, -5.0)
    assert localisation(heat, mask, 0)["inside"] == 1
    flat = localisation(np.zeros((SIZE, SIZE)), mask, 0)
    assert flat["inside"] is None
    assert flat["hit"] is None


def test_a_mask_without_a_crack_or_of_another_size_is_refused(mask: np.ndarray) -> None:
    for wrong in (np.zeros_like(mask), mask[:8]):
        with pytest.raises(CrackError, match="localisation needs a mask"):
            localisation(np.ones((SIZE, SIZE)), wrong, 1)


@given(size=st.integers(8, 40), margin=st.integers(0, 50), seed=st.integers(0, 9))
def test_a_margin_never_makes_less_of_a_map_lie_inside(size: int, margin: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    heat, mask = rng.random((size, size)), rng.random((size, size)) < 0.05
    mask[size // 2, size // 2] = True
    narrow, wide = localisation(heat, mask, 0), localisation(heat, mask, margin)
    assert narrow["inside"] is not None
    assert wide["inside"] is not None
    assert narrow["inside"] <= wide["inside"] + 1e-12 <= 1 + 2e-12


def test_the_margin_is_seven_pixels_of_a_whole_tile() -> None:
    assert margin_of(224) == 7
    assert margin_of(8) == 1


def test_a_random_map_is_measured_beside_the_others_and_rows_sum_up(image: np.ndarray, mask: np.ndarray) -> None:
    heat = mask.astype(np.float32)
    entries = [measure(darkness, image, {"gradcam": heat}, mask, seed) for seed in range(3)]
    assert set(entries[0]) == {"gradcam", RANDOM}
    row = summarise([entry["gradcam"] for entry in entries])
    assert row["tiles"] == row["pointing_hits"] == 3
    assert row["pointing_low"] == pytest.approx(0.4385, abs=1e-3)  # Wilson: three of three is not certainty
    assert row["inside"] == row["inside_low"] == row["inside_high"] == 1
    chance = summarise([entry[RANDOM] for entry in entries])
    assert chance["inside"] == pytest.approx(chance["mask_area"], abs=0.02)
    assert chance["deletion_auc"] > row["deletion_auc"]


def test_without_masks_there_is_no_localisation(image: np.ndarray) -> None:
    entry = measure(darkness, image, {}, None, 0)[RANDOM]
    assert set(entry) == {"deletion", "insertion"}
    assert "pointing" not in summarise([entry])


def test_the_plot_is_written(image: np.ndarray, tmp_path: Path) -> None:
    entry = measure(darkness, image, {}, None, 0)[RANDOM]
    curves_plot({("opnet", RANDOM): [entry], ("mobilenet_v2", RANDOM): [entry]}, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5000
