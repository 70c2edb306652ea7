"""How much wider and longer a crack is on a later photograph, with ranges that hold 95 % of what two photographs leave open.

Width. Where both photographs show a crack clearly, it is compared with itself at the same places: the older line is laid onto the newer
one by the photographs' homography and then shifted and turned onto it. Each place has two readings on each photograph
(`crack_tf.photo.widths`): the light that is missing across the crack, and the width at half its depth. What makes a width uncertain on one
photograph, above all that a fine black line looks like a wider grey one, is the same on both and cancels: of one crack, as much
more missing light is as much more width, in proportion. Of lines wide enough the width at half depth says it once more, whatever their
darkness; the two are weighed by their errors. The pair also has one scale, that of the better known photograph, since the
homography says how many pixels of one are a pixel of the other.

What does not cancel is calibrated on drawn pairs of flights (`studies.growth`, which counts apart what is new to them): that a crack looks
darker in other light or through another tone curve (`_TONE`), that the homography is a little off (`_REGISTERED`), that readings
differ from place to place (by blocks along the crack).

Where a photograph does not show the crack clearly, two independent ranges of its mean width are compared, and that tells little.

Length is that of the drawn line, on the part that both photographs show, as the newer one shows it; its range is that of two independent
lengths, since a network draws a faint crack now longer, now shorter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crack_tf.photo.ranges import Range
from crack_tf.survey.profiles import Profile

MIN_PLACES = 20  # clear on both photographs, two pixels apart
_TURNS = 6  # of shifting and turning
_NEAR_PX = 4.0  # between a place and its counterpart, in the end
_BLOCK = 12  # places; nearer ones share texture and noise
_Z = 1.96
# Standard deviations: of missing light by another light and tone curve, as a share, and by what else two readings differ in, in pixels; of
# the homography's scale, as a share; of widths at half depth in pixels, and what blur adds to a line that is hardly wider.
_TONE, _READING_PX, _REGISTERED = 0.045, 0.04, 0.0065
_WALLS_PX, _WALLS_BLUR_PX = 0.08, 0.5
_BLURRED_PX, _FADES_PX = 2.2, 0.9
_WALLS_FROM_PX = 3.0  # a narrower line's width at half depth is that of its blur

# By how much two drawings of one crack differ in length, in 95 of 100, by the light that is missing across it (pixels of black line).
_LIGHTS = (0.1, 0.3, 0.8, 1.3, 2.0, 3.2, 6.0)
_DRAWN_APART = (0.5, 0.4, 0.15, 0.1, 0.06, 0.06, 0.04)
_TIPS_PX = 8.0


@dataclass(frozen=True)
class Growth:
    """A difference, new less old.

    Attributes:
        value: as measured.
        range: that holds 95 %.
    """

    value: float
    range: Range

    def times(self, factor: float) -> Growth:
        """In another unit, by a positive number."""
        return Growth(self.value * factor, self.range.times(factor))

    def rounded(self, digits: int) -> Growth:
        """As it is stated: a lower end that is stated as 0 is none above it, and nothing is stated as -0."""
        value, low, high = (round(number, digits) + 0.0 for number in (self.value, self.range.low, self.range.high))
        return Growth(value, Range(low, high))


@dataclass(frozen=True)
class Compared:
    """The widths of one crack at the same places of two photographs, in pixels of the old one.

    Attributes:
        places: that both show clearly.
        missing_light, half_width: mean on either photograph, old and new.
        errors: standard deviations of how the two differ from place to place, of both means.
        widths_by_light: width by missing light, as either photograph has it.
        across_mm: millimetres per pixel of the old photograph, by the old and by the new one; NaN where a scale is not known.
    """

    places: int
    missing_light: tuple[float, float]
    half_width: tuple[float, float]
    errors: tuple[float, float]
    widths_by_light: tuple[float, float]
    across_mm: tuple[float, float]


def compare_places(old: Profile, new: Profile, homography: np.ndarray, reach: float) -> Compared | None:
    """Compare what two photographs show of a crack, place by place.

    Args:
        old, new: clear places.
        homography: takes (x, y, 1) in pixels of the old photograph to the new one.
        reach: pixels of the new photograph that it may be off by.

    Returns:
        None where less than `MIN_PLACES` are the same.
    """
    there, grown = _laid(old, homography)
    ahead = np.isfinite(there).all(axis=1)
    one, other = _same_places(there, ahead, new.points, reach)
    if len(one) < MIN_PLACES:
        return None
    # Pixels of the old photograph that a pixel of the new one is, across the crack.
    across = 1 / grown[one]
    pairs = [
        (old.missing_light[one], new.missing_light[other] * across),
        (old.half_widths[one], new.half_widths[other] * across),
    ]
    light, half = ((float(a.mean()), float(b.mean())) for a, b in pairs)
    errors = [_error(b - a) for a, b in pairs]
    by_light = tuple(
        float(profile.widths[at].sum() / profile.missing_light[at].sum()) for profile, at in ((old, one), (new, other))
    )
    scales = float(np.mean(old.across_mm[one])), float(np.mean(new.across_mm[other] / across))
    return Compared(len(one), light, half, (errors[0], errors[1]), (by_light[0], by_light[1]), scales)


def width_growth(compared: Compared, shares: tuple[Range, Range], scale_error: float = 0.0) -> Growth:
    """How much wider a crack is, in pixels of the old photograph.

    Args:
        compared: its places.
        shares: ranges of its mean width on either photograph, old and new, as shares of that width.
        scale_error: half the range of 95 % of the scale that the result will be multiplied by, as a share.
    """
    # It is one crack, with one darkness: the photograph that leaves less open says how wide a line of such darkness is.
    factor, known = min(
        zip(compared.widths_by_light, shares, strict=True), key=lambda entry: entry[1].high - entry[1].low
    )
    (light_old, light_new), (half_old, half_new) = compared.missing_light, compared.half_width
    value, light = factor * (light_new - light_old), max(light_old, light_new)
    error = factor * math.hypot(compared.errors[0], _TONE * light, _REGISTERED * light, _READING_PX)
    narrower, weight = min(half_old, half_new), 1.0
    if narrower >= _WALLS_FROM_PX:
        blurred = _WALLS_BLUR_PX * math.exp(-(narrower - _BLURRED_PX) / _FADES_PX)
        walls = math.hypot(compared.errors[1], _WALLS_PX + blurred, _REGISTERED * max(half_old, half_new))
        weight = error**-2 / (error**-2 + walls**-2)
        value = weight * value + (1 - weight) * (half_new - half_old)
        error = (error**-2 + walls**-2) ** -0.5
    low, high = (math.hypot(weight * (end - 1), scale_error) for end in (known.low, known.high))
    return Growth(value, _range(value, _Z * error, Range(max(0.0, 1 - low), 1 + high)))


def difference(old: float, old_range: Range, new: float, new_range: Range) -> Growth:
    """How much the later of two independent measurements is larger."""
    value = new - old
    low = value - math.hypot(new - new_range.low, old_range.high - old)
    return Growth(value, Range(low, value + math.hypot(new_range.high - new, old - old_range.low)))


def length_growth(old: float, new: float, missing_light: float) -> Growth:
    """How much longer a crack was drawn.

    Args:
        old, new: lengths in pixels of one photograph, of what both show.
        missing_light: across the crack on the photograph where it is fainter, see `crack_tf.photo.slit.Line.deficit`; 0 where it is not
            clear.
    """
    share = float(np.interp(math.log(max(missing_light, 1e-3)), np.log(_LIGHTS), _DRAWN_APART))
    error = math.hypot(_TIPS_PX, share * max(old, new))
    return Growth(new - old, Range(new - old - error, new - old + error))


def _range(value: float, error: float, shares: Range) -> Range:
    """The range of a difference whose error is known, times a factor of which only the range is: that does not change its sign."""
    nearer, farther = abs(value) * (1 - shares.low), abs(value) * (shares.high - 1)
    inner, outer = abs(value) - math.hypot(error, nearer), abs(value) + math.hypot(error, farther)
    inner = max(inner, (abs(value) - error) * shares.low) if abs(value) > error else min(inner, abs(value) - error)
    return Range(inner, outer) if value >= 0 else Range(-outer, -inner)


def _laid(old: Profile, homography: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of an old photograph on the new one, float (n, 2), and pixels there that a pixel across the crack becomes, float (n,)."""
    there = np.c_[old.points, np.ones(len(old.points))] @ homography.T
    ahead = np.where(there[:, 2] * np.sign(homography[2, 2]) > 1e-9, there[:, 2], np.nan)
    points = there[:, :2] / ahead[:, None]
    found = (homography[None, :2, :2] - points[:, :, None] * homography[None, 2:, :2]) / ahead[:, None, None]
    along = np.linalg.norm(np.einsum("nij,nj->ni", found, old.along), axis=1)
    with np.errstate(invalid="ignore"):
        return points, np.linalg.det(found) / along


def _same_places(there: np.ndarray, ahead: np.ndarray, new: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the places of both that are the same, after the one line was shifted and turned onto the other."""
    from scipy.spatial import cKDTree

    tree, numbers = cKDTree(new), np.flatnonzero(ahead)
    places = there[numbers]
    for turn in range(_TURNS + 1):
        near = max(_NEAR_PX, reach * (1 - turn / _TURNS))
        distances, nearest = tree.query(places, distance_upper_bound=near)
        known = np.isfinite(distances)
        if known.sum() < MIN_PLACES or turn == _TURNS:
            break
        places = _onto(places, places[known], new[nearest[known]])
    return numbers[known], nearest[known]


def _onto(places: np.ndarray, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Places shifted and turned as the sources have to be to lie on the targets (Kabsch, Acta Cryst. A32, 1976)."""
    centre, there = sources.mean(axis=0), targets.mean(axis=0)
    left, _, right = np.linalg.svd((sources - centre).T @ (targets - there))
    turn = left @ np.diag([1.0, np.linalg.det(left @ right)]) @ right
    return np.asarray((places - centre) @ turn + there)


def _error(differences: np.ndarray) -> float:
    """Standard deviation of a mean of places that follow each other: by blocks of them, of which there are few."""
    blocks = [part.mean() for part in np.array_split(differences, max(2, len(differences) // _BLOCK))]
    return float(np.std(blocks, ddof=1) / math.sqrt(len(blocks)) * (1 + 2 / len(blocks)))
