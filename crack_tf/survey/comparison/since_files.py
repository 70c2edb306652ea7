"""What a comparison with an earlier survey leaves in the folder: since.json, since.csv and the photographs of cracks.

Of a crack that the later survey drew, the earlier picture is laid onto the later one's. Of one that only the earlier survey drew, the
later photograph of its place is laid onto the earlier picture, so that a person sees what is there now: that photograph is read again.
Both are cut to what both show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
from PIL import Image

from crack_tf.survey.comparison.epochs import PhotoPair
from crack_tf.survey.comparison.since import FILE_NAME, FORMAT, LATER, Change, Earlier, Since, without_rejected
from crack_tf.survey.findings import Finding, Polygon, Survey
from crack_tf.survey.pictures import as_jpeg
from crack_tf.survey.reviews.review import Review
from crack_tf.survey.reviews.review_tiles import picture_region
from crack_tf.survey.store import SINCE, SINCE_FILES
from tflite.checked import file_inside
from tflite.errors import CrackError
from tflite.files import write_bytes, write_csv, write_json
from tflite.images import load_rgb

TABLE = "since.csv"
COLUMNS = tuple(entry.name for entry in fields(Change))
_BESIDE = 128  # grey level of what the earlier picture does not show
# Of a picture, in shares of its width and height: left, top, right, bottom.
Part = tuple[float, float, float, float]
_WHOLE: Part = (0.0, 0.0, 1.0, 1.0)


# Names of photographs of the later survey, to these with their pixels, uint8 (height, width, 3), in any order; without those that are lost
Photographs = Callable[[Collection[str]], Iterable[tuple[str, np.ndarray]]]


def write_since(
    out: Path,
    since: Since,
    survey: Survey,
    earlier: Earlier,
    seen_on: Mapping[str, PhotoPair],
    photographs: Photographs,
    review: Review | None = None,
) -> Since:
    """Write the table, the pictures and, last, what the report reads.

    Args:
        out: the later survey's folder.
        since: what became of the cracks.
        survey, earlier: the later and the earlier survey.
        seen_on: the photographs of each picture that lies on another one.
        photographs: reads those of the later survey.
        review: of the later survey, which the table goes by; or None.

    Returns:
        The same, without what was rejected, and without the later pictures whose photographs could not be read.
    """
    remove_since(out)
    by_id = {finding.id: finding for found in (survey, earlier.survey) for finding in found.findings}
    sizes = [{photo.name: (photo.width, photo.height) for photo in found.photos} for found in (earlier.survey, survey)]
    (out / SINCE).mkdir(exist_ok=True)
    pairs = [None if change.picture is None else seen_on.get(change.picture) for change in since.changes]
    parts: dict[str, Part] = {}
    changes = [
        _write_earlier(out, earlier, change, by_id, sizes, pair, parts)
        for change, pair in zip(since.changes, pairs, strict=True)
    ]
    _write_later(out, changes, by_id, sizes[0], seen_on, photographs, parts)
    changes = [
        change
        if change.new_picture is None or (out / change.new_picture).is_file()
        else replace(change, new_picture=None)
        for change in changes
    ]
    outlines: dict[str, tuple[Polygon, ...]] = {}
    for change, pair in zip(changes, pairs, strict=True):
        outlines |= _outlines(change, by_id, sizes, pair, parts)
    since = replace(since, changes=tuple(changes), outlines=outlines)
    standing = without_rejected(since, review, 1)
    write_changes(out, standing)
    # With what was rejected, which another review may accept.
    write_json(out / FILE_NAME, {"format": FORMAT, **asdict(since)})
    return standing


def write_changes(out: Path, since: Since) -> None:
    """Write the table of changes into a survey's folder."""
    rows = [
        asdict(change) | {side: "; ".join(getattr(change, side)) for side in ("old", "new")} for change in since.changes
    ]
    write_csv(out / TABLE, rows, COLUMNS)


def remove_since(out: Path) -> None:
    """Take away what an earlier comparison left."""
    for path in (*(out / name for name in SINCE_FILES), *(out / SINCE).glob("*.jpg")):
        path.unlink(missing_ok=True)


def _write_earlier(
    out: Path,
    earlier: Earlier,
    change: Change,
    findings: Mapping[str, Finding],
    sizes: Sequence[Mapping[str, tuple[int, int]]],
    pair: PhotoPair | None,
    parts: dict[str, Part],
) -> Change:
    """Write the earlier pictures of a crack, laid onto the later one's where there is one, and both cut to what they show.

    Returns:
        The change, with the later picture where that was cut, and without a picture that is missing.
    """
    import cv2

    if change.picture is None:
        return change
    olds = [findings[number] for number in change.old]
    if pair is None or not change.new:
        image = read_picture(earlier.folder, olds[0].picture)
        if image is None:
            return replace(change, picture=None)
        write_bytes(out / change.picture, as_jpeg(image))
        return change
    new = findings[change.new[0]]
    later = read_picture(out, new.picture)
    if later is None:
        return replace(change, picture=None)
    shown, known = np.full_like(later, _BESIDE), np.zeros(later.shape[:2], bool)
    size = later.shape[1], later.shape[0]
    into = to_picture(new, sizes[1][new.photo], size) @ np.array(pair.homography)
    for old in olds:
        image = read_picture(earlier.folder, old.picture) if old.photo == pair.old else None
        if image is None:
            continue
        back = np.linalg.inv(to_picture(old, sizes[0][old.photo], (image.shape[1], image.shape[0])))
        there = cv2.warpPerspective(np.ones(image.shape[:2], np.uint8), into @ back, size, flags=cv2.INTER_NEAREST) > 0
        laid = cv2.warpPerspective(image, into @ back, size, flags=cv2.INTER_AREA)
        shown[there], known = laid[there], known | there
    if not known.any():
        return replace(change, picture=None)
    place, parts[change.picture] = _part(known)
    write_bytes(out / change.picture, as_jpeg(shown[place]))
    if known[place].size == known.size:
        return change
    name = f"{SINCE}/{new.id}{LATER}"
    write_bytes(out / name, as_jpeg(later[place]))
    return replace(change, new_picture=name)


def _part(known: np.ndarray) -> tuple[tuple[slice, slice], Part]:
    """The rectangle around what is known of a picture, bool (height, width): rows and columns, and in shares."""
    rows, columns = (np.flatnonzero(known.any(axis=axis)) for axis in (1, 0))
    place = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    height, width = known.shape
    return place, (place[1].start / width, place[0].start / height, place[1].stop / width, place[0].stop / height)


def _outlines(
    change: Change,
    findings: Mapping[str, Finding],
    sizes: Sequence[Mapping[str, tuple[int, int]]],
    pair: PhotoPair | None,
    parts: Mapping[str, Part],
) -> dict[str, tuple[Polygon, ...]]:
    """What each survey drew, on its own picture of a crack; what only the earlier one drew on the later picture, too."""
    olds = [findings[number] for number in change.old]
    news = [findings[number] for number in change.new[:1]]
    whole = (1, 1)
    into_new = [to_picture(new, sizes[1][new.photo], whole) for new in news]
    part = parts.get(change.picture or "", _WHOLE)
    found = {
        change.new_picture or new.picture: _moved([new], into, part) for new, into in zip(news, into_new, strict=True)
    }
    if change.picture is not None and olds:
        if pair is not None and news:
            laid = into_new[0] @ np.array(pair.homography)
            found[change.picture] = _moved([old for old in olds if old.photo == pair.old], laid, part)
        else:
            found[change.picture] = _moved(olds[:1], to_picture(olds[0], sizes[0][olds[0].photo], whole), part)
            if change.new_picture is not None:
                found[change.new_picture] = found[change.picture]
    return found


def _moved(findings: Sequence[Finding], into: np.ndarray, part: Part) -> tuple[Polygon, ...]:
    """Outlines as shares of a part of a picture; what lies outside goes on below 0 and above 1.

    Args:
        findings: that they are of.
        into: (3, 3), pixels of their photograph to those of the picture as one pixel, whose middle is 0.
        part: of the picture.
    """
    polygons = []
    for ring in (ring for finding in findings for ring in finding.outline):
        points = np.c_[np.array(ring, float), np.ones(len(ring))] @ into.T
        start, end = np.array(part[:2]), np.array(part[2:])
        shares = ((points[:, :2] / points[:, 2:] + 0.5 - start) / (end - start)).round(4)
        polygons.append(tuple((float(x), float(y)) for x, y in shares))
    return tuple(polygons)


def _write_later(
    out: Path,
    changes: Sequence[Change],
    findings: Mapping[str, Finding],
    sizes: Mapping[str, tuple[int, int]],
    seen_on: Mapping[str, PhotoPair],
    photographs: Photographs,
    parts: dict[str, Part],
) -> None:
    """Write the later photographs of cracks that only the earlier survey drew, a photograph at a time, both cut to what they show."""
    wanted: dict[str, list[tuple[str, str, Change]]] = {}
    for change in changes:
        name, below = change.new_picture, change.picture
        if name in seen_on and name is not None and below is not None:
            wanted.setdefault(seen_on[name].new, []).append((name, below, change))
    for photo, pixels in photographs(wanted.keys()) if wanted else ():
        for name, below, change in wanted.get(photo, ()):
            shown, old = read_picture(out, below), findings[change.old[0]]
            if shown is not None:
                size = shown.shape[1], shown.shape[0]
                into = to_picture(old, sizes[old.photo], size) @ np.linalg.inv(np.array(seen_on[name].homography))
                known = _laid(np.full_like(pixels, 255), into, size)[..., 0] == 255
                if known.any():
                    place, parts[below] = _part(known)
                    write_bytes(out / name, as_jpeg(_laid(pixels, into, size)[place]))
                    write_bytes(out / below, as_jpeg(shown[place]))


def _laid(pixels: np.ndarray, into: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A photograph laid onto a picture of that width and height, grey where it shows nothing.

    Args:
        pixels: uint8 (height, width, 3), the photograph.
        into: (3, 3), its pixels to the picture's.
        size: of the picture.
    """
    import cv2

    # Reduced first where the picture is coarser: single pixels of a fine photograph would miss a fine crack.
    x, y, weight = np.linalg.inv(into) @ (size[0] / 2, size[1] / 2, 1.0)
    enlarged = math.sqrt(abs(float(np.linalg.det(into) / (into[2] @ (x / weight, y / weight, 1.0)) ** 3)))
    times = max(1, int(1 / enlarged))
    reduced = np.asarray(Image.fromarray(pixels).reduce(times)) if times > 1 else pixels
    back = np.array([[times, 0, (times - 1) / 2], [0, times, (times - 1) / 2], [0, 0, 1.0]])
    return np.asarray(
        cv2.warpPerspective(reduced, into @ back, size, flags=cv2.INTER_LINEAR, borderValue=(_BESIDE, _BESIDE, _BESIDE))
    )


def read_picture(folder: Path, name: str) -> np.ndarray | None:
    """A picture of a survey's folder, uint8 (height, width, 3); None where it is gone or damaged."""
    try:
        return np.asarray(load_rgb(file_inside(folder, name).read_bytes()))
    except (OSError, CrackError):
        return None


def to_picture(finding: Finding, photo: tuple[int, int], picture: tuple[int, int]) -> np.ndarray:
    """(3, 3): pixels of a photograph to those of a finding's picture."""
    region = picture_region(finding.box, *photo)
    across, down = picture[0] / region.w, picture[1] / region.h
    return np.array(
        [
            [across, 0, (0.5 - region.x) * across - 0.5],
            [0, down, (0.5 - region.y) * down - 0.5],
            [0, 0, 1.0],
        ]
    )
