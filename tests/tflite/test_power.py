"""Power is read in watts from files and commands, nonsense is refused, and energy per decision is arithmetic that holds."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflite import power
from tflite.errors import CrackError
from tflite.power import PowerSource, joules_per_decision, mean_power, parse_watts, power_source

# Two of a Raspberry Pi 5's rails, and a voltage that belongs to no current.
PMIC = """      VDD_CORE_A current(7)=2.00000000A
     3V3_SYS_A current(1)=0.10000000A
   VDD_CORE_V volt(15)=0.75000000V
    3V3_SYS_V volt(9)=3.30000000V
     EXT5V_V volt(24)=5.14572000V
"""


@pytest.mark.parametrize(
    ("text", "unit", "watts"),
    [
        ("3.25\n", "W", 3.25),
        ("2450000\n", "uW", 2.45),
        (" 2450 ", "mW", 2.45),
        ("2450 mW", "W", 2.45),
        ("5.1W", "mW", 5.1),
        ("5100000 µW", "W", 5.1),
        ("1e1", "W", 10.0),
        (".5", "W", 0.5),
        ("0", "W", 0.0),
        (PMIC, "W", 2.0 * 0.75 + 0.1 * 3.3),
    ],
)
def test_readings_are_understood(text: str, unit: str, watts: float) -> None:
    assert parse_watts(text, unit) == pytest.approx(watts)


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "three", "3,2", "3 V", "1 2", "0x10", "error=1\n", "VDD_CORE_A current(7)=2.0A"]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(CrackError, match=r"power reading meter: .* is not a number"):
        parse_watts(text, "W", "meter")


@pytest.mark.parametrize(("text", "unit"), [("2450000", "W"), ("-1", "W"), ("1e9", "mW")])
def test_power_that_no_board_draws_is_refused_with_the_unit_as_the_likely_reason(text: str, unit: str) -> None:
    with pytest.raises(CrackError, match="--power-unit"):
        parse_watts(text, unit)


@given(st.floats(0, 100), st.sampled_from(list(power.UNITS)))
def test_any_power_is_read_back_in_any_unit(watts: float, unit: str) -> None:
    assert parse_watts(repr(watts / power.UNITS[unit]), unit) == pytest.approx(watts)


@given(st.text(max_size=40))
def test_no_text_does_worse_than_a_users_error(text: str) -> None:
    with contextlib.suppress(CrackError):
        assert 0 <= parse_watts(text, "W") <= power.MOST_WATTS


@pytest.mark.parametrize(
    ("name", "unit"),
    [("power1_input", "uW"), ("power2_average", "uW"), ("power_now", "uW"), ("watts.txt", "W"), ("power1_label", "W")],
)
def test_the_files_of_linux_are_in_microwatts_and_others_in_watts(tmp_path: Path, name: str, unit: str) -> None:
    source = power_source(tmp_path / name, None, None)
    assert source is not None
    assert source.unit == unit
    named = power_source(tmp_path / name, None, "mW")
    assert named is not None
    assert named.unit == "mW"


def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "power1_input"
    source = PowerSource("uW", file=path)
    path.write_text("2500000\n")
    assert source.watts() == 2.5
    path.write_text("3000000\n")
    assert source.watts() == 3.0
    path.unlink()
    with pytest.raises(CrackError, match="No such file"):
        source.watts()


def test_a_command_is_split_into_words_and_run_without_a_shell(tmp_path: Path) -> None:
    source = power_source(None, f"{sys.executable} -c 'print(\"4.5 W; $HOME\"[:3])'", None)
    assert source is not None
    assert source.watts() == 4.5
    assert str(source).startswith(sys.executable)


def test_commands_that_fail_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for command, words in (
        (("/absent/meter",), "No such file"),
        ((sys.executable, "-c", "import sys; sys.exit('no meter')"), r"failed with code 1 \(no meter\)"),
        ((sys.executable, "-c", "print('broken')"), "'broken' is not a number"),
    ):
        with pytest.raises(CrackError, match=words):
            PowerSource("W", command=command).watts()
    monkeypatch.setattr(power, "_COMMAND_SECONDS", 0.05)
    with pytest.raises(CrackError, match="no answer within"):
        PowerSource("W", command=("sleep", "5")).watts()


def test_a_command_line_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    assert power_source(None, None, None) is None
    for arguments, words in (
        ((tmp_path, "meter", None), "one of them"),
        ((None, None, "W"), "--power-unit W"),
        ((None, "", None), "empty"),
        ((None, "meter 'open", None), "quotation"),
    ):
        with pytest.raises(CrackError, match=words):
            power_source(*arguments)


@given(
    st.lists(st.tuples(st.floats(0.01, 10), st.floats(0, 100)), min_size=2, max_size=30),
)
def test_the_mean_power_lies_between_the_readings(steps: list[tuple[float, float]]) -> None:
    times = [sum(step for step, _ in steps[: number + 1]) for number in range(len(steps))]
    watts = [value for _, value in steps]
    assert min(watts) - 1e-9 <= mean_power(times, watts) <= max(watts) + 1e-9


def test_the_mean_power_weighs_by_time_and_leaves_failed_readings_out() -> None:
    assert mean_power([0, 1, 11], [10.0, 0.0, 0.0]) == pytest.approx(5 / 11)
    assert mean_power([0, 1, 2, 3], [3.0, None, 3.0, 3.0]) == 3.0
    for watts in ([1.0, None, None], [None, None, None], [1.0, None, None, None, 1.0]):
        with pytest.raises(CrackError, match="power readings succeeded"):
            mean_power(range(len(watts)), watts)
    with pytest.raises(CrackError, match="only 1 of 1"):
        mean_power([0], [1.0])


@given(st.floats(0, 50), st.floats(0, 50), st.floats(0.1, 1e4), st.integers(1, 10**6))
def test_energy_adds_up_to_what_the_meter_counted(idle: float, load: float, seconds: float, decisions: int) -> None:
    net, gross = joules_per_decision(idle, load, seconds, decisions)
    assert gross * decisions == pytest.approx(load * seconds)
    assert (gross - net) * decisions == pytest.approx(idle * seconds, abs=1e-6)


def test_no_decision_has_no_energy() -> None:
    with pytest.raises(ValueError, match="0 decisions"):
        joules_per_decision(1, 2, 3, 0)
    with pytest.raises(ValueError, match="nan"):
        joules_per_decision(1, float("nan"), 3, 1)
