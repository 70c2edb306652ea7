"""crack_tf.benchmark is tflite.benchmark with more ways to name the tiles."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from crack_tf import benchmark
from tflite import benchmark as device
from tflite.manifest import Manifest


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[argparse.Namespace, Manifest | None]]:
    """What reaches the device's benchmark."""
    calls: list[tuple[argparse.Namespace, Manifest | None]] = []
    monkeypatch.setattr(device, "run", lambda args, manifest: calls.append((args, manifest)))
    return calls


def test_a_manifest_may_be_given_as_data_or_as_manifest(seen: list[Any], tiny_manifest: Manifest) -> None:
    for option in ("--data", "--manifest"):
        assert benchmark.main(["m.tflite", option, str(tiny_manifest.source), "--threads", "1,2", "--runs", "60"]) == 0
    for args, manifest in seen:
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
