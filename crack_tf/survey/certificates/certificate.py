"""A detection certificate: how wide a crack had to be on this flight's photographs to be found, and how sure that is.

    certificate.json              the cracks that were laid into photographs, which were found, the fitted curves
    certificate.csv               shares found, by width, contrast and direction
    certificate.png               the curve; where matplotlib is installed
    certificate-trials.jsonl      the same cracks, photograph by photograph; a certificate that was stopped goes on by it

`crack_tf.survey.certificates.certify` makes it, `crack_tf.survey.certificates.pod` is the statistics,
`crack_tf.survey.certificates.certificate_files` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from crack_tf.survey.certificates.pod import LEAST_TRIALS, Pod, fit
from crack_tf.survey.findings import VALIDATIONS, Amount, PhotoName, Survey
from tflite.checked import Between, CheckError, Count, OneOf, Text, checked
from tflite.errors import CrackError
from tflite.files import read_json, sha256_bytes
from tflite.metrics import wilson_interval
from tflite.words import counted

FORMAT = "crack_tf.certificate/1"
FILE_NAME, TABLE, PLOT, TRIALS = "certificate.json", "certificate.csv", "certificate.png", "certificate-trials.jsonl"
FILES = (FILE_NAME, TABLE, PLOT, TRIALS)
# Share of the light that a crack takes in its middle, and what it is called.
LEVELS = {"faint": 0.3, "middle": 0.5, "dark": 0.7}
_BETWEEN = (0.4, 0.6)
# Settings that decide what is found, and where cracks are laid; what is asked of a finished survey is not among them.
_DECIDE = (
    "tile_side",
    "overlap",
    "foreground",
    "mm_per_pixel",
    "distance_m",
    "focal_mm",
    "sensor_width_mm",
    "every_s",
    "needs_mm",
)
_WIDTH_CLASSES = 6
_UPRIGHT_DEG = 22.5  # on either side
PROBABILITY = 0.9
_UNKNOWN = "not known: wide cracks were found no more often than narrow ones"


@dataclass(frozen=True)
class Trial:
    """A crack that was laid into a photograph, and whether it was found there.

    Attributes:
        photo: that it was laid into.
        number: of the crack on that photograph.
        x, y: its middle, pixels.
        width_px: mean over its length.
        length_px: of its centreline.
        contrast: share of the light that it takes in its middle.
        direction_deg: from level, clockwise, in [0, 180).
        width_mm: None where the scale is not known.
        found: whether a finding that is not refuted lies on it.
        validation: of that finding, or of one that was refuted; None where there is none.
    """

    photo: PhotoName
    number: Count
    x: Annotated[float, Between(0, 1e6)]
    y: Annotated[float, Between(0, 1e6)]
    width_px: Annotated[float, Between(0.01, 1e4)]
    length_px: Annotated[float, Between(1, 1e6)]
    contrast: Annotated[float, Between(0.001, 0.999)]
    direction_deg: Annotated[float, Between(0, 180)]
    width_mm: Annotated[float, Between(1e-6, 1e6)] | None
    found: bool
    validation: Annotated[str, OneOf(VALIDATIONS)] | None


@dataclass(frozen=True)
class Certificate:
    """What was found of the cracks that were laid into a flight's photographs.

    Attributes:
        key: of what decides it: photographs, models, settings, seed.
        survey: the same without the seed and the number of cracks.
        seed: of the cracks.
        asked: how many were wanted; None for as many as the time allows.
        needs_mm: coarser parts of photographs were left out; None where no scale is known.
        trials: in order of their photographs.
        limit: why there are no more of them; "" where an earlier version did not tell.
        seconds: that it took.
        survey_seconds: that the survey took.
    """

    key: Annotated[str, Text(64)]
    survey: Annotated[str, Text(64)]
    seed: Count
    asked: Count | None
    needs_mm: Amount | None
    trials: tuple[Trial, ...]
    limit: Annotated[str, Text(2000)] = ""
    seconds: Annotated[float, Between(0, 1e9)] | None = field(default=None, compare=False)
    survey_seconds: Annotated[float, Between(0, 1e9)] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if len(self.trials) < 4:
            raise CheckError("has fewer than four cracks")
        if len({trial.width_mm is None for trial in self.trials}) > 1:
            raise CheckError("has widths in millimetres and in pixels")

    @property
    def unit(self) -> str:
        """What widths are in: "mm", or "px" where no scale is known."""
        return "px" if self.trials[0].width_mm is None else "mm"

    @property
    def widths(self) -> np.ndarray:
        """float (n,), in `unit`."""
        return np.array([trial.width_px if trial.width_mm is None else trial.width_mm for trial in self.trials])

    @property
    def found(self) -> int:
        """How many were."""
        return sum(trial.found for trial in self.trials)

    @cached_property
    def pod(self) -> Pod:
        """The fitted probability of detection."""
        return fit(
            self.widths.tolist(),
            [trial.contrast for trial in self.trials],
            [trial.found for trial in self.trials],
        )

    @cached_property
    def sizes(self) -> dict[str, tuple[str, str]]:
        """a90 and a90/95 in words, by LEVELS."""
        return {name: (self._words(level, False), self._words(level, True)) for name, level in LEVELS.items()}

    def describe(self) -> str:
        """Two sentences, such as "41 of 60 cracks ... were found. A crack that takes half of the light is found ..."."""
        photos = counted(len({trial.photo for trial in self.trials}), "photograph")
        a90, sure = self.sizes["middle"]
        text = (
            f"{self.found} of {len(self.trials)} cracks laid into clean parts of {photos} of this flight were found. "
        )
        if a90 == _UNKNOWN:
            text += f"From which width on nine of ten cracks that take half of the light are found (a90, a90/95) is {_UNKNOWN}"
        else:
            text += f"Of cracks that take half of the light, nine of ten are found from a width of {a90} on (a90); "
            text += (
                f"from which width on that is sure with 95 % confidence (a90/95) is {_UNKNOWN}"
                if sure == _UNKNOWN
                else f"that is sure with 95 % confidence from {sure} on (a90/95)"
            )
        if len(self.trials) < LEAST_TRIALS:
            text += f"; {len(self.trials)} cracks are fewer than the {LEAST_TRIALS} that MIL-HDBK-1823A asks for"
        return f"{text}. {self.laid}" if self.limit else text

    @property
    def laid(self) -> str:
        """How many were asked for and laid, why there are no more, and what they took; no full stop at its end."""
        asked = "" if self.asked is None else f" of {self.asked} asked for"
        took = ""
        if self.seconds is not None and self.survey_seconds:
            took = f". That took {self.seconds:.0f} s, the survey {self.survey_seconds:.0f} s"
        return f"Laid: {len(self.trials)}{asked}, {self.limit}{took}"

    def table(self) -> list[dict[str, Any]]:
        """Shares found, by classes of width, contrast and direction; an interval of 95 % to each."""
        low, high = self.pod.range
        edges = np.geomspace(low, high, _WIDTH_CLASSES + 1)
        places = np.clip(np.searchsorted(edges, self.widths, "right") - 1, 0, _WIDTH_CLASSES - 1)
        all_widths = (float(edges[0]), float(edges[-1]))
        rows = []
        for number in range(_WIDTH_CLASSES):
            here = [trial for trial, place in zip(self.trials, places, strict=True) if place == number]
            span = (float(edges[number]), float(edges[number + 1]))
            rows.append(self._row(here, span, "all", "all"))
            for name in LEVELS:
                rows.append(self._row([trial for trial in here if contrast_of(trial) == name], span, name, "all"))
        for name in ("level", "upright", "oblique"):
            rows.append(self._row([one for one in self.trials if direction_of(one) == name], all_widths, "all", name))
        rows.append(self._row(self.trials, all_widths, "all", "all"))
        return [row for row in rows if row["tried"]]

    def _row(self, trials: Sequence[Trial], span: tuple[float, float], contrast: str, direction: str) -> dict[str, Any]:
        found = sum(trial.found for trial in trials)
        low, high = wilson_interval(found, len(trials)) if trials else (0.0, 1.0)
        return {
            "width_from": round(span[0], 3),
            "width_to": round(span[1], 3),
            "unit": self.unit,
            "contrast": contrast,
            "direction": direction,
            "tried": len(trials),
            "found": found,
            "share": round(found / max(1, len(trials)), 4),
            "low": round(low, 4),
            "high": round(high, 4),
        }

    def _words(self, contrast: float, confident: bool) -> str:
        pod = self.pod
        size = pod.size(PROBABILITY, contrast, confident=confident)
        if size is not None:
            return f"{size:.2g} {self.unit}"
        low, high = pod.range
        if pod.reaches(PROBABILITY, contrast, confident=confident):
            return f"less than {low:.2g} {self.unit}"
        if not pod.rises:
            return _UNKNOWN
        return f"more than {high:.2g} {self.unit}"


def contrast_of(trial: Trial) -> str:
    """One of LEVELS."""
    return tuple(LEVELS)[int(np.searchsorted(_BETWEEN, trial.contrast))]


def direction_of(trial: Trial) -> str:
    """ "level", "upright" or "oblique"."""
    off = abs((trial.direction_deg + 90) % 180 - 90)
    return "level" if off <= _UPRIGHT_DEG else "upright" if off >= 90 - _UPRIGHT_DEG else "oblique"


def survey_key(survey: Survey) -> str:
    """A hash of what a certificate of a survey holds for: its photographs, models and settings."""
    settings = {name: survey.settings.get(name) for name in _DECIDE}
    photos = [(photo.name, photo.sha256) for photo in survey.photos]
    value = [FORMAT, photos, {role: model.get("sha256") for role, model in survey.models.items()}, settings]
    return sha256_bytes(json.dumps(value, sort_keys=True).encode())


def read_certificate(out: Path, survey: Survey) -> Certificate | None:
    """The certificate in a survey's folder; None where there is none, or it is damaged or of other photographs, models or settings."""
    path = out / FILE_NAME
    if not path.is_file():
        return None
    try:
        value = read_json(path)
        if value.get("format") != FORMAT:
            return None
        found = certificate_of(value)
    except (CrackError, CheckError):
        return None
    return found if found.survey == survey_key(survey) else None


def certificate_of(value: Mapping[str, Any]) -> Certificate:
    """From JSON values; what can be computed from the trials is not looked at.

    Raises:
        CheckError: if it is none.
    """
    names = [entry.name for entry in fields(Certificate)]
    found: Certificate = checked(Certificate, {name: value[name] for name in names if name in value})
    return found
