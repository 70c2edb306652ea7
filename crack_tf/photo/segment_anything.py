"""Foreground by Segment Anything (Kirillov et al., ICCV 2023) through keras-hub, prompted or automatic.

The photograph is encoded once, which takes seconds to minutes on a CPU; every prompt after that is quick. So keep one
`SegmentAnything` while a person clicks points.

The weights (`sam_base_sa1b`, 94 million parameters, downloaded from Kaggle by keras-hub) could not be fetched where this was
written: the adapter is tested on a tiny, randomly initialised model of the same class, masks of the real one were not seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from crack_tf.photo.foreground import MIN_SHARE, Foreground, Prompt, check_photo, tidy
from tflite.errors import CrackError, first_line
from tflite.extras import install
from tflite.files import sha256_bytes

PRESET = "sam_base_sa1b"

# keras-hub's image encoder subtracts this mean from values in [0, 1] and divides by the deviations. Padding with the mean is
# the zero after normalisation that SAM was trained with.
_MEAN = (0.485, 0.456, 0.406)
# The automatic mask generator's own defaults (facebookresearch/segment-anything, automatic_mask_generator.py), with a
# coarser grid: one large surface is looked for, not every object.
_MIN_SCORE, _MIN_STABILITY, _STABILITY_OFFSET = 0.88, 0.95, 1.0
_GRID = 8
_BATCH = 16


class SegmentAnything:
    """Backend `sam`.

    Args:
        preset: a keras-hub preset name, or the folder of one saved with `save_to_preset`.
        model: a `keras_hub.models.SAMImageSegmenter` to use instead.
        min_score, min_stability: of an automatic mask, 0 to 1.
    """

    def __init__(
        self,
        preset: str = PRESET,
        model: Any = None,
        min_score: float = _MIN_SCORE,
        min_stability: float = _MIN_STABILITY,
    ) -> None:
        self._preset, self._model = preset, model
        self._min_score, self._min_stability = min_score, min_stability
        self._encoded: tuple[str, Any] | None = None

    def segment(self, photo: np.ndarray, prompt: Prompt) -> Foreground:
        """See `crack_tf.photo.foreground.Backend`."""
        height, width = check_photo(photo)
        prompt.check(height, width)
        if not prompt.empty and not (prompt.foreground or prompt.box):
            raise CrackError("sam needs a point on the concrete or a box besides background points. Add --fg x,y.")
        if self._model is None:
            self._model = load_segmenter(self._preset)
        raw, note = self._prompted(photo, prompt) if not prompt.empty else self._automatic(photo)
        if raw is None:
            return Foreground(np.ones((height, width), bool), "sam", note)
        if not raw.any():
            raise CrackError("sam found no foreground there. Give further points on the concrete with --fg x,y.")
        return Foreground(tidy(raw, prompt), "sam", note)

    @property
    def _side(self) -> int:
        return int(self._model.backbone.image_encoder.image_shape[0])

    def _prompted(self, photo: np.ndarray, prompt: Prompt) -> tuple[np.ndarray, str]:
        points = [(float(x), float(y), 1.0) for x, y in prompt.foreground]
        points += [(float(x), float(y), 0.0) for x, y in prompt.background]
        corners = None
        if prompt.box is not None:
            box = prompt.box
            corners = [(box.x, box.y), (box.x + box.w - 1, box.y + box.h - 1)]
        logits, scores = self._decode(photo, [points], corners)
        # Mask 0 is for clear prompts; a single point may mean a part or the whole, and masks 1 to 3 are the candidates.
        clear = len(points) > 1 or corners is not None
        best = 0 if clear else 1 + int(np.argmax(scores[0, 1:]))
        mask = self._full_size(logits[0, best], photo.shape) > 0
        if prompt.box is not None:
            inside = np.zeros_like(mask)
            inside[prompt.box.y : prompt.box.y + prompt.box.h, prompt.box.x : prompt.box.x + prompt.box.w] = True
            mask &= inside
        return mask, f"predicted quality {scores[0, best]:.2f}"

    def _automatic(self, photo: np.ndarray) -> tuple[np.ndarray | None, str]:
        """The largest good mask that holds the photograph's middle, else the largest good mask, else None."""
        height, width = photo.shape[:2]
        ys, xs = ((np.arange(_GRID) + 0.5) * length / _GRID - 0.5 for length in (height, width))
        grid = [[(x, y, 1.0)] for y in ys for x in xs]
        best: tuple[bool, float] = (False, 0.0)
        chosen, note = None, "no mask of sufficient quality: all is foreground"
        for first in range(0, len(grid), _BATCH):
            logits, scores = self._decode(photo, grid[first : first + _BATCH], None)
            for candidate, score in zip(
                logits[:, 1:].reshape(-1, *logits.shape[2:]), scores[:, 1:].ravel(), strict=True
            ):
                valid = self._valid(candidate, photo.shape)
                if score < self._min_score or _stability(valid) < self._min_stability:
                    continue
                inside = valid > 0
                share = float(inside.mean())
                rank = bool(inside[inside.shape[0] // 2, inside.shape[1] // 2]), share
                if share >= MIN_SHARE and rank > best:
                    best, chosen, note = rank, candidate, f"automatic, predicted quality {score:.2f}"
        return (None if chosen is None else self._full_size(chosen, photo.shape) > 0), note

    def _decode(
        self, photo: np.ndarray, prompts: list[list[tuple[float, float, float]]], corners: list[tuple[int, int]] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Masks for prompts of equally many points (x, y, label): logits (n, 4, side / 4, side / 4) and scores (n, 4)."""
        backbone = self._model.backbone
        scale = self._side / max(photo.shape[:2])

        def shrink(values: np.ndarray) -> np.ndarray:
            # The prompt encoder adds half a pixel itself.
            return ((values + 0.5) * scale - 0.5).astype(np.float32)

        given = np.array(prompts, np.float32).reshape(len(prompts), -1, 3)
        points, labels = shrink(given[..., :2]), given[..., 2]
        inputs: dict[str, np.ndarray] = {}
        if corners is None:
            # The convention of SAM: without a box there is one more point, labelled as none.
            points = np.concatenate([points, np.zeros((len(points), 1, 2), np.float32)], axis=1)
            labels = np.concatenate([labels, -np.ones((len(labels), 1), np.float32)], axis=1)
        else:
            inputs["boxes"] = shrink(np.array(corners, np.float32))[np.newaxis, np.newaxis]
        encoded = backbone.prompt_encoder(points=points, labels=labels, **inputs)
        output = backbone.mask_decoder(image_embeddings=self._embeddings(photo), **encoded)
        return _array(output["masks"]), _array(output["iou_pred"])

    def _embeddings(self, photo: np.ndarray) -> Any:
        """The encoded photograph, kept for the next prompt."""
        key = f"{photo.shape} {sha256_bytes(np.ascontiguousarray(photo).tobytes())}"
        if self._encoded is None or self._encoded[0] != key:
            side = self._side
            height, width = self._used(photo.shape)
            resized = Image.fromarray(photo).resize((width, height), Image.Resampling.BILINEAR)
            # Not keras-hub's own preprocessor: by default that crops the photograph to a square.
            image = np.tile(np.array(_MEAN, np.float32), (1, side, side, 1))
            image[0, :height, :width] = np.asarray(resized, np.float32) / 255
            self._encoded = key, self._model.backbone.image_encoder(image, training=False)
        return self._encoded[1]

    def _used(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Height and width of the photograph inside the model's square input."""
        scale = self._side / max(shape[:2])
        return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))

    def _valid(self, logits: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """A mask's logits without those of the padding."""
        height, width = self._used(shape)
        return logits[: -(-height * len(logits) // self._side), : -(-width * len(logits) // self._side)]

    def _full_size(self, logits: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """A mask's logits at the photograph's size, float32 (height, width)."""
        side = self._side
        height, width = self._used(shape)
        square = Image.fromarray(logits.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR)
        cut = square.crop((0, 0, width, height)).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
        return np.asarray(cut)


def load_segmenter(preset: str) -> Any:
    """A `keras_hub.models.SAMImageSegmenter` from a preset name or folder.

    Raises:
        CrackError: if keras-hub is not installed, or the preset is unknown, cannot be downloaded or is damaged.
    """
    try:
        from keras_hub.models import SAMImageSegmenter
    except ImportError as error:
        raise CrackError(
            f"sam needs keras-hub ({first_line(error)}). Run: {install('sam')}. Or take the backend grabcut."
        ) from None
    try:
        return SAMImageSegmenter.from_preset(preset)
    except Exception as error:  # keras-hub, Kaggle's client and h5py raise anything here
        raise CrackError(
            f"the sam preset {preset!r} cannot be loaded ({type(error).__name__}: {first_line(error, 200)}). Give "
            f"{PRESET}, sam_large_sa1b or sam_huge_sa1b with a connection to Kaggle, or a folder made by save_to_preset; or "
            "take the backend grabcut."
        ) from None


def _stability(logits: np.ndarray) -> float:
    """How little a mask changes when its threshold moves: intersection over union of a strict and a lenient cut."""
    lenient = int((logits > -_STABILITY_OFFSET).sum())
    return int((logits > _STABILITY_OFFSET).sum()) / lenient if lenient else 0.0


def _array(tensor: Any) -> np.ndarray:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(tensor), np.float32)
