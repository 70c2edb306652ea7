"""Pictures of an audit: charts with matplotlib, contact sheets with Pillow (exact pixels, small files)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crack_tf.data.audit import Audit, summary
from crack_tf.data.duplicates import KINDS, TRANSFORMS, Copy
from tflite.drawn import METADATA
from tflite.files import atomic_path
from tflite.images import load_rgb
from tflite.manifest import LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"no_crack": "#4c72b0", "crack": "#c44e52"}
_SHADES = {"distinct pictures": "#3b6ea5", "re-encoded or turned copies": "#e0a13c", "byte-identical copies": "#b5413c"}
_CAPTION = 13  # pixels below each tile
_GAP = 6


def overview(result: Audit, path: str | Path) -> None:
    """Class balance with its share of copies, file sizes, brightness and image sizes, one PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(9, 6.4), layout="constrained")
    figure.suptitle(f"{result.source.name}: {len(result.records):,} files")
    _balance(axes[0, 0], result)
    _image_sizes(axes[0, 1], result)
    _histogram(axes[1, 0], result, "size", 1 / 1000, "file size, kB")
    _histogram(axes[1, 1], result, "brightness", 1.0, "mean grey level")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png", metadata=METADATA)
    pyplot.close(figure)


def sample_grid(
    result: Audit, path: str | Path, columns: int = 8, rows: int = 3, side: int = 96, seed: int = 0
) -> None:
    """Random tiles, `rows` of each class, their class and file name below, one PNG."""
    rng = np.random.default_rng(seed)
    tiles: list[np.ndarray | None] = []
    captions: list[str] = []
    for label in range(len(LABELS)):
        members = [record for record in result.readable if record.label == label]
        chosen = [members[k] for k in sorted(rng.permutation(len(members))[: columns * rows])]
        blank = columns * rows - len(chosen)
        tiles += [load_rgb(result.source.folder / record.path, side) for record in chosen] + [None] * blank
        captions += [f"{LABELS[label]} {Path(record.path).stem}" for record in chosen] + [""] * blank
    save_sheet(tiles, captions, columns, side, path)


def copies_gallery(result: Audit, path: str | Path, side: int = 96, per_kind: int = 4, seed: int = 0) -> None:
    """Pairs of copies side by side, for the eye to confirm: for each kind the least alike half, then random ones, one PNG.

    A pair's caption is what turns the first into the second, then the correlation of thumbnails and of their detail.
    """
    rng = np.random.default_rng(seed)
    tiles: list[np.ndarray | None] = []
    captions: list[str] = []
    for kind in KINDS:
        for transform in TRANSFORMS:
            pairs = [copy for copy in result.copies if (copy.kind, copy.transform) == (kind, transform)]
            for copy in _weakest_and_random(pairs, per_kind, rng):
                for position in (copy.first, copy.second):
                    tiles.append(load_rgb(result.source.folder / result.readable[position].path, side))
                captions += [kind if transform == "none" else transform, f"{copy.correlation:.3f} {copy.detail:.3f}"]
    if not tiles:
        tiles, captions = [None], ["no copies found"]
    save_sheet(tiles, captions, 2 * per_kind, side, path)


def _balance(axis: Axes, result: Audit) -> None:
    classes = summary(result)["classes"]
    bottom = np.zeros(len(LABELS))
    for name, colour in _SHADES.items():
        counts = []
        for label in LABELS:
            numbers = classes[label]
            identical = numbers["byte_identical_copies"]
            distinct = numbers["distinct_pictures"]
            other = numbers["files"] - numbers["unreadable"] - identical - distinct
            counts.append({"d": distinct, "r": other, "b": identical}[name[0]])
        bars = axis.barh(LABELS, counts, left=bottom, color=colour, label=name)
        shown = [f"{count:,}" if count > 0.06 * len(result.records) else "" for count in counts]
        axis.bar_label(bars, shown, label_type="center", color="white")
        bottom += counts
    axis.set_xlabel("readable files")
    axis.set_xlim(0, 1.02 * bottom.max())
    axis.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2, fontsize=8, frameon=False)


def _image_sizes(axis: Axes, result: Audit) -> None:
    sizes = list(summary(result)["image_sizes"].items())
    shown = sizes[:8] + ([("others", sum(count for _, count in sizes[8:]))] if len(sizes) > 8 else [])
    bars = axis.barh(
        [name for name, _ in shown][::-1], [count for _, count in shown][::-1], color="#777777", height=0.5
    )
    axis.bar_label(bars, fmt="{:,.0f}", padding=3)
    axis.set_xlim(0, 1.25 * max(count for _, count in shown))
    axis.set_ylim(-1, len(shown))
    axis.set_xlabel("files by width x height")


def _histogram(axis: Axes, result: Audit, field: str, scale: float, title: str) -> None:
    values = {
        name: [getattr(r, field) * scale for r in result.readable if r.label == k] for k, name in enumerate(LABELS)
    }
    edges = np.histogram_bin_edges(np.concatenate(list(values.values())), 40).tolist()
    for name, numbers in values.items():
        axis.hist(numbers, edges, color=COLOURS[name], alpha=0.55, label=name)
    axis.set_xlabel(title)
    axis.set_ylabel("files")
    axis.legend(frameon=False)


def _weakest_and_random(pairs: list[Copy], count: int, rng: np.random.Generator) -> list[Copy]:
    ranked = sorted(pairs, key=lambda copy: (copy.detail, copy.first))
    weakest, rest = ranked[: count // 2], ranked[count // 2 :]
    chosen = rng.permutation(len(rest))[: count - len(weakest)]
    return weakest + [rest[k] for k in chosen]


def save_sheet(
    tiles: Sequence[np.ndarray | None], captions: Sequence[str], columns: int, side: int, path: str | Path
) -> None:
    """Tiles in a grid with a caption below each; 256 colours, which keeps concrete as it looks at a third of the size."""
    rows = -(-len(tiles) // columns)
    step = side + _GAP
    sheet = Image.new("RGB", (columns * step + _GAP, rows * (step + _CAPTION) + _GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for position, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        x = _GAP + position % columns * step
        y = _GAP + position // columns * (step + _CAPTION)
        if tile is not None:
            sheet.paste(Image.fromarray(tile), (x, y))
        pen.text((x, y + side), caption, fill="black", font=font)
    with atomic_path(path) as temporary:
        sheet.quantize(256).save(temporary, optimize=True)
