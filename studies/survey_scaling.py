"""How fast a survey is and how much memory it takes, on flights of more and more photographs.

What it makes: a table in one CSV file. Every row is a flight of its own, drawn for it (`crack_tf.data.flight`) and surveyed by
`crack-tf survey` in a process of its own, since a process cannot forget its peak of memory. The last row has photographs of 12
megapixels. Drawing is not counted.

With --workers, a row is a Dask cluster of that many workers on this machine, each with one thread and one core, surveying the
first flight after two photographs to warm up. The clusters work in turn, three rounds, and the fastest counts: what else a machine
does only ever makes them slower. The processor seconds of a photograph hardly depend on that.

Cost: minutes on a machine that does nothing else.
Expected: docs/results.md#surveys.
Command: python -m studies.survey_scaling --out performance.csv
Command: python -m studies.survey_scaling --workers 1,2 --flights 20 --size 1600x1200 --out workers.csv
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from crack_tf.data.flight import photo_size
from crack_tf.synthetic.flight_plan import Plan
from tflite.cli import Parser, named_path, non_negative_int, run_main
from tflite.errors import CrackError
from tflite.files import read_json, write_csv
from tflite.outputs import Output, check_file, csv_with
from tflite.words import counted

SMALL, LARGE = (640, 480), (4000, 3000)
_ROUNDS = 3  # of clusters in turn
_COLUMNS = 10  # photographs side by side, as far as a flight has that many
OUTPUT = Output("studies.survey_scaling", csv_with("", "photos", "photos_per_minute"))


def make_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = Parser("python -m studies.survey_scaling", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=named_path, required=True, metavar="FILE", help="the table, .csv")
    parser.add_argument(
        "--flights", type=counts, default=(10, 100, 400), metavar="N,N", help="photographs each (default: 10,100,400)"
    )
    parser.add_argument("--size", type=photo_size, default=SMALL, metavar="WxH", help="of those photographs (640x480)")
    parser.add_argument(
        "--large", type=non_negative_int, default=10, metavar="N", help="photographs of 4000x3000 (10); 0: none"
    )
    parser.add_argument("--workers", type=counts, metavar="N,N", help="numbers of workers, instead of threads")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier table")
    return parser


def run(args: argparse.Namespace) -> None:
    """Measure what the command line asks for and write the table, a row at a time.

    Raises:
        CrackError: if the table exists, or a survey fails.
    """
    check_file(args.out, OUTPUT, args.overwrite)
    if args.workers is not None:
        with tempfile.TemporaryDirectory() as scratch:
            _measure_workers(Path(scratch), args.workers, args.flights[0], args.size, args.out)
        return
    flights = [(count, args.size) for count in args.flights] + [(args.large, LARGE)] * (args.large > 0)
    rows = []
    for count, size in flights:
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(measure(Path(scratch), count, size))
        write_csv(args.out, rows)
        row = rows[-1]
        print(
            f"{counted(count, 'photograph')} of {size[0]}x{size[1]}: {row['photos_per_minute']} a minute, "
            f"{row['peak_memory_mb']} MB at most",
            flush=True,
        )


def measure(folder: Path, count: int, size: tuple[int, int]) -> dict[str, Any]:
    """Draw a flight, survey it, and tell how that went.

    Args:
        folder: empty, for both.
        count: of photographs; those beyond full rows of ten are left out.
        size: width and height in pixels.

    Returns:
        A row of the table.

    Raises:
        CrackError: if the survey fails.
    """
    from tflite.hardware import board

    photos = _draw(folder / "flight", count, size)
    speed = _survey(folder, "flight", photos, "found")
    hardware = board()
    return {
        "photos": photos,
        "size": f"{size[0]}x{size[1]}",
        "seconds": speed["seconds"],
        "photos_per_minute": speed["photos_per_minute"],
        "megapixels_per_second": speed["megapixels_per_second"],
        "merge_seconds": speed["merge_seconds"],
        "peak_memory_mb": speed["peak_memory_mb"],
        **{f"{name}_share": stage["share"] for name, stage in speed["stages"].items()},
        "threads": speed["jobs"],
        "hardware": hardware["model"] or hardware["cpu"],
        "cores": hardware["cores"],
    }


def _measure_workers(folder: Path, workers: Sequence[int], count: int, size: tuple[int, int], out: Path) -> None:
    """Survey one flight with each number of workers, and write a table of it.

    Raises:
        CrackError: if Dask is not installed, or a survey fails.
    """
    from crack_tf.survey.searching.loopback import loopback_cluster
    from tflite.hardware import board

    photos, hardware = _draw(folder / "flight", count, size), board()
    _draw(folder / "warm-up", 2, size)
    speeds: list[list[_Speed]] = [[] for _ in workers]
    with ExitStack() as stack:
        clusters = [
            stack.enter_context(loopback_cluster(folder / f"cluster-{place}", number))
            for place, number in enumerate(workers)
        ]
        for place, cluster in enumerate(clusters):
            _survey(folder, "warm-up", 2, f"warm-up-{place}", "--scheduler", cluster.address)
        for turn in range(_ROUNDS):
            for place, cluster in enumerate(clusters):
                before = cluster.cpu_seconds(), _children_cpu_seconds()
                speed = _survey(folder, "flight", photos, f"found-{place}-{turn}", "--scheduler", cluster.address)
                after = cluster.cpu_seconds(), _children_cpu_seconds()
                speeds[place].append(_Speed(speed["seconds"], after[0] - before[0], after[1] - before[1]))
                print(f"{workers[place]} workers: {counted(photos, 'photograph')} in {speed['seconds']} s", flush=True)
    rows = []
    for number, own in zip(workers, speeds, strict=True):
        seconds = min(speed.seconds for speed in own)
        rows.append(
            {
                "workers": number,
                "photos": photos,
                "size": f"{size[0]}x{size[1]}",
                "seconds": seconds,
                "photos_per_minute": round(60 * photos / seconds, 1),
                "times_the_first": round(min(speed.seconds for speed in speeds[0]) / seconds, 2),
                "workers_cpu_s_per_photo": round(min(speed.workers for speed in own) / photos, 3),
                "caller_cpu_s_per_photo": round(min(speed.caller for speed in own) / photos, 3),
                "hardware": hardware["model"] or hardware["cpu"],
                "cores": hardware["cores"],
            }
        )
    write_csv(out, rows)


class _Speed(NamedTuple):
    """Seconds of a survey by the clock, and of processors, of its workers and its caller."""

    seconds: float
    workers: float
    caller: float


def _children_cpu_seconds() -> float:
    """CPU time of the processes that this one has started and waited for."""
    times = os.times()
    return times.children_user + times.children_system


def _draw(folder: Path, count: int, size: tuple[int, int]) -> int:
    """Draw a flight; how many photographs it has."""
    from crack_tf.synthetic.flight import write_flight

    columns = min(count, _COLUMNS)
    plan = Plan(piers=1, rows=count // columns, columns=columns, width=size[0], height=size[1])
    return len(write_flight(folder, plan)["photos"])


def _survey(folder: Path, flight: str, count: int, out: str, *options: str) -> dict[str, Any]:
    """Survey a drawn flight in a process of its own; its `performance.json`."""
    photos, log = f"{flight}/photos", f"{flight}/flight.csv"
    command = [sys.executable, "-m", "crack_tf.survey", photos, "--out", out, "--flight-log", log, *options]
    done = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True)
    if done.returncode != 0:
        raise CrackError(f"the survey of {count} photographs ended with code {done.returncode}: {done.stderr.strip()}")
    return read_json(folder / out / "performance.json")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), interrupted="The table holds what was measured so far.")


def _environment() -> dict[str, str]:
    """This process's, from which a copy that is not installed can be imported elsewhere too."""
    root = str(Path(__file__).parents[1])
    paths = [root, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def counts(text: str) -> tuple[int, ...]:
    """argparse type: positive numbers with commas between."""
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"must be numbers of photographs such as 10,100,400; got {text!r}")
    return tuple(int(part) for part in parts)


if __name__ == "__main__":
    sys.exit(main())
