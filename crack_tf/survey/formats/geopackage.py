"""A survey as a GeoPackage, which GIS programs open: findings, drawn cracks, photographs and gaps as layers in one reference system.

    findings      a point each, with the columns of findings.csv; without a place no geometry
    cracks        the centreline of each drawn crack on the face it was found on, lines with altitude, and its columns
    photographs   a point each where the camera was
    gaps          what could not be read; without a place no geometry

Altitudes are those of the photographs, in their own system.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.survey.findings import Finding, Gap, PhotoRecord, Survey, limits_of, title_of
from crack_tf.survey.formats.crs import Projection, projection
from crack_tf.survey.formats.geojson import NOTE, finding_row, table_columns
from crack_tf.survey.geometry.placing import Placed, PlacedCrack, place_cracks
from crack_tf.survey.reviews.review import COLUMNS as REVIEW_COLUMNS
from crack_tf.survey.reviews.review import Review
from tflite.files import atomic_path
from tflite.outputs import Output
from tflite.words import storable

MADE_BY = "crack-tf survey-export"
FINDINGS, CRACKS, PHOTOGRAPHS, GAPS = "findings", "cracks", "photographs", "gaps"
_PHOTO_COLUMNS = (
    *(
        "name",
        "time",
        "altitude_m",
        "heading_deg",
        "pitch_deg",
        "mm_per_pixel",
        "scale_source",
        "distance_m",
        "width",
        "height",
    ),
    *("tiles", "positives", "findings"),
)
_GAP_COLUMNS = ("photo", "reason", "detail", "time")
_WHOLE = {"width_trusted", "touches_border", "condition_sure", "tiles", "x", "y", "w", "h", "width", "height"}
_WHOLE |= {"positives", "findings"}
_TEXT = {"id", "photo", "seen_on", "time", "width_from", "note", "name", "scale_source", "reason", "detail", "face"}
_TEXT |= {
    "pattern",
    "orientation",
    "orientation_to",
    "condition",
    "condition_rule",
    "profile",
    "since",
    "since_old",
    *REVIEW_COLUMNS,
}
_POINT, _MULTI_LINE_Z, _LINE_Z = 1, 1005, 1002  # of well-known binary, ISO 13249-3
_GEOMETRIES = {_POINT: "Point", _MULTI_LINE_Z: "MultiLineString Z"}


@dataclass(frozen=True)
class GeoPackage:
    """What was written.

    Attributes:
        projection: the reference system.
        places: that have coordinates in it; none where nothing in the survey has a position.
        findings, cracks: rows of these layers.
        without_place: findings without a geometry.
        not_on_a_face: drawn cracks of which no line is there, only the finding's point.
        lost_without_place: of these the ones without a point.
    """

    projection: Projection
    places: int
    findings: int
    cracks: int
    without_place: int
    not_on_a_face: int
    lost_without_place: int


@dataclass(frozen=True)
class _Layer:
    """One table: its rows, a geometry or None for each, and what it is."""

    name: str
    kind: int
    text: str
    rows: Sequence[Mapping[str, Any]]
    geometries: Sequence[bytes | None]
    columns: Sequence[str]


def _is_ours(path: Path) -> bool:
    # Opened as a URI for reading only: a file that is none is not created.
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as table:
        texts = [text for (text,) in table.execute("select description from gpkg_contents")]
    return bool(texts) and all(str(text).endswith(f"{MADE_BY}.") for text in texts)


OUTPUT = Output(MADE_BY, _is_ours)


def write_geopackage(path: Path, survey: Survey, crs: str, review: Review | None = None) -> GeoPackage:
    """Write the file, whole or not at all.

    Args:
        path: ending in .gpkg.
        survey: to write.
        crs: see `crack_tf.survey.formats.crs.projection`.
        review: of its findings, or None.

    Raises:
        CrackError: if the reference system is unknown or does not fit, or the survey's settings are damaged.
    """
    import pyogrio
    import pyogrio.raw

    placed = place_cracks(survey)
    places = _places(survey, placed)
    there = projection(crs, places)
    layers = _layers(survey, placed, there, review)
    # The time of a change is the survey's, so that the same survey gives the same file.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": survey.created})
    with atomic_path(path) as temporary:
        temporary.unlink()  # GDAL makes its own
        for number, layer in enumerate(layers):
            values = [_column(name, [row.get(name) for row in layer.rows]) for name in layer.columns]
            pyogrio.raw.write(
                os.fspath(temporary),
                np.array([*layer.geometries, None], object)[:-1],
                [column for column, _ in values],
                list(layer.columns),
                field_mask=[empty for _, empty in values],
                layer=layer.name,
                driver="GPKG",
                geometry_type=_GEOMETRIES[layer.kind],
                crs=there.code,
                append=number > 0,
                # GDAL's own choice, 1.4, is newer than QGIS 3.22 knows; nothing here needs it.
                dataset_options={"VERSION": "1.2"},
                layer_options={"DESCRIPTION": f"{layer.text}. {NOTE} Made by {MADE_BY}."},
            )
    return GeoPackage(
        there,
        len(places),
        findings=len(survey.findings),
        cracks=len(placed.cracks),
        without_place=_without_place(survey.findings),
        not_on_a_face=len(placed.lost),
        lost_without_place=_without_place(placed.lost),
    )


def _without_place(findings: Sequence[Finding]) -> int:
    return sum(finding.latitude is None or finding.longitude is None for finding in findings)


def _places(survey: Survey, placed: Placed) -> list[tuple[float, float]]:
    """Longitude and latitude of everything that gets coordinates."""
    found: list[tuple[float, float]] = []
    entries: list[Finding | PhotoRecord | Gap] = [*survey.findings, *survey.photos, *survey.gaps]
    for entry in entries:
        if entry.latitude is not None and entry.longitude is not None:
            found.append((entry.longitude, entry.latitude))
    for crack in placed.cracks:
        for line in crack.places:
            found += [(float(longitude), float(latitude)) for longitude, latitude, _ in line]
    return found


def _layers(survey: Survey, placed: Placed, there: Projection, review: Review | None) -> list[_Layer]:
    height = "altitudes in the system of the photographs"
    limits = limits_of(survey)
    columns = table_columns(limits, review)
    numbers = {finding.id: finding_row(finding, limits, review) for finding in survey.findings}
    return [
        _Layer(
            FINDINGS,
            _POINT,
            f"Findings of the survey {title_of(survey)}, columns as in findings.csv; {height}",
            list(numbers.values()),
            [_point(finding.longitude, finding.latitude, there) for finding in survey.findings],
            columns,
        ),
        _Layer(
            CRACKS,
            _MULTI_LINE_Z,
            f"Centrelines of drawn cracks on the face that they were found on; {height}",
            [{**numbers[crack.finding.id], "face": crack.face.name} for crack in placed.cracks],
            [_lines(crack, there) for crack in placed.cracks],
            (*columns, "face"),
        ),
        _Layer(
            PHOTOGRAPHS,
            _POINT,
            f"Where the camera was; {height}",
            [vars(photo) for photo in survey.photos],
            [_point(photo.longitude, photo.latitude, there) for photo in survey.photos],
            _PHOTO_COLUMNS,
        ),
        _Layer(
            GAPS,
            _POINT,
            "Photographs of which something is not known. They do not count as clean",
            [vars(gap) for gap in survey.gaps],
            [_point(gap.longitude, gap.latitude, there) for gap in survey.gaps],
            _GAP_COLUMNS,
        ),
    ]


def _column(name: str, values: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Values of one column as one type, and which are empty. The type is the column's, whatever a survey happens to hold."""
    empty = np.array([value is None for value in values], bool)
    if name in _WHOLE:
        return np.array([0 if value is None else int(value) for value in values], np.int64), empty
    if name not in _TEXT and not any(isinstance(value, str) for value in values):
        return np.array([np.nan if value is None else float(value) for value in values], np.float64), empty
    # Names of files may hold bytes that are no text.
    texts = [None if value is None else storable(str(value)) for value in values]
    return np.array([*texts, None], object)[:-1], empty


def _point(longitude: float | None, latitude: float | None, there: Projection) -> bytes | None:
    if longitude is None or latitude is None:
        return None
    (x,), (y,) = there(np.array([longitude]), np.array([latitude]))
    return struct.pack("<BIdd", 1, _POINT, x, y)


def _lines(crack: PlacedCrack, there: Projection) -> bytes:
    parts = [struct.pack("<BII", 1, _MULTI_LINE_Z, len(crack.places))]
    for line in crack.places:
        x, y = there(line[:, 0], line[:, 1])
        parts += [struct.pack("<BII", 1, _LINE_Z, len(line)), np.c_[x, y, line[:, 2]].astype("<f8").tobytes()]
    return b"".join(parts)
