"""Which measured parts are one crack: a model loses a crack where it is faint or covered, and finds it again behind.

The rule, in pixels of the photograph:

* Parts whose edges come as near as `NEAR` are one: masks are ragged, and what a model draws of one crack lies that far apart. But
  not where both run side by side over `BESIDE` or more, which two cracks do, unless they come as near as `TOUCH`; and not at the
  photograph's border, behind which they run where nobody sees it.
* What that makes is a stretch, long or a chain of specks. The end of a stretch goes on in that of another as far away as `FAR`, if
  the gap is no longer than the shorter stretch and both ends point at each other, up to an angle that shrinks with the gap; if
  the widths differ by no more than `WIDTH_RATIO`; and if one is as dark as the other, where that is known. A hairline is not the
  continuation of a wide black gap. Each end goes on in one other end only, the likeliest first: so two cracks that cross keep
  their directions. An end at the photograph's border goes on in none, either.
* Where the photograph shows a line between them as dark as the crack (`crack_tf.photo.between`), which the model did not draw, neither
  width nor length nor a turn speaks against it. So an end goes on in the side of another stretch, too: a branch of its own.
* Where neither joins them and a crack still points at another one within `FAR`, both may be one of which more was lost than a rule can
  bridge. They stay two, and nobody knows how far either goes on (`marks_ahead`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crack_tf.photo.between import darkness_between
from crack_tf.photo.crack import Crack
from crack_tf.photo.doubt import MIN_LENGTH_PX
from crack_tf.photo.ranges import AT_BORDER_PX
from crack_tf.photo.skeleton import resample

TOUCH = 4.0  # between edges; masks are no better than that
NEAR, FAR = 16.0, 96.0  # between edges, and between tips
BESIDE = 40.0  # along both; shorter pieces beside each other are one ragged crack more often than two
BESIDE_ANGLE = 25.0  # degrees
WIDEST_ANGLE, NARROWEST_ANGLE = 65.0, 30.0  # degrees off the line from tip to tip, at no gap and at `FAR`
WIDTH_RATIO = 2.5
DARKNESS_RATIO = 0.5  # of the darker one, by which they may differ
SEEN_RATIO = 0.5  # of a crack's darkness, that a line in the gap has beyond what texture has
_SLACK_PX = 1.0  # widths are no better
_SLACK_GREY = 8.0  # of 255; darkness is no better
_STRETCH = 12.0, 48.0  # pixels before a tip that give its direction: as long as the gap, within these
_BLIND = 6.0  # pixels; a shorter part has no direction
_LONG_ENOUGH = 12.0  # pixels; a shorter part goes on in nothing that only the photograph shows
_PARALLEL = math.cos(math.radians(BESIDE_ANGLE))
_AHEAD = math.cos(math.radians(45.0))
_SPACING = 2.0  # pixels between places of a centreline


@dataclass(frozen=True)
class LinkedCrack:
    """Parts that are one crack.

    Attributes:
        parts: their places in the sequence that was given, ascending.
        gaps: pixels between them, end to end: the crack is that much longer than its parts together.
    """

    parts: tuple[int, ...]
    gaps: tuple[float, ...]


@dataclass(frozen=True)
class _Stretch:
    """Parts that lie near each other, as one.

    Attributes:
        places: along all its parts, float (n, 2) of (x, y), `_SPACING` apart.
        length, width: in pixels, the width on average.
        darkness: on average, or None.
        tips: of all its parts, float (k, 2).
    """

    places: np.ndarray
    length: float
    width: float
    darkness: float | None
    tips: np.ndarray

    def heading(self, tip: np.ndarray, gap: float) -> np.ndarray | None:
        """Unit vector in which it would go on from a tip across a gap; zero where it goes on itself, None where it is too short."""
        reach = min(max(_STRETCH[0], gap), _STRETCH[1])
        around = self.places[np.hypot(*(self.places - tip).T) <= reach]
        back = tip - around.mean(axis=0)
        length = float(np.hypot(*back))
        extent = float(np.hypot(*(around - tip).T).max())
        if extent < _BLIND:
            return None
        # The middle of a line that ends here lies half its extent away; of one that goes on, much nearer.
        return back / length if length >= extent / 4 else np.zeros(2)


@dataclass(frozen=True)
class _Link:
    one: int
    other: int
    gap: float


def link_cracks(
    cracks: Sequence[Crack], darkness: Sequence[float | None] | None = None, grey: np.ndarray | None = None
) -> list[LinkedCrack]:
    """Put parts of one crack together.

    Args:
        cracks: measured parts, all on one photograph.
        darkness: of each part, see `crack_darkness`; None where it is not known.
        grey: uint8 or float (height, width), the photograph's lightness, to see what lies between them; None where it is not at hand.

    Returns:
        Every part once, in the order of the first parts.
    """
    links = _nearby(cracks, None if grey is None else grey.shape)
    groups = [found.parts for found in _grouped(len(cracks), links)]
    stretches = [
        _stretch([cracks[n] for n in parts], [darkness[n] for n in parts] if darkness else []) for parts in groups
    ]
    for link in _onward(stretches, grey):
        links.append(_Link(groups[link.one][0], groups[link.other][0], link.gap))
    return _grouped(len(cracks), links)


def marks_ahead(groups: Sequence[Sequence[Crack]]) -> list[bool]:
    """Whether another one lies ahead of each crack: within `FAR` of an end and 45 degrees off its direction there.

    Args:
        groups: the parts of each crack, all on one photograph. Texture is full of marks shorter than `MIN_LENGTH_PX`: none of them
            lies ahead of anything.
    """
    from scipy.spatial import cKDTree

    stretches = [_stretch(parts, []) for parts in groups]
    long = [number for number, stretch in enumerate(stretches) if stretch.length >= MIN_LENGTH_PX]
    if not long:
        return [False] * len(groups)
    owners = np.repeat(long, [len(stretches[number].places) for number in long])
    places = np.concatenate([stretches[number].places for number in long])
    tree = cKDTree(places)

    def ahead(number: int, tip: np.ndarray) -> bool:
        near = np.array(tree.query_ball_point(tip, FAR), int)
        ways = places[near[owners[near] != number]] - tip
        if not len(ways):
            return False
        gaps = np.maximum(np.hypot(*ways.T), _SPACING)
        heading = stretches[number].heading(tip, float(gaps.min()))
        return heading is not None and bool((ways @ heading >= _AHEAD * gaps).any())

    return [any(ahead(number, tip) for tip in stretch.tips) for number, stretch in enumerate(stretches)]


def crack_darkness(crack: Crack, grey: np.ndarray) -> float | None:
    """How much darker a crack is than the concrete beside it.

    Args:
        crack: on the photograph.
        grey: uint8 or float (height, width), the photograph's lightness.

    Returns:
        Median over its length of the lightness beside it less that on it, in grey levels; None for a part without length.
    """
    from scipy import ndimage

    differences = []
    for branch in crack.centreline:
        places = resample(np.array(branch, float), _SPACING)
        steps = np.gradient(places, axis=0)
        lengths = np.hypot(*steps.T)[:, np.newaxis]
        if not lengths.all():
            continue
        across = np.stack([-steps[:, 1], steps[:, 0]], axis=1) / lengths * (crack.mean_width_px / 2 + 4)
        on, left, right = (
            ndimage.map_coordinates(grey, (places + shift)[:, ::-1].T, output=np.float32, order=1, mode="nearest")
            for shift in (0, across, -across)
        )
        differences.append((left + right) / 2 - on)
    return float(np.median(np.concatenate(differences))) if differences else None


def _line(crack: Crack) -> tuple[np.ndarray, np.ndarray]:
    """Places along all branches, float (n, 2) of (x, y), and the unit vectors along them."""
    branches = [resample(np.array(branch, float), _SPACING) for branch in crack.centreline]
    steps = np.concatenate([np.gradient(places, axis=0) for places in branches])
    lengths = np.hypot(*steps.T)[:, np.newaxis]
    along = np.divide(steps, lengths, out=np.zeros_like(steps), where=lengths > 0)
    return np.concatenate(branches), along


def _stretch(cracks: Sequence[Crack], darkness: Sequence[float | None]) -> _Stretch:
    lengths = np.array([crack.length_px for crack in cracks])
    known = [(value, length) for value, length in zip(darkness, lengths, strict=False) if value is not None]
    return _Stretch(
        places=np.concatenate([_line(crack)[0] for crack in cracks]),
        length=float(lengths.sum()),
        width=float(np.average([crack.mean_width_px for crack in cracks], weights=lengths)),
        darkness=sum(value * length for value, length in known) / sum(length for _, length in known) if known else None,
        tips=np.array([point for crack in cracks for point in crack.end_points]).reshape(-1, 2),
    )


def _nearby(cracks: Sequence[Crack], shape: tuple[int, ...] | None) -> list[_Link]:
    """Parts whose edges are near each other, but for those that run side by side, or are that near at the photograph's border.

    Args:
        shape: height and width of the photograph; None where they are not known.
    """
    from scipy.spatial import cKDTree

    links = []
    lines = [_line(crack) for crack in cracks]
    for a, b in zip(*_near_boxes(cracks), strict=True):
        one, other = sorted((int(a), int(b)), key=lambda number: -cracks[number].length_px)  # the shorter one last
        half = (cracks[one].mean_width_px + cracks[other].mean_width_px) / 2
        (places, along), (asked, along_asked) = lines[one], lines[other]
        distances, nearest = cKDTree(places).query(asked, distance_upper_bound=2 * NEAR + half)
        closest = int(distances.argmin())
        edges = float(distances[closest]) - half
        if edges > NEAR:
            continue
        ends = np.stack([asked[closest], places[nearest[closest]]])
        if shape is not None and not _inside(ends, shape).all():
            continue
        beside = np.isfinite(distances)
        parallel = np.abs((along[nearest[beside]] * along_asked[beside]).sum(axis=1)) >= _PARALLEL
        if edges <= TOUCH or parallel.sum() * _SPACING < BESIDE:
            # What lies beside a crack and not behind its tip makes it no longer.
            behind = _is_tip(cracks[other], ends[0]) or _is_tip(cracks[one], ends[1])
            links.append(_Link(one, other, float(distances[closest]) if behind else 0.0))
    return links


def _inside(places: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Which places, float (n, 2) of (x, y), are not at the border of a photograph of that height and width; bool (n,)."""
    return np.asarray(((places > AT_BORDER_PX) & (places < np.array(shape[::-1]) - 1 - AT_BORDER_PX)).all(axis=1))


def _is_tip(crack: Crack, place: np.ndarray) -> bool:
    return any(math.hypot(x - place[0], y - place[1]) <= _SPACING for x, y in crack.end_points)


def _near_boxes(cracks: Sequence[Crack]) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of parts whose boxes are nearer than `NEAR`: int (n,), (n,), the first below the second."""
    low = np.array([(crack.box.x, crack.box.y) for crack in cracks]).reshape(-1, 2)
    high = low + np.array([(crack.box.w, crack.box.h) for crack in cracks]).reshape(-1, 2) + NEAR
    near = (low[:, np.newaxis] <= high).all(axis=2)
    one, other = np.nonzero(np.triu(near & near.T, 1))
    return one, other


def _onward(stretches: Sequence[_Stretch], grey: np.ndarray | None) -> list[_Link]:
    """Stretches that go on in each other: end to end and, where the photograph shows it, end to side."""
    owners = np.repeat(np.arange(len(stretches)), [len(stretch.tips) for stretch in stretches])
    tips = np.concatenate([stretch.tips for stretch in stretches]) if stretches else np.zeros((0, 2))
    if grey is not None:
        inside = _inside(tips, grey.shape)
        owners, tips = owners[inside], tips[inside]
    if not len(owners):
        return []
    taken: set[int] = set()
    links = []
    candidates = _end_to_end(stretches, owners, tips, grey is not None)
    # What needs no photograph comes first: a speck in a gap is not in the way of both sides of it.
    for certain, _, one, other in sorted(candidates, key=lambda entry: (not entry[0], *entry[1:])):
        if one in taken or other in taken:
            continue
        sides = stretches[owners[one]], stretches[owners[other]]
        fainter = min(sides, key=lambda stretch: stretch.darkness or 0.0)
        if certain or (grey is not None and _seen(fainter, tips[one], tips[other], grey)):
            taken |= {one, other}
            gap = float(np.hypot(*(tips[one] - tips[other])))
            links.append(_Link(int(owners[one]), int(owners[other]), gap))
    if grey is not None:
        links += _end_to_side(stretches, [(int(owners[n]), tips[n]) for n in range(len(tips)) if n not in taken], grey)
    return links


def _end_to_end(
    stretches: Sequence[_Stretch], owners: np.ndarray, tips: np.ndarray, visible: bool
) -> list[tuple[bool, float, int, int]]:
    """Pairs of tips that may be one crack: whether nothing else need speak for it, how unlikely it is, and their numbers.

    Args:
        visible: whether pairs count, too, that only a line in the photograph could join.
    """
    from scipy.spatial import cKDTree

    pairs = cKDTree(tips).query_pairs(FAR, output_type="ndarray")
    gaps = np.hypot(*(tips[pairs[:, 0]] - tips[pairs[:, 1]]).T)
    shorter = np.array([stretch.length for stretch in stretches])[owners[pairs]].min(axis=1)
    # Texture is full of specks, and no speck reaches another.
    reach = (gaps <= shorter) | (visible & (shorter >= _LONG_ENOUGH))
    candidates = []
    for one, other in pairs[reach & (owners[pairs[:, 0]] != owners[pairs[:, 1]])].tolist():
        cost, certain = _cost(stretches[owners[one]], tips[one], stretches[owners[other]], tips[other])
        if cost is not None and (certain or visible):
            candidates.append((certain, cost, one, other))
    return candidates


def _end_to_side(
    stretches: Sequence[_Stretch], tips: Sequence[tuple[int, np.ndarray]], grey: np.ndarray
) -> list[_Link]:
    """Stretches that begin at the side of another one: between both, the photograph shows a line."""
    from scipy.spatial import cKDTree

    owners = np.repeat(np.arange(len(stretches)), [len(stretch.places) for stretch in stretches])
    places = np.concatenate([stretch.places for stretch in stretches])
    tree = cKDTree(places)
    links = []
    for owner, tip in tips:
        stretch = stretches[owner]
        near = np.array(tree.query_ball_point(tip, FAR), int)
        near = near[owners[near] != owner]
        if not len(near) or stretch.length < _LONG_ENOUGH:
            continue
        ways = places[near] - tip
        gaps = np.maximum(np.hypot(*ways.T), _SPACING)
        heading = stretch.heading(tip, float(gaps.min()))
        if heading is None or not heading.any():
            continue
        turns = np.degrees(np.arccos(np.clip(ways @ heading / gaps, -1, 1)))
        costs = np.where(turns <= _limit(gaps), gaps * (1 + turns / NARROWEST_ANGLE), np.inf)
        # Of each other stretch the likeliest place.
        for number in sorted(_likeliest(owners[near], costs), key=lambda place: costs[place]):
            if np.isfinite(costs[number]) and _seen(stretch, tip, places[near[number]], grey):
                links.append(_Link(owner, int(owners[near[number]]), float(gaps[number])))
                break
    return links


def _cost(one: _Stretch, tip: np.ndarray, other: _Stretch, its_tip: np.ndarray) -> tuple[float | None, bool]:
    """How unlikely it is that one stretch goes on in the other from tip to tip, None where it does not; and whether a line in the
    photograph is not needed to say so."""
    between = its_tip - tip
    gap = float(np.hypot(*between))
    turns = [_angle(one.heading(tip, gap), between), _angle(other.heading(its_tip, gap), -between)]
    if max(turns) > WIDEST_ANGLE:
        return None, False
    thin, wide = sorted((one.width, other.width))
    alike = wide + _SLACK_PX <= WIDTH_RATIO * (thin + _SLACK_PX) and _as_dark(one.darkness, other.darkness)
    ahead = max(turns) <= _limit(gap) and sum(turns) <= 1.5 * _limit(gap)
    return gap * (1 + sum(turns) / NARROWEST_ANGLE), alike and ahead and gap <= min(one.length, other.length)


def _seen(stretch: _Stretch, tip: np.ndarray, place: np.ndarray, grey: np.ndarray) -> bool:
    """Whether a photograph shows a line from a stretch's tip to a place, about as dark as the stretch."""
    if stretch.darkness is None or stretch.darkness < 2 * _SLACK_GREY:
        return False
    line, texture = darkness_between(grey, tip, place, stretch.width, SEEN_RATIO * stretch.darkness)
    return line > 0 and line - texture >= SEEN_RATIO * (stretch.darkness - texture)


def _likeliest(owners: np.ndarray, costs: np.ndarray) -> list[int]:
    """For each owner, which of its entries costs least."""
    return [int(np.where(owners == owner, costs, np.inf).argmin()) for owner in np.unique(owners)]


def _limit(gap: Any) -> Any:
    """The widest angle off the line between two places, degrees; of floats or arrays."""
    return WIDEST_ANGLE + (NARROWEST_ANGLE - WIDEST_ANGLE) * gap / FAR


def _as_dark(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return True
    return abs(one - other) <= DARKNESS_RATIO * max(abs(one), abs(other)) + _SLACK_GREY


def _angle(heading: np.ndarray | None, way: np.ndarray) -> float:
    """Degrees between two directions; 0 where one is not known, 90 from nowhere."""
    length = float(np.hypot(*way))
    if heading is None or length == 0:
        return 0.0
    return math.degrees(math.acos(float(np.clip(heading @ way / length, -1, 1))))


def _grouped(count: int, links: Sequence[_Link]) -> list[LinkedCrack]:
    """Parts that links join; each gap counts once, the shortest ones first."""
    root = list(range(count))

    def find(number: int) -> int:
        while root[number] != number:
            number = root[number]
        return number

    used = []
    for link in sorted(links, key=lambda link: (link.gap, link.one, link.other)):
        one, other = find(link.one), find(link.other)
        if one != other:
            root[max(one, other)] = min(one, other)
            used.append(link)
    members: dict[int, list[int]] = {}
    for number in range(count):
        members.setdefault(find(number), []).append(number)
    gaps: dict[int, list[float]] = {}
    for link in used:
        gaps.setdefault(find(link.one), []).append(link.gap)
    return [
        LinkedCrack(tuple(parts), tuple(gap for gap in gaps.get(first, ()) if gap > 0))
        for first, parts in members.items()
    ]
