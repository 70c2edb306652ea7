"""crack_tf.benchmark is tflite.benchmark with more ways to name the tiles."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import pytest

from crack_tf import benchmark
from tests.dark_map_model import write_map_model
from tests.dark_model import write_dark_model
from tflite import benchmark as device
from tflite import timing
from tflite.manifest import Manifest
from tflite.results import result_path


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[argparse.Namespace, Manifest | None, dict[Path, str]]]:
    """What reaches the device's benchmark."""
    calls: list[tuple[argparse.Namespace, Manifest | None, dict[Path, str]]] = []
    monkeypatch.setattr(device, "run", lambda args, manifest, more, names: calls.append((args, manifest, names)))
    return calls


def test_a_manifest_may_be_given_as_data_or_as_manifest(seen: list[Any], tiny_manifest: Manifest) -> None:
    for option in ("--data", "--manifest"):
        assert benchmark.main(["m.tflite", option, str(tiny_manifest.source), "--threads", "1,2", "--runs", "60"]) == 0
    for args, manifest, _ in seen:
        assert manifest == tiny_manifest
        assert (args.models, args.threads, args.runs, args.split) == ([Path("m.tflite")], [1, 2], 60, "test")
    assert len(seen) == 2


def test_a_folder_of_classes_is_split_with_the_policy_and_seed_asked_for(
    seen: list[Any], tiny_manifest: Manifest
) -> None:
    folder = tiny_manifest.folder()
    assert benchmark.main(["m.tflite", "--data", str(folder), "--policy", "plain", "--seed", "3"]) == 0
    manifest = seen[0][1]
    assert (manifest.policy, manifest.seed, len(manifest.items)) == ("plain", 3, 48)


def test_without_data_there_is_no_manifest(seen: list[Any]) -> None:
    assert benchmark.main(["m.tflite"]) == 0
    assert seen[0][1] is None


def test_a_shipped_model_may_be_named(seen: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["unet_mobile", "opnet", "m.tflite"]) == 0
    models = seen[0][0].models
    assert [path.suffix for path in models] == [".tflite"] * 3
    assert [path.parent.name for path in models[:2]] == ["unet_mobile", "opnet"]
    assert models[0].is_file()
    assert benchmark.main(["unet_mobil"]) == 2
    assert "unet_mobil" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        benchmark.main(["--runs", "none"])
    assert "crack-tf benchmark --help" in capsys.readouterr().err


def test_a_shipped_models_row_has_its_name_and_not_its_architectures(seen: list[Any]) -> None:
    assert benchmark.main(["mobilenet_v2_real", "m.tflite"]) == 0
    (args, _, names) = seen[0]
    assert list(names.values()) == ["mobilenet_v2_real-int8-qat"]
    assert args.models[0].stem == "mobilenet_v2-int8-qat"
    config = timing.BenchmarkConfig(models=[*args.models, Path("a/m.tflite")])
    assert [job.name for job in timing._jobs(config, None, None, names)] == [
        "mobilenet_v2_real-int8-qat",
        f"{Path.cwd().name}/m",
        "a/m",
    ]


def test_data_and_manifest_together_are_refused() -> None:
    with pytest.raises(SystemExit) as ended:
        benchmark.main(["m.tflite", "--data", "synthetic", "--manifest", "a.csv"])
    assert ended.value.code == 2


def test_bad_models_and_manifests_are_user_errors(
    tmp_path: Path, tiny_manifest: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert benchmark.main([str(tmp_path / "absent.tflite"), "--data", str(tiny_manifest.source), "--out", out]) == 2
    assert "absent.tflite" in capsys.readouterr().err
    assert benchmark.main(["m.tflite", "--data", str(tmp_path / "absent.csv"), "--out", out]) == 2
    assert "absent.csv" in capsys.readouterr().err


def test_a_segmentation_model_is_also_timed_on_a_whole_photograph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_map_model(tmp_path / "dark.tflite")
    # In this process, where the photograph can be made small.
    monkeypatch.setattr(timing, "can_spawn", lambda: False)
    monkeypatch.setattr("crack_tf.inference.maps.BENCHMARK_WIDTH", 200)
    monkeypatch.setattr("crack_tf.inference.maps.BENCHMARK_HEIGHT", 150)
    assert measured(tmp_path / "dark.tflite", tmp_path, "--threads", "2")["photo_jobs"] == "2"
    row = measured(tmp_path / "dark.tflite", tmp_path, "--overwrite")
    assert float(row["photo_s"]) > 0
    assert row["photo_tiles"] == "1"  # a window that holds all of it
    assert "12 MP photo s" in capsys.readouterr().out


def test_classifiers_have_no_photograph_column(tmp_path: Path) -> None:
    write_dark_model(tmp_path / "classifier.tflite")
    row = measured(tmp_path / "classifier.tflite", tmp_path)
    assert row["task"] == "classify"
    assert "photo_s" not in row


def measured(model: Path, out: Path, *options: str) -> dict[str, str]:
    """The only row of a benchmark."""
    assert benchmark.main([str(model), "--runs", "50", "--warmup", "1", "--out", str(out / "out"), *options]) == 0
    with result_path(out / "out", ".csv").open() as stream:
        (row,) = csv.DictReader(stream)
    return row
