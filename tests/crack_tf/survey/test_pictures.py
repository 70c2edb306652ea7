"""Pictures of findings lie inside the photograph, are small enough for a page, and show the outline on one of the two."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.survey.findings import VALIDATIONS
from crack_tf.survey.pictures import MAX_SIDE, draw_finding
from tflite.device.tiles import Box


@given(x=st.integers(0, 780), y=st.integers(0, 580), w=st.integers(1, 800), h=st.integers(1, 600))
def test_pictures_lie_inside_and_a_key_stands_below_the_second(x, y, w, h):
    box = Box(y, x, min(h, 600 - y), min(w, 800 - x))
    plain, drawn = draw_finding(np.zeros((600, 800, 3), np.uint8), box, (), "unclear")
    assert plain.shape[1] == drawn.shape[1]
    assert plain.shape[0] < drawn.shape[0] < 1.2 * plain.shape[0]
    assert np.array_equal(plain, drawn[: len(plain)])
    assert max(plain.shape) <= MAX_SIDE
    assert min(plain.shape[:2]) >= 320


@pytest.mark.parametrize("validation", VALIDATIONS)
def test_only_the_overlay_has_the_outline_and_it_lies_on_the_place(validation):
    image = np.full((600, 800, 3), 90, np.uint8)
    image[200:300, 400:500] = 200
    ring = ((400.0, 200.0), (499.0, 200.0), (499.0, 299.0), (400.0, 299.0))
    plain, drawn = draw_finding(image, Box(200, 400, 100, 100), (ring,), validation)
    changed = (plain != drawn[: len(plain)]).any(axis=2)
    bright = (plain == 200).all(axis=2)
    assert (drawn[len(plain) :].max(axis=2) > 200).any()  # what the outline means
    assert changed.any()
    rows, columns = np.nonzero(bright)
    assert np.abs(np.argwhere(changed).min(axis=0) - (rows.min(), columns.min())).max() <= 2


def test_a_large_finding_is_reduced():
    plain, _ = draw_finding(np.zeros((3000, 4000, 3), np.uint8), Box(100, 100, 2000, 3000), (), "confirmed")
    assert max(plain.shape) == MAX_SIDE
