from __future__ import annotations

import csv
from pathlib import Path

import pytest

from crack_tf.throughput import main
from tflite.errors import CrackError
from tflite.manifest import Manifest

pytest.importorskip("tensorflow")


def test_what_is_no_configuration_is_refused_by_its_option() -> None:
    from crack_tf.training.throughput import ThroughputConfig

    with pytest.raises(CrackError, match=r"^--steps '8': give a whole number"):
        ThroughputConfig(steps="8")  # type: ignore[arg-type]
    with pytest.raises(CrackError, match=r"^--batch 0: give a whole number from 1"):
        ThroughputConfig(batch=0)


def test_rates_of_all_stages_are_written_and_agree_with_their_ratio(tiny_manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "throughput.csv"
    command = [
        "--data",
        str(tiny_manifest.source),
        "--image-size",
        "32",
        "--batch",
        "8",
        "--steps",
        "3",
        "--out",
        str(out),
    ]
    assert main([*command, "--model", "opnet"]) == 0
    with out.open() as stream:
        (row,) = csv.DictReader(stream)
    rates = {name: float(row[f"{name}_per_s"]) for name in ("decode", "pipeline", "training")}
    assert min(rates.values()) > 0
    # Both are rounded to a tenth.
    ratio = float(row["pipeline_over_training"])
    assert ratio == pytest.approx(rates["pipeline"] / rates["training"], rel=0.05, abs=0.06)
    assert row["manifest_sha256"] == tiny_manifest.sha256[:12]
    assert "cores" in row["cpu"]
    assert main([*command, "--model", "opnet"]) == 2


def test_too_few_tiles_for_the_batch_are_refused(tiny_manifest: Manifest, tmp_path: Path, capsys) -> None:
    out = tmp_path / "throughput.csv"
    command = ["--data", str(tiny_manifest.source), "--image-size", "32", "--batch", "64", "--out", str(out)]
    assert main([*command, "--model", "opnet"]) == 2
    assert "--batch 64" in capsys.readouterr().err
    assert not out.exists()
