"""`ExplainConfig`: everything an explanation is told, besides the models and the folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crack_tf.explain.attribution import METHODS
from tflite.arguments import check_types
from tflite.errors import CrackError


@dataclass(frozen=True)
class ExplainConfig:
    """What is explained, and how.

    Attributes:
        tiles: images, or folders of them, each one tile; or none, with `data`.
        data: manifest .csv, data set name, or folder; empty with `tiles`.
        policy: how data that are no manifest are split; None for the set's own.
        split: of the data.
        limit: at most so many tiles of the split; None for 16, of an analysis of errors for all.
        seed: of that draw, random maps and random weights.
        methods: maps to make, of `crack_tf.explain.attribution.METHODS`; None for those that suit the models.
        layer: convolution for Grad-CAM; None for the last.
        patch: side of the occluded patch in pixels; None for a seventh of the tile.
        max_steps: of Integrated Gradients.
        faithfulness: measure deletion, insertion, localisation and sanity of the maps.
        sanity: tiles of the sanity check.
        errors: evaluate the split and explain what the model gets wrong.
        show: errors of each kind to explain.
        disputes: label audit with a column path or sha256, whose tiles are marked; or None.
        training: manifest that trained the models; None finds it by its hash.
        training_limit: search at most so many training tiles for the nearest ones; None for all.
        neighbours: nearest training tiles shown beside each error; 0 for none.
        threads: of .tflite models; None for all cores.

    Raises:
        CrackError: if fields contradict each other.
    """

    tiles: tuple[str, ...] = ()
    data: str = ""
    policy: str | None = None
    split: str = "test"
    limit: int | None = None
    seed: int = 0
    methods: tuple[str, ...] | None = None
    layer: str | None = None
    patch: int | None = None
    max_steps: int = 512
    faithfulness: bool = False
    sanity: int = 8
    errors: bool = False
    show: int = 24
    disputes: Path | None = None
    training: Path | None = None
    training_limit: int | None = None
    neighbours: int = 3
    threads: int | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if bool(self.tiles) == bool(self.data):
            raise CrackError("say what to explain: either --tiles FILE ... or --data DATA, and not both.")
        if self.errors and (self.tiles or self.faithfulness):
            other = "--tiles" if self.tiles else "--faithfulness"
            raise CrackError(
                f"--errors and {other} do not go together: errors are those of a split with labels (--data)."
            )
        if self.faithfulness and self.tiles:
            raise CrackError(
                "--faithfulness needs --data: cracked tiles of a split, of a segmentation set, or synthetic ones."
            )
        if self.training and not self.neighbours:
            raise CrackError(
                f"--neighbours 0 shows no training tiles, and --training {self.training} is read for them: leave one out."
            )
        if self.disputes and not self.errors:
            raise CrackError(f"--disputes {self.disputes} marks errors: add --errors.")
        if self.methods is not None and (not self.methods or not set(self.methods) <= set(METHODS)):
            raise CrackError(
                f"--methods {','.join(self.methods)!r}: choose of {', '.join(METHODS)}, with commas between them."
            )
