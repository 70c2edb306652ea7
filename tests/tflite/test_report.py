"""Results of many boards become one table: the newest of two alike, nothing from other files, pictures where possible."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tflite.board_results import make_row, make_series, write_record
from tflite.errors import CrackError
from tflite.files import write_csv, write_json
from tflite.report import find_results, write_report

ACCURACY: dict[str, Any] = {f"{rate}{end}": 0.99 for rate in ("recall", "specificity") for end in ("", "_low", "_high")}


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    """A Pi 4 with a sustained run, a Pi 5 in a folder of its own, and a file of another kind."""
    folder = tmp_path / "boards"
    hot = make_row("opnet", 4, 20.0, **make_series(20.0, 1), **ACCURACY, joules_per_decision=0.06)
    write_record(folder / "pi4.json", "Raspberry Pi 4", [make_row("opnet", 1, 60.0, **ACCURACY), hot])
    write_record(
        folder / "anna" / "pi5.json", "Raspberry Pi 5", [make_row("opnet", 4, 5.0), make_row("mobilenet", 4, 4.0)]
    )
    write_json(folder / "check.json", {"format": "crack_tf.check/1"})
    return folder


def table(out: Path) -> list[dict[str, str]]:
    with (out / "report.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_the_rows_of_all_boards_are_in_one_table(
    boards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_report([boards], tmp_path / "out", overwrite=False)
    rows = table(tmp_path / "out")
    assert [(row["board"], row["model"], row["threads"], float(row["p50_ms"])) for row in rows] == [
        ("Raspberry Pi 4", "opnet", "1", 60.0),
        ("Raspberry Pi 4", "opnet", "4", 20.0),
        ("Raspberry Pi 5", "mobilenet", "4", 4.0),
        ("Raspberry Pi 5", "opnet", "4", 5.0),
    ]
    assert {Path(row["file"]).name for row in rows} == {"pi4.json", "pi5.json"}
    assert "sustained" not in rows[0]
    captured = capsys.readouterr()
    assert "mJ/decision" in captured.out
    assert "60.0" in captured.out
    assert "1 other JSON file(s) passed over (check.json)" in captured.err


def test_pictures_of_all_boards_and_of_each_sustained_run_are_drawn(boards: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sustained-of-an-earlier-report.png").touch()
    with pytest.raises(CrackError, match="exists already"):
        write_report([boards], tmp_path / "out", overwrite=False)
    write_csv(tmp_path / "out/report.csv", [{"board": "Pi", "model": "opnet", "threads": 1, "p50_ms": 9.5}])
    write_report([boards], tmp_path / "out", overwrite=True)
    found = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert found == {"report.png", "sustained-aarch64-raspberry-pi-4-4cores.png"}


def test_of_two_measurements_alike_the_newest_is_taken_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = write_record(tmp_path / "a.json", "Pi", [make_row("opnet", 1, 10.0)], created="2025-07-02T00:00:00Z")
    old = write_record(
        tmp_path / "b.json",
        "Pi",
        [make_row("opnet", 1, 30.0), make_row("opnet", 2, 20.0)],
        created="2025-07-01T00:00:00Z",
    )
    write_report([new, old], tmp_path / "out", overwrite=False)
    assert [float(row["p50_ms"]) for row in table(tmp_path / "out")] == [10.0, 20.0]
    error = capsys.readouterr().err
    assert "Pi, opnet, 1 thread(s), xnnpack: measured twice" in error
    assert f"took {new}" in error
    assert f"left out {old}" in error


def test_two_models_of_one_name_in_one_file_are_both_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = ((10.0, "a"), (30.0, "b"), (11.0, "a"))
    rows = [make_row("opnet", 1, p50, sha256=sha256) for p50, sha256 in pairs]
    write_report([write_record(tmp_path / "a.json", "Pi", rows)], tmp_path / "out", overwrite=False)
    found = {row["sha256"]: float(row["p50_ms"]) for row in table(tmp_path / "out")}
    assert found == {"a": 11.0, "b": 30.0}
    assert capsys.readouterr().err.count("measured twice") == 1
    # A model that was trained anew replaces what an earlier file says of its name.
    later = write_record(
        tmp_path / "b.json", "Pi", [make_row("opnet", 1, 9.0, sha256="c")], created="2025-07-02T00:00:00Z"
    )
    write_report([tmp_path / "a.json", later], tmp_path / "again", overwrite=False)
    assert [row["sha256"] for row in table(tmp_path / "again")] == ["c"]


def test_a_file_named_twice_counts_once(boards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(find_results([boards, boards / "pi4.json", boards / "anna"])) == 2
    assert "measured twice" not in capsys.readouterr().err


def test_sources_without_results_are_refused(boards: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CrackError, match="holds no benchmark result"):
        find_results([tmp_path / "empty"])
    for source, words in (
        (boards / "check.json", "format 'crack_tf.check/1', expected"),
        (tmp_path / "absent.json", "does not exist"),
    ):
        with pytest.raises(CrackError, match=words):
            write_report([source], tmp_path / "out", overwrite=False)
    (boards / "cut.json").write_text('{"format": ')
    with pytest.raises(CrackError, match=r"cut\.json is not valid JSON"):
        write_report([boards], tmp_path / "out", overwrite=False)
    empty = write_record(tmp_path / "interrupted.json", "Pi", [])
    with pytest.raises(CrackError, match="hold no row"):
        write_report([empty], tmp_path / "out", overwrite=False)
    assert not (tmp_path / "out").exists()


def test_an_earlier_report_is_kept_unless_told_otherwise(boards: Path, tmp_path: Path) -> None:
    write_report([boards], tmp_path, overwrite=False)
    with pytest.raises(CrackError, match="--overwrite"):
        write_report([boards], tmp_path, overwrite=False)
    write_report([boards / "pi4.json"], tmp_path, overwrite=True)
    assert len(table(tmp_path)) == 2


def test_without_matplotlib_there_is_a_table_and_a_line(
    boards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    write_report([boards], tmp_path / "out", overwrite=False)
    assert "plots need matplotlib" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.csv"]
