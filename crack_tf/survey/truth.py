"""A survey compared with what is really there, as `crack-tf data flight` knows it.

Compared are findings that are not refuted. One is right when it lies on a crack: at least 40 pixels of the crack's centreline, or
half of what its photograph shows of it, lie inside its outline or within 10 pixels of it; and, where the crack was drawn by a
segmentation model, half of the outline lies within 10 pixels of the crack's edge.

* recall: cracks with at least one right finding, of all cracks on the photographs
* precision: right findings, of all
* duplicates: right findings beyond the first of each crack, after merging
* errors of length and mean width: of the longest right finding of each crack, relative to the truth; medians
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypedDict

import numpy as np

from crack_tf.survey.findings import REFUTED, Finding, Polygon, Survey
from tflite.checked import Between, CheckError, Count, Holding, checked, shown
from tflite.errors import CrackError
from tflite.files import read_json
from tflite.words import counted

FORMAT = "crack_tf.flight/1"
NEAR_PX = 10.0
MIN_OVERLAP_PX = 40.0


_Above0 = Annotated[float, Between(1e-9, 1e9)]
_Coordinate = Annotated[float, Between(-1e6, 1e6)]


class _Shown(TypedDict):
    points: Annotated[
        tuple[tuple[_Coordinate, _Coordinate], ...], Holding(lambda line: len(line) > 1, "two points or more")
    ]


class _Crack(TypedDict):
    id: Count
    length_mm: _Above0
    mean_width_mm: _Above0
    max_width_px: _Above0
    photos: Mapping[str, _Shown]


class _Truth(TypedDict):
    cracks: tuple[_Crack, ...]


@dataclass(frozen=True)
class Comparison:
    """How good a survey is.

    Attributes:
        cracks, found: how many there are on the photographs, and of those with a right finding.
        findings, right: that are not refuted, and of those right ones.
        duplicates: right findings beyond the first of each crack.
        merged: findings that were seen on more than one photograph.
        missed: ids of cracks without a right finding.
        wrong: ids of findings on no crack.
        length_error, width_error: medians of |measured - true| / true; None where nothing was measured.
        measured: cracks they are medians of.
    """

    cracks: int
    found: int
    findings: int
    right: int
    duplicates: int
    merged: int
    missed: tuple[int, ...]
    wrong: tuple[str, ...]
    length_error: float | None
    width_error: float | None
    measured: int

    @property
    def recall(self) -> float | None:
        """None without cracks."""
        return self.found / self.cracks if self.cracks else None

    @property
    def precision(self) -> float | None:
        """None without findings."""
        return self.right / self.findings if self.findings else None

    def as_json(self) -> dict[str, Any]:
        """The attributes, recall and precision."""
        return {"recall": self.recall, "precision": self.precision, **asdict(self)}

    def describe(self) -> str:
        """Lines for the terminal."""
        lines = [
            f"recall     {_share(self.recall)}  {self.found} of {counted(self.cracks, 'crack')} found",
            f"precision  {_share(self.precision)}  {self.right} of {self.findings} findings are on a crack",
            f"duplicates {self.duplicates:>6}  {self.merged} findings were put together from several photographs",
            f"length     {_share(self.length_error)}  median error, {counted(self.measured, 'crack')} measured",
            f"width      {_share(self.width_error)}  median error of the mean width",
        ]
        if self.missed:
            lines.append(f"missed cracks: {', '.join(map(str, self.missed))}")
        if self.wrong:
            lines.append(f"findings on no crack: {', '.join(self.wrong)}")
        return "\n".join(lines)


def read_truth(path: str | Path) -> dict[str, Any]:
    """Read a flight's `truth.json`.

    Raises:
        CrackError: if it is none.
    """
    truth = read_json(path)
    if truth.get("format") != FORMAT:
        raise CrackError(
            f"--truth {path} is no truth of crack-tf data flight (format {shown(truth.get('format'))}, not {FORMAT!r})."
        )
    if truth.get("complete") is not True:
        raise CrackError(f"--truth {path} is that of a flight that was not finished. Draw it again with --overwrite.")
    try:
        checked(_Truth, truth)
    except CheckError as error:
        raise CrackError(f"--truth {path} is damaged: {error}. Draw the flight again.") from None
    return truth


def compare(survey: Survey, truth: Mapping[str, Any]) -> Comparison:
    """Compare a survey with the truth.

    Args:
        survey: of the flight's photographs; names of files decide which is which.
        truth: see `read_truth`.
    """
    present = {PurePosixPath(photo.name).name for photo in survey.photos}
    cracks = [crack for crack in truth["cracks"] if present & set(crack["photos"])]
    findings = [finding for finding in survey.findings if finding.validation != REFUTED]
    on: dict[int, list[Finding]] = {crack["id"]: [] for crack in cracks}
    wrong = []
    for finding in findings:
        hit = [crack["id"] for crack in cracks if _lies_on(finding, crack)]
        for number in hit:
            on[number].append(finding)
        if not hit:
            wrong.append(finding.id)
    lengths, widths = [], []
    for crack in cracks:
        measured = [finding for finding in on[crack["id"]] if finding.length_mm and finding.mean_width_mm]
        if measured:
            best = max(measured, key=lambda finding: finding.length_mm or 0.0)
            lengths.append(abs((best.length_mm or 0.0) / crack["length_mm"] - 1))
            widths.append(abs((best.mean_width_mm or 0.0) / crack["mean_width_mm"] - 1))
    return Comparison(
        cracks=len(cracks),
        found=sum(bool(found) for found in on.values()),
        findings=len(findings),
        right=len(findings) - len(wrong),
        duplicates=sum(max(0, len(found) - 1) for found in on.values()),
        merged=sum(len(finding.seen_on) > 1 for finding in findings),
        missed=tuple(number for number, found in on.items() if not found),
        wrong=tuple(wrong),
        length_error=float(np.median(lengths)) if lengths else None,
        width_error=float(np.median(widths)) if widths else None,
        measured=len(lengths),
    )


def on_a_crack(finding: Finding, truth: Mapping[str, Any]) -> bool:
    """Whether a finding, refuted or not, lies on a crack by the rule of the module.

    Args:
        finding: of the survey of the flight.
        truth: from `read_truth`.
    """
    return any(_lies_on(finding, crack) for crack in truth["cracks"])


def _lies_on(finding: Finding, crack: Mapping[str, Any]) -> bool:
    shown = crack["photos"].get(PurePosixPath(finding.photo).name)
    if shown is None:
        return False
    return lies_on(
        finding.outline, finding.length_px is not None, np.array(shown["points"], float), crack["max_width_px"]
    )


def lies_on(outline: Sequence[Polygon], drawn: bool, line: np.ndarray, max_width_px: float) -> bool:
    """Whether something that was found lies on a crack, by the rule of the module.

    Args:
        outline: of what was found, pixels.
        drawn: whether a segmentation model drew it; else it is that of tiles.
        line: float (n, 2), the crack's centreline on the same photograph.
        max_width_px: of the crack.
    """
    spacing = float(np.hypot(*np.diff(line, axis=0).T).mean())
    inside = sum(_near_outline(outline, point) for point in line)
    if inside * spacing < min(MIN_OVERLAP_PX, 0.5 * len(line) * spacing):
        return False
    if not drawn:
        return True
    edge = np.array([point for ring in outline for point in ring], float)
    reach = NEAR_PX + max_width_px / 2
    distances = np.sqrt(((edge[:, None] - line[None]) ** 2).sum(axis=2)).min(axis=1)
    return bool((distances <= reach).mean() >= 0.5)


def _near_outline(outline: Sequence[Sequence[tuple[float, float]]], point: np.ndarray) -> bool:
    import cv2

    x, y = float(point[0]), float(point[1])
    return any(cv2.pointPolygonTest(np.array(ring, np.float32), (x, y), True) >= -NEAR_PX for ring in outline)


def _share(value: float | None) -> str:
    return "     -" if value is None else f"{value:6.3f}"
