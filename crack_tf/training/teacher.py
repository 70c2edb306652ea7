"""What a larger classifier thinks of a tile, mixed into the tile's label (Hinton et al., 2015, at temperature 1).

The teacher sees the tile as it is trained on, augmented: a tile whose crack was cropped away is then no longer called cracked. With the
cross-entropy, mixing probabilities into the labels is the same as adding the teacher's loss to that of the labels.
"""

from __future__ import annotations

from typing import Any

import keras

from crack_tf.models.keras_models import load_keras
from crack_tf.training.origins import check_teacher
from tflite.errors import CrackError


def load_teacher(path: str, share: float) -> Teacher:
    """A teacher from its `.keras` file.

    Raises:
        ModelFileError: if it is damaged.
        CrackError: if it is missing, or no classifier that takes and answers what this project's do.
    """
    check_teacher(path)
    model = load_keras(path)
    if tuple(model.output_shape[1:]) != (1,):
        raise CrackError(
            f"--teacher {path}: it draws masks, or has several outputs. Name a classifier that crack-tf train made."
        )
    return Teacher(model, share)


class Teacher:
    """Mixes a classifier's probabilities into labels.

    Args:
        model: gives logits (b, 1) of pixels 0..255 at its own input size; tiles of another size are resampled.
        share: of the teacher, 0 to 1.
    """

    def __init__(self, model: Any, share: float) -> None:
        self._model = model
        self._model.trainable = False
        self._side = int(model.input_shape[1])
        self._share = share

    def __call__(self, pixels: Any, labels: Any) -> Any:
        """Targets.

        Args:
            pixels: float32 (b, s, s, 3), 0..255.
            labels: float32 (b, 1), 0 or 1.

        Returns:
            float32 (b, 1) between 0 and 1.
        """
        ops = keras.ops
        if pixels.shape[1] != self._side:
            pixels = ops.image.resize(pixels, (self._side, self._side))
        thought = ops.sigmoid(ops.cast(self._model(pixels, training=False), "float32"))
        return (1 - self._share) * labels + self._share * thought
