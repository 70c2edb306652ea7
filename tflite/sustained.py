"""Minutes of decisions at a camera's rate, so that heat shows, and what they cost in energy.

A board that decides in 10 ms when cold may take 20 ms after ten minutes in the sun. So the load runs for minutes, and beside
it the temperature, the clock, the firmware's throttling bits and the power are read about once a second, by a thread of the same
process. Reading costs a little itself; the idle power is measured with the same readings going on, which cancels it.
"""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tflite import hardware
from tflite.errors import CrackError
from tflite.hardware import Snapshot
from tflite.power import PowerSource, joules_per_decision, mean_power

SAMPLE_SECONDS = 1.0
SETTLE_SECONDS = 2.0  # a meter averages: its first readings of a phase belong to the phase before
MOST_BINS = 600
MOST_SAMPLES = 3600
_PROGRESS_SECONDS = 60.0


@dataclass(frozen=True)
class Load:
    """What to keep up.

    Attributes:
        seconds: how long.
        fps: decisions asked for per second; None is one after the other, as fast as they go.
        power: where the board's power is read, or None.
        idle_seconds: of rest before, in which the idle power is measured; only where there is a power reading.
    """

    seconds: float
    fps: float | None = None
    power: PowerSource | None = None
    idle_seconds: float = 10.0


@dataclass(frozen=True)
class Sample:
    """One reading of the board: time on the monotonic clock in seconds, its state, its power (None where unknown)."""

    time: float
    state: Snapshot
    watts: float | None


@dataclass(frozen=True)
class Frames:
    """What became of the frames.

    Attributes:
        number: of each frame that was decided, rising, shape (n,). Frame k comes due k / fps seconds after the first.
        start, end: of its decision in seconds since the first frame came due, shape (n,).
        due: frames that came due in the time given; due - n were dropped.
        seconds: from the first frame's due time to the end of the last decision, or of the time given if that is later.
        period: seconds from one frame to the next, or None when frames do not come due by themselves.
    """

    number: np.ndarray
    start: np.ndarray
    end: np.ndarray
    due: int
    seconds: float
    period: float | None

    @property
    def late(self) -> np.ndarray:
        """Which decisions were not ready when the next frame came due, shape (n,)."""
        if self.period is None:
            return np.zeros(len(self.number), dtype=bool)
        return self.end > (self.number + 1) * self.period

    @property
    def milliseconds(self) -> np.ndarray:
        """Duration of each decision, shape (n,)."""
        return (self.end - self.start) * 1e3


class Sampler:
    """Reads the board about once a second while the block runs, once at least at either end.

    Args:
        power: where its power is read, or None.
        interval: seconds from one reading to the next.
        progress: called with the seconds since the start and the sample, once a minute.
    """

    def __init__(
        self,
        power: PowerSource | None,
        interval: float = SAMPLE_SECONDS,
        progress: Callable[[float, Sample], None] | None = None,
    ) -> None:
        self.samples: list[Sample] = []
        self._power, self._interval, self._progress = power, interval, progress
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        started = time.monotonic()
        told = 0
        while True:
            last = self._stopping.is_set()
            sample = self._read()
            self.samples.append(sample)
            if last:
                return
            passed = sample.time - started
            if self._progress is not None and passed // _PROGRESS_SECONDS > told:
                told = int(passed // _PROGRESS_SECONDS)
                self._progress(passed, sample)
            self._stopping.wait(self._interval - passed % self._interval)

    def _read(self) -> Sample:
        watts = None
        if self._power is not None:
            with contextlib.suppress(
                CrackError
            ):  # a meter fails now and then; `mean_power` refuses when it fails often
                watts = self._power.watts()
        return Sample(time.monotonic(), hardware.snapshot(), watts)


@dataclass(frozen=True)
class Sustained:
    """A load that was kept up.

    Attributes:
        load: as it was asked for.
        idle: readings of the board at rest; none where its power is not read.
        samples: readings under load.
        frames: decided.
        origin: of the frames' times on the samples' clock.
    """

    load: Load
    idle: Sequence[Sample]
    samples: Sequence[Sample]
    frames: Frames
    origin: float

    def columns(self) -> dict[str, Any]:
        """Flat columns of a row: "sustained_...", "late", "dropped", "temperature_max_c", "clock_min_mhz", "power_..._w",
        "joules_per_decision"; None where unknown.

        Raises:
            CrackError: if the power readings failed.
        """
        frames, states = self.frames, [sample.state for sample in self.samples]
        return {
            "sustained_s": round(frames.seconds, 2),
            "sustained_fps": self.load.fps,
            "decisions": len(frames.number),
            "decisions_per_s": round(len(frames.number) / frames.seconds, 3),
            "late": int(frames.late.sum()),
            "dropped": frames.due - len(frames.number),
            **_latency_columns(frames),
            "temperature_max_c": max(_known(state.temperature_c for state in states), default=None),
            "clock_min_mhz": min(_known(state.clock_mhz for state in states), default=None),
            **_energy_columns(self.idle, self.samples, frames, self.load),
        }

    def series(self) -> dict[str, dict[str, list[Any]]]:
        """What happened over time, for the plot.

        Returns:
            "bins": equal stretches of at least a second, by the time a frame came due: "t_s" (their ends), "decisions",
            "p50_ms", "max_ms" (None where nothing was decided), "late", "dropped". "samples": "t_s", "temperature_c",
            "clock_mhz", "throttled" (hexadecimal), "power_w".
        """
        frames, samples = self.frames, self.samples
        count = max(1, min(MOST_BINS, math.floor(frames.seconds)))
        edges = np.linspace(0, frames.seconds, count + 1)
        came = frames.start if frames.period is None else frames.number * frames.period
        place = np.clip(np.searchsorted(edges, came, side="right") - 1, 0, count - 1)
        milliseconds, late = frames.milliseconds, frames.late
        groups = [np.flatnonzero(place == number) for number in range(count)]
        decided = np.bincount(place, minlength=count)
        due = decided
        if frames.period is not None:
            all_due = np.arange(frames.due) * frames.period
            due = np.bincount(np.clip(np.searchsorted(edges, all_due, side="right") - 1, 0, count - 1), minlength=count)
        return {
            "bins": {
                "t_s": [round(float(edge), 3) for edge in edges[1:]],
                "decisions": decided.tolist(),
                "p50_ms": [round(float(np.median(milliseconds[g])), 4) if len(g) else None for g in groups],
                "max_ms": [round(float(milliseconds[g].max()), 4) if len(g) else None for g in groups],
                "late": [int(late[g].sum()) for g in groups],
                "dropped": (due - decided).tolist(),
            },
            "samples": {
                "t_s": [round(sample.time - self.origin, 3) for sample in samples],
                "temperature_c": [sample.state.temperature_c for sample in samples],
                "clock_mhz": [sample.state.clock_mhz for sample in samples],
                "throttled": [hardware.throttled_text(sample.state.throttled) for sample in samples],
                "power_w": [None if sample.watts is None else round(sample.watts, 4) for sample in samples],
            },
        }


def sustain(decide: Callable[[], object], load: Load) -> Sustained:
    """Keep the load up and watch the board.

    Args:
        decide: makes one decision.
        load: what to keep up.
    """
    interval = max(SAMPLE_SECONDS, load.seconds / MOST_SAMPLES)
    idle: list[Sample] = []
    if load.power is not None:
        with Sampler(load.power) as sampler:
            time.sleep(load.idle_seconds)
        idle = sampler.samples

    def tell(passed: float, sample: Sample) -> None:
        print(f"  {passed / 60:.0f} of {load.seconds / 60:g} min: {_state_text(sample)}", file=sys.stderr)

    with Sampler(load.power, interval, tell) as sampler:
        started = time.monotonic()
        frames = run_frames(decide, load.seconds, load.fps)
    return Sustained(load, idle, sampler.samples, frames, started)


def run_frames(
    decide: Callable[[], object],
    seconds: float,
    fps: float | None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Frames:
    """Decide frames as a live camera delivers them: wait for the next one, and skip those that came and went meanwhile.

    Args:
        decide: makes one decision.
        seconds: how long frames come due; the last one is finished.
        fps: frames per second; None is one after the other.
        clock, sleep: of `time`; others in tests.
    """
    period = None if fps is None else 1 / fps
    due = math.inf if period is None else max(1, math.ceil(seconds / period - 1e-9))
    numbers, starts, ends = array("q"), array("d"), array("d")
    frame = 0
    origin = clock()
    now = 0.0
    while frame < due and (period is not None or now < seconds):
        if period is not None and frame * period > now:
            sleep(frame * period - now)
        start = clock() - origin
        decide()
        now = clock() - origin
        numbers.append(frame)
        starts.append(start)
        ends.append(now)
        frame = frame + 1 if period is None else next_frame(frame, now, period)
    if period is not None and now < seconds:
        sleep(seconds - now)  # the last frame's share of idling belongs to the load
        now = clock() - origin
    total = len(numbers) if period is None else int(due)
    return Frames(np.array(numbers), np.array(starts), np.array(ends), total, now, period)


def next_frame(frame: int, now: float, period: float) -> int:
    """The frame to decide after `frame`: the newest that has come due, or the next to come.

    Args:
        frame: decided last.
        now: seconds since frame 0 came due.
        period: seconds from one frame to the next.
    """
    return max(frame + 1, math.floor(now / period))


def _latency_columns(frames: Frames) -> dict[str, float]:
    """Over all decisions, and over those that began in the first and the last tenth of the time: heat is the difference."""
    times = frames.milliseconds
    tenth = frames.seconds / 10
    first = times[frames.start <= tenth]
    last = times[frames.start >= frames.seconds - tenth]
    start, end = (float(np.median(part if len(part) else times)) for part in (first, last))
    return {
        "sustained_p50_ms": round(float(np.median(times)), 4),
        "sustained_p99_ms": round(float(np.percentile(times, 99)), 4),
        "sustained_max_ms": round(float(times.max()), 4),
        "sustained_first_p50_ms": round(start, 4),
        "sustained_last_p50_ms": round(end, 4),
    }


def _energy_columns(
    idle: Sequence[Sample], busy: Sequence[Sample], frames: Frames, load: Load
) -> dict[str, float | str | None]:
    names = ("power_idle_w", "power_load_w", "joules_per_decision", "joules_per_decision_gross", "power_source")
    if load.power is None:
        return dict.fromkeys(names)
    idle_watts, load_watts = (_settled_power(samples) for samples in (idle, busy))
    net, gross = joules_per_decision(idle_watts, load_watts, frames.seconds, len(frames.number))
    values = (round(idle_watts, 4), round(load_watts, 4), round(net, 6), round(gross, 6), str(load.power))
    return dict(zip(names, values, strict=True))


def _settled_power(samples: Sequence[Sample]) -> float:
    settled = [sample for sample in samples if sample.time - samples[0].time >= SETTLE_SECONDS]
    used = settled if len(settled) >= 2 else samples
    return mean_power([sample.time for sample in used], [sample.watts for sample in used])


def _known(values: Any) -> list[float]:
    return [value for value in values if value is not None]


def _state_text(sample: Sample) -> str:
    state = sample.state
    parts = [
        None if state.temperature_c is None else f"{state.temperature_c:.1f} degrees C",
        None if state.clock_mhz is None else f"{state.clock_mhz:.0f} MHz",
        None if sample.watts is None else f"{sample.watts:.2f} W",
        ", ".join(hardware.throttling(state.throttled)) or None,
    ]
    return ", ".join(part for part in parts if part is not None) or "running"
