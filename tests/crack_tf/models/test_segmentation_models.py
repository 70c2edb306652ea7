from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crack_tf.models import MODELS, build_model, get_model, unet_mobile
from tflite.errors import CrackError

keras = pytest.importorskip("keras")

SIZE = 32
SMALL: dict[str, dict[str, Any]] = {
    "unet": {"levels": 3, "width": 4},
    "unet_mobile": {"alpha": 0.35, "widths": (8, 8, 8, 4, 4), "detail": 4},
}
NAMES = [name for name, spec in MODELS.items() if spec.task == "segment"]


def photos(count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3)).astype(np.float32)


def test_the_defaults_are_the_studys_best_run() -> None:
    defaults = get_model("unet").hyperparameters
    assert {key: defaults[key] for key in ("levels", "kernel", "initializer", "slope")} == {
        "levels": 6,
        "kernel": 3,
        "initializer": "he_normal",
        "slope": 0.375,
    }
    assert get_model("unet").image_size == get_model("unet_mobile").image_size == 256


@pytest.mark.parametrize("name", NAMES)
def test_int8_weights_of_the_default_stay_below_4_megabytes(name: str) -> None:
    assert build_model(name, keras).count_params() < 3_500_000


@pytest.mark.parametrize(
    "hyperparameters",
    [
        {"levels": 2},
        {"levels": 6},
        {"kernel": 5},
        {"slope": 0.0},
        {"upsampling": "transposed"},
        {"initializer": "he_uniform"},
    ],
)
def test_every_variant_of_the_unet_keeps_the_inputs_size(hyperparameters: dict[str, Any]) -> None:
    model = build_model("unet", keras, image_size=SIZE, **{"width": 4} | hyperparameters)
    assert model.predict_on_batch(photos()).shape == (2, SIZE, SIZE, 1)


def test_each_level_halves_the_side_and_doubles_the_width_up_to_the_widest() -> None:
    model = build_model("unet", keras, image_size=SIZE, levels=4, width=4, widest=16)
    shapes = [
        tuple(model.get_layer(f"{name}_2_act").output.shape[1:]) for name in ("down1", "down2", "down3", "bottom")
    ]
    assert shapes == [(32, 32, 4), (16, 16, 8), (8, 8, 16), (4, 4, 16)]


def test_the_edge_tpus_leaky_relu_is_the_same_function_with_the_same_weights() -> None:
    plain = build_model("unet", keras, image_size=SIZE, **SMALL["unet"])
    edge = build_model("unet", keras, image_size=SIZE, edge_tpu=True, **SMALL["unet"])
    edge.set_weights(plain.get_weights())
    np.testing.assert_allclose(plain.predict_on_batch(photos()), edge.predict_on_batch(photos()), rtol=1e-5, atol=1e-6)


def test_a_relu_unet_needs_no_other_form_for_the_edge_tpu() -> None:
    kinds = {type(layer) for layer in build_model("unet", keras, image_size=SIZE, slope=0.0, edge_tpu=True).layers}
    assert keras.layers.Maximum not in kinds
    assert keras.layers.LeakyReLU not in kinds


@pytest.mark.parametrize(
    ("name", "size", "hyperparameters", "words"),
    [
        ("unet", 48, {"levels": 6}, "image_size 48 with 6 levels: give a multiple of 32"),
        ("unet", 32, {"levels": 1}, "levels 1: give at least 2"),
        ("unet", 32, {"upsampling": "bilinear"}, "upsampling 'bilinear': choose one of nearest, transposed"),
        ("unet", 32, {"slope": 1.0}, "slope 1.0"),
        ("unet", 32, {"initializer": "best"}, "cannot be built"),
        ("unet_mobile", 80, {}, "image_size 80: give a multiple of 32"),
        ("unet_mobile", 64, {"widths": (8, 8)}, r"widths \(8, 8\): give five"),
    ],
)
def test_impossible_arguments_are_named(name: str, size: int, hyperparameters: dict[str, Any], words: str) -> None:
    with pytest.raises(CrackError, match=words):
        build_model(name, keras, image_size=size, **hyperparameters)


@pytest.mark.parametrize("name", NAMES)
def test_a_call_that_does_not_say_so_is_inference(name: str) -> None:
    """Keras's Resizing would switch the batch normalisations behind it to training."""
    model = build_model(name, keras, image_size=SIZE, **SMALL[name])
    np.testing.assert_allclose(np.asarray(model(photos())), model.predict_on_batch(photos()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_tf_keras_twin_answers_alike(name: str) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    model = build_model(name, keras, image_size=SIZE, **SMALL[name])
    twin = build_model(name, tf_keras, image_size=SIZE, **SMALL[name])
    twin.set_weights(model.get_weights())
    np.testing.assert_allclose(np.asarray(twin(photos())), model.predict_on_batch(photos()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "extra"), [("unet", {"edge_tpu": True}), ("unet", {"slope": 0.0}), ("unet_mobile", {})]
)
def test_int8_is_predicted_fully_mapped_to_the_edge_tpu(name: str, extra: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    from tflite import convert
    from tflite.edgetpu_prediction import predict

    model = build_model(name, keras, image_size=SIZE, raw_pixels=False, **SMALL[name] | extra)
    graph = convert.write_model(tmp_path / "m.tflite", convert.convert_ptq(model, photos(4).astype(np.uint8)))
    convert.check_int8(graph)
    assert graph.outputs[0].shape == (1, SIZE, SIZE, 1)
    prediction = predict(tmp_path / "m.tflite")
    assert (prediction.verdict, dict(prediction.left)) == ("full", {})
    assert not any(placement.caution for placement in prediction.placements)


def test_a_frozen_encoder_trains_the_decoder_alone() -> None:
    model = build_model("unet_mobile", keras, image_size=SIZE, **SMALL["unet_mobile"])
    unet_mobile.set_trainable(model, 0)
    trained = {layer.name for layer in model.layers if layer.trainable_variables}
    assert {"logit", "detail", "decoder1", "decoder5_narrow_bn"} <= trained
    assert all(name.startswith(("decoder", "detail", "logit")) for name in trained)
    unet_mobile.set_trainable(model, 1)
    assert model.get_layer("block_16_project").trainable
    assert not model.get_layer("block_15_project").trainable


def test_imagenet_weights_fill_the_encoder_and_leave_the_decoder(data_root: Path) -> None:
    spec = get_model("unet_mobile")
    model = build_model("unet_mobile", keras, image_size=96, alpha=0.35)
    names = [layer.name for layer in model.layers if layer.weights]
    before = {name: model.get_layer(name).get_weights() for name in names}
    path = data_root / "weights" / "mobilenet_v2_0.35_224_imagenet_notop.weights.h5"
    assert spec.pretrained is not None
    spec.pretrained(keras, model, str(path), image_size=96, alpha=0.35)
    for name in names:
        same = all(np.array_equal(a, b) for a, b in zip(before[name], model.get_layer(name).get_weights(), strict=True))
        assert same == name.startswith(("decoder", "detail", "logit")), name


def test_a_classifier_on_the_same_backbone_fills_the_encoder(tmp_path: Path) -> None:
    spec = get_model("unet_mobile")
    assert spec.pretrained is not None
    classifier = build_model("mobilenet_v2", keras, image_size=64, alpha=0.35)
    classifier.save(tmp_path / "model.keras")
    model = build_model("unet_mobile", keras, image_size=96, alpha=0.35)
    spec.pretrained(keras, model, str(tmp_path / "model.keras"), image_size=96, alpha=0.35)
    theirs = {layer.name: layer.get_weights() for layer in classifier.layers if layer.weights}
    for layer in model.layers:
        if layer.weights and not layer.name.startswith(("decoder", "detail", "logit")):
            assert all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), theirs[layer.name], strict=True))
    other = build_model("unet_mobile", keras, image_size=96, alpha=0.5)
    with pytest.raises(CrackError, match=r"does not fit MobileNetV2 with alpha 0\.5"):
        spec.pretrained(keras, other, str(tmp_path / "model.keras"), image_size=96, alpha=0.5)
