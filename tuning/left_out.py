"""Data sets that no trial trains on: a search that is scored on them chooses what holds on concrete it never saw.

A validation split resembles what was trained on; a set left out whole does not (Torralba and Efros, "Unbiased look at dataset bias", CVPR
2011). The search looks at the tiles of a left-out set's splits train and val; its test tiles are for the finalists alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from crack_tf.data.cache import load_split
from crack_tf.data.patches import load_patches
from crack_tf.data.registry import DATASETS, prepare
from crack_tf.evaluation.suite.answers import Answers, TestSet
from crack_tf.evaluation.suite.tables import split_row
from crack_tf.training.origins import sidecars_of
from tflite.errors import CrackError
from tflite.manifest import Manifest, read_manifest, refuse_mixed
from tflite.metrics import roc_auc
from tflite.sidecar import learned_sets

MOST = 500  # tiles of a set, with its own share of cracks: an area's 95 % interval is then some 0.04 wide
_SIDE = 256  # pixels, of the tiles as they are kept; each model is asked at its own side


@dataclass(frozen=True)
class LeftOut:
    """A data set that no trial trains on.

    Attributes:
        name: the data set's.
        manifest: path of its manifest.
        sha256: of the manifest's content.
    """

    name: str
    manifest: str
    sha256: str


_TRAINED_ON = "the trials are trained on it"


def check_named(sources: Sequence[str], data: str) -> None:
    """Refuse what its name alone gives away, before any set is drawn or split; `open_left_out` sees the rest.

    Args:
        sources: as there.
        data: what trials are trained on, named likewise.

    Raises:
        CrackError: naming a set that is trained on, or is nowhere.
    """
    for source in sources:
        if source == data:
            raise _known(source, _TRAINED_ON)
        if source not in DATASETS and not Path(source).expanduser().exists():
            _prepare(source)


def open_left_out(
    sources: Sequence[str], training: Manifest, starts: Sequence[str | None], tested: bool = False
) -> tuple[LeftOut, ...]:
    """Find the sets and make sure that nothing a trial learns from knows them.

    Args:
        sources: manifests, names of data sets, or folders.
        training: what trials are trained on.
        starts: teacher and pretrained weights; what a `.keras` among them learned from counts too. None and names are passed over.
        tested: whether finalists will be asked about the test tiles.

    Raises:
        CrackError: naming a set that is none, trained on, given twice, a mix of sets, or whose tiles are of one class.
    """
    known = dict.fromkeys(training.dataset.split("+"), _TRAINED_ON)
    for start in starts:
        for sidecar in sidecars_of((start,)):
            known |= dict.fromkeys(learned_sets(sidecar), f"{start} was trained on it, or learned from what was")
    files = dict.fromkeys((item.sha256 for item in training.items), "are trained on")
    found: list[LeftOut] = []
    for source in sources:
        manifest = _prepare(source)
        refuse_mixed(manifest, "--left-out")
        if manifest.dataset in known:
            raise _known(source, known[manifest.dataset])
        if manifest.dataset in {entry.name for entry in found}:
            raise CrackError(f"--left-out {source}: {manifest.dataset} is named twice.")
        if same := [files[item.sha256] for item in manifest.items if item.sha256 in files]:
            raise CrackError(f"--left-out {source}: {len(same)} of its files {same[0]}. Leave one of the two out.")
        files |= dict.fromkeys((item.sha256 for item in manifest.items), f"are in {source}, too")
        assert manifest.source is not None
        entry = LeftOut(manifest.dataset, str(manifest.source), manifest.sha256)
        for test in (False, True)[: 1 + tested]:
            tiles = tiles_of(entry, test)
            if not 0 < tiles.labels.mean() < 1:
                raise CrackError(
                    f"--left-out {source}: its tiles of {tiles.split} are all of one class, so nothing can be ranked. Leave it out."
                )
        found.append(entry)
    return tuple(found)


def _prepare(source: str) -> Manifest:
    try:
        return prepare(source)
    except CrackError as error:
        raise CrackError(f"--left-out {error}") from None


def _known(source: str, why: str) -> CrackError:
    return CrackError(f"--left-out {source}: {why}. Name a set that nothing here learned from.")


def tiles_of(entry: LeftOut, test: bool = False) -> TestSet:
    """Tiles of a left-out set: uint8 (n, 256, 256, 3); photographs with masks are cut, and a tile is cracked where its mask is.

    Args:
        entry: the set.
        test: those of its test split, all of them; else at most `MOST` of all others.
    """
    manifest = read_manifest(entry.manifest)
    split = "test" if test else "train+val"
    kept = replace(manifest, items=tuple(item for item in manifest.items if (item.split == "test") is test))
    if not kept.items:
        raise CrackError(
            f"--left-out {entry.manifest}: its splits {split} are empty. Split it with `crack-tf data split`."
        )
    load = load_patches if manifest.task == "segment" else load_split
    tiles = load(kept, "all", _SIDE, limit=None if test else MOST)
    return TestSet(entry.name, tiles.images, tiles.labels, entry.sha256, split)


def areas(model: Path, sets: Sequence[LeftOut]) -> dict[str, float]:
    """Area under the ROC curve of each set, by its name, of an int8 file's answers."""
    answers, found = Answers(), {}
    for entry in sets:
        tiles = tiles_of(entry)
        found[entry.name] = round(float(roc_auc(answers.logits(model, tiles), tiles.labels) or 0), 4)
    return found


def final_rows(models: Mapping[str, Path], sets: Sequence[LeftOut]) -> list[dict[str, Any]]:
    """Finished models, by name, on the sets' test tiles, which the search has not looked at, each at its own threshold."""
    answers, rows = Answers(), []
    for entry in sets:
        tiles = tiles_of(entry, test=True)
        for name, model in models.items():
            row = asdict(split_row(answers, name, model, tiles))
            del row["training_tiles"], row["left_out"]  # nothing learned from these sets, see `open_left_out`
            rows.append(row)
    return rows
