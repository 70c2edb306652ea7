"""Search spaces: what the command line can narrow, and that nothing is lost on the way to Keras Tuner and back."""

from __future__ import annotations

import pytest

from crack_tf.models import MODELS, get_model
from crack_tf.models.space import MASK_TRAINING, TRAINING, Choice, Range
from tflite.errors import CrackError
from tuning.space import declare, decode, search_space

pytest.importorskip("keras_tuner")


@pytest.mark.parametrize("name", MODELS)
def test_a_models_space_names_its_own_settings_and_their_defaults(name: str) -> None:
    spec = get_model(name)
    known = {**spec.hyperparameters, "image_size": spec.image_size, "unfreeze_blocks": spec.blocks}
    assert spec.space
    for dimension, what in spec.space.items():
        assert what.default == known[dimension]


@pytest.mark.parametrize("name", MODELS)
def test_every_value_survives_the_way_to_keras_tuner_and_back(name: str) -> None:
    space = search_space(name).space
    declared = declare(space)
    assert decode(space, declared.values) == {key: dimension.default for key, dimension in space.items()}
    for hyperparameter in declared.space:
        dimension = space[hyperparameter.name]
        if isinstance(dimension, Choice):
            back = [decode(space, {hyperparameter.name: v})[hyperparameter.name] for v in hyperparameter.values]
            assert back == list(dimension.values)


def test_keras_tuners_own_values_are_left_out() -> None:
    space = search_space("opnet_lite", only="width").space
    assert decode(space, {"width": 8, "tuner/epochs": 3, "tuner/trial_id": "0001"}) == {"width": 8}


def test_fix_vary_and_only_narrow_the_space() -> None:
    found = search_space("opnet_lite", ["batch=64"], ["width=8,16", "optimizer=adam,sgd"], "width,optimizer,batch")
    space, held = found.space, found.held
    assert set(space) == {"width", "optimizer"}
    assert space["width"] == Choice((8, 16), 16)
    assert space["optimizer"] == Choice(("adam", "sgd"), "adam")
    assert held["batch"] == 64
    assert held["learning_rate"] == TRAINING["learning_rate"].default
    assert "batch" in str(found)
    assert "64 (held)" in str(found)


def test_models_of_masks_have_losses_to_choose_from_and_their_names_need_no_quotes() -> None:
    found = search_space("unet", ["loss=bce+dice"], ["optimizer=adam,sgd"])
    space, held = found.space, found.held
    assert held["loss"] == "bce+dice"
    assert space["optimizer"] == Choice(("adam", "sgd"), "adam")
    assert space["learning_rate"] == MASK_TRAINING["learning_rate"]
    assert "loss" not in search_space("opnet").space
    assert search_space("unet_mobile", [], ["loss=bce+dice,tversky"]).space["loss"] == Choice(
        ("bce+dice", "tversky"), "bce+dice"
    )


def test_a_value_outside_the_declared_ones_may_be_held() -> None:
    assert search_space("opnet", ["widths=(4, 8)"]).held == {"widths": (4, 8)}


@pytest.mark.parametrize(
    ("fixed", "varied", "only", "words"),
    [
        (["image_size=abc"], [], None, "--fix image_size='abc': give pixels from 16 to 2048"),
        ([], ["image_size=64,9.5"], None, r"--vary image_size=9\.5: give pixels from 16 to 2048"),
        (["image_size=8"], [], None, "--fix image_size=8: give pixels from 16 to 2048"),
        (["width=-1"], [], None, "--fix width=-1: give a whole number from 1"),
        (["width=1.5"], [], None, r"--fix width=1\.5: give a whole number from 1"),
        ([], ["width=8,0"], None, "--vary width=0: give a whole number from 1"),
        (["separable=1"], [], None, "--fix separable=1: give True or False"),
        (["dropout=1"], [], None, "--fix dropout=1: give a number from 0 to below 1"),
        ([], ["batch=0,32"], None, "--vary batch=0: give a whole number from 1"),
        (["loss=3"], [], None, "--fix loss=3: give a text"),
        (["depth=3"], [], None, r"--fix 'depth' cannot be held.*width"),
        (["width"], [], None, "NAME=VALUE"),
        ([], ["width=8"], None, "two different values"),
        ([], ["width=8,8"], None, "two different values"),
        ([], ["width=8,(("], None, "neither a number"),
        ([], [], "widht", "cannot be searched"),
        (["width=8"], ["width=8,16"], None, "--fix 'width=8': --vary searches it"),
        (["width=8"], [], "width", "nothing is left to search"),
        ([], [], ",", "nothing is left to search"),
    ],
)
def test_a_space_that_cannot_be_is_named(fixed: list[str], varied: list[str], only: str | None, words: str) -> None:
    with pytest.raises(CrackError, match=words):
        search_space("opnet_lite", fixed, varied, only)


@pytest.mark.parametrize(
    ("model", "text", "wanted"),
    [
        ("opnet", "widths=16", "give whole numbers from 1, with commas between"),
        ("opnet", "widths=8,-16", "give whole numbers from 1, with commas between"),
        ("unet", "upsampling=cubic", "give one of nearest, transposed"),
        ("unet", "initializer=3", "give a word"),
    ],
)
def test_a_value_that_the_model_cannot_take_is_refused_before_any_trial(model: str, text: str, wanted: str) -> None:
    with pytest.raises(CrackError, match=f"^--fix {text.partition('=')[0]}=.*: {wanted}"):
        search_space(model, [text])


def test_dimensions_refuse_defaults_outside_themselves() -> None:
    with pytest.raises(AssertionError):
        Choice((1, 2), 3)
    with pytest.raises(AssertionError):
        Range(0.0, 1.0, 2.0)
    with pytest.raises(AssertionError):
        Range(1.0, 1.0, 1.0)
