"""Quantisation-aware training: a tf_keras twin of the trained model with fake quantisation in it, fine-tuned for a short while.

The only module that imports tf_keras and tfmot (tfmot accepts no Keras 3 model). Five things differ from tfmot's defaults,
most because a fine-tune here has a few hundred steps, not tens of thousands:

* Batch normalisation is frozen at the statistics of training: what is trained is then what is converted.
* Activation ranges are measured once, on calibration tiles, and held. tfmot's observers start at [-6, 6] and move by a
  thousandth of the way per step, which would still show after hundreds of steps.
* Depthwise kernels are quantised per channel. tfmot's ranges follow the last axis, which for them has length 1.
* The input range is fixed to [-1, 127/128], so that the converted input has scale 1/128 and takes raw pixels.
* The inputs of a concatenation keep ranges of their own: tfmot's rule for them may swap the inputs.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tflite.convert import PIXEL_RANGE
from tflite.errors import CrackError, first_line
from tflite.extras import install
from tflite.files import atomic_path

# tfmot 0.8.1's list without ConcatTransform, which takes the inputs in the order of the model's layers, not of the concatenation.
_TRANSFORMS = (
    "InputLayerQuantize",
    "SeparableConv1DQuantize",
    "SeparableConvQuantize",
    "Conv2DReshapeBatchNormReLUQuantize",
    "Conv2DReshapeBatchNormActivationQuantize",
    "Conv2DBatchNormReLUQuantize",
    "Conv2DBatchNormActivationQuantize",
    "Conv2DReshapeBatchNormQuantize",
    "Conv2DBatchNormQuantize",
    "DenseBatchNormQuantize",
    "DenseBatchNormReLUQuantize",
    "DenseBatchNormActivationQuantize",
    "LayerReLUQuantize",
    "LayerReluActivationQuantize",
)
_OBSERVER_BATCH = 8  # maps of a segmentation model are large

Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class QatSettings:
    """How the fine-tune runs.

    Attributes:
        steps: batches in all, > 0.
        learning_rate: of Adam, constant.
        positive_weight: weight of cracked tiles, or pixels, in the loss, as in training.
        negative_weight: weight of clean ones in the loss.
        checkpoint_every: steps between checkpoints; a kill loses at most this many.
    """

    steps: int
    learning_rate: float = 1e-5
    positive_weight: float = 1.0
    negative_weight: float = 1.0
    checkpoint_every: int = 50


def normalise(images: np.ndarray) -> np.ndarray:
    """uint8 pixels to float32 pixel / 128 - 1, exactly (both are powers of two apart)."""
    return np.asarray(images, dtype=np.float32) / 128 - 1


def build_twin(build: Callable[[Any], Any], weights: Sequence[np.ndarray], calibration: np.ndarray) -> Any:
    """The model with fake quantisation, before any fine-tuning.

    Args:
        build: builds the model without normalisation layer in the Keras namespace it is given (here tf_keras).
        weights: of the trained model, in `get_weights()` order.
        calibration: uint8 (n, s, s, 3), n > 0, for the activation ranges.

    Returns:
        A tf_keras model from float32 (b, s, s, 3) pixel / 128 - 1 to float32 logits, (b, 1) or a map (b, s, s, 1).

    Raises:
        CrackError: if tfmot is not installed, refuses a layer, the weights do not fit or there are no calibration tiles.
    """
    if not len(calibration):
        raise CrackError(
            "calibration needs at least one tile, got 0. Raise --calibration-samples or check the train split."
        )
    tf_keras, tfmot = _frameworks()
    twin = build(tf_keras)
    try:
        twin.set_weights(list(weights))
    except ValueError as error:
        raise CrackError(
            f"the trained weights do not fit the model built for quantisation: {first_line(error)}"
        ) from None
    for layer in twin.layers:
        if isinstance(layer, tf_keras.layers.Dropout):
            layer.rate = (
                0.0  # a fine-tune this short needs none, and without it a resumed run is exactly the uninterrupted one
            )
    quantisation = tfmot.quantization.keras
    scheme, scope = _per_channel_scheme()
    try:
        with quantisation.quantize_scope(scope):
            model = quantisation.quantize_apply(quantisation.quantize_annotate_model(twin), scheme)
    except (RuntimeError, ValueError) as error:
        raise CrackError(f"tfmot cannot quantise this model ({first_line(error)}). Use --int8 --ptq instead.") from None
    for layer in model.layers:
        if _is_batch_norm(layer):
            layer.trainable = False  # inference mode even while the rest trains
    calibrate(model, calibration)
    return model


def calibrate(model: Any, images: np.ndarray) -> None:
    """Set every range of a quantised model: activations from tiles, weights from themselves, input from the pixel range.

    An activation's range spans its extremes over all tiles, so that neither their order nor the batch size matters.

    Args:
        model: from `quantize_apply`.
        images: uint8 (n, s, s, 3), n > 0.
    """
    ranges: dict[int, tuple[Any, Any]] = {}
    # TensorFlow Lite needs 0 inside every range.
    extremes: dict[int, tuple[float, float]] = {}

    def record(_: Any, inputs: Any, weights: Mapping[str, Any]) -> Any:
        key = id(weights["min_var"])
        ranges[key] = (weights["min_var"], weights["max_var"])
        values, (low, high) = inputs.numpy(), extremes.get(key, (0.0, 0.0))
        extremes[key] = (min(low, float(values.min())), max(high, float(values.max())))
        return inputs

    fix_input_range(model)
    with _observers(record):
        for start in range(0, len(images), _OBSERVER_BATCH):
            model(normalise(images[start : start + _OBSERVER_BATCH]), training=True)
    for key, (low, high) in ranges.items():
        low.assign(extremes[key][0])
        high.assign(extremes[key][1])


def refresh_weight_ranges(model: Any) -> None:
    """Take the weights' ranges from the weights as they are now. The last optimizer step left them one step behind."""
    size = model.input_shape[1]
    with _held_observers():
        model(np.zeros((1, size, size, 3), np.float32), training=True)


def fix_input_range(model: Any) -> None:
    """Set the input quantiser to [-1, 127/128]. Its observer only widens the range, and no pixel lies outside."""
    for layer in model.layers:
        if type(layer).__name__ == "QuantizeLayer":
            layer.quantizer_vars["min_var"].assign(PIXEL_RANGE[0])
            layer.quantizer_vars["max_var"].assign(PIXEL_RANGE[1])


def fine_tune(
    model: Any,
    settings: QatSettings,
    batch_at: Callable[[int], Batch],
    checkpoint: Path,
    *,
    fingerprint: Mapping[str, Any],
    resume: bool = False,
    say: Callable[[str], None] = print,
) -> float:
    """Train the twin in place. Killed at any moment and resumed, it ends with the weights of an uninterrupted run.

    Args:
        model: from `build_twin`; holds the result afterwards.
        settings: how.
        batch_at: batch of a step (from 0), a function of the step alone: uint8 (b, s, s, 3) and labels (b,), or masks
            (b, s, s) for a model that answers with maps; 1 is cracked.
        checkpoint: `.npz` file with weights, optimizer state and step; written every `checkpoint_every` steps and at the end.
        fingerprint: JSON values that identify model, data and seed; a checkpoint of another fingerprint is refused.
        resume: go on from the checkpoint if there is one.
        say: takes progress lines.

    Returns:
        Mean loss of the last steps (up to 50); NaN when everything had been done before.

    Raises:
        CrackError: if the loss is not finite, or the checkpoint is damaged or of other settings.
    """
    import tensorflow as tf

    tf_keras, _ = _frameworks()
    frozen = {id(v) for layer in model.layers if _is_batch_norm(layer) for v in layer.weights}
    variables = [v for v in model.trainable_variables if id(v) not in frozen]
    optimizer = tf_keras.optimizers.Adam(settings.learning_rate)
    optimizer.build(variables)
    # The number of steps may grow on resume; everything else shapes the steps already made.
    settled = {key: value for key, value in asdict(settings).items() if key not in ("steps", "checkpoint_every")}
    state = _State(model, optimizer, {**json.loads(json.dumps(dict(fingerprint))), **settled}, checkpoint)
    first = state.load() if resume and checkpoint.exists() else 0
    if first > settings.steps:
        raise CrackError(f"--resume: {checkpoint} has {first} steps already, more than the {settings.steps} asked for.")

    @tf.function
    def train(images: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            with _held_observers():
                logits = model(images, training=True)[..., 0]
            missed = settings.positive_weight * labels * tf.math.softplus(-logits)
            false_alarm = settings.negative_weight * (1 - labels) * tf.math.softplus(logits)
            loss = tf.reduce_mean(missed + false_alarm)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    if first:
        say(f"QAT: going on after step {first} of {settings.steps}")
    recent: list[float] = []
    for step in range(first, settings.steps):
        images, labels = batch_at(step)
        loss = float(train(tf.constant(normalise(images)), tf.constant(np.asarray(labels, np.float32))))
        if not math.isfinite(loss):
            raise CrackError(
                f"the loss became {loss} in QAT step {step + 1}. Lower --qat-learning-rate (it was "
                f"{settings.learning_rate:g}) and start again with --overwrite, or use --int8 --ptq."
            )
        recent = [*recent[-49:], loss]
        done = step + 1
        if done % settings.checkpoint_every == 0 or done == settings.steps:
            state.save(done)
            say(f"QAT: step {done}/{settings.steps}, loss {np.mean(recent):.4f}")
    refresh_weight_ranges(model)
    if not all(np.isfinite(value).all() for value in model.get_weights()):
        raise CrackError(
            f"QAT ended with weights that are not finite. Lower --qat-learning-rate ({settings.learning_rate:g})."
        )
    return float(np.mean(recent)) if recent else math.nan


class _State:
    """Weights, optimizer state and step in one file that is whole or absent."""

    def __init__(self, model: Any, optimizer: Any, fingerprint: dict[str, Any], path: Path) -> None:
        self._variables = [*model.variables, *optimizer.variables()]
        self._fingerprint = fingerprint
        self._path = path

    def save(self, step: int) -> None:
        arrays = {f"v{number}": variable.numpy() for number, variable in enumerate(self._variables)}
        arrays["step"] = np.array(step)
        arrays["fingerprint"] = np.array(json.dumps(self._fingerprint))
        with atomic_path(self._path) as temporary:
            np.savez(temporary, **arrays)

    def load(self) -> int:
        again = "Add --overwrite instead of --resume to start the fine-tune again."
        try:
            with np.load(self._path, allow_pickle=False) as arrays:
                found = json.loads(str(arrays["fingerprint"]))
                for key in sorted(self._fingerprint.keys() | found.keys()):
                    old, new = found.get(key), self._fingerprint.get(key)
                    if old != new:
                        raise CrackError(
                            f"--resume: {self._path} was written with {key} = {old!r}, now it is {new!r}. {again}"
                        )
                for number, variable in enumerate(self._variables):
                    variable.assign(arrays[f"v{number}"])
                return int(arrays["step"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise CrackError(f"QAT checkpoint {self._path} is damaged ({first_line(error)}). {again}") from None


@contextmanager
def _observers(call: Callable[[Any, Any, Mapping[str, Any]], Any]) -> Iterator[None]:
    """While open, activation quantisers do `call(quantiser, inputs, range variables)` instead of observing and quantising.

    Graphs traced meanwhile keep it.
    """
    _, tfmot = _frameworks()
    kind = tfmot.quantization.keras.quantizers.MovingAverageQuantizer
    original = kind.__call__

    def replacement(self: Any, inputs: Any, training: bool, weights: Mapping[str, Any], **_: Any) -> Any:
        return call(self, inputs, weights)

    kind.__call__ = replacement
    try:
        yield
    finally:
        kind.__call__ = original


def _held_observers() -> AbstractContextManager[None]:
    """While open, activation quantisers quantise with the ranges they have, in training too."""
    _, tfmot = _frameworks()
    quantise = tfmot.quantization.keras.quantizers.MovingAverageQuantizer.__call__
    return _observers(lambda quantiser, inputs, weights: quantise(quantiser, inputs, False, weights))


def _is_batch_norm(layer: Any) -> bool:
    return type(getattr(layer, "layer", layer)).__name__ == "BatchNormalization"


@cache
def _per_channel_scheme() -> tuple[Any, dict[str, Any]]:
    """tfmot's 8-bit scheme with per-channel depthwise kernels, and the names its classes are looked up under."""
    tf_keras, tfmot = _frameworks()
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import default_8bit_transforms
    from tensorflow_model_optimization.python.core.quantization.keras.graph_transformations import model_transformer

    quantisation = tfmot.quantization.keras
    last_value: Any = quantisation.quantizers.LastValueQuantizer
    default_config: Any = quantisation.QuantizeConfig
    default_registry: Any = quantisation.default_8bit.Default8BitQuantizeRegistry
    default_scheme: Any = quantisation.default_8bit.Default8BitQuantizeScheme
    default_layout: Any = type(default_scheme().get_layout_transformer())

    class DepthwiseKernelQuantizer(last_value):
        """Symmetric int8 with one range per channel of an (h, w, channels, multiplier) kernel."""

        def __init__(self) -> None:
            super().__init__(num_bits=8, per_axis=True, symmetric=True, narrow_range=True)

        def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
            def variable(suffix: str, value: float) -> Any:
                initializer = tf_keras.initializers.Constant(value)
                shape = (tensor_shape[2] * tensor_shape[3],)
                return layer.add_weight(name + suffix, shape=shape, initializer=initializer, trainable=False)

            return {"min_var": variable("_min", -6.0), "max_var": variable("_max", 6.0)}

        def __call__(self, inputs: Any, training: bool, weights: Mapping[str, Any], **kwargs: Any) -> Any:
            height, width, channels, multiplier = inputs.shape
            flat = tf.reshape(inputs, (height, width, 1, channels * multiplier))
            return tf.reshape(super().__call__(flat, training, weights, **kwargs), inputs.shape)

        def get_config(self) -> dict[str, Any]:
            return {}

    class DepthwiseConfig(default_config):
        """What tfmot does with a depthwise convolution, but for the kernel's quantiser."""

        def _default(self, layer: Any) -> Any:
            return default_registry().get_quantize_config(layer)

        def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
            return [(layer.depthwise_kernel, DepthwiseKernelQuantizer())]

        def get_activations_and_quantizers(self, layer: Any) -> Any:
            return self._default(layer).get_activations_and_quantizers(layer)

        def set_quantize_weights(self, layer: Any, quantize_weights: Sequence[Any]) -> None:
            layer.depthwise_kernel = quantize_weights[0]

        def set_quantize_activations(self, layer: Any, quantize_activations: Any) -> None:
            self._default(layer).set_quantize_activations(layer, quantize_activations)

        def get_output_quantizers(self, layer: Any) -> Any:
            return self._default(layer).get_output_quantizers(layer)

        def get_config(self) -> dict[str, Any]:
            return {}

    class Registry(default_registry):
        def get_quantize_config(self, layer: Any) -> Any:
            is_depthwise = isinstance(layer, tf_keras.layers.DepthwiseConv2D)
            return DepthwiseConfig() if is_depthwise else super().get_quantize_config(layer)

    class Layout(default_layout):
        """tfmot's rewriting of the graph without its rule for concatenations, which may swap their inputs.

        The rule lets inputs share the range of the result; without it each keeps its own, and the converter adds a rescaling.
        """

        def apply(self, model: Any, layer_quantize_map: Any) -> Any:
            kinds = [getattr(default_8bit_transforms, name)() for name in _TRANSFORMS]
            names = set(layer_quantize_map)
            return model_transformer.ModelTransformer(model, kinds, names, layer_quantize_map).transform()

    class Scheme(default_scheme):
        def get_layout_transformer(self) -> Any:
            return Layout()

        def get_quantize_registry(self) -> Any:
            return Registry()

    return Scheme(), {"DepthwiseConfig": DepthwiseConfig}


@cache
def _frameworks() -> tuple[Any, Any]:
    """tf_keras and tfmot. tfmot sets TF_USE_LEGACY_KERAS when imported, so it is imported here and nowhere else."""
    try:
        import tensorflow_model_optimization as tfmot
        import tf_keras
    except ImportError as error:
        raise CrackError(
            f"quantisation-aware training needs tensorflow-model-optimization and tf-keras ({error}). "
            f"Run: {install('train')}, or use --int8 --ptq."
        ) from None
    return tf_keras, tfmot
