"""Pieces every model shares: how pixels come in and how the logit goes out."""

from __future__ import annotations

from typing import Any

# pixel / 128 - 1 rather than the customary pixel / 127.5 - 1: its int8 form (scale 1/128, zero point 0; as uint8, zero point 128)
# is exact, so a quantised model takes the camera's bytes as they are. The two differ by less than 0.008.
PIXEL_SCALE = 1 / 128
PIXEL_OFFSET = -1.0


def pixel_input(keras: Any, image_size: int, raw_pixels: bool) -> tuple[Any, Any]:
    """Input tensor and its normalised form.

    Args:
        keras: the Keras namespace, `keras` or `tf_keras`.
        image_size: side of the square input in pixels.
        raw_pixels: True for float32 pixels 0..255 with the normalisation in the graph; False for pixels already
            normalised, which is how int8 models are converted (the input quantisation is the normalisation then).

    Returns:
        (input, normalised), both float32 of shape (batch, image_size, image_size, 3).
    """
    inputs = keras.layers.Input((image_size, image_size, 3), name="pixels")
    if not raw_pixels:
        return inputs, inputs
    return inputs, keras.layers.Rescaling(PIXEL_SCALE, PIXEL_OFFSET, name="normalise")(inputs)


def logit_head(keras: Any, features: Any, dropout: float) -> Any:
    """Dropout and one linear unit on pooled features; the output is a logit, kept in float32 under mixed precision."""
    features = keras.layers.Dropout(dropout, name="dropout")(features)
    return keras.layers.Dense(1, dtype="float32", name="logit")(features)
