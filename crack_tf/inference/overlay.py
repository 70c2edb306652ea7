"""Heat map over a photograph: how sure the model is, and which tiles it calls cracked. Pillow only.

Two signs, so that nothing hangs on telling colours apart: the fill's strength is the probability, the outline is the
decision. The photograph is shown in grey, since on brown concrete or brick a fill would pass for the wall's own colour.
Vermilion is the colour of cracks in all pictures of the project; colour-blind readers tell it from grey and black.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from crack_tf.inference.tiles import Tile
from tflite.drawn import marked

CRACK = (0xD5, 0x5E, 0x00)  # vermilion of Okabe and Ito's palette
MAX_SIDE, MIN_WIDTH = (
    1600,
    640,
)  # pixels of the picture: large enough to see cracks and read the legend, small enough to mail
MAX_OPACITY = 0.4  # of the fill at probability 1: the crack below stays visible
_PAPER, _INK, _CONCRETE = (255, 255, 255), (0, 0, 0), (150, 150, 150)


def draw_overlay(
    image: np.ndarray, tiles: Sequence[Tile], threshold: float, title: str, doubted: bool = False
) -> Image.Image:
    """The photograph in grey with its heat map, and a legend below.

    Args:
        image: uint8 (height, width, 3).
        tiles: that cover it.
        threshold: probability from which a tile counts as cracked; the legend names it.
        title: first line of the legend.
        doubted: whether the tiles that count as cracked no longer do when they are seen again; the legend says so.

    Returns:
        RGB picture, at most 1,600 pixels on the photograph's longer side.
    """
    height, width = image.shape[:2]
    scale = min(MAX_SIDE / max(width, height), max(1.0, MIN_WIDTH / width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    photograph = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR).convert("L").convert("RGB")
    heat, cracked = heat_map(tiles, size, scale)
    fill = Image.fromarray((heat * MAX_OPACITY * 255).round().astype(np.uint8))
    photograph.paste(CRACK, mask=fill)
    thickness = 3 + max(size) // 800
    # Black on the inner side keeps the line visible on red brick and in bright light.
    photograph.paste(_INK, mask=_outline(cracked, thickness + 2))
    photograph.paste(CRACK, mask=_outline(cracked, thickness))
    legend = _legend(size[0], title, thickness, _meaning(threshold, doubted))
    sheet = Image.new("RGB", (size[0], size[1] + legend.height), _PAPER)
    sheet.paste(photograph, (0, 0))
    sheet.paste(legend, (0, size[1]))
    return marked(sheet)


def heat_map(tiles: Sequence[Tile], size: tuple[int, int], scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Probability and decision for each pixel of a picture.

    Args:
        tiles: that cover the photograph.
        size: width and height of the picture.
        scale: pixels of the picture per pixel of the photograph.

    Returns:
        float32 (height, width), mean probability of the tiles over a pixel; bool of the same shape, whether one is cracked.
    """
    shape = (size[1], size[0])
    total, count = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    cracked = np.zeros(shape, bool)
    for tile in tiles:
        box = tile.box
        rows = slice(round(box.y * scale), round((box.y + box.h) * scale))
        columns = slice(round(box.x * scale), round((box.x + box.w) * scale))
        total[rows, columns] += tile.probability
        count[rows, columns] += 1
        cracked[rows, columns] |= tile.crack
    return total / np.maximum(count, 1), cracked


def _outline(region: np.ndarray, thickness: int) -> Image.Image:
    """The region's inner border as a mask, along the picture's edge too."""
    padded = Image.fromarray(np.pad(region, thickness).astype(np.uint8) * 255)
    border = ImageChops.subtract(padded, padded.filter(ImageFilter.MinFilter(2 * thickness + 1)))
    return border.crop((thickness, thickness, padded.width - thickness, padded.height - thickness))


def _meaning(threshold: float, doubted: bool) -> str:
    """What the outline says."""
    tile = f"a tile at or above {threshold:.3g}"
    return f"{tile}, doubted on a second look: not called a crack" if doubted else f"crack: {tile}"


def _legend(width: int, title: str, thickness: int, meaning: str) -> Image.Image:
    """A strip of the given width: title, the fill's scale, the outline's meaning."""
    text = max(12, width // 55)
    font = ImageFont.load_default(text)
    margin, line = text // 2, text * 3 // 2
    legend = Image.new("RGB", (width, 3 * line + 2 * margin), _PAPER)
    pen = ImageDraw.Draw(legend)
    left, bar = margin + text * 5, text * 10
    rows = [margin + number * line for number in range(3)]
    pen.text((margin, rows[0]), title, _INK, font)

    ramp = Image.new("RGB", (bar, text), _CONCRETE)
    opacity = np.linspace(0, MAX_OPACITY * 255, bar).round().astype(np.uint8)
    ramp.paste(CRACK, mask=Image.fromarray(np.tile(opacity, (text, 1))))
    legend.paste(ramp, (left, rows[1] + text // 5))
    pen.text((left - text // 2, rows[1]), "0", _INK, font, anchor="ra")
    pen.text((left + bar + text // 2, rows[1]), "1   probability of a crack, mean of the tiles over a spot", _INK, font)

    swatch = Image.new("RGB", (bar, text), _CONCRETE)
    box = np.ones((text, bar), bool)
    swatch.paste(_INK, mask=_outline(box, thickness + 2))
    swatch.paste(CRACK, mask=_outline(box, thickness))
    legend.paste(swatch, (left, rows[2] + text // 5))
    pen.text((left + bar + text * 3 // 2, rows[2]), meaning, _INK, font)
    return legend
