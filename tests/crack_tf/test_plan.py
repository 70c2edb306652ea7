"""`crack-tf plan` prints a plan, or one line that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from crack_tf import plan
from crack_tf.deploy import speeds
from crack_tf.deploy.speeds import ModelSpeed


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeds, "measure_here", lambda: ([ModelSpeed("nano", 227, 1000.0)], 10.0))


def test_a_plan_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main(["--needs-mm", "0.3", "--camera", "pi-camera-3", "--board", "pi4", "--exposure", "1/2000"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("camera      pi-camera-3: 4608x2592 pixels, focal length 3,386 pixels")
    assert "distance    0.30 m, never more than 0.34 m" in told
    assert "from 2 m it would take a lens 6.6 times as long" in told
    assert "PROJECTED, not measured" in told
    assert "nano: 252 tiles a photograph" in told


def test_a_wrong_argument_is_one_line_and_code_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert plan.main(["--needs-mm", "0.3", "--camera", str(tmp_path / "gone.jpg")]) == 2
    assert capsys.readouterr().err.startswith("error: --camera ")
    faces = ["--faces", str(tmp_path / "gone.json")]
    assert plan.main(["--needs-mm", "0.3", "--camera", "pi-camera-3", *faces]) == 2
    assert "gone.json" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "1/0", "-1", "x", "1/2/3"])
def test_an_exposure_that_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        plan.main(["--needs-mm", "0.3", "--camera", "pi-camera-3", "--exposure", text])
    assert stop.value.code == 2
    assert "--exposure" in capsys.readouterr().err


def test_the_boards_of_the_command_line_are_those_that_are_known() -> None:
    assert plan.BOARDS == speeds.BOARDS
