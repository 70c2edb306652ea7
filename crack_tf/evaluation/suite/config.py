"""What the suite is told: which parts, of which models, on how many tiles. Loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from tflite.arguments import check_types
from tflite.errors import CrackError
from tflite.outputs import Output, json_with

PARTS = ("splits", "matrix", "domains", "scenes", "corruptions", "prevalence", "calibration", "candidates", "cost")
CORRUPTED_TILES = 600
SCENES_PHOTOGRAPHS, SCENES_FROC = "scenes-photographs", "scenes-froc"  # further tables of the part "scenes"
# Pictures of tables, by the table's name.
PICTURES = {
    "matrix": "matrix.png",
    SCENES_FROC: "scenes_froc.png",
    "corruptions": "corruptions.png",
    "prevalence": "prevalence.png",
    "candidates": "candidates.png",
}
OUTPUT = Output(
    "crack-tf evaluate --suite",
    json_with("suite.json", "format", "runs"),
    (
        *("suite.json", "summary.md"),
        *(f"{table}.csv" for table in (*PARTS, SCENES_PHOTOGRAPHS, SCENES_FROC)),
        *PICTURES.values(),
    ),
)


@dataclass(frozen=True)
class SuiteConfig:
    """How the suite measures.

    Attributes:
        models: names of shipped models or .tflite files; none for all that are shipped.
        parts: some of `PARTS`, measured in that order.
        limit: at most so many tiles per data set; None for all.
        corruption_limit: at most so many tiles per corruption and severity.
        segmenter: for scenes: name of a shipped model or .tflite file; None for the shipped one.
        jobs: tiles at the same time; None for all cores.

    Raises:
        CrackError: if there is no such part, or none is named.
    """

    models: tuple[str, ...] = ()
    parts: tuple[str, ...] = PARTS
    limit: int | None = None
    corruption_limit: int = CORRUPTED_TILES
    segmenter: str | None = None
    jobs: int | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if not self.parts or set(self.parts) - set(PARTS):
            raise CrackError(f"--parts {','.join(self.parts)!r}: choose some of {','.join(PARTS)}.")
