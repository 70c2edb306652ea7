"""Gradients and inner values of a Keras classifier. The one module of the package that needs TensorFlow as Keras's backend.

A convolution's map is taken behind its own batch normalisation and activation where these follow it: there it says what the rest
of the network sees, and it is what Grad-CAM's authors mean by a convolution's activations.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.explain.places import map_places
from crack_tf.models.keras_models import load_keras, views
from tflite.errors import CrackError
from tflite.heads import LEAST_PROBABILITY, Head
from tflite.scaling import Scaling
from tflite.sidecar import Sidecar

BATCH = 16  # tiles per step: at 224 pixels OPNet's first block alone takes 100 MB of them
GREY = (0.299, 0.587, 0.114)  # ITU-R 601-2, as `Scaling.select` has it in integers
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose")
_FOLLOWERS = ("BatchNormalization", "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax")


class Network:
    """A classifier that can be differentiated.

    Args:
        model: Keras 3 model to logits (n, 1).
        scaling: what becomes of pixels (n, s, s, 3), 0..255, before the model takes them; None for nothing.
        second_view: see `tflite.sidecar.Sidecar`; maps then have the channels of both views, one after the other.

    Raises:
        CrackError: if Keras runs on another backend than TensorFlow.
    """

    def __init__(self, model: Any, scaling: Scaling | None = None, second_view: int = 0) -> None:
        import keras

        if keras.backend.backend() != "tensorflow":
            raise CrackError(
                f"explanations need KERAS_BACKEND=tensorflow, it is {keras.backend.backend()!r}. "
                "Occlusion maps of a .tflite need neither: --methods occlusion."
            )
        self._model, self._scaling, self._second_view = model, scaling, second_view
        self._probes: dict[str, Callable[[Any], Any]] = {}

    @property
    def convolutions(self) -> list[str]:
        """Names of the convolution layers, first to last."""
        return [layer.name for layer in self._model.layers if type(layer).__name__ in _CONVOLUTIONS]

    def require_convolution(self, name: str | None) -> str:
        """The layer of a name, or the last convolution for None.

        Raises:
            CrackError: if there is none; the message lists the names.
        """
        names = self.convolutions
        if not names:
            raise CrackError(
                f"{self._model.name} has no convolution among its own layers, and Grad-CAM needs one. Ask for what needs none: "
                "--methods ig-blurred,occlusion."
            )
        if name is not None and name not in names:
            shown = ", ".join(names if len(names) <= 12 else [*names[:6], "...", *names[-6:]])
            raise CrackError(f"--layer {name!r} is no convolution of {self._model.name}: choose one of {shown}.")
        return names[-1] if name is None else name

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """Logits, float64 (n,), of pixels (n, s, s, 3)."""
        return self._asked(self._model, pixels)[:, 0].astype(np.float64)

    def pixel_gradients(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits and their gradients with respect to the pixels.

        Args:
            pixels: float32 (n, s, s, 3), 0..255.

        Returns:
            float64 (n,) and float32 (n, s, s, 3), in logits per grey level.
        """
        logits, _, gradients = self._batches("", pixels)
        return logits, gradients

    def map_gradients(self, convolution: str, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logits, a convolution's maps, and the logits' gradients with respect to those maps.

        Args:
            convolution: name of the layer.
            pixels: float32 (n, s, s, 3), 0..255.

        Returns:
            float64 (n,), float32 (n, h, w, c) and float32 (n, h, w, c).
        """
        return self._batches(convolution, pixels)

    def places(self, convolution: str) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the tile at which that convolution's maps lie, in pixels."""
        return map_places(self._model, self._behind(convolution))

    def pooled(self, pixels: np.ndarray) -> np.ndarray:
        """What the last layer sees of tiles, on average over both views: float32 (n, c), of the first layer whose output has no place."""
        import keras

        layer = next(layer for layer in self._model.layers if len(layer.output.shape) == 2)
        return self._asked(keras.Model(self._model.inputs, layer.output), pixels)

    def randomised(self, seed: int) -> Network:
        """The same architecture with weights that were never trained."""
        import keras

        keras.utils.set_random_seed(seed)
        return Network(keras.models.clone_model(self._model), self._scaling, self._second_view)

    def _asked(self, model: Any, pixels: np.ndarray) -> np.ndarray:
        """A model's answers about pixels (n, s, s, 3), on average over both views: float32 (n, c)."""
        import tensorflow as tf

        parts = [np.zeros((0, model.output_shape[-1]), np.float32)]
        for start in range(0, len(pixels), BATCH):
            looks = views(tf.cast(pixels[start : start + BATCH], tf.float32), self._second_view)
            answers = [share * np.asarray(model.predict_on_batch(np.asarray(self._scaled(v)))) for v, share in looks]
            parts.append(np.asarray(np.sum(answers, axis=0), np.float32))
        return np.concatenate(parts)

    def _scaled(self, pixels: Any) -> Any:
        """What the model takes, float32 (n, s, s, channels), of pixels (n, s, s, 3); TensorFlow can differentiate it."""
        import tensorflow as tf

        pixels = tf.cast(pixels, tf.float32)
        if self._scaling is None:
            return pixels
        if self._scaling.colours == "grey":
            pixels = tf.reduce_sum(pixels * tf.constant(GREY), axis=-1, keepdims=True)
        elif self._scaling.colours == "bgr":
            pixels = tf.reverse(pixels, [-1])
        return (pixels - tf.constant(self._scaling.mean)) / tf.constant(self._scaling.std)

    def _batches(self, convolution: str, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        probe = self._probe(convolution)
        parts = [
            [np.asarray(value) for value in probe(np.asarray(pixels[start : start + BATCH], np.float32))]
            for start in range(0, len(pixels), BATCH)
        ]
        logits, maps, gradients = (np.concatenate(values) for values in zip(*parts, strict=True))
        return logits.astype(np.float64), maps, gradients

    def _probe(self, convolution: str) -> Callable[[Any], Any]:
        """Pixels to (logits, maps, gradients); the pixels themselves are the maps when no convolution is named."""
        if convolution in self._probes:
            return self._probes[convolution]
        import keras
        import tensorflow as tf

        model, second_view = self._model, self._second_view
        outputs = [model.output, self._behind(convolution).output if convolution else model.input]
        both = keras.Model(model.inputs, outputs)

        shape = model.input_shape[1:] if self._scaling is None else (*model.input_shape[1:3], 3)

        @tf.function(input_signature=[tf.TensorSpec((None, *shape), tf.float32)])
        def probe(pixels: Any) -> Any:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(pixels)
                looks = [
                    (both(self._scaled(view), training=False), share) for view, share in views(pixels, second_view)
                ]
                logits = tf.add_n([share * logits[:, 0] for (logits, _), share in looks])
            # A tile's logit depends on no other tile: the gradient of the sum is that of each.
            maps = [shown for (_, shown), _ in looks]
            if not convolution:
                return logits, maps[0], tape.gradient(logits, pixels)
            return logits, tf.concat(maps, axis=-1), tf.concat(tape.gradient(logits, maps), axis=-1)

        found: Callable[[Any], Any] = probe
        self._probes[convolution] = found
        return found

    def _behind(self, convolution: str) -> Any:
        """The last of a convolution and the normalisation and activation that follow it and nothing else does."""
        layer = self._model.get_layer(convolution)
        while True:
            users = [other for other in self._model.layers if _takes(other, layer.output)]
            if len(users) != 1 or type(users[0]).__name__ not in _FOLLOWERS:
                return layer
            layer = users[0]


def load_network(path: Path, sidecar: Sidecar) -> Network:
    """A `.keras` file as a network.

    Args:
        path: of the file.
        sidecar: its own, or that of the model whose float twin it is.

    Raises:
        ModelFileError: if the file is missing or damaged.
        CrackError: see `Network`.
    """
    model = load_keras(path)
    return Network(logit_model(model, sidecar.head) if sidecar.reading else model, sidecar.scaling, sidecar.second_view)


def logit_model(model: Any, head: Head) -> Any:
    """An adopted model with one logit as its output, on the same layers.

    A sigmoid or softmax at its end is taken off rather than undone: of a tile that the model is sure about the probability is flat, and
    there would be no gradient to explain it by.

    Args:
        model: Keras 3 model to what `head` describes; its last layer is changed.
        head: how it answers.
    """
    import keras

    answer, layer = model.output, model.layers[-1]
    if head.unit == "probability":
        if getattr(layer.activation if hasattr(layer, "activation") else None, "__name__", "") in (
            "sigmoid",
            "softmax",
        ):
            layer.activation = keras.activations.linear
        elif type(layer).__name__ == "Softmax":
            answer = layer.input
        else:
            share = keras.ops.clip(answer, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
            answer = keras.ops.log(share) - (keras.ops.log(1 - share) if head.outputs == 1 else 0.0)
    answer = keras.ops.reshape(answer, (-1, head.outputs))
    if head.outputs == 2:
        crack, other = answer[:, head.crack : head.crack + 1], answer[:, 1 - head.crack : 2 - head.crack]
        answer = crack - other
    elif head.crack == 0:
        answer = -answer
    return keras.Model(model.inputs[0], answer, name=model.name)


def _takes(layer: Any, tensor: Any) -> bool:
    """Whether a layer's input is, or holds, a symbolic tensor."""
    import keras

    return any(found is tensor for found in keras.tree.flatten(layer.input))
