from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from crack_tf.average import main
from tests.dark_model import write_dark_model
from tflite.errors import CrackError
from tflite.locks import FolderLock
from tflite.manifest import Manifest
from tflite.sidecar import read_sidecar

pytest.importorskip("keras")

from crack_tf.training.average import mean_weights


@pytest.fixture(scope="session")
def shifted(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose weights are all one larger than the tiny run's; it has no sidecar."""
    from crack_tf.models.keras_models import load_keras

    path = tmp_path_factory.mktemp("shifted") / "epoch-002.keras"
    model = load_keras(tiny_run / "model.keras")
    model.set_weights([weight + 1 for weight in model.get_weights()])
    model.save(path)
    return path


def test_the_average_of_a_run_and_a_checkpoint_is_a_finished_run(
    tiny_run: Path, shifted: Path, tiny_manifest: Manifest, tmp_path: Path
) -> None:
    from crack_tf.models.keras_models import load_keras

    out = tmp_path / "mean"
    models = [str(tiny_run), str(shifted), str(shifted), str(shifted)]  # one given three times counts three times
    assert main([*models, "--data", str(tiny_manifest.source), "--out", str(out), "--target-recall", "0.9"]) == 0
    pairs = zip(
        load_keras(out / "model.keras").get_weights(), load_keras(tiny_run / "model.keras").get_weights(), strict=True
    )
    assert all(np.allclose(mean, weight + 0.75, atol=1e-5) for mean, weight in pairs)
    sidecar, parent = read_sidecar(out / "model.keras"), read_sidecar(tiny_run / "model.keras")
    assert (sidecar.model, sidecar.hyperparameters) == (parent.model, parent.hyperparameters)
    assert sidecar.training["manifest_sha256"] == tiny_manifest.sha256
    assert sidecar.training["tile_side"] == parent.training["tile_side"] == 64
    assert sidecar.threshold.target_recall == 0.9
    config = json.loads((out / "config.json").read_text())
    assert len(config["averaged"]) == 4
    assert config["averaged"][0]["sha256"] == parent.sha256
    assert not (out / "curves.png").exists()
    (out / "notes.txt").write_text("mine")
    again = [*models, "--data", str(tiny_manifest.source), "--overwrite", "--out"]
    assert main([*again, str(tiny_run)]) == 2, "a model that goes into the mean is not replaced by it"
    assert main([*again, str(out), "--val-limit", "6"]) == 0
    assert (out / "notes.txt").read_text() == "mine"
    counts = json.loads((out / "val_metrics.json").read_text())["at_threshold"]
    assert sum(counts[name] for name in ("tp", "fn", "tn", "fp")) == 6
    assert read_sidecar(out / "model.keras").threshold.target_recall == 0.998


def test_an_averaged_classifier_may_look_at_larger_tiles(
    tiny_run: Path, tiny_manifest: Manifest, tmp_path: Path
) -> None:
    from crack_tf.models.keras_models import load_keras

    out, trained = tmp_path / "larger", read_sidecar(tiny_run / "model.keras").image_size
    given = [str(tiny_run), str(tiny_run), "--data", str(tiny_manifest.source), "--out", str(out)]
    assert main([*given, "--image-size", str(trained + 8)]) == 0
    assert read_sidecar(out / "model.keras").image_size == trained + 8
    larger, before = load_keras(out / "model.keras"), load_keras(tiny_run / "model.keras")
    assert larger.input_shape == (None, trained + 8, trained + 8, 3)
    assert all(np.allclose(a, b) for a, b in zip(larger.get_weights(), before.get_weights(), strict=True))
    assert main([*given, "--overwrite", "--image-size", "1"]) == 2


def test_models_of_two_sizes_are_averaged_only_at_a_stated_one(
    tiny_run: Path, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(tiny_run), str(tiny_run), "--data", str(tiny_manifest.source)]
    larger, size = tmp_path / "larger", read_sidecar(tiny_run / "model.keras").image_size + 8
    assert main([*given, "--out", str(larger), "--image-size", str(size)]) == 0
    both = [str(tiny_run), str(larger), *given[2:], "--out", str(tmp_path / "both")]
    assert main(both) == 2
    assert f"looks at {size} pixels" in capsys.readouterr().err
    assert main([*both, "--image-size", "1000000"]) == 2
    assert "--image-size 1000000: give pixels from 16 to 2048" in capsys.readouterr().err
    assert not (tmp_path / "both").exists()


def test_a_mean_without_a_threshold_replaces_no_run(
    tiny_run: Path, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mean"
    given = [str(tiny_run), str(tiny_run), "--data", str(tiny_manifest.source), "--out", str(out)]
    assert main(given) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert main([*given, "--overwrite", "--val-limit", "1"]) == 2
    assert "--val-limit 1 leaves" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


def test_an_existing_run_is_left_alone(
    tiny_run: Path, tiny_manifest: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tiny_run / "config.json").read_bytes()
    assert main([str(tiny_run), str(tiny_run), "--data", str(tiny_manifest.source), "--out", str(tiny_run)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (tiny_run / "config.json").read_bytes() == before


def test_a_folder_that_another_process_writes_to_is_left_alone(
    tiny_run: Path, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with FolderLock(out, "free"):
        assert main([str(tiny_run), str(tiny_run), "--data", str(tiny_manifest.source), "--out", str(out)]) == 2
    assert f"another process is writing to {out}. Wait for it" in capsys.readouterr().err
    assert list(out.iterdir()) == []


def test_what_cannot_be_averaged_is_refused(
    tiny_run: Path, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dark_model(tmp_path / "dark.tflite")
    run, out = str(tiny_run), tmp_path / "out"
    for models, options, message in (
        ([run], [], "takes two models or more"),
        ([run, str(tmp_path / "dark.tflite")], [], "quantised weights cannot be averaged"),
        ([run, str(tmp_path / "none.keras")], [], "does not exist"),
        ([run, str(tmp_path / "none.keras")], ["--target-recall", "0"], "does not exist"),
        ([run, run], ["--target-recall", "0"], "--target-recall 0"),
    ):
        assert main([*models, *options, "--data", str(tiny_manifest.source), "--out", str(out)]) == 2
        assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_first_model_without_a_sidecar_says_so(
    shifted: Path, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = shutil.copy(shifted, tmp_path / "alone.keras")
    assert main([str(alone), str(alone), "--data", str(tiny_manifest.source), "--out", str(tmp_path / "out")]) == 2
    assert "alone.keras.json" in capsys.readouterr().err


def test_models_of_different_shape_or_with_broken_weights_are_refused() -> None:
    ones = [np.ones(3, np.float32)]
    with pytest.raises(CrackError, match="b has other weights than a"):
        mean_weights([("a", ones), ("b", [np.ones(4, np.float32)])])
    with pytest.raises(CrackError, match="c holds weights that are not finite"):
        mean_weights([("a", ones), ("c", [np.array([1, np.nan, 1], np.float32)])])
    assert mean_weights([("a", ones), ("b", [np.full(3, 3, np.float32)])])[0].tolist() == [2, 2, 2]


def test_a_model_of_no_use_is_warned_of(
    tiny_run: Path,
    tiny_manifest: Manifest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crack_tf.training.tasks.tells_nothing", lambda *_: "warning: of no use")
    given = [str(tiny_run), str(tiny_run), "--data", str(tiny_manifest.source), "--out", str(tmp_path / "mean")]
    assert main(given) == 0
    assert capsys.readouterr().out.endswith("\nwarning: of no use\n")
