"""Joints are drawn on concrete by a seed, and the crack beside or across them is all that two pictures differ in."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2")

import cv2

from crack_tf.synthetic.joints import KINDS, crack, draw, is_even
from crack_tf.synthetic.transplant import Shape, lift, visible

SIZE = 96


@pytest.fixture(scope="module")
def concrete() -> np.ndarray:
    rng = np.random.default_rng(5)
    rough = cv2.GaussianBlur(rng.normal(0, 12, (120, 120, 1)), (0, 0), 1)[..., None]
    return np.clip(170 + rough + np.zeros(3), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def shapes() -> list[Shape]:
    """Dark lines right across their photographs: both ends are cut off."""
    found = []
    for slope in (0.1, -0.3):
        photo, mask = np.full((200, 260, 3), 180, np.uint8), np.zeros((200, 260), np.uint8)
        ends = (0, round(100 - 130 * slope)), (259, round(100 + 130 * slope))
        cv2.line(mask, *ends, 255, 4)
        photo[mask > 0] = 50
        found.append(lift(cv2.GaussianBlur(photo, (0, 0), 1), mask > 0))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_drawn_alike_by_one_seed_and_otherwise_by_another(kind: str, concrete: np.ndarray) -> None:
    one, again, other = (draw(concrete, kind, SIZE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.pixels.shape == (SIZE, SIZE, 3)
    assert np.array_equal(one.pixels, again.pixels)
    assert not np.array_equal(one.pixels, other.pixels)
    assert 0 < one.joint.mean() < 0.8
    assert one.closed.any() == (kind == "expansion")
    assert 60 < one.pixels.mean() < 230


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_with_and_without_differ_by_a_crack_that_can_be_seen_near_the_joint(
    kind: str, seed: int, concrete: np.ndarray, shapes: list[Shape]
) -> None:
    rng = np.random.default_rng(seed)
    tile = draw(concrete, kind, SIZE, rng)
    made = crack(tile, shapes, rng)
    assert made is not None
    pixels, mask = made
    assert visible(tile.pixels, pixels, mask)
    around = cv2.dilate(mask.astype(np.uint8), np.ones((31, 31), np.uint8)) > 0
    assert (around & tile.joint).any()
    changed = np.abs(pixels.astype(int) - tile.pixels).max(axis=2)
    assert changed[~around & ~tile.closed].max(initial=0) <= 3
    assert not changed[tile.closed].any()
    assert not (mask & tile.closed).any()
    beside = around & (cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0)
    assert pixels[mask].mean() < pixels[beside].mean() - 8


def test_an_end_that_a_photograph_cut_off_lies_outside_the_picture(concrete: np.ndarray, shapes: list[Shape]) -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        made = crack(draw(concrete, "boards", SIZE, rng), shapes, rng)
        assert made is not None
        inner = np.s_[3:-3, 3:-3]
        rim = made[1].copy()
        rim[inner] = False
        assert cv2.connectedComponents(rim.astype(np.uint8))[0] - 1 >= 2, "it comes in and goes out"


def test_a_crack_that_nobody_could_see_is_none(concrete: np.ndarray, shapes: list[Shape]) -> None:
    faint = [Shape(shape.factor**0.02, shape.mask) for shape in shapes]
    tile = draw(concrete, "panel", SIZE, np.random.default_rng(0))
    assert crack(tile, faint, np.random.default_rng(0)) is None


def test_a_picture_with_a_structure_of_its_own_is_not_even(concrete: np.ndarray) -> None:
    assert is_even(concrete)
    beam = concrete.copy()
    beam[:60] //= 2
    assert not is_even(beam)
