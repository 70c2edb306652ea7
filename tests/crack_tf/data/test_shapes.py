"""Polygons and run lengths become the pixels they enclose, and no crack is too thin to leave any."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crack_tf.data.shapes import THIN, coco_counts, paint_line, paint_polygon, paint_runs

HEIGHT, WIDTH = 30, 40
points = st.lists(st.tuples(st.floats(-10, 50), st.floats(-10, 40)), min_size=3, max_size=9)


def painted(corners: object) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    paint_polygon(corners, mask)
    return mask


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(-10, 50), st.floats(-10, 40)), min_size=2, max_size=4), st.floats(0.1, 9))
def test_a_line_has_the_pixels_near_it_and_none_far_from_it(corners: list[tuple[float, float]], width: float) -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    paint_line(corners, width, mask)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    distance = np.full(mask.shape, np.inf)
    for start, end in pairwise(np.array(corners)):
        for share in np.linspace(0, 1, 400):
            point = start + share * (end - start)
            distance = np.minimum(distance, np.hypot(x - point[0], y - point[1]))
    assert mask[distance < width / 2 - 0.2].all()
    assert not mask[distance > max(width / 2, 0.8) + 0.01].any()


def lies_inside(corners: np.ndarray, x: float, y: float) -> bool | None:
    """Whether a ray from a point to the left meets an odd number of edges, counted the plain way; None within a hair of one."""
    if np.abs(corners[:, 1] - y).min() < 1e-6:
        return None
    inside = False
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if (ay < y) != (by < y):
            crossing = ax + (y - ay) * (bx - ax) / (by - ay)
            if abs(crossing - x) < 1e-6:
                return None
            inside ^= bool(crossing < x)
    return inside


@settings(max_examples=40)
@given(points)
def test_a_pixel_belongs_to_a_polygon_when_its_centre_lies_inside(corners: list[tuple[float, float]]) -> None:
    mask = painted(corners)
    shape = np.array(corners)
    ahead = np.roll(shape, -1, axis=0)
    area = abs((shape[:, 0] * ahead[:, 1] - ahead[:, 0] * shape[:, 1]).sum()) / 2
    wide = area >= THIN * np.hypot(*(ahead - shape).T).sum() / 2
    for row in range(0, HEIGHT, 3):
        for column in range(0, WIDTH, 3):
            inside = lies_inside(shape, column + 0.5, row + 0.5)
            if inside is not None:
                assert mask[row, column] == inside if wide else mask[row, column] >= inside


@given(st.integers(0, 20), st.integers(0, 20), st.integers(3, 10), st.integers(3, 9))
def test_a_box_on_the_grid_has_its_own_pixels_and_no_more(x: int, y: int, width: int, height: int) -> None:
    mask = painted([(x, y), (x + width, y), (x + width, y + height), (x, y + height)])
    assert mask.sum() == width * height
    assert mask[y : y + height, x : x + width].all()


@settings(max_examples=60)
@given(st.floats(0.01, 1), st.floats(2, 38), st.floats(2, 38))
def test_a_polygon_thinner_than_a_pixel_is_one_line_without_gaps(width: float, top: float, bottom: float) -> None:
    mask = painted([(top, 2), (top + width, 2), (bottom + width, 28), (bottom, 28)])
    assert mask[2:28].any(axis=1).all()
    rows = [np.flatnonzero(row) for row in mask[2:28]]
    for one, other in pairwise(rows):
        assert one.min() - 1 <= other.max()
        assert other.min() - 1 <= one.max()


@pytest.mark.parametrize(
    "corners",
    [
        None,
        [],
        [(1, 2), (3, 4)],
        [(1, 2, 3)] * 3,
        [("a", "b")] * 3,
        [(0, 0), (1, 1), (float("nan"), 2)],
        [(0, 0), (1e300, 1), (2, 2)],
    ],
)
def test_what_is_no_polygon_is_refused(corners: object) -> None:
    with pytest.raises(ValueError, match="polygon"):
        painted(corners)


def test_a_polygon_outside_leaves_nothing() -> None:
    assert not painted([(50, 50), (60, 50), (60, 60)]).any()


def runs_of(flat: np.ndarray) -> list[int]:
    counts, value = [0], False
    for pixel in flat.tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def coco_text(counts: list[int]) -> str:
    """The encoder to `coco_counts`."""
    text = ""
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        while True:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr((bits | 32 if more else bits) + 48)
            if not more:
                break
    return text


@given(st.integers(0, 2**16), st.booleans())
def test_run_lengths_give_their_mask_back(seed: int, by_column: bool) -> None:
    box = np.random.default_rng(seed).random((7, 5)) < 0.4
    counts = runs_of(box.T.ravel() if by_column else box.ravel())
    assert coco_counts(coco_text(counts)) == counts
    mask = np.zeros((12, 12), bool)
    paint_runs(counts, 7, 5, 3, 4, by_column, mask)
    np.testing.assert_array_equal(mask[4:11, 3:8], box)
    assert mask.sum() == box.sum()


@given(st.lists(st.integers(0, 10**7), max_size=30))
def test_any_run_lengths_survive_being_written(counts: list[int]) -> None:
    assert coco_counts(coco_text(counts)) == counts


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert all(isinstance(count, int) for count in coco_counts(text))


@pytest.mark.parametrize(
    ("counts", "box"),
    [
        ([1, 2], (2, 2, 0, 0)),
        ([5, -1], (2, 2, 0, 0)),
        ([], (2, 2, 0, 0)),
        ([4], (2, 2, 11, 0)),
        ([4], (2, 2, -1, 0)),
        ([0], (0, 0, 0, 0)),
    ],
)
def test_run_lengths_that_do_not_fit_are_refused(counts: list[int], box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"run lengths|does not lie"):
        paint_runs(counts, *box, True, np.zeros((12, 12), bool))
