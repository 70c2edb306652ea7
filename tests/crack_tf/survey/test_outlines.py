"""Outlines to pixels and back: whatever a model draws can be painted and handed on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crack_tf.data.shapes import paint_polygon
from crack_tf.photo.cracks import measure_cracks
from crack_tf.survey.outlines import annotation_rings, paint_outline


@pytest.mark.parametrize("ring", [((4.0, 5.0),), ((4.0, 5.0), (9.0, 5.0)), ((4.0, 5.0), (4.4, 5.2))])
def test_a_speck_whose_outline_is_a_line_or_a_point_is_painted(ring: tuple[tuple[float, float], ...]) -> None:
    mask, left, top = paint_outline([ring])
    assert mask[5 - top, 4 - left]
    (corners,) = annotation_rings([ring], [])
    assert len(corners) >= 3


def test_a_hole_of_no_area_is_none() -> None:
    square = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
    mask, _, _ = paint_outline([square], [((4.0, 4.0), (5.0, 4.0))])
    assert mask[1:9, 1:9].all()
    assert len(annotation_rings([square], [((4.0, 4.0), (5.0, 4.0))])) == 1


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.6))
def test_every_part_of_any_mask_comes_back_nearly_as_it_was(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    drawn = np.pad(rng.random((14, 17)) < share, 20)
    for crack in measure_cracks(drawn, min_area=1):
        outer, *holes = (ring[:-1] if ring[0] == ring[-1] else ring for ring in crack.outline)
        mask, left, top = paint_outline([outer], holes)
        here = np.zeros_like(drawn)
        here[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
        # Outlines keep to half a pixel: of a speck nothing may be left.
        assert here.any() or crack.area_px < 12
        assert not (here & ~_grown(drawn)).any()
        painted = np.zeros_like(drawn)
        for ring in annotation_rings([outer], holes):
            assert len(ring) >= 3
            paint_polygon(ring, painted, exact=True)
        assert np.array_equal(painted, here)


def _grown(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, 1)
    return np.any([padded[y : y + mask.shape[0], x : x + mask.shape[1]] for y in range(3) for x in range(3)], axis=0)
