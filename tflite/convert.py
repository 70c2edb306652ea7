"""Keras models to TensorFlow Lite, on the workstation. Schemes and what they do:

float32   nothing; the reference on the device
float16   weights stored as float16, computed in float32
dynamic   weights int8, activations quantised as they come; float input and output
int8-ptq  weights and activations int8, ranges from calibration tiles (post-training quantisation)
int8-qat  the same file format, fine-tuned with fake quantisation first (`tflite.qat`)

Float files take raw pixels 0..255 as float32 and normalise them in the graph. int8 files have no normalisation left: their
input is quantised with scale 1/128, so that the raw byte is the quantised value. All have a static batch of 1.

A classifier may look twice, at the tile and at its blurred copy, and answer with the mean of both logits (`second_view`): the network is in
the file's graph two times, its weights once.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tflite.errors import CrackError
from tflite.files import write_bytes
from tflite.graph import Graph, read_graph
from tflite.quiet import filtered_stderr

FLOAT_SCHEMES = ("float32", "float16", "dynamic")
INT8_SCHEMES = ("int8-ptq", "int8-qat")
SCHEMES = (*FLOAT_SCHEMES, *INT8_SCHEMES)
INPUT_DTYPES = ("uint8", "int8")
PIXEL_SCALE = 1 / 128
PIXEL_RANGE = (-1.0, 127 / 128)  # of pixel / 128 - 1 over 0..255
GREY = 128  # the raw pixel that is 0 there
# Of the logits of the tile and of its blurred copy, in the mean. The tile counts more: hairlines are gone in the copy (studies/views.py).
VIEW_WEIGHTS = (2, 1)
_ZERO_POINT = {"uint8": 128, "int8": 0}


def convert_float(model: Any, scheme: str, second_view: int = 0) -> bytes:
    """Convert without integer activations.

    Args:
        model: Keras model that takes raw pixels, float32 (b, s, s, 3).
        scheme: one of `FLOAT_SCHEMES`.
        second_view: side in pixels of the averaging window of a second look; 0 for none.

    Returns:
        The .tflite file's bytes.

    Raises:
        CrackError: for another scheme, or when TensorFlow Lite cannot convert the model.
    """
    import tensorflow as tf

    if scheme not in FLOAT_SCHEMES:
        raise CrackError(f"scheme {scheme!r}: choose one of {', '.join(FLOAT_SCHEMES)}.")
    converter = _converter(model, second_view, grey=GREY)
    if scheme != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if scheme == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return _convert(converter)


def convert_ptq(model: Any, calibration: np.ndarray, input_dtype: str = "uint8", second_view: int = 0) -> bytes:
    """Post-training quantisation to int8, per-channel weights.

    The converter takes each tensor's range from the calibration tiles. For the input that must be exactly the range of
    pixels, or a raw byte would not be the quantised value: one more calibration tile, the one with the widest range, has its
    contrast stretched to 0..255. It is a real tile, so the other ranges hardly move.

    Args:
        model: Keras model without normalisation, taking float32 (b, s, s, 3) pixel / 128 - 1.
        calibration: uint8 (n, s, s, 3), n > 0; 100 to 500 tiles that evaluation does not use.
        input_dtype: "uint8" or "int8".
        second_view: see `convert_float`.

    Raises:
        CrackError: if there are no calibration tiles, all are blank, or the model cannot be converted.
    """
    import tensorflow as tf

    if not len(calibration):
        raise CrackError(
            "calibration needs at least one tile, got 0. Raise --calibration-samples or check the train split."
        )
    stretched = stretch_contrast(calibration)

    def representative() -> Iterator[list[np.ndarray]]:
        for tile in (*calibration, stretched):
            yield [np.asarray(tile, np.float32)[np.newaxis] / 128 - 1]

    converter = _converter(model, second_view)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return _convert_int8(converter, input_dtype)


def convert_qat(model: Any, input_dtype: str = "uint8", second_view: int = 0) -> bytes:
    """Convert a model with fake quantisation (`tflite.qat`) to int8.

    Args:
        model: from `tflite.qat.build_twin`, usually fine-tuned.
        input_dtype: "uint8" or "int8".
        second_view: see `convert_float`.

    Raises:
        CrackError: if TensorFlow Lite cannot convert the model.
    """
    import tensorflow as tf

    converter = _converter(model, second_view, PIXEL_RANGE)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return _convert_int8(converter, input_dtype)


def stretch_contrast(tiles: np.ndarray) -> np.ndarray:
    """The tile with the widest range of values, stretched linearly to 0..255.

    Args:
        tiles: uint8 (n, s, s, 3).

    Returns:
        uint8 (s, s, 3) with minimum 0 and maximum 255.

    Raises:
        CrackError: if every tile has a single value throughout.
    """
    spans = [int(tile.max()) - int(tile.min()) for tile in tiles]
    widest = int(np.argmax(spans))
    if spans[widest] == 0:
        raise CrackError(f"all {len(tiles)} calibration tiles are blank. Calibrate on real tiles with --data.")
    tile = np.asarray(tiles[widest], np.float64)
    return np.rint((tile - tile.min()) * (255 / spans[widest])).astype(np.uint8)


def write_model(path: str | Path, data: bytes) -> Graph:
    """Write a converted model atomically and read back what it contains."""
    write_bytes(path, data)
    return read_graph(path)


def check_int8(graph: Graph, input_dtype: str = "uint8") -> None:
    """Make sure an int8 file is what the device side relies on.

    Args:
        graph: of the converted file.
        input_dtype: "uint8" or "int8".

    Raises:
        CrackError: if the input is not raw pixels (scale 1/128), the output is not int8, or an operator works in float.
    """
    pixels, logit = graph.inputs[0], graph.outputs[0]
    expected = (input_dtype, PIXEL_SCALE, _ZERO_POINT[input_dtype])
    if (pixels.dtype, pixels.scale, pixels.zero_point) != expected:
        raise CrackError(
            f"the converted input is {pixels.dtype} with scale {pixels.scale:g}, zero point {pixels.zero_point}; raw pixels need "
            f"{expected[0]}, {expected[1]:g}, {expected[2]}. Build the model with raw_pixels=False."
        )
    if logit.dtype != "int8":
        raise CrackError(f"the converted output is {logit.dtype}, expected int8.")
    floating = sorted({op.name for op in graph.operators for tensor in op.outputs if tensor.dtype.startswith("float")})
    if floating:
        raise CrackError(
            f"{', '.join(floating)} stayed in float: the model is not fully int8. Use --int8 --ptq, or --dynamic."
        )


def _converter(
    model: Any, second_view: int = 0, pixel_range: tuple[float, float] | None = None, grey: float = 0
) -> Any:
    """Converter for one tile at a time. The function is traced without the model object: given one, TensorFlow Lite saves
    and reloads it, which takes seconds and leaves Keras 3 weights as unfrozen variables.

    The range is that of a model with fake quantisation: the mean of pixels is to be taken of their integers. Grey is the value that
    surrounds a tile."""
    import tensorflow as tf

    shape = (1, *model.input_shape[1:])

    def answer(pixels: Any) -> Any:
        if not second_view:
            return model(pixels, training=False)
        if pixel_range is not None:
            pixels = tf.quantization.fake_quant_with_min_max_vars(pixels, *pixel_range)
        looks = [model(view, training=False) for view in (pixels, _blurred(pixels, second_view, pixel_range, grey))]
        # Pooling keeps the scale of its input, so the mean of int8 logits is int8 too and no range has to be found for it.
        logits = tf.concat(
            [look for look, weight in zip(looks, VIEW_WEIGHTS, strict=True) for _ in range(weight)], axis=1
        )
        counted = tf.reshape(logits, (1, 1, sum(VIEW_WEIGHTS), 1))
        return tf.reshape(tf.nn.avg_pool2d(counted, (1, sum(VIEW_WEIGHTS)), 1, "VALID"), (1, 1))

    function = tf.function(answer)
    concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32, name="pixels"))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete])


def _blurred(pixels: Any, window: int, pixel_range: tuple[float, float] | None, grey: float) -> Any:
    """Each pixel the mean of those around it: along the rows, then down the columns. Beyond the tile all is grey, as for the network.

    Convolutions, since XNNPACK and the Edge TPU are quick at these: pooling three int8 channels takes several times as long.
    """
    import tensorflow as tf

    share = 1 / window
    for shape in ((1, window), (window, 1)):
        weights = tf.fill((*shape, int(pixels.shape[3]), 1), share)
        if pixel_range is not None:
            weights = tf.quantization.fake_quant_with_min_max_vars(weights, -share, share, narrow_range=True)
        pixels = tf.nn.depthwise_conv2d(pixels - grey, weights, (1, 1, 1, 1), "SAME") + grey
        if pixel_range is not None:
            pixels = tf.quantization.fake_quant_with_min_max_vars(pixels, *pixel_range)
    return pixels


def _convert_int8(converter: Any, input_dtype: str) -> bytes:
    import tensorflow as tf

    if input_dtype not in INPUT_DTYPES:
        raise CrackError(f"--input-dtype {input_dtype!r}: choose one of {', '.join(INPUT_DTYPES)}.")
    converter.inference_input_type = tf.as_dtype(input_dtype)
    converter.inference_output_type = tf.int8
    return _convert(converter)


def _convert(converter: Any) -> bytes:
    try:
        with warnings.catch_warnings(), filtered_stderr():
            # QAT ranges are in the graph, and TensorFlow Lite warns that no others were given.
            warnings.filterwarnings("ignore", message="Statistics for quantized inputs")
            return bytes(converter.convert())
    except Exception as error:  # the converter raises its own ConverterError, ValueError and RuntimeError
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise CrackError(f"TensorFlow Lite cannot convert this model ({reason}).") from error
