"""GrabCut and given masks find the concrete, keep the cracks, and refuse prompts that do not fit."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from crack_tf.photo.foreground import Backend, Foreground, Given, Prompt, resize_mask, tidy
from crack_tf.photo.grabcut import GrabCut
from crack_tf.photo.masks import write_mask
from tflite.device.tiles import Box
from tflite.errors import CrackError

HEIGHT, WIDTH = 180, 260


def concrete(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    grey = 150 + 12 * gaussian_filter(rng.normal(size=(HEIGHT, WIDTH)), 8) * 16 + rng.normal(0, 8, (HEIGHT, WIDTH))
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., np.newaxis], 3, axis=2)


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Photograph of a wall with sky above and a dark crack from edge to edge, where the wall is, and the crack."""
    photo = concrete()
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    wall = y > 50 + 0.1 * x
    photo[~wall] = (130, 175, 225)
    crack = (np.abs(y - 120 - 15 * np.sin(x / 30)) < 2.5) & wall
    photo[crack] = 30
    return photo, wall, crack


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_the_automatic_mask_is_the_wall_with_its_cracks() -> None:
    photo, wall, crack = scene()
    found = GrabCut().segment(photo, Prompt())
    assert found.mask.shape == (HEIGHT, WIDTH)
    assert found.mask.dtype == bool
    assert overlap(found.mask, wall) > 0.95
    assert found.mask[crack].all()
    assert found.backend == "grabcut"


def test_a_photograph_of_concrete_alone_is_all_foreground() -> None:
    found = GrabCut().segment(concrete(), Prompt())
    assert found.share == 1
    assert "no background" in found.note


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(foreground=((130, 150),)),
        Prompt(foreground=((130, 150), (20, 170)), background=((130, 10),)),
        Prompt(background=((20, 20), (240, 20))),
        Prompt(box=Box(45, 0, HEIGHT - 45, WIDTH)),
    ],
    ids=["fg", "fg and bg", "bg", "box"],
)
def test_points_and_boxes_find_the_wall_and_are_obeyed(prompt: Prompt) -> None:
    photo, wall, crack = scene()
    mask = GrabCut().segment(photo, prompt).mask
    assert overlap(mask, wall) > 0.93
    assert mask[crack].mean() > 0.98
    assert all(mask[y, x] for x, y in prompt.foreground)
    assert not any(mask[y, x] for x, y in prompt.background)
    if prompt.box is not None:
        assert mask[: prompt.box.y - 12].mean() < 0.02


def test_background_of_the_concretes_own_colour_is_cut_where_the_person_says() -> None:
    photo = concrete()
    photo[:, 150:] = photo[:, 150:] // 2  # a darker wall behind: automatic takes it for shadow
    assert GrabCut().segment(photo, Prompt()).share > 0.95
    mask = GrabCut().segment(photo, Prompt(foreground=((70, 90),), background=((210, 90),))).mask
    assert overlap(mask, np.arange(WIDTH) < 150 + np.zeros((HEIGHT, 1))) > 0.95


@pytest.mark.parametrize("colour", [(96, 122, 124), (60, 90, 98), (170, 195, 225)], ids=["water", "deep water", "sky"])
def test_what_is_bluer_or_greener_than_concrete_is_background_though_hardly_lighter_or_darker(colour) -> None:
    photo = concrete()
    photo[120:] = (np.array(colour) + np.random.default_rng(1).normal(0, 6, (HEIGHT - 120, WIDTH, 3))).astype(np.uint8)
    mask = GrabCut().segment(photo, Prompt()).mask
    assert mask[125:].mean() < 0.05
    assert mask[:115].mean() > 0.99


@pytest.mark.parametrize(("height", "width"), [(900, 1200), (3000, 4000), (120, 160)])
def test_a_thin_frame_along_the_border_is_concrete_and_the_sky_that_it_hangs_on_is_not(height: int, width: int) -> None:
    thin = max(2, round(2 * width / 512))  # two pixels where GrabCut cuts
    found = np.ones((height, width), bool)
    found[:, :thin] = found[:, -thin:] = found[-thin:] = False
    found[: height // 4] = False
    mask = tidy(found, Prompt())
    near = width // 50
    assert not mask[: height // 4 - near].any()
    assert mask[height // 4 + near :].all()


@pytest.mark.parametrize("tint", [(0.5, 0.5, 0.5), (0.85, 0.74, 0.6)], ids=["damp", "rust"])
def test_damp_and_rust_at_the_border_are_concrete(tint) -> None:
    photo = concrete()
    photo[130:] = (photo[130:] * np.array(tint)).astype(np.uint8)
    assert GrabCut().segment(photo, Prompt()).share == 1


def test_a_wide_dark_crack_that_runs_out_of_the_photograph_is_concrete() -> None:
    photo = concrete()
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    photo[(np.abs(x - 130 - 0.3 * (y - 90)) < 14) & (y > 60)] = (22, 20, 18)
    assert GrabCut().segment(photo, Prompt()).share == 1


def test_the_same_photograph_gives_the_same_mask() -> None:
    photo = scene()[0]
    first, second = (GrabCut().segment(photo, Prompt()).mask for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_large_photographs_are_cut_at_full_size() -> None:
    photo, wall, _ = scene()
    large, truth = (np.kron(a, np.ones((5, 5, 1)[: a.ndim], a.dtype)) for a in (photo, wall))
    mask = GrabCut().segment(large, Prompt()).mask
    assert mask.shape == truth.shape
    assert overlap(mask, truth) > 0.95


@pytest.mark.parametrize("backend", [GrabCut(), Given()], ids=["grabcut", "none"])
@pytest.mark.parametrize("photo", [np.zeros((50, 60), np.uint8), np.zeros((50, 60, 3)), np.zeros((0, 60, 3), np.uint8)])
def test_what_is_no_photograph_is_refused(backend: Backend, photo: np.ndarray) -> None:
    with pytest.raises(CrackError, match="give uint8 RGB"):
        backend.segment(photo, Prompt())


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Prompt(foreground=((WIDTH, 10),)), rf"fg point {WIDTH},10 lies outside the photograph"),
        (Prompt(background=((10, HEIGHT),)), rf"bg point 10,{HEIGHT} lies outside"),
        (Prompt(foreground=((-1, 10),)), "fg point -1,10 lies outside"),
        (Prompt(foreground=((5, 5),), background=((5, 5),)), "given as fg and as bg"),
        (Prompt(box=Box(0, 0, HEIGHT + 1, 10)), "does not lie inside"),
        (Prompt(box=Box(5, 5, 0, 10)), "does not lie inside"),
        (Prompt(foreground=((5, 5),), box=Box(10, 10, 20, 20)), "lies outside the box"),
    ],
)
def test_prompts_that_do_not_fit_are_named(prompt: Prompt, message: str) -> None:
    with pytest.raises(CrackError, match=message):
        GrabCut().segment(concrete(), prompt)


def test_tiny_photographs_are_refused_by_grabcut() -> None:
    with pytest.raises(CrackError, match="too small"):
        GrabCut().segment(np.zeros((5, 50, 3), np.uint8), Prompt())


def test_grabcut_without_opencv_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(CrackError, match=r"pip install 'crack_tf\[survey\]'"):
        GrabCut().segment(concrete(), Prompt())


def test_none_is_everything_or_the_given_mask(tmp_path: Path) -> None:
    photo, wall, _ = scene()
    assert Given().segment(photo, Prompt()).share == 1
    png, npy = write_mask(tmp_path / "wall.png", wall)
    for path in (png, npy):
        np.testing.assert_array_equal(Given(path).segment(photo, Prompt()).mask, wall)
    np.testing.assert_array_equal(Given(png, invert=True).segment(photo, Prompt()).mask, ~wall)


def test_given_masks_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    photo, wall, _ = scene()
    small, _ = write_mask(tmp_path / "small.png", wall[:50])
    empty, _ = write_mask(tmp_path / "empty.png", np.zeros_like(wall))
    with pytest.raises(CrackError, match=f"its photograph {WIDTH}x{HEIGHT}"):
        Given(small).segment(photo, Prompt())
    with pytest.raises(CrackError, match="is empty"):
        Given(empty).segment(photo, Prompt())
    with pytest.raises(CrackError, match="do nothing with the backend none"):
        Given().segment(photo, Prompt(foreground=((1, 1),)))


def test_tidying_closes_cracks_fills_holes_and_drops_islands() -> None:
    raw = np.zeros((200, 300), bool)
    raw[60:, :] = True
    raw[120:124, :] = False  # a crack from edge to edge
    raw[150:170, 100:120] = False  # a stain
    raw[10:14, 20:24] = True  # a bird
    clean = tidy(raw, Prompt())
    assert clean[64:].all()
    assert not clean[:56].any()
    kept = tidy(raw, Prompt(foreground=((22, 12),), background=((110, 160),)))
    assert kept[12, 22]
    assert not kept[155:165, 105:115].any()


@pytest.mark.parametrize("value", [True, False])
def test_full_and_empty_masks_stay_so(value: bool) -> None:
    assert (tidy(np.full((30, 40), value), Prompt()) == value).all()
    assert (resize_mask(np.full((30, 40), value), 7, 9) == value).all()


def test_share_is_that_of_the_mask() -> None:
    mask = np.zeros((10, 10), bool)
    mask[:3] = True
    assert Foreground(mask, "none").share == pytest.approx(0.3)


def test_transparent_pixels_are_no_foreground() -> None:
    found = Foreground(np.ones((4, 6), bool), "grabcut")
    opaque = np.zeros((4, 6), bool)
    opaque[:, :3] = True
    assert found.within(None) is found
    assert found.within(opaque).share == 0.5
