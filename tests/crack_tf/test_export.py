"""`python -m crack_tf.export`: every model in every scheme, the gate on recall, resuming, and what it refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest

import crack_tf
from crack_tf import export
from crack_tf.inference.predictor import load_predictor
from crack_tf.models import MODELS
from crack_tf.quantisation.config import PARTS
from crack_tf.quantisation.data import Source, load_data
from crack_tf.quantisation.fine_tune import qat_batches
from tests.options import instead
from tests.quantised_models import DEEP, HYPERPARAMETERS
from tflite.errors import CrackError
from tflite.files import sha256_file
from tflite.images import load_rgb
from tflite.manifest import LABELS, Manifest, write_manifest
from tflite.runtime import Classifier
from tflite.sidecar import Golden, Sidecar, TensorSpec, read_sidecar, sidecar_path, write_sidecar

pytest.importorskip("tensorflow")

SIZE = 32
ALL_SCHEMES = ["--int8", "--ptq", "--float16", "--dynamic", "--float32"]
# Eight tiles in the test split: one crack is 25 points of recall.
QUICK = [
    "--qat-steps",
    "2",
    "--qat-batch",
    "8",
    "--calibration-samples",
    "16",
    "--max-recall-drop",
    "100",
    "--threads",
    "1",
]


def call(run: Path, out: Path, *options: str) -> int:
    return export.main(instead([str(run), "--out", str(out), *QUICK], options))


def make_run(folder: Path, name: str, manifest: Manifest) -> Path:
    """A run folder around an untrained model, as crack_tf.train would leave it."""
    import keras

    from crack_tf.evaluation.thresholds import threshold_record
    from crack_tf.models import build_model

    folder.mkdir(parents=True)
    keras.utils.set_random_seed(1)
    hyperparameters = HYPERPARAMETERS.get(name, {})
    model = build_model(name, keras, image_size=SIZE, **hyperparameters)
    path = folder / "model.keras"
    model.save(path)
    record = {"data": {"manifest": str(manifest.source)}}
    (folder / "config.json").write_text(json.dumps(record))
    sidecar = Sidecar(
        model=name,
        scheme="keras",
        file=path.name,
        sha256=sha256_file(path),
        image_size=SIZE,
        labels=LABELS,
        hyperparameters=json.loads(json.dumps(hyperparameters)),
        input=TensorSpec((1, SIZE, SIZE, 3), "float32", 0.0, 0),
        output=TensorSpec((1, 1), "float32", 0.0, 0),
        threshold=threshold_record(0.0, target_recall=0.9, split="val"),
        golden=None,
        training={"dataset": "tiny", "policy": "plain", "manifest_sha256": manifest.sha256, "run": "r", "seed": 0},
        metrics={},
        licence="CC0-1.0",
        versions={},
        git_revision=None,
        created="2024-01-01T00:00:00+00:00",
    )
    write_sidecar(path, sidecar)
    return folder


@pytest.fixture(scope="module")
def run_folder(tiny_manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "opnet", "opnet", tiny_manifest)


@pytest.mark.parametrize("name", [name for name, spec in MODELS.items() if spec.task == "classify"])
def test_every_scheme_of_every_model_is_written_and_runs(
    name: str,
    tiny_manifest: Manifest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    if name in DEEP:
        request.getfixturevalue("untraced")
    run = make_run(tmp_path / "run", name, tiny_manifest)
    assert call(run, tmp_path / "out", *ALL_SCHEMES) == 0
    assert call(run, tmp_path / "out", "--int8", "--input-dtype", "int8") == 0
    tile = load_rgb(tiny_manifest.folder() / tiny_manifest.split("test")[0].path, SIZE)
    expected = float(load_predictor(run).logits(tile[np.newaxis])[0])
    for scheme in ("float32", "float16", "dynamic", "int8-ptq", "int8-qat"):
        path = tmp_path / "out" / f"{name}-{scheme}.tflite"
        classifier = Classifier(path)  # checks hash, tensors and the golden answer
        sidecar = classifier.sidecar
        assert sidecar.scheme == scheme
        assert sidecar.golden is not None
        assert (sidecar.threshold.split, sidecar.threshold.target_recall) == ("val", 0.9)
        assert sidecar.training["manifest_sha256"] == tiny_manifest.sha256
        assert sidecar.training["tile_side"] == 64, "older runs do not say it: their manifest does"
        assert sidecar.metrics["comparison"]["tiles"] == 8
        assert classifier.logit(tile) == pytest.approx(expected, abs=1e-3 if scheme == "float32" else 0.5)
        assert tiny_manifest.sha256 in (tmp_path / "out" / f"{name}-{scheme}.md").read_text()
        record = json.loads((tmp_path / "out" / f"{name}-{scheme}.comparison.json").read_text())
        assert record["sha256"] == sidecar.sha256
        if scheme.startswith("int8"):
            dtype, zero_point = ("uint8", 128) if scheme == "int8-ptq" else ("int8", 0)
            assert sidecar.input == TensorSpec((1, SIZE, SIZE, 3), dtype, 1 / 128, zero_point)
            assert sidecar.output.dtype == "int8"
            assert isinstance(sidecar.threshold.raw, int)
            assert sidecar.training["calibration"]["tiles"] == 16
        assert f"{path}: " in capsys.readouterr().out or scheme != "float32"
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert len(names) == 5 * len(PARTS)


def test_an_export_that_looks_twice_says_so_and_is_compared_with_a_float_model_that_does(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(tiny_run, tmp_path / "out", "--float32", "--second-view", "3") == 0
    file = tmp_path / "out" / "opnet-float32.tflite"
    sidecar = read_sidecar(file)
    assert sidecar.second_view == 3
    assert sidecar.second_view_gain is None  # so few tiles do not tell what one in a hundred does
    assert sidecar.metrics["comparison"]["agreement"] == 1
    assert "twice" in file.with_name("opnet-float32.md").read_text()
    assert call(tiny_run, tmp_path / "out", "--float32", "--resume", "--second-view", "3") == 0
    assert call(tiny_run, tmp_path / "out", "--float32", "--resume") == 2
    assert "--second-view 0" in capsys.readouterr().err


def test_trained_run_keeps_its_decisions_in_int8(tiny_run: Path, tmp_path: Path) -> None:
    assert call(tiny_run, tmp_path / "out", "--int8", "--ptq") == 0
    sidecar = read_sidecar(tmp_path / "out" / "opnet-int8-ptq.tflite")
    assert sidecar.metrics["comparison"]["sqnr_db"] > 15


def test_default_scheme_is_int8_with_qat_in_the_run_folder(run_folder: Path, tmp_path: Path) -> None:
    run = shutil.copytree(run_folder, tmp_path / "run")
    assert export.main([str(run), *QUICK]) == 0
    sidecar = read_sidecar(run / "export" / "opnet-int8-qat.tflite")
    assert sidecar.training["qat"]["steps"] == 2


def test_lost_recall_fails_the_export_and_leaves_nothing(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Classifier, "logits", lambda self, tiles: np.full(len(tiles), -50.0, np.float32))
    monkeypatch.setattr("crack_tf.quantisation.compare.select_threshold", lambda *_: 0.0)
    monkeypatch.setattr(
        "crack_tf.quantisation.export.predict_logits", lambda model, images, **_: np.full(len(images), 9.0, np.float32)
    )
    out = tmp_path / "out"
    assert call(run_folder, out, "--int8", "--ptq", "--max-recall-drop", "0.1") == 2
    message = capsys.readouterr().err
    assert "opnet-int8-ptq lost 100.00 points of recall, 0.1 are allowed: it finds 0 of 4 cracks" in message
    assert list(out.iterdir()) == []


def test_one_failing_scheme_does_not_keep_the_others_from_being_written(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> bytes:
        raise CrackError("no conversion today.")

    monkeypatch.setattr("tflite.convert.convert_ptq", fail)
    build = create_autospec(Source.build, side_effect=Source.build)
    monkeypatch.setattr(Source, "build", build)
    assert call(run_folder, tmp_path, "--float32", "--int8", "--ptq") == 2
    assert [made.args[2] for made in build.mock_calls] == [True, False], "the float model once, for all that ask it"
    assert "1 of 2 exports failed: int8-ptq" in capsys.readouterr().err
    assert {path.name.split(".")[0] for path in tmp_path.iterdir()} == {"opnet-float32"}


def test_interrupted_qat_is_resumed(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(run_folder, tmp_path / "whole", "--int8") == 0

    out = tmp_path / "out"
    with monkeypatch.context() as patch:

        def stop(*_: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr("tflite.convert.convert_qat", stop)
        assert call(run_folder, out, "--int8") == 130
    assert "--resume" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["opnet-int8-qat.qat.npz"]

    assert call(run_folder, out, "--int8") == 2
    assert "Add --resume to go on with this QAT" in capsys.readouterr().err
    assert call(run_folder, out, "--int8", "--resume", "--qat-learning-rate", "1e-4") == 2
    assert "learning_rate = 1e-05, now it is 0.0001" in capsys.readouterr().err
    assert call(run_folder, out, "--int8", "--resume") == 0
    assert "going on after step 2 of 2" in capsys.readouterr().out
    assert not (out / "opnet-int8-qat.qat.npz").exists()
    # Tensor names in the files count up within a process, so what they answer is compared, not their bytes.
    resumed, whole = (read_sidecar(folder / "opnet-int8-qat.tflite") for folder in (out, tmp_path / "whole"))
    assert resumed.metrics == whole.metrics
    assert (resumed.golden, resumed.threshold, resumed.output) == (whole.golden, whole.threshold, whole.output)


def test_finished_files_are_not_overwritten_unless_told_so(
    run_folder: Path, tmp_path: Path, tiny_manifest: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call(run_folder, out, "--float32") == 0
    before = (out / "opnet-float32.tflite.json").read_bytes()
    assert call(run_folder, out, "--float32") == 2
    assert "exists already. Add --overwrite" in capsys.readouterr().err
    assert call(run_folder, out, "--float32", "--resume") == 0
    assert "is finished: kept" in capsys.readouterr().out
    assert (out / "opnet-float32.tflite.json").read_bytes() == before
    other = make_run(tmp_path / "other", "opnet", tiny_manifest)
    model = other / "model.keras"
    write_sidecar(model, replace(read_sidecar(model), sha256=_touch(model)))
    assert call(other, out, "--float32", "--resume") == 2
    assert "was made from another model" in capsys.readouterr().err
    assert call(run_folder, out, "--float32", "--overwrite") == 0


def test_a_file_that_another_process_has_written_meanwhile_is_kept(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def slow(*given: Any, **more: Any) -> Any:
        out.mkdir()
        (out / "opnet-float32.tflite").write_bytes(b"another's")
        return load_data(*given, **more)

    monkeypatch.setattr("crack_tf.quantisation.export.load_data", slow)
    assert call(run_folder, out, "--float32") == 2
    assert "opnet-float32.tflite exists already. Add --overwrite to replace it" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {"opnet-float32.tflite": b"another's"}


def test_resume_keeps_no_file_of_other_settings_and_none_that_is_damaged(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(run_folder, tmp_path, "--int8", "--ptq") == 0
    model, record = tmp_path / "opnet-int8-ptq.tflite", tmp_path / "opnet-int8-ptq.comparison.json"
    assert call(run_folder, tmp_path, "--int8", "--ptq", "--resume", "--input-dtype", "int8") == 2
    assert f"--input-dtype int8: {model} was made with uint8" in capsys.readouterr().err
    assert call(run_folder, tmp_path, "--int8", "--ptq", "--resume", "--measure-split", "val") == 2
    assert f"--measure-split val: {model} was made with test" in capsys.readouterr().err
    whole = json.loads(record.read_text())
    found, missed = {"tp": 4, "fn": 0}, {"tp": 3, "fn": 1}
    halves = {"reference": whole["reference"] | found, "quantised": whole["quantised"] | missed}
    record.write_text(json.dumps(whole | halves))
    assert call(run_folder, tmp_path, "--int8", "--ptq", "--resume", "--max-recall-drop", "1") == 2
    assert "opnet-int8-ptq lost 25.00 points of recall, 1 are allowed" in capsys.readouterr().err
    record.write_text(json.dumps(whole))
    model.write_bytes(model.read_bytes()[:1000])
    assert call(run_folder, tmp_path, "--int8", "--ptq", "--resume") == 2
    assert f"{model} is not the file its sidecar describes" in capsys.readouterr().err
    assert call(run_folder, tmp_path, "--int8", "--ptq", "--overwrite") == 0


def test_resume_keeps_no_file_of_other_data(
    run_folder: Path, tmp_path: Path, tiny_manifest: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.csv"
    kept = [item for item in tiny_manifest.items if item.split != "test"] + tiny_manifest.split("test")[:-1]
    write_manifest(other, replace(tiny_manifest, items=tuple(kept), root=str(tiny_manifest.folder())))
    assert call(run_folder, tmp_path, "--float32") == 0
    assert call(run_folder, tmp_path, "--float32", "--resume", "--data", str(tiny_manifest.source)) == 0
    assert "is finished: kept" in capsys.readouterr().out
    assert call(run_folder, tmp_path, "--float32", "--resume", "--data", str(other)) == 2
    assert (
        f"--data {other}: {tmp_path}/opnet-float32.tflite was made with other data, tiny-plain."
        in capsys.readouterr().err
    )


def _touch(path: Path) -> str:
    """Change a file's bytes but not what it holds."""
    path.write_bytes(path.read_bytes() + b"\0")
    return sha256_file(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ptq", "--float16"], "--ptq is a way to make --int8 models"),
        (["--resume", "--overwrite"], "exclude each other"),
        (["--max-recall-drop", "-1"], "--max-recall-drop -1.0: give points"),
        (["--max-recall-drop", "nan"], "--max-recall-drop nan: give points"),
        (["--data", "no-such.csv"], "no-such.csv does not exist"),
        (["--data", "no-such-folder"], "no-such-folder"),
    ],
)
def test_bad_options_are_refused(
    options: list[str], message: str, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(run_folder, tmp_path / "out", *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_wrong_and_damaged_sources_are_refused(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def refused(source: Path | None, message: str) -> None:
        arguments = [*([str(source)] if source else []), "--out", str(tmp_path / "out"), "--float32"]
        assert export.main(arguments) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    refused(None, "no trained run in runs/")
    refused(tmp_path / "none.keras", "does not exist")
    refused(tmp_path, "is no run of crack_tf.train")
    (tmp_path / "a.txt").write_text("x")
    refused(tmp_path / "a.txt", "expected a .keras")

    run = shutil.copytree(run_folder, tmp_path / "run")
    model = run / "model.keras"
    whole = model.read_bytes()
    model.write_bytes(whole[: len(whole) // 2])
    refused(run, "is not the file its sidecar describes")
    write_sidecar(model, replace(read_sidecar(model), sha256=sha256_file(model)))
    refused(run, "is not a whole .keras model")
    model.write_bytes(whole)
    write_sidecar(model, replace(read_sidecar(run_folder / "model.keras"), hyperparameters={"widths": [4, 4]}))
    refused(run, "does not hold the weights of opnet")
    sidecar_path(model).unlink()
    refused(run, "has no sidecar")


def test_source_without_its_manifest_asks_for_data(
    run_folder: Path, tmp_path: Path, tiny_manifest: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(run_folder, tmp_path / "run")
    config = run / "config.json"
    for text, message in (
        ("{}", "names no manifest"),
        ('{"data": {"manifest": "gone.csv"}}', "if it moved, give it with --data"),
        (None, "name its data with --data"),
    ):
        config.unlink(missing_ok=True)
        if text is not None:
            config.write_text(text)
        assert call(run, tmp_path / "out", "--float32") == 2
        assert message in capsys.readouterr().err
    assert call(run, tmp_path / "out", "--float32", "--data", str(tiny_manifest.source)) == 0


def test_measuring_on_training_tiles_is_refused(
    run_folder: Path, tmp_path: Path, tiny_manifest: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    swapped = {"train": "test", "test": "train", "val": "val"}
    items = tuple(replace(item, split=swapped[item.split]) for item in tiny_manifest.items)
    path = tmp_path / "swapped.csv"
    write_manifest(path, replace(tiny_manifest, items=items, root=str(tiny_manifest.folder())))
    assert call(run_folder, tmp_path / "out", "--float32", "--data", str(path)) == 2
    assert "trained this model" in capsys.readouterr().err


def test_qat_batches_show_every_tile_once_per_epoch_in_another_order() -> None:
    images = np.arange(12, dtype=np.uint8)[:, np.newaxis, np.newaxis, np.newaxis] * np.ones((1, 4, 4, 3), np.uint8)
    labels = np.arange(12) % 2
    batch_at = qat_batches(images, labels, 4, seed=3)
    epochs = []
    for epoch in range(2):
        seen = [batch_at(3 * epoch + number) for number in range(3)]
        numbers = np.concatenate([tiles[:, 0, 0, 0] for tiles, _ in seen])
        assert sorted(numbers) == list(range(12))
        assert all((tiles[:, 0, 0, 0] % 2 == found).all() for tiles, found in seen)
        epochs.append([set(tiles[:, 0, 0, 0]) for tiles, _ in seen])
    assert epochs[0] != epochs[1]
    np.testing.assert_array_equal(batch_at(2)[0], batch_at(2)[0])


def test_qat_batches_turn_tiles_in_eight_ways() -> None:
    tile = np.arange(16, dtype=np.uint8).reshape(4, 4, 1).repeat(3, axis=2)
    batch_at = qat_batches(tile[np.newaxis].repeat(64, axis=0), np.zeros(64), 64, seed=0)
    assert len({shown.tobytes() for shown in batch_at(0)[0]}) == 8
    assert all(sorted(shown.ravel()) == sorted(tile.ravel()) for shown in batch_at(0)[0])


def test_help_is_quick_and_imports_no_framework() -> None:
    import subprocess
    import sys

    code = "import sys, crack_tf.export as e; e.make_parser(); print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("file", ["model.keras", "export/opnet-int8-ptq.tflite"])
def test_a_users_own_model_sees_a_training_tile_whole(tiny_export: Path, file: str, tiny_manifest: Manifest) -> None:
    tile = tiny_manifest.folder() / tiny_manifest.split("test")[0].path
    with crack_tf.load(tiny_export / file) as model:
        assert len(model.predict(tile).tiles) == 1, "64 px, of which the model sees 32"


def test_a_model_of_no_use_is_warned_of(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crack_tf.quantisation.export.tells_nothing", lambda *_: "warning: of no use")
    assert call(run_folder, tmp_path / "out", "--float32") == 0
    assert capsys.readouterr().out.endswith("\nwarning: of no use\n")


def test_an_answer_that_hangs_on_the_kernels_is_warned_of(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Classifier, "golden", lambda self: Golden(5.0 if self.nodes.delegates else 7.0, 0.0))
    assert call(run_folder, tmp_path / "out", "--int8", "--ptq") == 0
    assert "kernels" not in capsys.readouterr().out
    monkeypatch.setattr(Classifier, "golden", lambda self: Golden(5.0 if self.nodes.delegates else -8.0, 0.0))
    assert call(run_folder, tmp_path / "out", "--int8", "--ptq", "--overwrite") == 0
    told = capsys.readouterr().out.splitlines()[-1]
    assert "warning: this model's answer hangs on which kernels run it: 5 to the golden tile with XNNPACK, -8" in told
    assert "13 steps apart where 2 are rounding" in told
