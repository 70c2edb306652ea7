"""Pictures of findings lie inside the photograph, are small enough for a page, and show the outline on one of the two."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crack_tf.photo.key import GREEN
from crack_tf.survey.findings import VALIDATIONS
from crack_tf.survey.pictures import MAX_SIDE, draw_finding
from crack_tf.survey.searching.search import _files
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


@pytest.mark.parametrize("ground", [0, 90, 130, 180, 255])
def test_the_outline_of_a_refuted_finding_stands_out_from_concrete_of_any_brightness(ground):
    ring = ((400.0, 200.0), (499.0, 200.0), (499.0, 299.0), (400.0, 299.0))
    plain, drawn = draw_finding(np.full((600, 800, 3), ground, np.uint8), Box(200, 400, 100, 100), (ring,), "refuted")
    contrast = np.abs(drawn[: len(plain)].astype(int) - plain).max(axis=2)
    assert contrast.max() > 120


def test_another_finding_s_crack_in_the_picture_is_outlined_and_named():
    image = np.full((600, 800, 3), 90, np.uint8)
    ring = ((400.0, 200.0), (499.0, 200.0), (499.0, 299.0), (400.0, 299.0))
    crack, far = ((420.0, 150.0), (425.0, 150.0), (425.0, 350.0)), ((10.0, 10.0), (20.0, 10.0), (20.0, 30.0))
    _, alone = draw_finding(image, Box(200, 400, 100, 100), (ring,), "refuted")
    _, beside = draw_finding(image, Box(200, 400, 100, 100), (ring,), "refuted", (crack, far))
    _, apart = draw_finding(image, Box(200, 400, 100, 100), (ring,), "refuted", (far,))
    assert (beside == GREEN).all(axis=2).any()
    assert len(beside) > len(alone)  # a second line of the key
    assert np.array_equal(apart, alone)


def test_only_findings_without_a_crack_of_their_own_show_another_s():
    image = np.full((600, 800, 3), 90, np.uint8)
    crack, tile = ((420.0, 150.0), (425.0, 150.0), (425.0, 350.0)), ((400.0, 200.0), (499.0, 200.0), (499.0, 299.0))
    candidate: Any = SimpleNamespace(marks=(), profile=())
    findings: Any = [
        SimpleNamespace(
            outline=(ring,), box=Box(200, 400, 100, 100), validation=validation, length_px=length, picture=f"{name}.jpg"
        )
        for name, ring, validation, length in (("a", tile, "refuted", None), ("b", crack, "confirmed", 200.0))
    ]
    for finding in findings:
        finding.overlay, finding.profile = f"over-{finding.picture}", None
    files = _files(image, findings, [candidate, candidate], None)
    green = {}
    for name in ("a", "b"):
        pixels = np.asarray(Image.open(io.BytesIO(files[f"over-{name}.jpg"]))).astype(int)
        green[name] = (np.abs(pixels - GREEN).max(axis=2) < 60).any()
    assert green == {"a": True, "b": False}
