"""An elevation sheet as SVG: one unit is a millimetre of paper."""

from __future__ import annotations

import base64
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

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
from tflite.files import write_text

_LINE_MM = 5.0


def write_svg(path: Path, layout: Layout, picture: Path | None) -> None:
    """Write the file; the picture of the face, a JPEG, goes into it."""
    width, height = PAPER_MM
    x, y = layout.origin_mm
    w, h = (side / layout.scale for side in layout.size_mm)
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}mm" height="{height:g}mm" viewBox="0 0 {width:g} {height:g}" '
        'font-family="sans-serif">',
        f"<title>{escape(layout.lines_of_text()[0])}</title>",
        f'<rect width="{width:g}" height="{height:g}" fill="white"/>',
    ]
    if picture is not None:
        data = base64.b64encode(picture.read_bytes()).decode()
        parts.append(
            f'<image x="{x:.3f}" y="{y:.3f}" width="{w:.3f}" height="{h:.3f}" preserveAspectRatio="none" opacity="0.8" '
            f'href="data:image/jpeg;base64,{data}"/>'
        )
    parts.append(
        f'<rect x="{x:.3f}" y="{y:.3f}" width="{w:.3f}" height="{h:.3f}" fill="none" stroke="black" stroke-width="0.25"/>'
    )
    for crack in layout.cracks:
        colour = "#{:02x}{:02x}{:02x}".format(*COLOURS[crack.width_class])
        for line in crack.lines:
            points = " ".join(f"{px:.3f},{py:.3f}" for px, py in layout.on_paper(line))
            dash = "" if crack.validation == "confirmed" else ' stroke-dasharray="1.2 0.8"'
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{STROKE_MM}"{dash}/>'
            )
        ((px, py),) = layout.on_paper(np.array([crack.label_at]))
        parts.append(
            f'<text x="{px + 1:.3f}" y="{py - 1:.3f}" font-size="{SMALL_MM}" fill="{colour}" stroke="white" stroke-width="0.5" '
            f'paint-order="stroke">{crack.number}</text>'
        )
    parts += _block(layout)
    write_text(path, "\n".join([*parts, "</svg>"]) + "\n")


def _block(layout: Layout) -> list[str]:
    """Title, scale bar and the key of the colours."""
    left, top = MARGIN_MM, PAPER_MM[1] - MARGIN_MM - BLOCK_MM
    width = PAPER_MM[0] - 2 * MARGIN_MM
    parts = [
        f'<rect x="{left}" y="{top}" width="{width}" height="{BLOCK_MM}" fill="white" stroke="black" stroke-width="0.25"/>'
    ]
    for number, text in enumerate(layout.lines_of_text()):
        size = TEXT_MM + 1.5 if number == 0 else TEXT_MM
        parts.append(
            f'<text x="{left + 4}" y="{top + 8 + number * (_LINE_MM + 1)}" font-size="{size}">{escape(text)}</text>'
        )
    x, y = PAPER_MM[0] - MARGIN_MM - 130, top + 8
    for number, (name, colour) in enumerate(COLOURS.items()):
        line = y + number * _LINE_MM
        told = "#{:02x}{:02x}{:02x}".format(*colour)
        parts.append(f'<path d="M{x} {line - 1}h12" stroke="{told}" stroke-width="0.7"/>')
        parts.append(f'<text x="{x + 15}" y="{line}" font-size="{SMALL_MM}">{escape(name)}</text>')
    parts.append(
        f'<text x="{x}" y="{y + 6 * _LINE_MM}" font-size="{SMALL_MM}">maximum width; dashed: not confirmed</text>'
    )
    bar, under = layout.bar_mm / layout.scale, y + 8 * _LINE_MM
    parts.append(f'<path d="M{x} {under - 2}v2h{bar:.3f}v-2" fill="none" stroke="black" stroke-width="0.4"/>')
    parts.append(f'<text x="{x + bar + 3:.3f}" y="{under}" font-size="{TEXT_MM}">{_length(layout.bar_mm)}</text>')
    return parts


def _length(millimetres: float) -> str:
    return f"{millimetres:g} mm" if millimetres < 1000 else f"{millimetres / 1000:g} m"
