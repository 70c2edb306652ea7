"""`crack-tf plan` prints a plan, or one line that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from crack_tf import plan
from crack_tf.models import speeds
from crack_tf.models.speeds import Measured


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeds, "measure_here", lambda: Measured((("nano", 227, (1.0, 1.0)),), (10.0, 10.0)))


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
    assert plan.main(["--needs-mm", "0.3", "--camera", ""]) == 2
    assert capsys.readouterr().err.startswith("error: --camera '' is no photograph")
    for option in ("--faces", "--speeds"):
        gone = str(tmp_path / "gone.json")
        assert plan.main(["--needs-mm", "0.3", "--camera", "pi-camera-3", option, gone]) == 2
        assert capsys.readouterr().err == f"error: {option} {gone} does not exist.\n"


@pytest.mark.parametrize(
    ("option", "number", "told"),
    [
        ("--needs-mm", "1e9", "millimetres from 0.01 to 100"),
        ("--needs-mm", "1e-9", "millimetres from 0.01 to 100"),
        ("--exposure", "60", "seconds from 1e-06 to 1"),
        ("--blur-px", "1e6", "pixels from 0.01 to 100"),
        ("--speed-m-s", "300", "metres a second from 0.001 to 50"),
        ("--focal-mm", "1e8", "millimetres from 0.5 to 5000"),
        ("--sensor-width-mm", "0.001", "millimetres from 1 to 200"),
    ],
)
def test_an_absurd_number_is_refused_with_what_is_possible(
    option: str, number: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--camera", "pi-camera-3", option, number] + ([] if option == "--needs-mm" else ["--needs-mm", "0.3"])
    assert plan.main(given) == 2
    assert capsys.readouterr().err == f"error: {option} {float(number):g}: give {told}.\n"


@pytest.mark.parametrize("text", ["0", "1/0", "-1", "x", "1/2/3"])
def test_an_exposure_that_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        plan.main(["--needs-mm", "0.3", "--camera", "pi-camera-3", "--exposure", text])
    assert stop.value.code == 2
    assert "--exposure" in capsys.readouterr().err


def test_the_boards_of_the_command_line_are_those_that_are_known() -> None:
    assert plan.BOARDS == speeds.BOARDS
