from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from crack_tf.models import MODELS, build_model, efficientnet_lite0, get_model, mobilenet_v2, opnet_lite
from tflite.errors import CrackError

keras = pytest.importorskip("keras")


PIXELS = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)


@cache
def built(name: str) -> Any:
    """A registered model at 32 px, for tests that only look at it and ask it."""
    return build_model(name, keras, image_size=32)


@cache
def answers(name: str) -> np.ndarray:
    """What `built` says about `PIXELS`."""
    return np.asarray(built(name).predict_on_batch(PIXELS))


def trainable_parameters(model) -> int:
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def test_opnet_has_the_published_parameters_layer_by_layer() -> None:
    model = build_model("opnet", keras)
    convolutions = [model.get_layer(f"conv{i}").count_params() for i in (1, 2, 3, 4)]
    trained_norms = [
        sum(int(np.prod(v.shape)) for v in model.get_layer(f"bn{i}").trainable_variables) for i in (1, 2, 3, 4)
    ]
    assert convolutions == [896, 18_496, 73_856, 295_168]
    assert trained_norms == [64, 128, 256, 512]
    assert model.get_layer("logit").count_params() == 257
    assert trainable_parameters(model) == 389_633
    shapes = [tuple(model.get_layer(f"pool{i}").output.shape[1:]) for i in (1, 2, 3, 4)]
    assert shapes == [(112, 112, 32), (56, 56, 64), (28, 28, 128), (14, 14, 256)]


@pytest.mark.parametrize("size", opnet_lite.VARIANTS)
def test_a_variant_is_its_family_with_other_defaults(size: str) -> None:
    settings = dict(opnet_lite.VARIANTS[size])
    spec = get_model(f"opnet_lite_{size}")
    assert spec.image_size == settings.pop("image_size")
    assert spec.hyperparameters == {**get_model("opnet_lite").hyperparameters, **settings}
    named = build_model(spec.name, keras)
    spelled_out = build_model("opnet_lite", keras, image_size=spec.image_size, **settings)
    assert [w.shape for w in named.get_weights()] == [w.shape for w in spelled_out.get_weights()]
    assert named.input_shape == spelled_out.input_shape


def test_mobilenet_v2_has_the_published_parameters() -> None:
    assert trainable_parameters(build_model("mobilenet_v2", keras)) == 2_225_153


def test_efficientnet_lite0_has_the_published_parameters() -> None:
    model = build_model("efficientnet_lite0", keras)
    assert model.count_params() - model.get_layer("logit").count_params() == 3_413_024
    assert model.get_layer("block10_depthwise").output.shape[1:] == (14, 14, 672)
    assert efficientnet_lite0.BLOCKS == 16


def test_a_wider_or_deeper_efficientnet_lite_keeps_stem_and_head() -> None:
    model = build_model("efficientnet_lite0", keras, image_size=32, width=1.1, depth=1.2)
    assert model.get_layer("stem").filters == 32
    assert model.get_layer("head").filters == 1280
    assert model.get_layer("block20_project").filters == 352  # 320 widened; 16 blocks deepened to 21
    with pytest.raises(CrackError, match="must be above 0"):
        build_model("efficientnet_lite0", keras, width=0)


@pytest.mark.parametrize(
    ("blocks", "trained"), [(0, {"logit"}), (1, {"block15_project", "head", "logit"}), (16, {"stem", "block0_project"})]
)
def test_a_frozen_efficientnet_trains_only_its_last_blocks(blocks: int, trained: set[str]) -> None:
    model = build_model("efficientnet_lite0", keras, image_size=32)
    efficientnet_lite0.set_trainable(model, blocks)
    owners = {layer.name for layer in model.layers if layer.trainable_variables}
    assert trained <= owners
    if blocks < efficientnet_lite0.BLOCKS:
        assert not any(name.startswith(("stem", "block0", "block14")) for name in owners)
        assert ("head" in owners) == (blocks > 0)


def test_foreign_efficientnet_weights_are_refused(tmp_path) -> None:
    model = build_model("efficientnet_lite0", keras, image_size=32)

    def load(source: str, **changes: float) -> None:
        efficientnet_lite0.load_pretrained(keras, model, source, image_size=32, **changes)

    with pytest.raises(CrackError, match="cannot download"):
        load("imagenet")
    with pytest.raises(CrackError, match="no such file"):
        load("nowhere.npz")
    path = tmp_path / "weights.npz"
    path.write_bytes(b"no zip")
    with pytest.raises(CrackError, match="cannot be read"):
        load(str(path))
    arrays = {"_conv_stem.weight": np.zeros((32, 3, 3, 3))}
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(CrackError, match="does not fit"):
        load(str(path))
    with pytest.raises(CrackError, match="width 1 and depth 1"):
        load(str(path), width=0.5)


def test_the_published_efficientnet_weights_know_a_cat_and_a_cup(data_root) -> None:
    """As the public port does: classes 282, 285, 281 (cats) lead for one photograph, 967 (espresso) for the other."""
    skimage = pytest.importorskip("skimage.data")
    from PIL import Image

    path = data_root / "weights" / "efficientnet_lite0_imagenet.npz"
    model = build_model("efficientnet_lite0", keras)
    head = model.get_layer("logit").get_weights()[0].copy()
    efficientnet_lite0.load_pretrained(keras, model, str(path), image_size=224)
    np.testing.assert_array_equal(model.get_layer("logit").get_weights()[0], head)
    features = keras.Model(model.input, model.get_layer("features").output)
    arrays = np.load(path)
    top, bias = arrays["_fc.weight"].astype(np.float32), arrays["_fc.bias"].astype(np.float32)

    def classes(photo: np.ndarray) -> list[int]:
        side = min(photo.shape[:2]) * 224 // 256  # the crop that EfficientNets are evaluated on
        y, x = (photo.shape[0] - side) // 2, (photo.shape[1] - side) // 2
        tile = Image.fromarray(photo[y : y + side, x : x + side]).resize((224, 224), Image.Resampling.BICUBIC)
        found = features.predict_on_batch(np.asarray(tile, np.float32)[None])
        return list(np.argsort(-(np.asarray(found)[0] @ top.T + bias)))

    assert classes(skimage.chelsea())[:3] == [282, 285, 281]
    assert classes(skimage.coffee())[0] == 967


@pytest.mark.parametrize("name", MODELS)
def test_model_is_flat_and_gives_float32_logits(name: str) -> None:
    model = built(name)
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == {"classify": (None, 1), "segment": (None, 32, 32, 1)}[get_model(name).task]
    assert not any(isinstance(layer, keras.Model | keras.layers.Lambda) for layer in model.layers)
    assert answers(name).dtype == np.float32
    assert np.isfinite(answers(name)).all()


@pytest.mark.parametrize("name", MODELS)
def test_normalisation_inside_the_graph_equals_normalised_input(name: str) -> None:
    core = build_model(name, keras, image_size=32, raw_pixels=False)
    core.set_weights(built(name).get_weights())
    np.testing.assert_allclose(answers(name), core.predict_on_batch(PIXELS / 128 - 1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_saved_model_loads_with_equal_outputs(name: str, tmp_path) -> None:
    built(name).save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(answers(name), loaded.predict_on_batch(PIXELS))


@pytest.mark.parametrize("name", MODELS)
def test_batch_norm_follows_convolution_directly_so_that_it_folds(name: str) -> None:
    model = built(name)
    convolutions = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms
    for norm in norms:
        before = norm.input._keras_history.operation
        assert isinstance(before, convolutions)


@pytest.mark.parametrize("name", MODELS)
def test_too_small_an_image_is_refused_with_the_least_size(name: str) -> None:
    with pytest.raises(CrackError, match=str(get_model(name).smallest)):
        build_model(name, keras, image_size=get_model(name).smallest - 1)


def test_unknown_model_and_hyperparameter_name_the_choices() -> None:
    with pytest.raises(CrackError, match=r"'vgg'.*opnet"):
        build_model("vgg", keras)
    with pytest.raises(CrackError, match=r"'depth'.*widths"):
        build_model("opnet", keras, depth=3)
    with pytest.raises(CrackError, match="cannot be built"):
        build_model("opnet", keras, widths=(0,))


@pytest.mark.parametrize(("blocks", "trained"), [(0, {"logit"}), (1, {"block_16_project", "Conv_1", "logit"})])
def test_frozen_backbone_trains_only_its_last_blocks(blocks: int, trained: set[str]) -> None:
    model = build_model("mobilenet_v2", keras, image_size=32, alpha=0.35)
    mobilenet_v2.set_trainable(model, blocks)
    owners = {layer.name for layer in model.layers if layer.trainable_variables}
    assert trained <= owners
    assert not any(name.startswith(("Conv1", "expanded_conv", "block_15")) for name in owners)
    mobilenet_v2.set_trainable(model, mobilenet_v2.BLOCKS)
    assert all(layer.trainable for layer in model.layers)


def test_missing_or_foreign_weights_are_refused(tmp_path) -> None:
    model = build_model("mobilenet_v2", keras, image_size=32, alpha=0.35)
    with pytest.raises(CrackError, match="no such file"):
        mobilenet_v2.load_pretrained(keras, model, "nowhere.h5", image_size=32, alpha=0.35)
    path = tmp_path / "broken.weights.h5"
    path.write_bytes(b"not an hdf5 file")
    with pytest.raises(CrackError, match="cannot be loaded"):
        mobilenet_v2.load_pretrained(keras, model, str(path), image_size=32, alpha=0.35)


def test_imagenet_weights_fill_the_backbone_and_leave_the_head(data_root) -> None:
    model = build_model("mobilenet_v2", keras, image_size=96, alpha=0.35)
    head = model.get_layer("logit").get_weights()[0].copy()
    before = model.get_layer("Conv1").get_weights()[0].copy()
    path = data_root / "weights" / "mobilenet_v2_0.35_224_imagenet_notop.weights.h5"
    mobilenet_v2.load_pretrained(keras, model, str(path), image_size=96, alpha=0.35)
    assert np.abs(model.get_layer("Conv1").get_weights()[0] - before).max() > 0.01
    np.testing.assert_array_equal(model.get_layer("logit").get_weights()[0], head)
    other = build_model("mobilenet_v2", keras, image_size=96, alpha=1.0)
    with pytest.raises(CrackError, match="alpha"):
        mobilenet_v2.load_pretrained(keras, other, str(path), image_size=96, alpha=1.0)
