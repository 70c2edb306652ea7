"""`python -m studies.map_latency`: seconds and memory that a 12-megapixel photograph takes, from its file to the mask.

python -m studies.map_latency --threads 1,2 --out results/segmentation/latency.csv

Every measurement runs in a process of its own, so that peak memory is its own, and thread counts take turns, so that they meet the
same machine. The photograph is drawn; what it shows matters to the time it takes to decode only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflite import hardware
from tflite.cli import named_path, positive_int, run_main, thread_counts
from tflite.files import write_csv
from tflite.isolate import in_child
from tflite.outputs import Output, check_file, csv_with
from tflite.runtime import DELEGATES
from tflite.tables import format_table

STAGES = ("decode", "segment", "total")
OUTPUT = Output("studies.map_latency", csv_with("", "hardware", "photo", "total_min_s", "peak_rss_mb"))


@dataclass(frozen=True)
class Run:
    """One measurement.

    Attributes:
        model: the .tflite file.
        photo: the photograph's file.
        threads: tiles computed at the same time, each by an interpreter of one thread.
        delegate: one of `tflite.runtime.DELEGATES`.
        overlap: least share of a tile that its neighbour repeats.
    """

    model: Path
    photo: Path
    threads: int
    delegate: str
    overlap: float


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    from crack_tf.photo.stitch import OVERLAP

    parser = argparse.ArgumentParser(
        prog="python -m studies.map_latency",
        description="Measure what a 12-megapixel photograph costs with a segmentation model, from its file to the mask.",
    )
    add = parser.add_argument
    add("model", nargs="?", help="name in the zoo, or a .tflite file (default: the zoo's)")
    add("--threads", type=thread_counts, default="1,2", metavar="1,2", help="one row each (default: 1,2)")
    add("--delegate", default="xnnpack", choices=DELEGATES)
    add("--overlap", type=float, default=OVERLAP, metavar="SHARE", help=f"of neighbouring tiles (default: {OVERLAP})")
    add("--rounds", type=positive_int, default=5, metavar="N", help="photographs per row (default: 5)")
    add("--out", type=named_path, metavar="FILE.csv", help="for the rows (default: none)")
    add("--overwrite", action="store_true", help="replace that file")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """Measure as the parsed options say.

    Raises:
        CrackError: if an option is out of range, the model is no segmentation model, or --out exists.
    """
    from crack_tf.models.shipped import find_model

    if args.out is not None:
        check_file(args.out, OUTPUT, args.overwrite, inputs=(args.model,))
    model = find_model(args.model, task="segment").path
    rows = latency_rows(model, list(dict.fromkeys(args.threads)), args.delegate, args.overlap, args.rounds)
    print(report(rows))
    if args.out is not None:
        write_csv(args.out, rows)
        print(args.out)


def latency_rows(model: Path, threads: list[int], delegate: str, overlap: float, rounds: int) -> list[dict[str, Any]]:
    """One row per thread count: medians over the rounds, peak memory, and the machine.

    Raises:
        CrackError: if the model cannot be loaded.
    """
    from crack_tf.evaluation.suite.cost import HEIGHT, WIDTH, write_photo
    from tflite.sidecar import read_sidecar

    found: dict[int, list[dict[str, Any]]] = {count: [] for count in threads}
    with tempfile.TemporaryDirectory() as scratch:
        photo = Path(scratch) / "photo.jpg"
        write_photo(photo)
        for number in range(rounds):
            for count in threads:
                found[count].append(in_child(measure, Run(model, photo, count, delegate, overlap)))
                took = found[count][-1]["total_s"]
                print(f"round {number + 1}/{rounds}, {count} thread(s): {took:.2f} s", file=sys.stderr, flush=True)
    machine, sidecar = hardware.describe(), read_sidecar(model)
    rows = []
    for count, measured in found.items():
        last = measured[-1]
        rows.append(
            {
                "hardware": machine["slug"],
                "cpu": machine["cpu"],
                "cores": machine["cores"],
                "litert": hardware.runtime_version(),
                "model": f"{sidecar.model}-{sidecar.scheme}",
                "sha256": sidecar.sha256,
                "image_size": sidecar.image_size,
                "threads": count,
                "delegate": delegate,
                **{name: last[name] for name in ("delegate_nodes", "nodes_total", "nodes_remaining")},
                "photo": f"{WIDTH}x{HEIGHT}",
                "overlap": overlap,
                "tiles": last["tiles"],
                "rounds": rounds,
                **{
                    f"{stage}_p50_s": round(statistics.median(row[f"{stage}_s"] for row in measured), 4)
                    for stage in STAGES
                },
                "total_min_s": round(min(row["total_s"] for row in measured), 4),
                "total_max_s": round(max(row["total_s"] for row in measured), 4),
                "cpu_p50_s": round(statistics.median(row["cpu_s"] for row in measured), 4),
                "peak_rss_mb": round(max(row["peak_rss_mb"] for row in measured), 1),
                "base_rss_mb": round(max(row["base_rss_mb"] for row in measured), 1),
                "load_average": round(max(row["load_average"] for row in measured), 2),
            }
        )
    return rows


def measure(run: Run) -> dict[str, Any]:
    """One photograph in this process, after each thread has had a window to warm up.

    Returns:
        Seconds (and CPU seconds) by stage, number of tiles, delegate nodes, and megabytes (of 1e6 bytes): when the model was loaded,
        and at the most.
    """
    from crack_tf.inference.maps import SegmenterPool, segment, warm_up
    from tflite.images import load_rgb
    from tflite.measure import peak_rss_mb
    from tflite.segmenter import Segmenter

    load = os.getloadavg()[0]
    segmenter = Segmenter(run.model, delegate=run.delegate)
    base, tiles = peak_rss_mb(), 0

    def count(done: int, total: int) -> None:
        nonlocal tiles
        tiles = total

    with SegmenterPool(segmenter, run.threads) as pool:
        warm_up(pool, run.threads, load_rgb(run.photo).shape[:2], run.overlap)
        busy, started = time.process_time(), time.perf_counter()
        pixels = load_rgb(run.photo)
        decoded = time.perf_counter()
        mask = segment(pixels, pool, overlap=run.overlap, progress=count) >= segmenter.threshold_probability
        done = time.perf_counter()
        cpu = time.process_time() - busy
    assert mask.shape == pixels.shape[:2]
    nodes = segmenter.nodes
    return {
        "decode_s": decoded - started,
        "segment_s": done - decoded,
        "total_s": done - started,
        "cpu_s": cpu,
        "tiles": tiles,
        "delegate_nodes": nodes.delegates,
        "nodes_total": nodes.total,
        "nodes_remaining": nodes.remaining,
        "base_rss_mb": base,
        "peak_rss_mb": peak_rss_mb(),
        "load_average": load,
    }


def report(rows: list[dict[str, Any]]) -> str:
    """The rows as text."""
    first = rows[0]
    table = format_table(
        rows,
        {
            "model": lambda row: str(row["model"]),
            "threads": lambda row: str(row["threads"]),
            "delegate": lambda row: str(row["delegate"]),
            "nodes": lambda row: f"{row['delegate_nodes']} + {row['nodes_remaining']}",
            "tiles": lambda row: str(row["tiles"]),
            "s": lambda row: f"{row['total_p50_s']:.2f}",
            "min - max": lambda row: f"{row['total_min_s']:.2f} - {row['total_max_s']:.2f}",
            "CPU s": lambda row: f"{row['cpu_p50_s']:.2f}",
            "peak MB": lambda row: f"{row['peak_rss_mb']:.0f}",
        },
    )
    title = f"{first['photo']} pixels, medians of {first['rounds']}, {first['cores']} cores of {first['cpu']}"
    busy = max(row["load_average"] for row in rows)
    other = max(row["threads"] for row in rows)
    note = "" if busy < other + 1 else f"\nnote: the load average was {busy:g}; other work slowed this down."
    return f"{title}\n{table}{note}"


if __name__ == "__main__":
    sys.exit(main())
