"""Evaluation: figures against counting by hand, no flattery by training tiles, nothing written when something is wrong."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crack_tf.evaluate import main
from crack_tf.evaluation import tiles as module
from crack_tf.evaluation.config import unique_names
from crack_tf.evaluation.lineage import Lineage, find_training_manifest, lineage, notes
from crack_tf.evaluation.rows import TileRow
from crack_tf.evaluation.thresholds import threshold_record
from crack_tf.evaluation.tiles import measure, report
from crack_tf.models.shipped import load
from tflite.errors import CrackError
from tflite.files import sha256_file, write_json
from tflite.manifest import LABELS, Item, Manifest, write_manifest
from tflite.metrics import sigmoid
from tflite.sidecar import Sidecar, TensorSpec, read_sidecar, write_sidecar

SIZE = 16


def make_sidecar(scheme: str = "keras", threshold: float = 0.0, training: dict[str, Any] | None = None) -> Sidecar:
    return Sidecar(
        model="fake",
        scheme=scheme,
        file="fake.keras",
        sha256="0" * 64,
        image_size=SIZE,
        labels=LABELS,
        hyperparameters={},
        input=TensorSpec((1, SIZE, SIZE, 3), "float32", 0.0, 0),
        output=TensorSpec((1, 1), "float32", 0.0, 0),
        threshold=threshold_record(threshold),
        golden=None,
        training=training or {},
        metrics={},
        licence="CC0-1.0",
        versions={},
        git_revision=None,
        created="2026-01-01T00:00:00+00:00",
    )


@dataclass
class FakePredictor:
    """Scores a tile by its darkest pixel: the drawn cracks are dark, so it is a fair classifier."""

    path: Path
    sidecar: Sidecar = field(default_factory=make_sidecar)
    shift: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.sidecar.model}-{self.sidecar.scheme}"

    @property
    def image_size(self) -> int:
        return self.sidecar.image_size

    def logits(self, images: np.ndarray) -> np.ndarray:
        darkest = images.min(axis=(1, 2, 3)).astype(np.float32)
        return (100 - darkest) / 10 + np.float32(self.shift)


@pytest.fixture
def fake(tmp_path: Path, tiny_manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> FakePredictor:
    """A predictor trained on the tiny manifest, which `load_predictor` returns for any existing file."""
    training = {"manifest_sha256": tiny_manifest.sha256, "manifest": "tiny.csv", "dataset": "tiny", "policy": "plain"}
    path = tmp_path / "model" / "fake.keras"
    path.parent.mkdir()
    path.write_text("stands for a model")
    predictor = FakePredictor(path, make_sidecar(training=training))
    write_sidecar(path, predictor.sidecar)
    monkeypatch.setattr(
        "crack_tf.evaluation.tiles.load_predictor", lambda path, **_: replace(predictor, path=Path(path))
    )
    return predictor


def arguments(fake: FakePredictor, manifest: Manifest, *more: object) -> list[str]:
    return [str(fake.path), "--data", str(manifest.source), *map(str, more)]


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def failure(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """The one line that a refused command prints."""
    assert main(argv) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert not any("Traceback" in line for line in lines)
    return lines[-1]


# --- figures ---------------------------------------------------------------------------------------------------------


def test_figures_by_hand() -> None:
    logits = np.array([3.0, 1.0, -0.5, -2.0, -0.2, -3.0], np.float32)
    labels = np.array([1, 1, 1, 0, 0, 0])
    row = measure(logits, labels, threshold=-1.0)
    assert (row["tp"], row["fn"], row["tn"], row["fp"]) == (3, 0, 2, 1)
    assert (row["recall"], row["recall_at_half"]) == (1.0, 2 / 3)
    assert (row["specificity"], row["specificity_at_half"]) == (2 / 3, 1.0)
    assert row["auc"] == pytest.approx(8 / 9)  # one of nine pairs is the wrong way round
    assert row["brier"] == pytest.approx(float(np.mean((sigmoid(logits) - labels) ** 2)))
    assert row["threshold_probability"] == pytest.approx(float(sigmoid(-1.0)))
    assert row["recall_low"] < row["recall"] <= row["recall_high"]


@pytest.mark.parametrize(("label", "present", "absent"), [(1, "recall", "specificity"), (0, "specificity", "recall")])
def test_a_split_of_one_class_reports_that_class(label: int, present: str, absent: str) -> None:
    row = measure(np.array([1.0, 2.0], np.float32), np.full(2, label), 1.5)
    assert row[present] == 0.5
    assert row[absent] is None
    assert row["auc"] is None
    assert isinstance(row["brier"], float)


def test_a_model_that_answers_nan_is_refused() -> None:
    with pytest.raises(CrackError, match="not finite"):
        measure(np.array([math.nan, 1.0]), np.array([0, 1]), 0.0)


# --- lineage ---------------------------------------------------------------------------------------------------------


def toy_manifest(rows: list[tuple[str, str, str, str]], policy: str = "plain") -> Manifest:
    """From (path, sha256, group, split)."""
    items = tuple(sorted(Item(path, sha, 0, group, split) for path, sha, group, split in rows))
    return Manifest("toy", policy, 0, ".", "CC0-1.0", items)


TRAINING = toy_manifest(
    [
        ("a.png", "sha-a", "g1", "train"),
        ("a_copy.png", "sha-a", "g1", "test"),
        ("a_mirrored.png", "sha-am", "g1", "test"),
        ("b.png", "sha-b", "g2", "val"),
        ("c.png", "sha-c", "g3", "test"),
    ]
)


def trained_on(manifest: Manifest) -> Sidecar:
    return make_sidecar(training={"manifest_sha256": manifest.sha256, "dataset": "toy", "policy": manifest.policy})


def test_copies_across_a_plain_split_are_related_not_trained(tmp_path: Path) -> None:
    origin = lineage(trained_on(TRAINING), tmp_path / "m.keras", TRAINING, TRAINING.split("test"))
    assert (origin.trained, origin.selected, origin.related) == (0, 0, 2)


def test_another_split_of_the_same_files_keeps_copies_related(tmp_path: Path) -> None:
    write_manifest(tmp_path / "training.csv", TRAINING)
    sidecar = trained_on(TRAINING)
    sidecar.training["manifest"] = str(tmp_path / "training.csv")
    other = toy_manifest([("a_copy.png", "sha-a", "h1", "test"), ("c.png", "sha-c", "h3", "test")], "joint")
    origin = lineage(sidecar, tmp_path / "m.keras", other, other.split("test"))
    assert (origin.trained, origin.selected, origin.related) == (0, 0, 1)


def test_training_and_validation_tiles_are_counted(tmp_path: Path) -> None:
    origin = lineage(trained_on(TRAINING), tmp_path / "m.keras", TRAINING, TRAINING.split("all"))
    assert (origin.trained, origin.selected, origin.related) == (1, 1, 2)


def test_another_manifest_is_compared_by_bytes_whatever_its_paths(tmp_path: Path) -> None:
    other = toy_manifest(
        [
            ("x/1.png", "sha-a", "h1", "test"),
            ("x/2.png", "sha-am", "h2", "test"),
            ("x/3.png", "sha-b", "h3", "test"),
            ("x/4.png", "sha-new", "h4", "test"),
        ],
        "grouped",
    )
    other = replace(other, source=tmp_path / "other.csv")
    write_manifest(tmp_path / "training.csv", TRAINING)
    sidecar = trained_on(TRAINING)
    sidecar.training["manifest"] = "training.csv"
    origin = lineage(sidecar, tmp_path / "runs" / "m.keras", other, other.split("test"))
    assert (origin.trained, origin.selected, origin.related) == (1, 1, 1)


def test_the_training_manifest_is_found_through_the_run_folder(tmp_path: Path) -> None:
    write_manifest(tmp_path / "far" / "training.csv", TRAINING)
    write_json(tmp_path / "run" / "config.json", {"data": {"manifest": str(tmp_path / "far" / "training.csv")}})
    found = find_training_manifest(trained_on(TRAINING), tmp_path / "run" / "model.keras", toy_manifest([]))
    assert found is not None
    assert found.sha256 == TRAINING.sha256


@pytest.mark.parametrize("config", ["", "[]", '{"data": null}', '{"data": {"manifest": 3}}', "{"])
def test_an_odd_run_folder_means_not_found(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)
    assert find_training_manifest(trained_on(TRAINING), tmp_path / "model.keras", toy_manifest([])) is None


def test_a_manifest_of_that_name_with_other_content_is_not_taken(tmp_path: Path) -> None:
    write_manifest(tmp_path / "training.csv", toy_manifest([("z.png", "sha-z", "g", "train")]))
    sidecar = trained_on(TRAINING)
    sidecar.training["manifest"] = "training.csv"
    assert find_training_manifest(sidecar, tmp_path / "model.keras", toy_manifest([])) is None


def test_models_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = ["a/m.keras", "b/m.keras", "b/n.keras"]
    names = unique_names([FakePredictor(tmp_path / path) for path in paths])
    assert names == ["a-fake-keras", "b-fake-keras", "b-fake-keras-2"]
    assert unique_names([FakePredictor(tmp_path / "a/m.keras")]) == ["fake-keras"]


# --- the command -----------------------------------------------------------------------------------------------------


def test_results_agree_with_each_other_and_with_the_manifest(
    fake: FakePredictor, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(arguments(fake, tiny_manifest, "--out", out)) == 0
    printed = capsys.readouterr()
    assert "tiny-plain test: 8 tiles, 4 cracked, 4 clean" in printed.out
    assert printed.err == ""

    (row,) = read_rows(out / "metrics.csv")
    predictions = read_rows(out / "predictions.csv")
    assert [p["path"] for p in predictions] == [item.path for item in tiny_manifest.split("test")]
    assert [int(p["label"]) for p in predictions] == [item.label for item in tiny_manifest.split("test")]
    found = sum(p["label"] == p["called"] == "1" for p in predictions)
    assert int(row["tp"]) == found
    assert f"{found / 4:.4f} ({found}/4) [" in printed.out
    assert all(float(p["probability"]) == pytest.approx(float(sigmoid(float(p["logit"])))) for p in predictions)
    assert (row["name"], row["scheme"], row["split"], row["n"]) == ("fake-keras", "keras", "test", "8")
    assert (row["manifest"], row["manifest_sha256"]) == ("tiny-plain", tiny_manifest.sha256)
    assert row["training_tiles"] == "0"

    record = json.loads((out / "metrics.json").read_text())
    assert record["models"][0]["tp"] == found
    assert sum(part["count"] for part in record["reliability"]["fake-keras"]) == 8
    assert record["versions"]["numpy"] == np.__version__
    assert [p["cracked_to_clean"] for p in read_rows(out / "prevalence.csv")] == ["1:1", "1:5", "1:10"]
    plots = {"confusion_fake-keras.png", "reliability_fake-keras.png", "scores_fake-keras.png"}
    tables = {"metrics.csv", "metrics.json", "predictions.csv", "prevalence.csv"}
    assert {path.name for path in out.iterdir()} == plots | tables


def test_without_out_nothing_is_written(
    fake: FakePredictor, tiny_manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(arguments(fake, tiny_manifest)) == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_the_threshold_option_replaces_the_models_own(
    fake: FakePredictor, tiny_manifest: Manifest, tmp_path: Path
) -> None:
    calls = {}
    for probability in ("0.000001", "0.999999"):
        out = tmp_path / probability
        assert main(arguments(fake, tiny_manifest, "--threshold", probability, "--out", out)) == 0
        (row,) = read_rows(out / "metrics.csv")
        assert float(row["threshold_probability"]) == pytest.approx(float(probability))
        calls[probability] = int(row["tp"]) + int(row["fp"])
        assert row["tp_at_half"] == "4"
    assert calls["0.000001"] > calls["0.999999"]


def test_limit_keeps_both_classes(fake: FakePredictor, tiny_manifest: Manifest, tmp_path: Path) -> None:
    assert main(arguments(fake, tiny_manifest, "--limit", 4, "--out", tmp_path / "out")) == 0
    assert sorted(p["label"] for p in read_rows(tmp_path / "out" / "predictions.csv")) == ["0", "0", "1", "1"]


def test_several_models_give_a_row_each(
    fake: FakePredictor, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = tmp_path / "second" / "fake.keras"
    second.parent.mkdir()
    second.write_text("another")
    write_sidecar(second, fake.sidecar)
    out = tmp_path / "out"
    assert main([str(second), *arguments(fake, tiny_manifest, "--out", out)]) == 0
    names = ["second-fake-keras", "model-fake-keras"]
    assert [row["name"] for row in read_rows(out / "metrics.csv")] == names
    assert len(read_rows(out / "predictions.csv")) == 16
    table = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in table[2:4]] == names


def test_validation_tiles_are_allowed_with_a_note(
    fake: FakePredictor, tiny_manifest: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(fake, tiny_manifest, "--split", "val")) == 0
    assert "epoch and threshold of fake-keras were chosen on 8 of these tiles" in capsys.readouterr().err


@pytest.mark.parametrize("split", ["train", "all"])
def test_training_tiles_are_refused(
    fake: FakePredictor, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str], split: str
) -> None:
    line = failure(capsys, arguments(fake, tiny_manifest, "--split", split, "--out", tmp_path / "out"))
    assert "32 of " in line
    assert "--allow-training-tiles" in line
    assert not (tmp_path / "out").exists()


def test_training_tiles_are_evaluated_on_request_and_said_so(
    fake: FakePredictor, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(arguments(fake, tiny_manifest, "--split", "train", "--allow-training-tiles", "--out", out)) == 0
    assert "its figures are flattered" in capsys.readouterr().err
    assert read_rows(out / "metrics.csv")[0]["training_tiles"] == "32"


def test_training_tiles_under_another_manifest_are_refused(
    fake: FakePredictor, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tiny_manifest.source is not None
    swapped = {"train": "test", "test": "train", "val": "val"}
    items = tuple(replace(item, split=swapped[item.split]) for item in tiny_manifest.items)
    folder = tiny_manifest.folder()
    other = replace(tiny_manifest, policy="grouped", items=items, root=str(folder), source=tmp_path / "other.csv")
    write_manifest(tmp_path / "other.csv", other)
    fake.sidecar.training["manifest"] = str(tiny_manifest.source)
    assert "32 of 32 tiles of split 'test' trained fake-keras" in failure(capsys, arguments(fake, other))


def test_a_model_of_unknown_origin_is_evaluated_with_a_note(
    fake: FakePredictor, tiny_manifest: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.sidecar.training.update(manifest_sha256="f" * 64, dataset="metu", policy="grouped", manifest="gone.csv")
    assert main(arguments(fake, tiny_manifest)) == 0
    notes = capsys.readouterr().err
    assert "trained on another manifest (metu-grouped) than tiny-plain" in notes
    assert "gone.csv) was not found" in notes
    assert notes.rstrip().endswith("Put it beside the model to have that checked.")


def test_of_a_shipped_model_is_told_which_sets_it_may_have_seen_and_no_manifest_that_nobody_has(
    tiny_manifest: Manifest,
) -> None:
    sidecar = read_sidecar(load().tflite)
    sets = sidecar.training["dataset"].split("+")
    assert len(sets) > 1
    (line,) = notes("default", sidecar, tiny_manifest, Lineage(None))
    assert f"default was trained on {', '.join(sets)}. It may have seen tiles of these sets" in line
    known = notes("default", sidecar, tiny_manifest, Lineage(tiny_manifest, related=2))  # the manifest was found
    assert known[-1].startswith("2 of these tiles are copies or neighbours")


def test_the_manifest_is_found_beside_the_model_as_the_note_says(tiny_manifest: Manifest, tmp_path: Path) -> None:
    other = replace(tiny_manifest, items=tiny_manifest.items[1:])
    sidecar = make_sidecar(training={"manifest_sha256": tiny_manifest.sha256, "manifest": "moved.csv"})
    model = tmp_path / "model" / "fake.keras"
    model.parent.mkdir()
    assert find_training_manifest(sidecar, model, other) is None
    write_manifest(model.parent / "moved.csv", replace(tiny_manifest, root=str(tiny_manifest.folder())))
    found = find_training_manifest(sidecar, model, other)
    assert found is not None
    assert found.sha256 == tiny_manifest.sha256


def test_a_table_of_one_class_names_the_missing_one(tiny_manifest: Manifest) -> None:
    logits, labels = np.array([1.0, 2.0], np.float32), np.ones(2, np.int8)
    names: dict[str, Any] = dict.fromkeys(
        ("name", "scheme", "file", "sha256", "manifest", "manifest_sha256", "split"), "m"
    )
    figures = measure(logits, labels, 0.0)
    row = TileRow(image_size=96, n=2, training_tiles=None, related_to_training=None, **names, **figures)
    lines = report([module.Evaluation("m", 0.0, logits, labels, [], row)], tiny_manifest, "test")
    assert "2 tiles, 2 cracked, 0 clean" in lines[0]
    assert "1.0000 (2/2)" in lines[2]
    assert "no tiles" in lines[2]


def test_existing_results_are_kept_unless_overwrite_is_given(
    fake: FakePredictor, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "metrics.csv").write_text("precious")
    (out / "thesis.txt").write_text("mine")
    for more in ((), ("--overwrite",)):  # nothing here was written by this verb
        failure(capsys, arguments(fake, tiny_manifest, "--out", out, *more))
        assert (out / "metrics.csv").read_text() == "precious"
    (out / "metrics.csv").unlink()
    (out / "thesis.txt").unlink()
    assert main(arguments(fake, tiny_manifest, "--out", out)) == 0
    before = (out / "metrics.csv").read_text()
    (out / "thesis.txt").write_text("mine")
    (out / "metrics.csv").write_text("damaged")
    assert "exists already" in failure(capsys, arguments(fake, tiny_manifest, "--out", out))
    assert (out / "metrics.csv").read_text() == "damaged"
    assert main(arguments(fake, tiny_manifest, "--out", out, "--overwrite")) == 0
    assert (out / "metrics.csv").read_text() == before
    assert (out / "thesis.txt").read_text() == "mine"


def test_bad_input_ends_with_one_line_and_no_files(
    fake: FakePredictor, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "weights.h5").write_text("x")
    out = tmp_path / "out"
    data = ["--data", str(tiny_manifest.source), "--out", str(out)]
    for argv, words in (
        ([str(tmp_path / "absent.keras"), *data], "absent.keras does not exist"),
        ([str(tmp_path / "weights.h5"), *data], "expected a .keras or .tflite file"),
        ([str(fake.path), str(fake.path), *data], "is given twice"),
        (arguments(fake, tiny_manifest, "--out", out, "--threshold", 1), "strictly between 0 and 1"),
        (arguments(fake, tiny_manifest, "--out", out, "--threshold", 0), "strictly between 0 and 1"),
        (arguments(fake, tiny_manifest, "--out", tmp_path / "file", "--overwrite"), "is a file: name a folder"),
        ([str(fake.path), "--data", str(tmp_path / "absent.csv"), "--out", str(out)], "absent.csv does not exist"),
    ):
        assert words in failure(capsys, argv)
        assert not out.exists()


def test_a_tile_that_changed_since_the_split_stops_the_evaluation(
    fake: FakePredictor, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    item = tiny_manifest.split("test")[0]
    tile = tmp_path / "tiles" / item.path
    tile.parent.mkdir(parents=True)
    tile.write_bytes((tiny_manifest.folder() / item.path).read_bytes() + b"x")
    one = tmp_path / "tiles" / "one.csv"
    write_manifest(one, replace(tiny_manifest, items=(item,), root=".", source=one))
    argv = [str(fake.path), "--data", str(one), "--out", str(tmp_path / "out")]
    assert "changed since manifest" in failure(capsys, argv)
    assert not (tmp_path / "out").exists()


def test_ctrl_c_during_inference_leaves_no_results(
    fake: FakePredictor, tiny_manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: FakePredictor, images: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    monkeypatch.setattr(FakePredictor, "logits", interrupted)
    assert main(arguments(fake, tiny_manifest, "--out", tmp_path / "out")) == 130
    assert not (tmp_path / "out").exists()


def test_ctrl_c_during_writing_leaves_no_metrics_json(
    fake: FakePredictor, tiny_manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("crack_tf.evaluation.plots.score_plot", interrupted)
    out = tmp_path / "out"
    assert main(arguments(fake, tiny_manifest, "--out", out)) == 130
    assert not list(out.glob("*.partial*"))
    assert not (out / "metrics.json").exists()


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys, crack_tf.evaluate as m\n"
        "try: m.main(['--help'])\nexcept SystemExit: pass\n"
        "print([n for n in ('tensorflow', 'keras', 'matplotlib', 'sklearn', 'pandas') if n in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip().endswith("[]")


# --- real models -----------------------------------------------------------------------------------------------------


def test_a_keras_run_and_its_tflite_twin_get_the_same_figures(
    tiny_run: Path, tiny_manifest: Manifest, tmp_path: Path
) -> None:
    tf = pytest.importorskip("tensorflow")
    import keras

    lite = tmp_path / "tiny.tflite"
    keras.models.load_model(tiny_run / "model.keras", compile=False).export(tmp_path / "saved", verbose=False)
    lite.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved")).convert())
    sidecar = read_sidecar(tiny_run / "model.keras")
    write_sidecar(lite, replace(sidecar, scheme="float32", file=lite.name, sha256=sha256_file(lite)))

    out = tmp_path / "out"
    argv = [str(tiny_run), str(lite), "--data", str(tiny_manifest.source), "--threads", "1", "--out", str(out)]
    assert main(argv) == 0
    first, second = read_rows(out / "metrics.csv")
    assert (first["name"], second["name"]) == ("opnet-keras", "opnet-float32")
    assert float(first["brier"]) == pytest.approx(float(second["brier"]), abs=1e-3)
    assert float(first["auc"]) == pytest.approx(float(second["auc"]), abs=0.07)  # one pair in sixteen may tie
    scores = [float(row["logit"]) for row in read_rows(out / "predictions.csv")]
    np.testing.assert_allclose(scores[:8], scores[8:], rtol=1e-2, atol=1e-3)


def test_a_damaged_run_is_refused(
    tiny_run: Path, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray((tiny_run / "model.keras").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "model.keras").write_bytes(data)
    (tmp_path / "model.keras.json").write_bytes((tiny_run / "model.keras.json").read_bytes())
    line = failure(capsys, [str(tmp_path), "--data", str(tiny_manifest.source), "--out", str(tmp_path / "out")])
    assert "is not the file its sidecar describes" in line
    assert not (tmp_path / "out").exists()
