"""A trial is a run: trained, quantised, timed, scored, and never done twice."""

from __future__ import annotations

import argparse
import errno
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.models.space import Choice
from crack_tf.train import make_parser
from tests.pairs_on_disk import write_pairs
from tflite.manifest import Manifest
from tuning import FIDELITIES
from tuning.objective import Budget
from tuning.space import Question
from tuning.trial import Recipe, Rung, reduced_size, run_trial, train_command, train_config

HELD: dict[str, Any] = {"image_size": 32, "width": 4, "blocks": 2, "learning_rate": 1e-3, "batch": 8, "dropout": 0.0}

QUESTION = Question({"width": Choice((4, 8), 4)}, HELD)


def make_recipe(manifest: str = "m.csv", **changes: Any) -> Recipe:
    recipe = Recipe(
        model="opnet_lite",
        manifest=manifest,
        question=QUESTION,
        epochs=1,
        fidelity="epochs",
        limit=None,
        steps_per_epoch=None,
        target_recall=0.5,
        budget=Budget(),
        weights=None,
        reference="reference.tflite",
        seed=0,
    )
    return replace(recipe, **changes)


def options_of(recipe: Recipe, values: dict[str, Any], rung: Rung) -> argparse.Namespace:
    """As the command that a trial prints is read again."""
    return make_parser().parse_args(shlex.split(train_command(train_config(recipe, values, rung), Path("run")))[2:])


@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize("parent", [None, Path("search/trial_0001")])
def test_a_trials_options_are_options_of_train(fidelity: str, parent: Path | None, tiny_manifest: Manifest) -> None:
    recipe = make_recipe(str(tiny_manifest.source), fidelity=fidelity, epochs=9)
    rung = Rung(1 if parent else 0, 3, 9, parent)
    args = options_of(recipe, {"width": 8}, rung)
    assert args.epochs == {"epochs": 2 if parent else 3}.get(fidelity, 9)
    assert args.limit == (round(len(tiny_manifest.split("train")) / 3) if fidelity == "data" else None)
    assert args.image_size == (16 if fidelity == "size" else 32)
    assert (args.init_from is not None) == (parent is not None and fidelity != "data")
    assert "width=8" in args.hp
    assert args.learning_rate == HELD["learning_rate"]


def test_an_experiment_changes_what_is_held() -> None:
    recipe = make_recipe(question=replace(QUESTION, experiments={"baseline": {}, "batch": {"batch": 4}}))
    rung = Rung(0, 1, 1)
    batches = [options_of(recipe, {"experiment": name}, rung).batch for name in ("baseline", "batch")]
    assert batches == [8, 4]


@given(st.integers(16, 512), st.integers(1, 81), st.integers(1, 81), st.integers(16, 64))
def test_a_reduced_input_has_about_the_rungs_share_of_pixels(size: int, spent: int, more: int, smallest: int) -> None:
    rung = Rung(0, spent, spent + more)
    side = reduced_size(size, rung, smallest)
    assert side <= size
    assert side >= min(size, smallest)
    if max(smallest, 16) < side < size:
        assert abs(side - size * (spent / (spent + more)) ** 0.5) <= 8
    assert reduced_size(size, Rung(0, spent, spent), smallest) == size


def test_a_trial_leaves_a_run_and_is_not_repeated(
    tiny_manifest: Manifest, quick_reference: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(str(tiny_manifest.source), reference=str(quick_reference))
    folder = tmp_path / "search" / "trial_0"
    outcome = run_trial("0", {"width": 4}, Rung(0, 1, 1), recipe, folder)
    assert outcome.status == "ok", outcome.message
    assert outcome.recall is not None
    assert outcome.recall >= recipe.target_recall
    assert outcome.tp is not None
    assert outcome.fn is not None
    assert outcome.tp + outcome.fn == 4  # the validation split's cracks: test is not looked at
    assert outcome.latency_ms
    assert outcome.speedup
    assert outcome.kilobytes
    assert (folder / "run" / "export" / "opnet_lite-int8-ptq.tflite").exists()
    assert not (folder / "run" / "checkpoints").exists()
    log = (folder / "trial.log").read_text()
    assert "epoch 1/1" in log
    for command in (f"$ crack-tf train --model opnet_lite --data {tiny_manifest.source}", "$ crack-tf export"):
        assert f"\n{command} " in f"\n{log}"
    before = (folder / "run" / "model.keras").stat().st_mtime_ns
    assert run_trial("0", {"width": 4}, Rung(0, 1, 1), recipe, folder) == outcome
    assert (folder / "run" / "model.keras").stat().st_mtime_ns == before

    longer = run_trial("1", {"width": 4}, Rung(1, 2, 2, folder), replace(recipe, epochs=2), tmp_path / "search/trial_1")
    assert (longer.status, longer.epochs) == ("ok", 2)
    assert "epoch 1/1" in (tmp_path / "search/trial_1/trial.log").read_text()  # one new epoch on top of the parent's


MASKS = {"image_size": 32, "levels": 3, "learning_rate": 1e-2, "batch": 4, "loss": "bce+dice"}


def mask_recipe(folder: Path, reference: Path, **changes: Any) -> Recipe:
    pairs = str(write_pairs(folder / "pairs").source)
    question = replace(QUESTION, held=MASKS)
    return make_recipe(pairs, model="unet", question=question, reference=str(reference), target_recall=0.998, **changes)


def test_a_trial_of_masks_is_scored_by_the_f1_of_its_int8_pixels(quick_reference: Path, tmp_path: Path) -> None:
    recipe = mask_recipe(tmp_path, quick_reference, epochs=2)
    outcome = run_trial("0", {"width": 4}, Rung(0, 2, 2), recipe, tmp_path / "search" / "trial_0")
    assert outcome.status == "ok", outcome.message
    assert outcome.draws_masks
    assert outcome.score == outcome.f1
    assert outcome.f1 is not None
    assert outcome.iou == pytest.approx(outcome.f1 / (2 - outcome.f1))
    assert outcome.auc is None
    assert outcome.latency_ms
    assert outcome.kilobytes


def test_cheap_trials_of_masks_train_on_a_share_and_on_sizes_a_unet_can_halve(tmp_path: Path) -> None:
    recipe = mask_recipe(tmp_path, Path("r.tflite"), fidelity="data", epochs=9)
    assert options_of(recipe, {"width": 4}, Rung(0, 3, 9)).limit == pytest.approx(1 / 3)
    halved = replace(recipe, limit=0.5)
    assert options_of(halved, {"width": 4}, Rung(0, 3, 9)).limit == pytest.approx(1 / 6)
    smaller = replace(recipe, fidelity="size", question=replace(QUESTION, held={**MASKS, "image_size": 256}))
    assert options_of(smaller, {"width": 4}, Rung(0, 1, 9)).image_size == 64


def test_a_hopeless_trial_is_known_before_it_trains(
    tiny_manifest: Manifest, quick_reference: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(str(tiny_manifest.source), reference=str(quick_reference), budget=Budget(kilobytes=0.5))
    folder = tmp_path / "search" / "trial_0"
    outcome = run_trial("0", {"width": 4}, Rung(0, 1, 1), recipe, folder)
    assert outcome.status == "over budget"
    assert "at most 0.5 kB" in outcome.message
    assert outcome.kilobytes
    assert outcome.kilobytes > 0.5
    assert not (folder / "run").exists()


def test_a_diverging_trial_fails_and_says_why(tiny_manifest: Manifest, quick_reference: Path, tmp_path: Path) -> None:
    question = replace(QUESTION, held={**HELD, "learning_rate": 1e38, "optimizer": "sgd"})
    recipe = make_recipe(str(tiny_manifest.source), reference=str(quick_reference), question=question)
    outcome = run_trial("0", {"width": 4}, Rung(0, 1, 1), recipe, tmp_path / "search" / "trial_0")
    assert outcome.status == "failed"
    assert "the loss became" in outcome.message or "not finite" in outcome.message


@pytest.mark.slow
def test_an_impossible_setting_fails_the_trial_not_the_search(tiny_manifest: Manifest, tmp_path: Path) -> None:
    recipe = make_recipe(str(tiny_manifest.source), weights="nowhere.h5")
    outcome = run_trial("0", {"width": 4}, Rung(0, 1, 1), recipe, tmp_path / "search" / "trial_0")
    assert outcome.status == "failed"
    assert "nowhere.h5" in outcome.message


@pytest.mark.slow
def test_a_full_disk_leaves_no_result(tiny_manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("crack_tf.training.loop.train", full)
    folder = tmp_path / "search" / "trial_0"
    with pytest.raises(OSError, match="No space"):
        run_trial("0", {"width": 4}, Rung(0, 1, 1), make_recipe(str(tiny_manifest.source)), folder)
    assert not (folder / "result.json").exists()
