"""Minutes of load: frames come due as a camera's do, what is late or dropped is counted, heat and power are recorded."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tflite.fake_boards import make_vcgencmd
from tflite import sustained
from tflite.errors import CrackError
from tflite.hardware import Snapshot
from tflite.power import PowerSource
from tflite.sustained import Frames, Load, Sample, Sampler, Sustained, next_frame, run_frames, sustain


@dataclass
class Clock:
    """Time that passes only when somebody sleeps or works."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def frames_of(durations: list[float], seconds: float, fps: float | None) -> Frames:
    """Decide frames that take these times in turn."""
    clock = Clock()
    taken = itertools.cycle(durations)

    def decide() -> None:
        clock.now += next(taken)

    return run_frames(decide, seconds, fps, clock, clock.sleep)


def test_a_board_that_keeps_up_decides_every_frame_in_time() -> None:
    frames = frames_of([0.04], 2.0, 10)
    assert frames.number.tolist() == list(range(20))
    assert frames.due == 20
    assert not frames.late.any()
    assert frames.milliseconds == pytest.approx(40)
    assert frames.start == pytest.approx(np.arange(20) * 0.1)
    assert frames.seconds == pytest.approx(2.0)  # with the rest after the last frame


def test_a_board_half_a_frame_too_slow_drops_every_third_and_is_late_with_the_others() -> None:
    frames = frames_of([0.15], 1.2, 10)
    assert frames.number.tolist() == [0, 1, 3, 4, 6, 7, 9, 10]
    assert frames.due == 12
    assert frames.late.tolist() == [True] * 8
    assert frames.due - len(frames.number) == 4


def test_one_slow_frame_costs_itself_and_what_came_meanwhile() -> None:
    frames = frames_of([0.01] * 5 + [0.35] + [0.01] * 99, 2.0, 10)
    assert frames.number.tolist() == [0, 1, 2, 3, 4, 5, *range(8, 20)]
    assert frames.number[frames.late].tolist() == [5]


def test_without_a_rate_frames_follow_one_another_and_none_is_late() -> None:
    frames = frames_of([0.3], 1.0, None)
    assert frames.number.tolist() == [0, 1, 2, 3]
    assert frames.due == 4
    assert not frames.late.any()
    assert frames.seconds == pytest.approx(1.2)


def test_even_the_shortest_load_decides_once() -> None:
    assert frames_of([0.5], 0.1, 0.5).number.tolist() == [0]


@given(
    st.lists(st.floats(0.001, 1.0), min_size=1, max_size=20),
    st.floats(0.5, 20),
    st.one_of(st.none(), st.floats(0.2, 30)),
)
def test_every_frame_is_decided_once_or_dropped_and_none_before_it_is_due(
    durations: list[float], seconds: float, fps: float | None
) -> None:
    frames = frames_of(durations, seconds, fps)
    assert 1 <= len(frames.number) <= frames.due
    assert np.all(np.diff(frames.number) >= 1)
    assert np.all(frames.end > frames.start)
    assert np.all(frames.start[1:] >= frames.end[:-1] - 1e-9)
    assert frames.seconds >= seconds - 1e-9
    if fps is not None:
        assert np.all(frames.start >= frames.number / fps - 1e-9)
        assert (frames.due - 1) / fps <= seconds
    found = Sustained(Load(1), [], [], frames, 100.0).series()["bins"]
    assert sum(found["decisions"]) == len(frames.number)
    assert sum(found["dropped"]) == frames.due - len(frames.number)
    assert min(found["dropped"]) >= 0
    assert sum(found["late"]) == int(frames.late.sum())
    assert len(found["t_s"]) <= sustained.MOST_BINS


@given(st.integers(0, 1000), st.floats(0, 100), st.floats(0.01, 2))
def test_the_next_frame_is_the_newest_that_is_due_or_the_one_to_come(frame: int, now: float, period: float) -> None:
    found = next_frame(frame, now, period)
    assert found > frame
    assert found == frame + 1 or found * period <= now + 1e-9


def test_the_series_follow_the_heat() -> None:
    frames = frames_of([0.02] * 50 + [0.08] * 50, 10.0, 10)
    cool, hot = Snapshot(50.0, 1800.0, "performance", 0), Snapshot(81.0, 1500.0, "performance", 0x80008)
    samples = [Sample(100.0 + second, cool if second < 5 else hot, 3.0) for second in range(10)]
    found = Sustained(Load(1), [], samples, frames, 100.0).series()
    assert found["bins"]["t_s"] == pytest.approx(list(range(1, 11)))
    assert found["bins"]["decisions"] == [10] * 10
    assert found["bins"]["p50_ms"] == pytest.approx([20.0] * 5 + [80.0] * 5)
    assert found["samples"]["t_s"] == list(range(10))
    assert found["samples"]["temperature_c"] == [50.0] * 5 + [81.0] * 5
    assert found["samples"]["throttled"] == ["0x0"] * 5 + ["0x80008"] * 5
    columns = sustained._latency_columns(frames)
    assert columns["sustained_first_p50_ms"] == pytest.approx(20)
    assert columns["sustained_last_p50_ms"] == pytest.approx(80)


def test_seconds_without_a_decision_have_no_latency() -> None:
    found = Sustained(Load(1), [], [], frames_of([3.5] + [0.01] * 9, 4.0, 10), 100.0).series()["bins"]
    assert found["decisions"] == [1, 0, 0, 5]
    assert found["p50_ms"][1] is found["max_ms"][2] is None
    assert found["dropped"] == [9, 10, 10, 5]


def test_the_sampler_reads_at_either_end_and_survives_a_meter_that_fails(tmp_path: Path) -> None:
    with Sampler(PowerSource("W", file=tmp_path / "absent"), interval=60) as sampler:
        pass
    assert [sample.watts for sample in sampler.samples] == [None, None]
    meter = tmp_path / "meter"
    meter.write_text("3.5")
    with Sampler(PowerSource("W", file=meter), interval=0.01) as sampler:
        for _ in range(200):
            if len(sampler.samples) > 3:
                break
            time.sleep(0.01)
    assert {sample.watts for sample in sampler.samples} == {3.5}
    times = [sample.time for sample in sampler.samples]
    assert times == sorted(times)


def test_progress_is_told_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sustained, "_PROGRESS_SECONDS", 0.05)
    told: list[float] = []
    began = time.monotonic()
    with Sampler(None, 0.01, lambda passed, sample: told.append(passed)):
        time.sleep(0.3)
    assert 1 <= len(told) <= (time.monotonic() - began) / 0.05
    assert np.all(np.diff(np.array(told) // 0.05) >= 1)


def test_a_load_gives_columns_and_series(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = make_vcgencmd(
        tmp_path / "bin", get_throttled="throttled=0x8", measure_clock_arm="frequency(48)=1500000000"
    )
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    kept = sustain(lambda: time.sleep(0.002), Load(0.5, 50))
    columns, found = kept.columns(), kept.series()
    assert columns["decisions"] + columns["dropped"] == 25
    assert columns["sustained_fps"] == 50
    assert 2 <= columns["sustained_p50_ms"] <= columns["sustained_p99_ms"] <= columns["sustained_max_ms"]
    assert columns["clock_min_mhz"] == 1500.0
    assert columns["power_load_w"] is columns["joules_per_decision"] is columns["power_source"] is None
    assert set(found["samples"]["throttled"]) == {"0x8"}


def test_energy_per_decision_is_that_of_the_meter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sustained, "SAMPLE_SECONDS", 0.05)
    monkeypatch.setattr(sustained, "SETTLE_SECONDS", 0.1)
    meter = tmp_path / "power1_input"
    meter.write_text("2000000")

    def decide() -> None:
        meter.write_text("3500000")  # the load begins; nothing is idle from here on
        time.sleep(0.01)

    kept = sustain(decide, Load(0.6, None, PowerSource("uW", file=meter), idle_seconds=0.3))
    columns, found = kept.columns(), kept.series()
    assert (columns["power_idle_w"], columns["power_load_w"]) == (2.0, 3.5)
    each = columns["sustained_s"] / columns["decisions"]
    assert columns["joules_per_decision"] == pytest.approx(1.5 * each, rel=0.02)
    assert columns["joules_per_decision_gross"] == pytest.approx(3.5 * each, rel=0.02)
    assert columns["power_source"] == str(meter)
    assert found["samples"]["power_w"][-1] == 3.5


def test_a_meter_that_is_lost_ends_the_measurement(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="power readings succeeded"):
        sustain(lambda: time.sleep(0.01), Load(0.1, None, PowerSource("W", file=tmp_path / "x"), 0.1)).columns()
