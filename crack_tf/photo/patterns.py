"""The pattern that cracks of one photograph make: each one's direction, and whether it stands alone, in a set, in a mesh or at a joint.

Looked at are centrelines alone. Directions are those of pieces of a crack, not of its wandering from pixel to pixel, and are averaged as
axes are (doubled angles; Mardia and Jupp, Directional Statistics, 2000). The rules, in this order:

* "map": a mesh. The crack encloses two fields of concrete or more (islands of less than four widths across are none), or runs in no
  direction with three junctions or more, or meets two others that cross its direction, and all that is near it runs in none together;
  and what crosses a part of a mesh that it is near to. Two cracks meet that cross or nearly do: a network leaves gaps. What is shorter
  than a quarter of another crack makes no mesh of that.
* "along a joint or edge": as straight as people make things: on average off a straight line by 0.4 % of its length at most (and a pixel).
  Concrete cracks around its grains; a line that straight follows formwork, a joint or an edge. Nothing but straightness decides.
* "parallel set": three cracks or more side by side, within 15 degrees and not farther apart than they are long.
* "single": all others, pairs included.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SINGLE, PARALLEL, MAP, JOINT = "single", "parallel set", "map", "along a joint or edge"
PATTERNS = (SINGLE, PARALLEL, MAP, JOINT)
VERTICAL, HORIZONTAL, DIAGONAL, ALL_WAYS = "vertical", "horizontal", "diagonal", "all ways"
ORIENTATIONS = (VERTICAL, HORIZONTAL, DIAGONAL, ALL_WAYS)

UPRIGHT_DEG = 22.5  # from vertical or horizontal; the rest, half of all directions, is diagonal
NO_DIRECTION = 0.45  # mean axis of its pieces: 1 on a straight line, 0 on a square mesh
NO_COMMON_DIRECTION = 0.6  # the same of a crack and what is near it: a piece of a mesh has a direction of its own
ALONG_DEG, ACROSS_DEG = 15.0, 30.0
MIN_SET = 3
CRUMB = 0.25  # of another's extent: what is shorter than that makes no mesh of it
FIELD_WIDTHS = 4.0  # of the crack, that a field is across at least
MIN_SHARED = 0.4  # of the shorter one's extent that two parallel cracks run side by side
STRAIGHT, STRAIGHT_PX, MIN_STRAIGHT_PX = 0.004, 1.0, 80.0
# Of the shorter one's extent, that two cracks which meet are apart at most. On 252 of people's masks of validation splits five photographs
# have no mesh by it, of 31: four show none, the fifth one field. A third of that is as good on drawn meshes, 0.45 changes nothing.
MEET = 0.35
_NEAR = 0.5  # of the longer one's extent: what is nearer may belong to the same mesh
_PIECES, _SHORTEST_PX, _LONGEST_PX = 20, 8.0, 64.0  # a crack's length in pieces, and how long these are
_PLACES = 48  # of a crack that distances are measured between

# Of a table of cracks, see `Pattern` and `density`.
COLUMNS = ("pattern", "orientation", "spacing_px", "spacing_mm", "density_px", "density_m_per_m2")

Line = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Lines:
    """A crack as its centreline.

    Attributes:
        branches: polylines (x, y) in pixels, y downwards.
        fields: of concrete that it encloses, see `fields_in`.
    """

    branches: Sequence[Line]
    fields: int = 0


@dataclass(frozen=True)
class Pattern:
    """What `patterns_of` says about one crack.

    Attributes:
        name: one of PATTERNS.
        orientation: one of ORIENTATIONS.
        orientation_deg: 0 is horizontal, 90 vertical, counted anticlockwise as seen, in [0, 180); None for "all ways".
        spacing_px: between the cracks of a set, or across the fields of a mesh; None for the others.
    """

    name: str
    orientation: str
    orientation_deg: float | None
    spacing_px: float | None


def fields_in(holes: Sequence[Line], width_px: float) -> int:
    """How many fields of concrete a crack encloses, islands inside of it not counted.

    Args:
        holes: polygons (x, y) in pixels inside its outline.
        width_px: its mean width.
    """
    least = (FIELD_WIDTHS * width_px) ** 2
    return sum(_enclosed(np.asarray(hole, float)) >= least for hole in holes)


def _enclosed(ring: np.ndarray) -> float:
    """The area of a polygon (n, 2)."""
    ahead = np.roll(ring, -1, axis=0)
    return abs(float((ring[:, 0] * ahead[:, 1] - ahead[:, 0] * ring[:, 1]).sum())) / 2


def direction_deg(branches: Sequence[Line]) -> float:
    """The direction of a crack alone: 0 is horizontal, 90 vertical, counted anticlockwise as seen, in [0, 180).

    The one of `Pattern.orientation_deg`, which knows besides where it means nothing; 0 where there is no length.

    Args:
        branches: the crack's centreline, polylines (x, y) in pixels, y downwards.
    """
    lines = [np.asarray(branch, float) for branch in branches if len(branch) > 1]
    pieces = _pieces(lines, [_length(line) for line in lines])
    steps = np.concatenate([np.diff(piece, axis=0) for piece in pieces]) if pieces else np.zeros((0, 2))
    return _degrees(cmath.phase(_axis(steps)) / 2)


def patterns_of(cracks: Sequence[Lines], roll_deg: float = 0.0) -> list[Pattern]:
    """The pattern of each crack of one photograph.

    Args:
        cracks: all of the photograph, each with a centreline.
        roll_deg: of the camera about its axis, clockwise as seen from behind it: directions are then those of the structure.
    """
    shapes = [_shape(crack, roll_deg) for crack in cracks]
    near = [
        [other for other in range(len(shapes)) if _near(shapes[number], shapes[other])] for number in range(len(shapes))
    ]
    sets, meshes = _parallel_sets(shapes), _meshes(shapes, near)
    return [_pattern(number, shapes, near[number], sets[number], meshes) for number in range(len(shapes))]


def density(length_px: float, area_px: float, mm_per_pixel: float | None) -> dict[str, float | None]:
    """How much crack there is, as columns: `density_px`, pixels per megapixel, and `density_m_per_m2`, None without a scale.

    Args:
        length_px: of all cracks together.
        area_px: that they were looked for in.
        mm_per_pixel: scale, or None.
    """
    share = length_px / area_px if area_px else 0.0
    return {
        "density_px": round(1e6 * share, 1),
        "density_m_per_m2": round(1000 * share / mm_per_pixel, 3) if mm_per_pixel else None,
    }


@dataclass(frozen=True)
class _Shape:
    """A crack's pieces, turned upright.

    Attributes:
        places: float (n, 2), the middles of its pieces, some of them.
        middle: of all pieces.
        axis: sum of the pieces' doubled angles times their lengths.
        length: of all branches.
        along: least and greatest place along its direction, from its middle.
        off: mean square distance from a straight line, the root of it.
        junctions: where three ends of branches meet or more.
        fields: of concrete inside.
    """

    places: np.ndarray
    middle: np.ndarray
    axis: complex
    length: float
    along: tuple[float, float]
    off: float
    junctions: int
    fields: int

    @property
    def coherence(self) -> float:
        return abs(self.axis) / self.length if self.length else 0.0

    @property
    def angle(self) -> float:
        """Its direction in radians, y downwards."""
        return cmath.phase(self.axis) / 2

    @property
    def extent(self) -> float:
        return self.along[1] - self.along[0]


def _shape(crack: Lines, roll_deg: float) -> _Shape:
    c, s = math.cos(math.radians(roll_deg)), math.sin(math.radians(roll_deg))
    turn = np.array([[c, -s], [s, c]])
    branches = [np.asarray(branch, float) @ turn.T for branch in crack.branches if len(branch) > 1]
    lengths = [_length(branch) for branch in branches]
    pieces = _pieces(branches, lengths)
    steps = np.concatenate([np.diff(piece, axis=0) for piece in pieces]) if pieces else np.zeros((0, 2))
    places = np.concatenate([(p[1:] + p[:-1]) / 2 for p in pieces]) if pieces else np.zeros((1, 2))
    weights, axis = np.hypot(*steps.T), _axis(steps)
    middle = np.average(places, axis=0, weights=weights) if weights.sum() else places.mean(axis=0)
    ends = np.concatenate([branch[[0, -1]] for branch in branches]) if branches else places
    ahead = np.array([math.cos(cmath.phase(axis) / 2), math.sin(cmath.phase(axis) / 2)])
    fine = np.concatenate(
        [_resampled(b, max(1, round(n / 2))) for b, n in zip(branches, lengths, strict=True)] or [places]
    )
    reach = (np.concatenate([fine, ends]) - middle) @ ahead
    return _Shape(
        places=places[:: max(1, len(places) // _PLACES)],
        middle=middle,
        axis=axis,
        length=sum(lengths),
        along=(float(reach.min()), float(reach.max())),
        off=_off_a_line(fine),
        junctions=_junctions(ends),
        fields=crack.fields,
    )


def _length(branch: np.ndarray) -> float:
    return float(np.hypot(*np.diff(branch, axis=0).T).sum())


def _pieces(branches: Sequence[np.ndarray], lengths: Sequence[float]) -> list[np.ndarray]:
    """Each branch at the ends of its pieces, (n, 2): long enough for a direction, not for the wandering from pixel to pixel."""
    step = min(max(sum(lengths) / _PIECES, _SHORTEST_PX), _LONGEST_PX)
    return [_resampled(branch, max(1, round(own / step))) for branch, own in zip(branches, lengths, strict=True)]


def _axis(steps: np.ndarray) -> complex:
    """Sum of the doubled angles of pieces (n, 2) times their lengths."""
    return complex((np.hypot(*steps.T) * np.exp(2j * np.arctan2(steps[:, 1], steps[:, 0]))).sum())


def _pattern(
    number: int, shapes: Sequence[_Shape], near: Sequence[int], neighbours: Sequence[float], meshes: set[int]
) -> Pattern:
    shape = shapes[number]
    if number in meshes:
        members = [shapes[other] for other in near if other in meshes]
        places = np.concatenate([other.places for other in members])
        length = sum(other.length for other in members)
        # Of a square mesh with fields of side s, every square metre holds 2 / s metres of crack.
        spacing = 2 * _area(places) / length if length else None
        return Pattern(MAP, ALL_WAYS, None, None if not spacing else round(spacing, 1))
    degrees = _degrees(shape.angle)
    alone = shape.coherence < NO_DIRECTION
    orientation = ALL_WAYS if alone else _orientation(degrees)
    told = None if alone else round(degrees, 1) % 180
    if shape.extent >= MIN_STRAIGHT_PX and not alone and shape.off <= max(STRAIGHT_PX, STRAIGHT * shape.extent):
        return Pattern(JOINT, orientation, told, None)
    if neighbours:
        return Pattern(PARALLEL, orientation, told, round(float(np.median(neighbours)), 1))
    return Pattern(SINGLE, orientation, told, None)


def _meshes(shapes: Sequence[_Shape], near: Sequence[Sequence[int]]) -> set[int]:
    """The cracks that are a mesh or a part of one."""
    found = set()
    for number, shape in enumerate(shapes):
        around = [shapes[other] for other in near[number]]
        together = abs(sum(other.axis for other in around)) / max(1e-9, sum(other.length for other in around))
        crossing = sum(
            _crosses(shape, other) and _comparable(shape, other) and _meet(shape, other)
            for other in around
            if other is not shape
        )
        alone = shape.coherence < NO_DIRECTION and shape.junctions >= 3
        if shape.fields >= 2 or alone or (together < NO_COMMON_DIRECTION and crossing >= 2):
            found.add(number)
    # What crosses a part of a mesh that it reaches is its border.
    pending = list(found)
    while pending:
        member = pending.pop()
        for other in near[member]:
            if other not in found and _crosses(shapes[other], shapes[member]):
                found.add(other)
                pending.append(other)
    return found


def _crosses(one: _Shape, other: _Shape) -> bool:
    """Whether two cracks run in different directions, or the other in none."""
    return other.coherence < NO_DIRECTION or _turned(one, other) >= ACROSS_DEG


def _comparable(one: _Shape, other: _Shape) -> bool:
    """Whether neither of two cracks is a crumb beside the other."""
    return min(one.extent, other.extent) >= CRUMB * max(one.extent, other.extent)


def _degrees(angle: float) -> float:
    """A direction in radians, y downwards, in degrees as seen, in [0, 180); the second modulo is for what rounds up to 180."""
    return -math.degrees(angle) % 180.0 % 180.0


def _orientation(degrees: float) -> str:
    off_level = min(degrees, 180 - degrees)
    if off_level <= UPRIGHT_DEG:
        return HORIZONTAL
    return VERTICAL if off_level >= 90 - UPRIGHT_DEG else DIAGONAL


def _turned(one: _Shape, other: _Shape) -> float:
    """Degrees between two directions, in [0, 90]."""
    return abs((math.degrees(one.angle - other.angle) + 90) % 180 - 90)


def _near(one: _Shape, other: _Shape) -> bool:
    """Whether two cracks may be pieces of one mesh: a short one is near to a long one as that is to it."""
    if one is other:
        return True
    return _apart(one, other) <= _NEAR * max(one.extent, other.extent)


def _meet(one: _Shape, other: _Shape) -> bool:
    """Whether two cracks cross or end at each other, up to a gap."""
    return _apart(one, other) <= MEET * min(one.extent, other.extent)


def _apart(one: _Shape, other: _Shape) -> float:
    return float(np.sqrt(((one.places[:, None] - other.places[None]) ** 2).sum(axis=2)).min())


def _parallel_sets(shapes: Sequence[_Shape]) -> list[list[float]]:
    """For each crack its distances to the next one on either side; none for cracks that belong to no set."""
    beside: list[dict[int, float]] = [{} for _ in shapes]
    for number, one in enumerate(shapes):
        for later in range(number + 1, len(shapes)):
            other = shapes[later]
            if _side_by_side(one, other):
                between = other.middle - one.middle
                # Each counts to its own side, so that it knows its nearest on the left from that on the right.
                beside[number][later] = float(between @ _aside(one.angle))
                beside[later][number] = -float(between @ _aside(other.angle))
    sets = _connected([set(entry) for entry in beside])
    found = []
    for entry, members in zip(beside, sets, strict=True):
        sides = [[d for d in entry.values() if d > 0], [-d for d in entry.values() if d < 0]]
        found.append([min(side) for side in sides if side] if len(members) >= MIN_SET else [])
    return found


def _side_by_side(one: _Shape, other: _Shape) -> bool:
    """Whether two cracks run in one direction, beside each other."""
    if min(one.coherence, other.coherence) < NO_DIRECTION or _turned(one, other) > ALONG_DEG:
        return False
    angle = cmath.phase(one.axis + other.axis) / 2
    ahead = np.array([math.cos(angle), math.sin(angle)])
    between = other.middle - one.middle
    shift, distance = float(between @ ahead), abs(float(between @ _aside(angle)))
    first, second = _extent(one, ahead), _extent(other, ahead)
    shared = min(first[1], second[1] + shift) - max(first[0], second[0] + shift)
    shorter, longer = sorted((one.extent, other.extent))
    return shared >= MIN_SHARED * shorter and _SHORTEST_PX <= distance <= longer


def _aside(angle: float) -> np.ndarray:
    return np.array([-math.sin(angle), math.cos(angle)])


def _extent(shape: _Shape, ahead: np.ndarray) -> tuple[float, float]:
    low, high = shape.along
    own = np.array([math.cos(shape.angle), math.sin(shape.angle)])
    return (low, high) if float(own @ ahead) >= 0 else (-high, -low)


def _connected(links: Sequence[set[int]]) -> list[set[int]]:
    """For each number all that links lead to from there, itself included."""
    found: list[set[int]] = [set() for _ in links]
    for number in range(len(links)):
        if found[number]:
            continue
        members, pending = {number}, [number]
        while pending:
            fresh = links[pending.pop()] - members
            members |= fresh
            pending += fresh
        for member in members:
            found[member] = members
    return found


def _resampled(points: np.ndarray, count: int) -> np.ndarray:
    """`count` + 1 points at equal steps along a polyline."""
    along = np.r_[0.0, np.cumsum(np.hypot(*np.diff(points, axis=0).T))]
    places = np.linspace(0, along[-1], count + 1)
    return np.c_[np.interp(places, along, points[:, 0]), np.interp(places, along, points[:, 1])]


def _off_a_line(points: np.ndarray) -> float:
    """Root mean square distance from the straight line that fits best."""
    centred = points - points.mean(axis=0)
    return math.sqrt(max(0.0, float(np.linalg.eigvalsh(centred.T @ centred / len(points))[0])))


def _junctions(ends: np.ndarray) -> int:
    """Places at which three ends of branches or more meet."""
    _, counts = np.unique((ends / 4).round().astype(int), axis=0, return_counts=True)
    return int((counts >= 3).sum())


def _area(points: np.ndarray) -> float:
    """The convex hull's (Andrew's monotone chain, 1979)."""
    ordered = sorted(map(tuple, points.tolist()))

    def half(places: Sequence[tuple[float, ...]]) -> list[tuple[float, ...]]:
        hull: list[tuple[float, ...]] = []
        for x, y in places:
            while len(hull) > 1 and (hull[-1][0] - hull[-2][0]) * (y - hull[-2][1]) <= (hull[-1][1] - hull[-2][1]) * (
                x - hull[-2][0]
            ):
                hull.pop()
            hull.append((x, y))
        return hull

    ring = np.array([*half(ordered)[:-1], *half(ordered[::-1])[:-1]])
    return 0.0 if len(ring) < 3 else _enclosed(ring)
