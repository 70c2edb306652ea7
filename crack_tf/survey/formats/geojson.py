"""The survey's tables: findings.csv, photos.csv, findings.geojson and coverage.geojson (RFC 7946: WGS84, longitude first)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.photo.crack import RANGE_COLUMNS
from crack_tf.photo.faces import RECTANGLE, Face, Frame, spots_on
from crack_tf.photo.limits import column
from crack_tf.survey.findings import Finding, Gap, PhotoRecord, Survey, limits_of, title_of
from crack_tf.survey.ledger import Coverage, coverage_of
from crack_tf.survey.photo_list import FILE_NAME as PHOTOS_CSV
from crack_tf.survey.photo_list import photo_columns, photo_rows
from crack_tf.survey.reviews.review import COLUMNS as REVIEW_COLUMNS
from crack_tf.survey.reviews.review import (
    UNMEASURED,
    Kept,
    Review,
    has_limits,
    is_crack,
    is_unmeasured,
    kept_review,
    review_columns,
)
from tflite.files import write_csv, write_json

FINDINGS_CSV, FINDINGS, COVERAGE = "findings.csv", "findings.geojson", "coverage.geojson"
COLUMNS = (
    *("id", "severity", "validation", "probability", "validation_score", "tiles", "photo", "seen_on"),
    *("x", "y", "w", "h", "latitude", "longitude", "altitude_m", "time", "mm_per_pixel"),
    *("length_px", "mean_width_px", "max_width_px", "length_mm", "mean_width_mm", "max_width_mm", "width_from"),
    *("picture", "overlay", "note", "length_error_mm", "mean_width_error_mm", "max_width_error_mm"),
    "width_trusted",
    *("pattern", "orientation", "orientation_deg", "orientation_to", "spacing_px", "spacing_mm"),
    *("density_px", "density_m_per_m2", "condition", "condition_rule"),
    *RANGE_COLUMNS,
    *("profile", "since", "since_old"),
    *(f"{name}_growth{end}_mm" for name in ("width", "length") for end in ("", "_low", "_high")),
    *("touches_border", "condition_sure"),
)
NOTE = "Opinions of neural networks about photographs, not a safety assessment."


def write_tables(out: Path, survey: Survey, coverage: Coverage | None = None, kept: Kept | None = None) -> None:
    """Write all four files into the survey's folder, each atomically.

    Args:
        out: the folder.
        survey: to write.
        coverage: of it; None measures it.
        kept: review of it, which is in them; None takes the one that the folder keeps.
    """
    limits = limits_of(survey)
    review, _ = kept or kept_review(out, survey)
    rows = [finding_row(finding, limits, review) for finding in survey.findings]
    write_csv(out / FINDINGS_CSV, rows, table_columns(limits, review))
    write_csv(out / PHOTOS_CSV, photo_rows(survey, review), photo_columns(review))
    title = {"title": title_of(survey)}
    write_json(out / FINDINGS, findings_geojson(survey.findings, limits, review) | title)
    seen = coverage or coverage_of(survey, review)
    write_json(out / COVERAGE, coverage_geojson(survey.photos, survey.gaps, seen) | title)


def table_columns(limits: Sequence[float] = (), review: Review | None = None) -> tuple[str, ...]:
    """Columns of findings.csv, one more for each limit in millimetres, and those of a review where there is one."""
    return (*COLUMNS, *map(column, limits), *(() if review is None else REVIEW_COLUMNS))


def findings_geojson(
    findings: Sequence[Finding], limits: Sequence[float] = (), review: Review | None = None
) -> dict[str, Any]:
    """A point per finding with the table's columns; findings without a place have no geometry, as RFC 7946 allows.

    Args:
        limits: widths in millimetres, each with a property that says whether the crack exceeds it.
        review: of them, or None.
    """
    features = []
    for finding in findings:
        properties = {
            name: value
            for name, value in finding_row(finding, limits, review).items()
            if name not in ("latitude", "longitude")
        }
        properties["seen_on"] = list(finding.seen_on)
        features.append(
            _feature(_point(finding.longitude, finding.latitude, finding.altitude_m), properties, finding.id)
        )
    return _collection(features)


def coverage_geojson(
    photos: Sequence[PhotoRecord], gaps: Sequence[Gap], coverage: Coverage | None = None
) -> dict[str, Any]:
    """The camera's way in order of time, a point per photograph, and one per gap; a line along each face with its square metres, and
    a point to fly to for each hole. `kind` tells them apart."""
    features = []
    way = [photo for photo in photos if photo.latitude is not None and photo.longitude is not None]
    way.sort(key=lambda photo: (photo.time or "", photo.name))
    lines = _split([(float(photo.longitude or 0), float(photo.latitude or 0)) for photo in way])
    if lines:
        features.append(_feature({"type": "MultiLineString", "coordinates": lines}, {"kind": "path"}))
    for photo in photos:
        properties = {
            name: value
            for name, value in vars(photo).items()
            if name not in ("latitude", "longitude", "patches", "transparent")
        }
        place = _point(photo.longitude, photo.latitude, photo.altitude_m)
        features.append(_feature(place, {"kind": "photo", **properties}))
    for gap in gaps:
        properties = {"kind": "gap", "photo": gap.photo, "reason": gap.reason, "detail": gap.detail, "time": gap.time}
        features.append(_feature(_point(gap.longitude, gap.latitude, None), properties))
    for face in () if coverage is None else coverage.faces:
        properties = {
            "kind": "face",
            **asdict(face.face),
            "declared": coverage is not None and coverage.declared,
            "needs_mm": None if coverage is None else coverage.needs_mm,
            "square_metres": face.areas_m2,
        }
        features.append(_feature(_base(face.face), properties))
    for hole in () if coverage is None else coverage.holes:
        properties = {name: value for name, value in vars(hole).items() if name not in ("latitude", "longitude")}
        features.append(
            _feature(_point(hole.longitude, hole.latitude, hole.altitude_m), {"kind": "hole", **properties})
        )
    return _collection(features)


def _base(face: Face) -> dict[str, Any]:
    """The lower edge of a face, as a line."""
    frame = Frame(face.latitude, face.longitude)
    along = np.linspace(0, face.length_m, 2 if face.kind == RECTANGLE else 25)
    points = spots_on(face, frame, along, np.zeros(len(along))).points
    places = [frame.place(float(east), float(north)) for east, north, _ in points]
    lines = _split([(longitude, latitude) for latitude, longitude in places])
    return {"type": "MultiLineString", "coordinates": lines}


def finding_row(finding: Finding, limits: Sequence[float] = (), review: Review | None = None) -> dict[str, Any]:
    """A finding as a row of findings.csv: by COLUMNS, the answers to limits in millimetres, and what a review says, where there is one.

    What is no crack by its verdict, and not drawn either, has no answers.
    """
    lists = {"seen_on": "; ".join(finding.seen_on), "since_old": "; ".join(finding.since_old)}
    values = {**vars(finding), **finding.box.as_json(), **lists}
    asked, counts = has_limits(finding, review), is_crack(finding, review)
    answers = {column(limit): finding.judged(limit, accepted=counts) if asked else None for limit in limits}
    decided = {} if review is None else review_columns(review, finding.id)
    if is_unmeasured(finding, review):
        values["note"] = "; ".join(text for text in (finding.note, f"accepted, but {UNMEASURED}") if text)
    return {name: values[name] for name in COLUMNS} | answers | decided


def _collection(features: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "note": NOTE, "features": features}


def _feature(
    geometry: Mapping[str, Any] | None, properties: Mapping[str, Any], number: str | None = None
) -> dict[str, Any]:
    feature: dict[str, Any] = {"type": "Feature", "geometry": geometry, "properties": dict(properties)}
    return feature if number is None else {"type": "Feature", "id": number, **feature}


def _point(longitude: float | None, latitude: float | None, altitude: float | None) -> dict[str, Any] | None:
    if longitude is None or latitude is None:
        return None
    return {"type": "Point", "coordinates": [longitude, latitude] + ([] if altitude is None else [altitude])}


def _split(way: Sequence[tuple[float, float]]) -> list[list[list[float]]]:
    """A way as lines of two places or more, cut where it crosses the antimeridian (RFC 7946, 3.1.9)."""
    lines: list[list[list[float]]] = []
    line: list[list[float]] = []
    for longitude, latitude in way:
        if line and abs(longitude - line[-1][0]) > 180:
            edge = 180.0 if line[-1][0] > 0 else -180.0
            before, there = line[-1], longitude + 2 * edge  # as if longitudes went on
            share = (edge - before[0]) / (there - before[0]) if there != before[0] else 0.0  # both on the antimeridian
            crossing = before[1] + share * (latitude - before[1])
            lines.append([*line, [edge, crossing]])
            line = [[-edge, crossing]]
        line.append([longitude, latitude])
    lines.append(line)
    return [line for line in lines if len(line) > 1]
