"""Latency, memory and accuracy of .tflite crack classifiers on this machine, with the same code the device runs.

    python -m tflite.benchmark opnet-int8.tflite mobilenet-int8.tflite --manifest metu.csv --threads 1,2 --compare

Each row (model, threads, delegate) is measured in a process of its own, so that peak memory belongs to that row alone.
Writes benchmark-<hardware>-litert<version>.json, .csv and, where matplotlib is installed, .png.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import signal
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tflite import hardware
from tflite.cli import non_negative_int, positive_int, run_main
from tflite.errors import CrackError
from tflite.files import refuse_existing, write_csv, write_json
from tflite.graph import read_graph
from tflite.manifest import SPLITS, Item, Manifest, read_manifest
from tflite.metrics import confusion, summary
from tflite.runtime import DELEGATES, Classifier
from tflite.sidecar import golden_input

FORMAT = "crack_tf.benchmark/1"
MIN_RUNS = 50  # below this the 95th percentile is a guess
MEGABYTE = 1e6
_STAGES = ("decode", "resize", "inference", "total")
_ACCURACY_COLUMNS = (
    *("manifest", "manifest_sha256", "split", "tiles", "auc", "tp", "fn", "tn", "fp"),
    *("recall", "recall_low", "recall_high", "specificity", "specificity_low", "specificity_high"),
    *("precision", "accuracy", "f1"),
    *(f"{stage}_{quantile}_ms" for stage in _STAGES for quantile in ("p50", "p90")),
)
Result = TypeVar("Result")


@dataclass(frozen=True)
class TileSet:
    """The tiles that accuracy and end-to-end time are measured on.

    Attributes:
        manifest: where they are; its items are left out, since the set travels to a child process.
        sha256: of the whole manifest.
        split: "train", "val", "test" or "all".
        items: the tiles used.
    """

    manifest: Manifest
    sha256: str
    split: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Job:
    """One row to measure.

    Attributes:
        path: the .tflite file.
        name: what the row is called.
        threads: CPU threads.
        delegate: one of `tflite.runtime.DELEGATES`.
        runs: timed inferences, at least `MIN_RUNS`.
        warmup: inferences before them, not timed.
        tiles: for accuracy and end-to-end time, or None.
    """

    path: Path
    name: str
    threads: int
    delegate: str
    runs: int
    warmup: int
    tiles: TileSet | None


def select_tiles(manifest: Manifest, split: str, limit: int | None = None) -> TileSet:
    """The tiles of a split; with `limit`, that many spread evenly over the sorted split, so that classes keep their shares.

    Raises:
        CrackError: if the split is unknown or empty, or the images' folder does not exist.
    """
    manifest.folder()
    items = manifest.split(split)
    if limit is not None and limit < len(items):
        items = [items[number] for number in np.linspace(0, len(items) - 1, limit).round().astype(int)]
    return TileSet(replace(manifest, items=()), manifest.sha256, split, tuple(items))


def check_models(paths: Sequence[Path], threads: int, delegates: Sequence[str]) -> None:
    """Load every model once with every delegate, so that a bad one is named before any time is spent.

    Raises:
        CrackError: naming the first file or delegate that does not work.
    """
    for path in dict.fromkeys(paths):
        for delegate in delegates:
            Classifier(path, threads=threads, delegate=delegate)
        read_graph(path)


def measure(job: Job) -> dict[str, Any]:
    """Measure one row in this process.

    Returns:
        One flat row (times in ms, memory in MB of 1e6 bytes), and under "latencies_ms" every timed run.

    Raises:
        CrackError: if the number of runs is below `MIN_RUNS`, or the model or a tile cannot be read.
    """
    if job.runs < MIN_RUNS:
        raise CrackError(f"--runs {job.runs}: at least {MIN_RUNS} are needed for percentiles that mean something.")
    _import_runtime()
    base = peak_rss_mb()
    started = time.perf_counter_ns()
    classifier = Classifier(job.path, threads=job.threads, delegate=job.delegate)
    load_ms = _milliseconds(started)
    tile = golden_input(classifier.image_size)
    for _ in range(job.warmup):
        classifier.raw(tile)
    latencies = [_timed(classifier, tile) for _ in range(job.runs)]
    peak = peak_rss_mb()  # before any photograph is decoded: Pillow's memory is not the model's
    graph = read_graph(job.path)
    row: dict[str, Any] = {
        "model": job.name,
        "scheme": classifier.sidecar.scheme,
        "image_size": classifier.image_size,
        "threads": job.threads,
        "delegate": job.delegate,
        "delegate_nodes": classifier.nodes.delegates,
        "nodes_total": classifier.nodes.total,
        "nodes_remaining": classifier.nodes.remaining,
        "runs": job.runs,
        "warmup": job.warmup,
        **latency_statistics(latencies),
        "load_ms": round(load_ms, 4),
        "peak_rss_mb": round(peak, 3),
        "base_rss_mb": round(base, 3),
        "file_bytes": graph.file_bytes,
        "parameters": graph.parameters,
        "macs": graph.macs,
        "activations": graph.activations,
        "load_average": round(os.getloadavg()[0], 2),
        "sha256": classifier.sidecar.sha256,
        **dict.fromkeys(_ACCURACY_COLUMNS),
    }
    if job.tiles is not None:
        row |= _accuracy(classifier, job.tiles)
    return row | {"latencies_ms": [round(value, 4) for value in latencies]}


def compare(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Load all models in this process and run them in turn: A B C A B C...

    Whatever slows the machine for a moment slows neighbours alike, so ratios are steadier than the latencies themselves.

    Args:
        jobs: one per model, alike in threads, delegate, runs and warm-up.

    Returns:
        One row per model; "ratio" is its median over the first model's median, "paired_ratio" the median over rounds of its
        time over the first model's time in the same round. Below 1 is faster.

    Raises:
        CrackError: if a model cannot be loaded or the number of runs is below `MIN_RUNS`.
    """
    first = jobs[0]
    if first.runs < MIN_RUNS:
        raise CrackError(f"--runs {first.runs}: at least {MIN_RUNS} are needed for percentiles that mean something.")
    classifiers = [Classifier(job.path, threads=job.threads, delegate=job.delegate) for job in jobs]
    tiles = [golden_input(classifier.image_size) for classifier in classifiers]
    for _ in range(first.warmup):
        for classifier, tile in zip(classifiers, tiles, strict=True):
            classifier.raw(tile)
    rounds = np.array(
        [[_timed(c, tile) for c, tile in zip(classifiers, tiles, strict=True)] for _ in range(first.runs)]
    )
    medians = np.median(rounds, axis=0)
    paired = np.median(rounds / rounds[:, :1], axis=0)
    return [
        {
            "model": job.name,
            "threads": job.threads,
            "delegate": job.delegate,
            "runs": job.runs,
            "p50_ms": round(float(medians[number]), 4),
            "ratio": round(float(medians[number] / medians[0]), 4),
            "paired_ratio": round(float(paired[number]), 4),
        }
        for number, job in enumerate(jobs)
    ]


def latency_statistics(latencies: Sequence[float]) -> dict[str, float]:
    """Mean, sample standard deviation, minimum and percentiles of at least two times, in the unit given (ms)."""
    percentiles = {f"p{share}_ms": float(np.percentile(latencies, share)) for share in (50, 90, 95, 99)}
    values = {
        "mean_ms": statistics.fmean(latencies),
        "stdev_ms": statistics.stdev(latencies),
        "min_ms": min(latencies),
        **percentiles,
    }
    return {name: round(value, 4) for name, value in values.items()}


def roc_auc(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """Area under the ROC curve: the chance that a random crack scores above a random clean tile, ties counted half.

    Args:
        logits: float, shape (n,).
        labels: 0 or 1, shape (n,).

    Returns:
        A number in [0, 1], or None when a class is absent.
    """
    cracked = np.asarray(labels) == 1
    positives, negatives = int(cracked.sum()), int((~cracked).sum())
    if not positives or not negatives:
        return None
    _, place, counts = np.unique(logits, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # tied scores share their mean rank
    return float((ranks[cracked].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MB of 1e6 bytes.

    VmHWM starts at zero when a program starts. ru_maxrss does not: on Linux a child inherits its parent's peak, which would
    charge TensorFlow in the parent to a model in the child. It is the fallback where /proc is missing.
    """
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / MEGABYTE
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE


def environment() -> dict[str, Any]:
    """Hardware and software the rows were measured with."""
    import PIL

    return {
        "hardware": hardware.describe(),
        "os": platform.platform(),
        "python": platform.python_version(),
        "litert": hardware.runtime_version(),
        "numpy": np.__version__,
        "pillow": PIL.__version__,
    }


def result_path(folder: str | Path, suffix: str) -> Path:
    """Where this machine's results go: benchmark-<hardware>-litert<version><suffix> in `folder`."""
    return Path(folder) / f"benchmark-{hardware.describe()['slug']}-litert{hardware.runtime_version()}{suffix}"


def format_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Callable[[Mapping[str, Any]], str]]) -> str:
    """Rows as aligned text.

    Args:
        rows: dictionaries.
        columns: heading -> function from a row to its cell. The first column is flush left, the others flush right.
    """
    cells = [list(columns), *([cell(row) for cell in columns.values()] for row in rows)]
    widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
    lines = []
    for line in cells:
        first, *others = (
            text.ljust(w) if n == 0 else text.rjust(w) for n, (text, w) in enumerate(zip(line, widths, strict=True))
        )
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line shared by tflite.benchmark and crack_tf.benchmark, all but the source of the tiles."""
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.tflite", help="with its sidecar beside it")
    parser.add_argument("--split", default="test", choices=(*SPLITS, "all"), help="of the manifest (default: test)")
    parser.add_argument("--limit", type=positive_int, metavar="N", help="use N tiles, spread evenly over the split")
    parser.add_argument(
        "--threads", type=_thread_list, default=[1], metavar="1,2", help="CPU threads, one row each (default: 1)"
    )
    parser.add_argument(
        "--delegate",
        type=_delegate_list,
        default=["xnnpack"],
        metavar="NAME,...",
        help=f"of {', '.join(DELEGATES)} (default: xnnpack)",
    )
    parser.add_argument(
        "--runs", type=positive_int, default=100, help=f"timed runs per row, at least {MIN_RUNS} (default: 100)"
    )
    parser.add_argument("--warmup", type=non_negative_int, default=10, help="runs before them, not timed (default: 10)")
    parser.add_argument(
        "--compare", action="store_true", help="also run all models in turn in one process and print ratios"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks"), metavar="DIR", help="for the results (default: benchmarks)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace this machine's earlier results in DIR")


def run(args: argparse.Namespace, manifest: Manifest | None) -> None:
    """Measure what the command line asks for; results are written again after every row.

    Args:
        args: parsed `add_arguments`.
        manifest: of the tiles for accuracy and end-to-end time, or None for latency alone.

    Raises:
        CrackError: if anything is wrong with the arguments, the manifest or a model; before the first measurement.
    """
    if args.runs < MIN_RUNS:
        raise CrackError(f"--runs {args.runs}: at least {MIN_RUNS} are needed for percentiles that mean something.")
    if args.compare and len(args.models) < 2:
        raise CrackError("--compare needs at least two models, got one.")
    json_path, csv_path, plot_path = (result_path(args.out, suffix) for suffix in (".json", ".csv", ".png"))
    for path in (json_path, csv_path, plot_path):
        refuse_existing(path, args.overwrite, "Choose another --out, or add --overwrite.")
    tiles = select_tiles(manifest, args.split, args.limit) if manifest is not None else None
    check_models(args.models, max(args.threads), args.delegate)
    surroundings = environment()
    _warn_about_clock(surroundings["hardware"]["governor"])

    record: dict[str, Any] = {
        "format": FORMAT,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "environment": surroundings,
        "rows": [],
        "compare": [],
    }
    names = _names(args.models)
    settings = [(threads, delegate) for threads in args.threads for delegate in args.delegate]
    for path, name in zip(args.models, names, strict=True):
        for threads, delegate in settings:
            print(f"measuring {name}, {threads} thread(s), {delegate}", file=sys.stderr)
            row = _in_child(measure, Job(path, name, threads, delegate, args.runs, args.warmup, tiles))
            record["rows"].append(row | {"temperature_c": hardware.temperature()})
            _write(record, json_path, csv_path)
    if args.compare:
        for threads, delegate in settings:
            print(f"comparing {len(names)} models, {threads} thread(s), {delegate}", file=sys.stderr)
            jobs = [
                Job(p, n, threads, delegate, args.runs, args.warmup, None)
                for p, n in zip(args.models, names, strict=True)
            ]
            record["compare"] += _in_child(compare, jobs)
            _write(record, json_path, csv_path)
    _report(record, csv_path, json_path, plot_path)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tflite.benchmark", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument(
        "--manifest", type=Path, metavar="M.csv", help="split manifest of the tiles for accuracy and end-to-end time"
    )
    add_arguments(parser)
    args = parser.parse_args(argv)
    return run_main(
        lambda: run(args, read_manifest(args.manifest) if args.manifest is not None else None),
        interrupted=interrupted_message(args),
    )


def interrupted_message(args: argparse.Namespace) -> str:
    """What to say after Ctrl-C."""
    return f"Rows finished before are in {result_path(args.out, '.csv')}, if there were any."


def _accuracy(classifier: Classifier, tiles: TileSet) -> dict[str, Any]:
    """Classify every tile from the bytes of its file, as the device does, timing each stage."""
    from tflite.images import decode_rgb, resize_rgb  # brings Pillow, which --help does not need

    # The first image makes Pillow import its decoder: not part of any tile's time.
    resize_rgb(decode_rgb(tiles.manifest.read(tiles.items[0])), classifier.image_size)
    times = np.empty((len(tiles.items), len(_STAGES)))
    logits = np.empty(len(tiles.items), dtype=np.float32)
    decisions = np.empty(len(tiles.items), dtype=np.int8)
    for number, item in enumerate(tiles.items):
        data = tiles.manifest.read(item)
        start = time.perf_counter_ns()
        image = decode_rgb(data, item.path)
        decoded = time.perf_counter_ns()
        tile = resize_rgb(image, classifier.image_size)
        resized = time.perf_counter_ns()
        raw = classifier.raw(tile)
        decisions[number] = classifier.decide(raw)
        done = time.perf_counter_ns()
        logits[number] = classifier.to_logit(raw)
        times[number] = (decoded - start, resized - decoded, done - resized, done - start)
    times /= 1e6
    labels = np.array([item.label for item in tiles.items])
    # The decisions themselves are counted (integers compared with the raw threshold), not logits compared once more.
    rates = summary(confusion(decisions, labels, threshold=1))
    auc = roc_auc(logits, labels)
    return {
        "manifest": tiles.manifest.name,
        "manifest_sha256": tiles.sha256,
        "split": tiles.split,
        "tiles": len(tiles.items),
        "auc": None if auc is None else round(auc, 6),
        **{name: round(value, 6) if isinstance(value, float) else value for name, value in rates.items()},
        **{
            f"{stage}_p{share}_ms": round(float(np.percentile(times[:, number], share)), 4)
            for number, stage in enumerate(_STAGES)
            for share in (50, 90)
        },
    }


def _timed(classifier: Classifier, tile: np.ndarray) -> float:
    """Milliseconds of one inference: pixels copied in, invoked, output copied out."""
    started = time.perf_counter_ns()
    classifier.raw(tile)
    return _milliseconds(started)


def _milliseconds(started: int) -> float:
    return (time.perf_counter_ns() - started) / 1e6


def _import_runtime() -> None:
    """Import LiteRT now, so that neither load time nor the memory attributed to the model contains it."""
    try:
        import ai_edge_litert.interpreter  # noqa: F401
    except ImportError as error:
        raise CrackError(f"LiteRT is not installed ({error}). Run: pip install -r requirements-device.txt") from None


def _in_child(function: Callable[[Any], Result], argument: Any) -> Result:
    """Call a module-level function in a fresh process and return its result, or raise its CrackError."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, function, argument), daemon=True)
    try:
        # Ctrl-C reaches the whole process group. The child inherits the blocked signal and never sees it; the parent gets
        # it when the block is lifted, at the latest, and ends the child.
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        sender.close()
        outcome = receiver.recv()
    except EOFError:
        process.join()
        raise CrackError(
            f"the measuring process ended with code {process.exitcode} and no result "
            "(-9 usually means that memory ran out). Try fewer models or threads."
        ) from None
    finally:
        if process.pid is not None:
            process.terminate()
            process.join()
        receiver.close()
    if isinstance(outcome, CrackError):
        raise outcome
    result: Result = outcome
    return result


def _child(sender: Any, function: Callable[[Any], Any], argument: Any) -> None:
    try:
        outcome = function(argument)
    except CrackError as error:
        outcome = error
    sender.send(outcome)
    sender.close()


def _write(record: Mapping[str, Any], json_path: Path, csv_path: Path) -> None:
    write_json(json_path, record)
    surroundings = record["environment"]
    head = {
        "hardware": surroundings["hardware"]["slug"],
        "litert": surroundings["litert"],
        "python": surroundings["python"],
    }
    rows = ({name: value for name, value in row.items() if name != "latencies_ms"} for row in record["rows"])
    write_csv(csv_path, [head | row for row in rows])


def _report(record: Mapping[str, Any], csv_path: Path, json_path: Path, plot_path: Path) -> None:
    rows = record["rows"]
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "model": lambda row: str(row["model"]),
        "threads": lambda row: str(row["threads"]),
        "delegate": lambda row: (
            f"{row['delegate']} ({row['nodes_total'] - row['nodes_remaining']}/{row['nodes_total']})"
        ),
        "p50 ms": lambda row: f"{row['p50_ms']:.2f}",
        "p90 ms": lambda row: f"{row['p90_ms']:.2f}",
        "peak MB": lambda row: f"{row['peak_rss_mb']:.0f}",
        "file kB": lambda row: f"{row['file_bytes'] / 1e3:.0f}",
        "MMAC": lambda row: f"{row['macs'] / 1e6:.1f}",
    }
    if rows[0]["manifest"] is not None:
        columns |= {
            "recall": lambda row: _rate(row["recall"]),
            "specificity": lambda row: _rate(row["specificity"]),
            "AUC": lambda row: _rate(row["auc"]),
            "JPEG->decision p50 ms": lambda row: f"{row['total_p50_ms']:.2f}",
        }
    print(format_table(rows, columns))
    if record["compare"]:
        print(f"\nRun in turn in one process; ratios against {record['compare'][0]['model']}, below 1 is faster:")
        print(
            format_table(
                record["compare"],
                {
                    "model": lambda row: str(row["model"]),
                    "threads": lambda row: str(row["threads"]),
                    "delegate": lambda row: str(row["delegate"]),
                    "p50 ms": lambda row: f"{row['p50_ms']:.2f}",
                    "ratio of medians": lambda row: f"{row['ratio']:.3f}",
                    "median of paired ratios": lambda row: f"{row['paired_ratio']:.3f}",
                },
            )
        )
    print(f"\n{csv_path}\n{json_path}")
    from tflite.plots import benchmark_plot

    machine = record["environment"]["hardware"]
    try:
        benchmark_plot(
            rows,
            plot_path,
            title=f"{machine['cpu']}, {machine['cores']} cores, LiteRT {record['environment']['litert']}",
        )
    except CrackError as error:
        plot_path.unlink(missing_ok=True)  # an earlier run's picture would not show these rows
        print(f"no picture: {error}")
    else:
        print(plot_path)


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _warn_about_clock(governor: str | None) -> None:
    if governor not in (None, "performance"):
        print(
            f"warning: the clock governor is {governor!r}, so early runs are slower than late ones. "
            "For steady numbers: sudo cpufreq-set -g performance",
            file=sys.stderr,
        )


def _names(paths: Sequence[Path]) -> list[str]:
    """File names without suffix; the folder's name in front where two different files share one."""
    shared = {path.stem for path in paths for other in paths if other.stem == path.stem and other != path}
    return [f"{path.resolve().parent.name}/{path.stem}" if path.stem in shared else path.stem for path in paths]


def _thread_list(text: str) -> list[int]:
    return [positive_int(part) for part in text.split(",")]


def _delegate_list(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in DELEGATES:
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(DELEGATES)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
