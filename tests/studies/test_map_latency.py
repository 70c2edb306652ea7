"""What a photograph costs is measured from its file to its mask, for every number of threads, with the machine beside it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studies import map_latency as latency
from tests.dark_map_model import dark_photo, write_map_model
from tests.dark_model import write_dark_model

HEIGHT, WIDTH = 90, 150


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "dark.tflite"
    write_map_model(path)
    return path


@pytest.fixture(autouse=True)
def small_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: Path) -> None:
        Image.fromarray(dark_photo(HEIGHT, WIDTH)).save(path, "JPEG")

    monkeypatch.setattr("crack_tf.evaluation.suite.cost.write_photo", write)
    monkeypatch.setattr("crack_tf.evaluation.suite.cost.WIDTH", WIDTH)
    monkeypatch.setattr("crack_tf.evaluation.suite.cost.HEIGHT", HEIGHT)


def test_a_row_per_thread_count_names_machine_nodes_and_memory(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "latency.csv"
    assert latency.main([str(model), "--threads", "2,1,2", "--rounds", "1", "--out", str(out)]) == 0
    with out.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["threads"] for row in rows] == ["2", "1"]
    for row in rows:
        assert float(row["total_p50_s"]) == pytest.approx(
            float(row["decode_p50_s"]) + float(row["segment_p50_s"]), abs=1e-3
        )
        assert float(row["peak_rss_mb"]) >= float(row["base_rss_mb"]) > 10
        assert (row["photo"], row["delegate"], row["rounds"]) == ("150x90", "xnnpack", "1")
        assert row["tiles"] == "1"  # the photograph fits into one window
        assert int(row["delegate_nodes"]) + int(row["nodes_remaining"]) > 0
        assert row["hardware"]
        assert int(row["cores"]) >= 1
    printed = capsys.readouterr()
    assert "150x90 pixels, medians of 1" in printed.out
    assert "round 1/1, 2 thread(s)" in printed.err
    assert latency.main([str(model), "--out", str(out)]) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_less_overlap_means_fewer_tiles(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tflite.segmenter.window_step", lambda path: None)
    photo = tmp_path / "photo.png"
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(photo)
    counts = [latency.measure(latency.Run(model, photo, 1, "none", share))["tiles"] for share in (0.5, 0.0)]
    assert counts[0] > counts[1] == 15


@pytest.mark.parametrize(("threads", "got"), [("0", "0"), ("1,x", "'x'"), ("", "''")])
def test_odd_thread_counts_are_refused(threads: str, got: str, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        latency.main([str(model), "--threads", threads])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "--threads: a count must be" in said
    assert f"got {got};" in said


def test_a_classifier_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "classifier.tflite"
    write_dark_model(path)
    assert latency.main([str(path), "--rounds", "1", "--threads", "1"]) == 2
    assert "is a classifier" in capsys.readouterr().err


def test_work_of_others_is_mentioned() -> None:
    row = {
        "model": "unet",
        "threads": 1,
        "delegate": "xnnpack",
        "delegate_nodes": 6,
        "nodes_remaining": 6,
        "tiles": 336,
        "total_p50_s": 3.5,
        "total_min_s": 3.4,
        "total_max_s": 3.6,
        "cpu_p50_s": 6.0,
        "peak_rss_mb": 200.0,
        "photo": "4000x3000",
        "rounds": 5,
        "cores": 2,
        "cpu": "AMD EPYC",
        "load_average": 0.4,
    }
    assert "other work" not in latency.report([row])
    assert "load average was 7.5" in latency.report([row | {"load_average": 7.5}])
