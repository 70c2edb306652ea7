"""One row is measured truly: known times, the state of the board, ratios between models, and files that changed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tflite.fake_boards import make_vcgencmd
from tflite import hardware, measure
from tflite.errors import CrackError
from tflite.hardware import Snapshot
from tflite.manifest import Manifest
from tflite.measure import Job, Runner, compare, latency_statistics, select_tiles
from tflite.sustained import Load


def test_latency_statistics_of_known_times() -> None:
    found = latency_statistics([float(value) for value in range(1, 102)])
    assert found["mean_ms"] == found["p50_ms"] == 51
    assert (found["min_ms"], found["p90_ms"], found["p95_ms"], found["p99_ms"]) == (1, 91, 96, 100)
    assert found["stdev_ms"] == pytest.approx(29.3002, abs=1e-4)


def test_a_model_compared_with_itself_is_about_as_fast(models: dict[str, Path]) -> None:
    job = Job(models["float32"], "a", 1, "xnnpack", 200, 20, None)
    first, second = compare([job, replace(job, name="b")])
    assert first.ratio == 1.0
    assert 0.5 < second.ratio < 2.0
    assert 0.5 < second.paired_ratio < 2.0


def test_a_slower_model_has_a_ratio_above_one(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    original = measure._timed

    def slowed(runner: Runner) -> float:
        return original(runner) + (50.0 if runner.scheme == "float32" else 0.0)

    monkeypatch.setattr(measure, "_timed", slowed)
    job = Job(models["uint8"], "fast", 1, "xnnpack", 50, 1, None)
    rows = compare([job, replace(job, path=models["float32"], name="slow")])
    assert rows[1].ratio > 5
    assert rows[1].paired_ratio > 5
    assert rows[1].min_ratio == pytest.approx(rows[1].min_ms / rows[0].min_ms, rel=0.05)
    assert rows[1].min_ms <= rows[1].p50_ms


def test_an_image_that_changed_since_the_split_is_named(models: dict[str, Path], tiny_manifest: Manifest) -> None:
    item = replace(tiny_manifest.split("test")[0], sha256="0" * 64)
    tiles = replace(select_tiles(tiny_manifest, "test"), items=(item,))
    with pytest.raises(CrackError, match="changed since manifest"):
        measure.measure(Job(models["uint8"], "a", 1, "xnnpack", 50, 0, tiles))


def test_a_limit_spreads_over_both_classes(tiny_manifest: Manifest) -> None:
    tiles = select_tiles(tiny_manifest, "all", 10)
    assert len(tiles.items) == 10 == len(set(tiles.items))
    assert sum(item.label for item in tiles.items) == 5
    assert len(select_tiles(tiny_manifest, "test", 1000).items) == 8
    assert tiles.sha256 == tiny_manifest.sha256
    with pytest.raises(CrackError, match="'exam'"):
        select_tiles(tiny_manifest, "exam")


def test_the_row_tells_how_the_board_was_before_and_after(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    states = iter(
        [
            Snapshot(45.0, 1800.0, "ondemand", 0x50000),
            Snapshot(79.0, 1800.0, "ondemand", 0x50000),
            Snapshot(81.5, 1500.0, "ondemand", 0xD0008),
        ]
    )
    monkeypatch.setattr(hardware, "snapshot", lambda: next(states))
    row = measure.measure(Job(models["uint8"], "a", 1, "xnnpack", 50, 0, None))
    assert (row["temperature_before_c"], row["temperature_c"]) == (45.0, 81.5)
    assert (row["clock_before_mhz"], row["clock_after_mhz"], row["governor"]) == (1800.0, 1500.0, "ondemand")
    assert (row["throttled_before"], row["throttled_after"]) == ("0x50000", "0xd0008")
    assert row["throttled_during"] == "soft temperature limit"  # the rest had happened before
    assert row["sustained"] is None


def test_without_a_firmware_that_tells_throttling_is_unknown_not_absent(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "snapshot", lambda: Snapshot(None, None, None, None))
    row = measure.measure(Job(models["uint8"], "a", 1, "xnnpack", 50, 0, None))
    assert row["throttled_during"] is row["throttled_before"] is row["temperature_c"] is None


def test_throttling_in_the_middle_of_the_load_is_told(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = make_vcgencmd(tmp_path / "bin", get_throttled="throttled=0x0")
    # The load itself brings the throttling, and it is over when the load ends; this firmware keeps no history.
    script = f"""#!/bin/sh
test "$1" = get_throttled || exit 1
echo x >> {folder}/calls
test $(wc -l < {folder}/calls) -eq 3 && echo throttled=0x4 || echo throttled=0x0
"""
    (folder / "vcgencmd").write_text(script)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    row = measure.measure(Job(models["uint8"], "a", 1, "xnnpack", 50, 0, None, Load(0.3, 20)))
    assert row["throttled_during"] == "throttled"
    assert (row["throttled_before"], row["throttled_after"]) == ("0x0", "0x0")


def test_the_load_decides_whole_files_where_there_are_tiles(models: dict[str, Path], tiny_manifest: Manifest) -> None:
    job = Job(models["uint8"], "a", 1, "xnnpack", 50, 0, select_tiles(tiny_manifest, "test"), Load(0.3, 30))
    row = measure.measure(job)
    assert row["sustained_work"] == "file to decision"
    assert row["decisions"] + row["dropped"] == 9
    alone = measure.measure(replace(job, tiles=None))
    assert alone["sustained_work"] == "inference"
    assert alone["sustained"]["bins"]["decisions"] == [alone["decisions"]]
