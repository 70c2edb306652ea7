"""What a comparison with an earlier survey leaves in the folder: since.json, since.csv and the earlier photographs of cracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from crack_tf.survey.epochs import PhotoPair
from crack_tf.survey.findings import Finding, Survey
from crack_tf.survey.pictures import as_jpeg
from crack_tf.survey.review_tiles import picture_region
from crack_tf.survey.since import FILE_NAME, FORMAT, Change, Earlier, Since
from crack_tf.survey.store import SINCE, SINCE_FILES
from tflite.checked import file_inside
from tflite.errors import CrackError
from tflite.files import write_bytes, write_csv, write_json
from tflite.images import load_rgb

TABLE = "since.csv"
COLUMNS = tuple(entry.name for entry in fields(Change))
_BESIDE = 128  # grey level of what the earlier picture does not show


def write_since(out: Path, since: Since, survey: Survey, earlier: Earlier, seen_on: Mapping[str, PhotoPair]) -> None:
    """Write the table, the pictures and, last, what the report reads.

    Args:
        out: the later survey's folder.
        since: what became of the cracks.
        survey, earlier: the later and the earlier survey.
        seen_on: the photographs of each picture.
    """
    remove_since(out)
    by_id = {finding.id: finding for found in (survey, earlier.survey) for finding in found.findings}
    sizes = [{photo.name: (photo.width, photo.height) for photo in found.photos} for found in (earlier.survey, survey)]
    (out / SINCE).mkdir(exist_ok=True)
    for change in since.changes:
        if change.picture is None:
            continue
        picture = _earlier_picture(out, earlier, change, by_id, sizes, seen_on.get(change.picture))
        if picture is not None:
            write_bytes(out / change.picture, picture)
    rows = [
        asdict(change) | {side: "; ".join(getattr(change, side)) for side in ("old", "new")} for change in since.changes
    ]
    write_csv(out / TABLE, rows, COLUMNS)
    write_json(out / FILE_NAME, {"format": FORMAT, **asdict(since)})


def remove_since(out: Path) -> None:
    """Take away what an earlier comparison left."""
    for path in (*(out / name for name in SINCE_FILES), *(out / SINCE).glob("*.jpg")):
        path.unlink(missing_ok=True)


def _earlier_picture(
    out: Path,
    earlier: Earlier,
    change: Change,
    findings: Mapping[str, Finding],
    sizes: Sequence[Mapping[str, tuple[int, int]]],
    pair: PhotoPair | None,
) -> bytes | None:
    """The earlier pictures of a crack laid onto the later one's, as JPEG; as they are where there is none. None for what is missing."""
    import cv2

    olds = [findings[number] for number in change.old]
    if pair is None or not change.new:
        image = _read(earlier.folder, olds[0].picture)
        return None if image is None else as_jpeg(image)
    new = findings[change.new[0]]
    later = _read(out, new.picture)
    if later is None:
        return None
    shown = np.full_like(later, _BESIDE)
    size = later.shape[1], later.shape[0]
    into = _to_picture(new, sizes[1][new.photo], size) @ np.array(pair.homography)
    for old in olds:
        image = _read(earlier.folder, old.picture) if old.photo == pair.old else None
        if image is None:
            continue
        back = np.linalg.inv(_to_picture(old, sizes[0][old.photo], (image.shape[1], image.shape[0])))
        there = cv2.warpPerspective(np.ones(image.shape[:2], np.uint8), into @ back, size, flags=cv2.INTER_NEAREST)
        laid = cv2.warpPerspective(image, into @ back, size, flags=cv2.INTER_AREA)
        shown[there > 0] = laid[there > 0]
    return as_jpeg(shown)


def _read(folder: Path, name: str) -> np.ndarray | None:
    try:
        return np.asarray(load_rgb(file_inside(folder, name).read_bytes()))
    except (OSError, CrackError):
        return None


def _to_picture(finding: Finding, photo: tuple[int, int], picture: tuple[int, int]) -> np.ndarray:
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
