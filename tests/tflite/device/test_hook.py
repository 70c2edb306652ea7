"""Hooks run beside the classifier: whatever they do, it goes on, and what they did is counted."""

from __future__ import annotations

import json
import sys
import time
import types
from pathlib import Path
from typing import Any

import pytest

from tflite.device.hook import WAITING, CommandHook, PinPulse
from tflite.errors import CrackError


def script(folder: Path, text: str) -> str:
    path = folder / "hook with space.py"
    path.write_text(text)
    return f"{sys.executable} '{path}' {folder}"


def test_a_command_gets_each_positive_as_json_in_order(tmp_path: Path) -> None:
    hook = CommandHook(script(tmp_path, "import sys; open(sys.argv[1] + '/heard', 'a').write(sys.stdin.read())"), 20)
    positives = [{"frame": "ü\n$(touch x).jpg", "score": number} for number in range(3)]
    for positive in positives:
        hook.fire(positive)
    hook.close()
    hook.close()
    assert [json.loads(line) for line in (tmp_path / "heard").read_text().splitlines()] == positives
    assert hook.counts == {"done": 3}


def test_no_shell_is_involved(tmp_path: Path) -> None:
    hook = CommandHook(f"touch {tmp_path}/a;b $HOME", 20)
    hook.fire({})
    hook.close()
    assert (tmp_path / "a;b").exists()
    Path("$HOME").unlink()


def test_a_failing_command_is_counted_and_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    hook = CommandHook(script(tmp_path, "import sys; print('out'); print('jammed', file=sys.stderr); sys.exit(3)"), 20)
    for _ in range(5):
        hook.fire({})
    hook.close()
    assert hook.counts == {"failed": 5}
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("failed (exit code 3)") == 3  # the first few
    assert err.count("jammed") == 5


def test_a_command_that_ignores_its_input_is_fine() -> None:
    hook = CommandHook("true", 20)
    hook.fire({"long": "x" * 1_000_000})
    hook.close()
    assert hook.counts == {"done": 1}


def test_a_hanging_command_is_killed_with_its_children_and_holds_nobody_up(tmp_path: Path) -> None:
    hook = CommandHook("sh -c 'sleep 30 & echo $! > child; cat > /dev/null; sleep 30'", 2)
    started = time.monotonic()
    for _ in range(WAITING + 5):
        hook.fire({})
    assert time.monotonic() - started < 1.5
    hook.close()
    assert time.monotonic() - started < 20
    assert hook.counts["timed out"] >= 1
    assert hook.counts["passed over"] >= 4
    assert sum(hook.counts.values()) == WAITING + 5
    child = int((Path("child")).read_text())
    Path("child").unlink()
    until = time.monotonic() + 5
    while alive(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(child)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_command_that_disappears_during_the_flight_is_a_failure(tmp_path: Path) -> None:
    command = tmp_path / "spray"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    hook = CommandHook(str(command), 5)
    command.unlink()
    hook.fire({})
    hook.close()
    assert hook.counts == {"failed": 1}


@pytest.mark.parametrize(
    ("command", "message"), [("", "no such command"), ("no-such-command x", "no such command"), ("'a", "its quotes")]
)
def test_commands_that_cannot_run_are_refused_at_the_start(command: str, message: str) -> None:
    with pytest.raises(CrackError, match=message):
        CommandHook(command, 1)


@pytest.fixture(autouse=True)
def _in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Device:
    """What gpiozero's DigitalOutputDevice does, without a pin."""

    made: list[Device] = []  # noqa: RUF012

    def __init__(self, pin: int) -> None:
        if pin == 99:
            raise RuntimeError("no such pin")
        self.pin, self.calls = pin, list[Any]()
        Device.made.append(self)

    def blink(self, **options: Any) -> None:
        if self.pin == 13:
            raise RuntimeError("unplugged")
        self.calls.append(options)

    def off(self) -> None:
        self.calls.append("off")

    def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def gpiozero(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("gpiozero")
    module.DigitalOutputDevice = Device  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gpiozero", module)
    Device.made.clear()


@pytest.mark.usefixtures("gpiozero")
def test_a_pin_is_switched_on_for_a_moment_and_the_last_pulse_is_a_whole_one() -> None:
    pulse = PinPulse(17, 1.0)
    started = time.monotonic()
    pulse.fire({})
    assert time.monotonic() - started < 0.5
    pulse.close()
    assert time.monotonic() - started >= 1.0
    assert Device.made[0].calls == [{"on_time": 1.0, "off_time": 0, "n": 1, "background": True}, "off", "close"]
    assert pulse.counts == {"done": 1}


@pytest.mark.usefixtures("gpiozero")
def test_a_pin_that_fails_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    pulse = PinPulse(13, 0.01)
    pulse.fire({})
    assert pulse.counts == {"failed": 1}
    assert "unplugged" in capsys.readouterr().err
    with pytest.raises(CrackError, match="--gpio 99: the pin cannot be used"):
        PinPulse(99, 1)


def test_missing_gpiozero_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiozero", None)
    with pytest.raises(CrackError, match="pip install gpiozero"):
        PinPulse(17, 1)
