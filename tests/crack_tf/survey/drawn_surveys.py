"""Surveys of any size from drawn pictures, as if they had been made: for the report, the review and the browser."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from crack_tf.photo.crack import WidthAt
from crack_tf.photo.view import View
from crack_tf.survey.findings import (
    VALIDATIONS,
    Finding,
    Gap,
    PhotoRecord,
    Polygon,
    Survey,
    finding_id,
    write_survey,
)
from crack_tf.survey.profiles import profile_csv
from crack_tf.survey.reviews.review_tiles import picture_region
from crack_tf.survey.severity import in_order, severity
from tflite.device.tiles import Box

START = datetime(2025, 6, 1, 9, 30, tzinfo=UTC)
PHOTO_SIZE = 4000, 3000
TILE_SIDE = 227
DRAWN = 24
COLOURS = {"confirmed": (213, 94, 0), "unclear": (0, 114, 178), "refuted": (130, 130, 130)}


def drawn_survey(
    out: Path,
    findings: int,
    photos: int = 24,
    seed: int = 0,
    located: bool = True,
    scaled: bool = True,
    gaps: int = 3,
    limits: tuple[float, ...] = (),
) -> Survey:
    """A survey folder with pictures and survey.json: a drone that flies up and down before a pier.

    Args:
        out: the survey's folder, made if missing.
        findings, photos, gaps: how many.
        seed: of everything random.
        located: whether photographs have positions.
        scaled: whether millimetres are known.
        limits: in millimetres, that cracks are held against.
    """
    rng = np.random.default_rng(seed)
    records = [_photo(number, located, scaled) for number in range(photos)]
    found: list[Finding] = []
    for number in range(findings):
        record = records[int(rng.integers(photos))]
        # Drawing takes most of the time: large surveys show the same places again.
        drawn = found[number % DRAWN] if number >= DRAWN else None
        found.append(_finding(out, record, rng, scaled, drawn))
    lost = tuple(_gap(number, records[number % photos]) for number in range(gaps))
    survey = Survey(
        source="Pier 7 east",
        created="2025-06-01T12:00:00Z",
        models={
            "classifier": {"name": "opnet_lite_small", "sha256": "3f" * 32, "threshold": 0.41},
            "segmenter": {"name": "unet_mobile", "sha256": "a7" * 32, "threshold": 0.5},
        },
        settings={
            "tile_side": TILE_SIDE,
            "overlap": 0.25,
            "mm_per_pixel": 0.2 if scaled else None,
            "foreground": "grabcut",
            **({"limits_mm": list(limits)} if limits else {}),
        },
        photos=tuple(records),
        findings=tuple(in_order(found)),
        gaps=lost,
        warnings=("0.3 mm is 1.5 pixels on these photographs: finer cracks may be missed.",) if scaled else (),
    )
    out.mkdir(parents=True, exist_ok=True)
    write_survey(out, survey)
    return survey


def draw_place(rng: np.random.Generator, box: Box, region: Box) -> tuple[Image.Image, list[tuple[float, float]]]:
    """A picture of concrete around a finding, with a crack from end to end of its box, and the crack's line in it."""
    tone = np.array([168, 163, 154]) + rng.integers(-18, 18)
    stains = Image.fromarray((tone + rng.normal(0, 14, (12, 12, 1))).clip(0, 255).astype(np.uint8))
    smooth = np.asarray(stains.resize((region.w, region.h), Image.Resampling.BICUBIC))
    grain = rng.normal(0, 8, (region.h, region.w, 1))
    image = Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))
    along = np.linspace(0, 1, 40)
    across = (0.5 + np.cumsum(rng.normal(0, 0.018, 40))).clip(0, 1)
    shares = zip(along, across, strict=True) if box.w >= box.h else zip(across, along, strict=True)
    line = [(box.x - region.x + x * box.w, box.y - region.y + y * box.h) for x, y in shares]
    ImageDraw.Draw(image).line(line, fill=(62, 58, 54), width=int(rng.integers(2, 7)), joint="curve")
    return image, line


def _photo(number: int, located: bool, scaled: bool) -> PhotoRecord:
    column, row = divmod(number, 6)
    row = row if column % 2 == 0 else 5 - row
    return PhotoRecord(
        name=f"DCIM/DJI_{number + 1:04d}.JPG",
        sha256=f"{number:064x}",
        width=PHOTO_SIZE[0],
        height=PHOTO_SIZE[1],
        time=(START + timedelta(seconds=4 * number)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        latitude=47.07 + column * 0.00003 + 0.000004 * math.sin(number) if located else None,
        longitude=15.44 + column * 0.00008 if located else None,
        altitude_m=352.0 + 3.1 * row if located else None,
        heading_deg=10.0,
        mm_per_pixel=0.2 if scaled else None,
        tiles=432,
        positives=5,
        findings=1,
    )


def _finding(out: Path, photo: PhotoRecord, rng: np.random.Generator, scaled: bool, like: Finding | None) -> Finding:
    width, height = (int(value) for value in rng.choice([120, 240, 400], 2))
    box = Box(int(rng.integers(PHOTO_SIZE[1] - height)), int(rng.integers(PHOTO_SIZE[0] - width)), height, width)
    number = finding_id(photo.name, box)
    if like is None:
        validation = str(rng.choice(VALIDATIONS, p=(0.6, 0.15, 0.25)))
        outline = _draw(out, number, rng, box, validation)
    else:
        validation, outline = like.validation, like.outline[0]
        for folder, name in (("pictures", like.picture), ("overlays", like.overlay)):
            # A link: thousands of copies would fill a disk.
            os.link(out / name, out / folder / f"{number}.jpg")
    drawn = validation == "confirmed"
    length, mean = float(rng.uniform(120, 900)), float(rng.uniform(1.5, 6))
    measured: dict[str, Any] = {
        "length_px": round(length, 2) if drawn else None,
        "mean_width_px": round(mean, 3) if drawn else None,
        "max_width_px": round(mean * 1.4, 3) if drawn else None,
    }
    scale = photo.mm_per_pixel
    in_mm: dict[str, Any] = {
        name.replace("_px", "_mm"): None if scale is None or value is None else round(value * scale, 3)
        for name, value in measured.items()
    }
    shares = (("length", 0.97, 1.12), ("mean_width", 0.85, 1.2), ("max_width", 0.8, 1.25))
    ends: dict[str, Any] = {
        f"{name}_{end}_{unit}": round(share * value, 3)
        for unit, values in (("px", measured), ("mm", in_mm))
        for name, low, high in shares
        for end, share in (("low", low), ("high", high))
        if (value := values[f"{name}_{unit}"]) is not None
    }
    profile = None
    if drawn:
        profile = f"profiles/{number}.csv"
        (out / "profiles").mkdir(parents=True, exist_ok=True)
        (out / profile).write_bytes(_profile(box, mean, length, scale))
    probability = round(float(rng.uniform(0.42, 0.9999)), 4)
    return Finding(
        id=number,
        photo=photo.name,
        seen_on=(photo.name,) if rng.random() < 0.7 else (photo.name, "DCIM/DJI_0099.JPG"),
        box=box,
        outline=(outline,),
        latitude=photo.latitude,
        longitude=photo.longitude,
        altitude_m=photo.altitude_m,
        time=photo.time,
        probability=probability,
        tiles=int(rng.integers(1, 6)),
        validation=validation,
        validation_score=round(float(rng.uniform(0.5, 1)) if drawn else float(rng.uniform(0, 0.5)), 3),
        mm_per_pixel=scale,
        **measured,
        **in_mm,
        **ends,
        profile=profile,
        severity=severity(
            box,
            scale,
            length_px=measured["length_px"],
            max_width_px=measured["max_width_px"],
            probability=probability,
            validation=validation,
        ),
        picture=f"pictures/{number}.jpg",
        overlay=f"overlays/{number}.jpg",
    )


def _profile(box: Box, mean: float, length: float, scale: float | None) -> bytes:
    """Widths of a crack with one fork, as a survey writes them."""
    places = [
        WidthAt(branch, along, box.x + along, box.y, mean * (1 + 0.35 * math.sin(along / 40)), "photograph")
        for branch, end in ((1, 0.7 * length), (2, 0.3 * length))
        for along in np.arange(0, end, 6.0).tolist()
    ]
    return profile_csv(places, None if scale is None else View(*PHOTO_SIZE, scale))


def _draw(out: Path, number: str, rng: np.random.Generator, box: Box, validation: str) -> Polygon:
    """Write a finding's two pictures; its outline in the photograph."""
    region = picture_region(box, *PHOTO_SIZE)
    image, line = draw_place(rng, box, region)
    overlay = image.copy()
    for side in (-7, 7):
        ImageDraw.Draw(overlay).line([(x + side, y + side) for x, y in line], fill=COLOURS[validation], width=2)
    for folder, picture in (("pictures", image), ("overlays", overlay)):
        (out / folder).mkdir(parents=True, exist_ok=True)
        picture.save(out / folder / f"{number}.jpg", quality=88)
    return tuple((x + region.x, y + region.y) for x, y in line)


def _gap(number: int, photo: PhotoRecord) -> Gap:
    if number % 3 == 2:
        return Gap(f"DCIM/DJI_{900 + number}.JPG", "unreadable", "is damaged or truncated (image file is truncated).")
    reason = ("unreadable", "no position")[number % 2]
    place = (photo.latitude, photo.longitude) if reason == "unreadable" else (None, None)
    return Gap(f"DCIM/DJI_{900 + number}.JPG", reason, "cannot be decoded.", *place, photo.time)


def in_folders(survey: Survey, folders: Sequence[str]) -> Survey:
    """The same survey with its photographs and gaps, one after the other, in these folders."""
    names = sorted({photo.name for photo in survey.photos} | {gap.photo for gap in survey.gaps})
    moved = {
        name: f"{folders[number % len(folders)]}/{name.rpartition('/')[2]}".lstrip("/")
        for number, name in enumerate(names)
    }

    def there(name: str) -> str:
        return moved.get(name, name)

    return replace(
        survey,
        photos=tuple(replace(photo, name=there(photo.name)) for photo in survey.photos),
        findings=tuple(
            replace(finding, photo=there(finding.photo), seen_on=tuple(map(there, finding.seen_on)))
            for finding in survey.findings
        ),
        gaps=tuple(replace(gap, photo=there(gap.photo)) for gap in survey.gaps),
    )


def with_names(survey: Survey, name: str) -> Survey:
    """The same survey with every text that comes from outside replaced."""
    return replace(
        survey,
        source=name,
        photos=tuple(replace(photo, name=name) for photo in survey.photos),
        findings=tuple(replace(finding, photo=name, seen_on=(name, name)) for finding in survey.findings),
        gaps=tuple(replace(gap, photo=name, detail=name, reason=name) for gap in survey.gaps),
        warnings=(name,),
        models={name: {name: name}},
        settings={name: name},
    )
