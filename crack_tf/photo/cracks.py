"""Cracks of a mask in numbers: length, widths, area, direction, branches; in pixels, and in millimetres when the scale is known.

How the numbers come about:

* A crack is what touches in the mask, corners included (8-connected).
* Its centreline is the mask's skeleton without spurs, smoothed, and prolonged to the mask's tips, which thinning eats.
* Length is that of all branches together, tip to tip.
* Width is measured across the centreline at every half pixel. With a photograph, it is that of the dark valley in its grey
  values, wherever there is a clear one (`crack_tf.photo.widths`): masks from a model are often wider than the crack.
* Else the mask is summed along the normal, a little blurred, so that fractions of pixels count. Doubling the distance transform
  along the skeleton, the customary way, knows whole pixels only: on drawn cracks it reads 10 % too little on average and up to
  38 % on single ones. Here it serves to find the reach of the normal, and the discs of junctions, where width means nothing.
* The maximum width is that of the widest stretch of 20 pixels, not of one pixel: the edge of a mask is rough.

A mask has whole pixels, so a crack that runs exactly along the rows of pixels shows its width rounded to whole pixels, and
nothing can tell the rest. At other directions, and over some length, that averages out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crack_tf.photo.crack import MASK, PHOTOGRAPH, PROFILE_SPACING, Crack, Point, WidthAt
from crack_tf.photo.ends import is_cut_off
from crack_tf.photo.masks import check_crack_mask
from crack_tf.photo.patterns import direction_deg
from crack_tf.photo.ranges import (
    Range,
    either,
    length_on_mask,
    open_ended,
    past_holes,
    width_in_photo,
    width_on_mask,
)
from crack_tf.photo.ranges import widest as widest_range
from crack_tf.photo.skeleton import (
    Branch,
    SkeletonGraph,
    normals,
    path_length,
    prune_spurs,
    resample,
    skeleton_graph,
    smooth,
)
from crack_tf.photo.thinning import thin
from crack_tf.photo.widths import Valleys, photograph_widths
from tflite.device.tiles import Box
from tflite.errors import CrackError

MIN_AREA = 30  # pixels; smaller spots have no measurable direction or length
SPUR_RATIO = 1.0
MAX_WIDTH_STRETCH = 20.0  # pixels along the centreline
_SMOOTHING = 3.0  # pixels; straightens the stairs of a skeleton and keeps its bends
_BLUR = 1.0  # pixels
_SPACING = 0.5  # pixels between two measured widths
_TIP = round(2 * _BLUR / _SPACING)  # places at each end that are not measured
_FULL_END = 0.7  # of the last full disc's radius: below, a skeleton has run into a corner of a blunt end
_TIP_STRETCH = 16.0  # pixels before a tip that give the direction to prolong the centreline in
_STEP = 0.25  # pixels between two samples along a normal
_OUTLINE_TOLERANCE = 0.5  # pixels
_MARGIN = 4  # pixels of background around a crack's crop: the blur fades out within them


def measure_cracks(
    mask: np.ndarray,
    mm_per_pixel: float | None = None,
    min_area: int = MIN_AREA,
    photo: np.ndarray | None = None,
    unknown: np.ndarray | None = None,
) -> list[Crack]:
    """Find the cracks of a mask and measure each.

    Args:
        mask: (height, width), bool or 0 and 255; True is crack.
        mm_per_pixel: ground sampling distance (see `crack_tf.photo.gsd`), or None for pixels only.
        min_area: smaller spots are left out, in pixels.
        photo: uint8 (height, width, 3) that the mask was drawn on, to measure widths in; None for the mask's own.
        unknown: bool (height, width), where nothing is known: what reaches it runs out of sight, as at the photograph's border.

    Returns:
        The cracks, longest first; none for an empty mask.

    Raises:
        CrackError: if the mask is none or looks inverted, or an argument is out of range.

    Example:
        >>> mask = np.zeros((60, 120), bool)
        >>> mask[30:34, 10:110] = True
        >>> crack = measure_cracks(mask, mm_per_pixel=0.1)[0]
        >>> f"{crack.length_mm:.1f} mm long, {crack.mean_width_mm:.2f} mm wide"
        '10.0 mm long, 0.40 mm wide'
    """
    from scipy import ndimage

    mask = check_crack_mask(mask)
    if mm_per_pixel is not None and not (0 < mm_per_pixel < math.inf):
        raise CrackError(f"mm_per_pixel must be a number above 0, got {mm_per_pixel}.")
    if not 0 <= min_area < math.inf:
        raise CrackError(f"min_area must be at least 0, got {min_area}.")
    grey = None if photo is None else _grey(photo, mask.shape)
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3), bool))
    areas = np.bincount(labels.ravel())
    cracks = [
        _measure(labels[place] == label, place, mask.shape, mm_per_pixel, grey, unknown)
        for label, place in enumerate(ndimage.find_objects(labels), start=1)
        if areas[label] >= max(1, min_area)
    ]
    cracks.sort(key=lambda crack: (-crack.length_px, crack.box))
    return [replace(crack, number=number) for number, crack in enumerate(cracks, start=1)]


def _measure(
    crop: np.ndarray,
    place: tuple[slice, slice],
    shape: tuple[int, ...],
    mm_per_pixel: float | None,
    grey: np.ndarray | None,
    unknown: np.ndarray | None,
) -> Crack:
    """A crack that has no number yet. `crop` holds it alone, `place` is where it was cut out of `shape`."""
    from scipy import ndimage

    rows, columns = place
    padded = np.pad(crop, _MARGIN)
    offset = np.array([rows.start, columns.start]) - _MARGIN
    solid = _fill_pinholes(padded)
    # A pixel at the edge has half a pixel of crack on its outer side, and the transform counts to the next pixel's centre.
    radius = ndimage.distance_transform_edt(solid) - 0.5
    # Guo and Hall's thinning. Zhang and Suen's eats bands at 45 degrees from their ends: up to 56 pixels of a drawn crack of 120.
    graph = skeleton_graph(thin(solid))
    prune_spurs(graph, radius, SPUR_RATIO)
    paths = [_centreline(branch, graph, solid, radius) for branch in graph.branches] or [_longest_axis(solid)]
    lengths = [path_length(path) for path in paths]
    stretches = _widths(paths, graph, solid, radius)
    valleys = None if grey is None else _seen_in_photo(grey, stretches, offset)
    if valleys is not None:
        stretches = _with_widths(stretches, valleys.widths)
    if not stretches:  # a blot, or all junction: no place where a width could be measured
        points = np.concatenate(paths)
        stretches = [(points, np.full(len(points), crop.sum() / sum(lengths)))]
    mean_width = float(np.mean(np.concatenate([widths for _, widths in stretches])))
    widest, max_width = _widest(stretches)
    # Short stretches between junctions count in the mean, and are too short to be the widest.
    max_width = max(max_width, mean_width)
    centreline = tuple(tuple(_xy(point) for point in _simplified(path + offset)) for path in paths)
    ends = _ends(paths, graph)
    box = Box(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)
    touches = rows.start == 0 or columns.start == 0 or rows.stop == shape[0] or columns.stop == shape[1]
    touches = touches or (unknown is not None and is_cut_off(crop, box, unknown))
    return Crack(
        number=0,
        area_px=int(crop.sum()),
        length_px=float(sum(lengths)),
        mean_width_px=mean_width,
        max_width_px=max_width,
        max_width_at=_xy(widest + offset),
        orientation_deg=direction_deg(centreline),
        straightness=straightness(centreline),
        branch_points=tuple(_xy(point + offset) for point in graph.junctions(radius)),
        end_points=tuple(_xy(point + offset) for point in ends),
        centreline=centreline,
        outline=_outline(padded, offset),
        box=box,
        touches_border=touches,
        mm_per_pixel=mm_per_pixel,
        width_from=MASK if valleys is None else PHOTOGRAPH,
        in_photo=grey is not None,
        ranges=_ranges(sum(lengths), mean_width, max_width, touches, valleys, grey is not None),
        missing_light=0.0 if valleys is None else valleys.line.deficit,
        profile=_profile(stretches, valleys, offset),
    )


def _ranges(
    length: float, mean_width: float, max_width: float, touches: bool, valleys: Valleys | None, seen: bool
) -> tuple[Range, Range, Range]:
    """Ranges of length, mean and maximum width.

    Args:
        length, mean_width, max_width: as stated, in pixels.
        touches: whether it runs out of what is known.
        valleys: what the photograph shows; None where it shows no clear line, or there is none.
        seen: whether there is a photograph.
    """
    mean = width_on_mask(mean_width, seen) if valleys is None else width_in_photo(valleys.possible, mean_width)
    most = widest_range(mean, mean_width, max_width)
    if valleys is None:
        # A gap may gape at its widest place only.
        most = either(most, width_on_mask(max_width, seen))
    known = length_on_mask(length)
    return open_ended(known) if touches else known, mean, past_holes(most, mean, mean_width, max_width)


def _grey(photo: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Lightness, uint8 (height, width)."""
    from PIL import Image

    if photo.dtype != np.uint8 or photo.shape != (*shape, 3):
        raise CrackError(f"photo is {photo.dtype} {photo.shape}: give uint8 RGB of the mask's size, {(*shape, 3)}.")
    return np.asarray(Image.fromarray(photo).convert("L"))


def _fill_pinholes(mask: np.ndarray) -> np.ndarray:
    """Fill holes smaller than a square of the crack's typical width: each would put a ring into the skeleton.

    Larger ones are islands of concrete that the crack runs around, and stay.
    """
    from scipy import ndimage

    holes, count = ndimage.label(~mask)  # 4-connected, as fits 8-connected cracks
    if count <= 1:
        return mask
    width = 2 * float(ndimage.distance_transform_edt(mask)[thin(mask)].mean())
    areas = np.bincount(holes.ravel())
    small = areas < width**2
    small[0] = False  # the crack itself
    return mask | small[holes]


def _centreline(branch: Branch, graph: SkeletonGraph, mask: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """A branch smoothed, with its free ends moved out to the tips of the mask; (n, 2)."""
    closed = branch.start == branch.end
    path = smooth(branch.points, min(_SMOOTHING, len(branch.points) / 4), closed)
    free = graph.free_ends()
    if branch.end in free:
        path = _to_tip(path, mask, radius)
    if branch.start in free:
        path = _to_tip(path[::-1], mask, radius)[::-1]
    return path


def _to_tip(path: np.ndarray, mask: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Prolong a path at its end, straight on, to where it leaves the mask.

    At a blunt end a skeleton may turn into a corner of the mask. The part within the last inscribed disc is given up then,
    as far as it makes up at most half of the path.
    """
    from scipy import ndimage

    back = path[::-1]
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(back, axis=0).T))])
    discs = ndimage.map_coordinates(radius, back.T, order=1)
    first = min(_end_disc(discs, along), int(np.searchsorted(along, along[-1] / 2)))
    if discs[0] >= _FULL_END * discs[first]:  # the skeleton ends in the middle of the crack, not in a corner
        first = 0
    kept = path[: len(path) - first]
    # Long enough not to follow the last stair of the skeleton, short enough to follow a bend.
    ahead = along[first:] - along[first]
    origin = kept[::-1][min(int(np.searchsorted(ahead, _TIP_STRETCH + discs[first] / 2)), len(kept) - 1)]
    direction = kept[-1] - origin
    norm = float(np.hypot(*direction))
    if norm == 0:
        return path
    steps = np.arange(_STEP, along[first] + 2 * float(discs[first]) + 2, _STEP)
    beyond = kept[-1] + steps[:, np.newaxis] * direction / norm
    outside = np.flatnonzero(ndimage.map_coordinates(mask.astype(np.float32), beyond.T, order=1) < 0.5)
    beyond = beyond[: outside[0]] if len(outside) else beyond
    return np.concatenate([kept, beyond[-1:]])


def _longest_axis(mask: np.ndarray) -> np.ndarray:
    """A path through a blot that thins to a single pixel: its longest axis, from edge to edge."""
    points = np.argwhere(mask).astype(float)
    centre = points.mean(axis=0)
    axis = np.linalg.eigh(np.cov((points - centre).T))[1][:, 1] if len(points) > 1 else np.array([0.0, 1.0])
    along = (points - centre) @ axis
    # Half a pixel more at each end: positions are those of pixel centres.
    return np.stack([centre + (along.min() - 0.5) * axis, centre + (along.max() + 0.5) * axis])


def _widths(
    paths: list[np.ndarray], graph: SkeletonGraph, mask: np.ndarray, radius: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Stretches of the paths between junctions: points (n, 2) and the widths across them (n,)."""
    from scipy import ndimage

    blurred = ndimage.gaussian_filter(mask.astype(np.float32), _BLUR)
    degrees = graph.degrees()
    # Branches that meet at 60 degrees part about as far from the junction as the crack is wide.
    discs = [(np.array(graph.nodes[n]), 2 * radius[graph.nodes[n]] + 1) for n, degree in degrees.items() if degree > 2]
    stretches = []
    for path in paths:
        places = resample(path, _SPACING)
        clear = np.ones(len(places), bool)
        # The blur takes from the last places; of a path that is hardly longer nothing remains to be measured.
        clear[:_TIP] = clear[-_TIP:] = False
        clear &= len(places) > 4 * _TIP
        for centre, reach in discs:
            clear &= np.hypot(*(places - centre).T) > reach
        widths = _across(blurred, places, normals(places), radius)
        for run in np.split(np.arange(len(places)), np.flatnonzero(np.diff(clear)) + 1):
            if clear[run[0]]:
                stretches.append((places[run], widths[run]))
    return stretches


def _seen_in_photo(
    grey: np.ndarray, stretches: list[tuple[np.ndarray, np.ndarray]], offset: np.ndarray
) -> Valleys | None:
    """What the photograph shows at the stretches' places, or None where it does not show the crack clearly."""
    if not stretches:
        return None
    places = np.concatenate([points for points, _ in stretches])
    directions = np.concatenate([normals(points) if len(points) > 1 else np.zeros((1, 2)) for points, _ in stretches])
    return photograph_widths(grey, places + offset, directions, np.concatenate([widths for _, widths in stretches]))


def _with_widths(
    stretches: list[tuple[np.ndarray, np.ndarray]], widths: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Stretches with other widths (n,), which are of all their places one after the other."""
    ends = np.cumsum([len(points) for points, _ in stretches])[:-1]
    return [(points, found) for (points, _), found in zip(stretches, np.split(widths, ends), strict=True)]


def _profile(
    stretches: list[tuple[np.ndarray, np.ndarray]], valleys: Valleys | None, offset: np.ndarray
) -> tuple[WidthAt, ...]:
    """Widths along the stretches, means over `PROFILE_SPACING`. `valleys` are at all their places, or None for a mask alone."""
    found = []
    together = round(PROFILE_SPACING / _SPACING)
    first = 0
    for branch, (points, widths) in enumerate(stretches, start=1):
        steps = np.hypot(*np.diff(points, axis=0).T) if len(points) > 1 else np.zeros(0)
        along = np.concatenate([[0.0], np.cumsum(steps)])
        for start in range(0, len(points), together):
            part = slice(start, start + together)
            x, y = _xy(points[part].mean(axis=0) + offset)
            missing, half_width = _shown(valleys, slice(first + start, first + min(start + together, len(points))))
            found.append(
                WidthAt(
                    branch=branch,
                    along=round(float(along[part].mean()), 2),
                    x=x,
                    y=y,
                    width=round(float(widths[part].mean()), 3),
                    width_from=MASK if missing is None else PHOTOGRAPH,
                    missing_light=missing,
                    half_width=half_width,
                )
            )
        first += len(points)
    return tuple(found)


def _shown(valleys: Valleys | None, part: slice) -> tuple[float, float] | tuple[None, None]:
    """Missing light and width at half the depth, means over the clear ones of some places; None where half of them are not clear."""
    if valleys is None or valleys.clear[part].mean() < 0.5:
        return None, None
    return tuple(round(float(np.nanmean(values[part])), 3) for values in (valleys.missing_light, valleys.half_widths))  # type: ignore[return-value]


def _across(blurred: np.ndarray, places: np.ndarray, directions: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """The mask summed along the normal at each place, on both sides up to the edge; (n,) in pixels.

    A blur moves weight along the normal but does not change the sum, so the sum is the width, fractions included.
    """
    from scipy import ndimage

    # On a skewed or lumpy place the normal would run on inside the crack: no farther than half beyond the edge's distance.
    reach = 1.5 * _disc_radius(places, radius) + 3
    total = np.zeros(len(places))
    for side in (1, -1):
        peak = before = ndimage.map_coordinates(blurred, places.T, order=1)
        inside = np.ones(len(places), bool)
        for distance in np.arange(_STEP / 2, reach.max(), _STEP):
            value = ndimage.map_coordinates(blurred, (places + side * distance * directions).T, order=1)
            # Rising again after it has fallen: another branch of the same crack begins.
            inside &= (distance < reach) & ~((value > before) & (before < 0.6 * peak))
            if not inside.any():
                break
            total += np.where(inside, value, 0) * _STEP
            peak, before = np.maximum(peak, value), value
    return total


def _disc_radius(places: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Radius of the largest disc at each place of a path; near the path's ends that of the last disc that fits before them."""
    from scipy import ndimage

    discs = np.maximum(ndimage.map_coordinates(radius, places.T, order=1), 0)
    along = np.arange(len(places)) * _SPACING
    for from_end in (discs, discs[::-1]):
        last = _end_disc(from_end, along)
        from_end[:last] = from_end[: last + 1].max()
    return discs


def _end_disc(discs: np.ndarray, along: np.ndarray) -> int:
    """Index of the first place behind the last inscribed disc of a path's end.

    At a blunt end the discs shrink as fast as the path runs, or 0.71 times as fast where it runs into a corner. A crack
    that really tapers to its tip does so far more slowly.
    """
    beyond = np.flatnonzero(discs < 0.6 * along)
    return int(beyond[0]) if len(beyond) else len(discs) - 1


def _widest(stretches: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, float]:
    """Middle and mean width of the widest 20 pixels; where no stretch is that long, of as much as the longest one has."""
    count = min(max(len(widths) for _, widths in stretches), round(MAX_WIDTH_STRETCH / _SPACING))
    best: tuple[np.ndarray, float] | None = None
    for points, widths in stretches:
        if len(widths) >= count:
            means = np.convolve(widths, np.full(count, 1 / count), mode="valid")
            first = int(np.argmax(means))
            if best is None or means[first] > best[1]:
                best = points[first + count // 2], float(means[first])
    assert best is not None  # the longest stretch is as long as itself
    return best


def straightness(lines: Sequence[Sequence[Point]]) -> float:
    """`Crack.straightness` of polylines of (x, y) together: of their points' variances along both axes, the difference by the sum."""
    points = np.concatenate([resample(np.array(line, float), 1.0) for line in lines])
    if len(points) < 2:
        return 0.0
    less, more = np.linalg.eigvalsh(np.cov((points - points.mean(axis=0)).T))
    return float((more - less) / (more + less)) if more > 0 else 0.0


def _ends(paths: list[np.ndarray], graph: SkeletonGraph) -> list[np.ndarray]:
    """Tips of the mask: the free ends of the paths."""
    if not graph.branches:
        return [paths[0][0], paths[0][-1]]
    free = graph.free_ends()
    ends = []
    for branch, path in zip(graph.branches, paths, strict=True):
        ends += [path[0]] if branch.start in free else []
        ends += [path[-1]] if branch.end in free else []
    return sorted(ends, key=lambda point: tuple(point))


def _outline(mask: np.ndarray, offset: np.ndarray) -> tuple[tuple[Point, ...], ...]:
    """Edges between mask and background as closed polylines, the longest first."""
    from skimage.measure import find_contours

    rings = sorted(find_contours(mask.astype(np.float32), 0.5, fully_connected="high"), key=path_length, reverse=True)
    return tuple(tuple(_xy(point) for point in _simplified(ring + offset)) for ring in rings)


def _simplified(points: np.ndarray) -> np.ndarray:
    """Vertices (n, 2) of a line without those from which it is no farther than the tolerance (Douglas and Peucker, 1973).

    The same as `skimage.measure.approximate_polygon` gives, which brings scipy's signals and statistics with it: importing these
    takes longer than measuring a photograph's cracks.
    """
    kept = np.zeros(len(points), bool)
    kept[[0, -1]] = True
    pending = [(0, len(points) - 1)]
    while pending:
        first, last = pending.pop()
        if last - first < 2:
            continue
        away = _away(points[first + 1 : last], points[first], points[last])
        middle = first + 1 + int(away.argmax())
        if away.max() > _OUTLINE_TOLERANCE:
            kept[middle] = True
            pending += [(first, middle), (middle, last)]
    return points[kept]


def _away(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """How far points (n, 2) lie from the line between two others."""
    along = end - start
    before, behind = points - start, points - end
    # Vertices of outlines lie at half pixels, often just as far as the tolerance: another formula would keep others.
    angle = -np.arctan2(along[0], along[1])
    sine, cosine = np.sin(angle), np.cos(angle)
    beside = np.abs(points[:, 0] * cosine + points[:, 1] * sine - (start[1] * sine + start[0] * cosine))
    between = (before[:, 0] * along[0] + before[:, 1] * along[1] > 0) & (
        -behind[:, 0] * along[0] - behind[:, 1] * along[1] > 0
    )
    nearer = np.minimum(np.sqrt((before**2).sum(axis=1)), np.sqrt((behind**2).sum(axis=1)))
    return np.where(between, beside, nearer)


def _xy(point: np.ndarray) -> Point:
    return round(float(point[1]), 2), round(float(point[0]), 2)
