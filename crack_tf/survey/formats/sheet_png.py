"""An elevation sheet as a picture, for those who have neither a browser nor CAD."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crack_tf.survey.formats.sheet_layout import (
    BLOCK_MM,
    COLOURS,
    MARGIN_MM,
    PAPER_MM,
    SMALL_MM,
    STROKE_MM,
    TEXT_MM,
    Layout,
)
from tflite.files import atomic_path

PER_MM = 6.0  # pixels per millimetre of paper: 152 to the inch


def write_png(path: Path, layout: Layout, picture: Path | None) -> None:
    """Write the file."""
    sheet = Image.new("RGB", tuple(round(side * PER_MM) for side in PAPER_MM), "white")  # type: ignore[arg-type]
    pen = ImageDraw.Draw(sheet)
    x, y = (value * PER_MM for value in layout.origin_mm)
    w, h = (side / layout.scale * PER_MM for side in layout.size_mm)
    if picture is not None:
        with Image.open(picture) as opened:
            small = opened.convert("RGB").resize((max(1, round(w)), max(1, round(h))), Image.Resampling.LANCZOS)
        sheet.paste(Image.blend(small, Image.new("RGB", small.size, "white"), 0.2), (round(x), round(y)))
    pen.rectangle((x, y, x + w, y + h), outline="black", width=2)
    font = _font(SMALL_MM)
    for crack in layout.cracks:
        colour = COLOURS[crack.width_class]
        for line in crack.lines:
            points = [(float(px * PER_MM), float(py * PER_MM)) for px, py in layout.on_paper(line)]
            pen.line(points, fill=colour, width=max(2, round(STROKE_MM * PER_MM)), joint="curve")
        ((px, py),) = layout.on_paper(np.array([crack.label_at]))
        pen.text(
            ((px + 1) * PER_MM, (py - 1) * PER_MM), str(crack.number), fill=colour, font=font, anchor="ls",
            stroke_width=2, stroke_fill="white",
        )  # fmt: skip
    _block(pen, layout)
    with atomic_path(path) as temporary:
        sheet.save(temporary, dpi=(PER_MM * 25.4, PER_MM * 25.4))


def _block(pen: ImageDraw.ImageDraw, layout: Layout) -> None:
    left, top = MARGIN_MM * PER_MM, (PAPER_MM[1] - MARGIN_MM - BLOCK_MM) * PER_MM
    right, bottom = (PAPER_MM[0] - MARGIN_MM) * PER_MM, (PAPER_MM[1] - MARGIN_MM) * PER_MM
    pen.rectangle((left, top, right, bottom), fill="white", outline="black", width=2)
    for number, text in enumerate(layout.lines_of_text()):
        font = _font(TEXT_MM + 1.5 if number == 0 else TEXT_MM)
        pen.text((left + 4 * PER_MM, top + (8 + 6 * number) * PER_MM), text, fill="black", font=font, anchor="ls")
    x, y, small = right - 130 * PER_MM, top + 8 * PER_MM, _font(SMALL_MM)
    for number, (name, colour) in enumerate(COLOURS.items()):
        line = y + number * 5 * PER_MM
        pen.line((x, line - PER_MM, x + 12 * PER_MM, line - PER_MM), fill=colour, width=4)
        pen.text((x + 15 * PER_MM, line), name, fill="black", font=small, anchor="ls")
    pen.text((x, y + 30 * PER_MM), "maximum width", fill="black", font=small, anchor="ls")
    bar, under = layout.bar_mm / layout.scale * PER_MM, y + 40 * PER_MM
    pen.line(
        [(x, under - 2 * PER_MM), (x, under), (x + bar, under), (x + bar, under - 2 * PER_MM)], fill="black", width=3
    )
    told = f"{layout.bar_mm:g} mm" if layout.bar_mm < 1000 else f"{layout.bar_mm / 1000:g} m"
    pen.text((x + bar + 3 * PER_MM, under), told, fill="black", font=_font(TEXT_MM), anchor="ls")


def _font(millimetres: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(millimetres * PER_MM * 1.2)
