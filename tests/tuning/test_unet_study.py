"""The segmentation study: what was published about each run, and that ours are compared with the run they change."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from crack_tf.models import get_model
from tests.pairs_on_disk import write_pairs
from tflite.errors import CrackError
from tuning import unet_study
from tuning.objective import Outcome
from tuning.studies import study
from tuning.unet_study import RUNS, Run, settings, study_rows, study_table


def test_the_study_has_twenty_runs_sixteen_of_them_published() -> None:
    assert len(RUNS) == len({run.name for run in RUNS}) == 20
    assert sum(bool(run.effect or run.published) for run in RUNS) == 16
    earlier: set[str] = set()
    for run in RUNS:
        assert run.versus in earlier or not earlier
        earlier.add(run.name)


def test_every_run_but_the_first_changes_one_thing() -> None:
    for run in RUNS[1:]:
        assert len(run.change) == 1
        (name,) = run.change
        before = study("unet").question.held | settings(run.versus)
        assert before[name] != run.change[name], run.name


def test_the_last_run_is_what_unet_is_by_default() -> None:
    last, defaults = study("unet").question.held | settings("last"), get_model("unet").hyperparameters
    for name in ("levels", "kernel", "initializer", "slope", "upsampling", "width"):
        assert last[name] == defaults[name]
    assert (last["positive_weight"], last["negative_weight"], last["learning_rate"], last["batch"]) == (
        1.1,
        0.9,
        1e-4,
        20,
    )


def test_what_every_run_sets_cannot_be_held_and_the_rest_can() -> None:
    chosen = study("unet")
    chosen.check_fixed({"width": 4, "image_size": 128, "learning_rate": 1e-3})
    with pytest.raises(CrackError, match="--fix levels"):
        chosen.check_fixed({"width": 4, "levels": 5})


def test_a_setting_cannot_be_held_where_an_experiment_would_then_change_nothing() -> None:
    with pytest.raises(CrackError, match="--fix width=8: experiment width-8"):
        study("unet").check_fixed({"width": 8})


def finished(folder: Path, name: str, val_loss: float, f1: float) -> Outcome:
    (folder / name / "run").mkdir(parents=True)
    at = {"f1": f1, "iou": f1 / (2 - f1), "recall": f1, "precision": None}
    (folder / name / "run" / "val_metrics.json").write_text(json.dumps({"at_threshold": at}))
    return Outcome(name, "ok", f1, {"experiment": name}, f1=f1, val_loss=val_loss, folder=name)


def test_a_change_is_judged_by_the_loss_unless_the_losses_cannot_be_compared(tmp_path: Path) -> None:
    outcomes = [
        finished(tmp_path, "first", 0.20, 0.60),
        finished(tmp_path, "6-levels", 0.10, 0.50),
        finished(tmp_path, "positive-1.1", 0.10, 0.70),
        finished(tmp_path, "positive-1.5", 0.09, 0.65),
        Outcome("last", "failed", -10.0, {"experiment": "last"}),
    ]
    rows = {row["experiment"]: row for row in study_rows("unet", outcomes, tmp_path)}
    assert list(rows) == ["first", "6-levels", "positive-1.1", "positive-1.5", "last"]
    assert (rows["6-levels"]["effect"], rows["6-levels"]["judged_by"]) == ("better", "val_loss")
    assert rows["6-levels"]["val_loss_change"] == pytest.approx(-0.1)
    assert (rows["positive-1.5"]["effect"], rows["positive-1.5"]["judged_by"]) == ("worse", "f1")
    assert "effect" not in rows["positive-1.1"]  # the run it changes is not there
    assert rows["first"]["published_f1"] == 0.771
    assert (rows["last"]["status"], rows["last"]["published_effect"]) == ("failed", "kept")
    table = study_table(list(rows.values()))
    assert "0.6000 | 0.771" in table
    assert "overfits" in table
    assert "failed" in table


def test_the_study_runs_from_the_command_line_and_ends_in_one_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorflow")
    from crack_tf.tune import main
    from tuning.timing import write_untrained

    first = {**RUNS[0].change, "levels": 3, "kernel": 3}
    runs = (Run("first", "", first, "", (0.771, 0.509, 0.725)), Run("4-levels", "first", {"levels": 4}, "better"))
    monkeypatch.setattr(unet_study, "RUNS", runs)
    write_untrained("unet", 32, {"levels": 3, "width": 4}, tmp_path / "reference.tflite")
    options = ["--study", "unet", "--data", str(write_pairs(tmp_path / "pairs").source), "--out", str(tmp_path / "s")]
    options += ["--epochs", "1", "--limit", "0.5", "--reference", str(tmp_path / "reference.tflite")]
    assert main([*options, *(f"--fix={text}" for text in ("width=4", "image_size=32", "batch=4"))]) == 0
    printed = capsys.readouterr().out
    assert "50% of the training patches, 1 epochs" in printed
    assert "published: 32,640 images" in printed
    with (tmp_path / "s" / "study.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["experiment"] for row in rows] == ["first", "4-levels"]
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert rows[1]["change"] == "levels=4"
    assert rows[1]["published_effect"] == "better"
    assert rows[1]["effect"] in ("better", "worse")
