"""A key to the colours of a picture: in a corner where it hides nothing that is drawn, or below the picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont
Colour = tuple[int, int, int]
_INK, _GROUND = (255, 255, 255), (0, 0, 0)
_MOST = 0.2  # of the picture; a key takes no more of it
_HIGHEST = 0.5  # of the picture's height; a strip below it is no higher


def draw_key(
    image: Image.Image, entries: Sequence[tuple[Colour | None, str]], busy: np.ndarray, font: Font
) -> tuple[int, int, int, int] | None:
    """Write a key into the first free corner: lower left, lower right, upper right, upper left.

    Args:
        image: RGB, drawn on.
        entries: a colour, or None for a line without, and what it means; one below the other.
        busy: bool (height, width) of the picture, what must stay in sight.
        font: of the text.

    Returns:
        Left, top, right and lower edge of the key; None, and nothing is drawn, where no corner is free or the picture is too small.
    """
    pen = ImageDraw.Draw(image)
    boxes = [pen.textbbox((0, 0), text, font) for _, text in entries]
    line = round(max(box[3] for box in boxes) * 1.25)
    pad, swatch = line // 3, 2 * line
    width = round(max(box[2] for box in boxes)) + swatch + 3 * pad
    height = line * len(entries) + 2 * pad
    if width > image.width or height > image.height or width * height > _MOST * image.width * image.height:
        return None
    for left, top in (
        (0, image.height - height),
        (image.width - width, image.height - height),
        (image.width - width, 0),
        (0, 0),
    ):
        if busy[top : top + height, left : left + width].any():
            continue
        pen.rectangle((left, top, left + width - 1, top + height - 1), fill=_GROUND)
        for number, (colour, text) in enumerate(entries):
            y = top + pad + number * line
            if colour is not None:
                middle, thick = y + line // 2, max(2, line // 5)
                pen.rectangle((left + pad, middle - thick // 2, left + pad + swatch, middle + thick // 2), fill=colour)
            pen.text((left + 2 * pad + swatch, y), text, _INK, font)
        return left, top, left + width, top + height
    return None


def with_key_below(image: Image.Image, entries: Sequence[tuple[Colour | None, str]], font: Font) -> Image.Image:
    """A picture with a key in a strip below it, which hides nothing of it; the picture alone where that is too small for one.

    Args:
        image: RGB.
        entries: as for `draw_key`; they stand side by side as far as there is room.
        font: of the text.
    """
    pen = ImageDraw.Draw(image)
    line = round(max(pen.textbbox((0, 0), text, font)[3] for _, text in entries) * 1.25)
    pad, swatch = line // 3, 2 * line
    places: list[tuple[int, int]] = []
    x = row = 0
    for colour, text in entries:
        width = round(pen.textbbox((0, 0), text, font)[2]) + 2 * pad + (swatch + pad if colour is not None else 0)
        if width > image.width:
            return image
        if x + width > image.width:
            x, row = 0, row + 1
        places.append((x + pad, image.height + pad + row * line))
        x += width + pad
    height = (row + 1) * line + 2 * pad
    if height > _HIGHEST * image.height:
        return image
    found = Image.new("RGB", (image.width, image.height + height), _GROUND)
    found.paste(image)
    pen = ImageDraw.Draw(found)
    for (left, top), (colour, text) in zip(places, entries, strict=True):
        if colour is not None:
            middle, thick = top + line // 2, max(2, line // 5)
            pen.rectangle((left, middle - thick // 2, left + swatch, middle + thick // 2), fill=colour)
        pen.text((left + (swatch + pad if colour is not None else 0), top), text, _INK, font)
    return found
