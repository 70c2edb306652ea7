from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest

from crack_tf.models.keras_models import load_keras
from crack_tf.train import main
from crack_tf.training.config import TrainConfig
from crack_tf.training.runs import OUTPUT, begun_from, check_same_run
from tests import warm
from tests.options import instead
from tests.pairs_on_disk import write_pairs
from tflite.cli import count_or_share
from tflite.errors import CrackError
from tflite.files import sha256_file, write_bytes, write_json
from tflite.manifest import Manifest, write_manifest
from tflite.outputs import own_files
from tflite.sidecar import read_sidecar

pytest.importorskip("tensorflow")

QUICK_MASKS = ["--model", "unet", "--image-size", "32", "--hp", "levels=3", "--hp", "width=4", "--batch", "4"]
QUICK = ["--model", "opnet", "--image-size", "32", "--hp", "widths=(4, 8)", "--batch", "8"]


def test_run_folder_holds_everything_a_result_needs(tiny_run, tiny_manifest: Manifest) -> None:
    names = {path.name for path in tiny_run.iterdir()}
    assert {
        "config.json",
        "history.csv",
        "curves.png",
        "confusion_val.png",
        "val_metrics.json",
        "checkpoints",
        "model.keras",
        "model.keras.json",
    } <= names
    config = json.loads((tiny_run / "config.json").read_text())
    assert config["data"]["manifest_sha256"] == tiny_manifest.sha256
    assert config["train"]["seed"] == 0
    assert {"python", "keras", "tensorflow", "numpy"} <= set(config["versions"])
    assert "git_revision" in config
    sidecar = json.loads((tiny_run / "model.keras.json").read_text())
    assert sidecar["sha256"] == sha256_file(tiny_run / "model.keras")
    assert sidecar["threshold"]["target_recall"] == 0.998
    assert sidecar["metrics"]["at_threshold"]["recall"] >= 0.998
    with (tiny_run / "history.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert {"loss", "val_loss", "recall", "specificity", "accuracy", "f1", "auc"} <= set(row)


def test_all_that_training_leaves_is_known_as_its_own(tiny_run) -> None:
    own = {path.relative_to(tiny_run).parts[0] for path in own_files(tiny_run, OUTPUT)}
    assert own == {path.name for path in tiny_run.iterdir()} - {"export"}


def test_existing_run_is_refused_and_left_alone(tiny_run, tiny_manifest, capsys) -> None:
    before = sha256_file(tiny_run / "model.keras")
    assert main([*QUICK, "--data", str(tiny_manifest.source), "--out", str(tiny_run)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert sha256_file(tiny_run / "model.keras") == before


def test_what_cannot_begin_deletes_no_earlier_run_and_leaves_none(
    tiny_run, tiny_manifest: Manifest, tmp_path, capsys
) -> None:
    earlier, damaged = tmp_path / "earlier", tmp_path / "damaged.keras"
    shutil.copytree(tiny_run, earlier)
    damaged.write_bytes(b"no archive")
    before = {path: path.read_bytes() for path in earlier.rglob("*") if path.is_file()}
    tiny = [
        "--data",
        str(tiny_manifest.source),
        *["--model", "mobilenet_v2", "--hp", "alpha=0.35", "--image-size", "32"],
    ]
    for wrong in (
        ["--weights", str(damaged)],
        ["--weights", str(tmp_path / "none.h5")],
        ["--weights", "none", "--teacher", str(damaged)],
        ["--weights", "none", "--teacher", "nowhere.keras"],
        ["--init-from", "nowhere.keras"],
        ["--weights", "none", "--val-limit", "1"],
    ):
        command = [*tiny, *wrong]
        assert main([*command, "--out", str(earlier), "--overwrite"]) == 2
        assert {path: path.read_bytes() for path in earlier.rglob("*") if path.is_file()} == before
        assert main([*command, "--out", str(tmp_path / "new")]) == 2
        assert not (tmp_path / "new").exists()
    told = capsys.readouterr().err
    assert "damaged.keras is not a whole .keras model" in told
    for option in ("--teacher", "--init-from"):
        assert f"{option} nowhere.keras: no such file. Name a trained .keras, or its run folder." in told
    assert "--val-limit 1 leaves tiles of one class" in told


def test_resume_under_other_settings_names_the_setting(tiny_run, tiny_manifest, capsys) -> None:
    command = ["--data", str(tiny_manifest.source), "--out", str(tiny_run), "--resume", "--model", "opnet"]
    assert main([*command, "--image-size", "32", "--epochs", "1", "--batch", "4"]) == 2
    assert "train.batch = 8" in capsys.readouterr().err


def test_a_finished_run_that_is_gone_on_with_keeps_its_model(tiny_run, tiny_manifest, tmp_path) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    before = (run / "model.keras").read_bytes()
    command = ["--model", "opnet", "--image-size", "32", "--epochs", "1", "--batch", "8", "--resume"]
    command += ["--data", str(tiny_manifest.source), "--out", str(run)]
    assert main(command) == 0
    assert (run / "model.keras").read_bytes() == before
    (run / "model.keras").write_bytes(before[:1000])
    assert main(command) == 0
    assert read_sidecar(run / "model.keras").sha256 == sha256_file(run / "model.keras")
    load_keras(run / "model.keras")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hp", "depth=3"], "--hp 'depth=3'"),
        (["--hp", "dropout=high"], "'high'"),
        (["--freeze-epochs", "2"], "--freeze-epochs 2"),
        (["--unfreeze-blocks", "3"], "--unfreeze-blocks 3"),
        (["--weights", "imagenet"], "--weights 'imagenet'"),
        (["--init-from", "nowhere.keras"], "nowhere.keras"),
        (["--target-recall", "0"], "--target-recall"),
        (["--augmentation", "9"], "--augmentation"),
        (["--zoom-out", "0.5"], "--zoom-out 0.5"),
        (["--zoom-out", "5"], "--zoom-out 5"),
        (["--model", "vgg"], "'vgg'"),
        (["--resume"], "there is no run"),
        (["--resume", "--overwrite"], "exclude each other"),
        (["--data", "no/such/folder"], "no/such/folder"),
        (["--data", "no/such.csv"], "no/such.csv"),
        (["--loss", "dice"], "classifies whole tiles"),
        (["--empty-share", "0.5"], "classifies whole tiles"),
    ],
)
def test_impossible_option_exits_2_with_one_line_that_names_it(
    options, message, tiny_manifest, tmp_path, capsys
) -> None:
    out = tmp_path / "run"
    assert main(instead([*QUICK, "--data", str(tiny_manifest.source), "--out", str(out)], options)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (out / "model.keras").exists()


def test_one_class_in_validation_is_refused(tiny_manifest: Manifest, tmp_path, capsys) -> None:
    items = tuple(replace(i, split="test") if i.split == "val" and i.label else i for i in tiny_manifest.items)
    path = tmp_path / "one.csv"
    write_manifest(path, replace(tiny_manifest, items=items, root=str(tiny_manifest.folder())))
    assert main([*QUICK, "--data", str(path), "--out", str(tmp_path / "run")]) == 2
    assert "'val'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Manifest:
    return write_pairs(tmp_path_factory.mktemp("pairs"))


def test_a_model_of_masks_trains_into_a_run_folder_of_the_same_kind(pairs: Manifest, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    command = [*QUICK_MASKS, "--data", str(pairs.source), "--out", str(out), "--loss", "bce+dice"]
    command += ["--positive-weight", "1.1", "--negative-weight", "0.9", "--limit", "0.5", "--epochs", "1"]
    assert main(command) == 0
    names = {path.name for path in out.iterdir()}
    assert {"config.json", "history.csv", "curves.png", "masks_val.png", "val_metrics.json", "checkpoints"} <= names
    sidecar = read_sidecar(out / "model.keras")
    assert (sidecar.task, sidecar.output.shape) == ("segment", (1, 32, 32, 1))
    assert (sidecar.threshold.split, sidecar.threshold.target_recall) == ("val", None)
    assert sidecar.training["loss"] == "bce+dice"
    metrics = json.loads((out / "val_metrics.json").read_text())["at_threshold"]
    assert metrics["photographs"] == len(pairs.split("val"))
    assert 0 <= metrics["iou"] <= metrics["f1"] <= metrics["tolerant_f1"] <= 1
    with (out / "history.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert {"loss", "val_loss", "recall", "precision", "f1", "iou", "threshold"} <= set(row)
    assert "F1" in capsys.readouterr().out

    for name in ("notes.txt", "export/unet-float32.tflite", "checkpoints/best.keras"):
        write_bytes(out / name, b"mine")
    before = (out / "checkpoints/epoch-001.keras").stat().st_mtime_ns
    assert main([*command, "--overwrite"]) == 0
    assert "still holds checkpoints, export, notes.txt" in capsys.readouterr().err
    assert (out / "checkpoints/epoch-001.keras").stat().st_mtime_ns > before
    for name in ("notes.txt", "export/unet-float32.tflite", "checkpoints/best.keras"):
        assert (out / name).read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--loss", "focal"], "--loss 'focal'"),
        (["--zoom-out", "2"], "--zoom-out 2: unet draws masks"),
        (["--teacher", "larger.keras"], "--teacher larger.keras: unet draws masks"),
        (
            ["--image-size", "34"],
            "cannot be built with {'levels': 3, 'width': 4}: image_size 34 with 3 levels: give a multiple of 4",
        ),
        (
            ["--weights", "old.keras"],
            "has no pretrained weights. To go on from a trained model, give --init-from old.keras.",
        ),
        (["--weights", "imagenet"], "has no pretrained weights. Use 'none'."),
        (["--hp", "upsampling='cubic'"], "give one of nearest, transposed"),
        (["--model", "opnet", "--hp", "widths=(4, 8)"], "has masks; this model needs"),
    ],
)
def test_impossible_option_of_masks_exits_2_and_is_named(options, message, pairs: Manifest, tmp_path, capsys) -> None:
    command = QUICK_MASKS[:4] if options[0] == "--model" else QUICK_MASKS
    assert main(instead([*command, "--data", str(pairs.source), "--out", str(tmp_path / "run")], options)) == 2
    assert message in capsys.readouterr().err


def test_a_set_without_masks_is_refused(tiny_manifest: Manifest, tmp_path, capsys) -> None:
    assert main([*QUICK_MASKS, "--data", str(tiny_manifest.source), "--out", str(tmp_path / "run")]) == 2
    assert "has no masks; this model needs masks" in capsys.readouterr().err


def test_validation_masks_without_a_crack_are_refused(pairs: Manifest, tmp_path, capsys) -> None:
    items = tuple(replace(i, label=0) if i.split == "val" else i for i in pairs.items)
    path = tmp_path / "clean.csv"
    write_manifest(path, replace(pairs, items=items, root=str(pairs.folder())))
    assert main([*QUICK_MASKS, "--data", str(path), "--out", str(tmp_path / "run")]) == 2
    assert "no mask of split 'val'" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "value"), [("500", 500), ("1", 1), ("0.1", 0.1), ("0.999", 0.999)])
def test_a_limit_is_a_number_or_a_share(text: str, value: float) -> None:
    assert count_or_share(text) == value
    assert type(count_or_share(text)) is type(value)


@pytest.mark.parametrize("text", ["0", "-3", "1.0", "0.0", "1.5", "half", "nan"])
def test_a_limit_that_is_neither_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        count_or_share(text)


def test_a_run_from_before_a_setting_existed_is_gone_on_with(tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"train": {"batch": 8}, "limit": None}))
    record = {"train": {"batch": 8, "loss": "bce"}, "limit": None, "empty_share": 1.0}
    check_same_run(tmp_path, record)
    with pytest.raises(CrackError, match="loss = 'bce', now it is 'dice'"):
        check_same_run(tmp_path, record | {"train": {"batch": 8, "loss": "dice"}})


def test_a_teacher_or_first_weights_that_changed_since_are_told(tmp_path) -> None:
    (tmp_path / "run").mkdir()
    teacher, first = tmp_path / "teacher.keras", tmp_path / "first.keras"
    teacher.write_bytes(b"large")
    first.write_bytes(b"small")
    config = TrainConfig(model="opnet", teacher=str(teacher), init_from=str(first))
    files = begun_from(config)
    assert files == {"teacher": str(teacher), "init_from": str(first)}
    record = {"train": config.as_dict(), "files": {name: sha256_file(file) for name, file in files.items()}}
    write_json(tmp_path / "run/config.json", record)
    check_same_run(tmp_path / "run", record)
    check_same_run(tmp_path / "run", record | {"files": {}})  # they are gone: a teacher is missed elsewhere
    for name, option in (("teacher", "--teacher"), ("init_from", "--init-from")):
        other = record | {"files": record["files"] | {name: "another"}}
        with pytest.raises(
            CrackError, match=rf"^{option} {files[name]}: the file is another one than when .* --overwrite"
        ):
            check_same_run(tmp_path / "run", other)
    write_json(tmp_path / "run/config.json", {"train": config.as_dict()})  # of an older run
    check_same_run(tmp_path / "run", record)


@pytest.mark.parametrize(("setting", "value"), [("camera", 0.2), ("zoom_out", 1.5), ("balance", 0.5)])
def test_an_older_run_goes_on_without_newer_augmentation_and_balance(setting: str, value: float, tmp_path) -> None:
    now = asdict(TrainConfig(model="opnet"))
    newer = ("camera", "zoom_out", "balance", "teacher", "teacher_share")
    then = {name: kept for name, kept in now.items() if name not in newer}
    (tmp_path / "config.json").write_text(json.dumps({"train": then}))
    check_same_run(tmp_path, {"train": now})
    with pytest.raises(CrackError, match=rf"train.{setting} = .*, now it is {value}"):
        check_same_run(tmp_path, {"train": now | {setting: value}})


def _start(command: list[str], prepare: Callable[[], object]) -> warm.Popen:
    return warm.Popen(
        [sys.executable, "-m", "crack_tf.train", *command],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=prepare,
    )


def _wait_for_epoch(folder, number: int, process: warm.Popen) -> None:
    path = folder / "checkpoints" / f"epoch-{number:03d}.keras"
    with contextlib.suppress(ProcessLookupError):  # it has ended, which is told below
        process.worker()  # waits until TensorFlow is imported, which takes a loaded machine minutes
    deadline = time.monotonic() + warm.PATIENCE
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"no epoch {number} within {warm.PATIENCE:g} s"
        time.sleep(0.05)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_run_resumes_to_the_end(how: signal.Signals, tiny_manifest: Manifest, tmp_path, hears_ctrl_c) -> None:
    out = tmp_path / "run"
    command = [*QUICK, "--data", str(tiny_manifest.source), "--out", str(out), "--epochs", "15", "--patience", "0"]
    process = _start(command, hears_ctrl_c)
    _wait_for_epoch(out, 2, process)
    process.send_signal(how)
    output, _ = process.communicate(timeout=warm.PATIENCE)
    assert not (out / "model.keras").exists(), f"it had ended before it was told to: {output}"
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert "--resume" in output
        assert "Traceback" not in output
    assert main([*command, "--resume"]) == 0
    with (out / "history.csv").open() as stream:
        assert [int(row["epoch"]) for row in csv.DictReader(stream)] == list(range(1, 16))
    assert not list(out.rglob("*.partial*"))
