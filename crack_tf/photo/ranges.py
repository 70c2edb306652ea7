"""How far off a crack's widths and length may be: ranges that hold 95 % of what a photograph leaves open.

In pixels, since that is what is measured; `in_millimetres` adds what the scale leaves open. The numbers below are calibrated on drawn
cracks (`studies.width_intervals`, which says on which and how often the ranges hold the truth on others):

* A width from the photograph has the widths that explain the dark line (`crack_tf.photo.slit`), from the share `_LOW` of the posterior
  to `_HIGH`. Of a line that is likely finer than a pixel only the upper end is known: the lower is 0.
* A width from a mask that no photograph was laid under is off by a pixel at most, as masks of whole pixels are. Where there is a
  photograph and it shows no dark line clearly, the crack is not wider than its mask, and finer by `_MASK_WIDER_PX` at most: nothing
  is known of a fine one, and most of a wide one. Of a gap from `GAPING_PX` on a network may draw a part only, so the crack may be
  wider than its mask, too: on average where it gapes on average, at its widest place where it gapes there.
* The maximum, of the widest stretch, has the same range in proportion, and a little more, since the widest of several readings is
  taken.
  Where it is more than `HOLE` times the mean, a hole or a spall lies in the crack's way more often: how wide the crack is there nobody
  can tell, and the lower end is that of the mean (`past_holes`).
* A length is that of a smoothed line: kinks finer than the smoothing make a crack longer, and a mask's tips are off.
* A crack that runs out of its photograph is longer than what that shows, nobody knows by how much: its length has no upper end (infinity).
  Neither has that of a crack that a network drew, which ends before another mark (`crack_tf.photo.linking.marks_ahead`).
* A network loses a crack where it is faint. So the upper end of the length of what it drew is that much higher as it drew too little,
  in 95 of 100 cracks that miss as much light (`drawn_by_network`): a third more, up to five times, below a pixel of quite black line.
  What is left of such a crack are few readings where it looks darkest, and the widest of them is too wide: so the lower end of its maximum
  is lower (`widest_by_network`), though not below that of the mean.
* A network draws on beyond a crack, or along something beside it, too: the lower end of the length of what it drew is `_OVERDRAWN`
  lower. And a crack that ends inside its photograph goes on beyond what was drawn for the rest of the diagonal at most (`inside`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_tf.photo.slit import SlitWidths
from crack_tf.photo.view import Scales

AT_LEAST = "at least "
AT_LEAST_WORDS = "at least: its end is not in sight"
LENGTH_DIGITS, WIDTH_DIGITS = 2, 3  # decimals of a range's ends in tables
_LOW, _HIGH, _HIGH_ONLY = 0.06, 0.85, 0.83  # shares of the posterior; the last where the lower end is 0
FINEST_PX = 1.0  # likelier width below which the lower end is 0
_MASK_PX = 1.0
# By which a network's mask may be wider than its crack. On 199 cracks of validation photographs it was up to 5 pixels wider than people's
# masks, which are too wide themselves.
_MASK_WIDER_PX = 10.0
GAPING_PX, _GAPING_MORE = 28.0, 0.5  # of the mask's width
_WIDEST_SHARE = 0.10
HOLE = 3.0  # times the mean width, from which the widest place is a hole or a spall in most cracks of validation photographs
_SHORTER, _LONGER = 0.02, 0.06  # of a length
# Share of a crack that a network draws at least, in 95 of 100, by the light that is missing across it (pixels of quite black line).
_MISSING_LIGHT = (0.3, 0.45, 0.8, 1.2, 2.0, 3.0, 5.0)
_DRAWN = (0.2, 0.33, 0.65, 0.85, 0.92, 0.95, 0.97)
_WIDER_DRAWN = 0.35  # by which a maximum may be too wide, as a share, where hardly any of the crack was drawn
_TIPS_PX = 1.5, 4.0  # that a line may end too late, and too early; both ends together
_OVERDRAWN = 0.1  # of a drawn length, that may be no crack
AT_BORDER_PX = 4  # what a network draws of a crack up to there runs out of the photograph


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, both included."""

    low: float
    high: float

    def times(self, factor: float) -> Range:
        """Both ends times a positive number."""
        return Range(self.low * factor, self.high * factor)


def width_in_photo(possible: SlitWidths, width: float) -> Range:
    """Range of a mean width in pixels that a photograph shows.

    Args:
        possible: widths that explain it.
        width: in pixels, as stated.
    """
    if possible.at(0.5) < FINEST_PX:
        return Range(0.0, max(width, possible.at(_HIGH_ONLY)))
    return Range(min(width, possible.at(_LOW)), max(width, possible.at(_HIGH)))


def width_on_mask(width: float, seen: bool) -> Range:
    """Range of a width in pixels that only a mask says.

    Args:
        width: as stated.
        seen: whether there is a photograph, and it does not show the crack clearly.
    """
    if not seen:
        return Range(max(0.0, width - _MASK_PX), width + _MASK_PX)
    more = _GAPING_MORE * width if width >= GAPING_PX else _MASK_PX
    return Range(max(0.0, width - _MASK_WIDER_PX), width + more)


def widest(mean: Range, mean_width: float, max_width: float) -> Range:
    """Range of a maximum width, from that of the mean."""
    factor = max_width / mean_width
    low = mean_width - math.hypot(mean_width - mean.low, _WIDEST_SHARE * mean_width)
    high = mean_width + math.hypot(mean.high - mean_width, _WIDEST_SHARE * mean_width)
    return Range(max(0.0, low), high).times(factor)


def either(one: Range, other: Range) -> Range:
    """From the lower of two low ends to the higher of both high ones."""
    return Range(min(one.low, other.low), max(one.high, other.high))


def is_hole(mean_width: float, max_width: float) -> bool:
    """Whether a maximum width is that of a hole or a spall in the crack's way more often than the crack's."""
    return max_width > HOLE * mean_width


def past_holes(most: Range, mean: Range, mean_width: float, max_width: float) -> Range:
    """Range of a maximum width that may be that of a hole or a spall in the crack's way.

    Args:
        most, mean: ranges of maximum and mean width.
        mean_width, max_width: as stated.
    """
    return Range(min(most.low, mean.low), most.high) if is_hole(mean_width, max_width) else most


def length_on_mask(length: float) -> Range:
    """Range of the length of what a mask shows, in pixels."""
    return Range(
        max(0.0, length * (1 - _SHORTER) - _TIPS_PX[0]),
        length * (1 + _LONGER) + _TIPS_PX[1],
    )


def drawn_by_network(length: Range, missing_light: float) -> Range:
    """Range of the length of a crack of which a network may have drawn a part only.

    Args:
        length: range of what was drawn.
        missing_light: see `crack_tf.photo.slit.Line.deficit`; 0 where no dark line was seen.
    """
    return Range((1 - _OVERDRAWN) * length.low, length.high / _share_drawn(missing_light))


def inside(length: Range, drawn: float, extent: float, diagonal: float) -> Range:
    """Range of the length of a crack that ends inside its photograph.

    Args:
        length: range without knowing that.
        drawn: the length as stated, in pixels.
        extent: of the box around it, from corner to corner.
        diagonal: of the photograph.
    """
    return Range(length.low, max(drawn, min(length.high, drawn + diagonal - extent)))


def open_ended(length: Range) -> Range:
    """Range of the length of a crack that runs out of its photograph, or goes on nobody knows how far."""
    return Range(length.low, math.inf)


def told_length(length: float, low: float, high: float | None, unit: str) -> str:
    """A length for a person: "300 mm", or "300 mm (at least 264 mm)" where nobody knows how far the crack goes on.

    First stands what tables state, the length of what is drawn; then the lower end of its range.

    Args:
        length: as stated.
        low, high: its range; without an upper end None, as tables have it, or infinity.
        unit: of all three.
    """
    goes_on = high is None or high == math.inf
    return f"{length:.0f} {unit}" + (f" ({AT_LEAST}{low:.0f} {unit})" if goes_on else "")


def widest_by_network(most: Range, mean: Range, missing_light: float) -> Range:
    """Range of the maximum width of a crack of which a network may have drawn a part only.

    Args:
        most, mean: ranges of the maximum and mean width of what was drawn.
        missing_light: see `drawn_by_network`.
    """
    low = most.low * (1 - _WIDER_DRAWN * (1 - _share_drawn(missing_light)))
    return Range(min(most.low, max(low, mean.low)), most.high)


def _share_drawn(missing_light: float) -> float:
    return float(np.interp(math.log(max(missing_light, 1e-3)), np.log(_MISSING_LIGHT), _DRAWN))


def of_parts(
    lengths: Sequence[float], ranges: Sequence[tuple[Range, Range, Range]], gaps: Sequence[float]
) -> tuple[Range, Range, Range]:
    """Ranges of length, mean and maximum width of a crack that was measured in parts.

    What makes one part wrong makes all of them wrong: the ends are added up as they are.

    Args:
        lengths: the parts' own, above 0.
        ranges: the parts' own.
        gaps: pixels between them, which the crack may bridge or not.
    """
    total = sum(lengths)

    def mean(end: str) -> float:
        return (
            sum(length * float(getattr(found[1], end)) for length, found in zip(lengths, ranges, strict=True)) / total
        )

    length = Range(
        sum(found[0].low for found in ranges), sum(found[0].high for found in ranges) + (1 + _LONGER) * sum(gaps)
    )
    widest = Range(max(found[2].low for found in ranges), max(found[2].high for found in ranges))
    return length, Range(mean("low"), mean("high")), widest


def measures_in_millimetres(
    values: tuple[float, float, float], pixels: tuple[Range, Range, Range], whole: Scales, widest: Scales
) -> tuple[Range, Range, Range]:
    """The ranges of a crack's length, mean and maximum width in millimetres.

    Args:
        values: as stated, in pixels.
        pixels: their ranges.
        whole, widest: scales of all of it, and of its widest place.
    """
    error = whole.error or 0.0
    return (
        in_millimetres(values[0], pixels[0], whole.length, error),
        in_millimetres(values[1], pixels[1], whole.width, error),
        in_millimetres(values[2], pixels[2], widest.width, widest.error or 0.0),
    )


def in_millimetres(value: float, pixels: Range, scale: float, error: float) -> Range:
    """A range in millimetres; the errors of pixels and scale are independent.

    Args:
        value: in pixels, as stated, within the range.
        pixels: its range.
        scale: millimetres per pixel.
        error: half the width of the range of the scale that holds 95 %, as a share of it; 0 where it was given.
    """
    by_scale = error * value
    low = value - math.hypot(value - pixels.low, by_scale)
    high = value + math.hypot(pixels.high - value, by_scale)
    return Range(max(0.0, low), high).times(scale)
