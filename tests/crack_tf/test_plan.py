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


def test_the_flight_is_told_before_models_are_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stopped() -> Measured:
        raise KeyboardInterrupt

    monkeypatch.setattr(speeds, "measure_here", stopped)
    asked = ["--needs-mm", "0.3", "--camera", "pi-camera-3"]
    assert plan.main(asked) == 130
    told = capsys.readouterr().out
    assert "speed       at most" in told
    assert "board " not in told
    assert plan.main([*asked, "--speeds", str(tmp_path)]) == 2  # before anything is told
    assert capsys.readouterr() == ("", f"error: --speeds {tmp_path} cannot be read (Is a directory).\n")


def test_a_wrong_argument_is_one_line_and_code_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert plan.main(["--needs-mm", "0.3", "--camera", str(tmp_path / "gone.jpg")]) == 2
    assert capsys.readouterr().err.startswith("error: --camera ")
    assert plan.main(["--needs-mm", "0.3", "--camera", ""]) == 2
    assert capsys.readouterr().err.startswith("error: --camera '' is no photograph")
    (tmp_path / "empty.jpg").touch()
    assert plan.main(["--needs-mm", "0.3", "--camera", str(tmp_path / "empty.jpg")]) == 2
    assert capsys.readouterr().err.startswith(f"error: --camera {tmp_path / 'empty.jpg'} is not an image")
    for option in ("--faces", "--speeds"):
        gone = str(tmp_path / "gone.json")
        assert plan.main(["--needs-mm", "0.3", "--camera", "pi-camera-3", option, gone]) == 2
        assert capsys.readouterr().err == f"error: {option} {gone} does not exist.\n"


@pytest.mark.parametrize(
    ("option", "number", "told"),
    [
        ("--needs-mm", "1e9", "millimetres from 0.01 to 100"),
        ("--needs-mm", "1e-9", "millimetres from 0.01 to 100"),
        ("--exposure", "60", "seconds from 0.000001 to 1, such as 1/60"),
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


def test_an_overlap_in_percent_is_refused_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        plan.main(["--needs-mm", "0.3", "--camera", "pi-camera-3", "--overlap", "30%"])
    assert "argument --overlap: must be a share such as 0.3, without a unit, got '30%'" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "1/0", "-1", "-1/2000", "x", "1/2/3", "-.5/9"])
def test_an_exposure_that_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        plan.main(["--needs-mm", "0.3", "--camera", "pi-camera-3", "--exposure", text])
    assert stop.value.code == 2
    assert f"--exposure: must be seconds above 0 such as 0.001 or 1/1000, got '{text}'" in capsys.readouterr().err


def test_a_value_that_begins_with_a_minus_is_the_options_before_it() -> None:
    given = ["--exposure", "-1/2000", "--faces", "-", "--exposure=1", "-1"]
    assert plan.with_values(given) == ["--exposure=-1/2000", "--faces", "-", "--exposure=1", "-1"]


def test_the_boards_of_the_command_line_are_those_that_are_known() -> None:
    assert plan.BOARDS == speeds.BOARDS
