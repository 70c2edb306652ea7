"""Hard negatives: what a model wrongly calls a crack on photographs that have none, cut out as tiles to train on.

    crack-tf data mine mobilenet_v2_mixed --clean crack-free-photographs --out mined
    crack-tf data split mined --clean --out mined.csv

A person says that the photographs are clean; whatever the model finds there is then wrong. A photograph of a clean wall of one's own
structure is the cheapest label there is. (Bootstrapping of false alarms: Sung and Poggio, IEEE TPAMI 20(1), 1998.)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image

from crack_tf.common.mined import SETTINGS, tile_name
from crack_tf.common.progress import numbered, say_now
from crack_tf.inference.scales import segment_at_scales
from crack_tf.inference.tiles import PhotoClassifier
from crack_tf.models.shipped import find_model, read_zoo
from tflite.device.tiles import Box, tile_boxes
from tflite.errors import CrackError, ImageError
from tflite.files import atomic_path, read_json, sha256_bytes, write_csv, write_json
from tflite.images import Picture, decode_picture
from tflite.locks import FolderLock
from tflite.outputs import Output, json_with, refuse_inside, remove_leftovers
from tflite.photographs import Listing, list_photographs, text_of
from tflite.sameness import read_file
from tflite.segmenter import Segmenter
from tflite.sidecar import read_sidecar
from tflite.words import not_read, on_one_line

TILES, RECORDS, TABLE = "no_crack", ".photos", "mined.csv"
OUTPUT = Output(
    "crack-tf data mine",
    json_with(SETTINGS, "model_sha256", format="crack_tf.mined/1"),
    (SETTINGS, TABLE, f"{TILES}/*.png", f"{RECORDS}/*.json"),
    SETTINGS,
)
PER_PHOTO = 20  # the surest mistakes of a photograph; more of one scene teach little
_LEAST_PIXELS = 30  # called crack in a tile by a segmentation model


@dataclass(frozen=True)
class Mistake:
    """A crack-free tile that a model calls cracked.

    Attributes:
        photo: relative to the folder of photographs, with "/".
        file: the tile's, relative to the output folder; empty before it is written.
        x, y, side: where it lies in the photograph, in pixels.
        score: how sure the model is: a classifier's logit, or the pixels that a segmentation model calls crack.
    """

    photo: str
    file: str
    x: int
    y: int
    side: int
    score: float


# uint8 (h, w, 3) to (box, score) of every tile that is called cracked
Finder = Callable[[np.ndarray], Sequence[tuple[Box, float]]]


def classifier_finder(classifier: PhotoClassifier) -> Finder:
    """The tiles that a classifier calls cracked, with their logits."""
    return lambda image: [(tile.box, tile.logit) for tile in classifier.score(image) if tile.crack]


def segmenter_finder(segmenter: Segmenter) -> Finder:
    """The tiles in which a segmentation model draws a crack, with the number of its pixels."""
    side = segmenter.image_size

    def find(image: np.ndarray) -> list[tuple[Box, float]]:
        cut = segmenter.threshold_probability
        called = segment_at_scales(image, segmenter, cut) >= cut
        found = []
        for box in tile_boxes(image.shape[1], image.shape[0], side):
            pixels = int(called[box.y : box.y + box.h, box.x : box.x + box.w].sum())
            if pixels >= _LEAST_PIXELS:
                found.append((box, float(pixels)))
        return found

    return find


@dataclass(frozen=True)
class Mined:
    """What was mined.

    Attributes:
        mistakes: crack-free tiles that the model calls cracked.
        unread: a line for every photograph that could not be read.
    """

    mistakes: tuple[Mistake, ...]
    unread: tuple[str, ...]


def mine_with(model: str, clean: Path, out: Path, per_photo: int = PER_PHOTO, jobs: int | None = None) -> Mined:
    """As `mine`, with a shipped model or a .tflite file, a classifier or a segmentation model.

    Args:
        model: its name or file.
        clean: folder of crack-free photographs.
        out: new folder, or one that an earlier call wrote.
        per_photo: tiles kept of a photograph.
        jobs: threads of a classifier; None for one per core.

    Raises:
        CrackError: if the model is not found, and as for `mine`.
    """
    shipped = read_zoo()[1].get(model)
    chosen = find_model(model, task=shipped.task if shipped else "classify", option="MODEL")
    sidecar = read_sidecar(chosen.path)
    if sidecar.task == "segment":
        found = mine(segmenter_finder(Segmenter(chosen.path)), sidecar.sha256, clean, out, per_photo)
    else:
        with PhotoClassifier(chosen.path, jobs=jobs or os.cpu_count() or 1, side=chosen.tile_side) as classifier:
            found = mine(classifier_finder(classifier), sidecar.sha256, clean, out, per_photo)
    mistakes, unread = found
    return Mined(tuple(mistakes), tuple(unread))


def mine(
    find: Finder,
    model_sha256: str,
    clean: Path,
    out: Path,
    per_photo: int = PER_PHOTO,
    tell: Callable[[str], None] = say_now,
) -> tuple[list[Mistake], list[str]]:
    """Write `out`/no_crack and `out`/mined.csv; stopped, the same call goes on after the last whole photograph.

    Tiles of photographs that are no more in the folder, or are other ones now, are removed: somebody may have seen a crack on them. A
    tile that somebody removed stays away.

    Args:
        find: what the model calls cracked, see `classifier_finder`.
        model_sha256: of its file; a folder mined with another model is refused.
        clean: folder of crack-free photographs.
        out: new folder, or one that an earlier call wrote.
        per_photo: tiles kept of a photograph, the highest scores.
        tell: called with a line for every photograph.

    Returns:
        All mistakes, and a line for every photograph that could not be read.

    Raises:
        CrackError: if there is no photograph, `out` holds anything else or lies in `clean`, or another process writes to it.
    """
    if not clean.is_dir():
        what = "is a file" if clean.exists() else "does not exist"
        raise CrackError(f"--clean {clean} {what}: give a folder of crack-free photographs.")
    refuse_inside(out, clean, "tiles", "--clean")
    listing = list_photographs(clean)
    if not listing.photographs and not listing.troubles:
        more = listing.results_note(clean) or " Give a folder of crack-free photographs."
        raise CrackError(f"--clean {clean} holds no photograph.{more}")
    settings = {"format": "crack_tf.mined/1", "model_sha256": model_sha256, "per_photo": per_photo}
    with FolderLock(out):
        return _mine(find, listing, clean, out, settings, per_photo, tell)


def _mine(
    find: Finder,
    listing: Listing,
    clean: Path,
    out: Path,
    settings: dict[str, object],
    per_photo: int,
    tell: Callable[[str], None],
) -> tuple[list[Mistake], list[str]]:
    """See `mine`; in a folder that is this process's."""
    done = _begin(out, settings)
    mistakes: list[Mistake] = []
    unread: list[str] = []

    def leave_out(name: str, reason: str) -> None:
        unread.append(not_read(name, reason))
        tell(unread[-1])

    for trouble in listing.troubles:
        name = text_of(trouble.path.relative_to(clean))
        leave_out(name, f"{trouble.reason}.")
    for number, photo in enumerate(listing.photographs, 1):
        name = text_of(photo.relative_to(clean))
        try:
            data, _ = read_file(photo)
        except OSError as error:
            leave_out(name, f"cannot be read: {error.strerror}.")
            continue
        # Of the name too: copies have tiles of their own.
        record = out / RECORDS / f"{sha256_bytes(name.encode() + bytes(1) + data)}.json"
        before = _recorded(record) if record in done else None
        done.discard(record)
        if before is not None:
            mistakes += (mistake for mistake in before if (out / mistake.file).is_file())
            continue
        try:
            picture = decode_picture(data, name)
        except ImageError as error:
            leave_out(name, str(error))
            continue
        found = sorted(_real(find(picture.pixels), picture), key=lambda each: -each[1])
        kept = [_write(out, name, picture.pixels, box, score) for box, score in found[:per_photo]]
        write_json(record, {"mistakes": [asdict(mistake) for mistake in kept]})
        mistakes += kept
        line = f"{len(found):>4} tiles called cracked, {len(kept):>3} kept  {on_one_line(name)}"
        tell(numbered(number, len(listing.photographs), line))
    _forget(out, done, {mistake.file for mistake in mistakes})
    write_csv(out / TABLE, map(asdict, mistakes), [field.name for field in fields(Mistake)])
    return mistakes, unread


def _forget(out: Path, records: Collection[Path], kept: Collection[str]) -> None:
    """Remove the tiles of records that are of no photograph any more, and the records."""
    for record in records:
        for mistake in _recorded(record) or ():
            path = out / mistake.file
            if mistake.file not in kept and path.parent == out / TILES and path.is_file() and not path.is_symlink():
                path.unlink()
        record.unlink(missing_ok=True)


def _begin(out: Path, settings: dict[str, object]) -> set[Path]:
    """Claim the folder; the records of photographs done before."""
    path = out / SETTINGS
    if path.is_file():
        before = read_json(path)
        if before != settings:
            other = (
                "another model"
                if before.get("model_sha256") != settings["model_sha256"]
                else f"--per-photo {before.get('per_photo')}"
            )
            raise CrackError(f"--out {out} was mined with {other}. Choose another folder, or do as before.")
        remove_leftovers(out, OUTPUT)
        return set((out / RECORDS).glob("*.json"))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CrackError(f"--out {out} exists and was not written by `data mine`. Choose a new folder.")
    write_json(path, settings)
    return set()


def _recorded(record: Path) -> list[Mistake] | None:
    """What was found on a photograph before; None where the record is damaged: it is looked at again."""
    try:
        return [Mistake(**row) for row in read_json(record)["mistakes"]]
    except (CrackError, LookupError, TypeError):
        return None


def _real(found: Sequence[tuple[Box, float]], picture: Picture) -> list[tuple[Box, float]]:
    """Those that show the surface alone: what is made up for transparent pixels teaches nothing."""
    opaque = picture.opaque
    if opaque is None:
        return list(found)
    return [(box, score) for box, score in found if opaque[box.y : box.y + box.h, box.x : box.x + box.w].all()]


def _write(out: Path, photo: str, image: np.ndarray, box: Box, score: float) -> Mistake:
    file = f"{TILES}/{tile_name(photo, box)}"
    with atomic_path(out / file) as temporary:
        Image.fromarray(image[box.y : box.y + box.h, box.x : box.x + box.w]).save(temporary, format="PNG")
    return Mistake(photo, file, box.x, box.y, box.w, round(score, 4))
