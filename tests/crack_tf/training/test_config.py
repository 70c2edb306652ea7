"""A training's configuration: what is left to the model is filled in, impossible values are named, options give it back."""

from __future__ import annotations

import importlib
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import crack_tf
from crack_tf.models import MODELS
from crack_tf.train import make_config, make_parser
from crack_tf.training.config import LOSSES, MAX_SIDE, OPTIMIZERS, PRECISIONS, SCHEDULES, TrainConfig
from tflite.errors import CrackError


@pytest.mark.parametrize("model", MODELS)
def test_a_model_fills_in_what_is_left_to_it(model: str) -> None:
    config, spec = TrainConfig(model=model), MODELS[model]
    assert (config.image_size, config.weights) == (spec.image_size, spec.default_weights)
    assert config.hyperparameters == spec.hyperparameters
    assert config.data == ("synthetic" if spec.task == "classify" else "synthetic_masks")


def test_a_trained_start_needs_no_pretrained_weights(tmp_path: Any) -> None:
    assert TrainConfig(model="mobilenet_v2", init_from="a.keras").weights == "none"
    assert TrainConfig(model="mobilenet_v2", init_from=str(tmp_path)).init_from == str(tmp_path / "model.keras")


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        TrainConfig().epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "--epochs 0: give a whole number from 1"),
        ({"epochs": 1.5}, "--epochs 1.5: give a whole number from 1"),
        ({"batch": None}, "--batch None: give a whole number from 1"),
        ({"patience": -1}, "--patience -1: give a whole number from 0"),
        ({"max_minutes": 0}, "--max-minutes 0: give a number above 0"),
        ({"max_minutes": "3"}, "--max-minutes '3': give a number above 0"),
        ({"learning_rate": float("nan")}, "--learning-rate nan: give a number above 0"),
        ({"learning_rate": "1e-3"}, "--learning-rate '1e-3': give a number above 0"),
        ({"camera": 1.5}, "--camera 1.5: give a share from 0 to 1"),
        ({"optimizer": "lion"}, "--optimizer 'lion': choose one of adam, adamw"),
        ({"policy": "random"}, "--policy 'random': choose one of grouped"),
        ({"limit": 1.5}, "--limit 1.5: give a number from 1, or a share"),
        ({"hyperparameters": {"depth": 3}}, "--hp 'depth': opnet knows"),
        ({"hyperparameters": {"widths": (4, -8)}}, "--hp widths=(4, -8): give whole numbers from 1"),
        ({"model": "vgg"}, "'vgg' is unknown"),
        ({"model": "unet", "loss": "focal"}, "--loss 'focal': choose bce"),
        ({"loss": "dice"}, "classifies whole tiles"),
    ],
)
def test_an_impossible_value_is_named_as_its_option(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CrackError) as caught:
        TrainConfig(**{"model": "opnet", **changes})
    assert message in str(caught.value)


_SHARES = st.floats(0, 1, allow_nan=False)
_COUNTS = st.integers(1, 10_000)
CONFIGS = st.fixed_dictionaries(
    {"model": st.sampled_from(sorted(MODELS))},
    optional={
        "data": st.sampled_from(("metu", "sets/my walls.csv")),
        "policy": st.sampled_from(("plain", "grouped")),
        "image_size": st.integers(32, MAX_SIDE),
        "weights": st.sampled_from(("none", "backbone.h5")),
        "init_from": st.just("runs/old.keras"),
        "epochs": _COUNTS,
        "steps_per_epoch": _COUNTS,
        "batch": _COUNTS,
        "learning_rate": st.floats(1e-9, 1e3),
        "schedule": st.sampled_from(SCHEDULES),
        "warmup_steps": st.integers(0, 100),
        "optimizer": st.sampled_from(OPTIMIZERS),
        "positive_weight": st.floats(0.1, 10),
        "augmentation": st.floats(0, 4),
        "adverse": _SHARES,
        "camera": _SHARES,
        "balance": _SHARES,
        "patience": st.integers(0, 9),
        "max_minutes": st.floats(0.01, 1e4),
        "target_recall": st.floats(0.01, 1),
        "precision": st.sampled_from(PRECISIONS),
        "limit": _COUNTS | st.floats(0.001, 0.999),
        "val_limit": _COUNTS,
        "seed": st.integers(0, 2**31),
    },
)


@given(CONFIGS, st.sampled_from(LOSSES), _SHARES)
def test_the_options_of_a_configuration_give_it_back(settings: dict[str, Any], loss: str, empty: float) -> None:
    config = TrainConfig(**settings)
    if MODELS[config.model].task == "segment":
        config = replace(config, loss=loss, empty_share=empty)
    assert make_config(make_parser().parse_args(config.options())) == config


def test_options_name_the_hyperparameters_that_differ_and_nothing_that_is_usual() -> None:
    config = TrainConfig(model="opnet", hyperparameters={"widths": (4, 8)}, epochs=3)
    assert config.options() == ["--model", "opnet", "--epochs", "3", "--hp", "widths=(4, 8)"]


def test_train_is_called_by_the_packages_name_whether_or_not_its_module_is_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("keras")
    calls = []
    monkeypatch.setattr("crack_tf.training.loop.train", lambda config, out, **how: calls.append((config, out, how)))
    config = crack_tf.TrainConfig(model="opnet")
    crack_tf.train(config, out="a")
    module = importlib.import_module("crack_tf.train")
    assert crack_tf.train is module
    assert callable(module.main)
    crack_tf.train(config, "b", resume=True)
    assert calls == [
        (config, "a", {"resume": False, "overwrite": False}),
        (config, "b", {"resume": True, "overwrite": False}),
    ]


def test_a_run_folder_records_what_it_always_did() -> None:
    record = TrainConfig(model="opnet_lite", data="metu", limit=0.5, val_limit=9, seed=3).as_dict()
    assert sorted(record) == sorted(
        [
            *("model", "image_size", "hyperparameters", "weights", "init_from", "epochs", "steps_per_epoch", "batch"),
            *("learning_rate", "schedule", "warmup_steps", "optimizer", "loss", "positive_weight", "negative_weight"),
            *(
                "augmentation",
                "adverse",
                "camera",
                "zoom_out",
                "balance",
                "freeze_epochs",
                "unfreeze_blocks",
            ),
            *("patience", "target_recall", "precision", "seed", "teacher", "teacher_share", "mask_weight"),
        ]
    )
