"""Photographs with masks: finding the pairs in a folder, and checking that each mask is one and lies on its photograph.

A pair is a photograph and a mask with the same stem, in two sibling folders (`images/` and `masks/`, DeepCrack's `train_img/` and
`train_lab/`) or in one (Crack500's `traincrop/`: photograph .jpg, mask .png). Folders may be nested (`Train/images`).

A mask has the photograph's size, one channel (or three equal ones), and two values, 0 and 255 (or 1), with the crack in white.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from crack_tf.data.folders import Reader, Source
from crack_tf.data.records import Record, grey_thumbnail, read_grey
from crack_tf.photo.alignment import LOW_CONTRAST, place_mask
from tflite.errors import CrackError
from tflite.files import sha256_bytes
from tflite.formats import JPEG_SUFFIXES
from tflite.images import list_images
from tflite.masks import MaskError, check_crack_mask, check_mask, cut_mask, mask_pixels, stored_orientation

IMAGE_NAMES = ("images", "image", "imgs", "img", "photos", "photographs", "jpegimages")
_MASK_NAMES = (
    "masks",
    "mask",
    "labels",
    "label",
    "lab",
    "gt",
    "ground_truth",
    "groundtruth",
    "annotations",
    "segmentation",
    "segmentationclass",
)
_SIBLING = re.compile(rf"(?:(.+)_)?({'|'.join(IMAGE_NAMES + _MASK_NAMES)})")
_TOGETHER = re.compile(r"(train|val|test)_?(crops?|data)")
_MASK_ENDING = re.compile(r"[_-](mask|label|lab|gt|seg)$", re.IGNORECASE)
_DEPTH = 3
_AGREE = 0.75  # of the masks that are sure of their orientation
_ASTRAY = 1 / 3  # more masks of a set off the dark lines than that are no accident (`crack_tf.photo.alignment`)


@dataclass(frozen=True)
class PairRecord(Record):
    """What one pair is; the fields of `Record` describe the photograph, `label` is 1 when the mask holds a crack.

    Attributes:
        mask: relative to the audited folder, with "/"; empty when it is missing.
        mask_sha256: of the mask file's bytes.
        problem: short name of the error, to count by; empty when the pair can be used.
        crack_share: of the photograph's pixels, 0 to 1.
        contrast: grey levels by which crack pixels are darker than their surroundings.
        shift_x, shift_y: move of the mask, in pixels, that fits the photograph much better; 0, 0 when there is none.
        shifted_contrast: contrast after that move.
        channel: of the mask file that holds the mask: "grey" or "alpha".
        orientation: EXIF orientation of the photograph, 1 to 8.
        mask_orientation: EXIF orientation by which the mask is turned to lie on the upright photograph; 1: not at all.
        orientation_sure: whether the mask's size or its contrast left no other choice.
    """

    mask: str = ""
    mask_sha256: str = ""
    problem: str = ""
    crack_share: float = 0.0
    contrast: float = 0.0
    shift_x: int = 0
    shift_y: int = 0
    shifted_contrast: float = 0.0
    channel: str = ""
    orientation: int = 1
    mask_orientation: int = 1
    orientation_sure: bool = True

    @property
    def misaligned(self) -> bool:
        return bool(self.shift_x or self.shift_y)

    @property
    def on_dark_line(self) -> bool:
        """Whether the mask lies on something darker than its surroundings; True of a mask without a crack."""
        return not self.label or self.contrast >= LOW_CONTRAST


@dataclass(frozen=True)
class PairSource(Source):
    """A data set of photographs with masks.

    Attributes:
        threshold_masks: accept soft masks, and cut them at `tflite.masks.MASK_THRESHOLD`.
    """

    threshold_masks: bool = False

    @property
    def task(self) -> str:
        return "segment"

    def pairs(self) -> list[tuple[str, str]]:
        """(photograph, mask), relative to the folder, sorted; "" where one is missing.

        Raises:
            CrackError: if there are no folders of pairs, they hold no image, or two files claim one place.
        """
        folders = pair_folders(self.folder)
        if not folders:
            raise CrackError(
                f"{self.folder} has no folders of pairs. Expected images and masks side by side, or Crack500's traincrop."
            )
        pairs = [pair for images, masks in folders for pair in _match(images, masks)]
        if not pairs:
            names = ", ".join(sorted({path.name for pair in folders for path in pair}))
            raise CrackError(
                f"{self.folder} holds no image in its folders {names}. Put the photographs and masks there."
            )
        return sorted((_relative(image, self.folder), _relative(mask, self.folder)) for image, mask in pairs)

    def readers(self) -> list[Reader]:
        return [partial(read_pair, self.folder, *pair, self.threshold_masks) for pair in self._matched]

    def listing(self) -> list[str]:
        return sorted(path for pair in self._matched for path in pair if path)

    @cached_property
    def _matched(self) -> list[tuple[str, str]]:
        """What one look at the folder finds."""
        return self.pairs()

    def files(self) -> list[tuple[str, int]]:
        """(photograph, label) of every pair that can be used, sorted; reads every file."""
        records = [read()[0] for read in self.readers()]
        return [(record.path, record.label) for record in records if not record.error]


def pair_folders(folder: Path) -> list[tuple[Path, Path]]:
    """The folders of photographs and of their masks below `folder`, recognised by name whatever their case.

    Returns:
        (photographs, masks) for each part of the set; the same folder twice where they lie together.

    Raises:
        CrackError: if two folders could hold the photographs, or the masks, of one part.
    """
    found: list[tuple[Path, Path]] = []
    _find_folders(folder, _DEPTH, found)
    return found


def read_pair(
    folder: Path, image: str, mask: str, threshold_masks: bool = False, mask_orientation: int | None = None
) -> tuple[PairRecord, np.ndarray | None]:
    """One pair's record and the photograph's grey thumbnail, uint8 (64, 64); None when the pair cannot be used.

    Args:
        folder: of the data set.
        image, mask: relative to it; "" where missing.
        threshold_masks: cut soft masks at `tflite.masks.MASK_THRESHOLD` instead of refusing them.
        mask_orientation: EXIF orientation by which the mask is to be turned, if that is known.
    """
    if not image:
        error = f"{mask} has no photograph of the same name. Add it, or remove the mask."
        return PairRecord(mask, 1, 0, "", error=error, mask=mask, problem="photograph missing"), None
    record, grey = read_grey(folder, image, 1)
    known = asdict(record) | {"mask": mask}

    def unusable(problem: str, error: str) -> tuple[PairRecord, None]:
        return PairRecord(**(known | {"error": error, "problem": problem})), None

    if grey is None:
        return unusable("photograph unreadable", record.error)
    if not mask:
        return unusable(
            "mask missing", f"{image} has no mask of the same name. Add one; for a crack-free photograph a black one."
        )
    try:
        data, photo = (folder / mask).read_bytes(), (folder / image).read_bytes()
    except OSError as failure:
        return unusable("mask unreadable", f"{mask} cannot be opened: {failure.strerror}")
    known |= {"mask_sha256": sha256_bytes(data), "orientation": stored_orientation(photo)}
    inside, channel, problem, error = _checked(data, mask, threshold_masks)
    if inside is None:
        return unusable(problem, error)
    placed = place_mask(np.asarray(grey), inside, known["orientation"], mask_orientation)
    if placed is None:
        size = (
            f"mask {mask} has {inside.shape[1]}x{inside.shape[0]} pixels, its photograph {record.width}x{record.height}"
        )
        return unusable(
            "mask of another size", f"{size} (width x height). Give the mask of this photograph at its full size."
        )
    known |= {
        "label": int(inside.any()),
        "crack_share": round(float(inside.mean()), 6),
        "contrast": round(placed.fit.contrast, 2),
        "channel": channel,
        "mask_orientation": placed.orientation,
        "orientation_sure": placed.sure,
    }
    if placed.fit.misaligned:
        shift = {"shift_x": placed.fit.x, "shift_y": placed.fit.y}
        known |= shift | {"shifted_contrast": round(placed.fit.shifted_contrast, 2)}
    return PairRecord(**known), grey_thumbnail(grey)


def settle_orientations(source: PairSource, records: Sequence[Record]) -> list[Record]:
    """Masks that fit their photograph both ways follow those of the same set that are sure, if three quarters of these agree.

    Where the sure ones disagree, the others have a problem; where there is none, all are taken as drawn on the upright photograph.

    Args:
        source: of the records.
        records: of its pairs, in any order.

    Returns:
        The records, in that order.
    """
    tagged = [r for r in records if isinstance(r, PairRecord) and not r.error and r.orientation != 1 and r.label]
    votes = [record.mask_orientation != 1 for record in tagged if record.orientation_sure]
    turned = sum(votes)
    if len(votes) == len(tagged) or not turned:
        return list(records)
    agree = turned >= _AGREE * len(votes)
    settled = []
    for record in records:
        if isinstance(record, PairRecord) and not record.error and not record.orientation_sure:
            if agree:
                paths = record.path, record.mask, source.threshold_masks
                record, _ = read_pair(source.folder, *paths, mask_orientation=record.orientation)
            elif len(votes) - turned < _AGREE * len(votes):
                error = (
                    f"{record.mask}: its photograph has an orientation tag, and whether the mask was drawn before or after turning "
                    f"cannot be told: of the surer ones {turned} were drawn before, {len(votes) - turned} after. "
                    "Save the photograph upright, without the tag."
                )
                record = replace(record, error=error, problem="mask orientation unclear")
        settled.append(record)
    return settled


def mask_columns(record: Record) -> dict[str, Any]:
    """The mask columns of a manifest's row; none for a tile."""
    if not isinstance(record, PairRecord):
        return {}
    return {
        "mask": record.mask,
        "mask_sha256": record.mask_sha256,
        "mask_orientation": record.mask_orientation,
    }


def refuse_problems(records: Sequence[Record], name: str) -> None:
    """Raise unless every pair can be used.

    Raises:
        CrackError: that counts the problems and quotes the first.
    """
    bad = [record for record in records if record.error]
    if not bad:
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in problem_counts(records).items())
    raise CrackError(
        f"{len(bad)} of {len(records)} pairs of {name} have a problem ({kinds}). The first: {bad[0].error} "
        "Mend them; or split with --threshold-masks (soft masks) or --leave-out (leaves such pairs out)."
    )


def problem_counts(records: Iterable[Record]) -> dict[str, int]:
    """Number of pairs by problem, the most frequent first."""
    kinds = Counter(record.problem for record in records if isinstance(record, PairRecord) and record.problem)
    return dict(kinds.most_common())


@dataclass(frozen=True)
class PairCounts:
    """What an audit says of the masks, as summary.json has it.

    Attributes:
        pairs, problems, crack_free: how many, by problem those that cannot be used, and of the others those without a crack.
        crack_pixels_share: of all pixels; None without any.
        crack_share_quartiles: of the cracked photographs.
        not_darker_than_surroundings, not_on_a_dark_line: cracks whose mask may lie elsewhere.
        misaligned: masks that fit much better when moved.
        read_from_alpha, turned_with_their_photograph, orientation_in_doubt: how masks were read.
    """

    pairs: int
    problems: dict[str, int]
    crack_free: int
    crack_pixels_share: float | None
    crack_share_quartiles: list[float]
    not_darker_than_surroundings: int
    not_on_a_dark_line: int
    misaligned: int
    read_from_alpha: int
    turned_with_their_photograph: int
    orientation_in_doubt: int


def pair_counts(records: Sequence[Record]) -> PairCounts:
    """See `PairCounts`."""
    good = [record for record in records if isinstance(record, PairRecord) and not record.error]
    cracked = [record for record in good if record.label]
    pixels = sum(record.width * record.height for record in good)
    quartiles = np.quantile([record.crack_share for record in cracked], (0.25, 0.5, 0.75)) if cracked else ()
    return PairCounts(
        pairs=len(records),
        problems=problem_counts(records),
        crack_free=len(good) - len(cracked),
        crack_pixels_share=round(sum(r.crack_share * r.width * r.height for r in good) / pixels, 5) if pixels else None,
        crack_share_quartiles=[round(float(value), 5) for value in quartiles],
        not_darker_than_surroundings=sum(record.contrast <= 0 for record in cracked),
        not_on_a_dark_line=sum(not record.on_dark_line for record in cracked),
        misaligned=sum(record.misaligned for record in good),
        read_from_alpha=sum(record.channel == "alpha" for record in good),
        turned_with_their_photograph=sum(record.mask_orientation != 1 for record in good),
        orientation_in_doubt=sum(not record.orientation_sure for record in good),
    )


def mask_notes(records: Sequence[Record]) -> list[str]:
    """Sentences about masks that were not read in the plain way, or that look wrong; none for a set in order."""
    good = [record for record in records if isinstance(record, PairRecord) and not record.error]
    tagged = [record for record in good if record.orientation != 1 and record.label]
    turned = [record for record in tagged if record.mask_orientation != 1]
    upright = [record for record in tagged if record.mask_orientation == 1 and record.orientation_sure]
    numbers = pair_counts(records)
    notes = []
    if alpha := numbers.read_from_alpha:
        notes.append(f"{alpha} masks are read from their alpha channel, in which they were drawn")
    if turned:
        notes.append(
            f"{len(turned)} masks were drawn on the pixels as stored, and are turned as the orientation tags of their photographs say"
        )
    if turned and upright:
        fewer = min(turned, upright, key=len)
        how = "as stored" if fewer is turned else "upright"
        names = ", ".join(record.mask for record in fewer[:3])
        notes.append(
            f"warning: {len(fewer)} of the {len(turned) + len(upright)} photographs with an orientation tag have a mask drawn {how}, the "
            f"others not. Look at {names}{', ...' if len(fewer) > 3 else ''}"
        )
    if doubt := numbers.orientation_in_doubt:
        notes.append(
            f"warning: {doubt} photographs have an orientation tag, and their masks fit before and after turning; "
            "they are taken as drawn after"
        )
    cracked = sum(record.label for record in good)
    astray = numbers.not_on_a_dark_line
    if astray > _ASTRAY * cracked:
        notes.append(
            f"warning: {astray} of {cracked} masks do not lie on anything darker than its surroundings. Are they turned, or those "
            "of other photographs? `crack-tf data audit` draws them (samples.png)"
        )
    return notes


def _checked(data: bytes, name: str, threshold_masks: bool) -> tuple[np.ndarray | None, str, str, str]:
    """The mask and the channel it was read from, or the problem's short name and its message."""
    problem = "mask unreadable"
    try:
        pixels = mask_pixels(data, name)
        problem = "mask not black and white"
        inside = cut_mask(pixels.values, name) if threshold_masks else check_mask(pixels.values, name=f"mask {name}")
        problem = "mask inverted"
        return check_crack_mask(inside, name=f"mask {name}"), pixels.channel, "", ""
    except MaskError as error:
        return None, "", f"mask {error.problem}", str(error)
    except CrackError as error:
        return None, "", problem, str(error)


def _find_folders(folder: Path, depth: int, found: list[tuple[Path, Path]]) -> None:
    parts: dict[str, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
    others = []
    for path in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        name = path.name.lower().replace("-", "_").replace(" ", "_")
        match = _SIBLING.fullmatch(name)
        if match:
            parts[match[1] or ""][match[2] in _MASK_NAMES].append(path)
        elif _TOGETHER.fullmatch(name) and list_images(path):
            found.append((path, path))
        else:
            others.append(path)
    for images, masks in parts.values():
        if images and masks:
            if len(images) + len(masks) > 2:
                names = ", ".join(path.name for path in (*images, *masks))
                raise CrackError(
                    f"{folder} is ambiguous: its folders {names} could all be of one set. Keep two of them."
                )
            found.append((images[0], masks[0]))
    if not found and depth > 1:
        for path in others:
            _find_folders(path, depth - 1, found)


def _match(images: Path, masks: Path) -> list[tuple[Path | None, Path | None]]:
    """Photographs and masks of one part by their stem (and the folders between)."""
    if images == masks:
        files = list_images(images)
        photographs = [path for path in files if path.suffix.lower() in JPEG_SUFFIXES]
        drawn = [path for path in files if path not in set(photographs)]
    else:
        photographs, drawn = list_images(images), list_images(masks)
    one = _by_stem(photographs, images)
    other = {key if key in one else _MASK_ENDING.sub("", key): path for key, path in _by_stem(drawn, masks).items()}
    return [(one.get(key), other.get(key)) for key in sorted(one.keys() | other.keys())]


def _by_stem(paths: Sequence[Path], folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        key = PurePosixPath(_relative(path, folder)).with_suffix("").as_posix()
        if key in found:
            raise CrackError(
                f"{found[key]} and {path.name} have the same stem, which pairs them with one mask. Rename one."
            )
        found[key] = path
    return found


def _relative(path: Path | None, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path is not None else ""
