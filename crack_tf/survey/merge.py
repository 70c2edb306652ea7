"""Findings of several photographs that are the same place on the structure.

Two photographs are compared when their positions say that they may show the same: nearer to each other than what one of them
shows, and twice the error of a position more. Then appearance decides: points of one are looked for on the other (SIFT; Lowe,
IJCV 2004, 60(2), 91-110), and one similarity (shift, turn, scale) must explain at least 12 of them and a quarter of all that
look alike. Then two findings are brought onto one photograph. Drawn cracks are the same when their outlines cover each other by
half where both photographs see. Findings that are tiles only are the same when the larger covers 70 % of the smaller, seen or
not: tiles may hold another crack beside the one they share. A drawn crack and tiles are never the same.

The finding that shows most speaks for all. Where its crack runs out of its photograph, the parts that the others show beyond are
added to its length, each place once, also those of photographs that overlap with its own only by way of others. Widths, outline and
picture are those of its own photograph.

Where any of this is in doubt both findings stay: an engineer can tell two pictures of a crack from two cracks, but not find a
crack that was merged away. So photographs without a position are never merged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from crack_tf.survey.findings import VALIDATIONS, Finding, PhotoRecord, scaled
from tflite.place.fix import EARTH_M

SMALL_SIDE = 1000  # pixels; photographs are compared at this size at most
NEIGHBOURS = 16  # photographs that one is compared with, the nearest
UNKNOWN_FOOTPRINT_M = 5.0  # what a photograph may show where its scale is not known
MIN_POINTS, MIN_SHARE = 12, 0.25
MIN_COVER, MIN_TILES_COVER = 0.5, 0.7
BORDER = 0.02  # of a photograph's longer side: a crack that ends nearer to the border goes on beyond it
_MAX_POINTS = 1000
_PLACE_BYTES = 8  # two float32
_RATIO = 0.75  # Lowe's: how much better the best match must be than the second
_RESIDUAL = 3.0  # small pixels
_TOLERANCE = 6  # small pixels by which outlines are widened: a thin crack would else miss itself
_SCALES = (0.5, 2.0)
_MOST_PIXELS = 40_000_000  # small ones, that the parts of a crack on several photographs are put together on
_CACHED = 3 * NEIGHBOURS  # photographs whose points are in memory: a bounded number, however long the flight

Points = Callable[[str], np.ndarray | None]


def merge_findings(
    photos: Sequence[PhotoRecord],
    findings: Sequence[Finding],
    points: Points,
    position_error_m: float,
    jobs: int = 1,
) -> list[Finding]:
    """Join findings that are the same place.

    Args:
        photos: all that were searched.
        findings: of single photographs.
        points: gives what `find_points` found on a photograph by its name, or None.
        position_error_m: of a photograph's position.
        jobs: threads.

    Returns:
        One finding per place: the one that shows most of it, with the highest probability and the length of all, `seen_on`
        and `merged` filled in.
    """
    by_photo: dict[str, list[Finding]] = {}
    for finding in findings:
        by_photo.setdefault(finding.photo, []).append(finding)
    groups = _Groups([finding.id for finding in findings])
    register = Registration(points)
    pairs = near_pairs([photo for photo in photos if photo.name in by_photo], position_error_m)

    def same(pair: tuple[PhotoRecord, PhotoRecord]) -> list[tuple[str, str]]:
        one, other = pair
        transform = register(one.name, other.name)
        if transform is None:
            return []
        return _same(by_photo[one.name], one, by_photo[other.name], other, transform)

    with ThreadPoolExecutor(jobs, thread_name_prefix="merge") as threads:
        for found in threads.map(same, pairs):
            for a, b in found:
                groups.join(a, b)
    members: dict[str, list[Finding]] = {}
    for finding in findings:
        members.setdefault(groups.root(finding.id), []).append(finding)
    named = {photo.name: photo for photo in photos}
    return [_merged(group, named, register) for group in members.values()]


def near_pairs(photos: Sequence[PhotoRecord], position_error_m: float) -> list[tuple[PhotoRecord, PhotoRecord]]:
    """Pairs of photographs that may show the same, by their positions; each once, in the order given."""
    pairs = []
    placed = [photo for photo in photos if photo.latitude is not None and photo.longitude is not None]
    for number, one in enumerate(placed):
        near = []
        for later in range(number + 1, len(placed)):
            other = placed[later]
            reach = (footprint_m(one) + footprint_m(other)) / 2 + 2 * position_error_m
            distance = distance_m(one, other)
            if distance <= reach:
                near.append((distance, later))
        pairs += [(one, placed[later]) for _, later in sorted(near)[:NEIGHBOURS]]
    return pairs


def find_points(image: np.ndarray) -> np.ndarray:
    """What `merge_findings` knows a photograph by: SIFT points of a smaller, grey copy.

    Args:
        image: uint8 (height, width, 3).

    Returns:
        uint8 (n, 136): the bytes of x and y as float32, in pixels of the copy, and 128 descriptor values.
    """
    import cv2

    height, width = image.shape[:2]
    scale = min(1.0, SMALL_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    points, descriptors = cv2.SIFT_create(nfeatures=_MAX_POINTS).detectAndCompute(grey, None)
    if descriptors is None:
        return np.zeros((0, _PLACE_BYTES + 128), np.uint8)
    places = np.array([point.pt for point in points], np.float32)
    return np.hstack([places.view(np.uint8), descriptors.astype(np.uint8)])


def alike_points(one: np.ndarray | None, other: np.ndarray | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Places on two photographs that look alike, and unlike all others there.

    Args:
        one, other: what `find_points` found, or None.

    Returns:
        Two float32 (n, 2), in pixels of the small pictures; None where there are too few.
    """
    import cv2

    if one is None or other is None or min(len(one), len(other)) < MIN_POINTS:
        return None
    descriptors = [found[:, _PLACE_BYTES:].astype(np.float32) for found in (one, other)]
    matches = [
        best
        for best, *second in cv2.BFMatcher(cv2.NORM_L2).knnMatch(*descriptors, k=2)
        if second and best.distance < _RATIO * second[0].distance
    ]
    if len(matches) < MIN_POINTS:
        return None
    sources = _places(one)[[match.queryIdx for match in matches]]
    return sources, _places(other)[[match.trainIdx for match in matches]]


def agreeing_points(points: np.ndarray, inliers: np.ndarray | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Numbers of those points (n, 2) that one transform explains, and of one on each spot; None where they are too few.

    Several points may sit on one spot, and one spot explains nothing.
    """
    if inliers is None:
        return None
    agreeing = np.flatnonzero(inliers.ravel())
    _, spots = np.unique((points[agreeing] / 8).astype(int), axis=0, return_index=True)
    if len(spots) < MIN_POINTS or len(agreeing) < MIN_SHARE * len(points):
        return None
    return agreeing, agreeing[spots]


class _Groups:
    """Disjoint sets of names."""

    def __init__(self, names: Sequence[str]) -> None:
        self._parent = {name: name for name in names}

    def root(self, name: str) -> str:
        while self._parent[name] != name:
            name = self._parent[name]
        return name

    def join(self, one: str, other: str) -> None:
        self._parent[self.root(one)] = self.root(other)


class Registration:
    """The similarity from one photograph to another, both reduced. For several threads."""

    def __init__(self, points: Points) -> None:
        self._points = lru_cache(_CACHED)(points)

    def __call__(self, one: str, other: str) -> np.ndarray | None:
        """Affine float (2, 3) from the small picture of `one` to that of `other`, or None where they do not clearly agree."""
        import cv2

        alike = alike_points(self._points(one), self._points(other))
        if alike is None:
            return None
        sources, targets = alike
        # OpenCV seeds this search itself: the same points give the same answer.
        transform, inliers = cv2.estimateAffinePartial2D(
            sources, targets, method=cv2.RANSAC, ransacReprojThreshold=_RESIDUAL, maxIters=2000, confidence=0.995
        )
        if transform is None or agreeing_points(sources, inliers) is None:
            return None
        if not _SCALES[0] <= math.hypot(transform[0, 0], transform[1, 0]) <= _SCALES[1]:
            return None
        return np.asarray(transform)


def _places(points: np.ndarray) -> np.ndarray:
    """float32 (n, 2) of `find_points`."""
    return np.ascontiguousarray(points[:, :_PLACE_BYTES]).view(np.float32)


def _same(
    found_one: Sequence[Finding],
    one: PhotoRecord,
    found_other: Sequence[Finding],
    other: PhotoRecord,
    transform: np.ndarray,
) -> list[tuple[str, str]]:
    """Ids of findings that are the same place; areas are in small pixels of `other`."""
    import cv2

    size_one, size_two = small_size(one), small_size(other)
    seen = cv2.warpAffine(np.ones(size_one[::-1], np.uint8), transform, size_two, flags=cv2.INTER_NEAREST)
    places = {b.id: _place(b, other, size_two, np.eye(2, 3)) for b in found_other}
    drawn: dict[str, np.ndarray] = {}
    pairs = []
    for a in found_one:
        low, high = _place(a, one, size_one, transform)
        alike = [b for b in found_other if (a.length_px is None) == (b.length_px is None)]
        near = [b for b in alike if (places[b.id][0] <= high).all() and (places[b.id][1] >= low).all()]
        if not near:
            continue
        drawn_a = _draw(a, one, size_one)
        moved = cv2.warpAffine(drawn_a, transform, size_two, flags=cv2.INTER_NEAREST)
        for b in near:
            if b.id not in drawn:
                drawn[b.id] = _draw(b, other, size_two)
            shared = int((moved & drawn[b.id]).sum())
            if a.length_px is None:
                smaller = min(drawn_a.sum() * np.linalg.det(transform[:, :2]), drawn[b.id].sum())
                same = shared >= MIN_TILES_COVER * smaller
            else:
                same = shared >= MIN_COVER * min(moved.sum(), (drawn[b.id] & seen).sum())
            if shared and same:
                pairs.append((a.id, b.id))
    return pairs


def _place(
    finding: Finding, photo: PhotoRecord, size: tuple[int, int], transform: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest (x, y) that a widened outline can have after the transform, from its box."""
    box, scale = finding.box, size[0] / photo.width
    corners = np.array([[x, y] for x in (box.x, box.x + box.w) for y in (box.y, box.y + box.h)]) * scale
    corners = corners @ transform[:, :2].T + transform[:, 2]
    return corners.min(axis=0) - 2 * _TOLERANCE, corners.max(axis=0) + 2 * _TOLERANCE


def _draw(finding: Finding, photo: PhotoRecord, size: tuple[int, int]) -> np.ndarray:
    """A finding's outline, filled and widened, uint8 0 or 1 of the small picture."""
    import cv2

    scale = size[0] / photo.width
    drawn = np.zeros(size[::-1], np.uint8)
    for polygon in finding.outline:
        ring = (np.array(polygon) * scale).round().astype(np.int32)
        cv2.fillPoly(drawn, [ring], 1)
        cv2.polylines(drawn, [ring], True, 1, 2 * _TOLERANCE)
    return drawn


def small_size(photo: PhotoRecord) -> tuple[int, int]:
    """Width and height of the copy that `find_points` looks at."""
    scale = min(1.0, SMALL_SIDE / max(photo.height, photo.width))
    return max(1, round(photo.width * scale)), max(1, round(photo.height * scale))


_LENGTHS = (
    *("length_px", "length_low_px", "length_high_px"),
    *("length_mm", "length_low_mm", "length_high_mm", "length_error_mm"),
)


def _merged(group: Sequence[Finding], photos: Mapping[str, PhotoRecord], register: Registration) -> Finding:
    """The finding that shows most, in the name of all."""
    if len(group) == 1:
        return group[0]

    def merit(finding: Finding) -> tuple[Any, ...]:
        extent = finding.length_px if finding.length_px is not None else math.hypot(finding.box.w, finding.box.h)
        length = extent if finding.mm_per_pixel is None else extent * finding.mm_per_pixel
        return VALIDATIONS.index(finding.validation), -length, -finding.probability, finding.photo, finding.box

    best = min(group, key=merit)
    others = sorted({finding.photo for finding in group} - {best.photo})
    names = {finding.id for finding in group} | {name for finding in group for name in finding.merged}
    longer = 1 + _beyond(best, [finding for finding in group if finding.photo != best.photo], photos, register)
    lengths: dict[str, Any] = {name: scaled(getattr(best, name), longer, 2) for name in _LENGTHS}
    return replace(
        best,
        seen_on=(best.photo, *others),
        merged=tuple(sorted(names - {best.id})),
        probability=max(finding.probability for finding in group),
        **lengths,
    )


def _beyond(
    best: Finding, others: Sequence[Finding], photos: Mapping[str, PhotoRecord], register: Registration
) -> float:
    """What other photographs show of a crack beyond its own, as a share of what its own shows; 0 where it ends there."""
    import cv2

    photo, box = photos[best.photo], best.box
    margin = BORDER * max(photo.width, photo.height)
    ends = (box.x, box.y, photo.width - box.x - box.w, photo.height - box.y - box.h)
    if best.length_px is None or min(ends) > margin:
        return 0.0
    width, height = small_size(photo)
    placed = _placed(best.photo, sorted({other.photo for other in others}), register)
    low, high = np.zeros(2, int), np.array([width, height])  # of what is drawn, in pixels of its small picture
    shown = []
    for other in others:
        if other.photo in placed:
            there, transform = photos[other.photo], placed[other.photo]
            least, greatest = _place(other, there, small_size(there), transform)
            lower = np.minimum(low, np.floor(least).astype(int))
            higher = np.maximum(high, np.ceil(greatest).astype(int))
            if np.prod(higher - lower) <= _MOST_PIXELS:
                low, high = lower, higher
                shown.append((transform, _draw(other, there, small_size(there))))
    size = tuple(int(side) for side in high - low)
    around = np.zeros(size[::-1], np.uint8)
    for transform, drawn in shown:
        around |= cv2.warpAffine(drawn, transform - np.c_[np.zeros((2, 2)), low], size, flags=cv2.INTER_NEAREST)
    around[-low[1] : height - low[1], -low[0] : width - low[0]] = 0
    return float(around.sum() / _draw(best, photo, (width, height)).sum())


def _placed(photo: str, names: Sequence[str], register: Registration) -> dict[str, np.ndarray]:
    """Affine (2, 3) from the small pictures of photographs to that of one: directly, or by way of those between."""
    placed, turn = {photo: np.eye(2, 3)}, [photo]
    for known in turn:
        for name in names:
            transform = None if name in placed else register(name, known)
            if transform is not None:
                placed[name] = placed[known] @ np.vstack([transform, (0, 0, 1)])
                turn.append(name)
    return placed


def footprint_m(photo: PhotoRecord) -> float:
    """Diagonal of what a photograph shows, metres."""
    if photo.mm_per_pixel is None:
        return UNKNOWN_FOOTPRINT_M
    return math.hypot(photo.width, photo.height) * photo.mm_per_pixel / 1000


def distance_m(one: PhotoRecord, other: PhotoRecord) -> float:
    """Between two cameras, metres; altitudes count where both are known. Right across the antimeridian too."""
    assert one.latitude is not None
    assert one.longitude is not None
    assert other.latitude is not None
    assert other.longitude is not None
    north = math.radians(other.latitude - one.latitude) * EARTH_M
    east = math.radians((other.longitude - one.longitude + 180) % 360 - 180) * EARTH_M
    east *= math.cos(math.radians((one.latitude + other.latitude) / 2))
    up = 0.0
    if one.altitude_m is not None and other.altitude_m is not None:
        up = other.altitude_m - one.altitude_m
    return math.hypot(north, east, up)
