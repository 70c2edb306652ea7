"""`python -m crack_tf.evaluate --suite`: all the evidence about the shipped models, as tables and plots in one folder.

    splits.csv        plain and grouped METU test splits; float beside int8
    matrix.csv, .png  every model on every data set, seen in training or not
    domains.csv       mean and worst over the data sets that a model learned nothing from
    scenes.csv        whole photographs as a survey sees them: cracks found, false findings; scenes-photographs.csv one by one,
    scenes-froc.csv, .png   and false findings against the share of cracks found
    corruptions.csv, .png   nine corruptions at five severities
    prevalence.csv, .png    precision where cracks are rare
    calibration.csv   calibration error, conformal bound on missed cracks, uncertain band
    candidates.csv, .png    the networks one could start from: size, work, latency
    cost.csv          seconds per 12-megapixel photograph
    summary.md        one page

Answers are kept in the user's cache, so that a stopped suite goes on where it was and a further model costs only its own time.
With --parts, the other parts' tables in --out stay, and the summary is of all: what is timed can be measured on a quiet machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflite.cli import positive_int, run_main
from tflite.errors import CrackError
from tflite.files import cell_value, read_csv, read_json, write_csv, write_json, write_text
from tflite.outputs import Output, check_folder, json_with, making
from tflite.tables import format_table, number

PARTS = ("splits", "matrix", "domains", "scenes", "corruptions", "prevalence", "calibration", "candidates", "cost")
FORMAT = "crack_tf.suite/2"
OUTPUT = Output(
    "crack-tf evaluate --suite",
    json_with("suite.json", "format", "runs"),
    ("suite.json", "summary.md", *(f"{part}.{suffix}" for part in PARTS for suffix in ("csv", "png"))),
)
_CORRUPTED_TILES = 600

Row = dict[str, Any]


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="crack-tf evaluate --suite", description="All evidence about the shipped models: tables, plots, one page."
    )
    add = parser.add_argument
    add("models", nargs="*", metavar="MODEL", help="names of shipped models or .tflite files (default: all shipped)")
    add("--suite", action="store_true", required=True)
    add("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)} (default: all)")
    add("--limit", type=positive_int, default=None, help="at most this many tiles per data set")
    add(
        "--corruption-limit",
        type=positive_int,
        default=_CORRUPTED_TILES,
        help=f"at most this many tiles per corruption and severity (default {_CORRUPTED_TILES})",
    )
    add(
        "--segmenter",
        default=None,
        help="for scenes: name of a shipped model or .tflite file (default: the shipped one)",
    )
    add("--jobs", type=positive_int, default=None, help="tiles at the same time (default: all cores)")
    add("--out", type=Path, required=True, help="folder for tables and plots")
    add("--overwrite", action="store_true", help="replace results in --out")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), interrupted="Answers so far are kept. Give the same command again.")


def run(args: argparse.Namespace) -> None:
    """Run the suite as the parsed options say."""
    parts = [part for part in args.parts.split(",") if part]
    unknown = sorted(set(parts) - set(PARTS))
    if unknown or not parts:
        raise CrackError(f"--parts {args.parts!r}: choose some of {','.join(PARTS)}.")
    check_folder(args.out, OUTPUT, args.overwrite, inputs=args.models)
    models = choose_models(args.models)
    suite = Suite(models, SuiteConfig(args.limit, args.corruption_limit, args.segmenter, args.jobs))
    made = {part: getattr(suite, part)() for part in parts}
    kept = {
        part: read_table(path) for part in PARTS if part not in made and (path := args.out / f"{part}.csv").is_file()
    }
    before = read_json(args.out / "suite.json").get("runs", []) if kept and (args.out / "suite.json").is_file() else []
    # Of an earlier run that every part of was made again, nothing is left to record.
    earlier = [run | {"parts": left} for run in before if (left := [part for part in run["parts"] if part in kept])]
    text = summary_page(made | kept)
    with making(args.out, OUTPUT, clear=False):
        for part, rows in made.items():
            write_csv(args.out / f"{part}.csv", rows)
            _draw(part, rows, args.out)
        for name, rows in suite.details.items():
            write_csv(args.out / f"{name}.csv", rows)
            _draw(name.replace("-", "_"), rows, args.out)
        write_json(args.out / "suite.json", {"format": FORMAT, "runs": [*earlier, suite.record(parts)]})
        write_text(args.out / "summary.md", text)
    print(text)


def read_table(path: Path) -> list[Row]:
    """The rows of a table that an earlier run wrote: numbers as numbers, empty cells as None.

    Raises:
        CrackError: if it cannot be read.
    """
    try:
        rows = read_csv(path)
    except CrackError as error:
        raise CrackError(f"{error} Delete it, or make its part again.") from None
    return [{name: cell_value(text) for name, text in row.items()} for row in rows]


def choose_models(names: list[str]) -> dict[str, Path]:
    """Name -> .tflite file of the models to judge.

    Raises:
        CrackError: if a name is neither a shipped classifier nor a file.
    """
    from crack_tf.zoo.shipped import load, read_zoo

    shipped = [name for name, model in read_zoo()[1].items() if model.task == "classify"]
    found: dict[str, Path] = {}
    for name in names or shipped:
        if name in shipped:
            found[name] = load(name).tflite
        elif Path(name).suffix == ".tflite" and Path(name).is_file():
            found[Path(name).stem] = Path(name)
        else:
            raise CrackError(f"model {name!r} is neither shipped ({', '.join(shipped)}) nor a .tflite file.")
    if not found:
        raise CrackError("no classifier is shipped with this copy of crack_tf. Name a .tflite file.")
    return found


@dataclass(frozen=True)
class SuiteConfig:
    """How the suite measures.

    Attributes:
        limit: at most so many tiles per data set; None for all.
        corruption_limit: at most so many tiles per corruption and severity.
        segmenter: for scenes: name of a shipped model or .tflite file; None for the shipped one.
        jobs: tiles at the same time; None for all cores.
    """

    limit: int | None = None
    corruption_limit: int = _CORRUPTED_TILES
    segmenter: str | None = None
    jobs: int | None = None


class Suite:
    """The parts, each a method that returns its table's rows.

    Args:
        models: name -> .tflite file.
        config: how they are measured.
    """

    def __init__(self, models: dict[str, Path], config: SuiteConfig) -> None:
        from crack_tf.evaluation.suite.answers import Answers
        from crack_tf.zoo.shipped import read_zoo

        self._models = models
        self._sides = {name: model.tile_side for name, model in read_zoo()[1].items()}
        self._config = config
        self._answers = Answers(jobs=config.jobs)
        self._sets: dict[Any, Any] = {}
        self._missing: dict[str, str] = {}
        self.details: dict[str, list[Row]] = {}  # further tables of a part

    def splits(self) -> list[Row]:
        """Plain and grouped METU test splits, int8 beside the float model of the zoo where there is one."""
        from crack_tf.evaluation.suite import sets, tables

        rows = []
        for name, model in self._models.items():
            twin = model.with_name("model.keras")
            files = [twin, model] if twin.is_file() else [model]
            for chosen in (sets.METU_PLAIN, sets.METU):
                tiles = self._set(chosen)
                rows += [self._row(tables.split_row, name, file, chosen, tiles) for file in files if tiles is not None]
        return rows

    def matrix(self) -> list[Row]:
        """Every model on every data set that is there."""
        from crack_tf.evaluation.suite import sets, tables

        rows = []
        for name, model in self._models.items():
            for chosen in sets.DOMAINS:
                tiles = self._set(chosen)
                if tiles is not None:
                    rows.append(self._row(tables.split_row, name, model, chosen, tiles))
        return rows

    def domains(self) -> list[Row]:
        """Mean and worst over left-out data sets: the nearest there is to concrete that nobody here has seen."""
        from crack_tf.evaluation.suite.tables import domain_rows

        return domain_rows(self.matrix())

    def scenes(self) -> list[Row]:
        """Whole photographs through both models and all rules of the survey."""
        import os

        from crack_tf.evaluation.suite.scenes import froc, photo_rows, scene_rows, score_photos
        from crack_tf.zoo.shipped import find_model

        segmenter = find_model(self._config.segmenter, task="segment").path
        scores = []
        for name, model in self._models.items():
            _say(f"{name}, whole photographs")
            side = self._sides.get(name)
            scores += score_photos(
                name, model, segmenter, side, self._config.jobs or os.cpu_count() or 1, self._config.limit
            )
        self.details = {"scenes-photographs": photo_rows(scores), "scenes-froc": froc(scores)}
        return scene_rows(scores)

    def corruptions(self) -> list[Row]:
        """METU's grouped test split, corrupted."""
        from crack_tf.evaluation.suite import sets, tables

        tiles = self._set(sets.METU, self._config.corruption_limit)
        return [] if tiles is None else self._each(lambda n, m: tables.corruption_rows(self._answers, n, m, tiles))

    def prevalence(self) -> list[Row]:
        """METU's grouped test split at other shares of cracked tiles."""
        from crack_tf.evaluation.suite import sets, tables

        tiles = self._set(sets.METU)
        return [] if tiles is None else self._each(lambda n, m: tables.prevalence_rows(self._answers, n, m, tiles))

    def calibration(self) -> list[Row]:
        """Calibration and conformal bounds on METU's grouped splits."""
        from crack_tf.evaluation.suite import sets, tables

        test, val = self._set(sets.METU), self._set(sets.METU_VAL)
        if test is None or val is None:
            return []
        return self._each(lambda n, m: [tables.calibration_row(self._answers, n, m, test, val)])

    def candidates(self) -> list[Row]:
        """The study's candidates and this project's classifiers, built with random weights."""
        from crack_tf.evaluation.suite.candidates import CANDIDATES, candidate_row
        from crack_tf.models import MODELS
        from crack_tf.models.backend import use_tensorflow

        use_tensorflow()
        own = [
            name
            for name, spec in MODELS.items()
            if spec.task == "classify" and name not in ("mobilenet_v2", "efficientnet_lite0", "opnet_lite")
        ]
        rows = []
        for name in [*CANDIDATES, *own]:
            _say(f"candidate {name}")
            with tempfile.TemporaryDirectory() as folder:
                rows.append(candidate_row(name, Path(folder)))
        return rows

    def cost(self) -> list[Row]:
        """Whole photographs, end to end."""
        from crack_tf.evaluation.suite.cost import cost_rows

        return cost_rows(self._models, self._config.jobs)

    def record(self, parts: list[str]) -> dict[str, Any]:
        """Where the figures come from."""
        from crack_tf.common.provenance import created, environment

        tested = {
            tiles.name: {"manifest_sha256": tiles.sha256, "split": tiles.split, "n": len(tiles.labels)}
            for tiles in self._sets.values()
            if tiles is not None
        }
        return {
            "parts": parts,
            "limit": self._config.limit,
            "corruption_limit": self._config.corruption_limit,
            "models": {name: self._answers.predictor(path).sidecar.sha256 for name, path in self._models.items()},
            "sets": tested,
            "left_out": self._missing,
            **environment(),
            "created": created(),
        }

    def _each(self, rows_of: Callable[[str, Path], list[Row]]) -> list[Row]:
        rows = []
        for name, model in self._models.items():
            _say(name)
            rows += rows_of(name, model)
        return rows

    def _row(self, make: Callable[..., Row], name: str, model: Path, chosen: Any, tiles: Any) -> Row:
        from crack_tf.evaluation.suite.sets import is_left_out, trained_tiles

        _say(f"{name} ({model.suffix[1:]}) on {chosen.label}")
        trained = trained_tiles(self._answers.predictor(model), chosen)
        if trained:
            raise CrackError(
                f"{trained} tiles of {chosen.label} trained {name}: its figures there would be flattered. "
                "Name only models that have not seen the suite's test tiles."
            )
        left_out = is_left_out(self._answers.predictor(model), chosen)
        return {**make(self._answers, name, model, tiles), "training_tiles": trained, "left_out": left_out}

    def _set(self, chosen: Any, limit: int | None = None) -> Any:
        """The tiles, or None with a note when the data set is not on this machine."""
        from crack_tf.evaluation.suite.sets import load_set

        limit = min(filter(None, (limit, self._config.limit)), default=None)
        key = (chosen, limit)
        if key not in self._sets:
            try:
                self._sets[key] = load_set(chosen, limit)
            except CrackError as error:
                print(f"note: {chosen.label} is left out: {error}", file=sys.stderr)
                self._missing[chosen.label] = str(error)
                self._sets[key] = None
        return self._sets[key]


def summary_page(tables: dict[str, list[Row]]) -> str:
    """One page of Markdown on what was found."""
    from crack_tf.evaluation.suite.tables import worst_corruptions

    def rate(row: Row, name: str, hit: str, miss: str) -> str:
        if row[name] is None:
            return "-"
        return f"{row[name]:.4f} ({row[hit]}/{row[hit] + row[miss]})"

    lines = ["# Evaluation suite"]
    for part in ("splits", "matrix"):
        if not tables.get(part):
            continue
        title = "METU test splits, float beside int8" if part == "splits" else "Other concrete, other cameras"
        lines += [
            f"## {title}",
            _fenced(
                tables[part],
                {
                    "model": lambda r: f"{r['model']} {r['scheme']}",
                    "set": lambda r: r["set"],
                    "recall": lambda r: rate(r, "recall", "tp", "fn"),
                    "specificity": lambda r: rate(r, "specificity", "tn", "fp"),
                    "AUC [95 %]": lambda r: (
                        "-" if r["auc"] is None else f"{r['auc']:.4f} [{r['auc_low']:.3f}, {r['auc_high']:.3f}]"
                    ),
                },
            ),
        ]
    if tables.get("domains"):
        lines += [
            "## Data sets left out of a model's training",
            _fenced(
                tables["domains"],
                {
                    "model": lambda r: r["model"],
                    "sets": lambda r: str(r["sets"]),
                    "mean AUC": lambda r: number(r["mean_auc"], 3),
                    "worst": lambda r: f"{number(r['worst_auc'], 3)} {r['worst_set']}",
                    "mean recall": lambda r: number(r["mean_recall"], 3),
                    "mean specificity": lambda r: number(r["mean_specificity"], 3),
                },
            ),
        ]
    if tables.get("scenes"):
        lines += [
            "## Whole photographs, confirmed findings of a survey",
            _fenced(
                tables["scenes"],
                {
                    "model": lambda r: r["model"],
                    "set": lambda r: f"{r['set']} {r['split']}",
                    "photographs": lambda r: str(r["photographs"]),
                    "cracks found": lambda r: f"{r['found']}/{r['cracks']}",
                    "findings per crack": lambda r: number(r["findings_per_found_crack"], 2),
                    "false per photograph [95 %]": lambda r: (
                        f"{r['false_per_photograph']:.2f} [{r['false_per_photograph_low']:.2f}, {r['false_per_photograph_high']:.2f}]"
                    ),
                },
            ),
        ]
    if tables.get("corruptions"):
        lines += [
            "## Corruptions, severity 3 of 5",
            _fenced(
                worst_corruptions(tables["corruptions"]),
                {
                    "model": lambda r: r["model"],
                    "mean recall": lambda r: number(r["mean_recall"], 4),
                    "worst": lambda r: f"{r['worst_for_recall']} {r['recall']:.4f}",
                    "mean specificity": lambda r: number(r["mean_specificity"], 4),
                    "worst ": lambda r: f"{r['worst_for_specificity']} {r['specificity']:.4f}",
                },
            ),
        ]
    if tables.get("prevalence"):
        lines += [
            "## Precision where cracks are rare",
            _fenced(
                tables["prevalence"],
                {
                    "model": lambda r: r["model"],
                    "cracked:clean": lambda r: r["cracked_to_clean"],
                    "precision": lambda r: number(r["precision"], 3),
                    "range": lambda r: f"{number(r['precision_low'], 3)}..{number(r['precision_high'], 3)}",
                },
            ),
        ]
    if tables.get("calibration"):
        lines += [
            "## Calibration, and recall of 99.9 % by a conformal bound",
            _fenced(
                tables["calibration"],
                {
                    "model": lambda r: r["model"],
                    "ECE": lambda r: number(r["ece"], 4),
                    "cracks missed below the bound": lambda r: f"{r['missed_below_low']}/{r['tested_cracks']}",
                    "uncertain": lambda r: f"{100 * r['uncertain_share']:.2f} %",
                },
            ),
        ]
    if tables.get("candidates"):
        lines += [
            "## Candidates, random weights, int8, one thread",
            _fenced(
                tables["candidates"],
                {
                    "model": lambda r: r["model"],
                    "px": lambda r: str(r["image_size"]),
                    "parameters": lambda r: f"{r['parameters']:,}",
                    "MMAC": lambda r: f"{r['macs'] / 1e6:,.1f}",
                    "kB": lambda r: f"{r['int8_bytes'] / 1e3:,.0f}",
                    "p50 ms": lambda r: number(r["p50_ms"]),
                    "p90 ms": lambda r: number(r["p90_ms"]),
                },
            ),
        ]
    if tables.get("cost"):
        lines += [
            "## A 12-megapixel photograph, from file to decision",
            _fenced(
                tables["cost"],
                {
                    "model": lambda r: r["model"],
                    "tiles": lambda r: str(r["tiles"]),
                    "threads": lambda r: str(r["threads"]),
                    "s": lambda r: number(r["p50_s"]),
                    "tiles/s": lambda r: number(r["tiles_per_s"], 0),
                },
            ),
        ]
    return "\n\n".join(lines) + "\n"


def _fenced(rows: list[Row], columns: dict[str, Callable[[Any], str]]) -> str:
    return f"```\n{format_table(rows, columns)}\n```"


def _draw(part: str, rows: list[Row], out: Path) -> None:
    from crack_tf.evaluation.suite import plots

    draw = getattr(plots, f"{part}_plot", None) or getattr(plots, f"{part.removesuffix('s')}_plot", None)
    if draw is not None and rows:
        draw(rows, out / f"{part}.png")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
