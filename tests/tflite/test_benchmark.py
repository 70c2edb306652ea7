"""Benchmark rows are complete and true, bad requests stop before any measurement, and finished rows outlive Ctrl-C."""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tflite import benchmark, hardware, timing
from tflite.errors import CrackError
from tflite.images import load_rgb
from tflite.manifest import Manifest
from tflite.measure import Job, compare, measure, peak_rss_mb
from tflite.results import FORMAT, result_path
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


def test_shares_of_few_tiles_are_printed_with_their_number_and_interval(
    models: dict[str, Path], tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--manifest", tiny_manifest.source, "--runs", 50, "--warmup", 0, "--out", tmp_path)
    assert run(models["uint8"], *options) == 0
    _, (row,) = results(tmp_path)
    told = f"{float(row['recall']):.4f}, {row['tp']} of 4 ({float(row['recall_low']):.2f} to {float(row['recall_high']):.2f})"
    printed = capsys.readouterr().out
    assert told in printed
    assert f", {row['tn']} of 4 (" in printed


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
    assert "LiteRT cannot load" in capsys.readouterr().err
    assert run(tmp_path / "absent.tflite", "--out", tmp_path / "out") == 2
    assert "absent.tflite" in capsys.readouterr().err


def test_a_file_without_sidecar_is_timed_and_its_accuracy_is_said_not_to_be_measured(
    models: dict[str, Path], copied: Any, tiny_manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = copied("int8")
    sidecar_path(bare).unlink()
    options = ["--runs", 50, "--warmup", 0, "--manifest", tiny_manifest.source, "--out", tmp_path / "out", "--compare"]
    assert run(bare, models["uint8"], *options) == 0
    printed = capsys.readouterr()
    assert f"{bare} is timed without a sidecar" in printed.err
    assert "Its accuracy is not measured" in printed.err
    record, rows = results(tmp_path / "out")
    assert [(row["model"], row["manifest"]) for row in rows] == [("tiny-int8", ""), ("tiny-uint8", tiny_manifest.name)]
    assert float(rows[0]["p50_ms"]) > 0
    assert (rows[0]["image_size"], rows[0]["task"], rows[0]["recall"]) == ("32", "", "")
    assert rows[0]["macs"] == rows[1]["macs"]
    assert record["compare"][1]["ratio"] > 0


def test_a_sidecar_is_passed_over_on_request(copied: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = copied("int8")
    sidecar_path(model).write_text("{}")
    assert run(model, "--runs", 50, "--out", tmp_path / "out") == 2
    assert "not a model sidecar" in capsys.readouterr().err
    assert run(model, "--runs", 50, "--no-sidecar", "--out", tmp_path / "out") == 0


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


def test_earlier_results_are_kept_unless_told_otherwise(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = result_path(tmp_path, ".json")
    earlier = json.dumps({"format": FORMAT, "rows": []})
    path.write_text(earlier)
    assert run(models["uint8"], "--runs", 50, "--out", tmp_path) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert path.read_text() == earlier
    path.write_text("somebody else's")
    assert run(models["uint8"], "--runs", 50, "--out", tmp_path, "--overwrite") == 2
    assert "was not written by tflite.benchmark" in capsys.readouterr().err
    assert path.read_text() == "somebody else's"
    path.write_text(earlier)
    assert run(models["uint8"], "--runs", 50, "--out", tmp_path, "--overwrite") == 0
    assert json.loads(path.read_text())["format"] == FORMAT


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


def test_models_of_one_name_are_told_apart_by_their_folder() -> None:
    paths = [Path("/a/model.tflite"), Path("/b/model.tflite"), Path("/b/other.tflite"), Path("/b/other.tflite")]
    assert timing._names(paths, {}) == ["a/model", "b/model", "other", "other"]
    known = {Path("/zoo/opnet/int8.tflite"): "opnet-int8"}
    paths = [*known, Path("/runs/mine/export/opnet-int8.tflite"), Path("/runs/../zoo/opnet/int8.tflite")]
    assert timing._names(paths[:1] * 2, known) == ["opnet-int8"] * 2
    assert timing._names(paths[:2], known) == ["opnet/opnet-int8", "mine/opnet-int8"]
    assert timing._names([paths[0], paths[2]], known) == ["opnet-int8", "int8"]
    # Folders of one name do not tell them apart.
    paths = [Path("/a/run/export/model.tflite"), Path("/b/run/model.tflite")]
    assert timing._names(paths, {}) == ["/a/run/export/model", "/b/run/model"]


def test_a_clock_that_changes_speed_is_warned_about(capsys: pytest.CaptureFixture[str]) -> None:
    timing._warn_about_clock("ondemand")
    error = capsys.readouterr().err
    assert "'ondemand'" in error
    assert "scaling_governor" in error
    timing._warn_about_clock("performance")
    timing._warn_about_clock(None)
    assert capsys.readouterr().err == ""


def test_throttling_is_warned_about_before_and_after(capsys: pytest.CaptureFixture[str]) -> None:
    timing._warn_about_history(["under-voltage"])
    assert "since it started" in capsys.readouterr().err
    timing._warn_about_row({"model": "opnet", "throttled_during": "under-voltage; throttled"})
    error = capsys.readouterr().err
    assert "opnet" in error
    assert "under-voltage; throttled" in error
    timing._warn_about_history([])
    timing._warn_about_history(None)
    timing._warn_about_row({"model": "opnet", "throttled_during": "", "joules_per_decision": 0.1})
    timing._warn_about_row({"model": "opnet", "throttled_during": None})
    assert capsys.readouterr().err == ""
    timing._warn_about_row({"model": "opnet", "throttled_during": None, "joules_per_decision": -0.1})
    assert "no more power under load" in capsys.readouterr().err


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under an emulator: no child process can be started."""
    monkeypatch.setattr(timing, "can_spawn", lambda: False)
    monkeypatch.setattr(timing, "in_child", None)


def test_every_row_tells_of_the_board(finished: Path) -> None:
    record, rows = results(finished)
    assert record["environment"]["board"] | {"temperature_c": None, "clock_mhz": None} == hardware.board() | {
        "temperature_c": None,
        "clock_mhz": None,
    }
    for row in rows:
        assert row["board"] == hardware.describe()["cpu"]
        assert row["isolated"] == "True"
        assert row["clock_before_mhz"] == str(record["rows"][0]["clock_before_mhz"] or "")
        assert "sustained" not in row


def test_where_no_process_can_be_started_rows_are_measured_in_this_one(
    models: dict[str, Path], tmp_path: Path, emulated: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(models["uint8"], models["float32"], "--runs", 50, "--compare", "--out", tmp_path) == 0
    record, rows = results(tmp_path)
    assert [row["isolated"] for row in rows] == ["False", "False"]
    assert len(record["compare"]) == 2
    assert "cannot start itself" in capsys.readouterr().err


def test_sustained_load_and_energy_are_measured_written_and_drawn(
    models: dict[str, Path],
    tmp_path: Path,
    emulated: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("matplotlib")
    meter = tmp_path / "power1_input"
    meter.write_text("2500000\n")
    options = ["--sustained", 0.05, "--fps", 20, "--power-file", meter, "--out", tmp_path / "out", "--runs", 50]
    monkeypatch.setattr(timing, "IDLE_SECONDS", 0.2)
    assert run(models["uint8"], *options) == 0
    record, rows = results(tmp_path / "out")
    (row,) = rows
    assert (row["sustained_s"], row["sustained_fps"], row["power_idle_w"]) == ("3.0", "20.0", "2.5")
    assert int(row["decisions"]) + int(row["dropped"]) == 60
    assert float(row["joules_per_decision"]) == pytest.approx(0, abs=1e-6)
    assert float(row["joules_per_decision_gross"]) == pytest.approx(2.5 * 3.0 / int(row["decisions"]), rel=0.01)
    assert len(record["rows"][0]["sustained"]["bins"]["t_s"]) == 3
    assert result_path(tmp_path / "out", "-sustained.png").read_bytes().startswith(b"\x89PNG")
    captured = capsys.readouterr()
    assert "mJ/decision" in captured.out
    assert "2.500 W now" in captured.err
    assert "no more power under load" in captured.err
    assert run(models["uint8"], "--runs", 50, "--out", tmp_path / "out", "--overwrite") == 0
    assert not result_path(tmp_path / "out", "-sustained.png").exists()  # it showed another run


def test_a_power_reading_alone_asks_for_a_short_load() -> None:
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    parse: Any = parser.parse_args
    load = timing._load(parse(["m.tflite", "--power-command", "echo 3.5", "--power-unit", "W"]))
    assert load is not None
    assert (load.seconds, load.fps, load.power is not None) == (timing.ENERGY_SECONDS, None, True)
    assert timing._load(parse(["m.tflite"])) is None
    load = timing._load(parse(["--sustained", "10", "--fps", "15", "m.tflite"]))
    assert load is not None
    assert (load.seconds, load.fps, load.power) == (600, 15, None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fps", "10"], "--sustained MINUTES"),
        (["--sustained", "0.01"], "at least 0.05 minutes"),
        (["--power-unit", "mW"], "--power-file or --power-command"),
        (["--power-file", "absent"], "No such file"),
        (["--power-command", "echo three"], "'three' is not a number"),
        (["--power-command", "echo 3", "--power-file", "absent"], "one of them"),
        (["--report", "results"], "--report measures nothing"),
    ],
)
def test_requests_that_make_no_sense_stop_before_any_timing(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert run(models["uint8"], *options, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert words in error
    assert "measuring" not in error
    assert not (tmp_path / "out").exists()


def test_without_a_model_one_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run() == 2
    assert "no model given" in capsys.readouterr().err
    (tmp_path / "bundle.json").write_text("{}")
    assert run() == 2
    assert "models/*.tflite is empty" in capsys.readouterr().err


def test_in_an_unpacked_bundle_no_argument_is_needed(
    models: dict[str, Path], tiny_manifest: Manifest, tmp_path: Path, emulated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tiny_manifest.source is not None
    shutil.copytree(tiny_manifest.source.parent, tmp_path / "evaluation")
    (tmp_path / "evaluation" / tiny_manifest.source.name).rename(tmp_path / "evaluation/manifest.csv")
    shutil.copytree(models["uint8"].parent, tmp_path / "models")
    for name in ("int8", "float32"):
        (tmp_path / "models" / models[name].name).unlink()
    (tmp_path / "bundle.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hardware, "_cores", lambda: 3)
    assert run("--runs", 50) == 0
    _, rows = results(tmp_path / "benchmarks")
    found = [(row["model"], row["threads"], row["delegate"], row["tiles"]) for row in rows]
    assert found == [("tiny-uint8", threads, name, "8") for threads in "12" for name in ("xnnpack", "none")]


def test_compiled_models_run_on_the_edge_tpu_and_others_do_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], models: dict[str, Path]
) -> None:
    monkeypatch.setattr(timing, "_compiled", lambda path: "edgetpu" in path.name)
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)

    def planned(*options: str) -> list[tuple[str, str]]:
        args: Any = parser.parse_args(["a.tflite", "a_edgetpu.tflite", *options])
        return [(job.path.name, job.delegate) for job in timing._jobs(args, None, None)]

    assert planned() == [("a.tflite", "xnnpack"), ("a_edgetpu.tflite", "edgetpu")]
    assert planned("--delegate", "none,edgetpu") == [("a.tflite", "none"), ("a_edgetpu.tflite", "edgetpu")]
    # A single wrong one is kept: loading the model says what is wrong with it.
    assert planned("--delegate", "edgetpu") == [("a.tflite", "edgetpu"), ("a_edgetpu.tflite", "edgetpu")]
    (tmp_path / "models").mkdir()
    shutil.copy(models["uint8"], tmp_path / "models/a.tflite")
    shutil.copy(models["uint8"], tmp_path / "models/a_edgetpu.tflite")
    monkeypatch.chdir(tmp_path)
    assert [path.name for path in timing.find_bundled().models] == ["a.tflite"]  # no stick here
    assert "left out models/a_edgetpu.tflite" in capsys.readouterr().err


def test_a_report_needs_results_and_no_model(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--report", finished, "--out", tmp_path) == 0
    assert "tiny-uint8" in capsys.readouterr().out
    assert (tmp_path / "report.csv").exists()
    assert run("--report", finished, "--out", tmp_path) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_help_names_every_mode(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("--help")
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert all(option in printed for option in ("--sustained", "--fps", "--power-file", "--power-command", "--report"))
