"""Quantisation-aware training: the twin, its fine-tune, resuming it, and the file that comes out."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crack_tf.models import build_model
from tests.conftest import MadeOnce
from tests.quantised_models import (
    CLASSIFIERS,
    HYPERPARAMETERS,
    SIZE,
    build_pair,
    correlation,
    make_labels,
    make_tiles,
    make_twin,
    predict,
    run_tflite,
    untuned,
    write_qat,
)
from tflite import convert, qat
from tflite.errors import CrackError
from tflite.graph import read_graph

pytest.importorskip("tensorflow_model_optimization")

TILES = make_tiles(32)
LABELS = make_labels(TILES)


def batch_at(step: int) -> qat.Batch:
    index = np.random.default_rng(step).permutation(len(TILES))[:8]
    return TILES[index], LABELS[index]


def tune(twin: Any, folder: Path, **changes: Any) -> float:
    options: dict[str, Any] = {"fingerprint": {"model": "a"}, "say": lambda line: None, "batch_at": batch_at} | changes
    settings = options.pop("settings", qat.QatSettings(steps=4, learning_rate=1e-4, checkpoint_every=2))
    return qat.fine_tune(twin, settings, checkpoint=folder / "qat.npz", **options)


def bce(model: Any) -> float:
    logits = model(qat.normalise(TILES), training=False).numpy()[:, 0]
    return float(np.mean(np.logaddexp(0, np.where(LABELS == 1, -logits, logits))))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_untuned_twin_converts_to_clean_int8_that_answers_like_the_float_model(name: str, made_once: MadeOnce) -> None:
    files = made_once(f"qat-{name}", partial(write_qat, name))
    expected = predict(build_pair(name)[0], TILES)
    fake = np.load(files / "fake.npy")
    assert correlation(fake, expected) > 0.95

    data = (files / "int8.tflite").read_bytes()
    graph = read_graph(files / "int8.tflite")
    convert.check_int8(graph, "int8")
    # Batch norm and ReLU are folded, and nothing is converted back and forth: only what the architecture itself has is left.
    layers = Counter(type(layer).__name__ for layer in build_pair(name)[1].layers)
    found = Counter(operator.name for operator in graph.operators)
    assert found["CONV_2D"] == layers["Conv2D"]
    assert found["DEPTHWISE_CONV_2D"] == layers["DepthwiseConv2D"]
    assert found["ADD"] == layers["Add"]
    assert found["MUL"] == found["QUANTIZE"] == found["DEQUANTIZE"] == 0
    # The file computes what fake quantisation promised, to a few steps of the output (integer kernels round differently).
    step = graph.outputs[0].scale
    assert np.abs(run_tflite(data, TILES) - fake).mean() < 3 * step


def test_weights_are_quantised_per_channel_also_in_depthwise_kernels(made_once: MadeOnce) -> None:
    files = made_once("qat-mobilenet_v2", partial(write_qat, "mobilenet_v2"))
    twin = untuned("mobilenet_v2")
    kernels = [layer for layer in twin.layers if type(getattr(layer, "layer", None)).__name__ == "DepthwiseConv2D"]
    assert len(kernels) == 17
    for layer in kernels:
        variables = {v.name.split("/")[-1]: v.numpy() for v in layer.weights}
        kernel = np.abs(variables["depthwise_kernel:0"]).max(axis=(0, 1))[:, 0]
        np.testing.assert_allclose(variables["depthwise_kernel_max:0"], kernel, rtol=1e-6)
    assert _weight_scales((files / "uint8.tflite").read_bytes()) == {"CONV_2D", "DEPTHWISE_CONV_2D"}


def _weight_scales(data: bytes) -> set[str]:
    """Operators whose weights all have one scale per output channel."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    graph = model.subgraphs[0]
    names = {value: key for key, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    verdicts: dict[str, list[bool]] = {}
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        if name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            weights = graph.tensors[operator.inputs[1]]
            channels = weights.shape[0 if name == "CONV_2D" else 3]
            verdicts.setdefault(name, []).append(len(weights.quantization.scale) == channels)
    return {name for name, all_right in verdicts.items() if all(all_right)}


def test_input_takes_raw_bytes_and_still_does_after_fine_tuning(tmp_path: Path) -> None:
    twin = make_twin("opnet")
    tune(twin, tmp_path)
    for dtype in convert.INPUT_DTYPES:
        graph = convert.write_model(tmp_path / "m.tflite", convert.convert_qat(twin, dtype))
        convert.check_int8(graph, dtype)
        assert graph.inputs[0].scale == 1 / 128
    # Raw bytes into the file, normalised floats into the twin: the same logits.
    fake = twin(qat.normalise(TILES), training=False).numpy()[:, 0]
    assert np.abs(run_tflite(convert.convert_qat(twin), TILES) - fake).max() < 3 * graph.outputs[0].scale


def test_fine_tuning_lowers_the_loss_and_leaves_batch_norm_alone(tmp_path: Path) -> None:
    twin = make_twin("opnet")

    def statistics() -> list[np.ndarray]:
        return [v.numpy() for v in twin.variables if any(k in v.name for k in ("moving", "gamma", "beta"))]

    before, frozen = bce(twin), statistics()
    assert len(frozen) == 16
    settings = qat.QatSettings(steps=30, learning_rate=1e-3, checkpoint_every=30)
    tune(twin, tmp_path, settings=settings)
    assert bce(twin) < 0.9 * before
    for old, new in zip(frozen, statistics(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_activation_ranges_span_the_calibration_tiles_in_any_order_and_are_held(tmp_path: Path) -> None:
    def build(keras: Any) -> Any:
        return build_model("opnet", keras, image_size=SIZE, raw_pixels=False, **HYPERPARAMETERS["opnet"])

    def ranges(model: Any) -> dict[str, float]:
        wanted = ("output_m", "activation_m")
        return {v.name: float(v.numpy()) for v in model.variables if any(part in v.name for part in wanted)}

    raw, _, weights = build_pair("opnet")
    tiles = make_tiles(80, seed=5)
    tiles = tiles[np.argsort(predict(raw, tiles))]  # one kind of tile after the other, as on disk
    twin, reverse = qat.build_twin(build, weights, tiles), qat.build_twin(build, weights, tiles[::-1])
    found = ranges(twin)
    assert len(found) == 12
    assert found == pytest.approx(ranges(reverse), rel=1e-5)
    logits = predict(raw, tiles)
    # Weights are quantised already while activations are measured, hence the tolerance.
    assert found["quant_logit/post_activation_min:0"] == pytest.approx(min(0.0, logits.min()), rel=0.05, abs=0.5)
    assert found["quant_logit/post_activation_max:0"] == pytest.approx(max(0.0, logits.max()), rel=0.05, abs=0.5)
    tune(twin, tmp_path)
    assert ranges(twin) == found


def test_positive_weight_pulls_logits_up(tmp_path: Path) -> None:
    means = []
    for number, weight in enumerate((1.0, 50.0)):
        twin = make_twin("opnet")
        settings = qat.QatSettings(steps=6, learning_rate=1e-3, positive_weight=weight)
        (tmp_path / str(number)).mkdir()
        tune(twin, tmp_path / str(number), settings=settings)
        means.append(float(twin(qat.normalise(TILES), training=False).numpy().mean()))
    assert means[1] > means[0]


def test_killed_and_resumed_fine_tune_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    uninterrupted = make_twin("opnet")
    tune(uninterrupted, whole)

    class KilledError(Exception):
        pass

    def dying(step: int) -> qat.Batch:
        if step == 3:  # one step after the checkpoint: that step is lost and done again
            raise KilledError
        return batch_at(step)

    with pytest.raises(KilledError):
        tune(make_twin("opnet"), parts, batch_at=dying)
    resumed = make_twin("opnet")
    seen: list[int] = []

    def watched(step: int) -> qat.Batch:
        seen.append(step)
        return batch_at(step)

    tune(resumed, parts, resume=True, batch_at=watched)
    assert seen == [2, 3]
    for a, b in zip(uninterrupted.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


def test_checkpoint_of_other_settings_or_damaged_is_refused(tmp_path: Path) -> None:
    twin = make_twin("opnet")
    tune(twin, tmp_path)
    with pytest.raises(CrackError, match="written with model = 'a', now it is 'b'"):
        tune(twin, tmp_path, resume=True, fingerprint={"model": "b"})
    with pytest.raises(CrackError, match="has 4 steps already, more than the 3 asked for"):
        tune(twin, tmp_path, resume=True, settings=qat.QatSettings(steps=3, learning_rate=1e-4))
    path = tmp_path / "qat.npz"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(CrackError, match=r"qat.npz is damaged .* --overwrite"):
        tune(twin, tmp_path, resume=True)


def test_loss_that_is_not_finite_stops_with_advice(tmp_path: Path) -> None:
    twin = make_twin("opnet")
    bias = next(v for v in twin.variables if v.name == "logit/bias:0")
    bias.assign([np.nan])
    with pytest.raises(CrackError, match=r"loss became nan in QAT step 1. Lower --qat-learning-rate"):
        tune(twin, tmp_path)
    assert not (tmp_path / "qat.npz").exists()


def test_bad_arguments_are_refused() -> None:
    weights = build_pair("opnet")[2]

    def build(keras: Any) -> Any:
        return build_model("opnet", keras, image_size=SIZE, raw_pixels=False, **HYPERPARAMETERS["opnet"])

    with pytest.raises(CrackError, match="at least one tile, got 0"):
        qat.build_twin(build, weights, TILES[:0])
    with pytest.raises(CrackError, match="do not fit"):
        qat.build_twin(build, weights[:-1], TILES)

    def build_odd(keras: Any) -> Any:
        inputs = keras.Input((SIZE, SIZE, 3))
        return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(keras.layers.PReLU()(inputs))))

    with pytest.raises(CrackError, match=r"tfmot cannot quantise .* --ptq"):
        qat.build_twin(build_odd, [np.zeros((SIZE, SIZE, 3)), np.zeros((SIZE * SIZE * 3, 1)), np.zeros(1)], TILES)


def test_a_concatenation_keeps_the_order_of_its_inputs() -> None:
    def build(keras: Any) -> Any:
        inputs = keras.layers.Input((SIZE, SIZE, 3))
        early = keras.layers.Conv2D(4, 3, padding="same", name="early")(inputs)
        late = keras.layers.Conv2D(4, 3, padding="same", name="late")(keras.layers.ReLU(name="between")(early))
        joined = keras.layers.Concatenate(name="joined")([late, early])
        return keras.Model(inputs, keras.layers.Conv2D(1, 1, name="logit")(joined))

    tf_keras = pytest.importorskip("tf_keras")
    tf_keras.utils.set_random_seed(0)
    model, tiles = build(tf_keras), make_tiles(8)
    twin = qat.build_twin(build, model.get_weights(), tiles)
    expected, found = (np.asarray(net(qat.normalise(tiles), training=False)).ravel() for net in (model, twin))
    assert np.corrcoef(expected, found)[0, 1] > 0.99
