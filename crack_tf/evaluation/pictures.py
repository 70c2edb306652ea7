"""Pictures of an evaluation: photographs with their errors, and precision over recall."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crack_tf.evaluation.map_results import MapEvaluation, PhotoResult
from crack_tf.inference.maps import TileMaps
from crack_tf.inference.scales import segment_at_scales
from tflite.drawn import METADATA, marked
from tflite.files import atomic_path
from tflite.images import decode_rgb
from tflite.manifest import Manifest
from tflite.masks import load_mask

EXAMPLES = 3  # of the best, of the middle and of the worst
_WIDTH, _GAP, _CAPTION = 320, 6, 20  # pixels
# Okabe and Ito, as elsewhere: what was found, what was missed, what is no crack.
_HIT, _MISS, _ALARM = (0, 158, 115), (0, 114, 178), (213, 94, 0)
_PAPER, _INK = (255, 255, 255), (0, 0, 0)
_LINES = ("-", "--", ":", "-.")


def choose_examples(photos: Sequence[PhotoResult]) -> list[tuple[str, PhotoResult]]:
    """The best, middle and worst photographs by F1, each with the word for it; ones where F1 means nothing are left out."""
    ranked = sorted(
        (p for p in photos if not math.isnan(p.strict.f1)), key=lambda photo: (-photo.strict.f1, photo.item.path)
    )
    count = min(EXAMPLES, len(ranked) // 3) or min(1, len(ranked))
    middle = (len(ranked) - count) // 2
    parts = (
        ("best", ranked[:count]),
        ("median", ranked[middle : middle + count]),
        ("worst", ranked[len(ranked) - count :]),
    )
    seen: set[str] = set()
    chosen = []
    for word, some in parts:
        for photo in some:
            if photo.item.path not in seen:
                seen.add(photo.item.path)
                chosen.append((word, photo))
    return chosen


def gallery(
    manifest: Manifest, examples: Sequence[tuple[str, PhotoResult]], maps: TileMaps, threshold: float, path: Path
) -> None:
    """A row per photograph: the photograph, the probability, and what was found, missed and wrongly called.

    Args:
        manifest: that the photographs are from.
        examples: from `choose_examples`.
        maps: the model.
        threshold: probability from which a pixel is crack.
        path: PNG to write.
    """
    rows = []
    for word, result in examples:
        item = result.item
        photo = decode_rgb(manifest.read(item), item.path)
        truth = load_mask(manifest, item, photo.shape[:2])
        probability = segment_at_scales(photo, maps, threshold)
        panels = [photo, _grey(probability * 255), errors(photo, probability >= threshold, truth)]
        counts = result.strict
        text = f"{word}: F1 {counts.f1:.3f} ({_rate(result.tolerant.f1)} with 2 px), recall {_rate(counts.recall)}, "
        rows.append(_row(panels, f"{text}precision {_rate(counts.precision)}   {item.path}"))
    legend = _legend(3 * _WIDTH + 4 * _GAP)
    sheet = Image.new("RGB", (legend.width, sum(row.height for row in rows) + legend.height), _PAPER)
    top = 0
    for part in (*rows, legend):
        sheet.paste(part, (0, top))
        top += part.height
    with atomic_path(path) as temporary:
        marked(_reduced(sheet)).save(temporary, optimize=True)


def errors(photo: np.ndarray, called: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The photograph in grey with found, missed and wrongly called pixels in colour, uint8 (height, width, 3)."""
    picture = _grey(photo.mean(axis=2) * 0.6 + 80)
    for place, colour in ((called & truth, _HIT), (~called & truth, _MISS), (called & ~truth, _ALARM)):
        picture[place] = colour
    return picture


def pr_curves(evaluations: Sequence[MapEvaluation], title: str, path: Path) -> None:
    """Precision over recall of every model, all pixels alike, with the place of its threshold.

    Args:
        evaluations: of one split.
        title: of the picture.
        path: PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.2, 5.6), layout="constrained")
    axes = figure.subplots()
    # Curves of equal F1, to read the distance between models by.
    recall = np.linspace(0.01, 1, 200)
    for f1 in (0.5, 0.6, 0.7, 0.8, 0.9):
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = f1 * recall / (2 * recall - f1)
        shown = (precision > 0) & (precision <= 1)
        axes.plot(recall[shown], precision[shown], color="0.85", linewidth=0.8, zorder=0)
        axes.annotate(f"F1 {f1:g}", (1.0, f1 / (2 - f1)), fontsize=7, color="0.5", ha="right", va="bottom")
    for number, evaluation in enumerate(evaluations):
        _, precision, recall_here = evaluation.histogram.curve()
        row = evaluation.row
        score = "none" if row.f1 is None else f"{row.f1:.3f}"
        (line,) = axes.plot(
            recall_here,
            precision,
            linestyle=_LINES[number % len(_LINES)],
            linewidth=1.4,
            label=f"{evaluation.name}, F1 {score}",
        )
        if row.recall is not None and row.precision is not None:
            axes.plot(row.recall, row.precision, "o", color=line.get_color(), markersize=6)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall of crack pixels", ylabel="precision", title=title)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", fontsize=8, title="dot: at the model's threshold", title_fontsize=8)
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).figure.savefig(temporary, dpi=120, format="png", metadata=METADATA)


def _reduced(sheet: Image.Image) -> Image.Image:
    """256 colours, a third of the bytes; the colours that mean something stay as they are."""
    fixed = [*_HIT, *_MISS, *_ALARM]
    photos = (sheet.quantize(256 - len(fixed) // 3).getpalette() or [])[: 3 * 256 - len(fixed)]
    palette = Image.new("P", (1, 1))
    palette.putpalette(fixed + photos)
    return sheet.quantize(palette=palette, dither=Image.Dither.NONE)


def _grey(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)[..., np.newaxis].repeat(3, axis=2)


def _rate(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.3f}"


def _row(panels: Sequence[np.ndarray], caption: str) -> Image.Image:
    height = max(1, round(_WIDTH * panels[0].shape[0] / panels[0].shape[1]))
    row = Image.new("RGB", (len(panels) * (_WIDTH + _GAP) + _GAP, height + _CAPTION + _GAP), _PAPER)
    for number, panel in enumerate(panels):
        picture = Image.fromarray(panel).resize((_WIDTH, height), Image.Resampling.BILINEAR)
        row.paste(picture, (_GAP + number * (_WIDTH + _GAP), _CAPTION))
    ImageDraw.Draw(row).text((_GAP, 3), caption, _INK, ImageFont.load_default(13))
    return row


def _legend(width: int) -> Image.Image:
    legend = Image.new("RGB", (width, 28), _PAPER)
    pen, font = ImageDraw.Draw(legend), ImageFont.load_default(13)
    left = _GAP
    for colour, text in ((_HIT, "found"), (_MISS, "missed"), (_ALARM, "called crack, is none")):
        pen.rectangle((left, 7, left + 22, 19), fill=colour)
        pen.text((left + 28, 5), text, _INK, font)
        left += 40 + round(pen.textlength(text, font)) + 16
    pen.text((left, 5), "left: photograph, middle: probability of a crack", _INK, font)
    return legend
