"""Benchmark rows are complete and true, bad requests stop before any measurement, and finished rows outlive Ctrl-C."""

from __future__ import annotations

import csv
import json
import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflite import benchmark, hardware
from tflite.benchmark import (
    Job,
    compare,
    format_table,
    latency_statistics,
    measure,
    peak_rss_mb,
    result_path,
    roc_auc,
    select_tiles,
)
from tflite.errors import CrackError
from tflite.images import load_rgb
from tflite.manifest import Manifest
from tflite.runtime import Classifier
from tflite.sidecar import sidecar_path


def run(*arguments: object) -> int:
    return benchmark.main([str(argument) for argument in arguments])


def results(folder: Path) -> tuple[dict[str, Any], list[dict[str, str]]]:
    with result_path(folder, ".csv").open() as stream:
        return json.loads(result_path(folder, ".json").read_text()), list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def finished(models: dict[str, Path], tiny_manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of two models, two thread counts, with a manifest and --compare."""
    out = tmp_path_factory.mktemp("benchmark")
    options = [
        "--manifest",
        tiny_manifest.source,
        "--threads",
        "1,2",
        "--runs",
        50,
        "--warmup",
        2,
        "--compare",
        "--out",
        out,
    ]
    assert run(models["uint8"], models["float32"], *options) == 0
    return out


def test_every_row_holds_all_measurements(finished: Path, models: dict[str, Path], tiny_manifest: Manifest) -> None:
    record, rows = results(finished)
    assert [(row["model"], row["threads"], row["delegate"]) for row in rows] == [
        (f"tiny-{name}", threads, "xnnpack") for name in ("uint8", "float32") for threads in ("1", "2")
    ]
    for row in rows:
        times = [float(row[name]) for name in ("min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms")]
        assert times == sorted(times)
        assert times[0] > 0
        assert float(row["min_ms"]) <= float(row["mean_ms"])
        assert float(row["stdev_ms"]) >= 0
        assert float(row["load_ms"]) > 0
        assert 0 < int(row["delegate_nodes"]) <= int(row["nodes_total"])
        assert int(row["nodes_remaining"]) < int(row["nodes_total"])
        assert int(row["macs"]) == 16 * 16 * 8 * 27 + 16 * 16 * 8 * 9 + 8
        assert (row["runs"], row["warmup"], row["split"], row["tiles"]) == ("50", "2", "test", "8")
        assert (row["manifest"], row["manifest_sha256"]) == (tiny_manifest.name, tiny_manifest.sha256)
        assert sum(int(row[name]) for name in ("tp", "fn", "tn", "fp")) == 8
        assert 0 < float(row["decode_p50_ms"]) < float(row["total_p50_ms"]) <= float(row["total_p90_ms"])
        assert row["hardware"] == hardware.describe()["slug"]
        assert row["litert"] == hardware.runtime_version()
    assert int(rows[0]["file_bytes"]) == models["uint8"].stat().st_size
    assert record["environment"]["python"]
    assert record["environment"]["hardware"]["cores"] >= 1
    assert [len(row["latencies_ms"]) for row in record["rows"]] == [50] * 4
    assert np.median(record["rows"][0]["latencies_ms"]) == pytest.approx(record["rows"][0]["p50_ms"], abs=1e-3)


def test_accuracy_is_that_of_the_classifier_on_the_same_tiles(
    finished: Path, models: dict[str, Path], tiny_manifest: Manifest
) -> None:
    _, rows = results(finished)
    classifier = Classifier(models["uint8"])
    items = tiny_manifest.split("test")
    called = [classifier.is_crack(load_rgb(tiny_manifest.read(item), 32)) for item in items]
    assert int(rows[0]["tp"]) == sum(crack and item.label == 1 for crack, item in zip(called, items, strict=True))
    assert int(rows[0]["fp"]) == sum(crack and item.label == 0 for crack, item in zip(called, items, strict=True))


def test_peak_memory_belongs_to_the_row_and_not_to_this_process(finished: Path) -> None:
    pytest.importorskip("tensorflow")
    _, rows = results(finished)
    for row in rows:
        assert float(row["base_rss_mb"]) <= float(row["peak_rss_mb"]) < 200
    assert peak_rss_mb() > 300  # TensorFlow is loaded here, and a child of this process measured less


def test_a_picture_is_drawn_where_matplotlib_is_installed(finished: Path) -> None:
    pytest.importorskip("matplotlib")
    assert result_path(finished, ".png").read_bytes().startswith(b"\x89PNG")


def test_the_file_name_carries_hardware_and_runtime(finished: Path) -> None:
    name = result_path(finished, ".csv").name
    assert name.startswith(f"benchmark-{os.uname().machine}-")
    assert name.endswith(f"cores-litert{hardware.runtime_version()}.csv")
    assert not list(finished.glob(".*"))  # no temporary file left


def test_compare_covers_every_setting_against_the_first_model(finished: Path) -> None:
    record, _ = results(finished)
    assert [(row["model"], row["threads"]) for row in record["compare"]] == [
        ("tiny-uint8", 1),
        ("tiny-float32", 1),
        ("tiny-uint8", 2),
        ("tiny-float32", 2),
    ]
    assert record["compare"][0]["ratio"] == record["compare"][0]["paired_ratio"] == 1.0


def test_a_model_compared_with_itself_is_about_as_fast(models: dict[str, Path]) -> None:
    job = Job(models["float32"], "a", 1, "xnnpack", 200, 20, None)
    first, second = compare([job, replace(job, name="b")])
    assert first["ratio"] == 1.0
    assert 0.5 < second["ratio"] < 2.0
    assert 0.5 < second["paired_ratio"] < 2.0


def test_a_slower_model_has_a_ratio_above_one(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    original = benchmark._timed

    def slowed(classifier: Classifier, tile: np.ndarray) -> float:
        return original(classifier, tile) + (50.0 if classifier.sidecar.scheme == "float32" else 0.0)

    monkeypatch.setattr(benchmark, "_timed", slowed)
    job = Job(models["uint8"], "fast", 1, "xnnpack", 50, 1, None)
    rows = compare([job, replace(job, path=models["float32"], name="slow")])
    assert rows[1]["ratio"] > 5
    assert rows[1]["paired_ratio"] > 5


def test_without_manifest_the_accuracy_columns_are_empty(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(models["uint8"], "--runs", 50, "--warmup", 0, "--delegate", "none", "--out", tmp_path) == 0
    _, rows = results(tmp_path)
    assert len(rows) == 1
    assert all(rows[0][name] == "" for name in ("manifest", "recall", "specificity", "auc", "tp", "total_p50_ms"))
    assert rows[0]["delegate_nodes"] == "0"
    assert rows[0]["nodes_remaining"] == rows[0]["nodes_total"]
    printed = capsys.readouterr().out
    assert "p50 ms" in printed
    assert "recall" not in printed
    assert str(result_path(tmp_path, ".csv")) in printed


def test_too_few_runs_are_refused(models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(models["uint8"], "--runs", 10, "--out", tmp_path) == 2
    assert "--runs 10: at least 50" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    job = Job(models["uint8"], "a", 1, "xnnpack", 49, 1, None)
    for call in (lambda: measure(job), lambda: compare([job, job])):
        with pytest.raises(CrackError, match="at least 50"):
            call()


def test_a_bad_model_among_good_ones_stops_before_any_timing(
    models: dict[str, Path], copied: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = copied("int8")
    bad.write_bytes(bad.read_bytes()[:-1])
    assert run(models["uint8"], bad, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert str(bad) in error
    assert "measuring" not in error
    assert not (tmp_path / "out").exists()
    sidecar_path(bad).unlink()
    assert run(bad, "--out", tmp_path / "out") == 2
    assert "no sidecar" in capsys.readouterr().err
    assert run(tmp_path / "absent.tflite", "--out", tmp_path / "out") == 2
    assert "absent.tflite" in capsys.readouterr().err


def test_a_missing_or_changed_manifest_is_refused(
    models: dict[str, Path], tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(models["uint8"], "--manifest", tmp_path / "absent.csv", "--out", tmp_path / "out") == 2
    assert "absent.csv does not exist" in capsys.readouterr().err
    assert tiny_manifest.source is not None
    edited = tmp_path / "edited.csv"
    edited.write_text(tiny_manifest.source.read_text().replace(",test", ",train", 1))
    assert run(models["uint8"], "--manifest", edited, "--out", tmp_path / "out") == 2
    assert "changed after it was written" in capsys.readouterr().err
    moved = tmp_path / "moved.csv"
    moved.write_text(tiny_manifest.source.read_text().replace('"root": "."', '"root": "gone"'))
    assert run(models["uint8"], "--manifest", moved, "--out", tmp_path / "out") == 2
    assert "gone" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_image_that_changed_since_the_split_is_named(models: dict[str, Path], tiny_manifest: Manifest) -> None:
    item = replace(tiny_manifest.split("test")[0], sha256="0" * 64)
    tiles = replace(select_tiles(tiny_manifest, "test"), items=(item,))
    with pytest.raises(CrackError, match="changed since manifest"):
        measure(Job(models["uint8"], "a", 1, "xnnpack", 50, 0, tiles))


def test_earlier_results_are_kept_unless_told_otherwise(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = result_path(tmp_path, ".json")
    path.write_text("earlier")
    assert run(models["uint8"], "--runs", 50, "--out", tmp_path) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert path.read_text() == "earlier"
    assert run(models["uint8"], "--runs", 50, "--out", tmp_path, "--overwrite") == 0
    assert json.loads(path.read_text())["format"] == benchmark.FORMAT


def test_compare_needs_two_models(models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(models["uint8"], "--compare", "--out", tmp_path) == 2
    assert "at least two models" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["--delegate", "gpu"], ["--threads", "0"], ["--threads", "1,x"], ["--split", "exam"], ["--limit", "0"]]
)
def test_bad_options_exit_with_2(models: dict[str, Path], options: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(models["uint8"], *options)
    assert ended.value.code == 2


def test_without_matplotlib_a_line_says_that_plots_need_it(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    assert run(models["uint8"], "--runs", 50, "--out", tmp_path) == 0
    assert "plots need matplotlib" in capsys.readouterr().out
    assert result_path(tmp_path, ".csv").exists()
    assert not result_path(tmp_path, ".png").exists()


def test_ctrl_c_keeps_the_rows_finished_before(models: dict[str, Path], tmp_path: Path, hears_ctrl_c) -> None:
    command = [sys.executable, "-m", "tflite.benchmark", str(models["uint8"]), str(models["int8"])]
    process = subprocess.Popen(
        [*command, "--runs", "50", "--threads", ",".join(["1"] * 40), "--out", str(tmp_path)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        preexec_fn=hears_ctrl_c,
        cwd=Path(benchmark.__file__).parents[1],
    )
    path = result_path(tmp_path, ".csv")
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the whole group
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in error
    assert path.name in error
    assert "Traceback" not in error
    record, rows = results(tmp_path)
    assert 1 <= len(rows) <= len(record["rows"]) < 80
    assert not list(tmp_path.glob(".*"))


def test_a_measuring_process_that_dies_is_reported() -> None:
    with pytest.raises(CrackError, match="ended with code 3"):
        benchmark._in_child(os._exit, 3)


def test_models_of_one_name_are_told_apart_by_their_folder() -> None:
    paths = [Path("/a/model.tflite"), Path("/b/model.tflite"), Path("/b/other.tflite"), Path("/b/other.tflite")]
    assert benchmark._names(paths) == ["a/model", "b/model", "other", "other"]


def test_a_limit_spreads_over_both_classes(tiny_manifest: Manifest) -> None:
    tiles = select_tiles(tiny_manifest, "all", 10)
    assert len(tiles.items) == 10 == len(set(tiles.items))
    assert sum(item.label for item in tiles.items) == 5
    assert len(select_tiles(tiny_manifest, "test", 1000).items) == 8
    assert tiles.sha256 == tiny_manifest.sha256
    with pytest.raises(CrackError, match="'exam'"):
        select_tiles(tiny_manifest, "exam")


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40))
def test_auc_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[int, bool]]) -> None:
    scores = np.array([score for score, _ in pairs], dtype=np.float32)
    labels = np.array([label for _, label in pairs], dtype=int)
    cracked, clean = scores[labels == 1], scores[labels == 0]
    if not len(cracked) or not len(clean):
        assert roc_auc(scores, labels) is None
        return
    difference = cracked[:, None] - clean[None, :]
    assert roc_auc(scores, labels) == pytest.approx(float(np.mean((difference > 0) + 0.5 * (difference == 0))))


def test_latency_statistics_of_known_times() -> None:
    found = latency_statistics([float(value) for value in range(1, 102)])
    assert found["mean_ms"] == found["p50_ms"] == 51
    assert (found["min_ms"], found["p90_ms"], found["p95_ms"], found["p99_ms"]) == (1, 91, 96, 100)
    assert found["stdev_ms"] == pytest.approx(29.3002, abs=1e-4)


def test_the_table_is_aligned() -> None:
    text = format_table(
        [{"a": "x", "b": 1.0}, {"a": "longer", "b": 10.0}], {"name": lambda r: r["a"], "ms": lambda r: f"{r['b']:.1f}"}
    )
    assert text.splitlines() == ["name      ms", "x        1.0", "longer  10.0"]


def test_a_raspberry_pi_is_described_by_its_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
        "sys/class/thermal/thermal_zone0/temp": "48312\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    found = hardware.describe(tmp_path)
    assert found["cpu"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert (found["governor"], found["temperature_c"], found["cores"]) == ("ondemand", 48.312, 4)
    assert found["slug"] == "aarch64-raspberry-pi-4-model-b-4cores"


def test_a_pc_is_described_by_its_cpu_and_unknown_things_are_none(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(
        "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Intel(R) Xeon(R) CPU @ 2.20GHz\n"
    )
    found = hardware.describe(tmp_path)
    assert found["cpu"] == "Intel(R) Xeon(R) CPU @ 2.20GHz"
    assert "-intel-xeon-" in found["slug"]
    assert found["governor"] is None
    assert found["temperature_c"] is None


def test_a_clock_that_changes_speed_is_warned_about(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark._warn_about_clock("ondemand")
    assert "'ondemand'" in capsys.readouterr().err
    benchmark._warn_about_clock("performance")
    benchmark._warn_about_clock(None)
    assert capsys.readouterr().err == ""
