"""A second opinion on labels: tiles looked at by eye without knowing their label or any model's score.

`draw_sheets` shuffles the tiles of a split onto numbered sheets and writes a table to fill in; `apply_review` turns the filled
table into a manifest with the reader's labels. Tiles that the reader is not sure of are left out rather than guessed.

A review is a CSV with the columns number, path, sha256 and verdict ("crack", "no_crack" or "doubtful"). Reviews of public sets
lie in `REVIEWS`; the one of SDNET2018's walls has a single reader.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from tflite.errors import CrackError
from tflite.files import atomic_path, read_csv, write_csv
from tflite.images import load_rgb
from tflite.manifest import LABELS, Manifest
from tflite.outputs import Output, csv_with

OUTPUT = Output(
    "crack-tf data review", csv_with("review.csv", "number", "path", "sha256", "verdict"), ("review.csv", "sheet-*.png")
)
REVIEWS = Path(__file__).with_name("reviews")
VERDICTS = (*LABELS, "doubtful")
COLUMNS = ["number", "path", "sha256", "verdict"]
_ACROSS, _DOWN, _SIDE, _GAP = 5, 4, 300, 4


def draw_sheets(manifest: Manifest, split: str, out: Path, seed: int = 0) -> int:
    """Write `sheet-00.png`... and `review.csv`, whose last column is empty.

    Args:
        manifest: of a classification set.
        split: whose tiles are drawn.
        out: folder.
        seed: of the order; it must not follow the files, which are often sorted by class.

    Returns:
        The number of sheets.

    Raises:
        CrackError: if the manifest holds masks, the split is empty, or a tile cannot be read.
    """
    from PIL import Image, ImageDraw

    if manifest.task != "classify":
        raise CrackError(f"{manifest.name} holds masks: labels can be reviewed only where tiles have one.")
    items = manifest.split(split)
    random.Random(seed).shuffle(items)
    folder, per_sheet, step = manifest.folder(), _ACROSS * _DOWN, _SIDE + _GAP
    starts = range(0, len(items), per_sheet)
    for start in starts:
        sheet = Image.new("RGB", (_ACROSS * step, _DOWN * step), (255, 0, 255))
        pen = ImageDraw.Draw(sheet)
        for place, item in enumerate(items[start : start + per_sheet]):
            x, y = place % _ACROSS * step, place // _ACROSS * step
            tile = Image.fromarray(load_rgb(folder / item.path))
            sheet.paste(tile.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), (x, y))
            pen.text((x + 3, y + 3), str(start + place), fill=(255, 0, 0))
        with atomic_path(out / f"sheet-{start // per_sheet:02d}.png") as temporary:
            sheet.save(temporary, "PNG")
    rows = [{"number": k, "path": i.path, "sha256": i.sha256, "verdict": ""} for k, i in enumerate(items)]
    write_csv(out / "review.csv", rows, COLUMNS)
    return len(starts)


def find_review(text: str) -> dict[str, str]:
    """The review that a file name, or the name of one in `REVIEWS`, stands for.

    Raises:
        CrackError: if there is none, see also `read_review`.
    """
    known = {path.stem: path for path in sorted(REVIEWS.glob("*.csv"))}
    path = known.get(text, Path(text))
    if not path.is_file():
        raise CrackError(f"review {text!r} is neither a file nor one that comes along ({', '.join(known)}).")
    return read_review(path)


def read_review(path: Path) -> dict[str, str]:
    """Verdict by sha256 of the tile.

    Raises:
        CrackError: if the file cannot be read, is not a review, or a row has no verdict, or another one than the same tile above.
    """
    rows = read_csv(path)
    if not rows or not {"sha256", "verdict"} <= set(rows[0]):
        raise CrackError(f"{path} is not a review: its columns must be {', '.join(COLUMNS)}.")
    found: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        tile, verdict = row["sha256"], row["verdict"]
        if verdict not in VERDICTS:
            raise CrackError(f"{path}, line {number}: verdict {verdict!r} must be one of {', '.join(VERDICTS)}.")
        if found.setdefault(tile, verdict) != verdict:
            raise CrackError(
                f"{path}, line {number}: verdict {verdict!r} of a tile that an earlier line calls {found[tile]!r} (same sha256). Decide "
                "on one."
            )
    return found


def apply_review(manifest: Manifest, review: dict[str, str]) -> Manifest:
    """The same splits with the reader's labels; tiles that the reader doubted are left out, others stay as they were.

    Raises:
        CrackError: if no tile of the manifest was reviewed.
    """
    if not any(item.sha256 in review for item in manifest.items):
        raise CrackError(f"no tile of {manifest.name} is in the review: tiles are matched by their sha256.")
    verdicts = ((item, review.get(item.sha256, LABELS[item.label])) for item in manifest.items)
    kept = tuple(replace(item, label=LABELS.index(verdict)) for item, verdict in verdicts if verdict in LABELS)
    return replace(manifest, policy=f"{manifest.policy}-reviewed", items=kept)


def agreement(manifest: Manifest, review: dict[str, str]) -> list[dict[str, int | str]]:
    """How the reader saw the tiles of each label: one row per label with a count per verdict."""
    return [
        {"label": name}
        | {
            verdict: sum(review.get(item.sha256) == verdict for item in manifest.items if item.label == label)
            for verdict in VERDICTS
        }
        for label, name in enumerate(LABELS)
    ]


def keep_verdicts(table: Path, as_written: str) -> None:
    """Refuse to replace a table in which somebody has written verdicts.

    Args:
        table: CSV, which may not be there.
        as_written: the verdict of a row that nobody has touched.

    Raises:
        CrackError: if a row has another one.
    """
    rows = read_csv(table) if table.is_file() else []
    own = sum(row.get("verdict") != as_written for row in rows)
    if own:
        raise CrackError(f"--overwrite: {table} holds {own} verdicts that a person wrote. Choose another --out.")
