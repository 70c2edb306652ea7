"""What a photograph costs in processor seconds, stage by stage: with `crack-tf predict` and in a survey.

What it makes: a row per stage; times are of one photograph, the least of all rounds, on one thread. Processor seconds hardly depend on what
else a machine does. With --before, every round measures the other checkout and this one in turn, each in processes of their own, and
`ratio` says how many times as fast this one is. Without --photos, of drawn photographs of 12 megapixels.
Cost: seconds for each photograph and round.
Expected: docs/results.md#a-photograph-stage-by-stage.
Command: python -m studies.photo_cost --photos DCIM --before ../earlier --out results/survey/photo-cost.csv
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tflite.cli import Parser, named_path, positive_int, run_main
from tflite.errors import CrackError
from tflite.files import write_csv
from tflite.outputs import Output, check_file, csv_with
from tflite.tables import format_table

OUTPUT = Output("studies.photo_cost", csv_with("", "photos", "stage", "cpu_s"))
PREDICT, SURVEY = "predict", "survey"
_ROUNDS = 3
_SIZE = (4000, 3000)
_DRAWN = (1, 2)  # rows and columns of a drawn flight: a wall with cracks and sky


def make_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = Parser("python -m studies.photo_cost", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=named_path, required=True, metavar="FILE", help="the table, .csv")
    parser.add_argument(
        "--photos", type=named_path, metavar="FOLDER", help="photographs to measure with (default: drawn ones)"
    )
    parser.add_argument(
        "--before", type=named_path, metavar="CHECKOUT", help="another checkout, measured in turn with this one"
    )
    parser.add_argument("--rounds", type=positive_int, default=_ROUNDS, help=f"of which the fastest counts ({_ROUNDS})")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier table")
    return parser


def run(args: argparse.Namespace) -> None:
    """Measure what the command line asks for and write the table.

    Raises:
        CrackError: if the table exists, --before is no checkout, or a measurement fails.
    """
    check_file(args.out, OUTPUT, args.overwrite, inputs=(args.photos,))
    if args.before is not None and not (args.before / "crack_tf" / "survey" / "searching").is_dir():
        raise CrackError(f"--before {args.before} holds no crack_tf/survey/searching. Give the folder of a checkout.")
    if args.photos is not None:
        _files(args.photos)  # refused now, not in a process of its own
    with tempfile.TemporaryDirectory() as scratch:
        photos = args.photos or _draw(Path(scratch) / "flight")
        rows = cost_rows(photos, args.rounds, args.before)
    write_csv(args.out, rows)
    print(report(rows))


def cost_rows(photos: Path, rounds: int = 1, before: Path | None = None) -> list[dict[str, Any]]:
    """A row per stage.

    Args:
        photos: folder of photographs.
        rounds: how often to measure, the least counts.
        before: another checkout to compare with, or None.

    Raises:
        CrackError: if a measurement fails.
    """
    from tflite.hardware import board

    here = Path(__file__).parents[1]
    trees = {"before": before, "cpu": here} if before is not None else {"cpu": here}
    times: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
    for _ in range(rounds):
        for name, tree in trees.items():
            times[name].append(_in_checkout(tree, photos))
    hardware = board()
    count = len(_files(photos))
    rows = []
    for stage in times["cpu"][0]:
        least = {name: min(one[stage] for one in own if stage in one) for name, own in times.items()}
        row: dict[str, Any] = {"photos": count, "stage": stage, "cpu_s": round(least["cpu"], 4)}
        if before is not None:
            row["before_cpu_s"] = round(least["before"], 4)
            row["ratio"] = round(least["before"] / least["cpu"], 2) if least["cpu"] else ""
        rows.append({**row, "threads": 1, "hardware": hardware["model"] or hardware["cpu"], "cores": hardware["cores"]})
    return rows


def measure(photos: Path) -> dict[str, float]:
    """Processor seconds per photograph of every stage, in this process, after one photograph to warm up.

    Keys are "predict: total", "survey: STAGE" (see `crack_tf.survey.searching.search.STAGES`) and "survey: total".

    Args:
        photos: folder of photographs.
    """
    from crack_tf.inference.tiles import PhotoClassifier
    from crack_tf.models.shipped import find_model
    from crack_tf.survey.geometry.camera import Locator
    from crack_tf.survey.searching import search
    from crack_tf.survey.source import FolderSource

    classifier, segmenter = find_model(None), find_model(None, task="segment")
    files = _files(photos)
    found: dict[str, float] = {}
    with PhotoClassifier(classifier.path, jobs=1, side=classifier.tile_side) as model:
        with model.photo(files[0]):
            pass
        started = time.process_time()
        for file in files:
            with model.photo(file):
                pass
        found[f"{PREDICT}: total"] = (time.process_time() - started) / len(files)
    plan = search.Plan(classifier.path, classifier.tile_side, 0.25, segmenter.path, True)
    with search.Searcher(plan, 1) as searcher, tempfile.TemporaryDirectory() as out, _processor_clock(search):
        items = list(FolderSource(photos, Path(out), Locator()).items(lambda name, size: True))
        searcher.search(items[0])
        started = time.process_time()
        stages = [searcher.search(item).seconds for item in items]
        total = (time.process_time() - started) / len(items)
    found |= {f"{SURVEY}: {name}": sum(stage[name] for stage in stages) / len(items) for name in stages[0]}
    return {**found, f"{SURVEY}: total": total}


def report(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as text."""
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "stage": lambda row: str(row["stage"]),
        "CPU s": lambda row: f"{row['cpu_s']:.3f}",
    }
    if "ratio" in rows[0]:
        columns |= {
            "before": lambda row: f"{row['before_cpu_s']:.3f}",
            "times as fast": lambda row: str(row["ratio"]),
        }
    return f"{rows[0]['photos']} photographs, one thread, {rows[0]['hardware']}\n{format_table(rows, columns)}"


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args))


@contextmanager
def _processor_clock(search: Any) -> Iterator[None]:
    """Let a survey's stages be measured in processor seconds: on a busy machine the clock says more about the machine."""
    clock = search.time
    search.time = SimpleNamespace(monotonic=time.process_time)
    try:
        yield
    finally:
        search.time = clock


def _in_checkout(tree: Path, photos: Path) -> dict[str, float]:
    """`measure` of this file with the packages of a checkout, in a process of its own.

    Raises:
        CrackError: if that fails.
    """
    code = "import json, pathlib, runpy, sys; found = runpy.run_path(sys.argv[1])['measure'](pathlib.Path(sys.argv[2]))"
    command = [sys.executable, "-P", "-c", f"{code}; print(json.dumps(found))", __file__, str(photos)]
    paths = [str(tree.resolve()), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CrackError(f"measuring with {tree} ended with code {done.returncode}: {done.stderr.strip()}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _files(photos: Path) -> Sequence[Path]:
    """The photographs of a folder.

    Raises:
        CrackError: if there is none.
    """
    from tflite.photographs import list_photographs

    files = list_photographs(photos).photographs
    if not files:
        raise CrackError(f"--photos {photos}: there is no photograph. Give a folder of some.")
    return files


def _draw(folder: Path) -> Path:
    """A drawn flight; the folder of its photographs."""
    from crack_tf.synthetic.flight import write_flight
    from crack_tf.synthetic.flight_plan import Plan

    rows, columns = _DRAWN
    write_flight(folder, Plan(piers=1, rows=rows, columns=columns, width=_SIZE[0], height=_SIZE[1]))
    return folder / "photos"


if __name__ == "__main__":
    sys.exit(main())
