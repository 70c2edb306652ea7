"""Augmented masks stay on their photographs, hold 0 and 1 only, and repeat by seed and epoch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tensorflow")

from crack_tf.data.augment import PARAMETERS, Augmentation
from crack_tf.data.patch_pipeline import (
    PatchAugmentation,
    PlannedPatches,
    augment_pairs,
    patch_batches,
)
from crack_tf.data.patches import Patches
from crack_tf.data.pipeline import plan_epoch
from tflite.device.tiles import Box
from tflite.manifest import Item

SIZE = 48
ITEM = Item("", "", 1, "", "train")  # names a file; batches come from the arrays alone
GEOMETRY = PatchAugmentation(brightness=0, contrast=0, saturation=0)


def smooth_patches(count: int = 8, size: int = SIZE) -> Patches:
    """Soft blobs; the mask is where the grey level is below 100."""
    y, x = np.mgrid[0:size, 0:size] / size
    phases = np.random.default_rng(0).uniform(0, 6, (count, 2))
    grey = np.stack([120 + 60 * np.sin(7 * x + a) + 50 * np.cos(6 * y + b) for a, b in phases]).clip(0, 255)
    images = np.repeat(grey[..., None], 3, axis=3).astype(np.uint8)
    masks = (images[..., 0] < 100).astype(np.uint8)
    return Patches(images, masks, [ITEM] * count, [Box(0, 0, size, size)] * count)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**31), strength=st.sampled_from([0.3, 1.0, 2.0]))
def test_a_mask_that_is_a_function_of_the_image_stays_it(seed: int, strength: float) -> None:
    patches = smooth_patches()
    parameters = GEOMETRY.scaled(strength).draw(8, SIZE, np.random.default_rng(seed))
    images, masks = (np.asarray(part) for part in augment_pairs(patches.images, patches.masks[..., None], parameters))
    assert set(np.unique(masks)) <= {0.0, 1.0}
    # Away from the outline, where interpolation may fall to either side.
    sure = np.abs(images[..., :1] - 100) > 18
    assert sure.mean() > 0.5
    np.testing.assert_array_equal(masks[sure] == 1, (images[..., :1] < 100)[sure])


def test_the_colours_change_the_image_alone() -> None:
    patches = smooth_patches()
    colours = PatchAugmentation(zoom=1, flip=False, quarter_turns=False, rotation=0)
    parameters = colours.draw(8, SIZE, np.random.default_rng(0))
    images, masks = (np.asarray(part) for part in augment_pairs(patches.images, patches.masks[..., None], parameters))
    np.testing.assert_array_equal(masks[..., 0], patches.masks)
    assert np.abs(images - patches.images).mean() > 5


def test_zero_strength_changes_nothing() -> None:
    patches = smooth_patches()
    parameters = PatchAugmentation().scaled(0).draw(8, SIZE, np.random.default_rng(0))
    images, masks = (np.asarray(part) for part in augment_pairs(patches.images, patches.masks[..., None], parameters))
    np.testing.assert_allclose(images, patches.images, atol=1e-3)
    np.testing.assert_array_equal(masks[..., 0], patches.masks)


def test_quarter_turns_and_flips_give_the_eight_orientations() -> None:
    patches = smooth_patches(1)
    photo, mask = patches.images[0].astype(float), patches.masks[0]
    turns = PatchAugmentation(zoom=1, rotation=0, brightness=0, contrast=0, saturation=0)
    parameters = turns.draw(64, SIZE, np.random.default_rng(0))
    many = (np.repeat(patches.images, 64, 0), np.repeat(patches.masks[..., None], 64, 0))
    images, masks = (np.asarray(part) for part in augment_pairs(*many, parameters))
    forms = [(np.rot90(p, k), np.rot90(m, k)) for p, m in ((photo, mask), (photo[::-1], mask[::-1])) for k in range(4)]
    seen = set()
    for image, found in zip(images, masks[..., 0], strict=True):
        form = int(np.argmin([np.abs(image - other).max() for other, _ in forms]))
        np.testing.assert_allclose(image, forms[form][0], atol=0.5)
        np.testing.assert_array_equal(found, forms[form][1])
        seen.add(form)
    assert seen == set(range(8))


def test_zoom_stays_within_its_bounds_both_ways() -> None:
    only_zoom = PatchAugmentation(flip=False, quarter_turns=False, rotation=0)
    side = only_zoom.draw(500, SIZE, np.random.default_rng(0))[:, 0]
    assert 0.8 - 1e-6 <= side.min() < 0.83
    assert 1.2 < side.max() <= 1.25 + 1e-6


def test_a_thin_crack_keeps_its_area_when_turned() -> None:
    masks = np.zeros((64, 65, 65, 1), np.uint8)
    masks[:, 31:34] = 1
    images = np.zeros((64, 65, 65, 3), np.uint8)
    turned = PatchAugmentation(zoom=1, flip=False, quarter_turns=False)
    _, out = augment_pairs(images, masks, turned.draw(64, 65, np.random.default_rng(0)))
    # The middle only: a turned line is longer within the square, and its mirror image stands beyond the border.
    middle = np.hypot(*(np.mgrid[0:65, 0:65] - 32)) < 24
    before, after = masks[0, ..., 0][middle].sum(), np.asarray(out)[..., 0][:, middle].sum(axis=1)
    assert after.mean() == pytest.approx(before, rel=0.03)
    assert np.abs(after / before - 1).max() < 0.12


def test_tf_data_and_pydataset_give_the_same_batches() -> None:
    patches = smooth_patches(20)
    plan = plan_epoch(20, 6, SIZE, PatchAugmentation(), seed=3, epoch=1)
    from_tf = list(patch_batches(patches, plan).as_numpy_iterator())
    dataset = PlannedPatches(patches, plan)
    assert len(from_tf) == len(dataset) == 3
    for (images, masks), index in zip(from_tf, range(3), strict=True):
        other_images, other_masks = dataset[index]
        assert images.shape == (6, SIZE, SIZE, 3)
        assert masks.shape == (6, SIZE, SIZE, 1)
        assert images.dtype == masks.dtype == np.float32
        np.testing.assert_allclose(images, other_images, atol=1e-3)
        np.testing.assert_array_equal(masks, other_masks)


def test_a_plan_depends_on_seed_and_epoch_alone_and_takes_either_augmentation() -> None:
    def draw(seed: int, epoch: int, augmentation: PatchAugmentation | Augmentation) -> tuple[bytes, bytes]:
        plan = plan_epoch(20, 5, SIZE, augmentation, seed, epoch, steps=3)
        assert plan.parameters.shape == (3, 5, PARAMETERS)
        return plan.order.tobytes(), plan.parameters.tobytes()

    for augmentation in (PatchAugmentation(), Augmentation()):
        assert draw(0, 0, augmentation) == draw(0, 0, augmentation)
        assert draw(0, 0, augmentation) != draw(0, 1, augmentation)
        assert draw(0, 0, augmentation) != draw(1, 0, augmentation)
