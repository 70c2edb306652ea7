"""The table of speed and memory: a row per flight, and clear words where it cannot be made."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from crack_tf.survey import scaling
from tflite.errors import CrackError


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
