"""A key to the colours of a picture, below it."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont
Colour = tuple[int, int, int]
# Of the palette of Okabe and Ito, which most colour-blind people can tell apart.
VERMILION, BLUE, GREEN, YELLOW = (213, 94, 0), (0, 114, 178), (0, 158, 115), (240, 228, 66)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
_INK, _GROUND = WHITE, BLACK
_HIGHEST = 0.5  # of the picture's height; a strip below it is no higher


def with_key_below(image: Image.Image, entries: Sequence[tuple[Colour | None, str]], font: Font) -> Image.Image:
    """A picture with a key in a strip below it, which hides nothing of it; the picture alone where that is too small for one.

    Args:
        image: RGB.
        entries: a colour, or None for a text without, and what it means; they stand side by side as far as there is room.
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
