"""Present power of the board from a meter's file or command, and energy per decision from it. Standard library only."""

from __future__ import annotations

import itertools
import math
import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tflite.errors import CrackError

UNITS = {"W": 1.0, "mW": 1e-3, "uW": 1e-6}  # in watts
MOST_WATTS = 1000.0  # no board draws a kilowatt: a larger number is in another unit
_COMMAND_SECONDS = 10.0
# Linux gives power in microwatts in these files. Source: kernel documentation, hwmon/sysfs-interface and
# ABI/testing/sysfs-class-power
_MICROWATT_FILES = re.compile(r"power\d+_(input|average)|power_(now|avg)")
_READING = re.compile(r"(?P<value>[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)\s*(?P<unit>W|mW|uW|µW)?")
# `vcgencmd pmic_read_adc` on a Raspberry Pi 5: "VDD_CORE_A current(7)=1.234A" and "VDD_CORE_V volt(15)=0.875V".
_RAIL = re.compile(r"^\s*(?P<rail>\w+)_(?P<kind>[AV])\b[^=\n]*=\s*(?P<value>\d+(?:\.\d+)?)\s*[AV]\s*$", re.MULTILINE)


@dataclass(frozen=True)
class PowerSource:
    """Where the present power is read.

    Attributes:
        unit: of a reading that names none: "W", "mW" or "uW".
        file: that holds the reading, or
        command: that prints it, split into words as a shell would, but run without one.
    """

    unit: str
    file: Path | None = None
    command: tuple[str, ...] = ()

    def watts(self) -> float:
        """The present power.

        Raises:
            CrackError: if it cannot be read, is no number, or is no power that a board draws.
        """
        return parse_watts(self._text(), self.unit, str(self))

    def __str__(self) -> str:
        return str(self.file) if self.file is not None else shlex.join(self.command)

    def _text(self) -> str:
        try:
            if self.file is not None:
                return self.file.read_text(encoding="utf-8", errors="replace")
            done = subprocess.run(
                self.command, capture_output=True, text=True, errors="replace", timeout=_COMMAND_SECONDS, check=False
            )
        except OSError as error:
            raise CrackError(f"power reading {self}: {error.strerror or error}.") from None
        except subprocess.TimeoutExpired:
            raise CrackError(f"power reading {self}: no answer within {_COMMAND_SECONDS:g} s.") from None
        if done.returncode:
            reason = " ".join(done.stderr.split())[:200]
            raise CrackError(f"power reading {self}: the command failed with code {done.returncode} ({reason}).")
        return done.stdout


def power_source(file: Path | None, command: str | None, unit: str | None) -> PowerSource | None:
    """The source that the command line describes, or None when it describes none.

    Args:
        file: that holds the reading, or None.
        command: that prints it, or None.
        unit: "W", "mW", "uW"; None is microwatts for the files in which Linux gives those, and watts for all others.

    Raises:
        CrackError: if both or neither but a unit are given, or the command is not well-formed.
    """
    if file is None and command is None:
        if unit is not None:
            raise CrackError(f"--power-unit {unit}: give --power-file or --power-command, too.")
        return None
    if file is not None and command is not None:
        raise CrackError("--power-file and --power-command: give one of them, not both.")
    if file is not None:
        usual = "uW" if _MICROWATT_FILES.fullmatch(file.name) else "W"
        return PowerSource(unit or usual, file=file)
    try:
        words = tuple(shlex.split(command or ""))
    except ValueError as error:
        raise CrackError(f"--power-command {command!r}: {error}.") from None
    if not words:
        raise CrackError("--power-command is empty: give a command that prints the present power in watts.")
    return PowerSource(unit or "W", command=words)


def parse_watts(text: str, unit: str, name: str = "power") -> float:
    """Watts from a reading: a number, a number with its unit ("2450 mW"), or the output of `vcgencmd pmic_read_adc`.

    The last is the sum over a Raspberry Pi 5's rails, which leaves out what the rails do not feed (USB, converter losses).

    Args:
        text: of the file or command.
        unit: of a number without one.
        name: of the source, for errors.

    Raises:
        CrackError: if it is none of these, is negative, or exceeds `MOST_WATTS`.
    """
    found = _READING.fullmatch(text.strip())
    if found:
        watts = float(found["value"]) * UNITS[(found["unit"] or unit).replace("µ", "u")]
    else:
        volts, amperes = (
            {rail["rail"]: float(rail["value"]) for rail in _RAIL.finditer(text) if rail["kind"] == kind}
            for kind in "VA"
        )
        if not volts.keys() & amperes.keys():
            shown = " ".join(text.split())[:80]
            raise CrackError(f"power reading {name}: {shown!r} is not a number. Print the present power in watts.")
        watts = sum(volts[rail] * amperes[rail] for rail in volts.keys() & amperes.keys())
    if not 0 <= watts <= MOST_WATTS:
        raise CrackError(
            f"power reading {name}: {watts:g} W is not what a board draws. Name the unit with --power-unit W, mW or uW."
        )
    return watts


def mean_power(times: Sequence[float], watts: Sequence[float | None]) -> float:
    """Mean over time of readings that need not be evenly spaced, by the trapezoidal rule.

    Args:
        times: of the readings in seconds, rising.
        watts: one each; None where a reading failed.

    Raises:
        CrackError: if there are fewer than two readings, or more than half of them failed.
    """
    known = [(time, value) for time, value in zip(times, watts, strict=True) if value is not None]
    if len(known) < 2 or 2 * len(known) < len(watts):
        raise CrackError(
            f"only {len(known)} of {len(watts)} power readings succeeded, too few for a mean. Is the meter still connected?"
        )
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(known))
    return area / (known[-1][0] - known[0][0])


def joules_per_decision(idle_watts: float, load_watts: float, seconds: float, decisions: int) -> tuple[float, float]:
    """Energy of one decision.

    Args:
        idle_watts: mean power of the board with the model loaded and nothing to do.
        load_watts: mean power while it decides.
        seconds: how long it decided.
        decisions: made in that time, at least 1.

    Returns:
        (net, gross): what deciding adds to the idle board, and what the whole board draws, in joules per decision.

    Raises:
        ValueError: if there was no decision or a number is not finite.
    """
    if decisions < 1 or not all(map(math.isfinite, (idle_watts, load_watts, seconds))):
        raise ValueError(
            f"no energy per decision from {idle_watts} W, {load_watts} W, {seconds} s, {decisions} decisions"
        )
    return (load_watts - idle_watts) * seconds / decisions, load_watts * seconds / decisions
