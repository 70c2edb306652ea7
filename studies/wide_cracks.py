"""Cracks wider than the map network sees: what a second look at a quarter of the size brings, and what it costs in false marks.

What it makes: results/wide-cracks. drawn.csv: cracks 10 to 120 pixels wide, drawn along ragged ways on real concrete (tiles of METU and
SDNET2018 without a crack, mirrored to larger pictures) and filled with other real concrete in the dark; photographs.csv: photographs with
masks; clean.csv: crack-free ones. Each without and with the second look, validation splits only. drawn.png shows a row per width.
Cost: some minutes.
Expected: nothing changes below 30 pixels, IoU 0.06 becomes 0.89 at 60, and no mark more on crack-free photographs.
Command: CRACK_TF_DATA=/path/to/data python -m studies.wide_cracks --out results/wide-cracks
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from crack_tf.data.patches import photographs
from crack_tf.data.registry import prepare
from crack_tf.evaluation.pixels import PixelCounts, pixel_counts
from crack_tf.inference.maps import SegmenterPool, segment
from crack_tf.inference.scales import segment_at_scales
from crack_tf.models.shipped import find_model
from crack_tf.photo.cracks import measure_cracks
from crack_tf.photo.doubt import MIN_LENGTH_PX
from crack_tf.survey.searching.validate import LINK_PX
from tflite.cli import named_path, run_main
from tflite.files import atomic_path, write_csv
from tflite.hardware import describe
from tflite.images import decode_rgb
from tflite.outputs import Output, check_folder, clear_folder, csv_with
from tflite.segmenter import Segmenter
from tflite.tables import format_table, plain

DRAWN, PHOTOGRAPHS, CLEAN, PICTURE = "drawn.csv", "photographs.csv", "clean.csv", "drawn.png"
OUTPUT = Output(
    "studies.wide_cracks", csv_with(DRAWN, "width_px", "f1", "f1_two"), (PHOTOGRAPHS, CLEAN, PICTURE), DRAWN
)
WIDTHS = (10, 20, 30, 40, 60, 80, 120)
EACH = 6  # pictures of each width
SIDE = 768
TEXTURES = ("metu", "sdnet2018")
MASKS = ("uav_concrete", "deepcrack", "conglomerate", "crack500", "uav_asphalt")
# Drone views of ground among the scenes are left out here: nothing is chosen on them.
CRACK_FREE, LEFT_OUT = (("scenes_whole", "all"), ("scenes_clean", "val")), "caliterra"
LIMIT = 20  # photographs of each set, evenly out of it

Row = dict[str, Any]


@dataclass(frozen=True)
class Looks:
    """What is called crack on a photograph, bool (height, width): without and with the second look."""

    one: np.ndarray
    two: np.ndarray


class Looker:
    """A segmentation model that looks once and twice; used as a context."""

    def __init__(self, model: Path, jobs: int) -> None:
        self._segmenter = Segmenter(model)
        self._pool = SegmenterPool(self._segmenter, jobs)

    def __enter__(self) -> Looker:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.__exit__(None, None, None)

    def look(self, photo: np.ndarray) -> Looks:
        """uint8 (height, width, 3) to what is called crack."""
        cut = self._segmenter.threshold_probability
        return Looks(segment(photo, self._pool) >= cut, segment_at_scales(photo, self._pool, cut) >= cut)


def draw(
    wall: np.ndarray, filling: np.ndarray, width: float, rng: np.random.Generator, side: int = SIDE
) -> tuple[np.ndarray, np.ndarray, float]:
    """A picture of concrete with a wide crack from edge to edge.

    Args:
        wall, filling: uint8 (height, width, 3), textures of the concrete and of what is seen in the crack.
        width: in pixels, on average.
        rng: of everything drawn.
        side: of the picture.

    Returns:
        uint8 (side, side, 3), the mask, bool (side, side), and the mean width across the crack's way in pixels.
    """
    light = 1 + 0.08 * cv2.resize(
        rng.normal(0, 1, (4, 4)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC
    )
    concrete = _mirrored(wall, side) * light[..., np.newaxis]
    along = np.linspace(-0.2 * side, 1.2 * side, 2 * side)
    count = len(along)
    way = side / 2 + 25 * _walk(count, count / 9, rng) + 4 * _walk(count, 20, rng)
    half = width / 2 * np.clip(1 + 0.12 * _walk(count, width + 40, rng), 0.5, 1.6)
    rough = min(2.5, 0.06 * width)
    edges = [way + sign * half + rough * _walk(count, 6, rng) for sign in (-1, 1)]
    # Across the way, not upright.
    slope = np.cos(np.arctan(np.gradient(way, along)))
    true = float(((edges[1] - edges[0]) * slope)[count // 6 : -count // 6].mean())
    ring = np.concatenate([np.column_stack([along, edges[0]]), np.column_stack([along, edges[1]])[::-1]]) - side / 2
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    cover = np.zeros((4 * side, 4 * side), np.uint8)  # enlarged: fractions of pixels at the edge
    cv2.fillPoly(cover, [np.rint(4 * (ring @ turn + side / 2)).astype(np.int32)], 255)
    share = cv2.resize(cover, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    mask = share >= 0.5
    dark = _mirrored(filling, side)
    dark *= rng.uniform(0.12, 0.5) * concrete.mean() / max(1.0, float(dark.mean()))
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5) / (width / 2)
    dark *= (1 - 0.4 * rng.uniform() * np.clip(depth, 0, 1))[..., np.newaxis]
    soft = cv2.GaussianBlur(share, (0, 0), float(rng.uniform(0.6, 1.4)))[..., np.newaxis]
    return np.clip(concrete * (1 - soft) + dark * soft, 0, 255).astype(np.uint8), mask, true


def false_marks(called: np.ndarray) -> int:
    """How many marks on a crack-free photograph are as long as a survey takes for a crack; near ones are one."""
    kernel = np.ones((LINK_PX + 1, LINK_PX + 1), np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(called.astype(np.uint8), kernel), connectivity=8)
    sides = stats[1:, 2:4] - LINK_PX
    return int((np.hypot(sides[:, 0], sides[:, 1]) >= MIN_LENGTH_PX).sum())


def on_drawn(looker: Looker, each: int) -> tuple[list[Row], np.ndarray]:
    """A row per width, and a picture of the first crack of each width with what one look and two draw of it."""
    rng = np.random.default_rng(0)
    textures = []
    for name in TEXTURES:
        manifest = prepare(name)
        clean = [item for item in manifest.split("val") if not item.label]
        chosen = (clean[k] for k in rng.choice(len(clean), each // len(TEXTURES), replace=False))
        textures += [decode_rgb(manifest.read(item), item.path) for item in chosen]
    rows, panels = [], []
    for width in WIDTHS:
        counts, errors = [], []
        for number in range(each):
            filling = textures[(number + 1 + int(rng.integers(len(textures) - 1))) % len(textures)]
            photo, mask, true = draw(textures[number % len(textures)], filling, width, rng)
            looks = looker.look(photo)
            counts.append([_counts(called, mask) for called in (looks.one, looks.two)])
            errors.append([_width_error(called, photo, true) for called in (looks.one, looks.two)])
            if number == 0:
                panels.append(
                    np.concatenate([photo, *(_as_rgb(part) for part in (mask, looks.one, looks.two))], axis=1)
                )
        rows.append({"width_px": width, "pictures": each} | _scores(counts) | _errors(errors))
    sheet = Image.fromarray(np.concatenate(panels))
    return rows, np.asarray(sheet.resize((sheet.width // 4, sheet.height // 4), Image.Resampling.BOX))


def on_photographs(looker: Looker, limit: int) -> list[Row]:
    """A row per set of photographs with masks."""
    rows = []
    for name in MASKS:
        counts, changed = [], 0
        for _, photo, mask in photographs(prepare(name), "val", limit):
            looks = looker.look(photo)
            changed += bool((looks.one != looks.two).any())
            counts.append([_counts(called, mask) for called in (looks.one, looks.two)])
        rows.append({"set": name, "split": "val", "photographs": len(counts), "changed": changed} | _scores(counts))
    return rows


def on_clean(looker: Looker, limit: int) -> list[Row]:
    """A row per set of crack-free photographs."""
    rows = []
    for name, split in CRACK_FREE:
        marks = []
        for photo in _clean(name, split, limit):
            looks = looker.look(photo)
            marks.append((false_marks(looks.one), false_marks(looks.two)))
        one, two = np.array(marks).T
        row: Row = {"set": name, "split": split, "photographs": len(marks), "marks": int(one.sum())}
        rows.append(row | {"marks_two": int(two.sum()), "photographs_with_more": int((two > one).sum())})
    return rows


def _clean(name: str, split: str, limit: int) -> Iterator[np.ndarray]:
    manifest = prepare(name)
    items = [item for item in manifest.split(split) if LEFT_OUT not in item.path]
    for item in items[:: -(-len(items) // limit)]:
        yield decode_rgb(manifest.read(item), item.path)


def _counts(called: np.ndarray, mask: np.ndarray) -> tuple[PixelCounts, PixelCounts]:
    return pixel_counts(called, mask, 2), pixel_counts(called, mask)


def _scores(counts: Sequence[Sequence[tuple[PixelCounts, PixelCounts]]]) -> Row:
    """Means over the photographs with a crack: F1 within 2 pixels and IoU, one look and two."""
    row: Row = {}
    for look, suffix in enumerate(("", "_two")):
        pairs = [photo[look] for photo in counts if photo[look][1].found + photo[look][1].fn]
        row[f"f1{suffix}"] = round(float(np.mean([0.0 if np.isnan(t.f1) else t.f1 for t, _ in pairs])), 4)
        row[f"iou{suffix}"] = round(float(np.mean([s.iou for _, s in pairs])), 4)
    return row


def _width_error(called: np.ndarray, photo: np.ndarray, true: float) -> float | None:
    """Mean width of the longest crack measured, less the true one, as a share of it; None where nothing is drawn."""
    cracks = measure_cracks(called, photo=photo) if called.any() else []
    return cracks[0].mean_width_px / true - 1 if cracks else None


def _errors(errors: Iterable[Sequence[float | None]]) -> Row:
    """On how many pictures a width was measured, and its error as a share, mean of the amounts and median with its sign."""
    row: Row = {}
    for suffix, column in zip(("", "_two"), zip(*errors, strict=True), strict=True):
        known = [error for error in column if error is not None]
        row[f"measured{suffix}"] = len(known)
        row[f"width_error{suffix}"] = round(float(np.mean(np.abs(known))), 4) if known else None
        row[f"width_bias{suffix}"] = round(float(np.median(known)), 4) if known else None
    return row


def _mirrored(texture: np.ndarray, side: int) -> np.ndarray:
    """A texture mirrored at its edges as often as a picture of that side takes, float32."""

    def places(count: int) -> np.ndarray:
        folded = np.arange(side) % (2 * count - 2)
        return np.minimum(folded, 2 * count - 2 - folded)

    return np.asarray(texture[places(texture.shape[0])][:, places(texture.shape[1])], np.float32)


def _walk(count: int, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise along a line, of about unit deviation; `scale` in places."""
    nodes = rng.normal(0, 1, max(2, round(count / scale) + 2))
    return np.interp(np.linspace(0, len(nodes) - 1, count), np.arange(len(nodes)), nodes)


def _as_rgb(mask: np.ndarray) -> np.ndarray:
    return np.repeat(mask.astype(np.uint8)[..., np.newaxis] * 255, 3, axis=2)


def run(args: argparse.Namespace) -> None:
    """Measure, and write the tables and the picture.

    Raises:
        CrackError: if the folder is in use, or there is no such model or data.
    """
    check_folder(args.out, OUTPUT, args.overwrite)
    model = find_model(args.model, task="segment")
    with Looker(model.path, int(describe()["cores"])) as looker:
        drawn, picture = on_drawn(looker, args.each)
        masks, clean = on_photographs(looker, args.limit), on_clean(looker, args.limit)
    clear_folder(args.out, OUTPUT)
    write_csv(args.out / DRAWN, drawn)
    write_csv(args.out / PHOTOGRAPHS, masks)
    write_csv(args.out / CLEAN, clean)
    with atomic_path(args.out / PICTURE) as temporary:
        Image.fromarray(picture).save(temporary, optimize=True)
    for rows in (drawn, masks, clean):
        print(format_table(rows, plain(rows[0])) + "\n")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m studies.wide_cracks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--model", metavar="MODEL", help="a segmentation model of the zoo, or a .tflite (default: the zoo's)"
    )
    parser.add_argument(
        "--each", type=int, default=EACH, metavar="N", help=f"drawn pictures of each width (default: {EACH})"
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=LIMIT,
        metavar="N",
        help=f"at most so many photographs of each set (default: {LIMIT})",
    )
    parser.add_argument(
        "--out", type=named_path, required=True, metavar="FOLDER", help="for the tables and the picture"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier ones")
    args = parser.parse_args(argv)
    return run_main(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
