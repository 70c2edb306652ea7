"""Speeds of a board are measured there, measured here, or projected by one published figure, and say which."""

from __future__ import annotations

from pathlib import Path

import pytest

from crack_tf.models import speeds as module
from crack_tf.models.shipped import read_zoo
from crack_tf.models.speeds import PI4_MOBILENET_MS, ModelSpeed, board_speeds
from tflite.errors import CrackError
from tflite.files import write_csv


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[ModelSpeed]:
    """This machine, on which MobileNetV2 takes 8.5 ms."""
    found = [ModelSpeed("quick", 227, 600.0), ModelSpeed("slow", 227, 60.0)]
    monkeypatch.setattr(module, "measure_here", lambda: (found, 8.5))
    return found


def test_this_machine_is_measured(here: list[ModelSpeed]) -> None:
    found, source = board_speeds("x86")
    assert found == here
    assert "measured now on this machine" in source


@pytest.mark.parametrize("board", ["pi4", "pi5"])
def test_a_board_is_projected_by_the_published_time_and_says_so(here: list[ModelSpeed], board: str) -> None:
    found, source = board_speeds(board)
    assert [model.tiles_per_s for model in found] == [model.tiles_per_s * 8.5 / PI4_MOBILENET_MS for model in here]
    assert "PROJECTED, not measured: MobileNetV2 takes 8.5 ms on this machine" in source
    assert ("of a Pi 5 no published one was found" in source) == (board == "pi5")


def test_a_table_measured_on_the_board_goes_before_a_projection(tmp_path: Path) -> None:
    def row(sha256: str, p50: float, resize: object = "", inference: object = "") -> dict[str, object]:
        times = {"p50_ms": p50, "resize_p50_ms": resize, "inference_p50_ms": inference}
        return {"hardware": "pi5", "model": "opnet_lite-int8-qat", "sha256": sha256, **times}

    nano = read_zoo()[1]["opnet_lite_nano"].files["tflite"].sha256
    rows = [row(nano, 2.0), row(nano, 0.9, 0.5, 0.75), row("0" * 64, 1.0)]
    write_csv(tmp_path / "board.csv", rows)
    (found,), source = board_speeds("pi5", tmp_path / "board.csv")
    assert found.name == "opnet_lite_nano"
    assert found.tiles_per_s == pytest.approx(800)
    assert source == "measured on pi5 (board.csv)"


def test_what_is_no_board_and_no_table_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="choose one of pi4, pi5, x86"):
        board_speeds("pi9")
    write_csv(tmp_path / "x.csv", [{"model": "other", "p50_ms": 1}])
    with pytest.raises(CrackError, match="none of the shipped models"):
        board_speeds("pi4", tmp_path / "x.csv")
    with pytest.raises(CrackError, match="does not exist"):
        board_speeds("pi4", tmp_path / "gone.csv")
