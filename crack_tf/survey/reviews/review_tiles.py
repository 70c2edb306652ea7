"""Reviewed findings as training tiles: accepted ones in crack/, rejected ones in no_crack/, as `crack-tf data split` takes them.

Tiles are cut from the survey's own pictures, at the size of the survey's tiles, where the finding's outline runs through them.
Of a finding larger than its picture, which was made smaller, the tiles are coarser than the photograph; below half they are left
out. A tile of a rejected finding that shows another one, which was not rejected, is left out too: it may show a crack. A tile is
named after its finding and its place: FINDING-xX-yY.png, X and Y in pixels of the photograph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from crack_tf.survey.findings import Finding, Polygon, Survey
from crack_tf.survey.pictures import MARGIN, MIN_SIDE
from crack_tf.survey.reviews.review import ACCEPTED, REJECTED, Review
from tflite.checked import file_inside
from tflite.device.tiles import Box, tile_boxes
from tflite.errors import CrackError
from tflite.files import atomic_path
from tflite.formats import SUFFIXES
from tflite.images import FORMATS, load_rgb
from tflite.manifest import LABELS
from tflite.outputs import Output, check_file, refuse_inside
from tflite.photographs import text_of

OUTPUT = Output("crack-tf survey --export-tiles", lambda path: True)  # nobody else gives a file such a name
FOLDERS = {REJECTED: LABELS[0], ACCEPTED: LABELS[1]}
MIN_RUN = 0.25  # of a tile's side that an outline must extend over: else the tile hardly shows the finding
MIN_INSIDE = 0.5  # of a tile's area, where nothing was drawn and the outline is that of tiles: next to them is no crack that anyone saw
MIN_SCALE = 0.5  # picture pixels per photograph pixel
_HINT = "Choose another --export-tiles, or add --overwrite."


@dataclass(frozen=True)
class ExportedTiles:
    """What was written.

    Attributes:
        crack, no_crack: tiles of accepted and of rejected findings.
        skipped: finding id -> why it gave no tile.
    """

    crack: int
    no_crack: int
    skipped: Mapping[str, str]


def export_tiles(
    out: Path, survey: Survey, review: Review, folder: Path, side: int, *, overwrite: bool = False
) -> ExportedTiles:
    """Write the tiles of all decided findings. Tiles of other surveys in the folder are left alone.

    Args:
        out: the survey's folder.
        survey: in it.
        review: of it.
        folder: for crack/ and no_crack/; made if missing.
        side: of a tile, in pixels of the photograph.
        overwrite: replace tiles of the same name; one whose finding was decided otherwise before is moved.

    Raises:
        CrackError: if a tile exists already and may not be replaced. Nothing is written then.
    """
    if folder.is_file():
        raise CrackError(f"--export-tiles {folder} is a file, expected a folder. Choose another name.")
    sizes = {photo.name: (photo.width, photo.height) for photo in survey.photos}
    skipped: dict[str, str] = {}
    planned: list[tuple[str, Finding, list[tuple[Box, Box]]]] = []
    for finding in survey.findings:
        entry = review.decisions.get(finding.id)
        if entry is None or entry.decision not in FOLDERS:
            continue
        picture = _picture_size(out, finding.picture)
        if picture is None or finding.photo not in sizes:
            skipped[finding.id] = "its picture or photograph is missing in the survey"
            continue
        region = picture_region(finding.box, *sizes[finding.photo])
        if picture[0] < MIN_SCALE * region.w:
            skipped[finding.id] = "it is so large that its picture is too coarse"
            continue
        if abs(picture[1] - region.h * picture[0] / region.w) > 1:
            skipped[finding.id] = "its picture is not that of its place"
            continue
        boxes = _tiles(finding, region, side)
        if entry.decision == REJECTED:
            cracks = _mask(_not_rejected(finding, survey, review), region)
            boxes = [box for box in boxes if not _run(cracks, box)]
        if not boxes:
            skipped[finding.id] = "all its tiles show a finding that was not rejected"
            continue
        scale = picture[0] / region.w
        planned.append((FOLDERS[entry.decision], finding, [_places(box, region, scale) for box in boxes]))
    _check_free(folder, planned, overwrite)
    counts = dict.fromkeys(LABELS, 0)
    for label, finding, tiles in planned:
        try:
            pixels = load_rgb(file_inside(out, finding.picture))
        except CrackError as error:
            skipped[finding.id] = str(error)
            continue
        for box, place in tiles:
            with atomic_path(folder / label / _name(finding, box)) as temporary:
                cut = pixels[place.y : place.y + place.h, place.x : place.x + place.w]
                Image.fromarray(np.ascontiguousarray(cut)).save(temporary)
            for other in set(LABELS) - {label}:
                (folder / other / _name(finding, box)).unlink(missing_ok=True)
            counts[label] += 1
    return ExportedTiles(counts[LABELS[1]], counts[LABELS[0]], skipped)


def check_place(folder: Path, out: Path, photos: Path | None = None) -> None:
    """Refuse a folder for tiles in which they would be taken for something else.

    Args:
        folder: for crack/ and no_crack/.
        out: the survey's folder.
        photos: what is surveyed, where it is given.

    Raises:
        CrackError: if it lies in the survey or among photographs.
    """
    if folder.resolve().is_relative_to(out.resolve()):
        raise CrackError(
            f"--export-tiles {folder} lies in the survey {out}, whose files are its own. Choose a folder outside of it."
        )
    if photos is not None:
        refuse_inside(folder, photos, "tiles", named="--export-tiles")
    beside = (
        sorted(text_of(Path(path.name)) for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        if folder.is_dir()
        else []
    )
    if beside:
        raise CrackError(
            f"--export-tiles {folder} holds photographs, such as {beside[0]}: a survey of them would take the tiles for some. "
            "Choose a folder for tiles alone."
        )


def picture_region(box: Box, width: int, height: int) -> Box:
    """The part of a photograph that a finding's picture shows (see `crack_tf.survey.pictures.draw_finding`).

    Args:
        box: of the finding.
        width, height: of the photograph.
    """
    side = max(MIN_SIDE, round(max(box.w, box.h) * (1 + 2 * MARGIN)))
    w, h = min(side, width), min(side, height)
    x = min(max(0, round(box.x + box.w / 2 - side / 2)), width - w)
    y = min(max(0, round(box.y + box.h / 2 - side / 2)), height - h)
    return Box(y, x, h, w)


def _picture_size(out: Path, name: str) -> tuple[int, int] | None:
    """Width and height of a finding's picture by its header; None if it cannot be read or is no file of the survey."""
    try:
        with Image.open(file_inside(out, name), formats=FORMATS) as image:
            return image.size
    except Exception:  # damaged headers raise nearly anything, see tflite.images
        return None


def _not_rejected(finding: Finding, survey: Survey, review: Review) -> list[Polygon]:
    """Outlines of other findings on the same photograph that may be cracks."""
    return [
        polygon
        for other in survey.findings
        if other.photo == finding.photo and other.id != finding.id
        if other.id not in review.decisions or review.decisions[other.id].decision != REJECTED
        for polygon in other.outline
    ]


def _tiles(finding: Finding, region: Box, side: int) -> list[Box]:
    """Tiles that the finding runs through; their places in its picture's region, in pixels of the photograph."""
    mask = _mask(finding.outline, region)
    drawn = finding.length_px is not None
    chosen = [
        box
        for box in tile_boxes(region.w, region.h, side)
        if (_run(mask, box) >= MIN_RUN * box.w if drawn else _cut(mask, box).mean() >= MIN_INSIDE)
    ]
    if chosen:
        return chosen
    # A short one on the border of tiles: a tile with the finding in its middle.
    side = min(side, region.w, region.h)
    middle = finding.box.x + finding.box.w / 2 - region.x, finding.box.y + finding.box.h / 2 - region.y
    x, y = (
        min(max(0, round(centre - side / 2)), room - side)
        for centre, room in zip(middle, (region.w, region.h), strict=True)
    )
    return [Box(y, x, side, side)]


def _places(box: Box, region: Box, scale: float) -> tuple[Box, Box]:
    """A tile's place in the photograph, and in the picture."""
    y, x, h, w = (round(value * scale) for value in (box.y, box.x, box.h, box.w))
    return Box(box.y + region.y, box.x + region.x, box.h, box.w), Box(y, x, h, w)


def _mask(outline: Iterable[Polygon], region: Box) -> np.ndarray:
    """Polygons of a photograph, filled: bool of the region's size."""
    drawn = Image.new("1", (region.w, region.h))
    pen = ImageDraw.Draw(drawn)
    for polygon in outline:
        if len(polygon) > 1:
            pen.polygon([(x - region.x, y - region.y) for x, y in polygon], fill=1, outline=1)
    return np.asarray(drawn)


def _cut(mask: np.ndarray, box: Box) -> np.ndarray:
    return mask[box.y : box.y + box.h, box.x : box.x + box.w]


def _run(mask: np.ndarray, box: Box) -> int:
    """How many rows or columns of a tile, whichever are more, a mask touches."""
    part = _cut(mask, box)
    return int(max(part.any(axis=0).sum(), part.any(axis=1).sum()))


def _check_free(folder: Path, planned: list[tuple[str, Finding, list[tuple[Box, Box]]]], overwrite: bool) -> None:
    for _, finding, tiles in planned:
        for box, _ in tiles:
            for label in LABELS:
                check_file(folder / label / _name(finding, box), OUTPUT, overwrite, hint=_HINT)


def _name(finding: Finding, box: Box) -> str:
    return f"{finding.id}-x{box.x}-y{box.y}.png"
