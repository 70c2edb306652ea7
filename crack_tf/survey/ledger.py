"""How much of a structure was seen, and how well: square metres of each state, every spot once, and the holes.

Each face is cut into cells. Each photograph that shows a cell says how: `STATES` in their order, and a cell has the best state that any
photograph gives it. One that was seen well enough has findings where any photograph has one there; one that was not stays as it is, since
nobody can tell what else is there. What no photograph shows is unseen. On declared faces the rest of the face is; on walls that were only
found from the flight, what is enclosed by seen cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_tf.photo.faces import Face, Frame, spots_on, where_on
from crack_tf.photo.gsd import needed_mm_per_pixel
from crack_tf.photo.view import MAX_OBLIQUE_DEG
from crack_tf.survey.findings import Finding, PhotoRecord, Survey
from crack_tf.survey.geometry.footprint import Camera, Seen, see
from crack_tf.survey.geometry.views import NEEDED_MM as NEEDED_MM
from crack_tf.survey.geometry.views import POSITION_ERROR_M as POSITION_ERROR_M
from crack_tf.survey.geometry.views import asked_of, views_of
from crack_tf.survey.reviews.review import Review, standing
from crack_tf.survey.searching.quality import BLURRED, LIT_BADLY, NOT_CONCRETE, patch_codes
from tflite.words import counted

FOUND, CLEAN, COARSE, BLURRY, OBLIQUE, DARK, BACKGROUND, UNSEEN = range(8)
STATES = (
    "findings",
    "clean",
    "too coarse",
    "blurred",
    "too oblique",
    "too dark or burnt out",
    "not concrete",
    "not seen",
)
UNKNOWN = "not known, since no photograph says where it was taken from and what it looks at"
MAX_CELLS = 1_000_000  # of a face
_FINE = 40  # cells across the shorter side of a footprint
_MIN_HOLE_CELLS = 6
NEARER = 0.9  # than where the needed scale ends: a pilot does not keep to a hand's breadth
_USUAL_M = 2.0  # where no photograph tells the lens
_NEAR_M, _FROM_M = 1.0, 2.0  # nearer than the one, what it takes to do the same from the other is told


@dataclass(frozen=True)
class Hole:
    """A connected part of a face that was not seen well enough, and where to fly to see it.

    Attributes:
        face: its name.
        state: of most of it, one of STATES.
        where: on the face, in words.
        area_m2, width_m, height_m: of the part, and of the rectangle around it.
        latitude, longitude, altitude_m: to photograph it from, where it is wide.
        heading_deg: to look to from there, level.
        distance_m: from there to the surface.
    """

    face: str
    state: str
    where: str
    area_m2: float
    width_m: float
    height_m: float
    latitude: float
    longitude: float
    altitude_m: float
    heading_deg: float
    distance_m: float

    def describe(self) -> str:
        """One line for a pilot."""
        return (
            f"{self.face}, {self.where}: {self.area_m2:.2g} m2 {self.state} ({self.width_m:.2g} m wide, {self.height_m:.2g} m high). Look "
            f"towards {self.heading_deg:.0f} degrees from {self.latitude:.7f}, {self.longitude:.7f} at {self.altitude_m:.1f} m, "
            f"{self.distance_m:.2g} m before it{longer_lens(self.distance_m, '; ')}"
        )


@dataclass(frozen=True)
class FaceCoverage:
    """What was seen of one face.

    Attributes:
        face: the face.
        cell_m: (along, up), sides of a cell in metres.
        cells: uint8 (rows from the top, columns from the left), places in STATES; 255 where nothing was declared nor enclosed.
        areas_m2: by STATES.
        holes: the largest first.
    """

    face: Face
    cell_m: tuple[float, float]
    cells: np.ndarray
    areas_m2: dict[str, float]
    holes: tuple[Hole, ...]


@dataclass(frozen=True)
class Coverage:
    """What was seen of a structure.

    Attributes:
        faces: in the order declared, else found.
        declared: whether a person declared them.
        needs_mm: width of crack that must be measurable.
        unplaced: photographs that are on no face, since position, altitude, direction or scale are not known or they look elsewhere.
        photos: all that were searched.
    """

    faces: tuple[FaceCoverage, ...]
    declared: bool
    needs_mm: float
    unplaced: int
    photos: int

    @property
    def areas_m2(self) -> dict[str, float]:
        """All faces together, by STATES."""
        return {state: sum(face.areas_m2[state] for face in self.faces) for state in STATES}

    @property
    def holes(self) -> tuple[Hole, ...]:
        """Those of all faces, the largest first."""
        return tuple(sorted((hole for face in self.faces for hole in face.holes), key=lambda hole: -hole.area_m2))

    def describe(self) -> str:
        """One sentence, such as "of 184 m2 declared, 171 m2 were seen at 0.1 mm per pixel or better; 9 m2 too coarse; ..."."""
        areas = self.areas_m2
        total, seen = sum(areas.values()), areas[STATES[FOUND]] + areas[STATES[CLEAN]]
        parts = [
            f"of {_area(total)} {'declared' if self.declared else 'that the photographs span'}, {_area(seen)} were seen at "
            f"{needed_mm_per_pixel(self.needs_mm):.3g} mm per pixel or better"
            + (f", {_area(areas[STATES[FOUND]])} of them with findings" if areas[STATES[FOUND]] else "")
        ]
        for state in STATES[COARSE:]:
            if areas[state] > 0:
                spots = list(dict.fromkeys(_spot(hole) for hole in self.holes if hole.state == state))
                more = f" and {counted(len(spots) - 2, 'more place')}" if len(spots) > 2 else ""
                parts.append(f"{_area(areas[state])} {state}" + (f": {', '.join(spots[:2])}{more}" if spots else ""))
        if self.unplaced:
            are, they = ("is", "it shows") if self.unplaced == 1 else ("are", "they show")
            parts.append(
                f"{self.unplaced} of {self.photos} photographs {are} not counted, since it is not known what {they}"
            )
        return "; ".join(parts)


def coverage_of(survey: Survey, review: Review | None) -> Coverage | None:
    """What a survey saw, by the faces and the width of crack that its settings state; see `measure_coverage`.

    Args:
        survey: whose findings count that are neither refuted nor rejected.
        review: of it, or None.

    Raises:
        CrackError: if its settings are damaged.
    """
    asked = asked_of(survey)
    findings = standing(survey.findings, review)
    return measure_coverage(survey.photos, findings, asked.faces, asked.needs_mm, asked.position_error_m)


def measure_coverage(
    photos: Sequence[PhotoRecord],
    findings: Sequence[Finding],
    faces: Sequence[Face] = (),
    needs_mm: float = NEEDED_MM,
    position_error_m: float = POSITION_ERROR_M,
) -> Coverage | None:
    """What was seen of a structure.

    Args:
        photos: of a survey.
        findings: on them that count.
        faces: declared; none takes the walls that the flight looked at.
        needs_mm: width of crack that must be measurable.
        position_error_m: of the cameras.

    Returns:
        None where neither faces are declared nor any photograph says where its wall is.
    """
    views = views_of(photos, faces, position_error_m)
    if views is None:
        return None
    by_photo: dict[str, list[Finding]] = {}
    for finding in findings:
        by_photo.setdefault(finding.photo, []).append(finding)
    placed: set[str] = set()
    measured = []
    for face, looking in views.faces:
        measured.append(_measure(face, views.frame, looking, by_photo, needs_mm, bool(faces), placed))
    if not measured:
        return None
    return Coverage(tuple(measured), bool(faces), needs_mm, len(photos) - len(placed), len(photos))


def _measure(
    face: Face,
    frame: Frame,
    looking: Sequence[tuple[PhotoRecord, Camera]],
    findings: dict[str, list[Finding]],
    needs_mm: float,
    declared: bool,
    placed: set[str],
) -> FaceCoverage:
    rows, columns = _grid(face, [camera for _, camera in looking])
    cell = face.length_m / columns, face.height_m / rows
    along, up = (np.arange(columns) + 0.5) * cell[0], (rows - np.arange(rows) - 0.5) * cell[1]
    cells = np.full((rows, columns), UNSEEN, np.uint8)
    found = np.zeros((rows, columns), bool)
    for photo, camera in looking:
        window = _window(camera, face, frame, along, up)
        if window is None:
            continue
        across, down = np.meshgrid(along[window[1]], up[window[0]])
        seen = see(camera, spots_on(face, frame, across.ravel(), down.ravel()))
        if not seen.inside.any():
            continue
        placed.add(photo.name)
        place = np.ix_(*window)
        shape = cells[place].shape
        cells[place] = np.minimum(cells[place], _states(photo, seen, needs_mm).reshape(shape))
        found[place] |= _found(seen, findings.get(photo.name, ())).reshape(shape)
    cells[found & ((cells == CLEAN) | (cells == BACKGROUND))] = FOUND
    if not declared:
        cells[_outside(cells == UNSEEN)] = 255
    areas = {state: round(float((cells == number).sum()) * cell[0] * cell[1], 6) for number, state in enumerate(STATES)}
    holes = _holes(face, frame, cells, cell, [camera for _, camera in looking], needs_mm)
    return FaceCoverage(face, cell, cells, areas, holes)


def _grid(face: Face, cameras: Sequence[Camera]) -> tuple[int, int]:
    """Rows and columns of a face's cells."""
    sides = [min(camera.width, camera.height) * camera.distance_m / camera.focal_px for camera in cameras]
    side = max(min(sides, default=face.height_m / 10) / _FINE, math.sqrt(face.area_m2 / MAX_CELLS))
    rows = min(MAX_CELLS, max(1, math.ceil(face.height_m / side)))
    return rows, min(MAX_CELLS // rows, max(1, math.ceil(face.length_m / side)))


def _window(
    camera: Camera, face: Face, frame: Frame, along: np.ndarray, up: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Rows and columns of the cells that a camera may show: a generous rectangle around what lies before it."""
    coarse = max(1, len(up) // 64), max(1, len(along) // 64)
    rows, columns = np.arange(0, len(up), coarse[0]), np.arange(0, len(along), coarse[1])
    across, heights = np.meshgrid(along[columns], up[rows])
    spots = spots_on(face, frame, across.ravel(), heights.ravel())
    diagonal = math.hypot(camera.width, camera.height) * camera.distance_m / camera.focal_px
    middle = camera.place + camera.distance_m * camera.ahead
    steep = abs(float(camera.ahead[2]))
    reach = (
        diagonal * (0.6 + 4 * steep**2 + 1.5 * _turned(camera, spots.normals) ** 2)
        + face.height_m / 64
        + face.length_m / 64
    )
    near = (np.linalg.norm(spots.points - middle, axis=1) <= reach).reshape(across.shape)
    if not near.any():
        return None
    found = []
    for axis, picked, step, count in ((1, rows, coarse[0], len(up)), (0, columns, coarse[1], len(along))):
        hit = picked[near.any(axis=axis)]
        found.append(np.arange(max(0, hit[0] - step), min(count, hit[-1] + 2 * step)))
    return found[0], found[1]


def _turned(camera: Camera, normals: np.ndarray) -> float:
    """Sine of the angle between a level heading and the face that is turned most towards the camera."""
    level = camera.ahead[:2] / np.linalg.norm(camera.ahead[:2])
    return math.sqrt(max(0.0, 1 - float((-(normals[:, :2] @ level)).max()) ** 2))


def _states(photo: PhotoRecord, seen: Seen, needs_mm: float) -> np.ndarray:
    """How well a photograph shows spots: uint8 (n,)."""
    codes = patch_codes(photo.patches, seen.x / photo.width, seen.y / photo.height)
    return np.select(
        [
            ~seen.inside,
            seen.mm_per_pixel > needed_mm_per_pixel(needs_mm) * (1 + 1e-6),
            codes == BLURRED,
            seen.oblique_deg > MAX_OBLIQUE_DEG,
            codes == LIT_BADLY,
            codes == NOT_CONCRETE,
        ],
        [UNSEEN, COARSE, BLURRY, OBLIQUE, DARK, BACKGROUND],
        CLEAN,
    ).astype(np.uint8)


def _found(seen: Seen, findings: Sequence[Finding]) -> np.ndarray:
    """Where findings have their boxes: bool (n,)."""
    found = np.zeros(seen.inside.shape, bool)
    for finding in findings:
        box = finding.box
        found |= (seen.x >= box.x) & (seen.x < box.x + box.w) & (seen.y >= box.y) & (seen.y < box.y + box.h)
    return found & seen.inside


def _outside(unseen: np.ndarray) -> np.ndarray:
    """Unseen cells that reach the edge of a face, bool (rows, columns)."""
    import cv2

    padded = np.pad(unseen, 1, constant_values=True)
    _, labels = cv2.connectedComponents(padded.astype(np.uint8), connectivity=4)
    return np.asarray(unseen & (labels[1:-1, 1:-1] == labels[0, 0]))


def _holes(
    face: Face, frame: Frame, cells: np.ndarray, cell: tuple[float, float], cameras: Sequence[Camera], needs_mm: float
) -> tuple[Hole, ...]:
    import cv2

    # What is no concrete needs no second look.
    lacking = (cells > CLEAN) & (cells != BACKGROUND) & (cells != 255)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(lacking.astype(np.uint8), connectivity=8)
    focal = float(np.median([camera.focal_px for camera in cameras])) if cameras else None
    found = []
    for number in range(1, count):
        x, y, w, h, size = (int(value) for value in stats[number])
        if size < min(_MIN_HOLE_CELLS, cells.size):
            continue
        part = labels[y : y + h, x : x + w] == number
        state = int(np.bincount(cells[y : y + h, x : x + w][part], minlength=len(STATES)).argmax())
        column, row = _middle(part)
        along, up = (x + column + 0.5) * cell[0], (cells.shape[0] - y - row - 0.5) * cell[1]
        distance = _USUAL_M if focal is None else NEARER * focal * needed_mm_per_pixel(needs_mm) / 1000
        spot = spots_on(face, frame, np.array([along]), np.array([up]))
        place = spot.points[0] + distance * spot.normals[0]
        latitude, longitude = frame.place(float(place[0]), float(place[1]))
        heading = math.degrees(math.atan2(-spot.normals[0, 0], -spot.normals[0, 1])) % 360
        found.append(
            Hole(
                face=face.name,
                state=STATES[state],
                where=where_on(face, along, up),
                area_m2=round(size * cell[0] * cell[1], 6),
                width_m=round(w * cell[0], 3),
                height_m=round(h * cell[1], 3),
                latitude=round(latitude, 9),
                longitude=round(longitude, 9),
                altitude_m=round(float(place[2]), 3),
                heading_deg=round(heading, 1),
                distance_m=round(distance, 3),
            )
        )
    return tuple(sorted(found, key=lambda hole: -hole.area_m2))


def longer_lens(distance_m: float, before: str = "") -> str:
    """What would do the same from farther away, after a word before it; empty where a distance is not near."""
    if distance_m >= _NEAR_M:
        return ""
    return f"{before}from {_FROM_M:g} m it would take a lens {_FROM_M / distance_m:.1f} times as long"


def _middle(part: np.ndarray) -> tuple[int, int]:
    """Column and row of a spot well inside a part, bool (h, w): as near to its centre of gravity as its wide places are."""
    import cv2

    depth = cv2.distanceTransform(np.pad(part, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    rows, columns = np.nonzero(depth >= 0.8 * depth.max())
    centre = [float(axis.mean()) for axis in np.nonzero(part)]
    nearest = int(((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2).argmin())
    return int(columns[nearest]), int(rows[nearest])


def _spot(hole: Hole) -> str:
    """A hole's place in a list, where a comma in a face's name would read as the next place."""
    return f"{hole.where} ({hole.face})" if "," in hole.face else f"{hole.where} of {hole.face}"


def area(square_metres: float) -> str:
    """In two digits, whole from 100 on."""
    return f"{square_metres:,.0f}" if square_metres >= 100 else f"{square_metres:.2g}"


def _area(square_metres: float) -> str:
    return f"{area(square_metres)} m2"
