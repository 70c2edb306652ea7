"""The pictures of a finding: the place as it is, and the same with its outline."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crack_tf.photo.doubt import UNCLEAR_WORDS
from crack_tf.photo.key import BLACK, BLUE, GREEN, VERMILION, WHITE, Colour, with_key_below
from crack_tf.survey.findings import CONFIRMED, REFUTED, UNCLEAR, Polygon
from tflite.device.tiles import Box

MARGIN = 0.2  # of the finding's longer side
MIN_SIDE, MAX_SIDE = 320, 900  # pixels: enough surroundings to find the place, small enough for a page of hundreds
_COLOURS = {CONFIRMED: VERMILION, UNCLEAR: BLUE, REFUTED: WHITE}
_MEANINGS = {
    CONFIRMED: "confirmed: the crack's outline",
    UNCLEAR: UNCLEAR_WORDS,
    REFUTED: "refuted: where the classifier saw one",
}
_OTHER = "another finding's crack"
_LINE, _EDGE = (
    2,
    4,
)  # pixels; of an outline, and of the black below that of a refuted finding, which lies on concrete of any brightness
_TEXT = 0.04  # of a picture's width: also to be read where the report's gallery shows it small
_QUALITY = 88  # of JPEG


def draw_finding(
    image: np.ndarray, box: Box, outline: Sequence[Polygon], validation: str, others: Sequence[Polygon] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a finding out of its photograph.

    Args:
        image: uint8 (height, width, 3).
        box: around the finding.
        outline: polygons in pixels of the photograph.
        validation: decides the colour.
        others: outlines of other findings' cracks, which are shown where they run through the picture.

    Returns:
        Two pictures, uint8 (h, w, 3): without, and with the outline and a strip below that says what it means.
    """
    height, width = image.shape[:2]
    side = max(MIN_SIDE, round(max(box.w, box.h) * (1 + 2 * MARGIN)))
    left, right = _span(box.x + box.w / 2, side, width)
    top, bottom = _span(box.y + box.h / 2, side, height)
    picture = Image.fromarray(np.ascontiguousarray(image[top:bottom, left:right]))
    scale = min(1.0, MAX_SIDE / max(picture.size))
    if scale < 1:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    drawn = picture.copy()
    pen, colour = ImageDraw.Draw(drawn), _COLOURS[validation]

    def trace(polygon: Polygon, fill: Colour, thick: int) -> None:
        points = [((x - left + 0.5) * scale, (y - top + 0.5) * scale) for x, y in polygon]
        if len(points) > 1:
            pen.line([*points, points[0]], fill=fill, width=thick)

    key = [(colour, _MEANINGS[validation])]
    for polygon in others:
        trace(polygon, GREEN, _LINE)
    if not np.array_equal(np.asarray(drawn), np.asarray(picture)):
        key.append((GREEN, _OTHER))
    for polygon in outline if validation == REFUTED else ():
        trace(polygon, BLACK, _EDGE)
    for polygon in outline:
        trace(polygon, colour, _LINE)
    font = ImageFont.load_default(round(_TEXT * drawn.width))
    return np.asarray(picture), np.asarray(with_key_below(drawn, key, font))


def as_jpeg(pixels: np.ndarray) -> bytes:
    """A picture, uint8 (height, width, 3), as a JPEG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def _span(middle: float, side: int, limit: int) -> tuple[int, int]:
    """An interval of that length, or less where the photograph is smaller, moved inside it."""
    side = min(side, limit)
    start = min(max(0, round(middle - side / 2)), limit - side)
    return start, start + side
