"""Maps over tiles, and sheets of them. Pillow only.

The tile is shown in grey and the map in colour: vermilion speaks for a crack, blue against one; strength is the map's value. Both
are of Okabe and Ito's palette, which colour-blind readers tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crack_tf.explain.explainer import Explanation
from crack_tf.explain.store import Explained
from crack_tf.inference.overlay import CRACK
from tflite.metrics import sigmoid

CLEAN = (0x00, 0x72, 0xB2)
CELL = 168  # pixels of a panel's side
STRONGEST = (
    99.5  # percentile of a map's strength that is drawn at full strength: a few single pixels are far above the rest
)
# An int8 model answers in steps of a tenth of a logit or so: drops of a step or two are rounding and must not look like findings.
_LEAST = {"occlusion": 1.0}
_OPACITY = 0.85
_FAINT = 0.08  # share of the full strength below which nothing is drawn
_INK, _PAPER, _LINE = (20, 20, 20), (255, 255, 255), (190, 190, 190)
_TEXT = 13


@dataclass(frozen=True)
class Panel:
    """One picture of a sheet.

    Attributes:
        image: drawn at the size of a cell.
        caption: one line below it.
        colour: of a frame, or None.
    """

    image: Image.Image
    caption: str = ""
    colour: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Row:
    """One line of a sheet: text at the left, panels at the right."""

    text: tuple[str, ...]
    panels: tuple[Panel, ...]


def overlay(tile: np.ndarray, explanation: Explanation) -> Image.Image:
    """A map over its tile.

    Args:
        tile: uint8 (s, s, 3).
        explanation: with a map (s, s).

    Returns:
        RGB picture (s, s).
    """
    strength = np.abs(explanation.map)
    # A map of a few strong pixels and nothing else has nothing at that percentile.
    full = float(np.percentile(strength, STRONGEST)) or float(strength.max())
    full = max(full, _LEAST.get(explanation.method, 0.0))
    share = np.clip(strength / full, 0, 1) if full > 0 else np.zeros_like(strength)
    opacity = np.where(share >= _FAINT, share * _OPACITY, 0)[..., None]
    grey = np.asarray(Image.fromarray(tile).convert("L"), np.float32)[..., None]
    colour = np.where((explanation.map >= 0)[..., None], np.array(CRACK), np.array(CLEAN))
    return Image.fromarray(((1 - opacity) * grey + opacity * colour).round().astype(np.uint8))


def mask_panel(tile: np.ndarray, mask: np.ndarray) -> Panel:
    """The crack as a person drew it, mask bool (s, s), over its tile."""
    return Panel(overlay(tile, Explanation("mask", mask.astype(np.float32), {})), "true crack")


def panels_of(tile: np.ndarray, explained: Explained) -> list[Panel]:
    """A panel for each of a tile's maps, with what has to be known about it."""
    return [Panel(overlay(tile, part), caption_of(part)) for part in explained.explanations]


def caption_of(part: Explanation) -> str:
    """Method and what its colours hide: the size of the drops of an occlusion map, or by how much a sum is off."""
    if part.method == "occlusion":
        return f"occlusion, up to {float(np.abs(part.map).max()):.1f} logits"
    return f"{part.method}, sum off by {completeness(part):.0%}" if part.facts.get("complete") is False else part.method


def completeness(part: Explanation) -> float:
    """By how much a map of Integrated Gradients fails to add up, as a share of the logit difference."""
    difference = abs(part.facts["network_logit"] - part.facts["baseline_logit"])
    return float(abs(part.facts["completeness_error"]) / max(difference, 1e-9))


def score_lines(explained: Explained) -> tuple[str, ...]:
    """What the model says about a tile, for a caption."""
    verdict = "crack" if explained.crack else "no crack"
    return (
        explained.model,
        f"p {float(sigmoid(explained.logit)):.3f}, logit {explained.logit:.2f}",
        f"says {verdict} (from {explained.threshold:.2f})",
    )


def draw_sheet(title: str, headings: Sequence[str], rows: Sequence[Row], notes: Sequence[str] = ()) -> Image.Image:
    """Rows of panels with text.

    Args:
        title: above all.
        headings: above the columns of panels, or none.
        rows: may have different numbers of panels.
        notes: lines below all.
    """
    font, bold = ImageFont.load_default(_TEXT), ImageFont.load_default(_TEXT + 3)
    line, gap = _TEXT + 5, 8
    texts = [text for row in rows for text in row.text]
    left = max((round(font.getlength(text)) for text in texts), default=0) + 2 * gap
    columns = max((len(row.panels) for row in rows), default=0)
    body = CELL + line + gap
    heights = [max(body, len(row.text) * line + gap) for row in rows]
    legend = [*_wrapped(notes, font, left + columns * (CELL + gap) - gap), *_LEGEND]
    width = max(left + columns * (CELL + gap), round(bold.getlength(title)) + 2 * gap, 420)
    top = line + 2 * gap + (line if headings else 0)
    sheet = Image.new("RGB", (width, top + sum(heights) + len(legend) * line + 2 * gap), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((gap, gap), title, _INK, bold)
    for column, heading in enumerate(headings):
        pen.text((left + column * (CELL + gap), top - line), _fitted(heading, font), _INK, font)
    y = top
    for row, height in zip(rows, heights, strict=True):
        pen.line([(gap, y - gap // 2), (width - gap, y - gap // 2)], _LINE)
        for number, text in enumerate(row.text):
            pen.text((gap, y + number * line), text, _INK, font)
        for column, panel in enumerate(row.panels):
            x = left + column * (CELL + gap)
            sheet.paste(panel.image.convert("RGB").resize((CELL, CELL), Image.Resampling.BICUBIC), (x, y))
            if panel.colour is not None:
                pen.rectangle((x, y, x + CELL - 1, y + CELL - 1), outline=panel.colour, width=3)
            pen.text((x, y + CELL + 1), _fitted(panel.caption, font), _INK, font)
        y += height
    for text in legend:
        y += line
        if text in _LEGEND:
            pen.rectangle((gap, y - line + 3, gap + line, y - 4), fill=_LEGEND[text])
            pen.text((gap + line + 6, y - line), text, _INK, font)
        else:
            pen.text((gap, y - line), text, _INK, font)
    return sheet


_LEGEND = {
    "speaks for a crack": CRACK,
    "speaks against one; full strength is a map's own strongest, of occlusion at least 1 logit": CLEAN,
}


def _fitted(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """Text cut to the width of a cell."""
    while text and font.getlength(text) > CELL:
        text = text[:-2].rstrip(".") + "." if len(text) > 2 else ""
    return text


def _wrapped(notes: Sequence[str], font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines: list[str] = []
    for note in notes:
        current = ""
        for word in note.split():
            longer = f"{current} {word}".strip()
            if current and font.getlength(longer) > max(width, 400):
                lines.append(current)
                longer = word
            current = longer
        lines.append(current)
    return lines
