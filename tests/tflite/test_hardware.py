"""Boards are described as they are, what a system does not tell is None, and throttling is decoded bit by bit."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tflite.fake_boards import PC, PI_4, PI_5, make_root, make_vcgencmd
from tflite import hardware

BITS = [0, 1, 2, 3, 16, 17, 18, 19]


@pytest.fixture
def no_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """PATH without vcgencmd, also where the tests run on a Pi."""
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A vcgencmd on PATH that answers as a Pi 4 does whose power supply is weak."""
    folder = make_vcgencmd(
        tmp_path / "bin",
        get_throttled="throttled=0x50005",
        measure_clock_arm="frequency(48)=600117184",
        measure_temp="temp=61.3'C",
    )
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_a_raspberry_pi_4_with_its_firmware_tool_is_described_in_full(
    tool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(platform, "release", lambda: "6.6.31+rpt-rpi-v8")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    assert hardware.board(make_root(tmp_path / "pi", PI_4)) == {
        "model": "Raspberry Pi 4 Model B Rev 1.4",
        "cpu": "Cortex-A72",
        "int8_dot_product": False,
        "cores": 4,
        "memory_mb": 3978,
        "arch": "aarch64",
        "os": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.6.31+rpt-rpi-v8",
        "clock_min_mhz": 600.0,
        "clock_max_mhz": 1800.0,
        "clock_mhz": 600.1,  # the firmware's, not the 1800 that the kernel believes
        "governor": "ondemand",
        "temperature_c": 48.312,
        "throttled": "0x50005",
        "throttled_now": ["under-voltage", "throttled"],
        "throttled_since_boot": ["under-voltage", "throttled"],
    }


def test_a_raspberry_pi_5_without_the_tool_is_described_from_files(no_tool: None, tmp_path: Path) -> None:
    root = make_root(tmp_path / "pi", PI_5)
    found = hardware.board(root)
    assert (found["model"], found["cpu"]) == ("Raspberry Pi 5 Model B Rev 1.0", "Cortex-A76")
    assert found["int8_dot_product"] is True
    assert (found["clock_max_mhz"], found["clock_mhz"], found["governor"]) == (2400.0, None, "performance")
    assert found["throttled"] is found["throttled_now"] is found["throttled_since_boot"] is None
    (root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq").write_text("2400000\n")
    assert hardware.clock(root) == 2400.0


def test_a_pc_is_described_by_its_cpu_and_the_zone_of_its_processor(no_tool: None, tmp_path: Path) -> None:
    found = hardware.board(make_root(tmp_path / "pc", PC))
    assert found["model"] is None
    assert found["cpu"] == "Intel(R) Xeon(R) CPU @ 2.20GHz"
    assert found["int8_dot_product"] is True
    assert (found["temperature_c"], found["clock_mhz"], found["governor"]) == (61.0, 2200.0, None)


def test_a_machine_that_tells_nothing_gives_none_everywhere(
    no_tool: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "processor", lambda: "")
    found = hardware.board(tmp_path)
    assert {name for name, value in found.items() if value is not None} == {"cores", "arch", "kernel"}
    assert hardware.describe(tmp_path)["cpu"] == "unknown-cpu"


def test_files_full_of_nonsense_give_none_and_no_error(no_tool: None, tmp_path: Path) -> None:
    found = hardware.board(make_root(tmp_path, dict.fromkeys(PI_4, "\x00\xffnonsense: ::\n")))
    for name in ("temperature_c", "clock_mhz", "clock_max_mhz", "memory_mb", "os", "throttled"):
        assert found[name] is None


def test_the_slug_names_the_board_without_its_revision(
    no_tool: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    found = hardware.describe(make_root(tmp_path, PI_4))
    assert found["cpu"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert (found["governor"], found["temperature_c"], found["cores"]) == ("ondemand", 48.312, 4)
    assert found["slug"] == "aarch64-raspberry-pi-4-model-b-4cores"


def test_a_pc_has_its_cpu_in_the_slug(no_tool: None, tmp_path: Path) -> None:
    found = hardware.describe(make_root(tmp_path, PC))
    assert found["cpu"] == "Intel(R) Xeon(R) CPU @ 2.20GHz"
    assert "-intel-xeon-" in found["slug"]
    assert found["governor"] is None


def test_the_board_name_is_taken_from_cpuinfo_where_there_is_no_device_tree(tmp_path: Path) -> None:
    files = {name: text for name, text in PI_4.items() if name != "proc/device-tree/model"}
    assert hardware.board_model(make_root(tmp_path, files)) == "Raspberry Pi 4 Model B Rev 1.4"


def test_without_a_thermal_zone_the_tool_is_asked_for_the_temperature(tool: Path, tmp_path: Path) -> None:
    assert hardware.temperature(tmp_path / "empty") == 61.3


def test_a_tool_that_fails_or_talks_nonsense_counts_as_absent(
    tool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for answer in ("VCHI initialization failed", "throttled=", "throttled=0xzz"):
        (tool / "get_throttled.txt").write_text(answer)
        assert hardware.throttled(tmp_path) is None
    (tool / "get_throttled.txt").unlink()
    assert hardware.throttled(tmp_path) is None
    (tool / "measure_clock_arm.txt").write_text("frequency(0)=0")
    assert hardware.clock(tmp_path) is None
    (tool / "vcgencmd").write_text("#!/bin/sh\nexec sleep 5\n")
    monkeypatch.setattr(hardware, "_VCGENCMD_SECONDS", 0.1)
    assert hardware.snapshot(tmp_path) == hardware.Snapshot(None, None, None, None)


def test_without_the_tool_the_kernel_is_asked_for_throttling(no_tool: None, tmp_path: Path) -> None:
    root = make_root(tmp_path, {"sys/devices/platform/soc/soc:firmware/get_throttled": "80008\n"})
    assert hardware.throttled(root) == 0x80008


@pytest.mark.parametrize(
    ("value", "now", "since_boot"),
    [
        (0x0, [], []),
        (0x50000, [], ["under-voltage", "throttled"]),  # the example of Raspberry Pi's documentation
        (0x50005, ["under-voltage", "throttled"], ["under-voltage", "throttled"]),
        (0xE0008, ["soft temperature limit"], ["clock capped", "throttled", "soft temperature limit"]),
    ],
)
def test_known_throttling_words_are_decoded(value: int, now: list[str], since_boot: list[str]) -> None:
    assert hardware.throttle_flags(value) == (now, since_boot)


@given(st.sets(st.sampled_from(BITS)), st.integers(0, 2**32 - 1))
def test_each_bit_is_decoded_on_its_own_and_unknown_bits_are_passed_over(bits: set[int], noise: int) -> None:
    known = sum(1 << bit for bit in BITS)
    value = sum(1 << bit for bit in bits) | (noise & ~known)
    now, since_boot = hardware.throttle_flags(value)
    assert now == [hardware.THROTTLE_BITS[bit] for bit in sorted(bits) if bit < 16]
    assert since_boot == [hardware.THROTTLE_BITS[bit - 16] for bit in sorted(bits) if bit >= 16]


@given(st.lists(st.one_of(st.none(), st.sets(st.sampled_from(BITS)).map(lambda b: sum(1 << bit for bit in b)))))
def test_what_slowed_a_measurement_is_what_held_at_a_reading_or_was_noted_after_the_first(
    values: list[int | None],
) -> None:
    found = set(hardware.throttling(*values))
    known = [value for value in values if value is not None]
    for bit, name in hardware.THROTTLE_BITS.items():
        held = any(value >> bit & 1 for value in known)
        noted = any(value >> (bit + 16) & 1 for value in known) and not known[0] >> (bit + 16) & 1
        assert (name in found) == (held or noted)


def test_throttling_before_the_measurement_is_not_held_against_it() -> None:
    assert hardware.throttling(0x50000, 0x50000) == []
    assert hardware.throttling(0x50000, 0xD0000) == ["soft temperature limit"]
    assert hardware.throttling(None, None) == []
    assert hardware.throttled_text(0x50000) == "0x50000"
    assert hardware.throttled_text(None) is None
