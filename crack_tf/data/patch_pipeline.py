"""Training batches of patches and masks: one affine map for both, colour changes for the photograph alone.

As in `crack_tf.data.pipeline` an epoch is a function of (seed, epoch), and tf.data and PyDataset give the same patches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from crack_tf.data.augment import affine_rows, parameter_rows, recolour, warp
from crack_tf.data.patches import Patches
from crack_tf.data.pipeline import EpochPlan, Planned, as_batches


@dataclass(frozen=True)
class PatchAugmentation:
    """How far patches are changed. Unlike tiles, patches have no upright side and no crack that must stay in the picture.

    Attributes:
        zoom: patches are enlarged or reduced up to this factor; 1 keeps their size.
        flip: mirror and flip, each with probability one half.
        quarter_turns: turn by 0, 90, 180 or 270 degrees.
        rotation: greatest further rotation either way, in degrees.
        brightness, contrast, saturation, adverse, camera: see `crack_tf.data.augment.Augmentation`.
    """

    zoom: float = 1.25
    flip: bool = True
    quarter_turns: bool = True
    rotation: float = 45.0
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.2
    adverse: float = 0.0
    camera: float = 0.0

    def scaled(self, strength: float) -> PatchAugmentation:
        """The same augmentation, `strength` times as far: 0 is none, 1 is this one. As many patches have adverse conditions and cameras."""
        return replace(
            self,
            zoom=self.zoom**strength,
            flip=self.flip and strength > 0,
            quarter_turns=self.quarter_turns and strength > 0,
            rotation=min(180.0, self.rotation * strength),
            brightness=min(0.95, self.brightness * strength),
            contrast=min(0.95, self.contrast * strength),
            saturation=min(1.0, self.saturation * strength),
        )

    def draw(self, count: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """Parameters for `count` patches of `size` pixels: float32 (count, PARAMETERS), longer rows with adverse conditions or cameras."""
        side = np.exp(rng.uniform(-1, 1, count) * np.log(self.zoom))
        # A view larger than the patch holds it somewhere; what lies beyond the patch is its mirror image.
        left, top = (rng.uniform(0, 1, count) * (1 - side) for _ in range(2))
        mirrored = [np.where(self.flip & (rng.uniform(size=count) < 0.5), -1.0, 1.0) for _ in range(2)]
        degrees = rng.uniform(-self.rotation, self.rotation, count)
        degrees = degrees + 90 * rng.integers(0, 4, count) * self.quarter_turns
        colours = [1 + rng.uniform(-a, a, count) for a in (self.brightness, self.contrast, self.saturation)]
        affine = affine_rows(size, (left, top), (side, side), (mirrored[0], mirrored[1]), np.deg2rad(degrees))
        return parameter_rows([*affine, *colours], self.adverse, self.camera, size, rng)


def patch_batches(patches: Patches, plan: EpochPlan, workers: int = 2) -> Any:
    """Batches for `keras.Model.fit`, in the plan's order.

    Args:
        patches: the decoded split.
        plan: from `crack_tf.data.pipeline.plan_epoch`.
        workers: batches prepared at the same time.

    Returns:
        A tf.data.Dataset when Keras runs on TensorFlow, else a PyDataset, of (float32 (b, s, s, 3) pixels 0..255,
        float32 (b, s, s, 1) masks of 0 and 1).
    """
    return as_batches(PlannedPatches(patches, plan, workers), workers)


class PlannedPatches(Planned):
    """Patches and masks by an epoch plan."""

    def __init__(self, patches: Patches, plan: EpochPlan, workers: int = 1) -> None:
        super().__init__(plan, workers)
        self._patches = patches

    def gather(self, index: int) -> tuple[np.ndarray, ...]:
        """uint8 pixels (b, s, s, 3), uint8 masks (b, s, s, 1), parameters of the plan."""
        chosen = self.plan.order[index]
        return self._patches.images[chosen], self._patches.masks[chosen][..., None], self.plan.parameters[index]

    def augment(self, *gathered: Any) -> tuple[Any, Any]:
        return augment_pairs(*gathered)


def augment_pairs(images: Any, masks: Any, parameters: Any) -> tuple[Any, Any]:
    """Change patches and masks together.

    Both go through one warp, so they cannot come apart; the mask is interpolated like the photograph and cut at one half,
    which keeps a crack's outline nearer to the truth than the nearest pixel does.

    Args:
        images: (n, s, s, 3), pixels 0..255, any numeric dtype.
        masks: (n, s, s, 1) of 0 and 1, any numeric dtype.
        parameters: float32 from `PatchAugmentation.draw` or `Augmentation.draw`.

    Returns:
        float32 (n, s, s, 3) pixels 0..255 and float32 (n, s, s, 1) of 0 and 1.
    """
    ops = keras.ops
    both = ops.concatenate([ops.cast(images, "float32"), ops.cast(masks, "float32")], axis=-1)
    both = warp(both, parameters)
    return recolour(both[..., :3], parameters), ops.cast(both[..., 3:] >= 0.5, "float32")
