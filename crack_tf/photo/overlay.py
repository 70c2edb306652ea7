"""Measured cracks drawn on their photograph, for a person to check the numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crack_tf.photo.crack import Crack, Point
from crack_tf.photo.doubt import UNCLEAR_WORDS
from crack_tf.photo.key import BLUE, GREEN, VERMILION, WHITE, YELLOW, Colour, with_key_below
from crack_tf.photo.masks import check_mask
from crack_tf.photo.ranges import AT_LEAST, AT_LEAST_WORDS, is_hole, told_length
from tflite.drawn import marked
from tflite.errors import CrackError

_MASK, _LINE, _WIDEST, _UNCLEAR, _SHORT = VERMILION, YELLOW, GREEN, BLUE, WHITE
_MASK_WEIGHT = 0.35
# Height of labels: a share of the photograph's longer side, so that they are read where all of it is on a screen, and pixels at least.
_TEXT, _LEAST_TEXT = 0.02, 11
_FARTHER = (0.0, 2.0, 5.0, 9.0)  # heights of a label between it and the widest place, besides the circle around that
ABOUT = "about "
ABOUT_WORDS = "about: the width is not to be trusted"

Rectangle = tuple[float, float, float, float]  # left, top, right, bottom


def draw_cracks(
    photo: np.ndarray,
    cracks: Sequence[Crack],
    mask: np.ndarray | None = None,
    labels: bool = True,
    short: Sequence[Crack] = (),
) -> Image.Image:
    """Draw mask, centrelines and the place of the maximum width, with number, length and widths beside each crack, and a key.

    A shape that may be no crack (it has a note) has its outline drawn instead. The key to colours and numbers is a strip below the
    photograph, which hides nothing of it, where that is wide enough.

    Args:
        photo: uint8 (height, width, 3).
        cracks: measured on this photograph's mask.
        mask: (height, width), tinted, or None.
        labels: whether to write numbers and the key; without, only lines are drawn. The longest cracks come first; a label lies where it
            covers no crack, if there is room, and one that would cover another label, or its line cross one, is left out: that crack's
            numbers are in the table, and the key says how many there are.
        short: marks that were left out, outlined and not tinted.

    Returns:
        A Pillow RGB image of the photograph's size, with the key below it; of a whole multiple where a label would not fit into a tiny
        photograph.

    Raises:
        CrackError: if photograph and mask are none or differ in size.

    Example:
        draw_cracks(photo, measure_cracks(mask, mm_per_pixel=0.1), mask).save("overlay.png")
    """
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
        raise CrackError(f"photo is {photo.dtype} {photo.shape}: give uint8 RGB of shape (height, width, 3).")
    pixels = photo.copy()
    if mask is not None:
        inside = check_mask(mask, (photo.shape[0], photo.shape[1])) & ~_filled(short, (photo.shape[0], photo.shape[1]))
        colours = (1 - _MASK_WEIGHT) * pixels[inside] + _MASK_WEIGHT * np.array(_MASK)
        pixels[inside] = colours.round().astype(np.uint8)
    unit = max(1, round(max(photo.shape[:2]) / 700))  # line width: visible when the whole photograph is on a screen
    font = ImageFont.load_default(size=max(_LEAST_TEXT, round(_TEXT * max(photo.shape[:2]))))
    longest = max((font.getlength(caption(crack)) for crack in cracks), default=0.0) if labels else 0.0
    times = max(1, math.ceil(longest / photo.shape[1]))
    tinted = pixels.repeat(times, 0).repeat(times, 1)
    image = Image.fromarray(tinted)
    draw = ImageDraw.Draw(image)
    for mark in short:
        for ring in mark.outline:
            draw.line([_there(point, times) for point in ring], fill=_SHORT, width=unit)
    for crack in cracks:
        if crack.note is not None:
            for ring in crack.outline:
                draw.line([_there(point, times) for point in ring], fill=_UNCLEAR, width=2 * unit)
            continue
        for line in crack.centreline:
            draw.line([_there(point, times) for point in line], fill=_LINE, width=unit)
        for x, y in (_there(point, times) for point in crack.branch_points):
            draw.ellipse((x - 2 * unit, y - 2 * unit, x + 2 * unit, y + 2 * unit), outline=_LINE, width=unit)
        x, y = _there(crack.max_width_at, times)
        around = times * crack.max_width_px / 2 + 3 * unit
        draw.ellipse((x - around, y - around, x + around, y + around), outline=_WIDEST, width=unit)
    if labels and (cracks or short or (mask is not None and inside.any())):  # specks are no marks, and tinted
        busy = (np.asarray(image) != tinted).any(axis=2)
        if mask is not None:
            busy |= inside.repeat(times, 0).repeat(times, 1)
        written: list[_Label] = []
        for crack in cracks:
            label = _label(draw, crack, font, busy, written, times, unit)
            written += [] if label is None else [label]
        for label in written:
            if label.leader is not None:
                draw.line(label.leader, fill=_WIDEST, width=unit)
        for label in written:  # on top of all lines
            draw.rectangle(label.box, fill=(0, 0, 0))
            draw.text(label.at, label.text, fill=(255, 255, 255), font=font)
        image = with_key_below(image, _key(cracks, mask, len(cracks) - len(written), short), font)
    return marked(image)


def _key(
    cracks: Sequence[Crack], mask: np.ndarray | None, unlabelled: int, short: Sequence[Crack]
) -> list[tuple[Colour | None, str]]:
    """What stands for what in a picture of these, of which some found no room for a label."""
    key: list[tuple[Colour | None, str]] = [(None, "number: length, mean / maximum width")] if cracks else []
    if mask is not None:
        key.append((_MASK, "drawn as crack"))
    if any(crack.note is None for crack in cracks):
        key += [(_LINE, "middle of a crack"), (_WIDEST, "where it is widest")]
    if any(crack.note is not None for crack in cracks):
        key.append((_UNCLEAR, UNCLEAR_WORDS))
    if short:
        key.append((_SHORT, "too short, left out"))
    key += [(None, words) for words in words_of(map(caption, cracks))]
    if unlabelled:
        key.append((None, f"{unlabelled} without a label: see the table"))
    return key


def _filled(marks: Sequence[Crack], size: tuple[int, int]) -> np.ndarray:
    """Where marks lie, with their outlines, bool of that (height, width)."""
    image = Image.new("1", (size[1], size[0]))
    pen = ImageDraw.Draw(image)
    for ring in (ring for mark in marks for ring in mark.outline[: mark.parts]):
        pen.polygon(ring, fill=1, outline=1)
    return np.asarray(image)


def _there(point: Point, times: int) -> Point:
    """A place in a picture that is so many times as large; a pixel's centre is at whole numbers."""
    return times * (point[0] + 0.5) - 0.5, times * (point[1] + 0.5) - 0.5


def caption(crack: Crack) -> str:
    """Number, length and widths in one line, in millimetres when they are known.

    AT_LEAST stands behind a length without an upper end, with its lower one; ABOUT before both widths where they are not to be trusted,
    before the maximum where a hole in the crack's way has it. What may be no crack is `unclear`: its sizes are no crack's.
    """
    if crack.note is not None:
        return f"{crack.number}: unclear"
    name = f"{crack.number}: "
    about = "" if crack.width_trusted else ABOUT
    hole = ABOUT if crack.width_trusted and is_hole(crack.mean_width_px, crack.max_width_px) else ""
    ranges, length = crack.ranges_mm, crack.length_mm
    if ranges is None or length is None:
        long = told_length(crack.length_px, crack.ranges[0].low, crack.ranges[0].high, "px")
        return f"{name}{long}, {about}{crack.mean_width_px:.1f} / {hole}{crack.max_width_px:.1f} px"
    long = told_length(length, ranges[0].low, ranges[0].high, "mm")
    return f"{name}{long}, {about}{crack.mean_width_mm:.2f} / {hole}{crack.max_width_mm:.2f} mm"


def words_of(captions: Iterable[str]) -> list[str]:
    """What the words in captions mean that are there."""
    told = "\n".join(captions)
    return [meaning for word, meaning in ((AT_LEAST, AT_LEAST_WORDS), (ABOUT, ABOUT_WORDS)) if word in told]


@dataclass(frozen=True)
class _Label:
    """A text, where it begins in its box, and the line from there to the place it is about; None where it lies beside that."""

    text: str
    at: Point
    box: Rectangle
    leader: tuple[Point, Point] | None


def _label(
    draw: ImageDraw.ImageDraw,
    crack: Crack,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    busy: np.ndarray,
    written: Sequence[_Label],
    times: int,
    unit: int,
) -> _Label | None:
    """A crack's label near its widest place, where it covers the fewest pixels of cracks, bool (height, width).

    It covers no other label or its line, and its own line crosses none; None where there is no such place.
    """
    text = caption(crack)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    size = right - left + 4, bottom - top + 4
    at, around = _there(crack.max_width_at, times), times * crack.max_width_px / 2 + 4 * unit
    best, covered = None, float("inf")
    for box in _places(at, around, size, (busy.shape[1], busy.shape[0])):
        leader = _leader(at, around, box)
        if any(
            _overlap(box, other.box)
            or (leader is not None and _crosses(*leader, other.box))
            or (other.leader is not None and _crosses(*other.leader, box))
            for other in written
        ):
            continue
        hidden = busy[math.floor(box[1]) : math.ceil(box[3]), math.floor(box[0]) : math.ceil(box[2])].sum()
        if hidden < covered:
            best, covered = _Label(text, (box[0] + 2 - left, box[1] + 2 - top), box, leader), hidden
        if not hidden:
            break
    return best


def _leader(at: Point, around: float, box: Rectangle) -> tuple[Point, Point] | None:
    """The line from the circle around a place to a label, or None where the label lies beside it."""
    near = min(max(at[0], box[0]), box[2]), min(max(at[1], box[1]), box[3])
    apart = math.dist(at, near)
    if apart <= around + box[3] - box[1]:
        return None
    return (at[0] + (near[0] - at[0]) * around / apart, at[1] + (near[1] - at[1]) * around / apart), near


def _places(at: Point, around: float, size: Point, picture: tuple[int, int]) -> Iterator[Rectangle]:
    """Where a label (width, height) may lie, the nearest first: on all sides of a place, so far that a circle fits between."""
    for farther, (right, down) in itertools.product(
        _FARTHER, ((1, 1), (1, -1), (-1, -1), (-1, 1), (0, -1), (0, 1), (1, 0), (-1, 0))
    ):
        apart = around + farther * size[1]
        corner = [
            min(max(0.0, place + side * (apart + wide / 2) - wide / 2), limit - 1 - wide)
            for place, side, wide, limit in zip(at, (right, down), size, picture, strict=True)
        ]
        x, y = (max(0.0, edge) for edge in corner)
        yield x, y, x + size[0], y + size[1]


def _crosses(start: Point, end: Point, box: Rectangle) -> bool:
    """Whether a line runs through a rectangle."""
    enters, leaves = 0.0, 1.0
    for place, last, low, high in ((start[0], end[0], box[0], box[2]), (start[1], end[1], box[1], box[3])):
        if place == last:
            if not low < place < high:
                return False
            continue
        one, other = sorted(((low - place) / (last - place), (high - place) / (last - place)))
        enters, leaves = max(enters, one), min(leaves, other)
    return enters < leaves


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
