"""The suite's parts, one after the other, and the folder of their tables: `run_suite`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from crack_tf.common.provenance import created, environment
from crack_tf.evaluation.suite import sets, tables
from crack_tf.evaluation.suite.answers import Answers
from crack_tf.evaluation.suite.candidates import CANDIDATES, candidate_row
from crack_tf.evaluation.suite.config import OUTPUT, PARTS, PICTURES, SCENES_FROC, SCENES_PHOTOGRAPHS, SuiteConfig
from crack_tf.evaluation.suite.cost import cost_rows
from crack_tf.evaluation.suite.plots import PLOTS
from crack_tf.evaluation.suite.rows import (
    ROWS,
    CalibrationRow,
    CandidateRow,
    CorruptionRow,
    CostRow,
    DomainRow,
    RarityRow,
    Row,
    SceneRow,
    SplitRow,
)
from crack_tf.evaluation.suite.scenes import froc, photo_rows, scene_rows, score_photos
from crack_tf.evaluation.suite.sets import is_left_out, load_set, trained_tiles
from crack_tf.evaluation.suite.summary import summary_page
from crack_tf.evaluation.suite.tables import domain_rows
from crack_tf.models import MODELS
from crack_tf.models.backend import use_tensorflow
from crack_tf.models.shipped import find_model, load, read_zoo
from tflite.errors import CrackError
from tflite.files import cell_value, read_csv, read_json, run_name, write_csv, write_json, write_text
from tflite.outputs import check_folder, making

FORMAT = "crack_tf.suite/2"
R = TypeVar("R")


@dataclass(frozen=True)
class SuiteResult:
    """What a run of the suite leaves.

    Attributes:
        folder: with the tables, their plots, suite.json and summary.md.
        tables: rows by part, those of earlier runs that are still there included.
        text: summary.md.
    """

    folder: Path
    tables: dict[str, Sequence[Row]]
    text: str


def run_suite(config: SuiteConfig, out: Path, overwrite: bool = False) -> SuiteResult:
    """Measure the parts asked for, and write a folder of tables and plots; other parts' tables in it stay.

    Raises:
        CrackError: if the folder is not to be written to, a model is not found, or tiles of a test set trained it.
    """
    check_folder(out, OUTPUT, overwrite, inputs=config.models)
    suite = Suite(choose_models(config.models), config)
    made = {part: getattr(suite, part)() for part in config.parts}
    kept = {part: read_table(path) for part in PARTS if part not in made and (path := out / f"{part}.csv").is_file()}
    before = read_json(out / "suite.json").get("runs", []) if kept and (out / "suite.json").is_file() else []
    # Of an earlier run that every part of was made again, nothing is left to record.
    earlier = [run | {"parts": left} for run in before if (left := [part for part in run["parts"] if part in kept])]
    text = summary_page(made | kept)
    with making(out, OUTPUT, overwrite, clear=False):
        for name, rows in (made | suite.details).items():
            write_csv(out / f"{name}.csv", map(asdict, rows))
            if name in PICTURES and rows:
                PLOTS[name](rows, out / PICTURES[name])
        write_json(out / "suite.json", {"format": FORMAT, "runs": [*earlier, suite.record(list(config.parts))]})
        write_text(out / "summary.md", text)
    return SuiteResult(out, made | kept, text)


def read_table(path: Path) -> list[Row]:
    """The rows of a part's table that an earlier run wrote: numbers as numbers, empty cells as None.

    Raises:
        CrackError: if it cannot be read, or lacks a column.
    """
    kind = ROWS[path.stem]
    try:
        rows = read_csv(path)
    except CrackError as error:
        raise CrackError(f"{error} Delete it, or make its part again.") from None
    names = {field.name for field in fields(kind)}
    try:
        values: list[dict[str, Any]] = [
            {name: cell_value(text) for name, text in row.items() if name in names} for row in rows
        ]
        return [kind(**value) for value in values]
    except TypeError:
        missing = ", ".join(sorted(names - set(rows[0])))
        raise CrackError(f"{path} lacks columns ({missing}). Delete it, or make its part again.") from None


def choose_models(names: Sequence[str]) -> dict[str, Path]:
    """Name -> .tflite file of the models to judge.

    Raises:
        CrackError: if a name is neither a shipped classifier nor a file.
    """
    shipped = [name for name, model in read_zoo()[1].items() if model.task == "classify"]
    found: dict[str, Path] = {}
    for name in names or shipped:
        if name in shipped:
            found[name] = load(name).tflite
        elif Path(name).suffix == ".tflite" and Path(name).is_file():
            title = Path(name).stem if Path(name).stem not in found else f"{run_name(name)}/{Path(name).stem}"
            if title in found:
                raise CrackError(f"model {name}: {found[title]} has the same name. Rename its run's folder.")
            found[title] = Path(name)
        else:
            raise CrackError(f"model {name!r} is neither shipped ({', '.join(shipped)}) nor a .tflite file.")
    if not found:
        raise CrackError("no classifier is shipped with this copy of crack_tf. Name a .tflite file.")
    return found


class Suite:
    """The parts, each a method that returns its table's rows.

    Args:
        models: name -> .tflite file.
        config: how they are measured.
    """

    def __init__(self, models: dict[str, Path], config: SuiteConfig) -> None:
        self._models = models
        self._sides = {name: model.tile_side for name, model in read_zoo()[1].items()}
        self._config = config
        self._answers = Answers(jobs=config.jobs)
        self._sets: dict[Any, Any] = {}
        self._missing: dict[str, str] = {}
        self._matrix: list[SplitRow] = []
        self.details: dict[str, Sequence[Row]] = {}  # further tables of a part

    def splits(self) -> list[SplitRow]:
        """Plain and grouped METU test splits, int8 beside the float model of the zoo where there is one."""
        rows = []
        for name, model in self._models.items():
            twin = model.with_name("model.keras")
            files = [twin, model] if twin.is_file() else [model]
            for chosen in (sets.METU_PLAIN, sets.METU):
                tiles = self._set(chosen)
                rows += [self._row(tables.split_row, name, file, chosen, tiles) for file in files if tiles is not None]
        return rows

    def matrix(self) -> list[SplitRow]:
        """Every model on every data set that is there."""
        if self._matrix:  # asked for by another part before; the intervals take minutes
            return self._matrix
        rows = []
        for name, model in self._models.items():
            for whole in sets.DOMAINS:
                if self._set(whole) is None:
                    continue
                chosen = sets.seen_by(self._answers.predictor(model), whole)
                tiles = self._set(chosen)
                if tiles is not None:
                    rows.append(self._row(tables.split_row, name, model, chosen, tiles))
        self._matrix = rows
        return rows

    def domains(self) -> list[DomainRow]:
        """Mean and worst over left-out data sets: the nearest there is to concrete that nobody here has seen."""
        return domain_rows(self.matrix())

    def scenes(self) -> list[SceneRow]:
        """Whole photographs through both models and all rules of the survey."""
        segmenter = find_model(self._config.segmenter, task="segment", option="--segmenter").path
        scores = []
        for name, model in self._models.items():
            _say(f"{name}, whole photographs")
            side = self._sides.get(name)
            scores += score_photos(
                name, model, segmenter, side, self._config.jobs or os.cpu_count() or 1, self._config.limit
            )
        self.details = {SCENES_PHOTOGRAPHS: photo_rows(scores), SCENES_FROC: froc(scores)}
        return scene_rows(scores)

    def corruptions(self) -> list[CorruptionRow]:
        """METU's grouped test split, corrupted."""
        tiles = self._set(sets.METU, self._config.corruption_limit)
        return [] if tiles is None else self._each(lambda n, m: tables.corruption_rows(self._answers, n, m, tiles))

    def prevalence(self) -> list[RarityRow]:
        """METU's grouped test split at other shares of cracked tiles."""
        tiles = self._set(sets.METU)
        return [] if tiles is None else self._each(lambda n, m: tables.prevalence_rows(self._answers, n, m, tiles))

    def calibration(self) -> list[CalibrationRow]:
        """Calibration and conformal bounds on METU's grouped splits."""
        test, val = self._set(sets.METU), self._set(sets.METU_VAL)
        if test is None or val is None:
            return []
        return self._each(lambda n, m: [tables.calibration_row(self._answers, n, m, test, val)])

    def candidates(self) -> list[CandidateRow]:
        """The study's candidates and this project's classifiers, built with random weights."""
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

    def cost(self) -> list[CostRow]:
        """Whole photographs, end to end."""
        return cost_rows(self._models, self._config.jobs)

    def record(self, parts: list[str]) -> dict[str, Any]:
        """Where the figures come from."""
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

    def _each(self, rows_of: Callable[[str, Path], list[R]]) -> list[R]:
        rows: list[R] = []
        for name, model in self._models.items():
            _say(name)
            rows += rows_of(name, model)
        return rows

    def _row(self, make: Callable[..., SplitRow], name: str, model: Path, chosen: Any, tiles: Any) -> SplitRow:
        _say(f"{name} ({model.suffix[1:]}) on {chosen.label}")
        trained = trained_tiles(self._answers.predictor(model), chosen)
        if trained:
            raise CrackError(
                f"{trained} tiles of {chosen.label} trained {name}: its figures there would be flattered. "
                "Name only models that have not seen the suite's test tiles."
            )
        left_out = is_left_out(self._answers.predictor(model), chosen)
        return replace(make(self._answers, name, model, tiles), training_tiles=trained, left_out=left_out)

    def _set(self, chosen: Any, limit: int | None = None) -> Any:
        """The tiles, or None with a note when the data set is not on this machine."""
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


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
