"""Pieces the models share: how pixels come in, how a map is made larger. How logits go out is in `crack_tf.models.heads`."""

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


def upsample(keras: Any, x: Any, name: str) -> Any:
    """Twice the height and width, each pixel repeated: RESIZE_NEAREST_NEIGHBOR in TensorFlow Lite, in either namespace.

    Keras 3 writes UpSampling2D as broadcasts, which no accelerator takes; tfmot in turn knows UpSampling2D only. Neither layer has
    weights, so the lists of the two namespaces agree.
    """
    if hasattr(keras, "ops"):
        _, height, width, _ = x.shape
        layer = keras.layers.Resizing(2 * height, 2 * width, interpolation="nearest", name=name)
        # Its own default is training=True, which Keras hands on to the batch normalisations behind it whenever a model is called
        # without saying which; `fit` and `predict` say it.
        return layer(x, training=False)
    return keras.layers.UpSampling2D(interpolation="nearest", name=name)(x)
