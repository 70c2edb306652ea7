"""The table of speed and memory: a row per flight, and clear words where it cannot be made."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crack_tf.survey.searching import loopback
from studies import survey_scaling as scaling
from tflite.errors import CrackError
from tflite.files import read_csv, write_json


def test_every_flight_is_a_row_with_its_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "performance.csv"
    assert scaling.main(["--flights", "2", "--size", "320x240", "--large", "0", "--out", str(table)]) == 0
    with table.open(newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["photos"], row["size"]) == ("2", "320x240")
    assert float(row["photos_per_minute"]) > 0
    assert int(row["peak_memory_mb"]) > 10
    assert row["hardware"]
    assert sum(float(value) for name, value in row.items() if name.endswith("_share")) == pytest.approx(1, abs=0.01)
    assert "2 photographs of 320x240" in capsys.readouterr().out
    assert scaling.main(["--out", str(table)]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--flights", "10,none"), "such as 10,100,400"), (("--size", "big"), "WIDTHxHEIGHT"), (("--large", "-1"), "-1")],
)
def test_bad_options_are_explained(options: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        scaling.main([*options, "--out", "table.csv"])
    assert message in capsys.readouterr().err


def test_a_survey_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CrackError, match="2 photographs ended with code 1"):
        scaling.measure(tmp_path, 2, (320, 240))


def test_every_number_of_workers_is_a_row_beside_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    surveys: list[list[str]] = []
    seconds = {"1": iter((9.0, 60.0, 30.0, 40.0)), "2": iter((9.0, 30.0, 10.0, 20.0))}  # warming up, then three rounds

    @contextmanager
    def cluster(folder: Path, workers: int) -> Iterator[SimpleNamespace]:
        taken = iter((5.0, 8.0) * 3)  # before and after a survey
        yield SimpleNamespace(address=f"tcp://{workers}", cpu_seconds=lambda: next(taken))

    def survey(command: list[str], cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
        surveys.append(command)
        out = cwd / command[command.index("--out") + 1]
        write_json(out / "performance.json", {"seconds": next(seconds[command[-1].removeprefix("tcp://")])})
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(loopback, "loopback_cluster", cluster)
    monkeypatch.setattr(subprocess, "run", survey)
    table = tmp_path / "workers.csv"
    assert scaling.main(["--workers", "1,2", "--flights", "2", "--size", "320x240", "--out", str(table)]) == 0
    rows = read_csv(table)
    assert [(row["workers"], row["photos_per_minute"], row["times_the_first"]) for row in rows] == [
        ("1", "4.0", "1.0"),
        ("2", "12.0", "3.0"),
    ]
    assert [float(row["workers_cpu_s_per_photo"]) for row in rows] == [1.5, 1.5]
    # Each cluster first gets something to warm up on, and then they take turns.
    assert [(command[3], command[-1][-1]) for command in surveys[:4]] == [
        ("warm-up/photos", "1"),
        ("warm-up/photos", "2"),
        ("flight/photos", "1"),
        ("flight/photos", "2"),
    ]


def test_a_processs_time_is_that_of_its_own_clock() -> None:
    started = time.process_time()
    while time.process_time() - started < 0.05:
        pass
    assert loopback.Loopback("", [SimpleNamespace(pid=os.getpid(), poll=lambda: None)]).cpu_seconds() == pytest.approx(  # type: ignore[list-item]
        time.process_time(), abs=0.2
    )
