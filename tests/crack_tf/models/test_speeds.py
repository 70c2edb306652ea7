"""Speeds of a board are measured there, measured here, or projected by one published figure, and say which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crack_tf.models import speeds as module
from crack_tf.models.shipped import read_zoo
from crack_tf.models.speeds import PI4_MOBILENET_MS, RECOMMENDED, Measured, board_speeds
from tflite.errors import CrackError
from tflite.files import write_csv

HERE = Measured((("quick", 227, (1.0, 2.0, 4.0)), ("slow", 227, (20.0, 20.0, 20.0))), (8.5, 17.0, 34.0))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Measured:
    """This machine, on which MobileNetV2 takes 17 ms, and something else works more and more."""
    monkeypatch.setattr(module, "measure_here", lambda: HERE)
    return HERE


def test_this_machine_is_measured_with_its_spread(here: Measured) -> None:
    (quick, slow), source = board_speeds("x86")
    assert (quick.least, quick.tiles_per_s, quick.most) == (250.0, 500.0, 1000.0)
    assert (slow.least, slow.tiles_per_s, slow.most) == (50.0, 50.0, 50.0)
    assert "measured now on this machine in 3 rounds" in source


@pytest.mark.parametrize("board", ["pi4", "pi5"])
def test_a_board_is_projected_round_by_round_by_the_published_time_and_says_so(here: Measured, board: str) -> None:
    (quick, slow), source = board_speeds(board)
    assert PI4_MOBILENET_MS == 17
    assert quick.rounds == (500.0, 500.0, 500.0)  # whatever slowed one slowed the other
    assert slow.rounds == (25.0, 50.0, 100.0)
    assert "PROJECTED, not measured: MobileNetV2 takes 17.0 ms on this machine" in source
    assert ("of a Pi 5 no published one was found" in source) == (board == "pi5")


def test_a_busy_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for load, busy in ((0.0, False), (400.0, True), (None, False)):
        monkeypatch.setattr(module, "measure_here", lambda load=load: replace(HERE, load=load))
        assert all(("This machine was busy" in board_speeds(board)[1]) == busy for board in ("x86", "pi4"))


def test_the_models_are_asked_in_turn_and_the_recommended_ones_are_shipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "ROUNDS", 2)
    monkeypatch.setattr(module, "_RUNS", 1)
    found = module.measure_here()
    names = [name for name, _, _ in found.models]
    assert capsys.readouterr().out == f"measuring {len(names)} models on this machine\n"
    assert set(RECOMMENDED) < set(names)
    assert all(len(times) == 2 and min(times) > 0 for _, _, times in found.models)
    assert len(found.reference) == 2
    default = next(model.name for model in read_zoo()[1].values() if model.default and model.task == "classify")
    assert RECOMMENDED[0] == default


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
