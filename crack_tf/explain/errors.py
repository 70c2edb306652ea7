"""Error analysis of one model on one split: which tiles it gets wrong, what they look like, and what it had learned from."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from crack_tf.explain.appearance import GROUPS, Look, groups_of
from crack_tf.explain.drawing import CLEAN, Panel, Row, draw_sheet, panels_of, score_lines
from crack_tf.explain.odds import FEWEST, KINDS, SUPPORTED, GroupRow, cells, compare, hypothesis
from crack_tf.explain.store import Explained, RunFolder
from crack_tf.inference.overlay import CRACK
from tflite.errors import CrackError
from tflite.files import csv_rows, write_csv, write_text
from tflite.manifest import LABELS, Item
from tflite.metrics import sigmoid

if TYPE_CHECKING:
    from crack_tf.evaluation.tiles import Evaluation
    from crack_tf.explain.neighbours import Neighbour, TrainingTiles


@dataclass(frozen=True)
class Analysis:
    """The errors of one model.

    Attributes:
        evaluation: of the model on the split.
        member: float (tiles, groups): what each tile looks like among those of its label, see `appearance.groups_of`.
        rows: of groups.csv.
        worst: places of the errors in the evaluation by kind, farthest from the threshold first.
    """

    evaluation: Evaluation
    member: np.ndarray
    rows: list[GroupRow]
    worst: dict[str, list[int]]


def analyse(evaluation: Evaluation, looks: Sequence[Look]) -> Analysis:
    """Find the errors and group them.

    Args:
        evaluation: of the model on the split.
        looks: of its tiles, in the same order.
    """
    labels, logits = evaluation.labels, evaluation.logits
    called = logits >= evaluation.threshold
    member = np.full((len(labels), len(GROUPS)), np.nan)
    rows: list[GroupRow] = []
    worst: dict[str, list[int]] = {}
    for kind, label in KINDS.items():
        places = np.flatnonzero(labels == label)
        wrong = called[places] != (label == 1)
        errors = places[wrong]
        worst[kind] = errors[np.argsort(-np.abs(logits[errors] - evaluation.threshold), kind="stable")].tolist()
        if len(places):
            member[places], rules = groups_of([looks[place] for place in places.tolist()])
            rows += compare(kind, member[places], wrong, rules)
    return Analysis(evaluation, member, rows, worst)


class Disputes:
    """Tiles whose labels somebody doubts: a CSV with a column `path` or `sha256` (or both); other columns are handed on.

    Args:
        path: of the CSV; lines that begin with # are passed over.

    Raises:
        CrackError: if it cannot be read or has neither column.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open(newline="", encoding="utf-8") as stream:
                rows = list(csv_rows(line for line in stream if not line.startswith("#")))
        except FileNotFoundError:
            raise CrackError(f"--disputes {path} does not exist.") from None
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise CrackError(f"--disputes {path} cannot be read ({error}).") from None
        if not rows or not {"path", "sha256"} & set(rows[0]):
            raise CrackError(
                f"--disputes {path}: give a CSV of tiles with a column path or sha256, and at least one row."
            )
        self._rows = {row[key]: row for row in rows for key in ("path", "sha256") if row.get(key)}

    def of(self, item: Item) -> str:
        """What the file says about a tile, in one line; empty when it is not disputed."""
        row = self._rows.get(item.sha256) or self._rows.get(item.path)
        if row is None:
            return ""
        told = [
            f"{key} {value}" for key, value in row.items() if key and value and key not in ("path", "sha256", "label")
        ]
        return ", ".join(told) or "disputed"


def error_rows(
    analysis: Analysis,
    looks: Sequence[Look],
    nearest: Mapping[int, Sequence[Neighbour]],
    disputes: Disputes | None,
    overlays: Mapping[int, str],
) -> list[dict[str, Any]]:
    """Rows of errors.csv.

    Args:
        analysis: of the model.
        looks: of the split's tiles.
        nearest: training tiles, by place of the error.
        disputes: doubts about labels, or None.
        overlays: picture files, by place of the error.
    """
    evaluation = analysis.evaluation
    rows = []
    for kind, places in analysis.worst.items():
        for place in places:
            item, logit = evaluation.items[place], float(evaluation.logits[place])
            rows.append(
                {
                    "model": evaluation.name,
                    "kind": kind,
                    "path": item.path,
                    "sha256": item.sha256,
                    "label": item.label,
                    "logit": logit,
                    "probability": float(sigmoid(logit)),
                    "threshold": evaluation.threshold,
                    "groups": "; ".join(group_names(analysis.member[place])),
                    "dispute": "" if disputes is None else disputes.of(item),
                    "nearest_training": "; ".join(
                        f"{near.item.path} ({LABELS[near.item.label]}, {near.similarity:.3f})"
                        for near in nearest.get(place, ())
                    ),
                    "overlay": overlays.get(place, ""),
                    **looks[place].as_row(),
                }
            )
    return rows


def group_names(member: np.ndarray) -> list[str]:
    """Names of the groups of one tile, a row of `Analysis.member`."""
    return [group.name for group, belongs in zip(GROUPS, member, strict=True) if belongs == 1]


def gallery(
    analysis: Analysis,
    kind: str,
    explained: Mapping[int, Explained],
    images: Mapping[int, np.ndarray],
    nearest: Mapping[int, Sequence[Neighbour]],
    training: TrainingTiles | None,
    disputes: Disputes | None,
) -> Image.Image:
    """A sheet of errors: the tile, its maps, and the training tiles nearest to it.

    Args:
        analysis: of the model.
        kind: of the errors.
        explained: maps by place; the errors shown.
        images: uint8 (s, s, 3) by place.
        nearest: training tiles by place.
        training: they are part of, or None.
        disputes: doubts about labels, or None.
    """
    evaluation = analysis.evaluation
    rows = []
    for place in (place for place in analysis.worst[kind] if place in explained):
        item, tile = evaluation.items[place], explained[place]
        doubt = "" if disputes is None else disputes.of(item)
        text = [item.path[-38:], *score_lines(tile)[1:], *group_names(analysis.member[place])[:4]]
        text += ["LABEL DISPUTED", doubt[:38]] if doubt else []
        panels = [Panel(Image.fromarray(images[place]), LABELS[item.label], _colour(item.label))]
        panels += panels_of(images[place], tile)
        for near in nearest.get(place, ()):
            if training is not None:
                caption = f"train: {LABELS[near.item.label]}, {near.similarity:.3f}"
                panels.append(Panel(Image.fromarray(training.images[near.place]), caption, _colour(near.item.label)))
        rows.append(Row(tuple(text), tuple(panels)))
    total = len(analysis.worst[kind])
    title = f"{evaluation.name}: {kind}s, {len(rows)} of {total}, farthest from the threshold first"
    notes = [
        "Right of the maps: training tiles nearest in the model's own features, with label and cosine similarity to the tile."
    ]
    return draw_sheet(title, (), rows, notes if training is not None else ())


def write_report(folder: RunFolder, analyses: Sequence[Analysis], rows: Sequence[dict[str, Any]], source: str) -> None:
    """Write errors.csv, groups.csv and errors.md.

    Args:
        folder: of the run.
        analyses: one for each model.
        rows: of errors.csv.
        source: the tiles, in words.
    """
    columns = ("model", "kind", "path") if not rows else None
    write_csv(folder.folder / "errors.csv", rows, columns)
    groups = [
        {"model": analysis.evaluation.name, **_finite(asdict(row))} for analysis in analyses for row in analysis.rows
    ]
    write_csv(folder.folder / "groups.csv", groups)
    lines = [f"# Errors on {source}", ""]
    for analysis in analyses:
        lines += _model_lines(analysis, [row for row in rows if row["model"] == analysis.evaluation.name])
    write_text(folder.folder / "errors.md", "\n".join(lines))


def _model_lines(analysis: Analysis, errors: Sequence[dict[str, Any]]) -> list[str]:
    counts = analysis.evaluation.counts
    lines = [
        f"## {analysis.evaluation.name}",
        "",
        f"{counts.false_negative} of {counts.positives} cracks missed, {counts.false_positive} false alarms on "
        f"{counts.negatives} clean tiles, at threshold {analysis.evaluation.threshold:.2f} (logit).",
    ]
    disputed = [row for row in errors if row["dispute"]]
    if disputed:
        lines.append(f"The labels of {len(disputed)} of these {len(errors)} errors are disputed; see errors.csv.")
    lines.append("")
    for kind in KINDS:
        found = [row for row in analysis.rows if row.kind == kind]
        count = len(analysis.worst[kind])
        if not count:
            continue
        lines += [f"### {kind.capitalize()}s", ""]
        if count < FEWEST:
            lines += [f"{count}: too few to tell a pattern from chance. The counts are in groups.csv.", ""]
            continue
        supported = [row for row in found if row.finding in SUPPORTED]
        lines += [f"* {hypothesis(row)}" for row in sorted(supported, key=_by_strength)]
        lines += [] if supported else ["No hypothesis about them is supported."]
        lines += ["", "| tiles | rule | errors | correct | odds ratio | finding |", "|---|---|---|---|---|---|"]
        lines += [f"| {' | '.join(cells(row))} |" for row in sorted(found, key=_by_strength)]
        lines.append("")
    lines += [
        "Odds ratios with exact 95 % intervals, against correctly classified tiles of the same label. A hypothesis counts as "
        f"supported only at 95 % for all {len(GROUPS)} groups together. Line groups compare only tiles that have a line. What goes "
        "together need not be a cause.",
        "",
    ]
    return lines


def _by_strength(row: GroupRow) -> tuple[int, float]:
    """Supported first, then by the size of the effect."""
    order = ("more often", "less often", "not supported", "too few").index(row.finding)
    ratio = row.odds_ratio
    strength = 0.0 if ratio is None else math.inf if ratio == 0 or math.isinf(ratio) else abs(math.log(ratio))
    return order, -strength


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {key: "inf" if isinstance(value, float) and math.isinf(value) else value for key, value in row.items()}


def _colour(label: int) -> tuple[int, int, int]:
    return CRACK if label else CLEAN
