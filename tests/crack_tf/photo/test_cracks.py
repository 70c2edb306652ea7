"""Measured cracks agree with drawn ones: length, width, direction, branches, at any rotation and scale."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crack_tf.photo.crack import COLUMNS, RANGE_COLUMNS, Crack
from crack_tf.photo.cracks import _simplified, measure_cracks
from tests.crack_tf.photo.drawn_cracks import arc, draw, length_of, straight, wave
from tflite.errors import CrackError

SHAPE = (256, 256)
CLOSE = 0.05


def only(mask: np.ndarray, **options) -> Crack:
    cracks = measure_cracks(mask, **options)
    assert len(cracks) == 1
    return cracks[0]


def turn(a: float, b: float) -> float:
    """Degrees between two directions without sense."""
    difference = abs(a - b) % 180
    return min(difference, 180 - difference)


def star(lengths: list[float], angles: list[float], centre: tuple[float, float] = (128.0, 128.0)) -> list[np.ndarray]:
    """Straight branches from one point, angles in degrees."""
    paths = []
    for length, angle in zip(lengths, angles, strict=True):
        s = np.linspace(0, length, int(length * 4))
        paths.append(
            np.stack([centre[0] - np.sin(np.radians(angle)) * s, centre[1] + np.cos(np.radians(angle)) * s], axis=1)
        )
    return paths


@pytest.mark.parametrize("width", [3, 4, 5, 8, 13, 25])
@pytest.mark.parametrize("angle", [0, 11, 27, 63, 90, 104, 160])
def test_straight_cracks_have_their_length_and_width(width: float, angle: float) -> None:
    crack = only(draw([straight(150, angle, (127.8, 128.3))], [width], SHAPE))
    assert crack.length_px == pytest.approx(150, rel=0.02)
    assert crack.mean_width_px == pytest.approx(width, rel=CLOSE)
    assert crack.max_width_px == pytest.approx(width, rel=0.1)
    assert turn(crack.orientation_deg, angle) < 1.2  # at a blunt end the centreline may turn into a corner
    assert crack.straightness > 0.99
    assert len(crack.centreline) == 1
    assert crack.branch_points == ()
    assert len(crack.end_points) == 2


@pytest.mark.parametrize("width", [3, 6, 14])
@pytest.mark.parametrize("path", [arc(60, 20, 250), arc(90, 200, 330), wave(170, 12, 80, 33), wave(170, 10, 60, 95)])
def test_curved_cracks_have_their_length_and_width(path: np.ndarray, width: float) -> None:
    crack = only(draw([path], [width], SHAPE))
    assert crack.length_px == pytest.approx(length_of(path), rel=0.03)
    assert crack.mean_width_px == pytest.approx(width, rel=CLOSE)
    assert crack.max_width_px == pytest.approx(width, rel=0.1)
    assert len(crack.centreline) == 1


def test_the_maximum_width_is_found_where_it_is() -> None:
    path = straight(180, 20)
    along = np.linspace(-90, 90, len(path))
    widths = 5 + 7 * np.exp(-(((along - 40) / 20) ** 2))
    crack = only(draw([path], [widths], SHAPE))
    assert crack.mean_width_px == pytest.approx(widths.mean(), rel=CLOSE)
    assert crack.max_width_px == pytest.approx(12, rel=0.08)  # the mean over 20 pixels of the peak is a little less
    y, x = path[np.argmax(widths)]
    assert math.hypot(crack.max_width_at[0] - x, crack.max_width_at[1] - y) < 8


@pytest.mark.parametrize("width", [3, 6, 12])
def test_a_fork_has_three_branches_and_one_branch_point(width: float) -> None:
    paths = star([90, 70, 80], [10, 140, 255])
    crack = only(draw(paths, [width] * 3, SHAPE))
    assert crack.length_px == pytest.approx(240, rel=0.02)
    assert crack.mean_width_px == pytest.approx(width, rel=CLOSE)
    assert len(crack.centreline) == 3
    assert len(crack.branch_points) == 1
    assert crack.branch_points[0] == pytest.approx((128, 128), abs=width)
    assert len(crack.end_points) == 3
    for path in paths:
        y, x = path[-1]
        assert min(math.hypot(x - a, y - b) for a, b in crack.end_points) < 2 + width / 2


@pytest.mark.parametrize("angle", [40, 90])
def test_a_crossing_is_one_branch_point(angle: float) -> None:
    crack = only(draw([straight(150, 15), straight(150, 15 + angle)], [6, 6], SHAPE))
    assert crack.length_px == pytest.approx(300, rel=0.03)
    assert len(crack.branch_points) == 1
    assert len(crack.end_points) == 4


def test_a_ring_has_no_ends_and_no_direction() -> None:
    crack = only(draw([arc(60, 0, 360)], [5], SHAPE))
    assert crack.length_px == pytest.approx(2 * math.pi * 60, rel=0.02)
    assert crack.mean_width_px == pytest.approx(5, rel=CLOSE)
    assert crack.end_points == ()
    assert crack.branch_points == ()
    assert crack.straightness < 0.1
    assert len(crack.outline) == 2


def test_several_cracks_are_measured_apart_and_numbered_by_length() -> None:
    paths = [straight(60, 80, (60, 60)), straight(140, 10, (128, 140)), straight(100, 170, (220, 120))]
    cracks = measure_cracks(draw(paths, [4, 6, 3], SHAPE))
    assert [crack.number for crack in cracks] == [1, 2, 3]
    for crack, length, width in zip(cracks, (140, 100, 60), (6, 3, 4), strict=True):
        assert crack.length_px == pytest.approx(length, rel=0.03)
        assert crack.mean_width_px == pytest.approx(width, rel=CLOSE)


def test_cracks_that_touch_at_a_corner_are_one() -> None:
    mask = np.zeros((40, 40), bool)
    mask[np.arange(5, 35), np.arange(5, 35)] = True
    assert only(mask, min_area=1).length_px == pytest.approx(30 * math.sqrt(2), rel=0.05)


def test_bumps_and_pinholes_of_a_rough_edge_make_no_branches() -> None:
    rng = np.random.default_rng(0)
    mask = draw([straight(200, 25)], [9], SHAPE)
    from scipy.ndimage import binary_dilation, binary_erosion

    edge = binary_dilation(mask) & ~binary_erosion(mask)
    mask[edge] = rng.random(edge.sum()) < 0.5
    for y, x in ((128, 128), (120, 146)):
        mask[y, x] = False
    crack = max(measure_cracks(mask), key=lambda crack: crack.area_px)
    assert len(crack.centreline) == 1
    assert crack.length_px == pytest.approx(200, rel=0.03)
    assert crack.mean_width_px == pytest.approx(9, rel=CLOSE)


def test_a_side_branch_counts_when_it_stands_out_by_the_cracks_own_width() -> None:
    main, short, long = straight(200, 0), star([9], [90])[0], star([30], [90])[0]
    assert len(only(draw([main, short], [8, 4], SHAPE)).centreline) == 1
    assert len(only(draw([main, long], [8, 4], SHAPE)).centreline) == 3


@settings(max_examples=15)
@given(angle=st.floats(0, 180), width=st.floats(3, 7), dy=st.floats(-1, 1), dx=st.floats(-1, 1))
def test_rotation_does_not_change_length_and_width(angle: float, width: float, dy: float, dx: float) -> None:
    path = wave(130, 6, 65, angle, (90 + dy, 90 + dx))
    crack = only(draw([path], [width], (180, 180)))
    assert crack.length_px == pytest.approx(length_of(path), rel=0.03)
    assert crack.mean_width_px == pytest.approx(width, rel=CLOSE)
    assert turn(crack.orientation_deg, angle) < 6  # a sine leans a little to its first half-wave


@settings(max_examples=12)
@given(factor=st.floats(1, 3), angle=st.floats(5, 40))
def test_scale_changes_pixels_and_not_millimetres(factor: float, angle: float) -> None:
    centre = (32 * factor, 32 * factor)
    path = wave(50 * factor, 4 * factor, 30 * factor, angle, centre)
    crack = only(draw([path], [4 * factor], (int(64 * factor), int(64 * factor))), mm_per_pixel=0.5 / factor)
    assert crack.length_px == pytest.approx(length_of(path), rel=0.04)
    assert crack.length_mm == pytest.approx(0.5 * length_of(path) / factor, rel=0.04)
    assert crack.mean_width_mm == pytest.approx(2.0, rel=CLOSE)


@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_turned_and_mirrored_masks_measure_alike(seed: int) -> None:
    rng = np.random.default_rng(seed)
    path = wave(rng.uniform(60, 90), rng.uniform(1, 4), rng.uniform(45, 70), rng.uniform(0, 180), (64, 64))
    mask = draw([path], [rng.uniform(3, 6)], (128, 128))
    crack = only(mask)
    for turned in (np.rot90(mask), mask[::-1], mask[:, ::-1], mask.T):
        other = only(turned)
        assert other.area_px == crack.area_px
        # Thinning does not treat all sides alike: a tip may come out a pixel or two elsewhere.
        assert other.length_px == pytest.approx(crack.length_px, abs=3)
        assert other.mean_width_px == pytest.approx(crack.mean_width_px, rel=0.02)


def test_moving_a_crack_moves_its_coordinates_and_nothing_else() -> None:
    mask = draw(star([40, 40, 30], [10, 130, 250], (64, 64)), [4] * 3, (128, 128))
    there, here = only(np.pad(mask, ((13, 0), (7, 0)))), only(mask)
    assert there.length_px == pytest.approx(here.length_px)
    assert there.max_width_px == pytest.approx(here.max_width_px)
    np.testing.assert_allclose(np.array(there.centreline[0]) - (7, 13), here.centreline[0], atol=0.02)
    assert (there.box.x, there.box.y) == (here.box.x + 7, here.box.y + 13)


def test_millimetres_follow_from_pixels() -> None:
    mask = draw([straight(100, 30, (64, 64))], [5], (128, 128))
    pixels, metric = only(mask), only(mask, mm_per_pixel=0.2)
    assert pixels.length_mm is None
    assert pixels.area_mm2 is None
    assert metric.length_mm == pytest.approx(0.2 * pixels.length_px)
    assert metric.mean_width_mm == pytest.approx(0.2 * pixels.mean_width_px)
    assert metric.max_width_mm == pytest.approx(0.2 * pixels.max_width_px)
    assert metric.area_mm2 == pytest.approx(0.04 * pixels.area_px)


def test_a_printed_crack_has_its_numbers_and_not_its_hundreds_of_points() -> None:
    crack = only(draw([straight(100, 30, (64, 64))], [5], (128, 128)))
    shown = repr(crack)
    assert f"length_px={crack.length_px}" in shown
    assert not any(f"{name}=" in shown for name in ("outline", "centreline", "end_points", "profile"))


def test_only_cracks_of_three_pixels_have_a_trusted_width() -> None:
    way = straight(100, 30, (64, 64))
    assert only(draw([way], [4], (128, 128))).width_trusted
    assert only(draw([way], [1.5], (128, 128))).width_doubt == "too fine"


def test_a_shape_that_is_short_for_its_width_exceeds_no_limit_unless_it_runs_out_of_the_photograph() -> None:
    mask = draw([straight(120, 0)], [10.0], SHAPE)
    spall, cut_off, crack = (
        only(found, mm_per_pixel=0.1) for found in (mask, mask[:, 100:], draw([straight(120, 0)], [7.0], SHAPE))
    )
    assert [found.too_wide for found in (spall, cut_off, crack)] == [False] * 3
    assert [found.width_doubt for found in (spall, cut_off, crack)] == ["short for its width", None, None]
    assert [found.judged(0.3) for found in (spall, cut_off, crack)] == ["cannot tell", "exceeds", "exceeds"]
    assert spall.judged(1.5) == "below"


def test_a_hole_in_a_cracks_way_is_not_how_wide_the_crack_is() -> None:
    way = wave(220, 4, 60, 10)
    y, x = np.indices(SHAPE)
    holed = only(draw([way], [5.0], SHAPE) | (np.hypot(y - 128, x - 128) < 18), mm_per_pixel=0.1)
    assert holed.max_width_px > 3 * holed.mean_width_px
    assert holed.ranges[2].low == holed.ranges[1].low
    assert holed.ranges[2].high > holed.max_width_px
    assert [holed.judged(limit) for limit in (0.3, 1.0)] == ["exceeds", "cannot tell"]
    wider = only(draw([way], [np.linspace(4.0, 9.0, len(way))], SHAPE), mm_per_pixel=0.1)
    assert wider.ranges[2].low > wider.ranges[1].low


def test_a_crack_that_reaches_the_border_says_so() -> None:
    mask = np.zeros((60, 80), bool)
    mask[30:34, 20:] = True
    crack = only(mask)
    assert crack.touches_border
    assert crack.length_px == pytest.approx(60, abs=1.5)
    mask[:, 70:] = False
    assert not only(mask).touches_border


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2), (3, 3), (5, 5), (9, 12), (1, 40)])
def test_blots_of_any_size_are_measured(shape: tuple[int, int]) -> None:
    mask = np.zeros((40, 60), bool)
    mask[10 : 10 + shape[0], 10 : 10 + shape[1]] = True
    crack = only(mask, min_area=1)
    assert crack.length_px == pytest.approx(max(shape), abs=0.5 + 0.5 * min(shape))
    assert crack.length_px * crack.mean_width_px == pytest.approx(crack.area_px, rel=0.5)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), share=st.floats(0.01, 0.5), size=st.integers(3, 24))
def test_noise_is_measured_without_complaint(seed: int, share: float, size: int) -> None:
    mask = np.random.default_rng(seed).random((size, size + 5)) < share
    mask[0, 0] = mask.mean() <= 0.5 and mask[0, 0]
    if mask.mean() > 0.5:
        return
    for crack in measure_cracks(mask, min_area=1):
        row = crack.as_dict(geometry=True)
        json.dumps(row, allow_nan=False)
        assert row["length_px"] > 0
        assert row["max_width_px"] >= row["mean_width_px"] > 0
        assert 0 <= row["orientation_deg"] <= 180  # rounded
        assert sum(map(len, crack.centreline)) >= 2


def test_a_mask_without_cracks_gives_none_and_small_ones_are_left_out() -> None:
    mask = np.zeros((50, 50), np.uint8)
    assert measure_cracks(mask) == []
    mask[10, 10:25] = 255
    assert measure_cracks(mask) == []
    assert len(measure_cracks(mask, min_area=15)) == 1


def test_a_row_is_flat_json_and_geometry_comes_on_request() -> None:
    crack = only(draw(star([40, 40, 30], [10, 130, 250], (64, 64)), [4] * 3, (128, 128)), mm_per_pixel=0.1)
    row = crack.as_dict()
    assert tuple(row) == COLUMNS + RANGE_COLUMNS
    assert row.pop("note") is None
    assert all(isinstance(value, (int, float, bool, str)) for value in row.values())
    shapes = json.loads(json.dumps(crack.as_dict(geometry=True)))
    assert len(shapes["centreline"]) == 3
    assert shapes["outline"][0][0] == shapes["outline"][0][-1]
    outline = np.array(shapes["outline"][0])
    x, y = outline[:-1].T
    area = abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
    assert area == pytest.approx(crack.area_px, rel=0.05)


@pytest.mark.parametrize(
    ("mask", "options", "message"),
    [
        (np.ones((20, 20), bool), {}, "looks inverted"),
        (np.zeros((20, 20, 3), bool), {}, "height and width only"),
        (np.full((20, 20), 7), {}, "not black and white"),
        (np.zeros((20, 20), bool), {"mm_per_pixel": 0.0}, "mm_per_pixel must be"),
        (np.zeros((20, 20), bool), {"mm_per_pixel": float("nan")}, "mm_per_pixel must be"),
        (np.zeros((20, 20), bool), {"min_area": -1}, "min_area must be"),
    ],
)
def test_bad_masks_and_arguments_are_named(mask, options, message: str) -> None:
    with pytest.raises(CrackError, match=message):
        measure_cracks(mask, **options)


def test_on_real_masks_length_times_width_is_the_area(data_root) -> None:
    from crack_tf.photo.masks import read_mask

    ratios = []
    for name in ("crack500", "deepcrack", "conglomerate"):
        paths = sorted((data_root / "segmentation" / name / "masks").glob("*.png"))
        for path in paths[:: len(paths) // 3][:3]:
            for crack in measure_cracks(read_mask(path), min_area=200):
                ratios.append(crack.area_px / (crack.length_px * crack.mean_width_px))
    assert len(ratios) > 5
    assert np.median(ratios) == pytest.approx(1, abs=0.03)
    assert all(0.8 < ratio < 1.25 for ratio in ratios)


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(bool, (9, 13)))
def test_outlines_are_simplified_as_by_scikit_image(mask: np.ndarray) -> None:
    from skimage.measure import approximate_polygon, find_contours

    for ring in find_contours(np.kron(np.pad(mask, 1), np.ones((2, 3))), 0.5, fully_connected="high"):
        np.testing.assert_array_equal(_simplified(ring), approximate_polygon(ring, 0.5))


def test_measuring_does_not_wait_for_what_it_does_not_need() -> None:
    code = """
import sys, numpy as np
from crack_tf.photo.cracks import measure_cracks
mask = np.zeros((60, 200), bool)
mask[30:34, 20:180] = True
assert len(measure_cracks(mask)) == 1
assert not {"scipy.signal", "scipy.stats"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
