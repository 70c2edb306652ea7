"""The tiles that the suite asks about, and how they relate to what trained a model."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from crack_tf.data.cache import load_split
from crack_tf.data.patches import load_patches
from crack_tf.data.registry import DATASETS, prepare
from crack_tf.data.reviews import apply_review, find_review
from crack_tf.evaluation.lineage import lineage
from crack_tf.evaluation.suite.answers import TestSet
from crack_tf.inference.predictor import Predictor
from tflite.manifest import Manifest, refuse_mixed
from tflite.sidecar import learned_sets


@dataclass(frozen=True)
class Chosen:
    """A split that the suite tests on.

    Attributes:
        label: in tables.
        data: registry name, manifest file, or folder, in which environment variables are filled in.
        policy: of the split.
        split: that is tested on. "all": whole, but for models that learned from the set its test split, see `seen_by`.
        side: of its tiles in pixels.
        review: of the labels, one that comes along; doubtful tiles are left out. Empty: as the data set labels them.
        folder: only what lies in this folder of the set; empty for all of it.
    """

    label: str
    data: str
    policy: str
    split: str
    side: int
    review: str = ""
    folder: str = ""


METU_PLAIN = Chosen("metu plain", "metu", "plain", "test", 227)
METU = Chosen("metu grouped", "metu", "grouped", "test", 227)
METU_VAL = Chosen("metu grouped val", "metu", "grouped", "val", 227)
# One column of the matrix each.
DOMAINS = (
    METU,
    Chosen("sdnet2018 walls", "sdnet2018", "grouped", "test", 256),
    Chosen("sdnet2018 reviewed", "sdnet2018", "grouped", "test", 256, "sdnet2018_walls"),
    Chosen("brick", "$CRACK_TF_DATA/brick", "grouped", "all", 227),
    Chosen("crack500 tiles", "crack500", "grouped", "all", 256),
    Chosen("deepcrack tiles", "deepcrack", "grouped", "all", 256),
    Chosen("conglomerate tiles", "conglomerate", "grouped", "all", 256),
    Chosen("bridge decks", "bridge_deck", "grouped", "all", 256),
    Chosen("drone asphalt", "uav_asphalt", "grouped", "all", 256),
    Chosen("cssc", "cssc", "grouped", "all", 130),
    Chosen("cssc spalling", "cssc", "grouped", "all", 130, folder="spalling_no_crack"),
    Chosen("drone concrete", "uav_concrete", "grouped", "test", 256),
    Chosen("scenes", "scenes_clean", "grouped", "test", 320),
    Chosen("joints", "joints", "grouped", "all", 256),
)


def manifest_of(chosen: Chosen) -> Manifest:
    """Its manifest; see `crack_tf.data.registry.prepare` for errors."""
    manifest = prepare(os.path.expandvars(chosen.data), chosen.policy)
    if chosen.folder:
        items = tuple(item for item in manifest.items if item.path.startswith(f"{chosen.folder}/"))
        manifest = replace(manifest, items=items)
    return apply_review(manifest, find_review(chosen.review)) if chosen.review else manifest


def load_set(chosen: Chosen, limit: int | None = None) -> TestSet:
    """Decode a test set at its own tiles' side; a segmentation set is cut into tiles that are cracked where their mask is.

    Raises:
        CrackError: if the data set is not there or cannot be read.
    """
    manifest = manifest_of(chosen)
    refuse_mixed(manifest, "the suite")
    if manifest.task == "segment":
        patches = load_patches(manifest, chosen.split, chosen.side, limit=limit)
        return TestSet(chosen.label, patches.images, patches.labels, manifest.sha256, chosen.split)
    tiles = load_split(manifest, chosen.split, chosen.side, limit=limit)
    return TestSet(chosen.label, tiles.images, tiles.labels, manifest.sha256, chosen.split)


def is_left_out(predictor: Predictor, chosen: Chosen) -> bool | None:
    """Whether the model learned nothing from the data set, not even from its other splits, nor from one that it is made of; None if its
    data are unknown."""
    known = learned_sets(predictor.sidecar)
    name = manifest_of(chosen).dataset
    own = {name, *(DATASETS[name].made_of if name in DATASETS else ())}
    return not own & {*known} if known else None


def seen_by(predictor: Predictor, chosen: Chosen) -> Chosen:
    """The set as a model is tested on it: whole where it learned nothing from it, else its test split."""
    learned = chosen.split == "all" and manifest_of(chosen).dataset in learned_sets(predictor.sidecar)
    return replace(chosen, label=f"{chosen.label} test", split="test") if learned else chosen


def trained_tiles(predictor: Predictor, chosen: Chosen) -> int | None:
    """How many tiles of a set trained the model: 0 by its data set's name where its manifest is not at hand, None if unknown."""
    manifest = manifest_of(chosen)
    origin = lineage(predictor.sidecar, predictor.path, manifest, manifest.split(chosen.split))
    if origin.manifest is not None:
        return origin.trained
    known = learned_sets(predictor.sidecar)
    return 0 if known and manifest.dataset not in known else None
