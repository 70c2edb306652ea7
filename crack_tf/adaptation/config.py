"""`AdaptConfig`: everything an adaptation is told, checked when it is made. Loads nothing heavy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tflite.arguments import check_path, check_types, is_number, option_of
from tflite.errors import CrackError
from tflite.outputs import Output, json_with

# Cheap to dear; the first that passes the guard is taken.
CANDIDATES = ("threshold", "normalisation", "head", "fine", "blocks")
SCHEMES = ("int8-ptq", "int8-qat")
REPORT = "adapt.json"
FORMAT = "crack_tf.adapted/1"
LEAST_LABELS = 5
BETTER_LABELS = 40  # half of them cracks: docs/results-adapt.md has what they bring
FEW_LABELS = 10  # of a kind; fewer seldom show anything
OUTPUT = Output(
    "crack-tf adapt",
    json_with(REPORT, "source", format=FORMAT),
    (
        *(REPORT, "candidates.csv", "regression.csv", "labels.csv", "config.json"),
        *("model.keras", "model.keras.json", "export/*-int8-*", "tiles/*/*.png", "tiles/tiles.csv"),
        *("suggested.csv", "suggested.json", "suggested/*.png", "suggested/review.csv", "suggested/manifest.csv"),
        *("work/*.json", "work/review/*/*.png"),
        *("work/built/*", "work/built/export/*", "work/blocks-*/*"),
    ),
    REPORT,
)
_COUNTS = {"tile_side": 16, "regression_limit": 20, "blocks": 1, "steps": 1, "suggest": 1}  # least values
_OPTIONAL = ("tile_side", "suggest")


@dataclass(frozen=True)
class AdaptConfig:
    """What a model is adapted to, from what, and how strictly it is held to it.

    Attributes:
        source: folder of a finished survey, of tiles in crack/ and no_crack/, or of photographs without any label.
        review: the survey's, as its report.html exports it; empty for the one that the survey's folder keeps.
        photos: folder that was surveyed: clean tiles around the findings are cut from its photographs; or "".
        model: what is adapted: a shipped model, a run folder, a .keras file, or a .tflite file with its model.keras beside it; empty for
            the default.
        start: whose last blocks the last candidate trains, named as `model`; empty for `model` itself. What is handed over has to be
            better than `model` all the same.
        candidates: some of `CANDIDATES`, tried in their own order, cheap to dear.
        target_recall: share of this structure's cracks that the threshold is chosen to find, above 0 and at most 1.
        scheme: "int8-ptq", or "int8-qat", which fine-tunes with quantisation and takes longer.
        shapes: manifests of photographs with masks whose cracks are laid into clean tiles where there are no labels; none for drawn
            cracks, and those of uav_concrete (CC0) where $CRACK_TF_DATA has it.
        regression_limit: tiles of each regression set, from 20.
        tile_side: side in pixels of the tiles cut from photographs; None for the model's.
        blocks: backbone blocks that the last candidate trains.
        steps: batches that each of its trainings has.
        suggest: write so many tiles or findings worth labelling, and adapt nothing; or None.
        seed: for all draws.

    Raises:
        CrackError: naming the field as the command line does, what it holds and what it may hold.
    """

    source: str
    review: str = ""
    photos: str = ""
    model: str = ""
    start: str = ""
    candidates: tuple[str, ...] = CANDIDATES
    target_recall: float = 0.98
    scheme: str = "int8-ptq"
    shapes: tuple[str, ...] = ()
    regression_limit: int = 300
    tile_side: int | None = None
    blocks: int = 13
    steps: int = 100
    suggest: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_path("source", self.source, "a finished survey, or a folder of tiles or photographs")
        for name in ("source", "review", "photos", "model", "start"):
            object.__setattr__(self, name, str(getattr(self, name)))
        for name in ("candidates", "shapes"):
            object.__setattr__(self, name, tuple(map(str, getattr(self, name))))
        if not self.candidates or set(self.candidates) - set(CANDIDATES):
            raise CrackError(f"--candidates {','.join(self.candidates)!r}: choose some of {','.join(CANDIDATES)}.")
        if self.scheme not in SCHEMES:
            raise CrackError(f"--scheme {self.scheme!r}: choose one of {', '.join(SCHEMES)}.")
        if not (is_number(self.target_recall) and 0 < self.target_recall <= 1):
            raise CrackError(f"--target-recall {self.target_recall}: give a share above 0 and at most 1, such as 0.98.")
        for name, least in _COUNTS.items():
            value = getattr(self, name)
            if not (value is None and name in _OPTIONAL) and value < least:
                raise CrackError(f"{option_of(name)} {value}: give a whole number from {least}.")
        if self.seed < 0:
            raise CrackError(f"--seed {self.seed}: give a whole number from 0.")

    def as_dict(self) -> dict[str, Any]:
        """As adapt.json keeps it; a run under another one is not gone on with."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
