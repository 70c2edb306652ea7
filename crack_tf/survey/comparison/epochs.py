"""Two surveys of one structure: which photographs show the same, and which cracks are the same ones.

Photographs are compared when their positions say that they may show the same (`crack_tf.survey.merge` says how near that is), or all of
them where one survey has no positions. Then appearance decides: SIFT points of one are looked for on the other (Lowe, IJCV 2004, 60(2),
91-110), and one homography must explain at least `MIN_POINTS` of them, spread over the overlap, and a quarter of all that look alike. A
flat wall seen from two places is related by a homography exactly; light, dirt and distance may differ.

Cracks are the same where the line of one, brought onto the other's photograph, lies on the other's for at least half of what both
photographs show of the shorter one. A crack that is longer now is the same crack.

That a crack is not there on the other photograph says something only where that shows its place well: as the coverage ledger has it,
sharp and lit, and so near that a crack of that width is wide enough to be measured. And only where the other survey called nothing there:
what it drew as another shape, such as all of a strip beside the crack, has another line.

How much a crack has grown is `crack_tf.survey.comparison.growth`'s to say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from crack_tf.photo.gsd import MIN_PIXELS
from crack_tf.photo.ranges import AT_BORDER_PX
from crack_tf.photo.skeleton import resample
from crack_tf.survey.findings import Finding, PhotoRecord
from crack_tf.survey.merge import (
    UNKNOWN_FOOTPRINT_M,
    agreeing_points,
    alike_points,
    distance_m,
    footprint_m,
    small_size,
)
from crack_tf.survey.outlines import paint_outline
from crack_tf.survey.searching.quality import GOOD, patch_codes

NEIGHBOURS = 8  # older photographs that one is compared with, the nearest
RESIDUAL = 4.0  # pixels of the small pictures; walls are not quite flat
TOLERANCE = 0.006  # of a photograph's longer side: as far may a line be off the other's
MIN_COVER = 0.5
_MIN_GOOD = 0.8  # of a crack's places, that lie in patches of a photograph that are good
_MIN_OVERLAP = 0.05  # of a photograph
_MOST_STRETCHED = 4.0  # of areas, across the overlap; a map that does more is none of a wall
_SPACING = 4.0  # pixels between places of a line

Points = Callable[[str], np.ndarray | None]
Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class PhotoPair:
    """Two photographs of one surface.

    Attributes:
        old, new: names of the photographs, each in its survey.
        homography: takes (x, y, 1) in pixels of the old photograph to the new one.
        points: spots that agree.
        share: of all points that look alike, those that agree.
        overlap: share of the new photograph that the old one shows.
    """

    old: str
    new: str
    homography: Matrix
    points: int
    share: float
    overlap: float


@dataclass(frozen=True)
class View:
    """How a photograph of the other survey shows the place of a crack.

    Attributes:
        shown: share of its line that lies on the photograph.
        width_px: that the crack's greatest width would have there, in pixels; the mean one, where part of it is not shown.
        well: whether the crack would be found there: the place is sharp and lit, and the crack wide enough to be measured.
    """

    shown: float
    width_px: float
    well: bool


@dataclass(frozen=True)
class SharedPart:
    """The part of a crack's line that two photographs show.

    Attributes:
        own, other: its length in pixels of the crack's own photograph, and of the other one.
        beside: share of it that lies on cracks drawn on the other photograph.
        cut: whether the line goes on beyond; as elsewhere, what comes near a photograph's border runs out of it.
    """

    own: float
    other: float
    beside: float
    cut: bool


@dataclass(frozen=True)
class CrackPair:
    """A crack in two surveys.

    Attributes:
        old, new: ids of the findings.
        photos: names of the old and the new photograph that say so.
        cover: share of what both photographs show of the shorter one that lies on the other.
    """

    old: str
    new: str
    photos: tuple[str, str]
    cover: float


@dataclass(frozen=True)
class Matched:
    """What became of the findings of two surveys.

    Attributes:
        pairs: cracks in both; one that fell into two pieces is in two pairs.
        appeared: ids of new findings whose place an old photograph shows without a crack that is the same.
        gone: ids of old findings whose place a new photograph shows, the same way.
        unseen_before, unseen_now: ids of findings whose place no photograph of the other survey shows: nothing is known of a change.
    """

    pairs: tuple[CrackPair, ...]
    appeared: tuple[str, ...]
    gone: tuple[str, ...]
    unseen_before: tuple[str, ...]
    unseen_now: tuple[str, ...]


def pair_photographs(
    old: Sequence[PhotoRecord],
    new: Sequence[PhotoRecord],
    old_points: Points,
    new_points: Points,
    position_error_m: float,
) -> list[PhotoPair]:
    """Find the photographs of an earlier survey that show what those of a later one show.

    Args:
        old, new: photographs of the two.
        old_points, new_points: give what `crack_tf.survey.merge.find_points` found on a photograph by its name, or None.
        position_error_m: of the positions of either survey.

    Returns:
        In order of the new photographs, the likeliest old one first.
    """
    pairs = []
    for photo in new:
        found = []
        for other in _candidates(photo, old, position_error_m):
            pair = _pair(other, photo, old_points(other.name), new_points(photo.name))
            if pair is not None:
                found.append(pair)
        pairs += sorted(found, key=lambda pair: (-pair.overlap, pair.old))
    return pairs


def match_cracks(
    pairs: Sequence[PhotoPair],
    old: Sequence[Finding],
    new: Sequence[Finding],
    old_photos: Sequence[PhotoRecord],
    new_photos: Sequence[PhotoRecord],
) -> Matched:
    """Say which cracks of two surveys are the same.

    Args:
        pairs: of their photographs.
        old, new: findings; those without a drawn crack are left out.
        old_photos, new_photos: of the surveys.
    """
    before, now = ({photo.name: photo for photo in photos} for photos in (old_photos, new_photos))
    drawn_old, drawn_new = ([finding for finding in findings if finding.centreline] for findings in (old, new))
    best: dict[tuple[str, str], CrackPair] = {}
    seen_old: set[str] = set()
    seen_new: set[str] = set()
    for pair in pairs:
        matrix = np.array(pair.homography)
        olds = [(finding, _line(finding)) for finding in drawn_old if finding.photo == pair.old]
        news = [(finding, _line(finding)) for finding in drawn_new if finding.photo == pair.new]
        shown_new = [(finding, _shown(line, np.linalg.inv(matrix), before[pair.old])) for finding, line in news]
        seen_new |= {finding.id for finding, shown in shown_new if shown.mean() >= MIN_COVER}
        reach = TOLERANCE * max(now[pair.new].width, now[pair.new].height)
        for finding, line in olds:
            there = _moved(line, matrix)
            shown = _shown(line, matrix, now[pair.new])
            if shown.mean() >= MIN_COVER:
                seen_old.add(finding.id)
            for (other, its_line), (_, its_shown) in zip(news, shown_new, strict=True):
                cover = _cover(there[shown], its_line[its_shown], reach)
                if cover >= MIN_COVER and cover > best.get((finding.id, other.id), _NONE).cover:
                    best[finding.id, other.id] = CrackPair(finding.id, other.id, (pair.old, pair.new), round(cover, 4))
    matched_old, matched_new = ({pair.old for pair in best.values()}, {pair.new for pair in best.values()})
    return Matched(
        pairs=tuple(sorted(best.values(), key=lambda pair: (pair.old, pair.new))),
        appeared=_ids(drawn_new, seen_new - matched_new),
        gone=_ids(drawn_old, seen_old - matched_old),
        unseen_before=_ids(drawn_new, {finding.id for finding in drawn_new} - seen_new - matched_new),
        unseen_now=_ids(drawn_old, {finding.id for finding in drawn_old} - seen_old - matched_old),
    )


def view_of(photo: PhotoRecord, finding: Finding, homography: np.ndarray) -> View | None:
    """How another photograph shows a crack's place; None where it shows less than half of it.

    Args:
        photo: the other one.
        finding: a drawn crack.
        homography: from its photograph to the other one.
    """
    line = _line(finding)
    shown = _shown(line, homography, photo)
    if shown.mean() < MIN_COVER:
        return None
    there = _moved(line[shown], homography)
    codes = patch_codes(photo.patches, there[:, 0] / photo.width, there[:, 1] / photo.height)
    weights = line[shown] @ homography[2, :2] + homography[2, 2]
    enlarged = float(np.median(np.sqrt(np.abs(np.linalg.det(homography) / weights**3))))
    # Where it is widest may be what the photograph does not show.
    width = enlarged * ((finding.max_width_px if shown.all() else finding.mean_width_px) or 0.0)
    well = bool((codes == GOOD).mean() >= _MIN_GOOD and width >= MIN_PIXELS)
    return View(float(shown.mean()), width, well)


def called_over(
    finding: Finding, photo: PhotoRecord, homography: np.ndarray, other: PhotoRecord, called: Sequence[Finding]
) -> bool:
    """Whether another survey called something that lies over most of a crack's line, or under the crack: the same, as another shape.

    Args:
        finding: a drawn crack.
        photo: its own.
        homography: from there to the other one.
        other: of the other survey.
        called: findings of that on the other photograph, drawn or not.
    """
    own = _line(finding)
    there = _moved(own, homography)[_shown(own, homography, other)]
    over = np.zeros(len(there), bool)
    for found in called:
        over |= _inside(there, found)
    back = np.linalg.inv(homography)
    lines = [_line(found) for found in called if found.centreline]
    under = [_inside(_moved(line, back)[_shown(line, back, photo)], finding) for line in lines]
    return any(len(places) > 0 and bool(places.mean() >= MIN_COVER) for places in (over, *under))


def shared_part(
    finding: Finding, photo: PhotoRecord, homography: np.ndarray, other: PhotoRecord, beside: Sequence[Finding]
) -> SharedPart:
    """The part of a crack's line that its own and another photograph show, cut off where either ends.

    Args:
        finding: a drawn crack.
        photo: its own.
        homography: from there to the other one.
        other: of the other survey.
        beside: cracks drawn on the other photograph.
    """
    lengths, cut = np.zeros(3), False
    for points, there, shown, on in _seen_on(finding, photo, homography, other, beside):
        both = shown[1:] & shown[:-1]
        own, moved = (np.hypot(*np.diff(places, axis=0).T)[both] for places in (points, there))
        lengths += own.sum(), moved.sum(), own[(on[1:] & on[:-1])[both]].sum()
        cut |= not shown.all()
    own_px, other_px, beside_px = (float(length) for length in lengths)
    return SharedPart(own_px, other_px, beside_px / own_px if own_px else 0.0, cut)


def drawn_beyond(
    finding: Finding, photo: PhotoRecord, homography: np.ndarray, other: PhotoRecord, lines: Sequence[Finding]
) -> list[np.ndarray]:
    """Stretches of a crack's line that another photograph shows, too, but without any line that its survey drew.

    Args:
        finding: a drawn crack.
        photo: its own.
        homography: from there to the other one.
        other: of the other survey.
        lines: cracks drawn on the other photograph.

    Returns:
        Float (n, 2) each, places in pixels of the crack's own photograph.
    """
    found = []
    for points, _, shown, on in _seen_on(finding, photo, homography, other, lines):
        ends = np.flatnonzero(np.diff((shown & ~on).astype(int), prepend=0, append=0))
        found += [points[start:end] for start, end in ends.reshape(-1, 2)]
    return found


def _seen_on(
    finding: Finding, photo: PhotoRecord, homography: np.ndarray, other: PhotoRecord, lines: Sequence[Finding]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """A crack's branches, place by place, on another photograph: (places, float (n, 2); the same there; whether both photographs show
    them; whether one of some lines that were drawn there lies on them)."""
    from scipy.spatial import cKDTree

    reach = TOLERANCE * max(other.width, other.height)
    near = cKDTree(np.concatenate([_line(found) for found in lines])) if lines else None
    for branch in finding.centreline:
        points = resample(np.array(branch, float), _SPACING)
        there = _moved(points, homography)
        shown = _within(points, photo, AT_BORDER_PX) & _within(there, other, AT_BORDER_PX)
        on = np.zeros(len(points), bool)
        if near is not None:
            on[shown] = np.isfinite(near.query(there[shown], distance_upper_bound=reach)[0])
        yield points, there, shown, on


_NONE = CrackPair("", "", ("", ""), 0.0)


def _ids(findings: Sequence[Finding], wanted: set[str]) -> tuple[str, ...]:
    return tuple(finding.id for finding in findings if finding.id in wanted)


def _candidates(photo: PhotoRecord, old: Sequence[PhotoRecord], position_error_m: float) -> list[PhotoRecord]:
    """Older photographs that may show the same: the nearest, or all where a position is missing."""
    if photo.latitude is None or photo.longitude is None:
        return list(old)
    placed = [other for other in old if other.latitude is not None and other.longitude is not None]
    near = []
    for other in placed:
        reach = (footprint_m(photo) + footprint_m(other)) / 2 + 2 * position_error_m
        distance = distance_m(photo, other)
        # Surveys fly at other distances: a photograph from far away shows what one from near does.
        if distance <= max(reach, UNKNOWN_FOOTPRINT_M):
            near.append((distance, other.name, other))
    unplaced = [other for other in old if other.latitude is None or other.longitude is None]
    return [other for _, _, other in sorted(near, key=lambda entry: entry[:2])[:NEIGHBOURS]] + unplaced


def _pair(old: PhotoRecord, new: PhotoRecord, a: np.ndarray | None, b: np.ndarray | None) -> PhotoPair | None:
    """The homography between two photographs, or None where they do not clearly agree."""
    import cv2

    alike = alike_points(a, b)
    if alike is None:
        return None
    sources, targets = alike
    matrix, inliers = cv2.findHomography(
        sources, targets, method=cv2.RANSAC, ransacReprojThreshold=RESIDUAL, maxIters=3000, confidence=0.999
    )
    agreed = agreeing_points(sources, inliers)
    if matrix is None or agreed is None:
        return None
    agreeing, spots = agreed
    full = _scaling(new, inverse=True) @ matrix @ _scaling(old)
    full = full / full[2, 2]
    overlap = _overlap(full, old, new)
    if overlap < _MIN_OVERLAP or not _is_plausible(full, sources[agreeing] / _scaling(old)[0, 0]):
        return None
    rows = tuple(tuple(float(value) for value in row) for row in full)
    share = round(len(agreeing) / len(sources), 4)
    return PhotoPair(old.name, new.name, (rows[0], rows[1], rows[2]), len(spots), share, overlap)  # type: ignore[arg-type]


def _scaling(photo: PhotoRecord, inverse: bool = False) -> np.ndarray:
    """From a photograph to its small picture, or back."""
    scale = small_size(photo)[0] / photo.width
    return np.diag([1 / scale, 1 / scale, 1.0] if inverse else [scale, scale, 1.0])


def _is_plausible(matrix: np.ndarray, places: np.ndarray) -> bool:
    """Whether a map of a wall does that where it was found: no mirror, and no part grown much more than another."""
    weights = places @ matrix[2, :2] + matrix[2, 2]
    if (weights <= 0).any():
        return False
    grown = np.linalg.det(matrix) / weights**3
    return bool(grown.min() > 0 and grown.max() <= _MOST_STRETCHED * grown.min())


def _overlap(matrix: np.ndarray, old: PhotoRecord, new: PhotoRecord) -> float:
    """Share of the new photograph that the old one shows, on a grid."""
    x, y = np.meshgrid((np.arange(24) + 0.5) / 24 * new.width, (np.arange(24) + 0.5) / 24 * new.height)
    places = np.stack([x.ravel(), y.ravel()], axis=1)
    return round(float(_shown(places, np.linalg.inv(matrix), old).mean()), 4)


def _moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points (n, 2) by a homography; NaN for what lies behind the camera."""
    there = np.c_[points, np.ones(len(points))] @ matrix.T
    ahead = np.where(there[:, 2:] * np.sign(matrix[2, 2]) > 1e-9, there[:, 2:], np.nan)
    return np.asarray(there[:, :2] / ahead)


def _shown(points: np.ndarray, matrix: np.ndarray, photo: PhotoRecord) -> np.ndarray:
    """Whether points (n, 2) lie on a photograph after a homography, bool (n,)."""
    return _within(_moved(points, matrix), photo)


def _within(points: np.ndarray, photo: PhotoRecord, margin: float = 0.0) -> np.ndarray:
    """Whether points (n, 2) lie on a photograph, farther than a margin from its border, bool (n,)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(((points >= margin) & (points < (photo.width - margin, photo.height - margin))).all(axis=1))


def _line(finding: Finding) -> np.ndarray:
    """Places along a crack, float (n, 2)."""
    return np.concatenate([resample(np.array(branch, float), _SPACING) for branch in finding.centreline])


def _inside(points: np.ndarray, finding: Finding) -> np.ndarray:
    """Whether points (n, 2) lie inside a finding's outline, bool (n,)."""
    mask, left, top = paint_outline(finding.outline, finding.holes)
    x, y = (points - (left, top)).round().astype(int).T
    found = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
    found[found] = mask[y[found], x[found]]
    return found


def _cover(one: np.ndarray, other: np.ndarray, reach: float) -> float:
    """Share of the shorter of two lines that lies on the other."""
    from scipy.spatial import cKDTree

    if not len(one) or not len(other):
        return 0.0
    shorter, longer = (one, other) if len(one) <= len(other) else (other, one)
    distances, _ = cKDTree(longer).query(shorter, distance_upper_bound=max(reach, math.ulp(1.0)))
    return float(np.isfinite(distances).mean())
