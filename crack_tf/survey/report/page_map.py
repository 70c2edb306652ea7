"""Where photographs, findings and gaps lie, as inline SVG in metres: from above, and from the side where altitudes differ.

No map tiles: the report works without a network, and a drone's positions are no better than some metres anyway.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from crack_tf.survey.findings import VALIDATIONS, Survey
from tflite.words import counted

_WIDTH, _MIN_HEIGHT, _MAX_HEIGHT, _MARGIN = 960.0, 260.0, 560.0, 48.0
_BELOW = 52.0  # strip of the scale bar, below the signs of two dozen findings at one place
_SMALLEST_EXTENT_M = 10.0  # a hovering drone's positions differ by less: do not blow up their errors
_SIDE_VIEW_FROM_M = 2.0
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
_RADII = 6.0, 12.0  # units of the drawing, of the least and the most severe finding
_APART = 9.0  # between two findings at one place
_CROWD = 80  # findings; more are drawn smaller
_COMPASS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


@dataclass(frozen=True)
class _Mark:
    """Something to draw: metres east and north of the middle of the flight, altitude in metres or None."""

    kind: str  # "photo", "gap" or a finding's validation
    east: float
    north: float
    up: float | None
    title: str
    id: str = ""
    size: float = 0.0  # 0..1, of a finding's severity


def flight_figures(survey: Survey, ranks: Mapping[str, int]) -> str:
    """HTML figures of the flight, or an empty text when nothing has a position.

    Args:
        survey: to draw.
        ranks: finding id -> place in the order of `crack_tf.survey.severity`, from 1.
    """
    marks = _marks(survey, ranks)
    if not marks:
        return ""
    figures = [_figure(marks, "Seen from above", lambda mark: (mark.east, mark.north), _north_arrow())]
    heights = [mark.up for mark in marks if mark.up is not None]
    if heights and max(heights) - min(heights) >= _SIDE_VIEW_FROM_M:
        figures.append(_side_view([mark for mark in marks if mark.up is not None]))
    return "\n".join(figures)


def _marks(survey: Survey, ranks: Mapping[str, int]) -> list[_Mark]:
    photos = sorted(survey.photos, key=lambda photo: (photo.time is None, photo.time or "", photo.name))
    found: list[tuple[str, float, float, float | None, str, str, float]] = []
    for photo in photos:
        if photo.latitude is not None and photo.longitude is not None:
            found.append(("photo", photo.latitude, photo.longitude, photo.altitude_m, photo.name, "", 0.0))
    for gap in survey.gaps:
        if gap.latitude is not None and gap.longitude is not None:
            found.append(("gap", gap.latitude, gap.longitude, None, f"{gap.photo}: {gap.reason}", "", 0.0))
    most = max((finding.severity for finding in survey.findings), default=0.0)
    # The last first, so that the first lies on top.
    for finding in sorted(survey.findings, key=lambda finding: -ranks[finding.id]):
        if finding.latitude is not None and finding.longitude is not None:
            place = finding.latitude, finding.longitude, finding.altitude_m
            title = f"Finding {ranks[finding.id]} ({finding.validation}), {finding.photo}"
            size = math.sqrt(finding.severity / most) if most > 0 else 0.0
            found.append((finding.validation, *place, title, finding.id, size))
    if not found:
        return []
    places = np.array([[lat, lon] for _, lat, lon, *_ in found])
    # Differences to the first longitude are small on both sides of the antimeridian.
    places[:, 1] = (places[:, 1] - places[0, 1] + 180) % 360 - 180
    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    north_m, east_m = _metres_per_degree(float(middle[0]))
    metres = (places - middle) * (north_m, east_m)
    return [
        _Mark(kind, float(east), float(north), up, title, name, size)
        for (kind, _, _, up, title, name, size), (north, east) in zip(found, metres, strict=True)
    ]


def _metres_per_degree(latitude: float) -> tuple[float, float]:
    """Metres in a degree of latitude and of longitude on the WGS84 ellipsoid, good to a metre.

    Source: the usual series for the meridian's and the parallel's arc, Snyder, Map Projections (USGS PP 1395), eq. 3-21 and 4-21.
    """
    angle = math.radians(latitude)
    north = 111132.954 - 559.822 * math.cos(2 * angle) + 1.175 * math.cos(4 * angle)
    east = 111412.84 * math.cos(angle) - 93.5 * math.cos(3 * angle) + 0.118 * math.cos(5 * angle)
    return north, east


def _side_view(marks: Sequence[_Mark]) -> str:
    """The flight seen at right angles to its longest horizontal extent."""
    places = np.array([[mark.east, mark.north] for mark in marks])
    centred = places - places.mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0] if len(marks) > 1 else np.array([1.0, 0.0])
    axis = axis if (axis[0], axis[1]) > (0, 0) else -axis  # east on the right
    bearing = math.degrees(math.atan2(axis[0], axis[1])) % 360
    right = _COMPASS[round(bearing / 45) % 8]
    left = _COMPASS[round((bearing + 180) / 45) % 8]
    ends = (
        f'<text class="end" x="14" y="{{bottom}}">{left}</text>'
        f'<text class="end" x="{_WIDTH - 14:g}" y="{{bottom}}" text-anchor="end">{right}</text>'
    )
    return _figure(
        marks,
        "Seen from the side",
        lambda mark: (mark.east * float(axis[0]) + mark.north * float(axis[1]), mark.up or 0.0),
        ends,
        altitudes=True,
    )


def _figure(
    marks: Sequence[_Mark],
    title: str,
    place: Callable[[_Mark], tuple[float, float]],
    decoration: str,
    altitudes: bool = False,
) -> str:
    points = np.array([place(mark) for mark in marks])
    low, high = points.min(axis=0), points.max(axis=0)
    extent = np.maximum(high - low, _SMALLEST_EXTENT_M)
    middle = (low + high) / 2
    room = _WIDTH - 2 * _MARGIN
    height = float(np.clip(room * extent[1] / extent[0] + 2 * _MARGIN, _MIN_HEIGHT, _MAX_HEIGHT))
    scale = min(room / extent[0], (height - 2 * _MARGIN) / extent[1])  # units of the drawing per metre

    def spot(x: float, y: float) -> tuple[float, float]:
        return _WIDTH / 2 + (x - middle[0]) * scale, height / 2 - (y - middle[1]) * scale

    spots = [spot(*point) for point in points]
    parts = []
    if altitudes:
        parts += _altitude_lines(float(middle[1]), height, scale)
    route = [xy for mark, xy in zip(marks, spots, strict=True) if mark.kind == "photo"]
    parts.append(f'<path class="route" d="{_path(route)}"/>')
    # One path for all photographs, drawn as round ends of lines without length: thousands cost nothing.
    parts.append(f'<path class="photos" d="{"".join(f"M{x:.1f} {y:.1f}h0" for x, y in route)}"/>')
    parts += _signs(marks, spots)
    whole = height + _BELOW
    parts.append(_scale_bar(scale, whole))
    parts.append(decoration.replace("{bottom}", f"{whole - 14:g}"))
    body = "".join(parts)
    return (
        f'<figure class="plot"><figcaption>{escape(title)}</figcaption>'
        f'<svg class="marks" viewBox="0 0 {_WIDTH:g} {whole:.0f}" role="img" aria-label="{escape(_summary(marks, title))}">{body}</svg>'
        "</figure>"
    )


def _path(spots: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in spots) if spots else ""


def _signs(marks: Sequence[_Mark], spots: Sequence[tuple[float, float]]) -> list[str]:
    """Gaps and findings. Several findings at one place, as where only the camera's is known, are fanned out."""
    signs = []
    taken: dict[tuple[int, int], int] = {}
    crowd = sum(mark.kind in VALIDATIONS for mark in marks)
    unit = min(1.0, max(0.5, math.sqrt(_CROWD / max(1, crowd))))
    apart = unit * _APART
    for mark, (x, y) in reversed(list(zip(marks, spots, strict=True))):
        if mark.kind == "photo":
            continue
        title = f"<title>{escape(mark.title)}</title>"
        if mark.kind == "gap":
            signs.append(f'<g class="gap">{title}<path d="M{x - 6:.1f} {y - 6:.1f}l12 12m0 -12l-12 12"/></g>')
            continue
        cell = round(x / apart), round(y / apart)
        number = taken[cell] = taken.get(cell, -1) + 1
        x += apart * math.sqrt(number) * math.cos(number * _GOLDEN_ANGLE)
        y += apart * math.sqrt(number) * math.sin(number * _GOLDEN_ANGLE)
        radius = unit * (_RADII[0] + (_RADII[1] - _RADII[0]) * mark.size)
        signs.append(
            f'<circle class="finding {mark.kind}" data-id="{escape(mark.id)}" cx="{x:.1f}" cy="{y:.1f}" '
            f'r="{radius:.1f}">{title}</circle>'
        )
    return signs[::-1]


def _scale_bar(scale: float, height: float) -> str:
    metres = nice_length(_WIDTH * 0.22 / scale)
    length, y = metres * scale, height - 20
    text = f"{metres:g} m" if metres < 1000 else f"{metres / 1000:g} km"
    x = (_WIDTH - length) / 2
    return (
        f'<g class="scale"><path d="M{x:.1f} {y - 5:g}v5h{length:.1f}v-5"/>'
        f'<text x="{_WIDTH / 2:g}" y="{y - 8:g}" text-anchor="middle">{text}</text></g>'
    )


def nice_length(most: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is at most `most`, which is above 0."""
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (5, 2, 1) if step * power <= most * (1 + 1e-9))


def _altitude_lines(middle: float, height: float, scale: float) -> list[str]:
    step = nice_length(height / scale / 2.5)
    half = (height / 2 - 24) / scale
    lines = []
    for number in range(math.ceil((middle - half) / step), math.floor((middle + half) / step) + 1):
        y = height / 2 - (number * step - middle) * scale
        lines.append(
            f'<path class="level" d="M0 {y:.1f}H{_WIDTH:g}"/><text class="level" x="14" y="{y - 5:.1f}">'
            f"{number * step:g} m</text>"
        )
    return lines


def _north_arrow() -> str:
    x = _WIDTH - 28
    return (
        f'<g class="north"><path d="M{x:g} 16l8 24l-8 -6l-8 6z"/>'
        f'<text x="{x:g}" y="58" text-anchor="middle">N</text></g>'
    )


def _summary(marks: Sequence[_Mark], title: str) -> str:
    kinds = [mark.kind for mark in marks]
    photos, gaps = kinds.count("photo"), kinds.count("gap")
    return f"{title}: {counted(photos, 'photograph')}, {counted(len(kinds) - photos - gaps, 'finding')} and {counted(gaps, 'gap')}."
