"""Annotations of CVAT, LabelMe, COCO and VOC to a folder of photographs and masks that every other command takes.

    images/...   the photographs, as they are, in the sub-folders they lay in
    masks/...    8-bit PNG of 0 and 255, white where a crack was drawn
    conversion.json

A photograph whose annotation cannot be turned into a mask is left out and named: a mask that lacks a crack is worse than none.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from crack_tf.common.progress import bar
from crack_tf.data.annotations import (
    LABELMAP,
    Annotated,
    read_class_mask,
    read_coco,
    read_cvat,
    read_labelmap,
    read_labelme,
)
from crack_tf.data.pairs import IMAGE_NAMES, PairSource, pair_folders
from crack_tf.data.shapes import Edges, Shape, bounds, paint_line, says_no_more
from tflite.errors import CrackError
from tflite.files import read_json, refuse_existing, write_json
from tflite.formats import HEAD, recognise
from tflite.images import open_image
from tflite.locks import partial_folder
from tflite.masks import orient, stored_orientation
from tflite.outputs import refuse_inside
from tflite.photographs import list_pictures
from tflite.words import counted

CRACK_CLASSES = ("crack", "cracks", "crevice", "fissure")  # whatever their case, where the user names none
REPORT = "conversion.json"
_LIKE_A_CRACK = re.compile(r"crack|crevice|fissur|riss", re.IGNORECASE)
_WIDEST = 1000  # pixels; no crack is wider, and a mask of it would be the photograph
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tif", "BMP": ".bmp", "WEBP": ".webp"}
_KINDS = {"cvat": "CVAT", "labelme": "LabelMe", "coco": "COCO", "masks": "masks of classes"}


@dataclass(frozen=True)
class Left:
    """A photograph that was not converted.

    Attributes:
        photo: as its annotation names it.
        annotation: file, relative to the source.
        reason: why.
    """

    photo: str
    annotation: str
    reason: str


@dataclass(frozen=True)
class Conversion:
    """Result of `convert`.

    Attributes:
        kind: "CVAT", "LabelMe", "COCO" or "masks of classes".
        crack_classes: shapes of each class taken as crack.
        other_classes: shapes of each class taken as background.
        photographs: converted.
        crack_free: of them without a crack.
        not_annotated: photographs in the source that no annotation names.
        left: what was not converted.
        line_width: in pixels, at which cracks that were marked as lines were drawn; None where none was stated.
        lines: cracks that were.
        not_annotated_photos: the photographs that no annotation names.
    """

    kind: str
    crack_classes: dict[str, int]
    other_classes: dict[str, int]
    photographs: int
    crack_free: int
    not_annotated: int
    left: tuple[Left, ...]
    line_width: float | None = None
    lines: int = 0
    not_annotated_photos: tuple[str, ...] = ()


def convert(
    source: str | Path, out: str | Path, crack_classes: Sequence[str] = (), line_width: float | None = None
) -> Conversion:
    """Write the photographs and masks of an annotated folder; the folder appears when it is whole, or not at all.

    Args:
        source: a folder as the annotation program exported it, unpacked, or its one annotation file beside the photographs.
        out: folder to write; new or empty.
        crack_classes: names of the classes that are cracks; of masks without names their numbers or colours. None: `CRACK_CLASSES`.
        line_width: at which cracks that are marked as lines (CVAT's polylines, LabelMe's lines and line strips) are drawn, in pixels;
            None leaves their photographs out, since a line does not say which pixels are crack.

    Raises:
        CrackError: if the width is not a number above 0, `out` exists, there are no annotations or several kinds of them, none of the
            classes is a crack or it is not plain which are, or no photograph can be converted.
    """
    source, out = Path(source), Path(out)
    if line_width is not None and not 0 < line_width < _WIDEST:
        raise CrackError(f"--line-width {line_width:g}: give pixels, a number above 0 and below {_WIDEST}.")
    refuse_existing(out, False, "Choose another name.")
    if not source.exists():
        raise CrackError(f"{source} does not exist. Give the folder that was exported, unpacked.")
    root = source if source.is_dir() else source.parent
    refuse_inside(out, source, "pictures")
    kind, annotated, left = _read(source, root)
    cracks, others = _choose(annotated, crack_classes, source)
    listing = list_pictures(root)
    left += [
        Left(_below(trouble.path, root), _below(trouble.path, root), trouble.reason) for trouble in listing.troubles
    ]
    photographs = tuple(sorted((*listing.photographs, *listing.drawn)))  # masks among them
    placed, lost = _place(annotated, photographs, root)
    with partial_folder(out) as partial:
        crack_free = 0
        for entry in bar(placed, "converting", len(placed), "photo"):
            try:
                crack_free += not _write(partial, entry, cracks, line_width)
            except (CrackError, ValueError) as error:
                lost.append((entry.annotated, str(error)))
        left += [Left(entry.photo, _below(entry.annotation, root), reason) for entry, reason in lost]
        converted = len(annotated) - len(lost)
        if not converted:
            raise CrackError(
                f"no photograph of {source} can be converted (the first one, {left[0].photo}: {left[0].reason})."
            )
        used = {entry.path for entry in placed}
        unnamed = () if kind == "masks" else tuple(_below(path, root) for path in photographs if path not in used)
        lines = 0 if line_width is None else _count_lines(annotated, cracks, {id(entry) for entry, _ in lost})
        result = Conversion(
            _KINDS[kind], cracks, others, converted, crack_free, len(unnamed), tuple(left), line_width, lines, unnamed
        )
        write_json(partial / REPORT, {"format": "crack_tf.conversion/1", "source": source.name} | asdict(result))
        partial.replace(out)
    return result


@dataclass(frozen=True)
class _Placed:
    """An annotated photograph, its file (None: its bytes are embedded), and where it goes below images/."""

    annotated: Annotated
    path: Path | None
    target: PurePosixPath


def _read(source: Path, root: Path) -> tuple[str, list[Annotated], list[Left]]:
    """The kind of the annotations, what they hold, and files among them that cannot be read."""
    found: dict[str, list[Annotated]] = defaultdict(list)
    left = []
    for path in _annotation_files(source):
        try:
            if path.suffix.lower() == ".xml":
                readings = {"cvat": read_cvat(path)}
            else:
                record = read_json(path)
                readings = {"labelme": read_labelme(path, record), "coco": read_coco(path, record)}
        except CrackError as error:
            left.append(Left(path.stem, _below(path, root), str(error)))
            continue
        for kind, photographs in readings.items():
            found[kind] += photographs or []
    if source.is_dir() and (masks := _read_masks(root)):
        found["masks"], unread = masks
        left += unread
    kinds = [kind for kind, photographs in found.items() if photographs]
    if len(kinds) > 1:
        named = ", ".join(f"{counted(len(found[kind]), 'photograph')} in {_KINDS[kind]}" for kind in kinds)
        raise CrackError(f"{source} holds several kinds of annotations ({named}). Give the file or the folder of one.")
    if not kinds:
        reason = f" ({left[0].annotation}: {left[0].reason})" if left else ""
        raise CrackError(
            f"{source} holds no annotations that can be read{reason}. Expected an unpacked export of CVAT (for images 1.1, or segmentation "
            f"mask 1.1), LabelMe's or COCO's JSON, or VOC's JPEGImages and SegmentationClass."
        )
    return kinds[0], found[kinds[0]], left


def _annotation_files(source: Path) -> list[Path]:
    if source.is_file():
        if source.suffix.lower() not in (".json", ".xml"):
            raise CrackError(f"{source} is no annotation file (.json or .xml). An archive has to be unpacked first.")
        return [source]
    return sorted(
        path
        for path in source.rglob("*")
        if path.suffix.lower() in (".json", ".xml")
        and path.name != REPORT
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(source).parts)
    )


def _read_masks(root: Path) -> tuple[list[Annotated], list[Left]] | None:
    """Masks of classes in folders of pairs; None where there are none."""
    if not pair_folders(root):
        return None
    pairs = PairSource(root.name, root, str(root), "not stated").pairs()
    if not any(photo and mask for photo, mask in pairs):
        return None
    found, left = [], []
    for photo, mask in pairs:
        if not photo or not mask:
            left.append(Left(photo or mask, mask, "it has no mask" if photo else "there is no photograph of that name"))
            continue
        try:
            found.append(read_class_mask(photo, root / mask, _labelmap_of(root / mask, root)))
        except CrackError as error:
            left.append(Left(photo, mask, str(error)))
    return found, left


def _labelmap_of(mask: Path, root: Path) -> dict[tuple[int, ...], str] | None:
    """The names of a mask's colours, from the nearest labelmap.txt in the folders above it."""
    for folder in mask.parents:
        if (folder / LABELMAP).is_file():
            return read_labelmap(folder / LABELMAP)
        if folder == root:
            return None
    return None


def _choose(
    annotated: Iterable[Annotated], wanted: Sequence[str], source: Path
) -> tuple[dict[str, int], dict[str, int]]:
    """Number of shapes of each class that is a crack, and of each other one."""
    counts = Counter(shape.label for entry in annotated for shape in entry.shapes)
    held = ", ".join(f"{label!r} ({count})" for label, count in counts.most_common()) or "none"
    names = {_class_name(name) for name in wanted or CRACK_CLASSES}
    cracks = {label: count for label, count in counts.items() if _class_name(label) in names}
    others = {label: count for label, count in counts.items() if label not in cracks}
    if wanted:
        missing = names - {_class_name(label) for label in counts}
        if missing:
            raise CrackError(
                f"--crack-class {', '.join(sorted(missing))}: {source} has no shape of that class. It has: {held}."
            )
    elif not cracks or any(_LIKE_A_CRACK.search(label) for label in others):
        raise CrackError(f"{source}: which classes are cracks? Say so with --crack-class NAME. It has: {held}.")
    return cracks, others


def _class_name(name: str) -> str:
    """A class as it is compared: whatever its case; colours as "250,50,83", also of #fa3253."""
    name = name.strip().casefold()
    if re.fullmatch(r"#[0-9a-f]{6}", name):
        return ",".join(str(int(name[k : k + 2], 16)) for k in (1, 3, 5))
    return re.sub(r"\s*,\s*", ",", name)


def _place(
    annotated: Iterable[Annotated], photographs: Sequence[Path], root: Path
) -> tuple[list[_Placed], list[tuple[Annotated, str]]]:
    """Find each photograph, and its place in the new folder; the others with the reason."""
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in photographs:
        by_name[path.name].append(path)
    claims: dict[PurePosixPath, list[_Placed]] = defaultdict(list)
    lost = []
    for entry in annotated:
        try:
            file = _find(entry, by_name, root)
            below = PurePosixPath(entry.photo).name if file is None else file.relative_to(root).as_posix()
            target = PurePosixPath(*(part for part in PurePosixPath(below).parts if part.lower() not in IMAGE_NAMES))
            if not target.stem.strip("."):
                raise ValueError(f"{entry.photo!r} is no name for a file")
            claims[target.with_suffix(".png")].append(_Placed(entry, file, target))
        except ValueError as error:
            lost.append((entry, str(error)))
    placed = []
    for claimants in claims.values():
        if len(claimants) == 1:
            placed += claimants
            continue
        files = ", ".join(sorted({_below(claimant.annotated.annotation, root) for claimant in claimants}))
        reason = f"{len(claimants)} annotations are of it, or of photographs that differ in their suffix only ({files})"
        lost += [(claimant.annotated, reason) for claimant in claimants]
    return placed, lost


def _find(entry: Annotated, by_name: dict[str, list[Path]], root: Path) -> Path | None:
    """The photograph's file, never one outside the source: beside its annotation, or the only one that ends like its name."""
    parts = [part for part in PurePosixPath(entry.photo).parts if part not in ("..", "/")]
    known = by_name.get(parts[-1], []) if parts else []
    for folder in (entry.annotation.parent, root):
        if folder.joinpath(*parts) in known:
            return folder.joinpath(*parts)
    for length in range(len(parts), 0, -1):
        ending = [path for path in known if list(path.parts[-length:]) == parts[-length:]]
        ending = [path for path in ending if entry.annotation.parent in path.parents] or ending
        if len(ending) > 1:
            raise ValueError(f"there are {len(ending)} photographs of that name, such as {_below(ending[0], root)}")
        if ending:
            return ending[0]
    if entry.embedded is None:
        raise ValueError("there is no photograph of that name")
    return None


def _count_lines(annotated: Iterable[Annotated], cracks: Container[str], lost: Container[int]) -> int:
    return sum(
        shape.line is not None and shape.label in cracks
        for entry in annotated
        if id(entry) not in lost
        for shape in entry.shapes
    )


def _write(folder: Path, entry: _Placed, cracks: Container[str], line_width: float | None) -> bool:
    """Write photograph and mask; whether there is a crack.

    Raises:
        ValueError: with the reason, if its mask cannot be made.
        CrackError: likewise.
    """
    data = entry.annotated.embedded if entry.path is None else entry.path.read_bytes()
    assert data is not None
    upright = open_image(data, entry.annotated.photo).size
    orientation = stored_orientation(data)
    stored = upright[::-1] if orientation >= 5 else upright
    size = entry.annotated.size or upright
    if size not in (upright, stored):
        raise ValueError(
            f"it was drawn on {size[0]}x{size[1]} pixels, and the photograph has {upright[0]}x{upright[1]}"
        )
    shapes = entry.annotated.shapes
    if size != upright and entry.annotated.turned is not None:
        shapes, size = entry.annotated.turned, upright
    mask = _draw([shape for shape in shapes if shape.label in cracks], size, line_width)
    if size != upright:
        mask = orient(mask, orientation)  # drawn on the pixels as stored, which only the size tells for sure
    photo = folder / "images" / entry.target
    if entry.path is None:
        photo = photo.with_suffix(_SUFFIXES.get(recognise(data[:HEAD]) or "", photo.suffix))
    png = folder / "masks" / entry.target.with_suffix(".png")
    for path in (photo, png):
        path.parent.mkdir(parents=True, exist_ok=True)
    photo.write_bytes(data)
    Image.fromarray(mask.astype(np.uint8) * 255).save(png)
    return bool(mask.any())


def _draw(shapes: Sequence[Shape], size: tuple[int, int], line_width: float | None) -> np.ndarray:
    mask = np.zeros(size[::-1], bool)
    flat: list[Shape] = []
    drawn: list[Edges] = []
    for shape in shapes:
        alone = np.zeros_like(mask)
        if shape.paint is not None:
            shape.paint(alone)
        elif shape.line is not None and line_width is not None:
            paint_line(shape.line, line_width, alone)
        else:
            flat.append(shape)
            continue
        edges = bounds(alone)
        if edges is None:
            raise ValueError(f"a crack drawn as {shape.kind} covers no pixel of it")
        drawn += [edges] if shape.box is None else [edges, shape.box]
        mask |= alone
    # A tag says of the whole photograph what its shapes say in detail, and a box may be that of a shape: of one, since of any box that
    # others run through there may be a crack of its own.
    for shape in flat:
        told = mask.any() if shape.kind == "tag" else shape.box is not None and says_no_more(shape.box, drawn, size)
        if not told:
            advice = "state its width with --line-width" if shape.line is not None else "draw it anew as a polygon"
            raise ValueError(f"a crack is drawn as {shape.kind}, which does not say which pixels it covers: {advice}")
    return mask


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
