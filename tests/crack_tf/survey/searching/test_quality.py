"""Parts of a photograph that are blurred, dark or burnt out are told from those that are not, whatever they show."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from crack_tf.photo.light import PATCH_PX
from crack_tf.survey.findings import PhotoRecord
from crack_tf.survey.searching.quality import patch_codes, patches_of, told_of_none, unseen_share
from tests.crack_tf.survey.small_flight import wall

SIDE = 2 * PATCH_PX
LEFT = slice(0, PATCH_PX)


@pytest.fixture(scope="module")
def sharp() -> np.ndarray:
    """A wall with texture of all sizes, as concrete has it."""
    rng = np.random.default_rng(0)
    texture = sum(
        cv2.resize(
            rng.normal(0, 8, (SIDE >> level, SIDE >> level)).astype(np.float32),
            (SIDE, SIDE),
            interpolation=cv2.INTER_CUBIC,
        )
        for level in range(6)
    )
    lines = np.asarray(wall(0, [[(20, 40), (490, 470)]], SIDE, SIDE), np.float32)
    return (lines * 0.7 + np.asarray(texture)[..., None]).clip(5, 245).astype(np.uint8)


def test_what_is_sharp_and_lit_is_good(sharp: np.ndarray):
    assert patches_of(sharp) == "gg/gg"


def test_blur_is_told_where_it_is(sharp: np.ndarray):
    image = sharp.copy()
    image[:, LEFT] = cv2.GaussianBlur(sharp, (0, 0), 5)[:, LEFT]
    noisy = (image + np.random.default_rng(1).normal(0, 2, image.shape)).clip(0, 255).astype(np.uint8)
    assert patches_of(image) == "bg/bg"
    assert patches_of(noisy) == "bg/bg"


@pytest.mark.parametrize("gain", [0.02, 30.0])
def test_darkness_and_burnt_out_light_are_told_where_they_are(sharp: np.ndarray, gain: float):
    image = sharp.astype(np.float32)
    image[LEFT] *= gain
    assert patches_of(image.clip(0, 255).astype(np.uint8)) == "dd/gg"


def test_what_is_no_concrete_is_told_before_all(sharp: np.ndarray):
    concrete = np.zeros(sharp.shape[:2], bool)
    concrete[:, LEFT] = True
    assert patches_of(sharp, concrete) == "gn/gn"


@pytest.mark.parametrize(
    ("patches", "share"), [("gg/gg", 0), ("gb/dg", 0.5), ("gn/dn", 0.5), ("nn/nn", None), (None, None)]
)
def test_what_cannot_be_seen_is_a_share_of_the_concrete(patches: str | None, share: float | None):
    assert unseen_share(patches) == share


@pytest.mark.parametrize(
    ("patches", "told"),
    [
        (None, "nothing found"),
        ("gg/gd", "nothing found"),
        ("gd/dd", "nothing found; 75 % not seen"),
        ("bd/nd", "nothing could be seen"),
    ],
)
def test_what_cannot_be_seen_is_never_told_as_free_of_cracks(patches: str | None, told: str):
    photo = PhotoRecord("a.jpg", "0" * 64, 512, 512, None, None, None, None, None, None, 4, 0, 0, patches=patches)
    assert told_of_none(photo) == told


def test_a_smooth_wall_is_not_called_blurred():
    assert patches_of(np.full((300, 600, 3), 128, np.uint8)) == "gg"


def test_places_find_their_patch():
    across, down = np.array([0.1, 0.9, 0.999, 0.1]), np.array([0.1, 0.1, 0.999, 0.6])
    assert patch_codes("gb/dn", across, down).tolist() == ["g", "b", "n", "d"]
    assert patch_codes(None, across, down).tolist() == ["g"] * 4
