"""The second opinion: what a segmentation model says about the tiles that the classifier calls cracked, or nearly so.

Looked at are tiles with at least a tenth of foreground away from its edge, whose logit reaches the classifier's threshold
("positive"), and those that miss it by at most 2 ("uncertain": the odds of a crack are down to a seventh of the threshold's).
The segmentation model is asked about those tiles and half a tile around them, inside the foreground and not at its edge, which
looks like a crack. Pixels at or above its own threshold are parts of cracks; `crack_tf.photo.linking` says which parts are one.
A crack's length counts the gaps between, and its widths are those of the photograph where they show clearly
(`crack_tf.photo.widths`), else of the mask. The rule:

* confirmed: a crack of at least 40 pixels length and a mean probability of at least 0.5 over its pixels, its score, begins in or
  runs through a positive or uncertain tile, and the classifier calls it a crack when it looks again (`crack_tf.survey.searching.verify`).
* unclear: such a crack that the classifier does not call one when it looks again, where a part of it is that long without a gap, since
  texture and leaves are drawn as chains of specks.
* unclear: such a crack of which neither is sure: its score is below 0.75, and the classifier only just calls it one when it looks again
  (less than 0.5 above the threshold).
* unclear: a shape as a crack, but too wide for its length (`crack_tf.photo.doubt`): stains, holes and shadows are. One in uncertain
  tiles that the classifier does not call a crack when it looks again is no finding: nobody has called it one.
* Positive tiles that none of these touches are findings too, tiles that touch each other and share a verdict and its reason being one:
  "unclear" where the segmentation model draws a mark of at least half that length and that mean in them, or where there is no such model.
  "unclear" also where the classifier is sure (its logit is 2 above the threshold), or calls it likely (0.5 above) and the model draws
  crumbs: they are what is left of a crack that it hardly sees. "refuted" is the rest: nothing is drawn, or specks in a tile that hardly
  reaches the threshold. Their score is the highest probability in them.
* Positive tiles of which less than a tenth was looked at, since the foreground leaves them out, are "unclear" findings. Shade, moss
  and water on concrete are taken for background as sky and leaves are: nobody has refuted those tiles.
* Every unclear and every refuted finding has a note that says why it is, and a confirmed one in uncertain tiles alone has one that says
  what found it.
* Uncertain tiles that none of these touches are no findings: to the classifier they were clean.

A refuted finding stays in all tables and weighs less in the order: segmentation models miss cracks too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from crack_tf.inference.second_look import BELOW
from crack_tf.inference.tiles import Tile
from crack_tf.photo.crack import Crack, WidthAt
from crack_tf.photo.cracks import measure_cracks
from crack_tf.photo.doubt import MIN_LENGTH_PX, TOO_WIDE
from crack_tf.photo.ends import EDGE, longest_end, with_ends
from crack_tf.photo.joining import as_drawn, joined
from crack_tf.photo.linking import FAR, crack_darkness, link_cracks, marks_ahead
from crack_tf.photo.ranges import Range
from crack_tf.survey.findings import CONFIRMED, REFUTED, UNCLEAR, Polygon
from tflite.device.tiles import Box

MIN_FOREGROUND = 0.1  # of a tile
LEFT_OUT = "hardly anything here was taken for concrete, so the second opinion did not look"
NOT_ASKED = "no segmentation model was asked"
DOUBTED = "a crack is drawn here, but the classifier does not call it one when it looks again"
NEARLY_DOUBTED = (
    "a crack is drawn here, but the classifier only nearly calls its tiles cracked, and does not when it looks again"
)
WEAK = "a faint crack is drawn here, and the classifier hardly calls it one when it looks again"
SHORT = "only a short or faint mark is drawn here"
CRUMBS = "the classifier calls this a crack, and hardly anything of one is drawn here"
UNSEEN = "the classifier is sure of a crack here, and none is drawn"
SPECKS = "only specks are drawn here, and the classifier is not sure"
NOTHING = "no crack is drawn here"
NEARLY = "nearly a crack to the classifier, and drawn by the segmentation model"
AGREED = "; the classifier calls it one when it looks again"
UNCOUNTED = "; {:,.0f} pixels drawn, not counted"
UNCERTAIN_LOGITS = 2.0  # below the threshold
# Above the threshold. Chosen on training and validation photographs with masks, and on scenes without a crack, where they cost nothing.
LIKELY_LOGITS, SURE_LOGITS = 0.5, 2.0
AROUND = 0.5  # of a tile's side: a crack goes on beyond the tiles that show it best
# A part drawn with less is more often an edge or texture. On cracks of real photographs the means were 0.57 and above.
MIN_SCORE = 0.5
# Mean from which the map is sure of a crack that the classifier only just calls one when it looks again. Chosen on validation photographs,
# where it costs no crack, and on validation scenes without one.
SURE_SCORE = 0.75
LINK_PX = 16  # specks nearer to each other are looked at together: each alone would be too small
SHARP_EDGE_PX = 16  # at most, where the edge itself is known: what is beyond still changes what a model sees there
MIN_AREA_PX = 30  # smaller spots have no measurable direction
MARGIN_PX = 24  # of the photograph around a crack that is measured

# uint8 (h, w, 3) and bool (h, w), where to look, to float32 (h, w): probability of a crack, 0 elsewhere
Segment = Callable[[np.ndarray, np.ndarray], np.ndarray]
# uint8 (h, w, 3), bool (h', w') on the crack, and its x and y in the photograph, to logits above the classifier's threshold
Verify = Callable[[np.ndarray, np.ndarray, int, int], float]


@dataclass(frozen=True)
class Candidate:
    """What becomes a finding. Attributes as in `crack_tf.survey.findings.Finding`, and:

    Attributes:
        widest: where it is widest, (x, y) in pixels.
        ranges: of length, mean and maximum width in pixels, see `crack_tf.photo.ranges`; None where none was measured.
        profile: widths along it.
        marks: polygons around what is drawn in its tiles, where that was not taken for a crack: for its picture.
    """

    box: Box
    outline: tuple[Polygon, ...]
    probability: float
    tiles: int
    validation: str
    validation_score: float | None
    length_px: float | None = None
    mean_width_px: float | None = None
    max_width_px: float | None = None
    width_from: str | None = None
    width_trusted: bool | None = None
    touches_border: bool | None = None
    note: str | None = None
    widest: tuple[float, float] | None = None
    centreline: tuple[Polygon, ...] = ()
    holes: tuple[Polygon, ...] = ()
    ranges: tuple[Range, Range, Range] | None = None
    profile: tuple[WidthAt, ...] = ()
    marks: tuple[Polygon, ...] = ()


@dataclass(frozen=True)
class Ground:
    """Where on a photograph cracks are looked for.

    Attributes:
        foreground: bool (height, width), or None for everywhere.
        sharp: whether its edge is exact to the pixel, as that of a journal's tiles is.
        trimmed: whether it has lost its edge already (`without_edge`), as that of a whole photograph whose part this is.
        opaque: bool (height, width), what the photograph shows; None for all of it.
    """

    foreground: np.ndarray | None = None
    sharp: bool = False
    trimmed: bool = False
    opaque: np.ndarray | None = None


@dataclass(frozen=True)
class Opinion:
    """Who is asked about tiles.

    Attributes:
        segment: the segmentation model.
        threshold: where its probability is cut.
        verify: looks at each drawn crack again, or None to take them all.
        threshold_logit: the classifier's, to tell how sure it is; infinity where that is not known.
    """

    segment: Segment
    threshold: float = 0.5
    verify: Verify | None = None
    threshold_logit: float = math.inf


def worth_a_look(tiles: Sequence[Tile], threshold_logit: float) -> list[Tile]:
    """Positive and uncertain tiles."""
    return [tile for tile in tiles if tile.crack or tile.logit >= threshold_logit - UNCERTAIN_LOGITS]


def find_candidates(
    image: np.ndarray,
    tiles: Sequence[Tile],
    ground: Ground,
    opinion: Opinion | None = None,
    measure_all: bool = False,
) -> list[Candidate]:
    """The findings of one photograph, by the rule above.

    Args:
        image: uint8 (height, width, 3).
        tiles: positive and uncertain ones, see `worth_a_look`.
        ground: where to look.
        opinion: the second one, or None.
        measure_all: measure whatever is drawn of each, unclear and refuted ones too; their boxes stay the same.

    Returns:
        In reading order of their boxes.
    """
    foreground, exact = ground.foreground, ground.sharp or ground.trimmed
    looked_at = foreground if foreground is None or ground.trimmed else without_edge(foreground, ground.sharp)
    kept = [tile for tile in tiles if _share(looked_at, tile.box) >= MIN_FOREGROUND]
    positive = [tile for tile in kept if tile.crack]
    left_out = [tile for tile in tiles if tile.crack and tile not in kept]
    found = [replace(_group(group, UNCLEAR, None), note=LEFT_OUT) for group in touching(left_out)]
    if measure_all and opinion is not None:
        found = [_seen_after_all(image, candidate, opinion) for candidate in found]
    if opinion is None:
        unasked = (replace(_group(group, UNCLEAR, None), note=NOT_ASKED) for group in touching(positive))
        return _in_order([*found, *unasked])
    if not kept:
        return _in_order(found)
    region = _around(image.shape[:2], [tile.box for tile in kept])
    unknown = None
    if looked_at is not None:
        beyond = region if exact else region & _nearly(looked_at, ground.opaque)
        region = region & looked_at
        probability = opinion.segment(image, region if exact else beyond)
        drawn = (probability >= opinion.threshold) & beyond
        mask = with_ends(drawn, region)
        unknown = ~looked_at if ground.sharp else drawn & ~mask
        if ground.opaque is not None:
            unknown |= ~ground.opaque
        probability = np.where(mask | region, probability, np.float32(0))
    else:
        probability = opinion.segment(image, region)
        mask = probability >= opinion.threshold
    shapes, explained = _shapes(image, mask, probability, kept, opinion.verify, unknown, measure_all)
    found += shapes
    unexplained = [tile for tile in positive if tile not in explained]
    marked = _marked(mask, probability, unexplained)
    told = [(group, UNCLEAR, SHORT) for group in touching(marked)]
    # A crack that the classifier is sure of goes on in tiles that show less of it.
    for group in touching([tile for tile in unexplained if tile not in marked]):
        told.append((group, *_hardly_drawn(group, mask, opinion.threshold_logit)))
    for group, validation, note in told:
        score = max(float(_cut(probability, tile.box).max()) for tile in group)
        candidate = replace(_group(group, validation, round(score, 4)), note=note)
        if measure_all:
            candidate = _with_marks(image, mask, probability, candidate, unknown)
        found.append(replace(candidate, marks=_rings(_cut(mask, candidate.box), candidate.box)))
    return _in_order(found)


def _in_order(candidates: Sequence[Candidate]) -> list[Candidate]:
    """In reading order of their boxes."""
    return sorted(candidates, key=lambda candidate: (candidate.box, candidate.validation, candidate.note or ""))


def touching(tiles: Sequence[Tile]) -> list[list[Tile]]:
    """Tiles in groups: two that overlap or share a side or corner are in the same one."""
    groups: list[list[Tile]] = []
    for tile in tiles:
        near = [group for group in groups if any(_touch(tile.box, other.box) for other in group)]
        groups = [group for group in groups if not any(group is other for other in near)]
        groups.append([member for group in near for member in group] + [tile])
    return groups


_Part = tuple[Box, np.ndarray]  # of the mask: where it lies, and bool (box.h, box.w)


# And logits above the threshold, as the classifier looked again; infinite where it was not asked.
_Asked = tuple[_Part, float]


@dataclass(frozen=True)
class _Piece:
    """A connected part of the mask, measured; `pixels` is where its box is crack, bool (box.h, box.w)."""

    crack: Crack
    pixels: np.ndarray
    sum: float  # of the probability over its pixels
    again: float  # of its cluster


def _shapes(
    image: np.ndarray,
    mask: np.ndarray,
    probability: np.ndarray,
    tiles: Sequence[Tile],
    verify: Verify | None,
    unknown: np.ndarray | None,
    measure_all: bool,
) -> tuple[list[Candidate], list[Tile]]:
    """Cracks that touch a tile, those that the classifier doubts, and shapes too wide for one; and the tiles they touch.

    `unknown` is where nothing is known of the photograph, see `measure_cracks`; None for nowhere.
    """
    agreed, doubted = _pieces(image, mask, probability, tiles, verify, unknown)
    grey = np.asarray(Image.fromarray(image).convert("L")) if agreed or doubted else np.zeros((0, 0), np.uint8)
    found: list[Candidate] = []
    explained: list[Tile] = []
    wholes = [(*whole, True) for whole in _wholes(agreed, grey)] + [(*whole, False) for whole in _wholes(doubted, grey)]
    goes_on = marks_ahead([[piece.crack for piece in members] for _, members, _ in wholes])
    for (whole, members, certain), ahead in zip(wholes, goes_on, strict=True):
        cracks = [piece.crack for piece in members]
        box, drawn = _together(members)
        touched = [tile for tile in tiles if _touches(drawn, tile.box, box.x, box.y)]
        called = sum(tile.crack for tile in touched)
        if not touched or not (certain or _stands(whole, cracks, called)):
            continue
        explained += [tile for tile in touched if tile not in explained]
        score = sum(piece.sum for piece in members) / int(drawn.sum())
        shape = Candidate(
            box=box,
            outline=tuple(_ring(crack.outline[0]) for crack in cracks),
            probability=max(tile.probability for tile in touched),
            tiles=called,
            validation=UNCLEAR,
            validation_score=round(score, 4),
            note=TOO_WIDE,
        )
        weak = score < SURE_SCORE and max(piece.again for piece in members) < LIKELY_LOGITS
        confirmed = certain and not weak and not whole.too_wide
        if confirmed:
            note = None if called else NEARLY + (AGREED if verify is not None else "")
            shape = replace(shape, validation=CONFIRMED, note=note)
        elif not whole.too_wide:
            doubt = WEAK if certain else DOUBTED if called else NEARLY_DOUBTED
            shape = replace(shape, note=doubt if measure_all else doubt + UNCOUNTED.format(whole.length_px))
        if confirmed or measure_all:
            shape = replace(shape, **_measures(whole, cracks, image.shape[:2], ahead))
        found.append(shape)
    return found, explained


def _measures(whole: Crack, parts: Sequence[Crack], shape: tuple[int, ...], ahead: bool) -> dict[str, Any]:
    """A candidate's fields that say how long and how wide a crack is.

    Args:
        whole: parts and gaps together.
        parts: without a gap each.
        shape: height and width of the photograph.
        ahead: whether another mark lies ahead of an end.
    """
    whole = as_drawn(whole, shape, ahead)
    return {
        "length_px": round(whole.length_px, 2),
        "mean_width_px": round(whole.mean_width_px, 3),
        "max_width_px": round(whole.max_width_px, 3),
        "width_from": whole.width_from,
        "width_trusted": whole.width_trusted,
        "touches_border": whole.touches_border,
        "widest": whole.max_width_at,
        "centreline": tuple(_rounded(line) for crack in parts for line in crack.centreline),
        "holes": tuple(_ring(ring) for crack in parts for ring in crack.outline[1:]),
        "ranges": whole.ranges,
        "profile": whole.profile,
    }


def _with_marks(
    image: np.ndarray, mask: np.ndarray, probability: np.ndarray, candidate: Candidate, unknown: np.ndarray | None
) -> Candidate:
    """A group of tiles with the measures of what is drawn in them, all of it taken for one crack; the same where that is too little.

    How far it goes on is not known: its length has no upper end.
    """
    box = candidate.box
    labels, stats = _parts(_cut(mask, box))
    drawn = _chosen(labels, stats[:, -1] >= MIN_AREA_PX)
    if not drawn.any():
        return candidate
    cracks = [piece.crack for piece in _measured_parts(image, probability, (box, drawn), math.inf, unknown)]
    grey = np.asarray(Image.fromarray(image).convert("L"))
    groups = link_cracks(cracks, [crack_darkness(crack, grey) for crack in cracks], grey)
    whole = joined(cracks, [gap for group in groups for gap in group.gaps])
    outline = tuple(_ring(crack.outline[0]) for crack in cracks)
    return replace(candidate, outline=outline, **_measures(whole, cracks, image.shape[:2], ahead=True))


def _seen_after_all(image: np.ndarray, candidate: Candidate, opinion: Opinion) -> Candidate:
    """Tiles that the foreground leaves out, with the measures of what is drawn there when they are looked at."""
    probability = opinion.segment(image, _around(image.shape[:2], [candidate.box]))
    return _with_marks(image, probability >= opinion.threshold, probability, candidate, None)


def _stands(whole: Crack, parts: Sequence[Crack], called: int) -> bool:
    """Whether a crack that the classifier doubts when it looks again is told all the same.

    Texture is drawn as a chain of specks; of a crack at least one stretch would do alone.

    Args:
        whole: parts and gaps together.
        parts: without a gap each.
        called: tiles with it that are called cracked.
    """
    unbroken = max(part.length_px for part in parts) >= MIN_LENGTH_PX
    return unbroken and (called > 0 or not whole.too_wide)


def _wholes(pieces: Sequence[_Piece], grey: np.ndarray) -> list[tuple[Crack, list[_Piece]]]:
    """Pieces that are one crack, as such and each for itself, as far as they are long enough for one."""
    cracks = [piece.crack for piece in pieces]
    groups = link_cracks(cracks, [crack_darkness(crack, grey) for crack in cracks], grey)
    wholes = [
        (joined([cracks[n] for n in group.parts], group.gaps), [pieces[n] for n in group.parts]) for group in groups
    ]
    return [(whole, members) for whole, members in wholes if whole.length_px >= MIN_LENGTH_PX]


def _pieces(
    image: np.ndarray,
    mask: np.ndarray,
    probability: np.ndarray,
    tiles: Sequence[Tile],
    verify: Verify | None,
    unknown: np.ndarray | None,
) -> tuple[list[_Piece], list[_Piece]]:
    """Parts of the mask that may be, or belong to, a crack that touches a tile; and those that the classifier doubts."""
    import cv2

    window = _drawn(mask, LINK_PX)
    if window is None:
        return [], []
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (LINK_PX + 1, LINK_PX + 1))
    labels, stats = _parts(cv2.dilate(_cut(mask, window).view(np.uint8), kernel))
    touching_tiles: list[_Part] = []
    others: list[_Part] = []
    agreed: list[_Asked] = []
    doubted: list[_Asked] = []
    for number in range(1, len(stats)):
        x, y, w, h = (int(value) for value in stats[number, :4])
        # The cheap questions first: a textured background leaves hundreds of specks.
        if math.hypot(w, h) < MIN_LENGTH_PX / 2:
            continue
        part = labels[y : y + h, x : x + w] == number
        x, y = x + window.x, y + window.y
        place = (slice(y, y + h), slice(x, x + w))
        cluster = mask[place] & part
        if cluster.sum() < MIN_AREA_PX or float(probability[place][cluster].mean()) < MIN_SCORE:
            continue
        touched = any(_touches(cluster, tile.box, x, y) for tile in tiles)
        (touching_tiles if touched else others).append((Box(y, x, h, w), cluster))

    def ask(clusters: Sequence[_Part]) -> None:
        for box, part in clusters:
            again = math.inf if verify is None else verify(image, part, box.x, box.y)
            (agreed if again >= -BELOW else doubted).append(((box, part), again))

    ask(touching_tiles)
    ask([other for other in others if any(_touch(_wider(other[0], FAR), there) for (there, _), _ in agreed)])
    return _measured(image, probability, agreed, unknown), _measured(image, probability, doubted, unknown)


def _measured(
    image: np.ndarray, probability: np.ndarray, clusters: Sequence[_Asked], unknown: np.ndarray | None
) -> list[_Piece]:
    """The connected parts of clusters, measured."""
    return [piece for part, again in clusters for piece in _measured_parts(image, probability, part, again, unknown)]


def _measured_parts(
    image: np.ndarray, probability: np.ndarray, part: _Part, again: float, unknown: np.ndarray | None
) -> list[_Piece]:
    """The connected parts of a cluster, measured."""
    box, cluster = part
    # A mask that is mostly crack would pass for an inverted one, and widths are measured against the concrete around.
    margin = max(box.w, box.h, MARGIN_PX) if cluster.mean() > 0.25 else MARGIN_PX
    wide = Box(box.y - margin, box.x - margin, box.h + 2 * margin, box.w + 2 * margin)
    beyond = None if unknown is None else _padded(unknown, wide)
    labels, stats = _parts(cluster)
    numbers = {tuple(map(int, row)): number for number, row in enumerate(stats) if number}
    pieces = []
    for crack in measure_cracks(np.pad(cluster, margin), min_area=1, photo=_padded(image, wide), unknown=beyond):
        crack = crack.moved(box.x - margin, box.y - margin)
        x, y = crack.box.x - box.x, crack.box.y - box.y
        number = numbers[x, y, crack.box.w, crack.box.h, crack.area_px]
        pixels = _cut(labels, Box(y, x, crack.box.h, crack.box.w)) == number
        pieces.append(_Piece(crack, pixels, float(_cut(probability, crack.box)[pixels].sum()), again))
    return pieces


def _together(pieces: Sequence[_Piece]) -> tuple[Box, np.ndarray]:
    """The box around some parts, and their pixels in it, bool (box.h, box.w)."""
    boxes = [piece.crack.box for piece in pieces]
    left, top = min(box.x for box in boxes), min(box.y for box in boxes)
    right, bottom = max(box.x + box.w for box in boxes), max(box.y + box.h for box in boxes)
    drawn = np.zeros((bottom - top, right - left), bool)
    for box, piece in zip(boxes, pieces, strict=True):
        drawn[box.y - top : box.y - top + box.h, box.x - left : box.x - left + box.w] |= piece.pixels
    return Box(top, left, bottom - top, right - left), drawn


def _marked(mask: np.ndarray, probability: np.ndarray, tiles: Sequence[Tile]) -> list[Tile]:
    """The tiles in which a mark is drawn: neither a pore, nor a faint echo of an edge or texture."""
    window = _drawn(mask)
    if window is None or not tiles:
        return []
    here = _cut(mask, window)
    labels, stats = _parts(here)
    sums = np.bincount(labels[here], weights=_cut(probability, window)[here], minlength=len(stats))
    likely = sums >= MIN_SCORE * stats[:, -1]
    marks = _chosen(labels, likely & (np.hypot(stats[:, 2], stats[:, 3]) >= MIN_LENGTH_PX / 2))
    boxes = ((tile, _inside(tile.box, window)) for tile in tiles)
    return [tile for tile, box in boxes if box is not None and int(_cut(marks, box).sum()) >= MIN_AREA_PX]


def _hardly_drawn(tiles: Sequence[Tile], mask: np.ndarray, threshold_logit: float) -> tuple[str, str]:
    """Verdict on tiles in which no mark is drawn, and why: crumbs or nothing refute only what the classifier is not sure of."""
    above = max(tile.logit for tile in tiles) - threshold_logit
    if any(_cut(mask, tile.box).any() for tile in tiles):
        return (UNCLEAR, CRUMBS) if above >= LIKELY_LOGITS else (REFUTED, SPECKS)
    return (UNCLEAR, UNSEEN) if above >= SURE_LOGITS else (REFUTED, NOTHING)


def _drawn(mask: np.ndarray, margin: int = 0) -> Box | None:
    """The part of a mask that holds all of it, with a margin inside the photograph; None where nothing is drawn.

    What is drawn on a photograph of many megapixels is usually a small part of it, and all questions are about that.
    """
    import cv2

    x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
    if not w:
        return None
    top, left = max(0, y - margin), max(0, x - margin)
    bottom, right = min(mask.shape[0], y + h + margin), min(mask.shape[1], x + w + margin)
    return Box(top, left, bottom - top, right - left)


def _inside(box: Box, window: Box) -> Box | None:
    """What a window shows of a box, in its own pixels; None for nothing."""
    top, left = max(box.y, window.y), max(box.x, window.x)
    bottom, right = min(box.y + box.h, window.y + window.h), min(box.x + box.w, window.x + window.w)
    if bottom <= top or right <= left:
        return None
    return Box(top - window.y, left - window.x, bottom - top, right - left)


def _parts(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Connected parts: int32 (height, width) numbers, 0 outside, and per number x, y, width, height and area."""
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    return np.asarray(labels), np.asarray(stats)


def _chosen(labels: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    wanted[0] = False  # outside
    return np.asarray(wanted[labels])


def without_edge(foreground: np.ndarray, sharp: bool) -> np.ndarray:
    """Foreground that does not lie at the background."""
    import cv2

    if foreground.all():
        return foreground
    reach = round(EDGE * max(foreground.shape))
    reach = min(reach, SHARP_EDGE_PX) if sharp else reach
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    # OpenCV takes everything outside the photograph for foreground here.
    return np.asarray(cv2.erode(foreground.astype(np.uint8), kernel)).astype(bool)


def _nearly(foreground: np.ndarray, opaque: np.ndarray | None) -> np.ndarray:
    """The foreground and what lies so near to it that a crack may end there."""
    import cv2

    if foreground.all():
        return foreground
    reach = longest_end(foreground.shape)
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    grown = np.asarray(cv2.dilate(foreground.astype(np.uint8), kernel)).astype(bool)
    return grown if opaque is None else grown & opaque


def _group(tiles: Sequence[Tile], validation: str, score: float | None) -> Candidate:
    """Tiles that touch, as one candidate; its outline is theirs together."""
    boxes = [tile.box for tile in tiles]
    left, top = min(box.x for box in boxes), min(box.y for box in boxes)
    right, bottom = max(box.x + box.w for box in boxes), max(box.y + box.h for box in boxes)
    return Candidate(
        box=Box(top, left, bottom - top, right - left),
        outline=_union(boxes, Box(top, left, bottom - top, right - left)),
        probability=max(tile.probability for tile in tiles),
        tiles=len(tiles),
        validation=validation,
        validation_score=score,
    )


def _union(boxes: Sequence[Box], around: Box) -> tuple[Polygon, ...]:
    """Outer edges of overlapping boxes."""
    drawn = np.zeros((around.h, around.w), bool)
    for box in boxes:
        drawn[box.y - around.y : box.y - around.y + box.h, box.x - around.x : box.x - around.x + box.w] = True
    return _rings(drawn, around)


def _rings(drawn: np.ndarray, around: Box) -> tuple[Polygon, ...]:
    """Outer edges of what is drawn in a box of the photograph, bool (around.h, around.w)."""
    import cv2

    rings, _ = cv2.findContours(drawn.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return tuple(tuple((float(x) + around.x, float(y) + around.y) for x, y in ring[:, 0]) for ring in rings)


def _ring(ring: Polygon) -> Polygon:
    """An edge of a crack, not closed."""
    return _rounded(ring[:-1] if len(ring) > 1 and ring[0] == ring[-1] else ring)


def _rounded(line: Polygon) -> Polygon:
    """A tenth of a pixel is more than can be seen."""
    return tuple((round(x, 1), round(y, 1)) for x, y in line)


def _wider(box: Box, reach: float) -> Box:
    side = math.ceil(reach)
    return Box(box.y - side, box.x - side, box.h + 2 * side, box.w + 2 * side)


def _around(shape: tuple[int, ...], boxes: Sequence[Box]) -> np.ndarray:
    """The boxes and what lies near, bool of that shape."""
    region = np.zeros(shape, bool)
    for box in boxes:
        more = round(AROUND * max(box.h, box.w))
        region[max(0, box.y - more) : box.y + box.h + more, max(0, box.x - more) : box.x + box.w + more] = True
    return region


def _touch(one: Box, other: Box) -> bool:
    return (
        one.x <= other.x + other.w
        and other.x <= one.x + one.w
        and one.y <= other.y + other.h
        and other.y <= one.y + one.h
    )


def _touches(part: np.ndarray, box: Box, x: int, y: int) -> bool:
    """Whether a tile shows at least some of a crack, which is `part` at (x, y)."""
    top, left = max(0, box.y - y), max(0, box.x - x)
    bottom, right = box.y + box.h - y, box.x + box.w - x
    return bottom > top and right > left and int(part[top:bottom, left:right].sum()) >= MIN_AREA_PX


def _share(foreground: np.ndarray | None, box: Box) -> float:
    return 1.0 if foreground is None else float(_cut(foreground, box).mean())


def _padded(image: np.ndarray, box: Box) -> np.ndarray:
    """A part of a photograph; where it reaches beyond, the pixels at the photograph's border go on."""
    height, width = image.shape[:2]
    rows = np.arange(box.y, box.y + box.h).clip(0, height - 1)
    columns = np.arange(box.x, box.x + box.w).clip(0, width - 1)
    return np.asarray(image[rows[:, np.newaxis], columns])


def _cut(values: np.ndarray, box: Box) -> np.ndarray:
    return values[box.y : box.y + box.h, box.x : box.x + box.w]
