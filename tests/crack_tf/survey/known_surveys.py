"""A survey's folder with cracks drawn by hand before a wall whose place is known to the millimetre: what is handed over can be foretold."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from crack_tf.photo.cracks import measure_cracks
from crack_tf.survey.findings import Finding, Gap, PhotoRecord, Survey, finding_id, write_survey
from crack_tf.survey.severity import severity
from crack_tf.survey.store import Store
from tests.crack_tf.survey.some_finding import some_finding
from tflite.device.tiles import Box
from tflite.place.fix import EARTH_M

WIDTH, HEIGHT = 320, 240
LATITUDE, LONGITUDE = 46.95, 7.44  # Berne: Switzerland's own reference system is for places as this
DISTANCE_M, MM_PER_PIXEL, ALTITUDE_M = 2.0, 1.0, 540.0
HEADING_DEG = 30.0


def line_mask(
    points: Sequence[tuple[float, float]], width: float, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> np.ndarray:
    """bool (height, width): pixels whose middle lies within half the width of a line."""
    y, x = np.mgrid[: size[1], : size[0]].astype(float)
    mask = np.zeros(size[::-1], bool)
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        along = np.array([x1 - x0, y1 - y0])
        share = (((x - x0) * along[0] + (y - y0) * along[1]) / (along @ along)).clip(0, 1)
        mask |= np.hypot(x - x0 - share * along[0], y - y0 - share * along[1]) <= width / 2
    return mask


def photo_record(name: str, right_m: float = 0.0, up_m: float = 0.0, **more: object) -> PhotoRecord:
    """A photograph whose camera is moved along the wall that it faces."""
    angle = math.radians(HEADING_DEG)
    north, east = -right_m * math.sin(angle), right_m * math.cos(angle)
    values: dict[str, object] = {
        "name": name,
        "sha256": "0" * 64,
        "width": WIDTH,
        "height": HEIGHT,
        "time": "2026-03-01T09:30:00Z",
        "latitude": LATITUDE + math.degrees(north / EARTH_M),
        "longitude": LONGITUDE + math.degrees(east / (EARTH_M * math.cos(math.radians(LATITUDE)))),
        "altitude_m": ALTITUDE_M + up_m,
        "heading_deg": HEADING_DEG,
        "mm_per_pixel": MM_PER_PIXEL,
        "tiles": 4,
        "positives": 1,
        "findings": 1,
        "scale_source": "laser",
        "scale_error": 0.01,
        "distance_m": DISTANCE_M,
        "pitch_deg": 0.0,
    }
    return PhotoRecord(**{**values, **more})  # type: ignore[arg-type]


def drawn_finding(photo: PhotoRecord, mask: np.ndarray, validation: str = "confirmed") -> Finding:
    """A finding whose crack is the mask's one part."""
    (crack,) = measure_cracks(mask)
    scale = photo.mm_per_pixel

    def mm(value: float) -> float | None:
        return None if scale is None else round(value * scale, 3)

    return Finding(
        id=finding_id(photo.name, crack.box),
        photo=photo.name,
        seen_on=(photo.name,),
        box=crack.box,
        outline=(crack.outline[0][:-1],),
        holes=tuple(ring[:-1] for ring in crack.outline[1:]),
        centreline=crack.centreline,
        latitude=photo.latitude,
        longitude=photo.longitude,
        altitude_m=photo.altitude_m,
        time=photo.time,
        probability=0.9,
        tiles=1,
        validation=validation,
        validation_score=0.8,
        mm_per_pixel=scale,
        length_px=round(crack.length_px, 2),
        mean_width_px=round(crack.mean_width_px, 3),
        max_width_px=round(crack.max_width_px, 3),
        length_mm=mm(crack.length_px),
        mean_width_mm=mm(crack.mean_width_px),
        max_width_mm=mm(crack.max_width_px),
        severity=severity(
            crack.box,
            scale,
            length_px=crack.length_px,
            max_width_px=crack.max_width_px,
            probability=0.9,
            validation=validation,
        ),
        picture="pictures/000000000000.jpg",
        overlay="overlays/000000000000.jpg",
        width_from="mask",
    )


def tile_finding(photo: PhotoRecord, box: Box, validation: str) -> Finding:
    """A finding that is a tile only."""
    corners = ((box.x, box.y), (box.x + box.w, box.y), (box.x + box.w, box.y + box.h), (box.x, box.y + box.h))
    return some_finding(
        photo.name,
        id=finding_id(photo.name, box),
        box=box,
        outline=(tuple((float(x), float(y)) for x, y in corners),),
        latitude=photo.latitude,
        longitude=photo.longitude,
        altitude_m=photo.altitude_m,
        time=photo.time,
        probability=0.7,
        validation=validation,
        validation_score=0.4,
        mm_per_pixel=photo.mm_per_pixel,
    )


def write_found(
    folder: Path,
    photos: Sequence[tuple[PhotoRecord, Sequence[Finding]]],
    gaps: Sequence[Gap] = (),
    merged: Sequence[Finding] | None = None,
    **settings: object,
) -> Survey:
    """A finished survey's folder: records and survey.json.

    Args:
        folder: to make.
        photos: each with its own findings.
        gaps: photographs that could not be read.
        merged: findings of the survey; None for all of the photographs.
        settings: of the survey.
    """
    asked = {"kind": "folder", "position_error_m": 0.5, **settings}
    with Store(folder, asked) as store:
        for photo, findings in photos:
            store.add_photo(1, photo, list(findings), None)
        for gap in gaps:
            store.add_gap(1, gap)
    survey = Survey(
        source="DCIM",
        created="2026-03-02T10:00:00Z",
        models={},
        settings=asked,
        photos=tuple(photo for photo, _ in photos),
        findings=tuple([f for _, found in photos for f in found] if merged is None else merged),
        gaps=tuple(gaps),
    )
    write_survey(folder, survey)
    return survey


def write_photo(folder: Path, name: str) -> None:
    """The photograph itself: plain concrete."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), (168, 163, 154)).save(path)
