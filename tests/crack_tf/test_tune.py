"""`crack-tf tune` as a user meets it: what it refuses, what it leaves behind, and that kill -9 loses nothing."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from crack_tf.models import MODELS
from crack_tf.tune import main
from tests import warm
from tests.options import instead
from tests.pairs_on_disk import write_left_out, write_pairs
from tflite.files import read_json
from tflite.manifest import Manifest
from tflite.outputs import own_files
from tuning.project import search_output

TINY = ["--epochs", "1", "--fix", "image_size=32", "--fix", "batch=8", "--target-recall", "0.5"]


@pytest.mark.parametrize("model", MODELS)
def test_show_space_prints_every_dimension_and_starts_nothing(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--show-space", "--model", model, "--fix", "batch=16"]) == 0
    printed = capsys.readouterr().out
    for name in (*MODELS[model].space, "learning_rate", "positive_weight"):
        assert f"\n{name} " in "\n" + printed
    assert "16 (held)" in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "vgg"], "model 'vgg' is unknown"),
        (["--only", "colour"], "'colour' cannot be searched"),
        (["--fix", "colour=1"], "'colour' cannot be held"),
        (["--fix", "schedule=nonsense"], "--fix schedule='nonsense'"),
        (["--fix", "unfreeze_blocks=3"], "--fix unfreeze_blocks=3"),
        (["--teacher", "nobody.keras"], "--teacher nobody.keras: no such file"),
        (["--left-out", "no/such/set"], "no/such/set"),
        (["--left-out", "synthetic"], "--left-out synthetic: the trials are trained on it"),
        (["--data", "no/such/folder"], "no/such/folder"),
        (["--target-recall", "0"], "--target-recall 0"),
        (["--factor", "1"], "--factor 1"),
        (["--fidelity", "data", "--algorithm", "random"], "--fidelity data is for hyperband"),
        (["--final-epochs", "3"], "--final-epochs 3 is for --finalists"),
        (["--study", "all", "--only", "width"], "--study has its own experiments"),
        (["--study", "batch", "--model", "opnet_lite"], "the study is about mobilenet_v2 and opnet"),
        (["--reference", "nowhere.tflite"], "--reference nowhere.tflite: no such file"),
    ],
)
def test_bad_options_end_with_one_line_and_code_2(
    options: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CRACK_TF_CACHE", str(tmp_path / "cache"))
    assert main([*options, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir()), "neither a result nor, in the cache, tiles that were drawn for nothing"


def test_a_reference_that_is_no_model_is_told_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.tflite").write_text("no model")
    assert main(["--reference", str(tmp_path / "notes.tflite"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert f"--reference {tmp_path / 'notes.tflite'} cannot be timed: " in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_size_that_no_combination_takes_is_told_before_the_first_trial(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorflow")
    pairs = write_pairs(tmp_path / "pairs")
    options = ["--model", "unet", "--data", str(pairs.source), "--out", str(tmp_path / "out")]
    assert main([*options, "--fix", "image_size=72"]) == 2  # the fewest levels, five, take 64 or 80
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: no combination of what is searched and held can be built: unet cannot be built")
    assert "image_size 72 with 6 levels: give a multiple of 32." in error
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def finished(tiny_manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A random search of three trials, scored on photographs with masks that are left out, with one finalist."""
    pytest.importorskip("tensorflow")
    out = tmp_path_factory.mktemp("tune") / "search"
    pairs = write_left_out(tmp_path_factory.mktemp("left-out") / "pairs")
    options = ["--data", str(tiny_manifest.source), "--out", str(out), "--algorithm", "random", "--trials", "3", *TINY]
    options += ["--only", "width,blocks", "--vary", "width=4,8", "--vary", "blocks=2,3"]
    options += ["--left-out", str(pairs), "--fix", "zoom_out=1.5", "--finalists", "1", "--final-epochs", "1"]
    assert main(options) == 0
    return out, options


def test_a_search_leaves_tables_pictures_and_whole_runs(finished: tuple[Path, list[str]]) -> None:
    out, _ = finished
    with (out / "trials.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["trial"] for row in rows] == ["0", "1", "2"]
    assert {row["status"] for row in rows} == {"ok"}
    for row in rows:
        assert 0 <= float(row["recall_low"]) <= float(row["recall"]) <= float(row["recall_high"]) <= 1
        assert int(row["width"]) in (4, 8)
        assert float(row["score"]) == pytest.approx(float(row["left_out_auc"]), abs=2e-4), "not specificity"
        assert float(row["left_out_auc"]) == float(row["auc of pairs"])
    with (out / "pareto.csv").open(encoding="utf-8") as stream:
        best = list(csv.DictReader(stream))
    assert [row["knee"] for row in best].count("1") == 1
    assert {row["trial"] for row in best} <= {"0", "1", "2"}
    assert Image.open(out / "pareto.png").width > 800
    summary = read_json(out / "search.json")["summary"]
    assert (summary["trials"], summary["ok"]) == (3, 3)
    assert len(list((out / "tensorboard").glob("*/events*"))) == 3
    assert {path for path in out.rglob("*") if path.is_file()} == {*own_files(out, search_output())}, (
        "--overwrite knows them"
    )
    kept = {path.parts[-3] for path in out.glob("search/trial_*/run/model.keras")}
    assert kept == {f"trial_{row['trial']}" for row in best}


def test_a_finalist_is_trained_on_quantised_both_ways_tested_and_timed(finished: tuple[Path, list[str]]) -> None:
    out, _ = finished
    (run,) = (out / "finalists").glob("trial_*")
    assert {path.name for path in (run / "export").glob("*.tflite")} == {
        "opnet_lite-int8-ptq.tflite",
        "opnet_lite-int8-qat.tflite",
    }
    with (out / "finalists" / "test" / "metrics.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["split"] for row in rows} == {"test"}
    assert len(rows) == 3
    assert list((out / "finalists" / "benchmark").glob("benchmark-*.csv"))
    with (out / "finalists" / "left_out.csv").open(encoding="utf-8") as stream:
        assert [(row["set"], row["split"]) for row in csv.DictReader(stream)] == [("pairs", "test")] * 2
    assert read_json(run / "config.json")["train"]["zoom_out"] == 1.5


def test_a_finished_search_reports_again_and_trains_nothing(
    finished: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    out, options = finished
    before = {path: path.stat().st_mtime_ns for path in out.glob("search/trial_*/result.json")}
    assert main(options[: options.index("--finalists")]) == 0
    assert "knee" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in out.glob("search/trial_*/result.json")}


def test_another_search_in_the_same_folder_is_refused(
    finished: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    _, options = finished
    assert main([*options, "--seed", "5"]) == 2
    assert "recipe.seed = 0, now it is 5" in capsys.readouterr().err


def test_a_search_killed_in_a_trial_goes_on_with_it(
    tiny_manifest: Manifest, quick_reference: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tensorflow")
    out = tmp_path / "search"
    command = [sys.executable, "-m", "crack_tf.tune", "--data", str(tiny_manifest.source), "--out", str(out)]
    command += [
        "--algorithm",
        "grid",
        "--only",
        "width",
        "--vary",
        "width=4,8",
        *instead(TINY, ["--epochs", "3"]),
        "--trials",
        "2",
        "--reference",
        str(quick_reference),
    ]
    process = warm.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoint = out / "search" / "trial_1" / "run" / "checkpoints" / "epoch-001.keras"
    try:
        deadline = time.monotonic() + 300
        while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert checkpoint.exists()
    finally:
        process.kill()
        process.wait()
    first = (out / "search" / "trial_0" / "result.json").stat().st_mtime_ns
    assert not (out / "search" / "trial_1" / "result.json").exists()
    with warm.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as again:
        printed, complained = again.communicate(timeout=600)
    assert again.returncode == 0, complained
    assert "reloaded 1 finished trials" in printed
    assert "going on with trial 1" in printed
    assert (out / "search" / "trial_0" / "result.json").stat().st_mtime_ns == first
    log = (out / "search" / "trial_1" / "trial.log").read_text(encoding="utf-8")
    assert "resuming after epoch" in log
    assert len(list(out.glob("search/trial_*/result.json"))) == 2


def test_the_studys_table_stands_beside_the_published_one(
    tiny_manifest: Manifest, quick_reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorflow")
    options = [
        "--study",
        "batch",
        "--model",
        "opnet",
        "--data",
        str(tiny_manifest.source),
        "--out",
        str(tmp_path / "s"),
    ]
    options += ["--epochs", "1", "--fix", "image_size=32", "--fix", "widths=(4, 8)", "--target-recall", "0.5"]
    options += ["--reference", str(quick_reference)]
    assert main(options) == 0
    printed = capsys.readouterr().out
    assert "| 0.9963" in printed
    assert "| 0.9983" in printed
    assert "28,000 tiles" in printed
    with (tmp_path / "s" / "study.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["experiment"] for row in rows] == ["baseline", "batch"]
    assert [row["published_recall"] for row in rows] == ["0.9963", "0.9983"]
    for row in rows:
        assert 0 <= float(row["recall"]) <= 1
